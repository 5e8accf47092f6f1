"""How the body changes over the day: windows of insulin sensitivity, and glucose that the liver adds at dawn.

The windows begin at 04:00, 11:00 and 17:00 local time [1]. At dawn, between 03:00 and 07:00, production rises and
falls again as half a sine wave; [1] adds up to 1.5 mg/kg/min. Half of the people have a dawn phenomenon; it begins
at 3 in the morning, and raises what insulin they need by 58 % (29 to 111 %) [2].

References
----------
[1] Visentin et al. 2018, J Diabetes Sci Technol 12(2):273, doi 10.1177/1932296818757747 (windows and height as read in
    code; the shape of the wave is an assumption).
[2] Ostrovski et al. 2020, Can J Diabetes, doi 10.1016/j.jcjd.2019.08.003.
[3] Hinshaw et al. 2013, Diabetes 62(7):2223: in type 1 diabetes the daily pattern differs from person to person.
"""

from collections.abc import Iterator

import numpy as np

from twin_core.domain.history import FloatArray, Rhythm
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.models.glucose.sourced import Evidence, Sourced

_WINDOWS_MIN = (240.0, 660.0, 1020.0)
FIRST_WINDOW_MIN = Sourced(
    _WINDOWS_MIN[0], "min", "begin of the first window", "[1]; 11:00 and 17:00 follow", Evidence.C
)
DAWN_BEGINS_MIN = Sourced(180.0, "min", "begin of dawn after midnight", "[1]; [2]: 03:00", Evidence.B)
DAWN_ENDS_MIN = Sourced(420.0, "min", "end of dawn after midnight", "[1] (unverified)", Evidence.C)
PUBLISHED_DAWN_MG_KG_MIN = Sourced(
    1.5, "mg/kg/min", "production added at dawn, at most", "[1] (unverified)", Evidence.C
)


def sensitivity_factor(rhythm: Rhythm, times_min: FloatArray) -> FloatArray:
    """The factor of insulin's action of the window in which each time lies, shape `(n_times,)`."""
    window = np.searchsorted(_WINDOWS_MIN, _local_min(rhythm, times_min), side="right") - 1
    return np.array(rhythm.sensitivity)[window]


def dawn_mg_kg_min(rhythm: Rhythm, times_min: FloatArray) -> FloatArray:
    """Glucose production that dawn adds at `times_min` [mg/kg/min], shape `(n_times,)`."""
    length_min = DAWN_ENDS_MIN.value - DAWN_BEGINS_MIN.value
    through = np.clip((_local_min(rhythm, times_min) - DAWN_BEGINS_MIN.value) / length_min, 0.0, 1.0)
    return rhythm.dawn_mg_kg_min * np.sin(np.pi * through)


def changes_min(rhythm: Rhythm, start_min: float, end_min: float) -> Iterator[float]:
    """Every instant between two at which a window begins [min]."""
    midnight = np.floor((start_min + rhythm.utc_offset_min) / MINUTES_PER_DAY) * MINUTES_PER_DAY - rhythm.utc_offset_min
    for day_min in np.arange(midnight, end_min, MINUTES_PER_DAY):
        yield from (float(day_min + window) for window in _WINDOWS_MIN)


def _local_min(rhythm: Rhythm, times_min: FloatArray) -> FloatArray:
    """Minutes after local midnight."""
    return np.asarray((times_min + rhythm.utc_offset_min) % MINUTES_PER_DAY)
