"""What a person's twin knows: for the page that helps to judge how far to trust it."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from twin_core.domain.access import Viewer
from twin_core.domain.errors import BiotwinError, DamagedArtifact
from twin_core.domain.history import FloatArray, History
from twin_core.domain.models import Quantity, quantities
from twin_core.domain.people import Person
from twin_core.domain.ports import ResultCache
from twin_core.domain.units import MINUTES_PER_DAY, GlucoseUnit, glucose_text
from twin_core.inference.priors import PLAUSIBLE_SDS
from twin_core.inference.segments import Day, days_of
from twin_core.inference.sensitivity import OUTCOMES, Sensitivity, Spread, sensitivity_of
from twin_core.inference.state import with_unrecorded_doses
from twin_core.inference.twin import FitMetrics, FittedTwin, TwinKind
from twin_core.services.kept import Kept
from twin_core.services.live import Live
from twin_core.services.recalibration import Band, Recalibrations
from twin_core.services.records import Records
from twin_core.services.twins import TwinRecord, Twins

FIT_DAYS = tuple(range(1, 15))
TOLD_VARIANCE_LEFT = 0.5
"""The data told of a parameter when at most so much of its prior variance is left."""
FEWEST_TOLD = 5
MISSED_MG_DL, LOST_MG_DL = 30.0, 60.0
"""Above the first the fitted curve leaves out what happened, above the second it does not describe the person."""
HONEST_COVERAGE_PERCENT = (80.0, 98.0)
OLD_DAYS = 14.0
FEW_DAYS = 1.9
CURVE_DRAWS = 50
LONGEST_WINDOW_MIN = 660.0
SENSITIVITY_SEED = 1
SPREADS = {Spread.POSTERIOR.value: "What is unknown of this person", Spread.PRIOR.value: "How people differ"}
_Z_90 = 1.6449
_BEFORE_MIN = 2880.0
_KEPT = 32


class Trust(StrEnum):
    """How far a twin may be trusted."""

    AVERAGE = "average"
    """It is the population's: it knows nothing of this person."""
    AGREES = "agrees"
    """Nothing speaks against it."""
    CARE = "care"
    """Something does."""
    NOT = "not"
    """Too much does."""


@dataclass(frozen=True, kw_only=True)
class ParameterRow:
    """One fitted parameter before and after the data.

    Attributes
    ----------
    prior_mean, prior_sd, mean, sd
        In `unit`.
    prior_interval, interval
        5, 50 and 95 % of prior and posterior, over the prior's median.
    moved_sds
        How far the data moved its middle, in prior SDs on its transformed scale.
    variance_left
        Posterior over prior variance on that scale: 1 is nothing learnt, 0 is known.
    """

    name: str
    meaning: str
    unit: str
    source: str
    prior_mean: float
    prior_sd: float
    mean: float
    sd: float
    prior_interval: tuple[float, float, float]
    interval: tuple[float, float, float]
    moved_sds: float
    variance_left: float


@dataclass(frozen=True, kw_only=True)
class FitCurve:
    """The fitted curve at the readings that it was fitted to; each of shape `(n_readings,)`, a NaN in every gap.

    `low_mg_dl` and `high_mg_dl` bound the 90 % interval of a reading.
    """

    time_min: FloatArray
    measured_mg_dl: FloatArray
    median_mg_dl: FloatArray
    low_mg_dl: FloatArray
    high_mg_dl: FloatArray


@dataclass(frozen=True, kw_only=True)
class Course:
    """How insulin's action, carbohydrate and sensor changed over time: by the fit, and followed live since.

    Attributes
    ----------
    fitted_windows
        Shape `(n, 5)`: begin, end [min], 5, 50 and 95 % of the factor of insulin's action.
    fitted_carbs, followed_carbs
        Shape `(n, 4)`: time [min], 5, 50 and 95 % of the factor of a meal's carbohydrate.
    time_min, sensitivity, flow_mg_kg_min, sensor_error_mg_dl
        Shape `(n,)`, then each `(3, n)`: 5, 50 and 95 % as followed; see `recalibration.Recalibration`.
    resets_min
        When following lost the person and began again.
    sentences
        How following fared, and whether the twin still holds.
    refit_proposed
        Whether a new fit is worth its time.
    """

    utc_offset_min: float
    span_min: tuple[float, float]
    fitted_windows: FloatArray
    fitted_carbs: FloatArray
    time_min: FloatArray
    sensitivity: FloatArray
    flow_mg_kg_min: FloatArray
    sensor_error_mg_dl: FloatArray
    followed_carbs: FloatArray
    resets_min: tuple[float, ...]
    sentences: tuple[str, ...]
    refit_proposed: bool

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not (len(self.fitted_windows) or len(self.fitted_carbs) or len(self.time_min))


@dataclass(frozen=True, kw_only=True)
class TwinReport:
    """What a twin knows of a person.

    Attributes
    ----------
    version
        0 is the population's.
    age_days
        How long before the person's present its readings end; None for the population.
    trust, trust_sentence
        How far to trust it, and why.
    metrics
        How well the curve meets the readings; None for the population.
    fit
        None for the population, and where the readings are no longer kept.
    experiments
        Which small experiment would tell what the data could not.
    versions
        Every version that was ever in use, newest first.
    """

    person: Person
    utc_offset_min: float
    now_min: float
    version: int
    fitted: bool
    model_title: str
    window_min: tuple[float, float] | None
    age_days: float | None
    data_hash: str
    trust: Trust
    trust_sentence: str
    parameters: tuple[ParameterRow, ...]
    metrics: FitMetrics | None
    fit: FitCurve | None
    notes: tuple[str, ...]
    experiments: tuple[str, ...]
    versions: tuple[TwinRecord, ...]


@dataclass(frozen=True, kw_only=True)
class OutcomeShares:
    """How an outcome's variance is shared out among the parameters; arrays of shape `(n_parameters,)`.

    `half_width` fields belong to 95 % bootstrap intervals; `quantiles` are 5, 50 and 95 % of the outcome.
    """

    title: str
    is_glucose: bool
    quantiles: tuple[float, float, float]
    first: FloatArray
    first_half_width: FloatArray
    total: FloatArray
    total_half_width: FloatArray


@dataclass(frozen=True, kw_only=True)
class SensitivityView:
    """What a standard day depends on; see `inference.sensitivity.Sensitivity`."""

    names: tuple[str, ...]
    meanings: tuple[str, ...]
    left_out: tuple[str, ...]
    outcomes: tuple[OutcomeShares, ...]
    time_min: FloatArray
    total_over_time: FloatArray
    spread_over_time_mg_dl: FloatArray
    n_runs: int


@dataclass(frozen=True, kw_only=True)
class SensitivityOutcome:
    """How an analysis ended; the sentence is for the screen."""

    done: bool
    sentence: str


_TITLES = {
    "mean_mg_dl": "Mean glucose",
    "minimum_mg_dl": "Lowest glucose",
    "in_range_percent": "Time in range",
}


class TwinReports:
    """What is known of every person's twin."""

    def __init__(
        self, records: Records, live: Live, twins: Twins, recalibrations: Recalibrations, cache: ResultCache
    ) -> None:
        self._records = records
        self._live = live
        self._twins = twins
        self._recalibrations = recalibrations
        self._cache = cache
        self._curves = Kept[FitCurve | None](_KEPT)

    def of(self, viewer: Viewer, person_id: str) -> TwinReport:
        """What the twin in use knows."""
        twin = self._twins.current(viewer, person_id)
        now_min = self._live.now_min(viewer, person_id)
        history = self._history(viewer, person_id, twin, now_min)
        window = twin.window_min
        age_days = None if window is None else max(now_min - window[1], 0.0) / MINUTES_PER_DAY
        rows = parameter_rows(twin)
        trust, sentence = trust_in(twin, rows, age_days)
        version = self._twins.version(viewer, person_id)
        return TwinReport(
            person=self._records.person(viewer, person_id),
            utc_offset_min=history.utc_offset_min,
            now_min=now_min,
            version=version,
            fitted=twin.kind is TwinKind.FITTED,
            model_title=twin.structure.model.title,
            window_min=window,
            age_days=age_days,
            data_hash=twin.data_hash,
            trust=trust,
            trust_sentence=sentence,
            parameters=rows,
            metrics=twin.metrics,
            fit=self._curve(twin, history),
            notes=twin.notes,
            experiments=twin.experiments,
            versions=self._twins.versions(viewer, person_id),
        )

    def course(self, viewer: Viewer, person_id: str) -> Course:
        """How the person changed over time, by the fit and as followed since."""
        twin = self._twins.current(viewer, person_id)
        followed = self._recalibrations.of(viewer, person_id)
        meals = [(meal.time_min, meal.factor_p05, meal.factor_p50, meal.factor_p95) for meal in followed.meals]
        moments = [*(twin.window_min or ()), *followed.time_min[[0, -1] if len(followed.time_min) else []]]
        history = self._records.history(viewer, person_id, followed.now_min - MINUTES_PER_DAY, followed.now_min + 1.0)
        return Course(
            utc_offset_min=history.utc_offset_min,
            span_min=(min(moments), max(moments)) if moments else (followed.now_min - 1.0, followed.now_min),
            fitted_windows=_windows(twin),
            fitted_carbs=_factors(
                [s.time_min for s in twin.carb_scales], [(s.log_mean, s.log_sd) for s in twin.carb_scales]
            ),
            time_min=followed.time_min,
            sensitivity=_band(followed.sensitivity),
            flow_mg_kg_min=_band(followed.flow_mg_kg_min),
            sensor_error_mg_dl=_band(followed.sensor_error_mg_dl),
            followed_carbs=np.array(meals, dtype=np.float64).reshape(-1, 4),
            resets_min=followed.resets_min,
            sentences=tuple(sentence for sentence in (followed.sentence, followed.drift.sentence) if sentence),
            refit_proposed=followed.drift.refit_proposed,
        )

    def sensitivity(
        self, viewer: Viewer, person_id: str, spread: str, progress: Callable[[float, str], object]
    ) -> SensitivityOutcome:
        """Find what a standard day depends on for the twin in use, and keep it for `kept_sensitivity`."""
        try:
            twin = self._twins.current(viewer, person_id)
            rng = np.random.default_rng(SENSITIVITY_SEED)
            found = sensitivity_of(twin, spread=Spread(spread), rng=rng, progress=progress)
        except (BiotwinError, ArithmeticError, ValueError) as error:
            return SensitivityOutcome(done=False, sentence=f"The sensitivity analysis failed: {error}")
        self._cache.set(_sensitivity_key(twin, spread), found.to_payload())
        progress(1.0, "Done.")
        return SensitivityOutcome(done=True, sentence=f"Computed from {found.n_runs:,} simulated days.")

    def kept_sensitivity(self, viewer: Viewer, person_id: str, spread: str) -> SensitivityView | None:
        """The analysis of the twin in use, if it has been computed; one that cannot be read any more has not been."""
        twin = self._twins.current(viewer, person_id)
        kept = self._cache.get(_sensitivity_key(twin, spread))
        try:
            return None if kept is None else _view(twin, Sensitivity.from_payload(kept))
        except DamagedArtifact:
            return None

    def _history(self, viewer: Viewer, person_id: str, twin: FittedTwin, now_min: float) -> History:
        """The readings of the fit with the therapy before them; the last hours for the population's twin."""
        start_min, end_min = twin.window_min or (now_min, now_min)
        return self._records.history(viewer, person_id, start_min - _BEFORE_MIN, end_min + 1.0)

    def _curve(self, twin: FittedTwin, history: History) -> FitCurve | None:
        if twin.window_min is None:
            return None
        key = f"{_fingerprint(twin)}:{len(history.cgm_time_min)}:{history.utc_offset_min:g}"
        return self._curves.of(key, lambda: fit_curve(twin, history))


def parameter_rows(twin: FittedTwin) -> tuple[ParameterRow, ...]:
    """Prior and posterior of every fitted parameter, with what the data told of it."""
    prior = twin.structure.prior
    declared = quantities(prior.model.parameters)
    sd = np.sqrt(np.diag(twin.theta_covariance))
    middle = prior.natural(prior.centre)
    intervals = [
        np.stack([prior.natural(centre + z * spread) / middle for z in (-_Z_90, 0.0, _Z_90)], axis=1).tolist()
        for centre, spread in ((prior.centre, prior.sd), (twin.theta_mean, sd))
    ]
    moved = (twin.theta_mean - prior.centre) / prior.sd
    left = (sd / prior.sd) ** 2
    return tuple(
        ParameterRow(
            name=estimate.name,
            meaning=declared[estimate.name].meaning,
            unit=estimate.unit,
            source=_source(declared[estimate.name], prior.model.references),
            prior_mean=estimate.prior_mean,
            prior_sd=estimate.prior_sd,
            mean=estimate.mean,
            sd=estimate.sd,
            prior_interval=tuple(before),
            interval=tuple(after),
            moved_sds=float(moved[i]),
            variance_left=float(left[i]),
        )
        for i, (estimate, before, after) in enumerate(zip(twin.estimates, *intervals, strict=True))
    )


def _source(quantity: Quantity, references: tuple[str, ...]) -> str:
    """A quantity's source, with the number of a reference such as `[1]` followed by its text."""

    def spelt(found: re.Match[str]) -> str:
        number = int(found[1])
        return f"{references[number - 1]}:" if number <= len(references) else found[0]

    return re.sub(r"\[(\d+)\]:?", spelt, quantity.source).rstrip(":")


def trust_in(twin: FittedTwin, rows: tuple[ParameterRow, ...], age_days: float | None) -> tuple[Trust, str]:
    """How far to trust a twin, in one plain sentence."""
    metrics, window = twin.metrics, twin.window_min
    if metrics is None or window is None:
        return Trust.AVERAGE, (
            "This twin is the published average and knows nothing of this person: good for learning how a body "
            "answers, not for judging this one."
        )
    doubts = _doubts(metrics, (window[1] - window[0]) / MINUTES_PER_DAY, rows, age_days or 0.0)
    if metrics.rmse_mg_dl > LOST_MG_DL or len(doubts) > 2:
        return Trust.NOT, f"Do not rely on this twin: {'; '.join(doubts)}."
    if doubts:
        return Trust.CARE, f"Trust this twin with care: {'; '.join(doubts)}."
    told = sum(row.variance_left <= TOLD_VARIANCE_LEFT for row in rows)
    return Trust.AGREES, (
        f"Nothing speaks against this twin: it misses its {metrics.n_readings:,} readings by "
        f"{metrics.rmse_mg_dl:.0f} mg/dL and the data told much about {told} of {len(rows)} parameters; that it fits "
        "the past does not prove that it is right about what-if questions."
    )


def _doubts(metrics: FitMetrics, days: float, rows: tuple[ParameterRow, ...], age_days: float) -> list[str]:
    told = sum(row.variance_left <= TOLD_VARIANCE_LEFT for row in rows)
    edge = [row.name for row in rows if abs(row.moved_sds) > PLAUSIBLE_SDS - 0.01]
    low, high = HONEST_COVERAGE_PERCENT
    found = (
        (metrics.rmse_mg_dl > MISSED_MG_DL, f"its curve misses the readings by {metrics.rmse_mg_dl:.0f} mg/dL"),
        (
            not low <= metrics.coverage_90_percent <= high,
            f"its 90 % interval held {metrics.coverage_90_percent:.0f} % of the readings",
        ),
        (days < FEW_DAYS, f"it was fitted to {days:.1f} days only"),
        (age_days > OLD_DAYS, f"its readings end {age_days:.0f} days ago"),
        (told < FEWEST_TOLD, f"the data told much about only {told} of {len(rows)} parameters"),
        (bool(edge), f"{', '.join(edge)} stand{'s' * (len(edge) == 1)} on the edge of what is plausible"),
    )
    return [sentence for holds, sentence in found if holds]


def said_in(sentence: str, unit: GlucoseUnit) -> str:
    """A sentence with every glucose in the unit of the screen: '30 mg/dL' and '70 to 180 mg/dL' are converted."""
    if unit is GlucoseUnit.MG_DL:
        return sentence

    def converted(found: re.Match[str]) -> str:
        return re.sub(r"\d+(\.\d+)?", lambda number: glucose_text(float(number[0]), unit), found[1]) + f" {unit.value}"

    return re.sub(r"(\d[\d.]*(?:(?: to |-| and |, )\d[\d.]*)*) mg/dL", converted, sentence)


def fit_curve(twin: FittedTwin, history: History) -> FitCurve | None:
    """The twin's curve through the readings of its window, each stretch begun at its first reading.

    The interval holds what is unknown of the parameters and of each day, and the error of a reading.
    """
    if twin.window_min is None or twin.metrics is None:
        return None
    start_min, end_min = twin.window_min
    recorded = History(
        cgm_time_min=history.cgm_time_min,
        cgm_mg_dl=history.cgm_mg_dl,
        therapy=with_unrecorded_doses(history.therapy, end_min),
        utc_offset_min=history.utc_offset_min,
    )
    days = days_of(recorded, start_min=start_min, end_min=end_min)
    if not days:
        return None
    rng = np.random.default_rng(0)
    draws = twin.draws(CURVE_DRAWS, rng)
    pieces = [_day_curve(twin, day, draws, rng) for day in days]
    time, measured, median, spread = (np.concatenate(column) for column in zip(*pieces, strict=True))
    half_width = _Z_90 * np.sqrt(spread**2 + twin.metrics.error_sd_mg_dl**2)
    return FitCurve(
        time_min=time,
        measured_mg_dl=measured,
        median_mg_dl=median,
        low_mg_dl=np.maximum(median - half_width, 0.0),
        high_mg_dl=median + half_width,
    )


def _day_curve(twin: FittedTwin, day: Day, draws: object, rng: np.random.Generator) -> tuple[FloatArray, ...]:
    """Times, readings, the most probable curve and the SD of the draws of one day; NaN after each stretch."""
    mean, sd = _local(twin, day)
    most_probable = day.predict(twin.structure, _one(twin), mean[None])[0]
    drawn = day.predict(twin.structure, draws, mean + sd * rng.normal(size=(CURVE_DRAWS, len(mean))))
    ends = np.cumsum([len(segment.time_min) for segment in day.segments])
    columns = (
        np.concatenate([segment.time_min for segment in day.segments]),
        np.concatenate([segment.glucose_mg_dl for segment in day.segments]),
        most_probable,
        drawn.std(axis=0),
    )
    time, *values = columns
    after = time[ends - 1]
    return np.insert(time, ends, after), *(np.insert(column, ends, np.nan) for column in values)


def _one(twin: FittedTwin) -> object:
    return type(twin.parameters)(*(np.atleast_1d(np.float64(value)) for value in twin.parameters))


def _local(twin: FittedTwin, day: Day) -> tuple[FloatArray, FloatArray]:
    """Mean and SD of a day's whitened local coordinates as the twin has kept them; each stretch begins known."""
    sensitivity = {round(window.start_min): (window.log_mean, window.log_sd) for window in twin.windows}
    carbs = {round(scale.time_min): (scale.log_mean, scale.log_sd) for scale in twin.carb_scales}
    mean, sd = day.first_guess(), np.zeros(day.n_local)
    kept = [sensitivity.get(round(t), (0.0, 0.0)) for t in day.windows_min]
    kept += [carbs.get(round(t), (0.0, 0.0)) for t in day.meals_min]
    own = slice(len(day.segments), None)
    logs = np.array(kept, dtype=np.float64).reshape(-1, 2)
    mean[own], sd[own] = (logs / day.local_sd[own, None]).T
    return mean, sd


def _factors(starts_min: Sequence[float], logs: Sequence[tuple[float, float]]) -> FloatArray:
    """Start, 5, 50 and 95 % of factors with log mean and SD, shape `(n, 4)`."""
    mean, sd = np.array(logs, dtype=np.float64).reshape(-1, 2).T
    factors = np.exp(mean[:, None] + sd[:, None] * np.array((-_Z_90, 0.0, _Z_90)))
    return np.column_stack((np.array(starts_min, dtype=np.float64), factors))


def _windows(twin: FittedTwin) -> FloatArray:
    """The fit's windows with their ends: the next begins, or the day does (17 to 04 h is the longest, 11 h)."""
    factors = _factors([w.start_min for w in twin.windows], [(w.log_mean, w.log_sd) for w in twin.windows])
    starts = factors[:, 0]
    ends = np.minimum(np.append(starts[1:], np.inf), starts + LONGEST_WINDOW_MIN)
    last = np.inf if twin.window_min is None else twin.window_min[1]
    return np.insert(factors, 1, np.minimum(ends, last), axis=1)


def _band(band: Band) -> FloatArray:
    return np.stack((band.p05, band.p50, band.p95))


def _fingerprint(twin: FittedTwin) -> str:
    return hashlib.sha256(json.dumps(twin.to_payload(), sort_keys=True).encode()).hexdigest()


def _sensitivity_key(twin: FittedTwin, spread: str) -> str:
    return f"sensitivity:{spread}:{_fingerprint(twin)}"


def _view(twin: FittedTwin, found: Sensitivity) -> SensitivityView:
    declared = quantities(twin.structure.model.parameters)
    return SensitivityView(
        names=found.names,
        meanings=tuple(declared[name].meaning for name in found.names),
        left_out=found.screened[len(found.names) :],
        outcomes=tuple(
            OutcomeShares(
                title=_TITLES[name],
                is_glucose=name.endswith("mg_dl"),
                quantiles=tuple(found.outcome_quantiles[i].tolist()),
                **vars(found.indices[i]),
            )
            for i, name in enumerate(OUTCOMES)
        ),
        time_min=found.time_min,
        total_over_time=found.total_over_time,
        spread_over_time_mg_dl=found.spread_over_time_mg_dl,
        n_runs=found.n_runs,
    )
