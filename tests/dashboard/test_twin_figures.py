import json

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboard.figures.twin import (
    FIT_TRACES,
    PARAMETER_TRACES,
    course_figure,
    fit_figure,
    heat_map_figure,
    parameter_figure,
    shares_figure,
)
from dashboard.theme.display import Display, Screen
from dashboard.theme.plots import Figure
from dashboard.theme.tokens import Mode
from twin_core.domain.units import GlucoseUnit, in_unit

START_MIN = 28_000_000.0
NAMES = ("Vmx", "kp3", "Gb")


def screen(unit: GlucoseUnit = GlucoseUnit.MG_DL, mode: Mode = "light") -> Screen:
    return Display(mode=mode, unit=unit).screen()


def parameters() -> Figure:
    prior = np.array([[0.5, 1.0, 2.0], [0.4, 1.0, 2.5], [0.8, 1.0, 1.25]])
    posterior = np.array([[1.5, 2.0, 2.5], [0.5, 1.1, 2.4], [0.9, 0.95, 1.0]])
    return parameter_figure(NAMES, prior, posterior, np.array([True, False, True]), screen())


def fit(unit: GlucoseUnit = GlucoseUnit.MG_DL) -> Figure:
    time = START_MIN + np.array([0.0, 5.0, 10.0, 10.0, 100.0, 105.0])
    measured = np.array([100.0, 110.0, 190.0, np.nan, 60.0, 65.0])
    return fit_figure(time, measured, measured + 5.0, measured - 20.0, measured + 30.0, screen(unit))


def course(n_followed: int = 4, unit: GlucoseUnit = GlucoseUnit.MG_DL) -> Figure:
    windows = np.array([[START_MIN, START_MIN + 420.0, 0.8, 1.0, 1.3], [START_MIN + 420.0, START_MIN + 780.0, 1, 2, 3]])
    time = START_MIN + 1440.0 + 5.0 * np.arange(n_followed)
    band = np.array([[0.7], [1.0], [1.4]]) * np.ones(n_followed)
    meals = np.array([[START_MIN + 200.0, 0.6, 0.9, 1.2]])
    span = (START_MIN, START_MIN + 1500.0)
    error = 18.0156 * (band - 1.0)
    resets = (START_MIN + 1450.0,)
    return course_figure(windows, meals, time, band, band - 1.0, error, meals + 600.0, resets, span, screen(unit))


def shares() -> Figure:
    return shares_figure(
        NAMES, np.array([0.1, 0.5, -0.01]), np.full(3, 0.02), np.array([0.2, 0.6, 0.01]), np.full(3, 0.03), screen()
    )


def heat_map(unit: GlucoseUnit = GlucoseUnit.MG_DL) -> Figure:
    shares_over_time = np.array([[0.0, np.nan, 0.2], [1.0, np.nan, 0.9], [0.1, np.nan, 1.04]])
    return heat_map_figure(NAMES, np.array([0.0, 15.0, 30.0]), shares_over_time, np.full(3, 36.0312), screen(unit))


@pytest.mark.parametrize("figure", [parameters(), fit(), course(), course(n_followed=0), shares(), heat_map()])
def test_figures_are_valid_plotly_without_nan(figure: Figure) -> None:
    assert go.Figure(figure).data
    assert "NaN" not in json.dumps(figure, allow_nan=False)


def test_the_first_parameter_stands_at_the_top_and_every_interval_is_its_own() -> None:
    figure = parameters()
    assert len(figure["data"]) == len(PARAMETER_TRACES)
    low, high = figure["layout"]["yaxis"]["range"]
    assert low > high
    middle = figure["data"][PARAMETER_TRACES.index("middle")]
    assert middle["x"] == [2.0, 1.1, 0.95]
    assert middle["y"] == sorted(middle["y"])
    assert [label["text"] for label in figure["layout"]["annotations"]] == list(NAMES)


def test_what_the_data_told_is_drawn_apart_from_what_they_did_not() -> None:
    figure = parameters()
    told, untold = (figure["data"][PARAMETER_TRACES.index(name)] for name in ("told", "untold"))
    assert told["x"] == [1.5, 2.5, None, 0.9, 1.0, None]
    assert untold["x"] == [0.5, 2.4, None]
    assert told["line"]["color"] != untold["line"]["color"]


def test_every_interval_lies_within_the_axis_of_the_parameters() -> None:
    low, high = 10.0 ** np.array(parameters()["layout"]["xaxis"]["range"])
    assert low <= 0.25
    assert high >= 4.0
    wide = np.array([[0.01, 1.0, 40.0]])
    low, high = 10.0 ** np.array(
        parameter_figure(("a",), wide, wide, np.array([True]), screen())["layout"]["xaxis"]["range"]
    )
    assert low < 0.01
    assert high > 40.0


def test_the_interval_of_the_fit_does_not_bridge_a_gap() -> None:
    ribbon = fit()["data"][FIT_TRACES.index("interval")]
    assert ribbon["x"].count(None) == 2
    assert len(ribbon["x"]) == 2 * 3 + 1 + 2 * 2 + 1
    curve = fit()["data"][FIT_TRACES.index("curve")]
    assert curve["y"][3] is None


def test_the_fit_shows_every_reading_in_the_unit_of_the_screen() -> None:
    mmol = fit(GlucoseUnit.MMOL_L)["data"][FIT_TRACES.index("measured")]["y"]
    assert mmol == [round(in_unit(v, GlucoseUnit.MMOL_L), 2) for v in (100.0, 110.0, 190.0, 60.0, 65.0)]


def test_the_sensors_error_follows_the_unit_and_factors_do_not() -> None:
    in_mg_dl, in_mmol_l = course(), course(unit=GlucoseUnit.MMOL_L)
    errors = [figure["data"][-1]["y"] for figure in (in_mg_dl, in_mmol_l)]
    assert np.array(errors[0]) == pytest.approx(np.zeros(4))
    upper = [max(v for v in figure["data"][-2]["y"] if v is not None) for figure in (in_mg_dl, in_mmol_l)]
    assert upper[0] == pytest.approx(18.0156 * 0.4, abs=0.5)
    assert upper[1] == pytest.approx(0.4, abs=0.01)
    sensitivity = [next(t for t in f["data"] if t.get("name") == "insulin's action") for f in (in_mg_dl, in_mmol_l)]
    assert sensitivity[0]["y"] == sensitivity[1]["y"]


def test_a_reset_of_the_filter_is_marked() -> None:
    assert sum("x0" in shape and shape.get("yref") == "paper" for shape in course()["layout"]["shapes"]) == 1


def test_the_largest_share_stands_at_the_top_with_its_interval() -> None:
    for bars in shares()["data"]:
        assert bars["y"] == ["Gb", "Vmx", "kp3"]
        assert 0.0 <= min(bars["x"]) <= max(bars["x"]) == bars["x"][-1]
        assert len(bars["error_x"]["array"]) == 3
    assert shares()["layout"]["xaxis"]["range"][1] >= 0.63


def test_the_heat_map_leaves_blank_what_does_not_vary_and_puts_the_weightiest_first() -> None:
    figure = heat_map()
    cells = figure["data"][1]
    assert [row[1] for row in cells["z"]] == [None, None, None]
    assert cells["y"] == ["kp3", "Gb", "Vmx"]
    assert max(v for row in cells["z"] for v in row if v is not None) == 1.0
    assert heat_map(GlucoseUnit.MMOL_L)["data"][0]["y"] == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(("days", "most"), [(0.5, 4), (1.4, 7), (3.0, 4), (14.0, 6)])
def test_an_axis_has_few_enough_ticks_for_a_narrow_screen(days: float, most: int) -> None:
    time = START_MIN + np.array([0.0, 1440.0 * days])
    flat = np.full(2, 100.0)
    dtick = fit_figure(time, flat, flat, flat, flat, screen())["layout"]["xaxis"]["dtick"]
    assert 1 <= days * 86_400_000 / dtick <= most
