"""Figures of what a twin knows: its parameters, its fit, how it changes over time, and what a day depends on."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dashboard.figures.glucose import ceiling_of, glucose_axis, measured_trace, target_band, time_axis
from dashboard.theme.display import Screen
from dashboard.theme.plots import Figure, axis, base_layout, translucent
from twin_core.domain.history import FloatArray
from twin_core.domain.units import MINUTES_PER_DAY, GlucoseUnit

PARAMETER_TRACES = ("prior", "told", "untold", "middle")
FIT_TRACES = ("interval", "curve", "measured")
_FACTORS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
_HOUR_MS = 3600 * 1000


def parameter_figure(
    labels: Sequence[str], prior: FloatArray, posterior: FloatArray, told: NDArray[np.bool_], screen: Screen
) -> Figure:
    """Every parameter's 90 % interval before (thin, grey) and after (thick) the data, first at the top.

    Parameters
    ----------
    prior, posterior
        Shape `(n, 3)`: 5, 50 and 95 %, over the prior's median.
    told
        Shape `(n,)`: the data told of it; the others are drawn pale.
    """
    colours = screen.colours
    rows = np.arange(len(labels), dtype=np.float64)
    pale = translucent(colours.accent, 0.45)
    hover = [
        f"{label}<br>before {b[1]:.2f} ({b[0]:.2f} to {b[2]:.2f})<br>after {a[1]:.2f} ({a[0]:.2f} to {a[2]:.2f})"
        for label, b, a in zip(labels, prior, posterior, strict=True)
    ]
    data = [
        _stretches(prior, rows + 0.2) | {"name": "prior", "line": {"color": colours.muted, "width": 1.5}},
        _stretches(posterior[told], rows[told] + 0.2) | {"name": "told", "line": {"color": colours.accent, "width": 6}},
        _stretches(posterior[~told], rows[~told] + 0.2) | {"name": "untold", "line": {"color": pale, "width": 6}},
        {
            "type": "scatter",
            "mode": "markers",
            "name": "middle",
            "x": posterior[:, 1].tolist(),
            "y": (rows + 0.2).tolist(),
            "marker": {"size": 8, "color": colours.card, "line": {"width": 2, "color": colours.accent}},
            "text": hover,
            "hovertemplate": "%{text}<extra></extra>",
        },
    ]
    low, high = min(0.25, 0.95 * _least(prior, posterior)), max(4.0, 1.05 * _most(prior, posterior))
    shown = [factor for factor in _FACTORS if low <= factor <= high]
    layout = base_layout(colours) | {
        "margin": {"l": 12, "r": 12, "t": 8, "b": 44},
        "hovermode": "closest",
        "xaxis": axis(
            colours,
            type="log",
            range=np.log10((low, high)).tolist(),
            tickvals=shown,
            ticktext=[f"{factor:g} ×" for factor in shown],
            title={"text": "times the population's middle", "font": {"size": 12}},
        ),
        "yaxis": axis(colours, range=[len(labels) - 0.4, -0.75], showticklabels=False, showgrid=False, showline=False),
        "annotations": [_row_label(label, row, screen) for label, row in zip(labels, rows, strict=True)],
        "shapes": [_rule(screen, x=1.0)],
    }
    return {"data": data, "layout": layout}


def fit_figure(
    time_min: FloatArray,
    measured_mg_dl: FloatArray,
    median_mg_dl: FloatArray,
    low_mg_dl: FloatArray,
    high_mg_dl: FloatArray,
    screen: Screen,
) -> Figure:
    """The fitted curve with the 90 % interval of a reading, and the readings; a NaN ends a stretch.

    Traces stand in the order of `FIT_TRACES`.
    """
    seen = np.isfinite(measured_mg_dl)
    readings = measured_trace(time_min[seen], measured_mg_dl[seen], screen)
    readings["marker"] |= {"size": 4}
    data = [
        _ribbon(screen.times(time_min), screen.glucose(low_mg_dl), screen.glucose(high_mg_dl), screen.colours.accent),
        _line(screen.times(time_min), screen.glucose(median_mg_dl), screen.colours.accent, "twin"),
        readings,
    ]
    layout = base_layout(screen.colours) | {
        "xaxis": time_axis(float(time_min[0]), float(time_min[-1]), screen) | _dated(time_min),
        "yaxis": glucose_axis(ceiling_of(measured_mg_dl, median_mg_dl), screen),
        "shapes": [target_band(screen)],
    }
    return {"data": data, "layout": layout}


def course_figure(
    fitted_windows: FloatArray,
    fitted_carbs: FloatArray,
    time_min: FloatArray,
    sensitivity: FloatArray,
    flow_mg_kg_min: FloatArray,
    sensor_error_mg_dl: FloatArray,
    followed_carbs: FloatArray,
    resets_min: Sequence[float],
    span_min: tuple[float, float],
    screen: Screen,
) -> Figure:
    """Sensitivity, carbohydrate, unexplained glucose and the sensor's error over time, one above the other.

    Parameters
    ----------
    fitted_windows
        Shape `(n, 5)`: begin, end [min], 5, 50 and 95 % of the factor in each window of the fit.
    fitted_carbs, followed_carbs
        Shape `(n, 4)`: time [min], 5, 50 and 95 % of the factor of each meal, by the fit and by the filter.
    time_min, sensitivity, flow_mg_kg_min, sensor_error_mg_dl
        Shape `(n,)`, then each `(3, n)`: 5, 50 and 95 % as the filter followed them.
    resets_min
        When the filter began again.
    """
    colours, times = screen.colours, screen.times(time_min)
    flow = flow_mg_kg_min.round(3).tolist()
    errors = [screen.glucose(row) for row in sensor_error_mg_dl]
    data = [
        *(_window(row, screen) for row in fitted_windows),
        _ribbon(times, sensitivity[0].tolist(), sensitivity[2].tolist(), colours.accent),
        _line(times, sensitivity[1].round(3).tolist(), colours.accent, "insulin's action"),
        _bars(fitted_carbs, colours.muted, screen) | {"name": "fit", "yaxis": "y2"},
        _bars(followed_carbs, colours.carbs, screen) | {"name": "followed", "yaxis": "y2"},
        _ribbon(times, flow[0], flow[2], colours.what_if) | {"yaxis": "y3"},
        _line(times, flow[1], colours.what_if, "unexplained glucose") | {"yaxis": "y3"},
        _ribbon(times, errors[0], errors[2], colours.insulin) | {"yaxis": "y4"},
        _line(times, errors[1], colours.insulin, "sensor less model") | {"yaxis": "y4"},
    ]
    factors = {"type": "log", "tickvals": list(_FACTORS), "ticktext": [f"{factor:g} ×" for factor in _FACTORS]}
    tops = (1.0, 0.72, 0.45, 0.18)
    axes = (
        axis(colours, range=_log_range(fitted_windows[:, 2:], sensitivity), **factors),
        axis(colours, range=_log_range(fitted_carbs[:, 1:], followed_carbs[:, 1:]), **factors),
        axis(colours, range=_even_range(flow_mg_kg_min, 1.0), nticks=4),
        axis(colours, range=[screen.level(level) for level in _even_range(sensor_error_mg_dl, 30.0)], nticks=4),
    )
    titles = (
        "Insulin's action, times the twin's own",
        "Carbohydrate, times what was counted",
        "Glucose not explained, mg/kg/min",
        f"Sensor less model, {screen.unit.value}",
    )
    names = ("yaxis", "yaxis2", "yaxis3", "yaxis4")
    layout = base_layout(colours) | {
        "margin": {"l": 48, "r": 12, "t": 24, "b": 36},
        "xaxis": time_axis(*span_min, screen) | _dated(np.array(span_min)) | {"anchor": "y4"},
        **{name: each | {"domain": [top - 0.18, top]} for name, each, top in zip(names, axes, tops, strict=True)},
        "annotations": [_heading(title, top, screen) for title, top in zip(titles, tops, strict=True)],
        "shapes": [
            _rule(screen, y=1.0),
            _rule(screen, y=1.0, yref="y2"),
            _rule(screen, y=0.0, yref="y3"),
            _rule(screen, y=0.0, yref="y4"),
            *(_rule(screen, x=moment) for moment in screen.times(np.array(resets_min))),
        ],
    }
    return {"data": data, "layout": layout}


def shares_figure(
    names: Sequence[str],
    first: FloatArray,
    first_half_width: FloatArray,
    total: FloatArray,
    total_half_width: FloatArray,
    screen: Screen,
) -> Figure:
    """First and total Sobol index of each parameter with 95 % intervals, the largest total at the top; all `(n,)`."""
    colours = screen.colours
    order = np.argsort(total, kind="stable")
    labels = [names[i] for i in order]

    def bars(name: str, values: FloatArray, half_width: FloatArray, colour: str) -> Figure:
        whisker = {"type": "data", "array": half_width[order].tolist(), "color": colours.ink, "thickness": 1}
        return {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "x": np.round(np.maximum(values[order], 0.0), 4).tolist(),
            "y": labels,
            "error_x": whisker | {"width": 3},
            "marker": {"color": colour},
            "hovertemplate": f"%{{y}}: %{{x:.2f}}<extra>{name}</extra>",
        }

    layout = base_layout(colours) | {
        "barmode": "group",
        "bargap": 0.25,
        "hovermode": "closest",
        "margin": {"l": 56, "r": 12, "t": 8, "b": 44},
        "xaxis": axis(
            colours,
            range=[0.0, max(0.2, 1.05 * float(np.max(total + total_half_width, initial=0.0)))],
            tickformat=".0%",
            title={"text": "share of the variance", "font": {"size": 12}},
        ),
        "yaxis": axis(colours, type="category", showgrid=False),
    }
    alone = bars("alone", first, first_half_width, colours.accent)
    together = bars("with all it interacts with", total, total_half_width, translucent(colours.accent, 0.45))
    return {"data": [together, alone], "layout": layout}


def heat_map_figure(
    names: Sequence[str],
    time_min: FloatArray,
    total_over_time: FloatArray,
    spread_over_time_mg_dl: FloatArray,
    screen: Screen,
) -> Figure:
    """How much there is to share out (SD of glucose) over the day, and below each parameter's total index.

    Parameters
    ----------
    total_over_time
        Shape `(n_names, n_times)`, NaN where glucose does not vary.
    """
    colours = screen.colours
    hours = (time_min / 60.0).round(3).tolist()
    digits = 2 if screen.unit is GlucoseUnit.MMOL_L else 0
    order = np.argsort(-np.nan_to_num(total_over_time).sum(axis=1), kind="stable")
    shares = np.round(np.clip(total_over_time[order], 0.0, 1.0), 3)
    data = [
        _line(hours, [round(screen.level(v), digits) for v in spread_over_time_mg_dl], colours.accent, "SD of glucose")
        | {"yaxis": "y2", "fill": "tozeroy", "fillcolor": translucent(colours.accent, 0.16)},
        {
            "type": "heatmap",
            "x": hours,
            "y": [names[i] for i in order],
            "z": [[None if np.isnan(v) else float(v) for v in row] for row in shares],
            "zmin": 0.0,
            "zmax": 1.0,
            "colorscale": [[0.0, colours.card], [0.15, colours.accent_soft], [1.0, colours.accent]],
            "colorbar": {
                "orientation": "h",
                "thickness": 8,
                "y": -0.16,
                "yanchor": "top",
                "tickformat": ".0%",
                "outlinewidth": 1,
                "outlinecolor": colours.line,
            },
            "hovertemplate": "%{y} at %{x:.1f} h: %{z:.2f}<extra></extra>",
        },
    ]
    ticks = list(range(0, 25, 4))
    layout = base_layout(colours) | {
        "margin": {"l": 56, "r": 12, "t": 24, "b": 84},
        "hovermode": "closest",
        "xaxis": axis(
            colours, range=[0.0, 24.0], tickvals=ticks, ticktext=[f"{hour:02d}" for hour in ticks], showgrid=False
        )
        | {"anchor": "y"},
        "yaxis": axis(colours, type="category", autorange="reversed", domain=[0.0, 0.72], showgrid=False),
        "yaxis2": axis(colours, domain=[0.8, 1.0], rangemode="tozero", nticks=3),
        "annotations": [_heading(f"SD of glucose, {screen.unit.value}", 1.0, screen)],
    }
    return {"data": data, "layout": layout}


def _stretches(intervals: FloatArray, rows: FloatArray) -> Figure:
    """One line from low to high in each row."""
    x = [value for low, _, high in intervals.tolist() for value in (low, high, None)]
    y = [value for row in rows.tolist() for value in (row, row, None)]
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "hoverinfo": "skip"}


def _row_label(label: str, row: float, screen: Screen) -> Figure:
    return {
        "xref": "paper",
        "x": 0,
        "y": row - 0.22,
        "text": label,
        "showarrow": False,
        "xanchor": "left",
        "align": "left",
        "xshift": -6,
        "font": {"size": 11.5, "color": screen.colours.ink},
    }


def _ribbon(times: Sequence[str], low: Sequence[float | None], high: Sequence[float | None], colour: str) -> Figure:
    """The area between two curves, stretch by stretch: a fill to the next trace would bridge the gaps."""
    x: list[str | None] = []
    y: list[float | None] = []
    for piece in _pieces(low):
        x += [*times[piece], *reversed(times[piece]), None]
        y += [*low[piece], *reversed(high[piece]), None]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "fill": "toself",
        "fillcolor": translucent(colour, 0.18),
        "line": {"width": 0},
        "hoverinfo": "skip",
    }


def _pieces(values: Sequence[float | None]) -> list[slice]:
    """Runs of values without a gap."""
    present = np.array([value is not None for value in values], dtype=np.int8)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], present, [0]))))
    return [slice(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]


def _line(x: Sequence[object], y: Sequence[object], colour: str, name: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(x),
        "y": list(y),
        "line": {"color": colour, "width": 2},
    }


def _window(row: FloatArray, screen: Screen) -> Figure:
    """One window of the fit as a box from low to high with its middle in the hover text."""
    begin, end = screen.times(row[:2])
    low, middle, high = row[2:].round(3).tolist()
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [begin, end, end, begin, begin],
        "y": [low, low, high, high, low],
        "fill": "toself",
        "fillcolor": translucent(screen.colours.muted, 0.14),
        "line": {"color": translucent(screen.colours.muted, 0.6), "width": 1},
        "hoveron": "fills",
        "hoverinfo": "text",
        "text": f"fit: {middle:.2f} ({low:.2f} to {high:.2f})",
    }


def _bars(carbs: FloatArray, colour: str, screen: Screen) -> Figure:
    time_min, low, middle, high = carbs.T
    return {
        "type": "scatter",
        "mode": "markers",
        "x": screen.times(time_min),
        "y": middle.round(3).tolist(),
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": (high - middle).round(3).tolist(),
            "arrayminus": (middle - low).round(3).tolist(),
            "color": colour,
            "thickness": 1.5,
            "width": 0,
        },
        "marker": {"symbol": "triangle-up", "size": 9, "color": colour},
    }


def _dated(time_min: FloatArray) -> Figure:
    """Ticks of an axis that is days long, few enough for a narrow screen: hours up to 36 h, else dates."""
    days = float(time_min[-1] - time_min[0]) / MINUTES_PER_DAY
    if days <= 1.5:
        return {"dtick": 6 * _HOUR_MS, "tickformat": "%H:%M", "tickangle": 0}
    return {"dtick": 24 * _HOUR_MS * int(np.ceil(days / 5.0)), "tickformat": "%d %b", "tickangle": 0}


def _log_range(*factors: ArrayLike) -> list[float]:
    """A range around every factor, at least from a half to twice."""
    values = np.concatenate([np.ravel(each) for each in factors])
    low, high = float(np.min(values, initial=0.5)), float(np.max(values, initial=2.0))
    return [float(np.log10(0.93 * low)), float(np.log10(1.07 * high))]


def _even_range(values: FloatArray, least: float) -> list[float]:
    """A range around zero, as far on either side."""
    widest = 1.05 * max(least, float(np.max(np.abs(values), initial=0.0)))
    return [-widest, widest]


def _heading(text: str, top: float, screen: Screen) -> Figure:
    return {
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": top,
        "yanchor": "bottom",
        "xanchor": "left",
        "text": text,
        "showarrow": False,
        "font": {"size": 12, "color": screen.colours.ink},
    }


def _rule(screen: Screen, *, x: object = None, y: object = None, yref: str = "y") -> Figure:
    """A dotted line across the figure at one place of one axis."""
    line: Figure = {
        "type": "line",
        "line": {"color": screen.colours.muted, "width": 1, "dash": "dot"},
        "layer": "below",
    }
    if x is not None:
        return line | {"x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper"}
    return line | {"y0": y, "y1": y, "x0": 0, "x1": 1, "xref": "paper", "yref": yref}


def _least(*arrays: FloatArray) -> float:
    return float(min(np.min(each) for each in arrays))


def _most(*arrays: FloatArray) -> float:
    return float(max(np.max(each) for each in arrays))
