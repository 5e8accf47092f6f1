"""What a forecast leans on: how it changes when one kind of knowledge is taken away.

A contribution says what the model reads out of a record, not what a meal or a dose does: in the data a bolus announces
a meal. What an action does is asked of the twin.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from twin_core.domain.forecasts import HORIZONS_MIN
from twin_core.domain.history import FloatArray
from twin_core.forecast.context import CONTEXT_NAMES, GROUPS, Inputs, context_column
from twin_core.forecast.features import column
from twin_core.forecast.model import Model, Predicted

EXPLAINED_MIN = (30.0, 60.0, 120.0)
_PLACES = [HORIZONS_MIN.index(horizon) for horizon in EXPLAINED_MIN]
_IN_WINDOWS: Mapping[str, tuple[str, ...]] = {
    "trend": ("glucose_from_now", "glucose_change_15"),
    "habits": (),
    "meals": ("carbs_on_board", "carbs_30"),
    "insulin": ("insulin_on_board", "bolus_30", "basal_rate"),
    "activity": ("steps_60",),
    "time of day": ("day_sine", "day_cosine"),
}
_TREND = tuple(name for name in CONTEXT_NAMES if name.startswith(("change_", "slope_")))


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """By kind of knowledge: how far it moves the mean forecast [mg/dL], shape `(n_horizons,)` each."""

    contributions: Mapping[str, FloatArray]

    def at_explained(self, kind: str) -> tuple[float, ...]:
        """How far one kind moves the mean forecast at `EXPLAINED_MIN` [mg/dL]."""
        return tuple(self.contributions[kind][_PLACES].tolist())


def explained(model: Model, inputs: Inputs, predict: Callable[[Inputs], Predicted]) -> Explanation:
    """The contributions to the forecast of one row of inputs: with everything minus without one kind.

    Without a kind means: its numbers at their training mean, a trend or what is on board at zero. Contributions of
    kinds that speak of the same thing overlap, so they do not add up to the forecast's change.

    Parameters
    ----------
    predict
        The forecast to explain: the model's, or what a person's own correction makes of it.
    """
    kinds = tuple(_IN_WINDOWS)
    rows = [inputs, *(_without(model, inputs, kind) for kind in kinds)]
    together = Inputs(
        windows=np.concatenate([row.windows for row in rows]), context=np.concatenate([row.context for row in rows])
    )
    mean = predict(together).mean_mg_dl
    return Explanation(contributions={kind: mean[0] - mean[1 + place] for place, kind in enumerate(kinds)})


def reliance(
    model: Model, inputs: Inputs, observed_mg_dl: FloatArray, rng: np.random.Generator
) -> dict[str, tuple[float, ...]]:
    """By kind of knowledge: how much the RMSE at `EXPLAINED_MIN` grows when it is shuffled between rows [mg/dL]."""
    seen = observed_mg_dl[:, _PLACES]
    whole = _rmse(seen, model.predict(inputs).mean_mg_dl[:, _PLACES])
    found = {}
    for kind in _IN_WINDOWS:
        order = rng.permutation(len(inputs))
        windows, context = inputs.windows.copy(), inputs.context.copy()
        for name in _IN_WINDOWS[kind]:
            windows[..., column(name)] = windows[order][..., column(name)]
        for name in _context_of(kind):
            context[:, context_column(name)] = context[order, context_column(name)]
        shuffled = model.predict(Inputs(windows=windows, context=context)).mean_mg_dl[:, _PLACES]
        found[kind] = tuple((_rmse(seen, shuffled) - whole).tolist())
    return found


def _rmse(seen: FloatArray, said: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.nanmean((seen - said) ** 2, axis=0)))


def _context_of(kind: str) -> tuple[str, ...]:
    return _TREND if kind == "trend" else GROUPS[kind]


def _without(model: Model, inputs: Inputs, kind: str) -> Inputs:
    windows, context = inputs.windows.copy(), inputs.context.copy()
    for name in _IN_WINDOWS[kind]:
        at_rest = kind in ("trend", "meals", "insulin", "activity") and name != "basal_rate"
        windows[..., column(name)] = 0.0 if at_rest else model.window_scaling.mean[column(name)]
    for name in _context_of(kind):
        at_rest = kind == "trend" or name.startswith(_NOTHING)
        context[:, context_column(name)] = 0.0 if at_rest else model.context_scaling.mean[context_column(name)]
    return Inputs(windows=windows, context=context)


_NOTHING = tuple(
    f"{kind}_{what}" for kind in ("bolus", "carbs") for what in ("15", "30", "60", "120", "180", "360", "on_", "used_")
)
