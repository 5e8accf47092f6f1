"""Alarms counted by event: a course made by hand gives the counts that the hand gives."""

import numpy as np
import pytest

from twin_core.domain.history import History
from twin_core.forecast import alarms
from twin_core.metrics.glucose_alarms import HYPERGLYCEMIA, HYPOGLYCEMIA


def course(lows: list[tuple[float, float]]) -> History:
    time_min = 5.0 * np.arange(288)
    glucose = np.full(288, 120.0)
    for begin, end in lows:
        glucose[(time_min >= begin) & (time_min <= end)] = 60.0
    return History(cgm_time_min=time_min, cgm_mg_dl=glucose)


def score(history: History, raised_at: list[float]) -> alarms.AlarmScore:
    origins = history.cgm_time_min
    return alarms.score(
        "rule",
        {"a": history},
        np.full(origins.size, "a"),
        origins,
        history.cgm_mg_dl,
        np.isin(origins, raised_at),
    )


def test_a_low_of_less_than_10_min_is_no_event_and_two_within_half_an_hour_are_one():
    found = alarms.events_of(course([(200, 205), (400, 420), (440, 460), (700, 720)]), HYPOGLYCEMIA)
    assert found.tolist() == [[400.0, 460.0], [700.0, 720.0]]


def test_an_alarm_foresees_from_5_to_60_min_before():
    history = course([(400, 420)])
    assert score(history, [395.0]).lead_median_min == 5.0
    assert score(history, [340.0, 345.0]).lead_median_min == 60.0
    assert score(history, [335.0]).foreseen == 0


def test_alarms_within_an_hour_are_one_episode_and_false_only_without_a_low_after():
    made = score(course([(400, 420)]), [100.0, 130.0, 370.0, 900.0])
    assert (made.events, made.foreseen, made.episodes, made.false_episodes) == (1, 1, 3, 2)
    assert made.sensitivity == 1.0
    assert made.precision == pytest.approx(1 / 3)
    assert made.false_per_day == pytest.approx(2.0)


def test_no_alarm_counts_while_glucose_is_low_already():
    assert score(course([(400, 420)]), [405.0]).episodes == 0


def test_the_threshold_is_the_highest_that_foresees_enough():
    history = course([(400, 420)])
    tried = [(0.1, score(history, [390.0])), (0.2, score(history, [390.0])), (0.3, score(history, []))]
    assert alarms.threshold_for(0.9, 5.0, tried) == 0.2
    assert alarms.threshold_for(0.9, 5.0, tried[2:]) == 0.3
    assert alarms.threshold_for(0.9, 20.0, [*tried, (0.05, score(history, [360.0]))]) == 0.05


def test_highs_are_counted_as_lows_are():
    time_min = 5.0 * np.arange(288)
    glucose = np.where((time_min >= 400) & (time_min <= 420), 200.0, 150.0)
    history = History(cgm_time_min=time_min, cgm_mg_dl=glucose)
    assert alarms.events_of(history, HYPERGLYCEMIA).tolist() == [[400.0, 420.0]]
    assert alarms.events_of(history, HYPOGLYCEMIA).size == 0
    raised = np.isin(time_min, [370.0, 410.0, 900.0])
    made = alarms.score("rule", {"a": history}, np.full(288, "a"), time_min, glucose, raised, HYPERGLYCEMIA)
    assert (made.events, made.foreseen, made.episodes, made.false_episodes) == (1, 1, 2, 1)
    assert made.lead_median_min == 30.0
