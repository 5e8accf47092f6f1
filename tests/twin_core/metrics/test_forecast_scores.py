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
