"""The figures of the lessons."""

import numpy as np

from dashboard.theme.plots import Figure, axis, base_layout
from dashboard.theme.tokens import Palette
from twin_core.domain.history import FloatArray
from twin_core.domain.lessons import EulerStep, EulerView

SCRIPT_TRACES = (1, 3)
"""Places of the script's concentration and gut among the traces."""
_LOWEST, _HIGHEST = -30.0, 30.0
_ALWAYS_MG_L = (-0.5, 7.0)
_GUT_PER_LEVEL = 20.0
"""mg of gut for each mg/L of the upper panel: both are cut where the script leaves the page."""


def euler_figure(view: EulerView, step: EulerStep, colours: Palette) -> Figure:
    """Concentration above and gut below: the exact curves, and the script's points joined as it joins them."""
    exact, script = {"color": colours.accent, "width": 2.5}, {"color": colours.what_if, "width": 1.5}
    low, high = y_range(step)
    data = [
        _line(view.times_h, view.exact_mg_l, "exact", exact, "y", "mg/L"),
        _line(step.times_h, step.concentration_mg_l, "script", script, "y", "mg/L", markers=True),
        _line(view.times_h, view.gut_mg, "exact gut", exact, "y2", "mg"),
        _line(step.times_h, step.gut_mg, "script's gut", script, "y2", "mg", markers=True),
    ]
    small = {"size": 12}
    layout = base_layout(colours) | {
        "xaxis": axis(colours, title={"text": "Hours since the dose", "font": small}, range=[0, 48.5], anchor="y2"),
        "yaxis": axis(
            colours, title={"text": "Concentration mg/L", "font": small}, range=[low, high], domain=[0.36, 1]
        ),
        "yaxis2": axis(
            colours,
            title={"text": "In the gut mg", "font": small},
            range=[_GUT_PER_LEVEL * low, _GUT_PER_LEVEL * high],
            domain=[0, 0.28],
        ),
        "shapes": [_zero(colours, "y"), _zero(colours, "y2")],
    }
    return {"data": data, "layout": layout}


def y_range(step: EulerStep) -> tuple[float, float]:
    """What of the concentrations [mg/L] is shown: all, until they leave -30 to 30."""
    values = np.concatenate((step.concentration_mg_l, step.gut_mg / _GUT_PER_LEVEL))
    low, high = min(_ALWAYS_MG_L[0], 1.1 * float(values.min())), max(_ALWAYS_MG_L[1], 1.1 * float(values.max()))
    return max(low, _LOWEST), min(high, _HIGHEST)


def euler_table(view: EulerView) -> list[dict[str, object]]:
    """What the browser needs to draw any step by itself, in the order of the steps."""
    return [
        {
            "x": np.round(step.times_h, 3).tolist(),
            "y": np.round(step.concentration_mg_l, 3).tolist(),
            "gut": np.round(step.gut_mg, 3).tolist(),
            "range": [round(bound, 2) for bound in y_range(step)],
            "gutRange": [round(_GUT_PER_LEVEL * bound, 1) for bound in y_range(step)],
            "findings": list(step.findings),
        }
        for step in view.steps
    ]


def _line(
    x: FloatArray, y: FloatArray, name: str, line: Figure, y_axis: str, unit: str, markers: bool = False
) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers" if markers else "lines",
        "name": name,
        "x": np.round(x, 3).tolist(),
        "y": np.round(y, 3).tolist(),
        "yaxis": y_axis,
        "line": line,
        "marker": {"size": 4, "color": line["color"]},
        "hovertemplate": f"%{{y:.3~g}} {unit}",
    }


def _zero(colours: Palette, y_axis: str) -> Figure:
    line = {"color": colours.muted, "width": 1, "dash": "dot"}
    return {"type": "line", "xref": "paper", "yref": y_axis, "x0": 0, "x1": 1, "y0": 0, "y1": 0, "line": line}
