"""A stretch of a person's record as numbers: what models, filters and forecasters work on.

Times are minutes on one axis. For stored people the axis counts from 1970-01-01 UTC; for a scenario it
starts wherever the scenario's minute 0 is. `utc_offset_min` leads to local time of day on either.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Meal:
    """Carbohydrate eaten from `time_min` on, evenly over `duration_min`."""

    time_min: float
    carbs_g: float
    duration_min: float = 15.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Bolus:
    """Rapid insulin given at once (over one minute)."""

    time_min: float
    dose_u: float


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


@dataclass(frozen=True, kw_only=True)
class Therapy:
    """What was, or will be, eaten and injected."""

    meals: tuple[Meal, ...] = ()
    boluses: tuple[Bolus, ...] = ()
    basal: tuple[BasalRate, ...] = ()
    long_acting: tuple[LongActingDose, ...] = ()


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
