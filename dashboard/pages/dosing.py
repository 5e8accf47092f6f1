"""`/dosing`: a drug's model, a person's levels, what the regimen did and what the next one would do."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import floor, log10
from typing import Any

import dash_bootstrap_components as dbc
from dash import ALL, ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.exceptions import PreventUpdate

from dashboard.components.basics import aria, card, figures_table, graph, legend, metric, notice, page_head, select
from dashboard.components.dosing_advice import EXPOSURES, TRY, advice_cards, target_words
from dashboard.components.dosing_levels import (
    CELL,
    DOSE_CELL,
    DOSE_NOTE,
    DOSE_REMOVE,
    MOST_ROWS,
    NOTE,
    REMOVE,
    dose_rows,
    level_rows,
)
from dashboard.figures.pk import concentration_figure, paint_of
from dashboard.shell import Page, display_of
from dashboard.theme.display import Display
from twin_core.domain.dosing import Candidate
from twin_core.domain.drugs import Covariate, Dose, Drug, Exposure, Route, TargetBand
from twin_core.domain.errors import BiotwinError
from twin_core.services.application import Services
from twin_core.services.dosing_case import (
    Advice,
    Case,
    CaseView,
    DoseRow,
    LevelRow,
    advice_of,
    exposure_unit,
    view_of,
    written,
)
from twin_core.services.dosing_report import best_of_each_interval, csv_of, pdf_of

_CONTROL, _AMOUNT, _TEXT = "dosing-control", "dosing-amount", "dosing-text"
_COVARIATE_NOTE = "dosing-covariate-note"
_AVERAGE = "average"
_STORES = ("dragged", "asked", "answered", "settled", "edited", "seen-drag", "seen-move", "seen-answer", "now")
_NO_LEVEL = LevelRow(time="", level="")
_NO_DOSE = DoseRow(time="", amount="")
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
            *(dcc.Store(id=f"dosing-{name}") for name in _STORES),
            dcc.Download(id="dosing-file"),
            page_head(
                "Dosing", "What a regimen does, what levels tell of this person, and what the next dose would do."
            ),
            html.Div(
                [
                    card(
                        select("dosing-drug", "Drug", [(each.name, each.title) for each in drugs], drug.name),
                        _clock(),
                        html.Div(_controls(services, drug), id="dosing-controls", className="stack"),
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


def _shown(name: str, drug: Any = ALL) -> dict[str, Any]:
    """The id of a part of the results: it names its drug, so that a late answer for another drug finds no place."""
    return {"type": f"dosing-{name}", "drug": drug}


def _part(kind: str) -> dict[str, Any]:
    """All controls or cells of a kind."""
    keys = {CELL: ("row", "column"), DOSE_CELL: ("row", "column"), NOTE: ("row",), DOSE_NOTE: ("row",)}
    return {"type": kind, "drug": ALL} | dict.fromkeys(keys.get(kind, ("name",)), ALL)


_KINDS = (_CONTROL, _AMOUNT, CELL, DOSE_CELL)
_VALUES = (*(State(_part(kind), "value") for kind in _KINDS), *(State(_part(kind), "id") for kind in _KINDS))
_NOW = State("dosing-now", "data")


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
        return _controls(services, drug), _results(services, drug, display_of(mode, unit))

    @app.callback(
        Output(_shown("graph"), "figure"),
        Output(_shown("paint"), "data"),
        Output(_shown("legend"), "children"),
        Output(_shown("exposures"), "children"),
        Output(_shown("message"), "children"),
        Output(_part(NOTE), "children"),
        Output(_part(DOSE_NOTE), "children"),
        Output(_part(_COVARIATE_NOTE), "children"),
        Output("dosing-answered", "data"),
        Input("dosing-asked", "data"),
        State("mode", "data"),
        _NOW,
        *_VALUES,
        prevent_initial_call=True,
    )
    def follow(asked: int, mode: str, now_h: float | None, *values: Any) -> Any:
        *parts, _ = ctx.outputs_list
        try:
            return *_followed(services, parts, mode, now_h, values), asked
        except PreventUpdate:  # the form of another drug is coming; the browser waits for an answer all the same
            return *([no_update] * len(part) for part in parts), asked


def _followed(services: Services, parts: Sequence[Any], mode: str, now_h: float | None, values: Sequence[Any]) -> Any:
    """What the outputs of `follow` show of the entries."""
    case = _case_of(services, now_h, *values)
    if [part["id"]["drug"] for part in parts[0]] != [case.drug.name]:
        raise PreventUpdate
    rows, dose_lines, covariates = parts[5], parts[6], parts[7]
    try:
        view = view_of(services.dosing, case)
    except BiotwinError as error:
        kept = [[no_update] * len(part) for part in parts]
        return (*kept[:4], [notice(str(error), "red")], *kept[5:])
    return (
        [concentration_figure(view, display_of(mode, None).screen())],
        [_paint(view)],
        [_legend(view)],
        [_exposures(view)],
        [_flags(view)],
        _notes([row.note for row in view.read], len(rows)),
        _notes([row.note for row in view.read_doses], len(dose_lines)),
        [view.covariate_notes.get(part["id"]["name"], "") for part in covariates],
    )


def _notes(said: list[str], count: int) -> list[str]:
    return [*said, *[""] * count][:count]


def _flags(view: CaseView) -> list[Any]:
    return [notice(note, "amber") for note in view.notes]


def _register_levels(app: Dash, services: Services) -> None:
    @app.callback(
        Output(_shown("level-rows"), "children"),
        Output(_shown("dose-rows"), "children"),
        Output("dosing-edited", "data"),
        Input(_shown("level-add"), "n_clicks"),
        Input(_shown("dose-add"), "n_clicks"),
        Input({"type": REMOVE, "drug": ALL, "row": ALL}, "n_clicks"),
        Input({"type": DOSE_REMOVE, "drug": ALL, "row": ALL}, "n_clicks"),
        State("dosing-edited", "data"),
        *_VALUES,
        prevent_initial_call=True,
    )
    def edit_rows(*given: Any) -> Any:
        pressed = ctx.triggered_id
        if not pressed or not any(part["value"] for part in ctx.triggered):
            raise PreventUpdate
        edits, case = given[4], _case_of(services, None, *given[5:])
        rows, doses = list(case.rows), list(case.dose_rows)
        kind = pressed["type"]
        if kind == "dosing-level-add":
            rows = [*rows, _NO_LEVEL][:MOST_ROWS]
        elif kind == "dosing-dose-add":
            doses = [*doses, _NO_DOSE][:MOST_ROWS]
        elif kind == REMOVE:
            del rows[pressed["row"]]
        else:
            del doses[pressed["row"]]
        changed_levels = kind in ("dosing-level-add", REMOVE)
        levels_out = level_rows(rows, case.drug) if changed_levels else no_update
        doses_out = no_update if changed_levels else dose_rows(doses, case.drug)
        return [levels_out], [doses_out], (edits or 0) + 1

    @app.callback(
        Output({"type": _AMOUNT, "drug": ALL, "name": "next_amount_mg"}, "value"),
        Output({"type": _CONTROL, "drug": ALL, "name": "next_interval_h"}, "value"),
        Input({"type": TRY, "row": ALL}, "n_clicks"),
        State("dosing-ranked", "data"),
        prevent_initial_call=True,
    )
    def try_regimen(clicks: list[Any], ranked: list[list[float]]) -> Any:
        if not any(clicks) or not ctx.triggered_id:
            raise PreventUpdate
        amount_mg, interval_h = ranked[ctx.triggered_id["row"]]
        return [amount_mg], [interval_h]


def _register_advice(app: Dash, services: Services) -> None:
    @app.callback(
        Output(_shown("advice"), "children"),
        Input("dosing-settled", "data"),
        _NOW,
        *_VALUES,
        prevent_initial_call=True,
    )
    def advise(_: Any, now_h: float | None, *values: Any) -> Any:
        case = _case_of(services, now_h, *values)
        if [part["id"]["drug"] for part in ctx.outputs_list] != [case.drug.name]:
            raise PreventUpdate
        try:
            view = view_of(services.dosing, case)
            return [_advised(view, advice_of(view, _step_mg(case.drug)))]
        except BiotwinError as error:
            return [[notice(f"No advice for these entries. {error}", "amber")]]

    @app.callback(
        Output("dosing-file", "data"),
        Output("dosing-report-message", "children"),
        Input("dosing-pdf", "n_clicks"),
        Input("dosing-csv", "n_clicks"),
        _NOW,
        *_VALUES,
        prevent_initial_call=True,
    )
    def download(_: Any, __: Any, now_h: float | None, *values: Any) -> Any:
        if not any(part["value"] for part in ctx.triggered):
            raise PreventUpdate
        case = _case_of(services, now_h, *values)
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
    amounts, controls = Input(_part(_AMOUNT), "value"), Input(_part(_CONTROL), "value")
    app.clientside_callback(
        ClientsideFunction("dosing", "drag"),
        Output("dosing-seen-drag", "data"),
        amounts,
        Input(_shown("paint"), "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("dosing", "moved"),
        Output("dosing-seen-move", "data"),
        amounts,
        controls,
        Input(_part(CELL), "value"),
        Input(_part(DOSE_CELL), "value"),
        Input("dosing-dragged", "data"),
        Input("dosing-edited", "data"),
        Input("dosing-now", "data"),
        Input("mode", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("dosing", "answered"),
        Output("dosing-seen-answer", "data"),
        Input("dosing-answered", "data"),
    )
    app.clientside_callback(
        ClientsideFunction("dosing", "texts"),
        Output({"type": _TEXT, "drug": ALL, "name": ALL, "unit": ALL}, "children"),
        amounts,
        controls,
    )
    app.clientside_callback(
        ClientsideFunction("dosing", "since"),
        Output("dosing-now", "data"),
        Output("dosing-first-note", "children"),
        Input("dosing-first", "value"),
        prevent_initial_call=True,
    )


# --- what was entered -------------------------------------------------------------------------------------------------


def _number(value: Any) -> float:
    """A number that was entered, NaN where there is none, or 1 and 0 for a switch."""
    if isinstance(value, bool | list):
        return float(bool(value))
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _cells(values: Sequence[Any], ids: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Typed text by column, row by row."""
    rows: dict[int, dict[str, str]] = {}
    for value, place in zip(values, ids, strict=True):
        rows.setdefault(place["row"], {})[place["column"]] = str(value or "")
    return [rows[row] for row in sorted(rows)]


def _case_of(services: Services, now_h: float | None, *parts: list[Any]) -> Case:
    """The case in the form; while the form of one drug makes way for another's there is none."""
    (controls, amounts, cells, doses), (control_ids, amount_ids, cell_ids, dose_ids) = parts[:4], parts[4:]
    ids, values = [*control_ids, *amount_ids], [*controls, *amounts]
    names = {part["drug"] for part in (*ids, *cell_ids, *dose_ids)}
    if len(names) != 1:
        raise PreventUpdate
    drug = services.dosing.drug(names.pop())
    chosen = {part["name"]: _number(value) for part, value in zip(ids, values, strict=True)}
    rows = tuple(LevelRow(**row) for row in _cells(cells, cell_ids))
    dose_lines = tuple(DoseRow(**row) for row in _cells(doses, dose_ids))
    return replace(_case(services, drug, chosen), rows=rows, dose_rows=dose_lines, now_h=now_h)


def _case(services: Services, drug: Drug, values: Mapping[str, float]) -> Case:
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
    others = _others(services, drug)
    return Case(
        drug=drug,
        covariates={each.name: values[each.name] for each in (*drug.covariates, *_more_covariates(drug, others))},
        given=given,
        rows=(_NO_LEVEL,),
        following=following,
        others=others if values.get(_AVERAGE) else (),
    )


def _others(services: Services, drug: Drug) -> tuple[Drug, ...]:
    """Further models of the same drug that know its route and aim at the same target."""
    same = [each for each in services.dosing.models_of(drug.of_substance) if each is not drug]
    return tuple(each for each in same if _regimen(drug).route in each.routes and isinstance(drug.target, TargetBand))


def _more_covariates(drug: Drug, others: Sequence[Drug]) -> list[Covariate]:
    """Covariates that only the other models know."""
    known = {each.name for each in drug.covariates}
    found = {each.name: each for other in others for each in other.covariates if each.name not in known}
    return list(found.values())


def _regimen(drug: Drug) -> Dose:
    return drug.regimens[0].doses[0]


def _defaults(services: Services, drug: Drug) -> dict[str, float]:
    """The first regimen, again from the next dose on, and the default covariates, by control."""
    dose = _regimen(drug)
    interval_h = dose.interval_h or 24.0
    given = {"amount_mg": dose.amount_mg, "interval_h": interval_h, "n_doses": dose.additional + 1.0}
    duration = {"duration_h": dose.duration_h} if dose.route is Route.IV_INFUSION else {}
    following = {"next_amount_mg": dose.amount_mg, "next_interval_h": interval_h}
    others = _others(services, drug)
    covariates = (*drug.covariates, *_more_covariates(drug, others))
    average = {_AVERAGE: 1.0} if others else {}
    return given | duration | following | {each.name: each.default for each in covariates} | average


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
    return float(floor(min(8.0 * _regimen(drug).amount_mg, drug.largest_dose_mg) / step_mg + 1e-9) * step_mg)


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


def _controls(services: Services, drug: Drug) -> list[Any]:
    values = _defaults(services, drug)
    others = _others(services, drug)
    given = [_slider(drug, name, *parts, values[name]) for name, parts in _regimen_ranges(drug).items()]
    following = [_slider(drug, name, *parts, values[name]) for name, parts in _next_ranges(drug).items()]
    person = [_covariate(drug, each) for each in (*drug.covariates, *_more_covariates(drug, others))]
    average = [
        dbc.Switch(
            id={"type": _CONTROL, "drug": drug.name, "name": _AVERAGE},
            label=f"Average with: {', '.join(each.title for each in others)}",
            value=True,
        )
    ]
    return [
        html.H2("Given so far", className="controls-head"),
        *given,
        html.P(
            "Further doses: a loading or extra dose has no interval; with one the regimen changes from then on.",
            className="tiny muted",
        ),
        html.Div(dose_rows((), drug), id=_shown("dose-rows", drug.name), className="level-rows"),
        html.Button("Add a dose or change", id=_shown("dose-add", drug.name), className="button", n_clicks=0),
        *([html.H2("Person", className="controls-head"), *person] if person else []),
        *(average if others else []),
        html.H2("Measured levels", className="controls-head"),
        html.P(
            f"Hours since the first dose; levels in {drug.level_unit}, or with the unit behind the number. "
            "Write <2 for a level below quantification.",
            className="tiny muted",
        ),
        html.Div(level_rows((_NO_LEVEL,), drug), id=_shown("level-rows", drug.name), className="level-rows"),
        html.Button("Add a level", id=_shown("level-add", drug.name), className="button", n_clicks=0),
        html.H2("From the next dose on", className="controls-head"),
        *following,
    ]


def _covariate(drug: Drug, covariate: Covariate) -> html.Div:
    """A switch or a number to type, with the study's range; what is wrong with it stands below."""
    own = {"drug": drug.name, "name": covariate.name}
    label = covariate_label(covariate)
    note = html.Div(id={"type": _COVARIATE_NOTE, **own}, className="level-note", role="status")
    if covariate.is_switch:
        switch = dbc.Switch(id={"type": _CONTROL, **own}, label=label, value=bool(covariate.default))
        return html.Div([switch, note])
    unit = "" if covariate.unit == "1" else f" {covariate.unit}"
    covered = f"study {covariate.low:g} to {covariate.high:g}{unit}"
    typed = dcc.Input(
        id={"type": _CONTROL, **own},
        type="number",
        step="any",
        value=covariate.default,
        debounce=0.3,
    )
    words = html.Span([html.Span(label), html.Span(covered, className="tiny muted")], className="slider-head")
    return html.Div([html.Label([words, typed], className="field covariate"), note])


def _clock() -> html.Div:
    """When the first dose was, in the browser only, and how long until the next one."""
    first = dcc.Input(
        id="dosing-first", type="text", placeholder="2026-01-31 08:00", debounce=True, value="", autoComplete="off"
    )
    return html.Div(
        [
            html.Label([html.Span("First dose given at (your clock; stays here)"), first], className="field covariate"),
            html.Div(id="dosing-first-note", className="level-note", role="status"),
            html.Div(id="dosing-clock", className="dosing-clock", role="timer"),
        ],
        className="stack-tight",
    )


def _slider(
    drug: Drug, name: str, label: str, unit: str, low: float, high: float, step: float, value: float
) -> html.Label:
    """A slider inside its label, because ids of a pattern cannot be named by `for`."""
    kind = _AMOUNT if name.endswith("amount_mg") else _CONTROL
    own = {"drug": drug.name, "name": name}
    text = html.Span(f"{value:g} {unit}", id={"type": _TEXT, **own, "unit": unit}, className="slider-value")
    return html.Label(
        [
            html.Span([html.Span(label), text], className="slider-head"),
            dcc.Input(id={"type": kind, **own}, type="range", min=low, max=high, step=step, value=value),
        ],
        className="field",
    )


# --- results ----------------------------------------------------------------------------------------------------------


def _results(services: Services, drug: Drug, display: Display) -> list[Any]:
    view = view_of(services.dosing, _case(services, drug, _defaults(services, drug)))
    advice = advice_of(view, _step_mg(drug))
    figure = concentration_figure(view, display.screen())

    def part(name: str, children: Any, class_name: str = "", **attributes: Any) -> html.Div:
        return html.Div(
            children, id=_shown(name, drug.name), className=f"dosing-{name} {class_name}".strip(), **attributes
        )

    plot = card(
        part("message", _flags(view)),
        dcc.Store(id=_shown("paint", drug.name), data=_paint(view)),
        html.Div(
            graph(_shown("graph", drug.name), figure, f"Concentration of {drug.title}", "graph-dosing"),
            id="dosing-graph",
        ),
        part("legend", _legend(view), "stack-tight"),
        class_name="stack-tight plot-card first-when-narrow",
    )
    exposures = card(
        html.H2("People with these covariates, in the last interval of what was given"),
        part("exposures", _exposures(view), "metrics"),
    )
    answers = part("advice", _advised(view, advice), "stack", **aria(live="polite"))
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
