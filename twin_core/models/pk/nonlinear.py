"""What is not linear: saturable elimination, and effects that build up and fade behind a concentration.

Runge-Kutta's classical method (order 4) of many people at once, stopped and started again at every dose, at both ends
of every infusion and at every time that is asked for: no step ever reaches across one. (An adaptive solver without
such stops steps over short infusions and loses them.)

References
----------
[1] Dayneka NL, Garg V, Jusko WJ. Comparison of four basic models of indirect pharmacodynamic responses. J Pharmacokinet
    Biopharm 1993;21:457-478, 10.1007/BF01061691.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from twin_core.domain.drugs import Dose
from twin_core.domain.errors import BadInput, SimulationFailed
from twin_core.domain.history import FloatArray
from twin_core.models.pk.compartments import epochs

Slope = Callable[[float, FloatArray, FloatArray | float], FloatArray]
"""From time [h], state `(m, n_people)` and inflow by infusion [mg/h] to d(state)/dt, `(m, n_people)`."""

_MOST_HALVINGS = 12


def integrate(
    slope: Slope,
    start: FloatArray,
    doses: Sequence[Dose],
    times_h: ArrayLike,
    *,
    absorbed_into: int,
    injected_into: int,
    F: ArrayLike = 1.0,
    lag_h: float = 0.0,
    longest_step_h: float = 0.25,
) -> FloatArray:
    """States at given times, from `start` at the first dose or time.

    Parameters
    ----------
    start
        Shape `(m, n_people)`; a reset returns to it.
    absorbed_into, injected_into
        Place of the state that doses by mouth (times `F`, after `lag_h`), or boluses and infusions, enter.
        An infusion reaches the equations as their inflow.

    Returns
    -------
    FloatArray
        Shape `(n_people, n_times, m)`.

    Raises
    ------
    BadInput
        For a steady state, which no nonlinear system has in closed form: give enough doses instead.
    """
    if any(dose.steady_state for dose in doses):
        raise BadInput("A nonlinear model has no steady state to start from: give the earlier doses one by one.")
    times = np.asarray(times_h, dtype=float)
    kept = np.tile(start.T[:, None, :], (1, times.size, 1))
    for begin_h, end_h, given in epochs(doses):
        columns = np.flatnonzero((times >= begin_h) & (times < end_h))
        if columns.size:
            run = _Run(slope, given, absorbed_into, injected_into, np.asarray(F, dtype=float), lag_h, longest_step_h)
            kept[:, columns] = run.states(start, times[columns])
    return kept


def to_tolerance(
    run: Callable[[float], FloatArray], *, first_step_h: float = 0.25, relative: float = 1e-8
) -> FloatArray:
    """Halve the longest step until the result changes by less than `relative` of its largest number.

    Raises
    ------
    SimulationFailed
        If that is not reached: the system is stiff for this method.
    """
    coarse = run(first_step_h)
    for halving in range(1, _MOST_HALVINGS + 1):
        fine = run(first_step_h / 2.0**halving)
        if np.max(np.abs(fine - coarse), initial=0.0) <= relative * np.max(np.abs(fine), initial=0.0):
            return fine
        coarse = fine
    raise SimulationFailed(f"Steps of {first_step_h / 2.0**_MOST_HALVINGS:g} h are still too long for this model.")


class _Run:
    """The doses of one span between resets, as events in order."""

    def __init__(
        self,
        slope: Slope,
        doses: Sequence[Dose],
        absorbed_into: int,
        injected_into: int,
        F: FloatArray,
        lag_h: float,
        longest_step_h: float,
    ) -> None:
        self.slope, self.longest_step_h = slope, longest_step_h
        self.jumps: list[tuple[float, int, FloatArray]] = []
        self.flows: list[tuple[float, float, float]] = []
        for dose in doses:
            for given in dose.times_h:
                end = given + dose.duration_h
                if end > given:
                    self.flows.append((given, end, dose.amount_mg / (end - given)))
                elif dose.route.is_absorbed:
                    self.jumps.append((given + lag_h, absorbed_into, F * dose.amount_mg))
                else:
                    self.jumps.append((given, injected_into, np.asarray(dose.amount_mg)))

    def states(self, start: FloatArray, times: FloatArray) -> FloatArray:
        """Shape `(n_people, n_times, m)`."""
        ends = {edge for begin, end, _ in self.flows for edge in (begin, end)} | {time for time, _, _ in self.jumps}
        moments = np.array(sorted(ends | set(times.tolist())))
        state, kept = start.astype(float).copy(), {}
        for place, moment in enumerate(moments):
            if place > 0:
                state = self._advance(state, float(moments[place - 1]), float(moment))
            for time, into, amount in self.jumps:
                if time == moment:
                    state[into] += amount
            kept[float(moment)] = state.copy()
        return np.stack([kept[float(time)].T for time in times], axis=1)

    def _advance(self, state: FloatArray, begin: float, end: float) -> FloatArray:
        inflow = sum(flow for start, stop, flow in self.flows if start <= begin < stop)
        n_steps = max(1, int(np.ceil((end - begin) / self.longest_step_h)))
        h = (end - begin) / n_steps
        for step in range(n_steps):
            t = begin + step * h
            k1 = self.slope(t, state, inflow)
            k2 = self.slope(t + h / 2.0, state + h / 2.0 * k1, inflow)
            k3 = self.slope(t + h / 2.0, state + h / 2.0 * k2, inflow)
            k4 = self.slope(t + h, state + h * k3, inflow)
            state = state + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        return state


def michaelis_menten(
    parameters: Mapping[str, ArrayLike],
    doses: Sequence[Dose],
    times_h: ArrayLike,
    *,
    relative: float = 1e-8,
) -> FloatArray:
    """Concentration with saturable elimination, one compartment: ``dA/dt = in - V_max C / (K_m + C)``, C = A / V.

    Parameters
    ----------
    parameters
        `V_max_mg_h`, `K_m_mg_l`, `V1_L`, and for absorbed doses `k_a_h` and `F`; numbers or `(n_people,)`.

    Returns
    -------
    FloatArray
        Shape `(n_people, n_times)` [mg/L].
    """
    n = np.broadcast_shapes((1,), *(np.shape(value) for value in parameters.values()))
    p = {name: np.broadcast_to(np.asarray(value, dtype=float), n) for name, value in parameters.items()}
    V, k_a = p["V1_L"], p.get("k_a_h", np.zeros(n))

    def slope(_t: float, state: FloatArray, inflow: FloatArray | float) -> FloatArray:
        gut, A = state
        C = A / V
        return np.stack([-k_a * gut, k_a * gut + inflow - p["V_max_mg_h"] * C / (p["K_m_mg_l"] + C)])

    def run(longest_step_h: float) -> FloatArray:
        states = integrate(
            slope,
            np.zeros((2, *n)),
            doses,
            times_h,
            absorbed_into=0,
            injected_into=1,
            F=p.get("F", np.ones(n)),
            longest_step_h=longest_step_h,
        )
        return np.asarray(states[:, :, 1] / V[:, None])

    return to_tolerance(run, relative=relative)


class Turnover(StrEnum):
    """What a drug does to a response that is made at a constant rate and lost in proportion, [1] models I to IV."""

    INHIBITS_MAKING = "inhibits_making"
    INHIBITS_LOSS = "inhibits_loss"
    STIMULATES_MAKING = "stimulates_making"
    STIMULATES_LOSS = "stimulates_loss"


def turnover(
    parameters: Mapping[str, ArrayLike],
    doses: Sequence[Dose],
    times_h: ArrayLike,
    kind: Turnover,
    *,
    relative: float = 1e-8,
) -> FloatArray:
    """A response that follows one compartment's concentration C: ``dR/dt = k_out (R_0 m - R l)``.

    The drug changes the making m or the loss l from 1 to ``1 - E`` or ``1 + E``, with ``E = E_max C / (C_50 + C)``.

    Parameters
    ----------
    parameters
        `CL_L_h`, `V1_L`, for absorbed doses `k_a_h` and `F`; `R_0`, `k_out_h`, `E_max` (at most 1 where the drug
        inhibits) and `C_50_mg_l`; numbers or `(n_people,)`.

    Returns
    -------
    FloatArray
        Shape `(n_people, n_times)`, in the unit of `R_0`.

    Raises
    ------
    BadInput
        If an inhibition is more than complete.
    """
    n = np.broadcast_shapes((1,), *(np.shape(value) for value in parameters.values()))
    p = {name: np.broadcast_to(np.asarray(value, dtype=float), n) for name, value in parameters.items()}
    sign = -1.0 if kind in (Turnover.INHIBITS_MAKING, Turnover.INHIBITS_LOSS) else 1.0
    if sign < 0.0 and np.any(p["E_max"] > 1.0):
        raise BadInput("E_max must be at most 1 where a drug inhibits: more than all cannot be inhibited.")
    k_a, k_e = p.get("k_a_h", np.zeros(n)), p["CL_L_h"] / p["V1_L"]
    of_making = kind in (Turnover.INHIBITS_MAKING, Turnover.STIMULATES_MAKING)

    def slope(_t: float, state: FloatArray, inflow: FloatArray | float) -> FloatArray:
        gut, A, R = state
        C = A / p["V1_L"]
        changed = 1.0 + sign * p["E_max"] * C / (p["C_50_mg_l"] + C)
        made, lost = (p["R_0"] * changed, R) if of_making else (p["R_0"], R * changed)
        return np.stack([-k_a * gut, k_a * gut + inflow - k_e * A, p["k_out_h"] * (made - lost)])

    start = np.stack([np.zeros(n), np.zeros(n), p["R_0"]])

    def run(longest_step_h: float) -> FloatArray:
        F = p.get("F", np.ones(n))
        states = integrate(
            slope, start, doses, times_h, absorbed_into=0, injected_into=1, F=F, longest_step_h=longest_step_h
        )
        return np.asarray(states[:, :, 2])

    return to_tolerance(run, relative=relative)
