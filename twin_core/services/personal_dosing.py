"""One person's dosing: a drug's model updated with their levels, regimens for them, and the next sample."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from twin_core.domain.dosing import STEADY, Candidate, Level, When
from twin_core.domain.drugs import Dose, Drug, Exposure, Route, TargetBand
from twin_core.domain.errors import BadInput, UnknownName
from twin_core.domain.history import FloatArray
from twin_core.inference.dose_search import (
    Attainment,
    Responses,
    at_mode,
    given_before,
    if_sampled_later,
    multiples,
    nearest_amounts,
    practical_amounts,
    ranked,
    sampling_gains,
    suggested,
)
from twin_core.inference.pk_fit import AveragedFit, Fit, PkFit, averaged, fit_pk
from twin_core.inference.pk_population import Occasions, Population
from twin_core.inference.pk_search import curves
from twin_core.models.pk.piecewise import Carry, CovariateRecord, pieces_of

PERCENTILES = (5, 25, 50, 75, 95)
N_DRAWS = 4000
NO_ADVICE = "Simulation and education software: no dose may be given because of it."
INTERVALS_H = (6.0, 8.0, 12.0, 24.0, 48.0)


@dataclass(frozen=True, kw_only=True)
class Person:
    """What is known of a person on a drug.

    Attributes
    ----------
    covariates
        By name; the drug's defaults for those not named.
    later_covariates
        Those that were measured later, each with its time [h], increasing.
    carry
        Whether a value holds until the next one is measured, or held since the one before.
    occasion_starts_h
        When each occasion but the first begins; empty where a person stays the same.
    """

    covariates: Mapping[str, float]
    doses: tuple[Dose, ...]
    levels: tuple[Level, ...] = ()
    later_covariates: tuple[tuple[float, Mapping[str, float]], ...] = ()
    carry: Carry = Carry.FORWARD
    occasion_starts_h: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PersonalCurves:
    """Concentrations of one person under a regimen, as far as the levels tell.

    Attributes
    ----------
    most_probable_mg_l
        Shape `(n_times,)`.
    percentiles_mg_l
        Shape `(len(PERCENTILES), n_times)`: of the posterior at each time; no scatter of an assay is in it.
    """

    times_h: FloatArray
    most_probable_mg_l: FloatArray
    percentiles_mg_l: FloatArray


@dataclass(frozen=True, kw_only=True, slots=True)
class TimingCheck:
    """What a wrong sampling time does to the dose that brings the most probable person to the target's middle."""

    level: int
    later_min: float
    amount_mg: float
    amount_if_later_mg: float

    @property
    def change_mg(self) -> float:
        """By how much the dose changes."""
        return self.amount_if_later_mg - self.amount_mg


def population_of(drug: Drug, person: Person) -> Population:
    """A drug's population model for a person with these covariates."""
    names, omega = drug.omega_matrix()
    changes_h, known = _covariates_in_time(drug, person)
    typical = [drug.individual(values) for values in known]
    return Population(
        structure=drug.structure,
        typical=typical[0],
        names=names,
        omega=omega,
        residual=drug.residual,
        occasions=_occasions(drug, person.occasion_starts_h),
        follows=drug.follows,
        later=tuple(zip(changes_h, typical[1:], strict=True)),
        carry=person.carry,
    )


def _covariates_in_time(drug: Drug, person: Person) -> tuple[tuple[float, ...], list[dict[str, float]]]:
    """When covariates change, and all of them in each piece of time between, each checked."""
    first = drug.covariates_with(person.covariates)
    if not person.later_covariates:
        return (), [first]
    begin_h = min(dose.time_h for dose in person.doses)
    if min(time_h for time_h, _ in person.later_covariates) <= begin_h:
        raise BadInput(f"Covariates at or before the first dose at {begin_h:g} h belong to the first ones.")
    records = [CovariateRecord(time_h=begin_h, values=first)]
    for time_h, values in person.later_covariates:
        drug.covariates_with(values)
        records.append(CovariateRecord(time_h=time_h, values=values))
    changes_h, pieces = pieces_of(records, person.carry)
    return tuple(float(time_h) for time_h in changes_h), [drug.covariates_with(piece) for piece in pieces]


def _occasions(drug: Drug, starts_h: tuple[float, ...]) -> Occasions | None:
    if not starts_h:
        return None
    if not drug.iov:
        raise BadInput(f"The model of {drug.name} knows no variability between occasions; leave occasions out.")
    return Occasions(names=tuple(drug.iov), pi=np.diag(list(drug.iov.values())), starts_h=starts_h)


def fitted(drug: Drug, person: Person, *, seed: int = 0, n_draws: int = N_DRAWS) -> PkFit:
    """A drug's model updated with a person's levels; `BadInput` and its kin for what the drug does not allow."""
    drug.check_doses(person.doses)
    return fit_pk(
        population_of(drug, person), person.doses, person.levels, np.random.default_rng(seed), n_draws=n_draws
    )


def fitted_with_all(drugs: Sequence[Drug], person: Person, *, seed: int = 0, n_draws: int = N_DRAWS) -> AveragedFit:
    """Several models of one drug updated with the same levels and weighted by how well each explains them.

    Each model takes those of the covariates that it knows; one that no model knows is refused.
    """
    for values in (person.covariates, *(values for _, values in person.later_covariates)):
        for name in values:
            if not any(covariate.name == name for drug in drugs for covariate in drug.covariates):
                raise UnknownName("covariate", name, {each.name for drug in drugs for each in drug.covariates})
    if person.occasion_starts_h and not any(drug.iov for drug in drugs):
        raise BadInput(f"The models of {drugs[0].of_substance} know no variability between occasions; leave them out.")
    fits = [fitted(drug, _known_to(drug, person), seed=seed, n_draws=n_draws) for drug in drugs]
    return averaged(fits, np.random.default_rng(seed))


def _known_to(drug: Drug, person: Person) -> Person:
    names = {covariate.name for covariate in drug.covariates}

    def known(values: Mapping[str, float]) -> dict[str, float]:
        return {name: value for name, value in values.items() if name in names}

    return Person(
        covariates=known(person.covariates),
        doses=person.doses,
        levels=person.levels,
        later_covariates=tuple((time_h, known(values)) for time_h, values in person.later_covariates),
        carry=person.carry,
        occasion_starts_h=person.occasion_starts_h if drug.iov else (),
    )


def personal_curves(
    fit: Fit, times_h: ArrayLike, doses: Sequence[Dose] | None = None, *, n_draws: int = 1000
) -> PersonalCurves:
    """Curves of a fitted person under the doses they had, or under others."""
    times = np.asarray(times_h, dtype=np.float64)
    drawn = np.concatenate(
        [curves(part.population, _some(part, fit, n_draws), doses or part.doses, times) for part in fit.parts]
    )
    best = max(fit.parts, key=lambda part: len(part.draws))
    return PersonalCurves(
        times_h=times,
        most_probable_mg_l=curves(best.population, best.eta[None], doses or best.doses, times)[0],
        percentiles_mg_l=np.asarray(np.percentile(drawn, PERCENTILES, axis=0)),
    )


def _some(part: PkFit, fit: Fit, n_draws: int) -> FloatArray:
    """A share of a part's draws such that all parts together give about `n_draws`."""
    total = sum(len(each.draws) for each in fit.parts)
    count = max(1, round(min(n_draws, total) * len(part.draws) / total))
    return np.asarray(part.draws[np.linspace(0, len(part.draws) - 1, count).astype(int)])


def advised(
    fit: Fit,
    target: TargetBand,
    candidates: Sequence[Candidate],
    *,
    when: When = STEADY,
    toxic_above: tuple[Exposure, float] | None = None,
) -> tuple[Attainment, ...]:
    """Regimens ranked for a fitted person; see `inference.dose_search.ranked`."""
    return ranked(fit, candidates, target, when=when, toxic_above=toxic_above)


def candidates_for(
    fit: Fit,
    target: TargetBand,
    *,
    route: Route,
    duration_h: float = 0.0,
    intervals_h: Sequence[float] = INTERVALS_H,
    strengths_mg: Sequence[float] = (),
    step_mg: float | None = None,
    when: When = STEADY,
) -> tuple[Candidate, ...]:
    """Regimens about the dose that brings the median person to the middle of the target, rounded to what can be given.

    Rounded to sums of up to four tablets or vials of `strengths_mg`, else to multiples of `step_mg`, else to two
    significant digits.
    """
    ways = [
        Candidate(amount_mg=1.0, interval_h=interval_h, route=route, duration_h=duration_h)
        for interval_h in intervals_h
        if duration_h <= interval_h
    ]
    if strengths_mg:
        possible = practical_amounts(strengths_mg)
        return suggested(fit, target, ways, lambda exact: nearest_amounts(exact, possible), when=when)
    return suggested(fit, target, ways, lambda exact: multiples(exact, step_mg or two_digits(exact)), when=when)


def two_digits(amount_mg: float) -> float:
    """The step that leaves an amount two significant digits; 1 mg for an amount of 0."""
    return float(10.0 ** (np.floor(np.log10(amount_mg)) - 1.0)) if amount_mg > 0.0 else 1.0


def timing_checks(
    fit: PkFit, target: TargetBand, way: Candidate, *, later_min: float = 30.0, when: When = STEADY
) -> tuple[TimingCheck, ...]:
    """For each level: how the dose changes if its sample was in truth taken later."""
    aim = (target.low + target.high) / 2.0

    def amount_of(other: PkFit) -> float:
        return Responses(other, when).amount_mg(way, target.exposure, aim)

    amount_mg = amount_of(at_mode(fit))
    return tuple(
        TimingCheck(
            level=level,
            later_min=later_min,
            amount_mg=amount_mg,
            amount_if_later_mg=if_sampled_later(fit, level, later_min, amount_of),
        )
        for level in range(len(fit.levels))
    )


def next_sample(fit: PkFit, way: Candidate, exposure: Exposure, times_h: ArrayLike) -> FloatArray:
    """How much of the variance of a regimen's steady-state exposure a level at each time would take away.

    Shape `(n_times,)`, between 0 and 1, of the exposure's logarithm; see `inference.dose_search.sampling_gains`.
    """
    found = Responses(fit, STEADY).of(way, exposure)
    return sampling_gains(fit, np.log(np.maximum(found, 1e-12)), times_h)


def adjusted(doses: Sequence[Dose], regimen: Candidate, next_dose_h: float, until_h: float) -> tuple[Dose, ...]:
    """The doses given before `next_dose_h`, then a regimen until `until_h`."""
    count = max(1, int(np.ceil((until_h - next_dose_h) / regimen.interval_h - 1e-9)))
    return (*given_before(doses, next_dose_h), regimen.line(next_dose_h, count))
