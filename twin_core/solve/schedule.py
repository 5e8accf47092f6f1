"""What acts on the body, step by step: a therapy as piecewise constant inputs on a grid that meets every jump.

A solver that steps over a one-minute bolus is wrong by tens of mg/dL (reference: simglucose_with_numba, which keeps
its multistep history across jumps, by 43 to 67 mg/dL); here every jump is the begin of a step.

What does not depend on glucose is computed here, once, and enters any glucose model as a column: insulins with a depot
of their own, protein, fat and fibre, exercise, glucagon, stress, illness, alcohol, the rhythm of the day. Amounts that
appear (`appearing_u_min`, `late_carbs_mg_min`, and the fading of `own_basal`) are means over each step, so that nothing
is lost; the other smooth columns are taken at the middle of each step, which is wrong by h^2/24 of their curvature.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twin_core.domain.errors import BadInput, OutOfRange
from twin_core.domain.history import ConditionKind, FloatArray, Meal, MealInsulin, Rhythm, Therapy
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.models.glucose import conditions, exercise, glucagon, insulins, meals, rhythm

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
    "unexplained_mg_kg_min": 0.0,
}
"""What can act on a glucose model, with its value when nothing does; a model declares those that it takes."""

INPUT_NAMES = tuple(AT_REST)
"""Columns of `Schedule.inputs`."""

BOLUS_MIN = 1.0
"""A bolus runs in over one minute."""

STEADY = Rhythm()
"""A body that is the same all day."""


class Limit(NamedTuple):
    """What an amount can be; beyond it is no therapy but a mistake."""

    name: str
    low: float
    high: float
    unit: str

    def check(self, got: float) -> None:
        """Raise `OutOfRange` for a number that is not finite or outside."""
        if not self.low <= got <= self.high:
            raise OutOfRange(self.name, got, self.low, self.high, self.unit)


CARBS = Limit("Carbohydrate of a meal", 0.0, 500.0, "g")
EATING = Limit("Duration of a meal", 1.0, 600.0, "min")
PROTEIN = Limit("Protein of a meal", 0.0, 300.0, "g")
FAT = Limit("Fat of a meal", 0.0, 300.0, "g")
FIBRE = Limit("Fibre of a meal", 0.0, 100.0, "g")
BOLUS = Limit("Bolus", 0.0, 100.0, "U")
BASAL_RATE = Limit("Basal rate", 0.0, 20.0, "U/h")
LONG_ACTING = Limit("Long-acting dose", 0.0, 200.0, "U")
EXERCISING = Limit("Duration of exercise", 1.0, 1440.0, "min")
INTENSITY = Limit("Intensity of exercise", 0.0, 100.0, "%")
GLUCAGON = Limit("Glucagon dose", 0.0, 5.0, "mg")
CONDITION = Limit("Duration of a condition", 0.0, 43200.0, "min")
DEGREE = Limit("Degree of stress or illness", 0.0, 3.0, "times the typical one")
PORTIONS = Limit("Alcohol", 0.0, 20.0, "portions")
SENSITIVITY = Limit("Insulin sensitivity of a time of day", 0.1, 10.0, "times the person's own")
DAWN = Limit("Glucose production added at dawn", 0.0, 5.0, "mg/kg/min")
UTC_OFFSET = Limit("Offset of local time", -1440.0, 1440.0, "min")
_TIME = Limit("Time of an event", -1e9, 1e9, "min")

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


def schedule_of(
    therapy: Therapy, *, start_min: float, end_min: float, step_min: float = 1.0, rhythm: Rhythm = STEADY
) -> Schedule:
    """The steps from `start_min` to `end_min`, at most `step_min` wide, and what `therapy` does in each.

    A rapid bolus runs in over one minute, a meal evenly over its duration, a basal rate until the next. Long-acting
    and inhaled insulin appear from depots of their own (`models.glucose.insulins`). Without basal insulin, and before
    its first record, the model's own basal runs. From the first basal rate on it has stopped; from the first
    long-acting dose on it fades as earlier doses of the same regimen would.

    Parameters
    ----------
    rhythm
        How the body changes over the day.

    Raises
    ------
    OutOfRange
        A time, amount or duration that is impossible, or a step that is not in (0, 1] min.
    """
    return schedules_of((therapy,), start_min=start_min, end_min=end_min, step_min=step_min, rhythm=rhythm)[0]


def schedules_of(
    therapies: Sequence[Therapy],
    *,
    start_min: float,
    end_min: float,
    step_min: float = 1.0,
    rhythm: Rhythm = STEADY,
) -> tuple[Schedule, ...]:
    """One schedule a therapy, all on the same steps, as `integrate_batch` needs them; see `schedule_of`."""
    _check_span(start_min, end_min, step_min)
    for therapy in therapies:
        check_therapy(therapy)
    check_rhythm(rhythm)
    jumps = [jump for therapy in therapies for jump in _jumps(therapy, start_min, end_min)]
    bounds = _boundaries(start_min, end_min, step_min, [*jumps, *_rhythm_jumps(rhythm, start_min, end_min)])
    return tuple(_schedule_on(bounds, therapy, rhythm) for therapy in therapies)


def check_therapy(therapy: Therapy) -> None:
    """Refuse amounts that no meal, pump, pen or person can give.

    Raises
    ------
    OutOfRange
        A value is not finite or outside its range.
    """
    for meal in (*therapy.meals, *therapy.planned):
        CARBS.check(meal.carbs_g)
        EATING.check(meal.duration_min)
        PROTEIN.check(meal.protein_g)
        FAT.check(meal.fat_g)
        FIBRE.check(meal.fibre_g)
    for bolus in therapy.boluses:
        BOLUS.check(bolus.dose_u)
    for rate in therapy.basal:
        BASAL_RATE.check(rate.rate_u_h)
    for dose in therapy.long_acting:
        LONG_ACTING.check(dose.dose_u)
    for bout in therapy.exercise:
        EXERCISING.check(bout.duration_min)
        INTENSITY.check(bout.intensity_percent)
    for injection in therapy.glucagon:
        GLUCAGON.check(injection.dose_mg)
    for condition in therapy.conditions:
        CONDITION.check(condition.duration_min)
        (PORTIONS if condition.kind is ConditionKind.ALCOHOL else DEGREE).check(condition.degree)
    for time_min in _event_times(therapy):
        _TIME.check(time_min)


def check_rhythm(rhythm: Rhythm) -> None:
    """Refuse a rhythm that no body has; `OutOfRange`."""
    for factor in rhythm.sensitivity:
        SENSITIVITY.check(factor)
    DAWN.check(rhythm.dawn_mg_kg_min)
    UTC_OFFSET.check(rhythm.utc_offset_min)


class Need(NamedTuple):
    """Something in a therapy that only some models can take: one of `inputs` must be among a model's."""

    what: str
    inputs: tuple[str, ...]


def needs_of(therapy: Therapy, rhythm: Rhythm = STEADY) -> tuple[Need, ...]:
    """What a model must take so that nothing of a therapy is silently left out."""
    eaten = (*therapy.meals, *therapy.planned)
    kinds = {condition.kind for condition in therapy.conditions}
    table = (
        (any(meal.carbs_g > 0.0 for meal in eaten), "meals", ("carbs_mg_min",)),
        (any(meal.protein_g + meal.fat_g > 0.0 for meal in eaten), "protein or fat of meals", ("late_carbs_mg_min",)),
        (any(meal.fat_g + meal.fibre_g > 0.0 for meal in eaten), "fat or fibre of meals", ("emptying_share",)),
        (bool(therapy.basal), "basal insulin", ("insulin_u_min",)),
        (any(b.insulin is MealInsulin.RAPID for b in therapy.boluses), "boluses", ("insulin_u_min",)),
        (any(b.insulin is MealInsulin.INHALED for b in therapy.boluses), "inhaled insulin", ("appearing_u_min",)),
        (bool(therapy.long_acting), "long-acting insulin", ("appearing_u_min",)),
        (bool(therapy.exercise), "exercise", ("heart_rate_reserve", "exertion_per_min")),
        (bool(therapy.glucagon), "glucagon", ("glucagon_mg",)),
        (bool(kinds - {ConditionKind.ALCOHOL}), "stress or illness", ("sensitivity",)),
        (ConditionKind.ALCOHOL in kinds, "alcohol", ("production_share",)),
        (rhythm.sensitivity != STEADY.sensitivity, "sensitivity by time of day", ("sensitivity",)),
        (rhythm.dawn_mg_kg_min > 0.0, "dawn", ("production_added_mg_kg_min",)),
    )
    return tuple(Need(what, inputs) for there, what, inputs in table if there)


def _event_times(therapy: Therapy) -> Iterator[float]:
    yield from (meal.time_min for meal in (*therapy.meals, *therapy.planned))
    yield from (bolus.time_min for bolus in therapy.boluses)
    yield from _basal_times(therapy)
    yield from (bout.time_min for bout in therapy.exercise)
    yield from (dose.time_min for dose in therapy.glucagon)
    yield from (condition.time_min for condition in therapy.conditions)


def _basal_times(therapy: Therapy) -> Iterator[float]:
    yield from (rate.time_min for rate in therapy.basal)
    yield from (dose.time_min for dose in therapy.long_acting)


def _check_span(start_min: float, end_min: float, step_min: float) -> None:
    Limit("Step", 1e-3, 1.0, "min").check(step_min)
    Limit("Start", -1e9, 1e9, "min").check(start_min)
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
    yield from (dose.time_min for dose in therapy.long_acting)
    yield from (dose.time_min for dose in therapy.glucagon)
    for bout in therapy.exercise:
        yield from (bout.time_min, bout.time_min + bout.duration_min)


def _rhythm_jumps(body: Rhythm, start_min: float, end_min: float) -> Iterator[float]:
    if body.sensitivity != STEADY.sensitivity:
        yield from rhythm.changes_min(body, start_min, end_min)


def _boundaries(start_min: float, end_min: float, step_min: float, jumps: Sequence[float]) -> FloatArray:
    whole = start_min + step_min * np.arange(np.ceil((end_min - start_min) / step_min - _SAME_MIN))
    inside = np.array([jump for jump in jumps if start_min + _SAME_MIN < jump < end_min - _SAME_MIN])
    bounds = np.sort(np.concatenate((whole, inside, (end_min,))))
    return bounds[np.diff(bounds, prepend=-np.inf) > _SAME_MIN]


def _schedule_on(bounds: FloatArray, therapy: Therapy, body: Rhythm) -> Schedule:
    times = bounds[:-1]
    inputs = np.tile(np.array(list(AT_REST.values())), (len(times), 1))
    carbs, eaten, insulin, planned, planned_eaten, own_basal, *_ = inputs.T
    restarts = np.zeros(len(times), dtype=np.bool_)
    _add_meals(therapy, times, carbs, eaten, restarts)
    _add_planned(therapy, times, planned, planned_eaten)
    _add_boluses(therapy, times, insulin)
    _add_basal(therapy, bounds, insulin, own_basal)
    for name, values in _kinetics(therapy, body, bounds):
        inputs[:, INPUT_NAMES.index(name)] = values
    return Schedule(times_min=times, widths_min=np.diff(bounds), inputs=inputs, restarts=restarts)


def _kinetics(therapy: Therapy, body: Rhythm, bounds: FloatArray) -> Iterator[tuple[str, FloatArray]]:
    """The columns that something in the therapy or in the body's day takes from rest."""
    eaten = (*therapy.meals, *therapy.planned)
    if therapy.long_acting or any(bolus.insulin is MealInsulin.INHALED for bolus in therapy.boluses):
        yield "appearing_u_min", insulins.appearing_u_min(therapy.long_acting, therapy.boluses, bounds)
    if any(meal.protein_g or meal.fat_g for meal in eaten):
        yield "late_carbs_mg_min", meals.late_carbs_mg_min(eaten, bounds)
    middles = 0.5 * (bounds[:-1] + bounds[1:])
    if any(meal.fat_g or meal.fibre_g for meal in therapy.meals):
        yield "emptying_share", meals.emptying_share(therapy.meals, middles)
    if therapy.exercise:
        yield "heart_rate_reserve", exercise.heart_rate_reserve(therapy.exercise, middles)
        yield from zip(
            ("exertion_per_min", "exertion_lasting"), exercise.exertion(therapy.exercise, middles), strict=True
        )
    if therapy.glucagon:
        yield "glucagon_mg", glucagon.acting_mg(therapy.glucagon, middles)
    if therapy.conditions:
        yield "production_share", conditions.production_share(therapy.conditions, middles)
    if therapy.conditions or body.sensitivity != STEADY.sensitivity:
        strained = conditions.sensitivity_factor(therapy.conditions, middles)
        yield "sensitivity", strained * rhythm.sensitivity_factor(body, middles)
    if body.dawn_mg_kg_min:
        yield "production_added_mg_kg_min", rhythm.dawn_mg_kg_min(body, middles)


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
        if bolus.insulin is MealInsulin.RAPID:
            begin, end = _first_step(times, bolus.time_min), _first_step(times, bolus.time_min + BOLUS_MIN)
            insulin[begin:end] += bolus.dose_u / BOLUS_MIN


def _add_basal(therapy: Therapy, bounds: FloatArray, insulin: FloatArray, own_basal: FloatArray) -> None:
    """Basal rates, and what is left of the person's own basal: it stops for a pump and fades for a pen."""
    times = bounds[:-1]
    rates = sorted(therapy.basal, key=lambda rate: rate.time_min)
    pump_from = rates[0].time_min if rates else np.inf
    pen_from = min((dose.time_min for dose in therapy.long_acting), default=np.inf)
    if pen_from < pump_from:
        own_basal[:] = insulins.own_basal_share(therapy.long_acting, bounds)
    else:
        own_basal[: _first_step(times, pump_from)] = 1.0
    if rates:
        latest = np.searchsorted([rate.time_min for rate in rates], times + 2.0 * _SAME_MIN, side="right")
        insulin += np.array([0.0, *(rate.rate_u_h for rate in rates)])[latest] / 60.0
