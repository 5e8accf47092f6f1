"""What the forecaster knows of a person beyond the window: trends, days, habits and therapy, a row for each origin.

Causal like the windows: a record counts from the moment it is made, habits are those of the 14 days before the origin.
What is not known is NaN. Sums run over whole numbers, so that they do not depend on where a record begins or ends.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twin_core.domain.history import FloatArray, History, Therapy
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.forecast.features import (
    ACTIVITY_INTERVAL_MIN,
    CARB_DURATION_MIN,
    HOLD_MIN,
    INSULIN_DURATION_MIN,
    RECORD_REACH_MIN,
    Amounts,
    WindowArray,
    carbs_remaining,
    held_glucose,
    insulin_remaining,
    long_acting_share,
    windows,
)

ContextArray: TypeAlias = NDArray[np.float32]
Share: TypeAlias = Callable[[FloatArray], FloatArray]

HABIT_DAYS = 14
HABIT_WEIGHTS = 0.9 ** np.arange(HABIT_DAYS)
"""Yesterday counts most."""
REACH_MIN = HABIT_DAYS * MINUTES_PER_DAY + 360.0
"""How far back, from an origin, any record is looked at."""
LAGS_MIN = (5, 10, 15, 20, 25, 30, 40, 50, 60, 75, 90, 105, 120, 150, 180, 240, 300, 360)
SPANS_MIN = {"1h": 60, "3h": 180, "6h": 360, "24h": 1440, "7d": 10080, "14d": 20160}
AHEAD_MIN = (0, 60, 120, 180, 240)
SUMS_MIN = (15, 30, 60, 120, 180, 360, 1440)
USED_WITHIN_MIN = (30, 60, 120)
HABITUAL_MIN = ((0, 60), (60, 120), (0, 180))
STEP_SUMS_MIN = (30, 60, 180, 720, 1440)
HARMONICS = (1, 2, 3, 4)
_HABIT_HALF_WIDTH_MIN = 30.0
_SLOPE_REACH_MIN = 45.0
_LOW_MG_DL, _HIGH_MG_DL = 70.0, 180.0
_EXACT = 64.0
_EXACT_AMOUNT = 1000.0

_GLUCOSE = (
    "glucose",
    "age",
    *(f"change_{lag}" for lag in LAGS_MIN),
    *(f"slope_{count}_readings" for count in (1, 2, 3)),
    "reading_interval",
    *(f"{what}_{span}" for span in SPANS_MIN for what in ("mean", "sd")),
    *(f"{what}_{span}" for span in ("24h", "14d") for what in ("share_low", "share_high")),
    "level_14d",
)
_HABITS = (
    *(f"usual_{ahead}" for ahead in AHEAD_MIN),
    *(f"usual_change_{ahead}" for ahead in AHEAD_MIN[1:]),
    "yesterday_change_120",
)
_THERAPY = tuple(
    f"{kind}_{what}"
    for kind in ("bolus", "carbs")
    for what in (
        *map(str, SUMS_MIN),
        "recorded",
        "since",
        "last",
        *(f"usual_{begin}_{end}" for begin, end in HABITUAL_MIN),
        "a_day",
        "on_board",
        *(f"used_{within}" for within in USED_WITHIN_MIN),
    )
)
_BACKGROUND = ("bolus_on_board_30_ago", "basal", "basal_recorded", "basal_departure_60", "basal_departure_180")
_ACTIVITY = (*(f"steps_{span}" for span in STEP_SUMS_MIN), "steps_recorded")
_CLOCK = ("minute_of_day", *(f"{wave}_{k}" for k in HARMONICS for wave in ("sine", "cosine")), "weekday")
CONTEXT_NAMES = (*_GLUCOSE, *_HABITS, *_THERAPY, *_BACKGROUND, *_ACTIVITY, *_CLOCK)
GROUPS: dict[str, tuple[str, ...]] = {
    "glucose and trend": _GLUCOSE,
    "habits": _HABITS,
    "meals": tuple(name for name in _THERAPY if name.startswith("carbs")),
    "insulin": (*(name for name in _THERAPY if name.startswith("bolus")), *_BACKGROUND),
    "activity": _ACTIVITY,
    "time of day": _CLOCK,
}
"""The columns by what they tell of, for explanations."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a model reads: windows `(n, n_steps, n_features)` and context `(n, len(CONTEXT_NAMES))`."""

    windows: WindowArray
    context: ContextArray

    def __len__(self) -> int:
        return len(self.context)

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.intp] | slice) -> "Inputs":
        """Some of the rows."""
        return Inputs(windows=self.windows[chosen], context=self.context[chosen])

    @property
    def now_mg_dl(self) -> FloatArray:
        """The reading at each origin, shape `(n,)`."""
        return self.context[:, 0].astype(np.float64)


def context_column(name: str) -> int:
    """Where a number stands in the last axis of a context."""
    return CONTEXT_NAMES.index(name)


def inputs_of(history: History, origins_min: ArrayLike) -> Inputs:
    """Windows and context at each origin."""
    origins = np.asarray(origins_min, dtype=np.float64).reshape(-1)
    if origins.size == 0:
        return Inputs(windows=windows(history, origins), context=context(history, origins))
    near = _near(history, origins.min() - REACH_MIN, origins.max())
    return Inputs(windows=windows(near, origins), context=context(near, origins))


def _near(history: History, begin_min: float, end_min: float) -> History:
    """The part of a history that origins can see, so that long records are gone through once."""
    first, last = np.searchsorted(history.cgm_time_min, [begin_min, end_min], side="right")
    steps = slice(*np.searchsorted(history.activity_time_min, [begin_min, end_min], side="right"))
    therapy = history.therapy
    return replace(
        history,
        cgm_time_min=history.cgm_time_min[first:last],
        cgm_mg_dl=history.cgm_mg_dl[first:last],
        therapy=Therapy(
            meals=tuple(m for m in therapy.meals if begin_min < m.time_min <= end_min),
            boluses=tuple(b for b in therapy.boluses if begin_min < b.time_min <= end_min),
            basal=tuple(b for b in therapy.basal if begin_min < b.time_min <= end_min),
            long_acting=tuple(d for d in therapy.long_acting if begin_min < d.time_min <= end_min),
        ),
        activity_time_min=history.activity_time_min[steps],
        activity_steps=history.activity_steps[steps],
    )


def context(history: History, origins_min: FloatArray) -> ContextArray:
    """The context at each origin; what happened after an origin cannot change it.

    Returns
    -------
    Shape `(n, len(CONTEXT_NAMES))`, NaN where something is not known.
    """
    if origins_min.size == 0:
        return np.empty((0, len(CONTEXT_NAMES)), dtype=np.float32)
    begin, end = origins_min.min() - REACH_MIN, origins_min.max()
    readings = _Readings.within(history, begin, end)
    therapy = history.therapy
    bolus = Amounts.within([(b.time_min, b.dose_u) for b in therapy.boluses if b.dose_u > 0], begin, end)
    carbs = Amounts.within([(m.time_min, m.carbs_g) for m in therapy.meals if m.carbs_g > 0], begin, end)
    parts = (
        _glucose(readings, origins_min),
        _habits(readings, origins_min),
        _events(bolus, origins_min, INSULIN_DURATION_MIN, insulin_remaining),
        _events(carbs, origins_min, CARB_DURATION_MIN, carbs_remaining),
        [bolus.total(origins_min - 30.0, INSULIN_DURATION_MIN, insulin_remaining)],
        _basal(history, origins_min, begin),
        _steps(history, origins_min, begin),
        _clock(origins_min, history.utc_offset_min),
    )
    return np.column_stack([column for part in parts for column in part]).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class _Sums:
    """Running sums of whole numbers over times, to be asked for spans."""

    time_min: FloatArray
    running: NDArray[np.int64]

    @classmethod
    def of(cls, time_min: FloatArray, columns: Sequence[ArrayLike]) -> "_Sums":
        """Of columns of whole numbers."""
        whole = np.rint(np.stack([np.asarray(each, dtype=np.float64) for each in columns])).astype(np.int64)
        zero = np.zeros((len(columns), 1), dtype=np.int64)
        return cls(time_min=time_min, running=np.concatenate([zero, np.cumsum(whole, axis=1)], axis=1))

    def within(self, begin_min: FloatArray, end_min: FloatArray) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Count and sums over `(begin, end]`: shape of the times, and `(n_columns, *shape)`."""
        first = np.searchsorted(self.time_min, begin_min, side="right")
        last = np.searchsorted(self.time_min, end_min, side="right")
        return last - first, self.running[:, last] - self.running[:, first]


@dataclass(frozen=True, kw_only=True)
class _Readings:
    """The readings that some origins can see, with running sums of value, square, low and high."""

    history: History
    sums: _Sums

    @classmethod
    def within(cls, history: History, begin_min: float, end_min: float) -> "_Readings":
        first, last = np.searchsorted(history.cgm_time_min, [begin_min, end_min], side="right")
        time, value = history.cgm_time_min[first:last], history.cgm_mg_dl[first:last]
        exact = np.rint(value * _EXACT)
        return cls(
            history=History(cgm_time_min=time, cgm_mg_dl=value),
            sums=_Sums.of(time, (exact, exact**2, value < _LOW_MG_DL, value > _HIGH_MG_DL)),
        )

    def held(self, times_min: FloatArray) -> FloatArray:
        """The last reading, at most 20 min old, else NaN."""
        value, age = held_glucose(self.history, times_min)
        return np.where(age <= HOLD_MIN, value, np.nan)


def _glucose(readings: _Readings, origins: FloatArray) -> list[FloatArray]:
    now, age = held_glucose(readings.history, origins)
    changes = now[:, None] - readings.held(origins[:, None] - np.array(LAGS_MIN))
    spans = np.array(list(SPANS_MIN.values()), dtype=np.float64)
    count, (total, square, low, high) = readings.sums.within(
        origins[:, None] - spans, np.repeat(origins[:, None], len(spans), axis=1)
    )
    some = np.where(count > 0, count, np.nan)
    mean = total / some / _EXACT
    deviation = np.sqrt(np.maximum(square / some / _EXACT**2 - mean**2, 0.0))
    shares = [of / some for of in (low, high)]
    of_spans = [column for place in range(len(spans)) for column in (mean[:, place] - now, deviation[:, place])]
    of_shares = [share[:, place] for place in (3, 5) for share in shares]
    return [now, age, *changes.T, *_slopes(readings.history, origins), *of_spans, *of_shares, mean[:, 5]]


def _slopes(glucose: History, origins: FloatArray) -> list[FloatArray]:
    """Change a minute over the last one, two and three readings, and the minutes between the last two."""
    time, value = glucose.cgm_time_min, glucose.cgm_mg_dl
    if time.size == 0:
        return [np.full(origins.size, np.nan)] * 4
    newest = np.searchsorted(time, origins, side="right") - 1
    earlier = newest[:, None] - np.array([1, 2, 3])
    exists, place = earlier >= 0, np.maximum(earlier, 0)
    apart = time[newest][:, None] - time[place]
    known = exists & (apart <= _SLOPE_REACH_MIN) & (apart > 0)
    slope = np.where(known, (value[newest][:, None] - value[place]) / np.where(known, apart, 1.0), np.nan)
    interval = np.where(exists[:, 0], np.minimum(apart[:, 0], 60.0), np.nan)
    return [*slope.T, interval]


def _days_before(origins: FloatArray, ahead_min: ArrayLike) -> FloatArray:
    """The same times of the days before, shape `(n, HABIT_DAYS, n_ahead)`, yesterday first."""
    days = MINUTES_PER_DAY * np.arange(1, HABIT_DAYS + 1)
    return np.asarray(origins[:, None, None] - days[:, None] + np.asarray(ahead_min, dtype=np.float64))


def _habits(readings: _Readings, origins: FloatArray) -> list[FloatArray]:
    """Usual glucose at this time of day and later, against the mean of 14 days, and the usual change."""
    middle = _days_before(origins, AHEAD_MIN)
    count, sums = readings.sums.within(middle - _HABIT_HALF_WIDTH_MIN, middle + _HABIT_HALF_WIDTH_MIN)
    usual = sums[0] / np.where(count > 0, count, np.nan) / _EXACT
    change = usual[..., 1:] - usual[..., :1]
    count, sums = readings.sums.within(origins - SPANS_MIN["14d"], origins)
    level = sums[0] / np.where(count > 0, count, np.nan) / _EXACT
    return [*(_weighted(usual) - level[:, None]).T, *_weighted(change).T, change[:, 0, AHEAD_MIN.index(120) - 1]]


def _weighted(of_days: FloatArray) -> FloatArray:
    """Mean over the days that are known, shape `(n, n_ahead)`; NaN where none is."""
    known = np.isfinite(of_days)
    weight = known * HABIT_WEIGHTS[:, None]
    total = weight.sum(axis=1)
    return np.asarray((np.where(known, of_days, 0.0) * weight).sum(axis=1) / np.where(total > 0, total, np.nan))


def _events(events: Amounts, origins: FloatArray, duration_min: float, remaining: Share) -> list[FloatArray]:
    """Sums, time since the last, habits and what is on board of one kind of event."""
    sums = _Sums.of(events.time_min, (events.amount * _EXACT_AMOUNT,))
    spans = np.array([*SUMS_MIN, SPANS_MIN["14d"]], dtype=np.float64)
    recent = sums.within(origins[:, None] - spans, np.repeat(origins[:, None], len(spans), axis=1))[1][0]
    begin, end = (_days_before(origins, [pair[side] for pair in HABITUAL_MIN]) for side in (0, 1))
    usual = (sums.within(begin, end)[1][0] * HABIT_WEIGHTS[:, None]).sum(axis=1) / HABIT_WEIGHTS.sum()
    on_board = [
        events.total(origins, duration_min, share)
        for share in (remaining, *(_used(remaining, within) for within in USED_WITHIN_MIN))
    ]
    return [
        *(recent[:, :-1] / _EXACT_AMOUNT).T,
        events.recorded(origins, RECORD_REACH_MIN),
        *_last(events, origins),
        *(usual / _EXACT_AMOUNT).T,
        recent[:, -1] / _EXACT_AMOUNT / HABIT_DAYS,
        *on_board,
    ]


def _used(remaining: Share, within_min: float) -> Share:
    """What of an event acts in the minutes after the origin, as a share of its amount."""
    return lambda elapsed: remaining(elapsed) - remaining(elapsed + within_min)


def _last(events: Amounts, origins: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Minutes since the last event, at most a day, and its amount; NaN where there was none in a day."""
    if events.time_min.size == 0:
        return np.full(origins.size, np.nan), np.full(origins.size, np.nan)
    place = np.searchsorted(events.time_min, origins, side="right") - 1
    since = np.where(place >= 0, origins - events.time_min[np.maximum(place, 0)], np.inf)
    known = since <= MINUTES_PER_DAY
    return np.where(known, since, np.nan), np.where(known, events.amount[np.maximum(place, 0)], np.nan)


def _basal(history: History, origins: FloatArray, begin: float) -> list[FloatArray]:
    """Background insulin [U/h], whether it is recorded, and how a pump departs from its mean of the day."""
    therapy, end = history.therapy, origins.max()
    rates = Amounts.within([(b.time_min, b.rate_u_h) for b in therapy.basal], begin, end)
    doses = Amounts.within([(d.time_min, d.dose_u) for d in therapy.long_acting], begin, end)
    recorded = np.maximum(rates.recorded(origins, RECORD_REACH_MIN), doses.recorded(origins, RECORD_REACH_MIN))
    level = rates.latest(origins, MINUTES_PER_DAY) + doses.total(origins, RECORD_REACH_MIN, long_acting_share) / 24.0
    spans = np.array([60.0, 180.0, MINUTES_PER_DAY])
    count, sums = _Sums.of(rates.time_min, (rates.amount * _EXACT_AMOUNT,)).within(
        origins[:, None] - spans, np.repeat(origins[:, None], len(spans), axis=1)
    )
    mean = sums[0] / np.where(count > 0, count, np.nan) / _EXACT_AMOUNT
    return [level, recorded, mean[:, 0] - mean[:, 2], mean[:, 1] - mean[:, 2]]


def _steps(history: History, origins: FloatArray, begin: float) -> list[FloatArray]:
    known_at = history.activity_time_min + ACTIVITY_INTERVAL_MIN
    steps = Amounts.within(np.column_stack([known_at, history.activity_steps]), begin, origins.max())
    spans = np.array(STEP_SUMS_MIN, dtype=np.float64)
    count, sums = _Sums.of(steps.time_min, (steps.amount,)).within(
        origins[:, None] - spans, np.repeat(origins[:, None], len(spans), axis=1)
    )
    return [*sums[0].astype(np.float64).T, (count[:, -1] > 0).astype(np.float64)]


def _clock(origins: FloatArray, utc_offset_min: float) -> list[FloatArray]:
    local = origins + utc_offset_min
    minute = np.mod(local, MINUTES_PER_DAY)
    waves = [wave(2 * np.pi * k * minute / MINUTES_PER_DAY) for k in HARMONICS for wave in (np.sin, np.cos)]
    return [minute, *waves, np.mod(np.floor(local / MINUTES_PER_DAY), 7.0)]
