"""How well a pharmacokinetic model predicts: errors of predicted levels, and the visual predictive check.

Sheiner and Beal's measures: mean error is bias, root mean squared error is precision [1]; both here relative to the
measured level, as dosing software reports them. The visual predictive check lays percentiles of the observed levels
over the interval in which the same percentiles of simulated studies fall; prediction-corrected, both are first divided
by the population prediction of their own dose and covariates [2].

References
----------
[1] Sheiner LB, Beal SL 1981, Some suggestions for measuring predictive performance, J Pharmacokinet Biopharm 9:503,
    doi 10.1007/BF01060893.
[2] Bergstrand M, Hooker AC, Wallin JE, Karlsson MO 2011, Prediction-corrected visual predictive checks, AAPS J
    13:143, doi 10.1208/s12248-011-9255-z (equation 1).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twin_core.domain.errors import BadInput, OutOfRange
from twin_core.domain.history import FloatArray

VPC_PERCENTILES = (5.0, 50.0, 95.0)
_FEWEST_SIMULATIONS = 20


@dataclass(frozen=True, kw_only=True)
class PredictionErrors:
    """Predicted minus measured, in percent of the measured level.

    `within_20_percent` and `within_30_percent` are the shares of levels that close [%].
    """

    n: int
    mean_percent: float
    median_percent: float
    mean_absolute_percent: float
    root_mean_square_percent: float
    within_20_percent: float
    within_30_percent: float


def prediction_errors(measured_mg_l: ArrayLike, predicted_mg_l: ArrayLike) -> PredictionErrors:
    """Errors of predictions `(n,)` made before the levels `(n,)` were known.

    Raises
    ------
    BadInput
        Without levels, or with another number of predictions.
    OutOfRange
        A measured level that is not above 0: its error is no percentage.
    """
    measured, predicted = (np.asarray(values, dtype=np.float64) for values in (measured_mg_l, predicted_mg_l))
    if measured.ndim != 1 or measured.shape != predicted.shape or not measured.size:
        raise BadInput(f"One prediction a level is needed; got {measured.size} levels and {predicted.size} of them.")
    if not measured.min() > 0.0:
        raise OutOfRange("A measured level", float(measured.min()), 0.0, np.inf, "mg/L")
    percent = 100.0 * (predicted - measured) / measured
    return PredictionErrors(
        n=len(percent),
        mean_percent=float(percent.mean()),
        median_percent=float(np.median(percent)),
        mean_absolute_percent=float(np.abs(percent).mean()),
        root_mean_square_percent=float(np.sqrt((percent**2).mean())),
        within_20_percent=float(100.0 * (np.abs(percent) <= 20.0).mean()),
        within_30_percent=float(100.0 * (np.abs(percent) <= 30.0).mean()),
    )


@dataclass(frozen=True, kw_only=True)
class PredictiveCheck:
    """Observed percentiles beside what the model makes of them, bin by bin; `p` percentiles, `b` bins.

    Attributes
    ----------
    times_h
        Shape `(b,)`: median time of each bin.
    observed
        Shape `(p, b)` [mg/L], or of typical levels when prediction-corrected.
    low, middle, high
        Shape `(p, b)`: percentiles 2.5, 50 and 97.5 of the simulated studies' percentiles.
    """

    times_h: FloatArray
    observed: FloatArray
    low: FloatArray
    middle: FloatArray
    high: FloatArray

    @property
    def share_inside(self) -> float:
        """How many of the observed percentiles are within their interval, between 0 and 1."""
        return float(np.mean((self.low <= self.observed) & (self.observed <= self.high)))


def predictive_check(
    times_h: ArrayLike,
    observed_mg_l: ArrayLike,
    simulated_mg_l: ArrayLike,
    *,
    n_bins: int,
    typical_mg_l: ArrayLike | None = None,
) -> PredictiveCheck:
    """A visual predictive check; prediction-corrected where `typical_mg_l` is given.

    Parameters
    ----------
    times_h, observed_mg_l
        Shape `(n,)`: since the last dose or the first one, and the levels.
    simulated_mg_l
        Shape `(n_simulations, n)`: the same samples in simulated studies, residual scatter included.
    typical_mg_l
        Shape `(n,)`: what the typical person with the same doses and covariates has.

    Raises
    ------
    BadInput
        Shapes that do not fit, fewer than 20 simulations, more bins than different times.
    """
    times, observed, simulated = (
        np.asarray(values, dtype=np.float64) for values in (times_h, observed_mg_l, simulated_mg_l)
    )
    if observed.shape != times.shape or simulated.ndim != 2 or simulated.shape[1:] != times.shape:
        raise BadInput(f"Got {times.shape} times, {observed.shape} levels, {simulated.shape} simulated ones.")
    if len(simulated) < _FEWEST_SIMULATIONS:
        raise BadInput(f"{len(simulated)} simulated studies say little of their spread; give {_FEWEST_SIMULATIONS}.")
    if not 1 <= n_bins <= len(np.unique(times)):
        raise OutOfRange("n_bins", n_bins, 1, len(np.unique(times)), "bins")
    bins = _bins(times, n_bins)
    if typical_mg_l is not None:
        factor = _correction(np.asarray(typical_mg_l, dtype=np.float64), bins)
        observed, simulated = observed * factor, simulated * factor
    of_observed = np.stack([np.percentile(observed[rows], VPC_PERCENTILES) for rows in bins], axis=1)
    of_simulated = np.stack([np.percentile(simulated[:, rows], VPC_PERCENTILES, axis=1) for rows in bins], axis=2)
    low, middle, high = np.percentile(of_simulated, (2.5, 50.0, 97.5), axis=1)
    return PredictiveCheck(
        times_h=np.array([np.median(times[rows]) for rows in bins]),
        observed=of_observed,
        low=low,
        middle=middle,
        high=high,
    )


def _bins(times: FloatArray, n_bins: int) -> list[NDArray[np.intp]]:
    """Rows of each bin: neighbouring times together, about as many rows in each, equal times never parted."""
    different, place = np.unique(times, return_inverse=True)
    later = np.cumsum(np.bincount(place)) - 1
    group = np.minimum(later * n_bins // len(times), n_bins - 1)
    return [np.flatnonzero(group[place] == each) for each in np.unique(group)] if different.size else []


def _correction(typical: FloatArray, bins: list[NDArray[np.intp]]) -> FloatArray:
    """Median of the typical levels of a bin over each typical level, [2] equation 1."""
    if not (typical > 0.0).all():
        raise OutOfRange("A typical level", float(typical.min()), 0.0, np.inf, "mg/L")
    factor = np.ones_like(typical)
    for rows in bins:
        factor[rows] = np.median(typical[rows]) / typical[rows]
    return factor
