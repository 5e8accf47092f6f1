"""Scenarios: JSON in, JSON out, by the same services as the pages.

Each kind is an input model, an output model and the function between them, in one line of `scenario_kinds`.
Numbers are plain floats in the unit that the name carries; unknown fields, text in place of numbers and numbers
that are not finite are refused; what cannot be computed is null.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal, Protocol, TypeAlias, get_args

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue, models_json_schema
from pydantic_core import CoreSchema, core_schema

from twin_core.domain.drugs import Dose, Route, Structure
from twin_core.domain.errors import BadInput, BadScenario, BiotwinError
from twin_core.domain.forecasts import QUANTILE_LEVELS, Forecast
from twin_core.domain.history import (
    BasalInsulin,
    BasalRate,
    Bolus,
    Condition,
    ConditionKind,
    Exercise,
    FloatArray,
    GlucagonDose,
    History,
    LongActingDose,
    Meal,
    MealInsulin,
    Rhythm,
    Therapy,
)
from twin_core.metrics.cgm import Preset, glucose_metrics
from twin_core.services.dosing import Dosing
from twin_core.solve import schedule
from twin_core.solve.schedule import Limit

_MEAL_G_PER_MIN = 5.0
"""How fast a meal without a duration is eaten."""
_LONGEST_MIN = 60.0 * 1440.0
_MOST_NUMBERS = 500_000
_SAID_AGAIN_MIN = 720.0

Positive: TypeAlias = Annotated[float, Field(gt=0.0)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0.0)]


class ScenarioModel(BaseModel):
    """What every input keeps to."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class AnswerModel(BaseModel):
    """What every output keeps to; NaN leaves as null."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null")


@dataclass(frozen=True)
class Within:
    """Numbers inside a limit; the refusal names the allowed range. What is no number passes."""

    limit: Limit

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the limit after everything else."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Show the limit as minimum and maximum."""
        return {**handler(schema), "minimum": self.limit.low, "maximum": self.limit.high}

    def _checked(self, got: Any) -> Any:
        if isinstance(got, float) and not self.limit.low <= got <= self.limit.high:
            limit = self.limit
            raise ValueError(f"allowed is {limit.low:g} to {limit.high:g} {limit.unit}; got {got:g}.")
        return got


def _none_for_null(value: Any) -> Any:
    """An optional list that is null is an empty one."""
    return [] if value is None else value


# --- therapy: shared by the glucose kinds ------------------------------------------------------------------------


class MealInput(ScenarioModel):
    """What is eaten at once. Protein, fat and fibre act late and slow the stomach."""

    time_min: float
    carbs_g: Annotated[float, Within(schedule.CARBS)]
    duration_min: Annotated[float, Within(schedule.EATING)] | None = Field(
        default=None, description="null: carbs_g / 5, at least 1"
    )
    protein_g: Annotated[float, Within(schedule.PROTEIN)] = 0.0
    fat_g: Annotated[float, Within(schedule.FAT)] = 0.0
    fibre_g: Annotated[float, Within(schedule.FIBRE)] = 0.0

    def meal(self) -> Meal:
        """The meal in domain terms."""
        unsaid = max(1.0, self.carbs_g / _MEAL_G_PER_MIN)
        return Meal(
            time_min=self.time_min,
            carbs_g=self.carbs_g,
            duration_min=self.duration_min or unsaid,
            protein_g=self.protein_g,
            fat_g=self.fat_g,
            fibre_g=self.fibre_g,
        )


class BolusInput(ScenarioModel):
    """Insulin for a meal or a correction, given at once."""

    time_min: float
    dose_u: Annotated[float, Within(schedule.BOLUS)]
    insulin: Literal["rapid", "inhaled"] = Field(default="rapid", description="inhaled: units as on the cartridge")

    def bolus(self) -> Bolus:
        """The bolus in domain terms."""
        return Bolus(time_min=self.time_min, dose_u=self.dose_u, insulin=MealInsulin(self.insulin))


class BasalRateInput(ScenarioModel):
    """A basal rate from its time until the next one."""

    time_min: float
    rate_u_h: Annotated[float, Within(schedule.BASAL_RATE)]


class LongActingInput(ScenarioModel):
    """A long-acting insulin injection."""

    time_min: float
    dose_u: Annotated[float, Within(schedule.LONG_ACTING)]
    insulin: Literal["glargine_u100", "glargine_u300", "detemir", "degludec"] = "glargine_u100"

    def dose(self) -> LongActingDose:
        """The injection in domain terms."""
        return LongActingDose(time_min=self.time_min, dose_u=self.dose_u, insulin=BasalInsulin(self.insulin))


class ExerciseInput(ScenarioModel):
    """Physical exercise."""

    time_min: float
    duration_min: Annotated[float, Within(schedule.EXERCISING)]
    intensity_percent: Annotated[float, Within(schedule.INTENSITY)] = Field(
        default=50.0, description="share of the heart-rate reserve"
    )


class GlucagonInput(ScenarioModel):
    """Glucagon injected under the skin."""

    time_min: float
    dose_mg: Annotated[float, Within(schedule.GLUCAGON)]


class ConditionInput(ScenarioModel):
    """Stress, illness or alcohol."""

    time_min: float
    duration_min: Annotated[float, Within(schedule.CONDITION)] = Field(
        default=0.0, description="of the stress, the illness or the drinking; they act on after it"
    )
    kind: Literal["stress", "illness", "alcohol"]
    degree: Annotated[float, Within(schedule.PORTIONS)] = Field(
        default=1.0, description="1: the typical strength; of alcohol the portions of 12 g"
    )

    def condition(self) -> Condition:
        """The condition in domain terms."""
        return Condition(
            time_min=self.time_min,
            duration_min=self.duration_min,
            kind=ConditionKind(self.kind),
            degree=self.degree,
        )


class RhythmInput(ScenarioModel):
    """How the body changes over the day."""

    sensitivity: Annotated[
        list[Annotated[float, Within(schedule.SENSITIVITY)]],
        Field(min_length=3, max_length=3, description="factors of insulin's action from 04:00, 11:00 and 17:00 on"),
    ] = [1.0, 1.0, 1.0]
    dawn_mg_kg_min: Annotated[float, Within(schedule.DAWN)] = Field(
        default=0.0, description="glucose production added between 03:00 and 07:00, at its highest"
    )
    utc_offset_min: Annotated[float, Within(schedule.UTC_OFFSET)] = Field(
        default=0.0, description="minutes to add to times for local time of day; 0: minute 0 is midnight"
    )

    def rhythm(self) -> Rhythm:
        """The rhythm in domain terms."""
        morning, noon, evening = self.sensitivity
        return Rhythm(
            sensitivity=(morning, noon, evening),
            dawn_mg_kg_min=self.dawn_mg_kg_min,
            utc_offset_min=self.utc_offset_min,
        )


Meals: TypeAlias = Annotated[
    list[MealInput], BeforeValidator(_none_for_null, json_schema_input_type=list[MealInput] | None)
]
Boluses: TypeAlias = Annotated[
    list[BolusInput], BeforeValidator(_none_for_null, json_schema_input_type=list[BolusInput] | None)
]
LongActing: TypeAlias = Annotated[
    list[LongActingInput], BeforeValidator(_none_for_null, json_schema_input_type=list[LongActingInput] | None)
]
Bouts: TypeAlias = Annotated[
    list[ExerciseInput], BeforeValidator(_none_for_null, json_schema_input_type=list[ExerciseInput] | None)
]
Glucagon: TypeAlias = Annotated[
    list[GlucagonInput], BeforeValidator(_none_for_null, json_schema_input_type=list[GlucagonInput] | None)
]
Conditions: TypeAlias = Annotated[
    list[ConditionInput], BeforeValidator(_none_for_null, json_schema_input_type=list[ConditionInput] | None)
]


class TherapyInput(ScenarioModel):
    """What was, or will be, eaten and injected."""

    meals: Meals = []
    boluses: Boluses = []
    basal_u_h: Annotated[
        float | Annotated[list[BasalRateInput], Field(min_length=1)] | None, Within(schedule.BASAL_RATE)
    ] = Field(default=None, description="one rate, or rates by time; null: the model's own basal")
    long_acting: LongActing = []

    def therapy(self, start_min: float) -> Therapy:
        """The therapy in domain terms; `basal` is empty for the model's own, one number holds from `start_min` on."""
        return Therapy(
            meals=tuple(meal.meal() for meal in self.meals),
            boluses=tuple(bolus.bolus() for bolus in self.boluses),
            basal=self._basal(start_min),
            long_acting=tuple(dose.dose() for dose in self.long_acting),
        )

    def _basal(self, start_min: float) -> tuple[BasalRate, ...]:
        if self.basal_u_h is None:
            return ()
        if isinstance(self.basal_u_h, float):
            return (BasalRate(time_min=start_min, rate_u_h=self.basal_u_h),)
        return tuple(BasalRate(time_min=rate.time_min, rate_u_h=rate.rate_u_h) for rate in self.basal_u_h)


class LifeInput(TherapyInput):
    """What was, or will be, eaten, injected, done and undergone."""

    exercise: Bouts = []
    glucagon: Glucagon = []
    conditions: Conditions = []

    def therapy(self, start_min: float) -> Therapy:
        """As `TherapyInput.therapy`, with exercise, glucagon and conditions."""
        return replace(
            super().therapy(start_min),
            exercise=tuple(Exercise(**bout.model_dump()) for bout in self.exercise),
            glucagon=tuple(GlucagonDose(**dose.model_dump()) for dose in self.glucagon),
            conditions=tuple(condition.condition() for condition in self.conditions),
        )


# --- glucose_metrics ---------------------------------------------------------------------------------------------


class GlucoseMetricsInput(ScenarioModel):
    """Consensus metrics of readings; days are blocks of 24 h from minute 0."""

    kind: Literal["glucose_metrics"]
    time_min: Annotated[list[float], Field(max_length=_MOST_NUMBERS)]
    glucose_mg_dl: Annotated[list[float | None], Field(max_length=_MOST_NUMBERS, description="null = missing")]
    preset: Literal["standard", "older_high_risk", "pregnancy_t1", "pregnancy_t2_gdm"] = "standard"


class TimeInRangesOutput(AnswerModel):
    """Share of readings in each range [%]."""

    very_low: float | None
    low: float | None
    target: float | None
    high: float | None
    very_high: float | None


class EpisodeOutput(AnswerModel):
    """A stretch beyond a limit."""

    kind: Literal["hypoglycemia", "hyperglycemia"]
    level: int
    threshold_mg_dl: float
    start_min: float
    end_min: float
    duration_min: float
    extreme_mg_dl: float
    extended: bool


class GlucoseMetricsOutput(AnswerModel):
    """null where a metric cannot be computed."""

    time_in_ranges_percent: TimeInRangesOutput
    mean_mg_dl: float | None
    sd_mg_dl: float | None
    cv_percent: float | None
    gmi_percent: float | None
    gri: float | None
    lbgi: float | None
    hbgi: float | None
    adrr: float | None
    modd_mg_dl: float | None
    active_percent: float | None
    episodes: list[EpisodeOutput]


def run_glucose_metrics(scenario: GlucoseMetricsInput) -> GlucoseMetricsOutput:
    """Answer `glucose_metrics`."""
    glucose = np.array(scenario.glucose_mg_dl, dtype=float)
    return GlucoseMetricsOutput(**asdict(glucose_metrics(scenario.time_min, glucose, Preset(scenario.preset))))


# --- simulate_pk -------------------------------------------------------------------------------------------------


class DoseInput(ScenarioModel):
    """One line of a regimen."""

    time_h: float
    amount_mg: NotNegative
    route: Literal["iv_bolus", "iv_infusion", "oral", "subcutaneous", "intramuscular"]
    duration_h: NotNegative | None = Field(default=None, description="length of an infusion")
    interval_h: Positive | None = Field(default=None, description="needed by additional and steady_state")
    additional: Annotated[int, Field(ge=0, le=10_000)] = 0
    steady_state: bool = Field(default=False, description="given every interval_h since ever; adds to other doses")

    @model_validator(mode="after")
    def _is_possible(self) -> "DoseInput":
        try:
            self.dose()
        except BadInput as error:
            raise ValueError(str(error)) from error
        return self

    def dose(self) -> Dose:
        """The dose in domain terms; `BadInput` if it cannot be given so."""
        if self.route == "iv_infusion" and self.duration_h is None:
            raise BadInput("A dose with route iv_infusion needs duration_h; none was given.")
        return Dose(
            time_h=self.time_h,
            amount_mg=self.amount_mg,
            route=Route(self.route),
            duration_h=self.duration_h or 0.0,
            interval_h=self.interval_h,
            additional=self.additional,
            steady_state=self.steady_state,
        )


class PkParametersInput(ScenarioModel):
    """Parameters of a linear model; `lag_h` is 0 and `F` is 1 unless given."""

    CL_L_h: float | None = None
    V1_L: float | None = None
    Q2_L_h: float | None = None
    V2_L: float | None = None
    Q3_L_h: float | None = None
    V3_L: float | None = None
    k_a_h: float | None = None
    lag_h: float | None = None
    F: float | None = None


class SimulatePkInput(ScenarioModel):
    """Concentrations of a drug's typical person, or of a linear model with given parameters."""

    kind: Literal["simulate_pk"]
    drug: str | None = None
    model: Literal["one_compartment", "two_compartment", "three_compartment"] | None = None
    parameters: PkParametersInput | None = Field(default=None, description="with model only")
    covariates: dict[str, float] = Field(default={}, description="with drug only; the drug's defaults unless given")
    doses: Annotated[list[DoseInput], Field(min_length=1, max_length=10_000)]
    times_h: Annotated[list[float], Field(max_length=_MOST_NUMBERS)]


class SimulatePkOutput(AnswerModel):
    """Concentrations at `times_h`, and the parameters that they were computed from."""

    concentration_mg_l: list[float]
    parameters: dict[str, float]


def run_simulate_pk(scenario: SimulatePkInput, dosing: Dosing) -> SimulatePkOutput:
    """Answer `simulate_pk`."""
    doses = tuple(dose.dose() for dose in scenario.doses)
    if scenario.drug is not None and scenario.model is None and scenario.parameters is None:
        levels, parameters = dosing.simulate_drug(scenario.drug, scenario.covariates, doses, scenario.times_h)
    elif scenario.drug is None and scenario.model is not None and not scenario.covariates:
        parameters = scenario.parameters.model_dump(exclude_none=True) if scenario.parameters else {}
        levels = dosing.simulate(Structure(scenario.model), parameters, doses, scenario.times_h)
    else:
        raise BadScenario("simulate_pk takes drug (with covariates), or model with parameters; got neither or a mix.")
    return SimulatePkOutput(concentration_mg_l=levels.tolist(), parameters=parameters)


# --- simulate_glucose --------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Cgm:
    """What a sensor shows.

    Attributes
    ----------
    time_min, glucose_mg_dl
        Shape `(n_readings,)`: every 5 min; NaN where a reading is missing.
    """

    time_min: FloatArray
    glucose_mg_dl: FloatArray


@dataclass(frozen=True, kw_only=True)
class SimulatedGlucose:
    """What a glucose model says, each array of shape `(n_times,)`."""

    time_min: FloatArray
    glucose_mg_dl: FloatArray
    """The model's sensed glucose before the step that starts at that minute."""
    plasma_glucose_mg_dl: FloatArray
    plasma_insulin_pmol_l: FloatArray
    states: Mapping[str, FloatArray]
    cgm: Cgm | None = None
    """Where a sensor's errors were asked for."""


@dataclass(frozen=True, kw_only=True)
class CgmError:
    """Which sensor's errors to draw, and from which seed."""

    model: str
    seed: int
    faults: bool


class GlucoseSimulator(Protocol):
    """Runs the catalog's glucose models. `UnknownName`, `OutOfRange` and `BadInput` for what they do not allow."""

    def simulate(
        self,
        *,
        model: str,
        parameters: Mapping[str, float],
        body_weight_kg: float | None,
        therapy: Therapy,
        rhythm: Rhythm,
        duration_min: float,
        step_min: float,
        initial_state: Mapping[str, float] | None,
        cgm_error: CgmError | None,
    ) -> SimulatedGlucose:
        """Simulate from minute 0.

        `body_weight_kg` None: the model's own. `therapy.basal` empty, and before its first rate: the model's own
        basal (a single number in a scenario comes as one rate from minute 0 on). `initial_state` None: the basal
        steady state, which is that of the parameters whatever the therapy is. What the model does not take is refused.
        """


class CgmErrorInput(ScenarioModel):
    """A sensor between the glucose under the skin and the reader; the same seed makes the same errors."""

    model: str = Field(
        description="facchinetti_2014, vettoretti_2018, vettoretti_2019, vettoretti_2019_ten_days or "
        "breton_kovatchev_2008"
    )
    seed: Annotated[int, Field(ge=0)] = 0
    faults: bool = Field(default=True, description="missing readings and compression at night")


class SimulateGlucoseInput(LifeInput):
    """A glucose model under a therapy. What the chosen model does not take is refused."""

    kind: Literal["simulate_glucose"]
    model: str
    parameters: dict[str, float] = Field(default={}, description="over the model's defaults")
    body_weight_kg: Annotated[float, Field(ge=1.0, le=400.0)] | None = Field(
        default=None, description="null: the model's own"
    )
    duration_min: Annotated[float, Field(gt=0.0, le=_LONGEST_MIN)] = 1440.0
    step_min: Annotated[float, Field(gt=0.0, le=60.0)] = 1.0
    rhythm: RhythmInput | None = Field(default=None, description="null: the same all day")
    initial_state: dict[str, float] | None = Field(
        default=None,
        description="null: the basal steady state, that of parameters.basal_u_h whatever the scenario's basal_u_h is",
    )
    cgm_error: CgmErrorInput | None = Field(default=None, description="null: no sensor")


class CgmOutput(AnswerModel):
    """Readings every 5 min; null where one is missing."""

    time_min: list[float]
    glucose_mg_dl: list[float]


class SimulateGlucoseOutput(AnswerModel):
    """`glucose_mg_dl` is the sensed glucose before the step that starts at that minute, without a sensor's errors."""

    time_min: list[float]
    glucose_mg_dl: list[float]
    plasma_glucose_mg_dl: list[float]
    plasma_insulin_pmol_l: list[float]
    states: dict[str, list[float]]
    cgm: CgmOutput | None


def run_simulate_glucose(scenario: SimulateGlucoseInput, simulator: GlucoseSimulator) -> SimulateGlucoseOutput:
    """Answer `simulate_glucose`."""
    simulated = simulator.simulate(
        model=scenario.model,
        parameters=scenario.parameters,
        body_weight_kg=scenario.body_weight_kg,
        therapy=scenario.therapy(start_min=0.0),
        rhythm=scenario.rhythm.rhythm() if scenario.rhythm else schedule.STEADY,
        duration_min=scenario.duration_min,
        step_min=scenario.step_min,
        initial_state=scenario.initial_state,
        cgm_error=CgmError(**scenario.cgm_error.model_dump()) if scenario.cgm_error else None,
    )
    return SimulateGlucoseOutput(
        time_min=simulated.time_min.tolist(),
        glucose_mg_dl=simulated.glucose_mg_dl.tolist(),
        plasma_glucose_mg_dl=simulated.plasma_glucose_mg_dl.tolist(),
        plasma_insulin_pmol_l=simulated.plasma_insulin_pmol_l.tolist(),
        states={name: values.tolist() for name, values in simulated.states.items()},
        cgm=_cgm_output(simulated.cgm) if simulated.cgm else None,
    )


def _cgm_output(cgm: Cgm) -> CgmOutput:
    return CgmOutput(time_min=cgm.time_min.tolist(), glucose_mg_dl=cgm.glucose_mg_dl.tolist())


# --- forecast ----------------------------------------------------------------------------------------------------


class GlucoseForecaster(Protocol):
    """Forecasts a person's glucose, or says why it does not."""

    def forecast(
        self, *, history: History, now_min: float, announced: Therapy, twin: Mapping[str, Any] | None
    ) -> Forecast:
        """The forecast made at `now_min`; a refusal is a status, not an error."""


class ReadingInput(ScenarioModel):
    """One sensor reading."""

    time_min: float
    glucose_mg_dl: Annotated[float, Field(ge=10.0, le=1000.0)]


class ActivityInput(ScenarioModel):
    """Steps in the 15 minutes that begin at a time."""

    time_min: float
    steps: NotNegative


class HistoryInput(TherapyInput):
    """A stretch of a person's record."""

    cgm: Annotated[list[ReadingInput], Field(max_length=_MOST_NUMBERS)]
    activity: list[ActivityInput] = []
    utc_offset_min: float = Field(default=0.0, description="minutes to add to times for local time of day")

    def history(self, now_min: float) -> History:
        """The history in domain terms; `BadScenario` if times do not increase."""
        times = np.array([reading.time_min for reading in self.cgm])
        if np.any(np.diff(times) <= 0.0):
            raise BadScenario("history.cgm must be in order of time, each time once.")
        return History(
            cgm_time_min=times,
            cgm_mg_dl=np.array([reading.glucose_mg_dl for reading in self.cgm]),
            therapy=self._therapy_until(now_min, float(times[0]) if times.size else 0.0),
            activity_time_min=np.array([activity.time_min for activity in self.activity]),
            activity_steps=np.array([activity.steps for activity in self.activity]),
            utc_offset_min=self.utc_offset_min,
        )

    def _therapy_until(self, now_min: float, start_min: float) -> Therapy:
        """The therapy with each basal rate said again every 12 h: a record forgets it after a day, a scenario not."""
        therapy = self.therapy(start_min)
        rates = sorted(therapy.basal, key=lambda rate: rate.time_min)
        ends = [rate.time_min for rate in rates[1:]] + [max(now_min, start_min) + 1.0]
        held = (
            BasalRate(time_min=float(time_min), rate_u_h=rate.rate_u_h)
            for rate, end_min in zip(rates, ends[: len(rates)], strict=True)
            for time_min in np.arange(rate.time_min, max(end_min, rate.time_min + 1e-3), _SAID_AGAIN_MIN)
        )
        return replace(therapy, basal=tuple(held))


class AnnouncedInput(ScenarioModel):
    """Meals and boluses to come."""

    meals: Meals = []
    boluses: Boluses = []

    def therapy(self) -> Therapy:
        """The announcement in domain terms."""
        return TherapyInput(meals=self.meals, boluses=self.boluses).therapy(start_min=0.0)


class ForecastInput(ScenarioModel):
    """A forecast from a moment of a person's record."""

    kind: Literal["forecast"]
    history: HistoryInput
    now_min: float
    announced: AnnouncedInput = AnnouncedInput()
    twin: dict[str, Any] | None = Field(default=None, description="the twin of fit_twin; null: none")


class ForecastOutput(AnswerModel):
    """Quantiles by horizon, or empty lists with the reason."""

    status: str
    reason: str
    horizon_min: list[float]
    quantiles_mg_dl: dict[str, list[float]]
    probability: dict[str, dict[str, float]]
    model_version: str
    persistence_mg_dl: float | None


def run_forecast(scenario: ForecastInput, forecaster: GlucoseForecaster) -> ForecastOutput:
    """Answer `forecast`."""
    forecast = forecaster.forecast(
        history=scenario.history.history(scenario.now_min),
        now_min=scenario.now_min,
        announced=scenario.announced.therapy(),
        twin=scenario.twin,
    )
    return ForecastOutput(
        status=forecast.status.value,
        reason=forecast.reason,
        horizon_min=forecast.horizons_min.tolist(),
        quantiles_mg_dl={f"p{round(100 * level):02d}": forecast.quantile(level).tolist() for level in QUANTILE_LEVELS},
        probability={
            "below_70_within_min": {str(minutes): p for minutes, p in forecast.below_70_within_min.items()},
        },
        model_version=forecast.model_version,
        persistence_mg_dl=forecast.persistence_mg_dl,
    )


# --- the table and its runner ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class ScenarioKind:
    """One kind of scenario: `run` takes an `input_model` and returns an `output_model`."""

    name: str
    input_model: type[ScenarioModel]
    output_model: type[AnswerModel]
    run: Callable[[Any], AnswerModel]


def scenario_kinds(
    *, dosing: Dosing, simulator: GlucoseSimulator, forecaster: GlucoseForecaster
) -> tuple[ScenarioKind, ...]:
    """Every kind, bound to the services that answer it. One entry adds one."""
    return (
        ScenarioKind(
            name="glucose_metrics",
            input_model=GlucoseMetricsInput,
            output_model=GlucoseMetricsOutput,
            run=run_glucose_metrics,
        ),
        ScenarioKind(
            name="simulate_glucose",
            input_model=SimulateGlucoseInput,
            output_model=SimulateGlucoseOutput,
            run=lambda scenario: run_simulate_glucose(scenario, simulator),
        ),
        ScenarioKind(
            name="forecast",
            input_model=ForecastInput,
            output_model=ForecastOutput,
            run=lambda scenario: run_forecast(scenario, forecaster),
        ),
        ScenarioKind(
            name="simulate_pk",
            input_model=SimulatePkInput,
            output_model=SimulatePkOutput,
            run=lambda scenario: run_simulate_pk(scenario, dosing),
        ),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why a scenario has no answer."""

    type: str
    message: str
    fields: tuple[str, ...] = ()
    """The fields that are wrong, as paths such as `doses.0.amount_mg`."""


class Scenarios:
    """Answers scenarios by a table of kinds."""

    def __init__(self, kinds: tuple[ScenarioKind, ...]) -> None:
        self._kinds = {kind.name: kind for kind in kinds}

    def answer(self, scenario: object) -> AnswerModel | Refusal:
        """The answer to one scenario as read from JSON, or why there is none."""
        try:
            kind = self._kind_of(scenario)
            return kind.run(kind.input_model.model_validate(scenario))
        except ValidationError as error:
            return _refusal_of(error, kind.input_model)
        except BiotwinError as error:
            return Refusal(type=type(error).__name__, message=str(error))

    def answer_text(self, text: str) -> str:
        """JSON for JSON: an object is answered by an object, a list by the list of answers in the same order.

        `BadScenario` if the text is no JSON, or a single scenario has no answer; in a list its place is taken by
        `{"error": {...}}`.
        """
        scenarios = _json_of(text)
        if isinstance(scenarios, list):
            return "[" + ",\n".join(_text_of(self.answer(scenario)) for scenario in scenarios) + "]"
        answer = self.answer(scenarios)
        if isinstance(answer, Refusal):
            raise BadScenario(answer.message)
        return _text_of(answer)

    def schema(self) -> dict[str, Any]:
        """One JSON Schema: of a scenario or a list of them, with the models of all inputs and outputs by kind."""
        kinds = self._kinds.values()
        inputs = [(kind.input_model, "validation") for kind in kinds]
        outputs = [(kind.output_model, "serialization") for kind in kinds]
        references, definitions = models_json_schema([*inputs, *outputs])  # type: ignore[list-item]
        by_kind = {
            kind.name: {
                "input": references[kind.input_model, "validation"],
                "output": references[kind.output_model, "serialization"],
            }
            for kind in kinds
        }
        one = {
            "oneOf": [models["input"] for models in by_kind.values()],
            "discriminator": {
                "propertyName": "kind",
                "mapping": {name: models["input"]["$ref"] for name, models in by_kind.items()},
            },
        }
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Biotwin scenarios",
            "anyOf": [{"$ref": "#/$defs/Scenario"}, {"type": "array", "items": {"$ref": "#/$defs/Scenario"}}],
            "kinds": by_kind,
            "$defs": {**definitions["$defs"], "Scenario": one},
        }

    def _kind_of(self, scenario: object) -> ScenarioKind:
        known = ", ".join(sorted(self._kinds))
        if not isinstance(scenario, dict):
            raise BadScenario(f"A scenario is a JSON object; got {_shortened(scenario)}.")
        if "kind" not in scenario:
            raise BadScenario(f"kind: is missing; allowed: {known}.")
        if not isinstance(scenario["kind"], str) or scenario["kind"] not in self._kinds:
            raise BadScenario(f"kind: got {_shortened(scenario['kind'])}; allowed: {known}.")
        return self._kinds[scenario["kind"]]


def _json_of(text: str) -> Any:
    def refuse(constant: str) -> float:
        raise BadScenario(f"{constant} is no JSON number; use null for what is missing.")

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise BadScenario(f"This is not JSON: {error}.") from error


def _text_of(answer: AnswerModel | Refusal) -> str:
    if isinstance(answer, Refusal):
        return json.dumps({"error": asdict(answer)})
    return answer.model_dump_json()


def _refusal_of(error: ValidationError, model: type[BaseModel]) -> Refusal:
    """All wrong fields in one sentence each: which, what is allowed, what was got."""
    problems = error.errors(include_url=False)
    fields = tuple(".".join(str(part) for part in problem["loc"]) for problem in problems)
    sentences = []
    for field, problem in zip(fields, problems, strict=True):
        if problem["type"] == "missing":
            sentences.append(f"{field}: is missing.")
        elif problem["type"] == "extra_forbidden":
            allowed = ", ".join(_fields_at(model, problem["loc"][:-1]))
            sentences.append(f"{field}: is not a field here; allowed: {allowed}.")
        elif problem["type"] == "value_error":
            sentences.append(f"{field}: {problem['ctx']['error']}")
        else:
            sentences.append(f"{field}: {problem['msg']}; got {_shortened(problem['input'])}.")
    return Refusal(type=BadScenario.__name__, message=" ".join(sentences), fields=fields)


def _fields_at(model: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    """Names of the fields of the model that stands at a path within another."""
    for part in path:
        if part in model.model_fields:
            model = next(_models_in(model.model_fields[str(part)].annotation), model)
    return list(model.model_fields)


def _models_in(annotation: Any) -> Any:
    """The models named in an annotation such as `list[MealInput] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
