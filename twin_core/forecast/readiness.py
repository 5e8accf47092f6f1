"""Whether a forecast may be made at an origin: one rule for training, scoring and serving."""

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.forecasts import ForecastStatus
from twin_core.domain.history import FloatArray, History
from twin_core.domain.units import GlucoseUnit, in_unit
from twin_core.forecast.context import Inputs, context_column
from twin_core.forecast.features import N_STEPS, STEP_MIN, held_glucose, share_present
from twin_core.forecast.ridge import ContextScaling

STALE_MIN = 15.0
"""The last reading may be this old."""
LEAST_SHARE_PRESENT = 0.5
"""At least this share of the window's slots must hold a reading."""
LOWEST_MG_DL, HIGHEST_MG_DL = 40.0, 400.0
"""The range that sensors report and forecasts stay in."""
COMPRESSION_SLOPE_MG_DL_MIN = -4.0
COMPRESSION_BELOW_MG_DL = 90.0
COMPRESSION_HOURS = (23.0, 7.0)
"""A sensor that is lain on falls abruptly at night, without insulin, and comes back. Unverified limits; of the 27
training rows (of 82,007) that they hold for, glucose stood 55 mg/dL higher an hour later on average."""
FAR_DEVIATIONS, MOST_FAR_COLUMNS = 6.0, 15
"""No training row has more than 14 numbers farther than this from their mean."""


def ready(history: History, origins_min: FloatArray) -> NDArray[np.bool_]:
    """Whether a forecast may be made at each origin, shape `(n,)`."""
    value, age = held_glucose(history, origins_min)
    in_range = (value >= LOWEST_MG_DL) & (value <= HIGHEST_MG_DL)
    return np.asarray(in_range & (age <= STALE_MIN) & (share_present(history, origins_min) >= LEAST_SHARE_PRESENT))


def refusal(history: History, now_min: float) -> tuple[ForecastStatus, str]:
    """Why no forecast may be made now, as status and sentence; `(OK, "")` where one may."""
    now = np.array([now_min])
    value, age = held_glucose(history, now)
    if not np.isfinite(age[0]):
        return ForecastStatus.NO_DATA, "There is no glucose reading yet. Connect a sensor or import a record."
    if age[0] > STALE_MIN:
        return ForecastStatus.STALE, _stale_sentence(age[0])
    if not LOWEST_MG_DL <= value[0] <= HIGHEST_MG_DL:
        return ForecastStatus.OUT_OF_RANGE, _range_sentence(value[0])
    share = share_present(history, now)[0]
    if share < LEAST_SHARE_PRESENT:
        return ForecastStatus.GAP, _gap_sentence(share)
    return ForecastStatus.OK, ""


def doubt(inputs: Inputs, scaling: ContextScaling) -> tuple[ForecastStatus, str]:
    """Why the one row of inputs should not be forecast from, as status and sentence; `(OK, "")` where it may."""
    if _looks_compressed(inputs):
        return ForecastStatus.COMPRESSION, _COMPRESSION_SENTENCE
    far = int((np.abs((inputs.context[0] - scaling.mean) / scaling.deviation) > FAR_DEVIATIONS).sum())
    if far > MOST_FAR_COLUMNS:
        return ForecastStatus.UNFAMILIAR, (
            f"This record differs from all that the forecaster learned from in {far} of {inputs.context.shape[1]} "
            "numbers. Check the units and times of readings, meals and doses."
        )
    return ForecastStatus.OK, ""


_COMPRESSION_SENTENCE = (
    "The sensor fell faster than glucose does, at night and without insulin: it may be lain upon. "
    "Check with a finger-stick; the forecast returns with the next steady readings."
)


def _looks_compressed(inputs: Inputs) -> bool:
    row = inputs.context[0]
    hour = row[context_column("minute_of_day")] / 60.0
    return bool(
        (hour >= COMPRESSION_HOURS[0] or hour < COMPRESSION_HOURS[1])
        and row[context_column("slope_1_readings")] <= COMPRESSION_SLOPE_MG_DL_MIN
        and row[context_column("glucose")] < COMPRESSION_BELOW_MG_DL
        and row[context_column("bolus_180")] == 0.0
    )


def _stale_sentence(age_min: float) -> str:
    age = f"{age_min:.0f} min" if age_min < 120 else f"{age_min / 60:.0f} h"
    return f"The last reading is {age} old; a forecast needs one of the last {STALE_MIN:.0f} min. Check the sensor."


def _range_sentence(glucose_mg_dl: float) -> str:
    reading, low, high = (_both_units(value) for value in (glucose_mg_dl, LOWEST_MG_DL, HIGHEST_MG_DL))
    return (
        f"The last reading, {reading}, lies outside {low} to {high}, where forecasts are made. "
        "Measure with a finger-stick and treat as agreed with your care team."
    )


def _both_units(glucose_mg_dl: float) -> str:
    return f"{glucose_mg_dl:.0f} mg/dL ({in_unit(glucose_mg_dl, GlucoseUnit.MMOL_L):.1f} mmol/L)"


def _gap_sentence(share: float) -> str:
    hours = N_STEPS * STEP_MIN / 60
    return (
        f"Only {share:.0%} of the last {hours:.0f} h hold readings; a forecast needs {LEAST_SHARE_PRESENT:.0%}. "
        "It returns by itself as readings arrive."
    )
