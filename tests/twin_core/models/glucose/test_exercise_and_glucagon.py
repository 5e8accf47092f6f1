"""Exercise at once and for a day after; glucagon from the skin to the liver."""

import numpy as np
import pytest

from twin_core.domain.history import Exercise, GlucagonDose
from twin_core.models.glucose.exercise import REMEMBERED_MIN, exertion, heart_rate_reserve
from twin_core.models.glucose.glucagon import VOLUME_L_KG, acting_mg, plasma_mg

MIDDLES = np.arange(0.5, 3.0 * 1440.0)
RUN = Exercise(time_min=60.0, duration_min=45.0, intensity_percent=50.0)


def test_heart_rate_is_at_its_share_of_the_reserve_during_exercise_only() -> None:
    reserve = heart_rate_reserve((RUN,), MIDDLES)
    np.testing.assert_array_equal(reserve == 0.5, (MIDDLES > 60.0) & (MIDDLES < 105.0))
    assert reserve.sum() == 0.5 * 45


def test_the_hardest_of_overlapping_bouts_counts() -> None:
    sprint = Exercise(time_min=80.0, duration_min=5.0, intensity_percent=90.0)
    reserve = heart_rate_reserve((sprint, RUN), MIDDLES)
    assert reserve.max() == 0.9
    assert reserve.sum() == pytest.approx(0.5 * 40 + 0.9 * 5)


def test_heart_rate_follows_with_five_minutes_lag() -> None:
    """Y' = (HR - HRb - Y)/5 with 60 beats above rest: 60 (1 - 1/e) after 5 min, exactly."""
    at_once, _ = exertion((RUN,), np.array([60.0, 65.0, 105.0, 110.0]))
    peak = 60.0 * (1.0 - np.exp(-9.0))
    np.testing.assert_allclose(at_once, [0.0, 60.0 * (1.0 - np.exp(-1.0)), peak, peak * np.exp(-1.0)], rtol=1e-6)


def test_what_lasts_is_the_beats_above_rest_and_fades_by_ten_hours() -> None:
    _, lasting = exertion((RUN,), MIDDLES)
    end = int(RUN.time_min + RUN.duration_min)
    assert lasting[end] == pytest.approx(60.0 * 45.0, rel=0.01)  # Z is almost 1, W is 60 beats/min for 45 min
    hours_later = lasting[end + 120 + 600] / lasting[end + 120]
    assert hours_later == pytest.approx(np.exp(-1.0), rel=1e-3)


def test_a_stroll_that_barely_raises_the_heart_rate_leaves_little() -> None:
    """f = q^4/(1 + q^4) with q = Y/(0.1 x 80): 3.6 beats above rest make q = 0.45."""
    stroll = Exercise(time_min=0.0, duration_min=10.0, intensity_percent=3.0)
    _, lasting = exertion((stroll,), MIDDLES)
    assert lasting.max() < 0.3 * 3.6 * 10.0


def test_bouts_add_whether_apart_or_touching() -> None:
    later = Exercise(time_min=600.0, duration_min=30.0, intensity_percent=60.0)
    both = exertion((later, RUN), MIDDLES)
    for whole, one, other in zip(both, exertion((RUN,), MIDDLES), exertion((later,), MIDDLES), strict=True):
        np.testing.assert_allclose(whole, one + other, atol=1e-9)
    halves = (
        Exercise(time_min=60.0, duration_min=20.0, intensity_percent=50.0),
        Exercise(time_min=80.0, duration_min=25.0, intensity_percent=50.0),
    )
    for whole, split in zip(exertion((RUN,), MIDDLES), exertion(halves, MIDDLES), strict=True):
        np.testing.assert_allclose(whole, split, rtol=1e-9, atol=1e-9)


def test_running_every_day_does_not_add_up_without_bound() -> None:
    runs = tuple(Exercise(time_min=1440.0 * day, duration_min=45.0, intensity_percent=50.0) for day in range(14))
    days = exertion(runs, np.arange(0.5, 14 * 1440.0))[1].reshape(14, 1440)
    assert days[-1].max() < 1.15 * days[0].max()


def test_a_bout_before_the_start_still_acts_and_one_of_long_ago_no_more() -> None:
    early = Exercise(time_min=-120.0, duration_min=60.0, intensity_percent=70.0)
    assert exertion((early,), np.array([0.0]))[1][0] > 3000.0
    long_ago = Exercise(time_min=-60.0 - REMEMBERED_MIN, duration_min=60.0, intensity_percent=70.0)
    assert exertion((long_ago,), np.array([0.0]))[1][0] < 0.001 * 84.0 * 60.0


def test_glucagon_has_the_published_peak_in_plasma() -> None:
    """Prescribing information: 7.9 ng/mL (unverified) about 20 min after 1 mg under the skin; here for 70 kg."""
    minutes = np.arange(0.0, 240.0, 0.1)
    ng_ml = 1e3 * plasma_mg(1.0, minutes) / (VOLUME_L_KG.value * 70.0)
    assert ng_ml.max() == pytest.approx(7.9, rel=0.02)
    assert 15.0 < minutes[ng_ml.argmax()] < 22.0


def test_the_liver_sees_plasma_glucagon_seventeen_minutes_late() -> None:
    """E' = 0.06 (P - E), checked against the plasma curve by differences."""
    minutes = np.arange(0.0, 400.0, 0.05)
    acting, plasma = acting_mg((GlucagonDose(time_min=0.0, dose_mg=1.0),), minutes), plasma_mg(1.0, minutes)
    slope = np.gradient(acting, minutes)
    np.testing.assert_allclose(slope[2:-2], 0.06 * (plasma - acting)[2:-2], atol=1e-6)
    assert acting.sum() == pytest.approx(plasma.sum(), rel=1e-3)


def test_glucagon_acts_after_its_dose_and_in_proportion() -> None:
    one = acting_mg((GlucagonDose(time_min=100.0, dose_mg=0.1),), MIDDLES)
    assert not one[:100].any()
    doses = (GlucagonDose(time_min=100.0, dose_mg=0.2), GlucagonDose(time_min=150.0, dose_mg=0.1))
    np.testing.assert_allclose(acting_mg(doses, MIDDLES)[:150], 2.0 * one[:150])
    assert acting_mg(doses, MIDDLES)[160] > 2.0 * one[160]
