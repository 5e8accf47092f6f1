"""Figures of how far a forecaster can be trusted: errors by horizon, days, the PIT and the error grids."""

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise

from dashboard.theme.display import Screen
from dashboard.theme.plots import Figure, axis, base_layout, translucent
from twin_core.domain.history import FloatArray
from twin_core.domain.units import GlucoseUnit, in_unit

SYMBOLS = {"A": "circle", "B": "triangle-up", "C": "square", "D": "diamond", "E": "x"}
"""A zone is told by its mark as well as by its colour."""
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_LONGEST_GRID_MG_DL = 400.0
_GRID_TICKS_MG_DL = (0.0, 70.0, 180.0, 250.0, 400.0)
_PANELS = {"y": (0.70, 1.0), "y2": (0.35, 0.63), "y3": (0.0, 0.28)}


def error_figure(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], screen: Screen) -> Figure:
    """RMSE by horizon, a curve a model, the first one thick.

    Parameters
    ----------
    curves
        By name of the model: horizons [min] and errors [mg/dL].
    """
    colours = screen.colours
    inks = (colours.accent, colours.what_if, colours.insulin, colours.carbs, colours.green, colours.muted)
    data = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": list(horizons),
            "y": [round(screen.level(error), 2) for error in errors],
            "line": {"color": inks[rank % len(inks)], "width": 1.75 if rank else 3, "dash": _DASHES[rank % 6]},
            "marker": {"size": 5 if rank else 7},
        }
        for rank, (name, (horizons, errors)) in enumerate(curves.items())
    ]
    layout = base_layout(colours) | {
        "showlegend": True,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0.0},
        "margin": {"l": 60, "r": 16, "t": 40, "b": 44},
        "xaxis": axis(colours, title={"text": "minutes ahead", "font": {"size": 12}}, dtick=60, showgrid=False),
        "yaxis": axis(
            colours, title={"text": f"RMSE, {screen.unit.value}", "font": {"size": 12}}, rangemode="tozero", nticks=6
        ),
    }
    return {"data": data, "layout": layout}


def daily_figure(
    days: Sequence[date],
    skill: Sequence[float | None],
    inside_90: Sequence[float | None],
    bias_mg_dl: Sequence[float | None],
    screen: Screen,
) -> Figure:
    """Skill, coverage and bias of each day, one above the other, each with the line where it should be."""
    colours = screen.colours
    stamps = [str(day) for day in days]
    digits = 0 if screen.unit is GlucoseUnit.MG_DL else 1
    panels: dict[str, tuple[str, Sequence[float | None], float]] = {
        "y": ("skill %", _percents(skill), 0.0),
        "y2": ("in 90 %", _percents(inside_90), 90.0),
        "y3": (
            f"bias {screen.unit.value}",
            [None if value is None else round(in_unit(value, screen.unit), digits) for value in bias_mg_dl],
            0.0,
        ),
    }
    data = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": stamps,
            "y": list(values),
            "yaxis": place,
            "line": {"color": colours.accent, "width": 1.75},
            "marker": {"size": 6},
            "connectgaps": False,
        }
        for place, (name, values, _) in panels.items()
    ]
    layout = base_layout(colours) | {
        "margin": {"l": 64, "r": 16, "t": 8, "b": 32},
        "xaxis": axis(colours, type="date", tickformat="%-d %b", nticks=5, anchor="y3", showgrid=False),
        "shapes": [_level(stamps, target, place, screen) for place, (_, _, target) in panels.items()],
    }
    for place, (name, values, target) in panels.items():
        layout["yaxis" + place[1:]] = axis(
            colours,
            domain=list(_PANELS[place]),
            title={"text": name, "font": {"size": 11}},
            range=_spread(values, target),
            nticks=4,
        )
    return {"data": data, "layout": layout}


def pit_figure(shares: Sequence[float], expected: Sequence[float], levels: Sequence[float], screen: Screen) -> Figure:
    """Readings between each two neighbouring quantiles, as a multiple of what a calibrated forecast has."""
    colours = screen.colours
    edges = [0.0, *levels, 1.0]
    names = [f"{100 * low:.0f}-{100 * high:.0f}" for low, high in pairwise(edges)]
    times = [share / right for share, right in zip(shares, expected, strict=True)]
    hover = [
        f"{100 * share:.1f} % of the readings<br>calibrated: {100 * right:.0f} %"
        for share, right in zip(shares, expected, strict=True)
    ]
    bars = {
        "type": "bar",
        "x": names,
        "y": [round(value, 3) for value in times],
        "marker": {"color": translucent(colours.accent, 0.7)},
        "text": hover,
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
    }
    rule = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 1, "y1": 1}
    layout = base_layout(colours) | {
        "hovermode": "closest",
        "bargap": 0.08,
        "margin": {"l": 60, "r": 16, "t": 12, "b": 64},
        "xaxis": axis(
            colours,
            type="category",
            title={"text": "between these quantiles, %", "font": {"size": 12}},
            showgrid=False,
            tickangle=-45,
        ),
        "yaxis": axis(
            colours,
            title={"text": "times as many as expected", "font": {"size": 12}},
            range=[0, max(2.0, 1.1 * max(times))],
            nticks=5,
        ),
        "shapes": [rule | {"line": {"color": colours.ink, "width": 1.25, "dash": "dot"}}],
    }
    return {"data": [bars], "layout": layout}


def error_grid_figure(
    pairs: Mapping[str, tuple[FloatArray, FloatArray]],
    borders: Sequence[Sequence[tuple[float, float]]],
    screen: Screen,
) -> Figure:
    """Forecasts against what was measured, with the lines between the zones.

    Parameters
    ----------
    pairs
        By zone: what was measured and what was forecast [mg/dL].
    """
    colours = screen.colours
    inks = {
        "A": colours.green,
        "B": colours.accent,
        "C": colours.very_high,
        "D": colours.low,
        "E": colours.very_low,
    }
    marks = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": f"zone {zone}",
            "x": screen.glucose(measured),
            "y": screen.glucose(forecast),
            "marker": {"symbol": SYMBOLS[zone], "size": 6, "color": inks[zone], "opacity": 0.65},
            "hovertemplate": "measured %{x}<br>forecast %{y}<extra>%{fullData.name}</extra>",
        }
        for zone, (measured, forecast) in pairs.items()
        if measured.size
    ]
    lines = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [screen.level(x) for x, _ in corners],
            "y": [screen.level(y) for _, y in corners],
            "hoverinfo": "skip",
            "showlegend": False,
            "line": {"color": colours.muted, "width": 1},
        }
        for corners in borders
    ]
    ends = [0.0, screen.level(_LONGEST_GRID_MG_DL)]
    right = {"color": colours.ink, "width": 1, "dash": "dot"}
    quiet = {"hoverinfo": "skip", "showlegend": False}
    diagonal = {"type": "scatter", "mode": "lines", "x": ends, "y": ends, "line": right, **quiet}
    ticks = [screen.level(value) for value in _GRID_TICKS_MG_DL]
    digits = 0 if screen.unit is GlucoseUnit.MG_DL else 1
    shared = {
        "range": [0, screen.level(_LONGEST_GRID_MG_DL)],
        "tickvals": ticks,
        "ticktext": [f"{tick:.{digits}f}" for tick in ticks],
    }
    layout = base_layout(colours) | {
        "hovermode": "closest",
        "showlegend": True,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0.0},
        "margin": {"l": 60, "r": 16, "t": 36, "b": 48},
        "xaxis": axis(colours, title={"text": f"measured, {screen.unit.value}", "font": {"size": 12}}, **shared),
        "yaxis": axis(colours, title={"text": f"forecast, {screen.unit.value}", "font": {"size": 12}}, **shared),
    }
    return {"data": [*lines, diagonal, *marks], "layout": layout}


def _percents(shares: Sequence[float | None]) -> list[float | None]:
    return [None if share is None else round(100.0 * share, 1) for share in shares]


def _spread(values: Sequence[float | None], target: float) -> list[float]:
    known = [target, *(value for value in values if value is not None)]
    margin = 0.12 * max(max(known) - min(known), 5.0)
    return [min(known) - margin, max(known) + margin]


def _level(stamps: Sequence[str], value: float, place: str, screen: Screen) -> Figure:
    ends = {"x0": stamps[0], "x1": stamps[-1]} if stamps else {"x0": 0, "x1": 1}
    dotted = {"color": screen.colours.ink, "width": 1.25, "dash": "dot"}
    return {"type": "line", "xref": "x", "yref": place, "y0": value, "y1": value, "line": dotted, **ends}
