"""The store in one SQLite file: people, records, import reports, twins, forecasters, saved plans, display preferences.

Durability: write-ahead log with `synchronous=FULL`, so that what an append returned for survives a killed
process and a power cut. Writers take the write lock at once (`BEGIN IMMEDIATE`) and wait for each other up to
`BUSY_TIMEOUT_S`; readers never wait. Any number of threads and processes may use one file, each process with a
`SqliteStore` of its own or one inherited by a fork. The folder is made 0700 and the file 0600.
"""

import os
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    Row,
    Table,
    create_engine,
    delete,
    event,
    func,
    inspect,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DatabaseError, DisconnectionError

from twin_core.domain.access import Viewer
from twin_core.domain.errors import BadFile, UnknownName
from twin_core.domain.imports import ImportReport
from twin_core.domain.people import Person
from twin_core.domain.ports import Appended, ForecasterVersion, SavedScenario, TwinVersion
from twin_core.domain.records import Event, EventKind, GlucoseReading
from twin_core.security.access import Action, require
from twin_core.store import tables as db

BUSY_TIMEOUT_S = 30.0
_BEGIN = "begin"


class SqliteStore:
    """`domain.ports.Store` in a SQLite file, which is made if it does not exist.

    Parameters
    ----------
    path
        The database file. A missing or empty folder becomes readable by its owner only; a folder that holds
        other things keeps its mode.

    Raises
    ------
    BadFile
        The file is no database of Biotwin, or a newer version of Biotwin made it.
    """

    def __init__(self, path: Path) -> None:
        _prepare(path)
        self._engine = _engine(path)
        self._writing = self._engine.execution_options(**{_BEGIN: "IMMEDIATE"})
        try:
            with self._writing.begin() as connection:
                _ensure_schema(connection, path)
        except DatabaseError as error:
            self.close()
            raise BadFile(f"{path} cannot be opened as a database: {error.orig}.") from error
        except BadFile:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection; the store must not be used afterwards."""
        self._engine.dispose()

    def add_person(self, viewer: Viewer, person: Person) -> None:
        """Add a person; the same id again replaces label and settings, never records."""
        require(viewer, Action.WRITE_PERSON)
        values = db.row_of_person(person)
        with self._writing.begin() as connection:
            known = connection.execute(
                update(db.people).where(db.people.c.person_id == person.person_id).values(values)
            ).rowcount
            if not known:
                version = _next_records_version(connection)
                connection.execute(insert(db.people).values(**values, records_version=version))

    def people(self, viewer: Viewer) -> tuple[Person, ...]:
        """All people, in the order in which they were added."""
        require(viewer, Action.READ_PEOPLE)
        with self._engine.begin() as connection:
            rows = connection.execute(select(db.people).order_by(db.people.c.ordinal)).all()
        return tuple(map(db.person_of, rows))

    def person(self, viewer: Viewer, person_id: str) -> Person:
        """One person."""
        require(viewer, Action.READ_PEOPLE)
        with self._engine.begin() as connection:
            row = connection.execute(select(db.people).where(db.people.c.person_id == person_id)).one_or_none()
        if row is None:
            raise UnknownName("person", person_id)
        return db.person_of(row)

    def remove_person(self, viewer: Viewer, person_id: str) -> None:
        """Remove a person with all records, reports, twins, forecasters and scenarios."""
        require(viewer, Action.REMOVE_PERSON)
        with self._writing.begin() as connection:
            _require_person(connection, person_id)
            connection.execute(delete(db.people).where(db.people.c.person_id == person_id))

    def append(
        self, viewer: Viewer, person_id: str, readings: Sequence[GlucoseReading], events: Sequence[Event]
    ) -> Appended:
        """Add records in one transaction; raises the person's version if anything was added."""
        require(viewer, Action.WRITE_RECORD)
        reading_rows = [db.row_of_reading(person_id, reading) for reading in readings]
        event_rows = [db.row_of_event(person_id, event) for event in events]
        with self._writing.begin() as connection:
            _require_person(connection, person_id)
            readings_added = _add_missing(connection, db.readings, reading_rows)
            events_added = _add_missing(connection, db.events, event_rows)
            if readings_added or events_added:
                _raise_version(connection, person_id)
        return Appended(
            readings_added=readings_added,
            events_added=events_added,
            already_there=len(reading_rows) + len(event_rows) - readings_added - events_added,
        )

    def readings(self, viewer: Viewer, person_id: str, start: datetime, end: datetime) -> tuple[GlucoseReading, ...]:
        """Readings with `start <= instant < end`, by time."""
        require(viewer, Action.READ_RECORD)
        return tuple(map(db.reading_of, self._between(db.readings, person_id, start, end)))

    def events(
        self, viewer: Viewer, person_id: str, start: datetime, end: datetime, kind: EventKind | None = None
    ) -> tuple[Event, ...]:
        """Events with `start <= instant < end`, by time; of one kind if it is given."""
        require(viewer, Action.READ_RECORD)
        of_kind = () if kind is None else (db.events.c.kind == kind.value,)
        return tuple(map(db.event_of, self._between(db.events, person_id, start, end, *of_kind)))

    def span(self, viewer: Viewer, person_id: str) -> tuple[datetime, datetime] | None:
        """Instants of the first and last reading, or None when there is none."""
        require(viewer, Action.READ_RECORD)
        instant = db.readings.c.instant
        of_person = db.readings.c.person_id == person_id
        with self._engine.begin() as connection:
            _require_person(connection, person_id)
            first = connection.execute(select(func.min(instant)).where(of_person)).scalar_one()
            last = connection.execute(select(func.max(instant)).where(of_person)).scalar_one()
        return None if first is None else (datetime.fromtimestamp(first, tz=UTC), datetime.fromtimestamp(last, tz=UTC))

    def version(self, viewer: Viewer, person_id: str) -> int:
        """A number that grows whenever the person's records change; never given twice, even to a person added anew."""
        require(viewer, Action.READ_RECORD)
        with self._engine.begin() as connection:
            return _require_person(connection, person_id)

    def save_import(self, viewer: Viewer, person_id: str, report: ImportReport) -> None:
        """Keep the report of an import."""
        require(viewer, Action.WRITE_IMPORT)
        with self._writing.begin() as connection:
            _require_person(connection, person_id)
            connection.execute(insert(db.imports).values(person_id=person_id, report=db.report_to_json(report)))

    def imports(self, viewer: Viewer, person_id: str) -> tuple[ImportReport, ...]:
        """The reports of a person's imports, oldest first."""
        require(viewer, Action.READ_IMPORT)
        wanted = select(db.imports.c.report).where(db.imports.c.person_id == person_id).order_by(db.imports.c.import_id)
        with self._engine.begin() as connection:
            _require_person(connection, person_id)
            texts = connection.execute(wanted).scalars().all()
        return tuple(map(db.report_of, texts))

    def save_twin(self, viewer: Viewer, person_id: str, data_hash: str, payload: Mapping[str, Any]) -> TwinVersion:
        """Keep a newly fitted twin as the next version."""
        require(viewer, Action.WRITE_TWIN)
        return db.twin_of(self._save_version(db.twins, person_id, data_hash, payload))

    def latest_twin(self, viewer: Viewer, person_id: str) -> TwinVersion | None:
        """The newest twin, or None."""
        require(viewer, Action.READ_TWIN)
        row = self._latest_version(db.twins, person_id)
        return None if row is None else db.twin_of(row)

    def twins(self, viewer: Viewer, person_id: str) -> tuple[TwinVersion, ...]:
        """All twins of a person, oldest first."""
        require(viewer, Action.READ_TWIN)
        return tuple(map(db.twin_of, self._versions(db.twins, person_id)))

    def save_forecaster(
        self, viewer: Viewer, person_id: str, data_hash: str, payload: Mapping[str, Any]
    ) -> ForecasterVersion:
        """Keep a person's forecaster as the next version."""
        require(viewer, Action.WRITE_TWIN)
        return db.forecaster_of(self._save_version(db.forecasters, person_id, data_hash, payload))

    def latest_forecaster(self, viewer: Viewer, person_id: str) -> ForecasterVersion | None:
        """The newest forecaster, or None."""
        require(viewer, Action.READ_TWIN)
        row = self._latest_version(db.forecasters, person_id)
        return None if row is None else db.forecaster_of(row)

    def forecasters(self, viewer: Viewer, person_id: str) -> tuple[ForecasterVersion, ...]:
        """All forecasters of a person, oldest first."""
        require(viewer, Action.READ_TWIN)
        return tuple(map(db.forecaster_of, self._versions(db.forecasters, person_id)))

    def _save_version(self, table: Table, person_id: str, data_hash: str, payload: Mapping[str, Any]) -> Row[Any]:
        text = db.to_json(dict(payload))
        last = select(func.coalesce(func.max(table.c.version), 0)).where(table.c.person_id == person_id)
        with self._writing.begin() as connection:
            _require_person(connection, person_id)
            values = {
                "person_id": person_id,
                "version": connection.execute(last).scalar_one() + 1,
                "created": datetime.now(tz=UTC).isoformat(),
                "data_hash": data_hash,
                "payload": text,
            }
            return connection.execute(insert(table).values(values).returning(*table.c)).one()

    def _latest_version(self, table: Table, person_id: str) -> Row[Any] | None:
        of_person = select(table).where(table.c.person_id == person_id)
        with self._engine.begin() as connection:
            _require_person(connection, person_id)
            return connection.execute(of_person.order_by(table.c.version.desc()).limit(1)).one_or_none()

    def _versions(self, table: Table, person_id: str) -> Sequence[Row[Any]]:
        of_person = select(table).where(table.c.person_id == person_id).order_by(table.c.version)
        with self._engine.begin() as connection:
            _require_person(connection, person_id)
            return connection.execute(of_person).all()

    def save_scenario(self, viewer: Viewer, scenario: SavedScenario) -> None:
        """Keep a plan; one of the same name is replaced, and its id is gone."""
        require(viewer, Action.WRITE_SCENARIO)
        kept = insert(db.scenarios).values(db.row_of_scenario(scenario))
        replaced = {"scenario_id": kept.excluded.scenario_id, "plan": kept.excluded.plan}
        with self._writing.begin() as connection:
            _require_person(connection, scenario.person_id)
            connection.execute(kept.on_conflict_do_update(index_elements=("person_id", "name"), set_=replaced))

    def scenarios(self, viewer: Viewer, person_id: str) -> tuple[SavedScenario, ...]:
        """A person's saved plans, by name."""
        require(viewer, Action.READ_SCENARIO)
        of_person = select(db.scenarios).where(db.scenarios.c.person_id == person_id).order_by(db.scenarios.c.name)
        with self._engine.begin() as connection:
            _require_person(connection, person_id)
            return tuple(map(db.scenario_of, connection.execute(of_person).all()))

    def remove_scenario(self, viewer: Viewer, person_id: str, scenario_id: str) -> None:
        """Remove a saved plan; `UnknownName` if the person has none of that id."""
        require(viewer, Action.WRITE_SCENARIO)
        kept = db.scenarios.c
        one = delete(db.scenarios).where(kept.person_id == person_id, kept.scenario_id == scenario_id)
        with self._writing.begin() as connection:
            _require_person(connection, person_id)
            if not connection.execute(one).rowcount:
                raise UnknownName("saved scenario of this person", scenario_id)

    def preference(self, viewer: Viewer, name: str) -> str | None:
        """A display preference of this viewer, such as `unit`; None when never set."""
        require(viewer, Action.READ_PREFERENCE)
        kept = db.preferences.c
        wanted = select(kept.value).where(kept.viewer == viewer.name, kept.name == name)
        with self._engine.begin() as connection:
            return connection.execute(wanted).scalar_one_or_none()

    def set_preference(self, viewer: Viewer, name: str, value: str) -> None:
        """Keep a display preference of this viewer."""
        require(viewer, Action.WRITE_PREFERENCE)
        kept = insert(db.preferences).values(viewer=viewer.name, name=name, value=value)
        with self._writing.begin() as connection:
            connection.execute(kept.on_conflict_do_update(set_={"value": kept.excluded.value}))

    def _between(
        self, table: Table, person_id: str, start: datetime, end: datetime, *conditions: ColumnElement[bool]
    ) -> Sequence[Any]:
        of_person = select(table).where(table.c.person_id == person_id, *conditions)
        # A bound between two whole seconds excludes the second before it.
        between = of_person.where(table.c.instant >= _first_second(start), table.c.instant < _first_second(end))
        with self._engine.begin() as connection:
            _require_person(connection, person_id)
            return connection.execute(between.order_by(*table.primary_key)).all()


def _first_second(bound: datetime) -> int:
    return db.seconds_of(bound) + (bound.microsecond > 0)


def _require_person(connection: Connection, person_id: str) -> int:
    """The version of the person's records; `UnknownName` when there is no such person."""
    wanted = select(db.people.c.records_version).where(db.people.c.person_id == person_id)
    version = connection.execute(wanted).scalar_one_or_none()
    if version is None:
        raise UnknownName("person", person_id)
    return int(version)


def _add_missing(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert the rows whose key is not there yet; how many were."""
    if not rows:
        return 0
    counted = connection.execution_options(preserve_rowcount=True)
    return counted.execute(insert(table).on_conflict_do_nothing(), rows).rowcount


def _raise_version(connection: Connection, person_id: str) -> None:
    version = _next_records_version(connection)
    connection.execute(update(db.people).where(db.people.c.person_id == person_id).values(records_version=version))


def _next_records_version(connection: Connection) -> int:
    one_more = update(db.counter).values(records_version=db.counter.c.records_version + 1)
    version: int = connection.execute(one_more.returning(db.counter.c.records_version)).scalar_one()
    return version


# Opening -------------------------------------------------------------------------------------------------------


def _prepare(path: Path) -> None:
    """The folder 0700 unless it holds other things, the file 0600; SQLite gives its log files the same mode."""
    folder = path.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        folder.chmod(0o700)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise BadFile(f"{path} cannot be opened for writing: {error.strerror}.") from error
    path.chmod(0o600)


def _engine(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
    )
    event.listen(engine, "connect", _set_up_connection)
    event.listen(engine, "checkout", _refuse_connection_of_parent)
    event.listen(engine, "begin", _begin)
    return engine


def _set_up_connection(connection: sqlite3.Connection, record: Any) -> None:
    record.info["process"] = os.getpid()
    # The driver would begin transactions late, at the first write; `_begin` does it instead.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _refuse_connection_of_parent(_: sqlite3.Connection, record: Any, proxy: Any) -> None:
    """A connection must not be used on both sides of a fork; raising makes the pool open a new one."""
    if record.info["process"] != os.getpid():
        record.dbapi_connection = proxy.dbapi_connection = None
        raise DisconnectionError("This connection belongs to the parent process.")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get(_BEGIN, 'DEFERRED')}")


def _ensure_schema(connection: Connection, path: Path) -> None:
    """Make the tables of a new file, add what an older one lacks; refuse one that is not ours or is newer than us."""
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version == db.SCHEMA_VERSION:
        return
    if version in db.GROWN_FROM:
        db.TABLES.create_all(connection)
        connection.exec_driver_sql(f"PRAGMA user_version={db.SCHEMA_VERSION}")
        return
    if version != 0 or inspect(connection).get_table_names():
        raise BadFile(
            f"{path} has schema version {version}; this version of Biotwin knows {db.SCHEMA_VERSION}. "
            "Start the version that made the file, or give the path of another file."
        )
    db.TABLES.create_all(connection)
    connection.execute(insert(db.counter).values(records_version=0))
    connection.exec_driver_sql(f"PRAGMA user_version={db.SCHEMA_VERSION}")
