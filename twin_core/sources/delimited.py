"""Comma-separated text as numbered rows, each line on its own.

A line is one row, always: a stray quotation mark can spoil its own row but can never swallow the lines after
it, and the number of a row is the number of its line in any editor.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from twin_core.domain.errors import BadFile

BYTE_ORDER_MARK = "\ufeff"
LINE_END = re.compile("\r\n|\n|\r")


class RawRow(NamedTuple):
    """One line that is not blank: its number (the header is line 1) and its cells, stripped of spaces."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RawTable:
    """A delimited file as read: nothing judged, nothing left out but blank lines, which are counted.

    Attributes
    ----------
    header
        The names in line 1; a column without a name is an empty string.
    """

    name: str
    header: tuple[str, ...]
    rows: tuple[RawRow, ...]
    blank_lines: int
    byte_order_mark: bool

    @property
    def unnamed_columns(self) -> int:
        """How many columns have no name."""
        return self.header.count("")


def read_table(path: Path) -> RawTable:
    """The rows of a file.

    Raises
    ------
    BadFile
        When the file cannot be opened or is not UTF-8 text.
    """
    return table_of(path.name, _text_of(path))


def table_of(name: str, text: str) -> RawTable:
    """The rows of a text."""
    marked = text.startswith(BYTE_ORDER_MARK)
    first, *rest = _lines_of(text.removeprefix(BYTE_ORDER_MARK))
    numbered = [RawRow(line, cells_of(line_text)) for line, line_text in enumerate(rest, start=2)]
    rows = tuple(row for row in numbered if any(row.cells))
    return RawTable(
        name=name,
        header=cells_of(first),
        rows=rows,
        blank_lines=len(numbered) - len(rows),
        byte_order_mark=marked,
    )


def read_header(path: Path) -> tuple[str, ...]:
    """The names in the first line of a file; `BadFile` as for `read_table`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline(4096)
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    return cells_of(_lines_of(first)[0])


def cells_of(line: str) -> tuple[str, ...]:
    """The cells of one line, stripped of surrounding spaces."""
    cells: Sequence[str] = line.split(",") if '"' not in line else _quoted_cells(line)
    return tuple([cell.strip() for cell in cells])


def _quoted_cells(line: str) -> Sequence[str]:
    try:
        return next(csv.reader([line]))
    except csv.Error:
        return line.split(",")


def _lines_of(text: str) -> list[str]:
    lines = LINE_END.split(text)
    return lines[:-1] if len(lines) > 1 and not lines[-1] else lines


def _text_of(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError | UnicodeDecodeError) -> BadFile:
    if isinstance(error, UnicodeDecodeError):
        return BadFile(f"{path.name} is not UTF-8 text (byte {error.start}). Save it as UTF-8 and import it again.")
    return BadFile(f"{path.name} cannot be opened: {error.strerror or error}.")
