"""What a continuous glucose monitor shows instead of the glucose under the skin.

    shown = a(t) IG + b(t) + v + c - compression            t: days since calibration or insertion
    v_n = p1 v_(n-1) + p2 v_(n-2) + w_n,  w ~ N(0, variance) every 5 min; c likewise

a and b are calibration and drift, v the sensor's own noise, c noise that sensors on one body share (of physiology or
transport). Breton and Kovatchev [4] instead have, every 15 min, e_n = 0.7 (e_(n-1) + N(0, 1)) and an error of
xi + lambda sinh((e_n - gamma)/delta), here joined by straight lines.

The papers' full texts could not be read; numbers are those of published code, which agree where two were found.
Open implementations step v every minute or every five; here every 5 min, the interval of the readings that the models
were identified on (unverified). [1] and [2] hold between two calibrations, twelve hours; then t begins anew.
a and b are those of the average sensor: differences between sensors are left out (their covariances were not found),
and so is the delay from plasma to skin, which the glucose models have themselves.

Faults [5]: readings that are missing (nine of ten gaps are shorter than 20 min, more of them by day) and compression at
night: 24 (10-48) mg/dL for 45 (30-70) min, coming and going as a first-order lag. How often was not reported
in what could be read; the rates and the lag are assumptions.

A path of errors depends on the sensor and the random numbers only, not on glucose: drawn once, it is applied to every
arm of a comparison, so that arms differ by what was done and not by noise. A longer path begins as the shorter one.

References
----------
[1] Facchinetti et al. 2014, IEEE Trans Biomed Eng 61(3):620, doi 10.1109/TBME.2013.2284023 (Dexcom SEVEN Plus).
[2] Vettoretti et al. 2018, IEEE Trans Biomed Eng 65(6):1281, doi 10.1109/TBME.2017.2746340 (Dexcom G5).
[3] Vettoretti et al. 2019, 41st EMBC, doi 10.1109/EMBC.2019.8856790 (Dexcom G6), tables 1 and 2.
[4] Breton, Kovatchev 2008, J Diabetes Sci Technol 2(5):853, doi 10.1177/193229680800200517 (FreeStyle Navigator).
[5] Facchinetti et al. 2016, Diabetes Technol Ther 18(4):264, doi 10.1089/dia.2015.0250 (Dexcom G4).
[6] Vettoretti et al. 2019, Sensors 19(23):5320, doi 10.3390/s19235320 (Dexcom G6, ten days).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.errors import BadInput, UnknownName
from twin_core.domain.history import FloatArray
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.models.glucose.sourced import Evidence, Sourced

LOWEST_MG_DL, HIGHEST_MG_DL = 40.0, 400.0
"""What sensors show at the least and at the most."""

_REMEMBERED_SAMPLES = 200
"""Samples after which an autoregression has forgotten: the slowest here falls to 0.95^200 = 4e-5."""


@dataclass(frozen=True, kw_only=True)
class Autoregression:
    """Noise of the second order: two coefficients and the variance of what is new [mg2/dL2], every 5 min."""

    coefficients: tuple[float, float]
    variance: float

    @property
    def stationary_variance(self) -> float:
        """The variance of the noise itself [mg2/dL2]."""
        first, second = self.coefficients
        return (1.0 - second) * self.variance / ((1.0 + second) * ((1.0 - second) ** 2 - first**2))


@dataclass(frozen=True, kw_only=True)
class Johnson:
    """Noise of the first order through a Johnson distribution without bounds, [4]."""

    coefficient: float
    xi_mg_dl: float
    lambda_mg_dl: float
    gamma: float
    delta: float

    def error_mg_dl(self, normal: FloatArray) -> FloatArray:
        """The error for values of the normal series."""
        return self.xi_mg_dl + self.lambda_mg_dl * np.sinh((normal - self.gamma) / self.delta)


@dataclass(frozen=True, kw_only=True)
class SensorModel:
    """The error of one kind of sensor, as data.

    Attributes
    ----------
    noise
        Autoregressions that add, or one `Johnson`.
    gain, offset_mg_dl
        Coefficients of 1, t, t^2; t in days.
    renewed_days
        After so many days t begins at 0 again: a calibration, or the next sensor.
    interval_min
        Between two values of the noise.
    """

    name: str
    title: str
    noise: tuple[Autoregression, ...] | Johnson
    gain: tuple[float, float, float]
    offset_mg_dl: tuple[float, float, float]
    renewed_days: float
    interval_min: float
    source: str


SENSORS: tuple[SensorModel, ...] = (
    SensorModel(
        name="facchinetti_2014",
        title="Dexcom SEVEN Plus (Facchinetti 2014)",
        noise=(
            Autoregression(coefficients=(1.013, -0.2135), variance=14.45),
            Autoregression(coefficients=(1.23, -0.3995), variance=11.3),
        ),
        gain=(1.1, 2e-4, 0.0),
        offset_mg_dl=(-14.8, 0.04, 0.0),
        renewed_days=0.5,
        interval_min=5.0,
        source="[1] table 1, equations (13) and (14), as in LoopInsighT1 2.1 (unverified)",
    ),
    SensorModel(
        name="vettoretti_2018",
        title="Dexcom G5 (Vettoretti 2018)",
        noise=(Autoregression(coefficients=(1.27, -0.42), variance=7.64),),
        gain=(1.04, 0.02, 0.0),
        offset_mg_dl=(-8.75, 0.0, 0.0),
        renewed_days=0.5,
        interval_min=5.0,
        source="[2] tables 1 and 2, as in LoopInsighT1 2.1 (unverified)",
    ),
    SensorModel(
        name="vettoretti_2019",
        title="Dexcom G6 (Vettoretti 2019)",
        noise=(
            Autoregression(coefficients=(1.22, -0.331), variance=3.641),
            Autoregression(coefficients=(1.34, -0.492), variance=5.538),
        ),
        gain=(1.048, -0.033, 0.002),
        offset_mg_dl=(-6.398, 6.179, -0.448),
        renewed_days=10.0,
        interval_min=5.0,
        source="[3] tables 1 and 2, as in LoopInsighT1 2.1 (unverified)",
    ),
    SensorModel(
        name="vettoretti_2019_ten_days",
        title="Dexcom G6 over ten days (Vettoretti 2019, Sensors)",
        noise=(Autoregression(coefficients=(1.260, -0.402), variance=3.25**2),),
        gain=(0.942, 0.0049, -0.00058),
        offset_mg_dl=(6.38, 0.0, 0.0),
        renewed_days=10.0,
        interval_min=5.0,
        source="[6] means, as in ReplayBG 1.4 (unverified)",
    ),
    SensorModel(
        name="breton_kovatchev_2008",
        title="FreeStyle Navigator (Breton and Kovatchev 2008)",
        noise=Johnson(coefficient=0.7, xi_mg_dl=-5.471, lambda_mg_dl=15.96, gamma=-0.5444, delta=1.6898),
        gain=(1.0, 0.0, 0.0),
        offset_mg_dl=(0.0, 0.0, 0.0),
        renewed_days=5.0,
        interval_min=15.0,
        source="[4] table of Johnson parameters; gives its mean of 0.76 and SD of 11 mg/dL",
    ),
)

GAPS_PER_DAY = Sourced(1.0, "1/day", "gaps in the readings", "assumption", Evidence.D)
GAPS_BY_DAY = Sourced(0.8, "1", "share of the gaps between 07:00 and 23:00", "assumption; [5]: more by day", Evidence.D)
GAP_GOES_ON = Sourced(0.464, "1", "chance that a further reading is missing", "[5]: 90 % end before 20 min", Evidence.B)
COMPRESSIONS_PER_NIGHT = Sourced(0.5, "1/day", "compressions between 23:00 and 07:00", "assumption", Evidence.D)
COMPRESSION_MIN = Sourced(45.0, "min", "length of a compression, median", "[5]: 45 (30-70)", Evidence.B)
COMPRESSION_MG_DL = Sourced(24.0, "mg/dL", "depth of a compression, median", "[5]: 24 (10-48)", Evidence.B)
COMPRESSION_LAG_MIN = Sourced(10.0, "min", "lag of a compression", "[5]: of first order; value assumed", Evidence.D)
_LOG_SD_LENGTH = float(np.log(70.0 / 30.0) / (2.0 * 1.645))
_LOG_SD_DEPTH = float(np.log(48.0 / 10.0) / (2.0 * 1.645))
_NIGHT_BEGINS_MIN, _NIGHT_MIN = 23.0 * 60.0, 8.0 * 60.0
_READING_MIN = 5.0
_FORGOTTEN_LAGS = 15.0
"""Lags after which a compression is over; 3e-7 of it is left."""


@dataclass(frozen=True, kw_only=True)
class ErrorPath:
    """The errors of one sensor at some times, whatever the glucose.

    Attributes
    ----------
    gain, added_mg_dl
        Shape `(n_times,)`: shown = gain x glucose + added.
    missing
        Shape `(n_times,)`: where the sensor shows nothing.
    """

    gain: FloatArray
    added_mg_dl: FloatArray
    missing: NDArray[np.bool_]

    def applied(self, interstitial_mg_dl: FloatArray) -> FloatArray:
        """What the sensor shows, within 40 to 400 mg/dL, NaN where nothing.

        Parameters
        ----------
        interstitial_mg_dl
            Shape `(..., n_times)`: glucose under the skin; several arms get the same errors.
        """
        shown = np.clip(self.gain * interstitial_mg_dl + self.added_mg_dl, LOWEST_MG_DL, HIGHEST_MG_DL)
        return np.where(self.missing, np.nan, shown)


def sensor_named(name: str) -> SensorModel:
    """A sensor of the table; `UnknownName` if there is none."""
    by_name: Mapping[str, SensorModel] = {sensor.name: sensor for sensor in SENSORS}
    if name not in by_name:
        raise UnknownName("sensor", name, by_name)
    return by_name[name]


def errors(
    sensor: SensorModel,
    times_min: FloatArray,
    rng: np.random.Generator,
    *,
    utc_offset_min: float = 0.0,
    faults: bool = True,
) -> ErrorPath:
    """Draw the errors of a sensor that was put on at the first time.

    Parameters
    ----------
    times_min
        Shape `(n_times,)`, increasing [min]; between two values of the noise (every 5 min) it is interpolated.
    utc_offset_min
        Minutes to add to a time for local time of day, for faults of the night.
    faults
        Whether readings are missing and compressed; the noise is the same either way.

    Raises
    ------
    BadInput
        No times, or times that do not increase.
    """
    times = np.asarray(times_min, dtype=np.float64)
    if times.ndim != 1 or not times.size or not (np.diff(times) > 0.0).all():
        raise BadInput("Times of a sensor must be at least one, in increasing order.")
    of_noise, of_gaps, of_compressions = rng.spawn(3)
    since_min = times - times[0]
    days = (since_min / MINUTES_PER_DAY) % sensor.renewed_days
    n = int(np.ceil(since_min[-1] / sensor.interval_min)) + 1
    noise = np.interp(since_min, sensor.interval_min * np.arange(n), _noise(sensor.noise, n, of_noise))
    added = np.polynomial.polynomial.polyval(days, sensor.offset_mg_dl) + noise
    missing = np.zeros(len(times), dtype=np.bool_)
    if faults:
        added -= _compression(times, utc_offset_min, of_compressions)
        missing = _missing(times, utc_offset_min, of_gaps)
    return ErrorPath(gain=np.polynomial.polynomial.polyval(days, sensor.gain), added_mg_dl=added, missing=missing)


def _noise(noise: tuple[Autoregression, ...] | Johnson, n: int, rng: np.random.Generator) -> FloatArray:
    """`n` values of the noise in its stationary state [mg/dL]."""
    if isinstance(noise, Johnson):
        normal = rng.standard_normal((_REMEMBERED_SAMPLES + n, 1))
        series = _autoregressed(normal[:, 0], (noise.coefficient, 0.0)) * noise.coefficient
        return noise.error_mg_dl(series)
    normal = rng.standard_normal((_REMEMBERED_SAMPLES + n, len(noise)))
    parts = (
        np.sqrt(part.variance) * _autoregressed(column, part.coefficients)
        for part, column in zip(noise, normal.T, strict=True)
    )
    return np.asarray(sum(parts))


def _autoregressed(innovations: FloatArray, coefficients: tuple[float, float]) -> FloatArray:
    """The autoregression driven by innovations, without the samples until it has forgotten its begin."""
    response = np.zeros(_REMEMBERED_SAMPLES)
    response[0], response[1] = 1.0, coefficients[0]
    for i in range(2, _REMEMBERED_SAMPLES):
        response[i] = coefficients[0] * response[i - 1] + coefficients[1] * response[i - 2]
    return np.convolve(innovations, response)[_REMEMBERED_SAMPLES : len(innovations)]


def _missing(times_min: FloatArray, utc_offset_min: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Where readings are missing."""
    missing = np.zeros(len(times_min), dtype=np.bool_)
    for night_begins_min in _nights(times_min, utc_offset_min):
        for _ in range(rng.poisson(GAPS_PER_DAY.value)):
            by_day = rng.random() < GAPS_BY_DAY.value
            where = rng.random()
            day_min = MINUTES_PER_DAY - _NIGHT_MIN
            begins_min = night_begins_min + (_NIGHT_MIN + where * day_min if by_day else where * _NIGHT_MIN)
            lasts_min = _READING_MIN * rng.geometric(1.0 - GAP_GOES_ON.value)
            missing[_between(times_min, begins_min, begins_min + lasts_min)] = True
    return missing


def _compression(times_min: FloatArray, utc_offset_min: float, rng: np.random.Generator) -> FloatArray:
    """By how much compression lowers what is shown [mg/dL]."""
    lowered = np.zeros(len(times_min))
    for night_begins_min in _nights(times_min, utc_offset_min):
        for _ in range(rng.poisson(COMPRESSIONS_PER_NIGHT.value)):
            begins_min = night_begins_min + rng.random() * _NIGHT_MIN
            lasts_min = COMPRESSION_MIN.value * np.exp(_LOG_SD_LENGTH * rng.standard_normal())
            depth = COMPRESSION_MG_DL.value * np.exp(_LOG_SD_DEPTH * rng.standard_normal())
            over_min = begins_min + lasts_min + _FORGOTTEN_LAGS * COMPRESSION_LAG_MIN.value
            during = _between(times_min, begins_min, over_min)
            since_min = times_min[during] - begins_min
            lowered[during] += depth * (_risen(since_min) - _risen(since_min - lasts_min))
    return lowered


def _between(times_min: FloatArray, begins_min: float, ends_min: float) -> slice:
    """The times from `begins_min` to before `ends_min`."""
    return slice(*np.searchsorted(times_min, (begins_min, ends_min)).tolist())


def _risen(since_min: FloatArray) -> FloatArray:
    """A step of height 1 behind the lag."""
    return 1.0 - np.exp(-np.maximum(since_min, 0.0) / COMPRESSION_LAG_MIN.value)


def _nights(times_min: FloatArray, utc_offset_min: float) -> FloatArray:
    """When each night begins that can touch the times, the first before them, one a day [min]."""
    local_min = times_min[0] + utc_offset_min - _NIGHT_BEGINS_MIN
    first = np.floor(local_min / MINUTES_PER_DAY) * MINUTES_PER_DAY + _NIGHT_BEGINS_MIN - utc_offset_min
    return np.arange(first, times_min[-1], MINUTES_PER_DAY)
