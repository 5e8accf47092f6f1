"""Linear chains: what is put into the first of several compartments and passes through them, each by its own rate.

For distinct rates k_1 .. k_n the solution of x_1' = -k_1 x_1, x_i' = k_(i-1) x_(i-1) - k_i x_i after a unit into x_1 is
a sum of exponentials (Bateman 1910). Doses superpose exactly.
"""

from collections.abc import Sequence

import numpy as np

from twin_core.domain.history import FloatArray


def remaining_weights(rates_per_min: Sequence[float]) -> FloatArray:
    """Weights w of exponentials, shape `(n,)`: the share still in the chain is sum_j w_j exp(-k_j t)."""
    rates = np.array(rates_per_min)
    others = rates[None, :] / (rates[None, :] - rates[:, None] + np.eye(len(rates)))
    np.fill_diagonal(others, 1.0)
    return np.asarray(others.prod(axis=1))


def remaining(rates_per_min: Sequence[float], elapsed_min: FloatArray) -> FloatArray:
    """The share of a dose that has not yet left the last compartment, 1 before the dose."""
    decays = np.exp(-np.outer(np.maximum(elapsed_min, 0.0), rates_per_min))
    return np.asarray(decays @ remaining_weights(rates_per_min))


def in_last(rates_per_min: Sequence[float], elapsed_min: FloatArray) -> FloatArray:
    """The share of a dose that is in the last compartment, 0 before the dose."""
    weights = remaining_weights(rates_per_min) * np.array(rates_per_min) / rates_per_min[-1]
    decays = np.exp(-np.outer(np.maximum(elapsed_min, 0.0), rates_per_min))
    return np.where(elapsed_min >= 0.0, decays @ weights, 0.0)
