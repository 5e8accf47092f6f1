"""`/model`: how far the forecaster can be trusted, for this person and on records that it has not seen."""

import re
from collections.abc import Sequence
from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from dashboard.components.basics import aria, card, figures_table, graph, legend, notice, page_head, segmented
from dashboard.components.error_grid import error_grid
from dashboard.components.job import job_controls, job_message, job_options, progress_to
from dashboard.figures.model import daily_figure, error_figure, error_grid_figure, pit_figure
from dashboard.shell import Page, display_of
from dashboard.theme.display import Display
from twin_core.domain.errors import BiotwinError
from twin_core.domain.forecasts import QUANTILE_LEVELS
from twin_core.domain.people import Person
from twin_core.domain.units import GlucoseUnit, glucose_text, in_unit
from twin_core.services.application import Services
from twin_core.services.error_grids import GRIDS
from twin_core.services.forecast_watch import DriftAction, ForecastWatch
from twin_core.services.frozen_forecasts import WatchedHorizon
from twin_core.services.model_card import PERSISTENCE, AlarmRow, ModelCard
from twin_core.services.personal_forecaster import ForecasterRecord

_TONES = {
    DriftAction.NONE: "quiet",
    DriftAction.UNKNOWN: "",
    DriftAction.RECALIBRATE: "amber",
    DriftAction.REFIT: "amber",
    DriftAction.RETRAIN: "red",
}
_SHOWN_HORIZON_MIN = 60.0
_FIRST_GRID = next(iter(GRIDS))
_UNNAMED_GROUPS = (
    "Sex and age group: neither this record nor the training data name them, so that a difference between such groups "
    "cannot be seen here."
)
_LIMITS = (
    "It extrapolates habits: a meal or a dose that nobody announced is not in it.",
    "It is never asked what a dose would do. What-if is answered by the mechanistic twin alone.",
    "It was trained on adults with type 1 diabetes; for others nothing is known of it.",
    "It is withheld, with the reason, when readings are stale, missing or outside 40 to 400 mg/dL.",
)


def layout(services: Services, display: Display, person_id: str) -> html.Div:
    """The page of the forecaster in use."""
    watch = services.forecast_watch.of(services.viewer, person_id)
    person = services.records.person(services.viewer, person_id)
    main = html.Div(
        [
            html.Div(_watch_part(watch, person, display, _FIRST_GRID), id="model-watch", className="stack"),
            html.Div(_card_part(services.model_card, display), id="model-card", className="stack"),
        ],
        className="stack",
    )
    side = html.Div(
        [
            card(html.H2("In use"), *_facts(services.model_card), class_name="stack-tight first-when-narrow"),
            _learn_card(services, person_id),
            card(html.H2("What it is not for"), html.Ul([html.Li(each) for each in _LIMITS], className="small")),
        ],
        className="stack side",
    )
    return html.Div(
        [
            dcc.Store(id="model-person", data=person_id),
            page_head("Model", "How far the forecaster can be trusted: for this person, and on unseen records."),
            html.Div(_drift(watch), id="model-drift", **aria(live="polite")),
            html.Div([main, side], className="split"),
        ],
        className="stack",
    )


def register(app: Dash, services: Services) -> None:
    """The page's callbacks."""

    @app.callback(
        Output("model-watch", "children"),
        Output("model-card", "children"),
        Input("unit", "data"),
        Input("mode", "data"),
        State("model-person", "data"),
        State("model-grid-choice", "value"),
        prevent_initial_call=True,
    )
    def redraw(unit: str, mode: str, person_id: str, grid: str | None) -> Any:
        display = display_of(mode, unit)
        watch = services.forecast_watch.of(services.viewer, person_id)
        person = services.records.person(services.viewer, person_id)
        return _watch_part(watch, person, display, grid or _FIRST_GRID), _card_part(services.model_card, display)

    @app.callback(
        Output("model-grid", "children"),
        Input("model-grid-choice", "value"),
        State("unit", "data"),
        State("mode", "data"),
        State("model-person", "data"),
        prevent_initial_call=True,
    )
    def show_grid(grid: str, unit: str, mode: str, person_id: str) -> Any:
        watch = services.forecast_watch.of(services.viewer, person_id)
        return _grid(watch, grid, display_of(mode, unit))

    _register_learning(app, services)


def _register_learning(app: Dash, services: Services) -> None:
    @app.callback(
        Output("learn-result", "data"),
        Input("learn-start", "n_clicks"),
        State("model-person", "data"),
        **job_options("learn"),
    )
    def learn(set_progress: Any, clicks: int, person_id: str) -> dict[str, Any]:
        outcome = services.forecasters.learn(services.viewer, person_id, progress_to(set_progress))
        return {"run": clicks, "good": outcome.adopted, "sentence": outcome.sentence}

    @app.callback(
        Output("learn-message", "children"),
        Output("learn-versions", "children"),
        Input("learn-result", "data"),
        Input("learn-cancel", "n_clicks"),
        Input({"type": "learn-use", "version": ALL}, "n_clicks"),
        State("model-person", "data"),
        prevent_initial_call=True,
    )
    def tell(result: dict[str, Any] | None, _: int | None, clicks: list[int | None], person_id: str) -> Any:
        asked = ctx.triggered_id
        if not isinstance(asked, dict):
            message = job_message("learn", result, "Learning was cancelled; the forecaster stays as it was.")
        elif any(clicks):
            message = _gone_back(services, person_id, int(asked["version"]))
        else:
            return no_update, no_update
        return message, _versions(services, person_id)


def _gone_back(services: Services, person_id: str, version: int) -> html.Div:
    try:
        record = services.forecasters.use(services.viewer, person_id, version)
    except BiotwinError as error:
        return notice(f"Version {version} cannot be used again: {error}", "amber")
    return notice(f"Version {version} is in use again, as version {record.version}.", "quiet")


def _learn_card(services: Services, person_id: str) -> html.Section:
    return card(
        html.H2("For this person"),
        dcc.Store(id="learn-result"),
        html.P(
            "What is learned from this person's days is adopted only if it beats the shipped forecaster on their last "
            "week, which the learning has not seen.",
            className="small",
        ),
        *job_controls("learn", "Learn from the last weeks", "Progress of learning"),
        html.Div(_versions(services, person_id), id="learn-versions"),
        class_name="stack-tight",
    )


def _versions(services: Services, person_id: str) -> html.Ul:
    records = services.forecasters.versions(services.viewer, person_id)
    return html.Ul([html.Li(_version(record), className="stack-tight") for record in records], className="plain-list")


def _version(record: ForecasterRecord) -> list[Any]:
    when = "" if record.created is None else f", {record.created:%d %B %Y %H:%M} UTC"
    name = html.Strong(f"Version {record.version}")
    parts: list[Any] = [html.P([name, f": {record.what}{when}"], className="small")]
    if record.trial:
        parts.append(html.P(record.trial, className="muted tiny"))
    if record.in_use:
        return [*parts, html.Div(html.Span("in use", className="chip"))]
    if not record.usable:
        return [*parts, html.Div(html.Span("made for other weights", className="chip chip-amber"))]
    identity = {"type": "learn-use", "version": record.version}
    label = aria(label=f"Use version {record.version} again")
    return [*parts, html.Div(html.Button("Use again", id=identity, className="button", **label))]


def _drift(watch: ForecastWatch) -> Any:
    reasons = html.Ul([html.Li(reason) for reason in watch.drift.reasons]) if watch.drift.reasons else None
    return notice([html.Span(watch.drift.sentence), reasons], _TONES[watch.drift.action])


def _watch_part(watch: ForecastWatch, person: Person, display: Display, grid: str) -> list[Any]:
    head = html.H2(f"{person.label}: the last 14 days")
    if not watch.horizons:
        nothing = notice("No forecast of the last 14 days can be held against a reading yet. Import or connect data.")
        return [card(head, nothing, class_name="stack-tight")]
    return [
        card(
            head,
            _scores_of(watch.horizons, display),
            _coverage_of(watch.horizons, display),
            class_name="stack",
        ),
        card(
            html.H2("Day by day, 60 min ahead"),
            graph("model-days", _days(watch, display), "Skill, coverage and bias of each day", "graph-days"),
            legend([("dots", "var(--ink)", "where it should be: above 0, at 90 %, at 0")]),
            html.P(
                "Skill is the share of the error of no change that is gone. A day counts with six hours of forecasts.",
                className="muted tiny",
            ),
            class_name="stack-tight plot-card",
        ),
        card(html.H2("Where readings fell in the forecast"), *_pit(watch, display), class_name="stack-tight plot-card"),
        card(
            html.H2("Error grid"),
            html.Div(segmented("model-grid-choice", "Error grid", list(GRIDS.items()), grid)),
            html.Div(_grid(watch, grid, display), id="model-grid", className="stack-tight"),
            class_name="stack-tight plot-card",
        ),
        card(html.H2("By group"), *_groups(watch, person, display), class_name="stack-tight"),
    ]


def _card_part(model: ModelCard, display: Display) -> list[Any]:
    return [
        card(
            html.H2("On records it has not seen"),
            html.P(model.protocol, className="small"),
            graph("model-errors", _errors(model, display), "RMSE by horizon for each model", "graph-errors"),
            _side_by_side(model, display),
            _card_coverage(model, display),
            class_name="stack plot-card",
        ),
        card(html.H2("Alarms"), *_alarms(model, display), class_name="stack-tight"),
        card(html.H2("Person by person"), *_persons(model, display), class_name="stack-tight"),
        card(html.H2("What it leans on"), *_reliance(model, display), class_name="stack-tight"),
        card(html.H2("Group by group"), *_report_groups(model, display), class_name="stack-tight"),
    ]


def _scores_of(horizons: Sequence[WatchedHorizon], display: Display) -> html.Div:
    head = ("Ahead", "Forecasts", "RMSE", "No change", "Skill", "MAE", "MARD", "Bias", "CRPS", "Runs behind by")
    rows = [
        (
            f"{each.horizon_min:.0f}\u00a0min",
            f"{each.count:,}",
            _glucose(each.rmse_mg_dl, display),
            _glucose(each.persistence_rmse_mg_dl, display),
            f"{100 * (1 - each.rmse_mg_dl / each.persistence_rmse_mg_dl):.0f}\u00a0%",
            _glucose(each.mae_mg_dl, display),
            f"{each.mard_percent:.1f}\u00a0%",
            _glucose(each.bias_mg_dl, display, signed=True),
            _glucose(each.crps_mg_dl, display),
            "unknown" if each.lag_min != each.lag_min else f"{each.lag_min:.0f} min",
        )
        for each in horizons
    ]
    caption = f"Median forecasts, one every 15 min, against the readings that followed ({display.unit.value})"
    return figures_table(caption, head, rows)


def _coverage_of(horizons: Sequence[WatchedHorizon], display: Display) -> html.Div:
    head = ("Ahead", "50 % held", "80 % held", "90 % held", "50 % width", "80 % width", "90 % width")
    rows = [
        (
            f"{each.horizon_min:.0f}\u00a0min",
            *(f"{100 * each.coverage[percent]:.0f}\u00a0%" for percent in (50, 80, 90)),
            *(_glucose(each.width_mg_dl[percent], display) for percent in (50, 80, 90)),
        )
        for each in horizons
    ]
    return figures_table(f"How often the intervals held, and how wide they were ({display.unit.value})", head, rows)


def _days(watch: ForecastWatch, display: Display) -> Any:
    return daily_figure(
        [day.day for day in watch.days],
        [day.skill for day in watch.days],
        [day.inside_90 for day in watch.days],
        [day.bias_mg_dl for day in watch.days],
        display.screen(),
    )


def _pit(watch: ForecastWatch, display: Display) -> list[Any]:
    shown = _at(watch.horizons, _SHOWN_HORIZON_MIN)
    figure = pit_figure(shown.pit, watch.expected_pit, QUANTILE_LEVELS, display.screen())
    words = (
        f"{shown.horizon_min:.0f} min ahead, {shown.count:,} readings. Bars at 1 mean that the forecast knows how sure "
        "it may be; high ends that it is too sure, a high middle that it is too wide, a slope that it is biased."
    )
    return [
        graph("model-pit", figure, "Readings between the quantiles of the forecast", "graph-pit"),
        html.P(words, className="muted tiny"),
    ]


def _grid(watch: ForecastWatch, grid: str, display: Display) -> list[Any]:
    view = _at(watch.horizons, _SHOWN_HORIZON_MIN).grids[grid]
    return error_grid(view, error_grid_figure(view.pairs, view.borders, display.screen()), "model-grid-graph")


def _groups(watch: ForecastWatch, person: Person, display: Display) -> list[Any]:
    shown = _at(watch.horizons, _SHOWN_HORIZON_MIN)
    rows = [
        (f"Glucose {_in_words(name, display)}", f"{shown.count_by_range[name]:,}", _glucose(error, display))
        for name, error in shown.rmse_by_range.items()
    ]
    sampling = "unknown" if watch.sampling_min is None else f"every {watch.sampling_min:.0f} min"
    named = [
        f"Therapy: {person.therapy or 'the record names none'}.",
        f"Sampling: {sampling}.",
        _UNNAMED_GROUPS,
    ]
    caption = f"RMSE {shown.horizon_min:.0f} min ahead by the range of what was measured ({display.unit.value})"
    return [
        figures_table(caption, ("Group", "Forecasts", "RMSE"), rows),
        html.Ul([html.Li(sentence) for sentence in named], className="small"),
    ]


def _errors(model: ModelCard, display: Display) -> Any:
    curves = {
        name: ([each.horizon_min for each in model.of(name)], [each.rmse for each in model.of(name)])
        for name in model.models
    }
    return error_figure(curves, display.screen())


def _side_by_side(model: ModelCard, display: Display) -> html.Div:
    head = ("Ahead", "Forecasts", *model.models, "Gain on no change", "Per person", "MAE", "MARD", "Bias")
    served = model.models[0]
    rows = [
        (
            f"{horizon:.0f}\u00a0min",
            f"{model.score(served, horizon).count:,}",
            *(_glucose(model.score(name, horizon).rmse, display) for name in model.models),
            f"{100 * (1 - model.score(served, horizon).rmse / model.score(PERSISTENCE, horizon).rmse):.0f}\u00a0%",
            _glucose(model.score(served, horizon).rmse_per_person, display),
            _glucose(model.score(served, horizon).mae, display),
            f"{model.score(served, horizon).mard_percent:.1f}\u00a0%",
            _glucose(model.score(served, horizon).bias, display, signed=True),
        )
        for horizon in model.horizons_min
    ]
    caption = (
        f"RMSE of each model on the same rows of {model.persons} people ({display.unit.value}); the columns after them "
        f"are of the served model ({served})"
    )
    return figures_table(caption, head, rows)


def _card_coverage(model: ModelCard, display: Display) -> html.Div:
    head = ("Ahead", "50 % held", "80 % held", "90 % held", "90 % width", "Pinball loss")
    rows = [
        (
            f"{each.horizon_min:.0f}\u00a0min",
            *(f"{100 * each.coverage[percent]:.1f}\u00a0%" for percent in (50, 80, 90)),
            _glucose(each.width[90], display),
            _glucose(each.pinball, display),
        )
        for each in model.of(model.models[0])
        if each.coverage is not None and each.width is not None and each.pinball is not None
    ]
    return figures_table(f"Intervals of the served model on those rows ({display.unit.value})", head, rows)


def _alarms(model: ModelCard, display: Display) -> list[Any]:
    low, high = (glucose_text(level, display.unit) for level in (70.0, 180.0))
    words = (
        "The first rule for lows is the one that alarms on Today, which announces a high when the middle of the "
        f"forecast passes the limit. An event is 10 min and more below {low} or above {high} {display.unit.value}; it "
        "was found if an alarm stood 5 to 60 min before it. An alarm is false if no such reading comes within an hour "
        "after it. The figures have no interval."
    )
    return [
        _alarm_table("lows", model.report.hypo, display),
        _alarm_table("highs", model.report.hyper, display),
        html.P(words, className="muted tiny"),
    ]


def _alarm_table(what: str, rules: Sequence[AlarmRow], display: Display) -> Any:
    if not rules:
        return html.P(f"Alarms for {what}: not measured.", className="small")
    head = ("Rule", "Found", "True alarms", "False a day", "Ahead by")
    rows = [
        (
            _in_words(each.rule, display),
            _percent(each.sensitivity),
            _percent(each.precision),
            _number(each.false_per_day),
            _lead(each),
        )
        for each in rules
    ]
    return figures_table(f"{rules[0].events:,} {what} in {rules[0].days:.0f} days of readings", head, rows)


def _reliance(model: ModelCard, display: Display) -> list[Any]:
    found = model.report.reliance
    horizons = sorted({each.horizon_min for each in found})
    rows = [
        (
            kind.capitalize(),
            *(
                _glucose(each.rmse_growth, display, signed=True)
                for horizon in horizons
                for each in found
                if (each.kind, each.horizon_min) == (kind, horizon)
            ),
        )
        for kind in dict.fromkeys(each.kind for each in found)
    ]
    head = ("Shuffled", *(f"{horizon:.0f}\u00a0min" for horizon in horizons))
    caption = f"By how much the RMSE grows when one kind of knowledge is another moment's ({display.unit.value})"
    words = (
        "Kinds that speak of the same thing stand in for each other, so that each looks less needed than it is: "
        "insulin and meals go together. The figures have no interval. For one forecast, Today says it."
    )
    return [figures_table(caption, head, rows), html.P(words, className="muted tiny")]


def _report_groups(model: ModelCard, display: Display) -> list[Any]:
    """At 60 min, the horizon in the middle."""
    head = ("Group", "People", "Forecasts", "RMSE", "Gain on no change", "Bias", "90 % held")
    rows = [
        (
            f"{each.group.capitalize()}: {each.name}",
            f"{each.persons}",
            f"{each.count:,}",
            _glucose(each.rmse, display),
            f"{100 * (1 - each.rmse / each.persistence_rmse):.0f}\u00a0%",
            _glucose(each.bias, display, signed=True),
            f"{100 * each.coverage[90]:.1f}\u00a0%",
        )
        for each in model.report.groups
        if each.horizon_min == _SHOWN_HORIZON_MIN
    ] + [
        (
            f"Measured: {_in_words(each.name, display)}",
            f"{model.persons}",
            f"{each.count:,}",
            _glucose(each.rmse, display),
            "-",
            _glucose(each.bias, display, signed=True),
            "-",
        )
        for each in model.report.ranges
        if each.horizon_min == _SHOWN_HORIZON_MIN
    ]
    words = (
        "With so few people a difference between groups may be one between persons. Rows chosen by what was measured "
        f"must look biased: they are chosen by the outcome. {_UNNAMED_GROUPS}"
    )
    caption = f"Groups, {_SHOWN_HORIZON_MIN:.0f} min ahead on the last fifth of each record ({display.unit.value})"
    return [figures_table(caption, head, rows), html.P(words, className="muted tiny")]


def _persons(model: ModelCard, display: Display) -> list[Any]:
    """At 60 min, the horizon in the middle."""
    own = {each.person: each for each in model.report.personalised if each.horizon_min == _SHOWN_HORIZON_MIN}
    unknown = {each.person: each for each in model.report.left_out if each.horizon_min == _SHOWN_HORIZON_MIN}
    head = ("Person", "Forecasts", "RMSE", "No change", "90 % held", "90 % width", "Own correction", "Never met")
    rows = [
        (
            each.person,
            f"{each.count:,}",
            _glucose(each.rmse, display),
            _glucose(each.persistence_rmse, display),
            f"{100 * each.coverage[90]:.1f}\u00a0%",
            _glucose(each.width[90], display),
            _glucose(own[each.person].personal_rmse, display) if each.person in own else "not measured",
            _glucose(unknown[each.person].rmse, display) if each.person in unknown else "not measured",
        )
        for each in model.report.persons
        if each.horizon_min == _SHOWN_HORIZON_MIN
    ]
    seeds = [each for each in model.report.seeds if each.horizon_min == _SHOWN_HORIZON_MIN]
    told = ", ".join(_glucose(each.rmse, display) for each in seeds)
    words = (
        "Own correction: with what is learned from the person's earlier days, where it was adopted. Never met: by a "
        "forecaster trained on the others only, on half of the rows. Trained anew with other seeds, the error over all "
        f"people is {told} {display.unit.value}."
    )
    caption = f"People, {_SHOWN_HORIZON_MIN:.0f} min ahead on the last fifth of each record ({display.unit.value})"
    return [figures_table(caption, head, rows), html.P(words, className="muted tiny")]


def _lead(alarm: AlarmRow) -> str:
    return "-" if alarm.lead_median_min is None else f"{alarm.lead_median_min:.0f}\u00a0min"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f}\u00a0%"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _facts(model: ModelCard) -> list[Any]:
    told = {
        "Version": model.version,
        "Trained": model.date,
        "People": f"{model.persons}",
        "Training rows": f"{model.rows['train']:,}",
        "Seed": f"{model.seed}",
        "Weights": f"SHA-256 {model.weights_sha256[:12]}",
        "Data": f"SHA-256 {model.data_sha256[:12]}",
    }
    rows = [part for name, value in told.items() for part in (html.Dt(name), html.Dd(value))]
    return [html.Dl(rows, className="facts"), html.P(["Made by ", html.Code(model.command)], className="tiny muted")]


def _at(horizons: Sequence[WatchedHorizon], horizon_min: float) -> WatchedHorizon:
    """The horizon wanted, or the first that there is."""
    return next((each for each in horizons if each.horizon_min == horizon_min), horizons[0])


def _in_words(name: str, display: Display) -> str:
    """A range or a rule, such as `70 to 180` or `... below 70 ...`, with its glucose in the unit of the screen."""
    return re.sub(r"(?<=below )\d+|(?<=above )\d+|\d+(?= to )|(?<= to )\d+", lambda found: _level(found, display), name)


def _level(found: re.Match[str], display: Display) -> str:
    return glucose_text(float(found[0]), display.unit)


def _glucose(value_mg_dl: float, display: Display, *, signed: bool = False) -> str:
    """An error or a width in the unit of the screen; a dash where there is none."""
    if value_mg_dl != value_mg_dl:
        return "-"
    value = in_unit(value_mg_dl, display.unit)
    digits = 1 if display.unit is GlucoseUnit.MG_DL else 2
    return f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"


PAGE = Page(path="/model", title="Model", layout=layout, register=register)
