"""The error of a prediction: how large it is and how long it lasts, and readings made independent of each other by it.

What a fitted curve misses is the sensor's error, which lasts for minutes, and the model's own, which lasts for hours.
They add: of the variance `s^2` a share `q` is the model's,

    cov(t) = s^2 [(1 - q) r(t/a) + q r(t/l)],  r(u) = (1 + u) exp(-u)        t: minutes between two readings.

The sensor's part is a second-order autoregression with a double root, as those identified on sensors nearly are
(Vettoretti et al. 2019, Sensors 19(23):5320, doi 10.3390/s19235320: 1.260, -0.402 every 5 min, root 0.634). A white
error of 5 mg/dL instead would let 288 readings a day swamp the prior; a published twin that assumes it fits to
1.5 mg/dL and answers a what-if with an eighth of the true effect.

Residuals are *whitened*, divided into what each says beyond the twelve before it in its stretch (Vecchia 1988, J R Stat
Soc B 50(2):297), which is their likelihood to within 0.3 log units a day (measured; exact for a dozen).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Self

import numpy as np

from twin_core.domain.history import FloatArray

STEP_MIN = 5.0
SENSOR_LASTS_MIN = 11.0
"""`a`: 5 min over -ln 0.634."""
PRIOR_SENSOR_SD_MG_DL, PRIOR_SENSOR_LOG_SD = 8.0, 0.25
"""The prior of the sensor's SD, lognormal. Published noise of four sensors: 6.8 (G5), 8.0 and 8.1 (G6) and 10.4 mg/dL
(SEVEN Plus), see `models.glucose.cgm_errors`."""
PRIOR_MODEL_SD_MG_DL = 20.0
"""The scale of the half-Cauchy prior of the model's SD (Gelman 2006, Bayesian Anal 1(3):515): any SD from none on is
possible (the scale is a choice)."""
_SHARES = (0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98)
LASTING_MIN = (20.0, 40.0, 80.0, 160.0)
LARGEST_SD_MG_DL = 120.0
"""What is considered."""
_SDS_MG_DL = np.geomspace(3.0, LARGEST_SD_MG_DL, 120)
_REMEMBERED = 12


@dataclass(frozen=True, kw_only=True)
class ErrorModel:
    """The error's SD `s` [mg/dL], the model's share `q` of its variance, and how long that lasts, `l` [min]."""

    sd_mg_dl: float = 12.0
    model_share: float = 0.6
    lasting_min: float = 40.0

    def correlation(self, after_min: FloatArray | float) -> FloatArray:
        """Of two errors so many minutes apart."""
        sensor, model = _smooth(after_min, SENSOR_LASTS_MIN), _smooth(after_min, self.lasting_min)
        return np.asarray((1.0 - self.model_share) * sensor + self.model_share * model)


@dataclass(frozen=True, kw_only=True)
class Whitening:
    """How readings are made independent, with unit variance.

    Attributes
    ----------
    weights
        Shape `(1 + n_remembered, n_readings)`: of each reading and those before it.
    log_determinant
        Of the errors' covariance.
    """

    error: ErrorModel
    weights: FloatArray
    log_determinant: float

    @classmethod
    def of(cls, error: ErrorModel, gaps_min: FloatArray) -> Self:
        """The whitening for readings `gaps_min` after those before them, infinite where a stretch begins."""
        n = len(gaps_min)
        stretch = np.cumsum(np.isinf(gaps_min))
        time = np.cumsum(np.where(np.isinf(gaps_min), 0.0, gaps_min))
        back = np.arange(n)[:, None] - np.arange(1 + min(_REMEMBERED, n - 1))
        there = (back >= 0) & (stretch[back] == stretch[:, None])
        times = time[back]
        covariance = error.correlation(times[:, :, None] - times[:, None, :])
        covariance = np.where(there[:, :, None] & there[:, None, :], covariance, np.eye(back.shape[1]))
        share = np.linalg.solve(covariance[:, 1:, 1:], covariance[:, 1:, :1])[:, :, 0]
        variance = error.sd_mg_dl**2 * (1.0 - (share * covariance[:, 1:, 0]).sum(axis=1))
        weights = np.column_stack((np.ones(n), -share)) / np.sqrt(variance)[:, None]
        return cls(error=error, weights=np.ascontiguousarray(weights.T), log_determinant=float(np.log(variance).sum()))

    def scaled(self, factor: float) -> Self:
        """That of errors `factor` as large."""
        return replace(
            self,
            error=replace(self.error, sd_mg_dl=factor * self.error.sd_mg_dl),
            weights=self.weights / factor,
            log_determinant=self.log_determinant + 2.0 * self.weights.shape[1] * float(np.log(factor)),
        )

    def __call__(self, values: FloatArray) -> FloatArray:
        """Rows `(n_readings, ...)` [mg/dL], whitened."""
        weights = self.weights.reshape(*self.weights.shape, *(1,) * (values.ndim - 1))
        white = weights[0] * values
        for lag in range(1, len(weights)):
            white[lag:] += weights[lag, lag:] * values[:-lag]
        return np.asarray(white)


def whitenings(gaps_min: FloatArray) -> tuple[Whitening, ...]:
    """Of every error model that is considered, each with an SD of 1."""
    shapes = [(0.0, LASTING_MIN[0]), *product(_SHARES, LASTING_MIN)]
    return tuple(
        Whitening.of(ErrorModel(sd_mg_dl=1.0, model_share=share, lasting_min=lasting), gaps_min)
        for share, lasting in shapes
    )


def most_probable_error(
    candidates: Sequence[Whitening], residuals: FloatArray, jacobian: FloatArray, z: FloatArray
) -> Whitening:
    """That of the most probable error: its prior times the marginal likelihood of the readings.

    Marginal means over all coordinates `z`, with the curve linearised where they are: the curve follows some of the
    error, so that residuals alone would look too small and too short.

    Parameters
    ----------
    candidates
        Of errors with an SD of 1, see `whitenings`.
    residuals
        Readings less curve, shape `(n_readings,)`.
    jacobian
        Of the curve by the whitened coordinates, shape `(n_readings, n)`.
    z
        Shape `(n,)`: where both hold.
    """
    from_prior_mean = residuals + jacobian @ z
    densities = np.array([_log_density(whitening, from_prior_mean, jacobian) for whitening in candidates])
    best = np.unravel_index(int(np.argmax(densities)), densities.shape)
    return candidates[int(best[0])].scaled(float(_SDS_MG_DL[best[1]]))


def log_prior(sd_mg_dl: FloatArray | float, model_share: float) -> FloatArray:
    """Log density of the sensor's and the model's SD, up to a constant."""
    sensor = np.log(sd_mg_dl * np.sqrt(1.0 - model_share) / PRIOR_SENSOR_SD_MG_DL) / PRIOR_SENSOR_LOG_SD
    model = sd_mg_dl * np.sqrt(model_share) / PRIOR_MODEL_SD_MG_DL
    return np.asarray(-0.5 * sensor**2 - np.log1p(model**2))


def _smooth(after_min: FloatArray | float, lasting_min: float) -> FloatArray:
    """Of a course with a slope at every moment (a Matern correlation of order 3/2), 1 at 0."""
    u = np.abs(after_min) / lasting_min
    return np.asarray((1.0 + u) * np.exp(-u))


def _log_density(whitening: Whitening, values: FloatArray, jacobian: FloatArray) -> FloatArray:
    """Log posterior density of one shape of the error with each of `_SDS_MG_DL`, up to a constant.

    With `A = J'J` and `b = J'v` of values made independent for an SD of 1, the marginal covariance of the values is
    `s^2 + J J'`; the eigenvalues of A give its determinant and inverse for every s at once.
    """
    J, v = whitening(jacobian), whitening(values)
    # of a matrix that is never negative they are the singular values, which are 50 times faster to have (measured)
    vectors, eigenvalues, _ = np.linalg.svd(J.T @ J)
    b = vectors.T @ (J.T @ v)
    variance = _SDS_MG_DL[:, None] ** 2
    raised = 1.0 + eigenvalues / variance
    misfit = (v @ v) / variance[:, 0] - (b**2 / (variance**2 * raised)).sum(axis=1)
    log_determinants = np.log(raised).sum(axis=1) + whitening.log_determinant + len(v) * np.log(variance[:, 0])
    return np.asarray(log_prior(_SDS_MG_DL, whitening.error.model_share) - 0.5 * (misfit + log_determinants))
