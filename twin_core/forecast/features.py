"""What the forecaster sees: the last three hours on a 5-min grid that ends at the origin.

Everything here is causal. A reading counts from the next slot on and is held for at most 20 min; its age is a
feature of its own; nothing is interpolated. Where something is not known the value is 0 and a flag beside it says
so, so that a window never holds NaN and "no insulin recorded" differs from "no insulin given".

References
----------
[1] Exponential insulin curve as published for LoopKit by D. Maksimovic,
    https://github.com/LoopKit/Loop/issues/388#issuecomment-317938473; peak 75 min and duration 360 min are its
    values for rapid-acting insulin in adults (LoopKit, ExponentialInsulinModelPreset).
[2] G. Scheiner, Think Like a Pancreas, fig. 7-8: absorption rate of carbohydrate as a triangle; the duration of
    3 h is LoopKit's default (CarbMath.defaultAbsorptionTime).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twin_core.domain.history import FloatArray, History
from twin_core.domain.units import MINUTES_PER_DAY

WindowArray: TypeAlias = NDArray[np.float32]

STEP_MIN = 5.0
N_STEPS = 36
HOLD_MIN = 20.0
"""A reading is held for this long, no longer."""
RECORD_REACH_MIN = 1800.0
"""How far back, from a slot, any record is looked at."""
INSULIN_PEAK_MIN = 75.0
INSULIN_DURATION_MIN = 360.0
CARB_DURATION_MIN = 180.0
ACTIVITY_INTERVAL_MIN = 15.0
LONG_ACTING_RAMP_MIN = 360.0

_EXACT = 64.0
"""Readings are summed as whole 64ths of a mg/dL: sums of integers do not depend on where they start."""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One column of a window; `known_by` names the flag that is 0 where this feature is not known."""

    name: str
    unit: str
    meaning: str
    known_by: str | None = None


FEATURES = (
    Feature(name="glucose", unit="mg/dL", meaning="last reading, held", known_by="glucose_present"),
    Feature(
        name="glucose_from_now",
        unit="mg/dL",
        meaning="held reading minus that at the origin",
        known_by="glucose_present",
    ),
    Feature(name="glucose_change_15", unit="mg/dL", meaning="change of the held reading over 15 min"),
    Feature(name="glucose_age", unit="min", meaning="age of the held reading", known_by="glucose_present"),
    Feature(name="glucose_mean_24h", unit="mg/dL", meaning="mean of the readings of the last 24 h"),
    Feature(name="glucose_sd_24h", unit="mg/dL", meaning="standard deviation of the readings of the last 24 h"),
    Feature(
        name="insulin_on_board", unit="U", meaning="bolus insulin yet to act, curve [1]", known_by="bolus_recorded"
    ),
    Feature(name="bolus_30", unit="U", meaning="boluses of the last 30 min", known_by="bolus_recorded"),
    Feature(
        name="basal_rate",
        unit="U/h",
        meaning="pump rate in effect plus long-acting doses spread over a day",
        known_by="basal_recorded",
    ),
    Feature(
        name="carbs_on_board", unit="g", meaning="carbohydrate yet to be absorbed, curve [2]", known_by="carbs_recorded"
    ),
    Feature(name="carbs_30", unit="g", meaning="carbohydrate of the last 30 min", known_by="carbs_recorded"),
    Feature(name="steps_60", unit="steps", meaning="steps in the last 60 min", known_by="steps_recorded"),
    Feature(name="day_sine", unit="1", meaning="sine of the local time of day"),
    Feature(name="day_cosine", unit="1", meaning="cosine of the local time of day"),
    Feature(name="glucose_present", unit="flag", meaning="a reading at most 20 min old exists"),
    Feature(name="bolus_recorded", unit="flag", meaning="a bolus was recorded in the last 30 h"),
    Feature(name="basal_recorded", unit="flag", meaning="basal insulin was recorded in the last 30 h"),
    Feature(name="carbs_recorded", unit="flag", meaning="carbohydrate was recorded in the last 30 h"),
    Feature(name="steps_recorded", unit="flag", meaning="activity was recorded in the last 30 h"),
)
FEATURE_NAMES = tuple(feature.name for feature in FEATURES)
LINEAR_ONLY = ("glucose_mean_24h", "glucose_sd_24h")
"""Features that the linear forecast reads and the network does not: it would tell the training persons apart by them,
and did worse on later weeks of the same persons (measured within the training and calibration blocks)."""
_NETWORK_COLUMNS = [place for place, name in enumerate(FEATURE_NAMES) if name not in LINEAR_ONLY]
N_NETWORK_FEATURES = len(_NETWORK_COLUMNS)


def column(name: str) -> int:
    """Where a feature stands in the last axis of a window."""
    return FEATURE_NAMES.index(name)


def windows(history: History, origins_min: ArrayLike) -> WindowArray:
    """Windows that end at each origin; what happened after an origin cannot change its window.

    Parameters
    ----------
    origins_min
        Shape `(n,)` [min, axis of the history].

    Returns
    -------
    Shape `(n, N_STEPS, len(FEATURES))`, units as in `FEATURES`, finite, oldest slot first.
    """
    origins = np.asarray(origins_min, dtype=np.float64).reshape(-1)
    if origins.size == 0:
        return np.empty((0, N_STEPS, len(FEATURES)), dtype=np.float32)
    slots, place = np.unique(_slot_times(origins), return_inverse=True)
    columns = _slot_columns(_recent(history, slots[0], slots[-1]), slots)
    window = np.stack([columns[name] for name in FEATURE_NAMES], axis=-1)[place.reshape(origins.size, N_STEPS)]
    glucose, present = window[..., column("glucose")], window[..., column("glucose_present")]
    window[..., column("glucose_from_now")] = present * present[:, -1:] * (glucose - glucose[:, -1:])
    return window


def network_inputs(scaled_windows: WindowArray) -> WindowArray:
    """The columns that the network reads, shape `(n, N_STEPS, N_NETWORK_FEATURES)`."""
    return scaled_windows[..., _NETWORK_COLUMNS]


def held_glucose(history: History, times_min: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The last reading at or before each time [mg/dL] and its age [min]; NaN and infinity where there is none."""
    place = np.searchsorted(history.cgm_time_min, times_min, side="right") - 1
    if history.cgm_time_min.size == 0:
        return np.full(place.shape, np.nan), np.full(place.shape, np.inf)
    exists, place = place >= 0, np.maximum(place, 0)
    age = np.where(exists, times_min - history.cgm_time_min[place], np.inf)
    return np.where(exists, history.cgm_mg_dl[place], np.nan), age


def share_present(history: History, origins_min: FloatArray) -> FloatArray:
    """Share of the slots of each window at which a reading at most 20 min old exists, shape `(n,)`."""
    _, age = held_glucose(history, _slot_times(origins_min))
    return np.asarray((age <= HOLD_MIN).mean(axis=-1))


def insulin_remaining(elapsed_min: FloatArray) -> FloatArray:
    """Share of a bolus that has yet to act, some minutes after it: equation of [1]."""
    peak, duration = INSULIN_PEAK_MIN, INSULIN_DURATION_MIN
    tau = peak * (1 - peak / duration) / (1 - 2 * peak / duration)
    rise = 2 * tau / duration
    scale = 1 / (1 - rise + (1 + rise) * np.exp(-duration / tau))
    t = np.clip(elapsed_min, 0.0, duration)
    used = (t**2 / (tau * duration * (1 - rise)) - t / tau - 1) * np.exp(-t / tau) + 1
    return np.asarray(1 - scale * (1 - rise) * used)


def carbs_remaining(elapsed_min: FloatArray) -> FloatArray:
    """Share of a meal that has yet to be absorbed, some minutes after it: integral of the triangle of [2]."""
    x = np.clip(elapsed_min / CARB_DURATION_MIN, 0.0, 1.0)
    return np.where(x < 0.5, 1 - 2 * x**2, 2 * (1 - x) ** 2)


def long_acting_share(elapsed_min: FloatArray) -> FloatArray:
    """Rate of a long-acting dose relative to dose/24 h: up over 6 h, flat to 24 h, down to 30 h.

    An assumption, chosen so that one dose a day adds up to a constant rate.
    """
    up = elapsed_min / LONG_ACTING_RAMP_MIN
    down = (MINUTES_PER_DAY + LONG_ACTING_RAMP_MIN - elapsed_min) / LONG_ACTING_RAMP_MIN
    return np.clip(np.minimum(up, down), 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """Events of one kind in order of time."""

    time_min: FloatArray
    amount: FloatArray

    @classmethod
    def within(cls, pairs: ArrayLike, start_min: float, end_min: float) -> "Amounts":
        """Those of `(n, 2)` times and amounts with `start <= time <= end`, sorted."""
        table = np.asarray(pairs, dtype=np.float64).reshape(-1, 2)
        table = table[(table[:, 0] >= start_min) & (table[:, 0] <= end_min)]
        table = table[np.argsort(table[:, 0], kind="stable")]
        return cls(time_min=table[:, 0], amount=table[:, 1])

    def recorded(self, slots: FloatArray, reach_min: float) -> FloatArray:
        """1 where an event lies in `(slot - reach, slot]`, else 0."""
        return (self._until(slots) > self._until(slots - reach_min)).astype(np.float64)

    def total(self, slots: FloatArray, reach_min: float, share: Callable[[FloatArray], FloatArray]) -> FloatArray:
        """Sum over the events in `(slot - reach, slot]` of amount times `share(slot - time)`, shape of `slots`."""
        first, last = self._until(slots - reach_min), self._until(slots)
        count = last - first
        slot = np.repeat(np.arange(slots.size), count)
        event = np.arange(slot.size) - np.repeat(np.cumsum(count) - count - first, count)
        weight = self.amount[event] * share(slots[slot] - self.time_min[event])
        return np.bincount(slot, weights=weight, minlength=slots.size).astype(np.float64)

    def latest(self, slots: FloatArray, reach_min: float) -> FloatArray:
        """The amount of the last event in `(slot - reach, slot]`, else 0."""
        place = self._until(slots) - 1
        if self.amount.size == 0:
            return np.zeros(slots.size)
        return np.where(self.recorded(slots, reach_min) > 0, self.amount[np.maximum(place, 0)], 0.0)

    def _until(self, times: FloatArray) -> NDArray[np.intp]:
        return np.searchsorted(self.time_min, times, side="right")


@dataclass(frozen=True, kw_only=True)
class _Recent:
    """The part of a history that slots between two times can see."""

    glucose: History
    bolus: Amounts
    carbs: Amounts
    basal: Amounts
    long_acting: Amounts
    steps: Amounts


def _recent(history: History, first_slot_min: float, last_slot_min: float) -> _Recent:
    """Cut a history to what the slots can see, and put its events in order."""
    start, end = first_slot_min - RECORD_REACH_MIN - HOLD_MIN, last_slot_min
    seen = (history.cgm_time_min >= start) & (history.cgm_time_min <= end)
    therapy = history.therapy
    known_at = history.activity_time_min + ACTIVITY_INTERVAL_MIN
    return _Recent(
        glucose=History(
            cgm_time_min=history.cgm_time_min[seen],
            cgm_mg_dl=history.cgm_mg_dl[seen],
            utc_offset_min=history.utc_offset_min,
        ),
        bolus=Amounts.within([(b.time_min, b.dose_u) for b in therapy.boluses], start, end),
        carbs=Amounts.within([(m.time_min, m.carbs_g) for m in therapy.meals], start, end),
        basal=Amounts.within([(b.time_min, b.rate_u_h) for b in therapy.basal], start, end),
        long_acting=Amounts.within([(d.time_min, d.dose_u) for d in therapy.long_acting], start, end),
        steps=Amounts.within(np.column_stack([known_at, history.activity_steps]), start, end),
    )


def _slot_times(origins_min: FloatArray) -> FloatArray:
    """Times of the slots of each window, shape `(n, N_STEPS)`; the last one is the origin."""
    return origins_min[:, None] - STEP_MIN * np.arange(N_STEPS - 1, -1, -1)


def _slot_columns(recent: _Recent, slots: FloatArray) -> dict[str, WindowArray]:
    """Every feature that depends on the slot alone, shape `(n_slots,)` each."""
    columns = _glucose_columns(recent.glucose, slots) | _event_columns(recent, slots)
    columns |= _clock_columns(slots, recent.glucose.utc_offset_min)
    return {name: values.astype(np.float32) for name, values in columns.items()}


def _glucose_columns(glucose: History, slots: FloatArray) -> dict[str, FloatArray]:
    value, age = held_glucose(glucose, slots)
    before, before_age = held_glucose(glucose, slots - 15.0)
    present, present_before = age <= HOLD_MIN, before_age <= HOLD_MIN
    mean, deviation = _day_statistics(glucose, slots)
    return {
        "glucose": np.where(present, value, 0.0),
        "glucose_from_now": np.zeros(slots.size),
        "glucose_change_15": np.where(present & present_before, value - before, 0.0),
        "glucose_age": np.where(present, age, 0.0),
        "glucose_mean_24h": mean,
        "glucose_sd_24h": deviation,
        "glucose_present": present.astype(np.float64),
    }


def _day_statistics(glucose: History, slots: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of the readings in `(slot - 24 h, slot]`; 0 where there is none."""
    exact = np.rint(glucose.cgm_mg_dl * _EXACT).astype(np.int64)
    sums = np.concatenate([[0], np.cumsum(exact)])
    squares = np.concatenate([[0], np.cumsum(exact**2)])
    first = np.searchsorted(glucose.cgm_time_min, slots - MINUTES_PER_DAY, side="right")
    last = np.searchsorted(glucose.cgm_time_min, slots, side="right")
    count = np.maximum(last - first, 1)
    mean = (sums[last] - sums[first]) / count
    variance = np.maximum((squares[last] - squares[first]) / count - mean**2, 0.0)
    return mean / _EXACT, np.sqrt(variance) / _EXACT


def _event_columns(recent: _Recent, slots: FloatArray) -> dict[str, FloatArray]:
    reach, whole = RECORD_REACH_MIN, np.ones_like
    long_acting = recent.long_acting.total(slots, reach, long_acting_share) / 24.0
    basal_known = np.maximum(recent.basal.recorded(slots, reach), recent.long_acting.recorded(slots, reach))
    return {
        "insulin_on_board": recent.bolus.total(slots, INSULIN_DURATION_MIN, insulin_remaining),
        "bolus_30": recent.bolus.total(slots, 30.0, whole),
        "basal_rate": recent.basal.latest(slots, MINUTES_PER_DAY) + long_acting,
        "carbs_on_board": recent.carbs.total(slots, CARB_DURATION_MIN, carbs_remaining),
        "carbs_30": recent.carbs.total(slots, 30.0, whole),
        "steps_60": recent.steps.total(slots, 60.0, whole),
        "bolus_recorded": recent.bolus.recorded(slots, reach),
        "basal_recorded": basal_known,
        "carbs_recorded": recent.carbs.recorded(slots, reach),
        "steps_recorded": recent.steps.recorded(slots, reach),
    }


def _clock_columns(slots: FloatArray, utc_offset_min: float) -> dict[str, FloatArray]:
    angle = 2 * np.pi * np.mod(slots + utc_offset_min, MINUTES_PER_DAY) / MINUTES_PER_DAY
    return {"day_sine": np.sin(angle), "day_cosine": np.cos(angle)}
