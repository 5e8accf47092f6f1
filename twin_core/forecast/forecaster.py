"""The forecaster that the services use: a history and a moment in, a forecast or the reason for none out."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from twin_core.domain.errors import UnknownName
from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS, Forecast, ForecastStatus
from twin_core.domain.history import FloatArray, History
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.forecast import adaptive, artifact, copula
from twin_core.forecast.conformal import PAIRS
from twin_core.forecast.context import Inputs, inputs_of
from twin_core.forecast.explanation import Explanation, explained
from twin_core.forecast.features import STEP_MIN, held_glucose
from twin_core.forecast.lstm import N_HORIZONS, N_LEVELS
from twin_core.forecast.model import LOW_WITHIN_MIN, Model, Predicted
from twin_core.forecast.personal import Personal
from twin_core.forecast.readiness import HIGHEST_MG_DL, LOWEST_MG_DL, doubt, ready, refusal
from twin_core.forecast.targets import observed
from twin_core.metrics import forecast_scores

COVERAGE_HORIZONS_MIN = (30.0, 60.0, 120.0)
COVERAGE_STEP_MIN = 15.0


@dataclass(frozen=True, kw_only=True)
class HorizonCoverage:
    """How many real readings at one horizon lay inside the intervals; the shares are None when there was none."""

    horizon_min: float
    count: int
    inside_50: float | None
    inside_90: float | None


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How the intervals did over the last days, in order of horizon."""

    days: float
    horizons: tuple[HorizonCoverage, ...]

    def at(self, horizon_min: float) -> HorizonCoverage:
        """The coverage at one of the horizons."""
        for horizon in self.horizons:
            if horizon.horizon_min == horizon_min:
                return horizon
        raise UnknownName("coverage horizon", f"{horizon_min:g} min", (f"{h.horizon_min:g}" for h in self.horizons))


@dataclass(frozen=True, kw_only=True)
class Forecaster:
    """A trained model that answers for everybody or, with a correction, for one person. Needs no tensorflow.

    Attributes
    ----------
    personal
        A person's own correction, if one was adopted.
    label
        What tells that from others, appended to the version.
    """

    model: Model
    personal: Personal | None = None
    label: str = ""

    @classmethod
    def load(cls, folder: Path = artifact.SHIPPED) -> "Forecaster":
        """The forecaster of a folder of weights; `DamagedArtifact` when they are not what their manifest says."""
        return cls(model=Model.load(folder))

    @property
    def model_version(self) -> str:
        """Which weights answer."""
        return self.model.version + self.label

    def forecast(self, history: History, now_min: float, follow: FloatArray | None = None) -> Forecast:
        """What glucose will do from now on, by what was known until now.

        Readings, meals and doses after `now_min` are not looked at. Without enough recent readings the forecast
        carries a status and a sentence instead of numbers. The chances of a low are those of the intervals shown; the
        alarm goes by the population's, with which it finds as many lows for fewer false alarms (calibration block).

        Parameters
        ----------
        follow
            What `interval_factors` found in the person's last days; None means the intervals of the population.
        """
        status, reason = refusal(history, now_min)
        last = float(held_glucose(history, np.array([now_min]))[0][0])
        made = Forecast(
            origin_min=now_min,
            status=status,
            reason=reason,
            persistence_mg_dl=last if np.isfinite(last) else None,
            model_version=self.model_version,
        )
        if status is not ForecastStatus.OK:
            return made
        inputs = inputs_of(history, [now_min])
        status, reason = doubt(inputs, self.model.context_scaling)
        if status is not ForecastStatus.OK:
            return replace(made, status=status, reason=reason)
        parts = self.model.parts(inputs)
        said = self._own(inputs, self.model.joined(inputs, parts))
        quantiles, low = said.quantiles_mg_dl, self.model.low_within(parts, said.quantiles_mg_dl)
        is_alarm = bool(low[0, 0] >= self.model.alarm_threshold)
        if follow is not None:
            quantiles = _followed(quantiles, follow)
            low = self.model.low_within(parts, quantiles)
        return replace(
            made,
            horizons_min=np.array(HORIZONS_MIN),
            quantiles_mg_dl=quantiles[0],
            mean_mg_dl=said.mean_mg_dl[0],
            below_70_within_min=dict(zip(LOW_WITHIN_MIN, low[0].tolist(), strict=True)),
            low_alarm=is_alarm,
        )

    def explain(self, history: History, now_min: float) -> Explanation | None:
        """What the forecast at a moment leans on; None where no forecast may be made."""
        if refusal(history, now_min)[0] is not ForecastStatus.OK:
            return None
        return explained(self.model, inputs_of(history, [now_min]), self._predicted)

    def paths(self, forecast: Forecast, n: int) -> FloatArray:
        """Seeded courses that agree with a forecast at every horizon [mg/dL], shape `(n, n_horizons)`."""
        return copula.paths(forecast.quantiles_mg_dl, self.model.correlation, n)

    def predict_many(self, history: History, origins_min: ArrayLike) -> FloatArray:
        """Quantiles at many origins [mg/dL], shape `(n, n_horizons, n_levels)`; NaN where a forecast is withheld."""
        origins = np.asarray(origins_min, dtype=np.float64).reshape(-1)
        quantiles = np.full((origins.size, N_HORIZONS, N_LEVELS), np.nan)
        may = ready(history, origins)
        if may.any():
            quantiles[may] = self._predicted(inputs_of(history, origins[may])).quantiles_mg_dl
        return quantiles

    def followed_many(self, history: History, origins_min: FloatArray) -> FloatArray:
        """As `predict_many` at increasing origins, the intervals as they followed this person until each of them."""
        if origins_min.size == 0:
            return self.predict_many(history, origins_min)
        step = adaptive.STRIDE_MIN
        before = step * np.floor(origins_min[0] / step) - np.arange(step, adaptive.WINDOW_MIN + step, step)[::-1]
        moments = np.concatenate((before[before < origins_min[0]], origins_min))
        quantiles = self.predict_many(history, moments)
        factors = adaptive.factors_over_time(moments, adaptive.scores(observed(history, moments), quantiles))
        return _followed(quantiles, adaptive.smoothed(factors))[-origins_min.size :]

    def predict_mean(self, history: History, origins_min: ArrayLike) -> FloatArray:
        """Mean forecasts at many origins [mg/dL], shape `(n, n_horizons)`; NaN where a forecast is withheld."""
        origins = np.asarray(origins_min, dtype=np.float64).reshape(-1)
        mean = np.full((origins.size, N_HORIZONS), np.nan)
        may = ready(history, origins)
        if may.any():
            mean[may] = self._predicted(inputs_of(history, origins[may])).mean_mg_dl
        return mean

    def _predicted(self, inputs: Inputs) -> Predicted:
        return self._own(inputs, self.model.predict(inputs))

    def _own(self, inputs: Inputs, said: Predicted) -> Predicted:
        return said if self.personal is None else self.personal.applied(self.model, inputs, said)

    def interval_factors(self, history: History, now_min: float) -> FloatArray:
        """How far this person's last 7 days ask to widen the intervals; `(n_horizons, n_pairs)`, see `adaptive`.

        It costs as much as a thousand forecasts: keep it for some hours.
        """
        known = _until(history, now_min)
        back = np.arange(0.0, adaptive.WINDOW_MIN, adaptive.STRIDE_MIN)
        origins = adaptive.STRIDE_MIN * np.floor(now_min / adaptive.STRIDE_MIN) - back[::-1]
        origins = origins[ready(known, origins)]
        if origins.size == 0:
            return np.zeros((N_HORIZONS, len(PAIRS)))
        misses = adaptive.scores(observed(known, origins), self.predict_many(known, origins))
        return adaptive.smoothed(adaptive.factors_over_time(origins, misses)[-1])

    def coverage(self, history: History, now_min: float, days: float = 14.0) -> Coverage:
        """Share of the real readings of the last days that lay inside the 50 % and 90 % intervals made before them."""
        known = _until(history, now_min)
        back = np.arange(0.0, days * MINUTES_PER_DAY, COVERAGE_STEP_MIN)
        origins = COVERAGE_STEP_MIN * np.floor((now_min - STEP_MIN) / COVERAGE_STEP_MIN) - back[::-1]
        readings, quantiles = observed(known, origins), self.followed_many(known, origins)
        return Coverage(
            days=days, horizons=tuple(_coverage_at(horizon, readings, quantiles) for horizon in COVERAGE_HORIZONS_MIN)
        )


def _followed(quantiles_mg_dl: FloatArray, factors: FloatArray) -> FloatArray:
    return np.asarray(np.clip(adaptive.widened_by(quantiles_mg_dl, factors), LOWEST_MG_DL, HIGHEST_MG_DL))


def _until(history: History, now_min: float) -> History:
    """A history without the readings that came after a moment."""
    known = history.cgm_time_min <= now_min
    return replace(history, cgm_time_min=history.cgm_time_min[known], cgm_mg_dl=history.cgm_mg_dl[known])


def _coverage_at(horizon_min: float, readings_mg_dl: FloatArray, quantiles_mg_dl: FloatArray) -> HorizonCoverage:
    place = HORIZONS_MIN.index(horizon_min)
    reading, quantiles = readings_mg_dl[:, place], quantiles_mg_dl[:, place]
    scored = np.isfinite(reading) & np.isfinite(quantiles[:, 0])
    return HorizonCoverage(
        horizon_min=horizon_min,
        count=int(scored.sum()),
        inside_50=_share_inside(reading[scored], quantiles[scored], 0.25, 0.75),
        inside_90=_share_inside(reading[scored], quantiles[scored], 0.05, 0.95),
    )


def _share_inside(readings: FloatArray, quantiles: FloatArray, low: float, high: float) -> float | None:
    if readings.size == 0:
        return None
    below, above = quantiles[:, QUANTILE_LEVELS.index(low)], quantiles[:, QUANTILE_LEVELS.index(high)]
    return forecast_scores.coverage(readings, below, above)
