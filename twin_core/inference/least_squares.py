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
"""Stop when a step would lower the cost by less than this share of 1 + cost."""
_FEW_STEPS = 3
"""So many steps that together lowered the cost by less than that end the search too: the model has kinks, about which a
Gauss-Newton step may expect more for ever than there is."""
_NEARLY_UNDAMPED = 1e-2
"""Only a nearly full Gauss-Newton step shows by the small gain expected of it that the minimum is near."""
_POOR = 0.25
"""A step that gains less than this share of what was expected of it went too far."""
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
    costs = [np.inf] * _FEW_STEPS
    for iteration in range(iterations):
        progress(iteration / iterations)
        if costs[-_FEW_STEPS] - cost < _SMALLEST_GAIN * (1.0 + cost):
            return Minimum(z=z, cost=cost, iterations=iteration, converged=True)
        costs.append(cost)
        J = jacobian(z)
        slope = J.T @ residuals + z
        free = ~((np.abs(z) >= bound) & (slope * z < 0.0))
        hessian = (J.T @ J + np.eye(len(z)))[np.ix_(free, free)]
        while True:
            step = np.zeros_like(z)
            step[free] = np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), -slope[free])
            expected = -0.5 * float(slope @ step)
            if damping <= _NEARLY_UNDAMPED and expected < _SMALLEST_GAIN * (1.0 + cost):
                return Minimum(z=z, cost=cost, iterations=iteration + 1, converged=True)
            trial = np.clip(z + step, -bound, bound)
            moved = data(trial)
            lower = _cost(moved, trial)
            kept = cost - lower > _POOR * expected
            damping = damping / 10.0 if kept else max(10.0 * damping, 1e-3)
            if lower < cost:
                break
            if damping > _HIGHEST_DAMPING:
                return Minimum(z=z, cost=cost, iterations=iteration + 1, converged=False)
        z, residuals, cost = trial, moved, lower
    return Minimum(z=z, cost=cost, iterations=iterations, converged=False)


def _cost(residuals: FloatArray, z: FloatArray) -> float:
    cost = 0.5 * float(residuals @ residuals + z @ z)
    return cost if np.isfinite(cost) else np.inf
