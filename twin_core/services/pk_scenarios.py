"""The scenarios `fit_pk` and `optimise_dose`: a person's levels in, their parameters or their best regimens out."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import BeforeValidator, Field

from twin_core.domain.dosing import STEADY, Candidate, Level, When, first_hours
from twin_core.domain.drugs import Dose, Drug, ErrorForm, Exposure, ResidualError, Route, Structure, TargetBand
from twin_core.domain.errors import BadScenario
from twin_core.domain.history import FloatArray
from twin_core.inference.pk_fit import AveragedFit, Fit, PkFit, averaged, fit_pk
from twin_core.inference.pk_population import Occasions, Population
from twin_core.models.pk.piecewise import Carry
from twin_core.services.dosing import Dosing
from twin_core.services.personal_dosing import (
    INTERVALS_H,
    NO_ADVICE,
    Person,
    advised,
    candidates_for,
    fitted_with_all,
    next_sample,
    timing_checks,
)
from twin_core.services.scenarios import (
    AnswerModel,
    DoseInput,
    NotNegative,
    PkParametersInput,
    Positive,
    ScenarioKind,
    ScenarioModel,
)

_PERCENTILES = (5.0, 50.0, 95.0)


def _list_for_null(value: Any) -> Any:
    return [] if value is None else value


def _map_for_null(value: Any) -> Any:
    return {} if value is None else value


# --- what a fit needs ------------------------------------------------------------------------------------------------


class OmegaMatrixInput(ScenarioModel):
    """A full covariance matrix of eta."""

    names: list[str]
    matrix: list[list[float]]


class SigmaInput(ScenarioModel):
    """Scatter of levels about a person's curve."""

    proportional_sd: NotNegative = 0.0
    additive_sd: NotNegative = Field(default=0.0, description="mg/L")
    form: Literal["combined1", "combined2"] = Field(
        default="combined2", description="combined1: SD a + b f; combined2: SD sqrt(a^2 + b^2 f^2)"
    )


class PopulationInput(ScenarioModel):
    """A population model: parameters of the typical person, and how people and levels vary."""

    typical: PkParametersInput
    omega: dict[str, Positive] | OmegaMatrixInput = Field(description="variances of eta on the log scale")
    pi: dict[str, Positive] | None = Field(default=None, description="variances between occasions, on the log scale")
    sigma: SigmaInput


class LevelInput(ScenarioModel):
    """A measured level."""

    time_h: float
    concentration_mg_l: NotNegative
    below_quantification: bool = Field(default=False, description="true: only known to be below concentration_mg_l")


class LaterCovariatesInput(ScenarioModel):
    """Covariates measured at a time after the first."""

    time_h: float
    values: dict[str, float]


Covariates: TypeAlias = Annotated[
    dict[str, float], BeforeValidator(_map_for_null, json_schema_input_type=dict[str, float] | None)
]
Levels: TypeAlias = Annotated[
    list[LevelInput],
    Field(max_length=1000),
    BeforeValidator(_list_for_null, json_schema_input_type=list[LevelInput] | None),
]
LaterCovariates: TypeAlias = Annotated[
    list[LaterCovariatesInput],
    Field(max_length=1000),
    BeforeValidator(_list_for_null, json_schema_input_type=list[LaterCovariatesInput] | None),
]
Times: TypeAlias = Annotated[
    list[float], Field(max_length=1000), BeforeValidator(_list_for_null, json_schema_input_type=list[float] | None)
]
Names: TypeAlias = Annotated[
    list[str], Field(max_length=5), BeforeValidator(_list_for_null, json_schema_input_type=list[str] | None)
]
Amounts: TypeAlias = Annotated[
    list[Positive], Field(max_length=10), BeforeValidator(_list_for_null, json_schema_input_type=list[Positive] | None)
]


class FitPkFields(ScenarioModel):
    """What a fit needs: a drug with covariates, or a model with its population."""

    drug: str | None = None
    average_with: Names = Field(default=[], description="other models of the drug, weighted by how well they explain")
    model: Literal["one_compartment", "two_compartment", "three_compartment"] | None = None
    population: PopulationInput | None = Field(default=None, description="with model only")
    covariates: Covariates = Field(default={}, description="with drug only; the drug's defaults unless given")
    later_covariates: LaterCovariates = Field(default=[], description="with drug only; measured later, in order")
    carry: Literal["forward", "backward"] = Field(
        default="forward", description="forward: a covariate holds until the next one (LOCF); backward: as NONMEM"
    )
    occasion_starts_h: Times = Field(default=[], description="when each occasion but the first begins")
    doses: Annotated[list[DoseInput], Field(min_length=1, max_length=10_000)]
    levels: Levels = Field(default=[], description="none: the prior")
    seed: Annotated[int, Field(ge=0)] = 0


class FitPkInput(FitPkFields):
    """Update a population model with a person's levels."""

    kind: Literal["fit_pk"]


class PkPosteriorOutput(AnswerModel):
    """The sampled posterior: percentiles of each parameter over the draws, and their effective number."""

    ess: float
    n_draws: int
    sampler: str
    eta_sd: dict[str, float]
    p05: dict[str, float]
    p50: dict[str, float]
    p95: dict[str, float]


class ModelWeightOutput(AnswerModel):
    """How far one of several models is believed: in proportion to exp(-phi / 2)."""

    drug: str | None
    weight: float
    phi: float
    objective: float


class FitPkOutput(AnswerModel):
    """The most probable eta with its covariance (rows and columns in the order of `eta`), and the posterior.

    With several models, `models` has their weights, the posterior is the mixture, and the rest is of the first one.
    """

    eta: dict[str, float]
    covariance: list[list[float]]
    objective: float
    individual: dict[str, float]
    predicted_mg_l: list[float]
    posterior: PkPosteriorOutput
    models: list[ModelWeightOutput]
    converged: bool
    notes: list[str]


def run_fit_pk(scenario: FitPkInput, dosing: Dosing) -> FitPkOutput:
    """Answer `fit_pk`; levels are predicted in the order in which they were given."""
    fit = _fitted(scenario, dosing)
    first = fit.fits[0]
    names = first.population.deviation_names
    low, middle, high = _percentiles(fit)
    return FitPkOutput(
        eta=dict(zip(names, first.eta.tolist(), strict=True)),
        covariance=first.covariance.tolist(),
        objective=first.objective,
        individual=dict(first.individual),
        predicted_mg_l=first.predicted_mg_l.tolist(),
        posterior=PkPosteriorOutput(
            ess=fit.ess,
            n_draws=sum(len(part.draws) for part in fit.parts),
            sampler=first.sampler.value,
            eta_sd=dict(zip(names, first.draws.std(axis=0).tolist(), strict=True)),
            p05=low,
            p50=middle,
            p95=high,
        ),
        models=_weights(scenario, fit),
        converged=all(each.converged for each in fit.fits),
        notes=_notes(fit),
    )


def _percentiles(fit: AveragedFit) -> list[dict[str, float]]:
    """Percentiles of the parameters that all models share."""
    people = [part.population.individual(part.draws) for part in fit.parts]
    shared = [name for name in people[0] if all(name in each for each in people)]
    found = {name: np.percentile(np.concatenate([each[name] for each in people]), _PERCENTILES) for name in shared}
    return [{name: float(values[place]) for name, values in found.items()} for place in range(len(_PERCENTILES))]


def _weights(scenario: FitPkFields, fit: AveragedFit) -> list[ModelWeightOutput]:
    return [
        ModelWeightOutput(drug=name, weight=float(weight), phi=each.phi, objective=each.objective)
        for name, weight, each in zip((scenario.drug, *scenario.average_with), fit.weights, fit.fits, strict=True)
    ]


def _notes(fit: AveragedFit) -> list[str]:
    return list(dict.fromkeys(note for each in fit.fits for note in each.notes))


# --- optimise_dose ---------------------------------------------------------------------------------------------------


class CandidateInput(ScenarioModel):
    """A regimen to try: the same dose every `interval_h`."""

    amount_mg: Positive
    interval_h: Positive
    route: Literal["iv_bolus", "iv_infusion", "oral", "subcutaneous", "intramuscular"] | None = Field(
        default=None, description="null: the route of the first dose"
    )
    duration_h: NotNegative | None = Field(default=None, description="null: the length of the first dose")


Band: TypeAlias = Annotated[list[NotNegative], Field(min_length=2, max_length=2)]


class TargetInput(ScenarioModel):
    """The exposure to aim at, as [low, high], both ends in; exactly one."""

    auc24_mg_h_l: Band | None = None
    peak_mg_l: Band | None = None
    trough_mg_l: Band | None = None


class ToxicInput(ScenarioModel):
    """Above what an exposure is toxic; exactly one."""

    auc24_mg_h_l: NotNegative | None = None
    peak_mg_l: NotNegative | None = None
    trough_mg_l: NotNegative | None = None


class OptimiseDoseInput(FitPkFields):
    """Rank regimens by the probability that this person's exposure is in the target."""

    kind: Literal["optimise_dose"]
    target: TargetInput | None = Field(default=None, description="null: the drug's own")
    toxic_above: ToxicInput | None = Field(default=None, description="null: above the target")
    candidates: Annotated[list[CandidateInput], Field(max_length=500)] | None = Field(
        default=None, description="null or empty: about the dose that hits the target's middle, rounded as said below"
    )
    intervals_h: Annotated[list[Positive], Field(min_length=1, max_length=20)] = Field(
        default=list(INTERVALS_H), description="without candidates: the intervals to try"
    )
    strengths_mg: Amounts = Field(default=[], description="tablets or vials; sums of up to four are tried")
    step_mg: Positive | None = Field(default=None, description="without strengths: round to multiples of this")
    next_dose_h: float | None = Field(
        default=None, description="when the regimen begins, on top of the doses before; null: steady state"
    )
    hours: Positive = Field(default=24.0, description="with next_dose_h: how many hours count")
    sample_times_h: Times = Field(default=[], description="when a further sample could be taken")
    later_min: float = Field(default=30.0, description="by how much a sampling time may be wrong")


class RegimenOutput(AnswerModel):
    """One regimen; exposure is that of the target, the risk index is the probability of toxicity."""

    amount_mg: float
    interval_h: float
    route: str
    duration_h: float
    probability_in_target: float
    probability_below: float
    probability_above: float
    risk_index: float
    exposure_p05: float
    exposure_p50: float
    exposure_p95: float


class SampleOutput(AnswerModel):
    """How much of the variance of the best regimen's exposure a sample at this time is expected to take away."""

    time_h: float
    variance_removed: float


class TimingOutput(AnswerModel):
    """The dose for the target's middle every best interval, and what it were with one sample taken later."""

    level: int
    later_min: float
    amount_mg: float
    amount_if_later_mg: float
    change_mg: float


class OptimiseDoseOutput(AnswerModel):
    """Regimens, the most probable to meet the target first; samples, the most telling first."""

    exposure: str
    target: list[float]
    regimens: list[RegimenOutput]
    next_samples: list[SampleOutput]
    timing: list[TimingOutput]
    models: list[ModelWeightOutput]
    ess: float
    sampling_error: float
    notes: list[str]


def run_optimise_dose(scenario: OptimiseDoseInput, dosing: Dosing) -> OptimiseDoseOutput:
    """Answer `optimise_dose`."""
    fit = _fitted(scenario, dosing)
    drug = dosing.drug(scenario.drug) if scenario.drug is not None else None
    target = _target(scenario.target, drug)
    when = STEADY if scenario.next_dose_h is None else first_hours(scenario.next_dose_h, scenario.hours)
    candidates = _candidates(scenario, fit, target, when)
    if drug is not None:
        drug.check_doses(tuple(Dose(time_h=0.0, amount_mg=each.amount_mg, route=each.route) for each in candidates))
    found = advised(fit, target, candidates, when=when, toxic_above=_toxic_above(scenario.toxic_above))
    best, first = found[0].candidate, fit.fits[0]
    return OptimiseDoseOutput(
        exposure=target.exposure.value,
        target=[target.low, target.high],
        regimens=[RegimenOutput.model_validate(asdict(each.candidate) | each.figures()) for each in found],
        next_samples=_samples(scenario, first, best, target),
        timing=_timing(scenario, first, best, target, when),
        models=_weights(scenario, fit),
        ess=fit.ess,
        sampling_error=float(0.5 / np.sqrt(fit.ess)),
        notes=[*_notes(fit), NO_ADVICE],
    )


def _samples(scenario: OptimiseDoseInput, fit: PkFit, best: Candidate, target: TargetBand) -> list[SampleOutput]:
    if not scenario.sample_times_h:
        return []
    gains = next_sample(fit, best, target.exposure, scenario.sample_times_h)
    found = [
        SampleOutput(time_h=time_h, variance_removed=gain)
        for time_h, gain in zip(scenario.sample_times_h, gains.tolist(), strict=True)
    ]
    return sorted(found, key=lambda each: -each.variance_removed)


def _timing(
    scenario: OptimiseDoseInput, fit: PkFit, best: Candidate, target: TargetBand, when: When
) -> list[TimingOutput]:
    checks = timing_checks(fit, target, best, later_min=scenario.later_min, when=when)
    return [TimingOutput(**asdict(check), change_mg=check.change_mg) for check in checks]


def _candidates(scenario: OptimiseDoseInput, fit: Fit, target: TargetBand, when: When) -> Sequence[Candidate]:
    first = scenario.doses[0].dose()
    if not scenario.candidates:
        return candidates_for(
            fit,
            target,
            route=first.route,
            duration_h=first.duration_h,
            intervals_h=scenario.intervals_h,
            strengths_mg=scenario.strengths_mg,
            step_mg=scenario.step_mg,
            when=when,
        )
    return [_candidate(given, first) for given in scenario.candidates]


def _candidate(given: CandidateInput, first: Dose) -> Candidate:
    route = first.route if given.route is None else Route(given.route)
    unsaid = first.duration_h if route is first.route else 0.0
    return Candidate(
        amount_mg=given.amount_mg,
        interval_h=given.interval_h,
        route=route,
        duration_h=unsaid if given.duration_h is None else given.duration_h,
    )


def _target(given: TargetInput | None, drug: Drug | None) -> TargetBand:
    if given is None:
        if drug is None or not isinstance(drug.target, TargetBand):
            raise BadScenario("target: is needed, because this model has no published one.")
        return drug.target
    name, (low, high) = _one_exposure("target", given.model_dump())
    if not low < high:
        raise BadScenario(f"target.{name}: the low end must be below the high end; got {low:g} and {high:g}.")
    return TargetBand(exposure=Exposure(name), low=low, high=high, source="scenario")


def _toxic_above(given: ToxicInput | None) -> tuple[Exposure, float] | None:
    if given is None:
        return None
    name, limit = _one_exposure("toxic_above", given.model_dump())
    return Exposure(name), limit


def _one_exposure(field: str, given: dict[str, Any]) -> tuple[str, Any]:
    said = [(name, value) for name, value in given.items() if value is not None]
    if len(said) != 1:
        raise BadScenario(f"{field}: exactly one exposure is needed; got {', '.join(n for n, _ in said) or 'none'}.")
    return said[0]


# --- the fit behind both ---------------------------------------------------------------------------------------------


def _fitted(scenario: FitPkFields, dosing: Dosing) -> AveragedFit:
    _check_times(scenario)
    doses = tuple(dose.dose() for dose in scenario.doses)
    levels = tuple(Level(**level.model_dump()) for level in scenario.levels)
    if scenario.drug is not None and scenario.model is None and scenario.population is None:
        person = Person(
            covariates=scenario.covariates,
            doses=doses,
            levels=levels,
            later_covariates=tuple((change.time_h, change.values) for change in scenario.later_covariates),
            carry=Carry(scenario.carry),
            occasion_starts_h=tuple(scenario.occasion_starts_h),
        )
        drugs = [dosing.drug(name) for name in (scenario.drug, *scenario.average_with)]
        return fitted_with_all(drugs, person, seed=scenario.seed)
    if scenario.drug is None and scenario.model is not None and scenario.population is not None:
        for field in ("covariates", "later_covariates", "average_with"):
            if getattr(scenario, field):
                raise BadScenario(f"{field}: goes with drug; a model's population holds for this person already.")
        population = _population(Structure(scenario.model), scenario.population, tuple(scenario.occasion_starts_h))
        rng = np.random.default_rng(scenario.seed)
        return averaged([fit_pk(population, doses, levels, rng)], rng)
    raise BadScenario("A fit takes drug (with covariates), or model with population; got neither or a mix.")


def _check_times(scenario: FitPkFields) -> None:
    """Refuse a level that no dose can have caused, naming it."""
    first_h = min(dose.time_h for dose in scenario.doses)
    for place, level in enumerate(scenario.levels):
        if level.time_h < first_h:
            raise BadScenario(
                f"levels.{place}.time_h: {level.time_h:g} h is before the first dose at {first_h:g} h: give the "
                "earlier doses too, or correct the time."
            )


def _population(structure: Structure, given: PopulationInput, occasion_starts_h: tuple[float, ...]) -> Population:
    names, matrix = _omega(given.omega)
    sigma = given.sigma
    if sigma.proportional_sd == 0.0 and sigma.additive_sd == 0.0:
        raise BadScenario("population.sigma: proportional_sd and additive_sd are both 0; levels always scatter.")
    return Population(
        structure=structure,
        typical=given.typical.model_dump(exclude_none=True),
        names=names,
        omega=matrix,
        residual=ResidualError(
            form=ErrorForm(sigma.form),
            proportional_sd=sigma.proportional_sd,
            additive_sd_mg_l=sigma.additive_sd,
            source="scenario",
        ),
        occasions=_occasions(given, occasion_starts_h),
    )


def _occasions(given: PopulationInput, starts_h: tuple[float, ...]) -> Occasions | None:
    if not starts_h:
        return None
    if not given.pi:
        raise BadScenario("population.pi: is needed with occasion_starts_h: the variances between occasions.")
    return Occasions(names=tuple(given.pi), pi=np.diag(list(given.pi.values())), starts_h=starts_h)


def _omega(given: dict[str, float] | OmegaMatrixInput) -> tuple[tuple[str, ...], FloatArray]:
    if not isinstance(given, OmegaMatrixInput):
        return tuple(given), np.diag(list(given.values())).reshape(len(given), len(given))
    n = len(given.names)
    if len(given.matrix) != n or any(len(row) != n for row in given.matrix):
        raise BadScenario(f"population.omega.matrix: must be {n} x {n}, as its names.")
    return tuple(given.names), np.array(given.matrix, dtype=np.float64).reshape(n, n)


# --- the table -------------------------------------------------------------------------------------------------------


def pk_kinds(dosing: Dosing) -> tuple[ScenarioKind, ...]:
    """The kinds that update a drug's model, bound to the drugs."""
    return (
        ScenarioKind(
            name="fit_pk",
            input_model=FitPkInput,
            output_model=FitPkOutput,
            run=lambda scenario: run_fit_pk(scenario, dosing),
        ),
        ScenarioKind(
            name="optimise_dose",
            input_model=OptimiseDoseInput,
            output_model=OptimiseDoseOutput,
            run=lambda scenario: run_optimise_dose(scenario, dosing),
        ),
    )
