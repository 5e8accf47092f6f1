"""`/learn/euler`: what explicit Euler steps do to a one-compartment model, beside the exact curve."""

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html

from dashboard.components.basics import card, figures_table, graph, legend, page_head, slider
from dashboard.figures.lessons import euler_figure, euler_table
from dashboard.shell import Page, display_of
from dashboard.theme.display import Display
from dashboard.theme.plots import Figure
from dashboard.theme.tokens import palette
from twin_core.services.application import Services
from twin_core.services.lessons import EULER_DEFECTS, EULER_MISSING, EULER_STEPS_H, euler_view

_FIRST_STEP_H = 0.1


def layout(_: Services, display: Display, __: str) -> html.Div:
    """The lesson, drawn at the script's own step; the browser draws the others by itself."""
    view = euler_view()
    return html.Div(
        [
            dcc.Store(id="euler-steps", data=euler_table(view)),
            dcc.Store(id="euler-drawn"),
            page_head("Lesson: what a step does", "A tutorial's script of one dose by mouth, beside the exact curve"),
            html.Div([_graph_card(display), _side()], className="split"),
            card(_findings(), class_name="stack-tight"),
            card(html.H2("What it does not have"), html.Ul([html.Li(each) for each in EULER_MISSING])),
        ],
        className="stack",
    )


def register(app: Dash, _: Services) -> None:
    """The page's callbacks; dragging stays in the browser."""
    app.clientside_callback(
        ClientsideFunction("lessons", "euler"),
        Output("euler-drawn", "data"),
        Input("euler-step", "value"),
        State("euler-steps", "data"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("euler-graph", "figure"),
        Input("mode", "data"),
        State("euler-step", "value"),
        prevent_initial_call=True,
    )
    def repaint(mode: str, step_h: Any) -> Figure:
        return _figure(display_of(mode, None), float(step_h))


def _figure(display: Display, step_h: float) -> Figure:
    view = euler_view()
    step = min(view.steps, key=lambda each: abs(each.step_h - step_h))
    return euler_figure(view, step, palette(display.mode))


def _graph_card(display: Display) -> html.Section:
    colours = palette(display.mode)
    label = "Concentration and amount in the gut, by the script and exactly"
    return card(
        graph("euler-graph", _figure(display, _FIRST_STEP_H), label, "graph-today"),
        legend([("line", colours.accent, "exact"), ("line", colours.what_if, "the script's points, joined")]),
        html.P(
            "No band: one made-up person without variability, 100 mg, ka 0.5 /h, ke 0.2 /h, 10 L.", className="tiny"
        ),
        class_name="stack-tight",
    )


def _side() -> html.Div:
    steps = slider(
        "euler-step",
        "Step of the script",
        low=EULER_STEPS_H[0],
        high=EULER_STEPS_H[-1],
        step=0.1,
        value=_FIRST_STEP_H,
        unit="h",
    )
    return html.Div(
        [
            card(
                html.H2("Predict first"),
                html.P("At which step does the gut hold a negative amount, and at which do the errors grow for ever?"),
                html.Details(
                    [
                        html.Summary("Answer"),
                        html.P(
                            "Each step multiplies the gut by 1 - ka dt. That is below 0 above 1 / ka = 2 h, and below "
                            "-1 above 2 / ka = 4 h: then every step is larger than the one before.",
                            className="small",
                        ),
                    ]
                ),
                class_name="stack-tight first-when-narrow",
            ),
            card(html.H2("Try it"), steps, _script(), class_name="stack-tight"),
        ],
        className="stack side",
    )


def _script() -> html.Pre:
    return html.Pre(
        "n = int(T / dt)\nt = linspace(0, T, n)\nfor i in range(n - 1):\n    A_gut[i+1] = A_gut[i] - ka*A_gut[i]*dt\n"
        "    A[i+1] = A[i] + (ka*A_gut[i] - ke*A[i])*dt\nplot(t, A / V)",
        className="tiny",
        style={"whiteSpace": "pre-wrap"},
    )


def _findings() -> html.Div:
    first = euler_view().steps[EULER_STEPS_H.index(_FIRST_STEP_H)]
    rows = [
        [what, html.Span(finding, id=f"euler-finding-{number}")]
        for number, ((what, _), finding) in enumerate(zip(EULER_DEFECTS, first.findings, strict=True))
    ]
    return figures_table("Nine defects, measured at this step", ["defect", "what is measured"], rows)


PAGE = Page(path="/learn/euler", title="Lesson: what a step does", layout=layout, register=register, of_person=False)
