"""Days, stretches, and what belongs to one day alone."""

import numpy as np
import pytest

from twin_core.domain.history import BasalRate, Bolus, History, Meal, Therapy
from twin_core.inference.segments import Day, days_of
from twin_core.inference.state import as_batch
from twin_core.inference.structures import structure_named
from twin_core.inference.twin import population_twin
from twin_core.models.glucose.dalla_man_2014 import MODEL
from twin_core.solve.compiled import kernel_of
from twin_core.solve.rk4 import integrate_batch
from twin_core.solve.schedule import schedule_of

UVA = structure_named("uva_padova_t1d")
P = as_batch(population_twin(body_weight_kg=75.0, basal_u_h=1.0).parameters)
THERAPY = Therapy(
    meals=(Meal(time_min=100.0, carbs_g=40.0), Meal(time_min=500.0, carbs_g=60.0, duration_min=20.0)),
    boluses=(Bolus(time_min=100.0, dose_u=4.0), Bolus(time_min=500.0, dose_u=5.0)),
    basal=(BasalRate(time_min=-600.0, rate_u_h=1.0),),
)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    kernel_of(MODEL).warm_up()


def record(times: np.ndarray, therapy: Therapy = THERAPY, offset_min: float = 240.0) -> History:
    return History(cgm_time_min=times, cgm_mg_dl=np.full(len(times), 120.0), therapy=therapy, utc_offset_min=offset_min)


def one_day() -> Day:
    (day,) = days_of(record(np.arange(0.0, 1440.0, 5.0)), start_min=0.0, end_min=1439.0)
    return day


def test_days_break_at_four_oclock_and_stretches_at_gaps_and_a_fast_sensor_is_thinned() -> None:
    minutes = np.concatenate((np.arange(0.0, 600.0), np.arange(700.0, 3000.0, 5.0), [3100.0]))
    days = days_of(record(minutes), start_min=0.0, end_min=4000.0)
    assert [day.start_min for day in days] == [0.0, 1440.0, 2880.0]
    begins = [[segment.time_min[0] for segment in day.segments] for day in days]
    assert begins == [[0.0, 700.0], [1440.0], [2880.0]]
    assert np.diff(days[0].segments[0].time_min).min() >= 4.5
    assert sum(day.n_readings for day in days) == 120 + 460


def test_windows_begin_at_four_eleven_and_seventeen_local_time() -> None:
    days = days_of(record(np.arange(120.0, 1560.0, 5.0), offset_min=120.0), start_min=120.0, end_min=1560.0)
    assert days[0].windows_min == (120.0, 540.0, 900.0)
    assert days[0].start_min == 120.0


def test_a_window_without_readings_has_no_coordinate() -> None:
    (day,) = days_of(record(np.arange(800.0, 1400.0, 5.0)), start_min=0.0, end_min=1439.0)
    assert day.windows_min == (780.0,)


def test_local_coordinates_at_rest_give_the_models_own_curve() -> None:
    day = one_day()
    z = day.first_guess()
    predicted = day.predict(UVA, P, z[None])
    states = integrate_batch(MODEL, P, schedule_of(Therapy(basal=THERAPY.basal), start_min=-480.0, end_min=0.0))
    start = UVA.with_glucose(states.final_states, P, 120.0)
    expected = integrate_batch(MODEL, P, schedule_of(THERAPY, start_min=0.0, end_min=1435.0), start, every_min=5.0)
    np.testing.assert_allclose(predicted, expected.output("glucose_mg_dl"), atol=1e-6)


def test_a_carb_scale_is_the_same_as_another_meal_and_a_window_the_same_as_another_sensitivity() -> None:
    day = one_day()
    z = day.first_guess()
    z[1 + 3 + 1] = np.log(1.3) / day.local_sd[1 + 3 + 1]
    z[1 + 2] = np.log(0.8) / day.local_sd[1 + 2]
    more = Therapy(
        meals=(THERAPY.meals[0], Meal(time_min=500.0, carbs_g=78.0, duration_min=20.0)),
        boluses=THERAPY.boluses,
        basal=THERAPY.basal,
    )
    schedule = schedule_of(more, start_min=0.0, end_min=1435.0)
    schedule = schedule.with_input("sensitivity", np.where(schedule.times_min >= 780.0, 0.8, 1.0))
    states = integrate_batch(MODEL, P, schedule_of(Therapy(basal=THERAPY.basal), start_min=-480.0, end_min=0.0))
    start = UVA.with_glucose(states.final_states, P, 120.0)
    expected = integrate_batch(MODEL, P, schedule, start, every_min=5.0).output("glucose_mg_dl")
    np.testing.assert_allclose(day.predict(UVA, P, z[None]), expected, atol=1e-6)


def test_many_local_coordinates_at_once_give_what_each_gives_alone() -> None:
    day = one_day()
    z = np.random.default_rng(0).normal(size=(5, day.n_local))
    together = day.predict(UVA, P, z)
    np.testing.assert_allclose(together, np.concatenate([day.predict(UVA, P, row[None]) for row in z]), rtol=1e-9)


def test_a_gap_leaves_the_meals_before_it_acting_and_local() -> None:
    times = np.concatenate((np.arange(0.0, 450.0, 5.0), np.arange(620.0, 1440.0, 5.0)))
    (day,) = days_of(record(times), start_min=0.0, end_min=1439.0)
    assert len(day.segments) == 2
    assert day.segments[1].warm_up.is_local
    z = day.first_guess()
    more = z.copy()
    more[-1] += 1.0
    changed = day.predict(UVA, P, more[None])[0] - day.predict(UVA, P, z[None])[0]
    first = len(day.segments[0].time_min)
    assert np.abs(changed[:first]).max() == 0.0
    assert changed[first:].max() > 5.0
