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
infusion goes to zero. Absorption may pass through a chain of stages (`absorption`). A dose with `reset` empties the
body: what was given before it counts no more. Elsewhere: parameters that change with time (`piecewise`), metabolites
(`metabolites`), anything nonlinear (`nonlinear`), the same curve again and again (`curve`). Left out: zero-order
absorption.

References
----------
[1] Bertrand J, Mentre F. Mathematical expressions of the pharmacokinetic and pharmacodynamic models implemented in
    the Monolix software. 2008 (closed forms of one to three compartments).
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from twin_core.domain.drugs import ABSORPTION, PK_QUANTITIES, STAGES, Dose, Structure
from twin_core.domain.errors import BadInput, OutOfRange, UnknownName
from twin_core.domain.history import FloatArray
from twin_core.models.pk import grid
from twin_core.models.pk.contents import absorption_of, content, in_chain
from twin_core.models.pk.modes import modes_of

_BLOCK_NUMBERS = 32_768
"""Numbers in one array of a block of patients: 256 KiB."""


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
    checked = check_parameters(structure, parameters, doses)
    times = np.asarray(times_h, dtype=float)
    if grid.serves(checked, doses, times):
        return grid.concentration(structure, checked, doses, times)
    modes = modes_of(structure, checked)
    total = np.zeros((modes.rate.shape[0], times.size))
    for start_h, end_h, given in epochs(doses):
        columns = np.flatnonzero((times >= start_h) & (times < end_h))
        for rows in _blocks(len(total), columns.size):
            block = {name: column[rows] for name, column in checked.items()}
            for mode in range(modes.rate.shape[1]):
                held = content(modes.rate[rows, mode, None], block, given, times[columns])
                total[rows, columns] += modes.weight[rows, mode, None] * held
    return total


def epochs(doses: Sequence[Dose]) -> Iterator[tuple[float, float, tuple[Dose, ...]]]:
    """The spans between resets, each with its begin, its end and the lines that count in it."""
    resets = sorted({dose.time_h for dose in doses if dose.reset})
    bounds = [-np.inf, *resets, np.inf]
    for start_h, end_h in pairwise(bounds):
        given = tuple(dose for dose in doses if start_h <= dose.time_h < end_h)
        if given:
            yield start_h, end_h, given


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
    checked = check_parameters(structure, parameters, doses)
    if any(dose.steady_state and start_h < dose.time_h < end_h for dose in doses):
        raise BadInput(f"A steady state must not begin between {start_h:g} and {end_h:g} h, where the area is taken.")
    if np.any(checked["CL_L_h"] <= 0.0):
        raise BadInput("An area under the curve needs a clearance above zero.")
    total = np.zeros(checked["V1_L"].shape[0])
    for begin_h, finish_h, given in epochs(doses):
        ends = np.clip([start_h, end_h], begin_h, finish_h)
        if ends[0] < ends[1]:
            total += _area(structure, checked, given, ends)
    return total


def _area(
    structure: Structure, checked: Mapping[str, FloatArray], doses: Sequence[Dose], ends: FloatArray
) -> FloatArray:
    modes = modes_of(structure, checked)
    entered = _entered(checked, doses, ends)
    total = np.zeros(modes.rate.shape[0])
    for mode in range(modes.rate.shape[1]):
        held = content(modes.rate[:, [mode]], checked, doses, ends)
        total += modes.weight[:, mode] / modes.rate[:, mode] * (entered + held[:, 0] - held[:, 1])
    return total


def _entered(parameters: Mapping[str, FloatArray], doses: Sequence[Dose], ends: FloatArray) -> FloatArray:
    """What entered the central compartment between two times, shape `(n_patients,)` [mg]."""
    entered = np.zeros(parameters["V1_L"].shape[0])
    absorbed = [dose for dose in doses if dose.route.is_absorbed]
    for dose in doses:
        if not dose.route.is_absorbed:
            entered += dose.amount_mg * sum(_share_given(dose, start, ends) for start in dose.times_h)
    if absorbed:
        absorption = absorption_of(parameters)
        entered -= np.diff(in_chain(absorption, absorbed, ends), axis=1)[:, 0]
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


_ABSORPTION_UNSAID = {"lag_h": 0.0, "F": 1.0}


def check_parameters(
    structure: Structure, parameters: Mapping[str, ArrayLike], doses: Sequence[Dose]
) -> dict[str, FloatArray]:
    """All parameters as columns `(n_patients, 1)`, each known, present and within the limits of the engine.

    Raises
    ------
    UnknownName, BadInput, OutOfRange
        If one is unknown, missing or outside the limits.
    """
    allowed = (*structure.disposition, *ABSORPTION, STAGES)
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
    if STAGES in columns and (np.ptp(columns[STAGES]) > 0.0 or columns[STAGES].flat[0] % 1.0 > 0.0):
        raise BadInput("stages must be one whole number, the same for all patients.")
    shape = np.broadcast_shapes(*(column.shape for column in columns.values()))
    return {name: np.broadcast_to(column, shape) for name, column in columns.items()}


def _column(name: str, value: ArrayLike) -> FloatArray:
    column = np.atleast_1d(np.asarray(value, dtype=float))[:, None]
    quantity = PK_QUANTITIES[name]
    outside = ~((quantity.low <= column) & (column <= quantity.high))
    if outside.any():
        raise OutOfRange(name, float(column[outside][0]), quantity.low, quantity.high, quantity.unit)
    return column
