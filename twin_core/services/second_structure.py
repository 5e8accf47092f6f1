"""A person's twin in another published structure: how far an answer depends on the equations.

It is fitted to the days of the twin in use, on request, and kept beside it; until then it is the published average
with the person's weight and basal insulin. It is shown, never used for a forecast.
"""

from collections.abc import Callable

from twin_core.domain.access import Purpose, Viewer
from twin_core.domain.errors import BiotwinError
from twin_core.domain.ports import ResultCache
from twin_core.inference.map_fit import TooLittleData, fit_twin
from twin_core.inference.twin import FittedTwin, TwinKind, population_twin
from twin_core.services.records import Records
from twin_core.services.twins import FitOutcome, Twins

SECOND = "hovorka_t1d"
_BEFORE_FIT_MIN = 2880.0
_NOTHING_FITTED = "The twin itself is not fitted yet: fit it on /today first, then both know the same days."


class SecondStructure:
    """The second twins of all people."""

    def __init__(self, records: Records, twins: Twins, cache: ResultCache) -> None:
        self._records = records
        self._twins = twins
        self._cache = cache

    def version(self, viewer: Viewer, person_id: str) -> str:
        """What tells a fitted second twin from the average; cheap to ask, for polling."""
        if not self._twins.version(viewer, person_id):
            return "average"
        return "fitted" if self._kept(self._twins.current(viewer, person_id)) is not None else "average"

    def current(self, viewer: Viewer, person_id: str) -> FittedTwin:
        """The second twin: fitted to the same days as the twin in use, else the published average."""
        twin = self._twins.current(viewer, person_id)
        kept = self._kept(twin)
        if kept is not None:
            return kept
        own = twin.parameters
        return population_twin(body_weight_kg=float(own.BW), basal_u_h=float(own.basal_u_h), structure=SECOND)

    def fit(self, viewer: Viewer, person_id: str, progress: Callable[[float, str], object]) -> FitOutcome:
        """Fit the second structure to the days of the twin in use."""
        try:
            return self._fit(viewer.with_purpose(Purpose.CALIBRATION), person_id, progress)
        except (BiotwinError, ArithmeticError, ValueError) as error:
            return FitOutcome(fitted=False, sentence=f"The fit failed: {error}")

    def _fit(self, viewer: Viewer, person_id: str, progress: Callable[[float, str], object]) -> FitOutcome:
        twin = self._twins.current(viewer, person_id)
        if twin.kind is not TwinKind.FITTED or twin.window_min is None:
            return FitOutcome(fitted=False, sentence=_NOTHING_FITTED)
        start_min, end_min = twin.window_min
        history = self._records.history(viewer, person_id, start_min - _BEFORE_FIT_MIN, end_min + 1.0)
        second = fit_twin(
            history,
            now_min=end_min + 0.5,
            days=(end_min + 0.5 - start_min) / 1440.0,
            body_weight_kg=self._records.person(viewer, person_id).body_weight_kg,
            progress=progress,
            structure=SECOND,
        )
        if isinstance(second, TooLittleData):
            return FitOutcome(fitted=False, sentence=second.sentence)
        self._cache.set(_key(twin), second.to_payload())
        return FitOutcome(fitted=True, sentence="The second structure is fitted to the same days.")

    def _kept(self, twin: FittedTwin) -> FittedTwin | None:
        kept = self._cache.get(_key(twin)) if twin.data_hash else None
        return None if kept is None else FittedTwin.from_payload(kept)


def _key(twin: FittedTwin) -> str:
    return f"second:{SECOND}:{twin.data_hash}"
