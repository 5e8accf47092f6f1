"""The card "Drug levels" of `/today`: level now, next dose, and a small form to note a drug."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dash import Dash, Input, Output, State, ctx, dcc, html, no_update

from dashboard.components.basics import aria, card, graph, metric, notice, select
from dashboard.figures.drug_levels import drug_figure
from dashboard.shell import display_of
from dashboard.theme.display import Display
from twin_core.domain.drug_levels import DrugLevel
from twin_core.domain.errors import BiotwinError
from twin_core.domain.history import instant_of
from twin_core.services.application import Services
from twin_core.services.live_drugs import INTERVALS_H

ONCE = "once"


def register_drugs(app: Dash, services: Services) -> None:
    """The levels follow whatever makes `/today` change; the form notes a dose at the person's present."""

    @app.callback(
        Output("drug-levels", "children"),
        Output("drug-message", "children"),
        Input("today-token", "data"),
        Input("mode", "data"),
        Input("drug-take", "n_clicks"),
        State("drug-name", "value"),
        State("drug-amount", "value"),
        State("drug-repeats", "value"),
        State("today-person", "data"),
        prevent_initial_call=True,
    )
    def follow_drugs(_: str, mode: str, __: int, name: str, amount: Any, repeats: str, person_id: str) -> Any:
        asked = ctx.triggered_id == "drug-take"
        message = _take(services, person_id, name, amount, repeats) if asked else no_update
        return _levels(services, person_id, display_of(mode, None)), message


def drug_card(services: Services, person_id: str, display: Display) -> html.Section:
    """The levels, and behind a disclosure the form; there for everybody, so that a first drug can be noted."""
    return card(
        html.H2("Drug levels"),
        html.Div(_levels(services, person_id, display), id="drug-levels", className="stack-tight"),
        html.Details([html.Summary("Note a drug taken now"), _form(services)]),
        html.Div(id="drug-message", **aria(live="polite")),
        class_name="stack-tight",
    )


def _levels(services: Services, person_id: str, display: Display) -> list[Any]:
    """One block a drug, or the sentence that there is none."""
    levels = services.live_drugs.of(services.viewer, person_id)
    if not levels:
        return [html.P("No drug besides insulin is noted.", className="muted small")]
    zone = ZoneInfo(services.records.person(services.viewer, person_id).time_zone)
    return [_block(level, zone, display) for level in levels]


def _take(services: Services, person_id: str, name: str, amount: Any, repeats: str) -> Any:
    """Note what the form says; what came of it, in a sentence."""
    try:
        amount_mg = float(amount)
    except (TypeError, ValueError):
        return notice("Enter the dose as a number of mg; nothing was noted.", "amber")
    try:
        repeats_h = None if repeats == ONCE else float(repeats)
        services.live_drugs.take(services.viewer, person_id, name, amount_mg, repeats_h)
    except BiotwinError as error:
        return notice(f"{error} Nothing was noted.", "amber")
    return notice(f"Noted: {amount_mg:g} mg of {name}.", "quiet")


def _block(level: DrugLevel, zone: ZoneInfo, display: Display) -> html.Div:
    offset = instant_of(level.now_min).astimezone(zone).utcoffset() or timedelta()
    typical, low, high = level.now
    chip = [html.Span("virtual: nobody took it", className="chip chip-amber")] if level.virtual else []
    figure = drug_figure(level, display.screen(offset.total_seconds() / 60.0))
    label = f"{level.title}: level from 12 hours ago to 12 hours ahead, with the band of 90 % of people"
    return html.Div(
        [
            html.Div([html.Strong(level.title), *chip], className="row-start"),
            html.Div(
                [
                    metric("Level now", f"{typical:.3g} {level.unit}", f"90 % of people: {low:.2g} to {high:.2g}"),
                    metric("Next dose", *_next(level, zone)),
                ],
                className="metrics",
            ),
            graph(f"drug-graph-{level.name}", figure, label, "graph-drug"),
            html.P(f"By a published model; no level was measured. The band is {level.band_label}.", className="tiny"),
        ],
        className="stack-tight",
    )


def _next(level: DrugLevel, zone: ZoneInfo) -> tuple[str, str]:
    if level.next_dose_min is None or level.repeats_h is None:
        taken = instant_of(level.last_dose_min).astimezone(zone)
        return "none", f"{level.amount_mg:g} mg taken once, {taken:%d %b %H:%M}"
    due = instant_of(level.next_dose_min).astimezone(zone)
    wait_h = (level.next_dose_min - level.now_min) / 60.0
    return f"{due:%H:%M}", f"{level.amount_mg:g} mg every {level.repeats_h:g} h; in {wait_h:.1f} h"


def _form(services: Services) -> html.Div:
    drugs = [(drug.name, drug.title) for drug in services.live_drugs.choices]
    repeats = [(ONCE, "once"), *((f"{hours:g}", f"every {hours:g} h, for long") for hours in INTERVALS_H)]
    amount = html.Div(
        [
            html.Label("Dose mg", htmlFor="drug-amount"),
            dcc.Input(id="drug-amount", type="number", min=0, step="any", className="form-control"),
        ],
        className="field",
    )
    return html.Div(
        [
            select("drug-name", "Drug", drugs, drugs[0][0]),
            amount,
            select("drug-repeats", "How often", repeats, ONCE),
            html.Button("Note it", id="drug-take", className="button", n_clicks=0),
        ],
        className="stack-tight",
    )
