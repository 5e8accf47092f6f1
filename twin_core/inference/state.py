"""Where the body stands now, and how it would answer: simulate the hours before, then set glucose to the reading."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twin_core.domain.errors import BadInput
from twin_core.domain.history import FloatArray, History, LongActingDose, Therapy
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.inference.structures import structure_of
from twin_core.models.glucose.insulins import PATTERN_MIN, REMEMBERED_MIN
from twin_core.solve.rk4 import integrate_batch
from twin_core.solve.schedule import Schedule, schedule_of, schedules_of

LOOK_BACK_MIN = 720.0
"""Insulin and carbohydrate of the last 12 h are simulated before 'now'."""

_REPEATS = 3
_ONE_DAY_MIN = PATTERN_MIN
"""Injections within so much belong to one day's regimen."""

FRESH_MIN = 30.0
"""A reading at most this old sets the glucose states."""


@dataclass(frozen=True, kw_only=True)
class Response:
    """What two therapies would do from the same state.

    Attributes
    ----------
    time_min
        Shape `(n_times,)`: every 5 min after now, beginning with 0.
    with_mg_dl, without_mg_dl
        Shape `(n_draws, n_times)`: sensed glucose under either.
    """

    time_min: FloatArray
    with_mg_dl: FloatArray
    without_mg_dl: FloatArray

    @property
    def difference_mg_dl(self) -> FloatArray:
        """With less without, shape `(n_draws, n_times)`."""
        return self.with_mg_dl - self.without_mg_dl


def therapy_between(therapy: Therapy, start_min: float, end_min: float) -> Therapy:
    """What acts from `start_min` to before `end_min`: also meals and basal rates of the day before the start.

    The meal before the start gives the stomach its size D; meals and rates older than a day are forgotten,
    long-acting doses after five.
    """
    earlier = start_min - MINUTES_PER_DAY
    basal = sorted(therapy.basal, key=lambda rate: rate.time_min)
    older = [rate for rate in basal if earlier <= rate.time_min < start_min]
    return replace(
        therapy,
        meals=tuple(meal for meal in therapy.meals if earlier < meal.time_min < end_min),
        boluses=tuple(bolus for bolus in therapy.boluses if start_min - 1.0 <= bolus.time_min < end_min),
        basal=(*older[-1:], *(rate for rate in basal if start_min <= rate.time_min < end_min)),
        long_acting=tuple(dose for dose in therapy.long_acting if start_min - REMEMBERED_MIN < dose.time_min < end_min),
    )


def with_unrecorded_doses(therapy: Therapy, until_min: float) -> Therapy:
    """The therapy with long-acting injections that seem to be missing from the record.

    The injections of the last day, one or several, are repeated every 24 h for at most three days, where the next
    recorded one comes more than half an interval later: in real records a day without an entry is far more often a
    missing entry than a missing injection.
    """
    doses = sorted(therapy.long_acting, key=lambda dose: dose.time_min)
    following = [*(dose.time_min for dose in doses[1:]), np.inf][: len(doses)]
    repeated = (
        extra
        for dose, next_min in zip(doses, following, strict=True)
        for extra in _repeats(doses, dose.time_min, next_min)
        if extra.time_min < until_min
    )
    return replace(therapy, long_acting=(*doses, *repeated))


def _repeats(doses: Sequence[LongActingDose], last_min: float, next_min: float) -> Iterator[LongActingDose]:
    """The doses up to `last_min`'s day before, again and again, that have room before `next_min`."""
    regimen = [dose for dose in doses if last_min - _ONE_DAY_MIN < dose.time_min <= last_min]
    room_min = 0.5 * MINUTES_PER_DAY / len(regimen)
    for day in range(1, 1 + _REPEATS):
        for dose in regimen:
            time_min = dose.time_min + day * MINUTES_PER_DAY
            if last_min + room_min < time_min < next_min - room_min:
                yield replace(dose, time_min=time_min)


def warm_up_schedule(therapy: Therapy, *, now_min: float, look_back_min: float) -> Schedule:
    """The hours before `now_min`."""
    start_min = now_min - look_back_min
    return schedule_of(therapy_between(therapy, start_min, now_min), start_min=start_min, end_min=now_min)


def as_batch(parameters: Any) -> Any:
    """Parameters of one person as arrays of shape `(1,)`; arrays stay as they are."""
    return type(parameters)(*(np.atleast_1d(np.asarray(value, dtype=np.float64)) for value in parameters))


def current_state(parameters: Any, history: History, now_min: float) -> FloatArray:
    """The states at `now_min`, shape `(n_draws, n_states)`, 1 draw for parameters of floats.

    The last 12 h of events act on the basal state; the last reading, if it is at most 30 min old, then sets the
    glucose states at its time, and the model runs on to now. Readings after now are not looked at.
    """
    structure, batch = structure_of(parameters), as_batch(parameters)
    therapy = with_unrecorded_doses(history.therapy, now_min)
    index = int(np.searchsorted(history.cgm_time_min, now_min, side="right")) - 1
    fresh = index >= 0 and now_min - history.cgm_time_min[index] <= FRESH_MIN
    read_min = float(history.cgm_time_min[index]) if fresh else now_min
    before = warm_up_schedule(therapy, now_min=read_min, look_back_min=LOOK_BACK_MIN)
    states = integrate_batch(structure.model, batch, before, every_min=LOOK_BACK_MIN).final_states
    if fresh:
        states = structure.with_glucose(states, batch, float(history.cgm_mg_dl[index]))
    if now_min - read_min < 1e-3:
        return states
    rest = schedule_of(therapy_between(therapy, read_min, now_min), start_min=read_min, end_min=now_min)
    return integrate_batch(structure.model, batch, rest, states, every_min=FRESH_MIN).final_states


def response(
    parameters: Any,
    state: FloatArray,
    therapy_with: Therapy,
    therapy_without: Therapy,
    *,
    now_min: float,
    horizon_min: float = 240.0,
) -> Response:
    """Sensed glucose under two therapies from the same state, every 5 min, for each draw of the parameters.

    Parameters
    ----------
    state
        Shape `(n_draws, n_states)` at `now_min`, from `current_state`.
    therapy_with, therapy_without
        Each must bring what still acts, such as the basal rate in force and a meal that is being eaten.

    Raises
    ------
    BadInput
        A horizon that is not a positive multiple of 5 min.
    """
    if not horizon_min > 0.0 or horizon_min % 5.0:
        raise BadInput(f"A horizon must be a positive multiple of 5 min; got {horizon_min:g}.")
    batch = as_batch(parameters)
    pair = schedules_of((therapy_with, therapy_without), start_min=now_min, end_min=now_min + horizon_min)
    curves = [_sensed(batch, schedule, state) for schedule in pair]
    return Response(time_min=np.arange(0.0, horizon_min + 1.0, 5.0), with_mg_dl=curves[0], without_mg_dl=curves[1])


def _sensed(batch: Any, schedule: Schedule, state: FloatArray) -> FloatArray:
    return integrate_batch(structure_of(batch).model, batch, schedule, state, every_min=5.0).output("glucose_mg_dl")
