"""Regimens ranked by how probably they meet a target at steady state, over a person's posterior."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from twin_core.domain.drugs import Dose, Exposure, Route, TargetBand
from twin_core.domain.history import FloatArray
from twin_core.inference.pk_fit import PkFit
from twin_core.models.pk.compartments import area, concentration

_PEAK_POINTS = 49


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """The same dose every `interval_h`, until steady state."""

    amount_mg: float
    interval_h: float
    route: Route
    duration_h: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Attainment:
    """What a regimen would do to this person.

    Attributes
    ----------
    exposure
        Shape `(n_draws,)`: the target's exposure at steady state, for every draw of the posterior.
    """

    candidate: Candidate
    target: TargetBand
    exposure: FloatArray

    @property
    def in_target(self) -> float:
        """Probability that the exposure is in the target, both ends in."""
        return float(np.mean((self.exposure >= self.target.low) & (self.exposure <= self.target.high)))

    @property
    def above(self) -> float:
        """Probability of too much."""
        return float(np.mean(self.exposure > self.target.high))

    def figures(self) -> dict[str, float]:
        """Probabilities, and percentiles of the exposure."""
        p05, p50, p95 = np.percentile(self.exposure, (5.0, 50.0, 95.0))
        return {
            "probability_in_target": self.in_target,
            "probability_below": float(np.mean(self.exposure < self.target.low)),
            "probability_above": self.above,
            "exposure_p05": float(p05),
            "exposure_p50": float(p50),
            "exposure_p95": float(p95),
        }


def ranked(fit: PkFit, candidates: Iterable[Candidate], target: TargetBand) -> tuple[Attainment, ...]:
    """The regimens, the most probable to meet the target first; of equals the one with less risk of too much."""
    found = [
        Attainment(candidate=each, target=target, exposure=exposure_at_steady_state(fit, each, target.exposure))
        for each in candidates
    ]
    return tuple(sorted(found, key=lambda each: (-each.in_target, each.above, each.candidate.amount_mg)))


def exposure_at_steady_state(fit: PkFit, candidate: Candidate, exposure: Exposure) -> FloatArray:
    """An exposure of every draw of the posterior under a regimen that has been given since ever, shape `(n_draws,)`.

    Raises
    ------
    BadInput
        An infusion longer than its interval.
    """
    structure, people = fit.population.structure, fit.population.individual(fit.draws)
    since_ever = Dose(
        time_h=0.0,
        amount_mg=candidate.amount_mg,
        route=candidate.route,
        duration_h=candidate.duration_h if candidate.route is Route.IV_INFUSION else 0.0,
        interval_h=candidate.interval_h,
        steady_state=True,
    )
    if exposure is Exposure.AUC24:
        return area(structure, people, (since_ever,), 0.0, candidate.interval_h) * 24.0 / candidate.interval_h
    if exposure is Exposure.TROUGH:
        return concentration(structure, people, (since_ever,), [candidate.interval_h])[:, 0]
    times = candidate.interval_h * np.linspace(0.0, 1.0, _PEAK_POINTS, endpoint=False) ** 2
    return np.asarray(
        concentration(structure, people, (since_ever,), np.append(times, since_ever.duration_h)).max(axis=1)
    )
