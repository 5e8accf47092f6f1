"""A person's own forecaster: what was learned from their record, on trial before it is adopted, kept, and undone.

The shipped forecaster answers for everybody until something learned from a person's own days does better than it on
their last week, which the learning has not seen. Every version stays; going back makes an old one the newest again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from twin_core.domain.access import Purpose, Viewer
from twin_core.domain.errors import BiotwinError, UnknownName
from twin_core.domain.forecasts import Forecast, ForecastStatus
from twin_core.domain.history import FloatArray, History
from twin_core.domain.ports import ForecasterVersion, ResultCache, Store
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.forecast.explanation import Explanation
from twin_core.forecast.forecaster import Forecaster
from twin_core.forecast.personal import Personal, personalised
from twin_core.inference.data_hash import data_hash
from twin_core.services.frozen_forecasts import FORECAST_BEFORE_MIN
from twin_core.services.kept import Kept
from twin_core.services.live import Live
from twin_core.services.records import Records

LEARN_DAYS = 28.0
STAYS = "The forecaster in use stays."
HABITS_MIN = 14.0 * MINUTES_PER_DAY
"""A forecast reads the habits of so long."""
_FOLLOW_REFRESH_MIN = 60.0
_POPULATION, _PERSONAL = "population", "personal"
_KEPT = 16

Progress = Callable[[float, str], object]


@dataclass(frozen=True, kw_only=True)
class ForecasterRecord:
    """One version in the life of a person's forecaster; version 0 is the shipped one.

    Attributes
    ----------
    what
        What it is, for the screen.
    trial
        How it did on the week that it had not seen, as a sentence; empty for the shipped one.
    usable
        Whether it belongs to the weights that are shipped now.
    """

    version: int
    what: str
    trial: str
    created: datetime | None
    in_use: bool
    usable: bool = True


@dataclass(frozen=True, kw_only=True)
class LearnOutcome:
    """How learning ended; the sentence is for the screen."""

    adopted: bool
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Served:
    """A forecast and what it leans on; no explanation where it is withheld."""

    forecast: Forecast
    explanation: Explanation | None


class PersonalForecasters:
    """The forecaster of every person: the newest version kept for them, else the shipped one."""

    def __init__(self, store: Store, records: Records, live: Live, population: Forecaster, cache: ResultCache) -> None:
        self._store = store
        self._records = records
        self._live = live
        self._population = population
        self._cache = cache
        self._made = Kept[Forecaster](_KEPT)

    def current(self, viewer: Viewer, person_id: str) -> Forecaster:
        """The forecaster in use; the shipped one when a version was made for other weights."""
        kept = self._store.latest_forecaster(viewer, person_id)
        if kept is None or not self._changes(kept):
            return self._population
        coefficients, name = kept.payload["coefficients"], f"person-{kept.version}"
        return self._made.of((person_id, kept.version), lambda: with_correction(self._population, coefficients, name))

    def forecast(self, viewer: Viewer, person_id: str, now_min: float) -> Forecast:
        """The one forecast of a person's present, by two weeks of habits; its intervals follow the person."""
        return self._forecast(viewer, person_id, now_min)[0]

    def served(self, viewer: Viewer, person_id: str, now_min: float) -> Served:
        """The same forecast and what it leans on."""
        forecast, forecaster, history = self._forecast(viewer, person_id, now_min)
        is_made = forecast.status is ForecastStatus.OK
        return Served(forecast=forecast, explanation=forecaster.explain(history, now_min) if is_made else None)

    def _forecast(self, viewer: Viewer, person_id: str, now_min: float) -> tuple[Forecast, Forecaster, History]:
        forecaster = self.current(viewer, person_id)
        history = self._records.history(viewer, person_id, now_min - HABITS_MIN, now_min + 1.0)
        follow = self._follow(viewer, person_id, forecaster, now_min)
        return forecaster.forecast(history, now_min, follow), forecaster, history

    def _follow(self, viewer: Viewer, person_id: str, forecaster: Forecaster, now_min: float) -> FloatArray:
        """How far to widen the intervals, looked back at once every hour of the person's time."""
        until_min = now_min - now_min % _FOLLOW_REFRESH_MIN
        key = f"follow:{person_id}:{until_min:.0f}:{forecaster.model_version}"
        kept = self._cache.get(key)
        if kept is None:
            history = self._records.history(viewer, person_id, until_min - FORECAST_BEFORE_MIN, until_min)
            kept = np.round(forecaster.interval_factors(history, until_min), 4).tolist()
            self._cache.set(key, kept, expire=86400.0)
        return np.array(kept)

    def version(self, viewer: Viewer, person_id: str) -> int:
        """The number of the version in use; 0 when nothing was ever kept."""
        kept = self._store.latest_forecaster(viewer, person_id)
        return 0 if kept is None else kept.version

    def versions(self, viewer: Viewer, person_id: str) -> tuple[ForecasterRecord, ...]:
        """Every version, newest first, the shipped one last."""
        kept = self._store.forecasters(viewer, person_id)
        own = tuple(self._record(each, in_use=each is kept[-1]) for each in reversed(kept))
        shipped = ForecasterRecord(version=0, what="as shipped", trial="", created=None, in_use=not kept)
        return (*own, shipped)

    def use(self, viewer: Viewer, person_id: str, version: int) -> ForecasterRecord:
        """Go back to an earlier version, or to the shipped one (0): it is kept once more, as the newest.

        Raises
        ------
        UnknownName
            The person has no such version, or it was made for other weights.
        """
        kept = {each.version: each for each in self._store.forecasters(viewer, person_id)}
        usable = [0, *(number for number, each in kept.items() if self._usable(each))]
        if version not in usable:
            raise UnknownName("version of this person's forecaster", str(version), map(str, usable))
        if version == max(kept, default=0):
            return self.versions(viewer, person_id)[0]
        payload = kept[version].payload if version else {"kind": _POPULATION}
        digest = kept[version].data_hash if version else ""
        asking = viewer.with_purpose(Purpose.CALIBRATION)
        return self._record(self._store.save_forecaster(asking, person_id, digest, payload), in_use=True)

    def learn(self, viewer: Viewer, person_id: str, progress: Progress) -> LearnOutcome:
        """Learn from the person's last weeks; adopted only if it beats the shipped forecaster on the last one."""
        try:
            return self._learn(viewer.with_purpose(Purpose.CALIBRATION), person_id, progress)
        except (BiotwinError, ArithmeticError, ValueError) as error:
            return LearnOutcome(adopted=False, sentence=f"Learning failed: {error} {STAYS}")

    def _learn(self, viewer: Viewer, person_id: str, progress: Progress) -> LearnOutcome:
        progress(0.0, "Reading the last weeks.")
        now_min = float(int(self._live.now_min(viewer, person_id)))
        history = self._records.history(viewer, person_id, now_min - LEARN_DAYS * MINUTES_PER_DAY - HABITS_MIN, now_min)
        trial = personalised(self._population.model, history, now_min, progress)
        progress(1.0, "Done.")
        if not trial.adopted:
            return LearnOutcome(adopted=False, sentence=f"{trial.sentence} {STAYS}")
        payload = {
            "kind": _PERSONAL,
            "base": self._population.model_version,
            "coefficients": np.round(trial.personal.coefficients, 5).tolist(),
            "trial": trial.sentence,
        }
        digest = data_hash(history.cgm_time_min, history.cgm_mg_dl, history.therapy, body_weight_kg=None)
        kept = self._store.save_forecaster(viewer, person_id, digest, payload)
        return LearnOutcome(adopted=True, sentence=f"{trial.sentence} Version {kept.version} is now in use.")

    def _usable(self, kept: ForecasterVersion) -> bool:
        return kept.payload["kind"] == _POPULATION or self._changes(kept)

    def _changes(self, kept: ForecasterVersion) -> bool:
        """Whether a version changes the weights that are shipped now."""
        return bool(kept.payload["kind"] == _PERSONAL and kept.payload["base"] == self._population.model_version)

    def _record(self, kept: ForecasterVersion, *, in_use: bool) -> ForecasterRecord:
        own = kept.payload["kind"] == _PERSONAL
        return ForecasterRecord(
            version=kept.version,
            what="this person's own correction" if own else "as shipped, again",
            trial=kept.payload["trial"] if own else "",
            created=kept.created,
            in_use=in_use,
            usable=self._usable(kept),
        )


def with_correction(population: Forecaster, coefficients: Any, name: str) -> Forecaster:
    """The forecaster with a person's own correction, coefficients of `forecast.personal.Personal`."""
    personal = Personal(coefficients=np.asarray(coefficients, dtype=np.float64))
    return replace(population, personal=personal, label=f"+{name}")
