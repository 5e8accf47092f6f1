r"""Any linear system of compartments, by exponentials of its small matrix: what has no modal form of its own.

The matrix K of a system of compartments has no negative entry off its diagonal. With s the largest rate of leaving,
``exp(K t) = exp(-s t) exp((K + s I) t)`` has only positive terms in the power series and in the squarings that follow
it, so that every entry keeps its relative accuracy, however small [1]. What has left the body is the last state, so
that what stays in a state is also 1 less all that leaves it. A constant inflow is one more state that never changes.

All earlier doses of a steady state together are x = v + P x, with P the matrix of one interval and v what the last of
them left. Eliminating state after state, ``1 - P_kk`` is taken as the sum of all that leaves k, which [2] found to
keep the relative accuracy of every number, even where next to nothing leaves the body.

References
----------
[1] Xue J, Ye Q. Computing exponentials of essentially non-negative matrices entrywise to high relative accuracy.
    Math Comp 2013;82:1577-1596, 10.1090/S0025-5718-2013-02677-4.
[2] Grassmann WK, Taksar MI, Heyman DP. Regenerative analysis and steady state distributions for Markov chains. Oper
    Res 1985;33:1107-1116, 10.1287/opre.33.5.1107.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.drugs import STAGES, Dose, Structure
from twin_core.domain.history import FloatArray
from twin_core.models.pk.compartments import epochs

_TERMS = 22
"""Terms of the power series, for arguments up to 1."""
_FEW = 0.5
_BLOCK_MATRICES = 20_000


def exponential(rates: FloatArray, t: FloatArray, conserving: int) -> FloatArray:
    """``exp(rates t)`` for matrices `(..., m, m)` without negative entries off the diagonal and `t >= 0` of `(...)`.

    Parameters
    ----------
    conserving
        The first so many states pass on all that leaves them: their columns of `rates` add up to 0.
    """
    leaving = np.max(-np.diagonal(rates, axis1=-2, axis2=-1), axis=-1)
    argument = leaving * t
    halvings = int(np.ceil(np.log2(max(1.0, float(np.max(argument, initial=0.0))))))
    small = t / 2.0**halvings
    identity = np.eye(rates.shape[-1])
    positive = (rates + leaving[..., None, None] * identity) * small[..., None, None]
    term = total = np.broadcast_to(identity, positive.shape)
    for order in range(1, _TERMS + 1):
        term = term @ positive / order
        total = total + term
    power = _balanced(total * np.exp(-leaving * small)[..., None, None], conserving)
    for _ in range(halvings):
        power = _balanced(power @ power, conserving)
    return power


def _balanced(power: FloatArray, conserving: int) -> FloatArray:
    """Columns that add up to 1 again, so that squaring does not double their rounding.

    What stays in a state is what does not leave it, where that is most; else the whole column is scaled.
    """
    states = np.arange(conserving)
    stays = power[..., states, states]
    total = power[..., :conserving].sum(axis=-2)
    leaves = total - stays
    power[..., :conserving] /= np.where(leaves < _FEW, 1.0, total)[..., None, :]
    power[..., states, states] = np.where(leaves < _FEW, 1.0 - leaves, stays / total)
    return power


@dataclass(frozen=True, kw_only=True)
class System:
    """Compartments of many people.

    Attributes
    ----------
    rates
        Shape `(n_people, m, m)` [1/h]: d(amount)/dt = rates @ amount. Absorbed doses enter the first state; the last
        one is what has left the body.
    central
        Place of the central compartment, which intravenous doses enter.
    lag, F
        Shape `(n_people,)`.
    """

    rates: FloatArray
    central: int
    lag: FloatArray
    F: FloatArray


def system_of(structure: Structure, parameters: Mapping[str, FloatArray], *, extra: int = 0) -> System:
    """The chain of absorption, the central and the peripheral compartments, `extra` empty places, and outside.

    Parameters
    ----------
    parameters
        Columns `(n_people, 1)`, as `compartments.check_parameters` returns them.
    """
    p = {name: column[:, 0] for name, column in parameters.items()}
    n = len(p["V1_L"])
    stages = (int(p[STAGES][0]) if STAGES in p else 1) if "k_a_h" in p else 0
    peripheral = len(structure.disposition) // 2 - 1
    size = stages + 1 + peripheral + extra + 1
    rates = np.zeros((n, size, size))
    for stage in range(stages):
        connect(rates, stage, stage + 1, p["k_a_h"])
    connect(rates, stages, None, p["CL_L_h"] / p["V1_L"])
    for place in range(2, 2 + peripheral):
        Q, V = p[f"Q{place}_L_h"], p[f"V{place}_L"]
        connect(rates, stages, stages + place - 1, Q / p["V1_L"])
        connect(rates, stages + place - 1, stages, Q / V)
    return System(rates=rates, central=stages, lag=p["lag_h"], F=p["F"])


def connect(rates: FloatArray, source: int, sink: int | None, rate: FloatArray) -> None:
    """Let `source` be left at `rate` `(n_people,)`, into `sink` or, with None, for good."""
    rates[:, source, source] -= rate
    rates[:, -1 if sink is None else sink, source] += rate


@dataclass(frozen=True, kw_only=True)
class Course:
    """Systems that follow each other: `systems[k]` holds up to `changes_h[k]`.

    With `carried_back` a change counts at its very time as what was before it, else as what comes after.
    """

    systems: Sequence[System]
    changes_h: FloatArray
    carried_back: bool = False

    def place(self, times: FloatArray) -> NDArray[np.intp]:
        """Which system holds at each time."""
        return np.searchsorted(self.changes_h, times, side="left" if self.carried_back else "right")

    def block(self, people: slice) -> "Course":
        """The course of some of the people."""
        systems = [
            System(rates=each.rates[people], central=each.central, lag=each.lag[people], F=each.F[people])
            for each in self.systems
        ]
        return Course(systems=systems, changes_h=self.changes_h, carried_back=self.carried_back)


def amounts(course: Course, doses: Sequence[Dose], times: FloatArray) -> FloatArray:
    """Amounts in all states, shape `(n_people, n_times, m)` [mg].

    At the very time of a dose the answer is the one just after it.
    """
    n, m, _ = course.systems[0].rates.shape
    total = np.zeros((n, times.size, m))
    size = max(1, _BLOCK_MATRICES // max(1, times.size + 3 * sum(len(dose.times_h) for dose in doses)))
    for first in range(0, n, size):
        people = slice(first, first + size)
        part = course.block(people)
        for start_h, end_h, given in epochs(doses):
            columns = np.flatnonzero((times >= start_h) & (times < end_h))
            if columns.size:
                total[people, columns] = _amounts(part, given, times[columns])
    return total


def _amounts(course: Course, doses: Sequence[Dose], times: FloatArray) -> FloatArray:
    """Amounts without resets: all events of each person in order, one matrix exponential between two."""
    n, m, _ = course.systems[0].rates.shape
    jumps = [jump for dose in doses for jump in _jumps(course, dose)]
    running = [
        (start, start + dose.duration_h, dose.amount_mg / (start + dose.duration_h - start))
        for dose, start in _infusions(doses)
    ]
    edges = [*course.changes_h, *(edge for start, end, _ in running for edge in (start, end))]
    shared = np.broadcast_to(np.array(edges), (n, len(edges)))
    moments = [*(time[:, None] for time, _ in jumps), shared, np.broadcast_to(times, (n, times.size))]
    when = np.concatenate(moments, axis=1)
    order = np.argsort(when, axis=1, kind="stable")
    when = np.take_along_axis(when, order, axis=1)
    added = np.zeros((len(jumps) + 1, n, m))
    for place, (_, amount) in enumerate(jumps):
        added[place] = amount
    flow = np.zeros(when.shape)
    for start, end, rate in running:
        flow += rate * ((when >= start) & (when < end))
    steps = _steps(course, when, flow)
    state, people = np.zeros((n, m + 1)), np.arange(n)
    state[:, m] = 1.0
    kept = np.zeros((n, when.shape[1], m))
    for event in range(when.shape[1]):
        if event > 0:
            state = np.einsum("nij,nj->ni", steps[:, event - 1], state)
        state[:, :m] += added[np.minimum(order[:, event], len(jumps)), people]
        kept[people, order[:, event]] = state[:, :m]
    return kept[:, len(jumps) + len(edges) :]


def _steps(course: Course, when: FloatArray, flow: FloatArray) -> FloatArray:
    """The matrix from each event to the next one, with the inflow as last state."""
    n, m, _ = course.systems[0].rates.shape
    held = np.searchsorted(course.changes_h, when[:, :-1], side="right")
    rates = np.zeros((n, when.shape[1] - 1, m + 1, m + 1))
    stacked = np.stack([system.rates for system in course.systems], axis=1)
    rates[:, :, :m, :m] = np.take_along_axis(stacked, held[:, :, None, None], axis=1)
    rates[:, :, course.systems[0].central, m] = flow[:, :-1]
    return exponential(rates, np.diff(when, axis=1), m)


def _infusions(doses: Sequence[Dose]) -> list[tuple[Dose, float]]:
    return [(dose, start) for dose in doses for start in dose.times_h if _lasts(dose, start)]


def _lasts(dose: Dose, start: float) -> bool:
    """Whether the clock can tell the end of an infusion from its start."""
    return start + dose.duration_h > start


def _jumps(course: Course, dose: Dose) -> list[tuple[FloatArray, FloatArray]]:
    """When, by person, and what a line adds at once, shapes `(n_people,)` and `(n_people, m)`."""
    n, m, _ = course.systems[0].rates.shape
    jumps = []
    for start in dose.times_h:
        if not _lasts(dose, start):
            system = course.systems[int(course.place(np.array(start)))]
            amount = np.zeros((n, m))
            if dose.route.is_absorbed:
                amount[:, 0] = system.F * dose.amount_mg
                jumps.append((start + system.lag, amount))
            else:
                amount[:, system.central] = dose.amount_mg
                jumps.append((np.full(n, start), amount))
    if dose.steady_state:
        jumps += _earlier(course.systems[int(course.place(np.array(dose.time_h)))], dose)
    return jumps


def _earlier(system: System, dose: Dose) -> list[tuple[FloatArray, FloatArray]]:
    """What all doses before a steady state left at its start, and those of them that still wait for their lag."""
    n, m, _ = system.rates.shape
    interval = dose.interval_h or 0.0
    lag = system.lag if dose.route.is_absorbed else np.zeros(n)
    before = np.maximum(1.0, np.ceil(lag / interval))
    amount, since = np.zeros((n, m)), before * interval - lag
    if dose.duration_h > 0.0:
        widened = np.zeros((n, m + 1, m + 1))
        widened[:, :m, :m] = system.rates
        widened[:, system.central, m] = dose.amount_mg / dose.duration_h
        amount = exponential(widened, np.full(n, dose.duration_h), m)[:, :m, m]
        since = since - dose.duration_h
    elif dose.route.is_absorbed:
        amount[:, 0] = system.F * dose.amount_mg
    else:
        amount[:, system.central] = dose.amount_mg
    first = np.einsum("nij,nj->ni", exponential(system.rates, since, m), amount)
    jumps = [(np.full(n, dose.time_h), _ever(exponential(system.rates, np.full(n, interval), m), first))]
    return jumps + [
        (dose.time_h + lag - ago * interval, amount * (ago < before)[:, None]) for ago in range(1, int(before.max()))
    ]


def _ever(power: FloatArray, first: FloatArray) -> FloatArray:
    """``x = first + power x`` for the states of the body, [2]; what has left it counts as nothing."""
    P, x = power.copy(), first.copy()
    m = x.shape[1] - 1
    stays = np.ones((len(x), m))
    for k in range(m - 1, -1, -1):
        leaves = P[:, :k, k].sum(axis=1) + P[:, m, k]
        stays[:, k] = 1.0 / np.where(leaves > 0.0, leaves, 1.0)
        into = P[:, :, k] * stays[:, k, None]
        P[:, :k, :k] += into[:, :k, None] * P[:, None, k, :k]
        P[:, m, :k] += into[:, m, None] * P[:, k, :k]
        x[:, :k] += into[:, :k] * x[:, k, None]
    for k in range(m):
        x[:, k] = (x[:, k] + np.einsum("nj,nj->n", P[:, k, :k], x[:, :k])) * stays[:, k]
    x[:, m] = 0.0
    return x
