"""The figure of a drug's concentration over time, with how people differ."""

from collections.abc import Sequence

import numpy as np

from dashboard.theme.display import Screen
from dashboard.theme.plots import Figure, axis, base_layout, translucent
from twin_core.domain.history import FloatArray


def concentration_figure(
    times_h: FloatArray,
    typical_mg_l: FloatArray,
    percentiles_mg_l: FloatArray,
    dose_times_h: Sequence[float],
    screen: Screen,
) -> Figure:
    """Typical concentration [mg/L] and the 5, 25, 50, 75 and 95 % of people.

    Parameters
    ----------
    percentiles_mg_l
        Shape `(5, n_times)`, in that order.
    """
    colours = screen.colours
    p05, p25, p50, p75, p95 = percentiles_mg_l
    wide, narrow = translucent(colours.insulin, 0.14), translucent(colours.insulin, 0.24)
    data = [
        _line(times_h, p95, "95 % of people are below"),
        _line(times_h, p05, "5 % of people are below", fill=wide),
        _line(times_h, p75, "75 % of people are below"),
        _line(times_h, p25, "25 % of people are below", fill=narrow),
        _line(times_h, p50, "middle of people", line={"color": colours.insulin, "width": 1.5, "dash": "dot"}),
        _line(times_h, typical_mg_l, "typical person", line={"color": colours.accent, "width": 2.5}),
        {
            "type": "scatter",
            "mode": "markers",
            "name": "dose",
            "x": list(dose_times_h),
            "y": [0.0] * len(dose_times_h),
            "marker": {"symbol": "triangle-up", "size": 9, "color": colours.carbs},
            "hovertemplate": "dose at %{x:.1f} h",
        },
    ]
    layout = base_layout(colours) | {
        "xaxis": axis(colours, title={"text": "Hours since the first dose", "font": {"size": 12}}, rangemode="tozero"),
        "yaxis": axis(colours, title={"text": "Concentration mg/L", "font": {"size": 12}}, rangemode="tozero"),
        "uirevision": "dosing",
    }
    return {"data": data, "layout": layout}


def _line(
    times_h: FloatArray, values: FloatArray, name: str, fill: str | None = None, line: Figure | None = None
) -> Figure:
    digits = 4 if float(np.max(values, initial=0.0)) < 10.0 else 2
    trace: Figure = {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": np.round(times_h, 3).tolist(),
        "y": np.round(values, digits).tolist(),
        "line": line or {"width": 0},
        "hovertemplate": "%{y:.3~g} mg/L",
    }
    return trace | ({"fill": "tonexty", "fillcolor": fill} if fill else {})
