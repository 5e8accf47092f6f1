"""`/replay`: what the twin said and what happened, day by day; and the day told again under another therapy."""

from datetime import date
from typing import Any

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html

from dashboard.components.basics import (
    aria,
    card,
    figures_table,
    graph,
    legend,
    notice,
    page_head,
    segmented,
    select,
    slider,
)
from dashboard.components.error_grid import error_grid
from dashboard.figures.model import error_grid_figure
from dashboard.figures.replay import replay_figure, retold_figure
from dashboard.shell import Page, display_of
from dashboard.theme.display import Display
from dashboard.theme.plots import Figure
from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS
from twin_core.domain.units import GlucoseUnit, glucose_text, in_unit
from twin_core.services.application import Services
from twin_core.services.error_grids import GRIDS
from twin_core.services.frozen_forecasts import WatchedHorizon
from twin_core.services.replay import CHANGES, Change, ReplayedDay, RetoldDay, RetoldOutcome

_GRID_HORIZON_MIN = 60.0
_FIRST_GRID = next(iter(GRIDS))
_SLIDERS = tuple(f"retell-{name}" for name in CHANGES)
_SCRUB_EVERY = 2
"""The browser gets every second horizon (10 min): enough for a curve."""
_SHOWN_LEVELS = [QUANTILE_LEVELS.index(level) for level in (0.95, 0.05, 0.75, 0.25, 0.50)]
"""In the order of the figure's traces."""


def layout(services: Services, display: Display, person_id: str) -> html.Div:
    """The page with the last whole day."""
    days = services.replay.days(services.viewer, person_id)
    person = services.records.person(services.viewer, person_id)
    if not days:
        empty = notice("There is nothing to replay yet: import readings on the start page, or start the live demo.")
        return html.Div([page_head("Replay", person.label), empty], className="stack")
    shown = days[1] if len(days) > 1 else days[0]
    replayed = services.replay.day(services.viewer, person_id, shown)
    options = [(str(day), f"{day:%A %d %B %Y}") for day in days]
    return html.Div(
        [
            dcc.Store(id="replay-person", data=person_id),
            dcc.Store(id="replay-frozen", data=_frozen(replayed, display)),
            dcc.Store(id="replay-painted"),
            page_head(
                "Replay",
                f"{person.label}: what was forecast, and what happened.",
                html.Div(select("replay-day", "Day", options, str(shown)), className="head-field"),
            ),
            _forecast_card(replayed, display),
            _retell_part(),
        ],
        className="stack",
    )


def register(app: Dash, services: Services) -> None:
    """The page's callbacks: scrubbing runs in the browser, another day or a retelling on the server."""
    app.clientside_callback(
        ClientsideFunction("replay", "scrub"),
        Output("replay-painted", "data"),
        Input("replay-origin", "value"),
        Input("replay-frozen", "data"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("replay-graph", "figure"),
        Output("replay-scores", "children"),
        Output("replay-frozen", "data"),
        Input("replay-day", "value"),
        Input("unit", "data"),
        Input("mode", "data"),
        State("replay-person", "data"),
        prevent_initial_call=True,
    )
    def show_day(day: str, unit: str, mode: str, person_id: str) -> Any:
        display = display_of(mode, unit)
        replayed = services.replay.day(services.viewer, person_id, date.fromisoformat(day))
        return _figure(replayed, display), _scores(replayed, display), _frozen(replayed, display)

    @app.callback(
        Output("replay-grid", "children"),
        Input("replay-grid-choice", "value"),
        Input("replay-day", "value"),
        Input("unit", "data"),
        Input("mode", "data"),
        State("replay-person", "data"),
        prevent_initial_call=True,
    )
    def show_grid(grid: str, day: str, unit: str, mode: str, person_id: str) -> Any:
        replayed = services.replay.day(services.viewer, person_id, date.fromisoformat(day))
        return _grid(replayed, grid, display_of(mode, unit))

    @app.callback(
        Output("retell-result", "children"),
        Input("retell-button", "n_clicks"),
        Input("replay-day", "value"),
        Input("unit", "data"),
        Input("mode", "data"),
        State("replay-person", "data"),
        *(State(slider_id, "value") for slider_id in _SLIDERS),
        prevent_initial_call=True,
    )
    def retell(clicks: int | None, day: str, unit: str, mode: str, person_id: str, *values: float) -> Any:
        if not clicks:
            return _nothing_told()
        change = Change(**dict(zip(CHANGES, map(float, values), strict=True)))
        told = services.replay.retell(services.viewer, person_id, date.fromisoformat(day), change)
        if not isinstance(told, RetoldDay):
            return notice(told.sentence, "amber")
        offset_min = services.replay.day(services.viewer, person_id, date.fromisoformat(day)).history.utc_offset_min
        return _told(told, display_of(mode, unit), offset_min)

    app.clientside_callback(
        ClientsideFunction("replay", "label"),
        Output("retell-button", "title"),
        [Input(slider_id, "value") for slider_id in _SLIDERS],
        prevent_initial_call=True,
    )


def _forecast_card(replayed: ReplayedDay, display: Display) -> html.Div:
    last = len(replayed.origins_min) - 1
    marks = [
        ("dot", "var(--ink)", "measured"),
        ("line", "var(--muted)", "frozen forecasts, one an hour, 2 h long"),
        ("dash", "var(--accent)", "the forecast made at the dotted line"),
        ("band", "var(--accent)", "its 50 and 90 % intervals"),
    ]
    first = _first_shown(replayed)
    scrubber = html.Div(
        [
            html.Div(
                [
                    html.Label("Forecast made at", htmlFor="replay-origin"),
                    html.Span(
                        _clock(replayed, _first_shown(replayed)), id="replay-origin-text", className="slider-value"
                    ),
                ],
                className="slider-head",
            ),
            dcc.Input(id="replay-origin", type="range", min=0, max=last, step=1, value=first),
        ],
        className="field",
    )
    return html.Div(
        [
            card(
                graph("replay-graph", _figure(replayed, display), "The day with its frozen forecasts", "graph-what-if"),
                legend(marks),
                scrubber,
                class_name="stack-tight plot-card",
            ),
            card(html.Div(_scores(replayed, display), id="replay-scores")),
            card(
                html.H2("Error grid of the day"),
                html.Div(segmented("replay-grid-choice", "Error grid", list(GRIDS.items()), _FIRST_GRID)),
                html.Div(_grid(replayed, _FIRST_GRID, display), id="replay-grid", className="stack-tight"),
                class_name="stack-tight plot-card",
            ),
        ],
        className="stack",
    )


def _retell_part() -> html.Div:
    fields = [
        slider(
            f"retell-{name}",
            limit.label,
            low=limit.low,
            high=limit.high,
            step=limit.step,
            value=limit.rest,
            unit=limit.unit,
        )
        for name, limit in CHANGES.items()
    ]
    plan = card(
        html.H2("Tell this day again"),
        *fields,
        html.Button("Tell the day again", id="retell-button", className="button button-primary"),
        class_name="stack",
        **aria(label="Tell this day again"),
    )
    return html.Div([plan, html.Div(_nothing_told(), id="retell-result")], className="split-left")


def _nothing_told() -> html.Div:
    return notice(
        "Change the day's therapy and tell it again. What the twin cannot explain of the day happens again just as it "
        "did; only the effect of the change is new. Nobody can know how the day would really have gone.",
        "quiet",
    )


def _told(told: RetoldDay, display: Display, offset_min: float) -> html.Div:
    screen = display.screen(offset_min)
    figure = retold_figure(
        told.time_min, told.measured_mg_dl, told.simulated_mg_dl, told.retold_mg_dl, told.flow_mg_kg_min, screen
    )
    marks = [
        ("dot", "var(--ink)", "measured"),
        ("line", "var(--what-if)", "retold"),
        ("band", "var(--what-if)", "90 % interval: what the twin does not know"),
        ("dots", "var(--muted)", "the twin alone, under the recorded therapy"),
    ]
    head = ("This day", "Measured", "Retold", "90 % interval")
    rows = [_outcome_row(outcome, display.unit) for outcome in told.outcomes]
    return html.Div(
        [
            card(
                graph("retell-graph", figure, "The day as measured and as retold", "graph-what-if"),
                legend(marks),
                class_name="stack-tight plot-card",
            ),
            card(
                figures_table("The day as it was and as retold, over the times that were measured", head, rows),
                html.P(told.twin_sentence, className="muted tiny"),
                class_name="stack-tight",
            ),
        ],
        className="stack results",
    )


def _outcome_row(outcome: RetoldOutcome, unit: GlucoseUnit) -> tuple[str, ...]:
    levels = (glucose_text(level, unit) for level in outcome.levels_mg_dl)
    label = outcome.label.format(*levels) + (f" {unit.value}" if outcome.levels_mg_dl else "")
    values = (outcome.measured, outcome.retold, outcome.low, outcome.high)
    if outcome.in_glucose:
        measured, told, low, high = (glucose_text(value, unit) for value in values)
        return label, f"{measured} {unit.value}", f"{told} {unit.value}", f"{low} to {high}"
    measured, told, low, high = (f"{value:.0f}" for value in values)
    return label, f"{measured} %", f"{told} %", f"{low} to {high} %"


def _figure(replayed: ReplayedDay, display: Display) -> Figure:
    screen = display.screen(replayed.history.utc_offset_min)
    return replay_figure(
        replayed.history,
        replayed.origins_min,
        replayed.quantiles_mg_dl,
        _first_shown(replayed),
        replayed.end_min,
        screen,
    )


def _first_shown(replayed: ReplayedDay) -> int:
    """The origin that is shown at first: the middle of the day, or the nearest with a forecast."""
    made = np.flatnonzero(np.isfinite(replayed.quantiles_mg_dl[:, 0, 0]))
    middle = len(replayed.origins_min) // 2
    return int(made[np.abs(made - middle).argmin()]) if made.size else middle


def _clock(replayed: ReplayedDay, origin: int) -> str:
    local_min = replayed.origins_min[origin] + replayed.history.utc_offset_min
    return f"{int(local_min % 1440) // 60:02d}:{int(local_min % 60):02d}"


def _frozen(replayed: ReplayedDay, display: Display) -> dict[str, Any]:
    """What the browser needs to move the forecast along the day (see assets/replay.js)."""
    screen = display.screen(replayed.history.utc_offset_min)
    kept = slice(_SCRUB_EVERY - 1, None, _SCRUB_EVERY)
    horizons = np.array(HORIZONS_MIN)[kept]
    return {
        "origins": screen.times(replayed.origins_min),
        "times": [screen.times(origin + horizons) for origin in replayed.origins_min],
        "quantiles": [
            [screen.glucose(curve) for curve in made[kept][:, _SHOWN_LEVELS].T] if np.isfinite(made[0, 0]) else None
            for made in replayed.quantiles_mg_dl
        ],
    }


def _scores(replayed: ReplayedDay, display: Display) -> html.Div:
    if not replayed.scores:
        return notice("No forecast of this day can be held against a reading.", "quiet")
    head = ("Ahead", "Forecasts", "RMSE", "No change", "MAE", "MARD", "Bias", "In the 50 % interval", "In the 90 %")
    rows = [_score_row(score, display.unit) for score in replayed.scores]
    caption = "How this day's forecasts did; one day is few, so that shares far from 50 and 90 % can be chance"
    return figures_table(caption, head, rows)


def _score_row(score: WatchedHorizon, unit: GlucoseUnit) -> tuple[str, ...]:
    digits = 0 if unit is GlucoseUnit.MG_DL else 1
    rmse, same, mae = (
        f"{in_unit(value, unit):.{digits}f} {unit.value}"
        for value in (score.rmse_mg_dl, score.persistence_rmse_mg_dl, score.mae_mg_dl)
    )
    return (
        f"{score.horizon_min:.0f} min",
        f"{score.count}",
        *(rmse, same, mae, f"{score.mard_percent:.0f} %"),
        f"{in_unit(score.bias_mg_dl, unit):+.{digits}f} {unit.value}",
        *(f"{100 * score.coverage[percent]:.0f} %" for percent in (50, 90)),
    )


def _grid(replayed: ReplayedDay, grid: str, display: Display) -> list[Any]:
    """The grid of the day, 60 min ahead; nothing where there is nothing to judge."""
    shown = next((score for score in replayed.scores if score.horizon_min == _GRID_HORIZON_MIN), None)
    if shown is None:
        return [html.P("No forecast 60 min ahead can be held against a reading.", className="muted small")]
    view = shown.grids[grid]
    return error_grid(view, error_grid_figure(view.pairs, view.borders, display.screen()), "replay-grid-graph")


PAGE = Page(path="/replay", title="Replay", layout=layout, register=register)
