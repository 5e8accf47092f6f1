"""Insulins with a depot of their own: long-acting ones under the skin, and inhaled insulin in the lungs.

Each dose D passes two first-order steps; what leaves the second appears in plasma:

    appearance = share D k_1 k_2 / (k_2 - k_1) [exp(-k_1 t) - exp(-k_2 t)],     k = ln 2 / half-life

The slow step gives the terminal half-life, the fast one the time of the peak. For albumin-bound insulins (detemir,
degludec) the chain stands for depot and binding together: it has the course of the concentration. The half-lives are
published; the onset half-lives were solved here so that published peaks or profiles come out (tests/.../
test_insulins.py). Doses superpose exactly; columns are means over each step, so that no insulin is lost on any grid.

Left out: absorption that slows with the dose (detemir: 5 to 7 h), differences between people and days (coefficients
of variation of 20 to 60 %), the part of glargine that acts at once.

References
----------
[1] Becker et al. 2015, Diabetes Care 38(4):637, doi 10.2337/dc14-0006; table 1: steady state, 0.4 U/kg, type 1.
[2] Tresiba (insulin degludec), US prescribing information, section 12.3.
[3] Levemir (insulin detemir), US prescribing information, section 12.3.
[4] Afrezza (inhaled human insulin), US prescribing information, sections 11 and 12.3.
[5] Heise et al. 2016, J Diabetes 8(1):132, doi 10.1111/1753-0407.12266.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from twin_core.domain.history import BasalInsulin, Bolus, FloatArray, LongActingDose, MealInsulin
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.models.glucose.chains import remaining, remaining_weights
from twin_core.models.glucose.sourced import Evidence, Sourced

REMEMBERED_MIN = 5.0 * MINUTES_PER_DAY
"""Long-acting doses older than this may be forgotten: of degludec 4 % are left, of the others less than 1.5 %."""

PATTERN_MIN = 0.75 * MINUTES_PER_DAY
"""Doses this soon after the first one are taken for one day's regimen; the next is the following day's."""

_REACH_IN_HALF_LIVES = 30.0
"""A dose is followed for this many slow half-lives; 1e-9 of it is left then."""


@dataclass(frozen=True, kw_only=True)
class Depot:
    """How a dose of one insulin appears in plasma.

    Attributes
    ----------
    fading_half_life, onset_half_life
        Of the slow and the fast step [min].
    share
        Of the dose that acts, in units of rapid insulin under the skin.
    """

    title: str
    fading_half_life: Sourced
    onset_half_life: Sourced
    share: Sourced

    @property
    def rates_per_min(self) -> tuple[float, float]:
        """Rates of the two steps [1/min]."""
        return math.log(2.0) / self.fading_half_life.value, math.log(2.0) / self.onset_half_life.value


def _half_life(hours: float, which: str, source: str, evidence: Evidence) -> Sourced:
    return Sourced(60.0 * hours, "min", f"half-life, {which}", source, evidence)


def _share(value: float, source: str, evidence: Evidence) -> Sourced:
    return Sourced(value, "1", "share of a dose that acts, in units of rapid insulin", source, evidence)


DEPOTS: Mapping[BasalInsulin, Depot] = {
    BasalInsulin.GLARGINE_U100: Depot(
        title="glargine 100 U/mL",
        fading_half_life=_half_life(13.5, "fading", "[1] table 1: 13.5 +- 6.9 h", Evidence.B),
        onset_half_life=_half_life(
            1.5, "onset", "solved for [1] table 1: half of the day's exposure by 9.6 h", Evidence.C
        ),
        share=_share(1.0, "a unit is a unit", Evidence.C),
    ),
    BasalInsulin.GLARGINE_U300: Depot(
        title="glargine 300 U/mL",
        fading_half_life=_half_life(19.0, "fading", "[1] table 1: 19.0 +- 6.4 h", Evidence.B),
        onset_half_life=_half_life(
            2.0, "onset", "solved for [1] table 1: half of 36 h's exposure by 14.0 h", Evidence.C
        ),
        share=_share(0.83, "[1] table 1: exposure 0.83 (0.69 to 1.00) of that of 100 U/mL", Evidence.B),
    ),
    BasalInsulin.DETEMIR: Depot(
        title="detemir",
        fading_half_life=_half_life(6.0, "fading", "[3]: 5 to 7 h, by dose", Evidence.B),
        onset_half_life=_half_life(4.0, "onset", "solved for [3]: peak at 6 to 8 h", Evidence.C),
        share=_share(
            1.0, "a unit is a unit: one of detemir is 24 nmol, which allows for what is not absorbed", Evidence.C
        ),
    ),
    BasalInsulin.DEGLUDEC: Depot(
        title="degludec",
        fading_half_life=_half_life(25.0, "fading", "[2]: about 25 h, whatever the dose", Evidence.B),
        onset_half_life=_half_life(2.5, "onset", "solved for [2]: peak at 9 h (unverified)", Evidence.C),
        share=_share(1.0, "[2]: started at the dose of the insulin before it", Evidence.B),
    ),
}

INHALED = Depot(
    title="inhaled insulin (Technosphere)",
    fading_half_life=Sourced(33.0, "min", "half-life, fading", "[4]: 28 to 39 min (unverified)", Evidence.B),
    onset_half_life=Sourced(
        2.0, "min", "half-life, onset", "solved for [4]: insulin peaks at 12 to 15 min", Evidence.C
    ),
    share=_share(
        0.655,
        "[4]: a cartridge of 4 U holds 0.35 mg = 10.1 U; 0.26 of them act as under the skin (unverified)",
        Evidence.C,
    ),
)


def appearing_u_min(doses: Iterable[LongActingDose], boluses: Iterable[Bolus], bounds_min: FloatArray) -> FloatArray:
    """Long-acting and inhaled insulin that reaches plasma.

    Parameters
    ----------
    bounds_min
        Shape `(n_steps + 1,)`: the begin of each step and the end of the last [min].

    Returns
    -------
    FloatArray
        Shape `(n_steps,)`: the mean over each step [U/min], in units of rapid insulin under the skin.
    """
    given_u = np.zeros(len(bounds_min) - 1)
    for dose in doses:
        _add(given_u, DEPOTS[dose.insulin], dose.time_min, dose.dose_u, bounds_min)
    for bolus in boluses:
        if bolus.insulin is MealInsulin.INHALED:
            _add(given_u, INHALED, bolus.time_min, bolus.dose_u, bounds_min)
    return given_u / np.diff(bounds_min)


def _add(given_u: FloatArray, depot: Depot, time_min: float, dose_u: float, bounds_min: FloatArray) -> None:
    """Add what of a dose appears in each step [U]."""
    reach_min = _REACH_IN_HALF_LIVES * depot.fading_half_life.value
    first = max(int(np.searchsorted(bounds_min, time_min, side="right")) - 1, 0)
    last = int(np.searchsorted(bounds_min, time_min + reach_min)) + 1
    left = remaining(depot.rates_per_min, bounds_min[first:last] - time_min)
    given_u[first : first + len(left) - 1] -= depot.share.value * dose_u * np.diff(left)


def own_basal_share(doses: Sequence[LongActingDose], bounds_min: FloatArray) -> FloatArray:
    """The share of the person's own basal insulin that still runs after the first of `doses`.

    Whoever injects long-acting insulin did so before the record began: own basal stands for those injections. So it
    does not stop at the first recorded dose, but fades as the earlier injections of the same daily regimen would,
    while the recorded ones come up; together they make the regimen's steady state. The regimen is what was injected
    within 18 h of the first dose. An injection that is missing later is missing.

    Parameters
    ----------
    doses
        At least one; in any order.
    bounds_min
        Shape `(n_steps + 1,)` [min].

    Returns
    -------
    FloatArray
        Shape `(n_steps,)`: the mean over each step, 1 before the first dose; it can exceed 1 for a while when a larger
        dose was last. 0 after a first dose of 0 U.
    """
    first_min = min(dose.time_min for dose in doses)
    day = [dose for dose in doses if dose.time_min < first_min + PATTERN_MIN]
    per_min = sum(DEPOTS[dose.insulin].share.value * dose.dose_u for dose in day) / MINUTES_PER_DAY
    share = np.ones(len(bounds_min) - 1)
    first = int(np.searchsorted(bounds_min[:-1], first_min - 1e-6))
    share[first:] = 0.0
    if per_min > 0.0:
        for dose in day:
            earlier_u = _earlier_u(DEPOTS[dose.insulin], dose, bounds_min[first:])
            share[first:] -= np.diff(earlier_u) / np.diff(bounds_min[first:]) / per_min
    return share


def _earlier_u(depot: Depot, dose: LongActingDose, times_min: FloatArray) -> FloatArray:
    """What is left of the same dose given one, two, three, ... days before `dose`, ever since [U]."""
    rates = np.array(depot.rates_per_min)
    a_day = np.exp(-rates * MINUTES_PER_DAY)
    weights = remaining_weights(depot.rates_per_min) * a_day / (1.0 - a_day)
    left = np.exp(-np.outer(times_min - dose.time_min, rates)) @ weights
    return np.asarray(depot.share.value * dose.dose_u * left)
