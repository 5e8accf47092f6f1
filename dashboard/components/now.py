"""The now card and the alert strip: both are drawn from the same forecast object as the curve."""

from typing import Any

from dash import html

from dashboard.components.basics import aria, figures_table, metric, notice
from dashboard.theme.display import Display
from twin_core.domain.forecasts import EXPLAINED_KINDS, Forecast, ForecastStatus
from twin_core.domain.units import GlucoseUnit, glucose_text, in_unit
from twin_core.services.today import EXPLAINED_MIN, Today

LOW_MG_DL = 70.0
VERY_LOW_MG_DL = 54.0
HIGH_MG_DL = 180.0
POSSIBLE = 0.30
"""A low later than the 30 min of the alarm is announced from this probability on; the strip says the probability."""
_AMBER_MIN, _RED_MIN = 15.0, 30.0


def now_card(today: Today, display: Display) -> list[Any]:
    """Value, trend, age of the reading, and one plain sentence about the next hour."""
    if today.last_mg_dl is None:
        return [html.P("There is no reading yet.", className="sentence"), html.P("Import a file, or start a demo.")]
    unit = display.unit
    return [
        html.Div(
            [
                html.Span(glucose_text(today.last_mg_dl, unit), className="hero"),
                _trend(today.trend_mg_dl_min),
                html.Span(unit.value, className="hero-unit"),
            ],
            className="now-number",
        ),
        html.Div([_range_chip(today.last_mg_dl), _age_chip(today.age_min)], className="row-start"),
        html.P(sentence_of(today.forecast, unit), className="sentence"),
    ]


def leans_on(today: Today, unit: GlucoseUnit) -> list[Any]:
    """How far trend, meals and insulin move the forecast; one sentence where it is withheld."""
    told = today.explanation
    if told is None:
        return [html.P("There is no forecast to explain.", className="small")]
    digits = 0 if unit is GlucoseUnit.MG_DL else 1
    rows = [
        (kind.capitalize(), *(f"{in_unit(moved, unit):+.{digits}f}" for moved in told.at_explained(kind)))
        for kind in EXPLAINED_KINDS
    ]
    head = ("Moved by", *(f"{minutes:.0f}\u00a0min" for minutes in EXPLAINED_MIN))
    return [
        figures_table(f"The forecast minus the forecast without it ({unit.value})", head, rows),
        html.P(
            "This explains the model, not the body: in its data a bolus announces a meal, so insulin may seem to raise "
            "glucose. Parts overlap and have no interval. What a dose would do, What-if tells.",
            className="muted tiny",
        ),
    ]


def alert_of(forecast: Forecast, unit: GlucoseUnit) -> html.Div:
    """The strip above the graph: what is so now, then what may come, each with its reason."""
    last = forecast.persistence_mg_dl
    if last is not None and last < LOW_MG_DL:
        words = "very low" if last < VERY_LOW_MG_DL else "low"
        return notice([html.Strong(f"Glucose is {words} now: "), _low_reason(forecast, unit)], "red")
    if forecast.status is not ForecastStatus.OK:
        return notice(f"No forecast: {forecast.reason}", "amber")
    within = _low_within(forecast)
    if within is not None:
        return notice([html.Strong(f"Low glucose possible within {within} min: "), _low_reason(forecast, unit)], "red")
    median, high = forecast.quantile(0.50)[:24], glucose_text(HIGH_MG_DL, unit)
    if last is not None and last > HIGH_MG_DL:
        return notice([html.Strong("Glucose is high now: "), _hour_ahead(forecast, unit)], "amber")
    if float(median.max()) > HIGH_MG_DL:
        why = f"the middle of the forecast passes {high} {unit.value} within 2 h."
        return notice([html.Strong("High glucose expected: "), why], "amber")
    return notice(f"The middle of the forecast stays in range for 2 h; {_low_reason(forecast, unit)}", "quiet")


def _low_within(forecast: Forecast) -> int | None:
    """Within how long a low is announced: the alarm first, then the shortest span in which it is likely enough."""
    if forecast.low_alarm:
        return min(forecast.below_70_within_min)
    return next((m for m, p in sorted(forecast.below_70_within_min.items()) if p >= POSSIBLE), None)


def _low_reason(forecast: Forecast, unit: GlucoseUnit) -> str:
    """The chances of a low, each with its span of time."""
    if forecast.status is not ForecastStatus.OK:
        return f"there is no forecast. {forecast.reason}"
    chances = (f"{_chance(p)} within {m} min" for m, p in sorted(forecast.below_70_within_min.items()))
    return f"the chance of a value below {glucose_text(LOW_MG_DL, unit)} {unit.value} is {', '.join(chances)}."


def _chance(probability: float) -> str:
    """Never 0 %: no forecast is that sure."""
    return "under 1 %" if probability < 0.01 else f"{100 * probability:.0f} %"


def _hour_ahead(forecast: Forecast, unit: GlucoseUnit) -> str:
    middle = float(forecast.quantile(0.50)[int((forecast.horizons_min == 60.0).argmax())])
    return f"the middle of the forecast is {glucose_text(middle, unit)} {unit.value} in 1 h."


def sentence_of(forecast: Forecast, unit: GlucoseUnit) -> str:
    """One plain sentence about the next hour, with its 90 % interval."""
    if forecast.status is not ForecastStatus.OK:
        return f"No forecast is shown: {forecast.reason}"
    at = int((forecast.horizons_min == 60.0).argmax())
    middle, low, high = (glucose_text(float(forecast.quantile(q)[at]), unit) for q in (0.50, 0.05, 0.95))
    return f"In 1 hour about {middle} {unit.value}; 9 times in 10 between {low} and {high}."


def trend_of(rate_mg_dl_min: float) -> tuple[float, str]:
    """The tilt of an arrow [degrees, down is positive] and its words; the steps are those of common CGM displays."""
    steps = (
        (-3.0, 90.0, "falling very fast"),
        (-2.0, 65.0, "falling fast"),
        (-1.0, 35.0, "falling"),
        (1.0, 0.0, "steady"),
        (2.0, -35.0, "rising"),
        (3.0, -65.0, "rising fast"),
    )
    return next(((tilt, words) for limit, tilt, words in steps if rate_mg_dl_min < limit), (-90.0, "rising very fast"))


def on_board(today: Today) -> html.Div:
    """Insulin and carbohydrate still at work; both are book-keeping, not measured."""
    return html.Div(
        [
            metric("Insulin on board", f"{today.iob_u:.1f} U", "from logged boluses; has no interval"),
            metric("Carbs on board", f"{today.cob_g:.0f} g", "from logged meals; has no interval"),
        ],
        className="metrics",
    )


def _trend(rate_mg_dl_min: float | None) -> html.Span:
    if rate_mg_dl_min is None:
        return html.Span("trend unknown", className="muted tiny")
    tilt, words = trend_of(rate_mg_dl_min)
    return html.Span(
        className="trend", title=words, role="img", style={"transform": f"rotate({tilt:g}deg)"}, **aria(label=words)
    )


def _range_chip(glucose_mg_dl: float) -> html.Span:
    steps = (
        (54, "very low", "very-low"),
        (70, "low", "low"),
        (180.0001, "in range", "target"),
        (250.0001, "high", "high"),
    )
    words, token = next(((w, t) for limit, w, t in steps if glucose_mg_dl < limit), ("very high", "very-high"))
    dot = html.Span(className="dot", style={"background": f"var(--{token})"})
    return html.Span([dot, words], className="chip")


def _age_chip(age_min: float) -> html.Span:
    tone = " chip-red" if age_min > _RED_MIN else " chip-amber" if age_min > _AMBER_MIN else ""
    return html.Span(f"measured {age_words(age_min)}", className=f"chip{tone}")


def age_words(age_min: float) -> str:
    """How long ago, in words."""
    if age_min < 1.0:
        return "just now"
    if age_min < 120.0:
        return f"{age_min:.0f} min ago"
    return f"{age_min / 60.0:.0f} h ago" if age_min < 2880.0 else f"{age_min / 1440.0:.0f} days ago"
