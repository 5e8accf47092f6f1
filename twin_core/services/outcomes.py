"""Outcomes of courses of glucose: what a plan does to them, draw by draw, each figure with its interval.

Two things are called an interval here, and each outcome says which is its own. Time in range and the lowest glucose
differ from draw to draw: their interval holds 90 % of the draws. A chance is one number for all draws, and already
counts what is not known; its interval is the error of estimating it from so many draws (Wilson 1927 for one chance,
Bonett and Price 2012, doi 10.3102/1076998611411915, for the difference of two chances on the same draws).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.history import FloatArray

LOWEST_MG_DL, HIGHEST_MG_DL = 40.0, 400.0
"""What a sensor can show."""
_Z_90 = 1.6448536269514722
"""Between -z and z lie 90 % of a standard normal distribution."""


class OutcomeUnit(StrEnum):
    """What an outcome's numbers are."""

    PERCENT = "%"
    GLUCOSE = "mg/dL"


class IntervalKind(StrEnum):
    """What an outcome's interval is."""

    RANGE = "holds 90 % of the draws"
    SAMPLING = "90 % sampling error of the draws"


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A figure and the bounds of its interval."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One outcome of a course, and its paired difference from another course where there is one.

    Attributes
    ----------
    name
        As in scenarios, such as `minimum_mg_dl`.
    label
        For the screen; has a place `{}` for each of `levels_mg_dl`, to be filled in the unit of the screen.
    kind
        What both intervals are.
    """

    name: str
    label: str
    levels_mg_dl: tuple[float, ...]
    unit: OutcomeUnit
    kind: IntervalKind
    value: Interval
    change: Interval | None


@dataclass(frozen=True, kw_only=True)
class _Definition:
    """`of` takes courses `(n, n_times)` and gives one number a course; for a chance, 0 or 1."""

    name: str
    label: str
    levels_mg_dl: tuple[float, ...]
    unit: OutcomeUnit
    kind: IntervalKind
    of: Callable[[FloatArray], FloatArray]


_Of = Callable[[FloatArray], FloatArray]


def _range(name: str, label: str, levels: tuple[float, ...], unit: OutcomeUnit, of: _Of) -> _Definition:
    return _Definition(name=name, label=label, levels_mg_dl=levels, unit=unit, kind=IntervalKind.RANGE, of=of)


def _chance(name: str, label: str, level: float, of: _Of) -> _Definition:
    unit, kind = OutcomeUnit.PERCENT, IntervalKind.SAMPLING
    return _Definition(name=name, label=label, levels_mg_dl=(level,), unit=unit, kind=kind, of=of)


def _in_range(paths: FloatArray) -> FloatArray:
    return np.asarray(100.0 * ((paths >= 70.0) & (paths <= 180.0)).mean(axis=1))


def _any(holds: NDArray[np.bool_]) -> FloatArray:
    return np.asarray(holds.any(axis=1), dtype=np.float64)


_DEFINITIONS = (
    _range("time_in_range_percent", "Time in {}-{}", (70.0, 180.0), OutcomeUnit.PERCENT, _in_range),
    _range("minimum_mg_dl", "Lowest glucose", (), OutcomeUnit.GLUCOSE, lambda paths: np.asarray(paths.min(axis=1))),
    _chance("chance_below_70_percent", "Chance of any value below {}", 70.0, lambda paths: _any(paths < 70.0)),
    _chance("chance_below_54_percent", "Chance of any value below {}", 54.0, lambda paths: _any(paths < 54.0)),
    _chance("chance_above_180_percent", "Chance of any value above {}", 180.0, lambda paths: _any(paths > 180.0)),
)
"""One entry adds an outcome to the page and to the scenarios."""

OUTCOME_NAMES = tuple(definition.name for definition in _DEFINITIONS)


def clipped(glucose_mg_dl: FloatArray) -> FloatArray:
    """Glucose within what a sensor can show [mg/dL]."""
    return np.clip(glucose_mg_dl, LOWEST_MG_DL, HIGHEST_MG_DL)


def outcomes_of(paths: FloatArray, against: FloatArray | None = None) -> tuple[Outcome, ...]:
    """Every outcome of some courses.

    Parameters
    ----------
    paths
        Shape `(n_draws, n_times)` [mg/dL].
    against
        The same draws, row by row, of another course; the differences are `paths` less `against`.
    """
    return tuple(_outcome(definition, paths, against) for definition in _DEFINITIONS)


def _outcome(definition: _Definition, paths: FloatArray, against: FloatArray | None) -> Outcome:
    values = definition.of(paths)
    others = None if against is None else definition.of(against)
    one, two = (_share, _share_change) if definition.kind is IntervalKind.SAMPLING else (_spread, _spread_change)
    return Outcome(
        name=definition.name,
        label=definition.label,
        levels_mg_dl=definition.levels_mg_dl,
        unit=definition.unit,
        kind=definition.kind,
        value=one(values),
        change=None if others is None else two(values, others),
    )


def _spread(values: FloatArray) -> Interval:
    low, middle, high = np.percentile(values, (5.0, 50.0, 95.0))
    return Interval(middle=float(middle), low=float(low), high=float(high))


def _spread_change(values: FloatArray, others: FloatArray) -> Interval:
    return _spread(values - others)


def _share(hits: FloatArray) -> Interval:
    """A share in percent with its Wilson score interval."""
    n, share, z2 = len(hits), float(hits.mean()), _Z_90**2
    centre = (share + z2 / (2.0 * n)) / (1.0 + z2 / n)
    reach = _Z_90 / (1.0 + z2 / n) * np.sqrt(share * (1.0 - share) / n + z2 / (4.0 * n * n))
    return Interval(middle=100.0 * share, low=100.0 * max(0.0, centre - reach), high=100.0 * min(1.0, centre + reach))


def _share_change(hits: FloatArray, others: FloatArray) -> Interval:
    """The difference of two shares of the same draws in percentage points; Bonett and Price's adjusted Wald interval.

    Where no draw differs, the interval is a little wider than nothing: so few draws cannot exclude a rare difference.
    """
    only_with, only_without = float(((hits - others) > 0).sum()), float(((hits - others) < 0).sum())
    low, high = paired_difference(only_with, only_without, len(hits))
    return Interval(middle=100.0 * (only_with - only_without) / len(hits), low=100.0 * low, high=100.0 * high)


def paired_difference(only_first: float, only_second: float, n: int, z: float = _Z_90) -> tuple[float, float]:
    """Interval of the difference of two shares among `n` pairs, of which so many have only the one or the other."""
    first, second = (only_first + 1.0) / (n + 2.0), (only_second + 1.0) / (n + 2.0)
    reach = z * float(np.sqrt((first + second - (first - second) ** 2) / (n + 2.0)))
    return max(-1.0, first - second - reach), min(1.0, first - second + reach)
