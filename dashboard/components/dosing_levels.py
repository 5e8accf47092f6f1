"""The table of measured levels on `/dosing`."""

from collections.abc import Sequence
from typing import Any

from dash import dcc, html

from dashboard.components.basics import aria
from twin_core.services.dosing_case import LevelRow

TIME, LEVEL, NOTE, REMOVE = "dosing-level-time", "dosing-level-value", "dosing-level-note", "dosing-level-remove"
MOST_ROWS = 12


def level_rows(rows: Sequence[LevelRow], unit: str, notes: Sequence[str] = ()) -> list[Any]:
    """Rows to type in; what is wrong with a row stands below it."""
    said = [*notes, *("" for _ in rows)]
    return [_row(place, row, unit, said[place]) for place, row in enumerate(rows)]


def _row(place: int, row: LevelRow, unit: str, note: str) -> html.Div:
    remove = html.Button(
        "×",
        id={"type": REMOVE, "row": place},
        className="button button-icon",
        **aria(label=f"Remove level {place + 1}"),
    )
    return html.Div(
        [
            _typed(f"Level {place + 1}: time, h", {"type": TIME, "row": place}, row.time),
            _typed(unit, {"type": LEVEL, "row": place}, row.level),
            remove,
            html.Div(note, id={"type": NOTE, "row": place}, className="level-note", role="status"),
        ],
        className="level-row",
    )


def _typed(label: str, input_id: dict[str, Any], value: str) -> html.Label:
    return html.Label(
        [
            html.Span(label),
            dcc.Input(id=input_id, type="text", value=value, debounce=True, autoComplete="off"),
        ]
    )
