r"""Linear pharmacokinetics of one, two or three compartments, solved exactly.

The concentration after 1 mg into the central compartment is a sum of modes, ``sum_i w_i exp(-l_i t)``, with
rates l_i >= 0 [1/h] and weights w_i >= 0 [1/L]. Every dose adds to the *content* X_i [mg] of each mode, and the
concentration is ``sum_i w_i X_i(t)``. With phi(x) = (1 - exp(-x)) / x:

    at once          X_i(t) = D exp(-l_i t)
    infusion over T  X_i(t) = D (u / T) phi(l_i u) exp(-l_i (t - u)),   u = min(t, T)
    absorption k_a   X_i(t) = F D k_a G(k_a, l_i; t),                   t after the lag
                     G(a, b; t) = (exp(-b t) - exp(-a t)) / (a - b) = t exp(-min(a, b) t) phi(|a - b| t)

A dose given every tau since ever multiplies exp(-l t) by g(l) = 1 / (1 - exp(-l tau)); the content of an absorbed
one just after a dose is F D k_a G(k_a, l_i; tau) g(k_a) g(l_i). Contents are carried from dose to dose, so that a
time costs one exponential a mode however many doses came before it.

All terms of all sums are positive: nothing cancels where k_a meets a rate, where clearance or the duration of an
infusion goes to zero. Left out: anything nonlinear, zero-order absorption, parameters that change with time.

References
----------
[1] Bertrand J, Mentre F. Mathematical expressions of the pharmacokinetic and pharmacodynamic models implemented in
    the Monolix software. 2008 (closed forms of one to three compartments).
[2] Golub GH. Some modified matrix eigenvalue problems. SIAM Review 1973;15:318-334, 10.1137/1015032 (roots of the
    secular equation of a bordered diagonal matrix, which three compartments are).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twin_core.domain.drugs import ABSORPTION, PK_QUANTITIES, Dose, Structure
from twin_core.domain.errors import BadInput, OutOfRange, UnknownName
from twin_core.domain.history import FloatArray

_UNCOUPLED_L_H = 1e-100
"""Stands for a flow of zero between compartments: no double can tell, and nothing divides by zero."""


_BLOCK_NUMBERS = 32_768
"""Numbers in one array of a block of patients: 256 KiB."""


class Modes(NamedTuple):
    """The response of the central compartment to 1 mg: ``sum_i weight_i exp(-rate_i t)``."""

    rate: FloatArray
    """Shape `(n_patients, n_modes)` [1/h]."""
    weight: FloatArray
    """Shape `(n_patients, n_modes)`, not negative [1/L]."""


class Absorption(NamedTuple):
    """First-order absorption, each of shape `(n_patients, 1)`."""

    k_a: FloatArray
    lag: FloatArray
    F: FloatArray


class _Jumps(NamedTuple):
    """What is added to a content at given times."""

    time: FloatArray
    """Shape `(n_jumps,)`, increasing [h]."""
    amount: FloatArray
    """Shape `(n_patients, n_jumps)` [mg]."""


def concentration(
    structure: Structure, parameters: Mapping[str, ArrayLike], doses: Sequence[Dose], times_h: ArrayLike
) -> FloatArray:
    """Concentration in the central compartment.

    At the very time of a dose the answer is the one just after it. Before its time a dose counts for nothing, a
    steady state neither.

    Parameters
    ----------
    parameters
        By the names of `PK_QUANTITIES`, each a number or of shape `(n_patients,)`.
    times_h
        Shape `(n_times,)`, in any order [h].

    Returns
    -------
    FloatArray
        Shape `(n_patients, n_times)` [mg/L].

    Raises
    ------
    UnknownName, BadInput, OutOfRange
        If a parameter is unknown, missing or outside the limits of the engine.
    """
    checked = _checked(structure, parameters, doses)
    modes = modes_of(structure, checked)
    times = np.asarray(times_h, dtype=float)
    total = np.zeros((modes.rate.shape[0], times.size))
    for rows in _blocks(*total.shape):
        block = {name: column[rows] for name, column in checked.items()}
        for mode in range(modes.rate.shape[1]):
            content = _content(modes.rate[rows, mode, None], block, doses, times)
            total[rows] += modes.weight[rows, mode, None] * content
    return total


def _blocks(n_patients: int, n_times: int) -> Iterator[slice]:
    """Slices of patients whose arrays of times fit the processor's cache: twice as fast as all at once."""
    size = max(1, _BLOCK_NUMBERS // max(1, n_times))
    return (slice(first, first + size) for first in range(0, n_patients, size))


def area(
    structure: Structure, parameters: Mapping[str, ArrayLike], doses: Sequence[Dose], start_h: float, end_h: float
) -> FloatArray:
    """Area under the concentration from `start_h` to `end_h`, exactly.

    From dX/dt = input - rate X, the area under a content is (input + X(start) - X(end)) / rate.

    Returns
    -------
    FloatArray
        Shape `(n_patients,)` [mg h/L].

    Raises
    ------
    BadInput
        If a clearance is zero: nothing then bounds the area. If a steady state begins within the window: its drug
        stands there at once, so that the area would depend on what was before.
    """
    checked = _checked(structure, parameters, doses)
    if any(dose.steady_state and start_h < dose.time_h < end_h for dose in doses):
        raise BadInput(f"A steady state must not begin between {start_h:g} and {end_h:g} h, where the area is taken.")
    if np.any(checked["CL_L_h"] <= 0.0):
        raise BadInput("An area under the curve needs a clearance above zero.")
    modes = modes_of(structure, checked)
    ends = np.array([start_h, end_h])
    entered = _entered(checked, doses, ends)
    total = np.zeros(modes.rate.shape[0])
    for mode in range(modes.rate.shape[1]):
        content = _content(modes.rate[:, [mode]], checked, doses, ends)
        total += modes.weight[:, mode] / modes.rate[:, mode] * (entered + content[:, 0] - content[:, 1])
    return total


def modes_of(structure: Structure, parameters: Mapping[str, FloatArray]) -> Modes:
    """Rates and weights of the modes, from parameters of shape `(n_patients, 1)`."""
    p = {name: parameters[name][:, 0] for name in structure.disposition}
    k10 = p["CL_L_h"] / p["V1_L"]
    if structure is Structure.ONE_COMPARTMENT:
        return Modes(k10[:, None], 1.0 / p["V1_L"][:, None])
    k12, k21 = _exchange(p["Q2_L_h"], p["V1_L"], p["V2_L"])
    if structure is Structure.TWO_COMPARTMENT:
        rate, share = _two_modes(k10, k12, k21)
    else:
        k13, k31 = _exchange(p["Q3_L_h"], p["V1_L"], p["V3_L"])
        rate, share = _three_modes(k10, (k12, k13), (k21, k31))
    return Modes(rate, share / p["V1_L"][:, None])


def _exchange(Q: FloatArray, V1: FloatArray, V: FloatArray) -> tuple[FloatArray, FloatArray]:
    coupled = np.maximum(Q, _UNCOUPLED_L_H)
    return coupled / V1, coupled / V


def _two_modes(k10: FloatArray, k12: FloatArray, k21: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Rates and shares of two compartments, [1]; each difference in the one of its two forms that adds up."""
    excess = k10 + k12 - k21
    root = np.hypot(excess, 2.0 * np.sqrt(k12 * k21))
    larger = (root + np.abs(excess)) / 2.0
    smaller = k12 * k21 / larger
    alpha = (k10 + k12 + k21 + root) / 2.0
    alpha_minus_k21 = np.where(excess >= 0.0, larger, smaller)
    k21_minus_beta = np.where(excess >= 0.0, smaller, larger)
    rate = np.stack([alpha, k10 * k21 / alpha], axis=1)
    return rate, np.stack([alpha_minus_k21, k21_minus_beta], axis=1) / root[:, None]


def _three_modes(
    k10: FloatArray, outward: tuple[FloatArray, FloatArray], back: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Rates and shares of three compartments from the roots l of the secular equation, [2].

    ``k10 - l (1 + k12 / (k21 - l) + k13 / (k31 - l)) = 0`` falls through zero once below, between and above the two
    poles k21 and k31. Each root is found as its distance from the nearest of 0 and the poles, because the weight,
    1 / (1 + k12 k21 / (k21 - l)^2 + k13 k31 / (k31 - l)^2), needs that distance to full precision.
    """
    swap = back[0] > back[1]
    near, far = np.where(swap, back[1], back[0]), np.where(swap, back[0], back[1])
    to_near, to_far = np.where(swap, outward[1], outward[0]), np.where(swap, outward[0], outward[1])
    poles = np.stack([near, far])[:, :, None]
    flows = np.stack([to_near, to_far])[:, :, None]
    origin, sign, reach = _brackets(k10[:, None], poles, flows)
    with np.errstate(divide="ignore", over="ignore"):
        distance = _distances(k10[:, None], poles - origin, flows, origin, sign, reach)
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
    k10: FloatArray, offsets: FloatArray, flows: FloatArray, origin: FloatArray, sign: FloatArray, reach: FloatArray
) -> FloatArray:
    """Distances of the roots from their origins, to the last bit.

    Bisects the bit patterns of the doubles, which are in the order of the numbers they stand for: 63 halvings reach
    the last bit of any magnitude.
    """
    low, high = np.zeros(reach.shape, dtype=np.int64), np.ascontiguousarray(2.0 * reach).view(np.int64)
    for _ in range(63):
        middle = low + (high - low) // 2
        distance = middle.view(np.float64)
        value = k10 - (origin + sign * distance) * (1.0 + (flows / (offsets - sign * distance)).sum(axis=0))
        farther = (value > 0.0) == (sign > 0.0)
        low, high = np.where(farther, middle, low), np.where(farther, high, middle)
    return high.view(np.float64)


def _content(
    rate: FloatArray, parameters: Mapping[str, FloatArray], doses: Sequence[Dose], times: FloatArray
) -> FloatArray:
    """Content of one mode with `rate` of shape `(n_patients, 1)`; shape `(n_patients, n_times)` [mg]."""
    injected = [dose for dose in doses if not dose.route.is_absorbed]
    absorbed = [dose for dose in doses if dose.route.is_absorbed]
    content = np.zeros((rate.shape[0], times.size))
    if injected:
        content += _injected(rate, injected, times)
    if absorbed:
        content += _absorbed(rate, _absorption(parameters), absorbed, times)
    return content


def _injected(rate: FloatArray, doses: Sequence[Dose], times: FloatArray) -> FloatArray:
    """Content from intravenous doses: what has entered, carried on, and what is running in."""
    content = _carried(rate, _injections(rate, doses), times)
    for dose in doses:
        for start in dose.times_h:
            running = (times >= start) & (times < start + dose.duration_h)
            if running.any():
                elapsed = times[running] - start
                content[:, running] += dose.amount_mg * (elapsed / dose.duration_h) * _phi(rate * elapsed)
    return content


def _injections(rate: FloatArray, doses: Sequence[Dose]) -> _Jumps:
    """Each finished infusion as what it left at its end, each steady state as what it left at its start."""
    jumps: list[tuple[float, FloatArray]] = []
    for dose in doses:
        left = dose.amount_mg * _phi(rate * dose.duration_h)
        jumps += [(start + dose.duration_h, left) for start in dose.times_h]
        if dose.steady_state and dose.interval_h is not None:
            earlier = left * np.exp(-rate * (dose.interval_h - dose.duration_h)) * _ever(rate, dose.interval_h)
            jumps.append((dose.time_h, earlier))
    jumps.sort(key=lambda jump: jump[0])
    return _Jumps(np.array([time for time, _ in jumps]), np.concatenate([amount for _, amount in jumps], axis=1))


def _carried(rate: FloatArray, jumps: _Jumps, times: FloatArray) -> FloatArray:
    """Content that jumps at given times and falls by `rate` between them."""
    after = jumps.amount.copy()
    falls = np.exp(-rate * np.diff(jumps.time))
    for jump in range(1, after.shape[1]):
        after[:, jump] += after[:, jump - 1] * falls[:, jump - 1]
    last, since = _last_jump(jumps.time, times)
    return _at(after, last) * np.exp(-rate * since) * (last >= 0)


def _absorbed(rate: FloatArray, absorption: Absorption, doses: Sequence[Dose], times: FloatArray) -> FloatArray:
    """Content from doses that pass through absorption, on the clock that starts after the lag."""
    clock = times - _lag_of(absorption)
    starts, gut, body = _arrivals(rate, absorption, doses)
    for now in range(1, starts.size):
        waited = starts[now] - starts[now - 1]
        body[:, [now]] += _later(rate, absorption.k_a, gut[:, [now - 1]], body[:, [now - 1]], waited)
        gut[:, [now]] += gut[:, [now - 1]] * np.exp(-absorption.k_a * waited)
    last, since = _last_jump(starts, clock)
    content = _later(rate, absorption.k_a, _at(gut, last), _at(body, last), since) * (last >= 0)
    for dose, waiting, since in _waiting(absorption, doses, times):
        content += waiting * _later(rate, absorption.k_a, *_steady(rate, absorption, dose), since)
    return content


def _in_gut(absorption: Absorption, doses: Sequence[Dose], times: FloatArray) -> FloatArray:
    """What waits in the gut after its lag, shape `(n_patients, n_times)` [mg]."""
    starts, gut, _ = _arrivals(absorption.k_a, absorption, doses)
    content = _carried(absorption.k_a, _Jumps(starts, gut), times - _lag_of(absorption))
    for dose, waiting, since in _waiting(absorption, doses, times):
        content += waiting * _steady(absorption.k_a, absorption, dose)[0] * np.exp(-absorption.k_a * since)
    return content


def _lag_of(absorption: Absorption) -> FloatArray:
    """The lag, as one number where all patients share it: they then share the search for the last dose too."""
    return absorption.lag if np.ptp(absorption.lag) > 0.0 else absorption.lag[0]


def _arrivals(
    rate: FloatArray, absorption: Absorption, doses: Sequence[Dose]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """When doses are taken, and what each adds to gut and body; the latter two `(n_patients, n_doses)`."""
    arrivals: list[tuple[float, FloatArray, FloatArray]] = []
    for dose in doses:
        arrivals += [(start, absorption.F * dose.amount_mg, np.zeros_like(rate)) for start in dose.times_h]
        if dose.steady_state and dose.interval_h is not None:
            gut, body = _steady(rate, absorption, dose)
            arrivals.append((dose.time_h, gut * np.exp(-absorption.k_a * dose.interval_h), body))
    arrivals.sort(key=lambda arrival: arrival[0])
    times = np.array([time for time, _, _ in arrivals])
    return times, np.concatenate([a[1] for a in arrivals], axis=1), np.concatenate([a[2] for a in arrivals], axis=1)


def _steady(rate: FloatArray, absorption: Absorption, dose: Dose) -> tuple[FloatArray, FloatArray]:
    """What is in gut and body just after a dose that has been taken every interval since ever [mg]."""
    interval = dose.interval_h or 0.0
    gut = absorption.F * dose.amount_mg * _ever(absorption.k_a, interval)
    return gut, gut * absorption.k_a * _gain(absorption.k_a, rate, interval) * _ever(rate, interval)


def _waiting(
    absorption: Absorption, doses: Sequence[Dose], times: FloatArray
) -> Iterator[tuple[Dose, NDArray[np.bool_], FloatArray]]:
    """Steady states whose first lag holds some of the times: where, and the time since an earlier dose acted."""
    for dose in doses:
        clock = times - dose.time_h - absorption.lag
        waiting = (times >= dose.time_h) & (clock < 0.0)
        if dose.steady_state and dose.interval_h is not None and waiting.any():
            yield dose, waiting, clock - dose.interval_h * np.floor(clock / dose.interval_h)


def _later(
    rate: FloatArray, k_a: FloatArray, gut: FloatArray, body: FloatArray, elapsed: FloatArray | float
) -> FloatArray:
    """Content after `elapsed`, from what was in gut and body."""
    return body * np.exp(-rate * elapsed) + gut * k_a * _gain(k_a, rate, elapsed)


def _last_jump(jumps: FloatArray, times: FloatArray) -> tuple[NDArray[np.intp], FloatArray]:
    """The last jump before each time (-1 if none) and the time since then (0 if none)."""
    last = np.searchsorted(jumps, times, side="right") - 1
    return last, np.where(last >= 0, times - jumps[last], 0.0)


def _at(values: FloatArray, last: NDArray[np.intp]) -> FloatArray:
    """Columns of `values` `(n_patients, n_jumps)` for `last` of shape `(n_times,)` or `(n_patients, n_times)`."""
    return values[:, last] if last.ndim == 1 else np.take_along_axis(values, last, axis=1)


def _gain(a: FloatArray, b: FloatArray, t: FloatArray | float) -> FloatArray:
    """(exp(-b t) - exp(-a t)) / (a - b), also where a meets b."""
    return t * np.exp(-np.minimum(a, b) * t) * _phi(np.abs(a - b) * t)


def _ever(rate: FloatArray, interval: float) -> FloatArray:
    """Sum over all earlier intervals: 1 / (1 - exp(-rate interval))."""
    return -1.0 / np.expm1(-rate * interval)


def _phi(x: FloatArray) -> FloatArray:
    """(1 - exp(-x)) / x for x >= 0, which is 1 at 0."""
    return np.divide(-np.expm1(-x), x, out=np.ones_like(x), where=x > 0.0)


def _entered(parameters: Mapping[str, FloatArray], doses: Sequence[Dose], ends: FloatArray) -> FloatArray:
    """What entered the central compartment between two times, shape `(n_patients,)` [mg]."""
    entered = np.zeros(parameters["V1_L"].shape[0])
    absorbed = [dose for dose in doses if dose.route.is_absorbed]
    for dose in doses:
        if not dose.route.is_absorbed:
            entered += dose.amount_mg * sum(_share_given(dose, start, ends) for start in dose.times_h)
    if absorbed:
        absorption = _absorption(parameters)
        entered -= np.diff(_in_gut(absorption, absorbed, ends), axis=1)[:, 0]
        for dose in absorbed:
            reached = sum((ends - absorption.lag >= start).astype(float) for start in dose.times_h)
            entered += absorption.F[:, 0] * dose.amount_mg * np.diff(reached, axis=1)[:, 0]
    return entered


def _share_given(dose: Dose, start: float, ends: FloatArray) -> float:
    """The part of an intravenous dose that is given between two times."""
    if dose.duration_h == 0.0:
        return float(ends[0] < start <= ends[1])
    given = np.clip((ends - start) / dose.duration_h, 0.0, 1.0)
    return float(given[1] - given[0])


def _absorption(parameters: Mapping[str, FloatArray]) -> Absorption:
    return Absorption(parameters["k_a_h"], parameters["lag_h"], parameters["F"])


_ABSORPTION_UNSAID = {"lag_h": 0.0, "F": 1.0}


def _checked(structure: Structure, parameters: Mapping[str, ArrayLike], doses: Sequence[Dose]) -> dict[str, FloatArray]:
    """All parameters as columns `(n_patients, 1)`, each known, present and within the limits of the engine."""
    allowed = (*structure.disposition, *ABSORPTION)
    for name in parameters:
        if name not in allowed:
            raise UnknownName(f"parameter of {structure}", name, allowed)
    absorbed = any(dose.route.is_absorbed for dose in doses)
    for name in (*structure.disposition, *(("k_a_h",) if absorbed else ())):
        if name not in parameters:
            raise BadInput(f"{structure} with these doses needs {name}; got {', '.join(parameters) or 'nothing'}.")
    columns = {name: _column(name, value) for name, value in (_ABSORPTION_UNSAID | dict(parameters)).items()}
    if np.any(columns["CL_L_h"] <= 0.0) and any(dose.steady_state for dose in doses):
        raise BadInput("A steady state needs a clearance above zero; CL_L_h is 0 L/h.")
    shape = np.broadcast_shapes(*(column.shape for column in columns.values()))
    return {name: np.broadcast_to(column, shape) for name, column in columns.items()}


def _column(name: str, value: ArrayLike) -> FloatArray:
    column = np.atleast_1d(np.asarray(value, dtype=float))[:, None]
    quantity = PK_QUANTITIES[name]
    outside = ~((quantity.low <= column) & (column <= quantity.high))
    if outside.any():
        raise OutOfRange(name, float(column[outside][0]), quantity.low, quantity.high, quantity.unit)
    return column
