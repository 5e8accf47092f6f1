"""Today: the one forecast of a person's present, and what is known beside it."""

from dataclasses import dataclass

import numpy as np

from twin_core.domain.access import Viewer
from twin_core.domain.forecasts import Forecast
from twin_core.domain.history import FloatArray, History, Therapy
from twin_core.domain.people import Person
from twin_core.domain.ports import ResultCache
from twin_core.forecast.explanation import EXPLAINED_MIN, Explanation
from twin_core.forecast.features import carbs_remaining, insulin_remaining
from twin_core.services.frozen_forecasts import FORECAST_BEFORE_MIN
from twin_core.services.kept import Kept
from twin_core.services.live import Live
from twin_core.services.personal_forecaster import PersonalForecasters
from twin_core.services.records import Records
from twin_core.services.twins import Twins

__all__ = ["EXPLAINED_MIN", "BandCoverage", "Explanation", "Today", "TodayViews"]

LOOK_BACK_MIN = 1800.0
"""What the page and the insulin curve see of the past: 30 h."""
COVERAGE_DAYS = 14.0
COVERAGE_HORIZON_MIN = 60.0
LEAST_COVERAGE_COUNT = 50
_COVERAGE_REFRESH_MIN = 360.0
_TREND_MIN = 15.0
_KEPT = 64


@dataclass(frozen=True, kw_only=True)
class BandCoverage:
    """How often the intervals held for this person, 60 min ahead, over the last days."""

    days: float
    count: int
    share_50: float
    share_90: float


@dataclass(frozen=True, kw_only=True)
class Today:
    """What `/today` shows. Number, curve, sentence and alert all come from `forecast`.

    Attributes
    ----------
    token
        Changes whenever anything shown changes; what the browser asks for.
    explanation
        What the forecast leans on; None when it is withheld.
    insulin
        `(time_min, plasma_insulin_pmol_l)` of the twin over the last 6 h and the next 4 h.
    speed
        How fast the person is played back; None when they are not.
    """

    person: Person
    token: str
    now_min: float
    history: History
    forecast: Forecast
    explanation: Explanation | None
    coverage: BandCoverage | None
    insulin: tuple[FloatArray, FloatArray]
    iob_u: float
    cob_g: float
    last_mg_dl: float | None
    age_min: float
    trend_mg_dl_min: float | None
    speed: float | None


class TodayViews:
    """Builds `Today` once for each state of a person, whoever asks."""

    def __init__(
        self, records: Records, live: Live, twins: Twins, forecasters: PersonalForecasters, cache: ResultCache
    ) -> None:
        self._records = records
        self._live = live
        self._twins = twins
        self._forecasters = forecasters
        self._cache = cache
        self._made = Kept[Today](_KEPT)

    def token(self, viewer: Viewer, person_id: str) -> str:
        """What the browser compares: the record's version, the minute, the models in use, the playback."""
        minute = int(self._live.now_min(viewer, person_id))
        twin = self._twins.version(viewer, person_id)
        forecaster = self._forecasters.version(viewer, person_id)
        speed = self._live.speed(person_id)
        return f"{person_id}:{self._records.version(viewer, person_id)}:{minute}:{twin}:{forecaster}:{speed}"

    def of(self, viewer: Viewer, person_id: str) -> Today:
        """The person's present."""
        token = self.token(viewer, person_id)
        return self._made.of(token, lambda: self._build(viewer, person_id, token))

    def _build(self, viewer: Viewer, person_id: str, token: str) -> Today:
        now_min = float(int(self._live.now_min(viewer, person_id)))
        history = self._records.history(viewer, person_id, now_min - LOOK_BACK_MIN, now_min + 1.0)
        last, age_min, trend = latest(history, now_min)
        served = self._forecasters.served(viewer, person_id, now_min)
        return Today(
            person=self._records.person(viewer, person_id),
            token=token,
            now_min=now_min,
            history=history,
            forecast=served.forecast,
            explanation=served.explanation,
            coverage=self._coverage(viewer, person_id, now_min),
            insulin=self._twins.plasma_insulin(viewer, person_id, history.therapy, now_min),
            iob_u=insulin_on_board(history.therapy, now_min),
            cob_g=carbs_on_board(history.therapy, now_min),
            last_mg_dl=last,
            age_min=age_min,
            trend_mg_dl_min=trend,
            speed=self._live.speed(person_id),
        )

    def _coverage(self, viewer: Viewer, person_id: str, now_min: float) -> BandCoverage | None:
        """Looked back once every 6 h of the person's time: it costs as much as a thousand forecasts."""
        until_min = now_min - now_min % _COVERAGE_REFRESH_MIN
        version = self._forecasters.current(viewer, person_id).model_version
        key = f"coverage:{person_id}:{until_min:.0f}:{version}"
        kept = self._cache.get(key)
        if kept is None:
            kept = self._look_back(viewer, person_id, until_min)
            self._cache.set(key, kept, expire=7 * 86400.0)
        return BandCoverage(**kept) if kept else None

    def _look_back(self, viewer: Viewer, person_id: str, until_min: float) -> dict[str, float]:
        start_min = until_min - COVERAGE_DAYS * 1440.0 - FORECAST_BEFORE_MIN
        history = self._records.history(viewer, person_id, start_min, until_min)
        forecaster = self._forecasters.current(viewer, person_id)
        found = forecaster.coverage(history, until_min, COVERAGE_DAYS).at(COVERAGE_HORIZON_MIN)
        if found.count < LEAST_COVERAGE_COUNT or found.inside_50 is None or found.inside_90 is None:
            return {}
        seen_days = min(COVERAGE_DAYS, (until_min - float(history.cgm_time_min[0])) / 1440.0)
        return {
            "days": seen_days,
            "count": found.count,
            "share_50": found.inside_50,
            "share_90": found.inside_90,
        }


def latest(history: History, now_min: float) -> tuple[float | None, float, float | None]:
    """The last reading [mg/dL], its age [min], and its rate of change over about 15 min [mg/dL/min]."""
    seen = history.cgm_time_min <= now_min
    times, values = history.cgm_time_min[seen], history.cgm_mg_dl[seen]
    if times.size == 0:
        return None, float("inf"), None
    recent = times >= times[-1] - _TREND_MIN - 1.0
    span_min = float(times[-1] - times[recent][0])
    trend = float(values[-1] - values[recent][0]) / span_min if span_min >= 4.0 else None
    return float(values[-1]), float(now_min - times[-1]), trend


def insulin_on_board(therapy: Therapy, now_min: float) -> float:
    """Bolus insulin yet to act [U], by the exponential curve of `forecast.features`."""
    doses = [(now_min - bolus.time_min, bolus.dose_u) for bolus in therapy.boluses if bolus.time_min <= now_min]
    return float(sum(dose * float(insulin_remaining(np.array(elapsed))) for elapsed, dose in doses))


def carbs_on_board(therapy: Therapy, now_min: float) -> float:
    """Carbohydrate yet to be absorbed [g], by the triangular curve of `forecast.features`."""
    meals = [(now_min - meal.time_min, meal.carbs_g) for meal in therapy.meals if meal.time_min <= now_min]
    return float(sum(carbs * float(carbs_remaining(np.array(elapsed))) for elapsed, carbs in meals))
