"""The hybrid forecast: the learned one, moved by what the mechanistic twin says of an action.

The learned forecaster is never asked about a dose: trained on life, it believes that insulin raises glucose, because
insulin goes with meals (reference: +4 U without food raised its forecast in 87 to 94 % of cases). So an action enters
only as (twin with the action) - (twin without it).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from twin_core.domain.forecasts import QUANTILE_LEVELS, Forecast
from twin_core.domain.history import FloatArray, History, Therapy
from twin_core.forecast.forecaster import Forecaster
from twin_core.inference.state import (
    as_batch,
    current_state,
    response,
    therapy_between,
    with_unrecorded_doses,
)
from twin_core.inference.twin import FittedTwin

HORIZON_MIN = 240.0
N_DRAWS = 200
SEED = 7
LOWEST_MG_DL, HIGHEST_MG_DL = 40.0, 400.0
_MEDIAN = QUANTILE_LEVELS.index(0.50)


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


def acting(therapy: Therapy, now_min: float) -> Therapy:
    """What acts from now on: the rate in force, a meal being eaten, daily injections as they were given so far."""
    end_min = now_min + HORIZON_MIN
    return therapy_between(with_unrecorded_doses(therapy, end_min), now_min, end_min)


def moved(
    forecaster: Forecaster, baseline: Forecast, twin: FittedTwin, history: History, without: Therapy, actions: Therapy
) -> Moved:
    """The forecast `baseline`, made as if `without` goes on, when `actions` happen instead."""
    now_min = baseline.origin_min
    most_probable = _difference(as_batch(twin.parameters), history, without, actions, now_min)[0]
    spread = _difference(twin.draws(N_DRAWS, np.random.default_rng(SEED)), history, without, actions, now_min)
    paths_without = clipped(forecaster.paths(baseline, N_DRAWS))
    paths_with = clipped(paths_without + spread)
    levels = 100.0 * np.array(QUANTILE_LEVELS)
    shift = (np.percentile(paths_with, levels, axis=0) - np.percentile(paths_without, levels, axis=0)).T
    shift[:, _MEDIAN] = most_probable
    quantiles = clipped(baseline.quantiles_mg_dl + shift)
    return Moved(quantiles_mg_dl=_ordered(quantiles), paths_without=paths_without, paths_with=paths_with)


def clipped(glucose_mg_dl: FloatArray) -> FloatArray:
    """Glucose within what a sensor can show [mg/dL]."""
    return np.clip(glucose_mg_dl, LOWEST_MG_DL, HIGHEST_MG_DL)


def _ordered(quantiles: FloatArray) -> FloatArray:
    """Quantiles that do not cross, the median left where it is."""
    median = quantiles[:, _MEDIAN : _MEDIAN + 1]
    below = np.minimum(np.minimum.accumulate(quantiles[:, :_MEDIAN][:, ::-1], axis=1)[:, ::-1], median)
    above = np.maximum(np.maximum.accumulate(quantiles[:, _MEDIAN + 1 :], axis=1), median)
    return np.concatenate([below, median, above], axis=1)


def _difference(parameters: Any, history: History, without: Therapy, actions: Therapy, now_min: float) -> FloatArray:
    """Change of sensed glucose by the actions, at 5, 10, ... 240 min, shape `(n_draws, n_horizons)`."""
    state = current_state(parameters, history, now_min)
    answer = response(parameters, state, actions, without, now_min=now_min, horizon_min=HORIZON_MIN)
    return answer.difference_mg_dl[:, 1:]
