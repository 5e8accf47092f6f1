"""Scores of forecasts: of a point, of an interval, of a set of quantiles, and against a reference.

Every function takes observations `(n,)` in mg/dL in which NaN means "there was no reading"; such rows are left out.
Scores of nothing are NaN. All are end-point scores of one horizon: pass one column at a time, or see `by_horizon`.

References
----------
[1] Gneiting & Raftery, Strictly Proper Scoring Rules, JASA 102:359 (2007), doi 10.1198/016214506000001437:
    pinball loss (section 6.1) and its relation to the continuous ranked probability score.
[2] Gneiting, Balabdaoui & Raftery, Probabilistic forecasts, calibration and sharpness, J R Stat Soc B 69:243 (2007),
    doi 10.1111/j.1467-9868.2007.00587.x: the probability integral transform and its histogram (section 3.1).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.history import FloatArray

PointScore: TypeAlias = Callable[[FloatArray, FloatArray], float]


class GlucoseRange(NamedTuple):
    """A range of what was observed, both ends in [mg/dL]."""

    name: str
    low_mg_dl: float
    high_mg_dl: float

    def holds(self, observed_mg_dl: FloatArray) -> NDArray[np.bool_]:
        """Which values lie in it; none that is unknown."""
        return (observed_mg_dl >= self.low_mg_dl) & (observed_mg_dl <= self.high_mg_dl)


RANGES = (
    GlucoseRange("below 70", 0.0, float(np.nextafter(70.0, 0.0))),
    GlucoseRange("70 to 180", 70.0, 180.0),
    GlucoseRange("above 180", float(np.nextafter(180.0, 1000.0)), float("inf")),
)
"""The consensus target and what lies on either side of it."""
_FEWEST_PAIRS = 10


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


def crps(observed_mg_dl: FloatArray, quantiles_mg_dl: FloatArray, levels: Sequence[float]) -> float:
    """Continuous ranked probability score, mean over rows [mg/dL]: twice the pinball loss over all levels, by [1].

    The integral over levels is a sum in which each level stands for those nearest to it, so that the outermost
    quantile also stands for its tail. Of a certain forecast this is the absolute error.

    Parameters
    ----------
    quantiles_mg_dl
        Shape `(n, n_levels)`.
    """
    miss = observed_mg_dl[:, None] - quantiles_mg_dl
    level = np.asarray(levels)
    return _mean(2.0 * mean_of_quantiles(np.maximum(level * miss, (level - 1.0) * miss), levels))


def pit_shares(observed_mg_dl: FloatArray, quantiles_mg_dl: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Share of the observations between each two neighbouring quantiles, shape `(n_levels + 1,)`: the PIT of [2].

    A calibrated forecast has `expected_pit_shares`. A bulge at both ends says that it is too sure of itself, one in
    the middle that it is too wide, a slope that it is biased. An observation on a quantile belongs to the bin below.
    """
    known = np.isfinite(observed_mg_dl) & np.isfinite(quantiles_mg_dl).all(axis=-1)
    if not known.any():
        return np.full(len(levels) + 1, np.nan)
    place = (observed_mg_dl[known, None] > quantiles_mg_dl[known]).sum(axis=1)
    return np.asarray(np.bincount(place, minlength=len(levels) + 1) / known.sum())


def expected_pit_shares(levels: Sequence[float]) -> FloatArray:
    """What `pit_shares` is when the forecast is calibrated."""
    return np.diff(np.array([0.0, *levels, 1.0]))


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


def by_range(score: PointScore, observed_mg_dl: FloatArray, forecast_mg_dl: FloatArray) -> dict[str, float]:
    """A point score over the rows of each of `RANGES`, by the range of what was observed.

    Rows are chosen by the outcome, so that even a perfect forecast of the mean is biased towards the middle here:
    compare models within a range, not ranges with each other.
    """
    return {
        each.name: score(*(values[each.holds(observed_mg_dl)] for values in (observed_mg_dl, forecast_mg_dl)))
        for each in RANGES
    }


def least_coverage(
    persons: NDArray[np.str_], observed_mg_dl: FloatArray, low_mg_dl: FloatArray, high_mg_dl: FloatArray
) -> tuple[str, float]:
    """The person whose observations the interval holds least often, and that share; `("", nan)` without any."""
    shares = {
        str(person): coverage(*(values[persons == person] for values in (observed_mg_dl, low_mg_dl, high_mg_dl)))
        for person in np.unique(persons)
    }
    known = {person: share for person, share in shares.items() if np.isfinite(share)}
    worst = min(known, key=known.__getitem__, default="")
    return worst, known.get(worst, float("nan"))


def time_lag_min(
    observed_mg_dl: FloatArray, forecast_mg_dl: FloatArray, *, step_min: float, longest_min: float
) -> float:
    """By how long the forecast runs behind [min]: the shift at which it correlates best with what was observed.

    Both are series on one regular grid, the forecast standing at the time for which it was made; NaN is no value. A
    forecast that repeats the last reading lags by its whole horizon. NaN when no shift has ten pairs that vary.

    Parameters
    ----------
    longest_min
        The longest lag looked for; usually the horizon.
    """
    shifts = range(int(longest_min // step_min) + 1)
    found = [_correlation(observed_mg_dl[: observed_mg_dl.size - shift], forecast_mg_dl[shift:]) for shift in shifts]
    return float("nan") if np.isnan(found).all() else float(np.nanargmax(found)) * step_min


def mean_per_person(
    score: PointScore, persons: NDArray[np.str_], observed_mg_dl: FloatArray, forecast_mg_dl: FloatArray
) -> float:
    """A point score of each person's rows, averaged over the persons who have any."""
    each = [
        score(observed_mg_dl[persons == person], forecast_mg_dl[persons == person]) for person in np.unique(persons)
    ]
    return _mean(np.array(each, dtype=np.float64))


def _correlation(one: FloatArray, other: FloatArray) -> float:
    known = np.isfinite(one) & np.isfinite(other)
    if known.sum() < _FEWEST_PAIRS or np.ptp(one[known]) == 0.0 or np.ptp(other[known]) == 0.0:
        return float("nan")
    return float(np.corrcoef(one[known], other[known])[0, 1])


def _mean(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
