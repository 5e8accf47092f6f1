"""Alarms before lows and highs: which events a forecast announces, how early, and how often it cries wolf.

An event is a run of readings beyond a threshold that lasts at least 10 min and follows readings on the right side. It
counts as announced when an alarm stood 5 to 60 min before its onset; the lead is counted from the earliest such
moment. Alarms at neighbouring moments are one alarm; it is false when none of its moments lies 5 to 60 min before an
onset. While glucose is beyond the threshold nothing more is announced, so that alarms then count neither way.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.errors import BadInput
from twin_core.domain.history import FloatArray
from twin_core.domain.units import MINUTES_PER_DAY

LEAST_EVENT_MIN = 10.0
EARLIEST_MIN, LATEST_MIN = 60.0, 5.0
"""An alarm counts for an event that begins this long after it, at most and at least."""
LARGEST_GAP_MIN = 30.0
"""A longer gap between readings ends a run: what happened in it is not known."""


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """What an event is: glucose below, or above, a level [mg/dL]."""

    level_mg_dl: float
    below: bool

    def beyond(self, glucose_mg_dl: FloatArray) -> NDArray[np.bool_]:
        """Whether each value is on the wrong side; what is not known is not."""
        wrong = glucose_mg_dl < self.level_mg_dl if self.below else glucose_mg_dl > self.level_mg_dl
        return np.asarray(wrong)


HYPOGLYCEMIA = Threshold(level_mg_dl=70.0, below=True)
HYPERGLYCEMIA = Threshold(level_mg_dl=180.0, below=False)


@dataclass(frozen=True, kw_only=True)
class AlarmScore:
    """How alarms did over some days of one person, or of several added up.

    Attributes
    ----------
    leads_min
        Of each announced event, how long before its onset the alarm stood, shape `(announced,)`.
    days
        Time with a forecast, of which false alarms are counted a day.
    """

    events: int
    alarms: int
    false_alarms: int
    leads_min: FloatArray
    days: float

    @property
    def sensitivity(self) -> float:
        """Share of the events that were announced; NaN without an event."""
        return len(self.leads_min) / self.events if self.events else float("nan")

    @property
    def precision(self) -> float:
        """Share of the alarms that were followed by an event; NaN without an alarm."""
        return 1.0 - self.false_alarms / self.alarms if self.alarms else float("nan")

    @property
    def false_per_day(self) -> float:
        """False alarms a day; NaN without time."""
        return self.false_alarms / self.days if self.days > 0.0 else float("nan")

    @property
    def median_lead_min(self) -> float:
        """Of the announced events [min]; NaN when there is none."""
        return float(np.median(self.leads_min)) if self.leads_min.size else float("nan")

    def __add__(self, other: "AlarmScore") -> "AlarmScore":
        """Both people's events, alarms and days together."""
        return AlarmScore(
            events=self.events + other.events,
            alarms=self.alarms + other.alarms,
            false_alarms=self.false_alarms + other.false_alarms,
            leads_min=np.concatenate([self.leads_min, other.leads_min]),
            days=self.days + other.days,
        )


NO_ALARMS = AlarmScore(events=0, alarms=0, false_alarms=0, leads_min=np.empty(0), days=0.0)


def onsets(time_min: FloatArray, glucose_mg_dl: FloatArray, threshold: Threshold) -> FloatArray:
    """When events began: the first reading beyond the threshold of each run of at least 10 min, shape `(n_events,)`.

    A run counts from its first reading to the first one back on the right side. One that a gap precedes has no known
    onset and is left out.
    """
    known = np.isfinite(glucose_mg_dl)
    time, wrong = time_min[known], threshold.beyond(glucose_mg_dl[known])
    if time.size == 0:
        return np.empty(0)
    began = np.flatnonzero(wrong[1:] & ~wrong[:-1] & (np.diff(time) <= LARGEST_GAP_MIN)) + 1
    return time[[start for start in began if _end_min(time, wrong, int(start)) - time[start] >= LEAST_EVENT_MIN]]


def alarm_score(
    origins_min: FloatArray,
    alarm: NDArray[np.bool_],
    made: NDArray[np.bool_],
    time_min: FloatArray,
    glucose_mg_dl: FloatArray,
    threshold: Threshold,
    *,
    step_min: float = 5.0,
) -> AlarmScore:
    """Hold one person's alarms against what happened.

    Parameters
    ----------
    origins_min
        Shape `(n,)`, increasing, `step_min` apart where there is no gap.
    alarm, made
        Shape `(n,)`: whether the forecast made then raises the alarm, and whether there was a forecast at all.
    time_min, glucose_mg_dl
        Shape `(n_readings,)`: the readings, those after the last origin included.

    Notes
    -----
    Only events that could have been announced are counted: those with a forecast 5 to 60 min before their onset.
    """
    if not origins_min.shape == alarm.shape == made.shape:
        raise BadInput(f"Origins and alarms must be as many; got {origins_min.shape}, {alarm.shape}, {made.shape}.")
    usable = made & ~_beyond_at(origins_min, time_min, glucose_mg_dl, threshold)
    raised = origins_min[usable & alarm]
    events = [o for o in onsets(time_min, glucose_mg_dl, threshold) if _before(origins_min[usable], o).size]
    announcing = [_before(raised, onset) for onset in events]
    true_moments = np.concatenate([*announcing, np.empty(0)])
    runs = np.split(raised, np.flatnonzero(np.diff(raised) > step_min + 1e-6) + 1) if raised.size else []
    return AlarmScore(
        events=len(events),
        alarms=len(runs),
        false_alarms=sum(not np.isin(run, true_moments).any() for run in runs),
        leads_min=np.array([o - m[0] for o, m in zip(events, announcing, strict=True) if m.size]),
        days=float(made.sum()) * step_min / MINUTES_PER_DAY,
    )


def _end_min(time: FloatArray, wrong: NDArray[np.bool_], start: int) -> float:
    """When a run ended: at the first reading back, or at the last one before a gap or the end of the record."""
    for place in range(start + 1, len(time)):
        if time[place] - time[place - 1] > LARGEST_GAP_MIN:
            return float(time[place - 1])
        if not wrong[place]:
            return float(time[place])
    return float(time[-1])


def _before(moments_min: FloatArray, onset_min: float) -> FloatArray:
    lead = onset_min - moments_min
    return moments_min[(lead >= LATEST_MIN) & (lead <= EARLIEST_MIN)]


def _beyond_at(
    origins_min: FloatArray, time_min: FloatArray, glucose_mg_dl: FloatArray, threshold: Threshold
) -> NDArray[np.bool_]:
    """Whether the last reading at each origin lies beyond the threshold."""
    known = np.isfinite(glucose_mg_dl)
    time, glucose = time_min[known], glucose_mg_dl[known]
    if time.size == 0:
        return np.zeros(origins_min.shape, dtype=bool)
    last = np.searchsorted(time, origins_min, side="right") - 1
    return threshold.beyond(np.where(last >= 0, glucose[np.maximum(last, 0)], np.nan))
