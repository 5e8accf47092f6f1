"""A person's own forecaster: what was learned from their record, on trial before it is adopted, kept, and undone.

The shipped forecaster answers for everybody until something learned from a person's own days does better than it on
their last week, which the learning has not seen. Every version stays; going back makes an old one the newest again.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.access import Purpose, Viewer
from twin_core.domain.errors import BiotwinError, UnknownName
from twin_core.domain.forecasts import QUANTILE_LEVELS
from twin_core.domain.history import FloatArray, History
from twin_core.domain.ports import ForecasterVersion, Store
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.forecast import conformal
from twin_core.forecast.forecaster import Forecaster
from twin_core.forecast.targets import EMBARGO_MIN
from twin_core.inference.data_hash import data_hash
from twin_core.metrics import forecast_scores
from twin_core.services.frozen_forecasts import WATCHED_HORIZONS_MIN, Scored, scored
from twin_core.services.live import Live
from twin_core.services.records import Records

TRIAL_DAYS = 7.0
LEARN_DAYS = 28.0
LEAST_LEARN_DAYS = 3.0
"""Of forecasts with readings; and the trial needs as many."""
LEAST_GAIN = 0.005
"""Share of the pinball loss that must be gone, or else may at most be added: less may be chance."""
LEAST_CLOSER = 0.01
"""By how much the intervals must come nearer to what they say, where the loss stays as it is."""
STAYS = "The forecaster in use stays."
_BEFORE_MIN = 14.0 * MINUTES_PER_DAY
_POPULATION, _INTERVALS = "population", "intervals"
_NOMINAL = 0.90
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


class Trial(NamedTuple):
    """How a forecaster did on a week: pinball loss and share in the 90 % interval, means of 30, 60 and 120 min."""

    loss_mg_dl: float
    inside_90: float


class PersonalForecasters:
    """The forecaster of every person: the newest version kept for them, else the shipped one."""

    def __init__(self, store: Store, records: Records, live: Live, population: Forecaster) -> None:
        self._store = store
        self._records = records
        self._live = live
        self._population = population
        self._lock = threading.Lock()
        self._made: dict[str, Forecaster] = {}

    def current(self, viewer: Viewer, person_id: str) -> Forecaster:
        """The forecaster in use; the shipped one when a version was made for other weights."""
        kept = self._store.latest_forecaster(viewer, person_id)
        if kept is None or not self._changes(kept):
            return self._population
        key = f"{person_id}:{kept.version}"
        made = self._made.get(key)
        if made is None:
            made = with_intervals(self._population, kept.payload["offsets_mg_dl"], f"person-{kept.version}")
            with self._lock:
                self._made[key] = made
                for old in list(self._made)[:-_KEPT]:
                    del self._made[old]
        return made

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
        trial_min, first_min = now_min - TRIAL_DAYS * MINUTES_PER_DAY, now_min - LEARN_DAYS * MINUTES_PER_DAY
        history = self._records.history(viewer, person_id, first_min - _BEFORE_MIN, now_min)
        progress(0.1, "Forecasting the weeks before the last.")
        known = until(history, trial_min)
        learning = scored(self._population, known, start_min=first_min, end_min=trial_min - EMBARGO_MIN)
        if _days_of(learning) < LEAST_LEARN_DAYS:
            return LearnOutcome(adopted=False, sentence=_too_little(_days_of(learning)))
        progress(0.5, "Learning how wide the intervals must be.")
        offsets = conformal.interval_offsets(learning.observed_mg_dl[_made(learning)], _quantiles(learning))
        candidate = with_intervals(self._population, offsets.tolist(), "on-trial")
        progress(0.6, "Trying both on the last week.")
        before = _trial_of(scored(self._population, history, start_min=trial_min, end_min=now_min))
        after = _trial_of(scored(candidate, history, start_min=trial_min, end_min=now_min))
        progress(1.0, "Done.")
        if not _better(after, before):
            return LearnOutcome(adopted=False, sentence=f"{_trial(before, after)}: not adopted. {STAYS}")
        payload = {
            "kind": _INTERVALS,
            "base": self._population.model_version,
            "offsets_mg_dl": np.round(offsets, 3).tolist(),
            "before": before._asdict(),
            "after": after._asdict(),
        }
        digest = data_hash(history.cgm_time_min, history.cgm_mg_dl, history.therapy, body_weight_kg=None)
        kept = self._store.save_forecaster(viewer, person_id, digest, payload)
        return LearnOutcome(adopted=True, sentence=f"{_trial(before, after)}: version {kept.version} is now in use.")

    def _usable(self, kept: ForecasterVersion) -> bool:
        return kept.payload["kind"] == _POPULATION or self._changes(kept)

    def _changes(self, kept: ForecasterVersion) -> bool:
        """Whether a version changes the weights that are shipped now."""
        return bool(kept.payload["kind"] == _INTERVALS and kept.payload["base"] == self._population.model_version)

    def _record(self, kept: ForecasterVersion, *, in_use: bool) -> ForecasterRecord:
        own = kept.payload["kind"] == _INTERVALS
        return ForecasterRecord(
            version=kept.version,
            what="this person's own intervals" if own else "as shipped, again",
            trial=_trial(*(Trial(**kept.payload[name]) for name in ("before", "after"))) if own else "",
            created=kept.created,
            in_use=in_use,
            usable=self._usable(kept),
        )


def with_intervals(population: Forecaster, offsets_mg_dl: Any, name: str) -> Forecaster:
    """The forecaster with each interval widened further, by offsets `(n_horizons, n_pairs)` [mg/dL]."""
    model = population.model
    widened = model.offsets_mg_dl + np.asarray(offsets_mg_dl, dtype=np.float64)
    return Forecaster.of(replace(model, offsets_mg_dl=widened, version=f"{model.version}+{name}"))


def until(history: History, end_min: float) -> History:
    """A history without the readings from a moment on, so that nothing can be learned from them."""
    known = history.cgm_time_min < end_min
    return replace(history, cgm_time_min=history.cgm_time_min[known], cgm_mg_dl=history.cgm_mg_dl[known])


def _made(rows: Scored) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(rows.quantiles_mg_dl).all(axis=(1, 2)))


def _quantiles(rows: Scored) -> FloatArray:
    return rows.quantiles_mg_dl[_made(rows)]


def _days_of(rows: Scored) -> float:
    """Time with a forecast [days]."""
    step = float(rows.origins_min[1] - rows.origins_min[0])
    return float(_made(rows).sum()) * step / MINUTES_PER_DAY


def _trial_of(rows: Scored) -> Trial:
    """NaN when one of the horizons cannot be scored."""
    each = [rows.at(horizon) for horizon in WATCHED_HORIZONS_MIN]
    losses = [forecast_scores.pinball(own.observed_mg_dl, own.quantiles_mg_dl, QUANTILE_LEVELS) for own in each]
    held = [forecast_scores.coverage(own.observed_mg_dl, *own.interval(90)) for own in each]
    return Trial(loss_mg_dl=float(np.mean(losses)), inside_90=float(np.mean(held)))


def _better(after: Trial, before: Trial) -> bool:
    """Whether the loss fell, or the intervals came nearer to what they say at the same loss."""
    if after.loss_mg_dl < (1.0 - LEAST_GAIN) * before.loss_mg_dl:
        return True
    closer = abs(before.inside_90 - _NOMINAL) - abs(after.inside_90 - _NOMINAL)
    return closer > LEAST_CLOSER and after.loss_mg_dl < (1.0 + LEAST_GAIN) * before.loss_mg_dl


def _trial(before: Trial, after: Trial) -> str:
    return (
        f"On a week that it had not seen its loss was {after.loss_mg_dl:.2f} and its 90 % interval held "
        f"{100 * after.inside_90:.0f} %; the shipped forecaster's were {before.loss_mg_dl:.2f} mg/dL and "
        f"{100 * before.inside_90:.0f} %"
    )


def _too_little(days: float) -> str:
    return (
        f"There are {days:.1f} days of forecasts before the last week; learning needs {LEAST_LEARN_DAYS:.0f}, and the "
        f"last week to try it. {STAYS}"
    )
