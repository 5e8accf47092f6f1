"""The twin kept up to date reading by reading: an ensemble Kalman filter.

A hundred members, drawn from the twin's posterior, live through the record together. Each carries

- the states of the model, under its own parameters;
- the logarithm of insulin's sensitivity (input `sensitivity`), which wanders and forgets within hours;
- for each recent meal, the logarithm of the carbohydrate eaten over the grams counted, drawn anew for every meal;
- a flow of glucose that the record does not explain (a walk, a snack nobody logged), forgotten within the hour;
- the slowly changing error of the sensor, which belongs to the reading and not to the body.

At a reading each of these moves by its covariance with the expected reading (Evensen 1994, J Geophys Res 99(C5):10143,
doi 10.1029/94JC00572). The update is the deterministic one for a single observation (Whitaker and Hamill 2002, Mon
Weather Rev 130:1913): the mean takes the Kalman gain, deviations a reduced one, and no noise is added to the reading.
Insulin states take a fraction of the gain only: a reading says little about them, and chance correlations among a
hundred members say much (localisation). The flow wanders by more where the twin's fit missed its readings by more.

Once an hour the filter notes what it expects in an hour. When the reading comes, the spread of forecasts is widened or
narrowed by how far it was off, so that intervals hold for this person and this week (the idea of adaptive conformal
inference, Gibbs and Candes 2021, arXiv 2106.00170, with a spread in place of a level).

Guards: a state that cannot be negative never becomes so; a wild reading moves the ensemble no farther than one at the
limit; the spread of expected glucose cannot vanish; members that leave the finite numbers are replaced by others; and
after half an hour of wild readings the filter begins again from the twin, and says so.

All numbers in `FilterSettings` and below are choices of the project, tuned on virtual people with other seeds than
those on which the filter is reported (`validation/filter_protocol.py`). Their sensor's noise is that of Facchinetti et
al. 2014 (IEEE Trans Biomed Eng 61(3):620, doi 10.1109/TBME.2013.2284023), of SD 7.1 mg/dL and lag-1 correlation 0.83
(unverified, see `models.glucose.cgm_errors`). How the flow grows with the misses of the fit was chosen on the two
people whose records are shipped.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from statistics import NormalDist

import numpy as np

from twin_core.domain.errors import BadInput
from twin_core.domain.forecasts import QUANTILE_LEVELS
from twin_core.domain.history import FloatArray, History
from twin_core.inference.ensemble import (
    DEFAULT,
    LOWEST_GLUCOSE_MG_DL,
    Course,
    Ensemble,
    FilterSettings,
    advanced,
    begun,
    course_of,
    expected_reading,
    lived_through,
    updated,
)
from twin_core.inference.twin import FittedTwin

READING_RANGE_MG_DL = (LOWEST_GLUCOSE_MG_DL, 600.0)
"""No sensor shows less or more of a living person; such readings are left out."""
SAME_MIN = 1.0
"""A reading that follows another sooner than this is its double, and left out."""
SPACING_MIN = 4.0
"""A faster sensor is thinned to this: its neighbouring errors are one error."""
FEWEST_READINGS = 12
GAP_MIN = 60.0
"""The reader is told of gaps longer than this."""
LONGEST_HORIZON_MIN = 480.0

_FIT_SD_MG_DL, _FIT_POWER, _LARGEST_FLOW_FACTOR = 9.0, 1.5, 7.0
"""The flow's SD is that of the settings for a twin whose fit has an error of 9 mg/dL, and grows with its power 1.5."""
_UNFITTED_SD_MG_DL = 25.0
"""Taken for the error of the population's twin."""
_PROBE_MIN, _LATE_MIN = 60.0, 5.0
"""How far ahead, and how often, the filter checks itself; by how much the reading may come later."""
_PROBE_GAIN, _LARGEST_MISS, _WIDENING = 0.06, 3.0, (0.7, 4.0)
_SCORES = np.array([NormalDist().inv_cdf((i + 0.5) / 20) for i in range(20)])
"""Evenly likely values of a standard normal, for the sensor's error in a forecast."""


class FilterStatus(StrEnum):
    """How a run ended."""

    OK = "ok"
    RESET = "reset"
    """It lost the person at least once and began again from the twin."""
    TOO_LITTLE_DATA = "too_little_data"


@dataclass(frozen=True, kw_only=True)
class Update:
    """One reading, and what was expected a moment before it."""

    time_min: float
    reading_mg_dl: float
    expected_mg_dl: float
    expected_sd_mg_dl: float

    @property
    def normalised(self) -> float:
        """How far the reading was from what was expected, in the SDs that were expected."""
        return (self.reading_mg_dl - self.expected_mg_dl) / self.expected_sd_mg_dl


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What the filter expected of a reading an hour later."""

    due_min: float
    expected_mg_dl: float
    expected_sd_mg_dl: float


@dataclass(frozen=True, kw_only=True)
class Moment:
    """The filter between two readings.

    Attributes
    ----------
    update
        Of the last reading; None before the first.
    widening
        Factor of the spread of forecasts, learned from what became of earlier ones.
    probe
        What waits for its reading.
    wild
        How many readings in a row were wild.
    was_reset
        Whether the filter began again at the last reading.
    """

    ensemble: Ensemble
    update: Update | None = None
    widening: float = 1.0
    probe: Probe | None = None
    wild: int = 0
    was_reset: bool = False


@dataclass(frozen=True, kw_only=True)
class EnsembleForecast:
    """What the ensemble expects.

    Attributes
    ----------
    horizons_min
        Shape `(n_horizons,)` [min after now].
    members_mg_dl
        Shape `(n, n_horizons)`: glucose under the skin of each member.
    quantiles_mg_dl
        Shape `(n_horizons, len(QUANTILE_LEVELS))`: what a sensor would show, its error included.
    """

    horizons_min: FloatArray
    members_mg_dl: FloatArray
    quantiles_mg_dl: FloatArray

    def quantile(self, level: float) -> FloatArray:
        """The curve of one level of `QUANTILE_LEVELS` [mg/dL], shape `(n_horizons,)`."""
        return self.quantiles_mg_dl[:, QUANTILE_LEVELS.index(level)]


@dataclass(frozen=True, kw_only=True)
class Readings:
    """Usable readings in order of time, shape `(n,)` each, and how many were left out as doubles or impossible."""

    time_min: FloatArray
    glucose_mg_dl: FloatArray
    left_out: int


def usable_readings(history: History, *, start_min: float, end_min: float) -> Readings:
    """The readings with `start_min <= time <= end_min` that a sensor on a living person can have shown."""
    inside = (history.cgm_time_min >= start_min) & (history.cgm_time_min <= end_min)
    order = np.argsort(history.cgm_time_min[inside], kind="stable")
    times, values = history.cgm_time_min[inside][order], history.cgm_mg_dl[inside][order]
    low, high = READING_RANGE_MG_DL
    possible = (values >= low) & (values <= high)
    left_out = int((~possible).sum())
    times, values = times[possible], values[possible]
    kept: list[int] = []
    for i, time in enumerate(times.tolist()):
        elapsed = time - times[kept[-1]] if kept else np.inf
        if elapsed >= SPACING_MIN:
            kept.append(i)
        elif elapsed < SAME_MIN:
            left_out += 1
    return Readings(time_min=times[kept], glucose_mg_dl=values[kept], left_out=left_out)


@dataclass(frozen=True, kw_only=True)
class EnsembleFilter:
    """Everything that a filter needs to know beforehand: whose twin, whose record, what acts. See `filter_of`."""

    twin: FittedTwin
    history: History
    readings: Readings
    course: Course
    settings: FilterSettings = DEFAULT

    def begun(self, time_min: float, rng: np.random.Generator) -> Moment:
        """The filter at its first reading."""
        return Moment(ensemble=begun(self.twin, self.history, self.course, time_min, rng, self.settings))

    def advanced(self, moment: Moment, time_min: float, rng: np.random.Generator) -> Moment:
        """The filter at a later time without a reading: its spread grows."""
        return replace(moment, ensemble=advanced(moment.ensemble, self.course, time_min, rng, self.settings))

    def after(self, moment: Moment, time_min: float, reading_mg_dl: float, rng: np.random.Generator) -> Moment:
        """The filter after one more reading."""
        before = self.advanced(moment, time_min, rng)
        mean, sd = expected_reading(before.ensemble, self.settings)
        if not np.isfinite(mean):
            return self._reset(before, time_min, rng)
        update = Update(time_min=time_min, reading_mg_dl=reading_mg_dl, expected_mg_dl=mean, expected_sd_mg_dl=sd)
        wild = before.wild + 1 if abs(update.normalised) > self.settings.wild else 0
        if wild >= self.settings.wild_in_a_row:
            return replace(self._reset(before, time_min, rng), update=update)
        after = replace(
            before,
            ensemble=updated(before.ensemble, reading_mg_dl, self.course, self.settings),
            update=update,
            wild=wild,
            was_reset=False,
        )
        return self._probing(after, rng)

    def _probing(self, moment: Moment, rng: np.random.Generator) -> Moment:
        """Judge the probe that is due, and send the next."""
        probe, update = moment.probe, moment.update
        if update is not None and probe is not None and update.time_min >= probe.due_min - 0.5:
            if update.time_min <= probe.due_min + _LATE_MIN:
                miss = (update.reading_mg_dl - probe.expected_mg_dl) / probe.expected_sd_mg_dl
                moment = replace(moment, widening=_widened(moment.widening, miss))
            probe = None
        if probe is None and moment.ensemble.time_min + _PROBE_MIN <= self.course.schedule.end_min:
            probe = self._probe(moment, rng)
        return replace(moment, probe=probe)

    def _probe(self, moment: Moment, rng: np.random.Generator) -> Probe:
        """By normal moments: the mean, the members' variance and the sensor's."""
        due_min = moment.ensemble.time_min + _PROBE_MIN
        ahead = advanced(moment.ensemble, self.course, due_min, rng, self.settings)
        mean, sd = expected_reading(ahead, self.settings)
        return Probe(due_min=due_min, expected_mg_dl=mean, expected_sd_mg_dl=moment.widening * sd)

    def forecast(self, moment: Moment, horizons_min: Sequence[float], rng: np.random.Generator) -> EnsembleForecast:
        """What the ensemble expects, with the meals and insulin that the course knows of.

        Raises
        ------
        BadInput
            A horizon outside the course.
        """
        horizons, begin = np.asarray(horizons_min, dtype=np.float64), self.course.step_at(moment.ensemble.time_min)
        wanted = [self.course.step_at(moment.ensemble.time_min + horizon) for horizon in horizons.tolist()]
        room_min = self.course.schedule.end_min - moment.ensemble.time_min
        if not (horizons > 0.0).all() or horizons.max() > room_min + 1.0:
            raise BadInput(f"Horizons must be in (0, {room_min:g}] min; got {horizons_min}.")
        days = lived_through(moment.ensemble, self.course, max(wanted), rng, self.settings)
        glucose = days.output("glucose_mg_dl")[:, [step - begin for step in wanted]]
        return EnsembleForecast(
            horizons_min=horizons,
            members_mg_dl=glucose,
            quantiles_mg_dl=_sensed_quantiles(glucose, moment, horizons, self.settings),
        )

    def _reset(self, moment: Moment, time_min: float, rng: np.random.Generator) -> Moment:
        """Begin again from the twin; what was found of past meals is kept for the reader."""
        fresh = begun(self.twin, self.history, self.course, time_min, rng, self.settings)
        past = self.course.meal_min < time_min
        log_carbs = np.where(past, moment.ensemble.log_carbs, fresh.log_carbs)
        return Moment(ensemble=replace(fresh, log_carbs=log_carbs), widening=moment.widening, was_reset=True)


def _flow_factor(twin: FittedTwin) -> float:
    """As far as the fit missed its readings, so far may life differ from the twin."""
    sd = _UNFITTED_SD_MG_DL if twin.metrics is None else twin.metrics.error_sd_mg_dl
    return float(np.clip((sd / _FIT_SD_MG_DL) ** _FIT_POWER, 1.0, _LARGEST_FLOW_FACTOR))


def _widened(widening: float, miss: float) -> float:
    """Misses of one expected SD on average leave the widening where it is."""
    change = _PROBE_GAIN * (min(abs(miss), _LARGEST_MISS) ** 2 - 1.0)
    return float(np.clip(widening * np.exp(change), *_WIDENING))


def _sensed_quantiles(
    glucose_mg_dl: FloatArray, moment: Moment, horizons_min: FloatArray, settings: FilterSettings
) -> FloatArray:
    """Quantiles of glucose plus the sensor's error, of which the lasting part fades into its long-run spread."""
    kept = np.exp(-horizons_min / settings.error_memory_min)
    sd = np.sqrt(settings.reading_sd_mg_dl**2 + settings.error_sd_mg_dl**2 * (1.0 - kept**2))
    centres = glucose_mg_dl + kept * moment.ensemble.error_mg_dl[:, None]
    sensed = (centres[None] + sd * _SCORES[:, None, None]).reshape(-1, len(horizons_min))
    middle = np.median(sensed, axis=0)
    quantiles = np.quantile(middle + moment.widening * (sensed - middle), QUANTILE_LEVELS, axis=0).T
    return np.asarray(np.maximum(quantiles, READING_RANGE_MG_DL[0]))


@dataclass(frozen=True, kw_only=True)
class MealFactor:
    """How much of a meal's counted carbohydrate seems to have acted: 1 is as counted; median and 90 % interval."""

    time_min: float
    counted_g: float
    p05: float
    p50: float
    p95: float


@dataclass(frozen=True, kw_only=True)
class FilterRun:
    """A filter's way through a record.

    Attributes
    ----------
    status, sentence
        How it ended, for the screen.
    moment
        Where it stands at the end; None with too little data.
    updates
        Of every reading but the first, in order of time.
    glucose_mg_dl, sensitivity, flow_mg_kg_min, error_mg_dl
        Shape `(n_updates, 3)`: 5 %, 50 % and 95 % quantile of the members after each reading. Glucose is that under
        the skin, without the sensor's error; sensitivity is a factor.
    meals
        Every meal that began within the run.
    resets_min
        When the filter began again from the twin.
    left_out
        Readings left out: doubles and impossible ones.
    """

    status: FilterStatus
    sentence: str
    filter: EnsembleFilter
    moment: Moment | None = None
    updates: tuple[Update, ...] = ()
    glucose_mg_dl: FloatArray = field(default_factory=lambda: np.empty((0, 3)))
    sensitivity: FloatArray = field(default_factory=lambda: np.empty((0, 3)))
    flow_mg_kg_min: FloatArray = field(default_factory=lambda: np.empty((0, 3)))
    error_mg_dl: FloatArray = field(default_factory=lambda: np.empty((0, 3)))
    meals: tuple[MealFactor, ...] = ()
    resets_min: tuple[float, ...] = ()
    left_out: int = 0


def filter_of(
    twin: FittedTwin,
    history: History,
    *,
    start_min: float,
    end_min: float,
    ahead_min: float = LONGEST_HORIZON_MIN,
    settings: FilterSettings = DEFAULT,
) -> EnsembleFilter:
    """A filter for the readings from `start_min` to `end_min`, and for forecasts up to `ahead_min` after.

    Readings after `end_min` are not looked at. Meals and insulin after it count as announced. The worse the twin's
    fit, the larger the unexplained flow.
    """
    readings = usable_readings(history, start_min=start_min, end_min=end_min)
    first_min = float(readings.time_min[0]) if len(readings.time_min) else start_min
    course = course_of(
        twin.structure.model, history.therapy, start_min=first_min, end_min=max(end_min, first_min) + ahead_min
    )
    clean = replace(history, cgm_time_min=readings.time_min, cgm_mg_dl=readings.glucose_mg_dl)
    wandering = replace(settings, flow_sd_mg_kg_min=_flow_factor(twin) * settings.flow_sd_mg_kg_min)
    return EnsembleFilter(twin=twin, history=clean, readings=readings, course=course, settings=wandering)


def moments(filtering: EnsembleFilter, rng: np.random.Generator) -> Iterator[Moment]:
    """The filter after every reading but the first, which it begins at."""
    times, values = filtering.readings.time_min.tolist(), filtering.readings.glucose_mg_dl.tolist()
    moment = filtering.begun(times[0], rng)
    for time_min, reading in zip(times[1:], values[1:], strict=True):
        moment = filtering.after(moment, time_min, reading, rng)
        yield moment


def run_filter(
    twin: FittedTwin,
    history: History,
    *,
    start_min: float,
    end_min: float,
    rng: np.random.Generator,
    ahead_min: float = LONGEST_HORIZON_MIN,
    settings: FilterSettings = DEFAULT,
) -> FilterRun:
    """Run the filter over a record and on to `end_min`; see `filter_of` and `FilterRun`."""
    filtering = filter_of(twin, history, start_min=start_min, end_min=end_min, ahead_min=ahead_min, settings=settings)
    n_readings = len(filtering.readings.time_min)
    if n_readings < FEWEST_READINGS:
        return _refused(filtering, start_min, end_min)
    course = tuple(moments(filtering, rng))
    seen = [(moment.ensemble, moment.update) for moment in course if moment.update is not None]
    ensembles = [ensemble for ensemble, _ in seen]
    resets = tuple(moment.ensemble.time_min for moment in course if moment.was_reset)
    last = filtering.advanced(course[-1], end_min, rng)
    return FilterRun(
        status=FilterStatus.RESET if resets else FilterStatus.OK,
        sentence=_sentence(filtering, end_min, len(resets)),
        filter=filtering,
        moment=last,
        updates=tuple(update for _, update in seen),
        glucose_mg_dl=_bands([each.glucose_mg_dl for each in ensembles]),
        sensitivity=_bands([np.exp(each.log_sensitivity) for each in ensembles]),
        flow_mg_kg_min=_bands([each.flow_mg_kg_min for each in ensembles]),
        error_mg_dl=_bands([each.error_mg_dl for each in ensembles]),
        meals=_meal_factors(filtering, last.ensemble),
        resets_min=resets,
        left_out=filtering.readings.left_out,
    )


def _bands(members: Sequence[FloatArray]) -> FloatArray:
    """5 %, 50 % and 95 % quantiles of the members at each time, shape `(n_times, 3)`."""
    return np.asarray(np.quantile(np.stack(members, axis=1), (0.05, 0.5, 0.95), axis=0).T)


def _meal_factors(filtering: EnsembleFilter, ensemble: Ensemble) -> tuple[MealFactor, ...]:
    bands = np.exp(np.quantile(ensemble.log_carbs, (0.05, 0.5, 0.95), axis=0)).T.tolist()
    begin, end = float(filtering.readings.time_min[0]), ensemble.time_min
    return tuple(
        MealFactor(time_min=meal.time_min, counted_g=meal.carbs_g, p05=low, p50=middle, p95=high)
        for meal, (low, middle, high) in zip(filtering.course.meals, bands, strict=True)
        if begin <= meal.time_min <= end and meal.carbs_g > 0.0
    )


def _sentence(filtering: EnsembleFilter, end_min: float, n_resets: int) -> str:
    """How the run went, with what the reader should know of it."""
    times, settings = filtering.readings.time_min, filtering.settings
    n_gaps = int((np.diff(np.append(times, end_min)) > GAP_MIN).sum())
    lost = (
        f"It lost the person {_times(n_resets)}: {settings.wild_in_a_row} readings in a row were more than "
        f"{settings.wild:g} expected SDs away, and it began again from the last good twin."
    )
    silent = f"{_times(n_gaps).capitalize()} nothing was measured for more than an hour: there its spread grew."
    parts = (
        (True, f"The filter followed {len(times)} readings."),
        (n_resets > 0, lost),
        (n_gaps > 0, silent),
    )
    return " ".join(part for holds, part in parts if holds)


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"


def _refused(filtering: EnsembleFilter, start_min: float, end_min: float) -> FilterRun:
    n, hours = len(filtering.readings.time_min), (end_min - start_min) / 60.0
    return FilterRun(
        status=FilterStatus.TOO_LITTLE_DATA,
        sentence=f"There are {n} usable glucose readings in the last {hours:g} h; {FEWEST_READINGS} are needed.",
        filter=filtering,
        left_out=filtering.readings.left_out,
    )
