"""The twin on real people, honestly: what it says of the next day and the next two hours, and which way it moves.

People of the folder with carbohydrate and basal insulin on record; moments in the last 20 % of each record, which the
shipped forecaster has not seen. For a few days a person the twin is fitted to the three days before; then it is told
the meals and insulin to come (announced) and asked

- for the next 24 h, beside a constant: the mean of the days it was fitted to;
- for 30, 60 and 120 min from moments of that day, beside persistence and the learned forecaster, which both know
  nothing of meals and insulin to come.

Intervals: draws of the posterior plus the error model of the fit, which starts at 0 with the reading now.

The sign test asks the what-if as it is served (`services.hybrid`), with the fitted twin and with the population's:
1 and 4 U must lower and 20 and 50 g must raise glucose, the larger one more, at no quantile and no horizon the other
way.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from twin_core.bootstrap import read_folder
from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS
from twin_core.domain.history import Bolus, FloatArray, History, Meal, Therapy
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.forecast.forecaster import Forecaster
from twin_core.forecast.targets import blocks, observed
from twin_core.inference.map_fit import TooLittleData, fit_twin
from twin_core.inference.state import current_state, therapy_between, with_unrecorded_doses
from twin_core.inference.twin import FittedTwin, population_twin
from twin_core.metrics.forecast_scores import mard, rmse
from twin_core.models.glucose.dalla_man_2014 import MODEL
from twin_core.services.hybrid import HORIZON_MIN, N_DRAWS, acting, bodies_of, moved_by, with_draws
from twin_core.services.outcomes import clipped
from twin_core.solve.compiled import kernel_of
from twin_core.solve.rk4 import integrate_batch
from twin_core.solve.schedule import schedule_of
from validation.line import Line

SEED = 20
DAYS_A_PERSON = 2
TRIED_A_PERSON = 4
"""So many days are tried, at most, to find those that can be fitted."""
MOMENTS_A_DAY = 90
N_SIGN = 1000
FITTED_DAYS = 3.0
DRAWS = 100
ASKED_MIN = (30.0, 60.0, 120.0)
_PLACES = [HORIZONS_MIN.index(horizon) for horizon in ASKED_MIN]
_MEDIAN, _LOW, _HIGH = (QUANTILE_LEVELS.index(level) for level in (0.50, 0.05, 0.95))
_EXACT = 1e-9
ACTIONS = ("+1 U", "+4 U", "+20 g", "+50 g")
"""Each alone: insulin without food, food without insulin."""
MORE = " more than the smaller one"
MORE_FOR_MORE = {f"+4 U{MORE}": "+1 U", f"+50 g{MORE}": "+20 g"}
"""A larger one and what it is compared with."""


@dataclass(frozen=True, kw_only=True)
class FittedDay:
    """A twin fitted to the days before a moment of a person's record."""

    person: str
    history: History
    now_min: float
    twin: FittedTwin


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the twin says: the most probable course and draws with their error [mg/dL]; `(n,)` and `(n_draws, n)`."""

    time_min: FloatArray
    probable_mg_dl: FloatArray
    draws_mg_dl: FloatArray

    @property
    def interval_mg_dl(self) -> FloatArray:
        """Ends of the 90 % interval, shape `(2, n)`."""
        return np.percentile(self.draws_mg_dl, (5.0, 95.0), axis=0)


def lines(data: Path) -> Iterator[Line]:
    """Errors and coverage of both horizons, then the sign test."""
    kernel_of(MODEL).warm_up()
    rng = np.random.default_rng(SEED)
    histories = read_folder(data).histories
    days, refused = fitted_days(histories, rng)
    people = sorted({day.person for day in days})
    yield Line(what=f"people {', '.join(people)}: twins fitted, refused", seen=f"{len(days)}, {refused}")
    yield from day_ahead(days)
    moments = [(day, now_min) for day in days for now_min in moments_of(day, rng)]
    forecaster = Forecaster.load()
    yield from hours_ahead(moments, forecaster)
    yield from signs([moments[i] for i in np.sort(rng.permutation(len(moments))[:N_SIGN])], forecaster)


def fitted_days(histories: Mapping[str, History], rng: np.random.Generator) -> tuple[list[FittedDay], int]:
    """A few fits a person, and how many were refused: too little data, or data that contradict themselves."""
    fits = [day for person, history in histories.items() for day in _tried(person, history, rng)]
    days = [day for day in fits if day is not None]
    return days, len(fits) - len(days)


def _tried(person: str, history: History, rng: np.random.Generator) -> Iterator[FittedDay | None]:
    """Fits before random moments until there are enough; None for each that was refused."""
    if not history.therapy.meals or not (history.therapy.basal or history.therapy.long_acting):
        return
    test = blocks(history).test
    possible = test[test < history.cgm_time_min[-1] - MINUTES_PER_DAY]
    fitted = 0
    for now_min in rng.choice(possible, TRIED_A_PERSON, replace=False).tolist():
        if fitted == DAYS_A_PERSON:
            return
        twin = fit_twin(history, now_min=now_min, days=FITTED_DAYS)
        refused = isinstance(twin, TooLittleData)
        fitted += not refused
        yield None if refused else FittedDay(person=person, history=history, now_min=now_min, twin=twin)


def moments_of(day: FittedDay, rng: np.random.Generator) -> list[float]:
    """Moments of the 24 h after the fit at which the learned forecaster may forecast."""
    test = blocks(day.history).test
    possible = test[(test >= day.now_min) & (test < day.now_min + MINUTES_PER_DAY)]
    chosen = rng.permutation(len(possible))[:MOMENTS_A_DAY]
    return [float(possible[i]) for i in np.sort(chosen)]


def said(day: FittedDay, now_min: float, minutes: float) -> Said:
    """The twin alone with announced meals and insulin, every 5 min from 5 min after now on."""
    parameters = with_draws(day.twin, DRAWS, SEED)
    states = current_state(parameters, day.history, now_min)
    end_min = now_min + minutes
    announced = therapy_between(with_unrecorded_doses(day.history.therapy, end_min), now_min, end_min)
    schedule = schedule_of(announced, start_min=now_min, end_min=end_min)
    run = integrate_batch(MODEL, parameters, schedule, states, every_min=5.0)
    courses = run.output("glucose_mg_dl")[:, 1:]
    after_min = run.times_min[1:] - now_min
    return Said(
        time_min=now_min + after_min,
        probable_mg_dl=clipped(courses[0]),
        draws_mg_dl=clipped(courses[1:] + _errors(day.twin, after_min)),
    )


def _errors(twin: FittedTwin, after_min: FloatArray) -> FloatArray:
    """Errors of a course that began right, shape `(DRAWS, n)`: their spread grows to that of the fit."""
    assert twin.metrics is not None
    share = 1.0 - twin.metrics.error.correlation(after_min) ** 2
    normal = np.random.default_rng(SEED).standard_normal((DRAWS, len(after_min)))
    return np.asarray(twin.metrics.error_sd_mg_dl * np.sqrt(share) * normal)


def day_ahead(days: Sequence[FittedDay]) -> Iterator[Line]:
    """The next 24 h."""
    read, said_of_it, constant, inside = [], [], [], []
    for day in days:
        answer = said(day, day.now_min, MINUTES_PER_DAY)
        times, glucose = _readings(day.history, day.now_min, day.now_min + MINUTES_PER_DAY)
        low, high = (np.interp(times, answer.time_min, end) for end in answer.interval_mg_dl)
        fitted_to = _readings(day.history, day.now_min - FITTED_DAYS * MINUTES_PER_DAY, day.now_min)[1]
        read.append(glucose)
        said_of_it.append(np.interp(times, answer.time_min, answer.probable_mg_dl))
        constant.append(np.full(len(times), fitted_to.mean()))
        inside.append((low <= glucose) & (glucose <= high))
    true, twin, mean = (np.concatenate(parts) for parts in (read, said_of_it, constant))
    yield Line(what=f"24 h ahead, {len(days)} days, {len(true)} readings: RMSE twin [mg/dL]", seen=_both(true, twin))
    yield Line(what="24 h ahead: RMSE of the mean of the fitted days", seen=_both(true, mean))
    yield Line(what="24 h ahead: coverage of the 90 % interval", seen=f"{100.0 * np.concatenate(inside).mean():.0f} %")


def hours_ahead(moments: Sequence[tuple[FittedDay, float]], forecaster: Forecaster) -> Iterator[Line]:
    """30, 60 and 120 min, all three on the same readings."""
    true, twin, now, learned, inside = ([] for _ in range(5))  # type: ignore[var-annotated]
    steps = [round(horizon / 5.0) - 1 for horizon in ASKED_MIN]
    for day, now_min in moments:
        answer = said(day, now_min, max(ASKED_MIN))
        reading = observed(day.history, np.array([now_min]))[0][_PLACES]
        forecast = forecaster.forecast(day.history, now_min)
        low, high = answer.interval_mg_dl[:, steps]
        true.append(reading)
        twin.append(answer.probable_mg_dl[steps])
        now.append(np.full(len(steps), forecast.persistence_mg_dl))
        learned.append(forecast.quantiles_mg_dl[_PLACES, _MEDIAN])
        inside.append((low <= reading) & (reading <= high))
    everything = [np.array(part) for part in (true, twin, now, learned, inside)]
    for column, horizon in enumerate(ASKED_MIN):
        seen = np.isfinite(everything[0][:, column])
        reading, *said_of_it = (part[seen, column] for part in everything[:4])
        for name, values in zip(("twin", "persistence", "learned forecaster"), said_of_it, strict=True):
            yield Line(
                what=f"{horizon:.0f} min ahead, {len(reading)} moments: RMSE {name}", seen=_both(reading, values)
            )
        yield Line(
            what=f"{horizon:.0f} min ahead: coverage of the twin's 90 % interval",
            seen=f"{100.0 * everything[4][seen, column].mean():.0f} %",
        )


def signs(moments: Sequence[tuple[FittedDay, float]], forecaster: Forecaster) -> Iterator[Line]:
    """Doses and meals in the what-if as served, by both twins: the right way, and more for more."""
    wrong = {(twin, action): 0 for twin in ("fitted", "population") for action in (*ACTIONS, *MORE_FOR_MORE)}
    idle = dict.fromkeys(wrong, 0)
    for day, now_min in moments:
        population = population_twin(basal_u_h=day.twin.parameters.basal_u_h)
        for name, twin in (("fitted", day.twin), ("population", population)):
            moved = changes(day.history, now_min, twin, forecaster)
            for more, less in MORE_FOR_MORE.items():
                moved[more] = moved[more.removesuffix(MORE)] - moved[less]
            for action, change in moved.items():
                wrong[name, action] += bool((change < -_EXACT).any())
                idle[name, action] += not bool((change > _EXACT).any())
    for (name, action), count in wrong.items():
        verb = "lowers" if "U" in action else "raises"
        yield Line(
            what=f"{action} {verb}, {name} twin: wrong way, no effect of {len(moments)} states",
            seen=f"{count}, {idle[name, action]}",
            target="0, 0",
            holds=count == 0 and idle[name, action] == 0,
        )


def changes(history: History, now_min: float, twin: FittedTwin, forecaster: Forecaster) -> dict[str, FloatArray]:
    """How far each action moves every quantile the right way [mg/dL], shape `(n_horizons, n_levels)`."""
    baseline = forecaster.forecast(history, now_min)
    without = acting(history.therapy, now_min)
    bodies = bodies_of(twin, history, now_min)
    paths = clipped(forecaster.paths(baseline, N_DRAWS))
    alone = bodies.courses(without, HORIZON_MIN)

    def change(actions: Therapy) -> Any:
        with_it = moved_by(baseline, paths, bodies.courses(actions, HORIZON_MIN) - alone)
        return with_it.quantiles_mg_dl - baseline.quantiles_mg_dl

    def bolus(dose_u: float) -> FloatArray:
        return -change(replace(without, boluses=(*without.boluses, Bolus(time_min=now_min, dose_u=dose_u))))

    def meal(carbs_g: float) -> FloatArray:
        return change(replace(without, planned=(Meal(time_min=now_min, carbs_g=carbs_g),)))

    return {"+1 U": bolus(1.0), "+4 U": bolus(4.0), "+20 g": meal(20.0), "+50 g": meal(50.0)}


def _readings(history: History, begin_min: float, end_min: float) -> tuple[FloatArray, FloatArray]:
    """Times and readings after one moment and until another."""
    inside = (history.cgm_time_min > begin_min) & (history.cgm_time_min <= end_min)
    return history.cgm_time_min[inside], history.cgm_mg_dl[inside]


def _both(true: FloatArray, predicted: FloatArray) -> str:
    return f"{rmse(true, predicted):.1f} (MARD {mard(true, predicted):.1f} %)"
