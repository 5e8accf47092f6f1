"""`/`: choose what you came for, start the live demo with one click, or import a file."""

import base64
import binascii
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from dash import Dash, Input, Output, State, dcc, html, no_update

from dashboard.components.basics import aria, card, notice
from dashboard.components.import_report import rejected_rows_csv, report_view
from dashboard.shell import Page
from dashboard.theme.display import Display
from twin_core.domain.errors import BadFile, BiotwinError
from twin_core.domain.people import Person, RecordKind
from twin_core.services.application import Services

LIVE_SPEED = 60
MAX_UPLOAD_MB = 20

_AUDIENCES = (
    ("/today", "Where is my glucose going?", "For patients", "One number, an arrow, a plain sentence and one curve."),
    (
        "/what-if",
        "What if we changed this?",
        "For clinicians",
        "Compare an action with doing nothing, with its uncertainty.",
    ),
    (
        "/dosing",
        "How does a drug build up?",
        "For educators",
        "Move dose and interval; see what differs between people.",
    ),
    (
        "/learn/euler",
        "What does a step do?",
        "A lesson",
        "A tutorial's simulation beside the exact curve; predict first, then drag its step.",
    ),
)


def layout(services: Services, _: Display, __: str) -> html.Div:
    """The start page."""
    people = services.records.people(services.viewer)
    recorded = [person for person in people if person.record is RecordKind.RECORDED]
    return html.Div([_hero(recorded), _audiences(), _people(people), _import_card()], className="stack")


def register(app: Dash, services: Services) -> None:
    """The page's callbacks."""

    @app.callback(
        Output("goto", "pathname", allow_duplicate=True),
        Input("start-demo", "n_clicks"),
        State("start-person", "data"),
        prevent_initial_call=True,
    )
    def start_demo(clicks: int | None, person_id: str) -> Any:
        if not clicks:
            return no_update
        return f"/p/{services.live.start(services.viewer, person_id, LIVE_SPEED)}/today"

    @app.callback(
        Output("import-result", "children"),
        Output("import-files", "contents"),
        Input("import-files", "contents"),
        State("import-files", "filename"),
        State("import-zone", "value"),
        prevent_initial_call=True,
    )
    def take_files(contents: list[str] | None, names: list[str] | None, zone: str | None) -> Any:
        if not contents or not names:
            return no_update, no_update
        return _import(services, names, contents, (zone or "").strip()), None

    @app.callback(
        Output("import-csv", "data"),
        Input("import-download", "n_clicks"),
        State("import-person", "data"),
        prevent_initial_call=True,
    )
    def download(clicks: int | None, person_id: str) -> Any:
        if not clicks:
            return no_update
        report = services.records.imports(services.viewer, person_id)[-1]
        return {"content": rejected_rows_csv(report), "filename": "import-report.csv", "type": "text/csv"}


def _hero(recorded: Sequence[Person]) -> html.Section:
    head = html.H1("A digital twin that says what it knows, and what it does not")
    words = html.P(
        "Biotwin follows glucose as it is measured, forecasts hours ahead with intervals that are checked against "
        "what happened, and answers “what if” before anyone acts. Everything stays on this machine.",
        className="muted",
    )
    if not recorded:
        return html.Section([head, words], className="hero-panel")
    button = html.Button("▶ Start the live demo", id="start-demo", className="button button-primary", n_clicks=0)
    note = html.Span(f"A real person's record, played at {LIVE_SPEED}× speed.", className="muted small")
    store = dcc.Store(id="start-person", data=recorded[0].person_id)
    return html.Section([head, words, html.Div([button, note], className="row-start"), store], className="hero-panel")


def _audiences() -> html.Div:
    boxes = [
        dcc.Link(
            [html.Span(who, className="muted tiny"), html.H2(title), html.P(words, className="small muted")],
            href=path,
            className="card-box audience",
        )
        for path, title, who, words in _AUDIENCES
    ]
    return html.Div(boxes, className="halves")


def _people(people: Sequence[Person]) -> html.Section:
    rows = [
        html.Li(
            [
                html.Div([dcc.Link(person.label, href=f"/p/{person.person_id}/today"), _kind_words(person)]),
                html.Span(person.attribution, className="muted tiny"),
            ],
            className="stack-tight",
        )
        for person in people
    ]
    listing = html.Ul(rows, className="stack-tight plain-list") if rows else html.P("Nobody yet: import a file below.")
    return card(html.H2("People"), listing, class_name="stack-tight")


def _kind_words(person: Person) -> html.Span:
    words = {
        RecordKind.RECORDED: "finished record",
        RecordKind.PLAYED: "played live",
        RecordKind.LIVE: "connected",
    }[person.record]
    extra = f", {person.therapy}" if person.therapy else ""
    return html.Span(f" ({words}{extra})", className="muted small")


def _import_card() -> html.Section:
    zone = dcc.Input(id="import-zone", type="text", value="Europe/London", className="form-control")
    upload = dcc.Upload(
        html.Span(["Drop the files of ", html.Strong("one person"), " here, or click to choose them"]),
        id="import-files",
        multiple=True,
        max_size=MAX_UPLOAD_MB * 1024 * 1024,
        className="upload-zone",
        style={},
    )
    return card(
        html.H2("Import a record"),
        html.P(
            "CSV files as the T1D-UOM study publishes them: glucose, basal, bolus, nutrition, activity. Every row is "
            "accepted, or rejected with its reason; nothing is changed silently.",
            className="small muted",
        ),
        html.Div([html.Label("Time zone of the files", htmlFor="import-zone"), zone], className="field"),
        upload,
        _too_large(),
        dcc.Download(id="import-csv"),
        html.Div(id="import-result", **aria(live="polite")),
        class_name="stack-tight",
    )


def _too_large() -> html.Div:
    """Where assets/upload_limit.js names the files that are over the limit."""
    limit: dict[str, Any] = {"data-limit-mb": str(MAX_UPLOAD_MB)}
    return html.Div(id="import-too-large", className="notice notice-red", role="alert", hidden=True, **limit)


def _import(services: Services, names: Sequence[str], contents: Sequence[str], zone: str) -> Any:
    if zone not in available_timezones():
        return notice(f"{zone!r} is no time zone. Give an IANA name, such as Europe/London.", "red")
    try:
        with tempfile.TemporaryDirectory() as folder:
            files = [_written(Path(folder), name, content) for name, content in zip(names, contents, strict=True)]
            outcome = services.records.import_files(services.viewer, files, _label(names), zone)
    except BiotwinError as error:
        return notice(f"Nothing was imported. {error}", "red")
    return report_view(outcome)


def _written(folder: Path, name: str, content: str) -> Path:
    """One uploaded file, written under its bare name."""
    target = folder / Path(name.replace("\\", "/")).name
    if target.exists():
        raise BadFile(f"Two files are called {target.name}. Give the files of one person different names.")
    try:
        target.write_bytes(base64.b64decode(content.partition(",")[2], validate=True))
    except binascii.Error as error:
        raise BadFile(f"{name} did not arrive whole ({error}). Send it again.") from error
    return target


def _label(names: Sequence[str]) -> str:
    return f"Imported from {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")


PAGE = Page(path="/", title="Start", layout=layout, register=register, of_person=False)
