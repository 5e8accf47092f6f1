"""A record cut into days, and days into stretches that one simulation can follow.

A day begins at 04:00 local time, where the first of the three windows of sensitivity begins (04, 11 and 17 h: Visentin
et al. 2018, J Diabetes Sci Technol 12(2):273). A stretch has no gap above 60 min. What belongs to one day alone, its
*local coordinates*, is how sensitivity in each window and the carbohydrate of each meal differed from the person's
usual, and where glucose was when each stretch began. A day's readings depend on its own local coordinates and on the
shared parameters, and on no other day's, which is what makes fourteen days cheap to fit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.history import FloatArray, History, Meal, Therapy
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.inference.state import therapy_between
from twin_core.inference.structures import Structure
from twin_core.solve.rk4 import integrate_batch
from twin_core.solve.schedule import Schedule, schedules_of

GAP_MIN = 60.0
WARM_UP_MIN = 480.0
"""Insulin and carbohydrate of the 8 h before a stretch are simulated."""
SPACING_MIN = 4.5
"""Readings closer than this are thinned."""
SHORTEST_READINGS = 12
WINDOWS_H = (4.0, 11.0, 17.0)

SENSITIVITY_SD = 0.2
"""SD of the log of a window's sensitivity, between days of one person (a choice, after the noise N(1, 0.2^2) on the
windows of Visentin 2018)."""
CARB_SD = 0.25
"""SD of the log of counted carbohydrate over eaten. Adults misjudge a meal by 15.4 g or 20.9 % on average (Brazeau et
al. 2013, Diabetes Res Clin Pract 99(1):19, doi 10.1016/j.diabres.2012.10.024); a normal error of mean size 0.21 has an
SD of 0.26."""
START_MG_DL, START_SD = 140.0, 0.4
"""Glucose when a stretch begins: median and SD of its log (a choice, wide: 90 % within 73 and 270 mg/dL)."""

_CARB_COLUMNS = ("carbs_mg_min", "eaten_mg")


@dataclass(frozen=True, kw_only=True)
class Course:
    """A schedule that local coordinates can change.

    Attributes
    ----------
    window
        Shape `(n_steps,)`: the day's window of each step, -1 outside.
    carbs
        Shape `(n_meals, n_steps, 2)`: what each meal of the day adds to the columns of carbohydrate.
    """

    schedule: Schedule
    window: NDArray[np.intp]
    carbs: FloatArray

    @property
    def is_local(self) -> bool:
        """Whether any local coordinate acts here."""
        return bool((self.window >= 0).any() or self.carbs.any())

    def under(self, log_sensitivity: FloatArray, log_carbs: FloatArray) -> Schedule:
        """The schedule with the sensitivity of each window and the carbohydrate of each meal multiplied."""
        schedule = self.schedule
        factors = np.exp(np.append(log_sensitivity, 0.0))[self.window]
        added = np.tensordot(np.exp(log_carbs) - 1.0, self.carbs, axes=1)
        inputs = schedule.inputs.copy()
        inputs[:, schedule.input_names.index("sensitivity")] *= factors
        for column, name in enumerate(_CARB_COLUMNS):
            inputs[:, schedule.input_names.index(name)] += added[:, column]
        return replace(schedule, inputs=inputs)


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Readings without a gap, and the courses that lead to and through them.

    Attributes
    ----------
    time_min, glucose_mg_dl
        Shape `(n,)`: the readings.
    """

    time_min: FloatArray
    glucose_mg_dl: FloatArray
    warm_up: Course
    course: Course

    def predict(
        self,
        structure: Structure,
        parameters: Any,
        start_mg_dl: FloatArray,
        rhythms: Sequence[tuple[FloatArray, FloatArray]],
    ) -> FloatArray:
        """Sensed glucose at the readings, one row for each of the parameter sets or rhythms, which may be one for all.

        A rhythm is the log sensitivities and log carb scales of the day.
        """
        own = rhythms if self.warm_up.is_local else rhythms[:1]
        schedules = [self.warm_up.under(*rhythm) for rhythm in own]
        before = integrate_batch(structure.model, parameters, schedules, every_min=WARM_UP_MIN).final_states
        n = max(len(before), len(rhythms))
        start = structure.with_glucose(np.broadcast_to(before, (n, before.shape[1])), parameters, start_mg_dl)
        schedules = [self.course.under(*rhythm) for rhythm in rhythms]
        solution = integrate_batch(structure.model, parameters, schedules, start)
        return _at(self.time_min, solution.times_min, solution.output("glucose_mg_dl"))


@dataclass(frozen=True, kw_only=True)
class Day:
    """The stretches of one day and what its local coordinates stand for, in this order.

    Attributes
    ----------
    start_min
        When the day begins, at 04:00 local time.
    segments
        A coordinate each: glucose when it begins.
    windows_min
        A coordinate each: sensitivity from there on.
    meals_min
        A coordinate each: how much was really eaten.
    """

    start_min: float
    segments: tuple[Segment, ...]
    windows_min: tuple[float, ...]
    meals_min: tuple[float, ...]

    @property
    def n_readings(self) -> int:
        """Readings of the day."""
        return sum(len(segment.time_min) for segment in self.segments)

    @property
    def n_local(self) -> int:
        """Local coordinates of the day."""
        return len(self.segments) + len(self.windows_min) + len(self.meals_min)

    @property
    def local_sd(self) -> FloatArray:
        """Prior SDs of the local coordinates, all logs, shape `(n_local,)`."""
        counts = (len(self.segments), len(self.windows_min), len(self.meals_min))
        return np.repeat((START_SD, SENSITIVITY_SD, CARB_SD), counts)

    def first_guess(self) -> FloatArray:
        """Whitened local coordinates before the fit: each stretch begins at its first reading."""
        z = np.zeros(self.n_local)
        first = np.array([segment.glucose_mg_dl[0] for segment in self.segments])
        z[: len(first)] = np.log(first / START_MG_DL) / START_SD
        return z

    def predict(self, structure: Structure, parameters: Any, z_local: FloatArray) -> FloatArray:
        """Sensed glucose at all readings.

        Parameters
        ----------
        parameters
            Arrays of shape `(n_sets,)`.
        z_local
            Shape `(n_sets, n_local)`, whitened; either may be one for all.
        """
        logs = z_local * self.local_sd
        first, second = len(self.segments), len(self.segments) + len(self.windows_min)
        rhythms = [(row[first:second], row[second:]) for row in logs]
        starts = START_MG_DL * np.exp(logs[:, :first])
        curves = [
            segment.predict(structure, parameters, starts[:, i], rhythms) for i, segment in enumerate(self.segments)
        ]
        return np.concatenate(curves, axis=1)


def days_of(history: History, *, start_min: float, end_min: float) -> tuple[Day, ...]:
    """The days with readings of `start_min <= time <= end_min`; stretches of fewer than 12 readings are left out."""
    inside = (history.cgm_time_min >= start_min) & (history.cgm_time_min <= end_min)
    usable = inside & np.isfinite(history.cgm_mg_dl)
    time, glucose = history.cgm_time_min[usable], history.cgm_mg_dl[usable]
    keep = _thinned(time)
    time, glucose = time[keep], glucose[keep]
    number = day_number(time, history.utc_offset_min)
    pieces: dict[int, list[slice]] = {}
    for piece in _pieces(time, number):
        if piece.stop - piece.start >= SHORTEST_READINGS:
            pieces.setdefault(int(number[piece.start]), []).append(piece)
    return tuple(
        day_with(
            history.therapy,
            [(time[piece], glucose[piece]) for piece in those],
            day_start_min(day, history.utc_offset_min),
        )
        for day, those in pieces.items()
    )


def day_number(time_min: Any, utc_offset_min: float) -> NDArray[np.int64]:
    """Days that begin at 04:00 local time, counted."""
    local = np.asarray(time_min) + utc_offset_min - 60.0 * WINDOWS_H[0]
    return np.floor(local / MINUTES_PER_DAY).astype(np.int64)


def day_start_min(number: int, utc_offset_min: float) -> float:
    """When a counted day begins."""
    return number * MINUTES_PER_DAY + 60.0 * WINDOWS_H[0] - utc_offset_min


def day_with(therapy: Therapy, readings: Sequence[tuple[FloatArray, FloatArray]], start_min: float) -> Day:
    """A day that begins at `start_min`, with the times and readings of its stretches."""
    last_min = float(readings[-1][0][-1])
    starts = [start_min + 60.0 * (hour - WINDOWS_H[0]) for hour in WINDOWS_H]
    ends = [*starts[1:], start_min + MINUTES_PER_DAY]
    times = np.concatenate([time for time, _ in readings])
    windows = tuple(a for a, b in zip(starts, ends, strict=True) if ((times >= a) & (times < b)).any())
    first_min = float(times[0]) - WARM_UP_MIN
    meals = sorted(
        (m for m in therapy.meals if max(start_min, first_min) <= m.time_min < last_min and m.carbs_g > 0.0),
        key=lambda m: m.time_min,
    )
    segments = tuple(
        Segment(
            time_min=time,
            glucose_mg_dl=glucose,
            warm_up=_course(therapy, meals, windows, start_min, float(time[0]) - WARM_UP_MIN, float(time[0])),
            course=_course(therapy, meals, windows, start_min, float(time[0]), float(time[-1])),
        )
        for time, glucose in readings
    )
    return Day(
        start_min=start_min, segments=segments, windows_min=windows, meals_min=tuple(meal.time_min for meal in meals)
    )


def _course(
    therapy: Therapy,
    meals: Sequence[Meal],
    windows: Sequence[float],
    day_start_min: float,
    start_min: float,
    end_min: float,
) -> Course:
    acting = therapy_between(therapy, start_min, end_min)
    halved = [_with_half(acting, meal) for meal in meals]
    schedule, *lighter = schedules_of((acting, *halved), start_min=start_min, end_min=end_min)
    columns = [schedule.input_names.index(name) for name in _CARB_COLUMNS]
    carbs = [2.0 * (schedule.inputs[:, columns] - less.inputs[:, columns]) for less in lighter]
    middle = schedule.times_min + schedule.widths_min / 2.0
    window = np.searchsorted(np.array(windows), middle, side="right") - 1
    window[(middle < day_start_min) | (middle >= day_start_min + MINUTES_PER_DAY)] = -1
    return Course(
        schedule=schedule, window=window, carbs=np.array(carbs).reshape(len(carbs), len(schedule.times_min), 2)
    )


def _with_half(therapy: Therapy, meal: Meal) -> Therapy:
    meals = tuple(replace(m, carbs_g=m.carbs_g / 2.0) if m is meal else m for m in therapy.meals)
    return replace(therapy, meals=meals)


def _at(wanted_min: FloatArray, times_min: FloatArray, curves: FloatArray) -> FloatArray:
    """Linear interpolation of every row; steps are at most 1 min, so its error is below 0.01 mg/dL."""
    right = np.clip(np.searchsorted(times_min, wanted_min), 1, len(times_min) - 1)
    share = (wanted_min - times_min[right - 1]) / (times_min[right] - times_min[right - 1])
    return np.asarray(curves[:, right - 1] * (1.0 - share) + curves[:, right] * share)


def _thinned(time_min: FloatArray) -> list[int]:
    keep: list[int] = []
    for i, time in enumerate(time_min):
        if not keep or time - time_min[keep[-1]] >= SPACING_MIN:
            keep.append(i)
    return keep


def _pieces(time_min: FloatArray, day: NDArray[np.int64]) -> Iterator[slice]:
    """Runs of readings of one day without a gap."""
    breaks = 1 + np.flatnonzero((np.diff(time_min) > GAP_MIN) | (np.diff(day) != 0))
    for begin, end in pairwise((0, *breaks.tolist(), len(time_min))):
        yield slice(begin, end)
