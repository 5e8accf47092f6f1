"""Personalisation: a small linear learner of what the population's forecast misses in one person.

It is fitted to the person's record up to a week ago, tried on the last week, and adopted only if it helps there.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from twin_core.domain.errors import BadInput
from twin_core.domain.forecasts import HORIZONS_MIN
from twin_core.domain.history import FloatArray, History
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.forecast.context import Inputs, inputs_of
from twin_core.forecast.features import STEP_MIN
from twin_core.forecast.model import Model, Predicted
from twin_core.forecast.readiness import HIGHEST_MG_DL, LOWEST_MG_DL
from twin_core.forecast.targets import EMBARGO_MIN, observed, origins

LEAST_DAYS = 3.0
TRIAL_DAYS = 7.0
PENALTY = 3000.0
"""In rows: a record of some days is believed about as much as the population."""
JUDGED_MIN = (30.0, 60.0, 120.0)
_STRIDE = 2
_CHUNK = 2000


@dataclass(frozen=True, kw_only=True)
class Personal:
    """Coefficients of the correction [mg/dL], shape `(1 + n_scaled_context, n_horizons)`."""

    coefficients: FloatArray

    def applied(self, model: Model, inputs: Inputs, said: Predicted) -> Predicted:
        """A prediction moved as far as this person's was missed before; intervals keep their width."""
        moved = _columns(model, inputs) @ self.coefficients
        return Predicted(
            mean_mg_dl=np.clip(said.mean_mg_dl + moved, LOWEST_MG_DL, HIGHEST_MG_DL),
            quantiles_mg_dl=np.clip(said.quantiles_mg_dl + moved[..., None], LOWEST_MG_DL, HIGHEST_MG_DL),
        )


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A personal learner and how it did beside the population on the last week, at `JUDGED_MIN` [mg/dL].

    Attributes
    ----------
    personal
        Fitted to everything before the trial.
    adopted
        Whether the mean of the three errors fell.
    """

    personal: Personal
    adopted: bool
    population_rmse: tuple[float, ...]
    personal_rmse: tuple[float, ...]
    rows: int
    sentence: str


def personalised(
    model: Model, history: History, now_min: float, progress: Callable[[float, str], object] | None = None
) -> Trial:
    """Fit a personal learner to a record up to `now_min` and try it on the last week (or last third) of it.

    Parameters
    ----------
    progress
        Called with the share done and a sentence; it may raise to stop.

    Raises
    ------
    BadInput
        The record holds less than three days of forecasts.
    """
    tell = progress or (lambda _share, _sentence: None)
    moments = origins(history)
    moments = moments[moments <= now_min]
    if moments.size * STEP_MIN < LEAST_DAYS * MINUTES_PER_DAY:
        raise BadInput(
            f"Personalisation needs {LEAST_DAYS:g} days of readings; this record holds "
            f"{moments.size * STEP_MIN / MINUTES_PER_DAY:.1f}. It is offered again when they have come."
        )
    trial_from = now_min - min(TRIAL_DAYS * MINUTES_PER_DAY, (now_min - moments[0]) / 3.0)
    learning = moments[moments < trial_from - EMBARGO_MIN][::_STRIDE]
    trying = moments[moments >= trial_from]
    tell(0.05, "forecasting the record")
    personal = fitted(model, history, learning, trial_from, lambda share: tell(0.05 + 0.6 * share, "learning"))
    tell(0.7, "trying the last week")
    return _tried(model, personal, history, trying, now_min, len(learning))


def fitted(
    model: Model,
    history: History,
    learning: FloatArray,
    known_until_min: float,
    progress: Callable[[float], object] = lambda _share: None,
) -> Personal:
    """The learner of what was missed at some origins, by readings until a moment."""
    columns, missed = [], []
    for begin in range(0, len(learning), _CHUNK):
        moments = learning[begin : begin + _CHUNK]
        inputs = inputs_of(history, moments)
        seen = np.where(
            moments[:, None] + np.array(HORIZONS_MIN) <= known_until_min, observed(history, moments), np.nan
        )
        columns.append(_columns(model, inputs))
        missed.append(seen - model.predict(inputs).mean_mg_dl)
        progress((begin + len(moments)) / len(learning))
    rows, errors = np.concatenate(columns), np.concatenate(missed)
    penalty = PENALTY * np.eye(rows.shape[1])
    return Personal(coefficients=np.column_stack([_solve(rows, column, penalty) for column in errors.T]))


def _tried(model: Model, personal: Personal, history: History, trying: FloatArray, now_min: float, rows: int) -> Trial:
    inputs = inputs_of(history, trying)
    seen = _known(history, trying, now_min)
    population = model.predict(inputs)
    own = personal.applied(model, inputs, population)
    before, after = (_errors(seen, said.mean_mg_dl) for said in (population, own))
    adopted = bool(np.mean(after) < np.mean(before))
    verb = "is adopted" if adopted else "is not adopted"
    return Trial(
        personal=personal,
        adopted=adopted,
        population_rmse=before,
        personal_rmse=after,
        rows=rows,
        sentence=(
            f"On the last days the personal forecast missed by {np.mean(after):.1f} mg/dL, the population's by "
            f"{np.mean(before):.1f} (mean of 30, 60 and 120 min): it {verb}."
        ),
    )


def _known(history: History, moments: FloatArray, until_min: float) -> FloatArray:
    """What was observed after some origins and until a moment; NaN elsewhere."""
    due = moments[:, None] + np.array(HORIZONS_MIN)
    return np.where(due <= until_min, observed(history, moments), np.nan)


def _errors(seen: FloatArray, said: FloatArray) -> tuple[float, ...]:
    places = [HORIZONS_MIN.index(horizon) for horizon in JUDGED_MIN]
    return tuple(float(np.sqrt(np.nanmean((seen - said)[:, place] ** 2))) for place in places)


def _columns(model: Model, inputs: Inputs) -> FloatArray:
    """A constant and the scaled context, shape `(n, 1 + n_scaled_context)`."""
    scaled = model.context_scaling.apply(inputs.context)
    return np.concatenate([np.ones((len(scaled), 1)), scaled], axis=1).astype(np.float64)


def _solve(rows: FloatArray, errors: FloatArray, penalty: FloatArray) -> FloatArray:
    exists = np.isfinite(errors)
    known = rows[exists]
    return np.asarray(np.linalg.solve(known.T @ known + penalty, known.T @ errors[exists]))
