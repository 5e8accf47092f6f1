"""How forecast errors at different horizons hang together: a Gaussian copula over the horizons.

Marginal quantiles answer "how low at 30 min"; "below 70 at any time within 30 min" needs their joint law. A value's
place in its quantiles becomes a standard normal score; the scores' correlation over a calibration block is the copula.

References
----------
[1] Pinson et al., From probabilistic forecasts to statistical scenarios, Wind Energy 12:51-62 (2009),
    doi 10.1002/we.284: the same construction over lead times.
"""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS
from twin_core.domain.history import FloatArray

HYPOGLYCAEMIA_MG_DL = 70.0
N_DRAWS = 2000
SEED = 20_240_229
"""The draws are the same for every forecast, so that equal input gives equal output."""

_LEVEL_SCORES = np.array([NormalDist().inv_cdf(level) for level in QUANTILE_LEVELS])
_FARTHEST_SCORE = 5.0
_LEAST_EIGENVALUE = 1e-4
_LEAST_WIDTH_MG_DL = 1e-6


def normal_scores(quantiles_mg_dl: FloatArray, values_mg_dl: FloatArray) -> FloatArray:
    """Where values lie in their quantiles, as standard normal scores within +-5.

    Linear between two quantiles on normal-probability paper, and beyond the outermost ones along their last line.

    Parameters
    ----------
    quantiles_mg_dl
        Shape `(..., n_levels)`, not decreasing.
    values_mg_dl
        Shape `(...)`; NaN stays NaN.
    """
    above = np.clip((quantiles_mg_dl <= values_mg_dl[..., None]).sum(axis=-1), 1, len(QUANTILE_LEVELS) - 1)
    lower = np.take_along_axis(quantiles_mg_dl, above[..., None] - 1, axis=-1)[..., 0]
    upper = np.take_along_axis(quantiles_mg_dl, above[..., None], axis=-1)[..., 0]
    slope = (_LEVEL_SCORES[above] - _LEVEL_SCORES[above - 1]) / np.maximum(upper - lower, _LEAST_WIDTH_MG_DL)
    score = _LEVEL_SCORES[above - 1] + slope * (values_mg_dl - lower)
    return np.asarray(np.clip(score, -_FARTHEST_SCORE, _FARTHEST_SCORE))


def correlation(scores: FloatArray) -> FloatArray:
    """Correlation of scores over horizons from rows with gaps, made positive definite.

    Parameters
    ----------
    scores
        Shape `(n, n_horizons)`; NaN where there was no reading.
    """
    exists = np.isfinite(scores)
    filled = np.where(exists, scores, 0.0)
    pairs = np.maximum(exists.T.astype(float) @ exists, 1.0)
    eigenvalues, vectors = np.linalg.eigh(_normalised(filled.T @ filled / pairs))
    return _normalised((vectors * np.maximum(eigenvalues, _LEAST_EIGENVALUE)) @ vectors.T)


def draws(correlation_of_horizons: FloatArray, until_min: float) -> FloatArray:
    """Seeded joint scores of the horizons up to `until_min`, shape `(N_DRAWS, n_joint)`, in antithetic pairs."""
    n_joint = HORIZONS_MIN.index(until_min) + 1
    root = np.linalg.cholesky(correlation_of_horizons[:n_joint, :n_joint])
    half = np.random.default_rng(SEED).standard_normal((N_DRAWS // 2, n_joint))
    return np.asarray(np.concatenate([half, -half]) @ root.T)


def below_70_within(quantiles_mg_dl: FloatArray, joint_scores: FloatArray, within_min: Sequence[float]) -> FloatArray:
    """Probability that a course falls below 70 mg/dL at any 5-min point within some spans of time.

    Parameters
    ----------
    quantiles_mg_dl
        Shape `(n, n_horizons, n_levels)`.
    joint_scores
        What `draws` gives for the longest span.
    within_min
        Increasing horizons.

    Returns
    -------
    Shape `(n, len(within_min))`, not decreasing.
    """
    ends = [HORIZONS_MIN.index(within) + 1 for within in within_min]
    shown = quantiles_mg_dl[:, : ends[-1]]
    limits = normal_scores(shown, np.full(shown.shape[:2], HYPOGLYCAEMIA_MG_DL))
    found = np.empty((len(limits), len(ends)))
    for row, limit in enumerate(limits):
        falls = joint_scores < limit
        found[row] = [falls[:, :end].any(axis=1).mean() for end in ends]
    return found


def paths(quantiles_mg_dl: FloatArray, correlation_of_horizons: FloatArray, n: int) -> FloatArray:
    """Seeded courses of glucose that hang together over the horizons as forecast errors do [mg/dL].

    The inverse of `normal_scores`: each joint score is read off the quantiles on normal-probability paper.

    Parameters
    ----------
    quantiles_mg_dl
        One forecast, shape `(n_horizons, n_levels)`.

    Returns
    -------
    Shape `(n, n_horizons)`.
    """
    root = np.linalg.cholesky(correlation_of_horizons)
    half = np.random.default_rng(SEED).standard_normal((-(-n // 2), len(root)))
    scores = np.concatenate([half, -half])[:n] @ root.T
    above = np.clip(np.searchsorted(_LEVEL_SCORES, scores), 1, len(QUANTILE_LEVELS) - 1)
    place = (scores - _LEVEL_SCORES[above - 1]) / (_LEVEL_SCORES[above] - _LEVEL_SCORES[above - 1])
    horizon = np.arange(len(root))
    lower, upper = quantiles_mg_dl[horizon, above - 1], quantiles_mg_dl[horizon, above]
    return np.asarray(lower + place * (upper - lower))


def _normalised(matrix: FloatArray) -> FloatArray:
    """A covariance as a correlation; a horizon that never varied stands alone."""
    deviation = np.sqrt(np.diag(matrix))
    deviation = np.where(deviation > 0, deviation, 1.0)
    scaled = matrix / np.outer(deviation, deviation)
    np.fill_diagonal(scaled, 1.0)
    return np.asarray(scaled)
