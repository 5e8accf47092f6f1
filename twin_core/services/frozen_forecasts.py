"""Frozen forecasts held against the readings that followed: the rows, and what they score at a horizon."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.forecasts import HORIZONS_MIN, INTERVALS, QUANTILE_LEVELS
from twin_core.domain.history import FloatArray, History
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.forecast.features import held_glucose
from twin_core.forecast.forecaster import Forecaster
from twin_core.forecast.targets import observed
from twin_core.metrics import forecast_scores
from twin_core.metrics.error_grid import Grid
from twin_core.services.error_grids import GRIDS, GridView, grid_view

FORECAST_BEFORE_MIN = 21.0 * MINUTES_PER_DAY
"""A forecast reads habits of 14 days; its intervals follow the 7 days before it."""
WATCH_STEP_MIN = 15.0
WATCHED_HORIZONS_MIN = (30.0, 60.0, 120.0)


@dataclass(frozen=True, kw_only=True)
class WatchedHorizon:
    """All days together at one horizon.

    Attributes
    ----------
    coverage, width_mg_dl
        By nominal percent: 50, 80, 90.
    pit
        Share of the readings between each two neighbouring quantiles, `len(QUANTILE_LEVELS) + 1` of them.
    grids
        By name of the grid.
    lag_min
        By how long the forecast runs behind; NaN when that cannot be told.
    """

    horizon_min: float
    count: int
    rmse_mg_dl: float
    mae_mg_dl: float
    mard_percent: float
    persistence_rmse_mg_dl: float
    bias_mg_dl: float
    pinball_mg_dl: float
    crps_mg_dl: float
    coverage: Mapping[int, float]
    width_mg_dl: Mapping[int, float]
    pit: tuple[float, ...]
    lag_min: float
    grids: Mapping[str, GridView]
    rmse_by_range: Mapping[str, float]
    count_by_range: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Forecasts and what followed, of which all figures here are made.

    Attributes
    ----------
    origins_min, now_mg_dl
        Shape `(n,)`.
    observed_mg_dl
        Shape `(n, n_horizons)`; NaN where there was no reading or no forecast.
    quantiles_mg_dl
        Shape `(n, n_horizons, n_levels)`; NaN where withheld.
    """

    origins_min: FloatArray
    now_mg_dl: FloatArray
    observed_mg_dl: FloatArray
    quantiles_mg_dl: FloatArray

    def at(self, horizon_min: float) -> "ScoredHorizon":
        """One horizon, and only the rows that can be scored."""
        place = HORIZONS_MIN.index(horizon_min)
        known = np.isfinite(self.observed_mg_dl[:, place]) & np.isfinite(self.quantiles_mg_dl[:, place, 0])
        return ScoredHorizon(
            origins_min=self.origins_min[known],
            now_mg_dl=self.now_mg_dl[known],
            observed_mg_dl=self.observed_mg_dl[known, place],
            quantiles_mg_dl=self.quantiles_mg_dl[known, place],
        )


@dataclass(frozen=True, kw_only=True)
class ScoredHorizon:
    """Rows of one horizon, all with forecast and reading: shapes `(n,)`, `(n,)`, `(n,)`, `(n, n_levels)`."""

    origins_min: FloatArray
    now_mg_dl: FloatArray
    observed_mg_dl: FloatArray
    quantiles_mg_dl: FloatArray

    @property
    def median_mg_dl(self) -> FloatArray:
        """The central forecast, shape `(n,)`."""
        return self.quantiles_mg_dl[:, QUANTILE_LEVELS.index(0.50)]

    def interval(self, percent: int) -> tuple[FloatArray, FloatArray]:
        """The ends of the 50, 80 or 90 % interval, each of shape `(n,)`."""
        low, high = (self.quantiles_mg_dl[:, QUANTILE_LEVELS.index(level)] for level in INTERVALS[percent])
        return low, high

    def where(self, chosen: NDArray[np.bool_]) -> "ScoredHorizon":
        """The chosen rows."""
        return ScoredHorizon(
            origins_min=self.origins_min[chosen],
            now_mg_dl=self.now_mg_dl[chosen],
            observed_mg_dl=self.observed_mg_dl[chosen],
            quantiles_mg_dl=self.quantiles_mg_dl[chosen],
        )


def scored(forecaster: Forecaster, history: History, *, start_min: float, end_min: float) -> Scored:
    """Forecasts from every 15 min of a stretch, and the readings that followed until its end."""
    origins = np.arange(start_min, end_min, WATCH_STEP_MIN)
    return Scored(
        origins_min=origins,
        now_mg_dl=held_glucose(history, origins)[0],
        observed_mg_dl=observed(history, origins),
        quantiles_mg_dl=forecaster.followed_many(history, origins),
    )


def watched_horizons(rows: Scored) -> tuple[WatchedHorizon, ...]:
    """The figures of every watched horizon at which something can be scored."""
    found = (watched_horizon(rows, horizon) for horizon in WATCHED_HORIZONS_MIN)
    return tuple(each for each in found if each is not None)


def watched_horizon(rows: Scored, horizon_min: float) -> WatchedHorizon | None:
    """The figures of one horizon; None when nothing can be scored."""
    own = rows.at(horizon_min)
    if own.origins_min.size == 0:
        return None
    seen, median = own.observed_mg_dl, own.median_mg_dl
    place = HORIZONS_MIN.index(horizon_min)
    return WatchedHorizon(
        horizon_min=horizon_min,
        count=int(seen.size),
        rmse_mg_dl=forecast_scores.rmse(seen, median),
        mae_mg_dl=forecast_scores.mae(seen, median),
        mard_percent=forecast_scores.mard(seen, median),
        persistence_rmse_mg_dl=forecast_scores.rmse(seen, own.now_mg_dl),
        bias_mg_dl=forecast_scores.bias(seen, median),
        pinball_mg_dl=forecast_scores.pinball(seen, own.quantiles_mg_dl, QUANTILE_LEVELS),
        crps_mg_dl=forecast_scores.crps(seen, own.quantiles_mg_dl, QUANTILE_LEVELS),
        coverage={percent: forecast_scores.coverage(seen, *own.interval(percent)) for percent in INTERVALS},
        width_mg_dl={percent: forecast_scores.width(seen, *own.interval(percent)) for percent in INTERVALS},
        pit=tuple(forecast_scores.pit_shares(seen, own.quantiles_mg_dl, QUANTILE_LEVELS)),
        lag_min=forecast_scores.time_lag_min(
            rows.observed_mg_dl[:, place],
            rows.quantiles_mg_dl[:, place, QUANTILE_LEVELS.index(0.50)],
            step_min=WATCH_STEP_MIN,
            longest_min=horizon_min,
        ),
        grids={name: grid_view(Grid(name), horizon_min, seen, median) for name in GRIDS},
        rmse_by_range=forecast_scores.by_range(forecast_scores.rmse, seen, median),
        count_by_range={each.name: int(each.holds(seen).sum()) for each in forecast_scores.RANGES},
    )
