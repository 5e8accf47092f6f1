"""What the daily figures of the forecaster are while nothing has drifted, and whether drift is found when it is made.

The held-out last fifth of each record, watched day by day with the shipped weights: first as it is, then with the
sensor reading a share too high or too low in what followed, and with bands made too narrow.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from twin_core.bootstrap import read_folder
from twin_core.domain.forecasts import QUANTILE_LEVELS
from twin_core.forecast.forecaster import Forecaster
from twin_core.forecast.targets import blocks
from twin_core.services.forecast_watch import (
    LEAST_DAYS,
    NORMS,
    DailyNorm,
    DriftAction,
    WatchedDay,
    drift_of,
    watched_days,
)
from twin_core.services.frozen_forecasts import Scored, scored
from validation.line import Line

ZONE = ZoneInfo("Europe/London")
WINDOW_DAYS = 14
SHIFT_MG_DL = 15.0
NARROWER = 0.5


def lines(data: Path) -> Iterator[Line]:
    """Mean and SD of the daily figures beside the norms; then the actions proposed, undisturbed and disturbed."""
    forecaster = Forecaster.load()
    people = []
    for history in read_folder(data).histories.values():
        test = blocks(history).test
        if test.size:
            people.append(scored(forecaster, history, start_min=float(test[0]), end_min=float(test[-1])))
    days = [watched_days(rows, ZONE) for rows in people]
    figures = np.array([each for own in days for each in map(_figures, own) if each is not None])
    for norm, values in zip(DailyNorm, figures.T, strict=True):
        mean, sd = NORMS[norm]
        seen = f"{values.mean():.3f} +- {values.std():.3f}"
        yield Line(what=f"{norm.value}, {len(values)} days", seen=seen, target=f"{mean:g} +- {sd:g}")
    yield _proposed("undisturbed", days, DriftAction.NONE, 0.75)
    narrow = [watched_days(_narrower(rows), ZONE) for rows in people]
    yield _proposed("bands half as wide", narrow, DriftAction.RECALIBRATE, 0.75)
    shifted = [watched_days(_shifted(rows), ZONE) for rows in people]
    yield _proposed(f"forecast {SHIFT_MG_DL:g} mg/dL too high", shifted, DriftAction.REFIT, 0.75)


def _figures(day: WatchedDay) -> tuple[float, float, float] | None:
    if day.skill is None or day.inside_90 is None or day.bias_mg_dl is None:
        return None
    return 1.0 - day.skill, day.inside_90, day.bias_mg_dl


def _proposed(what: str, people: list[tuple[WatchedDay, ...]], right: DriftAction, least: float) -> Line:
    """How many people's last 14 days get the right action or a heavier one, of those with enough days."""
    found = [drift_of(own[-WINDOW_DAYS:]).action for own in people if len(own) >= LEAST_DAYS]
    told = [action for action in found if action is not DriftAction.UNKNOWN]
    order = list(DriftAction)
    fitting = order[order.index(right) :] if right is not DriftAction.NONE else [right]
    share = sum(action in fitting for action in told) / len(told)
    seen = ", ".join(f"{told.count(action)} {action.value}" for action in DriftAction if action in told)
    return Line(what=f"{what}: {right.value}", seen=seen, target=f">= {100 * least:.0f} %", holds=share >= least)


def _narrower(rows: Scored) -> Scored:
    middle = rows.quantiles_mg_dl[..., [QUANTILE_LEVELS.index(0.50)]]
    return replace(rows, quantiles_mg_dl=middle + NARROWER * (rows.quantiles_mg_dl - middle))


def _shifted(rows: Scored) -> Scored:
    return replace(rows, quantiles_mg_dl=rows.quantiles_mg_dl + SHIFT_MG_DL)
