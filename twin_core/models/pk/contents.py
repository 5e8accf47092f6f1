"""What one mode contains, carried from dose to dose: see `compartments` for the formulas.

Arrays have one row a patient. What waits in a chain of absorption has its stages as the first axis.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.drugs import STAGES, Dose
from twin_core.domain.history import FloatArray
from twin_core.models.pk.absorption import gain, passed_on, phi


class Absorption(NamedTuple):
    """Absorption through a chain of stages; each array of shape `(n_patients, 1)`."""

    k_a: FloatArray
    lag: FloatArray
    F: FloatArray
    stages: int = 1

    @property
    def shared_lag(self) -> FloatArray:
        """The lag, as one number where all patients share it: they then share the search for the last dose too."""
        return self.lag if np.ptp(self.lag) > 0.0 else self.lag[0]


def absorption_of(parameters: Mapping[str, FloatArray]) -> Absorption:
    """Absorption from columns of parameters."""
    stages = int(parameters[STAGES].flat[0]) if STAGES in parameters else 1
    return Absorption(parameters["k_a_h"], parameters["lag_h"], parameters["F"], stages)


class Jumps(NamedTuple):
    """Content just after each of the times at which it jumps."""

    time: FloatArray
    """Shape `(n_jumps,)`, increasing [h]."""
    content: FloatArray
    """Shape `(n_patients, n_jumps)` [mg]."""


class Arrivals(NamedTuple):
    """What waits in the chain and what the mode contains just after each dose, on the clock that starts after the lag.

    `time` of shape `(n_doses,)`, `chain` of `(n_stages, n_patients, n_doses)`, `body` of `(n_patients, n_doses)`.
    """

    time: FloatArray
    chain: FloatArray
    body: FloatArray


def content(
    rate: FloatArray, parameters: Mapping[str, FloatArray], doses: Sequence[Dose], times: FloatArray
) -> FloatArray:
    """Content of one mode with `rate` of shape `(n_patients, 1)`; shape `(n_patients, n_times)` [mg]."""
    injected = [dose for dose in doses if not dose.route.is_absorbed]
    absorbed = [dose for dose in doses if dose.route.is_absorbed]
    total = np.zeros((rate.shape[0], times.size))
    if injected:
        total += _injected(rate, injected, times)
    if absorbed:
        total += _absorbed(rate, absorption_of(parameters), absorbed, times)
    return total


def _injected(rate: FloatArray, doses: Sequence[Dose], times: FloatArray) -> FloatArray:
    """Content from intravenous doses: what has entered, carried on, and what is running in."""
    total = _faded(rate, injections(rate, doses), times)
    for dose in doses:
        for start in dose.times_h:
            running = (times >= start) & (times < start + dose.duration_h)
            if running.any():
                elapsed = times[running] - start
                total[:, running] += dose.amount_mg * (elapsed / dose.duration_h) * phi(rate * elapsed)
    return total


def injections(rate: FloatArray, doses: Sequence[Dose]) -> Jumps:
    """Each finished infusion as what it left at its end, each steady state as what it left at its start; carried."""
    jumps: list[tuple[float, FloatArray]] = []
    for dose in doses:
        left = dose.amount_mg * phi(rate * dose.duration_h)
        jumps += [(start + dose.duration_h, left) for start in dose.times_h]
        if dose.steady_state and dose.interval_h is not None:
            earlier = left * np.exp(-rate * (dose.interval_h - dose.duration_h)) * ever(rate, dose.interval_h)
            jumps.append((dose.time_h, earlier))
    jumps.sort(key=lambda jump: jump[0])
    times = np.array([time for time, _ in jumps])
    return _carried(rate, times, np.concatenate([amount for _, amount in jumps], axis=1))


def _carried(rate: FloatArray, times: FloatArray, added: FloatArray) -> Jumps:
    """Content that falls by `rate` between the times at which something is added to it."""
    after = added.copy()
    falls = np.exp(-rate * np.diff(times))
    for jump in range(1, after.shape[1]):
        after[:, jump] += after[:, jump - 1] * falls[:, jump - 1]
    return Jumps(times, after)


def _faded(rate: FloatArray, jumps: Jumps, times: FloatArray) -> FloatArray:
    last, since = _last_jump(jumps.time, times)
    return _at(jumps.content, last) * np.exp(-rate * since) * (last >= 0)


def _absorbed(rate: FloatArray, absorption: Absorption, doses: Sequence[Dose], times: FloatArray) -> FloatArray:
    """Content from doses that pass through absorption."""
    starts, chain, body = arrivals(rate, absorption, doses)
    last, since = _last_jump(starts, times - absorption.shared_lag)
    waiting = np.stack([_at(stage, last) for stage in chain])
    total = later(rate, absorption, waiting, _at(body, last), since) * (last >= 0)
    for dose, is_waiting, since in _waiting(absorption, doses, times):
        total += is_waiting * later(rate, absorption, *steady(rate, absorption, dose), since)
    return total


def in_chain(absorption: Absorption, doses: Sequence[Dose], times: FloatArray) -> FloatArray:
    """What waits in the chain after its lag, all stages together, shape `(n_patients, n_times)` [mg]."""
    starts, chain, _ = arrivals(absorption.k_a, absorption, doses)
    last, since = _last_jump(starts, times - absorption.shared_lag)
    waiting = np.stack([_at(stage, last) for stage in chain])
    total: FloatArray = chain_later(absorption, waiting, since).sum(axis=0) * (last >= 0)
    for dose, is_waiting, since in _waiting(absorption, doses, times):
        total += is_waiting * chain_later(absorption, steady(absorption.k_a, absorption, dose)[0], since).sum(axis=0)
    return total


def arrivals(rate: FloatArray, absorption: Absorption, doses: Sequence[Dose]) -> Arrivals:
    """Chain and body just after each dose, carried from dose to dose."""
    added: list[tuple[float, FloatArray, FloatArray]] = []
    first = np.zeros((absorption.stages, 1, 1))
    first[0] = 1.0
    for dose in doses:
        added += [(start, first * absorption.F * dose.amount_mg, np.zeros_like(rate)) for start in dose.times_h]
        if dose.steady_state and dose.interval_h is not None:
            chain, body = steady(rate, absorption, dose)
            added.append((dose.time_h, chain_later(absorption, chain, dose.interval_h), body))
    added.sort(key=lambda arrival: arrival[0])
    times = np.array([time for time, _, _ in added])
    chain, body = (np.concatenate([arrival[part] for arrival in added], axis=-1) for part in (1, 2))
    for now in range(1, times.size):
        waited = times[now] - times[now - 1]
        before = chain[:, :, [now - 1]]
        body[:, [now]] += later(rate, absorption, before, body[:, [now - 1]], waited)
        chain[:, :, [now]] += chain_later(absorption, before, waited)
    return Arrivals(times, chain, body)


def steady(rate: FloatArray, absorption: Absorption, dose: Dose) -> tuple[FloatArray, FloatArray]:
    """What is in chain and body just after a dose that has been taken every interval since ever [mg]."""
    interval = dose.interval_h or 0.0
    shares = [passed_on(absorption.k_a, interval, stage) for stage in range(absorption.stages)]
    chain = [absorption.F * dose.amount_mg * ever(absorption.k_a, interval)]
    for stage in range(1, absorption.stages):
        earlier = sum((chain[source] * shares[stage - source] for source in range(stage)), np.zeros_like(rate))
        chain.append(earlier * ever(absorption.k_a, interval))
    waiting = np.stack(chain)
    return waiting, later(rate, absorption, waiting, np.zeros_like(rate), interval) * ever(rate, interval)


def _waiting(
    absorption: Absorption, doses: Sequence[Dose], times: FloatArray
) -> Iterator[tuple[Dose, NDArray[np.bool_], FloatArray]]:
    """Steady states whose first lag holds some of the times: where, and the time since an earlier dose acted."""
    for dose in doses:
        clock = times - dose.time_h - absorption.lag
        waiting = (times >= dose.time_h) & (clock < 0.0)
        if dose.steady_state and dose.interval_h is not None and waiting.any():
            yield dose, waiting, clock - dose.interval_h * np.floor(clock / dose.interval_h)


def later(
    rate: FloatArray, absorption: Absorption, chain: FloatArray, body: FloatArray, elapsed: FloatArray | float
) -> FloatArray:
    """Content after `elapsed`, from what was in chain and body."""
    total = body * np.exp(-rate * elapsed)
    for place, waiting in enumerate(chain):
        stages = absorption.stages - place
        total = total + waiting * absorption.k_a**stages * gain(absorption.k_a, rate, elapsed, stages)
    return total


def chain_later(absorption: Absorption, chain: FloatArray, elapsed: FloatArray | float) -> FloatArray:
    """What is in each stage after `elapsed`, from what was there."""
    shares = [passed_on(absorption.k_a, elapsed, stages) for stages in range(absorption.stages)]
    return np.stack(
        [
            np.asarray(sum(chain[source] * shares[stage - source] for source in range(stage + 1)))
            for stage in range(absorption.stages)
        ]
    )


def _last_jump(jumps: FloatArray, times: FloatArray) -> tuple[NDArray[np.intp], FloatArray]:
    """The last jump before each time (-1 if none) and the time since then (0 if none)."""
    last = np.searchsorted(jumps, times, side="right") - 1
    return last, np.where(last >= 0, times - jumps[last], 0.0)


def _at(values: FloatArray, last: NDArray[np.intp]) -> FloatArray:
    """Columns of `values` `(n_patients, n_jumps)` for `last` of shape `(n_times,)` or `(n_patients, n_times)`."""
    return values[:, last] if last.ndim == 1 else np.take_along_axis(values, last, axis=1)


def ever(rate: FloatArray, interval: float) -> FloatArray:
    """Sum over all earlier intervals: 1 / (1 - exp(-rate interval))."""
    return -1.0 / np.expm1(-rate * interval)
