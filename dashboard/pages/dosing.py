"""`/dosing`: what a regimen does, for a typical person and across people with the same covariates."""

from collections.abc import Mapping, Sequence
from typing import Any

import dash_bootstrap_components as dbc
import numpy as np
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from dashboard.components.basics import card, figures_table, graph, legend, metric, notice, page_head, select
from dashboard.figures.pk import concentration_figure
from dashboard.shell import Page, display_of
from dashboard.theme.display import Display
from dashboard.theme.plots import Figure
from twin_core.domain.drugs import Dose, Drug, Exposure, Route, TargetBand
from twin_core.domain.errors import BiotwinError
from twin_core.services.application import Services
from twin_core.services.dosing import PopulationCurves, Spread

N_TIMES = 241
_CONTROL = "dosing-control"
_EXPOSURES = {
    Exposure.AUC24: ("AUC over 24 h", "mg h/L"),
    Exposure.PEAK: ("Peak", "mg/L"),
    Exposure.TROUGH: ("Trough", "mg/L"),
}


def layout(services: Services, display: Display, _: str) -> html.Div:
    """The page with the first drug and its first regimen."""
    drugs = services.dosing.drugs
    drug = drugs[0]
    values = _defaults(drug)
    return html.Div(
        [
            page_head("Dosing", "What a regimen does, and how much people with the same covariates differ."),
            html.Div(
                [
                    card(
                        select("dosing-drug", "Drug", [(each.name, each.title) for each in drugs], drug.name),
                        html.Div(_controls(drug), id="dosing-controls", className="stack"),
                        class_name="stack",
                    ),
                    html.Div(_results(services, drug, values, display), id="dosing-results", className="stack results"),
                ],
                className="split-left",
            ),
        ],
        className="stack",
    )


def register(app: Dash, services: Services) -> None:
    """The page's callbacks."""

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
        return _controls(drug), _results(services, drug, _defaults(drug), display_of(mode, unit))

    @app.callback(
        Output("dosing-graph", "figure"),
        Output("dosing-exposures", "children"),
        Output("dosing-message", "children"),
        Output({"type": f"{_CONTROL}-text", "name": ALL}, "children"),
        Input({"type": _CONTROL, "name": ALL}, "value"),
        Input("mode", "data"),
        State({"type": _CONTROL, "name": ALL}, "id"),
        State("dosing-drug", "value"),
        prevent_initial_call=True,
    )
    def follow(values: list[Any], mode: str, ids: list[dict[str, str]], name: str) -> Any:
        drug = services.dosing.drug(name)
        chosen = {part["name"]: _number(value) for part, value in zip(ids, values, strict=True)}
        texts = [_text(drug, part["id"]["name"], chosen) for part in ctx.outputs_list[3]]
        try:
            curves, doses = _predict(services, drug, chosen)
        except BiotwinError as error:
            return no_update, no_update, notice(str(error), "red"), texts
        return _figure(curves, doses, display_of(mode, None)), _exposures(drug, curves), "", texts


def _number(value: Any) -> float:
    """A slider's number, or 1 and 0 for a switch."""
    return float(bool(value)) if isinstance(value, bool | list) else float(value)


def _regimen(drug: Drug) -> Dose:
    return drug.regimens[0].doses[0]


def _defaults(drug: Drug) -> dict[str, float]:
    """The first regimen and the default covariates, by control."""
    dose = _regimen(drug)
    regimen = {"amount_mg": dose.amount_mg, "interval_h": dose.interval_h or 24.0, "n_doses": dose.additional + 1.0}
    duration = {"duration_h": dose.duration_h} if dose.route is Route.IV_INFUSION else {}
    return regimen | duration | {covariate.name: covariate.default for covariate in drug.covariates}


def _ranges(drug: Drug) -> dict[str, tuple[str, str, float, float, float]]:
    """Label, unit, lowest, highest and step of every slider."""
    dose = _regimen(drug)
    step_mg = 50.0 if dose.amount_mg >= 500.0 else 10.0 if dose.amount_mg >= 100.0 else 5.0
    ranges = {
        "amount_mg": ("Dose", "mg", step_mg, min(4.0 * dose.amount_mg, drug.largest_dose_mg), step_mg),
        "interval_h": ("Every", "h", 4.0, 48.0, 1.0),
        "n_doses": ("Number of doses", "", 1.0, 20.0, 1.0),
    }
    if dose.route is Route.IV_INFUSION:
        ranges["duration_h"] = ("Infused over", "h", 0.5, 4.0, 0.5)
    for each in drug.covariates:
        if not each.is_switch:
            label = each.name.rsplit("_", each.unit.count("/") + 1)[0].replace("_", " ").capitalize()
            ranges[each.name] = (label, each.unit, each.low, each.high, 1.0)
    return ranges


def _controls(drug: Drug) -> list[Any]:
    values = _defaults(drug)
    sliders = [
        _slider(name, label, unit, low, high, step, values[name])
        for name, (label, unit, low, high, step) in _ranges(drug).items()
    ]
    switches = [
        dbc.Switch(
            id={"type": _CONTROL, "name": each.name},
            label=each.name.replace("_", " ").capitalize(),
            value=bool(each.default),
        )
        for each in drug.covariates
        if each.is_switch
    ]
    return [*sliders, *switches]


def _slider(name: str, label: str, unit: str, low: float, high: float, step: float, value: float) -> html.Label:
    """A slider inside its label, because ids of a pattern cannot be named by `for`."""
    text = html.Span(f"{value:g} {unit}", id={"type": f"{_CONTROL}-text", "name": name}, className="slider-value")
    return html.Label(
        [
            html.Span([html.Span(label), text], className="slider-head"),
            dcc.Input(id={"type": _CONTROL, "name": name}, type="range", min=low, max=high, step=step, value=value),
        ],
        className="field",
    )


def _text(drug: Drug, name: str, values: Mapping[str, float]) -> str:
    return f"{values[name]:g} {_ranges(drug)[name][1]}"


def _predict(services: Services, drug: Drug, values: Mapping[str, float]) -> tuple[PopulationCurves, Dose]:
    route = _regimen(drug).route
    dose = Dose(
        time_h=0.0,
        amount_mg=values["amount_mg"],
        route=route,
        duration_h=values.get("duration_h", 0.0),
        interval_h=values["interval_h"],
        additional=int(values["n_doses"]) - 1,
    )
    times = np.linspace(0.0, max(values["n_doses"] * values["interval_h"], 24.0), N_TIMES)
    covariates = {each.name: values[each.name] for each in drug.covariates}
    return services.dosing.predict(drug, covariates, (dose,), times), dose


def _results(services: Services, drug: Drug, values: Mapping[str, float], display: Display) -> list[Any]:
    curves, dose = _predict(services, drug, values)
    marks = [
        ("line", "var(--accent)", "typical person with these covariates"),
        ("dots", "var(--insulin)", "middle of people"),
        ("band", "var(--insulin)", "where 50 and 90 % of people are"),
    ]
    plot = card(
        html.Div(id="dosing-message"),
        graph("dosing-graph", _figure(curves, dose, display), f"Concentration of {drug.title}", "graph-dosing"),
        legend(marks),
        html.P(
            f"The bands are {curves.band_label}, from {curves.n_people:,} simulated people. They are not the "
            "uncertainty about one person: no level has been measured here yet.",
            className="muted tiny",
        ),
        class_name="stack-tight plot-card first-when-narrow",
    )
    exposures = card(
        html.H2("In the last dosing interval"),
        html.Div(_exposures(drug, curves), id="dosing-exposures", className="metrics"),
    )
    return [plot, exposures, _sources(drug)]


def _figure(curves: PopulationCurves, dose: Dose, display: Display) -> Figure:
    return concentration_figure(
        curves.times_h, curves.typical_mg_l, curves.percentiles_mg_l, dose.times_h, display.screen()
    )


def _exposures(drug: Drug, curves: PopulationCurves) -> list[Any]:
    shown = [_exposure(*_EXPOSURES[each], spread) for each, spread in curves.exposures.items()]
    target = drug.target
    if not isinstance(target, TargetBand) or curves.in_target_percent is None:
        reason = "" if isinstance(target, TargetBand) else target.reason
        return [*shown, metric("Target", "none", reason)]
    label, unit = _EXPOSURES[target.exposure]
    reach = 164.5 * (curves.in_target_percent / 100 * (1 - curves.in_target_percent / 100) / curves.n_people) ** 0.5
    share = f"{curves.in_target_percent:.0f} % of people"
    note = f"{label} of {target.low:g} to {target.high:g} {unit}; simulation error ±{reach:.0f} points"
    return [*shown, metric("In the target band", share, note)]


def _exposure(label: str, unit: str, spread: Spread) -> html.Div:
    return metric(label, f"{spread.typical:.3g} {unit}", f"90 % of people: {spread.p05:.3g} to {spread.p95:.3g}")


def _sources(drug: Drug) -> html.Section:
    rows: Sequence[Sequence[str]] = [
        (f"{each.meaning}", f"{each.value:g} {each.unit}", each.source) for each in drug.typical
    ]
    target = drug.target.source if isinstance(drug.target, TargetBand) else drug.target.reason
    return card(
        html.H2("Where the numbers come from"),
        *([] if drug.verified else [notice(f"Not checked in the paper itself. {drug.note}", "amber")]),
        html.P(f"Population: {drug.population}. Target: {target}.", className="small"),
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
