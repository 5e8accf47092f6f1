"""All ways to compute a curve agree, for every drug of the catalog and every kind of dose."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import ArrayLike

from twin_core.domain.drugs import STAGES, Dose, Drug, Route, Structure
from twin_core.domain.errors import BadInput
from twin_core.models.catalog import DRUGS
from twin_core.models.pk import grid
from twin_core.models.pk.absorption import gain
from twin_core.models.pk.compartments import check_parameters, concentration
from twin_core.models.pk.curve import Curve
from twin_core.models.pk.piecewise import concentration_in_pieces

every_drug = pytest.mark.parametrize("drug", DRUGS, ids=lambda drug: drug.name)
GRID_H = np.linspace(0.0, 36.0, 145)


def people(drug: Drug, n: int) -> dict[str, ArrayLike]:
    names, omega = drug.omega_matrix()
    eta = np.random.default_rng(5).standard_normal((n, len(names))) @ np.linalg.cholesky(omega).T
    typical = drug.individual(drug.covariates_with({}))
    everyone = drug.person(typical, dict(zip(names, eta.T, strict=True)))
    return {name: np.broadcast_to(np.asarray(value), n) for name, value in everyone.items()}


def regimens(drug: Drug) -> list[list[Dose]]:
    """By every route: a line of doses, off the grid of times too, and a steady state."""
    found = []
    for route in drug.routes:
        duration = 0.7 if route is Route.IV_INFUSION else 0.0
        line = Dose(time_h=0.3, amount_mg=10.0, route=route, duration_h=duration, interval_h=8.0, additional=3)
        once = Dose(time_h=12.0, amount_mg=5.0, route=route, duration_h=3.0 * duration)
        found += [[line], [line, once], [replace(line, steady_state=True), once]]
    return found


@every_drug
def test_sums_and_small_matrices_agree_with_the_modes(drug: Drug) -> None:
    parameters, times = people(drug, 5), np.array([0.0, 0.3, 0.8, 1.0, 9.1, 12.0, 13.9, 30.0, 400.0])
    for doses in regimens(drug):
        expected = concentration(drug.structure, parameters, doses, times)
        np.testing.assert_allclose(Curve(drug.structure, doses, times).at(parameters), expected, rtol=1e-12)
        matrices = concentration_in_pieces(drug.structure, [parameters], [], doses, times)
        np.testing.assert_allclose(matrices, expected, rtol=1e-10, atol=1e-30)


@every_drug
def test_many_patients_on_a_grid_get_what_each_gets_alone(drug: Drug) -> None:
    parameters = people(drug, 100)
    if drug.name == "paracetamol":
        parameters["lag_h"] = np.full(100, 0.4)
    for doses in regimens(drug):
        checked = check_parameters(drug.structure, parameters, doses)
        if not grid.serves(checked, doses, GRID_H):
            assert STAGES in parameters or "lag_h" in drug.omega or doses[0].steady_state
            continue
        together = concentration(drug.structure, parameters, doses, GRID_H)
        for person in (0, 57, 99):
            single = {name: np.asarray(value)[person] for name, value in parameters.items()}
            alone = concentration(drug.structure, single, doses, GRID_H)[0]
            np.testing.assert_allclose(together[person], alone, rtol=1e-12)


@pytest.mark.parametrize("structure", list(Structure))
def test_a_grid_is_served_with_lag_and_degenerate_rates(structure: Structure) -> None:
    n = 80
    p: Mapping[str, ArrayLike] = {
        "CL_L_h": np.where(np.arange(n) % 2, 5.0, 1e-9),
        "V1_L": 20.0,
        "Q2_L_h": 4.0,
        "V2_L": 30.0,
        "Q3_L_h": 4.0 * (1.0 + 1e-12),
        "V3_L": 30.0,
        "k_a_h": np.full(n, 0.25),
        "lag_h": 0.65,
        "F": 0.7,
    }
    used = {name: p[name] for name in (*structure.disposition, "k_a_h", "lag_h", "F")}
    doses = [
        Dose(time_h=-1.1, amount_mg=10.0, route=Route.ORAL, interval_h=5.3, additional=4),
        Dose(time_h=2.0, amount_mg=10.0, route=Route.IV_INFUSION, duration_h=7.5),
        Dose(time_h=3.0, amount_mg=10.0, route=Route.IV_BOLUS),
    ]
    assert grid.serves(check_parameters(structure, used, doses), doses, GRID_H)
    together = concentration(structure, used, doses, GRID_H)
    for person in (0, 1):
        single = {name: np.broadcast_to(np.asarray(value), n)[person] for name, value in used.items()}
        np.testing.assert_allclose(together[person], concentration(structure, single, doses, GRID_H)[0], rtol=1e-12)


def test_a_chain_of_stages_ends_where_one_slow_stage_does_and_spreads_like_erlang() -> None:
    # With a body that hardly empties, what has arrived is Erlang's distribution: mean n / k, variance n / k^2.
    p = {"CL_L_h": 1e-14, "V1_L": 1.0, "k_a_h": 3.0, "stages": 5.0}
    dose = Dose(time_h=0.0, amount_mg=1.0, route=Route.ORAL)
    times = np.linspace(0.0, 30.0, 30_001)
    arrived = concentration(Structure.ONE_COMPARTMENT, p, [dose], times)[0]
    mean = np.trapezoid(1.0 - arrived, times)
    assert mean == pytest.approx(5.0 / 3.0, rel=1e-6)
    assert 2.0 * np.trapezoid(times * (1.0 - arrived), times) - mean**2 == pytest.approx(5.0 / 9.0, rel=1e-5)


@pytest.mark.parametrize("stages", [1, 2, 3, 8, 20])
def test_a_chain_is_smooth_where_its_rate_meets_that_of_the_body(stages: int) -> None:
    t = np.array([0.1, 1.0, 10.0, 40.0])
    at = gain(np.array(0.5), np.array(0.5), t, stages)
    near = [gain(np.array(0.5), np.array(0.5 * (1.0 + sign * 1e-9)), t, stages) for sign in (-1, 1)]
    np.testing.assert_allclose(near[0], at, rtol=3e-8)
    np.testing.assert_allclose(near[1], at, rtol=3e-8)
    np.testing.assert_allclose((near[0] + near[1]) / 2.0, at, rtol=1e-13)


def test_stages_that_are_no_whole_number_or_differ_are_refused() -> None:
    p = {"CL_L_h": 1.0, "V1_L": 1.0, "k_a_h": 3.0}
    dose = Dose(time_h=0.0, amount_mg=1.0, route=Route.ORAL)
    for stages in (1.5, np.array([1.0, 2.0])):
        with pytest.raises(BadInput, match="whole number"):
            concentration(Structure.ONE_COMPARTMENT, p | {"stages": stages}, [dose], [1.0])


def test_a_curve_of_many_doses_carries_contents_along() -> None:
    p = {"CL_L_h": 1.0, "V1_L": 10.0, "k_a_h": 1.3, "lag_h": np.array([0.0, 0.2, 0.4])}
    doses = [Dose(time_h=0.0, amount_mg=1.0, route=Route.ORAL, interval_h=4.0, additional=499)]
    times = np.linspace(0.0, 2_000.0, 41)
    got = Curve(Structure.ONE_COMPARTMENT, doses, times).at(p)
    np.testing.assert_allclose(got, concentration(Structure.ONE_COMPARTMENT, p, doses, times), rtol=1e-12)
