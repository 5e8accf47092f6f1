"""A person's twin held against the last readings: what insulin, carbohydrate and sensor seem to do now.

The filter of `inference.ensemble_filter` runs over the last two days of the record, from the twin in use to the
person's present, each time that something has changed; nothing of it is stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from twin_core.domain.access import Purpose, Viewer
from twin_core.domain.history import FloatArray
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.inference.ensemble_filter import FilterRun, FilterStatus, run_filter
from twin_core.inference.twin import FittedTwin, TwinKind
from twin_core.services.kept import Kept
from twin_core.services.live import Live
from twin_core.services.records import Records
from twin_core.services.twins import Twins

WINDOW_MIN = 2.0 * MINUTES_PER_DAY
"""The filter begins so long before now."""
OUTLOOK_MIN = tuple(float(horizon) for horizon in range(5, 485, 5))
SEED = 3
"""The same record gives the same answer."""
NEW_MIN = MINUTES_PER_DAY
"""A refit is proposed only when there are readings of so long after those of the last fit."""
LEAST_SHIFT = 0.15
"""Mean log sensitivity beyond which insulin is said to act otherwise. Over 20 days of ten virtual people who did not
change it lay in -0.11 to 0.03; of those whose sensitivity fell to 0.7, all ten exceeded this; rose to 1.4, five."""
LARGEST_MEAN_SQUARE = 1.5
"""Of normalised innovations. Where the twin is right it is below 1; with 100 independent readings chance exceeds this
once in a thousand (chi-square)."""
LARGEST_WIDENING = 1.5
FEWEST_FOR_DRIFT = 144
"""Readings: half a day at 5 min."""
_BEFORE_MIN = 2.0 * MINUTES_PER_DAY
_Z_90 = 1.6449
_KEPT = 16


class RecalibrationStatus(StrEnum):
    """How the filter fared."""

    OK = "ok"
    RESET = "reset"
    """It lost the person at least once and began again from the twin."""
    TOO_LITTLE_DATA = "too_little_data"


@dataclass(frozen=True, kw_only=True)
class Band:
    """A quantity over time: median and 90 % interval, each of shape `(n_times,)`."""

    p05: FloatArray = field(default_factory=lambda: np.empty(0))
    p50: FloatArray = field(default_factory=lambda: np.empty(0))
    p95: FloatArray = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True, kw_only=True)
class MealEstimate:
    """One meal: the grams counted, and the factor by which it seems to have acted (1 is as counted)."""

    time_min: float
    counted_g: float
    factor_p05: float
    factor_p50: float
    factor_p95: float


@dataclass(frozen=True, kw_only=True)
class Innovations:
    """Readings less what the filter expected a moment before, in the SDs that it expected.

    Attributes
    ----------
    time_min, normalised
        Shape `(n_readings,)`; mean 0 and SD 1 when the filter is right about itself.
    within_90_percent
        How many lie in the expected 90 % interval [%]; 90 is right.
    """

    time_min: FloatArray = field(default_factory=lambda: np.empty(0))
    normalised: FloatArray = field(default_factory=lambda: np.empty(0))
    mean: float = 0.0
    sd: float = 0.0
    within_90_percent: float = 0.0


@dataclass(frozen=True, kw_only=True)
class DriftTest:
    """Whether the person has moved away from the twin, and what to do.

    Attributes
    ----------
    refit_proposed
        Whether a new fit is worth its time.
    sentence
        Why, or why not, for the screen.
    reasons
        The single findings behind a proposal, as sentences; empty without one.
    """

    refit_proposed: bool
    sentence: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """The filter's own forecast from now, future announced meals and insulin included [mg/dL].

    Attributes
    ----------
    time_min
        Shape `(n_horizons,)`: every 5 min after now, on the axis of the history.
    glucose_mg_dl
        What a sensor would show: quantiles including the sensor's error.
    """

    time_min: FloatArray = field(default_factory=lambda: np.empty(0))
    glucose_mg_dl: Band = field(default_factory=Band)


@dataclass(frozen=True, kw_only=True)
class Recalibration:
    """What `/twin` shows of the last hours. Times are minutes since 1970 UTC; arrays share `time_min`.

    Attributes
    ----------
    status, sentence
        How the filter fared, for the screen.
    twin_version
        The twin it ran on; 0 is the population's.
    time_min
        Shape `(n_times,)`: the readings' times.
    measured_mg_dl
        The readings used, shape `(n_times,)`.
    glucose_mg_dl
        Glucose under the skin after each reading was taken in, without the sensor's error.
    sensitivity
        Factor of insulin's action; 1 is the twin's own.
    sensor_error_mg_dl
        Slowly changing difference between sensor and model (drift of the one, error of the other).
    flow_mg_kg_min
        Glucose that enters the blood and that the record does not explain; below 0 it leaves.
    meals
        Every meal in the window, oldest first.
    resets_min
        When the filter lost the person and began again from the twin.
    ignored_readings
        Readings left out: doubles, or outside what any sensor shows.
    """

    status: RecalibrationStatus
    sentence: str
    twin_version: int
    now_min: float
    time_min: FloatArray = field(default_factory=lambda: np.empty(0))
    measured_mg_dl: FloatArray = field(default_factory=lambda: np.empty(0))
    glucose_mg_dl: Band = field(default_factory=Band)
    sensitivity: Band = field(default_factory=Band)
    sensor_error_mg_dl: Band = field(default_factory=Band)
    flow_mg_kg_min: Band = field(default_factory=Band)
    meals: tuple[MealEstimate, ...] = ()
    innovations: Innovations = field(default_factory=Innovations)
    drift: DriftTest
    outlook: Outlook = field(default_factory=Outlook)
    resets_min: tuple[float, ...] = ()
    ignored_readings: int = 0


class Recalibrations:
    """How every person's twin in use fares against the last readings."""

    def __init__(self, records: Records, live: Live, twins: Twins) -> None:
        self._records = records
        self._live = live
        self._twins = twins
        self._made = Kept[Recalibration](_KEPT)

    def of(self, viewer: Viewer, person_id: str) -> Recalibration:
        """The last two days up to the person's present; computed once for each state of record, twin and minute."""
        now_min = float(int(self._live.now_min(viewer, person_id)))
        versions = self._records.version(viewer, person_id), self._twins.version(viewer, person_id)
        key = f"{person_id}:{versions}:{now_min:.0f}"
        asking = viewer.with_purpose(Purpose.CALIBRATION)
        return self._made.of(key, lambda: self._build(asking, person_id, now_min, versions[1]))

    def _build(self, viewer: Viewer, person_id: str, now_min: float, twin_version: int) -> Recalibration:
        twin = self._twins.current(viewer, person_id)
        start_min = now_min - WINDOW_MIN
        history = self._records.history(viewer, person_id, start_min - _BEFORE_MIN, now_min + 1.0)
        rng = np.random.default_rng(SEED)
        run = run_filter(twin, history, start_min=start_min, end_min=now_min, rng=rng, ahead_min=OUTLOOK_MIN[-1])
        if run.moment is None:
            nothing = DriftTest(refit_proposed=False, sentence="Without enough readings nothing can be said of drift.")
            return Recalibration(
                status=RecalibrationStatus.TOO_LITTLE_DATA,
                sentence=run.sentence,
                twin_version=twin_version,
                now_min=now_min,
                drift=nothing,
                ignored_readings=run.left_out,
            )
        forecast = run.filter.forecast(run.moment, OUTLOOK_MIN, rng)
        outlook = Outlook(
            time_min=now_min + forecast.horizons_min,
            glucose_mg_dl=_band(np.stack([forecast.quantile(level) for level in (0.05, 0.50, 0.95)], axis=1)),
        )
        return recalibration_of(run, twin, twin_version, now_min, outlook)


def recalibration_of(
    run: FilterRun, twin: FittedTwin, twin_version: int, now_min: float, outlook: Outlook
) -> Recalibration:
    """What a run of the filter says, for the screen."""
    innovations = _innovations(run)
    return Recalibration(
        status=RecalibrationStatus.RESET if run.status is FilterStatus.RESET else RecalibrationStatus.OK,
        sentence=run.sentence,
        twin_version=twin_version,
        now_min=now_min,
        time_min=innovations.time_min,
        measured_mg_dl=np.array([update.reading_mg_dl for update in run.updates]),
        glucose_mg_dl=_band(run.glucose_mg_dl),
        sensitivity=_band(run.sensitivity),
        sensor_error_mg_dl=_band(run.error_mg_dl),
        flow_mg_kg_min=_band(run.flow_mg_kg_min),
        meals=tuple(
            MealEstimate(
                time_min=meal.time_min,
                counted_g=meal.counted_g,
                factor_p05=meal.p05,
                factor_p50=meal.p50,
                factor_p95=meal.p95,
            )
            for meal in run.meals
        ),
        innovations=innovations,
        drift=drift_test(run, twin, innovations),
        outlook=outlook,
        resets_min=run.resets_min,
        ignored_readings=run.left_out,
    )


def _band(quantiles: FloatArray) -> Band:
    """Of an array `(n_times, 3)`."""
    low, middle, high = quantiles.T
    return Band(p05=low, p50=middle, p95=high)


def _innovations(run: FilterRun) -> Innovations:
    normalised = np.array([update.normalised for update in run.updates])
    return Innovations(
        time_min=np.array([update.time_min for update in run.updates]),
        normalised=normalised,
        mean=float(normalised.mean()),
        sd=float(normalised.std()),
        within_90_percent=float(100.0 * (np.abs(normalised) <= _Z_90).mean()),
    )


def drift_test(run: FilterRun, twin: FittedTwin, innovations: Innovations) -> DriftTest:
    """Whether the readings have moved away from the twin, by three findings and what the twin was fitted to."""
    if twin.kind is TwinKind.POPULATION or twin.window_min is None:
        sentence = "Nothing is fitted to this person yet, so there is nothing to drift from: fit the twin first."
        return DriftTest(refit_proposed=False, sentence=sentence)
    if len(innovations.time_min) < FEWEST_FOR_DRIFT:
        sentence = f"{len(innovations.time_min)} readings are too few to tell drift; {FEWEST_FOR_DRIFT} are needed."
        return DriftTest(refit_proposed=False, sentence=sentence)
    reasons = tuple(_findings(run, innovations))
    if not reasons:
        return DriftTest(refit_proposed=False, sentence="The readings agree with the twin; no refit is needed.")
    newer_min = float(innovations.time_min[-1]) - twin.window_min[1]
    if newer_min < NEW_MIN:
        return DriftTest(refit_proposed=False, sentence=_too_early(reasons, newer_min), reasons=reasons)
    return DriftTest(refit_proposed=True, sentence=f"A refit is proposed: {_joined(reasons)}.", reasons=reasons)


def _findings(run: FilterRun, innovations: Innovations) -> Sequence[str]:
    hours = (innovations.time_min[-1] - innovations.time_min[0]) / 60.0
    shift = float(np.log(run.sensitivity[:, 1]).mean())
    mean_square = float(np.mean(np.minimum(np.abs(innovations.normalised), run.filter.settings.wild) ** 2))
    widening = 1.0 if run.moment is None else run.moment.widening
    findings = (
        (len(run.resets_min) > 0, f"the filter lost the person {len(run.resets_min)} times in {hours:.0f} h"),
        (abs(shift) > LEAST_SHIFT, f"over {hours:.0f} h insulin acted {_as_percent(shift)} than the twin says"),
        (
            mean_square > LARGEST_MEAN_SQUARE,
            f"readings missed what was expected a moment before by {np.sqrt(mean_square):.1f} times the expected SD",
        ),
        (
            widening > LARGEST_WIDENING,
            f"readings an hour ahead lie {widening:.1f} times as far from the forecast as the twin expects",
        ),
    )
    return [sentence for holds, sentence in findings if holds]


def _as_percent(log_factor: float) -> str:
    return f"{100.0 * abs(np.expm1(log_factor)):.0f} % {'more strongly' if log_factor > 0.0 else 'more weakly'}"


def _joined(reasons: Sequence[str]) -> str:
    return "; ".join(reasons)


def _too_early(reasons: Sequence[str], newer_min: float) -> str:
    return (
        f"The twin does not follow everything: {_joined(reasons)}. It was fitted to readings up to "
        f"{max(newer_min, 0.0) / 60.0:.0f} h before the last; "
        f"after {NEW_MIN / 60.0:.0f} h of new ones a refit may help."
    )
