"""T1D-UOM: glucose, basal, bolus, nutrition and activity of people with type 1 diabetes, as published.

Layout: folders `glucose/`, `basal/`, `bolus/`, `nutrition/`, `activity/`, in each `<kind>_<person>.csv`. The
kind of a file is told by its header alone, so that a single upload may have any name. The files are taken as
they are, dirt included; every row is accepted or rejected with its reason, and a blank line is not a row.

Facts of the files that the rules below rest on (read from the files, not from their description):

- Times are DD/MM/YYYY HH:MM without a zone, although the data set's own read-me says MM/DD. The study ran in
  Manchester; `time_zone` is a choice of whoever imports, Europe/London if nothing else is known. Activity rows
  also carry the second since 1970 and the watch's offset: these decide the instant, since people travel.
- Glucose is in mmol/L, mostly with one decimal. In the hour that clocks show twice (29 October 2023) the
  published files are sorted, so the second pass cannot be told and its rows are duplicates or conflicts.
- Basal rows of kind R are a pump's rate in U/h that holds until the next row, in all four files that have them:
  as rates they give 18.6 (2301), 33.5 (2304), 9.8 (2308) and 19.3 (2309) U a day with a daily profile and
  zeros for suspensions; read as doses they would give 131, 8.9, 3.2 and 5.3. Rows of kind L are one
  long-acting injection each.

What counts as the same record, always to the minute:

- glucose and long-acting insulin: one value a minute; the same again is a duplicate, another is a conflict
  and the earlier row is kept.
- basal rate: the pump's log writes two changes of one minute in order (a suspension and its end, a scheduled
  rate and the temporary rate over it), so the later row is what holds and the earlier is superseded.
- bolus: two different doses in one minute are two boluses (a pump may give both, and insulin that was given
  must not be forgotten); the same dose again is a duplicate. A dose of zero carries nothing.
- meal: the same carbohydrate with the same tag is a duplicate; anything else is a second item of the meal. A
  meal without carbohydrate is kept for what else it carries, and for its tag.
- activity: one row for each type of activity in an interval; they share the interval and add up. Where rows of
  one interval stand at two offsets from UTC, two watches were merged (2305: one at -5 h with up to 40 MET at
  4 steps); nobody is in two places, so the rows at the offset of `time_zone` are kept.

Source: Alsuhaymi et al., Scientific Data 12:1379 (2025), doi 10.1038/s41597-025-05695-1, CC BY 4.0.
"""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import compress, pairwise
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from zoneinfo import ZoneInfo

from twin_core.domain.errors import BadFile
from twin_core.domain.imports import FileReport, Imported, ImportReport, Reason, RejectedRow
from twin_core.domain.records import Event, EventKind, GlucoseReading, Quality
from twin_core.domain.units import GlucoseUnit, canonical_glucose
from twin_core.sources.delimited import RawTable, read_header, read_table
from twin_core.sources.local_time import LocalClock, Placed, zone_named

NAME = "t1d_uom"
FIRST_DAY = date(2023, 1, 1)
LAST_DAY = date(2025, 12, 31)
FAR_FROM_RECORD = timedelta(days=60)

POSSIBLE_GLUCOSE_MMOL_L = (1.1, 33.3)
"""20 to 600 mg/dL: wider than any sensor's range, narrower than what a typing error gives."""
SENSOR_RANGE_MG_DL = (40.0, 400.0)
"""What the sensors of the study display as a number."""
MAX_RATE_U_H = 10.0
MAX_LONG_ACTING_U = 200.0
MAX_BOLUS_U = 100.0
MAX_NUTRIENT_G = 400.0
MAX_STEPS = 10_000.0
"""In one row of 15 min."""

CONTRADICTION_MMOL_L = 1.5
"""Two readings at most 2 min apart that differ by more do not come from one sensor in one body."""
CONTRADICTIONS_WORTH_A_NOTE = 10

_DATE_TIME = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4}) +([0-9]{1,2}):([0-9]{2})")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_GOT_LENGTH = 80

Span = tuple[datetime, datetime]
Cells = tuple[str, ...]


class Amount(NamedTuple):
    """The value of a row: `apart` and the minute tell records apart, `content` tells a duplicate from a conflict."""

    kind: EventKind | None
    """None for a glucose reading."""
    value: float
    apart: Hashable = None
    content: Hashable = None
    details: Mapping[str, float | str] = MappingProxyType({})


class CheckedRow(NamedTuple):
    """A row that passed every check of its own: where it stands, when it was, what it says."""

    line: int
    local: str
    placed: Placed
    amount: Amount

    @property
    def key(self) -> Hashable:
        """What tells this record apart from every other of the file."""
        return self.amount.kind, self.placed.instant.replace(second=0), self.amount.apart


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One of the five kinds of file: its columns, the time of a row and its amount."""

    kind: str
    columns: tuple[str, ...]
    place: Callable[[Cells, LocalClock], Placed]
    read: Callable[[Cells], Amount]


@dataclass(frozen=True, kw_only=True)
class RawFile:
    """A parsed file whose kind is known; nothing of it has been judged."""

    table: RawTable
    layout: Layout


@dataclass(frozen=True, kw_only=True)
class CheckedFile:
    """What became of the rows of a file: accepted ones in the order of the file, rejected ones by line."""

    accepted: tuple[CheckedRow, ...]
    rejected: tuple[RejectedRow, ...]
    repeated: int
    """Rows in an hour that the clock shows twice."""


class _Refused(Exception):
    """A row is not taken over; never leaves `validate`."""

    def __init__(self, reason: Reason, got: str) -> None:
        super().__init__(reason, got)
        self.reason = reason
        self.got = got[:_GOT_LENGTH]


class T1dUom:
    """The source as the import page knows it (`domain.ports.Source`)."""

    name = NAME
    title = "T1D-UOM (CSV files of glucose, basal, bolus, nutrition, activity)"

    def recognises(self, files: Sequence[Path]) -> bool:
        """Whether there is a file, and the first line of each is the header of a known kind."""
        return bool(files) and all(_has_known_header(path) for path in files)

    def import_files(self, files: Sequence[Path], time_zone: str = "Europe/London") -> Imported:
        """The records in any of the five files of one person, sorted by time, and what became of each row.

        Parameters
        ----------
        files
            At most one file of each kind. With glucose among them, other records more than 60 days outside
            the glucose record are rejected.
        time_zone
            IANA name of the zone of the local times.

        Raises
        ------
        BadFile
            No file, a file that cannot be read or has the header of no kind, two files of one kind, or files
            of two people.
        UnknownName
            The time zone does not exist.
        """
        zone = zone_named(time_zone)
        raw_files = sorted((parse(path) for path in files), key=lambda raw: raw.layout.kind != GLUCOSE.kind)
        _require_one_person(raw_files)
        checked: list[CheckedFile] = []
        for raw in raw_files:
            checked.append(validate(raw, zone, _glucose_span(checked[:1])))
        return _imported(raw_files, checked, zone)


def parse(path: Path) -> RawFile:
    """The numbered rows of a file, and its kind by its header; `BadFile` when it cannot be read or has no kind."""
    table = read_table(path)
    layout = _layout_of(table.header)
    if layout is None:
        known = "; ".join(f"{known.kind}: {','.join(known.columns)}" for known in LAYOUTS)
        raise BadFile(
            f"{path.name} is no file of T1D-UOM: its first line is {','.join(table.header)[:200]!r}. "
            f"Known first lines are {known}."
        )
    return RawFile(table=table, layout=layout)


def validate(raw: RawFile, zone: ZoneInfo, glucose_span: Span | None = None) -> CheckedFile:
    """Each row accepted, or rejected with its reason.

    Parameters
    ----------
    glucose_span
        First and last glucose reading of the person, where known; records far outside are rejected.
    """
    clock = LocalClock(zone)
    read: list[CheckedRow] = []
    rejected: list[RejectedRow] = []
    for row, cells in zip(raw.table.rows, _cells_of(raw), strict=True):
        try:
            read.append(_checked(row.line, cells, raw.layout, clock, glucose_span))
        except _Refused as refusal:
            rejected.append(RejectedRow(row=row.line, reason=refusal.reason, got=refusal.got))
    of_one_watch, second_watch = _without_second_watch(read, zone)
    accepted, repeats = _without_repeats(of_one_watch)
    return CheckedFile(
        accepted=accepted,
        rejected=tuple(sorted([*rejected, *second_watch, *repeats], key=lambda row: row.row)),
        repeated=clock.repeated,
    )


def normalise(checked: CheckedFile) -> tuple[tuple[GlucoseReading, ...], tuple[Event, ...]]:
    """The accepted rows as canonical readings and events, in the order of the file."""
    readings = tuple(_reading(row) for row in checked.accepted if row.amount.kind is None)
    events = tuple(_event(row, row.amount.kind) for row in checked.accepted if row.amount.kind is not None)
    return readings, events


def people_in(folder: Path) -> dict[str, tuple[Path, ...]]:
    """The files of each person in a folder that has the layout of the data set, by person.

    Raises
    ------
    BadFile
        There is no such folder, or no file of the layout in it.
    """
    found: dict[str, list[Path]] = {}
    for layout in LAYOUTS:
        for path in sorted((folder / layout.kind).glob(f"{layout.kind}_*.csv")):
            found.setdefault(path.stem.removeprefix(f"{layout.kind}_"), []).append(path)
    if not found:
        layouts = ", ".join(f"{layout.kind}/{layout.kind}_<person>.csv" for layout in LAYOUTS)
        raise BadFile(f"There is no file of T1D-UOM in {folder}. Expected are {layouts}.")
    return {person: tuple(paths) for person, paths in sorted(found.items())}


# One row -------------------------------------------------------------------------------------------------------


def _cells_of(raw: RawFile) -> list[Cells]:
    """The cells of every row in the order of the layout; a row of the wrong width becomes one with no cells."""
    positions = [raw.table.header.index(column) for column in raw.layout.columns]
    pick, last, width = itemgetter(*positions), max(positions), len(raw.table.header)
    return [pick(row.cells) if len(row.cells) > last and not any(row.cells[width:]) else () for row in raw.table.rows]


def _checked(line: int, cells: Cells, layout: Layout, clock: LocalClock, span: Span | None) -> CheckedRow:
    if not cells:
        raise _Refused(Reason.UNREADABLE, f"another number of values than the {len(layout.columns)} named columns")
    placed = layout.place(cells, clock)
    if span and not span[0] - FAR_FROM_RECORD <= placed.instant <= span[1] + FAR_FROM_RECORD:
        raise _Refused(Reason.FAR_FROM_RECORD, cells[0])
    return CheckedRow(line, cells[0], placed, layout.read(cells))


def _without_second_watch(rows: list[CheckedRow], zone: ZoneInfo) -> tuple[list[CheckedRow], list[RejectedRow]]:
    """The rows without activity at a foreign offset in intervals that also have activity at the zone's own."""
    at_home = [_is_at_home(row.placed, zone) for row in rows]
    activity = EventKind.ACTIVITY
    home = {row.placed.instant for row, own in zip(rows, at_home, strict=True) if own and row.amount.kind is activity}
    foreign = [not own and row.placed.instant in home for row, own in zip(rows, at_home, strict=True)]
    rejected = [
        RejectedRow(row=row.line, reason=Reason.SECOND_WATCH, got=f"{row.local} at {row.placed.offset_min} min")
        for row in compress(rows, foreign)
    ]
    return [row for row, other in zip(rows, foreign, strict=True) if not other], rejected


def _is_at_home(placed: Placed, zone: ZoneInfo) -> bool:
    return placed.instant.astimezone(zone).utcoffset() == timedelta(minutes=placed.offset_min)


def _without_repeats(rows: Sequence[CheckedRow]) -> tuple[tuple[CheckedRow, ...], list[RejectedRow]]:
    """The rows that stand, and those that repeat or contradict one at the same minute."""
    standing: dict[Hashable, CheckedRow] = {}
    rejected: list[RejectedRow] = []
    for row in rows:
        other = standing.setdefault(row.key, row)
        if other is row:
            continue
        if other.amount.content == row.amount.content:
            rejected.append(_repeat(row, Reason.DUPLICATE, other))
        elif row.amount.kind is EventKind.BASAL_RATE:
            rejected.append(_repeat(other, Reason.SUPERSEDED, row))
            standing[row.key] = row
        else:
            rejected.append(_repeat(row, Reason.CONFLICT, other))
    return tuple(standing.values()), rejected


def _repeat(row: CheckedRow, reason: Reason, kept: CheckedRow) -> RejectedRow:
    got = f"{row.local}: {row.amount.value:g} (line {kept.line} has {kept.amount.value:g})"
    return RejectedRow(row=row.line, reason=reason, got=got)


# Time ----------------------------------------------------------------------------------------------------------


def _place_local(cells: Cells, clock: LocalClock) -> Placed:
    local = _local_time(cells[0])
    placed = clock.place(local)
    if placed is None:
        raise _Refused(Reason.NONEXISTENT_LOCAL_TIME, cells[0])
    return placed


def _place_activity(cells: Cells, _: LocalClock) -> Placed:
    """By the seconds since 1970 and the offset of the watch; the local time must say the same minute."""
    local = _local_time(cells[0])
    epoch_s = _number(cells[7], "start_time_s", 0.0, 4e9)
    offset_min = round(_number(cells[8], "start_time_offset_s", -12 * 3600, 14 * 3600) / 60.0)
    instant = datetime.fromtimestamp(int(epoch_s), tz=UTC)
    if (instant + timedelta(minutes=offset_min)).replace(second=0, tzinfo=None) != local:
        raise _Refused(Reason.BAD_DATE, f"{cells[0]}, but start_time_s {cells[7]} at offset {cells[8]} s")
    return Placed(instant, offset_min)


def _local_time(text: str) -> datetime:
    """A naive local time of DD/MM/YYYY HH:MM."""
    if not text:
        raise _Refused(Reason.MISSING_VALUE, "date and time")
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        raise _Refused(Reason.BAD_DATE, text)
    day, month, year, hour, minute = map(int, found.groups())
    try:
        local = datetime(year, month, day, hour, minute)
    except ValueError as error:
        raise _Refused(Reason.BAD_DATE, text) from error
    if not FIRST_DAY.year <= year <= LAST_DAY.year:
        raise _Refused(Reason.IMPOSSIBLE_DATE, text)
    return local


# Amounts -------------------------------------------------------------------------------------------------------


def _number(text: str, what: str, low: float, high: float) -> float:
    if not text:
        raise _Refused(Reason.MISSING_VALUE, what)
    if _NUMBER.fullmatch(text) is None:
        raise _Refused(Reason.NOT_A_NUMBER, f"{what} {text}")
    number = float(text)
    if not low <= number <= high:
        raise _Refused(Reason.OUT_OF_RANGE, f"{what} {text}")
    return number


def _read_glucose(cells: Cells) -> Amount:
    value = _number(cells[1], "glucose in mmol/L", *POSSIBLE_GLUCOSE_MMOL_L)
    return Amount(None, value, content=value)


def _read_basal(cells: Cells) -> Amount:
    insulin = cells[2]
    if insulin == "R":
        kind, value = EventKind.BASAL_RATE, _number(cells[1], "basal rate in U/h", 0.0, MAX_RATE_U_H)
    elif insulin == "L":
        kind, value = EventKind.LONG_ACTING, _number(cells[1], "long-acting dose in U", 0.0, MAX_LONG_ACTING_U)
        _refuse_zero(value, "long-acting dose", cells[1])
    else:
        raise _Refused(Reason.UNKNOWN_KIND if insulin else Reason.MISSING_VALUE, f"insulin_kind {insulin}")
    return Amount(kind, value, content=value)


def _read_bolus(cells: Cells) -> Amount:
    value = _number(cells[1], "bolus in U", 0.0, MAX_BOLUS_U)
    _refuse_zero(value, "bolus", cells[1])
    return Amount(EventKind.BOLUS, value, apart=value)


def _read_meal(cells: Cells) -> Amount:
    carbs_g = _number(cells[3], "carbs_g", 0.0, MAX_NUTRIENT_G)
    nutrients = {
        name: _number(text, name, 0.0, MAX_NUTRIENT_G)
        for name, text in zip(("protein_g", "fat_g", "fibre_g"), cells[4:7], strict=True)
        if text
    }
    words = {name: text for name, text in zip(("meal_type", "meal_tag"), cells[1:3], strict=True) if text}
    if not (carbs_g or any(nutrients.values()) or cells[2]):
        raise _Refused(Reason.EMPTY, f"carbs_g {cells[3]}")
    return Amount(EventKind.CARBS, carbs_g, apart=(carbs_g, cells[2]), details={**words, **nutrients})


def _read_activity(cells: Cells) -> Amount:
    if not cells[1]:
        raise _Refused(Reason.MISSING_VALUE, "activity_type")
    steps = _number(cells[3], "step_count", 0.0, MAX_STEPS)
    details: dict[str, float | str] = {"activity_type": cells[1], "duration_min": _seconds(cells[5]) / 60.0}
    if cells[10]:
        details["intensity"] = cells[10]
    for name, text, high in (
        ("active_kcal", cells[2], 10_000.0),
        ("distance_m", cells[4], 100_000.0),
        ("met", cells[9], 50.0),
        ("motion_intensity_mean", cells[11], 100.0),
        ("motion_intensity_max", cells[12], 100.0),
    ):
        if text:
            details[name] = _number(text, name, 0.0, high)
    if cells[6]:
        details["active_min"] = _seconds(cells[6]) / 60.0
    return Amount(EventKind.ACTIVITY, steps, apart=cells[1], content=(steps, *details.values()), details=details)


def _seconds(text: str) -> float:
    return _number(text, "duration in s", 0.0, 86_400.0)


def _refuse_zero(value: float, what: str, text: str) -> None:
    if value == 0.0:
        raise _Refused(Reason.EMPTY, f"{what} {text}")


GLUCOSE = Layout(kind="glucose", columns=("bg_ts", "value"), place=_place_local, read=_read_glucose)
BASAL = Layout(kind="basal", columns=("basal_ts", "basal_dose", "insulin_kind"), place=_place_local, read=_read_basal)
BOLUS = Layout(kind="bolus", columns=("bolus_ts", "bolus_dose"), place=_place_local, read=_read_bolus)
NUTRITION = Layout(
    kind="nutrition",
    columns=("meal_ts", "meal_type", "meal_tag", "carbs_g", "prot_g", "fat_g", "fibre_g"),
    place=_place_local,
    read=_read_meal,
)
ACTIVITY = Layout(
    kind="activity",
    columns=(
        "activity_ts",
        "activity_type",
        "active_Kcal",
        "step_count",
        "distance_m",
        "duration_s",
        "active_time_s",
        "start_time_s",
        "start_time_offset_s",
        "met",
        "intensity",
        "motion_intensity_mean",
        "motion_intensity_max",
    ),
    place=_place_activity,
    read=_read_activity,
)
LAYOUTS = (GLUCOSE, BASAL, BOLUS, NUTRITION, ACTIVITY)


def _layout_of(header: Sequence[str]) -> Layout | None:
    named = sorted(name for name in header if name)
    return next((layout for layout in LAYOUTS if sorted(layout.columns) == named), None)


def _has_known_header(path: Path) -> bool:
    try:
        return _layout_of(read_header(path)) is not None
    except BadFile:
        return False


# Records and report --------------------------------------------------------------------------------------------


def _reading(row: CheckedRow) -> GlucoseReading:
    glucose_mg_dl = canonical_glucose(row.amount.value, GlucoseUnit.MMOL_L)
    return GlucoseReading(
        instant=row.placed.instant,
        local=row.local,
        offset_min=row.placed.offset_min,
        source=NAME,
        glucose_mg_dl=glucose_mg_dl,
        value_received=row.amount.value,
        unit_received=GlucoseUnit.MMOL_L.value,
        quality=_quality(glucose_mg_dl),
    )


def _quality(glucose_mg_dl: float) -> Quality:
    low, high = SENSOR_RANGE_MG_DL
    if glucose_mg_dl < low:
        return Quality.BELOW_SENSOR_RANGE
    return Quality.ABOVE_SENSOR_RANGE if glucose_mg_dl > high else Quality.GOOD


def _event(row: CheckedRow, kind: EventKind) -> Event:
    return Event(
        instant=row.placed.instant,
        local=row.local,
        offset_min=row.placed.offset_min,
        source=NAME,
        kind=kind,
        amount=row.amount.value,
        details=dict(row.amount.details),
    )


def _require_one_person(raw_files: Sequence[RawFile]) -> None:
    if not raw_files:
        raise BadFile("No file was given. Give one to five files of T1D-UOM that belong to one person.")
    kind, count = Counter(raw.layout.kind for raw in raw_files).most_common(1)[0]
    if count > 1:
        names = ", ".join(raw.table.name for raw in raw_files if raw.layout.kind == kind)
        raise BadFile(f"{names} are {count} files of the kind {kind}. Import one at a time.")
    people = {person for raw in raw_files if (person := _person_in(raw)) is not None}
    if len(people) > 1:
        raise BadFile(f"The files are of several people ({', '.join(sorted(people))}). Import one person at a time.")


def _person_in(raw: RawFile) -> str | None:
    found = re.fullmatch(rf"{raw.layout.kind}_(\w+)\.csv", raw.table.name)
    return found[1] if found else None


def _glucose_span(first_checked: Sequence[CheckedFile]) -> Span | None:
    """First and last glucose reading, when the first file checked is of glucose and has any."""
    instants = [row.placed.instant for file in first_checked for row in file.accepted if row.amount.kind is None]
    return (min(instants), max(instants)) if instants else None


def _imported(raw_files: Sequence[RawFile], checked: Sequence[CheckedFile], zone: ZoneInfo) -> Imported:
    canonical = [normalise(file) for file in checked]
    reports = tuple(_report(raw, file, zone) for raw, file in zip(raw_files, checked, strict=True))
    return Imported(
        readings=tuple(sorted((r for readings, _ in canonical for r in readings), key=lambda r: r.instant)),
        events=tuple(sorted((e for _, events in canonical for e in events), key=lambda e: e.instant)),
        report=ImportReport(source=NAME, files=reports),
    )


def _report(raw: RawFile, checked: CheckedFile, zone: ZoneInfo) -> FileReport:
    return FileReport(
        name=raw.table.name,
        kind=raw.layout.kind,
        rows_read=len(raw.table.rows),
        accepted=len(checked.accepted),
        rejected=checked.rejected,
        notes=(*_notes_on_text(raw.table), *_notes_on_clock(checked, zone), *_notes_on_traces(checked)),
    )


def _notes_on_text(table: RawTable) -> list[str]:
    notes = []
    if table.byte_order_mark:
        notes.append("A byte-order mark before the first line was skipped.")
    if table.unnamed_columns:
        notes.append(f"{table.unnamed_columns} columns without a name were ignored.")
    if table.blank_lines:
        notes.append(f"{table.blank_lines} blank lines were skipped; they are not rows.")
    return notes


def _notes_on_clock(checked: CheckedFile, zone: ZoneInfo) -> list[str]:
    notes = []
    if checked.repeated:
        notes.append(f"{checked.repeated} rows lie in the hour that the clock of {zone.key} shows twice.")
    skipped = sum(row.reason is Reason.NONEXISTENT_LOCAL_TIME for row in checked.rejected)
    if skipped:
        notes.append(
            f"{skipped} rows lie in the hour that the clock of {zone.key} skips: the device was not put forward "
            "that night, and times after it may be an hour late until it was."
        )
    return notes + _notes_on_travel(checked, zone)


def _notes_on_travel(checked: CheckedFile, zone: ZoneInfo) -> list[str]:
    activity = [row.placed for row in checked.accepted if row.amount.kind is EventKind.ACTIVITY]
    elsewhere = sum(not _is_at_home(placed, zone) for placed in activity)
    if not elsewhere:
        return []
    note = (
        f"In {elsewhere} of {len(activity)} rows the watch ran at another offset from UTC than {zone.key}: "
        "the person may have been elsewhere, where the local times of the other files could mean another instant."
    )
    return [note]


def _notes_on_traces(checked: CheckedFile) -> list[str]:
    glucose = sorted((row for row in checked.accepted if row.amount.kind is None), key=lambda row: row.placed.instant)
    days = [str(later.placed.instant.date()) for earlier, later in pairwise(glucose) if _contradict(earlier, later)]
    if len(days) < CONTRADICTIONS_WORTH_A_NOTE:
        return []
    note = (
        f"In {len(days)} places from {days[0]} to {days[-1]} readings at most 2 min apart differ by more than "
        f"{CONTRADICTION_MMOL_L} mmol/L: two sensors' traces are mixed, and which one is right cannot be told."
    )
    return [note]


def _contradict(earlier: CheckedRow, later: CheckedRow) -> bool:
    close = later.placed.instant - earlier.placed.instant <= timedelta(minutes=2)
    return close and abs(later.amount.value - earlier.amount.value) > CONTRADICTION_MMOL_L


T1D_UOM = T1dUom()
"""The source, as it stands in `twin_core.sources.SOURCES`."""
