"""A baseline: the trend of the last quarter of an hour goes on and fades."""

from dataclasses import dataclass

import numpy as np

from twin_core.domain.forecasts import HORIZONS_MIN
from twin_core.domain.history import FloatArray
from twin_core.forecast.context import Inputs, context_column

FADING_MIN = (5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0)
"""Time constants that are tried."""
_TREND_OVER_MIN = 15.0
_HORIZONS = np.array(HORIZONS_MIN)


@dataclass(frozen=True, kw_only=True)
class DampedTrend:
    """Change by `trend * tau * (1 - exp(-horizon / tau))`."""

    fading_min: float

    @classmethod
    def fitted(cls, inputs: Inputs, change_mg_dl: FloatArray) -> "DampedTrend":
        """The time constant with the least squared error over all horizons up to 60 min."""
        near = _HORIZONS <= 60.0
        missed = [np.nanmean((cls(fading_min=tau).change(inputs) - change_mg_dl)[:, near] ** 2) for tau in FADING_MIN]
        return cls(fading_min=FADING_MIN[int(np.argmin(missed))])

    def change(self, inputs: Inputs) -> FloatArray:
        """Forecast change of glucose from now [mg/dL], shape `(n, n_horizons)`."""
        trend = np.nan_to_num(inputs.context[:, context_column("change_15")].astype(np.float64)) / _TREND_OVER_MIN
        return np.asarray(trend[:, None] * self.fading_min * (1.0 - np.exp(-_HORIZONS / self.fading_min)))
