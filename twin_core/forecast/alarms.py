"""Alarms of low and of high glucose, counted by event: foreseen or not, how early, and how many were for nothing.

An event is a run of readings below 70 mg/dL that lasts 10 min or more (International consensus on time in range,
Diabetes Care 42:1593 (2019), asks for 15 min; the shorter run also catches sensors that report every 5 min). It was
foreseen when an alarm stood 5 to 60 min before its first reading. Alarms less than an hour apart are one episode; an
episode was for nothing when no reading below 70 mg/dL came until an hour after its last alarm. No alarm is counted
while glucose is below 70 mg/dL already. Above 180 mg/dL everything is counted in the same way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.history import FloatArray, History
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.forecast.features import HOLD_MIN, STEP_MIN
from twin_core.metrics.glucose_alarms import EARLIEST_MIN, HYPOGLYCEMIA, LATEST_MIN, LEAST_EVENT_MIN, Threshold

APART_MIN = 30.0
"""Events less than this apart are one."""
EPISODE_GAP_MIN = 60.0


@dataclass(frozen=True, kw_only=True)
class AlarmScore:
    """How one rule did; leads in minutes, None where no event was foreseen."""

    rule: str
    events: int
    foreseen: int
    episodes: int
    false_episodes: int
    days: float
    lead_median_min: float | None

    @property
    def sensitivity(self) -> float:
        """Share of the events that were foreseen; NaN without events."""
        return self.foreseen / self.events if self.events else float("nan")

    @property
    def precision(self) -> float:
        """Share of the episodes after which glucose was out of range; NaN without alarms."""
        return 1.0 - self.false_episodes / self.episodes if self.episodes else float("nan")

    @property
    def false_per_day(self) -> float:
        """Episodes for nothing on each day with forecasts."""
        return self.false_episodes / self.days if self.days else float("nan")


def events_of(history: History, threshold: Threshold) -> FloatArray:
    """First and last reading of each event [min], shape `(n, 2)`."""
    time, out = history.cgm_time_min, threshold.beyond(history.cgm_mg_dl)
    if time.size == 0:
        return np.empty((0, 2))
    broken = np.diff(time) > HOLD_MIN
    begins = out & np.concatenate([[True], ~out[:-1] | broken])
    ends = out & np.concatenate([~out[1:] | broken, [True]])
    runs = np.column_stack([time[begins], time[ends]])
    runs = runs[runs[:, 1] - runs[:, 0] >= LEAST_EVENT_MIN]
    apart = np.concatenate([[True], runs[1:, 0] - runs[:-1, 1] > APART_MIN]) if len(runs) else np.empty(0, dtype=bool)
    return np.column_stack([runs[apart, 0], runs[np.concatenate([apart[1:], [True]]), 1]]) if len(runs) else runs


def score(
    rule: str,
    histories: Mapping[str, History],
    persons: NDArray[np.str_],
    origins_min: FloatArray,
    now_mg_dl: FloatArray,
    raised: NDArray[np.bool_],
    threshold: Threshold = HYPOGLYCEMIA,
) -> AlarmScore:
    """The score of a rule that raised an alarm, or not, at each origin; all of shape `(n,)`."""
    counts = np.zeros(4, dtype=int)
    leads: list[float] = []
    for person in np.unique(persons):
        own = (persons == person) & ~threshold.beyond(now_mg_dl)
        found, own_leads = _of_person(histories[str(person)], origins_min[own], raised[own], threshold)
        counts += found
        leads += own_leads
    events, foreseen, episodes, false_episodes = counts.tolist()
    return AlarmScore(
        rule=rule,
        events=events,
        foreseen=foreseen,
        episodes=episodes,
        false_episodes=false_episodes,
        days=len(persons) * STEP_MIN / MINUTES_PER_DAY,
        lead_median_min=float(np.median(leads)) if leads else None,
    )


def threshold_for(sensitivity: float, lead_min: float, scored: Sequence[tuple[float, AlarmScore]]) -> float:
    """The highest threshold that reaches a sensitivity and a median lead, else the lowest one tried."""
    reached = [
        threshold
        for threshold, made in scored
        if made.sensitivity >= sensitivity and (made.lead_median_min or 0.0) >= lead_min
    ]
    return max(reached, default=min(threshold for threshold, _ in scored))


def _of_person(
    history: History, origins: FloatArray, raised: NDArray[np.bool_], threshold: Threshold
) -> tuple[NDArray[np.int_], list[float]]:
    alarms = origins[raised]
    leads, events = [], 0
    for onset in events_of(history, threshold)[:, 0]:
        if _between(origins, onset - EARLIEST_MIN, onset - LATEST_MIN).size == 0:
            continue
        events += 1
        before = _between(alarms, onset - EARLIEST_MIN, onset - LATEST_MIN)
        leads += [float(onset - before[0])] if before.size else []
    episodes = np.split(alarms, np.flatnonzero(np.diff(alarms) > EPISODE_GAP_MIN) + 1) if alarms.size else []
    out = history.cgm_time_min[threshold.beyond(history.cgm_mg_dl)]
    false = sum(_between(out, episode[0], episode[-1] + EARLIEST_MIN).size == 0 for episode in episodes)
    return np.array([events, len(leads), len(episodes), false]), leads


def _between(times: FloatArray, begin_min: float, end_min: float) -> FloatArray:
    """The times within both ends; `times` is in order."""
    first = np.searchsorted(times, begin_min, side="left")
    return times[first : np.searchsorted(times, end_min, side="right")]
