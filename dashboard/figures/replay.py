"""Figures of a past day: frozen forecasts against what happened, and the day told again under another therapy."""

from collections.abc import Sequence

import numpy as np

from dashboard.figures.glucose import ceiling_of, glucose_axis, measured_trace, now_rule, target_band, time_axis
from dashboard.theme.display import Screen
from dashboard.theme.plots import Figure, axis, base_layout, translucent
from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS
from twin_core.domain.history import FloatArray, History

REPLAY_TRACES = ("ghosts", "measured", "p95", "p05", "p75", "p25", "median", "carbs", "bolus")
GHOST_EVERY = 4
"""Every fourth origin leaves a ghost: one an hour."""
GHOST_MIN = 120.0
_TAIL_MIN = 240.0


def replay_figure(
    history: History,
    origins_min: FloatArray,
    quantiles_mg_dl: FloatArray,
    chosen: int,
    end_min: float,
    screen: Screen,
) -> Figure:
    """A day with the forecast of one origin, and thin grey ghosts of the others' medians, 2 h long, one an hour.

    Parameters
    ----------
    quantiles_mg_dl
        Shape `(n_origins, n_horizons, n_levels)`; NaN where withheld.
    chosen
        The origin whose forecast is shown with its bands; the browser moves it (see assets/replay.js).

    Notes
    -----
    Traces stand in the order of `REPLAY_TRACES`.
    """
    start_min = float(origins_min[0])
    inside = (history.cgm_time_min >= start_min) & (history.cgm_time_min <= end_min)
    readings = history.cgm_mg_dl[inside]
    data = [
        _ghosts(origins_min, quantiles_mg_dl, screen),
        measured_trace(history.cgm_time_min[inside], readings, screen),
        *_fan(float(origins_min[chosen]), quantiles_mg_dl[chosen], screen),
        *_events(history, start_min, end_min, screen),
    ]
    ceiling = ceiling_of(readings, quantiles_mg_dl[:, :, -1].ravel())
    layout = base_layout(screen.colours) | {
        "xaxis": time_axis(start_min, end_min, screen, every_h=4),
        "yaxis": glucose_axis(ceiling, screen),
        "shapes": [target_band(screen), now_rule(float(origins_min[chosen]), screen)],
        "uirevision": "replay",
    }
    return {"data": data, "layout": layout}


def retold_figure(
    time_min: FloatArray,
    measured_mg_dl: FloatArray,
    simulated_mg_dl: FloatArray,
    retold_mg_dl: FloatArray,
    flow_mg_kg_min: FloatArray,
    screen: Screen,
) -> Figure:
    """A day as measured and as retold; below, the flow of glucose that the twin cannot explain.

    Parameters
    ----------
    retold_mg_dl
        Shape `(3, n_times)`: 5 %, most probable, 95 %.
    flow_mg_kg_min
        Shape `(n_knots,)`, evenly from the first time to the last.
    """
    colour, times = screen.colours.what_if, screen.times(time_min)
    seen = np.isfinite(measured_mg_dl)
    line: Figure = {"type": "scatter", "mode": "lines", "x": times, "hoverinfo": "skip", "line": {"width": 0}}
    thin, strong = {"color": screen.colours.muted, "width": 1.25, "dash": "dot"}, {"color": colour, "width": 3}
    low, middle, high = retold_mg_dl
    knots = np.linspace(time_min[0], time_min[-1], len(flow_mg_kg_min))
    data = [
        line | {"y": screen.glucose(high)},
        line | {"y": screen.glucose(low), "fill": "tonexty", "fillcolor": translucent(colour, 0.18)},
        line | {"y": screen.glucose(simulated_mg_dl), "name": "the twin alone", "hoverinfo": "all", "line": thin},
        measured_trace(time_min[seen], measured_mg_dl[seen], screen),
        line | {"y": screen.glucose(middle), "name": "retold", "hoverinfo": "all", "line": strong},
        {
            "type": "scatter",
            "mode": "lines",
            "name": "unexplained flow",
            "x": screen.times(knots),
            "y": np.round(flow_mg_kg_min, 2).tolist(),
            "yaxis": "y2",
            "fill": "tozeroy",
            "fillcolor": translucent(screen.colours.muted, 0.2),
            "line": {"color": screen.colours.muted, "width": 1.25},
        },
    ]
    reach = max(1.0, float(np.abs(flow_mg_kg_min).max()) * 1.1)
    layout = base_layout(screen.colours) | {
        "xaxis": time_axis(float(time_min[0]), float(time_min[-1]), screen, every_h=4, anchor="y2"),
        "yaxis": glucose_axis(ceiling_of(measured_mg_dl[seen], high), screen, domain=[0.34, 1.0]),
        "yaxis2": axis(
            screen.colours,
            domain=[0.0, 0.24],
            title={"text": "Unexplained<br>mg/kg/min", "font": {"size": 11}},
            range=[-reach, reach],
            nticks=3,
        ),
        "shapes": [target_band(screen)],
        "uirevision": "retold",
    }
    return {"data": data, "layout": layout}


def _ghosts(origins_min: FloatArray, quantiles_mg_dl: FloatArray, screen: Screen) -> Figure:
    """Medians as one broken line."""
    near = [i for i, horizon in enumerate(HORIZONS_MIN) if horizon <= GHOST_MIN]
    median = quantiles_mg_dl[::GHOST_EVERY, near, QUANTILE_LEVELS.index(0.50)]
    times = origins_min[::GHOST_EVERY, None] + np.array(HORIZONS_MIN)[near]
    x: list[str | None] = []
    y: list[float | None] = []
    for when, course in zip(times, median, strict=True):
        x += [*screen.times(when), None]
        y += [*screen.glucose(course), None]
    ghost = {"color": screen.colours.muted, "width": 1}
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "line": ghost, "opacity": 0.55, "hoverinfo": "skip"}


def _fan(origin_min: float, quantiles_mg_dl: FloatArray, screen: Screen) -> list[Figure]:
    """Edges and median of one forecast, in the order 95, 5, 75, 25, 50 %."""
    colour, times = screen.colours.accent, screen.times(origin_min + np.array(HORIZONS_MIN))
    line: Figure = {"type": "scatter", "mode": "lines", "x": times, "hoverinfo": "skip", "line": {"width": 0}}
    shades = {0.05: translucent(colour, 0.16), 0.25: translucent(colour, 0.24)}
    edges = []
    for level in (0.95, 0.05, 0.75, 0.25):
        curve = quantiles_mg_dl[:, QUANTILE_LEVELS.index(level)]
        fill = {"fill": "tonexty", "fillcolor": shades[level]} if level in shades else {}
        edges.append(line | {"y": screen.glucose(curve)} | fill)
    median = quantiles_mg_dl[:, QUANTILE_LEVELS.index(0.50)]
    dashed = {"color": colour, "width": 2.5, "dash": "dash"}
    return [*edges, line | {"y": screen.glucose(median), "name": "forecast", "hoverinfo": "all", "line": dashed}]


def _events(history: History, start_min: float, end_min: float, screen: Screen) -> list[Figure]:
    meals = [m for m in history.therapy.meals if start_min <= m.time_min < end_min and m.carbs_g > 0.0]
    boluses = [b for b in history.therapy.boluses if start_min <= b.time_min < end_min]
    return [
        _marks([m.time_min for m in meals], [f"{m.carbs_g:.0f} g" for m in meals], 46.0, screen)
        | {"name": "carbs", "marker": {"symbol": "triangle-up", "size": 9, "color": screen.colours.carbs}},
        _marks([b.time_min for b in boluses], [f"{b.dose_u:.3g} U" for b in boluses], 40.0, screen)
        | {"name": "bolus", "marker": {"symbol": "triangle-down", "size": 8, "color": screen.colours.insulin}},
    ]


def _marks(times_min: Sequence[float], words: Sequence[str], level_mg_dl: float, screen: Screen) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": screen.times(np.array(times_min)),
        "y": [screen.level(level_mg_dl)] * len(times_min),
        "text": list(words),
        "hovertemplate": "%{text}",
    }
