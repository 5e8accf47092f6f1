"""E-DES: emptying as published, its resting state, what a sensor can tell."""

import numpy as np
import pytest

from twin_core.domain.history import Meal, Therapy
from twin_core.models.glucose.edes import FREE, MODEL, Parameters
from twin_core.solve.rk4 import Solution, SolveStatus, integrate
from twin_core.solve.schedule import schedule_of

DEFAULT = Parameters()
NAMES = tuple(state.name for state in MODEL.states)
GLUCOSE_TEST = Therapy(meals=(Meal(time_min=0.0, carbs_g=75.0, duration_min=1.0),))


def run(
    therapy: Therapy, p: Parameters = DEFAULT, *, minutes: float = 480.0, step_min: float = 1.0, **acting: float
) -> Solution:
    schedule = schedule_of(therapy, start_min=0.0, end_min=minutes, step_min=step_min)
    for name, value in acting.items():
        schedule = schedule.with_input(name, value)
    solution = integrate(MODEL, p, schedule)
    assert solution.status is SolveStatus.OK, solution.reason
    return solution


def sensed(p: Parameters) -> np.ndarray:
    return run(GLUCOSE_TEST, p, minutes=240.0).output("glucose_mg_dl")


def test_a_stomach_filled_at_once_empties_along_the_published_curve() -> None:
    """Maas 2015: the share left at t is exp(-(k1 t)^sigma); the first minute begins with an infinite slope of h."""
    full = [75_000.0 if name in ("St", "S0") else value for name, value in zip(NAMES, rest(), strict=True)]
    schedule = schedule_of(Therapy(), start_min=0.0, end_min=300.0)
    left = integrate(MODEL, DEFAULT, schedule, full).state("St") / 75_000.0
    np.testing.assert_allclose(left, np.exp(-((DEFAULT.k1 * schedule.times_min) ** DEFAULT.sigma)), atol=2e-3)


def rest() -> tuple[float, ...]:
    return tuple(MODEL.steady_state(DEFAULT))


def test_all_of_a_long_meal_and_of_the_next_reaches_the_plasma() -> None:
    meals = (Meal(time_min=0.0, carbs_g=40.0, duration_min=30.0), Meal(time_min=90.0, carbs_g=20.0, duration_min=10.0))
    solution = run(Therapy(meals=meals), minutes=1440.0, step_min=0.25)
    assert 0.25 * DEFAULT.k2 * solution.state("Mg").sum() == pytest.approx(60_000.0, rel=1e-3)


def test_fasting_is_held_for_a_day_within_a_millionth() -> None:
    for p in (DEFAULT, DEFAULT._replace(Gb=120.0, Ib=120.0, k5=0.02)):
        assert np.abs(run(Therapy(), p, minutes=1440.0).output("glucose_mg_dl") - p.Gb).max() < 1e-6


def test_the_default_person_has_a_normal_glucose_tolerance() -> None:
    """World Health Organization: below 140 mg/dL two hours after 75 g; back at fasting after four."""
    glucose = run(GLUCOSE_TEST).output("plasma_glucose_mg_dl")
    assert 120.0 < glucose.max() < 180.0
    assert 30 <= glucose.argmax() <= 60
    assert glucose[120] < 140.0
    assert glucose[240] == pytest.approx(DEFAULT.Gb, rel=0.05)


def test_less_uptake_and_weaker_beta_cells_raise_glucose() -> None:
    for name in ("k5", "k6"):
        weaker = DEFAULT._replace(**{name: 0.5 * getattr(DEFAULT, name)})
        assert (sensed(weaker) - sensed(DEFAULT))[30:].max() > 3.0
        assert (sensed(weaker) - sensed(DEFAULT))[2:60].min() > 0.0


def test_a_sensor_can_tell_the_four_free_parameters_apart() -> None:
    """Each moves the sensed curve by more than a sensor's grain for a change of a fifth, in a way of its own."""
    moved = np.array([sensed(DEFAULT._replace(**{name: 1.2 * getattr(DEFAULT, name)})) for name in FREE])
    directions = moved - sensed(DEFAULT)
    assert (np.abs(directions).max(axis=1) > 0.5).all()
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    assert np.linalg.cond(directions) < 100.0


def test_sensitivity_lowers_and_production_raises_glucose() -> None:
    plain = run(GLUCOSE_TEST).output("glucose_mg_dl")
    assert (run(GLUCOSE_TEST, sensitivity=1.5).output("glucose_mg_dl") - plain)[30:120].max() < 0.0
    for acting in ({"production_share": 1.2}, {"production_added_mg_kg_min": 0.5}, {"late_carbs_mg_min": 50.0}):
        assert run(Therapy(), **acting).output("glucose_mg_dl")[5:].min() > DEFAULT.Gb, acting


def test_a_planned_meal_only_adds() -> None:
    eaten, planned = Meal(time_min=0.0, carbs_g=60.0), Meal(time_min=90.0, carbs_g=10.0)
    without, with_it = (
        run(Therapy(meals=(eaten,), planned=meals)).output("plasma_glucose_mg_dl") for meals in ((), (planned,))
    )
    assert (with_it - without)[90:130].min() >= 0.0
    assert (with_it - without).max() > 3.0


def test_a_feast_leaves_every_state_at_or_above_zero() -> None:
    """The steep fall after it would let the derivative term call for negative secretion."""
    for p in (DEFAULT, DEFAULT._replace(k8=20.0, k5=0.02)):
        feast = run(Therapy(meals=(Meal(time_min=0.0, carbs_g=400.0, duration_min=5.0),)), p, minutes=1440.0)
        assert feast.states.min() >= 0.0
