"""The lesson's figure is a valid one, and the table for the browser agrees with it."""

import plotly.graph_objects as go

from dashboard.figures.lessons import SCRIPT_TRACES, euler_figure, euler_table
from dashboard.theme.tokens import palette
from twin_core.services.lessons import euler_view


def test_the_table_for_the_browser_draws_what_the_server_draws() -> None:
    view = euler_view()
    for step, row in zip(view.steps[::7], euler_table(view)[::7], strict=True):
        figure = euler_figure(view, step, palette("light"))
        go.Figure(figure)
        level, gut = (figure["data"][place] for place in SCRIPT_TRACES)
        assert (level["x"], level["y"]) == (row["x"], row["y"])
        assert gut["y"] == row["gut"]
        assert [round(bound, 2) for bound in figure["layout"]["yaxis"]["range"]] == row["range"]


def test_a_step_that_explodes_stays_on_the_page() -> None:
    view = euler_view()
    figure = euler_figure(view, view.steps[-1], palette("dark"))
    assert figure["layout"]["yaxis"]["range"] == [-30.0, 30.0]
