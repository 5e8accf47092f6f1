r"""What passes through a chain of absorption stages into one mode, in a form in which nothing cancels.

A dose of 1 mg in the first of n stages, each left at rate a, reaches a mode of rate b as

    a^n H_n(a, b; t),    H_n = int_0^t s^(n-1) / (n-1)! exp(-a s) exp(-b (t - s)) ds

With x = |a - b| t the integral is ``t^n exp(-b t)`` times P(n, x) / x^n where a >= b (P: regularised lower incomplete
gamma function), and ``t^n exp(-a t)`` times the integral over (0, 1) of u^(n-1) / (n-1)! exp(-x (1 - u)) where a < b.
For n = 1 both are (1 - exp(-x)) / x: the textbook's (exp(-b t) - exp(-a t)) / (a - b), also where a meets b.
"""

from math import factorial

import numpy as np

from twin_core.domain.history import FloatArray

_SMALL = 1e-8
"""Below this, two terms of the series about 0 are exact."""


def phi(x: FloatArray) -> FloatArray:
    """(1 - exp(-x)) / x for x >= 0, which is 1 at 0."""
    return np.divide(-np.expm1(-x), x, out=np.ones_like(x), where=x > 0.0)


def gain(a: FloatArray, b: FloatArray, t: FloatArray | float, stages: int = 1) -> FloatArray:
    """H_n(a, b; t) for t >= 0; shapes broadcast [h^n]."""
    shift = np.abs(a - b) * t
    if stages == 1:
        return t * np.exp(-np.minimum(a, b) * t) * phi(shift)
    shape = _through_slow_mode(stages, shift)
    if np.any(a < b):
        shape = np.where(a < b, _through_slow_chain(stages, shift), shape)
    return np.asarray(t**stages * np.exp(-np.minimum(a, b) * t) * shape)


def passed_on(a: FloatArray, t: FloatArray | float, stages: int) -> FloatArray:
    """Share of a stage's content that is `stages` stages further after t: a Poisson probability."""
    return np.asarray((a * t) ** stages / factorial(stages) * np.exp(-a * t))


def _through_slow_mode(n: int, x: FloatArray) -> FloatArray:
    """P(n, x) / x^n, which is 1 / n! at 0."""
    from scipy.special import gammainc

    large = np.maximum(x, _SMALL)
    near_0 = (1.0 - n * x / (n + 1.0)) / factorial(n)
    return np.where(x > _SMALL, gammainc(n, large) / large**n, near_0)


def _through_slow_chain(n: int, y: FloatArray) -> FloatArray:
    """``int_0^1 u^(n-1) / (n-1)! exp(-y (1 - u)) du``: upwards from n = 1 where y is large, else its power series."""
    large = np.maximum(y, 2.0 * n)
    above = phi(large)
    for stage in range(2, n + 1):
        above = (1.0 / factorial(stage - 1) - above) / large
    small = np.minimum(y, 2.0 * n)
    term, below = np.ones_like(small), np.full_like(small, 1.0 / n)
    for order in range(1, 4 * n + 40):
        term = term * small / order
        below = below + term / (n + order)
    return np.where(y > 2.0 * n, above, np.exp(-small) * below / factorial(n - 1))
