"""`/today`: where glucose is, where it goes, and what is known of it right now."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import dash_bootstrap_components as dbc
from dash import Dash, Input, Output, Patch, State, ctx, dcc, html, no_update

from dashboard.components.basics import aria, card, graph, legend, page_head, segmented, swatch
from dashboard.components.coverage import coverage_sentence
from dashboard.components.job import job_controls, job_message, job_options, progress_to
from dashboard.components.now import alert_of, leans_on, now_card, on_board
from dashboard.figures.glucose import explained_colour, today_figure
from dashboard.pages.today_drugs import drug_card, register_drugs
from dashboard.shell import Page, display_of
from dashboard.theme.display import Display
from dashboard.theme.plots import Figure
from dashboard.theme.tokens import palette
from twin_core.domain.forecasts import EXPLAINED_KINDS
from twin_core.domain.history import instant_of
from twin_core.domain.people import RecordKind
from twin_core.services.application import Services
from twin_core.services.today import Today
from twin_core.services.twins import TwinSummary

PLAYED_POLL_MS = 1000
LIVE_POLL_MS = 15000


def layout(services: Services, display: Display, person_id: str) -> html.Div:
    """The whole page, drawn at once, so that the first graph needs no second request."""
    today = services.today.of(services.viewer, person_id)
    return html.Div(
        [
            dcc.Store(id="today-person", data=person_id),
            dcc.Store(id="today-token", data=today.token),
            dcc.Interval(id="today-tick", interval=_poll_ms(today)),
            page_head("Today", html.Span(_subtitle(today), id="today-subtitle"), _playback_controls(today)),
            html.Div(alert_of(today.forecast, display.unit), id="today-alert", **aria(live="polite")),
            html.Div(
                [
                    html.Div([_glucose_card(today, display), _leans_card(today, display)], className="stack"),
                    _side(services, today, display),
                ],
                className="split",
            ),
        ],
        className="stack",
    )


def register(app: Dash, services: Services) -> None:
    """The page's callbacks."""
    _register_following(app, services)
    _register_playback(app, services)
    _register_fit(app, services)
    register_drugs(app, services)


def _register_following(app: Dash, services: Services) -> None:
    @app.callback(
        Output("today-graph", "figure"),
        Output("today-now", "children"),
        Output("today-alert", "children"),
        Output("today-bands", "children"),
        Output("today-board", "children"),
        Output("today-leans", "children"),
        Output("today-subtitle", "children"),
        Output("today-token", "data"),
        Output("today-speed", "value", allow_duplicate=True),
        Output("twin-summary", "children", allow_duplicate=True),
        Input("today-tick", "n_intervals"),
        Input("unit", "data"),
        Input("mode", "data"),
        Input("today-without", "value"),
        State("today-person", "data"),
        State("today-token", "data"),
        State("today-speed", "value"),
        prevent_initial_call=True,
    )
    def follow(_: int, unit: str, mode: str, without: list[str], person_id: str, token: str, shown_speed: str) -> Any:
        ticked = ctx.triggered_id == "today-tick"
        if ticked and services.today.token(services.viewer, person_id) == token:
            return (no_update,) * 10
        today, display = services.today.of(services.viewer, person_id), display_of(mode, unit)
        figure = _figure(today, display, without)
        parts = (now_card(today, display), alert_of(today.forecast, display.unit), coverage_sentence(today.coverage))
        speed = _speed(today)
        return (
            patched(figure) if ticked else figure,
            *parts,
            on_board(today),
            leans_on(today, display.unit),
            _subtitle(today),
            today.token,
            no_update if speed == shown_speed else speed,
            _twin_words(services.twins.summary(services.viewer, person_id)),
        )


def _register_playback(app: Dash, services: Services) -> None:
    @app.callback(
        Output("today-tick", "interval"),
        Input("today-speed", "value"),
        State("today-person", "data"),
        prevent_initial_call=True,
    )
    def set_speed(speed: str, person_id: str) -> int:
        if speed == "0":
            services.live.pause(services.viewer, person_id)
            return LIVE_POLL_MS
        services.live.play(services.viewer, person_id, float(speed))
        return PLAYED_POLL_MS

    @app.callback(
        Output("goto", "pathname", allow_duplicate=True),
        Input("today-play", "n_clicks"),
        State("today-person", "data"),
        prevent_initial_call=True,
    )
    def play_live(clicks: int | None, person_id: str) -> Any:
        return f"/p/{services.live.start(services.viewer, person_id, 60)}/today" if clicks else no_update


def _register_fit(app: Dash, services: Services) -> None:
    @app.callback(
        Output("twin-result", "data"),
        Input("twin-start", "n_clicks"),
        State("today-person", "data"),
        **job_options("twin"),
    )
    def fit(set_progress: Any, clicks: int, person_id: str) -> dict[str, Any]:
        outcome = services.twins.fit(services.viewer, person_id, progress_to(set_progress))
        return {"run": clicks, "good": outcome.fitted, "sentence": outcome.sentence}

    @app.callback(
        Output("twin-summary", "children"),
        Output("twin-message", "children"),
        Input("twin-result", "data"),
        Input("twin-cancel", "n_clicks"),
        State("today-person", "data"),
        prevent_initial_call=True,
    )
    def show_twin(result: dict[str, Any] | None, _: int | None, person_id: str) -> Any:
        summary = _twin_words(services.twins.summary(services.viewer, person_id))
        return summary, job_message("twin", result, "The fit was cancelled. The twin named above is in use.")


def patched(figure: Figure) -> Patch:
    """The parts of a figure that move, to be set on the figure that is already painted."""
    patch = Patch()
    for number, trace in enumerate(figure["data"]):
        for name in ("x", "y", "text", "marker", "visible"):
            if name in trace:
                patch["data"][number][name] = trace[name]
    patch["layout"]["shapes"] = figure["layout"]["shapes"]
    patch["layout"]["xaxis"]["range"] = figure["layout"]["xaxis"]["range"]
    patch["layout"]["yaxis"] = figure["layout"]["yaxis"]
    patch["layout"]["yaxis2"] = figure["layout"]["yaxis2"]
    return patch


def _figure(today: Today, display: Display, without: Sequence[str] = ()) -> Figure:
    return today_figure(
        today.history,
        today.forecast,
        today.now_min,
        today.insulin,
        display.screen(today.history.utc_offset_min),
        contributions=None if today.explanation is None else today.explanation.contributions,
        without=without,
    )


def _poll_ms(today: Today) -> int:
    return LIVE_POLL_MS if today.speed is None else PLAYED_POLL_MS


def _subtitle(today: Today) -> str:
    local = instant_of(today.now_min) + timedelta(minutes=today.history.utc_offset_min)
    moment = f"{local:%A %d %B %Y, %H:%M} ({today.person.time_zone})"
    if today.person.record is RecordKind.RECORDED:
        return f"{today.person.label}: a finished record, seen from its last reading, {moment}"
    if today.person.record is RecordKind.PLAYED:
        return f"{today.person.label}: recorded data played back; the person's clock shows {moment}"
    return f"{today.person.label}: {moment}"


def _playback_controls(today: Today) -> html.Div:
    """Speeds for a played person; one click to play for a recorded one. Both stay in the page for the callbacks."""
    played = today.person.record is RecordKind.PLAYED
    speeds = [("0", "Pause"), ("1", "1×"), ("60", "60×"), ("600", "600×")]
    start = html.Button("▶ Play this record live", id="today-play", className="button button-primary", n_clicks=0)
    return html.Div(
        [
            html.Div(segmented("today-speed", "Speed of the playback", speeds, _speed(today)), hidden=not played),
            html.Div(start, hidden=today.person.record is not RecordKind.RECORDED or today.last_mg_dl is None),
        ]
    )


def _speed(today: Today) -> str:
    return "0" if today.speed is None else f"{today.speed:g}"


def _glucose_card(today: Today, display: Display) -> html.Section:
    colours = palette(display.mode)
    marks = [
        ("dot", "var(--ink)", "measured"),
        ("diamond", "var(--low)", "below range"),
        ("square", "var(--high)", "above range"),
        ("dash", "var(--accent)", "forecast"),
        ("band", "var(--accent)", "50 and 90 % interval"),
        ("band", colours.target, "target range"),
        ("up", "var(--carbs)", "carbohydrate"),
        ("down", "var(--insulin)", "bolus"),
        ("line", "var(--insulin)", "plasma insulin (model)"),
    ]
    return card(
        graph("today-graph", _figure(today, display), "Glucose measured and forecast, plasma insulin", "graph-today"),
        legend(marks),
        html.P(coverage_sentence(today.coverage), id="today-bands", className="muted tiny"),
        class_name="stack-tight",
    )


def _side(services: Services, today: Today, display: Display) -> html.Div:
    return html.Div(
        [
            card(
                html.H2("Now"),
                html.Div(now_card(today, display), id="today-now", className="stack-tight"),
                class_name="first-when-narrow",
            ),
            card(html.H2("At work"), html.Div(on_board(today), id="today-board")),
            drug_card(services, today.person.person_id, display),
            _twin_card(services.twins.summary(services.viewer, today.person.person_id)),
        ],
        className="stack side",
    )


def _leans_card(today: Today, display: Display) -> html.Section:
    choices = [{"value": kind, "label": _without_label(kind, display)} for kind in EXPLAINED_KINDS]
    switches = dbc.Checklist(id="today-without", options=choices, value=[], inline=True, switch=True)
    return card(
        html.H2("What the forecast leans on"),
        html.Div(leans_on(today, display.unit), id="today-leans", className="stack-tight"),
        html.Div(switches, role="group", **aria(label="Draw the forecast without")),
        class_name="stack-tight",
    )


def _without_label(kind: str, display: Display) -> html.Span:
    colour = explained_colour(kind, palette(display.mode))
    return html.Span([swatch("dots", colour), f" without {kind}"], className="small")


def _twin_card(summary: TwinSummary) -> html.Section:
    return card(
        html.H2("Twin"),
        dcc.Store(id="twin-result"),
        html.Div(_twin_words(summary), id="twin-summary", className="stack-tight"),
        *job_controls("twin", "Fit to the last 3 days", "Progress of the fit"),
        class_name="stack-tight",
    )


def _twin_words(summary: TwinSummary) -> list[Any]:
    head = html.P(summary.title, className="small")
    notes = html.Details(
        [html.Summary("What it is made of"), html.Ul([html.Li(note) for note in summary.notes], className="tiny")]
    )
    return [head, notes] if summary.notes else [head]


PAGE = Page(path="/today", title="Today", layout=layout, register=register)
