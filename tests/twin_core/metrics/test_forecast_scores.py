"""Scores worked out by hand on a few numbers."""

import numpy as np
import pytest

from twin_core.metrics import forecast_scores as scores

OBSERVED = np.array([100.0, 200.0, np.nan, 50.0])
FORECAST = np.array([110.0, 180.0, 999.0, 50.0])


def test_point_scores_leave_out_rows_without_a_reading():
    assert scores.rmse(OBSERVED, FORECAST) == pytest.approx(np.sqrt(500 / 3))
    assert scores.mae(OBSERVED, FORECAST) == pytest.approx(10.0)
    assert scores.mard(OBSERVED, FORECAST) == pytest.approx(20 / 3)
    assert scores.bias(OBSERVED, FORECAST) == pytest.approx(-10 / 3)


@pytest.mark.parametrize("score", [scores.rmse, scores.mae, scores.mard, scores.bias])
def test_a_score_of_no_reading_is_nan_and_not_zero(score):
    assert np.isnan(score(np.array([np.nan]), np.array([100.0])))


def test_pinball_charges_a_high_quantile_for_being_too_low():
    quantiles = np.array([[90.0, 100.0]])
    # observed 110: level 0.1 pays 0.1 * 20, level 0.9 pays 0.9 * 10; observed 80: 0.9 * 10 and 0.1 * 20.
    assert scores.pinball(np.array([110.0]), quantiles, (0.1, 0.9)) == pytest.approx((2.0 + 9.0) / 2)
    assert scores.pinball(np.array([80.0]), quantiles, (0.1, 0.9)) == pytest.approx((9.0 + 2.0) / 2)


def test_pinball_at_the_median_is_half_the_absolute_error():
    assert scores.pinball(OBSERVED, FORECAST[:, None], (0.5,)) == pytest.approx(scores.mae(OBSERVED, FORECAST) / 2)


def test_pinball_is_least_at_the_true_quantile():
    draws = np.random.default_rng(1).normal(150.0, 30.0, 20_000)
    true = 150.0 - 30.0 * 1.2815515655  # 10 % point of the normal distribution
    losses = [scores.pinball(draws, np.full((draws.size, 1), true + shift), (0.1,)) for shift in (-6.0, 0.0, 6.0)]
    assert losses[1] == min(losses)


def test_coverage_counts_both_ends_and_only_readings():
    low, high = np.array([100.0, 0.0, 0.0, 51.0]), np.array([120.0, 200.0, 1.0, 60.0])
    assert scores.coverage(OBSERVED, low, high) == pytest.approx(2 / 3)
    assert scores.width(OBSERVED, low, high) == pytest.approx((20 + 200 + 9) / 3)


def test_skill_is_one_when_perfect_zero_when_equal_and_negative_when_worse():
    assert [scores.skill(error, 20.0) for error in (0.0, 20.0, 30.0)] == [1.0, 0.0, -0.5]
    assert np.isnan(scores.skill(1.0, 0.0))


def test_mean_of_quantiles_is_the_centre_of_a_symmetric_distribution():
    quantiles = np.array([[100.0, 110.0, 130.0, 150.0, 170.0, 190.0, 200.0]])
    assert scores.mean_of_quantiles(quantiles, (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)) == pytest.approx([150.0])


def test_by_horizon_scores_each_column_alone():
    observed, forecast = np.array([[1.0, 10.0], [3.0, np.nan]]), np.array([[2.0, 14.0], [2.0, 0.0]])
    np.testing.assert_allclose(scores.by_horizon(scores.mae, observed, forecast), [1.0, 4.0])


def test_mean_per_person_gives_a_short_record_the_weight_of_a_long_one():
    persons = np.array(["a", "a", "a", "b"])
    observed, forecast = np.zeros(4), np.array([1.0, 1.0, 1.0, 5.0])
    assert scores.mean_per_person(scores.mae, persons, observed, forecast) == pytest.approx(3.0)


def test_mean_per_person_leaves_out_a_person_without_readings():
    persons, observed = np.array(["a", "b"]), np.array([0.0, np.nan])
    assert scores.mean_per_person(scores.mae, persons, observed, np.array([2.0, 9.0])) == 2.0


LEVELS = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)
NORMAL_POINTS = np.array([-1.6448536, -1.2815516, -0.6744898, 0.0, 0.6744898, 1.2815516, 1.6448536])


def normal_quantiles(rows: int, spread: float = 30.0) -> np.ndarray:
    return np.tile(150.0 + spread * NORMAL_POINTS, (rows, 1))


def test_crps_of_a_certain_forecast_is_its_absolute_error():
    certain = np.repeat(np.array([[110.0], [180.0], [1.0], [50.0]]), len(LEVELS), axis=1)
    assert scores.crps(OBSERVED, certain, LEVELS) == pytest.approx(10.0)


def test_crps_of_a_normal_forecast_is_near_its_closed_form():
    """Gneiting & Raftery 2007, equation (21): the expected score of N(0, s) against itself is s / sqrt(pi)."""
    draws = np.random.default_rng(2).normal(150.0, 30.0, 40_000)
    assert scores.crps(draws, normal_quantiles(draws.size), LEVELS) == pytest.approx(30.0 / np.sqrt(np.pi), rel=0.03)


def test_crps_is_worse_for_bands_that_are_too_narrow_or_too_wide():
    draws = np.random.default_rng(3).normal(150.0, 30.0, 20_000)
    right, narrow, wide = (scores.crps(draws, normal_quantiles(draws.size, s), LEVELS) for s in (30.0, 10.0, 90.0))
    assert right < min(narrow, wide)


def test_pit_is_flat_for_a_calibrated_forecast_and_bulges_at_the_ends_for_a_sure_one():
    draws = np.random.default_rng(4).normal(150.0, 30.0, 40_000)
    expected = scores.expected_pit_shares(LEVELS)
    assert expected == pytest.approx([0.05, 0.05, 0.15, 0.25, 0.25, 0.15, 0.05, 0.05])
    assert scores.pit_shares(draws, normal_quantiles(draws.size), LEVELS) == pytest.approx(expected, abs=0.01)
    sure = scores.pit_shares(draws, normal_quantiles(draws.size, 10.0), LEVELS)
    assert sure[0] > 4 * expected[0]
    assert sure[-1] > 4 * expected[-1]


def test_pit_leaves_out_rows_without_a_reading_and_of_nothing_is_nan():
    shares = scores.pit_shares(np.array([np.nan, 150.0]), normal_quantiles(2), LEVELS)
    assert shares.sum() == 1.0
    assert shares[3] == 1.0
    assert np.isnan(scores.pit_shares(np.array([np.nan]), normal_quantiles(1), LEVELS)).all()


def test_ranges_meet_at_70_and_180_with_both_in_the_target():
    observed = np.array([69.0, 70.0, 180.0, 181.0])
    biases = scores.by_range(scores.bias, observed, observed + np.array([1.0, 2.0, 4.0, 8.0]))
    assert biases == {"below 70": 1.0, "70 to 180": 3.0, "above 180": 8.0}


def test_least_coverage_names_the_person_whom_the_interval_serves_worst():
    persons = np.array(["a", "a", "b", "b", "c"])
    observed = np.array([100.0, 100.0, 100.0, 300.0, np.nan])
    low, high = np.full(5, 90.0), np.full(5, 110.0)
    assert scores.least_coverage(persons, observed, low, high) == ("b", 0.5)
    assert np.isnan(scores.least_coverage(persons[4:], observed[4:], low[4:], high[4:])[1])


def test_persistence_lags_by_its_horizon_and_the_truth_not_at_all():
    course = np.cumsum(np.random.default_rng(5).normal(size=600)) + 150.0
    course[100:110] = np.nan
    late = np.concatenate([np.full(6, np.nan), course[:-6]])
    assert scores.time_lag_min(course, late, step_min=5.0, longest_min=60.0) == 30.0
    assert scores.time_lag_min(course, course, step_min=5.0, longest_min=60.0) == 0.0
    assert np.isnan(scores.time_lag_min(np.full(50, 100.0), np.full(50, 100.0), step_min=5.0, longest_min=30.0))
