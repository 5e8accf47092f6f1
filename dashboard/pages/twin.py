"""`/twin`: what the twin knows of a person, how it came to know it, and how far to trust it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from dashboard.components.basics import aria, card, figures_table, graph, legend, notice, page_head, segmented, select
from dashboard.components.job import job_controls, job_message, job_options, progress_to
from dashboard.figures.twin import course_figure, fit_figure, heat_map_figure, parameter_figure, shares_figure
from dashboard.shell import Page, display_of
from dashboard.theme.display import Display
from twin_core.domain.errors import BiotwinError
from twin_core.domain.history import instant_of, minutes_of
from twin_core.domain.units import GlucoseUnit, glucose_text, in_unit
from twin_core.services.application import Services
from twin_core.services.twin_report import (
    FIT_DAYS,
    SPREADS,
    TOLD_VARIANCE_LEFT,
    Course,
    OutcomeShares,
    ParameterRow,
    SensitivityView,
    Trust,
    TwinReport,
    said_in,
)
from twin_core.services.twins import TwinRecord

ORDERS = {"told": "What the data told", "moved": "How far it moved", "name": "Name"}
_TONES = {Trust.AVERAGE: "amber", Trust.AGREES: "quiet", Trust.CARE: "amber", Trust.NOT: "red"}
_DEFAULT_DAYS = 3
_FOLLOW_MS = 15000
"""How often the page looks whether there is something new to follow."""


def layout(services: Services, display: Display, person_id: str) -> html.Div:
    """The page for the twin in use."""
    stores = [
        dcc.Store(id="judge-person", data=person_id),
        dcc.Store(id="judge-result"),
        dcc.Store(id="judge-used"),
        dcc.Store(id="judge-token"),
        dcc.Interval(id="judge-tick", interval=_FOLLOW_MS),
    ]
    head = page_head("Twin", "What it knows of this person, how it came to know it, and how far to trust it.")
    try:
        parts = _parts(services, display, person_id, "told")
    except BiotwinError as error:
        return html.Div([*stores, head, _unreadable(error), _fit_controls()], className="stack")
    trust, facts, parameters, fit, versions = parts
    main = html.Div(
        [
            card(
                html.H2("Parameters"),
                html.Div(segmented("judge-order", "Order of the parameters", list(ORDERS.items()), "told")),
                html.Div(parameters, id="judge-parameters", className="stack-tight"),
                class_name="stack-tight plot-card",
            ),
            card(
                html.H2("The fit"),
                html.Div(fit, id="judge-fit-view", className="stack-tight"),
                class_name="stack-tight plot-card",
            ),
            card(
                html.H2("How it changes over time"),
                html.Div(html.Div(className="skeleton graph-course"), id="judge-course", className="stack-tight"),
                class_name="stack-tight plot-card",
            ),
            _sensitivity_card(services, display, person_id),
        ],
        className="stack",
    )
    side = html.Div(
        [
            card(
                html.H2("In use"),
                html.Div(facts, id="judge-facts", className="stack-tight"),
                class_name="first-when-narrow",
            ),
            _fit_controls(),
            card(
                html.H2("Versions"),
                html.Div(id="judge-use-message"),
                html.Div(versions, id="judge-versions"),
                class_name="stack-tight",
            ),
        ],
        className="stack side",
    )
    told = html.Div(trust, id="judge-trust", **aria(live="polite"))
    return html.Div([*stores, head, told, html.Div([main, side], className="split")], className="stack")


def register(app: Dash, services: Services) -> None:
    """The page's callbacks."""
    _register_redraw(app, services)
    _register_fit(app, services)
    _register_versions(app, services)
    _register_sensitivity(app, services)


def _register_redraw(app: Dash, services: Services) -> None:
    @app.callback(
        Output("judge-trust", "children"),
        Output("judge-facts", "children"),
        Output("judge-parameters", "children"),
        Output("judge-fit-view", "children"),
        Output("judge-versions", "children"),
        Input("judge-order", "value"),
        Input("judge-result", "data"),
        Input("judge-used", "data"),
        Input("unit", "data"),
        Input("mode", "data"),
        State("judge-person", "data"),
        prevent_initial_call=True,
    )
    def redraw(order: str, _: Any, __: Any, unit: str, mode: str, person_id: str) -> Any:
        try:
            return _parts(services, display_of(mode, unit), person_id, order)
        except BiotwinError as error:
            return _unreadable(error), *(no_update,) * 4

    @app.callback(
        Output("judge-course", "children"),
        Output("judge-token", "data"),
        Input("judge-tick", "n_intervals"),
        Input("judge-trust", "children"),
        Input("unit", "data"),
        Input("mode", "data"),
        State("judge-person", "data"),
        State("judge-token", "data"),
        running=[(Output("judge-tick", "disabled"), True, False)],
    )
    def follow(_: Any, __: Any, unit: str, mode: str, person_id: str, seen: str | None) -> Any:
        try:
            token = services.today.token(services.viewer, person_id)
            if ctx.triggered_id == "judge-tick" and token == seen:
                return no_update, no_update
            return _course(services, display_of(mode, unit), person_id), token
        except BiotwinError as error:
            return notice(f"What changed over time cannot be shown: {error}", "amber"), no_update


def _register_fit(app: Dash, services: Services) -> None:
    @app.callback(
        Output("judge-result", "data"),
        Input("judge-start", "n_clicks"),
        State("judge-days", "value"),
        State("judge-person", "data"),
        **job_options("judge"),
    )
    def fit(set_progress: Any, clicks: int, days: str, person_id: str) -> dict[str, Any]:
        outcome = services.twins.fit(services.viewer, person_id, progress_to(set_progress), days=float(days))
        return {"run": clicks, "good": outcome.fitted, "sentence": outcome.sentence}

    @app.callback(
        Output("judge-message", "children"),
        Input("judge-result", "data"),
        Input("judge-cancel", "n_clicks"),
        prevent_initial_call=True,
    )
    def tell(result: dict[str, Any] | None, _: int | None) -> Any:
        return job_message("judge", result, "The fit was cancelled; the twin stays as it was.")


def _register_versions(app: Dash, services: Services) -> None:
    @app.callback(
        Output("judge-used", "data"),
        Output("judge-use-message", "children"),
        Input({"type": "judge-use", "version": ALL}, "n_clicks"),
        State("judge-person", "data"),
        prevent_initial_call=True,
    )
    def use(clicks: list[int | None], person_id: str) -> Any:
        if not any(clicks) or not isinstance(ctx.triggered_id, dict):
            return no_update, no_update
        wanted = int(ctx.triggered_id["version"])
        try:
            record = services.twins.use(services.viewer, person_id, wanted)
        except BiotwinError as error:
            return no_update, notice(f"Version {wanted} cannot be used again: {error} The twin stays.", "amber")
        return record.version, notice(f"Version {wanted} is in use again, as version {record.version}.", "quiet")


def _register_sensitivity(app: Dash, services: Services) -> None:
    @app.callback(
        Output("judge-shares-result", "data"),
        Input("judge-shares-start", "n_clicks"),
        State("judge-spread", "value"),
        State("judge-person", "data"),
        **job_options("judge-shares"),
    )
    def compute(set_progress: Any, clicks: int, spread: str, person_id: str) -> dict[str, Any]:
        outcome = services.twin_report.sensitivity(services.viewer, person_id, spread, progress_to(set_progress))
        return {"run": clicks, "good": outcome.done, "sentence": outcome.sentence}

    @app.callback(
        Output("judge-shares-message", "children"),
        Input("judge-shares-result", "data"),
        Input("judge-shares-cancel", "n_clicks"),
        prevent_initial_call=True,
    )
    def tell(result: dict[str, Any] | None, _: int | None) -> Any:
        return job_message("judge-shares", result, "The analysis was cancelled.")

    @app.callback(
        Output("judge-shares", "children"),
        Input("judge-spread", "value"),
        Input("judge-outcome", "value"),
        Input("judge-shares-result", "data"),
        Input("judge-trust", "children"),
        Input("unit", "data"),
        Input("mode", "data"),
        State("judge-person", "data"),
        prevent_initial_call=True,
    )
    def show(spread: str, outcome: str, _: Any, __: Any, unit: str, mode: str, person_id: str) -> Any:
        return _shares(services, display_of(mode, unit), person_id, spread, int(outcome))


def _unreadable(error: BiotwinError) -> Any:
    still = "Readings and forecasts on Today still work; a new fit replaces it."
    return notice(f"The twin in use cannot be read: {error} {still}", "red")


def _parts(services: Services, display: Display, person_id: str, order: str) -> tuple[Any, ...]:
    """What changes with the twin, the unit and the mode, in the order of the outputs of `redraw`."""
    report = services.twin_report.of(services.viewer, person_id)
    return (
        notice(said_in(report.trust_sentence, display.unit), _TONES[report.trust]),
        _facts(report, display),
        _parameters(report, display, order),
        _fit(report, display),
        _versions(report, display),
    )


def _facts(report: TwinReport, display: Display) -> list[Any]:
    pairs = [
        ("Twin", f"version {report.version}" if report.fitted else "the population's"),
        ("Model", report.model_title),
    ]
    if report.window_min is not None:
        first, last = (_moment(t, report.utc_offset_min) for t in report.window_min)
        pairs += [("Readings", f"{first} to {last}")]
    if report.metrics is not None:
        rmse = glucose_text(report.metrics.rmse_mg_dl, display.unit)
        pairs += [
            ("Number of readings", f"{report.metrics.n_readings:,}"),
            ("Misses them by (RMSE)", f"{rmse} {display.unit.value}"),
            ("90 % interval held", f"{report.metrics.coverage_90_percent:.0f} % of them"),
        ]
    if report.data_hash:
        pairs.append(("Data hash", report.data_hash[:12]))
    facts = html.Dl([item for name, text in pairs for item in (html.Dt(name), html.Dd(text))], className="facts")
    return [facts, *_listed("What it assumes and leaves open", report.notes, display)]


def _listed(title: str, sentences: Sequence[str], display: Display) -> list[Any]:
    if not sentences:
        return []
    items = html.Ul([html.Li(said_in(sentence, display.unit)) for sentence in sentences], className="tiny")
    return [html.Details([html.Summary(title), items])]


def _ordered(rows: Sequence[ParameterRow], order: str) -> list[ParameterRow]:
    keys = {
        "told": lambda row: row.variance_left,
        "moved": lambda row: -abs(row.moved_sds),
        "name": lambda row: row.name.lower(),
    }
    return sorted(rows, key=keys[order])


def _parameters(report: TwinReport, display: Display, order: str) -> list[Any]:
    rows = _ordered(report.parameters, order)
    told = np.array([row.variance_left <= TOLD_VARIANCE_LEFT for row in rows])
    figure = parameter_figure(
        [f"<b>{row.name}</b> {row.meaning}" for row in rows],
        np.array([row.prior_interval for row in rows]),
        np.array([row.interval for row in rows]),
        told,
        display.screen(),
    )
    marks = [
        ("line", "var(--muted)", "how people differ (90 %)"),
        ("line", "var(--accent)", "this twin (90 %), where the data told at least half"),
        ("band", "var(--accent)", "this twin, where mostly the population's average speaks"),
    ]
    label = f"{len(rows)} parameters of the twin, before and after the data; the table below says the same"
    tables = html.Details([html.Summary("As a table, with units and sources"), _parameter_table(rows, display.unit)])
    advice = [html.H3("What would tell more"), html.Ul([html.Li(said_in(s, display.unit)) for s in report.experiments])]
    return [
        graph("judge-parameter-graph", figure, label, "graph-parameters"),
        legend(marks),
        *([html.Div(advice, className="small stack-tight")] if report.experiments else []),
        tables,
    ]


def _parameter_table(rows: Sequence[ParameterRow], unit: GlucoseUnit) -> html.Div:
    head = ("Parameter", "Unit", "Before: mean ± SD", "After: mean ± SD", "Moved by", "Variance left", "Source")
    caption = "Every fitted parameter before and after the data; its mean before comes from the source"
    return html.Div(figures_table(caption, head, [_parameter_cells(row, unit) for row in rows]), className="sources")


def _parameter_cells(row: ParameterRow, unit: GlucoseUnit) -> tuple[str, ...]:
    in_glucose = row.unit == GlucoseUnit.MG_DL.value
    values = (row.prior_mean, row.prior_sd, row.mean, row.sd)
    prior_mean, prior_sd, mean, sd = (in_unit(value, unit) if in_glucose else value for value in values)
    return (
        f"{row.name}: {row.meaning}",
        unit.value if in_glucose else row.unit.replace("*", "·"),
        f"{prior_mean:.3g} ± {prior_sd:.2g}",
        f"{mean:.3g} ± {sd:.2g}",
        f"{row.moved_sds:+.1f} SD",
        f"{100.0 * row.variance_left:.0f} %",
        row.source,
    )


def _fit(report: TwinReport, display: Display) -> list[Any]:
    if not report.fitted:
        return [
            html.P("Nothing is fitted yet. Choose how many days, and fit the twin to this person.", className="small")
        ]
    if report.fit is None:
        return [html.P("The readings of this fit are no longer kept, so that it cannot be drawn.", className="small")]
    fit = report.fit
    curves = (fit.time_min, fit.measured_mg_dl, fit.median_mg_dl, fit.low_mg_dl, fit.high_mg_dl)
    figure = fit_figure(*curves, display.screen(report.utc_offset_min))
    marks = [
        ("dot", "var(--ink)", "measured"),
        ("line", "var(--accent)", "the twin's curve"),
        ("band", "var(--accent)", "90 % interval of a reading: parameters, days and error"),
    ]
    return [
        graph("judge-fit-graph", figure, "The twin's curve and the readings it was fitted to", "graph-fit"),
        legend(marks),
        html.P("A good fit alone does not prove a good what-if.", className="muted tiny"),
    ]


def _course(services: Services, display: Display, person_id: str) -> list[Any]:
    course = services.twin_report.course(services.viewer, person_id)
    tone = "amber" if course.refit_proposed else "quiet"
    words = [notice(said_in(" ".join(course.sentences), display.unit), tone)] if course.sentences else []
    if course.empty:
        return [*words, html.P("There is nothing to draw yet: fit the twin to this person.", className="small")]
    figure = course_figure(
        course.fitted_windows,
        course.fitted_carbs,
        course.time_min,
        course.sensitivity,
        course.flow_mg_kg_min,
        course.sensor_error_mg_dl,
        course.followed_carbs,
        course.resets_min,
        course.span_min,
        display.screen(course.utc_offset_min),
    )
    marks = [
        ("band", "var(--muted)", "by the fit (90 %)"),
        ("line", "var(--accent)", "insulin's action, followed reading by reading (90 % band)"),
        ("up", "var(--carbs)", "a meal, followed"),
        ("line", "var(--what-if)", "glucose that the record does not explain"),
        ("line", "var(--insulin)", "sensor less model"),
    ]
    label = "Insulin's action, carbohydrate, unexplained glucose and the sensor's error over time"
    return [*words, graph("judge-course-graph", figure, label, "graph-course"), legend(marks), _meal_table(course)]


def _meal_table(course: Course) -> html.Details:
    rows = [
        (_moment(time_min, course.utc_offset_min), who, f"{middle:.2f}", f"{low:.2f} to {high:.2f}")
        for who, meals in (("fit", course.fitted_carbs), ("followed", course.followed_carbs))
        for time_min, low, middle, high in meals.tolist()
    ]
    windows = [
        (_moment(begin, course.utc_offset_min), "fit", f"{middle:.2f}", f"{low:.2f} to {high:.2f}")
        for begin, _, low, middle, high in course.fitted_windows.tolist()
    ]
    head = ("From", "By", "Factor", "90 % interval")
    tables = [
        figures_table("Insulin's action, times the twin's own", head, windows),
        figures_table("Carbohydrate of meals, times what was counted", head, rows),
    ]
    return html.Details([html.Summary("As tables"), html.Div(tables, className="stack-tight")])


def _versions(report: TwinReport, display: Display) -> Any:
    if not report.versions:
        return html.P("No version has been kept yet.", className="small")
    items = [html.Li(_version(record, report, display), className="stack-tight") for record in report.versions]
    return html.Ol(items, className="plain-list stack versions")


def _version(record: TwinRecord, report: TwinReport, display: Display) -> list[Any]:
    moment = _moment(minutes_of(record.created), report.utc_offset_min)
    origin = "" if record.restores is None else f", as version {record.restores} was"
    lines = [html.Strong(f"Version {record.version}"), html.Span(f"since {moment}{origin}", className="muted tiny")]
    if record.metrics is not None and record.window_min is not None:
        first, last = (_moment(t, report.utc_offset_min) for t in record.window_min)
        rmse = f"{glucose_text(record.metrics.rmse_mg_dl, display.unit)} {display.unit.value}"
        held = f"{record.metrics.coverage_90_percent:.0f} %"
        lines.append(html.Span(f"{first} to {last}; RMSE {rmse}, 90 % interval held {held}", className="tiny"))
    lines.append(html.Span(f"data {record.data_hash[:12]}", className="muted tiny"))
    if record.in_use:
        return [*lines, html.Div(html.Span("in use", className="chip"))]
    use = {"type": "judge-use", "version": record.version}
    label = aria(label=f"Use version {record.version} again")
    button = html.Button("Use this version again", id=use, className="button", n_clicks=0, **label)
    return [*lines, html.Div(button)]


def _fit_controls() -> Any:
    days = [(str(n), f"{n} day" + "s" * (n > 1)) for n in FIT_DAYS]
    return card(
        html.H2("Fit anew"),
        select("judge-days", "To the last", days, str(_DEFAULT_DAYS)),
        *job_controls("judge", "Fit the twin", "Progress of the fit", is_primary=True),
        class_name="stack-tight first-when-narrow",
    )


def _sensitivity_card(services: Services, display: Display, person_id: str) -> html.Section:
    outcomes = [("0", "Mean glucose"), ("1", "Lowest"), ("2", "Time in range")]
    spread = next(iter(SPREADS))
    return card(
        html.H2("What a day depends on"),
        dcc.Store(id="judge-shares-result"),
        html.P(
            "A standard day of three meals (45, 70 and 80 g) with their boluses, simulated thousands of times with "
            "other parameters: whose uncertainty makes the outcome uncertain?",
            className="small",
        ),
        html.Div(
            [
                segmented("judge-spread", "What the parameters are varied by", list(SPREADS.items()), spread),
                segmented("judge-outcome", "Outcome of the day", outcomes, "0"),
            ],
            className="row-start",
        ),
        *job_controls("judge-shares", "Find out", "Progress of the analysis", is_primary=True),
        html.Div(_shares(services, display, person_id, spread, 0), id="judge-shares", className="stack-tight"),
        class_name="stack-tight plot-card",
    )


def _shares(services: Services, display: Display, person_id: str, spread: str, outcome: int) -> list[Any]:
    view = services.twin_report.kept_sensitivity(services.viewer, person_id, spread)
    if view is None:
        return [html.P("Not computed yet for this twin. It takes a few seconds.", className="small")]
    chosen = view.outcomes[outcome]
    widths = (chosen.first, chosen.first_half_width, chosen.total, chosen.total_half_width)
    bars = shares_figure(view.names, *widths, display.screen())
    heat = heat_map_figure(
        view.names, view.time_min, view.total_over_time, view.spread_over_time_mg_dl, display.screen()
    )
    marks = [
        ("line", "var(--accent)", "its own share (first index)"),
        ("band", "var(--accent)", "share with all it interacts with (total index)"),
    ]
    return [
        html.P(_outcome_words(chosen, view, display.unit), className="small"),
        graph(
            "judge-shares-graph",
            bars,
            f"Sobol indices of {chosen.title.lower()}; the table says the same",
            "graph-shares",
        ),
        legend(marks),
        html.Details([html.Summary("As a table"), _shares_table(view, chosen)]),
        html.H3("Over the day"),
        graph("judge-heat-map", heat, "Total index of each parameter over the standard day", "graph-heat-map"),
        html.P(_method_words(view), className="muted tiny"),
    ]


def _outcome_words(chosen: OutcomeShares, view: SensitivityView, unit: GlucoseUnit) -> str:
    if chosen.is_glucose:
        low, middle, high = (glucose_text(value, unit) for value in chosen.quantiles)
        unit_text = unit.value
    else:
        low, middle, high = (f"{value:.0f}" for value in chosen.quantiles)
        unit_text = "%"
    first = view.names[int(np.argmax(chosen.total))]
    return (
        f"{chosen.title} of that day: {middle} {unit_text}, in 90 % of the simulations {low} to {high} {unit_text}. "
        f"Most of the difference comes from {first}: {view.meanings[view.names.index(first)]}."
    )


def _shares_table(view: SensitivityView, chosen: OutcomeShares) -> html.Div:
    order = np.argsort(-chosen.total, kind="stable")
    rows = [
        (
            f"{view.names[i]}: {view.meanings[i]}",
            f"{100.0 * chosen.first[i]:.1f} ± {100.0 * chosen.first_half_width[i]:.1f} %",
            f"{100.0 * chosen.total[i]:.1f} ± {100.0 * chosen.total_half_width[i]:.1f} %",
        )
        for i in order
    ]
    caption = f"Share of the variance of {chosen.title.lower()}, with 95 % bootstrap intervals"
    return figures_table(caption, ("Parameter", "Alone", "With interactions"), rows)


def _method_words(view: SensitivityView) -> str:
    left_out = f" Screened and found to matter less: {', '.join(view.left_out)}." if view.left_out else ""
    return (
        f"Sobol indices from {view.n_runs:,} simulated days; whiskers are 95 % bootstrap intervals. The parameters are "
        f"varied one from the other independently, which overstates what is unknown of them together.{left_out}"
    )


def _moment(time_min: float, utc_offset_min: float) -> str:
    return f"{instant_of(time_min) + timedelta(minutes=utc_offset_min):%d %b %Y %H:%M}"


PAGE = Page(path="/twin", title="Twin", layout=layout, register=register)
