"""The report of an import: every row read is accepted, or rejected with its reason."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from twin_core.domain.records import Event, GlucoseReading


class Reason(StrEnum):
    """Why a row was rejected; the sentence that a person reads is the value."""

    UNREADABLE = "the row cannot be read"
    MISSING_VALUE = "a value is missing"
    NOT_A_NUMBER = "the value is not a number"
    BAD_DATE = "the date or time cannot be read"
    IMPOSSIBLE_DATE = "the date is outside the years in which the study ran"
    FAR_FROM_RECORD = "the date is more than 60 days outside this person's glucose record"
    NONEXISTENT_LOCAL_TIME = "the local time does not exist (clocks went forward)"
    DUPLICATE = "the same value at the same time stands in an earlier row"
    CONFLICT = "another value at the same time stands in an earlier row, which is kept"
    SUPERSEDED = "a later row sets another rate at the same time; the later one is kept"
    SECOND_WATCH = "at another offset from UTC, while other rows of this interval stand at the person's own"
    OUT_OF_RANGE = "the value is outside the possible range"
    UNKNOWN_KIND = "the kind of the row is not known"
    EMPTY = "the row carries nothing (an amount of zero)"


@dataclass(frozen=True, kw_only=True, slots=True)
class RejectedRow:
    """A row that was not taken over: where it stands, why, and what was got."""

    row: int
    """Line number in the file; the header is line 1."""
    reason: Reason
    got: str


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """What became of one file: `accepted + len(rejected) == rows_read`, always."""

    name: str
    kind: str
    rows_read: int
    accepted: int
    rejected: tuple[RejectedRow, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader should know that is no rejection, such as unnamed columns that were ignored."""

    def __post_init__(self) -> None:
        if self.accepted + len(self.rejected) != self.rows_read:
            raise AssertionError(
                f"{self.name}: {self.rows_read} rows read, but {self.accepted} accepted "
                f"and {len(self.rejected)} rejected"
            )

    @property
    def by_reason(self) -> dict[Reason, int]:
        """How many rows each reason rejected, most frequent first."""
        return dict(Counter(row.reason for row in self.rejected).most_common())


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What became of the files of one person."""

    source: str
    files: tuple[FileReport, ...]

    @property
    def rows_read(self) -> int:
        """Rows read over all files."""
        return sum(file.rows_read for file in self.files)

    @property
    def accepted(self) -> int:
        """Rows accepted over all files."""
        return sum(file.accepted for file in self.files)

    @property
    def rejected(self) -> int:
        """Rows rejected over all files, each with its reason."""
        return sum(len(file.rejected) for file in self.files)


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What a source hands on: canonical records and the report of how they came about."""

    readings: tuple[GlucoseReading, ...]
    events: tuple[Event, ...]
    report: ImportReport
