"""The error of a prediction: how large it is and how long it lasts, and readings made independent of each other by it.

What a fitted curve misses is mostly the model's error, not the sensor's, and lasts. It is taken as a stationary
first-order autoregression: SD `s`, correlation `r` over 5 min, `r^(dt/5)` over `dt`. Residuals are *whitened*, divided
into what each says beyond the one before it: `(e_i - r_i e_{i-1}) / (s sqrt(1 - r_i^2))`, the first of a stretch
`e_1/s`. That is their exact likelihood. A white error of 5 mg/dL instead would let 288 readings a day swamp the prior;
a published twin that assumes it fits to 1.5 mg/dL and answers a what-if with an eighth of the true effect.
"""

from dataclasses import dataclass

import numpy as np

from twin_core.domain.history import FloatArray

STEP_MIN = 5.0
PRIOR_SD_MG_DL, PRIOR_LOG_SD = 12.0, 0.5
"""The prior of the SD, lognormal: 90 % within 5.3 and 27 mg/dL (a choice: a sensor's error is about 5 to 10; errors of
10 to 25 served best in trials on simulated days)."""
PRIOR_CORRELATION = (17.0, 3.0)
"""Beta prior of the correlation over 5 min, mean 0.85: a sensor's noise alone has about 0.7 to 0.9, a model's error
lasts longer (a choice)."""
_SDS_MG_DL = np.geomspace(2.0, 120.0, 120)
_CORRELATIONS = 1.0 - np.geomspace(0.5, 0.01, 14)


@dataclass(frozen=True, kw_only=True)
class ErrorModel:
    """SD [mg/dL] and correlation over 5 min."""

    sd_mg_dl: float = PRIOR_SD_MG_DL
    correlation: float = 0.85

    @property
    def innovation_sd_mg_dl(self) -> float:
        """SD of what is new in a reading 5 min after the one before."""
        return self.sd_mg_dl * float(np.sqrt(1.0 - self.correlation**2))

    def whitened(self, gaps_min: FloatArray, values: FloatArray) -> FloatArray:
        """Rows `(n_readings, ...)` made independent with unit variance under this error.

        Parameters
        ----------
        gaps_min
            Shape `(n_readings,)`: time since the reading before, infinite where a stretch begins.
        """
        r = np.where(np.isfinite(gaps_min), self.correlation ** (gaps_min / STEP_MIN), 0.0)
        r = r.reshape(-1, *(1,) * (values.ndim - 1))
        return (values - r * _before(values)) / (self.sd_mg_dl * np.sqrt(1.0 - r * r))


def error_of(gaps_min: FloatArray, residuals: FloatArray, jacobian: FloatArray, z: FloatArray) -> ErrorModel:
    """The most probable error model: its own prior times the marginal likelihood of the readings.

    Marginal means over all coordinates `z`, with the curve linearised where they are: the curve follows some of the
    error, so that residuals alone would look too small and too short. Scanned over a grid of both numbers.

    Parameters
    ----------
    residuals
        Readings less curve, shape `(n_readings,)`.
    jacobian
        Of the curve by the whitened coordinates, shape `(n_readings, n)`.
    z
        Shape `(n,)`: where both hold.
    """
    from_prior_mean = residuals + jacobian @ z
    densities = np.array([_log_density(r, gaps_min, from_prior_mean, jacobian) for r in _CORRELATIONS])
    best = np.unravel_index(int(np.argmax(densities)), densities.shape)
    return ErrorModel(sd_mg_dl=float(_SDS_MG_DL[best[1]]), correlation=float(_CORRELATIONS[best[0]]))


def _log_density(correlation: float, gaps_min: FloatArray, values: FloatArray, jacobian: FloatArray) -> FloatArray:
    """Log posterior density of one correlation with each of `_SDS_MG_DL`, up to a constant.

    With `A = J'J` and `b = J'v` of values made independent for an SD of 1, the marginal covariance of the values is
    `s^2 + J J'`; the eigenvalues of A give its determinant and inverse for every s at once.
    """
    unit = ErrorModel(sd_mg_dl=1.0, correlation=correlation)
    J, v = unit.whitened(gaps_min, jacobian), unit.whitened(gaps_min, values)
    # of a matrix that is never negative they are the singular values, which are 50 times faster to have (measured)
    vectors, eigenvalues, _ = np.linalg.svd(J.T @ J)
    b = vectors.T @ (J.T @ v)
    variance = _SDS_MG_DL[:, None] ** 2
    raised = 1.0 + eigenvalues / variance
    misfit = (v @ v) / variance[:, 0] - (b**2 / (variance**2 * raised)).sum(axis=1)
    a, c = PRIOR_CORRELATION
    left = 1.0 - np.where(np.isfinite(gaps_min), correlation ** (2.0 * gaps_min / STEP_MIN), 0.0)
    log_prior = (
        (a - 1.0) * np.log(correlation)
        + (c - 1.0) * np.log(1.0 - correlation)
        - 0.5 * (np.log(_SDS_MG_DL / PRIOR_SD_MG_DL) / PRIOR_LOG_SD) ** 2
    )
    log_determinants = np.log(raised).sum(axis=1) + np.log(left).sum() + len(v) * np.log(variance[:, 0])
    return np.asarray(log_prior - 0.5 * (misfit + log_determinants))


def _before(rows: FloatArray) -> FloatArray:
    """Each row's predecessor, zeros before the first."""
    return np.concatenate((np.zeros_like(rows[:1]), rows[:-1]))
