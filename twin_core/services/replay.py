"""Replay: a past day as it was forecast, as it happened, and as it might have gone under another therapy."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from twin_core.domain.access import Viewer
from twin_core.domain.errors import BadInput, OutOfRange
from twin_core.domain.forecasts import HORIZONS_MIN
from twin_core.domain.history import BasalRate, FloatArray, History, Therapy, instant_of, minutes_of
from twin_core.inference.retelling import CannotRetell, ToldDay, retold, told_day
from twin_core.services.frozen_forecasts import (
    FORECAST_BEFORE_MIN,
    WatchedHorizon,
    scored,
    watched_horizons,
)
from twin_core.services.kept import Kept
from twin_core.services.personal_forecaster import PersonalForecasters
from twin_core.services.records import Records
from twin_core.services.twins import Twins

_BEFORE_MIN = 2880.0
_KEPT_DAYS = 4


class Limit(NamedTuple):
    """The range of one change to a day, and the value that changes nothing."""

    label: str
    unit: str
    low: float
    high: float
    step: float
    rest: float


CHANGES: Mapping[str, Limit] = {
    "carbs_percent": Limit("Carbohydrate of every meal", "%", 0.0, 200.0, 10.0, 100.0),
    "bolus_percent": Limit("Every bolus", "%", 0.0, 200.0, 10.0, 100.0),
    "bolus_shift_min": Limit("Boluses later (or earlier)", "min", -60.0, 60.0, 5.0, 0.0),
    "basal_percent": Limit("Basal insulin of the day", "%", 0.0, 200.0, 10.0, 100.0),
}


@dataclass(frozen=True, kw_only=True)
class Change:
    """How a day's therapy is changed; the default changes nothing."""

    carbs_percent: float = 100.0
    bolus_percent: float = 100.0
    bolus_shift_min: float = 0.0
    basal_percent: float = 100.0

    def __post_init__(self) -> None:
        for name, limit in CHANGES.items():
            value = getattr(self, name)
            if not limit.low <= value <= limit.high:
                raise OutOfRange(limit.label, value, limit.low, limit.high, limit.unit)


@dataclass(frozen=True, kw_only=True)
class ReplayedDay:
    """A day as it was forecast and as it happened.

    Attributes
    ----------
    history
        The day's readings and events, with the 2 days before it and the 4 h after.
    origins_min
        Shape `(n_origins,)`: every 15 min of the day.
    quantiles_mg_dl
        Shape `(n_origins, n_horizons, n_levels)`: each made from what was known at its origin; NaN where withheld.
    scores
        How they did, 30, 60 and 120 min ahead; a horizon without anything to score is left out.
    """

    day: date
    start_min: float
    end_min: float
    history: History
    origins_min: FloatArray
    quantiles_mg_dl: FloatArray
    scores: tuple[WatchedHorizon, ...]
    model_version: str


@dataclass(frozen=True, kw_only=True)
class RetoldOutcome:
    """One figure of the day as measured and as retold; the 90 % interval is what the twin does not know."""

    label: str
    levels_mg_dl: tuple[float, ...]
    in_glucose: bool
    measured: float
    retold: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class RetoldDay:
    """A day under another therapy.

    Attributes
    ----------
    time_min, measured_mg_dl, simulated_mg_dl
        Shape `(n_times,)`: every 5 min; the twin under the recorded therapy alone.
    retold_mg_dl
        Shape `(3, n_times)`: 5 %, the most probable, and 95 % of the draws.
    """

    change: Change
    time_min: FloatArray
    measured_mg_dl: FloatArray
    simulated_mg_dl: FloatArray
    retold_mg_dl: FloatArray
    flow_mg_kg_min: FloatArray
    outcomes: tuple[RetoldOutcome, ...]
    twin_sentence: str


class Replay:
    """Past days of a person."""

    def __init__(self, records: Records, twins: Twins, forecasters: PersonalForecasters) -> None:
        self._records = records
        self._twins = twins
        self._forecasters = forecasters
        self._told = Kept[ToldDay | CannotRetell](_KEPT_DAYS)

    def days(self, viewer: Viewer, person_id: str) -> tuple[date, ...]:
        """The local dates from the first to the last reading, newest first."""
        span = self._records.span_min(viewer, person_id)
        if span is None:
            return ()
        zone = self._zone(viewer, person_id)
        first, last = (instant_of(minute).astimezone(zone).date() for minute in span)
        return tuple(last - timedelta(days=back) for back in range((last - first).days + 1))

    def day(self, viewer: Viewer, person_id: str, day: date) -> ReplayedDay:
        """A local day with the forecasts that were, or would have been, made in it."""
        start_min, end_min = self._bounds(viewer, person_id, day)
        begin_min = start_min - FORECAST_BEFORE_MIN
        history = self._records.history(viewer, person_id, begin_min, end_min + HORIZONS_MIN[-1])
        forecaster = self._forecasters.current(viewer, person_id)
        rows = scored(forecaster, history, start_min=start_min, end_min=end_min)
        return ReplayedDay(
            day=day,
            start_min=start_min,
            end_min=end_min,
            history=history,
            origins_min=rows.origins_min,
            quantiles_mg_dl=rows.quantiles_mg_dl,
            scores=watched_horizons(rows),
            model_version=forecaster.model_version,
        )

    def retell(self, viewer: Viewer, person_id: str, day: date, change: Change) -> RetoldDay | CannotRetell:
        """A local day under another therapy, by the twin in use."""
        told = self._told_day(viewer, person_id, day)
        if isinstance(told, CannotRetell):
            return told
        curves = retold(told, _changed(told, change))
        low, high = np.percentile(curves[1:], (5.0, 95.0), axis=0)
        return RetoldDay(
            change=change,
            time_min=told.time_min,
            measured_mg_dl=told.measured_mg_dl,
            simulated_mg_dl=told.simulated_mg_dl,
            retold_mg_dl=np.stack((np.minimum(low, curves[0]), curves[0], np.maximum(high, curves[0]))),
            flow_mg_kg_min=told.flow_mg_kg_min[0],
            outcomes=_outcomes(told.measured_mg_dl, curves),
            twin_sentence=self._twins.summary(viewer, person_id).title,
        )

    def _told_day(self, viewer: Viewer, person_id: str, day: date) -> ToldDay | CannotRetell:
        """Deconvolved once for each twin, day and state of the record."""
        version = self._records.version(viewer, person_id)
        key = f"{person_id}:{version}:{self._twins.version(viewer, person_id)}:{day}"
        return self._told.of(key, lambda: self._tell(viewer, person_id, day))

    def _tell(self, viewer: Viewer, person_id: str, day: date) -> ToldDay | CannotRetell:
        start_min, end_min = self._bounds(viewer, person_id, day)
        history = self._records.history(viewer, person_id, start_min - _BEFORE_MIN, end_min + 15.0)
        return told_day(self._twins.current(viewer, person_id), history, start_min=start_min, end_min=end_min)

    def _bounds(self, viewer: Viewer, person_id: str, day: date) -> tuple[float, float]:
        days = self.days(viewer, person_id)
        if day not in days:
            known = f"{days[-1]} to {days[0]}" if days else "none"
            raise BadInput(f"There is no record of {day}. Days with a record: {known}.")
        zone = self._zone(viewer, person_id)
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
        next_day = day + timedelta(days=1)
        following = datetime(next_day.year, next_day.month, next_day.day, tzinfo=zone)
        start_min, end_min = minutes_of(midnight.astimezone(UTC)), minutes_of(following.astimezone(UTC))
        span = self._records.span_min(viewer, person_id)
        return start_min, end_min if span is None else min(end_min, max(start_min + 60.0, span[1]))

    def _zone(self, viewer: Viewer, person_id: str) -> ZoneInfo:
        return ZoneInfo(self._records.person(viewer, person_id).time_zone)


def _changed(told: ToldDay, change: Change) -> Therapy:
    """The day's therapy with the change; what was eaten and injected before the day stays."""
    therapy, start_min = told.therapy, told.start_min
    carbs, bolus, basal = (p / 100.0 for p in (change.carbs_percent, change.bolus_percent, change.basal_percent))

    def of_the_day(time_min: float) -> bool:
        return time_min >= start_min

    return replace(
        therapy,
        meals=tuple(
            replace(
                meal,
                carbs_g=meal.carbs_g * carbs,
                protein_g=meal.protein_g * carbs,
                fat_g=meal.fat_g * carbs,
                fibre_g=meal.fibre_g * carbs,
            )
            if of_the_day(meal.time_min)
            else meal
            for meal in therapy.meals
        ),
        boluses=tuple(
            replace(
                dose,
                dose_u=dose.dose_u * bolus,
                time_min=max(start_min, dose.time_min + change.bolus_shift_min),
            )
            if of_the_day(dose.time_min)
            else dose
            for dose in therapy.boluses
        ),
        basal=_scaled_rates(told, basal),
        long_acting=tuple(
            replace(dose, dose_u=dose.dose_u * basal) if of_the_day(dose.time_min) else dose
            for dose in therapy.long_acting
        ),
    )


def _scaled_rates(told: ToldDay, share: float) -> tuple[BasalRate, ...]:
    """The pump's rates from the day's start on, times a share; where none is recorded, the twin's own rate."""
    therapy, start_min = told.therapy, told.start_min
    if share == 1.0 or therapy.long_acting:
        return therapy.basal
    before = [rate for rate in therapy.basal if rate.time_min <= start_min]
    own = BasalRate(time_min=start_min, rate_u_h=float(told.twin.parameters.basal_u_h))
    in_force = replace(before[-1] if before else own, time_min=start_min)
    during = [rate for rate in therapy.basal if rate.time_min > start_min]
    return tuple(replace(rate, rate_u_h=rate.rate_u_h * share) for rate in (in_force, *during))


def _outcomes(measured: FloatArray, curves: FloatArray) -> tuple[RetoldOutcome, ...]:
    """Figures over the times at which glucose was measured."""
    seen = np.isfinite(measured)
    day, told = measured[None, seen], curves[:, seen]
    return (
        _outcome("Time in {}-{}", (70.0, 180.0), _share(day, 70.0, 180.0), _share(told, 70.0, 180.0)),
        _outcome("Time below {}", (70.0,), _share(day, -np.inf, 69.999), _share(told, -np.inf, 69.999)),
        _outcome("Time above {}", (180.0,), _share(day, 180.001, np.inf), _share(told, 180.001, np.inf)),
        _outcome("Lowest glucose", (), day.min(axis=1), told.min(axis=1), in_glucose=True),
        _outcome("Mean glucose", (), day.mean(axis=1), told.mean(axis=1), in_glucose=True),
    )


def _share(curves: FloatArray, low: float, high: float) -> FloatArray:
    return np.asarray(100.0 * ((curves >= low) & (curves <= high)).mean(axis=1))


def _outcome(
    label: str, levels_mg_dl: tuple[float, ...], measured: FloatArray, told: FloatArray, *, in_glucose: bool = False
) -> RetoldOutcome:
    low, high = np.percentile(told[1:], (5.0, 95.0))
    return RetoldOutcome(
        label=label,
        levels_mg_dl=levels_mg_dl,
        in_glucose=in_glucose,
        measured=float(measured[0]),
        retold=float(told[0]),
        low=float(min(low, told[0])),
        high=float(max(high, told[0])),
    )
