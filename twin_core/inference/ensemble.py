"""Many versions of one person that live through a record together, and how a reading moves them.

Each member has its own parameters, sensitivity, sizes of meals, unexplained flow of glucose, and error of the sensor;
`ensemble_filter` says what for and after whom.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twin_core.domain.history import FloatArray, History, Meal, Therapy
from twin_core.domain.models import OdeModel
from twin_core.inference.state import current_state, therapy_between, with_unrecorded_doses
from twin_core.inference.structures import structure_of
from twin_core.inference.twin import FittedTwin
from twin_core.solve.rk4 import BatchSolution, integrate_batch
from twin_core.solve.schedule import Schedule, schedules_of

LOWEST_GLUCOSE_MG_DL = 20.0
"""No sensor shows less of a living person."""
RECENT_MEAL_MIN = 360.0
"""Readings say something about a meal for so long."""

_PIECE_MIN = 5.0
"""Sensitivity and flow stay as they are for so long within a step of the filter."""
_LONGEST_STEP_MIN = 240.0
"""Longer gaps are crossed in several steps."""
_LARGEST_LOG, _LARGEST_FLOW_MG_KG_MIN = float(np.log(5.0)), 8.0
"""Sensitivity and carbohydrate stay within a fifth and five times; the flow within three times basal production."""
_LEAST_SD_MG_DL, _LARGEST_REGROWTH = 1.0, 1.5


@dataclass(frozen=True, kw_only=True)
class FilterSettings:
    """How much may change from reading to reading.

    Attributes
    ----------
    sensitivity_sd, sensitivity_memory_min
        Long-run SD of the log sensitivity about the twin's own, and the time in which it is forgotten.
    carbs_sd
        SD of the log carbohydrate of a meal about what was counted.
    flow_sd_mg_kg_min, flow_memory_min
        Of the unexplained flow of glucose; for a twin that fits well, see `ensemble_filter.filter_of`.
    error_sd_mg_dl, error_memory_min
        Of the lasting part of the sensor's error.
    reading_sd_mg_dl
        SD of the part of the sensor's error that is new in each reading.
    insulin_share
        Fraction of the gain that insulin states take.
    wild
        A reading is wild when it is so many expected SDs away.
    wild_in_a_row
        After so many wild readings the filter begins again.
    """

    members: int = 100
    sensitivity_sd: float = 0.3
    sensitivity_memory_min: float = 360.0
    carbs_sd: float = 0.22
    flow_sd_mg_kg_min: float = 0.3
    flow_memory_min: float = 60.0
    error_sd_mg_dl: float = 8.0
    error_memory_min: float = 30.0
    reading_sd_mg_dl: float = 2.5
    insulin_share: float = 0.3
    wild: float = 4.0
    wild_in_a_row: int = 6


DEFAULT = FilterSettings()


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """All members at one moment.

    Attributes
    ----------
    parameters
        A model's parameters of arrays `(n,)`.
    states
        Shape `(n, n_states)`, in the model's order and units.
    log_sensitivity, flow_mg_kg_min, error_mg_dl
        Shape `(n,)`.
    log_carbs
        Shape `(n, n_meals)`: of every meal of the course, in order of time.
    """

    time_min: float
    parameters: Any
    states: FloatArray
    log_sensitivity: FloatArray
    flow_mg_kg_min: FloatArray
    error_mg_dl: FloatArray
    log_carbs: FloatArray

    @property
    def model(self) -> OdeModel:
        """The equations that the members follow."""
        return structure_of(self.parameters).model

    @property
    def glucose_mg_dl(self) -> FloatArray:
        """Glucose under the skin, shape `(n,)`."""
        return np.asarray(self.model.outputs(tuple(self.states.T), self.parameters)[0])


@dataclass(frozen=True, kw_only=True)
class Course:
    """What acts on the members from begin to end of a run, and the part of each meal in it.

    Attributes
    ----------
    schedule
        Only the columns that the model takes, in its order.
    bounds_min
        Shape `(n_steps + 1,)`: begin of every step and end of the last.
    meals
        In order of time.
    carbs_mg_min, eaten_mg
        Shape `(n_meals, n_steps)`: how much of these inputs is each meal's.
    """

    schedule: Schedule
    bounds_min: FloatArray
    meals: tuple[Meal, ...]
    carbs_mg_min: FloatArray
    eaten_mg: FloatArray

    @property
    def meal_min(self) -> FloatArray:
        """When each meal begins, shape `(n_meals,)`."""
        return np.array([meal.time_min for meal in self.meals])

    def step_at(self, time_min: float) -> int:
        """The boundary between steps that is nearest to an instant: at most half a minute away."""
        bounds = self.bounds_min
        right = min(max(int(bounds.searchsorted(time_min)), 1), len(bounds) - 1)
        return right - int(time_min - bounds[right - 1] < bounds[right] - time_min)


def course_of(model: OdeModel, therapy: Therapy, *, start_min: float, end_min: float) -> Course:
    """What a therapy does between two moments, and each meal's part in it; meals of the day before still count."""
    acting = therapy_between(with_unrecorded_doses(therapy, end_min), start_min, end_min)
    meals = tuple(sorted(acting.meals, key=lambda meal: meal.time_min))
    bare = [replace(meal, protein_g=0.0, fat_g=0.0, fibre_g=0.0) for meal in meals]
    halved = ([*bare[:i], replace(meal, carbs_g=meal.carbs_g / 2.0), *bare[i + 1 :]] for i, meal in enumerate(bare))
    alone = [Therapy(meals=tuple(each)) for each in (bare, *halved)]
    schedule, whole, *changed = schedules_of((acting, *alone), start_min=start_min, end_min=end_min)
    shape = (len(meals), len(schedule.times_min))
    parts = {
        name: np.array([2.0 * (whole.input(name) - half.input(name)) for half in changed]).reshape(shape)
        for name in ("carbs_mg_min", "eaten_mg")
    }
    steps = _only_inputs_of(model, schedule)
    return Course(schedule=steps, bounds_min=steps.boundaries_min, meals=meals, **parts)


def _only_inputs_of(model: OdeModel, schedule: Schedule) -> Schedule:
    names: tuple[str, ...] = model.inputs._fields  # type: ignore[attr-defined]
    columns = [schedule.input_names.index(name) for name in names]
    return replace(schedule, inputs=np.ascontiguousarray(schedule.inputs[:, columns]), input_names=names)


def begun(
    twin: FittedTwin,
    history: History,
    course: Course,
    time_min: float,
    rng: np.random.Generator,
    settings: FilterSettings = DEFAULT,
) -> Ensemble:
    """Members drawn from the twin; the 12 h before are simulated, then glucose is set near the last reading."""
    n = settings.members
    parameters = twin.draws(n, rng)
    states = current_state(parameters, history, time_min)
    structure = structure_of(parameters)
    glucose = np.asarray(structure.model.outputs(tuple(states.T), parameters)[0])
    error = _standard(rng, n) * settings.error_sd_mg_dl
    near = np.maximum(glucose - error + settings.reading_sd_mg_dl * _standard(rng, n), LOWEST_GLUCOSE_MG_DL)
    return Ensemble(
        time_min=time_min,
        parameters=parameters,
        states=_possible(structure.model, structure.with_glucose(states, parameters, near)),
        log_sensitivity=settings.sensitivity_sd * _standard(rng, n),
        flow_mg_kg_min=settings.flow_sd_mg_kg_min * _standard(rng, n),
        error_mg_dl=error,
        log_carbs=_carbs_of_meals_to_come(course, time_min, rng, settings),
    )


def _standard(rng: np.random.Generator, n: int) -> FloatArray:
    """Draws of mean 0 and SD 1, exactly."""
    draws = rng.normal(size=n)
    return np.asarray((draws - draws.mean()) / draws.std())


def _carbs_of_meals_to_come(
    course: Course, time_min: float, rng: np.random.Generator, settings: FilterSettings
) -> FloatArray:
    """Meals that begin before the ensemble were simulated as counted, and stay so."""
    factors = np.zeros((settings.members, len(course.meals)))
    for i, meal in enumerate(course.meals):
        if meal.time_min >= time_min:
            factors[:, i] = settings.carbs_sd * _standard(rng, settings.members)
    return factors


def _possible(model: OdeModel, states: FloatArray) -> FloatArray:
    """States with what cannot be negative clipped at zero."""
    signed = np.array([state.name in model.signed_states for state in model.states])
    return np.where(signed, states, np.maximum(states, 0.0))


@dataclass(frozen=True, kw_only=True)
class _Walk:
    """Sensitivity and flow of every member over the pieces of a span.

    Attributes
    ----------
    piece_of_step
        Shape `(n_steps,)`: which piece a step of the schedule lies in.
    log_sensitivity, flow_mg_kg_min
        Shape `(n, n_pieces + 1)`: in force during each piece, and after the last.
    """

    piece_of_step: Any
    log_sensitivity: FloatArray
    flow_mg_kg_min: FloatArray


def _walk(ensemble: Ensemble, steps: Schedule, rng: np.random.Generator, settings: FilterSettings) -> _Walk:
    piece = ((steps.times_min - steps.times_min[0] + 1e-6) // _PIECE_MIN).astype(int)
    widths = np.bincount(piece, weights=steps.widths_min).astype(np.float64)
    return _Walk(
        piece_of_step=piece,
        log_sensitivity=_wandering(
            ensemble.log_sensitivity, widths, settings.sensitivity_sd, settings.sensitivity_memory_min, rng
        ),
        flow_mg_kg_min=_wandering(
            ensemble.flow_mg_kg_min, widths, settings.flow_sd_mg_kg_min, settings.flow_memory_min, rng
        ),
    )


def _wandering(
    start: FloatArray, widths_min: FloatArray, sd: float, memory_min: float, rng: np.random.Generator
) -> FloatArray:
    """A stationary Ornstein-Uhlenbeck process about 0, exact at the ends of the pieces, shape `(n, n_pieces + 1)`."""
    path = np.empty((len(start), len(widths_min) + 1))
    path[:, 0] = start
    kept = np.exp(-widths_min / memory_min)
    new = rng.normal(size=(len(start), len(widths_min))) * (sd * np.sqrt(1.0 - kept**2))
    for i, share in enumerate(kept.tolist()):
        path[:, i + 1] = share * path[:, i] + new[:, i]
    return path


def _member_schedules(ensemble: Ensemble, course: Course, span: slice, walk: _Walk) -> list[Schedule]:
    """One schedule a member: its own sensitivity, flow and size of meals."""
    all_steps = course.schedule
    names = all_steps.input_names
    inputs = np.repeat(all_steps.inputs[None, span], len(ensemble.states), axis=0)
    inputs[:, :, names.index("sensitivity")] *= np.exp(walk.log_sensitivity)[:, walk.piece_of_step]
    inputs[:, :, names.index("production_added_mg_kg_min")] += walk.flow_mg_kg_min[:, walk.piece_of_step]
    more = np.expm1(ensemble.log_carbs)
    for name, part in (("carbs_mg_min", course.carbs_mg_min[:, span]), ("eaten_mg", course.eaten_mg[:, span])):
        if name in names and part.any():
            inputs[:, :, names.index(name)] += more @ part
    times, widths, restarts = all_steps.times_min[span], all_steps.widths_min[span], all_steps.restarts[span]
    return [
        Schedule(times_min=times, widths_min=widths, inputs=member, restarts=restarts, input_names=names)
        for member in inputs
    ]


def advanced(
    ensemble: Ensemble,
    course: Course,
    time_min: float,
    rng: np.random.Generator,
    settings: FilterSettings = DEFAULT,
) -> Ensemble:
    """Every member lives on until `time_min`; their spread grows by the random walks."""
    while course.step_at(ensemble.time_min) < course.step_at(time_min):
        until_min = min(time_min, ensemble.time_min + _LONGEST_STEP_MIN)
        ensemble = _stepped(ensemble, course, course.step_at(until_min), rng, settings)
    return ensemble


def lived_through(
    ensemble: Ensemble, course: Course, last_step: int, rng: np.random.Generator, settings: FilterSettings = DEFAULT
) -> BatchSolution:
    """The members' days from now to a boundary of the course, with outputs at every boundary on the way."""
    return _lived(ensemble, course, last_step, rng, settings, every_min=None)[0]


def _lived(
    ensemble: Ensemble,
    course: Course,
    last_step: int,
    rng: np.random.Generator,
    settings: FilterSettings,
    *,
    every_min: float | None,
) -> tuple[BatchSolution, _Walk]:
    span = slice(course.step_at(ensemble.time_min), last_step)
    walk = _walk(ensemble, _part(course.schedule, span), rng, settings)
    runs = _member_schedules(ensemble, course, span, walk)
    solution = integrate_batch(ensemble.model, ensemble.parameters, runs, ensemble.states, every_min=every_min)
    return solution, walk


def _stepped(
    ensemble: Ensemble, course: Course, last_step: int, rng: np.random.Generator, settings: FilterSettings
) -> Ensemble:
    solution, walk = _lived(ensemble, course, last_step, rng, settings, every_min=_LONGEST_STEP_MIN)
    end_min = float(course.bounds_min[last_step])
    elapsed = np.array([end_min - course.bounds_min[course.step_at(ensemble.time_min)]])
    error = _wandering(ensemble.error_mg_dl, elapsed, settings.error_sd_mg_dl, settings.error_memory_min, rng)
    after = replace(
        ensemble,
        time_min=end_min,
        states=solution.final_states,
        log_sensitivity=walk.log_sensitivity[:, -1],
        flow_mg_kg_min=walk.flow_mg_kg_min[:, -1],
        error_mg_dl=error[:, -1],
    )
    return _with_lost_members_replaced(after, solution.finite, rng)


def _part(schedule: Schedule, span: slice) -> Schedule:
    return replace(
        schedule,
        times_min=schedule.times_min[span],
        widths_min=schedule.widths_min[span],
        inputs=schedule.inputs[span],
        restarts=schedule.restarts[span],
    )


def _with_lost_members_replaced(ensemble: Ensemble, finite: Any, rng: np.random.Generator) -> Ensemble:
    """Members that left the finite numbers become copies of others; when all did, the next reading resets."""
    if finite.all() or not finite.any():
        return ensemble
    who = np.where(finite, np.arange(len(finite)), rng.choice(np.flatnonzero(finite), size=len(finite)))
    return replace(
        ensemble,
        parameters=type(ensemble.parameters)(*(column[who] for column in ensemble.parameters)),
        states=ensemble.states[who],
        log_sensitivity=ensemble.log_sensitivity[who],
        flow_mg_kg_min=ensemble.flow_mg_kg_min[who],
        error_mg_dl=ensemble.error_mg_dl[who],
        log_carbs=ensemble.log_carbs[who],
    )


def expected_reading(ensemble: Ensemble, settings: FilterSettings = DEFAULT) -> tuple[float, float]:
    """Mean and SD of what a sensor would show now [mg/dL]."""
    expected = ensemble.glucose_mg_dl + ensemble.error_mg_dl
    return float(expected.mean()), float(np.hypot(expected.std(ddof=1), settings.reading_sd_mg_dl))


def updated(ensemble: Ensemble, reading_mg_dl: float, course: Course, settings: FilterSettings = DEFAULT) -> Ensemble:
    """The ensemble after a reading.

    With the deviation `d` of every member's expected reading from their mean, its variance `V` and that of a new
    sensor error `R`: gain K = cov(row, d)/(V + R); the mean moves by K times the miss, each member's deviation by
    -K d/(1 + sqrt(R/(V + R))) (Whitaker and Hamill 2002). A miss beyond the limit `wild` counts
    as one at the limit.
    """
    recent = np.flatnonzero(
        (course.meal_min <= ensemble.time_min) & (course.meal_min > ensemble.time_min - RECENT_MEAL_MIN)
    )
    rows = _rows(ensemble, recent)
    expected = ensemble.glucose_mg_dl + ensemble.error_mg_dl
    mean, sd = expected_reading(ensemble, settings)
    deviation = expected - mean
    centre = rows.mean(axis=0)
    gain = _shares(ensemble.model, rows.shape[1], settings) * (deviation @ (rows - centre)) / (len(rows) - 1) / sd**2
    miss = float(np.clip(reading_mg_dl - mean, -settings.wild * sd, settings.wild * sd))
    reduction = 1.0 / (1.0 + settings.reading_sd_mg_dl / sd)
    moved = rows - reduction * np.outer(deviation, gain) + gain * miss
    return _with_rows(ensemble, _with_least_spread(ensemble, moved), recent)


def _rows(ensemble: Ensemble, recent: Any) -> FloatArray:
    """Everything that a reading may move, shape `(n, n_states + 3 + n_recent)`."""
    beside = (ensemble.log_sensitivity, ensemble.flow_mg_kg_min, ensemble.error_mg_dl)
    return np.column_stack((ensemble.states, *beside, ensemble.log_carbs[:, recent]))


def _shares(model: OdeModel, n_columns: int, settings: FilterSettings) -> FloatArray:
    """Fraction of the gain for each column: states that hold no glucose or carbohydrate are insulin's."""
    shares = np.ones(n_columns)
    for i, state in enumerate(model.states):
        if not state.unit.startswith(("mg", "mmol")):
            shares[i] = settings.insulin_share
    return shares


def _with_least_spread(ensemble: Ensemble, rows: FloatArray) -> FloatArray:
    """Deviations stretched where the members have become so alike that they would no longer listen to readings."""
    states = rows[:, : ensemble.states.shape[1]]
    sd = float(np.std(ensemble.model.outputs(tuple(states.T), ensemble.parameters)[0]))
    if sd >= _LEAST_SD_MG_DL:
        return rows
    centre = rows.mean(axis=0)
    return np.asarray(centre + min(_LEAST_SD_MG_DL / max(sd, 1e-9), _LARGEST_REGROWTH) * (rows - centre))


def _with_rows(ensemble: Ensemble, rows: FloatArray, recent: Any) -> Ensemble:
    n = ensemble.states.shape[1]
    log_carbs = ensemble.log_carbs.copy()
    log_carbs[:, recent] = np.clip(rows[:, n + 3 :], -_LARGEST_LOG, _LARGEST_LOG)
    return replace(
        ensemble,
        states=np.ascontiguousarray(_possible(ensemble.model, rows[:, :n])),
        log_sensitivity=np.clip(rows[:, n], -_LARGEST_LOG, _LARGEST_LOG),
        flow_mg_kg_min=np.clip(rows[:, n + 1], -_LARGEST_FLOW_MG_KG_MIN, _LARGEST_FLOW_MG_KG_MIN),
        error_mg_dl=rows[:, n + 2],
        log_carbs=log_carbs,
    )
