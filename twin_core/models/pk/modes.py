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
    """Rates and shares of three compartments from the roots l of the secular equation, [2].

    ``k10 - l (1 + k12 / (k21 - l) + k13 / (k31 - l)) = 0`` falls through zero once below, between and above the two
    poles k21 and k31. Each root is found as its distance from the nearest of 0 and the poles, because the weight,
    1 / (1 + k12 k21 / (k21 - l)^2 + k13 k31 / (k31 - l)^2), needs that distance to full precision.
    """
    swap = k21 > k31
    near, far = np.where(swap, k31, k21), np.where(swap, k21, k31)
    to_near, to_far = np.where(swap, k13, k12), np.where(swap, k12, k13)
    poles = np.stack([near, far])[:, :, None]
    flows = np.stack([to_near, to_far])[:, :, None]
    origin, sign, reach = _brackets(k10[:, None], poles, flows)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        distance = _distances(k10[:, None], poles, flows, origin, sign, reach)
        gaps = poles - origin - sign * distance
        share = 1.0 / (1.0 + (flows * poles / gaps**2).sum(axis=0))
    return origin + sign * distance, share


def _brackets(k10: FloatArray, poles: FloatArray, flows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """For each of the three roots: the origin to count from, the side, and how far the root can be."""
    near, far = poles
    zero = np.zeros_like(near)
    left = np.concatenate([zero, near, far], axis=1)
    half = np.concatenate([near / 2.0, (far - near) / 2.0, k10 + flows.sum(axis=0) + near], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = left + half
        beyond = k10 - middle * (1.0 + (flows / (poles - middle)).sum(axis=0)) > 0.0
    beyond[:, 2] = False
    right = np.concatenate([near, far, far], axis=1)
    return np.where(beyond, right, left), np.where(beyond, -1.0, 1.0), half


def _distances(
    k10: FloatArray, poles: FloatArray, flows: FloatArray, origin: FloatArray, sign: FloatArray, reach: FloatArray
) -> FloatArray:
    """Distances of the roots from their origins, to the last bits.

    Where the origin is a pole, the equation is ``P / d + S(d) = 0`` with a smooth S: each step solves it with S
    linearised, within a bracket. A root that this does not find is bisected among the bit patterns of the doubles,
    which are in the order of the numbers they stand for: 63 halvings reach the last bit of any magnitude.
    """
    offsets, pull = poles - origin, flows * poles
    apart = np.where(offsets == 0.0, 0.0, pull)
    pole = (pull - apart).sum(axis=0)
    low, high = np.zeros(reach.shape, dtype=np.int64), np.ascontiguousarray(2.0 * reach).view(np.int64)
    distance = reach / 2.0
    for step in range(_QUICK_STEPS + 63):
        gaps = offsets - sign * distance
        value = sign * (k10 - (origin + sign * distance) * (1.0 + (flows / gaps).sum(axis=0)))
        bits = distance.view(np.int64)
        low, high = np.where(value > 0.0, bits, low), np.where(value > 0.0, high, bits)
        slope = 1.0 + (apart / gaps**2).sum(axis=0)
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
