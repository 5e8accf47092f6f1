"""A record cut into stretches that one simulation can follow: at most 24 h, no gap above 60 min."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from twin_core.domain.history import FloatArray, History
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.inference.state import therapy_between, warm_up_schedule, with_glucose
from twin_core.models.glucose.dalla_man_2014 import MODEL, Parameters
from twin_core.solve.rk4 import integrate_batch
from twin_core.solve.schedule import Schedule, schedule_of

GAP_MIN = 60.0
WARM_UP_MIN = 480.0
"""Insulin and carbohydrate of the 8 h before a segment are simulated."""
SPACING_MIN = 4.5
"""Readings closer than this are thinned."""
SHORTEST_READINGS = 12


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Readings without a gap, and the schedules that lead to and through them.

    Attributes
    ----------
    time_min, glucose_mg_dl
        Shape `(n,)`: readings; the first sets the glucose states, the others are predicted.
    """

    time_min: FloatArray
    glucose_mg_dl: FloatArray
    warm_up: Schedule
    course: Schedule

    def predict(self, parameters: Parameters) -> FloatArray:
        """Sensed glucose at the readings after the first, shape `(n_sets, n - 1)` for parameters of arrays."""
        before = integrate_batch(MODEL, parameters, self.warm_up, every_min=WARM_UP_MIN).final_states
        start = with_glucose(before, parameters, float(self.glucose_mg_dl[0]))
        solution = integrate_batch(MODEL, parameters, self.course, start)
        return _at(self.time_min[1:], solution.times_min, solution.output("glucose_mg_dl"))


def _at(wanted_min: FloatArray, times_min: FloatArray, curves: FloatArray) -> FloatArray:
    """Linear interpolation of every row; steps are at most 1 min, so its error is below 0.01 mg/dL."""
    right = np.clip(np.searchsorted(times_min, wanted_min), 1, len(times_min) - 1)
    share = (wanted_min - times_min[right - 1]) / (times_min[right] - times_min[right - 1])
    return np.asarray(curves[:, right - 1] * (1.0 - share) + curves[:, right] * share)


def segments_of(history: History, *, start_min: float, end_min: float) -> tuple[Segment, ...]:
    """The segments of the readings with `start_min <= time <= end_min`; shorter than 12 readings are left out."""
    inside = (history.cgm_time_min >= start_min) & (history.cgm_time_min <= end_min)
    usable = inside & np.isfinite(history.cgm_mg_dl)
    time, glucose = history.cgm_time_min[usable], history.cgm_mg_dl[usable]
    keep = _thinned(time)
    time, glucose = time[keep], glucose[keep]
    pieces = _pieces(time)
    return tuple(
        _segment(history, time[piece], glucose[piece])
        for piece in pieces
        if piece.stop - piece.start >= SHORTEST_READINGS
    )


def _thinned(time_min: FloatArray) -> list[int]:
    keep: list[int] = []
    for i, time in enumerate(time_min):
        if not keep or time - time_min[keep[-1]] >= SPACING_MIN:
            keep.append(i)
    return keep


def _pieces(time_min: FloatArray) -> Iterator[slice]:
    begin = 0
    for i in range(1, len(time_min) + 1):
        ended = i == len(time_min)
        if ended or time_min[i] - time_min[i - 1] > GAP_MIN or time_min[i] - time_min[begin] > MINUTES_PER_DAY:
            yield slice(begin, i)
            begin = i


def _segment(history: History, time_min: FloatArray, glucose_mg_dl: FloatArray) -> Segment:
    start, end = float(time_min[0]), float(time_min[-1])
    return Segment(
        time_min=time_min,
        glucose_mg_dl=glucose_mg_dl,
        warm_up=warm_up_schedule(history.therapy, now_min=start, look_back_min=WARM_UP_MIN),
        course=schedule_of(therapy_between(history.therapy, start, end), start_min=start, end_min=end),
    )
