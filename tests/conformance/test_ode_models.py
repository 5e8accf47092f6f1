"""What every model of the catalog keeps, whoever wrote it: run over `catalog.MODELS`, no line a model."""

import re
from typing import Any

import numpy as np
import pint
import pytest

from twin_core.domain.models import OdeModel, quantities
from twin_core.models.catalog import MODELS
from twin_core.solve import rk4
from twin_core.solve.compiled import Kernel, kernel_of
from twin_core.solve.schedule import Schedule

every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)


def steady(model: OdeModel) -> tuple[np.ndarray, Any, Any]:
    """State, inputs and parameters of the model's default person at rest."""
    p = model.parameters()
    return np.array(model.steady_state(p), dtype=float), model.basal_inputs(p), p


def scale_of(model: OdeModel) -> np.ndarray:
    """A size for each state, to judge small numbers by."""
    y, _, _ = steady(model)
    return np.maximum(np.abs(y), 1.0)


def fastest_rate(model: OdeModel) -> float:
    """The largest eigenvalue of the Jacobian at rest, per time unit, by central differences."""
    y, u, p = steady(model)
    step = 1e-6 * scale_of(model)
    columns = [
        (np.array(model.rhs(0.0, tuple(y + d), u, p)) - np.array(model.rhs(0.0, tuple(y - d), u, p))) / (2 * d[i])
        for i, d in enumerate(np.diag(step))
    ]
    return float(np.abs(np.linalg.eigvals(np.array(columns).T)).max())


def at_rest(model: OdeModel, n_steps: int, step: float) -> Schedule:
    """Steps with the inputs that hold the steady state."""
    _, u, _ = steady(model)
    return Schedule(
        times_min=step * np.arange(n_steps),
        widths_min=np.full(n_steps, step),
        inputs=np.tile(np.array(u, dtype=float), (n_steps, 1)),
        restarts=np.zeros(n_steps, dtype=bool),
        input_names=model.inputs._fields,
    )


def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rk4, "kernel_of", Kernel)


def test_catalog_names_are_unique() -> None:
    assert len({model.name for model in MODELS}) == len(MODELS) > 0


@every_model
def test_every_number_declares_unit_range_meaning_and_source(model: OdeModel) -> None:
    for fields in (model.parameters, model.inputs):
        declared = quantities(fields)
        assert set(declared) == set(fields._fields)
        for name, quantity in declared.items():
            assert quantity.unit, name
            assert quantity.meaning, name
            assert quantity.source, name
            assert quantity.low < quantity.high, name


@every_model
def test_every_default_lies_inside_its_range(model: OdeModel) -> None:
    for fields in (model.parameters, model.inputs):
        for name, quantity in quantities(fields).items():
            assert quantity.low <= fields._field_defaults[name] <= quantity.high, name


@every_model
def test_states_and_outputs_have_units_and_meanings_and_their_names_are_unique(model: OdeModel) -> None:
    for states in (model.states, model.output_states):
        assert all(state.unit and state.meaning for state in states)
        assert len({state.name for state in states}) == len(states)
    assert set(model.signed_states) <= {state.name for state in model.states}
    assert model.references


@every_model
def test_each_derivative_has_the_unit_of_its_state_over_time(model: OdeModel) -> None:
    registry = pint.UnitRegistry()
    registry.define("insulin_unit = 6000 * picomole")

    def quantity(value: float, unit: str) -> Any:
        return registry.Quantity(value, "" if unit == "1" else re.sub(r"\bU\b", "insulin_unit", unit))

    def dressed(values: Any) -> Any:
        declared = quantities(type(values))
        return type(values)(*(quantity(v, declared[n].unit) for n, v in zip(values._fields, values, strict=True)))

    y, u, p = steady(model)
    states = tuple(quantity(v, state.unit) for v, state in zip(y + 0.1 * scale_of(model), model.states, strict=True))
    time = quantity(1.0, model.time_unit)
    for state, derivative in zip(model.states, model.rhs(time, states, dressed(u), dressed(p)), strict=True):
        assert derivative.is_compatible_with(quantity(1.0, state.unit) / time), (state.name, derivative.units)
    for output, value in zip(model.output_states, model.outputs(states, dressed(p)), strict=True):
        assert value.is_compatible_with(quantity(1.0, output.unit)), output.name


@every_model
def test_the_steady_state_makes_the_right_hand_side_vanish(model: OdeModel) -> None:
    y, u, p = steady(model)
    slope = np.array(model.rhs(0.0, tuple(y), u, p)) / scale_of(model)
    assert np.abs(slope).max() < 1e-12 * max(1.0, fastest_rate(model))


@every_model
def test_states_that_cannot_be_negative_stay_at_or_above_zero(model: OdeModel) -> None:
    y, _, p = steady(model)
    schedule = at_rest(model, 500, 0.2 / fastest_rate(model))
    unsigned = [i for i, state in enumerate(model.states) if state.name not in model.signed_states]
    for emptied in unsigned:
        start = y.copy()
        start[emptied] = 0.0
        for factor in (1.0, 0.0):
            fed = Schedule(**{**vars(schedule), "inputs": factor * schedule.inputs})
            solution = rk4.integrate(model, p, fed, start)
            assert solution.status is rk4.SolveStatus.OK, solution.reason
            assert (solution.states[:, unsigned] >= -1e-12 * scale_of(model)[unsigned]).all()


@every_model
def test_floats_arrays_and_compiled_code_agree(model: OdeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    y, _, p = steady(model)
    start = 1.2 * y
    schedule = at_rest(model, 60, 0.2 / fastest_rate(model))
    many = model.parameters(*(np.full(3, value) for value in p))
    kernel_of(model).warm_up()
    compiled = rk4.integrate(model, p, schedule, start)
    compiled_batch = rk4.integrate_batch(model, many, schedule, start)
    interpreted(monkeypatch)
    on_floats = rk4.integrate(model, p, schedule, start)
    on_arrays = rk4.integrate_batch(model, many, schedule, start)
    for other in (compiled.final_state, *compiled_batch.final_states, *on_arrays.final_states):
        np.testing.assert_allclose(other, on_floats.final_state, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(compiled_batch.outputs, on_arrays.outputs, rtol=1e-9)


@every_model
def test_halving_the_step_divides_the_error_by_about_sixteen(model: OdeModel) -> None:
    y, _, p = steady(model)
    step = 0.8 / fastest_rate(model)

    def end(parts: int) -> np.ndarray:
        schedule = at_rest(model, 8 * parts, step / parts)
        return rk4.integrate(model, p, schedule, 1.1 * y).final_state / scale_of(model)

    exact = end(64)
    errors = [np.abs(end(parts) - exact).max() for parts in (1, 2, 4)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert ((orders > 3.5) & (orders < 4.8)).all(), (errors, orders)


@every_model
def test_declared_balances_hold_at_states_far_from_rest(model: OdeModel) -> None:
    y, u, p = steady(model)
    rng = np.random.default_rng(7)
    for balance in model.balances:
        for _ in range(20):
            states = tuple(rng.uniform(0.2, 3.0, len(y)) * scale_of(model))
            fed = type(u)(*(rng.uniform(0.0, 1.0, len(u))))
            change = balance.content(model.rhs(0.0, states, fed, p), p)
            assert change == pytest.approx(balance.flow(states, fed, p), rel=1e-9, abs=1e-9), balance.name


@every_model
def test_a_restart_changes_nothing_but_bookkeeping(model: OdeModel) -> None:
    if model.restart is None:
        pytest.skip("no restart declared")
    y, u, p = steady(model)
    states = tuple(1.3 * y + 1.0)
    for balance in model.balances:
        assert balance.content(model.restart(states, u, p), p) == pytest.approx(balance.content(states, p), rel=1e-12)
    assert len(model.restart(states, u, p)) == len(states)
