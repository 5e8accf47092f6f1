"""The tables to type in on `/dosing`: measured levels, and further doses or changes of the regimen.

Every id carries the drug it belongs to, so that an answer for one drug never reaches the form of another.
"""

from collections.abc import Sequence
from typing import Any

from dash import dcc, html

from dashboard.components.basics import aria
from twin_core.domain.drugs import Drug
from twin_core.services.dosing_case import DoseRow, LevelRow

CELL, NOTE, REMOVE = "dosing-level-cell", "dosing-level-note", "dosing-level-remove"
DOSE_CELL, DOSE_NOTE, DOSE_REMOVE = "dosing-dose-cell", "dosing-dose-note", "dosing-dose-remove"
MOST_ROWS = 12


def level_rows(rows: Sequence[LevelRow], drug: Drug) -> list[Any]:
    """Rows of levels; what is wrong with a row stands below it."""
    return [
        _row(
            drug,
            place,
            f"level {place + 1}",
            (CELL, NOTE, REMOVE),
            {
                "time": (f"Level {place + 1}: time, h", row.time),
                "level": (f"Level {place + 1}: {drug.level_unit}", row.level),
            },
        )
        for place, row in enumerate(rows)
    ]


def dose_rows(rows: Sequence[DoseRow], drug: Drug) -> list[Any]:
    """Rows of further doses; what is wrong with a row stands below it."""
    return [
        _row(
            drug,
            place,
            f"further dose {place + 1}",
            (DOSE_CELL, DOSE_NOTE, DOSE_REMOVE),
            {
                "time": (f"Dose {place + 1}: at, h", row.time),
                "amount": ("mg", row.amount),
                "interval": ("every, h", row.interval),
                "count": ("doses", row.count),
            },
        )
        for place, row in enumerate(rows)
    ]


def _row(drug: Drug, place: int, name: str, types: tuple[str, str, str], cells: dict[str, tuple[str, str]]) -> html.Div:
    cell, note, remove = types
    own = {"drug": drug.name, "row": place}
    return html.Div(
        [
            *(_typed(label, {"type": cell, **own, "column": key}, value) for key, (label, value) in cells.items()),
            html.Button(
                "×", id={"type": remove, **own}, className="button button-icon", **aria(label=f"Remove {name}")
            ),
            html.Div(id={"type": note, **own}, className="level-note", role="status"),
        ],
        className=f"level-row level-row-{len(cells)}",
    )


def _typed(label: str, input_id: dict[str, Any], value: str) -> html.Label:
    return html.Label(
        [html.Span(label), dcc.Input(id=input_id, type="text", value=value, debounce=True, autoComplete="off")]
    )
