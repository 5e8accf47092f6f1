"""The small figure of a drug's level around now."""

import numpy as np

from dashboard.theme.display import Screen
from dashboard.theme.plots import Figure, axis, base_layout, translucent
from twin_core.domain.drug_levels import DrugLevel
from twin_core.domain.history import FloatArray


def drug_figure(level: DrugLevel, screen: Screen) -> Figure:
    """12 h back and 12 h ahead: the typical person, and the band that holds 90 % of people."""
    colours = screen.colours
    times = screen.times(level.times_min)
    now = screen.times(np.array([level.now_min]))[0]
    band = {"fill": "tonexty", "fillcolor": translucent(colours.insulin, 0.2)}
    data = [
        _line(times, level.percentiles[-1], "95 % of people are below", {"width": 0}),
        _line(times, level.percentiles[0], "5 % of people are below", {"width": 0}) | band,
        _line(times, level.typical, f"typical {level.unit}", {"color": colours.insulin, "width": 2, "dash": "dash"}),
    ]
    rule = {"color": colours.muted, "width": 1, "dash": "dot"}
    layout = base_layout(colours) | {
        "margin": {"l": 44, "r": 8, "t": 4, "b": 24},
        "xaxis": axis(colours, type="date", tickformat="%H:%M", nticks=4),
        "yaxis": axis(colours, rangemode="tozero", nticks=4, title={"text": level.unit, "font": {"size": 12}}),
        "shapes": [{"type": "line", "x0": now, "x1": now, "yref": "paper", "y0": 0, "y1": 1, "line": rule}],
        "uirevision": level.name,
    }
    return {"data": data, "layout": layout}


def _line(times: list[str], values: FloatArray, name: str, line: Figure) -> Figure:
    rounded = [float(f"{value:.4g}") for value in values]
    return {"type": "scatter", "mode": "lines", "name": name, "x": times, "y": rounded, "line": line}
