"""Schedules: every jump is a step's begin, amounts are conserved, impossible values are refused."""

from dataclasses import replace

import numpy as np
import pytest

from twin_core.domain.errors import BadInput, OutOfRange
from twin_core.domain.history import (
    BasalInsulin,
    BasalRate,
    Bolus,
    Condition,
    ConditionKind,
    Exercise,
    GlucagonDose,
    LongActingDose,
    Meal,
    MealInsulin,
    Rhythm,
    Therapy,
)
from twin_core.solve.schedule import AT_REST, INPUT_NAMES, Schedule, needs_of, schedule_of, schedules_of

SINCE_1970_MIN = 28_000_000.0


def column(schedule: Schedule, name: str) -> np.ndarray:
    return schedule.inputs[:, INPUT_NAMES.index(name)]


def amount(schedule: Schedule, name: str) -> float:
    return float(column(schedule, name) @ schedule.widths_min)


@pytest.mark.parametrize("start_min", [0.0, SINCE_1970_MIN])
@pytest.mark.parametrize("step_min", [1.0, 0.5, 0.7])
def test_amounts_are_conserved_at_times_that_are_no_whole_minutes(start_min: float, step_min: float) -> None:
    therapy = Therapy(
        meals=(Meal(time_min=start_min + 10.3, carbs_g=45.0, duration_min=7.25),),
        boluses=(Bolus(time_min=start_min + 10.3, dose_u=4.2), Bolus(time_min=start_min + 10.9, dose_u=1.0)),
    )
    schedule = schedule_of(therapy, start_min=start_min, end_min=start_min + 60.0, step_min=step_min)
    assert amount(schedule, "carbs_mg_min") == pytest.approx(45_000.0, rel=1e-6)
    assert amount(schedule, "insulin_u_min") == pytest.approx(5.2, rel=1e-6)
    assert schedule.widths_min.max() <= step_min + 1e-6
    assert schedule.end_min == pytest.approx(start_min + 60.0, abs=1e-7)


def test_every_jump_is_the_begin_of_a_step() -> None:
    therapy = Therapy(
        meals=(Meal(time_min=5.25, carbs_g=10.0, duration_min=2.5),),
        boluses=(Bolus(time_min=8.6, dose_u=1.0),),
        basal=(BasalRate(time_min=12.1, rate_u_h=1.0),),
    )
    times = schedule_of(therapy, start_min=0.0, end_min=20.0).times_min
    for jump in (5.25, 6.25, 7.25, 7.75, 8.6, 9.6, 12.1):
        assert np.abs(times - jump).min() < 1e-9


def test_whole_minute_events_leave_the_steps_at_whole_minutes() -> None:
    therapy = Therapy(meals=(Meal(time_min=3.0, carbs_g=10.0),), boluses=(Bolus(time_min=3.0, dose_u=1.0),))
    schedule = schedule_of(therapy, start_min=0.0, end_min=1440.0)
    np.testing.assert_array_equal(schedule.times_min, np.arange(1440.0))


def test_each_minutes_mouthful_counts_as_eaten_when_the_minute_begins() -> None:
    """As simglucose 0.2.11: 5 g/min for 3 min make 5, 10, 15 g, held until the next meal."""
    meals = (Meal(time_min=2.0, carbs_g=15.0, duration_min=3.0), Meal(time_min=8.0, carbs_g=4.0, duration_min=2.0))
    schedule = schedule_of(Therapy(meals=meals), start_min=0.0, end_min=12.0)
    expected = [0, 0, 5, 10, 15, 15, 15, 15, 2, 4, 4, 4]
    np.testing.assert_allclose(column(schedule, "eaten_mg"), 1000.0 * np.array(expected))
    assert np.flatnonzero(schedule.restarts).tolist() == [2, 8]


def test_meals_that_touch_are_one_meal() -> None:
    meals = (Meal(time_min=2.0, carbs_g=15.0, duration_min=3.0), Meal(time_min=5.0, carbs_g=4.0, duration_min=2.0))
    schedule = schedule_of(Therapy(meals=meals), start_min=0.0, end_min=12.0)
    assert np.flatnonzero(schedule.restarts).tolist() == [2]
    assert column(schedule, "eaten_mg")[-1] == 19_000.0


def test_a_meal_under_way_at_the_start_goes_on_without_a_restart() -> None:
    meal = Meal(time_min=-4.0, carbs_g=10.0, duration_min=10.0)
    schedule = schedule_of(Therapy(meals=(meal,)), start_min=0.0, end_min=20.0)
    assert amount(schedule, "carbs_mg_min") == pytest.approx(6_000.0)
    assert column(schedule, "eaten_mg")[0] == pytest.approx(5_000.0)
    assert not schedule.restarts.any()


def test_the_own_basal_runs_until_the_first_rate_and_a_rate_until_the_next() -> None:
    therapy = Therapy(basal=(BasalRate(time_min=20.0, rate_u_h=0.0), BasalRate(time_min=10.0, rate_u_h=1.2)))
    schedule = schedule_of(therapy, start_min=0.0, end_min=30.0)
    np.testing.assert_array_equal(column(schedule, "own_basal"), [1.0] * 10 + [0.0] * 20)
    np.testing.assert_allclose(column(schedule, "insulin_u_min"), [0.0] * 10 + [0.02] * 10 + [0.0] * 10)


FULL = Therapy(
    meals=(Meal(time_min=30.4, carbs_g=40.0, protein_g=20.0, fat_g=15.0, fibre_g=5.0),),
    boluses=(Bolus(time_min=30.4, dose_u=4.0, insulin=MealInsulin.INHALED),),
    long_acting=(LongActingDose(time_min=10.2, dose_u=24.0, insulin=BasalInsulin.DEGLUDEC),),
    exercise=(Exercise(time_min=200.7, duration_min=30.5, intensity_percent=60.0),),
    glucagon=(GlucagonDose(time_min=300.3, dose_mg=0.1),),
    conditions=(
        Condition(time_min=0.0, duration_min=60.0, kind=ConditionKind.STRESS),
        Condition(time_min=0.0, duration_min=60.0, kind=ConditionKind.ALCOHOL),
    ),
)
"""One of everything that has kinetics of its own."""

LATER = tuple(name for name in tuple(AT_REST)[6:] if name != "unexplained_mg_kg_min")
"""Columns beyond food, rapid insulin and own basal."""


def test_a_long_acting_dose_appears_over_days_and_own_basal_fades_meanwhile() -> None:
    therapy = Therapy(long_acting=(LongActingDose(time_min=720.0, dose_u=24.0),))
    schedule = schedule_of(therapy, start_min=0.0, end_min=10.0 * 1440.0)
    assert amount(schedule, "appearing_u_min") == pytest.approx(24.0, rel=1e-4)
    assert not column(schedule, "insulin_u_min").any()
    own_basal = column(schedule, "own_basal")
    assert (own_basal[:720] == 1.0).all()
    assert 0.4 < own_basal[720] < 0.8
    assert (np.diff(own_basal[720:]) < 0.0).all()
    assert own_basal[-1] < 1e-3


def test_own_basal_stops_for_a_pump_that_comes_first_and_fades_on_under_one_that_comes_later() -> None:
    dose, rate = LongActingDose(time_min=60.0, dose_u=24.0), BasalRate(time_min=30.0, rate_u_h=1.0)
    pump_first = schedule_of(Therapy(long_acting=(dose,), basal=(rate,)), start_min=0.0, end_min=600.0)
    np.testing.assert_array_equal(column(pump_first, "own_basal"), [1.0] * 30 + [0.0] * 570)
    later = BasalRate(time_min=300.0, rate_u_h=1.0)
    pen_first, pen_alone = schedules_of(
        (Therapy(long_acting=(dose,), basal=(later,)), Therapy(long_acting=(dose,))), start_min=0.0, end_min=600.0
    )
    np.testing.assert_array_equal(column(pen_first, "own_basal"), column(pen_alone, "own_basal"))
    assert column(pen_first, "insulin_u_min")[300:].all()


def test_inhaled_insulin_does_not_go_under_the_skin() -> None:
    inhaled = Bolus(time_min=5.0, dose_u=4.0, insulin=MealInsulin.INHALED)
    schedule = schedule_of(Therapy(boluses=(inhaled,)), start_min=0.0, end_min=600.0)
    assert not column(schedule, "insulin_u_min").any()
    assert (column(schedule, "own_basal") == 1.0).all()
    assert amount(schedule, "appearing_u_min") > 0.0


@pytest.mark.parametrize("start_min", [0.0, SINCE_1970_MIN])
def test_columns_depend_neither_on_the_axis_nor_on_where_a_schedule_begins(start_min: float) -> None:
    whole = schedule_of(FULL, start_min=0.0, end_min=720.0, rhythm=Rhythm(dawn_mg_kg_min=1.0))
    moved = Therapy(
        **{
            name: tuple(replace(event, time_min=event.time_min + start_min) for event in getattr(FULL, name))
            for name in ("meals", "boluses", "long_acting", "exercise", "glucagon", "conditions")
        }
    )
    rhythm = Rhythm(dawn_mg_kg_min=1.0, utc_offset_min=-(start_min % 1440.0))
    part = schedule_of(moved, start_min=start_min + 240.0, end_min=start_min + 720.0, rhythm=rhythm)
    same = whole.times_min >= 240.0 - 1e-6
    for name in ("own_basal", *LATER):
        np.testing.assert_allclose(column(part, name), column(whole, name)[same], rtol=1e-5, atol=1e-6, err_msg=name)


def test_everything_leaves_its_column_and_nothing_leaves_them_at_rest() -> None:
    schedule = schedule_of(FULL, start_min=0.0, end_min=720.0, rhythm=Rhythm(dawn_mg_kg_min=1.0))
    plain = schedule_of(Therapy(meals=(Meal(time_min=30.0, carbs_g=40.0),)), start_min=0.0, end_min=720.0)
    for name in LATER:
        assert (column(schedule, name) != AT_REST[name]).any(), name
        assert (column(plain, name) == AT_REST[name]).all(), name


def test_exercise_begins_and_ends_with_a_step() -> None:
    schedule = schedule_of(FULL, start_min=0.0, end_min=720.0)
    for jump in (200.7, 231.2):
        assert np.abs(schedule.times_min - jump).min() < 1e-9
    reserve = column(schedule, "heart_rate_reserve")
    assert set(reserve) == {0.0, 0.6}
    assert amount(schedule, "heart_rate_reserve") == pytest.approx(0.6 * 30.5)


def test_a_therapy_says_what_a_model_must_take() -> None:
    needed = {
        need.what: need.inputs for need in needs_of(FULL, Rhythm(sensitivity=(1.0, 1.0, 2.0), dawn_mg_kg_min=1.0))
    }
    assert set(needed) == {
        *("meals", "protein or fat of meals", "fat or fibre of meals", "inhaled insulin", "long-acting insulin"),
        *("exercise", "glucagon", "stress or illness", "alcohol", "sensitivity by time of day", "dawn"),
    }
    assert {name for inputs in needed.values() for name in inputs} <= set(AT_REST)
    assert needs_of(Therapy()) == ()
    pump = Therapy(boluses=(Bolus(time_min=0.0, dose_u=1.0),), basal=(BasalRate(time_min=0.0, rate_u_h=1.0),))
    assert [need.what for need in needs_of(pump)] == ["basal insulin", "boluses"]


def test_schedules_of_several_therapies_stand_on_the_same_steps() -> None:
    one, other = Therapy(boluses=(Bolus(time_min=3.5, dose_u=1.0),)), Therapy(meals=(Meal(time_min=7.2, carbs_g=9.0),))
    first, second = schedules_of((one, other), start_min=0.0, end_min=60.0)
    np.testing.assert_array_equal(first.times_min, second.times_min)
    assert amount(first, "insulin_u_min") == pytest.approx(1.0)
    assert amount(second, "carbs_mg_min") == pytest.approx(9_000.0)


@pytest.mark.parametrize(
    "therapy",
    [
        Therapy(meals=(Meal(time_min=0.0, carbs_g=501.0),)),
        Therapy(meals=(Meal(time_min=0.0, carbs_g=20.0, duration_min=0.0),)),
        Therapy(boluses=(Bolus(time_min=0.0, dose_u=-1.0),)),
        Therapy(boluses=(Bolus(time_min=0.0, dose_u=101.0),)),
        Therapy(boluses=(Bolus(time_min=float("nan"), dose_u=1.0),)),
        Therapy(basal=(BasalRate(time_min=0.0, rate_u_h=20.5),)),
        Therapy(basal=(BasalRate(time_min=0.0, rate_u_h=float("inf")),)),
        Therapy(long_acting=(LongActingDose(time_min=0.0, dose_u=float("nan")),)),
        Therapy(meals=(Meal(time_min=0.0, carbs_g=20.0, fat_g=-1.0),)),
        Therapy(meals=(Meal(time_min=0.0, carbs_g=20.0, protein_g=301.0),)),
        Therapy(meals=(Meal(time_min=0.0, carbs_g=20.0, fibre_g=float("nan")),)),
        Therapy(exercise=(Exercise(time_min=0.0, duration_min=0.0, intensity_percent=50.0),)),
        Therapy(exercise=(Exercise(time_min=0.0, duration_min=30.0, intensity_percent=101.0),)),
        Therapy(exercise=(Exercise(time_min=float("inf"), duration_min=30.0, intensity_percent=50.0),)),
        Therapy(glucagon=(GlucagonDose(time_min=0.0, dose_mg=6.0),)),
        Therapy(conditions=(Condition(time_min=0.0, duration_min=-1.0, kind=ConditionKind.STRESS),)),
        Therapy(conditions=(Condition(time_min=0.0, duration_min=1.0, kind=ConditionKind.ILLNESS, degree=4.0),)),
        Therapy(conditions=(Condition(time_min=0.0, duration_min=1.0, kind=ConditionKind.ALCOHOL, degree=21.0),)),
    ],
)
def test_impossible_therapy_is_refused(therapy: Therapy) -> None:
    with pytest.raises(OutOfRange, match="allowed is"):
        schedule_of(therapy, start_min=0.0, end_min=60.0)


@pytest.mark.parametrize(
    "rhythm",
    [
        Rhythm(sensitivity=(1.0, 0.0, 1.0)),
        Rhythm(sensitivity=(1.0, float("nan"), 1.0)),
        Rhythm(dawn_mg_kg_min=-0.1),
        Rhythm(utc_offset_min=2000.0),
    ],
)
def test_a_rhythm_that_no_body_has_is_refused(rhythm: Rhythm) -> None:
    with pytest.raises(OutOfRange, match="allowed is"):
        schedule_of(Therapy(), start_min=0.0, end_min=60.0, rhythm=rhythm)


def test_a_step_above_a_minute_and_a_run_that_ends_before_it_begins_are_refused() -> None:
    with pytest.raises(OutOfRange):
        schedule_of(Therapy(), start_min=0.0, end_min=60.0, step_min=5.0)
    with pytest.raises(BadInput, match="must end after"):
        schedule_of(Therapy(), start_min=60.0, end_min=60.0)
