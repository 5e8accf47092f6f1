"""Consensus metrics of continuous glucose monitoring.

Every reading counts the same. What cannot be computed from what there is, is None: never a number that looks like
one.

References
----------
[1] Battelino T, et al. Continuous glucose monitoring and metrics for clinical trials: an international consensus
    statement. Lancet Diabetes Endocrinol 2023;11:42-57, 10.1016/S2213-8587(22)00319-9 (ranges, episodes).
[2] Bergenstal RM, et al. Glucose management indicator (GMI). Diabetes Care 2018;41:2275-2280, 10.2337/dc18-1581.
[3] Klonoff DC, et al. A glycemia risk index (GRI). J Diabetes Sci Technol 2023;17:1226-1242,
    10.1177/19322968221085273.
[4] Kovatchev BP, et al. Evaluation of a new measure of blood glucose variability in diabetes. Diabetes Care
    2006;29:2433-2438, 10.2337/dc06-1085 (LBGI, HBGI, ADRR).
[5] Molnar GD, Taylor WF, Ho MM. Day-to-day variation of continuously monitored glycaemia. Diabetologia
    1972;8:342-348, 10.1007/BF01218495 (MODD).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twin_core.domain.errors import BadInput, OutOfRange
from twin_core.domain.history import FloatArray
from twin_core.domain.units import MINUTES_PER_DAY

EPISODE_MIN = 15.0
"""An episode begins and ends with this long on the other side [1]."""
EXTENDED_MIN = 120.0
"""Hypoglycaemia from this long on is extended [1]."""
LARGEST_GAP_MIN = 30.0
"""Nothing is known across a longer gap: it ends an episode."""
GLUCOSE_LOW_MG_DL, GLUCOSE_HIGH_MG_DL = 10.0, 1000.0


class Preset(StrEnum):
    """For whom the ranges are; targets for the time in them differ more than the ranges do."""

    STANDARD = "standard"
    OLDER_HIGH_RISK = "older_high_risk"
    PREGNANCY_T1 = "pregnancy_t1"
    PREGNANCY_T2_GDM = "pregnancy_t2_gdm"


class Limits(NamedTuple):
    """Where ranges meet [mg/dL]; the target has both its ends in, 54 is low, 250 is high."""

    very_low: float
    low: float
    high: float
    very_high: float


_STANDARD = Limits(54.0, 70.0, 180.0, 250.0)
_PREGNANCY = Limits(54.0, 63.0, 140.0, 250.0)
LIMITS = {
    Preset.STANDARD: _STANDARD,
    Preset.OLDER_HIGH_RISK: _STANDARD,
    Preset.PREGNANCY_T1: _PREGNANCY,
    Preset.PREGNANCY_T2_GDM: _PREGNANCY,
}


class EpisodeKind(StrEnum):
    """On which side of the target an episode is."""

    HYPOGLYCEMIA = "hypoglycemia"
    HYPERGLYCEMIA = "hyperglycemia"


@dataclass(frozen=True, kw_only=True, slots=True)
class Episode:
    """A stretch beyond a limit, by the rules of [1].

    Attributes
    ----------
    level
        1 beyond the limit of the target, 2 beyond the outer limit; a level 2 episode lies within one of level 1.
    end_min
        When glucose came back for good, or when knowledge of it ended.
    extreme_mg_dl
        Lowest (or highest) reading.
    extended
        Level 1 hypoglycaemia of at least 120 min.
    """

    kind: EpisodeKind
    level: int
    threshold_mg_dl: float
    start_min: float
    end_min: float
    duration_min: float
    extreme_mg_dl: float
    extended: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeInRanges:
    """Share of readings in each range, adding up to 100 [%]."""

    very_low: float | None = None
    low: float | None = None
    target: float | None = None
    high: float | None = None
    very_high: float | None = None


@dataclass(frozen=True, kw_only=True)
class GlucoseMetrics:
    """The consensus metrics of a stretch of readings; None where they cannot be computed.

    Attributes
    ----------
    gri
        Glycemia risk index, 0 to 100, by the standard ranges for which it was made, whatever the preset.
    active_percent
        Readings there are, of those expected at the median sampling interval.
    """

    time_in_ranges_percent: TimeInRanges
    mean_mg_dl: float | None
    sd_mg_dl: float | None
    cv_percent: float | None
    gmi_percent: float | None
    gri: float | None
    lbgi: float | None
    hbgi: float | None
    adrr: float | None
    modd_mg_dl: float | None
    active_percent: float | None
    episodes: tuple[Episode, ...]


class _Readings(NamedTuple):
    """Readings that there are, and the median time between rows (None with fewer than two rows)."""

    time: FloatArray
    glucose: FloatArray
    interval: float | None


def glucose_metrics(
    time_min: ArrayLike,
    glucose_mg_dl: ArrayLike,
    preset: Preset = Preset.STANDARD,
    *,
    utc_offset_min: float = 0.0,
) -> GlucoseMetrics:
    """Metrics of one person's readings.

    Parameters
    ----------
    time_min
        Shape `(n,)`, increasing [min].
    glucose_mg_dl
        Shape `(n,)`, NaN where a reading is missing [mg/dL].
    utc_offset_min
        What to add to `time_min` so that days begin at its multiples of 1440.

    Raises
    ------
    BadInput
        If shapes differ, times do not increase, or a glucose is outside 10 to 1000 mg/dL.
    """
    times, glucose = _checked(np.asarray(time_min, dtype=float), np.asarray(glucose_mg_dl, dtype=float))
    there = ~np.isnan(glucose)
    readings = _Readings(times[there], glucose[there], float(np.median(np.diff(times))) if times.size > 1 else None)
    mean, sd = _mean(readings.glucose), _sd(readings.glucose)
    low_risk, high_risk = _risks(readings.glucose)
    return GlucoseMetrics(
        time_in_ranges_percent=_time_in_ranges(readings.glucose, LIMITS[preset]),
        mean_mg_dl=mean,
        sd_mg_dl=sd,
        cv_percent=None if mean is None or sd is None else 100.0 * sd / mean,
        gmi_percent=None if mean is None else 3.31 + 0.02392 * mean,
        gri=_gri(_time_in_ranges(readings.glucose, _STANDARD)),
        lbgi=_mean(low_risk),
        hbgi=_mean(high_risk),
        adrr=_adrr(readings, low_risk, high_risk, utc_offset_min),
        modd_mg_dl=_modd(readings),
        active_percent=_active_percent(times, readings),
        episodes=_episodes(readings, LIMITS[preset]),
    )


def _checked(times: FloatArray, glucose: FloatArray) -> tuple[FloatArray, FloatArray]:
    if times.ndim != 1 or times.shape != glucose.shape:
        raise BadInput(f"time_min and glucose_mg_dl differ in length: {times.size} and {glucose.size}.")
    if not np.all(np.isfinite(times)) or np.any(np.diff(times) <= 0.0):
        raise BadInput("time_min must be finite and increase from reading to reading.")
    outside = (glucose < GLUCOSE_LOW_MG_DL) | (glucose > GLUCOSE_HIGH_MG_DL)
    if outside.any():
        raise OutOfRange("glucose_mg_dl", glucose[outside][0], GLUCOSE_LOW_MG_DL, GLUCOSE_HIGH_MG_DL, "mg/dL")
    return times, glucose


def _mean(values: FloatArray) -> float | None:
    return float(values.mean()) if values.size else None


def _sd(glucose: FloatArray) -> float | None:
    """Standard deviation of the sample (n - 1)."""
    return float(glucose.std(ddof=1)) if glucose.size > 1 else None


def _time_in_ranges(glucose: FloatArray, limits: Limits) -> TimeInRanges:
    if not glucose.size:
        return TimeInRanges()
    return TimeInRanges(
        very_low=_percent(glucose < limits.very_low),
        low=_percent((glucose >= limits.very_low) & (glucose < limits.low)),
        target=_percent((glucose >= limits.low) & (glucose <= limits.high)),
        high=_percent((glucose > limits.high) & (glucose <= limits.very_high)),
        very_high=_percent(glucose > limits.very_high),
    )


def _percent(which: NDArray[np.bool_]) -> float:
    return 100.0 * int(np.count_nonzero(which)) / which.size


def _gri(time_in: TimeInRanges) -> float | None:
    """Equation of [3]."""
    if time_in.very_low is None or time_in.low is None or time_in.high is None or time_in.very_high is None:
        return None
    return min(100.0, 3.0 * time_in.very_low + 2.4 * time_in.low + 1.6 * time_in.very_high + 0.8 * time_in.high)


def _risks(glucose: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Risk of hypo- and hyperglycaemia of each reading [4]."""
    f = 1.509 * (np.log(glucose) ** 1.084 - 5.381)
    risk = 10.0 * f**2
    return np.where(f < 0.0, risk, 0.0), np.where(f > 0.0, risk, 0.0)


def _adrr(readings: _Readings, low_risk: FloatArray, high_risk: FloatArray, offset_min: float) -> float | None:
    """Average daily risk range [4]: mean over days of the day's greatest low risk plus its greatest high risk."""
    if not _covers_a_day(readings):
        return None
    day = np.floor((readings.time + offset_min) / MINUTES_PER_DAY)
    firsts = np.flatnonzero(np.diff(day, prepend=day[0] - 1.0))
    return float(np.mean(np.maximum.reduceat(low_risk, firsts) + np.maximum.reduceat(high_risk, firsts)))


def _covers_a_day(readings: _Readings) -> bool:
    """Whether readings, each standing for one interval, span 24 h."""
    if readings.interval is None or not readings.time.size:
        return False
    return bool(readings.time[-1] - readings.time[0] + readings.interval >= MINUTES_PER_DAY)


def _modd(readings: _Readings) -> float | None:
    """Mean of daily differences [5]: readings 24 h apart, matched within half a sampling interval."""
    if readings.interval is None or not readings.time.size:
        return None
    wanted = readings.time + MINUTES_PER_DAY
    after = np.clip(np.searchsorted(readings.time, wanted), 1, max(1, readings.time.size - 1))
    before = after - 1
    after = np.minimum(after, readings.time.size - 1)
    nearer_before = wanted - readings.time[before] <= np.abs(readings.time[after] - wanted)
    match = np.where(nearer_before, before, after)
    paired = np.abs(readings.time[match] - wanted) <= readings.interval / 2.0
    return _mean(np.abs(readings.glucose[match] - readings.glucose)[paired])


def _active_percent(times: FloatArray, readings: _Readings) -> float | None:
    if readings.interval is None:
        return None
    expected = round(float(times[-1] - times[0]) / readings.interval) + 1
    return min(100.0, 100.0 * readings.time.size / expected)


def _episodes(readings: _Readings, limits: Limits) -> tuple[Episode, ...]:
    """All episodes by their start, the milder level first."""
    if readings.interval is None:
        return ()
    low, high = EpisodeKind.HYPOGLYCEMIA, EpisodeKind.HYPERGLYCEMIA
    thresholds = ((low, 1, limits.low), (low, 2, limits.very_low), (high, 1, limits.high), (high, 2, limits.very_high))
    episodes = [
        _episode(readings, kind, level, threshold, first, last, end)
        for kind, level, threshold in thresholds
        for first, last, end in _stretches(readings, _beyond(readings.glucose, kind, threshold))
    ]
    return tuple(sorted(episodes, key=lambda episode: (episode.start_min, episode.level)))


def _beyond(glucose: FloatArray, kind: EpisodeKind, threshold: float) -> NDArray[np.bool_]:
    return glucose < threshold if kind is EpisodeKind.HYPOGLYCEMIA else glucose > threshold


def _episode(
    readings: _Readings, kind: EpisodeKind, level: int, threshold: float, first: int, last: int, end: float
) -> Episode:
    start = float(readings.time[first])
    glucose = readings.glucose[first : last + 1]
    hypo = kind is EpisodeKind.HYPOGLYCEMIA
    return Episode(
        kind=kind,
        level=level,
        threshold_mg_dl=threshold,
        start_min=start,
        end_min=end,
        duration_min=end - start,
        extreme_mg_dl=float(glucose.min() if hypo else glucose.max()),
        extended=hypo and level == 1 and end - start >= EXTENDED_MIN,
    )


class _Run(NamedTuple):
    """Readings one after the other on one side of a limit, without a long gap between them."""

    first: int
    last: int
    beyond: bool
    after_gap: bool


def _runs(readings: _Readings, beyond: NDArray[np.bool_]) -> list[_Run]:
    """All readings as runs, in order."""
    if not beyond.size:
        return []
    gap = np.diff(readings.time) > LARGEST_GAP_MIN
    breaks = np.flatnonzero(gap | (beyond[1:] != beyond[:-1]))
    firsts = np.concatenate([[0], breaks + 1])
    lasts = np.concatenate([breaks, [beyond.size - 1]])
    after_gap = np.concatenate([[True], gap[breaks]])
    columns = (firsts.tolist(), lasts.tolist(), beyond[firsts].tolist(), after_gap.tolist())
    return [_Run(*run) for run in zip(*columns, strict=True)]


def _stretches(readings: _Readings, beyond: NDArray[np.bool_]) -> Iterator[tuple[int, int, float]]:
    """First and last reading and end [min] of each episode.

    A reading stands for one sampling interval, so that three readings at 5 min make 15 min. Times back of less than
    15 min belong to the episode; those at its end before a gap do not.
    """
    interval = readings.interval or 0.0
    first = last = -1
    for run in _runs(readings, beyond):
        lasting = readings.time[run.last] - readings.time[run.first] + interval >= EPISODE_MIN
        if first >= 0 and run.after_gap:
            yield first, last, float(readings.time[last] + interval)
            first = -1
        if run.beyond:
            first = run.first if first < 0 and lasting else first
            last = run.last
        elif first >= 0 and lasting:
            yield first, last, float(readings.time[run.first])
            first = -1
    if first >= 0:
        yield first, last, float(readings.time[last] + interval)
