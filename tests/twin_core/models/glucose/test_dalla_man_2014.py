"""The UVA/Padova model: signs, sizes, and the mistakes of its other implementations that it must not share."""

import numpy as np
import pytest

from twin_core.domain.history import BasalRate, Bolus, Meal, Therapy
from twin_core.models.glucose.dalla_man_2014 import (
    MODEL,
    Inputs,
    Parameters,
    basal_state,
    emptying_rate,
    rhs,
    tissue_glucose,
)
from twin_core.solve.rk4 import Solution, SolveStatus, integrate
from twin_core.solve.schedule import schedule_of

DEFAULT = Parameters()


def run(therapy: Therapy, *, hours: float = 24.0, p: Parameters = DEFAULT) -> Solution:
    solution = integrate(MODEL, p, schedule_of(therapy, start_min=0.0, end_min=60.0 * hours))
    assert solution.status is SolveStatus.OK, solution.reason
    return solution


def glucose(therapy: Therapy, *, hours: float = 24.0) -> np.ndarray:
    return run(therapy, hours=hours).output("glucose_mg_dl")


def test_one_unit_more_lowers_glucose_at_every_minute_after_it() -> None:
    dinner = Meal(time_min=0.0, carbs_g=60.0)
    with_six, with_five = (
        glucose(Therapy(meals=(dinner,), boluses=(Bolus(time_min=0.0, dose_u=dose),))) for dose in (6.0, 5.0)
    )
    assert (with_six - with_five)[10:].max() < 0.0
    assert (with_six - with_five).min() < -8.0


def test_twenty_grams_more_raise_glucose_until_they_are_absorbed() -> None:
    with_eighty, with_sixty = (glucose(Therapy(meals=(Meal(time_min=0.0, carbs_g=grams),))) for grams in (80.0, 60.0))
    difference = with_eighty - with_sixty
    assert difference.max() > 20.0
    assert difference[10:90].min() > 0.0


def test_fifty_grams_without_insulin_raise_glucose_by_about_a_hundred() -> None:
    assert 60.0 < glucose(Therapy(meals=(Meal(time_min=0.0, carbs_g=50.0),)), hours=8.0).max() - 120.0 < 160.0


def test_without_insulin_glucose_passes_300_and_fifteen_units_an_hour_bring_160_below_100() -> None:
    """Both are the pruning rule of the OHSU virtual population (reference, glucose.md 3.1)."""
    none = Therapy(basal=(BasalRate(time_min=0.0, rate_u_h=0.0),))
    much = Therapy(basal=(BasalRate(time_min=0.0, rate_u_h=15.0),))
    assert glucose(none, hours=48.0).max() > 300.0
    high = DEFAULT._replace(Gb=160.0)
    assert run(much, hours=1000.0 / 60.0, p=high).output("glucose_mg_dl").min() < 100.0


def test_basal_insulin_alone_holds_basal_glucose_for_a_day_within_a_millionth() -> None:
    assert np.abs(glucose(Therapy()) - 120.0).max() < 1e-6


def test_basal_rate_given_by_the_pump_equals_the_models_own() -> None:
    pumped = Therapy(basal=(BasalRate(time_min=0.0, rate_u_h=DEFAULT.basal_u_h),))
    assert np.abs(glucose(pumped) - 120.0).max() < 1e-6


def test_tissue_glucose_at_rest_allows_for_utilisation() -> None:
    """E17: Gtb = k1 Gpb / k2, as a widely read issue gives it, is off by up to 28 %."""
    basal = basal_state(DEFAULT)
    p = DEFAULT
    assert basal.Gt == pytest.approx((p.k1 * basal.Gp - (p.EGPb - p.Fcns)) / p.k2)
    assert basal.Gt < 0.95 * p.k1 * basal.Gp / p.k2
    assert tissue_glucose(basal.Gp, 0.0, p) == pytest.approx(basal.Gt, rel=1e-12)


def test_emptying_equals_the_tanh_form_of_the_paper() -> None:
    p, D = DEFAULT, 60_000.0
    Q = np.linspace(0.0, 1.5 * D, 200)
    paper = p.kmin + (p.kmax - p.kmin) / 2.0 * (
        np.tanh(5.0 / (2.0 * D * (1.0 - p.b)) * (Q - p.b * D)) - np.tanh(5.0 / (2.0 * D * p.c) * (Q - p.c * D)) + 2.0
    )
    np.testing.assert_allclose(emptying_rate(Q, D, p), paper, rtol=1e-12)


def test_an_empty_stomach_divides_by_nothing_and_empties_at_the_fastest_rate() -> None:
    state = np.array(MODEL.steady_state(DEFAULT))
    assert np.isfinite(rhs(0.0, tuple(state), Inputs(), DEFAULT)).all()
    state[1] = 1000.0
    assert rhs(0.0, tuple(state), Inputs(), DEFAULT)[1] == pytest.approx(-DEFAULT.kmax * 1000.0)


def test_a_second_meal_counts_what_is_still_in_the_stomach() -> None:
    """simglucose 0.2.11 looks at the stomach when eating begins, in mg for both parts of D (E1)."""
    meals = tuple(Meal(time_min=t, carbs_g=60.0, duration_min=12.0) for t in (0.0, 60.0))
    solution = run(Therapy(meals=meals), hours=3.0)
    Q = solution.state("Qsto1") + solution.state("Qsto2")
    assert Q[60] > 5_000.0
    assert solution.state("Q0")[59] == 0.0
    assert (solution.state("Q0")[61:] == Q[60]).all()


def test_all_carbohydrate_is_absorbed_and_the_bioavailable_share_reaches_the_plasma() -> None:
    solution = run(Therapy(meals=(Meal(time_min=0.0, carbs_g=50.0),)), hours=48.0)
    absorbed_mg = DEFAULT.kabs * solution.state("Qgut").sum()
    assert absorbed_mg == pytest.approx(50_000.0, rel=1e-3)


def test_a_huge_overdose_leaves_every_state_finite_and_above_zero() -> None:
    """E8: another implementation reaches -79,507 mg/dL in a child."""
    child = DEFAULT._replace(BW=25.0, basal_u_h=0.3, Gb=140.0)
    solution = run(Therapy(boluses=(Bolus(time_min=0.0, dose_u=60.0),)), p=child)
    assert 0.0 <= solution.output("plasma_glucose_mg_dl").min() < 40.0
