"""Scores of forecasts: of a point, of an interval, of a set of quantiles, and against a reference.

Every function takes observations `(n,)` in mg/dL in which NaN means "there was no reading"; such rows are left out.
Scores of nothing are NaN. All are end-point scores of one horizon: pass one column at a time, or see `by_horizon`.

References
----------
[1] Gneiting & Raftery, Strictly Proper Scoring Rules, JASA 102:359 (2007), doi 10.1198/016214506000001437:
    pinball loss (section 6.1) and its relation to the continuous ranked probability score.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.history import FloatArray

PointScore: TypeAlias = Callable[[FloatArray, FloatArray], float]


def rmse(observed_mg_dl: FloatArray, forecast_mg_dl: FloatArray) -> float:
    """Root of the mean squared error [mg/dL]."""
    return float(np.sqrt(_mean((forecast_mg_dl - observed_mg_dl) ** 2)))


def mae(observed_mg_dl: FloatArray, forecast_mg_dl: FloatArray) -> float:
    """Mean absolute error [mg/dL]."""
    return _mean(np.abs(forecast_mg_dl - observed_mg_dl))


def mard(observed_mg_dl: FloatArray, forecast_mg_dl: FloatArray) -> float:
    """Mean absolute relative difference [% of the observation]."""
    return 100.0 * _mean(np.abs(forecast_mg_dl - observed_mg_dl) / observed_mg_dl)


def bias(observed_mg_dl: FloatArray, forecast_mg_dl: FloatArray) -> float:
    """Mean of forecast minus observation [mg/dL]: above zero is too high."""
    return _mean(forecast_mg_dl - observed_mg_dl)


def skill(score: float, reference: float) -> float:
    """Share of the reference's error that is gone: 1 is perfect, 0 no better, below 0 worse."""
    return 1.0 - score / reference if reference > 0 else float("nan")


def pinball(observed_mg_dl: FloatArray, quantiles_mg_dl: FloatArray, levels: Sequence[float]) -> float:
    """Pinball loss, mean over rows and levels [mg/dL], by [1].

    Parameters
    ----------
    quantiles_mg_dl
        Shape `(n, n_levels)`.
    """
    miss = observed_mg_dl[:, None] - quantiles_mg_dl
    level = np.asarray(levels)
    return _mean(np.maximum(level * miss, (level - 1.0) * miss).mean(axis=1))


def coverage(observed_mg_dl: FloatArray, low_mg_dl: FloatArray, high_mg_dl: FloatArray) -> float:
    """Share of the observations within the interval, its ends included."""
    inside = (low_mg_dl <= observed_mg_dl) & (observed_mg_dl <= high_mg_dl)
    return _mean(np.where(np.isfinite(observed_mg_dl), inside, np.nan))


def width(observed_mg_dl: FloatArray, low_mg_dl: FloatArray, high_mg_dl: FloatArray) -> float:
    """Mean width of the interval [mg/dL] over the rows that have an observation."""
    return _mean(np.where(np.isfinite(observed_mg_dl), high_mg_dl - low_mg_dl, np.nan))


def mean_of_quantiles(quantiles_mg_dl: FloatArray, levels: Sequence[float]) -> FloatArray:
    """The mean of a distribution known by quantiles: each stands for the levels nearest to it.

    Parameters
    ----------
    quantiles_mg_dl
        Shape `(..., n_levels)`.
    """
    level = np.asarray(levels)
    edges = np.concatenate([[0.0], (level[1:] + level[:-1]) / 2, [1.0]])
    return np.asarray(quantiles_mg_dl @ np.diff(edges))


def by_horizon(score: PointScore, observed_mg_dl: FloatArray, forecast_mg_dl: FloatArray) -> FloatArray:
    """A point score of every column of `(n, n_horizons)` arrays, shape `(n_horizons,)`."""
    return np.array([score(*column) for column in zip(observed_mg_dl.T, forecast_mg_dl.T, strict=True)])


def mean_per_person(
    score: PointScore, persons: NDArray[np.str_], observed_mg_dl: FloatArray, forecast_mg_dl: FloatArray
) -> float:
    """A point score of each person's rows, averaged over the persons who have any."""
    each = [
        score(observed_mg_dl[persons == person], forecast_mg_dl[persons == person]) for person in np.unique(persons)
    ]
    return _mean(np.array(each, dtype=np.float64))


def _mean(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
