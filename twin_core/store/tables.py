"""The tables of the store, declared once, and how records turn into rows and back.

Instants are whole seconds since 1970-01-01 UTC. What tells two events of one person, instant, source and kind
apart stands in `events.apart`: two boluses of different doses, two items of a meal, two types of activity.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, Float, ForeignKey, Integer, MetaData, Row, Table, Text

from twin_core.domain.errors import BadInput
from twin_core.domain.imports import FileReport, ImportReport, Reason, RejectedRow
from twin_core.domain.people import Person, RecordKind
from twin_core.domain.ports import ForecasterVersion, SavedScenario, TwinVersion
from twin_core.domain.records import DRUG_NAME, Event, EventKind, GlucoseReading, Quality

SCHEMA_VERSION = 3
"""Kept in `PRAGMA user_version`; raise it with any change of a table."""

GROWN_FROM = (1, 2)
"""Versions that differ from this one by missing tables only, so that a file of theirs just gets them."""

TABLES = MetaData()


def _person_key() -> Column[str]:
    return Column("person_id", Text, ForeignKey("people.person_id", ondelete="CASCADE"), primary_key=True)


people = Table(
    "people",
    TABLES,
    Column("ordinal", Integer, primary_key=True),
    Column("person_id", Text, unique=True, nullable=False),
    Column("label", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("record", Text, nullable=False),
    Column("therapy", Text, nullable=False),
    Column("body_weight_kg", Float),
    Column("attribution", Text, nullable=False),
    Column("records_version", Integer, nullable=False),
)

counter = Table("counter", TABLES, Column("records_version", Integer, nullable=False))
"""One row: the last version given to anybody's records, so that no version is ever given twice."""

readings = Table(
    "readings",
    TABLES,
    _person_key(),
    Column("instant", Integer, primary_key=True, autoincrement=False),
    Column("source", Text, primary_key=True),
    Column("local", Text, nullable=False),
    Column("offset_min", Integer, nullable=False),
    Column("glucose_mg_dl", Float, nullable=False),
    Column("value_received", Float, nullable=False),
    Column("unit_received", Text, nullable=False),
    Column("quality", Text, nullable=False),
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    TABLES,
    _person_key(),
    Column("instant", Integer, primary_key=True, autoincrement=False),
    Column("source", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("apart", Text, primary_key=True),
    Column("local", Text, nullable=False),
    Column("offset_min", Integer, nullable=False),
    Column("amount", Float, nullable=False),
    Column("details", Text, nullable=False),
    sqlite_with_rowid=False,
)

imports = Table(
    "imports",
    TABLES,
    Column("import_id", Integer, primary_key=True),
    Column("person_id", Text, ForeignKey("people.person_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("report", Text, nullable=False),
)


def _versions(name: str) -> Table:
    """A table of versions of something made for a person."""
    return Table(
        name,
        TABLES,
        _person_key(),
        Column("version", Integer, primary_key=True, autoincrement=False),
        Column("created", Text, nullable=False),
        Column("data_hash", Text, nullable=False),
        Column("payload", Text, nullable=False),
    )


twins = _versions("twins")

forecasters = _versions("forecasters")

scenarios = Table(
    "scenarios",
    TABLES,
    _person_key(),
    Column("name", Text, primary_key=True),
    Column("scenario_id", Text, nullable=False, unique=True),
    Column("plan", Text, nullable=False),
)

preferences = Table(
    "preferences",
    TABLES,
    Column("viewer", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)


def seconds_of(instant: datetime) -> int:
    """Whole seconds since 1970-01-01 UTC, rounded down; an instant without a zone is refused."""
    if instant.tzinfo is None:
        raise BadInput(f"The instant {instant.isoformat()} has no time zone; give it in UTC.")
    return math.floor(instant.timestamp())


def row_of_person(person: Person) -> dict[str, Any]:
    """A person as column values."""
    return {**asdict(person), "record": person.record.value}


def person_of(row: Row[Any]) -> Person:
    """A person of a row of `people`."""
    return Person(
        person_id=row.person_id,
        label=row.label,
        time_zone=row.time_zone,
        record=RecordKind(row.record),
        therapy=row.therapy,
        body_weight_kg=row.body_weight_kg,
        attribution=row.attribution,
    )


def row_of_reading(person_id: str, reading: GlucoseReading) -> dict[str, Any]:
    """A reading as column values; a glucose that is no finite number is refused."""
    _require_finite("glucose", reading.glucose_mg_dl, reading.instant)
    return {
        "person_id": person_id,
        "instant": seconds_of(reading.instant),
        "source": reading.source,
        "local": reading.local,
        "offset_min": reading.offset_min,
        "glucose_mg_dl": float(reading.glucose_mg_dl),
        "value_received": float(reading.value_received),
        "unit_received": reading.unit_received,
        "quality": reading.quality.value,
    }


def reading_of(row: Row[Any]) -> GlucoseReading:
    """A reading of a row of `readings`."""
    return GlucoseReading(
        instant=datetime.fromtimestamp(row.instant, tz=UTC),
        local=row.local,
        offset_min=row.offset_min,
        source=row.source,
        glucose_mg_dl=row.glucose_mg_dl,
        value_received=row.value_received,
        unit_received=row.unit_received,
        quality=Quality(row.quality),
    )


def row_of_event(person_id: str, event: Event) -> dict[str, Any]:
    """An event as column values; an amount that is no finite number is refused."""
    _require_finite(event.kind.value, event.amount, event.instant)
    return {
        "person_id": person_id,
        "instant": seconds_of(event.instant),
        "source": event.source,
        "kind": event.kind.value,
        "apart": _apart(event),
        "local": event.local,
        "offset_min": event.offset_min,
        "amount": float(event.amount),
        "details": to_json(dict(event.details)),
    }


def event_of(row: Row[Any]) -> Event:
    """An event of a row of `events`."""
    return Event(
        instant=datetime.fromtimestamp(row.instant, tz=UTC),
        local=row.local,
        offset_min=row.offset_min,
        source=row.source,
        kind=EventKind(row.kind),
        amount=row.amount,
        details=json.loads(row.details),
    )


def twin_of(row: Row[Any]) -> TwinVersion:
    """A twin of a row of `twins`."""
    return TwinVersion(**_version_of(row))


def forecaster_of(row: Row[Any]) -> ForecasterVersion:
    """A forecaster of a row of `forecasters`."""
    return ForecasterVersion(**_version_of(row))


def _version_of(row: Row[Any]) -> dict[str, Any]:
    return {
        "person_id": row.person_id,
        "version": row.version,
        "created": datetime.fromisoformat(row.created),
        "data_hash": row.data_hash,
        "payload": json.loads(row.payload),
    }


def row_of_scenario(scenario: SavedScenario) -> dict[str, Any]:
    """A saved plan as column values; a number that is not finite is refused."""
    return {
        "person_id": scenario.person_id,
        "name": scenario.name,
        "scenario_id": scenario.scenario_id,
        "plan": to_json(dict(scenario.plan)),
    }


def scenario_of(row: Row[Any]) -> SavedScenario:
    """A saved plan of a row of `scenarios`."""
    return SavedScenario(scenario_id=row.scenario_id, person_id=row.person_id, name=row.name, plan=json.loads(row.plan))


def report_to_json(report: ImportReport) -> str:
    """The report of an import as text."""
    return to_json(asdict(report))


def report_of(text: str) -> ImportReport:
    """The report of an import from its text."""
    report = json.loads(text)
    return ImportReport(source=report["source"], files=tuple(_file_report_of(file) for file in report["files"]))


def _file_report_of(file: Mapping[str, Any]) -> FileReport:
    rejected = tuple(
        RejectedRow(row=row["row"], reason=Reason(row["reason"]), got=row["got"]) for row in file["rejected"]
    )
    return FileReport(**{**file, "rejected": rejected, "notes": tuple(file["notes"])})


def to_json(value: Any) -> str:
    """JSON text; NaN, infinity and what JSON does not know are refused."""
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"This cannot be kept as JSON: {error}. Give text, finite numbers, lists and mappings."
        ) from error


def _apart(event: Event) -> str:
    match event.kind:
        case EventKind.BOLUS:
            return repr(float(event.amount))
        case EventKind.CARBS:
            return f"{float(event.amount)!r} {event.details.get('meal_tag', '')}"
        case EventKind.ACTIVITY:
            return str(event.details.get("activity_type", ""))
        case EventKind.DRUG:
            return str(event.details.get(DRUG_NAME, ""))
        case EventKind.BASAL_RATE | EventKind.LONG_ACTING:
            return ""


def _require_finite(what: str, value: float, instant: datetime) -> None:
    if not math.isfinite(value):
        raise BadInput(f"The {what} at {instant.isoformat()} is {value}; only finite numbers are kept.")
