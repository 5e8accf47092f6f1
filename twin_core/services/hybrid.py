"""The hybrid forecast: the learned one, moved by what the mechanistic twin says of an action.

The learned forecaster is never asked about a dose: trained on life, it believes that insulin raises glucose, because
insulin goes with meals (reference: +4 U without food raised its forecast in 87 to 94 % of cases). So an action enters
only as (twin with the action) - (twin without it).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twin_core.domain.forecasts import QUANTILE_LEVELS, Forecast
from twin_core.domain.history import FloatArray, History, Therapy
from twin_core.domain.models import OdeModel
from twin_core.forecast.forecaster import Forecaster
from twin_core.forecast.model import LOW_WITHIN_MIN
from twin_core.inference.state import as_batch, current_state, therapy_between, with_unrecorded_doses
from twin_core.inference.structures import structure_of
from twin_core.inference.twin import FittedTwin
from twin_core.services.outcomes import clipped
from twin_core.solve.rk4 import integrate_batch
from twin_core.solve.schedule import schedules_of

HORIZON_MIN = 240.0
"""How far the learned forecaster sees."""
LONG_HORIZON_MIN = 480.0
"""How far the twin alone is asked."""
STEP_MIN = 5.0
N_DRAWS = 200
SEED = 7
_MEDIAN = QUANTILE_LEVELS.index(0.50)


@dataclass(frozen=True, kw_only=True)
class Bodies:
    """A twin in its state at one moment: first with its most probable parameters, then with draws of them.

    Attributes
    ----------
    parameters
        Fields of shape `(1 + N_DRAWS,)`.
    states
        Shape `(1 + N_DRAWS, n_states)`.
    """

    parameters: Any
    states: FloatArray
    now_min: float

    @property
    def model(self) -> OdeModel:
        """The equations."""
        return structure_of(self.parameters).model

    def courses(self, therapy: Therapy, horizon_min: float) -> FloatArray:
        """Sensed glucose at 5, 10, ... min after now [mg/dL], shape `(1 + N_DRAWS, n_horizons)`."""
        return self._sensed(self.parameters, (therapy,), self.states, horizon_min)

    def probable_courses(self, therapies: Sequence[Therapy], horizon_min: float) -> FloatArray:
        """The most probable course under each therapy [mg/dL], shape `(n_therapies, n_horizons)`."""
        probable = type(self.parameters)(*(column[:1] for column in self.parameters))
        return self._sensed(probable, therapies, self.states[:1], horizon_min)

    def _sensed(
        self, parameters: Any, therapies: Sequence[Therapy], states: FloatArray, horizon_min: float
    ) -> FloatArray:
        schedules = schedules_of(therapies, start_min=self.now_min, end_min=self.now_min + horizon_min)
        run = integrate_batch(self.model, parameters, schedules, states, every_min=STEP_MIN)
        return run.output("glucose_mg_dl")[:, 1:]


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A forecast after an action.

    Attributes
    ----------
    quantiles_mg_dl
        Shape `(n_horizons, n_levels)`: the forecast's own, each moved as far as the action moves that quantile of
        the draws; the median by the twin's most probable response.
    paths_without, paths_with
        Shape `(N_DRAWS, n_horizons)`: the same draws without and with the action, for paired differences.
    """

    quantiles_mg_dl: FloatArray
    paths_without: FloatArray
    paths_with: FloatArray


def bodies_of(twin: FittedTwin, history: History, now_min: float) -> Bodies:
    """The twin and `N_DRAWS` draws of it, each led through the hours before now to the last reading."""
    parameters = with_draws(twin, N_DRAWS, SEED)
    return Bodies(parameters=parameters, states=current_state(parameters, history, now_min), now_min=now_min)


def with_draws(twin: FittedTwin, n: int, seed: int) -> Any:
    """The most probable parameters, then `n` draws of the posterior; fields of shape `(1 + n,)`."""
    draws = twin.draws(n, np.random.default_rng(seed))
    together = (np.concatenate(pair) for pair in zip(as_batch(twin.parameters), draws, strict=True))
    return type(twin.parameters)(*together)


def acting(therapy: Therapy, now_min: float, horizon_min: float = HORIZON_MIN) -> Therapy:
    """What acts from now on: the rate in force, a meal being eaten, daily injections as they were given so far."""
    end_min = now_min + horizon_min
    return therapy_between(with_unrecorded_doses(therapy, end_min), now_min, end_min)


def moved(
    forecaster: Forecaster, baseline: Forecast, twin: FittedTwin, history: History, without: Therapy, actions: Therapy
) -> Moved:
    """The forecast `baseline`, made as if `without` goes on, when `actions` happen instead."""
    bodies = bodies_of(twin, history, baseline.origin_min)
    difference = bodies.courses(actions, HORIZON_MIN) - bodies.courses(without, HORIZON_MIN)
    return moved_by(baseline, clipped(forecaster.paths(baseline, N_DRAWS)), difference)


def moved_by(baseline: Forecast, paths_without: FloatArray, difference_mg_dl: FloatArray) -> Moved:
    """A forecast moved by what an action does in the twin and its draws, shape `(1 + N_DRAWS, n_horizons)`."""
    paths_with = clipped(paths_without + difference_mg_dl[1:])
    levels = 100.0 * np.array(QUANTILE_LEVELS)
    shift = (np.percentile(paths_with, levels, axis=0) - np.percentile(paths_without, levels, axis=0)).T
    shift[:, _MEDIAN] = difference_mg_dl[0]
    quantiles = clipped(baseline.quantiles_mg_dl + shift)
    return Moved(quantiles_mg_dl=_ordered(quantiles), paths_without=paths_without, paths_with=paths_with)


def moved_forecast(forecaster: Forecaster, baseline: Forecast, after: Moved) -> Forecast:
    """The baseline with everything that a forecast says moved: quantiles, mean, chances of a low and the alarm."""
    quantiles = after.quantiles_mg_dl
    low = np.array([[baseline.below_70_within_min[within] for within in LOW_WITHIN_MIN]])
    moved_low = forecaster.model.low_moved(low, baseline.quantiles_mg_dl[None], quantiles[None])[0]
    return replace(
        baseline,
        quantiles_mg_dl=quantiles,
        mean_mg_dl=clipped(baseline.mean_mg_dl + quantiles[:, _MEDIAN] - baseline.median_mg_dl),
        below_70_within_min=dict(zip(LOW_WITHIN_MIN, moved_low.tolist(), strict=True)),
        low_alarm=bool(moved_low[0] >= forecaster.model.alarm_threshold),
    )


def quantiles_of(courses_mg_dl: FloatArray) -> FloatArray:
    """Quantiles of draws about the most probable course; `(1 + n, n_times)` becomes `(n_times, n_levels)`."""
    levels = 100.0 * np.array(QUANTILE_LEVELS)
    quantiles = np.percentile(courses_mg_dl[1:], levels, axis=0).T
    quantiles[:, _MEDIAN] = courses_mg_dl[0]
    return _ordered(clipped(quantiles))


def _ordered(quantiles: FloatArray) -> FloatArray:
    """Quantiles that do not cross, the median left where it is."""
    median = quantiles[:, _MEDIAN : _MEDIAN + 1]
    below = np.minimum(np.minimum.accumulate(quantiles[:, :_MEDIAN][:, ::-1], axis=1)[:, ::-1], median)
    above = np.maximum(np.maximum.accumulate(quantiles[:, _MEDIAN + 1 :], axis=1), median)
    return np.concatenate([below, median, above], axis=1)
