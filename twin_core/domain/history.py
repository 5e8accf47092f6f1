"""A stretch of a person's record as numbers: what models, filters and forecasters work on.

Times are minutes on one axis. For stored people the axis counts from 1970-01-01 UTC; for a scenario it
starts wherever the scenario's minute 0 is. `utc_offset_min` leads to local time of day on either.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.records import Event, EventKind, GlucoseReading

FloatArray: TypeAlias = NDArray[np.float64]


class MealInsulin(StrEnum):
    """Insulins given for meals and corrections."""

    RAPID = "rapid"
    INHALED = "inhaled"


class BasalInsulin(StrEnum):
    """Long-acting insulins."""

    GLARGINE_U100 = "glargine_u100"
    GLARGINE_U300 = "glargine_u300"
    DETEMIR = "detemir"
    DEGLUDEC = "degludec"


class ConditionKind(StrEnum):
    """What changes the body's answer for hours or days."""

    STRESS = "stress"
    ILLNESS = "illness"
    ALCOHOL = "alcohol"


@dataclass(frozen=True, kw_only=True, slots=True)
class Meal:
    """Carbohydrate eaten from `time_min` on, evenly over `duration_min`, with what else the meal holds."""

    time_min: float
    carbs_g: float
    duration_min: float = 15.0
    protein_g: float = 0.0
    fat_g: float = 0.0
    fibre_g: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Bolus:
    """Insulin for a meal or a correction, given at once (over one minute)."""

    time_min: float
    dose_u: float
    insulin: MealInsulin = MealInsulin.RAPID


@dataclass(frozen=True, kw_only=True, slots=True)
class BasalRate:
    """A pump's basal rate, from `time_min` until the next one."""

    time_min: float
    rate_u_h: float


@dataclass(frozen=True, kw_only=True, slots=True)
class LongActingDose:
    """A long-acting insulin injection."""

    time_min: float
    dose_u: float
    insulin: BasalInsulin = BasalInsulin.GLARGINE_U100


@dataclass(frozen=True, kw_only=True, slots=True)
class Exercise:
    """Physical exercise at a share of the heart-rate reserve, (rate - rest) / (highest - rest)."""

    time_min: float
    duration_min: float
    intensity_percent: float


@dataclass(frozen=True, kw_only=True, slots=True)
class GlucagonDose:
    """Glucagon injected under the skin."""

    time_min: float
    dose_mg: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """Stress, illness or alcohol; `degree` 1 is the typical strength of the source, 0 nothing.

    For alcohol `time_min` is the drink and `degree` counts in portions of the source.
    """

    time_min: float
    duration_min: float
    kind: ConditionKind
    degree: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """How a body changes over the day; the default does not.

    Attributes
    ----------
    sensitivity
        Factors of insulin's action from 04:00, 11:00 and 17:00 local time on (windows of Visentin 2018).
    dawn_mg_kg_min
        Glucose that the liver adds between 03:00 and 07:00, at its highest.
    utc_offset_min
        Minutes to add to a time for local time of day.
    """

    sensitivity: tuple[float, float, float] = (1.0, 1.0, 1.0)
    dawn_mg_kg_min: float = 0.0
    utc_offset_min: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Therapy:
    """What was, or will be, eaten, injected, done and undergone.

    `planned` are meals that somebody asks about; they do not re-time what is still in the stomach.
    """

    meals: tuple[Meal, ...] = ()
    boluses: tuple[Bolus, ...] = ()
    basal: tuple[BasalRate, ...] = ()
    long_acting: tuple[LongActingDose, ...] = ()
    planned: tuple[Meal, ...] = ()
    exercise: tuple[Exercise, ...] = ()
    glucagon: tuple[GlucagonDose, ...] = ()
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, kw_only=True)
class History:
    """Glucose, therapy and activity of one person on one time axis.

    Attributes
    ----------
    cgm_time_min, cgm_mg_dl
        Shape `(n,)`, increasing times [min] and glucose [mg/dL].
    activity_time_min, activity_steps
        Shape `(m,)`, start of each 15-min interval [min] and the steps in it.
    utc_offset_min
        Minutes to add to a time on this axis for local time of day.
    """

    cgm_time_min: FloatArray
    cgm_mg_dl: FloatArray
    therapy: Therapy = field(default_factory=Therapy)
    activity_time_min: FloatArray = field(default_factory=lambda: np.empty(0))
    activity_steps: FloatArray = field(default_factory=lambda: np.empty(0))
    utc_offset_min: float = 0.0

    @property
    def sampling_min(self) -> float | None:
        """The median time between readings [min]; None with fewer than two."""
        return float(np.median(np.diff(self.cgm_time_min))) if self.cgm_time_min.size > 1 else None


def history_of(readings: Sequence[GlucoseReading], events: Sequence[Event]) -> History:
    """Stored records as numbers, on the axis that counts minutes from 1970-01-01 UTC.

    Both sequences are in order of time, as the store returns them. The offset to local time is that of the last
    reading.
    """
    of_kind: dict[EventKind, list[tuple[float, Event]]] = {kind: [] for kind in EventKind}
    for event in events:
        of_kind[event.kind].append((minutes_of(event.instant), event))
    return History(
        cgm_time_min=np.array([minutes_of(reading.instant) for reading in readings]),
        cgm_mg_dl=np.array([reading.glucose_mg_dl for reading in readings]),
        therapy=Therapy(
            meals=tuple(Meal(time_min=t, carbs_g=e.amount) for t, e in of_kind[EventKind.CARBS]),
            boluses=tuple(Bolus(time_min=t, dose_u=e.amount) for t, e in of_kind[EventKind.BOLUS]),
            basal=tuple(BasalRate(time_min=t, rate_u_h=e.amount) for t, e in of_kind[EventKind.BASAL_RATE]),
            long_acting=tuple(LongActingDose(time_min=t, dose_u=e.amount) for t, e in of_kind[EventKind.LONG_ACTING]),
        ),
        activity_time_min=np.array([t for t, _ in of_kind[EventKind.ACTIVITY]]),
        activity_steps=np.array([e.amount for _, e in of_kind[EventKind.ACTIVITY]]),
        utc_offset_min=float(readings[-1].offset_min) if readings else 0.0,
    )


def minutes_of(instant: datetime) -> float:
    """Minutes since 1970-01-01 UTC of a timezone-aware instant."""
    return instant.timestamp() / 60.0


def instant_of(time_min: float) -> datetime:
    """The timezone-aware UTC instant of a number of minutes since 1970-01-01."""
    return datetime.fromtimestamp(time_min * 60.0, tz=UTC)
