"""The one forecast object: the number, the curve, the alert and the report are all drawn from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from twin_core.domain.history import FloatArray

QUANTILE_LEVELS = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)
INTERVALS = {50: (0.25, 0.75), 80: (0.10, 0.90), 90: (0.05, 0.95)}
"""Central intervals by percent: the levels of their ends."""
HORIZONS_MIN = tuple(float(h) for h in range(5, 245, 5))
"""Every forecast answers for 5, 10, ... 240 min."""
EXPLAINED_KINDS = ("trend", "meals", "insulin")
"""Kinds of knowledge of which a page says how far they move the forecast."""


class ForecastStatus(StrEnum):
    """Whether there is a forecast, and if not, why."""

    OK = "ok"
    NO_DATA = "no_data"
    STALE = "stale"
    GAP = "gap"
    OUT_OF_RANGE = "out_of_range"
    COMPRESSION = "compression"
    UNFAMILIAR = "unfamiliar"


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """A forecast made at one moment, or the reason why there is none.

    Attributes
    ----------
    origin_min
        When it was made [min, axis of the history].
    reason
        One sentence for the screen when `status` is not `OK`, else empty.
    horizons_min
        Shape `(n_horizons,)` [min after the origin].
    quantiles_mg_dl
        Shape `(n_horizons, len(QUANTILE_LEVELS))`, increasing along the last axis [mg/dL].
    persistence_mg_dl
        The last reading [mg/dL]: the forecast that any other must beat. None without a reading.
    below_70_within_min
        Probability that glucose falls below 70 mg/dL at any 5-min point within 30, 60, 120 min.
    """

    origin_min: float
    status: ForecastStatus
    reason: str = ""
    horizons_min: FloatArray = field(default_factory=lambda: np.empty(0))
    quantiles_mg_dl: FloatArray = field(default_factory=lambda: np.empty((0, len(QUANTILE_LEVELS))))
    persistence_mg_dl: float | None = None
    below_70_within_min: Mapping[int, float] = field(default_factory=dict)
    model_version: str = ""
    mean_mg_dl: FloatArray = field(default_factory=lambda: np.empty(0))
    """Shape `(n_horizons,)`: the value that misses by the least squared error."""
    low_alarm: bool = False
    """Whether a low within 30 min is likely enough to warn of."""

    def quantile(self, level: float) -> FloatArray:
        """The curve of one quantile level [mg/dL], shape `(n_horizons,)`."""
        return self.quantiles_mg_dl[:, QUANTILE_LEVELS.index(level)]

    @property
    def median_mg_dl(self) -> FloatArray:
        """The central curve [mg/dL], shape `(n_horizons,)`."""
        return self.quantile(0.50)
