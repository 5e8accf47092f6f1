"""What acts on the body, step by step: a therapy as piecewise constant inputs on a grid that meets every jump.

A solver that steps over a one-minute bolus is wrong by tens of mg/dL (reference: simglucose_with_numba, which keeps
its multistep history across jumps, by 43 to 67 mg/dL); here every jump is the begin of a step.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twin_core.domain.errors import BadInput, OutOfRange
from twin_core.domain.history import FloatArray, Meal, Therapy
from twin_core.domain.units import MINUTES_PER_DAY

AT_REST: Mapping[str, float] = {
    "carbs_mg_min": 0.0,
    "eaten_mg": 0.0,
    "insulin_u_min": 0.0,
    "planned_mg_min": 0.0,
    "planned_eaten_mg": 0.0,
    "own_basal": 0.0,
    "late_carbs_mg_min": 0.0,
    "emptying_share": 1.0,
    "appearing_u_min": 0.0,
    "sensitivity": 1.0,
    "production_share": 1.0,
    "production_added_mg_kg_min": 0.0,
    "heart_rate_reserve": 0.0,
    "exertion_per_min": 0.0,
    "exertion_lasting": 0.0,
    "glucagon_mg": 0.0,
}
"""What can act on a glucose model, with its value when nothing does; a model declares those that it takes."""

INPUT_NAMES = tuple(AT_REST)
"""Columns of `Schedule.inputs`."""

BOLUS_MIN = 1.0
"""A bolus runs in over one minute."""

_SAME_MIN = 1e-6
"""Instants closer than this are one; minutes since 1970 as doubles resolve 4e-9."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Steps of an integration and what acts during each.

    Attributes
    ----------
    times_min, widths_min
        Shape `(n_steps,)`: begin and width of each step [min].
    inputs
        Shape `(n_steps, n_inputs)`, constant over the step, columns as in `input_names`.
    restarts
        Shape `(n_steps,)`: whether the model's `restart` is applied when the step begins (a meal begins).
    """

    times_min: FloatArray
    widths_min: FloatArray
    inputs: FloatArray
    restarts: NDArray[np.bool_]
    input_names: tuple[str, ...] = INPUT_NAMES

    def input(self, name: str) -> FloatArray:
        """One input by name, shape `(n_steps,)`."""
        return self.inputs[:, self.input_names.index(name)]

    def with_input(self, name: str, values: ArrayLike) -> "Schedule":
        """The same steps with one input replaced; `values` has shape `(n_steps,)` or is one number."""
        inputs = self.inputs.copy()
        inputs[:, self.input_names.index(name)] = values
        return replace(self, inputs=inputs)

    @property
    def end_min(self) -> float:
        """When the last step ends [min]."""
        return float(self.times_min[-1] + self.widths_min[-1])

    @property
    def boundaries_min(self) -> FloatArray:
        """Begin of every step and end of the last [min], shape `(n_steps + 1,)`."""
        return np.append(self.times_min, self.end_min)


def schedule_of(therapy: Therapy, *, start_min: float, end_min: float, step_min: float = 1.0) -> Schedule:
    """The steps from `start_min` to `end_min`, at most `step_min` wide, and what `therapy` does in each.

    A bolus runs in over one minute, a meal evenly over its duration, a basal rate until the next. A long-acting
    dose is a constant rate over 24 h (a simplification). Before the first rate or long-acting dose, and without
    any, the model's own basal runs.

    Raises
    ------
    OutOfRange
        A time, amount or duration that is impossible, or a step that is not in (0, 1] min.
    """
    return schedules_of((therapy,), start_min=start_min, end_min=end_min, step_min=step_min)[0]


def schedules_of(
    therapies: Sequence[Therapy], *, start_min: float, end_min: float, step_min: float = 1.0
) -> tuple[Schedule, ...]:
    """One schedule a therapy, all on the same steps, as `integrate_batch` needs them; see `schedule_of`."""
    _check_span(start_min, end_min, step_min)
    for therapy in therapies:
        check_therapy(therapy)
    jumps = [jump for therapy in therapies for jump in _jumps(therapy, start_min, end_min)]
    bounds = _boundaries(start_min, end_min, step_min, jumps)
    return tuple(_schedule_on(bounds, therapy) for therapy in therapies)


def check_therapy(therapy: Therapy) -> None:
    """Refuse amounts that no meal, pump or pen can give.

    Raises
    ------
    OutOfRange
        A value is not finite or outside its range.
    """
    for meal in (*therapy.meals, *therapy.planned):
        _check("Carbohydrate of a meal", meal.carbs_g, 0.0, 500.0, "g")
        _check("Duration of a meal", meal.duration_min, 1.0, 600.0, "min")
    for bolus in therapy.boluses:
        _check("Bolus", bolus.dose_u, 0.0, 100.0, "U")
    for rate in therapy.basal:
        _check("Basal rate", rate.rate_u_h, 0.0, 20.0, "U/h")
    for dose in therapy.long_acting:
        _check("Long-acting dose", dose.dose_u, 0.0, 200.0, "U")
    for time_min in _event_times(therapy):
        _check("Time of an event", time_min, -1e9, 1e9, "min")


def _event_times(therapy: Therapy) -> Iterator[float]:
    yield from (meal.time_min for meal in (*therapy.meals, *therapy.planned))
    yield from (bolus.time_min for bolus in therapy.boluses)
    yield from _basal_times(therapy)


def _basal_times(therapy: Therapy) -> Iterator[float]:
    yield from (rate.time_min for rate in therapy.basal)
    yield from (dose.time_min for dose in therapy.long_acting)


def _check(name: str, got: float, low: float, high: float, unit: str) -> None:
    if not low <= got <= high:
        raise OutOfRange(name, got, low, high, unit)


def _check_span(start_min: float, end_min: float, step_min: float) -> None:
    _check("Step", step_min, 1e-3, 1.0, "min")
    _check("Start", start_min, -1e9, 1e9, "min")
    if not start_min + _SAME_MIN < end_min <= start_min + 400.0 * MINUTES_PER_DAY:
        raise BadInput(f"A run from minute {start_min:g} must end after it and within 400 days; got {end_min:g}.")


def _jumps(therapy: Therapy, start_min: float, end_min: float) -> Iterator[float]:
    """Every instant at which an input changes; a meal of more than a day ago has left the stomach."""
    earliest = start_min - MINUTES_PER_DAY
    for bolus in therapy.boluses:
        yield from (bolus.time_min, bolus.time_min + BOLUS_MIN)
    for meal in (*therapy.meals, *therapy.planned):
        if earliest < meal.time_min < end_min:
            yield from meal.time_min + np.arange(0.0, meal.duration_min, 1.0)
            yield meal.time_min + meal.duration_min
    yield from (rate.time_min for rate in therapy.basal)
    for dose in therapy.long_acting:
        yield from (dose.time_min, dose.time_min + MINUTES_PER_DAY)


def _boundaries(start_min: float, end_min: float, step_min: float, jumps: Sequence[float]) -> FloatArray:
    whole = start_min + step_min * np.arange(np.ceil((end_min - start_min) / step_min - _SAME_MIN))
    inside = np.array([jump for jump in jumps if start_min + _SAME_MIN < jump < end_min - _SAME_MIN])
    bounds = np.sort(np.concatenate((whole, inside, (end_min,))))
    return bounds[np.diff(bounds, prepend=-np.inf) > _SAME_MIN]


def _schedule_on(bounds: FloatArray, therapy: Therapy) -> Schedule:
    times = bounds[:-1]
    inputs = np.tile(np.array(list(AT_REST.values())), (len(times), 1))
    carbs, eaten, insulin, planned, planned_eaten, own_basal, *_ = inputs.T
    restarts = np.zeros(len(times), dtype=np.bool_)
    _add_meals(therapy, times, carbs, eaten, restarts)
    _add_planned(therapy, times, planned, planned_eaten)
    _add_boluses(therapy, times, insulin)
    _add_basal(therapy, times, insulin, own_basal)
    return Schedule(times_min=times, widths_min=np.diff(bounds), inputs=inputs, restarts=restarts)


def _first_step(times: FloatArray, instant_min: float) -> int:
    """The first step that begins at or after an instant."""
    return int(np.searchsorted(times, instant_min - 2.0 * _SAME_MIN))


def _add_meals(
    therapy: Therapy, times: FloatArray, carbs: FloatArray, eaten: FloatArray, restarts: NDArray[np.bool_]
) -> None:
    """Meals that touch are one: the stomach is looked at when somebody begins to eat after a pause."""
    eating_until = -np.inf
    meals = (meal for meal in therapy.meals if meal.carbs_g > 0.0 and meal.time_min > times[0] - MINUTES_PER_DAY)
    for meal in sorted(meals, key=lambda meal: meal.time_min):
        begin = _first_step(times, meal.time_min)
        if meal.time_min > eating_until + _SAME_MIN:
            eaten[begin:] = 0.0
            restarts[begin : begin + 1] = meal.time_min > times[0] - _SAME_MIN
        _eat(meal, times, carbs, eaten)
        eating_until = max(eating_until, meal.time_min + meal.duration_min)


def _add_planned(therapy: Therapy, times: FloatArray, carbs: FloatArray, eaten: FloatArray) -> None:
    """Planned meals have a stomach of their own, so that none restarts it."""
    for meal in therapy.planned:
        _eat(meal, times, carbs, eaten)


def _eat(meal: Meal, times: FloatArray, carbs: FloatArray, eaten: FloatArray) -> None:
    """Add a meal's rate [mg/min] and what is eaten of it by whole minutes begun [mg]."""
    begin = _first_step(times, meal.time_min)
    rate_mg_min = 1000.0 * meal.carbs_g / meal.duration_min
    carbs[begin : _first_step(times, meal.time_min + meal.duration_min)] += rate_mg_min
    minutes_begun = np.floor(times[begin:] - meal.time_min + 2.0 * _SAME_MIN) + 1.0
    eaten[begin:] += rate_mg_min * np.minimum(minutes_begun, meal.duration_min)


def _add_boluses(therapy: Therapy, times: FloatArray, insulin: FloatArray) -> None:
    for bolus in therapy.boluses:
        begin, end = _first_step(times, bolus.time_min), _first_step(times, bolus.time_min + BOLUS_MIN)
        insulin[begin:end] += bolus.dose_u / BOLUS_MIN


def _add_basal(therapy: Therapy, times: FloatArray, insulin: FloatArray, own_basal: FloatArray) -> None:
    given_from = min(_basal_times(therapy), default=np.inf)
    own_basal[: _first_step(times, given_from)] = 1.0
    rates = sorted(therapy.basal, key=lambda rate: rate.time_min)
    if rates:
        latest = np.searchsorted([rate.time_min for rate in rates], times + 2.0 * _SAME_MIN, side="right")
        insulin += np.array([0.0, *(rate.rate_u_h for rate in rates)])[latest] / 60.0
    for dose in therapy.long_acting:
        begin, end = _first_step(times, dose.time_min), _first_step(times, dose.time_min + MINUTES_PER_DAY)
        insulin[begin:end] += dose.dose_u / MINUTES_PER_DAY
