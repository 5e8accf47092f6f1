"""An error grid as it is drawn: the pairs, their zones, and the lines between the zones."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.history import FloatArray
from twin_core.metrics.error_grid import ZONES, Corners, Grid, borders, shares_percent, zones

GRIDS: Mapping[str, str] = {
    Grid.CLARKE.value: "Clarke",
    Grid.PARKES_T1.value: "Parkes, type 1",
    Grid.DTS.value: "DTS",
}
"""The grids that pages show, by name, with their titles."""


@dataclass(frozen=True, kw_only=True)
class GridView:
    """Forecasts against what was measured, with the danger of each.

    Attributes
    ----------
    reference_mg_dl, predicted_mg_dl, zones
        Shape `(n,)`: what was measured, the median forecast, and the zone of the pair.
    percent
        Share of each zone; NaN without any pair.
    borders
        Lines between the zones, as corners (reference, prediction) [mg/dL].
    """

    title: str
    horizon_min: float
    reference_mg_dl: FloatArray
    predicted_mg_dl: FloatArray
    zones: NDArray[np.str_]
    percent: Mapping[str, float]
    borders: tuple[Corners, ...]

    @property
    def pairs(self) -> dict[str, tuple[FloatArray, FloatArray]]:
        """By zone, the references and predictions of its pairs."""
        owns = {zone: self.zones == zone for zone in ZONES}
        return {zone: (self.reference_mg_dl[own], self.predicted_mg_dl[own]) for zone, own in owns.items()}


def grid_view(grid: Grid, horizon_min: float, reference_mg_dl: FloatArray, predicted_mg_dl: FloatArray) -> GridView:
    """The grid of some pairs; those of which one is missing (NaN) are left out."""
    known = np.isfinite(reference_mg_dl) & np.isfinite(predicted_mg_dl)
    reference, predicted = reference_mg_dl[known], predicted_mg_dl[known]
    found = zones(grid, reference, predicted)
    return GridView(
        title=GRIDS[grid.value],
        horizon_min=horizon_min,
        reference_mg_dl=reference,
        predicted_mg_dl=predicted,
        zones=found,
        percent=shares_percent(found),
        borders=borders(grid),
    )


__all__ = ["GRIDS", "ZONES", "GridView", "grid_view"]
