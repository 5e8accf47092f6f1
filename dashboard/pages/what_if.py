"""`/what-if`: move a slider, see the curve move; let go, see the exact model and how far the preview was off."""

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from dashboard.components.basics import aria, card, figures_table, graph, legend, notice, page_head, slider
from dashboard.figures.glucose import what_if_figure
from dashboard.shell import Page, display_of
from dashboard.theme.display import Display
from dashboard.theme.plots import Figure
from twin_core.domain.forecasts import ForecastStatus
from twin_core.domain.units import GlucoseUnit, glucose_text, in_unit
from twin_core.services.application import Services
from twin_core.services.what_if import LIMITS, Outcome, OutcomeUnit, Plan, WhatIfAnswer

_SLIDERS = tuple(f"plan-{name}" for name in LIMITS)


def layout(services: Services, display: Display, person_id: str) -> html.Div:
    """The page with the answer for the plan that does nothing."""
    answer = services.what_if.answer(services.viewer, person_id, Plan())
    if answer.baseline.status is not ForecastStatus.OK:
        reason = notice(f"No what-if is possible now: {answer.baseline.reason}", "amber")
        return html.Div([page_head("What if", "Try an action before anyone acts."), reason], className="stack")
    return html.Div(
        [
            dcc.Store(id="plan-person", data=person_id),
            dcc.Store(id="plan-preview", data=_preview(answer, display)),
            dcc.Store(id="plan-settled"),
            dcc.Store(id="plan-painted"),
            page_head("What if", "Try an action before anyone acts: move a slider, then let go."),
            html.Div([_sliders(answer), _results(answer, display)], className="split-left"),
        ],
        className="stack",
    )


def register(app: Dash, services: Services) -> None:
    """The page's callbacks: the preview runs in the browser, the exact model on the server."""
    app.clientside_callback(
        ClientsideFunction("whatIf", "preview"),
        Output("plan-painted", "data"),
        [Input(slider_id, "value") for slider_id in _SLIDERS],
        State("plan-preview", "data"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("what-if-graph", "figure"),
        Output("what-if-outcomes", "children"),
        Output("plan-gap", "children"),
        Output("plan-preview", "data"),
        Input("plan-settled", "data"),
        Input("unit", "data"),
        Input("mode", "data"),
        State("plan-person", "data"),
        *(State(slider_id, "value") for slider_id in _SLIDERS),
        prevent_initial_call=True,
    )
    def settle(settled: dict[str, Any] | None, unit: str, mode: str, person_id: str, *values: float) -> Any:
        display = display_of(mode, unit)
        plan = Plan(**dict(zip(LIMITS, map(float, values), strict=True)))
        answer = services.what_if.answer(services.viewer, person_id, plan)
        if answer.baseline.status is not ForecastStatus.OK:
            return no_update, no_update, f"No what-if is possible now: {answer.baseline.reason}", no_update
        gap = _gap_words((settled or {}).get("preview"), answer, display)
        return _figure(answer, display), _outcomes(answer, display), gap, _preview(answer, display)


def _sliders(answer: WhatIfAnswer) -> html.Section:
    fixed = "" if answer.basal_can_change else "Long-acting insulin that is injected cannot be changed any more."
    fields = [
        slider(
            f"plan-{name}",
            limit.label,
            low=limit.low,
            high=limit.high,
            step=limit.step,
            value=limit.rest,
            unit=limit.unit,
            why_fixed=fixed if name == "basal_percent" else "",
        )
        for name, limit in LIMITS.items()
    ]
    return card(
        html.H2("The plan"),
        *fields,
        html.P(answer.twin_sentence, className="muted tiny"),
        class_name="stack",
        **aria(label="The plan"),
    )


def _results(answer: WhatIfAnswer, display: Display) -> html.Div:
    marks = [
        ("dot", "var(--ink)", "measured"),
        ("dash", "var(--accent)", "forecast without the plan"),
        ("band", "var(--accent)", "90 % interval without"),
        ("line", "var(--what-if)", "with the plan (exact model)"),
        ("band", "var(--what-if)", "90 % interval with"),
        ("dots", "var(--what-if)", "preview while dragging"),
    ]
    plot = card(
        graph("what-if-graph", _figure(answer, display), "Forecast with and without the plan", "graph-what-if"),
        legend(marks),
        html.P("Move a slider: the dotted preview follows at once.", id="plan-gap", className="small", role="status"),
        class_name="stack-tight plot-card first-when-narrow",
    )
    return html.Div(
        [plot, card(html.Div(_outcomes(answer, display), id="what-if-outcomes"))], className="stack results"
    )


def _figure(answer: WhatIfAnswer, display: Display) -> Figure:
    screen = display.screen(answer.history.utc_offset_min)
    return what_if_figure(answer.history, answer.baseline, answer.now_min, answer.quantiles_mg_dl, screen)


def _preview(answer: WhatIfAnswer, display: Display) -> dict[str, Any]:
    """What the browser needs to draw a preview without the server (see assets/what_if.js)."""
    digits = 1
    return {
        "baseline": [round(float(v), digits) for v in answer.baseline.median_mg_dl],
        "carbsNodes": list(answer.preview.carbs_nodes_g),
        "bolusNodes": list(answer.preview.bolus_nodes_u),
        "basalNodes": list(answer.preview.basal_nodes_percent),
        "joint": answer.preview.joint_mg_dl.round(digits).tolist(),
        "basal": answer.preview.basal_mg_dl.round(digits).tolist(),
        "mealAt": answer.plan.carbs_in_min,
        "bolusAt": answer.plan.bolus_in_min,
        "perUnit": in_unit(1.0, display.unit),
    }


def _gap_words(preview_mg_dl: list[float] | None, answer: WhatIfAnswer, display: Display) -> str:
    if not preview_mg_dl:
        return "Move a slider: the dotted preview follows at once."
    gap = answer.largest_gap_mg_dl(preview_mg_dl)
    digits = 0 if display.unit is GlucoseUnit.MG_DL else 1
    shown = f"{in_unit(gap, display.unit):.{digits}f} {display.unit.value}"
    return f"Exact model shown. The preview was at most {shown} away from it."


def _outcomes(answer: WhatIfAnswer, display: Display) -> html.Div:
    head = ("Next 4 hours", "Without", "With the plan", "Difference (90 % interval)")
    rows = [_outcome_row(outcome, display.unit) for outcome in answer.outcomes]
    return figures_table("Outcomes over the same draws for both, so that the difference is paired", head, rows)


def _outcome_row(outcome: Outcome, unit: GlucoseUnit) -> tuple[str, ...]:
    levels = (glucose_text(level, unit) for level in outcome.levels_mg_dl)
    label = outcome.label.format(*levels) + (f" {unit.value}" if outcome.levels_mg_dl else "")
    if outcome.unit is OutcomeUnit.GLUCOSE:
        digits = 0 if unit is GlucoseUnit.MG_DL else 1
        shown = [f"{glucose_text(value, unit)} {unit.value}" for value in (outcome.without, outcome.with_plan)]
        changes = (outcome.change, outcome.change_low, outcome.change_high)
        middle, low, high = (_signed(in_unit(value, unit), digits) for value in changes)
        return label, *shown, f"{middle} ({low} to {high}) {unit.value}"
    shown = [f"{value:.0f} %" for value in (outcome.without, outcome.with_plan)]
    middle, low, high = (_signed(value, 0) for value in (outcome.change, outcome.change_low, outcome.change_high))
    return label, *shown, f"{middle} ({low} to {high}) points"


def _signed(value: float, digits: int) -> str:
    """A number with its sign; what rounds to nothing is 0, not +0."""
    return f"{value:+.{digits}f}" if round(value, digits) else "0"


PAGE = Page(path="/what-if", title="What if", layout=layout, register=register)
