"""The smallest sum of squares within bounds, for a problem whose prior makes it well-behaved (Levenberg, Marquardt).

The residual vector is data and prior together; the prior, in whitened coordinates, is the coordinate itself, so that
the cost is `(|data(z)|^2 + |z|^2) / 2` and the Gauss-Newton matrix never falls below the identity. What is minimised
has few coordinates and many residuals, so that normal equations are solved; a coordinate on its bound stays there
while the slope presses it outwards.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from twin_core.domain.history import FloatArray

_SMALLEST_GAIN = 3e-4
"""Stop when a step would lower, or lowers, the cost by less than this share of 1 + cost."""
_HIGHEST_DAMPING = 1e6


@dataclass(frozen=True, kw_only=True)
class Minimum:
    """Where the cost is least, and how it got there."""

    z: FloatArray
    cost: float
    iterations: int
    converged: bool


def least_squares(
    data: Callable[[FloatArray], FloatArray],
    jacobian: Callable[[FloatArray], FloatArray],
    start: FloatArray,
    bound: FloatArray,
    *,
    iterations: int,
    progress: Callable[[float], object] = lambda _share: None,
) -> Minimum:
    """Minimise `(|data(z)|^2 + |z|^2) / 2` for `|z| <= bound`.

    Parameters
    ----------
    data
        Whitened residuals, shape `(n_residuals,)`; numbers that are not finite count as an infinite cost.
    jacobian
        Their derivatives, shape `(n_residuals, n)`.
    progress
        Called with the share of `iterations` done.
    """
    z = np.clip(start, -bound, bound)
    residuals = data(z)
    cost, damping = _cost(residuals, z), 1e-3
    for iteration in range(iterations):
        progress(iteration / iterations)
        J = jacobian(z)
        slope = J.T @ residuals + z
        free = ~((np.abs(z) >= bound) & (slope * z < 0.0))
        hessian = (J.T @ J + np.eye(len(z)))[np.ix_(free, free)]
        while True:
            step = np.zeros_like(z)
            step[free] = np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), -slope[free])
            trial = np.clip(z + step, -bound, bound)
            moved = data(trial)
            lower = _cost(moved, trial)
            if lower < cost or damping > _HIGHEST_DAMPING:
                break
            if -(slope @ step) < _SMALLEST_GAIN * (1.0 + cost):
                return Minimum(z=z, cost=cost, iterations=iteration + 1, converged=True)
            damping = max(10.0 * damping, 1e-3)
        if not lower < cost:
            return Minimum(z=z, cost=cost, iterations=iteration + 1, converged=False)
        gain, z, residuals, cost = cost - lower, trial, moved, lower
        damping /= 10.0
        if gain < _SMALLEST_GAIN * (1.0 + cost):
            return Minimum(z=z, cost=cost, iterations=iteration + 1, converged=True)
    return Minimum(z=z, cost=cost, iterations=iterations, converged=False)


def _cost(residuals: FloatArray, z: FloatArray) -> float:
    cost = 0.5 * float(residuals @ residuals + z @ z)
    return cost if np.isfinite(cost) else np.inf
