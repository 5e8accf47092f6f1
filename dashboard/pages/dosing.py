"""`/dosing`: a drug's model, a person's levels, what the regimen did and what the next one would do."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from math import floor, log10
from typing import Any

import dash_bootstrap_components as dbc
from dash import ALL, ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, no_update

from dashboard.components.basics import aria, card, figures_table, graph, legend, metric, notice, page_head, select
from dashboard.components.dosing_advice import EXPOSURES, TRY, advice_cards, target_words
from dashboard.components.dosing_levels import LEVEL, MOST_ROWS, NOTE, REMOVE, TIME, level_rows
from dashboard.figures.pk import concentration_figure, paint_of
from dashboard.shell import Page, display_of
from dashboard.theme.display import Display
from twin_core.domain.dosing import Candidate
from twin_core.domain.drugs import Covariate, Dose, Drug, Exposure, Route, TargetBand
from twin_core.domain.errors import BiotwinError
from twin_core.services.application import Services
from twin_core.services.dosing_case import Advice, Case, CaseView, LevelRow, advice_of, exposure_unit, view_of, written
from twin_core.services.dosing_report import best_of_each_interval, csv_of, pdf_of

_CONTROL, _AMOUNT, _TEXT = "dosing-control", "dosing-amount", "dosing-text"
_EMPTY = (LevelRow(time="", level=""),)
_SHORT_NAMES = {
    "egfr_ml_min_1_73m2": "eGFR",
    "hemodialysis": "Haemodialysis",
    "hematocrit_percent": "Haematocrit",
    "cyp3a5_expresser": "CYP3A5 expresser",
    "cyp2c9_2_alleles": "Alleles *2 of CYP2C9",
    "cyp2c9_3_alleles": "Alleles *3 of CYP2C9",
    "vkorc1_g_alleles": "Alleles G of VKORC1",
    "inr_base": "INR before warfarin",
    "age_years": "Age",
    "creatinine_clearance_ml_min": "Creatinine clearance",
    "body_weight_kg": "Body weight",
    "lean_body_weight_kg": "Lean body weight",
    "height_cm": "Height",
}


def layout(services: Services, display: Display, _: str) -> html.Div:
    """The page with the first drug, its first regimen and no level."""
    drugs = services.dosing.drugs
    drug = drugs[0]
    return html.Div(
        [
            *(dcc.Store(id=f"dosing-{name}") for name in ("dragged", "settled", "edited", "seen-drag", "seen-move")),
            dcc.Download(id="dosing-file"),
            page_head(
                "Dosing", "What a regimen does, what levels tell of this person, and what the next dose would do."
            ),
            html.Div(
                [
                    card(
                        select("dosing-drug", "Drug", [(each.name, each.title) for each in drugs], drug.name),
                        html.Div(_controls(drug), id="dosing-controls", className="stack"),
                        class_name="stack",
                    ),
                    html.Div(_results(services, drug, display), id="dosing-results", className="stack results"),
                ],
                className="split-left",
            ),
        ],
        className="stack",
    )


def register(app: Dash, services: Services) -> None:
    """The page's callbacks."""
    _register_figure(app, services)
    _register_levels(app, services)
    _register_advice(app, services)
    _register_dragging(app)


_VALUES = (
    State({"type": _CONTROL, "name": ALL}, "value"),
    State({"type": _CONTROL, "name": ALL}, "id"),
    State({"type": _AMOUNT, "name": ALL}, "value"),
    State({"type": _AMOUNT, "name": ALL}, "id"),
    State({"type": TIME, "row": ALL}, "value"),
    State({"type": LEVEL, "row": ALL}, "value"),
    State("dosing-drug", "value"),
)


def _register_figure(app: Dash, services: Services) -> None:
    @app.callback(
        Output("dosing-controls", "children"),
        Output("dosing-results", "children"),
        Input("dosing-drug", "value"),
        State("unit", "data"),
        State("mode", "data"),
        prevent_initial_call=True,
    )
    def choose_drug(name: str, unit: str, mode: str) -> Any:
        drug = services.dosing.drug(name)
        return _controls(drug), _results(services, drug, display_of(mode, unit))

    @app.callback(
        Output("dosing-graph", "figure"),
        Output("dosing-paint", "data"),
        Output("dosing-legend", "children"),
        Output("dosing-exposures", "children"),
        Output("dosing-message", "children"),
        Output({"type": NOTE, "row": ALL}, "children"),
        Input({"type": _CONTROL, "name": ALL}, "value"),
        Input({"type": TIME, "row": ALL}, "value"),
        Input({"type": LEVEL, "row": ALL}, "value"),
        Input("dosing-dragged", "data"),
        Input("dosing-edited", "data"),
        Input("mode", "data"),
        *_VALUES,
        prevent_initial_call=True,
    )
    def follow(*given: Any) -> Any:
        mode, values = given[5], given[6:]
        case = _case_of(services, *values)
        n_rows = len(ctx.outputs_list[5])
        try:
            view = view_of(services.dosing, case)
        except BiotwinError as error:
            return (*[no_update] * 4, notice(str(error), "red"), [no_update] * n_rows)
        figure = concentration_figure(view, display_of(mode, None).screen())
        notes = [*(row.note for row in view.read), *[""] * n_rows][:n_rows]
        return figure, _paint(view), _legend(view), _exposures(view), "", notes


def _register_levels(app: Dash, services: Services) -> None:
    @app.callback(
        Output("dosing-level-rows", "children"),
        Output("dosing-edited", "data"),
        Input("dosing-level-add", "n_clicks"),
        Input({"type": REMOVE, "row": ALL}, "n_clicks"),
        State({"type": TIME, "row": ALL}, "value"),
        State({"type": LEVEL, "row": ALL}, "value"),
        State("dosing-edited", "data"),
        State("dosing-drug", "value"),
        prevent_initial_call=True,
    )
    def edit_rows(_: Any, __: Any, times: list[Any], levels: list[Any], edits: int | None, name: str) -> Any:
        if not any(part["value"] for part in ctx.triggered):
            return no_update, no_update
        rows = list(_rows(times, levels))
        if ctx.triggered_id == "dosing-level-add":
            rows = [*rows, *_EMPTY][:MOST_ROWS]
        else:
            del rows[ctx.triggered_id["row"]]
        return level_rows(rows, services.dosing.drug(name).level_unit), (edits or 0) + 1

    @app.callback(
        Output({"type": _AMOUNT, "name": "next_amount_mg"}, "value"),
        Output({"type": _CONTROL, "name": "next_interval_h"}, "value"),
        Input({"type": TRY, "row": ALL}, "n_clicks"),
        State("dosing-ranked", "data"),
        prevent_initial_call=True,
    )
    def try_regimen(clicks: list[Any], ranked: list[list[float]]) -> Any:
        if not any(clicks) or not ctx.triggered_id:
            return no_update, no_update
        amount_mg, interval_h = ranked[ctx.triggered_id["row"]]
        return amount_mg, interval_h


def _register_advice(app: Dash, services: Services) -> None:
    @app.callback(
        Output("dosing-advice", "children"),
        Input("dosing-settled", "data"),
        *_VALUES,
        prevent_initial_call=True,
    )
    def advise(_: Any, *values: Any) -> Any:
        case = _case_of(services, *values)
        try:
            view = view_of(services.dosing, case)
            return _advised(view, advice_of(view, _step_mg(case.drug)))
        except BiotwinError as error:
            return [notice(f"No advice for these entries. {error}", "amber")]

    @app.callback(
        Output("dosing-file", "data"),
        Output("dosing-report-message", "children"),
        Input("dosing-pdf", "n_clicks"),
        Input("dosing-csv", "n_clicks"),
        *_VALUES,
        prevent_initial_call=True,
    )
    def download(_: Any, __: Any, *values: Any) -> Any:
        if not any(part["value"] for part in ctx.triggered):
            return no_update, no_update
        case = _case_of(services, *values)
        try:
            view = view_of(services.dosing, case)
            advice = advice_of(view, _step_mg(case.drug))
        except BiotwinError as error:
            return no_update, notice(f"No report for these entries. {error}", "amber")
        if ctx.triggered_id == "dosing-csv":
            return {"content": csv_of(view, advice), "filename": "dosing.csv", "type": "text/csv"}, ""
        return _file(pdf_of(view, advice)), ""


def _file(pdf: bytes) -> dict[str, Any]:
    content = b64encode(pdf).decode("ascii")
    return {"content": content, "filename": "dosing.pdf", "type": "application/pdf", "base64": True}


def _register_dragging(app: Dash) -> None:
    amounts = Input({"type": _AMOUNT, "name": ALL}, "value")
    controls = Input({"type": _CONTROL, "name": ALL}, "value")
    app.clientside_callback(
        ClientsideFunction("dosing", "drag"),
        Output("dosing-seen-drag", "data"),
        amounts,
        State("dosing-paint", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("dosing", "moved"),
        Output("dosing-seen-move", "data"),
        amounts,
        controls,
        Input({"type": TIME, "row": ALL}, "value"),
        Input({"type": LEVEL, "row": ALL}, "value"),
        Input("dosing-edited", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("dosing", "texts"),
        Output({"type": _TEXT, "name": ALL, "unit": ALL}, "children"),
        amounts,
        controls,
    )


# --- what was entered -------------------------------------------------------------------------------------------------


def _number(value: Any) -> float:
    """A slider's number, or 1 and 0 for a switch."""
    return float(bool(value)) if isinstance(value, bool | list) else float(value)


def _rows(times: Sequence[Any], levels: Sequence[Any]) -> tuple[LevelRow, ...]:
    return tuple(
        LevelRow(time=str(time or ""), level=str(level or "")) for time, level in zip(times, levels, strict=True)
    )


def _case_of(
    services: Services,
    controls: list[Any],
    control_ids: list[dict[str, str]],
    amounts: list[Any],
    amount_ids: list[dict[str, str]],
    times: list[Any],
    levels: list[Any],
    name: str,
) -> Case:
    ids, values = [*control_ids, *amount_ids], [*controls, *amounts]
    chosen = {part["name"]: _number(value) for part, value in zip(ids, values, strict=True)}
    return _case(services.dosing.drug(name), chosen, _rows(times, levels))


def _case(drug: Drug, values: Mapping[str, float], rows: tuple[LevelRow, ...]) -> Case:
    usual = _regimen(drug)
    duration_h = values.get("duration_h", 0.0)
    given = Dose(
        time_h=0.0,
        amount_mg=values["amount_mg"],
        route=usual.route,
        duration_h=duration_h,
        interval_h=values["interval_h"],
        additional=int(values["n_doses"]) - 1,
        steady_state=usual.steady_state,
    )
    following = Candidate(
        amount_mg=values["next_amount_mg"],
        interval_h=values["next_interval_h"],
        route=usual.route,
        duration_h=duration_h,
    )
    covariates = {each.name: values[each.name] for each in drug.covariates}
    return Case(drug=drug, covariates=covariates, given=given, rows=rows, following=following)


def _regimen(drug: Drug) -> Dose:
    return drug.regimens[0].doses[0]


def _defaults(drug: Drug) -> dict[str, float]:
    """The first regimen, again from the next dose on, and the default covariates, by control."""
    dose = _regimen(drug)
    interval_h = dose.interval_h or 24.0
    given = {"amount_mg": dose.amount_mg, "interval_h": interval_h, "n_doses": dose.additional + 1.0}
    duration = {"duration_h": dose.duration_h} if dose.route is Route.IV_INFUSION else {}
    following = {"next_amount_mg": dose.amount_mg, "next_interval_h": interval_h}
    return given | duration | following | {covariate.name: covariate.default for covariate in drug.covariates}


# --- controls ---------------------------------------------------------------------------------------------------------


def _step_mg(drug: Drug) -> float:
    """About a tenth of the usual dose, rounded so that the usual dose is a whole number of steps."""
    amount_mg = _regimen(drug).amount_mg
    largest = amount_mg / 10.0
    decade = 10.0 ** floor(log10(largest))
    for step in (5.0 * decade, 2.5 * decade, 2.0 * decade, decade, decade / 2.0):
        if step <= largest and abs(amount_mg / step - round(amount_mg / step)) < 1e-9:
            return step
    return decade / 10.0


def _largest_mg(drug: Drug) -> float:
    """The end of the sliders of doses."""
    step_mg = _step_mg(drug)
    return float(floor(min(4.0 * _regimen(drug).amount_mg, drug.largest_dose_mg) / step_mg + 1e-9) * step_mg)


_Range = tuple[str, str, float, float, float]


def _regimen_ranges(drug: Drug) -> dict[str, _Range]:
    """Label, unit, lowest, highest and step of every slider of the regimen."""
    dose, step_mg = _regimen(drug), _step_mg(drug)
    interval_h = dose.interval_h or 24.0
    every = (4.0, 48.0, 1.0) if interval_h <= 48.0 else (24.0, 2.0 * interval_h, 24.0)
    ranges: dict[str, _Range] = {
        "amount_mg": ("Dose", "mg", step_mg, _largest_mg(drug), step_mg),
        "interval_h": ("Every", "h", *every),
        "n_doses": ("Number of doses", "", 1.0, max(20.0, dose.additional + 1.0), 1.0),
    }
    if dose.route is Route.IV_INFUSION:
        ranges["duration_h"] = ("Infused over", "h", 0.25, 4.0, 0.25)
    return ranges


def _next_ranges(drug: Drug) -> dict[str, _Range]:
    ranges = _regimen_ranges(drug)
    return {"next_amount_mg": ("Next dose", *ranges["amount_mg"][1:]), "next_interval_h": ranges["interval_h"]}


def covariate_label(covariate: Covariate) -> str:
    """What a control of a covariate is called."""
    return _SHORT_NAMES.get(covariate.name, covariate.name.replace("_", " ").capitalize())


def _covariate_range(covariate: Covariate) -> _Range:
    unit = "" if covariate.unit == "1" else covariate.unit
    whole = covariate.low.is_integer() and covariate.default.is_integer()
    step = 1.0 if whole else 0.01 if covariate.high - covariate.low < 2.0 else 0.1
    return covariate_label(covariate), unit, covariate.low, covariate.high, step


def _controls(drug: Drug) -> list[Any]:
    values = _defaults(drug)
    given = [_slider(name, *parts, values[name]) for name, parts in _regimen_ranges(drug).items()]
    following = [_slider(name, *parts, values[name]) for name, parts in _next_ranges(drug).items()]
    person = [
        dbc.Switch(id={"type": _CONTROL, "name": each.name}, label=covariate_label(each), value=bool(each.default))
        if each.is_switch
        else _slider(each.name, *_covariate_range(each), each.default)
        for each in drug.covariates
    ]
    return [
        html.H2("Given so far", className="controls-head"),
        *given,
        *([html.H2("Person", className="controls-head"), *person] if person else []),
        html.H2("Measured levels", className="controls-head"),
        html.P("Hours since the first dose. Write <2 for a level below quantification.", className="tiny muted"),
        html.Div(level_rows(_EMPTY, drug.level_unit), id="dosing-level-rows", className="level-rows"),
        html.Button("Add a level", id="dosing-level-add", className="button", n_clicks=0),
        html.H2("From the next dose on", className="controls-head"),
        *following,
    ]


def _slider(name: str, label: str, unit: str, low: float, high: float, step: float, value: float) -> html.Label:
    """A slider inside its label, because ids of a pattern cannot be named by `for`."""
    kind = _AMOUNT if name.endswith("amount_mg") else _CONTROL
    text = html.Span(f"{value:g} {unit}", id={"type": _TEXT, "name": name, "unit": unit}, className="slider-value")
    return html.Label(
        [
            html.Span([html.Span(label), text], className="slider-head"),
            dcc.Input(id={"type": kind, "name": name}, type="range", min=low, max=high, step=step, value=value),
        ],
        className="field",
    )


# --- results ----------------------------------------------------------------------------------------------------------


def _results(services: Services, drug: Drug, display: Display) -> list[Any]:
    view = view_of(services.dosing, _case(drug, _defaults(drug), _EMPTY))
    advice = advice_of(view, _step_mg(drug))
    figure = concentration_figure(view, display.screen())
    plot = card(
        html.Div(id="dosing-message"),
        dcc.Store(id="dosing-paint", data=_paint(view)),
        graph("dosing-graph", figure, f"Concentration of {drug.title}", "graph-dosing"),
        html.Div(_legend(view), id="dosing-legend", className="stack-tight"),
        class_name="stack-tight plot-card first-when-narrow",
    )
    exposures = card(
        html.H2("People with these covariates, in the last interval of what was given"),
        html.Div(_exposures(view), id="dosing-exposures", className="metrics"),
    )
    answers = html.Div(_advised(view, advice), id="dosing-advice", className="stack", **aria(live="polite"))
    return [plot, answers, exposures, _report(), _sources(drug)]


def _advised(view: CaseView, advice: Advice) -> list[Any]:
    ranked = [[each.candidate.amount_mg, each.candidate.interval_h] for each in best_of_each_interval(advice.ranked)]
    return [dcc.Store(id="dosing-ranked", data=ranked), *advice_cards(view, advice)]


def _paint(view: CaseView) -> dict[str, Any]:
    return paint_of(view, _largest_mg(view.case.drug))


def _legend(view: CaseView) -> list[Any]:
    target = view.case.drug.target
    marks = [("dash", "var(--muted)", "the study's usual people: middle and 90 %")]
    if view.has_levels:
        marks += [
            ("dash", "var(--insulin)", "before the levels: people with these covariates, middle and 90 %"),
            ("band", "var(--accent)", "this person after the levels: 50 and 90 %"),
            ("line", "var(--accent)", "middle of them"),
            ("dot", "var(--ink)", "measured level, with its residual"),
        ]
    else:
        marks += [
            ("line", "var(--insulin)", "middle of people with these covariates"),
            ("band", "var(--insulin)", "where 50 and 90 % of them are"),
        ]
    marks += [
        ("line", "var(--what-if)", "the regimen from the next dose on, 50 and 90 %"),
        ("up", "var(--carbs)", "dose"),
    ]
    if isinstance(target, TargetBand):
        as_mean = ", drawn as the mean concentration of a day" if target.exposure is Exposure.AUC24 else ""
        marks.append(("band", "var(--target)", f"target: {target_words(view.case.drug)}{as_mean}"))
    if view.has_levels:
        words = (
            "The filled bands are uncertainty about this person, what the levels leave open; the broken lines are "
            "variability between people. Neither holds the scatter of the assay."
        )
    else:
        words = (
            f"The bands are {view.a_priori.band_label}, from {view.a_priori.n_people:,} simulated people. They are not "
            "the uncertainty about one person: no level has been entered yet."
        )
    return [legend(marks), html.P(words, className="muted tiny")]


def _exposures(view: CaseView) -> list[Any]:
    drug, curves = view.case.drug, view.a_priori
    scale = drug.levels_per_mg_l
    shown = [
        metric(
            EXPOSURES[each],
            f"{written(spread.typical * scale)} {exposure_unit(drug, each)}",
            f"90 % of people: {written(spread.p05 * scale)} to {written(spread.p95 * scale)}",
        )
        for each, spread in curves.exposures.items()
    ]
    if curves.in_target_percent is None:
        return [*shown, metric("Target", "none", "" if isinstance(drug.target, TargetBand) else drug.target.reason)]
    share = curves.in_target_percent / 100.0
    reach = 164.5 * (share * (1.0 - share) / curves.n_people) ** 0.5
    note = f"{target_words(drug)}; simulation error ±{reach:.0f} points"
    return [*shown, metric("In the target band", f"{curves.in_target_percent:.0f} % of people", note)]


def _report() -> html.Section:
    return card(
        html.H2("Report"),
        html.P("Curves, regimens with their risk, parameters, sources, and what this is not for.", className="small"),
        html.Div(
            [
                html.Button("PDF, one page", id="dosing-pdf", className="button", n_clicks=0),
                html.Button("CSV", id="dosing-csv", className="button", n_clicks=0),
            ],
            className="row-start",
        ),
        html.Div(id="dosing-report-message"),
        class_name="stack-tight",
    )


def _sources(drug: Drug) -> html.Section:
    rows: Sequence[Sequence[str]] = [
        (each.meaning, written(each.value) if each.unit == "1" else f"{written(each.value)} {each.unit}", each.source)
        for each in drug.typical
    ]
    target = drug.target.source if isinstance(drug.target, TargetBand) else drug.target.reason
    return card(
        html.H2("Where the numbers come from"),
        *([] if drug.verified else [notice(f"Not checked in the paper itself. {drug.note}", "amber")]),
        html.P(f"Population: {drug.population.rstrip('.')}. Target: {target.rstrip('.')}.", className="small"),
        html.Details(
            [
                html.Summary("Typical values and references"),
                figures_table("Typical values at the reference covariates", ("Parameter", "Value", "Source"), rows),
                html.Ul([html.Li(reference) for reference in drug.references], className="tiny"),
            ]
        ),
        class_name="stack-tight",
    )


PAGE = Page(path="/dosing", title="Dosing", layout=layout, register=register)
