"""The scenarios `fit_twin` and `what_if`: a twin out of a record, and plans compared in it on the same draws."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from twin_core.domain.errors import BadScenario
from twin_core.domain.history import FloatArray, Rhythm, Therapy
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.inference.map_fit import EDES, TooLittleData, fit_twin, twin_without_insulin
from twin_core.inference.state import current_state
from twin_core.inference.structures import structure_named
from twin_core.inference.twin import FittedTwin
from twin_core.services.hybrid import with_draws
from twin_core.services.outcomes import Interval, IntervalKind, Outcome, outcomes_of
from twin_core.services.scenarios import AnswerModel, HistoryInput, LifeInput, ScenarioKind, ScenarioModel
from twin_core.services.simulation import refuse_what_is_not_taken
from twin_core.solve.compiled import kernel_of
from twin_core.solve.rk4 import integrate_batch
from twin_core.solve.schedule import schedule_of

LONGEST_FIT_DAYS = 28.0
LONGEST_PLAN_MIN = 14.0 * MINUTES_PER_DAY
MOST_PLANS = 50
STEP_MIN = 5.0
QUANTILES_PERCENT = (5, 25, 50, 75, 95)
_DIABETES_TYPES = Literal["type_1", "type_2", "none"]


# --- fit_twin --------------------------------------------------------------------------------------------------------


class FitTwinInput(HistoryInput, LifeInput):
    """One to 28 days of a person's record."""

    kind: Literal["fit_twin"]
    body_weight_kg: Annotated[float, Field(ge=3.0, le=250.0)] | None = Field(
        default=None, description="null: 75 kg is assumed, and said"
    )
    diabetes_type: _DIABETES_TYPES = "type_1"
    structure: Literal["uva_padova_t1d", "hovorka_t1d"] = Field(
        default="uva_padova_t1d", description="the equations; a second structure shows how much depends on them"
    )
    seed: int = Field(default=1, description="kept for the record: the fit draws no random numbers")


class EstimateOutput(AnswerModel):
    """One parameter before and after the data."""

    mean: float
    sd: float
    prior_mean: float
    prior_sd: float
    unit: str


class FitOutput(AnswerModel):
    """How well the curve meets the readings it was fitted to; no proof of a good what-if."""

    rmse_mg_dl: float
    mard_percent: float
    coverage_90_percent: float


class FitTwinOutput(AnswerModel):
    """The twin, what is known of it, and what the data could not tell."""

    twin: dict[str, Any]
    posterior: dict[str, EstimateOutput]
    fit: FitOutput | None = Field(description="null for the population's twin, which was fitted to nothing")
    identifiability: list[str]
    cpu_s: float


def run_fit_twin(scenario: FitTwinInput) -> FitTwinOutput:
    """Answer `fit_twin`.

    Without insulin in the record, and for people whose body makes its own, the twin is the weaker one of glucose and
    meals (`twin_without_insulin`), and its first sentences say so.

    Raises
    ------
    BadScenario
        Too little or too much data, or insulin in the record of somebody whose twin makes its own.
    """
    twin, cpu_s = _fitted(scenario)
    metrics = twin.metrics
    return FitTwinOutput(
        twin=twin.to_payload(),
        posterior={
            each.name: EstimateOutput(
                mean=each.mean, sd=each.sd, prior_mean=each.prior_mean, prior_sd=each.prior_sd, unit=each.unit
            )
            for each in twin.estimates
        },
        fit=None
        if metrics is None
        else FitOutput(
            rmse_mg_dl=metrics.rmse_mg_dl,
            mard_percent=metrics.mard_percent,
            coverage_90_percent=metrics.coverage_90_percent,
        ),
        identifiability=[*twin.notes, *twin.experiments],
        cpu_s=cpu_s,
    )


def _fitted(scenario: FitTwinInput) -> tuple[FittedTwin, float]:
    """The twin and the CPU seconds of the fit, without those of compiling the model once a process (about 4 s)."""
    if not scenario.cgm:
        raise BadScenario("cgm: is empty; at least six hours of readings are needed.")
    end_min = scenario.cgm[-1].time_min
    days = (end_min - scenario.cgm[0].time_min) / MINUTES_PER_DAY
    if days > LONGEST_FIT_DAYS:
        raise BadScenario(f"cgm: spans {days:.1f} days; allowed is at most {LONGEST_FIT_DAYS:g}. Give the last ones.")
    history = scenario.history(end_min)
    own_insulin = scenario.diabetes_type != "type_1" or not _takes_insulin(history.therapy)
    if own_insulin and "structure" in scenario.model_fields_set:
        raise BadScenario(
            "structure: cannot be chosen without insulin in the record or for other kinds than 'type_1'; leave it out."
        )
    if scenario.diabetes_type != "type_1" and not history.therapy.meals:
        raise BadScenario("meals: is empty; the twin of a body that makes its own insulin is fitted to meals.")
    model = structure_named(EDES if own_insulin else scenario.structure).model
    refuse_what_is_not_taken(model, replace(history.therapy, boluses=(), basal=(), long_acting=()), Rhythm())
    kernel_of(model).warm_up()
    began = time.process_time()
    span = max(days, 0.0) + 1e-6
    weight_kg = scenario.body_weight_kg
    twin = (
        twin_without_insulin(history, now_min=end_min, days=span, body_weight_kg=weight_kg)
        if own_insulin
        else fit_twin(history, now_min=end_min, days=span, body_weight_kg=weight_kg, structure=scenario.structure)
    )
    if isinstance(twin, TooLittleData):
        raise BadScenario(twin.sentence)
    return twin, time.process_time() - began


def _takes_insulin(therapy: Therapy) -> bool:
    return bool(therapy.boluses or therapy.long_acting or any(rate.rate_u_h > 0.0 for rate in therapy.basal))


# --- what_if ---------------------------------------------------------------------------------------------------------


class PlanInput(LifeInput):
    """What is eaten, injected and done over a stretch of time; all plans of a what-if share the stretch."""

    start_min: float = 0.0
    duration_min: Annotated[float, Field(ge=STEP_MIN, le=LONGEST_PLAN_MIN)] = MINUTES_PER_DAY


class PastInput(HistoryInput, LifeInput):
    """What led to the start: the last twelve hours act, and the last reading, at most 30 min old, sets glucose."""


class WhatIfInput(ScenarioModel):
    """Plans compared in a twin.

    Every draw begins at its basal steady state, fasting with the twin's own basal insulin, unless
    `initial_glucose_mg_dl` sets its glucose or `history` leads to its state.
    """

    kind: Literal["what_if"]
    twin: dict[str, Any] = Field(description="the twin of fit_twin")
    baseline: PlanInput
    scenarios: Annotated[list[PlanInput], Field(max_length=MOST_PLANS)] = Field(default=[])
    initial_glucose_mg_dl: Annotated[float, Field(ge=20.0, le=600.0)] | None = None
    history: PastInput | None = None
    draws: Annotated[int, Field(ge=20, le=2000)] = 200
    seed: Annotated[int, Field(ge=0)] = 7


class IntervalOutput(AnswerModel):
    """A figure, its interval, and what the interval is."""

    value: float
    low: float
    high: float
    interval: str


class PlanOutput(AnswerModel):
    """One plan: p50 by the most probable parameters, the rest over their draws; without sensor errors."""

    time_min: list[float]
    glucose_mg_dl: dict[str, list[float]]
    outcomes: dict[str, IntervalOutput]


class DifferenceOutput(AnswerModel):
    """A plan less the baseline, draw by draw."""

    glucose_mg_dl: dict[str, list[float]]
    outcomes: dict[str, IntervalOutput]


class ComparedOutput(PlanOutput):
    """One plan and its difference from the baseline."""

    difference: DifferenceOutput


class WhatIfOutput(AnswerModel):
    """The baseline, and the scenarios in the order in which they were given."""

    baseline: PlanOutput
    scenarios: list[ComparedOutput]
    draws: int


def run_what_if(scenario: WhatIfInput) -> WhatIfOutput:
    """Answer `what_if`.

    Raises
    ------
    BadScenario
        Plans over different stretches of time, or two ways to begin.
    BadInput
        A therapy that the twin's equations would leave out.
    DamagedArtifact
        The twin is none.
    """
    start_min, duration_min = _stretch(scenario)
    twin = FittedTwin.from_payload(scenario.twin)
    parameters = with_draws(twin, scenario.draws, scenario.seed)
    states = _first_states(scenario, twin, parameters, start_min)
    paths = [
        _paths(twin, parameters, states, plan.therapy(start_min), start_min, duration_min)
        for plan in (scenario.baseline, *scenario.scenarios)
    ]
    times = start_min + STEP_MIN * np.arange(float(paths[0].shape[1]))
    return WhatIfOutput(
        baseline=_plan_output(times, paths[0]),
        scenarios=[_compared(times, path, paths[0]) for path in paths[1:]],
        draws=scenario.draws,
    )


def _stretch(scenario: WhatIfInput) -> tuple[float, float]:
    """The time that all plans share."""
    start_min, duration_min = scenario.baseline.start_min, scenario.baseline.duration_min
    for number, plan in enumerate(scenario.scenarios):
        if (plan.start_min, plan.duration_min) != (start_min, duration_min):
            raise BadScenario(
                f"scenarios.{number}: runs from minute {plan.start_min:g} for {plan.duration_min:g} min, the baseline "
                f"from {start_min:g} for {duration_min:g}; give both the same start_min and duration_min."
            )
    if scenario.history is not None and scenario.initial_glucose_mg_dl is not None:
        raise BadScenario("Give history or initial_glucose_mg_dl, not both: each says where glucose is at the start.")
    return start_min, duration_min


def _first_states(scenario: WhatIfInput, twin: FittedTwin, parameters: Any, start_min: float) -> FloatArray:
    """The states at the start, shape `(1 + n_draws, n_states)`."""
    if scenario.history is not None:
        return current_state(parameters, scenario.history.history(start_min), start_min)
    steady = np.stack(np.broadcast_arrays(*twin.structure.model.steady_state(parameters)), axis=1).astype(np.float64)
    if scenario.initial_glucose_mg_dl is None:
        return steady
    return twin.structure.with_glucose(steady, parameters, scenario.initial_glucose_mg_dl)


def _paths(
    twin: FittedTwin, parameters: Any, states: FloatArray, therapy: Therapy, start_min: float, duration_min: float
) -> FloatArray:
    """Sensed glucose from the start on, every 5 min, shape `(1 + n_draws, n_times)`."""
    model = twin.structure.model
    refuse_what_is_not_taken(model, therapy, Rhythm())
    schedule = schedule_of(therapy, start_min=start_min, end_min=start_min + duration_min)
    return integrate_batch(model, parameters, schedule, states, every_min=STEP_MIN).output("glucose_mg_dl")


def _plan_output(times: FloatArray, paths: FloatArray) -> PlanOutput:
    return PlanOutput(
        time_min=times.tolist(), glucose_mg_dl=_quantiles(paths), outcomes=_values(outcomes_of(paths[1:]))
    )


def _compared(times: FloatArray, paths: FloatArray, against: FloatArray) -> ComparedOutput:
    outcomes = outcomes_of(paths[1:], against[1:])
    return ComparedOutput(
        time_min=times.tolist(),
        glucose_mg_dl=_quantiles(paths),
        outcomes=_values(outcomes),
        difference=DifferenceOutput(
            glucose_mg_dl=_quantiles(paths - against),
            outcomes={each.name: _interval(each.change, each.kind) for each in outcomes if each.change is not None},
        ),
    )


def _quantiles(paths: FloatArray) -> dict[str, list[float]]:
    """Quantiles of the draws about the most probable course, which is the central one; they never cross it."""
    curves = np.percentile(paths[1:], QUANTILES_PERCENT, axis=0)
    centre = QUANTILES_PERCENT.index(50)
    curves[centre] = paths[0]
    curves[:centre] = np.minimum(curves[:centre], paths[0])
    curves[centre:] = np.maximum(curves[centre:], paths[0])
    return {f"p{percent:02d}": curve.tolist() for percent, curve in zip(QUANTILES_PERCENT, curves, strict=True)}


def _values(outcomes: Sequence[Outcome]) -> dict[str, IntervalOutput]:
    return {each.name: _interval(each.value, each.kind) for each in outcomes}


def _interval(interval: Interval, kind: IntervalKind) -> IntervalOutput:
    return IntervalOutput(value=interval.middle, low=interval.low, high=interval.high, interval=kind.value)


# --- the table -------------------------------------------------------------------------------------------------------


TWIN_KINDS = (
    ScenarioKind(name="fit_twin", input_model=FitTwinInput, output_model=FitTwinOutput, run=run_fit_twin),
    ScenarioKind(name="what_if", input_model=WhatIfInput, output_model=WhatIfOutput, run=run_what_if),
)
