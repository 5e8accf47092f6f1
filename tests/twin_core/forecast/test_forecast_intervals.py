"""Conformal intervals and the copula, against distributions whose answers are known."""

import numpy as np
import pytest
from scipy.stats import norm

from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS
from twin_core.forecast import conformal, copula

LEVEL_SCORES = norm.ppf(QUANTILE_LEVELS)
N_HORIZONS = len(HORIZONS_MIN)


def normal_quantiles(mean: float, deviation: float, n: int = 1) -> np.ndarray:
    return np.broadcast_to(mean + deviation * LEVEL_SCORES, (n, N_HORIZONS, len(QUANTILE_LEVELS))).copy()


@pytest.mark.parametrize("claimed_deviation", [10.0, 40.0])
def test_offsets_make_wrong_intervals_cover_what_they_say_on_new_data(claimed_deviation):
    rng = np.random.default_rng(3)
    calibration, fresh = (rng.normal(150.0, 20.0, (4000, N_HORIZONS)) for _ in range(2))
    wrong = normal_quantiles(150.0, claimed_deviation, 4000)
    right = conformal.widened(wrong, conformal.interval_offsets(calibration, wrong))
    for (low, high), share in zip(conformal.PAIRS, (0.90, 0.80, 0.50), strict=True):
        inside = (right[..., low] <= fresh) & (fresh <= right[..., high])
        assert inside.mean() == pytest.approx(share, abs=0.01)


def test_offsets_pass_over_missing_readings():
    observed = np.full((50, N_HORIZONS), np.nan)
    observed[:, 0] = 150.0 + np.linspace(-40, 40, 50)
    offsets = conformal.interval_offsets(observed, normal_quantiles(150.0, 1.0, 50))
    assert (offsets[0] > 0).all()
    assert not offsets[1:].any()


def test_the_offset_is_the_score_of_the_rank_that_the_theorem_asks_for():
    # 19 scores 1..19 beyond a zero-width interval at 0: rank ceil(20 * 0.9) = 18 (arXiv 1905.03222, eq. 8).
    observed = np.full((19, N_HORIZONS), np.nan)
    observed[:, 0] = np.arange(1.0, 20.0)
    offsets = conformal.interval_offsets(observed, np.zeros((19, N_HORIZONS, len(QUANTILE_LEVELS))))
    assert offsets[0, 0] == 18.0


def test_shrunken_intervals_never_cross():
    moved = conformal.widened(normal_quantiles(150.0, 5.0), np.full((N_HORIZONS, 3), -500.0))
    assert (np.diff(moved, axis=-1) >= 0).all()
    assert (moved == 150.0).all()


def test_normal_scores_recover_the_score_of_a_normal_value_even_beyond_the_outermost_quantile():
    quantiles = normal_quantiles(150.0, 20.0)[0]
    for score in (-3.0, -1.4, 0.0, 0.3, 2.5):
        values = np.full(N_HORIZONS, 150.0 + 20.0 * score)
        np.testing.assert_allclose(copula.normal_scores(quantiles, values), score, atol=1e-9)


def test_normal_scores_stay_finite_where_quantiles_coincide():
    piled = np.full((N_HORIZONS, len(QUANTILE_LEVELS)), 40.0)
    assert np.isfinite(copula.normal_scores(piled, np.full(N_HORIZONS, 70.0))).all()


def test_correlation_of_rows_with_gaps_is_near_the_true_one_and_positive_definite():
    rng = np.random.default_rng(4)
    true = 0.95 ** np.abs(np.subtract.outer(np.arange(N_HORIZONS), np.arange(N_HORIZONS)))
    scores = rng.multivariate_normal(np.zeros(N_HORIZONS), true, 8000)
    scores[rng.random(scores.shape) < 0.3] = np.nan
    found = copula.correlation(scores)
    assert np.abs(found - true).max() < 0.06
    np.testing.assert_allclose(np.diag(found), 1.0)
    assert np.linalg.eigvalsh(found).min() > 0


WITHIN = (30.0, 60.0, 120.0)


def falls(quantiles, correlation):
    return copula.below_70_within(quantiles, copula.draws(correlation, 120.0), WITHIN)[0]


def test_horizons_that_move_together_fall_together_or_not_at_all():
    together = np.full((N_HORIZONS, N_HORIZONS), 0.999999) + 0.000001 * np.eye(N_HORIZONS)
    found = falls(normal_quantiles(90.0, 20.0), together)
    assert found[0] == pytest.approx(norm.cdf(-1.0), abs=0.02)
    assert found[2] == pytest.approx(found[0], abs=0.005)


def test_independent_horizons_multiply():
    found = falls(normal_quantiles(110.0, 20.0), np.eye(N_HORIZONS))
    for within, probability in zip(WITHIN, found, strict=True):
        assert probability == pytest.approx(1 - norm.cdf(2.0) ** (within / 5), abs=0.03)


def test_probability_grows_with_the_time_looked_ahead():
    found = falls(normal_quantiles(95.0, 15.0), 0.9 * np.ones((N_HORIZONS, N_HORIZONS)) + 0.1 * np.eye(N_HORIZONS))
    assert 0.0 < found[0] <= found[1] <= found[2] < 1.0


def test_far_from_70_nothing_falls_and_far_below_everything_has():
    assert set(falls(normal_quantiles(250.0, 15.0), np.eye(N_HORIZONS))) == {0.0}
    assert set(falls(normal_quantiles(45.0, 2.0), np.eye(N_HORIZONS))) == {1.0}
