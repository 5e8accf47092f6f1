"""What surrounds every page: header, navigation, the choice of person, unit and mode, and the footer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import flask
from dash import Dash, Input, Output, State, dcc, html, no_update

from dashboard.components.basics import aria, disclaimer, segmented, select
from dashboard.theme.display import Display
from dashboard.theme.tokens import mode_named
from twin_core.domain.units import GlucoseUnit
from twin_core.services.application import Services
from twin_core.services.records import UNIT

MODE_COOKIE = "biotwin-mode"


Layout = Callable[[Services, Display, str], Any]
"""`layout(services, display, person_id)`; a page that is of no person gets an empty id."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page: where it is, what it is called, how it is drawn, and its callbacks."""

    path: str
    title: str
    layout: Layout
    register: Callable[[Dash, Services], None]
    of_person: bool = True


def display_of_request(services: Services) -> Display:
    """The unit kept for the viewer, and the mode that the browser resolved (a cookie, for the first paint)."""
    unit = services.records.preference(services.viewer, UNIT, GlucoseUnit.MG_DL.value)
    return Display(mode=mode_named(flask.request.cookies.get(MODE_COOKIE)), unit=GlucoseUnit(unit))


def display_of(mode: str | None, unit: str | None) -> Display:
    """The display that the stores of the page describe."""
    return Display(mode=mode_named(mode), unit=GlucoseUnit(unit or GlucoseUnit.MG_DL.value))


def shell(services: Services, pages: Sequence[Page], content: Any) -> html.Div:
    """The whole document around the content of a page."""
    display = display_of_request(services) if flask.has_request_context() else display_of(None, None)
    return html.Div(
        [
            html.A("Skip to content", href="#content", className="skip"),
            dcc.Store(id="mode", data=display.mode),
            dcc.Store(id="unit", data=display.unit.value),
            dcc.Location(id="goto", refresh="callback-nav"),
            html.Header(_header(services, pages, display), className="shell-header"),
            html.Div(id="server-lost", className="notice notice-red", role="alert", hidden=True),
            html.Main(content, id="content", tabIndex=-1),
            html.Footer(_footer(), className="shell-footer"),
        ]
    )


def register(app: Dash, services: Services, pages: Sequence[Page]) -> None:
    """The callbacks of the shell."""

    @app.callback(Output("unit", "data"), Input("unit-choice", "value"), prevent_initial_call=True)
    def keep_unit(unit: str) -> str:
        services.records.set_preference(services.viewer, UNIT, GlucoseUnit(unit).value)
        return unit

    @app.callback(
        Output("goto", "pathname"),
        Input("person-choice", "value"),
        State("_pages_location", "pathname"),
        prevent_initial_call=True,
    )
    def open_person(person_id: str, pathname: str) -> Any:
        if person_id == (person_of_path(pathname) or services.records.last_seen(services.viewer)):
            return no_update
        path = next((page.path for page in pages if page.of_person and pathname.endswith(page.path)), "/today")
        return f"/p/{person_id}{path}"

    @app.callback(
        Output("person-choice", "options"),
        Output("person-choice", "value"),
        Output("nav", "children"),
        Input("_pages_store", "data"),
        State("_pages_location", "pathname"),
    )
    def offer_people(_: Any, pathname: str) -> tuple[list[dict[str, str]], str, html.Ul]:
        people = services.records.people(services.viewer)
        options = [{"value": person.person_id, "label": person.label} for person in people]
        shown = person_of_path(pathname) or services.records.last_seen(services.viewer)
        return options, shown, _links(pages, shown)

    app.clientside_callback(_MARK_ACTIVE, Output("nav", "className"), Input("nav", "children"))
    app.clientside_callback(
        _TOGGLE_MODE, Output("mode", "data"), Input("mode-button", "n_clicks"), prevent_initial_call=True
    )


def _header(services: Services, pages: Sequence[Page], display: Display) -> html.Div:
    people = [(person.person_id, person.label) for person in services.records.people(services.viewer)]
    brand = dcc.Link([html.Img(src="/assets/logo.svg", alt=""), "Biotwin"], href="/", className="brand")
    units = [(unit.value, unit.value) for unit in GlucoseUnit]
    tools = html.Div(
        [
            select("person-choice", "Person", people, services.records.last_seen(services.viewer)),
            segmented("unit-choice", "Glucose unit", units, display.unit.value),
            html.Button("◐", id="mode-button", className="button button-icon", **aria(label="Switch light and dark")),
        ],
        className="shell-tools",
    )
    nav = html.Nav(_links(pages, services.records.last_seen(services.viewer)), id="nav", **aria(label="Pages"))
    return html.Div([brand, nav, tools], className="shell-row")


def person_of_path(pathname: str) -> str:
    """The person whose page a path is, `/p/<id>/...`; empty for a path that names nobody."""
    parts = pathname.split("/")
    return parts[2] if len(parts) > 3 and parts[1] == "p" else ""


def _links(pages: Sequence[Page], person_id: str) -> html.Ul:
    """Links to the pages of the person who is shown, so that another tab cannot change who that is."""
    links = [html.Li(dcc.Link(page.title, href=f"/p/{person_id}{page.path}")) for page in pages if page.of_person]
    return html.Ul(links, className="nav-links")


def _footer() -> list[Any]:
    return [
        disclaimer(),
        html.P("Everything is computed on this machine; nothing leaves it."),
    ]


_MARK_ACTIVE = """
function () {
    const last = (path) => path.split("/").pop();
    requestAnimationFrame(function () {
        for (const link of document.querySelectorAll("#nav a")) {
            const active = last(window.location.pathname) === last(link.getAttribute("href"));
            link.classList.toggle("active", active);
            if (active) { link.setAttribute("aria-current", "page"); } else { link.removeAttribute("aria-current"); }
        }
    });
    return window.dash_clientside.no_update;
}
"""

_TOGGLE_MODE = """
function () {
    const root = document.documentElement;
    const mode = root.dataset.bsTheme === "dark" ? "light" : "dark";
    root.dataset.bsTheme = mode;
    document.cookie = "biotwin-mode=" + mode + ";path=/;max-age=31536000;samesite=strict";
    return mode;
}
"""


def sorry(sentence: str) -> html.Div:
    """What stands where a page cannot be drawn: what happened, and where to go."""
    return html.Div(
        [html.H1("This page cannot be shown"), html.P(sentence), dcc.Link("Go to the start page", href="/")],
        className="stack",
    )
