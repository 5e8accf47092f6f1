"""Small builders that every page shares."""

from collections.abc import Sequence
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from dashboard.theme.plots import GRAPH_CONFIG, Figure


def aria(**attributes: str) -> dict[str, Any]:
    """ARIA attributes as dash takes them: `aria(label="...")`."""
    return {f"aria-{name}": value for name, value in attributes.items()}


def page_head(title: str, subtitle: Any, aside: Any = None) -> html.Div:
    """The heading of a page, one sentence below it, and what stands to its right."""
    words = html.Div([html.H1(title), html.P(subtitle, className="muted small")])
    return html.Div([words, aside] if aside is not None else [words], className="page-head")


def card(*children: Any, class_name: str = "", **attributes: Any) -> html.Section:
    """A box on the page."""
    return html.Section(list(children), className=f"card-box {class_name}".strip(), **attributes)


def graph(graph_id: Any, figure: Figure, label: str, class_name: str) -> html.Div:
    """A graph with a text alternative; never with plotly's upload button."""
    plot = dcc.Graph(id=graph_id, figure=figure, config=GRAPH_CONFIG, className="graph", style={"height": "100%"})
    return html.Div(plot, className=class_name, role="img", **aria(label=label))


def metric(label: str, value: Any, note: str) -> html.Div:
    """One figure with its uncertainty, or the words that it has none."""
    return html.Div(
        [
            html.Span(label, className="metric-label"),
            html.Span(value, className="metric-value"),
            html.Span(note, className="metric-note"),
        ],
        className="metric",
    )


def slider(
    slider_id: str,
    label: str,
    *,
    low: float,
    high: float,
    step: float,
    value: float,
    unit: str,
    why_fixed: str = "",
) -> html.Div:
    """A labelled native range input; its value is shown beside it while it is dragged.

    With `why_fixed` it cannot be moved, and says why.
    """
    scale = [html.Span(why_fixed)] if why_fixed else [html.Span(f"{low:g}"), html.Span(f"{high:g} {unit}")]
    return html.Div(
        [
            html.Div(
                [
                    html.Label(label, htmlFor=slider_id),
                    html.Span(f"{value:g} {unit}", id=f"{slider_id}-text", className="slider-value"),
                ],
                className="slider-head",
            ),
            dcc.Input(id=slider_id, type="range", min=low, max=high, step=step, value=value, disabled=bool(why_fixed)),
            html.Div(scale, className="slider-scale"),
        ],
        className="field",
    )


def select(select_id: str, label: str, options: Sequence[tuple[str, str]], value: str | None) -> html.Div:
    """A labelled native select; `options` are pairs of value and text."""
    choices = [{"value": key, "label": text} for key, text in options]
    return html.Div(
        [html.Label(label, htmlFor=select_id), dbc.Select(id=select_id, options=choices, value=value)],
        className="field",
    )


def segmented(group_id: str, label: str, options: Sequence[tuple[str, str]], value: str) -> html.Div:
    """A row of mutually exclusive choices (native radio buttons)."""
    choices = [{"value": key, "label": text} for key, text in options]
    radios = dbc.RadioItems(id=group_id, options=choices, value=value, class_name="segments")
    return html.Div(radios, className="segmented", role="group", **aria(label=label))


def notice(children: Any, tone: str = "") -> html.Div:
    """A sentence that matters; `tone` is `amber`, `red`, `quiet` or nothing."""
    suffix = f" notice-{tone}" if tone else ""
    return html.Div(children, className=f"notice{suffix}", role="status")


def legend(items: Sequence[tuple[str, str, str]]) -> html.Ul:
    """What the marks of a figure mean; each item is a shape of `swatch`, a colour and text."""
    return html.Ul([html.Li([swatch(shape, colour), text]) for shape, colour, text in items], className="legend")


_TRIANGLE = {"borderLeft": "5px solid transparent", "borderRight": "5px solid transparent"}


def swatch(shape: str, colour: str) -> html.Span:
    """One mark of a figure, for a legend or a label."""
    styles: dict[str, dict[str, Any]] = {
        "dot": {"width": 10, "height": 10, "borderRadius": "50%", "background": colour},
        "diamond": {"width": 8, "height": 8, "transform": "rotate(45deg)", "background": colour},
        "square": {"width": 9, "height": 9, "background": colour},
        "up": {**_TRIANGLE, "borderBottom": f"10px solid {colour}"},
        "down": {**_TRIANGLE, "borderTop": f"10px solid {colour}"},
        "dash": {"width": 18, "borderTop": f"3px dashed {colour}"},
        "dots": {"width": 18, "borderTop": f"3px dotted {colour}"},
        "line": {"width": 18, "borderTop": f"3px solid {colour}"},
        "band": {"width": 18, "height": 10, "background": colour, "opacity": 0.3},
    }
    return html.Span(style={"display": "inline-block", **styles[shape]}, **aria(hidden="true"))


def disclaimer() -> html.P:
    """The sentence that stands on every page."""
    return html.P("Simulation and education software, not a medical device. Never change a therapy because of it.")


def figures_table(caption: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> html.Div:
    """A table of figures: the first column names, the others are numbers."""
    header = html.Thead(html.Tr([html.Th(text, scope="col") for text in head]))
    body = html.Tbody([html.Tr([html.Th(row[0], scope="row"), *map(html.Td, row[1:])]) for row in rows])
    return html.Div(
        html.Table([html.Caption(caption), header, body], className="figures"),
        className="table-scroll",
        tabIndex=0,
        role="region",
        **aria(label=caption),
    )
