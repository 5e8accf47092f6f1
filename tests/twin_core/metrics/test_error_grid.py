import numpy as np
import pytest

from twin_core.domain.errors import BadInput, OutOfRange
from twin_core.metrics.error_grid import LINES, ZONES, Grid, shares_percent, zones

LINED = [grid for grid in Grid if grid is not Grid.CLARKE]


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
