"""Intervals that cover what they say: conformalised quantile regression.

References
----------
[1] Romano, Patterson & Candes, Conformalized Quantile Regression, NeurIPS 2019, arXiv 1905.03222, algorithm 1.
"""

import numpy as np

from twin_core.domain.forecasts import QUANTILE_LEVELS
from twin_core.domain.history import FloatArray

PAIRS = tuple((low, len(QUANTILE_LEVELS) - 1 - low) for low in range(len(QUANTILE_LEVELS) // 2))
"""Which quantiles make an interval: 5-95 %, 10-90 %, 25-75 %."""
MEDIAN = len(QUANTILE_LEVELS) // 2


def interval_offsets(observed_mg_dl: FloatArray, quantiles_mg_dl: FloatArray) -> FloatArray:
    """How far each interval must be widened to cover its share of a calibration block, by [1].

    Parameters
    ----------
    observed_mg_dl
        Shape `(n, n_horizons)`; NaN is no reading.
    quantiles_mg_dl
        Shape `(n, n_horizons, n_levels)`.

    Returns
    -------
    Shape `(n_horizons, len(PAIRS))` [mg/dL]; below zero where the intervals were too wide.
    """
    n_horizons = observed_mg_dl.shape[1]
    offsets = np.zeros((n_horizons, len(PAIRS)))
    for horizon in range(n_horizons):
        exists = np.isfinite(observed_mg_dl[:, horizon])
        rows = observed_mg_dl[exists, horizon], quantiles_mg_dl[exists, horizon]
        offsets[horizon] = [_offset(*rows, low, high) for low, high in PAIRS]
    return offsets


def widened(quantiles_mg_dl: FloatArray, offsets_mg_dl: FloatArray) -> FloatArray:
    """Quantiles `(..., n_horizons, n_levels)` with each interval widened; the order of the levels is kept.

    The offsets have shape `(n_horizons, len(PAIRS))`, or the same with the rows' axis before it.
    """
    moved = quantiles_mg_dl.copy()
    for pair, (low, high) in enumerate(PAIRS):
        moved[..., low] -= offsets_mg_dl[..., pair]
        moved[..., high] += offsets_mg_dl[..., pair]
    below, above = moved[..., MEDIAN::-1], moved[..., MEDIAN:]
    moved[..., MEDIAN::-1] = np.minimum.accumulate(below, axis=-1)
    moved[..., MEDIAN:] = np.maximum.accumulate(above, axis=-1)
    return moved


def _offset(observed: FloatArray, quantiles: FloatArray, low: int, high: int) -> float:
    """The conformity score of rank `(n + 1) * share`, equations (6) and (8) of [1]; 0 without observations."""
    if observed.size == 0:
        return 0.0
    score = np.sort(np.maximum(quantiles[:, low] - observed, observed - quantiles[:, high]))
    share = QUANTILE_LEVELS[high] - QUANTILE_LEVELS[low]
    rank = int(np.ceil((observed.size + 1) * share))
    return float(score[min(rank, observed.size) - 1])
