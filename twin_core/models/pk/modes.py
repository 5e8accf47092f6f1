"""Rates and weights of one, two or three compartments: how the central one answers to 1 mg.

References
----------
[1] Bertrand J, Mentre F. Mathematical expressions of the pharmacokinetic and pharmacodynamic models implemented in
    the Monolix software. 2008 (closed forms of one to three compartments).
[2] Golub GH. Some modified matrix eigenvalue problems. SIAM Review 1973;15:318-334, 10.1137/1015032 (roots of the
    secular equation of a bordered diagonal matrix, which three compartments are).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from twin_core.domain.drugs import Structure
from twin_core.domain.history import FloatArray

_UNCOUPLED_L_H = 1e-100
"""Stands for a flow of zero between compartments: no double can tell, and nothing divides by zero."""

_QUICK_STEPS = 12
"""After so many steps a root that has not been found is bisected."""
_QUADRATIC = 1e-9
"""A quick step of this share leaves an error of about its square."""
_THIRDS = (2.0 * np.pi / 3.0, -2.0 * np.pi / 3.0, 0.0)
"""Of a turn: they lead to the smallest, the middle and the largest root."""
_BLOCK_PATIENTS = 1024
"""Their arrays of three roots fit the processor's nearest cache."""


class Modes(NamedTuple):
    """The response of the central compartment to 1 mg: ``sum_i weight_i exp(-rate_i t)``."""

    rate: FloatArray
    """Shape `(n_patients, n_modes)` [1/h]."""
    weight: FloatArray
    """Shape `(n_patients, n_modes)`, not negative [1/L]."""


def modes_of(structure: Structure, parameters: Mapping[str, FloatArray]) -> Modes:
    """Rates and weights of the modes, from parameters of shape `(n_patients, 1)`."""
    V1 = parameters["V1_L"]
    k10 = parameters["CL_L_h"] / V1
    if structure is Structure.ONE_COMPARTMENT:
        return Modes(k10, 1.0 / V1)
    k12, k21 = _exchange(parameters["Q2_L_h"], V1, parameters["V2_L"])
    if structure is Structure.TWO_COMPARTMENT:
        rate, share = _two_modes(k10, k12, k21)
    else:
        k13, k31 = _exchange(parameters["Q3_L_h"], V1, parameters["V3_L"])
        rate, share = _three_modes(*(rates[:, 0] for rates in (k10, k12, k13, k21, k31)))
    return Modes(rate, share / V1)


def _exchange(Q: FloatArray, V1: FloatArray, V: FloatArray) -> tuple[FloatArray, FloatArray]:
    coupled = np.maximum(Q, _UNCOUPLED_L_H)
    return coupled / V1, coupled / V


def _two_modes(k10: FloatArray, k12: FloatArray, k21: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Rates and shares of two compartments, [1]; each difference in the one of its two forms that adds up."""
    excess = k10 + k12 - k21
    product = k12 * k21
    root = np.hypot(excess, 2.0 * np.sqrt(product))
    larger = (root + np.abs(excess)) / 2.0
    smaller = product / larger
    alpha = (k10 + k12 + k21 + root) / 2.0
    rate = np.concatenate([alpha, k10 * k21 / alpha], axis=1)
    share = np.concatenate([larger, smaller], axis=1) / root
    return rate, np.where(excess >= 0.0, share, share[:, ::-1])


def _three_modes(
    k10: FloatArray, k12: FloatArray, k13: FloatArray, k21: FloatArray, k31: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Rates and shares of three compartments, shapes `(n_patients, 3)`, a block of patients at a time."""
    n = max(each.size for each in (k10, k12, k13, k21, k31))
    columns = [np.broadcast_to(each, n) for each in (k10, k12, k13, k21, k31)]
    rate, share = np.empty((3, n)), np.empty((3, n))
    for first in range(0, n, _BLOCK_PATIENTS):
        block = slice(first, first + _BLOCK_PATIENTS)
        rate[:, block], share[:, block] = _three_of_block(*(column[block] for column in columns))
    return rate.T, share.T


class _Equation(NamedTuple):
    """``k10 - l (1 + flow_near / (near - l) + flow_far / (far - l)) = 0``, near < far; each array `(n_patients,)`."""

    k10: FloatArray
    near: FloatArray
    far: FloatArray
    flow_near: FloatArray
    flow_far: FloatArray

    def excess(self, rate: FloatArray, to_near: FloatArray, to_far: FloatArray) -> FloatArray:
        """Its left side at `rate`, from the distances to the poles."""
        return self.k10 - rate * (1.0 + self.flow_near / to_near + self.flow_far / to_far)


def _three_of_block(
    k10: FloatArray, k12: FloatArray, k13: FloatArray, k21: FloatArray, k31: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Rates and shares, shapes `(3, n_patients)`, from the roots l of the secular equation, [2].

    It falls through zero once below, between and above the two poles k21 and k31. Each root is found as its distance
    from the nearest of 0 and the poles, because the weight,
    1 / (1 + k12 k21 / (k21 - l)^2 + k13 k31 / (k31 - l)^2), needs that distance to full precision.
    """
    swap = k21 > k31
    equation = _Equation(
        k10,
        near=np.where(swap, k31, k21),
        far=np.where(swap, k21, k31),
        flow_near=np.where(swap, k13, k12),
        flow_far=np.where(swap, k12, k13),
    )
    origin, sign, reach = _brackets(equation)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        guess = np.abs(_trigonometric(equation) - origin)
        distance = np.where((guess > 0.0) & (guess < 2.0 * reach), guess, reach / 2.0)
        offset = sign * _distances(equation, origin, sign, reach, distance)
        pulls = equation.flow_near * equation.near, equation.flow_far * equation.far
        gaps = equation.near - origin - offset, equation.far - origin - offset
        share = 1.0 / (1.0 + pulls[0] / gaps[0] ** 2 + pulls[1] / gaps[1] ** 2)
    return origin + offset, share


def _trigonometric(equation: _Equation) -> FloatArray:
    """The roots by the cosines of Viete, shape `(3, n_patients)`: right to the last digits of the largest, [1]."""
    k10, near, far, flow_near, flow_far = equation
    mean = (k10 + near + far + flow_near + flow_far) / 3.0
    pairs = near * far + near * flow_far + far * flow_near + k10 * (near + far)
    spread = np.sqrt(np.maximum(mean**2 - pairs / 3.0, 0.0))
    skew = (mean**3 - mean * pairs / 2.0 + k10 * near * far / 2.0) / spread**3
    angle = np.arccos(np.clip(skew, -1.0, 1.0)) / 3.0
    return np.stack([mean + 2.0 * spread * np.cos(angle + turn) for turn in _THIRDS])


def _brackets(equation: _Equation) -> tuple[FloatArray, FloatArray, FloatArray]:
    """For each of the three roots: the origin to count from, the side, and how far the root can be."""
    near, far = equation.near, equation.far
    left = np.stack([np.zeros_like(near), near, far])
    half = np.stack([near / 2.0, (far - near) / 2.0, equation.k10 + equation.flow_near + equation.flow_far + near])
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = left + half
        beyond = equation.excess(middle, near - middle, far - middle) > 0.0
    beyond[2] = False
    right = np.stack([near, far, far])
    return np.where(beyond, right, left), np.where(beyond, -1.0, 1.0), half


def _distances(
    equation: _Equation, origin: FloatArray, sign: FloatArray, reach: FloatArray, distance: FloatArray
) -> FloatArray:
    """Distances of the roots from their origins, to the last bits, from a first guess.

    Where the origin is a pole, the equation is ``P / d + S(d) = 0`` with a smooth S: each step solves it with S
    linearised, within a bracket. A root that this does not find is bisected among the bit patterns of the doubles,
    which are in the order of the numbers they stand for: 63 halvings reach the last bit of any magnitude.
    """
    from_near, from_far = equation.near - origin, equation.far - origin
    pull_near, pull_far = equation.flow_near * equation.near, equation.flow_far * equation.far
    at_near, at_far = from_near == 0.0, from_far == 0.0
    apart_near, apart_far = np.where(at_near, 0.0, pull_near), np.where(at_far, 0.0, pull_far)
    pole = np.where(at_near, pull_near, 0.0) + np.where(at_far, pull_far, 0.0)
    low, high = np.zeros(reach.shape, dtype=np.int64), np.ascontiguousarray(2.0 * reach).view(np.int64)
    for step in range(_QUICK_STEPS + 63):
        offset = sign * distance
        to_near, to_far = from_near - offset, from_far - offset
        value = sign * equation.excess(origin + offset, to_near, to_far)
        bits = distance.view(np.int64)
        low, high = np.where(value > 0.0, bits, low), np.where(value > 0.0, high, bits)
        slope = 1.0 + apart_near / to_near**2 + apart_far / to_far**2
        linear = value - pole / distance + slope * distance
        root = np.sqrt(linear**2 + 4.0 * slope * pole)
        solved = np.where(linear >= 0.0, (linear + root) / (2.0 * slope), 2.0 * pole / (root - linear))
        found = np.abs(solved - distance) <= _QUADRATIC * distance
        inside = (solved > low.view(np.float64)) & (solved < high.view(np.float64))
        bisected = (low + (high - low) // 2).view(np.float64)
        distance = np.where(found | (inside & (step < _QUICK_STEPS)), solved, bisected)
        if np.all(found | (high - low <= 1)):
            break
    return distance
