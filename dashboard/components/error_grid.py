"""An error grid with the share of each zone in words, for every page that shows one."""

from typing import Any

from dash import html

from dashboard.components.basics import figures_table, graph
from dashboard.theme.plots import Figure
from twin_core.services.error_grids import ZONES, GridView

MEANINGS = {
    "A": "no harm",
    "B": "little harm",
    "C": "treated without need",
    "D": "danger not seen",
    "E": "opposite treatment",
}


def error_grid(view: GridView, figure: Figure, graph_id: str) -> list[Any]:
    """The drawn grid and its table; a sentence where there is nothing to draw."""
    if view.reference_mg_dl.size == 0:
        return [html.P("There is no pair of forecast and reading to judge.", className="muted small")]
    count = view.reference_mg_dl.size
    label = f"{view.title} error grid, {view.horizon_min:.0f} min ahead: " + ", ".join(
        f"{zone} {view.percent[zone]:.0f} %" for zone in ZONES
    )
    rows = [(f"{zone}: {MEANINGS[zone]}", f"{view.percent[zone]:.1f} %") for zone in ZONES]
    caption = f"{view.title} error grid, {view.horizon_min:.0f} min ahead, {count:,} forecasts against readings"
    return [
        graph(graph_id, figure, label, "graph-error-grid"),
        figures_table(caption, ("Zone", "Share"), rows),
    ]
