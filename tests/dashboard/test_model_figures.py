import json
from datetime import date, timedelta

import numpy as np
import plotly.graph_objects as go

from dashboard.figures.model import SYMBOLS, daily_figure, error_figure, error_grid_figure, pit_figure
from dashboard.theme.display import Display
from dashboard.theme.plots import Figure
from twin_core.domain.forecasts import QUANTILE_LEVELS
from twin_core.domain.units import GlucoseUnit
from twin_core.metrics.error_grid import Grid
from twin_core.services.error_grids import ZONES, grid_view

SCREEN = Display(mode="light", unit=GlucoseUnit.MG_DL).screen()
MMOL = Display(mode="dark", unit=GlucoseUnit.MMOL_L).screen()


def valid(figure: Figure) -> Figure:
    assert go.Figure(figure).data
    assert "NaN" not in json.dumps(figure, allow_nan=False)
    return figure


def test_the_served_model_is_the_thickest_curve_and_errors_are_in_the_unit_of_the_screen() -> None:
    curves = {"ours": ([30.0, 60.0], [18.0, 36.0]), "no change": ([30.0, 60.0], [22.0, 40.0])}
    data = valid(error_figure(curves, SCREEN))["data"]
    assert data[0]["line"]["width"] > data[1]["line"]["width"]
    assert data[0]["line"]["dash"] != data[1]["line"]["dash"]
    assert data[0]["y"] == [18.0, 36.0]
    assert error_figure(curves, MMOL)["data"][0]["y"] == [1.0, 2.0]


def test_days_without_figures_are_gaps_and_each_panel_shows_where_it_should_be() -> None:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(3)]
    figure = valid(daily_figure(days, [0.2, None, -0.1], [0.91, None, 0.88], [3.0, None, -2.0], SCREEN))
    assert [trace["y"][1] for trace in figure["data"]] == [None] * 3
    assert [shape["y0"] for shape in figure["layout"]["shapes"]] == [0.0, 90.0, 0.0]
    assert figure["layout"]["yaxis"]["range"][0] < -10.0


def test_no_days_are_drawn_as_an_empty_figure() -> None:
    assert json.dumps(daily_figure([], [], [], [], SCREEN), allow_nan=False)


def test_a_calibrated_forecast_has_bars_of_one() -> None:
    expected = np.diff([0.0, *QUANTILE_LEVELS, 1.0])
    bars = valid(pit_figure(expected, expected, QUANTILE_LEVELS, SCREEN))["data"][0]
    assert bars["y"] == [1.0] * 8
    assert bars["x"][0] == "0-5"


def test_a_zone_is_told_by_its_mark_and_empty_zones_are_left_out() -> None:
    reference, predicted = np.array([100.0, 60.0, 300.0]), np.array([105.0, 100.0, 60.0])
    view = grid_view(Grid.CLARKE, 60.0, reference, predicted)
    assert list(view.zones) == ["A", "D", "E"]
    figure = valid(error_grid_figure(view.pairs, view.borders, SCREEN))
    marks = [trace for trace in figure["data"] if trace["mode"] == "markers"]
    assert [(mark["name"], mark["marker"]["symbol"]) for mark in marks] == [(f"zone {z}", SYMBOLS[z]) for z in "ADE"]
    assert len(set(SYMBOLS.values())) == len(ZONES)
    assert figure["layout"]["xaxis"]["range"] == figure["layout"]["yaxis"]["range"]
