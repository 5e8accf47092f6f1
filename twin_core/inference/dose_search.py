"""Regimens ranked by how probably they meet a target, over a person's posterior; what a further level would tell.

All models here are linear in the dose, so that an exposure is `base + amount * unit`: what earlier doses left, and what
1 mg of a regimen adds. Both are computed once for all amounts of an interval. Between occasions a person's next doses
are taken as on no occasion in particular.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twin_core.domain.dosing import STEADY, Candidate, FromNow, When
from twin_core.domain.drugs import Dose, Exposure, Route, TargetBand
from twin_core.domain.errors import BadInput, OutOfRange
from twin_core.domain.history import FloatArray
from twin_core.inference.pk_fit import Fit, PkFit, most_probable
from twin_core.inference.pk_population import standard_deviation
from twin_core.inference.pk_search import curves
from twin_core.models.pk.compartments import area, concentration

_HOURS_A_DAY = 24.0
_PEAK_POINTS = 49
_NODES = 12
"""Gauss-Legendre points between two events of a regimen."""
_LARGEST_MG = 1e8
_MOST_UNITS = 8


@dataclass(frozen=True, kw_only=True)
class Attainment:
    """What a regimen would do to this person.

    Attributes
    ----------
    exposure
        Shape `(n_draws,)`: the target's exposure, for every draw of the posterior.
    toxic
        Shape `(n_draws,)`: whether that draw has too much, by the limit that was given or else by the target's end.
    """

    candidate: Candidate
    target: TargetBand
    exposure: FloatArray
    toxic: NDArray[np.bool_]

    @property
    def in_target(self) -> float:
        """Probability that the exposure is in the target, both ends in."""
        return float(np.mean((self.exposure >= self.target.low) & (self.exposure <= self.target.high)))

    @property
    def above(self) -> float:
        """Probability of more than the target."""
        return float(np.mean(self.exposure > self.target.high))

    @property
    def risk_index(self) -> float:
        """Probability of toxicity."""
        return float(np.mean(self.toxic))

    def figures(self) -> dict[str, float]:
        """Probabilities, and percentiles of the exposure."""
        p05, p50, p95 = np.percentile(self.exposure, (5.0, 50.0, 95.0))
        return {
            "probability_in_target": self.in_target,
            "probability_below": float(np.mean(self.exposure < self.target.low)),
            "probability_above": self.above,
            "risk_index": self.risk_index,
            "exposure_p05": float(p05),
            "exposure_p50": float(p50),
            "exposure_p95": float(p95),
        }


def ranked(
    fit: Fit,
    candidates: Iterable[Candidate],
    target: TargetBand,
    *,
    when: When = STEADY,
    toxic_above: tuple[Exposure, float] | None = None,
) -> tuple[Attainment, ...]:
    """The regimens, the most probable to meet the target first; of equals the one with less risk.

    `toxic_above` names an exposure and the most of it that is safe; without it more than the target is toxic.
    """
    exposures = Responses(fit, when)
    found = []
    for each in candidates:
        exposure = exposures.of(each, target.exposure)
        harm, most = toxic_above or (target.exposure, target.high)
        toxic = (exposure if harm is target.exposure else exposures.of(each, harm)) > most
        found.append(Attainment(candidate=each, target=target, exposure=exposure, toxic=toxic))
    return tuple(sorted(found, key=lambda each: (-each.in_target, each.risk_index, each.candidate.amount_mg)))


def exposure_at_steady_state(fit: Fit, candidate: Candidate, exposure: Exposure) -> FloatArray:
    """An exposure of every draw of the posterior under a regimen that has been given since ever, shape `(n_draws,)`."""
    return Responses(fit, STEADY).of(candidate, exposure)


class _Response(NamedTuple):
    """An exposure's parts: of earlier doses, and of 1 mg; `(n_draws, n_times)`, summed up over times at the end."""

    base: FloatArray
    unit: FloatArray


class Responses:
    """Exposures of a person under many regimens, each interval solved once for all its amounts."""

    def __init__(self, fit: Fit, when: When) -> None:
        self._parts = fit.parts
        self._when = when
        self._known: dict[tuple[float, Route, float, Exposure], list[_Response]] = {}

    def of(self, candidate: Candidate, exposure: Exposure) -> FloatArray:
        """An exposure of every draw of the posterior, shape `(n_draws,)`."""
        found = [each.base + candidate.amount_mg * each.unit for each in self._responses(candidate, exposure)]
        return np.concatenate([each.max(axis=1) for each in found])

    def amount_mg(self, candidate: Candidate, exposure: Exposure, aim: float) -> float:
        """The amount whose median exposure is `aim`, 0 where earlier doses suffice; the candidate's own is not used."""
        from scipy.optimize import brentq

        def too_much(amount_mg: float) -> float:
            return float(np.median(self.of(replace(candidate, amount_mg=amount_mg), exposure))) - aim

        if too_much(0.0) >= 0.0:
            return 0.0
        high = 1.0
        while too_much(high) < 0.0:
            high *= 4.0
            if high > _LARGEST_MG:
                raise BadInput(f"No dose up to {_LARGEST_MG:g} mg has an exposure of {aim:g}: check target and route.")
        return float(brentq(too_much, 0.0, high, xtol=1e-9 * high, rtol=1e-12))

    def _responses(self, candidate: Candidate, exposure: Exposure) -> list[_Response]:
        key = (candidate.interval_h, candidate.route, candidate.duration_h, exposure)
        if key not in self._known:
            self._known[key] = [
                self._response(part, replace(candidate, amount_mg=1.0), exposure) for part in self._parts
            ]
        return self._known[key]

    def _response(self, part: PkFit, one_mg: Candidate, exposure: Exposure) -> _Response:
        if isinstance(self._when, FromNow):
            return _from_now(part, one_mg, exposure, self._when)
        return _at_steady_state(part, one_mg, exposure)


def _at_steady_state(part: PkFit, one_mg: Candidate, exposure: Exposure) -> _Response:
    structure, people = part.population.structure, part.population.individual(part.draws)
    interval_h = one_mg.interval_h
    since_ever = replace(one_mg.line(0.0, 1), steady_state=True)
    if exposure is Exposure.AUC24:
        unit = area(structure, people, (since_ever,), 0.0, interval_h)[:, None] * _HOURS_A_DAY / interval_h
    elif exposure is Exposure.TROUGH:
        unit = concentration(structure, people, (since_ever,), [interval_h])
    else:
        unit = concentration(structure, people, (since_ever,), _peak_times(one_mg, 0.0))
    return _Response(np.zeros_like(unit), unit)


def _from_now(part: PkFit, one_mg: Candidate, exposure: Exposure, when: FromNow) -> _Response:
    population = part.population
    when = replace(when, until_h=max(when.until_h, when.next_dose_h + one_mg.interval_h))
    count = int(np.ceil((when.until_h - when.next_dose_h) / one_mg.interval_h - 1e-9))
    line = (one_mg.line(when.next_dose_h, count),)
    before = given_before(part.doses, when.next_dose_h)
    people = population.individual(part.draws)
    if exposure is Exposure.AUC24:
        scale = _HOURS_A_DAY / (when.until_h - when.from_h)
        base = _left_area(part, before, when) if before else np.zeros(len(part.draws))
        unit = area(population.structure, people, line, when.from_h, when.until_h)
        return _Response(base[:, None] * scale, unit[:, None] * scale)
    times = _times_that_count(one_mg, exposure, when, count)
    base = curves(population, part.draws, before, times) if before else np.zeros((len(part.draws), len(times)))
    return _Response(base, concentration(population.structure, people, line, times))


def _times_that_count(one_mg: Candidate, exposure: Exposure, when: FromNow, count: int) -> FloatArray:
    """The end of the last interval for a trough; where a peak may be, for a peak."""
    if exposure is Exposure.TROUGH:
        return np.array([when.next_dose_h + count * one_mg.interval_h])
    starts = when.next_dose_h + one_mg.interval_h * np.arange(count)
    times = np.concatenate([_peak_times(one_mg, start) for start in starts])
    return np.concatenate(([when.from_h], times[(times > when.from_h) & (times < when.until_h)]))


def _peak_times(one_mg: Candidate, start_h: float) -> FloatArray:
    """The end of the infusion, and points that lie closer together early on."""
    early = one_mg.interval_h * np.linspace(0.0, 1.0, _PEAK_POINTS, endpoint=False) ** 2
    return start_h + np.append(early, one_mg.duration_h)


def given_before(doses: Sequence[Dose], time_h: float) -> tuple[Dose, ...]:
    """The doses that began before a time."""
    kept = []
    for dose in doses:
        count = sum(start < time_h for start in dose.times_h)
        if count:
            kept.append(replace(dose, additional=count - 1))
    return tuple(kept)


def _left_area(part: PkFit, before: tuple[Dose, ...], when: FromNow) -> FloatArray:
    """Area under what earlier doses left, by Gauss-Legendre between the moments at which the curve has a corner."""
    population = part.population
    if not population.changes_h:
        return area(population.structure, population.individual(part.draws), before, when.from_h, when.until_h)
    ends = [start + dose.duration_h for dose in before for start in dose.times_h]
    corners = [t for t in (*ends, *population.changes_h) if when.from_h < t < when.until_h]
    edges = np.array([when.from_h, *sorted(set(corners)), when.until_h])
    node, weight = np.polynomial.legendre.leggauss(_NODES)
    half = np.diff(edges)[:, None] / 2.0
    times = (edges[:-1, None] + half * (1.0 + node)).ravel()
    return np.asarray(curves(population, part.draws, before, times) @ (half * weight).ravel())


# --- amounts that can be given ----------------------------------------------------------------------------------------


def practical_amounts(strengths_mg: Sequence[float], *, most_units: int = 4, halves: bool = False) -> tuple[float, ...]:
    """What up to `most_units` tablets or vials of the given strengths add up to, increasing [mg].

    `halves` allows one tablet of them to be cut.
    """
    if not strengths_mg or min(strengths_mg) <= 0.0:
        raise BadInput(f"Strengths must be above 0 mg; got {list(strengths_mg) or 'none'}.")
    if not 1 <= most_units <= _MOST_UNITS:
        raise OutOfRange("most_units", most_units, 1, _MOST_UNITS, "tablets or vials")
    sums = {
        round(sum(units), 9)
        for count in range(1, most_units + 1)
        for units in combinations_with_replacement(strengths_mg, count)
    }
    if halves:
        sums |= {round(whole + half / 2.0, 9) for whole in (0.0, *sums) for half in strengths_mg}
    return tuple(sorted(sums))


def nearest_amounts(exact_mg: float, amounts_mg: Sequence[float], *, count: int = 3) -> tuple[float, ...]:
    """The practical amounts nearest to an exact one, increasing."""
    return tuple(sorted(sorted(amounts_mg, key=lambda amount: abs(amount - exact_mg))[:count]))


def multiples(exact_mg: float, step_mg: float, *, count: int = 3) -> tuple[float, ...]:
    """Multiples of a step about an exact amount, all above 0."""
    if not 0.0 < step_mg < np.inf:
        raise OutOfRange("step_mg", step_mg, 0.0, np.inf, "mg")
    first = max(1, round(exact_mg / step_mg) - count // 2)
    return tuple(step_mg * (first + each) for each in range(count))


def suggested(
    fit: Fit,
    target: TargetBand,
    ways: Iterable[Candidate],
    amounts: Callable[[float], Sequence[float]],
    *,
    when: When = STEADY,
) -> tuple[Candidate, ...]:
    """Candidates about the amount that brings the median person to the middle of the target, way by way.

    `ways` say interval, route and duration; `amounts` turns an exact amount into those that can be given.
    """
    responses, aim = Responses(fit, when), (target.low + target.high) / 2.0
    return tuple(
        replace(way, amount_mg=amount)
        for way in ways
        for amount in amounts(responses.amount_mg(way, target.exposure, aim))
    )


# --- what a further level would tell, and what a wrong time would do --------------------------------------------------


def sampling_gains(
    fit: PkFit, quantity: FloatArray, times_h: ArrayLike, doses: Sequence[Dose] | None = None
) -> FloatArray:
    """Share of a quantity's variance that a level at each time is expected to take away, shape `(n_times,)`.

    The best linear guess of the quantity from the level y leaves Var(q) - Cov(q, y)^2 / Var(y), y scattering with its
    residual error about each draw's curve; nothing is refitted.

    Parameters
    ----------
    quantity
        Shape `(n_draws,)`, of the fit's draws: an exposure or a parameter, best as its logarithm.
    doses
        Those given until then; the fit's own unless given.
    """
    f = curves(fit.population, fit.draws, fit.doses if doses is None else doses, np.asarray(times_h, dtype=np.float64))
    sd, _, _ = standard_deviation(fit.population.residual, f)
    centred = quantity - quantity.mean()
    total = float(centred @ centred) / len(centred)
    if total == 0.0:
        return np.zeros(f.shape[1])
    with_quantity = centred @ (f - f.mean(axis=0)) / len(centred)
    return np.asarray(with_quantity**2 / (f.var(axis=0) + (sd**2).mean(axis=0)) / total)


def if_sampled_later(fit: PkFit, level: int, later_min: float, decide: Callable[[PkFit], float]) -> float:
    """What `decide` says of the most probable person when one level was in truth taken `later_min` later.

    Raises
    ------
    BadInput
        If that time is before the first dose, or there is no such level.
    """
    if not 0 <= level < len(fit.levels):
        raise BadInput(f"There is no level number {level}; there are {len(fit.levels)}.")
    moved = replace(fit.levels[level], time_h=fit.levels[level].time_h + later_min / 60.0)
    levels = (*fit.levels[:level], moved, *fit.levels[level + 1 :])
    return decide(most_probable(fit.population, fit.doses, levels))


def at_mode(fit: PkFit) -> PkFit:
    """The same fit with its most probable eta as its only draw."""
    return replace(fit, draws=fit.eta[None])
