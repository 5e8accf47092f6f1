"""How the forecasts have done for a person over the last days, whether they drift, and what to do about it.

Every forecast is made again as it would have been made then, from what was known then, and held against the readings
that followed. Nothing of it is stored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from zoneinfo import ZoneInfo

import numpy as np

from twin_core.domain.access import Viewer
from twin_core.domain.forecasts import QUANTILE_LEVELS
from twin_core.domain.history import FloatArray, instant_of
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.metrics import forecast_scores
from twin_core.metrics.drift import cumulative_sums
from twin_core.services.frozen_forecasts import (
    FORECAST_BEFORE_MIN,
    Scored,
    ScoredHorizon,
    WatchedHorizon,
    scored,
    watched_horizons,
)
from twin_core.services.kept import Kept
from twin_core.services.live import Live
from twin_core.services.personal_forecaster import PersonalForecasters
from twin_core.services.records import Records

WATCH_DAYS = 14.0
DRIFT_HORIZON_MIN = 60.0
LEAST_OF_A_DAY = 24
"""Scored forecasts without which a day has no figures: six hours of them."""
LEAST_DAYS = 5
"""Days with figures without which nothing is said of drift."""
_REFRESH_MIN = 360.0
_KEPT = 8


class DailyNorm(StrEnum):
    """A daily figure that is watched for drift."""

    ERROR_RATIO = "error_ratio"
    COVERAGE = "coverage"
    BIAS = "bias"


NORMS: Mapping[DailyNorm, tuple[float, float]] = {
    DailyNorm.ERROR_RATIO: (0.84, 0.15),
    DailyNorm.COVERAGE: (0.90, 0.07),
    DailyNorm.BIAS: (0.0, 8.3),
}
"""Mean and SD, from day to day, of the error over that of no change, the coverage of the 90 % interval, and the bias
[mg/dL], all 60 min ahead: over 134 held-out days of eleven people they were 0.84 +- 0.15, 0.90 +- 0.07 and
0.6 +- 8.3. `python -m validation forecast_drift` measures them again."""


class DriftAction(StrEnum):
    """What to do about a forecaster that has drifted, from the lightest to the heaviest."""

    UNKNOWN = "unknown"
    NONE = "none"
    RECALIBRATE = "recalibrate"
    """Widen or narrow the intervals; the middle stays."""
    REFIT = "refit"
    """Learn what this person does otherwise than the population."""
    RETRAIN = "retrain"
    """Train the population's forecaster anew."""


@dataclass(frozen=True, kw_only=True)
class WatchedDay:
    """One local day, 60 min ahead; None where too little could be scored.

    Attributes
    ----------
    skill
        Share of the error of no change that is gone; below 0 the forecast is worse than none.
    """

    day: date
    count: int
    skill: float | None = None
    inside_90: float | None = None
    bias_mg_dl: float | None = None


@dataclass(frozen=True, kw_only=True)
class DriftState:
    """Whether the forecasts have moved away from what they were, and what to do.

    Attributes
    ----------
    reasons
        The findings behind the action, as sentences; empty without one.
    """

    action: DriftAction
    sentence: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ForecastWatch:
    """What `/model` shows of a person's last days.

    Attributes
    ----------
    until_min
        The end of the last day looked at; refreshed every 6 h of the person's time.
    horizons
        Empty when nothing could be scored.
    expected_pit
        What `WatchedHorizon.pit` is when the forecast is calibrated.
    """

    model_version: str
    until_min: float
    days: tuple[WatchedDay, ...]
    horizons: tuple[WatchedHorizon, ...]
    expected_pit: tuple[float, ...]
    sampling_min: float | None
    drift: DriftState


class ForecastWatches:
    """How the forecasts do for every person."""

    def __init__(self, records: Records, live: Live, forecasters: PersonalForecasters) -> None:
        self._records = records
        self._live = live
        self._forecasters = forecasters
        self._made = Kept[ForecastWatch](_KEPT)

    def of(self, viewer: Viewer, person_id: str) -> ForecastWatch:
        """The last 14 days up to the person's last whole 6 h."""
        now_min = self._live.now_min(viewer, person_id)
        until_min = now_min - now_min % _REFRESH_MIN
        version = self._records.version(viewer, person_id), self._forecasters.version(viewer, person_id)
        key = f"{person_id}:{until_min:.0f}:{version}"
        return self._made.of(key, lambda: self._build(viewer, person_id, until_min))

    def _build(self, viewer: Viewer, person_id: str, until_min: float) -> ForecastWatch:
        start_min = until_min - WATCH_DAYS * MINUTES_PER_DAY
        history = self._records.history(viewer, person_id, start_min - FORECAST_BEFORE_MIN, until_min)
        forecaster = self._forecasters.current(viewer, person_id)
        rows = scored(forecaster, history, start_min=start_min, end_min=until_min)
        zone = ZoneInfo(self._records.person(viewer, person_id).time_zone)
        days = watched_days(rows, zone)
        return ForecastWatch(
            model_version=forecaster.model_version,
            until_min=until_min,
            days=days,
            horizons=watched_horizons(rows),
            expected_pit=tuple(forecast_scores.expected_pit_shares(QUANTILE_LEVELS)),
            sampling_min=history.sampling_min,
            drift=drift_of(days),
        )


def watched_days(rows: Scored, zone: ZoneInfo) -> tuple[WatchedDay, ...]:
    """Every local day in which a forecast could be scored, oldest first."""
    own = rows.at(DRIFT_HORIZON_MIN)
    days = np.array([instant_of(float(origin)).astimezone(zone).date() for origin in own.origins_min], dtype=object)
    return tuple(_watched_day(day, own.where(days == day)) for day in sorted(set(days)))


def drift_of(days: Sequence[WatchedDay]) -> DriftState:
    """Whether the daily figures have moved away from their norms, by cumulative sums, and the heaviest action due."""
    known = [day for day in days if day.skill is not None]
    if len(known) < LEAST_DAYS:
        sentence = f"{len(known)} whole days are too few to tell drift; {LEAST_DAYS} are needed."
        return DriftState(action=DriftAction.UNKNOWN, sentence=sentence)
    findings = _findings(known)
    if not findings:
        sentence = f"Over {len(known)} days the forecasts did as they do on data they were not trained on."
        return DriftState(action=DriftAction.NONE, sentence=sentence)
    order = list(DriftAction)
    action = max((action for action, _ in findings), key=order.index)
    return DriftState(action=action, sentence=_PROPOSALS[action], reasons=tuple(reason for _, reason in findings))


_PROPOSALS = {
    DriftAction.RECALIBRATE: "The intervals should be recalibrated: the middle of the forecast is still right.",
    DriftAction.REFIT: "The forecaster should be refitted to this person: it misses in one way, day after day.",
    DriftAction.RETRAIN: "The forecaster should be trained anew: it is no better than saying that nothing changes.",
}


def _findings(days: Sequence[WatchedDay]) -> list[tuple[DriftAction, str]]:
    ratio = np.array([np.nan if day.skill is None else 1.0 - day.skill for day in days])
    coverage = np.array([np.nan if day.inside_90 is None else day.inside_90 for day in days])
    bias = np.array([np.nan if day.bias_mg_dl is None else day.bias_mg_dl for day in days])
    errors, held, off = (
        cumulative_sums(values, *NORMS[norm])
        for norm, values in (
            (DailyNorm.ERROR_RATIO, ratio),
            (DailyNorm.COVERAGE, coverage),
            (DailyNorm.BIAS, bias),
        )
    )
    useless = float(np.nanmean(ratio)) >= 1.0
    findings = (
        (errors.moved_up and useless, DriftAction.RETRAIN, _error_sentence(ratio)),
        (errors.moved_up and not useless, DriftAction.REFIT, _error_sentence(ratio)),
        (off.moved_up, DriftAction.REFIT, _bias_sentence(bias, "high")),
        (off.moved_down, DriftAction.REFIT, _bias_sentence(bias, "low")),
        (held.moved_down, DriftAction.RECALIBRATE, _coverage_sentence(coverage, "too narrow")),
        (held.moved_up, DriftAction.RECALIBRATE, _coverage_sentence(coverage, "too wide")),
    )
    return [(action, reason) for holds, action, reason in findings if holds]


def _error_sentence(ratio: FloatArray) -> str:
    return f"60 min ahead the error is {100.0 * np.nanmean(ratio):.0f} % of that of no change, day by day"


def _bias_sentence(bias_mg_dl: FloatArray, side: str) -> str:
    return f"60 min ahead the forecast lies {abs(float(np.nanmean(bias_mg_dl))):.0f} mg/dL too {side}, day by day"


def _coverage_sentence(coverage: FloatArray, side: str) -> str:
    return f"the 90 % interval held {100.0 * np.nanmean(coverage):.0f} %, day by day: it is {side}"


def _watched_day(day: date, own: ScoredHorizon) -> WatchedDay:
    if own.origins_min.size < LEAST_OF_A_DAY:
        return WatchedDay(day=day, count=int(own.origins_min.size))
    error = forecast_scores.rmse(own.observed_mg_dl, own.median_mg_dl)
    skill = forecast_scores.skill(error, forecast_scores.rmse(own.observed_mg_dl, own.now_mg_dl))
    return WatchedDay(
        day=day,
        count=int(own.origins_min.size),
        skill=skill if np.isfinite(skill) else None,
        inside_90=forecast_scores.coverage(own.observed_mg_dl, *own.interval(90)),
        bias_mg_dl=forecast_scores.bias(own.observed_mg_dl, own.median_mg_dl),
    )
