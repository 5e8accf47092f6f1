from itertools import pairwise

import numpy as np
import pytest

from twin_core.domain.errors import BadInput, OutOfRange
from twin_core.metrics.error_grid import LINES, ZONES, Grid, borders, shares_percent, zones

LINED = [grid for grid in Grid if grid is not Grid.CLARKE]


PUBLISHED = {
    (Grid.PARKES_T1, "B", "above"): [(0, 50), (30, 50), (140, 170), (280, 380), (430, 550)],
    (Grid.PARKES_T1, "C", "above"): [(0, 60), (30, 60), (50, 80), (70, 110), (260, 550)],
    (Grid.PARKES_T1, "D", "above"): [(0, 100), (25, 100), (50, 125), (80, 215), (125, 550)],
    (Grid.PARKES_T1, "E", "above"): [(0, 150), (35, 155), (50, 550)],
    (Grid.PARKES_T1, "B", "below"): [(50, 0), (50, 30), (170, 145), (385, 300), (550, 450)],
    (Grid.PARKES_T1, "C", "below"): [(120, 0), (120, 30), (260, 130), (550, 250)],
    (Grid.PARKES_T1, "D", "below"): [(250, 0), (250, 40), (550, 150)],
    (Grid.PARKES_T2, "B", "above"): [(0, 50), (30, 50), (230, 330), (440, 550)],
    (Grid.PARKES_T2, "C", "above"): [(0, 60), (30, 60), (280, 550)],
    (Grid.PARKES_T2, "D", "above"): [(0, 80), (25, 80), (35, 90), (125, 550)],
    (Grid.PARKES_T2, "E", "above"): [(0, 200), (35, 200), (50, 550)],
    (Grid.PARKES_T2, "B", "below"): [(50, 0), (50, 30), (90, 80), (330, 230), (550, 450)],
    (Grid.PARKES_T2, "C", "below"): [(90, 0), (260, 130), (550, 250)],
    (Grid.PARKES_T2, "D", "below"): [(250, 0), (250, 40), (410, 110), (550, 160)],
    (Grid.DTS, "B", "above"): [(0, 60), (50, 60), (500, 600)],
    (Grid.DTS, "C", "above"): [(0, 86.5), (50, 86.5), (347, 600)],
    (Grid.DTS, "D", "above"): [(0, 124), (50, 124), (241, 600)],
    (Grid.DTS, "E", "above"): [(0, 179), (50, 179), (167, 600)],
    (Grid.DTS, "B", "below"): [(62.5, 0), (62.5, 50), (600, 480)],
    (Grid.DTS, "C", "below"): [(97.5, 0), (97.5, 50), (600, 307)],
    (Grid.DTS, "D", "below"): [(153, 0), (153, 50), (600, 197)],
    (Grid.DTS, "E", "below"): [(238, 0), (238, 50), (600, 126)],
}
"""Corners (reference, prediction) [mg/dL] by the zone they lead into: Parkes from Pfützner 2013, table 1; DTS from
Klonoff 2024, appendix 2, table A1. Written down from sources other than those of `LINES`, so that a slip shows."""


@pytest.mark.parametrize(("grid", "outer", "side"), PUBLISHED)
def test_published_corners_and_the_middles_between_them_are_where_the_zone_changes(
    grid: Grid, outer: str, side: str
) -> None:
    corners = PUBLISHED[grid, outer, side]
    middles = [((x0 + x1) / 2, (y0 + y1) / 2) for (x0, y0), (x1, y1) in pairwise(corners) if x0 != x1]
    inner, step = chr(ord(outer) - 1), 0.01 if side == "above" else -0.01
    for reference, predicted in [*middles, corners[-1]]:
        assert zone(grid, reference, predicted - step) == inner, (reference, predicted)
        assert zone(grid, reference, predicted + step) == outer, (reference, predicted)
    if corners[0][0] == corners[1][0]:
        upright, height = corners[1]
        assert zone(grid, upright - 0.01, height / 2) == inner
        assert zone(grid, upright + 0.01, height / 2) == outer


def zone(grid: Grid, reference: float, predicted: float) -> str:
    return str(zones(grid, [reference], [predicted])[0])


@pytest.mark.parametrize(
    ("reference", "predicted", "expected"),
    [
        (100, 120, "A"),
        (100, 80, "A"),
        (100, 121, "B"),
        (60, 65, "A"),
        (65, 40, "A"),
        (100, 210, "C"),
        (100, 209, "B"),
        (160, 40, "C"),
        (160, 43, "B"),
        (60, 100, "D"),
        (240, 180, "D"),
        (239, 180, "B"),
        (60, 180, "E"),
        (180, 70, "E"),
        (350, 465, "C"),
    ],
)
def test_clarke_zones_at_their_borders(reference: float, predicted: float, expected: str) -> None:
    """Clarke 1987 as its common implementations read the figure."""
    assert zone(Grid.CLARKE, reference, predicted) == expected


@pytest.mark.parametrize("grid", LINED)
def test_every_published_corner_separates_two_neighbouring_zones(grid: Grid) -> None:
    for side, step in ((LINES[grid].above, 0.01), (LINES[grid].below, -0.01)):
        for number, corners in enumerate(side):
            for reference, predicted in corners[1:]:
                inner, outer = ZONES[number], ZONES[number + 1]
                assert zone(grid, reference, predicted - step) == inner, (grid, reference, predicted)
                assert zone(grid, reference, predicted + step) == outer, (grid, reference, predicted)


@pytest.mark.parametrize("grid", LINED)
def test_lines_below_begin_straight_up_from_zero(grid: Grid) -> None:
    for number, corners in enumerate(LINES[grid].below):
        if corners and corners[0][1] > 0:
            reference, height = corners[0]
            assert zone(grid, reference - 0.01, height - 1.0) == ZONES[number]
            assert zone(grid, reference + 0.01, height - 1.0) == ZONES[number + 1]


def test_the_dts_lines_are_level_lines_of_its_risk() -> None:
    """Klonoff 2024: risk 2.75 ln(m/r) above and 2.25 ln(m/r) below, both at least 50; borders at .5, 1.5, 2.5, 3.5."""
    for number, border in enumerate((0.5, 1.5, 2.5, 3.5)):
        above, below = LINES[Grid.DTS].above[number], LINES[Grid.DTS].below[number]
        assert above[1][1] == pytest.approx(50.0 * np.exp(border / 2.75), abs=1.2)
        assert below[0][0] == pytest.approx(50.0 * np.exp(border / 2.25), abs=1.2)
        assert above[-1][0] == pytest.approx(600.0 * np.exp(-border / 2.75), abs=1.2)
        assert below[-1][1] == pytest.approx(600.0 * np.exp(-border / 2.25), abs=1.2)


@pytest.mark.parametrize("grid", Grid)
def test_a_right_value_is_in_zone_a_and_zones_only_get_worse_away_from_it(grid: Grid) -> None:
    for reference in (45.0, 65.0, 90.0, 150.0, 250.0, 390.0):
        assert zone(grid, reference, reference) == "A"
        up = zones(grid, np.full(200, reference), np.linspace(reference, 600.0, 200))
        down = zones(grid, np.full(200, reference), np.linspace(reference, 5.0, 200))
        if grid is not Grid.CLARKE:
            assert list(up) == sorted(up)
            assert list(down) == sorted(down)


def test_lines_go_on_straight_beyond_their_last_corner() -> None:
    assert zone(Grid.PARKES_T1, 700.0, 700.0) == "A"
    assert zone(Grid.PARKES_T1, 700.0, 450.0 + 150.0 / 165.0 * 150.0 - 1.0) == "B"


def test_shares_add_up_and_nothing_has_no_share() -> None:
    rng = np.random.default_rng(3)
    shares = shares_percent(zones(Grid.DTS, rng.uniform(40, 400, 500), rng.uniform(40, 400, 500)))
    assert sum(shares.values()) == pytest.approx(100.0)
    assert all(np.isnan(share) for share in shares_percent(zones(Grid.DTS, [], [])).values())


def test_bad_pairs_are_refused_with_what_was_got() -> None:
    with pytest.raises(BadInput, match="as many"):
        zones(Grid.CLARKE, [100.0, 110.0], [100.0])
    with pytest.raises(OutOfRange, match="Predicted glucose"):
        zones(Grid.CLARKE, [100.0], [float("nan")])
    with pytest.raises(OutOfRange, match="Reference glucose"):
        zones(Grid.DTS, [-5.0], [100.0])


@pytest.mark.parametrize("grid", Grid)
def test_every_drawn_border_lies_between_two_zones(grid: Grid) -> None:
    for corners in borders(grid):
        for (x0, y0), (x1, y1) in pairwise(corners):
            away = np.hypot(x1 - x0, y1 - y0)
            if away == 0.0:
                continue
            across = 0.02 * np.array([y0 - y1, x1 - x0]) / away
            for share in (0.03, 0.5, 0.97):
                point = np.array([x0 + share * (x1 - x0), y0 + share * (y1 - y0)])
                one, other = (zone(grid, *np.maximum(point + side * across, 1e-6)) for side in (-1, 1))
                assert one != other, (grid, point)
