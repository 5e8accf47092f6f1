"""Intervals that follow a person: they find their coverage, and only from the past."""

import numpy as np
import pytest

from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS
from twin_core.forecast import adaptive

LEVELS = np.array(QUANTILE_LEVELS)


def made(scale: float, days: int = 12, seed: int = 1):
    """Forecasts of spread 10 mg/dL for readings of spread `10 * scale`."""
    rng = np.random.default_rng(seed)
    origins = 5.0 * np.arange(days * 288)
    z = np.array([-1.645, -1.282, -0.674, 0.0, 0.674, 1.282, 1.645])
    quantiles = np.broadcast_to(150.0 + 10.0 * z, (origins.size, len(HORIZONS_MIN), len(z))).copy()
    observed = 150.0 + 10.0 * scale * rng.normal(0, 1, (origins.size, len(HORIZONS_MIN)))
    return origins, observed, quantiles


def covered(origins, observed, quantiles, factors) -> float:
    wide = adaptive.widened_by(quantiles, factors)
    late = origins > 4 * 1440.0
    return float(((wide[..., 0] <= observed) & (observed <= wide[..., -1]))[late].mean())


def test_coverage_is_found_for_a_person_whose_errors_are_twice_or_half_as_large():
    for scale in (0.5, 1.0, 2.0):
        origins, observed, quantiles = made(scale)
        factors = adaptive.factors_over_time(origins, adaptive.scores(observed, quantiles))
        assert abs(covered(origins, observed, quantiles, factors) - 0.90) < 0.02


def test_factors_know_nothing_of_readings_that_had_not_come():
    origins, observed, quantiles = made(2.0, days=3)
    now = 2000.0
    scores = adaptive.scores(observed, quantiles)
    later = origins[:, None] + np.array(HORIZONS_MIN) > now
    changed = adaptive.scores(np.where(later, 400.0, observed), quantiles)
    before = origins <= now
    one, other = (adaptive.factors_over_time(origins, each)[before] for each in (scores, changed))
    assert one.tobytes() == other.tobytes()


def test_without_readings_the_intervals_stay_as_they_are():
    origins, observed, quantiles = made(1.0, days=1)
    nothing = adaptive.factors_over_time(origins, adaptive.scores(np.full_like(observed, np.nan), quantiles))
    assert not nothing.any()
    assert adaptive.factors_over_time(origins[:0], adaptive.scores(observed[:0], quantiles[:0])).shape[0] == 0


def test_smoothing_keeps_a_constant_and_takes_away_what_neighbours_do_not_share():
    constant = np.full((2, 48, 3), 0.4)
    np.testing.assert_allclose(adaptive.smoothed(constant), constant)
    alone = np.zeros((48, 3))
    alone[20] = 1.3
    assert adaptive.smoothed(alone).max() == pytest.approx(0.1)
