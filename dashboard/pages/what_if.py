"""`/what-if`: move a slider, see the curve move; let go, see the exact model; keep up to four plans, compare them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import dash_bootstrap_components as dbc
from dash import ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.exceptions import PreventUpdate

from dashboard.components.basics import (
    aria,
    card,
    disclaimer,
    graph,
    legend,
    notice,
    page_head,
    segmented,
    slider,
)
from dashboard.components.job import job_controls, job_options, progress_to
from dashboard.components.plan_outcomes import difference_text, line_sample, outcomes_of_plans
from dashboard.figures.glucose import what_if_figure
from dashboard.shell import Page, display_of
from dashboard.theme.display import Display
from dashboard.theme.plots import Figure
from twin_core.domain.errors import BiotwinError
from twin_core.domain.forecasts import ForecastStatus
from twin_core.domain.history import instant_of
from twin_core.domain.people import RecordKind
from twin_core.domain.units import GlucoseUnit, glucose_text, in_unit
from twin_core.services.application import Services
from twin_core.services.scenario_plans import SCENARIO_NAMES, NamedPlan
from twin_core.services.twins import STAYS
from twin_core.services.what_if import (
    BASAL_NODES_PERCENT,
    BOLUS_NODES_U,
    CARBS_NODES_G,
    EXERCISE_NODES_MIN,
    EXERCISE_NODES_PERCENT,
    LIMITS,
    Plan,
    SecondAnswer,
    View,
    WhatIfAnswer,
)

PLAYED_POLL_MS = 2000
LIVE_POLL_MS = 15000
_SLIDERS = tuple(f"plan-{name}" for name in LIMITS)
_VIEWS = [(View.FORECAST.value, "4 h: forecast and twin"), (View.TWIN.value, "8 h: twin alone")]
_MOVE = "Move a slider: the dotted preview follows at once."
"""What stands below the graph before anything is moved."""


def layout(services: Services, display: Display, person_id: str) -> html.Div:
    """The page with the answer for the plan that does nothing, and the saved scenarios."""
    kept = services.scenario_plans.of(services.viewer, person_id)
    answer = services.what_if.answer(services.viewer, person_id, Plan(), scenarios=_plans(kept, None))
    speed = services.live.speed(person_id)
    return html.Div(
        [
            dcc.Store(id="plan-person", data=person_id),
            dcc.Store(id="plan-preview", data=_preview(answer, display, 0)),
            dcc.Store(id="plan-settled"),
            dcc.Store(id="plan-painted"),
            dcc.Store(id="plan-tick"),
            dcc.Store(id="plan-moved"),
            dcc.Store(id="scenarios-kept", data=_kept(kept)),
            dcc.Store(id="second-result"),
            dcc.Interval(id="what-if-tick", interval=LIVE_POLL_MS if speed is None else PLAYED_POLL_MS),
            page_head(
                "What if",
                html.Span(_subtitle(answer), id="what-if-subtitle"),
                segmented("what-if-view", "How far to look", _VIEWS, View.FORECAST.value),
            ),
            html.Div([_sliders(answer), _results(answer, display, person_id)], className="split-left"),
        ],
        className="stack",
    )


def register(app: Dash, services: Services) -> None:
    """The page's callbacks: the preview runs in the browser, the exact model on the server."""
    _register_browser(app)
    _register_answer(app, services)
    _register_scenarios(app, services)
    _register_second(app, services)


def _register_browser(app: Dash) -> None:
    app.clientside_callback(
        ClientsideFunction("whatIf", "preview"),
        Output("plan-painted", "data"),
        [Input(slider_id, "value") for slider_id in _SLIDERS],
        State("plan-preview", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("whatIf", "tick"),
        Output("plan-tick", "data"),
        Input("what-if-tick", "n_intervals"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("whatIf", "copy"),
        Output("scenario-message", "children", allow_duplicate=True),
        Input("scenario-copy", "n_clicks"),
        State("scenario-link", "href"),
        prevent_initial_call=True,
    )


def _register_answer(app: Dash, services: Services) -> None:
    @app.callback(
        output={
            "figure": Output("what-if-graph", "figure"),
            "outcomes": Output("what-if-outcomes", "children"),
            "gap": Output("plan-gap", "children"),
            "preview": Output("plan-preview", "data"),
            "second": Output("what-if-second", "children"),
            "subtitle": Output("what-if-subtitle", "children"),
            "alert": Output("what-if-alert", "children"),
        },
        inputs={
            "asked": {
                "settled": Input("plan-settled", "data"),
                "moved": Input("plan-moved", "data"),
                "kept": Input("scenarios-kept", "data"),
                "second": Input("second-result", "data"),
            },
            "view": Input("what-if-view", "value"),
            "unit": Input("unit", "data"),
            "mode": Input("mode", "data"),
            "shown": _shown_inputs(),
        },
        state={
            "person_id": State("plan-person", "data"),
            "before": State("plan-preview", "data"),
            "values": _slider_states(),
        },
        running=[(Output("what-if-tick", "disabled"), True, False)],
        prevent_initial_call=True,
    )
    def answer_plan(
        asked: dict[str, Any],
        view: str,
        unit: str,
        mode: str,
        shown: list[bool],
        person_id: str,
        before: dict[str, Any],
        values: list[float],
    ) -> Any:
        settled = asked["settled"] if asked["settled"] and asked["settled"]["run"] != before["run"] else None
        moved = ctx.triggered_id == "plan-moved" and settled is None
        answer = services.what_if.answer(
            services.viewer,
            person_id,
            _plan_of(values),
            scenarios=_plans(services.scenario_plans.of(services.viewer, person_id), shown),
            view=View(view),
            now_min=None if moved else (settled or before)["now"],
        )
        return _parts(answer, settled, before["run"], display_of(mode, unit))

    @app.callback(
        Output("plan-moved", "data"),
        Input("plan-tick", "data"),
        State("plan-person", "data"),
        State("plan-preview", "data"),
        prevent_initial_call=True,
    )
    def move(_: int, person_id: str, shown: dict[str, Any]) -> str:
        """A callback of its own: a tick that changes nothing must not take the place of an answer on its way."""
        token = services.what_if.token(services.viewer, person_id)
        if token == shown["token"]:
            raise PreventUpdate
        return token


def _parts(answer: WhatIfAnswer, settled: dict[str, Any] | None, run: int, display: Display) -> dict[str, Any]:
    """Everything on the page that follows an answer; the words on a preview stay until there is another one."""
    refused = answer.baseline.status is not ForecastStatus.OK
    gap = no_update if settled is None else _gap_words(settled["preview"], answer, display)
    return {
        "figure": _figure(answer, display),
        "outcomes": outcomes_of_plans(answer, display),
        "gap": _MOVE if refused else gap,
        "preview": _preview(answer, display, run if settled is None else settled["run"]),
        "second": _second_words(answer, display),
        "subtitle": _subtitle(answer),
        "alert": _alert(answer),
    }


def _shown_inputs() -> list[Input]:
    return [Input(f"scenario-{name}-show", "value") for name in SCENARIO_NAMES]


def _slider_states() -> list[State]:
    return [State(slider_id, "value") for slider_id in _SLIDERS]


def _plan_of(values: Sequence[float]) -> Plan:
    """The plan of the sliders' values, in the order of `LIMITS`."""
    return Plan(**dict(zip(LIMITS, map(float, values), strict=True)))


def _register_scenarios(app: Dash, services: Services) -> None:
    _register_keeping(app, services)
    _register_showing(app, services)

    @app.callback(
        output=[Output(slider_id, "value") for slider_id in _SLIDERS],
        inputs={
            "clear": Input("plan-clear", "n_clicks"),
            "load": [Input(f"scenario-{name}-load", "n_clicks") for name in SCENARIO_NAMES],
        },
        state={"person_id": State("plan-person", "data")},
        prevent_initial_call=True,
    )
    def load_plan(clear: int, load: list[int], person_id: str) -> list[float]:  # noqa: ARG001 (which one is in ctx)
        kept = {
            f"scenario-{each.name}-load": each.plan for each in services.scenario_plans.of(services.viewer, person_id)
        }
        plan = kept.get(str(ctx.triggered_id), Plan())
        return [getattr(plan, name) for name in LIMITS]


def _register_keeping(app: Dash, services: Services) -> None:
    @app.callback(
        output=(Output("scenarios-kept", "data"), Output("scenario-message", "children")),
        inputs={
            "save": Input("scenario-save", "n_clicks"),
            "remove": {name: Input(f"scenario-{name}-remove", "n_clicks") for name in SCENARIO_NAMES},
        },
        state={
            "before": State("scenarios-kept", "data"),
            "person_id": State("plan-person", "data"),
            "values": _slider_states(),
        },
        prevent_initial_call=True,
    )
    def keep_or_remove(
        save: int,  # noqa: ARG001 (which one is in ctx)
        remove: dict[str, int],
        before: dict[str, Any],
        person_id: str,
        values: list[float],
    ) -> Any:
        removed = next((name for name in remove if ctx.triggered_id == f"scenario-{name}-remove"), None)
        try:
            if removed is None:
                kept = services.scenario_plans.keep(services.viewer, person_id, _plan_of(values))
                said = f"Kept as scenario {kept.name}."
            else:
                services.scenario_plans.remove(services.viewer, person_id, before[removed]["id"])
                said = f"Scenario {removed} is removed."
        except BiotwinError as error:
            return no_update, str(error)
        return _kept(services.scenario_plans.of(services.viewer, person_id)), said


def _register_showing(app: Dash, services: Services) -> None:
    @app.callback(
        output={
            "hidden": [Output(f"scenario-{name}", "hidden") for name in SCENARIO_NAMES],
            "words": [Output(f"scenario-{name}-words", "children") for name in SCENARIO_NAMES],
            "link": Output("scenario-link", "href"),
            "no_link": Output("scenario-share", "hidden"),
            "some": Output("scenario-none", "hidden"),
        },
        inputs={"kept": Input("scenarios-kept", "data"), "shown": _shown_inputs()},
        state={"person_id": State("plan-person", "data")},
    )
    def list_scenarios(kept: dict[str, Any], shown: list[bool], person_id: str) -> dict[str, Any]:
        chosen = [kept[name]["id"] for name, show in zip(SCENARIO_NAMES, shown, strict=True) if show and name in kept]
        return {
            "hidden": [name not in kept for name in SCENARIO_NAMES],
            "words": [kept[name]["words"] if name in kept else "" for name in SCENARIO_NAMES],
            "link": _link(person_id, chosen),
            "no_link": not chosen,
            "some": bool(kept),
        }

    @app.callback(
        output={
            "shown": [Output(f"scenario-{name}-show", "value") for name in SCENARIO_NAMES],
            "said": Output("scenario-message", "children", allow_duplicate=True),
        },
        inputs={"search": Input("_pages_location", "search")},
        state={"person_id": State("plan-person", "data")},
        prevent_initial_call="initial_duplicate",
    )
    def follow_link(search: str | None, person_id: str) -> dict[str, Any]:
        wanted = _ids_of(search)
        if not wanted:
            raise PreventUpdate
        try:
            chosen = services.scenario_plans.chosen(services.viewer, person_id, wanted)
        except BiotwinError as error:
            return {"shown": [no_update] * len(SCENARIO_NAMES), "said": f"The link does not fit: {error}"}
        names = sorted(each.name for each in chosen)
        return {"shown": [name in names for name in SCENARIO_NAMES], "said": f"The link shows {_listed(names)}."}


def _register_second(app: Dash, services: Services) -> None:
    @app.callback(
        Output("second-result", "data"),
        Output("second-message", "children"),
        Input("second-start", "n_clicks"),
        State("plan-person", "data"),
        **job_options("second"),
    )
    def fit_second(set_progress: Any, clicks: int, person_id: str) -> tuple[dict[str, Any], Any]:
        outcome = services.second.fit(services.viewer, person_id, progress_to(set_progress))
        said = outcome.sentence if outcome.fitted else outcome.sentence.replace(STAYS, "")
        return {"run": clicks}, notice(said, "quiet" if outcome.fitted else "amber")


# --- what stands on the page -----------------------------------------------------------------------------------------


def _subtitle(answer: WhatIfAnswer) -> str:
    local = instant_of(answer.now_min) + timedelta(minutes=answer.history.utc_offset_min)
    moment = f"{local:%A %d %B %Y, %H:%M} ({answer.person.time_zone})"
    seen = {
        RecordKind.RECORDED: "the hours after its last reading",
        RecordKind.PLAYED: "played back, the hours after",
        RecordKind.LIVE: "the hours after",
    }
    return f"{answer.person.label}: {seen[answer.person.record]}, {moment}"


def _alert(answer: WhatIfAnswer) -> Any:
    if answer.baseline.status is ForecastStatus.OK:
        return ""
    return notice(f"No what-if is possible now: {answer.baseline.reason}", "amber")


def _sliders(answer: WhatIfAnswer) -> html.Section:
    fixed = {
        "basal_percent": "" if answer.basal_can_change else "Long-acting insulin once injected cannot be changed.",
        **dict.fromkeys(
            ("exercise_min", "exercise_percent", "exercise_in_min"),
            "" if answer.exercise_can_change else "This twin's equations have no exercise in them.",
        ),
    }
    fields = [
        slider(
            f"plan-{name}",
            limit.label,
            low=limit.low,
            high=limit.high,
            step=limit.step,
            value=limit.rest,
            unit=limit.unit,
            why_fixed=fixed.get(name, ""),
        )
        for name, limit in LIMITS.items()
    ]
    buttons = html.Div(
        [
            html.Button("Save as scenario", id="scenario-save", className="button button-primary", n_clicks=0),
            html.Button("Clear the plan", id="plan-clear", className="button", n_clicks=0),
        ],
        className="row-start",
    )
    message = html.P("", id="scenario-message", className="small", role="status")
    return card(html.H2("The plan"), *fields, buttons, message, class_name="stack", **aria(label="The plan"))


def _results(answer: WhatIfAnswer, display: Display, person_id: str) -> html.Div:
    marks = [
        ("dot", "var(--ink)", "measured"),
        ("dash", "var(--accent)", "without a plan"),
        ("band", "var(--accent)", "90 % interval without"),
        ("line", "var(--what-if)", "with this plan (exact model)"),
        ("band", "var(--what-if)", "90 % interval with"),
        ("dots", "var(--what-if)", "preview while dragging"),
        ("line", "var(--what-if)", "another structure (thin, with rings)"),
    ]
    plot = card(
        html.Div(_alert(answer), id="what-if-alert", **aria(live="polite")),
        graph("what-if-graph", _figure(answer, display), "Glucose without and with the plans", "graph-what-if"),
        legend(marks),
        html.P(_MOVE, id="plan-gap", className="small", role="status"),
        class_name="stack-tight plot-card first-when-narrow",
    )
    outcomes = card(
        html.H2("What the plans do"),
        html.Div(outcomes_of_plans(answer, display), id="what-if-outcomes", className="stack"),
        html.Div(disclaimer(), className="small"),
        class_name="stack-tight",
    )
    return html.Div(
        [plot, _scenario_card(person_id), outcomes, _second_card(answer, display)], className="stack results"
    )


def _scenario_card(person_id: str) -> html.Section:
    share = html.Div(
        [
            html.A("Link to the scenarios shown", id="scenario-link", href=_link(person_id, []), className="small"),
            html.Button("Copy the link", id="scenario-copy", className="button", n_clicks=0),
        ],
        id="scenario-share",
        hidden=True,
        className="row-start",
    )
    nothing = html.P(
        "None yet. Move the sliders, then press Save as scenario; up to four are kept and compared.",
        id="scenario-none",
        className="muted small",
    )
    return card(
        html.H2("Saved scenarios"),
        nothing,
        html.Ul([_slot(name) for name in SCENARIO_NAMES], className="plain-list stack-tight"),
        share,
        class_name="stack-tight",
        **aria(label="Saved scenarios"),
    )


def _slot(name: str) -> html.Li:
    """The place of one saved scenario; hidden while there is none."""
    show = dbc.Checkbox(
        id=f"scenario-{name}-show", value=True, label=["Show ", line_sample(name), html.Strong(f" {name}")]
    )
    words = html.Span(id=f"scenario-{name}-words", className="small", style={"flex": "1 1 160px"})
    buttons = [
        html.Button(text, id=f"scenario-{name}-{verb}", className="button", n_clicks=0, **aria(label=f"{text} {name}"))
        for verb, text in (("load", "Load"), ("remove", "Remove"))
    ]
    return html.Li(html.Div([show, words, *buttons], className="row-between"), id=f"scenario-{name}", hidden=True)


def _second_card(answer: WhatIfAnswer, display: Display) -> html.Section:
    return card(
        html.H2("Another published structure"),
        html.P(_second_words(answer, display), id="what-if-second", className="small"),
        *job_controls("second", "Fit it to the twin's days", "Progress of the second fit"),
        class_name="stack-tight",
    )


def _figure(answer: WhatIfAnswer, display: Display) -> Figure:
    screen = display.screen(answer.history.utc_offset_min)
    return what_if_figure(
        answer.history,
        answer.baseline,
        answer.now_min,
        answer.quantiles_mg_dl,
        screen,
        scenarios={name: each.median_mg_dl for name, each in answer.scenarios.items()},
        second_mg_dl=None if answer.second is None else answer.second.median_mg_dl,
    )


def _preview(answer: WhatIfAnswer, display: Display, run: int) -> dict[str, Any]:
    """What the browser needs to draw a preview without the server (see assets/what_if.js).

    `run` is the last preview whose gap was said.
    """
    digits = 1
    return {
        "run": run,
        "token": answer.token,
        "now": answer.now_min,
        "baseline": [round(float(v), digits) for v in answer.baseline.median_mg_dl],
        "carbsNodes": list(CARBS_NODES_G),
        "bolusNodes": list(BOLUS_NODES_U),
        "basalNodes": list(BASAL_NODES_PERCENT),
        "exerciseNodes": list(EXERCISE_NODES_MIN),
        "exercisePercentNodes": list(EXERCISE_NODES_PERCENT),
        "joint": answer.preview.joint_mg_dl.round(digits).tolist(),
        "basal": answer.preview.basal_mg_dl.round(digits).tolist(),
        "exercise": answer.preview.exercise_mg_dl.round(digits).tolist(),
        "plan": {name: getattr(answer.plan, name) for name in LIMITS},
        "perUnit": in_unit(1.0, display.unit),
    }


def _gap_words(preview_mg_dl: Sequence[float], answer: WhatIfAnswer, display: Display) -> str:
    """How far the preview was from the exact model; both from the same moment."""
    if len(preview_mg_dl) != len(answer.median_mg_dl):
        return "Exact model shown."
    shown = difference_text(answer.largest_gap_mg_dl(preview_mg_dl), display.unit)
    return f"Exact model shown. The preview was at most {shown} {display.unit.value} away from it."


def _second_words(answer: WhatIfAnswer, display: Display) -> str:
    """How far another structure's answer is from the twin's: what is not known of the equations themselves."""
    if answer.second is None:
        return "Without a forecast there is nothing to compare."
    known = (
        "fitted to the same days"
        if answer.second.fitted
        else "as its published average, with this person's weight and basal insulin only"
    )
    apart = abs(answer.second.median_mg_dl - answer.median_mg_dl)
    place = int(apart.argmax())
    hours = answer.baseline.horizons_min[place] / 60.0
    unit = display.unit
    says, twin = (
        glucose_text(float(curve[place]), unit) for curve in (answer.second.median_mg_dl, answer.median_mg_dl)
    )
    gap = f"{difference_text(float(apart[place]), unit)} {unit.value}"
    return (
        f"{answer.second.title}, {known}, says {says} {unit.value} where the twin says {twin}, {hours:.1f} h from now; "
        f"nowhere are the two further apart ({gap}). This is what is not known of the equations, and stands in no band."
        + _weighed_words(answer.second, float(answer.median_mg_dl[place]), place, unit)
    )


def _weighed_words(second: SecondAnswer, twin_mg_dl: float, place: int, unit: GlucoseUnit) -> str:
    """What both together say, by how much the readings speak for each."""
    if second.share is None:
        return ""
    weighed = second.share * float(second.median_mg_dl[place]) + (1.0 - second.share) * twin_mg_dl
    return (
        f" The readings they were fitted to speak {100.0 * second.share:.0f} % for it and "
        f"{100.0 * (1.0 - second.share):.0f} % for the twin's structure; weighed so, both say "
        f"{glucose_text(weighed, unit)} {unit.value} then."
    )


# --- small words -----------------------------------------------------------------------------------------------------


def _plans(kept: Sequence[NamedPlan], shown: Sequence[bool] | None) -> Mapping[str, Plan]:
    """The plans of the scenarios that are shown; all when nothing is said."""
    chosen = dict(zip(SCENARIO_NAMES, shown or (True,) * len(SCENARIO_NAMES), strict=True))
    return {each.name: each.plan for each in kept if chosen[each.name]}


def _kept(kept: Sequence[NamedPlan]) -> dict[str, Any]:
    return {each.name: {"id": each.scenario_id, "words": plan_words(each.plan)} for each in kept}


def plan_words(plan: Plan) -> str:
    """A plan in one line."""
    parts = []
    if plan.carbs_g:
        parts.append(f"{plan.carbs_g:g} g {_when(plan.carbs_in_min)}")
    if plan.bolus_u:
        parts.append(f"{plan.bolus_u:g} U {_when(plan.bolus_in_min)}")
    if plan.basal_percent != LIMITS["basal_percent"].rest:
        parts.append(f"basal at {plan.basal_percent:g} %")
    if plan.exercise_min:
        parts.append(
            f"{plan.exercise_min:g} min of exercise at {plan.exercise_percent:g} % {_when(plan.exercise_in_min)}"
        )
    return ", ".join(parts)


def _when(in_min: float) -> str:
    return f"in {in_min:g} min" if in_min else "now"


def _link(person_id: str, scenario_ids: Sequence[str]) -> str:
    """A link to a comparison; ids only, nothing of the person's data."""
    return f"/p/{person_id}/what-if?scenarios={','.join(scenario_ids)}"


def _ids_of(search: str | None) -> list[str]:
    """The ids in `?scenarios=a,b`."""
    named = dict(part.split("=", 1) for part in (search or "").lstrip("?").split("&") if "=" in part)
    return [each for each in named.get("scenarios", "").split(",") if each]


def _listed(names: Sequence[str]) -> str:
    return "scenario " + names[0] if len(names) == 1 else f"scenarios {', '.join(names[:-1])} and {names[-1]}"


PAGE = Page(path="/what-if", title="What if", layout=layout, register=register)
