"""What every figure has in common: the template of a mode, and the settings of a graph."""

from typing import Any

from dashboard.theme.tokens import FONT_FAMILY, Palette

Figure = dict[str, Any]
"""A plotly figure as a plain dict: building and validating `go.Figure` costs 8 ms in hot callbacks."""

GRAPH_CONFIG: Any = {
    "displaylogo": False,
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "displayModeBar": False,
    "responsive": True,
    "scrollZoom": False,
}
"""plotly.js 4 shows a "Share chart" upload button unless `showSendToCloud` is false."""


def base_layout(colours: Palette) -> Figure:
    """Margins, type and axes of any figure in one mode."""
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT_FAMILY, "size": 13, "color": colours.muted},
        "margin": {"l": 60, "r": 16, "t": 12, "b": 36},
        "showlegend": False,
        "hovermode": "x unified",
        "hoverlabel": {"bgcolor": colours.card, "bordercolor": colours.line, "font": {"color": colours.ink}},
        "transition": {"duration": 0},
        "dragmode": False,
    }


def axis(colours: Palette, **more: Any) -> Figure:
    """One quiet axis."""
    return {
        "gridcolor": colours.line,
        "linecolor": colours.line,
        "zeroline": False,
        "ticks": "",
        "automargin": False,
        "fixedrange": True,
        **more,
    }


def translucent(colour: str, opacity: float) -> str:
    """A hex colour with an opacity, as plotly wants it."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
