"""Figures of glucose over time: measured, forecast, what-if, and the plasma insulin below them."""

from collections.abc import Mapping, Sequence

import numpy as np

from dashboard.theme.display import Screen
from dashboard.theme.plots import Figure, axis, base_layout, translucent
from dashboard.theme.scenario_lines import SCENARIO_LINES
from dashboard.theme.tokens import Palette
from twin_core.domain.forecasts import EXPLAINED_KINDS, QUANTILE_LEVELS, Forecast
from twin_core.domain.history import FloatArray, History, Therapy
from twin_core.domain.units import GlucoseUnit

TARGET_MG_DL = (70.0, 180.0)
TODAY_TRACES = (
    *("p95", "p05", "p75", "p25", "median", "measured", "carbs", "insulin", "bolus"),
    *("without trend", "without meals", "without insulin"),
)
WHAT_IF_TRACES = ("p95", "p05", "baseline", "measured", "what_if_p95", "what_if_p05", "exact", "preview")
_LETTER_AT = {"A": 0.50, "B": 0.64, "C": 0.78, "D": 0.92}
"""Where along its curve a scenario's letter stands, so that letters of close curves do not cover each other."""
_CEILINGS_MG_DL = (250.0, 300.0, 350.0, 400.0)


def today_figure(
    history: History,
    forecast: Forecast,
    now_min: float,
    insulin: tuple[FloatArray, FloatArray],
    screen: Screen,
    *,
    contributions: Mapping[str, FloatArray] | None = None,
    without: Sequence[str] = (),
) -> Figure:
    """The last hours, the forecast fan with its 50 and 90 % intervals, and plasma insulin [pmol/L] below.

    Parameters
    ----------
    insulin
        `(time_min, plasma_insulin_pmol_l)`.
    contributions
        By kind of knowledge, how far it moves the forecast [mg/dL], shape `(n_horizons,)`; None if it is withheld.
    without
        Kinds whose line, the forecast without them, is to be seen.

    Notes
    -----
    Traces stand in the order of `TODAY_TRACES`.
    """
    start_min, end_min = now_min - 360.0, now_min + 245.0
    recent = history.cgm_time_min >= start_min
    measured = (history.cgm_time_min[recent], history.cgm_mg_dl[recent])
    times = screen.times(forecast.origin_min + forecast.horizons_min)
    bands = _bands(forecast, times, screen)
    median = _median(times, screen.glucose(forecast.median_mg_dl), screen)
    left = {kind: forecast.median_mg_dl - moved for kind, moved in (contributions or {}).items()}
    data = [
        *bands,
        median,
        measured_trace(*measured, screen),
        *_therapy(history.therapy, insulin, start_min, screen),
        *(_without(kind, times, left.get(kind), screen, is_shown=kind in without) for kind in EXPLAINED_KINDS),
    ]
    shown = [curve for kind, curve in left.items() if kind in without]
    ceiling = ceiling_of(measured[1], forecast.quantiles_mg_dl[:, -1], *shown)
    layout = base_layout(screen.colours) | {
        "xaxis": time_axis(start_min, end_min, screen, anchor="y2"),
        "yaxis": glucose_axis(ceiling, screen, domain=[0.34, 1.0]),
        "yaxis2": axis(
            screen.colours,
            domain=[0.0, 0.22],
            title={"text": "Insulin pmol/L", "font": {"size": 11}},
            range=[0.0, 1.35 * _peak(insulin)],
            nticks=3,
        ),
        "shapes": [target_band(screen), now_rule(now_min, screen)],
        "uirevision": "today",
    }
    return {"data": data, "layout": layout}


def what_if_figure(
    history: History,
    baseline: Forecast,
    now_min: float,
    planned_mg_dl: FloatArray,
    screen: Screen,
    *,
    scenarios: Mapping[str, FloatArray] | None = None,
    second_mg_dl: FloatArray | None = None,
) -> Figure:
    """The next hours as they stand, and the same with the actions of the plan.

    Parameters
    ----------
    planned_mg_dl
        Shape `(n_horizons, n_levels)`: the quantiles with the plan [mg/dL]; empty for a withheld forecast.
    scenarios
        Central curves of saved scenarios by name, each of shape `(n_horizons,)`.
    second_mg_dl
        Shape `(n_horizons,)`: the central curve of another structure with the plan.

    Notes
    -----
    Traces stand in the order of `WHAT_IF_TRACES`, then the other structure and the scenarios; the browser moves
    the preview while a slider is dragged.
    """
    start_min = now_min - 120.0
    end_min = now_min + float(np.max(baseline.horizons_min, initial=240.0)) + 5.0
    recent = history.cgm_time_min >= start_min
    times = screen.times(baseline.origin_min + baseline.horizons_min)
    data = [
        *_bands(baseline, times, screen)[:2],
        _median(times, screen.glucose(baseline.median_mg_dl), screen) | {"name": "without the plan"},
        measured_trace(history.cgm_time_min[recent], history.cgm_mg_dl[recent], screen),
        *_planned(times, planned_mg_dl, screen),
        *([] if second_mg_dl is None else [_second(times, second_mg_dl, screen)]),
        *(_scenario(name, times, median, screen) for name, median in (scenarios or {}).items()),
    ]
    medians = [*(scenarios or {}).values(), *([] if second_mg_dl is None else [second_mg_dl])]
    ceiling = ceiling_of(history.cgm_mg_dl[recent], baseline.quantiles_mg_dl[:, -1], planned_mg_dl[:, -1], *medians)
    layout = base_layout(screen.colours) | {
        "xaxis": time_axis(start_min, end_min, screen),
        "yaxis": glucose_axis(max(ceiling, 300.0), screen),
        "shapes": [target_band(screen), now_rule(now_min, screen)],
        "annotations": [_letter(name, times, median, screen) for name, median in (scenarios or {}).items()],
        "uirevision": "what-if",
    }
    return {"data": data, "layout": layout}


def explained_colour(kind: str, colours: Palette) -> str:
    """The colour of the line without a kind of knowledge."""
    return {"trend": colours.ink, "meals": colours.carbs, "insulin": colours.insulin}[kind]


def _without(kind: str, times: list[str], median_mg_dl: FloatArray | None, screen: Screen, *, is_shown: bool) -> Figure:
    """The middle of the forecast if one kind of knowledge is taken away; there, but not seen, until it is asked for."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"without {kind}",
        "visible": is_shown,
        "x": [] if median_mg_dl is None else times,
        "y": [] if median_mg_dl is None else screen.glucose(median_mg_dl),
        "line": {"color": explained_colour(kind, screen.colours), "width": 2, "dash": "dot"},
    }


def _second(times: list[str], median_mg_dl: FloatArray, screen: Screen) -> Figure:
    """Another structure's curve: thin, with a ring every half an hour."""
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "other structure",
        "x": times[5::6],
        "y": screen.glucose(median_mg_dl)[5::6],
        "line": {"color": screen.colours.what_if, "width": 1, "shape": "spline"},
        "marker": {"symbol": "circle-open", "size": 7, "color": screen.colours.what_if},
    }


def _scenario(name: str, times: list[str], median_mg_dl: FloatArray, screen: Screen) -> Figure:
    """A saved scenario's curve in its own dashes."""
    line = SCENARIO_LINES[name]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"scenario {name}",
        "x": times,
        "y": screen.glucose(median_mg_dl),
        "line": {"color": line.colour(screen.colours), "width": 2, "dash": line.plotly_dash},
    }


def _letter(name: str, times: list[str], median_mg_dl: FloatArray, screen: Screen) -> Figure:
    """A saved scenario's letter on its curve."""
    place = int(_LETTER_AT[name] * (len(times) - 1))
    return {
        "text": f"<b>{name}</b>",
        "x": times[place],
        "y": screen.glucose(median_mg_dl)[place],
        "yshift": 10,
        "showarrow": False,
        "font": {"color": SCENARIO_LINES[name].colour(screen.colours), "size": 15},
    }


def _planned(times: list[str], planned_mg_dl: FloatArray, screen: Screen) -> list[Figure]:
    """The 90 % interval and the median with the plan, and the preview, which is empty until a slider moves."""
    colour = screen.colours.what_if
    line: Figure = {"type": "scatter", "mode": "lines", "x": times, "hoverinfo": "skip", "line": {"width": 0}}
    median = planned_mg_dl[:, QUANTILE_LEVELS.index(0.50)]
    exact = {"color": colour, "width": 3, "shape": "spline"}
    preview = {"color": colour, "width": 2, "dash": "dot"}
    return [
        line | {"y": screen.glucose(planned_mg_dl[:, -1])},
        line | {"y": screen.glucose(planned_mg_dl[:, 0]), "fill": "tonexty", "fillcolor": translucent(colour, 0.16)},
        line | {"y": screen.glucose(median), "name": "with the plan", "hoverinfo": "all", "line": exact},
        line | {"y": [None] * len(times), "name": "preview", "line": preview},
    ]


def _bands(forecast: Forecast, times: list[str], screen: Screen) -> list[Figure]:
    wide, narrow = translucent(screen.colours.accent, 0.16), translucent(screen.colours.accent, 0.24)
    return [
        _edge(times, forecast, 0.95, screen, fill=None),
        _edge(times, forecast, 0.05, screen, fill=wide),
        _edge(times, forecast, 0.75, screen, fill=None),
        _edge(times, forecast, 0.25, screen, fill=narrow),
    ]


def _edge(times: list[str], forecast: Forecast, level: float, screen: Screen, fill: str | None) -> Figure:
    edge: Figure = {
        "type": "scatter",
        "mode": "lines",
        "x": times,
        "y": screen.glucose(forecast.quantile(level)),
        "line": {"width": 0},
        "hoverinfo": "skip",
    }
    return edge if fill is None else edge | {"fill": "tonexty", "fillcolor": fill}


def _median(times: list[str], values: Sequence[float | None], screen: Screen) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "forecast",
        "x": times,
        "y": list(values),
        "line": {"color": screen.colours.accent, "width": 2.5, "dash": "dash"},
    }


def measured_trace(time_min: FloatArray, glucose_mg_dl: FloatArray, screen: Screen) -> Figure:
    """Readings as dots; low ones as diamonds, high ones as squares."""
    low, high = TARGET_MG_DL
    colours = screen.colours
    below, above = glucose_mg_dl < low, glucose_mg_dl > high
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "measured",
        "x": screen.times(time_min),
        "y": screen.glucose(glucose_mg_dl),
        "marker": {
            "size": 6.5,
            "color": np.select(
                [glucose_mg_dl < 54.0, below, glucose_mg_dl > 250.0, above],
                [colours.very_low, colours.low, colours.very_high, colours.high],
                colours.ink,
            ).tolist(),
            "line": {"width": 0.5, "color": colours.ink},
            "symbol": np.select([below, above], ["diamond", "square"], "circle").tolist(),
        },
    }


def _therapy(
    therapy: Therapy, insulin: tuple[FloatArray, FloatArray], start_min: float, screen: Screen
) -> list[Figure]:
    meals = [meal for meal in therapy.meals if meal.time_min >= start_min and meal.carbs_g > 0]
    boluses = [bolus for bolus in therapy.boluses if bolus.time_min >= start_min]
    peak = _peak(insulin)
    return [
        _marks([m.time_min for m in meals], [screen.level(46.0)] * len(meals), screen)
        | {"name": "carbs", "text": [f"{m.carbs_g:.0f} g" for m in meals], "textposition": "top center"}
        | {"marker": {"symbol": "triangle-up", "size": 10, "color": screen.colours.carbs}}
        | {"textfont": {"color": screen.colours.carbs, "size": 12}},
        {
            "type": "scatter",
            "mode": "lines",
            "name": "plasma insulin",
            "x": screen.times(insulin[0]),
            "y": np.round(insulin[1], 1).tolist(),
            "yaxis": "y2",
            "fill": "tozeroy",
            "fillcolor": translucent(screen.colours.insulin, 0.16),
            "line": {"color": screen.colours.insulin, "width": 1.5},
        },
        _marks([b.time_min for b in boluses], [peak * 1.12] * len(boluses), screen)
        | {"name": "bolus", "yaxis": "y2", "text": [f"{b.dose_u:.3g} U" for b in boluses], "textposition": "top center"}
        | {"marker": {"symbol": "triangle-down", "size": 9, "color": screen.colours.insulin}, "cliponaxis": False}
        | {"textfont": {"color": screen.colours.insulin, "size": 12}},
    ]


def _peak(insulin: tuple[FloatArray, FloatArray]) -> float:
    return float(np.max(insulin[1], initial=50.0))


def _marks(times_min: Sequence[float], levels: Sequence[float], screen: Screen) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers+text",
        "x": screen.times(np.array(times_min)),
        "y": list(levels),
        "hovertemplate": "%{text}",
    }


def time_axis(start_min: float, end_min: float, screen: Screen, every_h: int = 2, **more: object) -> Figure:
    """Local time of day."""
    return axis(
        screen.colours,
        type="date",
        range=screen.times(np.array([start_min, end_min])),
        tickformat="%H:%M",
        hoverformat="%a %d %b %H:%M",
        dtick=every_h * 3600 * 1000,
        **more,
    )


def glucose_axis(ceiling_mg_dl: float, screen: Screen, **more: object) -> Figure:
    """Glucose in the unit of the screen, with the limits of the ranges as ticks."""
    levels = [54.0, 70.0, 120.0, 180.0, 250.0, 300.0, 350.0, 400.0]
    shown = [level for level in levels if level <= ceiling_mg_dl]
    digits = 0 if screen.unit is GlucoseUnit.MG_DL else 1
    return axis(
        screen.colours,
        range=[screen.level(35.0), screen.level(ceiling_mg_dl)],
        tickvals=[screen.level(level) for level in shown],
        ticktext=[f"{screen.level(level):.{digits}f}" for level in shown],
        title={"text": f"Glucose {screen.unit.value}", "font": {"size": 12}},
        **more,
    )


def ceiling_of(*curves: FloatArray) -> float:
    """The top of the glucose axis [mg/dL] that shows all curves."""
    highest = max((float(np.nanmax(curve)) for curve in curves if len(curve)), default=0.0)
    return next((level for level in _CEILINGS_MG_DL if highest <= level - 10.0), _CEILINGS_MG_DL[-1])


def target_band(screen: Screen) -> Figure:
    """The target range as a tint."""
    low, high = (screen.level(level) for level in TARGET_MG_DL)
    return {
        "type": "rect",
        "xref": "paper",
        "yref": "y",
        "x0": 0,
        "x1": 1,
        "y0": low,
        "y1": high,
        "line": {"width": 0},
        "fillcolor": translucent(screen.colours.target, 0.14),
        "layer": "below",
    }


def now_rule(now_min: float, screen: Screen) -> Figure:
    """A dotted rule at a moment."""
    moment = screen.times(np.array([now_min]))[0]
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": moment,
        "x1": moment,
        "y0": 0,
        "y1": 1,
        "line": {"color": screen.colours.muted, "width": 1.5, "dash": "dot"},
    }
