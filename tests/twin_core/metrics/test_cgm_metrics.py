import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin_core.domain.errors import BadInput, OutOfRange
from twin_core.metrics.cgm import EpisodeKind, GlucoseMetrics, Preset, glucose_metrics

EDGES = [53.0, 54.0, 69.0, 70.0, 180.0, 181.0, 250.0, 251.0]
FIVE_MIN = 5.0 * np.arange(288 * 14)


def every_5_min(*glucose: float, preset: Preset = Preset.STANDARD) -> GlucoseMetrics:
    return glucose_metrics(5.0 * np.arange(len(glucose)), glucose, preset)


def test_readings_at_the_edges_of_the_ranges_fall_where_the_consensus_puts_them() -> None:
    assert dataclasses.astuple(every_5_min(*EDGES).time_in_ranges_percent) == (12.5, 25.0, 25.0, 25.0, 12.5)


def test_both_ends_of_the_pregnancy_target_are_in_it() -> None:
    time_in = every_5_min(53.0, 54.0, 62.0, 63.0, 140.0, 141.0, 250.0, 251.0, preset=Preset.PREGNANCY_T1)
    assert dataclasses.astuple(time_in.time_in_ranges_percent) == (12.5, 25.0, 25.0, 25.0, 12.5)


def test_mean_sd_cv_and_gmi_match_a_calculation_by_hand() -> None:
    metrics = every_5_min(100.0, 150.0, 200.0)
    assert metrics.mean_mg_dl == 150.0
    assert metrics.sd_mg_dl == 50.0  # n - 1
    assert metrics.cv_percent == pytest.approx(100.0 / 3.0)
    assert metrics.gmi_percent == pytest.approx(6.9, abs=0.005)  # Bergenstal 2018 table 1: 150 mg/dL is 6.9 %


def test_gri_weighs_the_ranges_and_stops_at_100() -> None:
    assert every_5_min(*EDGES).gri == 100.0  # 37.5 + 60 + 20 + 20 = 137.5
    metrics = every_5_min(*[100.0] * 90, *[65.0] * 4, 50.0, *[200.0] * 4, 300.0)
    assert metrics.gri == pytest.approx(3.0 * 1 + 2.4 * 4 + 0.8 * 4 + 1.6 * 1)  # Klonoff 2023


def test_gri_keeps_its_own_ranges_in_pregnancy() -> None:
    assert every_5_min(*EDGES, *[100.0] * 92, preset=Preset.PREGNANCY_T1).gri == every_5_min(*EDGES, *[100.0] * 92).gri


def test_risk_is_zero_at_112_5_and_22_5_and_100_at_the_ends_of_the_scale() -> None:
    # Kovatchev's scale is symmetric about 112.5 mg/dL and reaches 100 at 20 and 600 mg/dL.
    assert every_5_min(112.5).lbgi == pytest.approx(0.0, abs=0.01)
    assert every_5_min(20.0).lbgi == pytest.approx(100.0, abs=0.5)
    assert every_5_min(600.0).hbgi == pytest.approx(100.0, abs=0.5)
    assert every_5_min(600.0).lbgi == 0.0


def test_adrr_adds_each_days_worst_low_and_high_risk() -> None:
    first, second = np.full(288, 112.5), np.full(288, 112.5)
    first[10], first[100], second[50] = 20.0, 600.0, 600.0
    metrics = glucose_metrics(5.0 * np.arange(576), np.concatenate([first, second]))
    assert metrics.adrr == pytest.approx((200.0 + 100.0) / 2.0, abs=0.7)


def test_days_begin_at_local_midnight() -> None:
    glucose = np.full(576, 112.5)
    glucose[10] = glucose[300] = 20.0
    shifted = glucose_metrics(5.0 * np.arange(576), glucose, utc_offset_min=1435.0)
    # The three local days hold 1, 288 and 287 readings; both lows are 5-min steps 10 and 300, in days 2 and 3.
    assert shifted.adrr == pytest.approx(200.0 / 3.0, abs=0.5)


def test_modd_compares_readings_24_hours_apart() -> None:
    day = 120.0 + 40.0 * np.sin(np.arange(288) / 30.0)
    metrics = glucose_metrics(5.0 * np.arange(576), np.concatenate([day, day + 12.0]))
    assert metrics.modd_mg_dl == pytest.approx(12.0)


def test_modd_matches_a_jittered_sensor_within_half_an_interval_only() -> None:
    times = np.concatenate([5.0 * np.arange(288), 1442.4 + 5.0 * np.arange(288)])
    glucose = np.concatenate([np.full(288, 100.0), np.full(288, 107.0)])
    assert glucose_metrics(times, glucose).modd_mg_dl == pytest.approx(7.0)
    assert glucose_metrics([0.0, 5.0, 10.0, 1452.6], [100.0] * 4).modd_mg_dl is None


def test_missing_readings_count_against_active_time_and_nothing_else() -> None:
    metrics = every_5_min(100.0, float("nan"), float("nan"), 200.0)
    assert metrics.active_percent == 50.0
    assert metrics.mean_mg_dl == 150.0
    assert glucose_metrics([0, 5, 10, 15, 20, 30], [100.0] * 6).active_percent == pytest.approx(600.0 / 7.0)


def test_what_cannot_be_known_is_none() -> None:
    nothing = every_5_min(float("nan"), float("nan"))
    assert nothing.time_in_ranges_percent.target is None
    assert (nothing.mean_mg_dl, nothing.gmi_percent, nothing.gri, nothing.lbgi) == (None, None, None, None)
    assert nothing.active_percent == 0.0
    empty = glucose_metrics([], [])
    assert (empty.mean_mg_dl, empty.active_percent, empty.episodes) == (None, None, ())
    assert every_5_min(100.0).sd_mg_dl is None
    a_day_less_5_min = glucose_metrics(5.0 * np.arange(287), np.full(287, 100.0))
    assert (a_day_less_5_min.adrr, a_day_less_5_min.modd_mg_dl) == (None, None)
    assert glucose_metrics(5.0 * np.arange(288), np.full(288, 100.0)).adrr is not None


def test_15_min_below_70_make_an_episode_and_15_min_back_end_it() -> None:
    (episode,) = every_5_min(100, 69, 65, 60, 75, 80, 66, 71, 72, 73, 100).episodes
    assert (episode.kind, episode.level, episode.threshold_mg_dl) == (EpisodeKind.HYPOGLYCEMIA, 1, 70.0)
    assert (episode.start_min, episode.end_min, episode.duration_min) == (5.0, 35.0, 30.0)
    assert episode.extreme_mg_dl == 60.0
    assert every_5_min(100, 69, 65, 75, 80, 100).episodes == ()


def test_levels_are_told_apart_and_a_long_low_is_extended() -> None:
    episodes = every_5_min(*[100] * 4, *[65] * 10, *[50] * 3, *[65] * 11, *[100] * 4).episodes
    assert [(e.level, e.duration_min, e.extended) for e in episodes] == [(1, 120.0, True), (2, 15.0, False)]
    high = every_5_min(*[200] * 3, *[251] * 30, *[100] * 4).episodes
    assert [(e.kind.value, e.level, e.threshold_mg_dl, e.extended) for e in high] == [
        ("hyperglycemia", 1, 180.0, False),
        ("hyperglycemia", 2, 250.0, False),
    ]


def test_a_gap_of_more_than_30_min_ends_an_episode() -> None:
    times = [0, 5, 10, 45, 50, 55, 60]
    first, second = glucose_metrics(times, [60.0] * 7).episodes
    assert (first.start_min, first.end_min) == (0.0, 15.0)
    assert (second.start_min, second.end_min) == (45.0, 65.0)
    times[3:] = [40, 45, 50, 55]
    assert len(glucose_metrics(times, [60.0] * 7).episodes) == 1


def test_pregnancy_episodes_use_the_limits_of_pregnancy() -> None:
    assert every_5_min(*[65.0] * 12, preset=Preset.PREGNANCY_T1).episodes == ()
    assert len(every_5_min(*[150.0] * 12, preset=Preset.PREGNANCY_T2_GDM).episodes) == 1


@given(st.lists(st.floats(40.0, 400.0), min_size=1, max_size=300))
def test_ranges_add_up_to_100_and_episodes_of_a_kind_do_not_overlap(glucose: list[float]) -> None:
    metrics = every_5_min(*glucose)
    assert sum(dataclasses.astuple(metrics.time_in_ranges_percent)) == pytest.approx(100.0)
    ends: dict[tuple[EpisodeKind, int], float] = {}
    for episode in metrics.episodes:
        key = (episode.kind, episode.level)
        assert episode.start_min >= ends.get(key, 0.0)
        assert episode.duration_min >= 15.0
        ends[key] = episode.end_min


@pytest.mark.parametrize(
    ("times", "glucose", "message"),
    [([0.0, 5.0], [100.0], "2 and 1"), ([0.0, 0.0], [100.0, 100.0], "increase"), ([0.0], [5.0], "10 to 1000 mg/dL")],
)
def test_unusable_readings_are_refused(times: list[float], glucose: list[float], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        glucose_metrics(times, glucose)


def test_glucose_outside_the_possible_is_out_of_range() -> None:
    with pytest.raises(OutOfRange):
        every_5_min(-3.0)
