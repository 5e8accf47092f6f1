"""The mechanistic twin of a person: which one is in use, how it is fitted, and what it says of insulin."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from twin_core.domain.access import Purpose, Viewer
from twin_core.domain.errors import BiotwinError, DamagedArtifact, UnknownName
from twin_core.domain.history import FloatArray, Therapy
from twin_core.domain.ports import ResultCache, Store, TwinVersion
from twin_core.inference.data_hash import data_hash
from twin_core.inference.map_fit import TooLittleData, fit_twin, mean_basal_u_h
from twin_core.inference.state import as_batch, therapy_between, with_unrecorded_doses
from twin_core.inference.twin import FitMetrics, FittedTwin, TwinKind, population_twin
from twin_core.services.live import Live
from twin_core.services.records import Records
from twin_core.solve.rk4 import integrate_batch
from twin_core.solve.schedule import schedule_of

FIT_DAYS = 3.0
STAYS = "The last twin stays in place."
_RESTORES = "restores_version"
"""Key of a payload that was brought back: which version it repeats."""
_BEFORE_FIT_MIN = 2880.0
_INSULIN_PAST_MIN, _INSULIN_AHEAD_MIN, _INSULIN_WARM_UP_MIN = 360.0, 240.0, 720.0


@dataclass(frozen=True, kw_only=True)
class TwinSummary:
    """What a page says of the twin in use."""

    title: str
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TwinRecord:
    """One version of a twin in its life cycle.

    Attributes
    ----------
    created
        When it came into use, UTC.
    data_hash
        SHA-256 of the readings, events and weight that it was fitted to.
    model
        The name of its structure.
    window_min
        Begin and end of the readings used [min since 1970 UTC].
    restores
        The earlier version that this one brought back; None for a fit.
    """

    version: int
    created: datetime
    data_hash: str
    model: str
    window_min: tuple[float, float] | None
    metrics: FitMetrics | None
    in_use: bool
    restores: int | None = None


@dataclass(frozen=True, kw_only=True)
class FitOutcome:
    """How a fit ended; the sentence is for the screen."""

    fitted: bool
    sentence: str


class Twins:
    """The twins of all people: the newest fitted version, else the population's."""

    def __init__(self, store: Store, records: Records, live: Live, cache: ResultCache) -> None:
        self._store = store
        self._records = records
        self._live = live
        self._cache = cache

    def version(self, viewer: Viewer, person_id: str) -> int:
        """The number of the twin in use; 0 is the population's."""
        kept = self._store.latest_twin(viewer, person_id)
        return 0 if kept is None else kept.version

    def current(self, viewer: Viewer, person_id: str) -> FittedTwin:
        """The twin in use: the newest fitted one, else the population's with the person's own basal insulin."""
        kept = self._store.latest_twin(viewer, person_id)
        if kept is not None:
            return FittedTwin.from_payload(kept.payload)
        now_min = self._live.now_min(viewer, person_id)
        history = self._records.history(viewer, person_id, now_min - _BEFORE_FIT_MIN, now_min)
        basal_u_h = mean_basal_u_h(
            with_unrecorded_doses(history.therapy, now_min), start_min=now_min - 1440.0, end_min=now_min
        )
        weight_kg = self._records.person(viewer, person_id).body_weight_kg
        return population_twin(body_weight_kg=weight_kg, basal_u_h=basal_u_h or None)

    def summary(self, viewer: Viewer, person_id: str) -> TwinSummary:
        """What a page says of the twin in use."""
        twin = self.current(viewer, person_id)
        if twin.kind is TwinKind.POPULATION or twin.metrics is None:
            return TwinSummary(title="The population's twin is in use: nothing is fitted yet.", notes=twin.notes)
        fit = twin.metrics
        title = (
            f"Twin version {self._called(viewer, person_id)}, fitted to {fit.n_readings:,} readings. Its curve misses "
            f"them by {fit.rmse_mg_dl:.0f} mg/dL (RMSE); its 90 % interval holds {fit.coverage_90_percent:.0f} % of "
            "them. A good fit alone does not prove a good what-if."
        )
        return TwinSummary(title=title, notes=twin.notes)

    def _called(self, viewer: Viewer, person_id: str) -> str:
        kept = self._store.latest_twin(viewer, person_id)
        if kept is None:
            return "0"
        restored = kept.payload.get(_RESTORES)
        return str(kept.version) if restored is None else f"{kept.version} (version {restored} again)"

    def versions(self, viewer: Viewer, person_id: str) -> tuple[TwinRecord, ...]:
        """Every version that was ever in use, newest first; the first is in use now."""
        kept = self._store.twins(viewer, person_id)
        return tuple(_record(each, in_use=each is kept[-1]) for each in reversed(kept))

    def use(self, viewer: Viewer, person_id: str, version: int) -> TwinRecord:
        """Go back to an earlier version: it is kept once more, as the newest, and nothing is lost.

        Raises
        ------
        UnknownName
            The person has no such version.
        DamagedArtifact
            That version cannot be used any more, such as one written for other parameters.
        """
        kept = {each.version: each for each in self._store.twins(viewer, person_id)}
        if version not in kept:
            raise UnknownName("version of this person's twin", str(version), map(str, kept))
        wanted = kept[version]
        if wanted.version == max(kept):
            return _record(wanted, in_use=True)
        FittedTwin.from_payload(wanted.payload)
        payload = {**wanted.payload, _RESTORES: wanted.payload.get(_RESTORES, version)}
        asking = viewer.with_purpose(Purpose.CALIBRATION)
        return _record(self._store.save_twin(asking, person_id, wanted.data_hash, payload), in_use=True)

    def fit(
        self,
        viewer: Viewer,
        person_id: str,
        progress: Callable[[float, str], object],
        *,
        days: float = FIT_DAYS,
    ) -> FitOutcome:
        """Fit the twin to the person's last days; only a success replaces the twin in use."""
        asking = viewer.with_purpose(Purpose.CALIBRATION)
        try:
            return self._fit(asking, person_id, progress, days)
        except (BiotwinError, ArithmeticError, ValueError) as error:
            return FitOutcome(fitted=False, sentence=f"The fit failed: {error} {STAYS}")

    def _fit(self, viewer: Viewer, person_id: str, progress: Callable[[float, str], object], days: float) -> FitOutcome:
        progress(0.0, "Reading the last days.")
        now_min = float(int(self._live.now_min(viewer, person_id)))
        start_min = now_min - days * 1440.0 - _BEFORE_FIT_MIN
        history = self._records.history(viewer, person_id, start_min, now_min + 1.0)
        weight_kg = self._records.person(viewer, person_id).body_weight_kg
        key = data_hash(history.cgm_time_min, history.cgm_mg_dl, history.therapy, body_weight_kg=weight_kg)
        kept = self._cache.get(f"twin:{days:g}:{key}")
        if kept is not None:
            twin: FittedTwin | TooLittleData = FittedTwin.from_payload(kept)
        else:
            twin = fit_twin(history, now_min=now_min, days=days, body_weight_kg=weight_kg, progress=progress)
        if isinstance(twin, TooLittleData):
            return FitOutcome(fitted=False, sentence=f"{twin.sentence} {STAYS}")
        payload = twin.to_payload()
        latest = self._store.latest_twin(viewer, person_id)
        if latest is not None and _without_origin(latest.payload) == payload:
            return FitOutcome(fitted=True, sentence=f"Nothing is new since version {latest.version}; it stays in use.")
        self._cache.set(f"twin:{days:g}:{key}", payload)
        version = self._store.save_twin(viewer, person_id, twin.data_hash, payload)
        return FitOutcome(fitted=True, sentence=f"Fitted: version {version.version} is now in use.")

    def plasma_insulin(
        self, viewer: Viewer, person_id: str, therapy: Therapy, now_min: float
    ) -> tuple[FloatArray, FloatArray]:
        """`(time_min, plasma_insulin_pmol_l)` every 5 min over the last 6 h and the next 4 h.

        Insulin does not depend on glucose in this model, so that the curve needs no reading. The rate in force runs
        on, and a daily long-acting injection is taken to be given as before.
        """
        start_min = now_min - _INSULIN_PAST_MIN - _INSULIN_WARM_UP_MIN
        end_min = now_min + _INSULIN_AHEAD_MIN
        acting = replace(with_unrecorded_doses(therapy, end_min), meals=())
        schedule = schedule_of(therapy_between(acting, start_min, end_min), start_min=start_min, end_min=end_min)
        twin = self.current(viewer, person_id)
        solution = integrate_batch(twin.structure.model, as_batch(twin.parameters), schedule, every_min=5.0)
        shown = solution.times_min >= now_min - _INSULIN_PAST_MIN
        return solution.times_min[shown], np.asarray(solution.output("plasma_insulin_pmol_l")[0][shown])


def _without_origin(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name != _RESTORES}


def _record(kept: TwinVersion, *, in_use: bool) -> TwinRecord:
    """What a list says of a version; one that cannot be read any more is listed without its figures."""
    try:
        twin = FittedTwin.from_payload(kept.payload)
    except DamagedArtifact:
        twin = None
    return TwinRecord(
        version=kept.version,
        created=kept.created,
        data_hash=kept.data_hash,
        model=str(kept.payload.get("model", "")),
        window_min=None if twin is None else twin.window_min,
        metrics=None if twin is None else twin.metrics,
        in_use=in_use,
        restores=kept.payload.get(_RESTORES),
    )
