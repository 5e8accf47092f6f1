"""Has a daily figure moved away from what it was: cumulative sums.

References
----------
[1] Page, Continuous inspection schemes, Biometrika 41:100 (1954), doi 10.1093/biomet/41.1-2.100.
"""

from dataclasses import dataclass

import numpy as np

from twin_core.domain.errors import OutOfRange
from twin_core.domain.history import FloatArray

SLACK_SD = 0.5
"""Half the shift that is looked for, in SDs of a day: a lasting shift by one SD."""
LIMIT_SD = 5.0
"""A steady figure exceeds it, on one side, once in about 930 days (by simulation, see the tests)."""


@dataclass(frozen=True, kw_only=True)
class CumulativeSums:
    """How far a figure has gone up and down from what was expected, in SDs of a day; each of shape `(n_days,)`."""

    up: FloatArray
    down: FloatArray

    @property
    def moved_up(self) -> bool:
        """Whether it lies above what was expected now."""
        return bool(self.up.size and self.up[-1] > LIMIT_SD)

    @property
    def moved_down(self) -> bool:
        """Whether it lies below what was expected now."""
        return bool(self.down.size and self.down[-1] > LIMIT_SD)


def cumulative_sums(daily: FloatArray, expected: float, sd: float) -> CumulativeSums:
    """Sums of what exceeds the slack, by [1]; a day without a figure (NaN) leaves them as they are.

    Parameters
    ----------
    daily
        Shape `(n_days,)`, oldest first.
    expected, sd
        Mean and SD of the figure from day to day while nothing has changed.
    """
    if not sd > 0.0:
        raise OutOfRange("SD of a daily figure", sd, 0.0, np.inf, "")
    away = (np.asarray(daily, dtype=np.float64) - expected) / sd
    return CumulativeSums(up=_sums(away), down=_sums(-away))


def _sums(away: FloatArray) -> FloatArray:
    sums, last = np.zeros(away.size), 0.0
    for day, step in enumerate(away):
        if np.isfinite(step):
            last = max(0.0, last + step - SLACK_SD)
        sums[day] = last
    return sums
