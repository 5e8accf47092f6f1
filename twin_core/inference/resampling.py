"""Draws from the posterior itself, on request: what the normal approximation got wrong is mended.

Candidates come from a t distribution about the most probable coordinates, scaled by the normal approximation's
covariance; each is weighted by posterior over proposal density and drawn again in proportion (sampling importance
resampling; Rubin 1987, J Am Stat Assoc 82(398):543). The effective sample size, (sum w)^2 / sum w^2, says how many
independent draws the weights are worth: with thirty coordinates few, so that drawing again makes copies. Therefore
every draw then takes steps of its own by Metropolis' rule, which keep the posterior: towards the middle and out again,
`z' = m + sqrt(1 - b^2)(z - m) + b L x` with x standard normal, which would always be accepted if the posterior were
normal with mean m and covariance LL' (preconditioned Crank-Nicolson; Cotter et al. 2013, Stat Sci 28(3):424,
doi 10.1214/13-STS421).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from twin_core.domain.history import FloatArray
from twin_core.inference.error_model import Whitening
from twin_core.inference.map_fit import Posterior, Problem
from twin_core.inference.priors import PLAUSIBLE_SDS

DEGREES_OF_FREEDOM = 10.0
"""Of the proposals: with dozens of coordinates heavier tails would throw most candidates far away (a choice)."""
CANDIDATES_PER_DRAW = 4
STEPS = 30
_STEP_SHARES = (0.2, 0.5)
"""b of small and large steps, in turn (a choice: a quarter to a half of them are accepted)."""
_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """Draws of the posterior.

    Attributes
    ----------
    z
        Shape `(n, n_coordinates)`, whitened, see `Problem`.
    parameters
        The model's parameters, arrays of shape `(n,)`.
    effective_sample_size
        How many independent draws the weighted candidates were worth, before the steps.
    accepted_share
        Of the steps.
    """

    z: FloatArray
    parameters: Any
    effective_sample_size: float
    accepted_share: float


def resampled(
    problem: Problem, posterior: Posterior, n: int, rng: np.random.Generator, steps: int = STEPS
) -> Resampled:
    """`n` draws of the posterior under the error model that the fit found, after `steps` steps each."""
    factor: FloatArray = np.asarray(np.linalg.cholesky(posterior.covariance), dtype=np.float64)
    candidates, log_proposal = _proposed(posterior.z, factor, n * CANDIDATES_PER_DRAW, rng)
    log_density = _log_posterior(problem, posterior, candidates)
    log_weight = log_density - log_proposal
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    chosen = rng.choice(len(weight), size=n, p=weight)
    z, density = candidates[chosen], log_density[chosen]
    accepted = 0
    for number in range(steps):
        b = _STEP_SHARES[number % len(_STEP_SHARES)]
        moved = posterior.z + np.sqrt(1.0 - b * b) * (z - posterior.z) + b * rng.normal(size=z.shape) @ factor.T
        there = _log_posterior(problem, posterior, moved)
        gain = there - density + _half_squares(moved, posterior.z, factor) - _half_squares(z, posterior.z, factor)
        taken = np.log(rng.uniform(size=n)) < gain
        z, density = np.where(taken[:, None], moved, z), np.where(taken, there, density)
        accepted += int(taken.sum())
    return Resampled(
        z=z,
        parameters=problem.parameters(z),
        effective_sample_size=float(1.0 / np.sum(weight**2)),
        accepted_share=accepted / (n * max(steps, 1)),
    )


def _proposed(
    middle: FloatArray, factor: FloatArray, n: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Candidates and the log density of each, up to a constant."""
    size = len(middle)
    scale = np.sqrt(DEGREES_OF_FREEDOM / rng.chisquare(DEGREES_OF_FREEDOM, size=n))
    steps = rng.normal(size=(n, size)) * scale[:, None]
    log_density = -0.5 * (DEGREES_OF_FREEDOM + size) * np.log1p((steps**2).sum(axis=1) / DEGREES_OF_FREEDOM)
    return middle + steps @ factor.T, log_density


def _half_squares(z: FloatArray, middle: FloatArray, factor: FloatArray) -> FloatArray:
    """Half the squared distance from the middle, in SDs of the normal approximation."""
    steps = np.linalg.solve(factor, (z - middle).T)
    return np.asarray(0.5 * (steps**2).sum(axis=0))


def _log_posterior(problem: Problem, posterior: Posterior, z: FloatArray) -> FloatArray:
    """Log posterior density of each row, up to a constant; what is implausible or not finite is impossible."""
    plausible = np.clip(z, -PLAUSIBLE_SDS, PLAUSIBLE_SDS)
    pieces = [_misfit(problem, posterior, plausible[first : first + _AT_ONCE]) for first in range(0, len(z), _AT_ONCE)]
    log_density = -0.5 * (np.concatenate(pieces) + (z**2).sum(axis=1))
    return np.where((plausible == z).all(axis=1) & np.isfinite(log_density), log_density, -np.inf)


def _misfit(problem: Problem, posterior: Posterior, z: FloatArray) -> FloatArray:
    residuals = (problem.predict(z) - problem.readings).T
    return np.asarray((Whitening.of(posterior.error, problem.gaps_min)(residuals) ** 2).sum(axis=0))
