"""Draws from the posterior of eta: importance sampling, and a Markov chain where that is not to be trusted.

Importance sampling proposes from a t distribution with 4 degrees of freedom about the minimum with twice its
covariance. The largest weights are replaced by the quantiles of a generalised Pareto distribution fitted to them [1];
its shape k says whether the weights have a variance at all (k < 0.7). Draws are then chosen evenly by weight.

Where the effective sample size or the shape is bad, an ensemble of walkers samples the posterior instead [2]: half of
them move along lines through the other half, so that a move needs no scale and no covariance, and all moves of a half
are one batch of predictions.

References
----------
[1] Vehtari A, Simpson D, Gelman A, Yao Y, Gabry J 2024, Pareto smoothed importance sampling, J Mach Learn Res
    25(72):1; the fit by Zhang J, Stephens MA 2009, Technometrics 51:316, doi 10.1198/tech.2009.08017.
[2] Goodman J, Weare J 2010, Ensemble samplers with affine invariance, Commun Appl Math Comput Sci 5:65,
    doi 10.2140/camcos.2010.5.65 (stretch move, equations 7 and 9).
"""

from enum import StrEnum
from typing import NamedTuple

import numpy as np

from twin_core.domain.history import FloatArray
from twin_core.inference.pk_search import Problem

LEAST_ESS = 400.0
"""Below so many effective draws importance sampling gives way to the chain."""
LARGEST_SHAPE = 0.7
"""Above this Pareto shape the weights' variance does not settle ([1])."""
_DEGREES_OF_FREEDOM = 4.0
_SPREAD = 2.0
"""The proposal's covariance, as a multiple of the approximate one."""
_FEWEST_TAIL = 5
_STRETCH = 2.0
"""The parameter a of [2]."""
_WALKERS = 200
_WARM_UP_STEPS = 200
_STEPS = 400


class Sampler(StrEnum):
    """Where draws come from."""

    PRIOR = "prior"
    IMPORTANCE = "importance"
    ENSEMBLE = "ensemble"
    MODE = "mode"
    """The most probable eta alone."""


class Posterior(NamedTuple):
    """Draws of eta and what they are worth."""

    draws: FloatArray
    """Shape `(n_draws, n)`."""
    ess: float
    """Effective number of independent draws."""
    sampler: Sampler


def posterior(
    problem: Problem, eta: FloatArray, covariance: FloatArray, rng: np.random.Generator, n_draws: int
) -> Posterior:
    """Draws from the posterior about its mode `eta` `(n,)` with the approximate `covariance` `(n, n)`."""
    found, shape = importance_sample(problem, eta, covariance, rng, n_draws)
    if found.ess >= LEAST_ESS * min(1.0, n_draws / 4000.0) and shape <= LARGEST_SHAPE:
        return found
    return ensemble_sample(problem, found.draws, rng, n_draws)


def importance_sample(
    problem: Problem, eta: FloatArray, covariance: FloatArray, rng: np.random.Generator, n_draws: int
) -> tuple[Posterior, float]:
    """Draws chosen by weight, and the Pareto shape of the weights."""
    n = len(eta)
    normal = rng.standard_normal((n_draws, n))
    stretch = np.sqrt(_DEGREES_OF_FREEDOM / rng.chisquare(_DEGREES_OF_FREEDOM, n_draws))
    proposed = eta + stretch[:, None] * (normal @ np.linalg.cholesky(_SPREAD * covariance).T)
    squared = (normal**2).sum(axis=1) * stretch**2
    log_proposal = -0.5 * (_DEGREES_OF_FREEDOM + n) * np.log1p(squared / _DEGREES_OF_FREEDOM)
    log_weight = -0.5 * problem.objective(proposed) - log_proposal
    weight, shape = pareto_smoothed(np.exp(log_weight - log_weight.max()))
    even = (rng.uniform() + np.arange(n_draws)) / n_draws
    chosen = np.minimum(np.searchsorted(np.cumsum(weight), even), n_draws - 1)
    return Posterior(proposed[chosen], float(1.0 / (weight**2).sum()), Sampler.IMPORTANCE), shape


def pareto_smoothed(weight: FloatArray) -> tuple[FloatArray, float]:
    """Weights `(n,)` that sum to 1, the largest smoothed, and the shape k of their tail (infinite if too few)."""
    n_tail = int(min(0.2 * len(weight), 3.0 * np.sqrt(len(weight))))
    if n_tail < _FEWEST_TAIL:
        return weight / weight.sum(), np.inf
    order = np.argsort(weight)
    tail, threshold = order[-n_tail:], float(weight[order[-n_tail - 1]])
    excess = weight[tail] - threshold
    if excess[-1] <= 0.0 or excess[0] <= 0.0:
        return weight / weight.sum(), -np.inf
    shape, scale = _pareto_fit(excess)
    place = (np.arange(n_tail) + 0.5) / n_tail
    quantile = -np.log1p(-place) if abs(shape) < 1e-8 else np.expm1(-shape * np.log1p(-place)) / shape
    smoothed = weight.copy()
    smoothed[tail] = np.minimum(threshold + scale * quantile, weight[order[-1]])
    return smoothed / smoothed.sum(), shape


def _pareto_fit(excess: FloatArray) -> tuple[float, float]:
    """Shape and scale of a generalised Pareto distribution from sorted excesses, Zhang & Stephens 2009.

    The shape is drawn towards 0.5 by as much as ten observations would ([1], appendix).
    """
    n = len(excess)
    n_grid = 30 + int(np.sqrt(n))
    quartile = float(excess[int(n / 4 + 0.5) - 1])
    grid = 1.0 / excess[-1] + (1.0 - np.sqrt(n_grid / (np.arange(n_grid) + 0.5))) / (3.0 * quartile)
    shapes = np.log1p(-grid[:, None] * excess).mean(axis=1)
    profile = n * (np.log(-grid / shapes) - shapes - 1.0)
    weight = np.exp(profile - profile.max())
    theta = float((grid * weight).sum() / weight.sum())
    shape = float(np.log1p(-theta * excess).mean())
    return (n * shape + 5.0) / (n + 10.0), -shape / theta


def ensemble_sample(problem: Problem, start: FloatArray, rng: np.random.Generator, n_draws: int) -> Posterior:
    """Draws by the stretch move from walkers that begin at some of `start` `(n_start, n)`."""
    walkers = rng.choice(start, _WALKERS) + 1e-3 * rng.standard_normal((_WALKERS, start.shape[1]))
    chain = ensemble_chain(problem, walkers, rng, _WARM_UP_STEPS + _STEPS)[_WARM_UP_STEPS:]
    ess = min(effective_size(chain[:, :, each]) for each in range(chain.shape[2]))
    flat = chain.reshape(-1, chain.shape[2])
    chosen = np.linspace(0, len(flat) - 1, n_draws).astype(int)
    return Posterior(flat[chosen], min(ess, float(n_draws)), Sampler.ENSEMBLE)


def ensemble_chain(problem: Problem, walkers: FloatArray, rng: np.random.Generator, n_steps: int) -> FloatArray:
    """Every position of `walkers` `(n_walkers, n)`, an even number of them, shape `(n_steps, n_walkers, n)`."""
    half = len(walkers) // 2
    halves = [walkers[:half].copy(), walkers[half:].copy()]
    phi = [problem.objective(each) for each in halves]
    chain = np.empty((n_steps, *walkers.shape))
    for step in range(n_steps):
        for mine in (0, 1):
            halves[mine], phi[mine] = _stretched(problem, halves[mine], phi[mine], halves[1 - mine], rng)
        chain[step, :half], chain[step, half:] = halves
    return chain


def _stretched(
    problem: Problem, mine: FloatArray, phi: FloatArray, others: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    count, n = mine.shape
    z = (1.0 + (_STRETCH - 1.0) * rng.random(len(mine))) ** 2 / _STRETCH
    partners = others[rng.integers(len(others), size=count)]
    proposed = partners + z[:, None] * (mine - partners)
    new = problem.objective(proposed)
    taken = np.log(rng.uniform(size=count)) < (n - 1) * np.log(z) + 0.5 * (phi - new)
    return np.where(taken[:, None], proposed, mine), np.where(taken, new, phi)


def effective_size(chain: FloatArray) -> float:
    """Independent draws that walkers `(n_steps, n_walkers)` are worth, by their mean autocorrelation.

    Lags are added up to the first at which five times the sum so far is passed (Sokal's window).
    """
    n_steps, n_walkers = chain.shape
    centred = chain - chain.mean()
    spectrum = np.fft.rfft(centred, 2 * n_steps, axis=0)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2, axis=0)[:n_steps].mean(axis=1)
    if correlation[0] <= 0.0:
        return 1.0
    times = 2.0 * np.cumsum(correlation / correlation[0]) - 1.0
    window = np.arange(n_steps) >= 5.0 * times
    time = float(times[np.argmax(window)] if window.any() else times[-1])
    return float(n_steps * n_walkers / max(time, 1.0))
