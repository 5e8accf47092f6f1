"""Exercise as heart rate: what acts at once, and what lasts for a day.

    HR - HRb = intensity (HRmax - HRb)                           intensity: share of the heart-rate reserve
    Y' = (HR - HRb - Y) / tau                                    at once
    Z' = f (1 - Z) / T_in - Z / T_ex,  f = q^n / (1 + q^n),  q = Y / (a HRb)
    W  = beats above rest in this bout so far                    lasting: Z W

The form is that of Breton 2008 [1] and Dalla Man 2009 [2] as read in Deichmann 2021's code [3]; neither paper could be
read, so form and numbers are unverified. [3] writes Z' = -(f + 1/T_ex) Z + f, the same for T_in = 1 min.

W never ends in [3]: somebody who runs every day would become more sensitive without bound. Here each bout keeps its own
Z and W, and the bouts add: within a day that is the published sum (Z stays near 1), and later each fades by T_ex.

References
----------
[1] Breton 2008, J Diabetes Sci Technol 2(1):169, doi 10.1177/193229680800200127.
[2] Dalla Man, Breton, Cobelli 2009, J Diabetes Sci Technol 3(1):56, doi 10.1177/193229680900300107.
[3] Deichmann et al. 2021, Front Endocrinol 12, as implemented in LoopInsighT1 2.1 (MIT).
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from twin_core.domain.history import Exercise, FloatArray
from twin_core.models.glucose.sourced import Evidence, Sourced

_SEEN = "[3] (unverified)"
RESTING_PER_MIN = Sourced(80.0, "1/min", "heart rate at rest, HRb", _SEEN, Evidence.C)
HIGHEST_PER_MIN = Sourced(200.0, "1/min", "highest heart rate, HRmax", _SEEN, Evidence.C)
AT_ONCE_MIN = Sourced(5.0, "min", "tau", _SEEN, Evidence.C)
COMING_MIN = Sourced(1.0, "min", "T_in", _SEEN, Evidence.C)
LASTING_MIN = Sourced(600.0, "min", "T_ex", _SEEN, Evidence.C)
THRESHOLD = Sourced(0.1, "1", "a", _SEEN, Evidence.C)
STEEPNESS = Sourced(4.0, "1", "n", _SEEN, Evidence.C)

REMEMBERED_MIN = 3.0 * 1440.0
"""Bouts that ended longer ago may be forgotten: 0.1 % of what lasts is left."""

_AFTERWARDS_MIN = 60.0
"""Y is followed this long after a bout: 12 of its time constants."""


def heart_rate_reserve(bouts: Sequence[Exercise], times_min: FloatArray) -> FloatArray:
    """The share of the heart-rate reserve at `times_min`, in [0, 1]; the hardest where bouts overlap."""
    share = np.zeros(len(times_min))
    for bout in bouts:
        during = (times_min >= bout.time_min) & (times_min < bout.time_min + bout.duration_min)
        share[during] = np.maximum(share[during], bout.intensity_percent / 100.0)
    return share


def exertion(bouts: Sequence[Exercise], times_min: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What exercise does to the body at `times_min`, each of shape `(n_times,)`.

    Returns
    -------
    at_once
        Y: beats a minute above rest, smoothed [1/min].
    lasting
        The sum of Z W over the bouts: beats above rest that still act [1].
    """
    at_once, lasting = np.zeros(len(times_min)), np.zeros(len(times_min))
    for together in _joined(bouts):
        grid_min, Y, ZW = _course(together)
        inside = (times_min >= grid_min[0]) & (times_min <= grid_min[-1])
        at_once[inside] += np.interp(times_min[inside], grid_min, Y)
        lasting[inside] += np.interp(times_min[inside], grid_min, ZW)
        later = times_min > grid_min[-1]
        lasting[later] += ZW[-1] * np.exp(-(times_min[later] - grid_min[-1]) / LASTING_MIN.value)
    return at_once, lasting


def _joined(bouts: Sequence[Exercise]) -> Iterator[list[Exercise]]:
    """Bouts that overlap or touch, together."""
    together: list[Exercise] = []
    for bout in sorted(bouts, key=lambda bout: bout.time_min):
        if together and bout.time_min > max(other.time_min + other.duration_min for other in together):
            yield together
            together = []
        together.append(bout)
    if together:
        yield together


def _course(together: list[Exercise]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Times on a grid of at most one minute until Y has gone, Y, and Z W; exact for f constant over each step."""
    begin_min = together[0].time_min
    end_min = max(bout.time_min + bout.duration_min for bout in together)
    n_during = math.ceil(end_min - begin_min)
    grid_min = np.append(np.linspace(begin_min, end_min, n_during + 1), end_min + np.arange(1.0, _AFTERWARDS_MIN + 1.0))
    widths = np.diff(grid_min)
    reserve = heart_rate_reserve(together, grid_min[:-1] + 0.5 * widths)
    above = reserve * (HIGHEST_PER_MIN.value - RESTING_PER_MIN.value)
    Y, Z = np.zeros(len(grid_min)), np.zeros(len(grid_min))
    for i, width in enumerate(widths.tolist()):
        Y[i + 1] = above[i] + (Y[i] - above[i]) * math.exp(-width / AT_ONCE_MIN.value)
        power = (0.5 * (Y[i] + Y[i + 1]) / (THRESHOLD.value * RESTING_PER_MIN.value)) ** STEEPNESS.value
        f = power / (1.0 + power) / COMING_MIN.value
        rate = f + 1.0 / LASTING_MIN.value
        Z[i + 1] = f / rate + (Z[i] - f / rate) * math.exp(-rate * width)
    W = np.append(0.0, np.cumsum(above * widths))
    return grid_min, Y, Z * W
