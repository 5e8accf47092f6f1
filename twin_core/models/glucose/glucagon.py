"""Glucagon injected under the skin: from there into plasma, and with a delay to the liver.

    A' = -k_A A,  P' = k_A A - k_P P,  E' = k_E (P - E)          a dose enters A as share x dose

E is the input `glucagon_mg`: glucagon in plasma [mg] as the liver sees it, beyond what the body makes itself. Divided
by `VOLUME_L_KG` times body weight it is a concentration: 1 mg in 70 kg gives 7.9 ng/mL in plasma after 19 min.

References
----------
[1] Resalat et al. 2019, PLoS One 14(7):e0217301, doi 10.1371/journal.pone.0217301 (numbers as in OHSU's code).
[2] Lv, Breton, Farhy 2013, Diabetes Technol Ther 15(11):935 (compartments under the skin, then plasma).
[3] Glucagon for injection, US prescribing information, section 12.3 (1 mg under the skin, adults).
"""

from collections.abc import Iterable

import numpy as np

from twin_core.domain.history import FloatArray, GlucagonDose
from twin_core.models.glucose.chains import in_last
from twin_core.models.glucose.sourced import Evidence, Sourced

LEAVING_SKIN_PER_MIN = Sourced(0.0772, "1/min", "k_A", "[1] kge1 (unverified)", Evidence.C)
LEAVING_PLASMA_PER_MIN = Sourced(
    0.0357, "1/min", "k_P", "[1] kge2 (unverified); half-life 19 min, [3]: 8 to 18 min", Evidence.C
)
REACHING_LIVER_PER_MIN = Sourced(0.06, "1/min", "k_E", "[1] kc (unverified)", Evidence.C)
SHARE = Sourced(
    0.27,
    "1",
    "share of a dose that reaches plasma",
    "solved for [3]: 7.9 ng/mL at the peak (unverified), 70 kg",
    Evidence.C,
)
VOLUME_L_KG = Sourced(0.25, "L/kg", "volume of distribution", "[3]", Evidence.B)

_RATES = (LEAVING_SKIN_PER_MIN.value, LEAVING_PLASMA_PER_MIN.value, REACHING_LIVER_PER_MIN.value)


def plasma_mg(dose_mg: float, elapsed_min: FloatArray) -> FloatArray:
    """Injected glucagon in plasma [mg], `elapsed_min` after a dose."""
    return SHARE.value * dose_mg * in_last(_RATES[:2], elapsed_min)


def acting_mg(doses: Iterable[GlucagonDose], times_min: FloatArray) -> FloatArray:
    """Injected glucagon in plasma as the liver sees it at `times_min` [mg], shape `(n_times,)`."""
    total = np.zeros(len(times_min))
    for dose in doses:
        # in_last takes what leaves plasma for what reaches the liver: k_P P instead of k_E P
        reached = (
            in_last(_RATES, times_min - dose.time_min) * REACHING_LIVER_PER_MIN.value / LEAVING_PLASMA_PER_MIN.value
        )
        total += SHARE.value * dose.dose_mg * reached
    return total
