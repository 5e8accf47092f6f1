"""The mechanistic twin of a person: which one is in use, how it is fitted, and what it says of insulin."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from twin_core.domain.access import Purpose, Viewer
from twin_core.domain.errors import BiotwinError
from twin_core.domain.history import FloatArray, Therapy
from twin_core.domain.ports import ResultCache, Store
from twin_core.inference.data_hash import data_hash
from twin_core.inference.map_fit import TooLittleData, fit_twin, mean_basal_u_h
from twin_core.inference.state import as_batch, therapy_between, with_unrecorded_doses
from twin_core.inference.twin import FittedTwin, TwinKind, population_twin
from twin_core.models.glucose.dalla_man_2014 import MODEL
from twin_core.services.live import Live
from twin_core.services.records import Records
from twin_core.solve.rk4 import integrate_batch
from twin_core.solve.schedule import schedule_of

FIT_DAYS = 3.0
STAYS = "The last twin stays in place."
_BEFORE_FIT_MIN = 2880.0
_INSULIN_PAST_MIN, _INSULIN_AHEAD_MIN, _INSULIN_WARM_UP_MIN = 360.0, 240.0, 720.0


@dataclass(frozen=True, kw_only=True)
class TwinSummary:
    """What a page says of the twin in use."""

    title: str
    notes: tuple[str, ...]


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
            f"Twin version {self.version(viewer, person_id)}, fitted to {fit.n_readings:,} readings. Its curve misses "
            f"them by {fit.rmse_mg_dl:.0f} mg/dL (RMSE); its 90 % interval holds {fit.coverage_90_percent:.0f} % of "
            "them. A good fit alone does not prove a good what-if."
        )
        return TwinSummary(title=title, notes=twin.notes)

    def fit(self, viewer: Viewer, person_id: str, progress: Callable[[float, str], object]) -> FitOutcome:
        """Fit the twin to the person's last days; only a success replaces the twin in use."""
        asking = viewer.with_purpose(Purpose.CALIBRATION)
        try:
            return self._fit(asking, person_id, progress)
        except (BiotwinError, ArithmeticError, ValueError) as error:
            return FitOutcome(fitted=False, sentence=f"The fit failed: {error} {STAYS}")

    def _fit(self, viewer: Viewer, person_id: str, progress: Callable[[float, str], object]) -> FitOutcome:
        progress(0.0, "Reading the last days.")
        now_min = float(int(self._live.now_min(viewer, person_id)))
        start_min = now_min - FIT_DAYS * 1440.0 - _BEFORE_FIT_MIN
        history = self._records.history(viewer, person_id, start_min, now_min + 1.0)
        weight_kg = self._records.person(viewer, person_id).body_weight_kg
        key = data_hash(history.cgm_time_min, history.cgm_mg_dl, history.therapy, body_weight_kg=weight_kg)
        kept = self._cache.get(f"twin:{key}")
        if kept is not None:
            twin: FittedTwin | TooLittleData = FittedTwin.from_payload(kept)
        else:
            twin = fit_twin(history, now_min=now_min, days=FIT_DAYS, body_weight_kg=weight_kg, progress=progress)
        if isinstance(twin, TooLittleData):
            return FitOutcome(fitted=False, sentence=f"{twin.sentence} {STAYS}")
        payload = twin.to_payload()
        latest = self._store.latest_twin(viewer, person_id)
        if latest is not None and latest.payload == payload:
            return FitOutcome(fitted=True, sentence=f"Nothing is new since version {latest.version}; it stays in use.")
        self._cache.set(f"twin:{key}", payload)
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
        parameters = as_batch(self.current(viewer, person_id).parameters)
        solution = integrate_batch(MODEL, parameters, schedule, every_min=5.0)
        shown = solution.times_min >= now_min - _INSULIN_PAST_MIN
        return solution.times_min[shown], np.asarray(solution.output("plasma_insulin_pmol_l")[0][shown])
