"""Curves of many patients at evenly spaced times: contents are multiplied on from time to time, without exponentials.

Over a step h a content X becomes ``X exp(-b h)`` plus what enters it from a stage C that falls by a. A course of both
is filled by doubling, from its first m times to the next ones,

    C(m + k) = C(k) exp(-a m h),        X(m + k) = X(k) exp(-b m h) + C(k) a G(m h),

with G of `absorption.gain`, so that rounding grows with the logarithm of the number of steps, and nothing cancels.
Times are the rows and patients the columns of all arrays here: then every product runs over contiguous memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
_EXACT_EACH = 3
"""Powers of 2: between two exact ones rounding grows fourfold at most, and most exponentials are spared."""
_BLOCK_NUMBERS = 196_608
"""Numbers in one array of a block of patients: rows long enough that the loop over them costs little."""


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
    total = np.empty((times.size, n))
    for patients in _blocks(n, times.size):
        block = np.zeros((times.size, patients.stop - patients.start))
        scratch = np.empty((3, *block.shape))
        theirs = {name: column[patients] for name, column in parameters.items()}
        for source in _sources(structure, theirs, doses, times):
            source.add_to(block, scratch)
        total[:, patients] = block
    return total.T


def _blocks(n_patients: int, n_times: int) -> Iterator[slice]:
    size = max(1, _BLOCK_NUMBERS // n_times)
    return (slice(first, min(first + size, n_patients)) for first in range(0, n_patients, size))


class _Span(NamedTuple):
    """Some times in a row after one jump: what each mode then holds, and what waits to enter them."""

    begin: int
    end: int
    there: list[FloatArray]
    """By mode, each of shape `(n_patients,)` [mg/L]."""
    waiting: FloatArray | None = None
    """Shape `(n_patients,)` [mg/h]."""


@dataclass(frozen=True, kw_only=True)
class _Source:
    """Spans of all modes under one kind of inflow; each tuple holds the values after 1, 2, 4, ... steps.

    `fall` and `entering` by mode: the share of a content that is left, and the content from an inflow of 1 mg/h.
    `chain_fall`: the share of the inflow that is left; without one it stays as it is.
    """

    spans: list[_Span]
    fall: list[tuple[FloatArray, ...]]
    entering: list[tuple[FloatArray, ...]] = field(default_factory=list)
    chain_fall: tuple[FloatArray, ...] | None = None

    def add_to(self, block: FloatArray, scratch: FloatArray) -> None:
        """Add the concentrations to `block`; `scratch` is three arrays of its shape."""
        for span in self.spans:
            course, inflow, part = scratch[:, : span.end - span.begin]
            if span.waiting is not None:
                inflow[0] = span.waiting
                _fill(inflow, self.chain_fall)
            for mode, there in enumerate(span.there):
                course[0] = there
                if span.waiting is None:
                    _fill(course, self.fall[mode])
                else:
                    _fill_from(inflow, self.entering[mode], course, self.fall[mode], part)
                block[span.begin : span.end] += course


def _doublings(n: int) -> Iterator[tuple[int, int, int]]:
    """For each power of 2 the rows that are filled, and the rows `begin:end` that follow from the first of them."""
    for power in range(max(0, n - 1).bit_length()):
        yield power, 2**power, min(2 ** (power + 1), n)


def _fill(course: FloatArray, fall: tuple[FloatArray, ...] | None) -> None:
    """The rows after the first one, of what only falls or, without `fall`, stays."""
    for power, begin, end in _doublings(len(course)):
        if fall is None:
            course[begin:end] = course[0]
        else:
            np.multiply(course[: end - begin], fall[power], out=course[begin:end])


def _fill_from(
    inflow: FloatArray,
    entering: tuple[FloatArray, ...],
    course: FloatArray,
    fall: tuple[FloatArray, ...],
    part: FloatArray,
) -> None:
    """The rows after the first one, of what falls and is entered; `part` is for the parts of the sum."""
    for power, begin, end in _doublings(len(course)):
        np.multiply(course[: end - begin], fall[power], out=course[begin:end])
        entered = np.multiply(inflow[: end - begin], entering[power], out=part[: end - begin])
        course[begin:end] += entered


def _longest(spans: Sequence[_Span]) -> int:
    return max((span.end - span.begin for span in spans), default=1)


def _falls(rate: FloatArray, spans: Sequence[_Span], step: float) -> tuple[FloatArray, ...]:
    """``exp(-rate k h)`` for k = 1, 2, 4, ...: every third one exactly, the others squared from the one before."""
    falls: list[FloatArray] = []
    for power, k, _ in _doublings(_longest(spans)):
        falls.append(falls[-1] ** 2 if power % _EXACT_EACH else np.exp(-rate * (k * step)))
    return tuple(falls)


def _sources(
    structure: Structure, parameters: Mapping[str, FloatArray], doses: Sequence[Dose], times: FloatArray
) -> list[_Source]:
    modes = modes_of(structure, parameters)
    rates, weights = (list(np.ascontiguousarray(each.T)) for each in modes)
    injected = [dose for dose in doses if not dose.route.is_absorbed]
    absorbed = [dose for dose in doses if dose.route.is_absorbed]
    sources = [_running(rates, weights, dose, times) for dose in injected if dose.duration_h > 0.0]
    if injected:
        sources.append(_injected(rates, weights, injected, times))
    if absorbed:
        sources.append(_absorbed(rates, weights, absorption_of(parameters), absorbed, times))
    return sources


def _step(times: FloatArray) -> float:
    return float((times[-1] - times[0]) / (times.size - 1))


def _after(starts: FloatArray, times: FloatArray) -> Iterator[tuple[int, int, int]]:
    """For each jump that some times follow before the next one: the jump, and those times as a range."""
    first = np.searchsorted(times, starts)
    after = np.append(first[1:], times.size)
    for jump, (begin, end) in enumerate(zip(first, after, strict=True)):
        if begin < end:
            yield jump, int(begin), int(end)


def _injected(rates: list[FloatArray], weights: list[FloatArray], doses: Sequence[Dose], times: FloatArray) -> _Source:
    jumps = [injections(rate[:, None], doses) for rate in rates]
    starts = jumps[0].time
    spans = [
        _Span(
            begin,
            end,
            [
                weight * of_mode.content[:, jump] * np.exp(-rate * (times[begin] - starts[jump]))
                for rate, weight, of_mode in zip(rates, weights, jumps, strict=True)
            ],
        )
        for jump, begin, end in _after(starts, times)
    ]
    return _Source(spans=spans, fall=[_falls(rate, spans, _step(times)) for rate in rates])


def _running(rates: list[FloatArray], weights: list[FloatArray], dose: Dose, times: FloatArray) -> _Source:
    """Infusions at the times while they run: ``u phi(l u)``, as if from a stage that stays full."""
    step, flow = _step(times), dose.amount_mg / dose.duration_h
    spans = []
    for start in dose.times_h:
        begin, end = np.searchsorted(times, [start, start + dose.duration_h])
        if begin < end:
            elapsed = times[begin] - start
            there = [weight * flow * elapsed * phi(rate * elapsed) for rate, weight in zip(rates, weights, strict=True)]
            spans.append(_Span(int(begin), int(end), there, np.full(rates[0].size, flow)))
    entering = [
        tuple(weight * (k * step) * phi(rate * (k * step)) for _, k, _ in _doublings(_longest(spans)))
        for rate, weight in zip(rates, weights, strict=True)
    ]
    return _Source(spans=spans, fall=[_falls(rate, spans, step) for rate in rates], entering=entering)


def _absorbed(
    rates: list[FloatArray], weights: list[FloatArray], absorption: Absorption, doses: Sequence[Dose], times: FloatArray
) -> _Source:
    k_a, step, clock = absorption.k_a[:, 0], _step(times), times - absorption.lag.flat[0]
    arrived = [arrivals(rate[:, None], absorption, doses) for rate in rates]
    starts, chain = arrived[0].time, arrived[0].chain
    spans = []
    for jump, begin, end in _after(starts, clock):
        since = clock[begin] - starts[jump]
        there = [weight * of_mode.body[:, jump] for weight, of_mode in zip(weights, arrived, strict=True)]
        if since > 0.0:
            there = [
                weight * later(rate[:, None], absorption, chain[:, :, [jump]], of_mode.body[:, [jump]], since)[:, 0]
                for rate, weight, of_mode in zip(rates, weights, arrived, strict=True)
            ]
        spans.append(_Span(begin, end, there, k_a * chain[0, :, jump] * np.exp(-k_a * since)))
    fall, chain_fall = [_falls(rate, spans, step) for rate in rates], _falls(k_a, spans, step)
    entering = [
        _gains(k_a, rate, weight, step, fall_of_mode, chain_fall)
        for rate, weight, fall_of_mode in zip(rates, weights, fall, strict=True)
    ]
    return _Source(spans=spans, fall=fall, entering=entering, chain_fall=chain_fall)


def _gains(
    k_a: FloatArray,
    rate: FloatArray,
    weight: FloatArray,
    step: float,
    fall: tuple[FloatArray, ...],
    chain_fall: tuple[FloatArray, ...],
) -> tuple[FloatArray, ...]:
    """``weight G(2^j h)``: every third one exactly, between them ``G(2 t) = G(t) (exp(-b t) + exp(-a t))``."""
    gains: list[FloatArray] = []
    for power in range(len(fall)):
        if power % _EXACT_EACH:
            gains.append(gains[-1] * (fall[power - 1] + chain_fall[power - 1]))
        else:
            gains.append(weight * gain(k_a, rate, 2**power * step))
    return tuple(gains)
