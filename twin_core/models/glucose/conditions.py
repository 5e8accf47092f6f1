"""Stress, illness and alcohol, as factors that come and go along straight ramps.

Stress and illness lower insulin's action: to factor^degree at full strength. Alcohol lowers what the liver makes: to
max(0.7^portions, 0.3), from one to two hours after the first drink until four to eight hours after the last. That is a
behavioural rule: the one tracer study found 45 % less gluconeogenesis but only 12 % less glucose production in the five
hours after 48 g, in healthy fasting men [3]; in type 1 diabetes evening wine lowered glucose on the next morning [4].

References
----------
[1] Moberg et al. 1994, Diabetologia 37(3):247, doi 10.1007/BF00398050: ten people with type 1 diabetes; 20 min of
    mental stress, steady glucose 10.6 against 8.7 mmol/L at the same insulin and glucose, from 1 h after it for over
    5 h. But Wiesli et al. 2005, Diabetes Care 28(8):1910, saw no effect while fasting.
[2] Yki-Jarvinen et al. 1989, J Clin Endocrinol Metab 69(2):317, doi 10.1210/jcem-69-2-317: glucose taken up at the same
    insulin 52 % lower during acute infections.
[3] Siler et al. 1998, Am J Physiol 275(5):E897, doi 10.1152/ajpendo.1998.275.5.E897.
[4] Turner et al. 2001, Diabetes Care 24(11):1888, doi 10.2337/diacare.24.11.1888.
[5] T1DMSIM, a behavioural simulator (MIT, 2026): liver's output 30 to 70 % lower for 4 to 8 h, from 1 to 2 h after.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from twin_core.domain.history import Condition, ConditionKind, FloatArray
from twin_core.models.glucose.sourced import Evidence, Sourced


@dataclass(frozen=True, kw_only=True)
class Strain:
    """How stress or illness lowers insulin's action, and when.

    Attributes
    ----------
    factor
        Of insulin's action at degree 1.
    rising, lasting, falling
        From the begin to full strength; from its end to the begin of recovery; of recovery [min].
    """

    factor: Sourced
    rising: Sourced
    lasting: Sourced
    falling: Sourced


def _minutes(value: float, meaning: str, source: str, evidence: Evidence) -> Sourced:
    return Sourced(value, "min", meaning, source, evidence)


STRAINS: Mapping[ConditionKind, Strain] = {
    ConditionKind.STRESS: Strain(
        factor=Sourced(0.82, "1", "insulin's action under stress", "[1]: 8.7 over 10.6 mmol/L", Evidence.C),
        rising=_minutes(60.0, "until stress acts fully", "[1]: seen 1 h after", Evidence.B),
        lasting=_minutes(300.0, "that stress acts on", "[1]: more than 5 h", Evidence.B),
        falling=_minutes(60.0, "of recovery from stress", "assumption", Evidence.D),
    ),
    ConditionKind.ILLNESS: Strain(
        factor=Sourced(0.48, "1", "insulin's action during an infection", "[2]: 52 % lower (unverified)", Evidence.C),
        rising=_minutes(720.0, "until illness acts fully", "assumption", Evidence.D),
        lasting=_minutes(0.0, "that illness acts on", "assumption; weeks in some of [2] (unverified)", Evidence.D),
        falling=_minutes(1440.0, "of recovery from illness", "assumption", Evidence.D),
    ),
}

PORTION_SHARE = Sourced(
    0.7, "1", "glucose production after one portion (12 g of alcohol)", "[5]; but see [3]", Evidence.D
)
LOWEST_SHARE = Sourced(0.3, "1", "glucose production after many portions", "[5]; but see [3]", Evidence.D)
ALCOHOL_FROM_MIN = _minutes(60.0, "from the drink until alcohol begins to act", "[5]", Evidence.D)
ALCOHOL_RISING_MIN = _minutes(60.0, "until it acts fully", "[5]", Evidence.D)
ALCOHOL_LASTING_MIN = _minutes(240.0, "that one portion acts", "[5]", Evidence.D)
ALCOHOL_PORTION_MIN = _minutes(60.0, "that each further portion adds, up to eight hours in all", "[5]", Evidence.D)
ALCOHOL_LONGEST_MIN = _minutes(480.0, "that alcohol acts at the longest", "[5]", Evidence.D)
_ALCOHOL_FALLING_MIN = ALCOHOL_RISING_MIN.value

REMEMBERED_MIN = 2.0 * 1440.0
"""Conditions that ended longer ago may be forgotten: they act no more."""


def sensitivity_factor(conditions: Iterable[Condition], times_min: FloatArray) -> FloatArray:
    """The factor of insulin's action under stress and illness at `times_min`, shape `(n_times,)`."""
    exponent = np.zeros(len(times_min))
    for condition in conditions:
        if condition.kind in STRAINS:
            strain = STRAINS[condition.kind]
            full_min = condition.time_min + strain.rising.value
            falls_min = max(condition.time_min + condition.duration_min + strain.lasting.value, full_min)
            there = _ramp(times_min, condition.time_min, full_min, falls_min, falls_min + strain.falling.value)
            exponent += condition.degree * np.log(strain.factor.value) * there
    return np.exp(exponent)


def production_share(conditions: Iterable[Condition], times_min: FloatArray) -> FloatArray:
    """The factor of the liver's glucose production after alcohol at `times_min`, shape `(n_times,)`."""
    portions = np.zeros(len(times_min))
    for condition in conditions:
        if condition.kind is ConditionKind.ALCOHOL:
            begins_min = condition.time_min + ALCOHOL_FROM_MIN.value
            further_min = ALCOHOL_PORTION_MIN.value * max(condition.degree - 1.0, 0.0)
            lasting_min = min(ALCOHOL_LASTING_MIN.value + further_min, ALCOHOL_LONGEST_MIN.value)
            ends_min = begins_min + condition.duration_min + lasting_min
            full_min, falls_min = begins_min + ALCOHOL_RISING_MIN.value, ends_min - _ALCOHOL_FALLING_MIN
            portions += condition.degree * _ramp(times_min, begins_min, full_min, falls_min, ends_min)
    return np.maximum(PORTION_SHARE.value**portions, LOWEST_SHARE.value)


def _ramp(times_min: FloatArray, begins: float, full: float, falls: float, ends: float) -> FloatArray:
    """0 until `begins`, 1 from `full` to `falls`, 0 from `ends` on, straight between."""
    return np.interp(times_min, (begins, full, falls, ends), (0.0, 1.0, 1.0, 0.0))
