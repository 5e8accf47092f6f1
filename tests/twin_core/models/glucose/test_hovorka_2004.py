"""The Hovorka model: the published production, the renal erratum, signs and sizes, exercise."""

import numpy as np
import pytest

from twin_core.domain.history import BasalRate, Bolus, Meal, Therapy
from twin_core.models.glucose.hovorka_2004 import (
    EGP0_MG_KG_MIN,
    MODEL,
    Inputs,
    Parameters,
    basal_rate_for,
    basal_state,
    rhs,
    steady_state,
)
from twin_core.solve.rk4 import Solution, SolveStatus, integrate
from twin_core.solve.schedule import schedule_of

DEFAULT = Parameters()
FASTING = Therapy()
MG_DL_PER_MMOL_L = 18.0156


def run(therapy: Therapy, *, minutes: float = 600.0, p: Parameters = DEFAULT, **acting: float) -> Solution:
    """`acting` holds from minute 60 to minute 105."""
    schedule = schedule_of(therapy, start_min=0.0, end_min=minutes)
    for name, value in acting.items():
        between = (schedule.times_min >= 60.0) & (schedule.times_min < 105.0)
        schedule = schedule.with_input(name, np.where(between, value, schedule.input(name)))
    return solved(integrate(MODEL, p, schedule))


def solved(solution: Solution) -> Solution:
    assert solution.status is SolveStatus.OK, solution.reason
    return solution


def glucose(therapy: Therapy, **more: float) -> np.ndarray:
    return run(therapy, **more).output("glucose_mg_dl")  # type: ignore[arg-type]


def ninety_grams(basal_u_h: float, p: Parameters) -> np.ndarray:
    """A meal of 90 g from 8 mmol/L under a constant rate: the settings of the reference's erratum E9."""
    at_eight = dict(
        zip(
            (state.name for state in MODEL.states),
            steady_state(p._replace(basal_u_h=basal_u_h, Gb=8.0 * MG_DL_PER_MMOL_L)),
            strict=True,
        )
    )
    meal = Meal(time_min=0.0, carbs_g=90.0, duration_min=1.0)
    therapy = Therapy(meals=(meal,), basal=(BasalRate(time_min=0.0, rate_u_h=basal_u_h),))
    schedule = schedule_of(therapy, start_min=0.0, end_min=601.0)
    return solved(integrate(MODEL, p, schedule, list(at_eight.values()))).output("plasma_glucose_mg_dl")


def test_the_default_person_has_the_published_production() -> None:
    """Hovorka 2004: EGP0 = 0.0161 mmol/kg/min."""
    assert pytest.approx(0.0161, abs=5e-6) == basal_state(DEFAULT).EGP0 / 180.156
    assert pytest.approx(0.0161 * 180.156, abs=1e-4) == EGP0_MG_KG_MIN


def test_basal_rate_and_production_are_solved_from_each_other() -> None:
    people = DEFAULT._replace(Gb=np.array([70.0, 108.0, 200.0]))  # type: ignore[arg-type]
    for EGP0 in (2.5, EGP0_MG_KG_MIN, 4.0):
        held = people._replace(basal_u_h=basal_rate_for(people, EGP0))
        np.testing.assert_allclose(basal_state(held).EGP0, EGP0, rtol=1e-12)


def test_who_needs_twice_the_basal_insulin_for_the_same_production_is_half_as_sensitive() -> None:
    twice = DEFAULT._replace(basal_u_h=2.0 * DEFAULT.basal_u_h)
    half = twice._replace(SIT=0.5 * DEFAULT.SIT, SID=0.5 * DEFAULT.SID, SIE=0.5 * DEFAULT.SIE)
    assert pytest.approx(basal_state(DEFAULT).EGP0, rel=1e-12) == basal_state(half).EGP0


@pytest.mark.parametrize("basal_u_h", [0.05, 0.4, 1.25, 6.0])
def test_any_basal_rate_holds_its_glucose_for_a_day_within_a_millionth(basal_u_h: float) -> None:
    person = DEFAULT._replace(basal_u_h=basal_u_h, Gb=120.0)
    assert np.abs(run(FASTING, minutes=1440.0, p=person).output("glucose_mg_dl") - 120.0).max() < 1e-6


def test_basal_rate_given_by_the_pump_equals_the_models_own() -> None:
    pumped = Therapy(basal=(BasalRate(time_min=0.0, rate_u_h=DEFAULT.basal_u_h),))
    assert np.abs(glucose(pumped) - DEFAULT.Gb).max() < 1e-6


def test_insulin_that_appears_in_plasma_replaces_that_under_the_skin() -> None:
    y = dict(zip((state.name for state in MODEL.states), steady_state(DEFAULT), strict=True)) | {"S1": 0.0, "S2": 0.0}
    u = Inputs(own_basal=0.0, appearing_u_min=DEFAULT.basal_u_h / 60.0)
    assert np.abs(rhs(0.0, tuple(y.values()), u, DEFAULT)).max() < 1e-12


@pytest.mark.parametrize(("basal_u_h", "peak", "after_ten_hours"), [(0.6, 353.0, None), (0.3, None, 292.0)])
def test_ninety_grams_pass_the_kidneys_as_a_flow_of_glucose(
    basal_u_h: float, peak: float | None, after_ten_hours: float | None
) -> None:
    """E9 (reference 2.4): without VG in the renal loss it would be 379 in place of 353, and 500 in place of 292."""
    person = DEFAULT._replace(basal_u_h=float(basal_rate_for(DEFAULT)))
    course = ninety_grams(basal_u_h, person)
    without_VG = ninety_grams(basal_u_h, person._replace(kR=person.kR / (0.1 * person.VG * person.BW)))
    if peak is not None:
        assert course.max() == pytest.approx(peak, abs=0.5)
        assert without_VG.max() == pytest.approx(379.0, abs=0.5)
    if after_ten_hours is not None:
        assert course[600] == pytest.approx(after_ten_hours, abs=0.5)
        assert without_VG[600] == pytest.approx(500.0, abs=0.5)


def test_one_unit_more_lowers_glucose_at_every_minute_after_it() -> None:
    dinner = Meal(time_min=0.0, carbs_g=60.0)
    with_six, with_five = (
        glucose(Therapy(meals=(dinner,), boluses=(Bolus(time_min=0.0, dose_u=dose),))) for dose in (6.0, 5.0)
    )
    assert (with_six - with_five)[10:].max() < 0.0
    assert -60.0 < (with_six - with_five).min() < -8.0


def test_twenty_grams_more_raise_glucose_at_every_minute_after_them() -> None:
    with_eighty, with_sixty = (glucose(Therapy(meals=(Meal(time_min=0.0, carbs_g=grams),))) for grams in (80.0, 60.0))
    assert (with_eighty - with_sixty)[5:].min() > 0.0
    assert (with_eighty - with_sixty).max() > 20.0


def test_planned_carbohydrate_acts_as_eaten() -> None:
    meal = Meal(time_min=30.0, carbs_g=40.0, duration_min=10.0)
    np.testing.assert_allclose(glucose(Therapy(planned=(meal,))), glucose(Therapy(meals=(meal,))), rtol=1e-12)


def test_fat_slows_a_meal_and_takes_nothing_from_it() -> None:
    meal = Therapy(meals=(Meal(time_min=60.0, carbs_g=50.0, duration_min=10.0),))
    plain, slowed = run(meal), run(meal, emptying_share=0.5)
    assert slowed.output("glucose_mg_dl").argmax() > plain.output("glucose_mg_dl").argmax()
    assert slowed.state("D2").sum() == pytest.approx(plain.state("D2").sum(), rel=1e-3)


def test_late_carbohydrate_and_production_raise_glucose_and_sensitivity_lowers_it() -> None:
    for acting in ({"late_carbs_mg_min": 100.0}, {"production_share": 1.3}, {"production_added_mg_kg_min": 0.5}):
        assert glucose(FASTING, **acting)[70:].min() > DEFAULT.Gb, acting
    assert glucose(FASTING, sensitivity=1.5)[70:150].max() < DEFAULT.Gb


def test_without_insulin_glucose_passes_300_and_fifteen_units_an_hour_bring_160_below_100() -> None:
    """Both are the pruning rule of the OHSU virtual population (reference 3.1)."""
    none, much = (Therapy(basal=(BasalRate(time_min=0.0, rate_u_h=rate),)) for rate in (0.0, 15.0))
    assert glucose(none, minutes=2880.0).max() > 300.0
    assert run(much, minutes=1000.0, p=DEFAULT._replace(Gb=160.0)).output("glucose_mg_dl").min() < 100.0


def test_moderate_exercise_lowers_glucose_by_what_was_measured() -> None:
    """T1DEXI (Riddell 2023, doi 10.2337/dc22-1721): -18 +- 39 mg/dL over half an hour of aerobic exercise."""
    at_third, at_half, at_most = (glucose(FASTING, heart_rate_reserve=share) for share in (0.3, 0.5, 0.7))
    assert -18.0 - 39.0 < at_half[90] - at_half[60] < 0.0
    assert at_half[60:300].max() <= DEFAULT.Gb + 1e-9
    assert at_most.min() < at_half.min() < at_third.min()


def test_moderate_exercise_lowers_the_glucose_of_people_with_much_basal_insulin_too() -> None:
    for basal_u_h in (0.8, 1.25, 3.0):
        person = DEFAULT._replace(basal_u_h=basal_u_h)
        schedule = schedule_of(FASTING, start_min=0.0, end_min=60.0).with_input("heart_rate_reserve", 0.5)
        course = solved(integrate(MODEL, person, schedule)).output("plasma_glucose_mg_dl")
        assert -80.0 < course[-1] - course[0] < -5.0


def test_exercise_above_the_threshold_raises_glucose() -> None:
    assert glucose(FASTING, heart_rate_reserve=0.85)[105] > DEFAULT.Gb + 10.0


def test_an_overdose_in_a_child_that_runs_leaves_every_state_at_or_above_zero() -> None:
    """E8: another implementation reaches -79,507 mg/dL in a child."""
    child = DEFAULT._replace(BW=25.0, basal_u_h=0.3, Gb=140.0)
    overdose = Therapy(boluses=(Bolus(time_min=0.0, dose_u=60.0),))
    solution = run(overdose, minutes=1440.0, p=child, heart_rate_reserve=0.7)
    assert solution.output("plasma_glucose_mg_dl").min() < 40.0
    assert solution.states.min() > -1e-9
