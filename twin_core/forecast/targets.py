"""What is forecast: real readings after an origin, and the blocks of time that keep training and test apart."""

from dataclasses import dataclass

import numpy as np

from twin_core.domain.forecasts import HORIZONS_MIN
from twin_core.domain.history import FloatArray, History
from twin_core.forecast.features import STEP_MIN, held_glucose
from twin_core.forecast.readiness import ready

TRAIN_SHARE, CALIBRATION_SHARE = 0.70, 0.10
EMBARGO_MIN = 270.0
"""Between blocks: the longest horizon, 4 h, and half an hour more."""


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """Origins of one person in the three blocks of time [min], shape `(n,)` each, in order of time."""

    train: FloatArray
    calibration: FloatArray
    test: FloatArray


def observed(history: History, origins_min: FloatArray) -> FloatArray:
    """Real readings at every horizon [mg/dL], shape `(n, len(HORIZONS_MIN))`; NaN where there is none.

    The reading of a horizon is the last one in the 5 min up to it. Nothing is held or interpolated.
    """
    times = origins_min[:, None] + np.array(HORIZONS_MIN)
    value, age = held_glucose(history, times)
    return np.where(age < STEP_MIN, value, np.nan)


def origins(history: History) -> FloatArray:
    """Every multiple of 5 min at which a forecast may be made, shape `(n,)` [min]."""
    if history.cgm_time_min.size == 0:
        return np.empty(0)
    first, last = history.cgm_time_min[[0, -1]] / STEP_MIN
    grid = STEP_MIN * np.arange(np.ceil(first), np.floor(last) + 1)
    return grid[ready(history, grid)]


def blocks(history: History) -> Blocks:
    """First 70 % of the readings for training, next 10 % for calibration, last 20 % for the test.

    An origin belongs to a block when it lies in it, and at least the embargo before its end (the last block
    ends with the record).
    """
    everywhere = origins(history)
    if everywhere.size == 0:
        return Blocks(train=everywhere, calibration=everywhere, test=everywhere)
    calibration_from, test_from = np.quantile(
        history.cgm_time_min, [TRAIN_SHARE, TRAIN_SHARE + CALIBRATION_SHARE], method="higher"
    )
    return Blocks(
        train=everywhere[everywhere < calibration_from - EMBARGO_MIN],
        calibration=everywhere[(everywhere >= calibration_from) & (everywhere < test_from - EMBARGO_MIN)],
        test=everywhere[everywhere >= test_from],
    )
