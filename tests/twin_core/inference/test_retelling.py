from dataclasses import replace

import numpy as np
import pytest

from twin_core.domain.history import Bolus, FloatArray, History, Meal, Therapy
from twin_core.inference.retelling import CannotRetell, ToldDay, retold, told_day
from twin_core.inference.twin import FittedTwin, population_twin
from twin_core.models.glucose.dalla_man_2014 import MODEL
from twin_core.solve.rk4 import integrate
from twin_core.solve.schedule import schedule_of

DAY_MIN = 1440.0
THERAPY = Therapy(
    meals=(Meal(time_min=DAY_MIN + 420.0, carbs_g=45.0), Meal(time_min=DAY_MIN + 780.0, carbs_g=70.0)),
    boluses=(Bolus(time_min=DAY_MIN + 420.0, dose_u=3.0), Bolus(time_min=DAY_MIN + 780.0, dose_u=4.0)),
)


def simulated(twin: FittedTwin, therapy: Therapy) -> tuple[FloatArray, FloatArray]:
    """Two days of a person who is exactly the twin, every 5 min."""
    schedule = schedule_of(therapy, start_min=0.0, end_min=2.0 * DAY_MIN)
    solution = integrate(MODEL, twin.parameters, schedule)
    every_5 = np.isclose(solution.times_min % 5.0, 0.0)
    return solution.times_min[every_5], solution.output("glucose_mg_dl")[every_5]


def told(twin: FittedTwin, history: History) -> ToldDay:
    day = told_day(twin, history, start_min=DAY_MIN, end_min=2.0 * DAY_MIN - 5.0)
    assert isinstance(day, ToldDay)
    return day


def with_more_insulin(therapy: Therapy, factor: float) -> Therapy:
    return replace(therapy, boluses=tuple(replace(dose, dose_u=dose.dose_u * factor) for dose in therapy.boluses))


@pytest.fixture(scope="module")
def twin() -> FittedTwin:
    return population_twin(body_weight_kg=80.0, basal_u_h=1.1)


def test_a_day_told_again_without_a_change_is_the_day_that_was_measured(twin: FittedTwin) -> None:
    times, glucose = simulated(twin, THERAPY)
    bumpy = glucose + 20.0 * np.sin(times / 90.0)
    day = told(twin, History(cgm_time_min=times, cgm_mg_dl=bumpy, therapy=THERAPY))
    again = retold(day, day.therapy)
    assert again.shape == (51, len(day.time_min))
    np.testing.assert_allclose(again, np.broadcast_to(day.measured_mg_dl, again.shape), atol=1e-9)


def test_a_person_who_is_the_twin_needs_no_unexplained_flow_and_is_retold_exactly(twin: FittedTwin) -> None:
    times, glucose = simulated(twin, THERAPY)
    day = told(twin, History(cgm_time_min=times, cgm_mg_dl=glucose, therapy=THERAPY))
    assert np.abs(day.flow_mg_kg_min[0]).max() < 0.05
    changed = with_more_insulin(day.therapy, 1.3)
    _, truth = simulated(twin, changed)
    expected = truth[np.isin(times, day.time_min)]
    assert np.abs(retold(day, changed)[0] - expected).max() < 1.5


def test_a_forgotten_snack_happens_again_and_the_effect_of_a_bolus_is_still_right(twin: FittedTwin) -> None:
    snack = Meal(time_min=DAY_MIN + 600.0, carbs_g=25.0)
    really = replace(THERAPY, meals=(*THERAPY.meals, snack))
    times, glucose = simulated(twin, really)
    day = told(twin, History(cgm_time_min=times, cgm_mg_dl=glucose, therapy=THERAPY))
    knots = np.linspace(day.start_min, day.end_min, day.flow_mg_kg_min.shape[1])
    eaten = (knots > snack.time_min) & (knots < snack.time_min + 120.0)
    assert day.flow_mg_kg_min[0, eaten].mean() > 0.3
    _, truth = simulated(twin, with_more_insulin(really, 1.4))
    expected = (truth - glucose)[np.isin(times, day.time_min)]
    found = retold(day, with_more_insulin(day.therapy, 1.4))[0] - day.measured_mg_dl
    assert found.mean() / expected.mean() == pytest.approx(1.0, abs=0.1)


def test_every_draw_tells_the_effect_of_a_bolus_in_the_same_direction(twin: FittedTwin) -> None:
    times, glucose = simulated(twin, THERAPY)
    day = told(twin, History(cgm_time_min=times, cgm_mg_dl=glucose, therapy=THERAPY))
    effect = retold(day, with_more_insulin(day.therapy, 1.3)) - day.measured_mg_dl
    assert (effect <= 1e-6).all()
    assert (effect.mean(axis=1) < -1.0).all()


def test_a_day_with_too_few_readings_is_refused_with_the_share(twin: FittedTwin) -> None:
    times, glucose = simulated(twin, THERAPY)
    gone = (times > DAY_MIN + 300.0) & (times < DAY_MIN + 900.0)
    history = History(cgm_time_min=times[~gone], cgm_mg_dl=glucose[~gone], therapy=THERAPY)
    refused = told_day(twin, history, start_min=DAY_MIN, end_min=2.0 * DAY_MIN - 5.0)
    assert isinstance(refused, CannotRetell)
    assert "58 %" in refused.sentence


def test_a_gap_is_not_filled_with_readings(twin: FittedTwin) -> None:
    times, glucose = simulated(twin, THERAPY)
    gone = (times > DAY_MIN + 300.0) & (times < DAY_MIN + 480.0)
    day = told(twin, History(cgm_time_min=times[~gone], cgm_mg_dl=glucose[~gone], therapy=THERAPY))
    inside = (day.time_min > DAY_MIN + 305.0) & (day.time_min < DAY_MIN + 475.0)
    assert np.isnan(day.measured_mg_dl[inside]).all()
    assert np.isfinite(retold(day, day.therapy)).all()
