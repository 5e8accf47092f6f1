"""A past day told again under another therapy: what the twin cannot explain of the day happens again.

The twin, run through the day with what was eaten and injected, misses the readings. Whatever made the difference (a
snack nobody logged, a walk, a bad night) is found as a flow of glucose into the blood, piecewise linear between knots,
by regularised least squares (deconvolution; Phillips-Twomey regularisation with a random-walk prior, as De Nicolao,
Sparacino, Cobelli 1997, Automatica 33(5):851, doi 10.1016/S0005-1098(96)00254-3, do for hormone secretion). The flow is
kept, the therapy is changed, and the twin is run again. What even the flow cannot explain, a few mg/dL, is added.

Every draw of the posterior gets a flow of its own, so that each draw tells the day as it was measured, and the
difference between the draws under the other therapy is what the twin does not know.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twin_core.domain.history import FloatArray, History, Therapy
from twin_core.inference.state import current_state, therapy_between, with_unrecorded_doses
from twin_core.inference.structures import structure_of
from twin_core.inference.twin import FittedTwin
from twin_core.solve.rk4 import integrate_batch
from twin_core.solve.schedule import Schedule, schedules_of

GRID_MIN = 5.0
KNOT_MIN = 30.0
SENSOR_SD_MG_DL = 5.0
"""Spread of what the flow need not explain: the sensor's noise (SD of the AR noise of Facchinetti 2014: 3.8)."""
FLOW_SD_MG_KG_MIN = 0.7
"""How much the flow may change from knot to knot (a choice: a third of basal glucose production in half an hour)."""
LONGEST_GAP_MIN = 60.0
LEAST_SHARE = 0.7
N_DRAWS = 50
SEED = 11
_FLOW_COLUMN = "unexplained_mg_kg_min"
_PROBE_MG_KG_MIN = 0.2
_ITERATIONS = 4


@dataclass(frozen=True, kw_only=True)
class CannotRetell:
    """Why a day cannot be told again."""

    sentence: str


@dataclass(frozen=True, kw_only=True)
class ToldDay:
    """A day that the twin can tell as it was measured.

    Attributes
    ----------
    time_min
        Shape `(n_times,)`: every 5 min from `start_min` to `end_min`.
    measured_mg_dl
        Shape `(n_times,)`: readings, interpolated within gaps of at most 60 min, NaN beyond.
    simulated_mg_dl
        Shape `(n_times,)`: the most probable twin under the recorded therapy alone.
    parameters
        The most probable parameters and `N_DRAWS` of the posterior, arrays of shape `(1 + N_DRAWS,)`.
    flow_mg_kg_min
        Shape `(1 + N_DRAWS, n_knots)`: the unexplained flow of glucose into the blood, every 30 min.
    rest_mg_dl
        Shape `(1 + N_DRAWS, n_times)`: what the flow does not explain; 0 where nothing was measured.
    """

    twin: FittedTwin
    start_min: float
    end_min: float
    therapy: Therapy
    time_min: FloatArray
    measured_mg_dl: FloatArray
    simulated_mg_dl: FloatArray
    parameters: Any
    state: FloatArray
    flow_mg_kg_min: FloatArray
    rest_mg_dl: FloatArray


def told_day(twin: FittedTwin, history: History, *, start_min: float, end_min: float) -> ToldDay | CannotRetell:
    """Find what the twin cannot explain between two moments; `history` begins at least 12 h before `start_min`.

    Readings after `end_min` are not looked at. A day with readings for less than 70 % of its length is refused.
    """
    inside = (history.cgm_time_min >= start_min - GRID_MIN) & (history.cgm_time_min <= end_min + GRID_MIN)
    times, readings = history.cgm_time_min[inside], history.cgm_mg_dl[inside]
    grid = np.arange(start_min, end_min + 1e-6, GRID_MIN)
    measured = _on_grid(grid, times, readings)
    share = float(np.isfinite(measured).mean())
    if share < LEAST_SHARE:
        return CannotRetell(
            sentence=f"Glucose was measured for {100 * share:.0f} % of this day; {100 * LEAST_SHARE:.0f} % are needed."
        )
    known = replace(history, therapy=with_unrecorded_doses(history.therapy, end_min))
    therapy = therapy_between(known.therapy, start_min, end_min)
    draws = twin.draws(N_DRAWS, np.random.default_rng(SEED))
    columns: Any = (np.append(one, many) for one, many in zip(twin.parameters, draws, strict=True))
    parameters = type(draws)(*columns)
    state = current_state(parameters, known, start_min)
    day = ToldDay(
        twin=twin,
        start_min=start_min,
        end_min=end_min,
        therapy=therapy,
        time_min=grid,
        measured_mg_dl=measured,
        simulated_mg_dl=np.empty(0),
        parameters=parameters,
        state=state,
        flow_mg_kg_min=np.zeros((1 + N_DRAWS, len(_knots(start_min, end_min)))),
        rest_mg_dl=np.zeros((1 + N_DRAWS, len(grid))),
    )
    return _with_flow(day)


def retold(day: ToldDay, therapy: Therapy) -> FloatArray:
    """The day under another therapy [mg/dL], shape `(1 + N_DRAWS, n_times)`: first the most probable, then draws.

    Under `day.therapy` every row is what was measured.
    """
    (schedule,) = schedules_of((therapy,), start_min=day.start_min, end_min=day.end_min)
    return np.maximum(_run(day, schedule, day.flow_mg_kg_min) + day.rest_mg_dl, 1.0)


def _with_flow(day: ToldDay) -> ToldDay:
    """Gauss-Newton with the most probable twin's derivatives for all draws: they differ little, and it iterates."""
    (schedule,) = schedules_of((day.therapy,), start_min=day.start_min, end_min=day.end_min)
    seen = np.isfinite(day.measured_mg_dl)
    derivatives = _derivatives(day, schedule)[seen]
    n_knots = derivatives.shape[1]
    steps = np.diff(np.eye(n_knots), axis=0)
    restraint = (steps.T @ steps + 0.05 * np.eye(n_knots)) / FLOW_SD_MG_KG_MIN**2
    gain = np.linalg.solve(
        derivatives.T @ derivatives / SENSOR_SD_MG_DL**2 + restraint, derivatives.T / SENSOR_SD_MG_DL**2
    )
    flow = day.flow_mg_kg_min
    told = alone = _run(day, schedule, flow)
    for _ in range(_ITERATIONS):
        missed = (day.measured_mg_dl - told)[:, seen]
        flow = (missed + flow @ derivatives.T) @ gain.T
        told = _run(day, schedule, flow)
    rest = np.where(seen, day.measured_mg_dl - told, 0.0)
    return replace(day, simulated_mg_dl=alone[0], flow_mg_kg_min=flow, rest_mg_dl=rest)


def _derivatives(day: ToldDay, schedule: Schedule) -> FloatArray:
    """Change of the most probable curve by the flow at each knot, shape `(n_times, n_knots)`."""
    n_knots = day.flow_mg_kg_min.shape[1]
    probes = np.vstack((np.zeros(n_knots), _PROBE_MG_KG_MIN * np.eye(n_knots)))
    alone = type(day.parameters)(*(values[:1] for values in day.parameters))
    curves = _run(replace(day, parameters=alone, state=day.state[:1]), schedule, probes)
    return np.asarray((curves[1:] - curves[0]).T / _PROBE_MG_KG_MIN)


def _run(day: ToldDay, schedule: Schedule, flow: FloatArray) -> FloatArray:
    """Sensed glucose on the grid with a flow a row, shape `(n_rows, n_times)`."""
    middles = schedule.times_min + schedule.widths_min / 2.0
    knots = _knots(day.start_min, day.end_min)
    runs = [schedule.with_input(_FLOW_COLUMN, np.interp(middles, knots, row)) for row in flow]
    solution = integrate_batch(structure_of(day.parameters).model, day.parameters, runs, day.state, every_min=GRID_MIN)
    return solution.output("glucose_mg_dl")


def _knots(start_min: float, end_min: float) -> FloatArray:
    return np.linspace(start_min, end_min, 1 + max(1, round((end_min - start_min) / KNOT_MIN)))


def _on_grid(grid: FloatArray, times_min: FloatArray, glucose_mg_dl: FloatArray) -> FloatArray:
    """Readings interpolated onto the grid; NaN where the readings on either side are more than an hour apart."""
    if len(times_min) < 2:
        return np.full(len(grid), np.nan)
    right = np.clip(np.searchsorted(times_min, grid), 1, len(times_min) - 1)
    near = (
        (times_min[right] - times_min[right - 1] <= LONGEST_GAP_MIN) & (grid >= times_min[0]) & (grid <= times_min[-1])
    )
    return np.where(near, np.interp(grid, times_min, glucose_mg_dl), np.nan)
