"""Curves of many patients at evenly spaced times: contents are multiplied on from time to time, without exponentials.

Over a step h a content becomes ``X exp(-l h)`` plus what enters; a table of ``exp(-l k h)`` is filled by doubling,

    E(m + k) = E(k) E(m),        G(m + k) = G(k) exp(-b m h) + exp(-a k h) G(m),

with G of `absorption.gain`, so that rounding grows with the logarithm of the number of steps, and nothing cancels.
Times are the rows and patients the columns of all arrays here: then every product runs over contiguous memory.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from twin_core.domain.drugs import STAGES, Dose, Structure
from twin_core.domain.history import FloatArray
from twin_core.models.pk.absorption import gain, phi
from twin_core.models.pk.contents import Absorption, absorption_of, arrivals, injections, later
from twin_core.models.pk.modes import modes_of

_FEWEST_PATIENTS, _FEWEST_TIMES = 64, 16
_EVEN = 1e-12
"""Times may be so far off an even grid, as a share of the largest one: their own rounding."""
_BLOCK_NUMBERS = 49_152
"""Numbers in one array of a block of patients: 384 KiB."""


def serves(parameters: Mapping[str, FloatArray], doses: Sequence[Dose], times: FloatArray) -> bool:
    """Whether the times are an even grid, the patients many, and the doses without what this does not know."""
    absorbed = any(dose.route.is_absorbed for dose in doses)
    if len(parameters["V1_L"]) < _FEWEST_PATIENTS or not _is_even(times) or any(dose.reset for dose in doses):
        return False
    if not absorbed:
        return True
    lag = parameters["lag_h"]
    first_lag = any(dose.steady_state for dose in doses) and bool(np.any(lag > 0.0))
    return STAGES not in parameters and not first_lag and float(np.ptp(lag)) == 0.0


def _is_even(times: FloatArray) -> bool:
    if times.ndim != 1 or times.size < _FEWEST_TIMES or not np.all(np.isfinite(times)):
        return False
    step = (times[-1] - times[0]) / (times.size - 1)
    even = times[0] + step * np.arange(times.size)
    return bool(step > 0.0 and np.abs(times - even).max() <= _EVEN * np.abs(times).max())


def concentration(
    structure: Structure, parameters: Mapping[str, FloatArray], doses: Sequence[Dose], times: FloatArray
) -> FloatArray:
    """As `compartments.concentration`, from columns of checked parameters."""
    n = len(parameters["V1_L"])
    plan = [_modes_plan(*mode, parameters, doses, times) for mode in zip(*_modes(structure, parameters), strict=True)]
    total = np.empty((times.size, n))
    for patients in _blocks(n, times.size):
        block = np.zeros((times.size, patients.stop - patients.start))
        scratch = np.empty_like(block)
        for tables in plan:
            tables.add_to(block, scratch, patients)
        total[:, patients] = block
    return total.T


def _modes(structure: Structure, parameters: Mapping[str, FloatArray]) -> tuple[FloatArray, FloatArray]:
    modes = modes_of(structure, parameters)
    return np.ascontiguousarray(modes.rate.T), np.ascontiguousarray(modes.weight.T)


def _blocks(n_patients: int, n_times: int) -> Iterator[slice]:
    size = max(1, _BLOCK_NUMBERS // n_times)
    return (slice(first, min(first + size, n_patients)) for first in range(0, n_patients, size))


class _Table(NamedTuple):
    """A function of the step k that is filled by doubling, from its values at powers of 2."""

    n: int
    powers: tuple[FloatArray, ...]
    """Each of shape `(n_patients,)`."""

    def fall(self, patients: slice) -> FloatArray:
        """``exp(-l k h)``."""
        table = np.empty((self.n, patients.stop - patients.start))
        table[0], filled = 1.0, 1
        for power in (each[patients] for each in self.powers):
            more = min(filled, self.n - filled)
            np.multiply(table[:more], power, out=table[filled : filled + more])
            filled += more
        return table

    def entering(self, patients: slice, fall: FloatArray, chain_fall: FloatArray | None) -> FloatArray:
        """What enters within k steps, from a stage that falls by `chain_fall` or, without one, stays as it is."""
        table = np.empty((self.n, patients.stop - patients.start))
        table[0], filled = 0.0, 1
        for power in (each[patients] for each in self.powers):
            more = min(filled, self.n - filled)
            new = table[filled : filled + more]
            np.multiply(table[:more], fall[filled], out=new)
            new += power if chain_fall is None else chain_fall[:more] * power
            filled += more
        return table


def _table(n: int, exactly: Callable[[int], FloatArray]) -> _Table:
    return _Table(n, tuple(exactly(2**power) for power in range(max(0, n - 1).bit_length())))


class _Span(NamedTuple):
    """Some times in a row after one jump: what the mode then holds, and what waits to enter it, as concentrations."""

    begin: int
    end: int
    there: FloatArray
    waiting: FloatArray | None = None


@dataclass(frozen=True, kw_only=True)
class _ModePlan:
    """All that one mode adds to the curves, for all patients."""

    fall: _Table
    spans: list[_Span]
    absorbed: tuple[_Table, _Table] | None
    """Fall of the chain, and what enters from it."""
    running: list[tuple[_Table, _Span]]
    """Infusions while they run."""

    def add_to(self, block: FloatArray, scratch: FloatArray, patients: slice) -> None:
        """Add this mode's concentrations of some patients to `block`; `scratch` is of its shape."""
        fall = self.fall.fall(patients)
        if self.absorbed:
            chain_fall = self.absorbed[0].fall(patients)
            entering = self.absorbed[1].entering(patients, fall, chain_fall)
        for span in self.spans:
            _add(block, scratch, fall, span.begin, span.end, span.there[patients])
            if span.waiting is not None:
                _add(block, scratch, entering, span.begin, span.end, span.waiting[patients])
        for table, span in self.running:
            _add(block, scratch, fall, span.begin, span.end, span.there[patients])
            assert span.waiting is not None
            entered = table.entering(patients, fall, None)
            _add(block, scratch, entered, span.begin, span.end, span.waiting[patients])


def _add(block: FloatArray, scratch: FloatArray, table: FloatArray, begin: int, end: int, factor: FloatArray) -> None:
    product = np.multiply(table[: end - begin], factor, out=scratch[: end - begin])
    block[begin:end] += product


def _modes_plan(
    rate: FloatArray,
    weight: FloatArray,
    parameters: Mapping[str, FloatArray],
    doses: Sequence[Dose],
    times: FloatArray,
) -> _ModePlan:
    injected = [dose for dose in doses if not dose.route.is_absorbed]
    absorbed = [dose for dose in doses if dose.route.is_absorbed]
    step = (times[-1] - times[0]) / (times.size - 1)
    spans = _injected(rate, weight, injected, times) if injected else []
    tables = None
    if absorbed:
        absorption = absorption_of(parameters)
        k_a = absorption.k_a[:, 0]
        from_chain = _absorbed(rate, weight, absorption, absorbed, times)
        longest = max((span.end - span.begin for span in from_chain), default=1)
        tables = (
            _table(longest, lambda k: np.exp(-k_a * (k * step))),
            _table(longest, lambda k: gain(k_a, rate, k * step)),
        )
        spans += from_chain
    running = [each for dose in injected for each in _running(rate, weight, dose, times)]
    longest = max((span.end - span.begin for span in (*spans, *(span for _, span in running))), default=1)
    fall = _table(longest, lambda k: np.exp(-rate * (k * step)))
    return _ModePlan(fall=fall, spans=spans, absorbed=tables, running=running)


def _after(starts: FloatArray, times: FloatArray) -> Iterator[tuple[int, int, int]]:
    """For each jump that some times follow before the next one: the jump, and those times as a range."""
    first = np.searchsorted(times, starts)
    after = np.append(first[1:], times.size)
    for jump, (begin, end) in enumerate(zip(first, after, strict=True)):
        if begin < end:
            yield jump, int(begin), int(end)


def _injected(rate: FloatArray, weight: FloatArray, doses: Sequence[Dose], times: FloatArray) -> list[_Span]:
    jumps = injections(rate[:, None], doses)
    return [
        _Span(begin, end, weight * jumps.content[:, jump] * np.exp(-rate * (times[begin] - jumps.time[jump])))
        for jump, begin, end in _after(jumps.time, times)
    ]


def _running(rate: FloatArray, weight: FloatArray, dose: Dose, times: FloatArray) -> Iterator[tuple[_Table, _Span]]:
    """Infusions at the times while they run: ``u phi(l u)``, as if from a stage that stays full."""
    step = (times[-1] - times[0]) / (times.size - 1)
    for start in dose.times_h:
        begin, end = np.searchsorted(times, [start, start + dose.duration_h])
        if begin < end:
            flow = weight * dose.amount_mg / dose.duration_h
            elapsed = times[begin] - start
            table = _table(int(end - begin), lambda k: k * step * phi(rate * (k * step)))
            yield table, _Span(int(begin), int(end), flow * elapsed * phi(rate * elapsed), flow)


def _absorbed(
    rate: FloatArray, weight: FloatArray, absorption: Absorption, doses: Sequence[Dose], times: FloatArray
) -> list[_Span]:
    starts, chain, body = arrivals(rate[:, None], absorption, doses)
    clock = times - absorption.lag.flat[0]
    spans = []
    for jump, begin, end in _after(starts, clock):
        since = clock[begin] - starts[jump]
        there = later(rate[:, None], absorption, chain[:, :, [jump]], body[:, [jump]], since)[:, 0]
        k_a = absorption.k_a[:, 0]
        spans.append(_Span(begin, end, weight * there, weight * k_a * chain[0, :, jump] * np.exp(-k_a * since)))
    return spans
