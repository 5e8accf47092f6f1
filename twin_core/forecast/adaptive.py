"""Intervals that follow one person: how far to widen them, learned online from that person's own past only.

A score says by which share of its width an interval missed a reading. The factor in force is a high quantile of the
scores of the last 7 days, drawn towards 0 while there are few; the level of that quantile moves with the coverage that
was reached, so that it finds its place when a person changes.

References
----------
[1] Gibbs & Candes, Adaptive conformal inference under distribution shift, NeurIPS 2021, arXiv 2106.00170, equation (2).
[2] Romano, Patterson & Candes, NeurIPS 2019, arXiv 1905.03222: conformity scores of quantiles.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS
from twin_core.domain.history import FloatArray
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.forecast.conformal import PAIRS, widened

WindowScores: TypeAlias = NDArray[np.float32]
"""Scores of a window of time, shape `(n_horizons, n_pairs, n)`."""

WINDOW_MIN = 7.0 * MINUTES_PER_DAY
UPDATE_MIN = 120.0
STRIDE_MIN = 15.0
"""Scores are kept every 15 min: neighbours say nearly the same."""
FULL_TRUST_ROWS = 48.0
"""Half a day of scores counts as much as the factor 0 of the population."""
LEVEL_GAIN = 0.1
"""Gamma of [1], for each update. Window, update, trust and gain were chosen on the calibration block."""
MOST_LEVEL, LEAST_FACTOR, MOST_FACTOR = 0.995, -0.4, 1.5

_SHARES = np.array([QUANTILE_LEVELS[high] - QUANTILE_LEVELS[low] for low, high in PAIRS])
_HORIZONS = np.array(HORIZONS_MIN)
_LEAST_WIDTH_MG_DL = 1.0
_NEIGHBOURS = 6


def scores(observed_mg_dl: FloatArray, quantiles_mg_dl: FloatArray) -> FloatArray:
    """By which share of its width each interval missed, below zero inside; `(n, n_horizons, n_pairs)`, NaN unknown."""
    low = quantiles_mg_dl[..., [pair[0] for pair in PAIRS]]
    high = quantiles_mg_dl[..., [pair[1] for pair in PAIRS]]
    seen = observed_mg_dl[..., None]
    return np.asarray(np.maximum(low - seen, seen - high) / np.maximum(high - low, _LEAST_WIDTH_MG_DL))


def factors_over_time(origins_min: FloatArray, of_rows: FloatArray) -> FloatArray:
    """The factors in force at each origin of one person, by readings that had come by then.

    Parameters
    ----------
    origins_min
        Shape `(n,)`, increasing.
    of_rows
        What `scores` gives for them.

    Returns
    -------
    Shape `(n, n_horizons, n_pairs)`; 0 until the first readings have come.
    """
    factors = np.zeros_like(of_rows)
    if origins_min.size == 0:
        return factors
    kept = np.mod(np.rint(origins_min / 5.0), STRIDE_MIN / 5.0) == 0
    kept_at = origins_min[kept]
    kept_scores = np.ascontiguousarray(np.moveaxis(of_rows[kept], 0, -1), dtype=np.float32)
    level, factor = np.tile(_SHARES, (_HORIZONS.size, 1)), np.zeros(of_rows.shape[1:])
    begin = origins_min[0]
    for now in np.arange(begin, origins_min[-1] + UPDATE_MIN, UPDATE_MIN):
        first, last = np.searchsorted(kept_at, [now - WINDOW_MIN, now])
        window, age = kept_scores[..., first:last], now - kept_at[first:last]
        known = np.isfinite(window[:, 0]) & (age >= _HORIZONS[:, None])
        fresh = known & (age < _HORIZONS[:, None] + UPDATE_MIN)
        level = _moved(level, window, fresh, factor)
        factor = _factor(window, known, level)
        factors[(origins_min >= now) & (origins_min < now + UPDATE_MIN)] = factor
    return factors


def smoothed(factors: FloatArray) -> FloatArray:
    """Factors `(..., n_horizons, n_pairs)` as means of the horizons within half an hour.

    Each horizon learns for itself; after a few days neighbours differ by chance, and a band drawn from them is ragged.
    """
    n = factors.shape[-2]
    near = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) <= _NEIGHBOURS
    return np.asarray((near / near.sum(axis=1, keepdims=True)) @ factors)


def widened_by(quantiles_mg_dl: FloatArray, factors: FloatArray) -> FloatArray:
    """Quantiles with each interval widened by a share of its width at both ends."""
    low = quantiles_mg_dl[..., [pair[0] for pair in PAIRS]]
    high = quantiles_mg_dl[..., [pair[1] for pair in PAIRS]]
    return widened(quantiles_mg_dl, factors * (high - low))


def _moved(level: FloatArray, window: WindowScores, fresh: NDArray[np.bool_], factor: FloatArray) -> FloatArray:
    """Levels after the newest readings: up where fewer than wanted lay inside."""
    count = fresh.sum(axis=-1)[:, None]
    inside = ((window <= factor[..., None]) & fresh[:, None]).sum(axis=-1) / np.maximum(count, 1)
    moved = level + np.where(count > 0, LEVEL_GAIN * (_SHARES - inside), 0.0)
    return np.asarray(np.clip(moved, _SHARES - 0.1, np.minimum(_SHARES + 0.1, MOST_LEVEL)))


def _factor(window: WindowScores, known: NDArray[np.bool_], level: FloatArray) -> FloatArray:
    """The quantile of the known scores at each level, drawn towards 0 while there are few."""
    if window.shape[-1] == 0:
        return np.zeros_like(level)
    ordered = np.sort(np.where(known[:, None], window, np.float32(np.inf)), axis=-1)
    count = known.sum(axis=-1)[:, None]
    rank = np.clip(np.ceil((count + 1) * level).astype(int), 1, np.maximum(count, 1)) - 1
    found = np.take_along_axis(ordered, rank[..., None], axis=-1)[..., 0].astype(np.float64)
    trust = count / (count + FULL_TRUST_ROWS)
    return np.asarray(np.clip(np.where(count > 0, found, 0.0) * trust, LEAST_FACTOR, MOST_FACTOR))
