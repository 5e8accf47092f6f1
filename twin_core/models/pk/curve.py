"""The same doses and times again and again, as a fit asks for them: all that does not depend on the person, done once.

The contents of `compartments` as plain sums over the single doses: one array operation serves all doses, times and
people, which is faster than carrying contents along as long as doses times times are few. Many go the other way.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from twin_core.domain.drugs import Dose, Structure
from twin_core.domain.history import FloatArray
from twin_core.models.pk.absorption import gain, phi
from twin_core.models.pk.compartments import epochs
from twin_core.models.pk.contents import Absorption, absorption_of, content, ever, later, steady
from twin_core.models.pk.modes import modes_of

_MOST_TERMS = 2_000
"""So many pairs of a dose and a time are summed; above, contents are carried from dose to dose."""
_BLOCK_NUMBERS = 65_536
"""Numbers in one array of a block of people."""


class Curve:
    """Concentrations at fixed times after fixed doses.

    Parameters
    ----------
    times_h
        Shape `(n_times,)`, in any order [h].

    Examples
    --------
    >>> curve = Curve(Structure.ONE_COMPARTMENT, doses, [2.0, 12.0])
    >>> curve.at({"CL_L_h": CL, "V1_L": V})  # each a number or of shape (n_people,)
    """

    def __init__(self, structure: Structure, doses: Sequence[Dose], times_h: ArrayLike) -> None:
        self.structure = structure
        self.times_h = np.asarray(times_h, dtype=float)
        self._parts = []
        for start_h, end_h, given in epochs(doses):
            columns = np.flatnonzero((self.times_h >= start_h) & (self.times_h < end_h))
            if columns.size:
                place = slice(None) if columns.size == self.times_h.size else columns
                self._parts.append((place, _Part(given, self.times_h[columns])))

    def at(self, parameters: Mapping[str, ArrayLike]) -> FloatArray:
        """Concentrations of people with these parameters, shape `(n_people, n_times)` [mg/L].

        Nothing is checked: `compartments.check_parameters` does, once for the typical person.
        """
        columns = {name: np.asarray(value, dtype=float).reshape(-1, 1) for name, value in parameters.items()}
        modes = modes_of(self.structure, columns)
        n = max(len(column) for column in (*columns.values(), modes.rate))
        total = np.zeros((n, self.times_h.size))
        size = max(1, _BLOCK_NUMBERS // max(1, max((part.n_terms for _, part in self._parts), default=1)))
        for first in range(0, n, size):
            people = slice(first, first + size)
            block = {name: column[people] if len(column) > 1 else column for name, column in columns.items()}
            rate, weight = (array[people] if len(array) > 1 else array for array in modes)
            for place, part in self._parts:
                total[people, place] = part.at(rate, weight, block)
        return total


class _Part:
    """The doses and times of one span between resets."""

    def __init__(self, doses: Sequence[Dose], times: FloatArray) -> None:
        self.doses, self.times = doses, times
        injected = [dose for dose in doses if not dose.route.is_absorbed]
        absorbed = [dose for dose in doses if dose.route.is_absorbed]
        single_injected = [(start, dose) for dose in injected for start in dose.times_h]
        single_absorbed = [
            (start, dose) for dose in absorbed for start in (dose.times_h[1:] if dose.steady_state else dose.times_h)
        ]
        self.n_terms = times.size * max(1, len(single_injected) + len(single_absorbed))
        self.injected = _Injected(single_injected, times) if injected else None
        self.injected_ever = [_InjectedEver(dose, times) for dose in injected if dose.steady_state]
        self.absorbed = _Absorbed(single_absorbed, times) if single_absorbed else None
        self.absorbed_ever = [_AbsorbedEver(dose, times) for dose in absorbed if dose.steady_state]

    def at(self, rate: FloatArray, weight: FloatArray, parameters: Mapping[str, FloatArray]) -> FloatArray:
        """Concentrations, shape `(n_people, n_times)`."""
        total = np.zeros((1, 1))
        absorption = absorption_of(_ABSORPTION_UNSAID | dict(parameters)) if "k_a_h" in parameters else None
        for mode in range(rate.shape[1]):
            held = self._content(rate[:, [mode]], absorption, parameters)
            total = total + weight[:, [mode]] * held
        return total

    def _content(
        self, rate: FloatArray, absorption: Absorption | None, parameters: Mapping[str, FloatArray]
    ) -> FloatArray:
        if self.n_terms > _MOST_TERMS:
            named = {"rate": rate, **_ABSORPTION_UNSAID, **parameters}
            everyone = dict(zip(named, np.broadcast_arrays(*named.values()), strict=True))
            return content(everyone.pop("rate"), everyone, self.doses, self.times)
        held = np.zeros((1, 1)) if self.injected is None else self.injected.content(rate)
        for injected in self.injected_ever:
            held = held + injected.content(rate)
        if absorption is not None:
            for absorbed in (*((self.absorbed,) if self.absorbed else ()), *self.absorbed_ever):
                held = held + absorbed.content(rate, absorption)
        return held


_ABSORPTION_UNSAID = {"lag_h": np.zeros((1, 1)), "F": np.ones((1, 1))}


class _Injected:
    """Single intravenous doses: how long each ran by each time, how long ago it ended, and what had entered."""

    def __init__(self, given: Sequence[tuple[float, Dose]], times: FloatArray) -> None:
        start = np.array([start for start, _ in given])[:, None]
        amount = np.array([dose.amount_mg for _, dose in given])[:, None]
        duration = np.array([dose.duration_h for _, dose in given])[:, None]
        elapsed = np.maximum(times - start, 0.0)
        self.ran = np.minimum(elapsed, duration)
        self.since = elapsed - self.ran
        at_once = duration == 0.0
        self.entered = amount * np.where(at_once, 1.0, self.ran / (duration + at_once)) * (times >= start)

    def content(self, rate: FloatArray) -> FloatArray:
        rates = rate[:, :, None]
        held: FloatArray = (self.entered * phi(rates * self.ran) * np.exp(-rates * self.since)).sum(axis=1)
        return held


class _InjectedEver:
    """What the doses before a steady state left."""

    def __init__(self, dose: Dose, times: FloatArray) -> None:
        self.dose, self.interval = dose, dose.interval_h or 0.0
        self.since = np.maximum(times - dose.time_h, 0.0) + (self.interval - dose.duration_h)
        self.amount = dose.amount_mg * (times >= dose.time_h)

    def content(self, rate: FloatArray) -> FloatArray:
        left = phi(rate * self.dose.duration_h) * ever(rate, self.interval)
        return left * self.amount * np.exp(-rate * self.since)


class _Absorbed:
    """Single absorbed doses."""

    def __init__(self, given: Sequence[tuple[float, Dose]], times: FloatArray) -> None:
        self.clock = times - np.array([start for start, _ in given])[:, None]
        self.amount = np.array([dose.amount_mg for _, dose in given])[:, None]

    def content(self, rate: FloatArray, absorption: Absorption) -> FloatArray:
        k_a, stages = absorption.k_a[:, :, None], absorption.stages
        elapsed = np.maximum(self.clock - absorption.lag[:, :, None], 0.0)
        held = (self.amount * gain(k_a, rate[:, :, None], elapsed, stages)).sum(axis=1)
        return np.asarray(absorption.F * absorption.k_a**stages * held)


class _AbsorbedEver:
    """The first dose of a steady state with all before it; in its lag, those before it only."""

    def __init__(self, dose: Dose, times: FloatArray) -> None:
        self.dose, self.interval = dose, dose.interval_h or 0.0
        self.clock, self.counts = times - dose.time_h, times >= dose.time_h

    def content(self, rate: FloatArray, absorption: Absorption) -> FloatArray:
        clock = self.clock - absorption.lag
        elapsed = np.where(clock < 0.0, clock - self.interval * np.floor(clock / self.interval), clock)
        chain, body = steady(rate, absorption, self.dose)
        return np.asarray(self.counts * later(rate, absorption, chain, body, elapsed))
