"""Error grids: how dangerous the difference between a reference and a measured or predicted glucose would be.

Zones go from A (no harm) to E (the opposite of the right treatment). The consensus (Parkes) and DTS grids are drawn by
lines above and below the diagonal; a pair lies in the outermost zone whose line it is beyond, and a pair on a line in
the inner one. Beyond the last published corner a line goes on straight.

References
----------
[1] Clarke et al. 1987, Diabetes Care 10(5):622, doi 10.2337/diacare.10.5.622. The paper shows a figure; the
    inequalities are those of its common implementations, without their cap of the upper C zone at the figure's edge
    (reference 290, prediction 400 mg/dL).
[2] Parkes et al. 2000, Diabetes Care 23(8):1143, doi 10.2337/diacare.23.8.1143; corners in Pfützner et al. 2013,
    J Diabetes Sci Technol 7(5):1275, doi 10.1177/193229681300700517, table 1 (read through two implementations that
    quote it: unverified in the paper itself).
[3] Klonoff et al. 2024, The Diabetes Technology Society error grid, J Diabetes Sci Technol 18(6):1346,
    doi 10.1177/19322968241275701; corners in its appendix 2, table A1 (read through two implementations that quote
    it: unverified in the paper itself).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twin_core.domain.errors import BadInput, OutOfRange
from twin_core.domain.history import FloatArray

ZONES = ("A", "B", "C", "D", "E")

Corners = tuple[tuple[float, float], ...]


class Grid(StrEnum):
    """An error grid."""

    CLARKE = "clarke"
    PARKES_T1 = "parkes_t1"
    PARKES_T2 = "parkes_t2"
    DTS = "dts"


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Corners (reference, prediction) [mg/dL] of the lines into zones B, C, D, E; empty where there is no such zone.

    A line above begins at reference 0; one below begins where it rises straight up from prediction 0.
    """

    above: tuple[Corners, ...]
    below: tuple[Corners, ...]


LINES: Mapping[Grid, Lines] = {
    Grid.PARKES_T1: Lines(
        above=(
            ((0, 50), (30, 50), (140, 170), (280, 380), (430, 550)),
            ((0, 60), (30, 60), (50, 80), (70, 110), (260, 550)),
            ((0, 100), (25, 100), (50, 125), (80, 215), (125, 550)),
            ((0, 150), (35, 155), (50, 550)),
        ),
        below=(
            ((50, 30), (170, 145), (385, 300), (550, 450)),
            ((120, 30), (260, 130), (550, 250)),
            ((250, 40), (550, 150)),
            (),
        ),
    ),
    Grid.PARKES_T2: Lines(
        above=(
            ((0, 50), (30, 50), (230, 330), (440, 550)),
            ((0, 60), (30, 60), (280, 550)),
            ((0, 80), (25, 80), (35, 90), (125, 550)),
            ((0, 200), (35, 200), (50, 550)),
        ),
        below=(
            ((50, 30), (90, 80), (330, 230), (550, 450)),
            ((90, 0), (260, 130), (550, 250)),
            ((250, 40), (410, 110), (550, 160)),
            (),
        ),
    ),
    Grid.DTS: Lines(
        above=(
            ((0, 60), (50, 60), (500, 600)),
            ((0, 86.5), (50, 86.5), (347, 600)),
            ((0, 124), (50, 124), (241, 600)),
            ((0, 179), (50, 179), (167, 600)),
        ),
        below=(
            ((62.5, 50), (600, 480)),
            ((97.5, 50), (600, 307)),
            ((153, 50), (600, 197)),
            ((238, 50), (600, 126)),
        ),
    ),
}


_CLARKE_BORDERS: tuple[Corners, ...] = (
    ((0, 70), (175 / 3, 70), (500, 600)),
    ((70, 0), (70, 56), (600, 480)),
    ((0, 180), (70, 180), (490, 600)),
    ((70, 84), (70, 600)),
    ((130, 0), (180, 70), (600, 70)),
    ((180, 0), (180, 70)),
    ((240, 70), (240, 180), (600, 180)),
)


def borders(grid: Grid) -> tuple[Corners, ...]:
    """The lines between the zones, as corners (reference, prediction) [mg/dL], to be drawn."""
    if grid is Grid.CLARKE:
        return _CLARKE_BORDERS
    lines = LINES[grid]
    return (*lines.above, *(((corners[0][0], 0.0), *corners) for corners in lines.below if corners))


def zones(grid: Grid, reference_mg_dl: ArrayLike, predicted_mg_dl: ArrayLike) -> NDArray[np.str_]:
    """The zone of every pair, shape `(n,)`.

    Raises
    ------
    BadInput
        The two are not as many, or not in one row.
    OutOfRange
        A glucose that is not finite or not in (0, 2000] mg/dL.
    """
    reference, predicted = (np.asarray(v, dtype=np.float64) for v in (reference_mg_dl, predicted_mg_dl))
    if reference.ndim != 1 or reference.shape != predicted.shape:
        raise BadInput(f"References and predictions must be as many; got {reference.shape} and {predicted.shape}.")
    for name, values in (("Reference glucose", reference), ("Predicted glucose", predicted)):
        wrong = values[~((values > 0.0) & (values <= 2000.0))]
        if wrong.size:
            raise OutOfRange(name, float(wrong[0]), 0.0, 2000.0, "mg/dL")
    if grid is Grid.CLARKE:
        return _clarke(reference, predicted)
    return _by_lines(LINES[grid], reference, predicted)


def shares_percent(found: NDArray[np.str_]) -> dict[str, float]:
    """Share of each zone [%]; NaN without any pair."""
    return {zone: float(100.0 * np.mean(found == zone)) if found.size else float("nan") for zone in ZONES}


def _by_lines(lines: Lines, reference: FloatArray, predicted: FloatArray) -> NDArray[np.str_]:
    found = np.full(reference.shape, "A")
    for zone, above, below in zip(ZONES[1:], lines.above, lines.below, strict=True):
        beyond = predicted > _line(above, reference)
        if below:
            beyond |= (reference > below[0][0]) & (predicted < _line(below, reference))
        found[beyond] = zone
    return found


def _line(corners: Corners, reference: FloatArray) -> FloatArray:
    """A line's prediction at each reference, straight on beyond the last corner."""
    x, y = np.array(corners, dtype=np.float64).T
    slope = (y[-1] - y[-2]) / (x[-1] - x[-2])
    beyond = y[-1] + slope * (reference - x[-1])
    return np.asarray(np.where(reference > x[-1], beyond, np.interp(reference, x, y)), dtype=np.float64)


def _clarke(r: FloatArray, p: FloatArray) -> NDArray[np.str_]:
    """The inequalities of [1], from the last to the first: a pair keeps the first zone that claims it."""
    between = (p >= 70.0) & (p <= 180.0)
    found = np.full(r.shape, "B")
    found[((r >= 240.0) | (r <= 70.0)) & between] = "D"
    found[((r >= 70.0) & (p >= r + 110.0)) | ((r >= 130.0) & (r <= 180.0) & (p <= 1.4 * r - 182.0))] = "C"
    found[((r <= 70.0) & (p >= 180.0)) | ((r >= 180.0) & (p <= 70.0))] = "E"
    found[(np.abs(p - r) <= 0.2 * r) | ((r < 70.0) & (p < 70.0))] = "A"
    return found
