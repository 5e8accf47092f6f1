"""Events and alarms counted by hand on short courses at 5 min."""

import numpy as np
import pytest

from twin_core.domain.errors import BadInput
from twin_core.metrics.glucose_alarms import (
    HYPERGLYCEMIA,
    HYPOGLYCEMIA,
    NO_ALARMS,
    AlarmScore,
    alarm_score,
    onsets,
)

TIMES = np.arange(0.0, 1440.0, 5.0)


def course(*lows: tuple[float, float], level: float = 60.0) -> np.ndarray:
    glucose = np.full(TIMES.size, 120.0)
    for start, end in lows:
        glucose[(start <= TIMES) & (end > TIMES)] = level
    return glucose


def scored(glucose: np.ndarray, *alarm_times: float) -> AlarmScore:
    made = np.ones(TIMES.size, dtype=bool)
    return alarm_score(TIMES, np.isin(TIMES, alarm_times), made, TIMES, glucose, HYPOGLYCEMIA)


def test_a_single_reading_at_5_min_is_no_event_two_are():
    assert onsets(TIMES, course((300.0, 305.0)), HYPOGLYCEMIA).size == 0
    assert onsets(TIMES, course((300.0, 310.0)), HYPOGLYCEMIA) == pytest.approx([300.0])


def test_one_reading_of_a_15_min_sensor_lasts_long_enough():
    times = np.array([0.0, 15.0, 30.0, 45.0])
    assert onsets(times, np.array([120.0, 60.0, 110.0, 120.0]), HYPOGLYCEMIA) == pytest.approx([15.0])


def test_70_is_not_low_and_180_is_not_high():
    assert onsets(TIMES, course((300.0, 400.0), level=70.0), HYPOGLYCEMIA).size == 0
    assert onsets(TIMES, course((300.0, 400.0), level=180.0), HYPERGLYCEMIA).size == 0
    assert onsets(TIMES, course((300.0, 400.0), level=181.0), HYPERGLYCEMIA) == pytest.approx([300.0])


def test_a_low_found_after_a_gap_has_no_known_onset():
    glucose = course((300.0, 400.0))
    glucose[(TIMES > 250.0) & (TIMES < 300.0)] = np.nan
    assert onsets(TIMES, glucose, HYPOGLYCEMIA).size == 0


def test_the_lead_counts_from_the_earliest_alarm_in_the_hour_before():
    score = scored(course((300.0, 330.0)), 200.0, 260.0, 265.0, 295.0)
    assert score.leads_min == pytest.approx([40.0])
    assert (score.events, score.sensitivity) == (1, 1.0)


def test_an_alarm_too_early_or_at_the_onset_announces_nothing():
    assert scored(course((300.0, 330.0)), 235.0).sensitivity == 0.0
    assert scored(course((300.0, 330.0)), 300.0).sensitivity == 0.0
    assert scored(course((300.0, 330.0)), 240.0).sensitivity == 1.0


def test_neighbouring_moments_are_one_alarm_and_it_is_false_when_nothing_follows():
    score = scored(course((300.0, 330.0)), 290.0, 295.0, 600.0, 605.0, 610.0, 800.0)
    assert (score.alarms, score.false_alarms) == (3, 2)
    assert score.precision == pytest.approx(1 / 3)
    assert score.false_per_day == pytest.approx(2.0)


def test_an_alarm_that_stands_until_the_event_is_true_however_early_it_was_raised():
    score = scored(course((300.0, 330.0)), *np.arange(200.0, 300.0, 5.0))
    assert (score.alarms, score.false_alarms) == (1, 0)
    assert score.median_lead_min == 60.0


def test_alarms_while_glucose_is_low_count_neither_way():
    assert scored(course((300.0, 330.0)), 305.0, 310.0).alarms == 0


def test_an_event_that_no_forecast_preceded_is_not_counted():
    made = TIMES >= 300.0
    score = alarm_score(TIMES, made, made, TIMES, course((300.0, 330.0), (600.0, 630.0)), HYPOGLYCEMIA)
    assert score.events == 1
    assert score.days == pytest.approx(1140.0 / 1440.0)


def test_always_alarming_finds_every_event_and_never_alarming_none():
    glucose = course((300.0, 330.0), (700.0, 760.0))
    assert scored(glucose, *TIMES).sensitivity == 1.0
    assert scored(glucose).sensitivity == 0.0
    assert np.isnan(scored(glucose).precision)


def test_people_add_up():
    one, other = scored(course((300.0, 330.0)), 290.0), scored(course((300.0, 330.0)), 600.0)
    both = one + other
    assert (both.events, both.alarms, both.false_alarms, both.days) == (2, 2, 1, 2.0)
    assert both.sensitivity == 0.5
    assert (NO_ALARMS + one).leads_min == pytest.approx(one.leads_min)


def test_nothing_has_no_scores():
    for share in (NO_ALARMS.sensitivity, NO_ALARMS.precision, NO_ALARMS.false_per_day, NO_ALARMS.median_lead_min):
        assert np.isnan(share)


def test_alarms_of_another_length_are_refused():
    with pytest.raises(BadInput, match="as many"):
        alarm_score(TIMES, TIMES[:3] > 0, TIMES >= 0, TIMES, course(), HYPOGLYCEMIA)
