"""What if: a plan, the forecast without and with it, and what the browser needs to preview other plans."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np

from twin_core.domain.access import Viewer
from twin_core.domain.errors import OutOfRange
from twin_core.domain.forecasts import QUANTILE_LEVELS, Forecast, ForecastStatus
from twin_core.domain.history import BasalRate, Bolus, FloatArray, History, Meal, Therapy
from twin_core.forecast.forecaster import Forecaster
from twin_core.inference.state import as_batch, current_state
from twin_core.inference.twin import FittedTwin, TwinKind
from twin_core.models.glucose.dalla_man_2014 import MODEL
from twin_core.services.hybrid import HORIZON_MIN, acting, moved
from twin_core.services.live import Live
from twin_core.services.records import Records
from twin_core.services.twins import Twins
from twin_core.solve.rk4 import integrate_batch
from twin_core.solve.schedule import schedules_of

GRAMS_A_MINUTE = 5.0
"""How fast a meal is eaten (protocol of the UVA/Padova simulator)."""
CARBS_NODES_G = (0.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0)
BOLUS_NODES_U = (0.0, 1.0, 2.0, 4.0, 7.0, 10.0, 15.0)
BASAL_NODES_PERCENT = (0.0, 50.0, 100.0, 150.0, 200.0)


class Limit(NamedTuple):
    """The range of one part of a plan, and the value that changes nothing."""

    label: str
    unit: str
    low: float
    high: float
    step: float
    rest: float


LIMITS: Mapping[str, Limit] = {
    "carbs_g": Limit("Carbohydrate", "g", 0.0, 120.0, 5.0, 0.0),
    "carbs_in_min": Limit("Meal in", "min", 0.0, 120.0, 5.0, 0.0),
    "bolus_u": Limit("Bolus", "U", 0.0, 15.0, 0.5, 0.0),
    "bolus_in_min": Limit("Bolus in", "min", 0.0, 120.0, 5.0, 0.0),
    "basal_percent": Limit("Basal insulin, next 4 h", "%", 0.0, 200.0, 10.0, 100.0),
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What somebody might do; the default is nothing."""

    carbs_g: float = 0.0
    carbs_in_min: float = 0.0
    bolus_u: float = 0.0
    bolus_in_min: float = 0.0
    basal_percent: float = 100.0

    def __post_init__(self) -> None:
        for name, limit in LIMITS.items():
            value = getattr(self, name)
            if not limit.low <= value <= limit.high:
                raise OutOfRange(limit.label, value, limit.low, limit.high, limit.unit)


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The twin's response on nodes, for the browser to interpolate while a slider is dragged.

    Attributes
    ----------
    joint_mg_dl
        Shape `(n_carbs, n_bolus, n_horizons)`: change by a meal and a bolus at the plan's times.
    basal_mg_dl
        Shape `(n_basal, n_horizons)`: change by another basal rate.
    """

    joint_mg_dl: FloatArray
    basal_mg_dl: FloatArray
    carbs_nodes_g: tuple[float, ...] = CARBS_NODES_G
    bolus_nodes_u: tuple[float, ...] = BOLUS_NODES_U
    basal_nodes_percent: tuple[float, ...] = BASAL_NODES_PERCENT


class OutcomeUnit(StrEnum):
    """What an outcome's numbers are."""

    PERCENT = "%"
    GLUCOSE = "mg/dL"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One outcome without and with the plan, and the paired difference with its 90 % interval.

    `label` has a place `{}` for each of `levels_mg_dl`, to be filled in the unit of the screen.
    """

    label: str
    levels_mg_dl: tuple[float, ...]
    unit: OutcomeUnit
    without: float
    with_plan: float
    change: float
    change_low: float
    change_high: float


@dataclass(frozen=True, kw_only=True)
class WhatIfAnswer:
    """The forecast without and with a plan.

    Attributes
    ----------
    quantiles_mg_dl
        Shape `(n_horizons, n_levels)` with the plan: the forecast's spread and the twin's posterior together.
    """

    baseline: Forecast
    plan: Plan
    now_min: float
    history: History
    quantiles_mg_dl: FloatArray
    preview: Preview
    outcomes: tuple[Outcome, ...]
    twin_sentence: str
    basal_can_change: bool

    @property
    def median_mg_dl(self) -> FloatArray:
        """The central curve with the plan, shape `(n_horizons,)`."""
        return self.quantiles_mg_dl[:, QUANTILE_LEVELS.index(0.50)]

    def largest_gap_mg_dl(self, preview_mg_dl: list[float]) -> float:
        """How far a preview was from the exact median, at most [mg/dL]."""
        return float(np.max(np.abs(np.asarray(preview_mg_dl, dtype=float) - self.median_mg_dl)))


class WhatIf:
    """Answers plans for a person's present."""

    def __init__(self, records: Records, live: Live, twins: Twins, forecaster: Forecaster) -> None:
        self._records = records
        self._live = live
        self._twins = twins
        self._forecaster = forecaster

    def answer(self, viewer: Viewer, person_id: str, plan: Plan) -> WhatIfAnswer:
        """The forecast without and with a plan, from the person's present."""
        now_min = float(int(self._live.now_min(viewer, person_id)))
        history = self._records.history(viewer, person_id, now_min - 2880.0, now_min + 1.0)
        baseline = self._forecaster.forecast(history, now_min)
        twin = self._twins.current(viewer, person_id)
        if baseline.status is not ForecastStatus.OK:
            return _refused(baseline, plan, now_min, history)
        without = acting(history.therapy, now_min)
        planned = _with_plan(without, plan, now_min, twin.parameters.basal_u_h)
        after = moved(self._forecaster, baseline, twin, history, without, planned)
        return WhatIfAnswer(
            baseline=baseline,
            plan=plan,
            now_min=now_min,
            history=history,
            quantiles_mg_dl=after.quantiles_mg_dl,
            preview=_preview(twin, history, without, plan, now_min),
            outcomes=_outcomes(after.paths_without, after.paths_with),
            twin_sentence=_twin_sentence(twin),
            basal_can_change=not without.long_acting,
        )


def _refused(baseline: Forecast, plan: Plan, now_min: float, history: History) -> WhatIfAnswer:
    nothing = Preview(joint_mg_dl=np.empty((0, 0, 0)), basal_mg_dl=np.empty((0, 0)))
    return WhatIfAnswer(
        baseline=baseline,
        plan=plan,
        now_min=now_min,
        history=history,
        quantiles_mg_dl=np.empty((0, len(QUANTILE_LEVELS))),
        preview=nothing,
        outcomes=(),
        twin_sentence="",
        basal_can_change=False,
    )


def _with_plan(without: Therapy, plan: Plan, now_min: float, own_basal_u_h: float) -> Therapy:
    meals = (
        Meal(
            time_min=now_min + plan.carbs_in_min,
            carbs_g=plan.carbs_g,
            duration_min=max(plan.carbs_g / GRAMS_A_MINUTE, 1.0),
        ),
    )
    boluses = (Bolus(time_min=now_min + plan.bolus_in_min, dose_u=plan.bolus_u),)
    return replace(
        without,
        planned=meals if plan.carbs_g > 0.0 else (),
        boluses=(*without.boluses, *(boluses if plan.bolus_u > 0.0 else ())),
        basal=_scaled_basal(without, plan.basal_percent / 100.0, now_min, own_basal_u_h),
    )


def _scaled_basal(without: Therapy, share: float, now_min: float, own_basal_u_h: float) -> tuple[BasalRate, ...]:
    """The basal rates from now on, times a share; long-acting insulin is injected already and cannot change.

    Where no basal insulin is recorded at all, the twin's own rate is what is changed.
    """
    if share == 1.0 or without.long_acting:
        return without.basal
    own = BasalRate(time_min=now_min - 1.0, rate_u_h=own_basal_u_h)
    in_force = [rate for rate in without.basal if rate.time_min <= now_min] or [own]
    coming = [rate for rate in without.basal if rate.time_min > now_min]
    from_now = [replace(in_force[-1], time_min=now_min), *coming]
    return (*in_force, *(replace(rate, rate_u_h=rate.rate_u_h * share) for rate in from_now))


def _preview(twin: FittedTwin, history: History, without: Therapy, plan: Plan, now_min: float) -> Preview:
    """The response on all nodes in one batch, from the most probable parameters."""
    joint = [replace(plan, carbs_g=g, bolus_u=u, basal_percent=100.0) for g in CARBS_NODES_G for u in BOLUS_NODES_U]
    basal = [Plan(basal_percent=percent) for percent in BASAL_NODES_PERCENT]
    own_u_h = twin.parameters.basal_u_h
    therapies = [_with_plan(without, each, now_min, own_u_h) for each in (*joint, *basal)]
    schedules = schedules_of(therapies, start_min=now_min, end_min=now_min + HORIZON_MIN)
    parameters = as_batch(twin.parameters)
    state = current_state(parameters, history, now_min)
    sensed = integrate_batch(MODEL, parameters, schedules, state, every_min=5.0).output("glucose_mg_dl")
    changes = sensed[:, 1:] - sensed[0, 1:]
    shape = (len(CARBS_NODES_G), len(BOLUS_NODES_U), changes.shape[1])
    return Preview(joint_mg_dl=changes[: len(joint)].reshape(shape), basal_mg_dl=changes[len(joint) :])


def _outcomes(without: FloatArray, with_plan: FloatArray) -> tuple[Outcome, ...]:
    return (
        _outcome("Time in {}-{}", (70.0, 180.0), OutcomeUnit.PERCENT, _in_range(without), _in_range(with_plan)),
        _outcome("Lowest glucose", (), OutcomeUnit.GLUCOSE, without.min(axis=1), with_plan.min(axis=1)),
        _chance("Chance of any value below {}", 70.0, (without < 70).any(axis=1), (with_plan < 70).any(axis=1)),
        _chance("Chance of any value below {}", 54.0, (without < 54).any(axis=1), (with_plan < 54).any(axis=1)),
        _chance("Chance of any value above {}", 180.0, (without > 180).any(axis=1), (with_plan > 180).any(axis=1)),
    )


def _in_range(paths: FloatArray) -> FloatArray:
    return np.asarray(100.0 * ((paths >= 70.0) & (paths <= 180.0)).mean(axis=1))


def _outcome(
    label: str, levels_mg_dl: tuple[float, ...], unit: OutcomeUnit, without: FloatArray, with_plan: FloatArray
) -> Outcome:
    """Medians over the draws, and the 90 % interval of the paired differences."""
    low, middle, high = np.percentile(with_plan - without, (5, 50, 95))
    return Outcome(
        label=label,
        levels_mg_dl=levels_mg_dl,
        unit=unit,
        without=float(np.median(without)),
        with_plan=float(np.median(with_plan)),
        change=float(middle),
        change_low=float(low),
        change_high=float(high),
    )


def _chance(label: str, level_mg_dl: float, without: Any, with_plan: Any) -> Outcome:
    """Shares of draws; the interval is the sampling error of the paired difference at this number of draws."""
    change = 100.0 * (with_plan.astype(float) - without.astype(float))
    middle, reach = float(change.mean()), 1.645 * float(change.std()) / float(np.sqrt(len(change)))
    return Outcome(
        label=label,
        levels_mg_dl=(level_mg_dl,),
        unit=OutcomeUnit.PERCENT,
        without=100.0 * float(without.mean()),
        with_plan=100.0 * float(with_plan.mean()),
        change=middle,
        change_low=middle - reach,
        change_high=middle + reach,
    )


def _twin_sentence(twin: FittedTwin) -> str:
    if twin.kind is TwinKind.POPULATION:
        return (
            "The answer comes from the population's twin, because nothing is fitted to this person yet; its interval "
            "is the spread between people."
        )
    return "The answer comes from the twin fitted to this person; its interval is what the fit could not tell."
