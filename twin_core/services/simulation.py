"""The glucose models and the forecaster without a person in the store: what scenarios call."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from twin_core.domain.errors import BadInput, SimulationFailed, UnknownName
from twin_core.domain.forecasts import Forecast, ForecastStatus
from twin_core.domain.history import FloatArray, History, Rhythm, Therapy
from twin_core.domain.models import OdeModel
from twin_core.forecast.forecaster import Forecaster
from twin_core.inference.map_fit import mean_basal_u_h
from twin_core.inference.state import with_unrecorded_doses
from twin_core.inference.twin import FittedTwin, population_twin
from twin_core.models.glucose.cgm_errors import errors, sensor_named
from twin_core.services.hybrid import acting, moved, moved_forecast
from twin_core.services.scenarios import Cgm, CgmError, SimulatedGlucose
from twin_core.solve.rk4 import Solution, SolveStatus, integrate
from twin_core.solve.schedule import needs_of, schedule_of

_READING_MIN = 5.0


class GlucoseModels:
    """Simulates the glucose models of the catalog."""

    def __init__(self, models: Sequence[OdeModel]) -> None:
        self._models = {model.name: model for model in models if model.organ == "glucose"}

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
        """Simulate from minute 0 with steps of at most 1 min that divide `step_min`, and answer at each `step_min`."""
        chosen = self._named(model)
        refuse_what_is_not_taken(chosen, therapy, rhythm)
        weight = {} if body_weight_kg is None else {"BW": body_weight_kg}
        p = chosen.parameters_with({**weight, **parameters})
        schedule = schedule_of(
            therapy, start_min=0.0, end_min=duration_min, step_min=step_min / math.ceil(step_min), rhythm=rhythm
        )
        solution = integrate(chosen, p, schedule, _initial(chosen, p, initial_state))
        if solution.status is not SolveStatus.OK:
            raise SimulationFailed(solution.reason)
        asked = _multiples(solution.times_min, step_min)
        return SimulatedGlucose(
            time_min=solution.times_min[asked],
            glucose_mg_dl=solution.output("glucose_mg_dl")[asked],
            plasma_glucose_mg_dl=solution.output("plasma_glucose_mg_dl")[asked],
            plasma_insulin_pmol_l=solution.output("plasma_insulin_pmol_l")[asked],
            states={state.name: solution.state(state.name)[asked] for state in chosen.states},
            cgm=None if cgm_error is None else _cgm(solution, cgm_error, rhythm),
        )

    def _named(self, name: str) -> OdeModel:
        if name not in self._models:
            raise UnknownName("glucose model", name, self._models)
        return self._models[name]


class HybridForecasts:
    """Forecasts a history; what is announced enters through the mechanistic twin only."""

    def __init__(self, forecaster: Forecaster) -> None:
        self._forecaster = forecaster

    def forecast(
        self, *, history: History, now_min: float, announced: Therapy, twin: Mapping[str, Any] | None
    ) -> Forecast:
        """The forecast made at `now_min`, with the announced meals and boluses if there are any."""
        known = replace(history, therapy=_until(history.therapy, now_min))
        follow = self._forecaster.interval_factors(known, now_min)
        baseline = self._forecaster.forecast(known, now_min, follow)
        if baseline.status is not ForecastStatus.OK or not (announced.meals or announced.boluses):
            return baseline
        _check_ahead(announced, now_min)
        without = acting(known.therapy, now_min)
        planned = replace(without, planned=announced.meals, boluses=(*without.boluses, *announced.boluses))
        chosen = _population(known, now_min) if twin is None else FittedTwin.from_payload(twin)
        after = moved(self._forecaster, baseline, chosen, known, without, planned)
        return moved_forecast(self._forecaster, baseline, after)


def refuse_what_is_not_taken(model: OdeModel, therapy: Therapy, rhythm: Rhythm) -> None:
    """Refuse a therapy of which a model would silently leave something out.

    Raises
    ------
    BadInput
        Names what the model does not take.
    """
    taken: tuple[str, ...] = model.inputs._fields  # type: ignore[attr-defined]
    beyond = [need.what for need in needs_of(therapy, rhythm) if not set(need.inputs) & set(taken)]
    if beyond:
        raise BadInput(f"The model {model.name} does not take {', '.join(beyond)}; leave that out or choose another.")


def _cgm(solution: Solution, error: CgmError, rhythm: Rhythm) -> Cgm:
    """What a sensor put on at the begin shows of the model's sensed glucose, every 5 min."""
    times = np.arange(solution.times_min[0], solution.times_min[-1] + 1e-6, _READING_MIN)
    path = errors(
        sensor_named(error.model),
        times,
        np.random.default_rng(error.seed),
        utc_offset_min=rhythm.utc_offset_min,
        faults=error.faults,
    )
    sensed = np.interp(times, solution.times_min, solution.output("glucose_mg_dl"))
    return Cgm(time_min=times, glucose_mg_dl=path.applied(sensed))


def _initial(model: OdeModel, parameters: Any, given: Mapping[str, float] | None) -> tuple[float, ...] | None:
    """The model's steady state with the given states in their places."""
    if given is None:
        return None
    names = [state.name for state in model.states]
    for name in given:
        if name not in names:
            raise UnknownName(f"state of {model.name}", name, names)
    steady = dict(zip(names, model.steady_state(parameters), strict=True))
    return tuple(float({**steady, **given}[name]) for name in names)


def _multiples(times_min: FloatArray, step_min: float) -> Any:
    """Which steps begin at a multiple of `step_min`."""
    rest = times_min / step_min
    return np.abs(rest - np.round(rest)) * step_min < 1e-6


def _until(therapy: Therapy, now_min: float) -> Therapy:
    """Only what had happened by then: a history must not know the future."""
    return Therapy(
        meals=tuple(meal for meal in therapy.meals if meal.time_min <= now_min),
        boluses=tuple(bolus for bolus in therapy.boluses if bolus.time_min <= now_min),
        basal=tuple(rate for rate in therapy.basal if rate.time_min <= now_min),
        long_acting=tuple(dose for dose in therapy.long_acting if dose.time_min <= now_min),
        exercise=tuple(bout for bout in therapy.exercise if bout.time_min <= now_min),
        glucagon=tuple(dose for dose in therapy.glucagon if dose.time_min <= now_min),
        conditions=tuple(condition for condition in therapy.conditions if condition.time_min <= now_min),
    )


def _check_ahead(announced: Therapy, now_min: float) -> None:
    times = [meal.time_min for meal in announced.meals] + [bolus.time_min for bolus in announced.boluses]
    if min(times) < now_min:
        raise BadInput(
            f"An announced meal or bolus is at minute {min(times):g}, before now ({now_min:g}). "
            "What has happened belongs in history."
        )


def _population(history: History, now_min: float) -> FittedTwin:
    therapy = with_unrecorded_doses(history.therapy, now_min)
    basal_u_h = mean_basal_u_h(therapy, start_min=now_min - 1440.0, end_min=now_min)
    return population_twin(basal_u_h=basal_u_h or None)
