"""The SQLite store: what goes in comes out, once, whoever writes beside it and whatever kills the writer."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.pool import Pool

from twin_core.domain.access import Purpose, Role, Viewer
from twin_core.domain.errors import AccessDenied, BadFile, BadInput, UnknownName
from twin_core.domain.imports import FileReport, ImportReport, Reason, RejectedRow
from twin_core.domain.people import Person, RecordKind
from twin_core.domain.records import Event, EventKind, GlucoseReading, Quality
from twin_core.store import SqliteStore
from twin_core.store.tables import SCHEMA_VERSION

OWNER = Viewer(name="owner", role=Role.OWNER, purpose=Purpose.CARE)
PERSON = Person(
    person_id="p1",
    label="Person 1",
    time_zone="Europe/London",
    record=RecordKind.PLAYED,
    therapy="insulin pump",
    body_weight_kg=71.5,
    attribution="CC BY 4.0",
)
START = datetime(2024, 2, 1, tzinfo=UTC)
EVER = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def reading(minute: float, glucose_mg_dl: float = 99.0, source: str = "sensor") -> GlucoseReading:
    return GlucoseReading(
        instant=START + timedelta(minutes=minute),
        local="01/02/2024 00:00",
        offset_min=0,
        source=source,
        glucose_mg_dl=glucose_mg_dl,
        value_received=5.5,
        unit_received="mmol/L",
        quality=Quality.GOOD,
    )


def happening(kind: EventKind, amount: float, **details: float | str) -> Event:
    return Event(
        instant=START,
        local="01/02/2024 00:00",
        offset_min=-300,
        source="log",
        kind=kind,
        amount=amount,
        details=details,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "biotwin.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path)
    store.add_person(OWNER, PERSON)
    yield store
    store.close()


# People --------------------------------------------------------------------------------------------------------


def test_people_come_back_as_added_and_in_that_order(store: SqliteStore) -> None:
    other = replace(PERSON, person_id="a", body_weight_kg=None, record=RecordKind.LIVE)
    store.add_person(OWNER, other)
    assert store.people(OWNER) == (PERSON, other)
    assert store.person(OWNER, "a") == other


def test_adding_a_person_again_replaces_settings_and_keeps_records(store: SqliteStore) -> None:
    store.append(OWNER, "p1", [reading(0)], [])
    version = store.version(OWNER, "p1")
    changed = replace(PERSON, label="Another label", therapy="")
    store.add_person(OWNER, changed)
    assert store.people(OWNER) == (changed,)
    assert store.readings(OWNER, "p1", *EVER) == (reading(0),)
    assert store.version(OWNER, "p1") == version


def test_an_unknown_person_is_named_by_every_method(store: SqliteStore) -> None:
    asks = [
        lambda: store.person(OWNER, "nobody"),
        lambda: store.remove_person(OWNER, "nobody"),
        lambda: store.append(OWNER, "nobody", [reading(0)], []),
        lambda: store.readings(OWNER, "nobody", *EVER),
        lambda: store.events(OWNER, "nobody", *EVER),
        lambda: store.span(OWNER, "nobody"),
        lambda: store.version(OWNER, "nobody"),
        lambda: store.save_import(OWNER, "nobody", ImportReport(source="s", files=())),
        lambda: store.imports(OWNER, "nobody"),
        lambda: store.save_twin(OWNER, "nobody", "hash", {}),
        lambda: store.latest_twin(OWNER, "nobody"),
        lambda: store.twins(OWNER, "nobody"),
        lambda: store.save_forecaster(OWNER, "nobody", "hash", {}),
        lambda: store.latest_forecaster(OWNER, "nobody"),
        lambda: store.forecasters(OWNER, "nobody"),
    ]
    for ask in asks:
        with pytest.raises(UnknownName, match="nobody"):
            ask()


def test_removing_a_person_removes_everything_of_theirs_and_of_no_one_else(store: SqliteStore, path: Path) -> None:
    store.add_person(OWNER, replace(PERSON, person_id="p2"))
    for person_id in ("p1", "p2"):
        store.append(OWNER, person_id, [reading(0)], [happening(EventKind.BOLUS, 2.0)])
        store.save_import(OWNER, person_id, ImportReport(source="s", files=()))
        store.save_twin(OWNER, person_id, "hash", {})
        store.save_forecaster(OWNER, person_id, "hash", {})
    store.remove_person(OWNER, "p1")
    with sqlite3.connect(path) as connection:
        for table in ("people", "readings", "events", "imports", "twins", "forecasters"):
            query = f"SELECT DISTINCT person_id FROM {table}"
            assert connection.execute(query).fetchall() == [("p2",)]
    connection.close()


def test_a_version_is_never_given_twice_even_after_removal(store: SqliteStore) -> None:
    store.append(OWNER, "p1", [reading(0)], [])
    before = store.version(OWNER, "p1")
    store.remove_person(OWNER, "p1")
    store.add_person(OWNER, PERSON)
    assert store.version(OWNER, "p1") > before


# Records -------------------------------------------------------------------------------------------------------


def test_records_come_back_exactly_and_in_order_of_time(store: SqliteStore) -> None:
    low = replace(reading(5, 39.6), quality=Quality.BELOW_SENSOR_RANGE)
    meal = happening(EventKind.CARBS, 40.0, meal_tag="Crème brûlée", protein_g=3.5)
    store.append(OWNER, "p1", [reading(10), low, reading(0)], [meal])
    assert store.readings(OWNER, "p1", *EVER) == (reading(0), low, reading(10))
    assert store.events(OWNER, "p1", *EVER) == (meal,)


def test_events_of_one_kind_come_alone_and_two_drugs_of_one_minute_are_two(store: SqliteStore) -> None:
    taken = [happening(EventKind.DRUG, 500.0, drug=name) for name in ("metformin", "paracetamol")]
    store.append(OWNER, "p1", [], [happening(EventKind.CARBS, 40.0), *taken])
    assert store.events(OWNER, "p1", *EVER, EventKind.DRUG) == tuple(taken)
    assert len(store.events(OWNER, "p1", *EVER)) == 3


def test_a_range_holds_its_start_and_not_its_end(store: SqliteStore) -> None:
    store.append(OWNER, "p1", [reading(minute) for minute in (0, 5, 10)], [])
    found = store.readings(OWNER, "p1", START, START + timedelta(minutes=10))
    assert [record.instant.minute for record in found] == [0, 5]
    after_first = START + timedelta(microseconds=1)
    assert len(store.readings(OWNER, "p1", after_first, EVER[1])) == 2


def test_instants_of_another_zone_are_the_same_instants(store: SqliteStore) -> None:
    tokyo = replace(reading(0), instant=START.astimezone(timezone(timedelta(hours=9))))
    store.append(OWNER, "p1", [tokyo], [])
    assert store.readings(OWNER, "p1", *EVER)[0].instant.isoformat() == "2024-02-01T00:00:00+00:00"


def test_records_that_are_there_are_left_as_they_were_and_counted(store: SqliteStore) -> None:
    store.append(OWNER, "p1", [reading(0)], [])
    appended = store.append(OWNER, "p1", [reading(0, 250.0), reading(5), reading(5)], [])
    assert (appended.readings_added, appended.events_added, appended.already_there) == (1, 0, 2)
    assert store.readings(OWNER, "p1", *EVER) == (reading(0), reading(5))


def test_two_sources_may_read_at_the_same_instant(store: SqliteStore) -> None:
    assert store.append(OWNER, "p1", [reading(0), reading(0, source="meter")], []).readings_added == 2


def test_what_tells_events_of_one_minute_apart_depends_on_their_kind(store: SqliteStore) -> None:
    events = [
        happening(EventKind.BOLUS, 2.0),
        happening(EventKind.BOLUS, 2.1),
        happening(EventKind.CARBS, 28.0, meal_tag="Huel"),
        happening(EventKind.CARBS, 28.0, meal_tag="Toast"),
        happening(EventKind.ACTIVITY, 13.0, activity_type="WALKING"),
        happening(EventKind.ACTIVITY, 0.0, activity_type="SEDENTARY"),
        happening(EventKind.BASAL_RATE, 0.8),
        happening(EventKind.LONG_ACTING, 16.0),
    ]
    same = [
        happening(EventKind.BOLUS, 2.0),
        happening(EventKind.BASAL_RATE, 0.9),
        happening(EventKind.LONG_ACTING, 8.0),
    ]
    assert store.append(OWNER, "p1", [], events).events_added == len(events)
    assert store.append(OWNER, "p1", [], same).already_there == len(same)


def test_the_version_grows_only_when_something_was_added(store: SqliteStore) -> None:
    versions = [store.version(OWNER, "p1")]
    for minutes in ([0], [0], [], [0, 5]):
        store.append(OWNER, "p1", [reading(minute) for minute in minutes], [])
        versions.append(store.version(OWNER, "p1"))
    assert versions[0] < versions[1] == versions[2] == versions[3] < versions[4]


def test_an_instant_without_zone_or_a_value_that_is_no_number_stores_nothing(store: SqliteStore) -> None:
    naive = replace(reading(0), instant=START.replace(tzinfo=None))
    for bad in (naive, reading(0, float("nan"))):
        with pytest.raises(BadInput):
            store.append(OWNER, "p1", [reading(5), bad], [])
    assert store.span(OWNER, "p1") is None


def test_the_span_is_of_the_readings(store: SqliteStore) -> None:
    assert store.span(OWNER, "p1") is None
    store.append(OWNER, "p1", [reading(5), reading(60)], [happening(EventKind.BOLUS, 2.0)])
    assert store.span(OWNER, "p1") == (START + timedelta(minutes=5), START + timedelta(minutes=60))


def test_seventy_days_of_readings_are_appended_in_one_call(store: SqliteStore) -> None:
    readings = [reading(5 * index) for index in range(20_000)]
    assert store.append(OWNER, "p1", readings, []).readings_added == 20_000


# Reports, twins, preferences -----------------------------------------------------------------------------------


def test_import_reports_come_back_oldest_first(store: SqliteStore) -> None:
    rejected = (RejectedRow(row=3, reason=Reason.CONFLICT, got="6.1"),)
    file = FileReport(name="a.csv", kind="glucose", rows_read=2, accepted=1, rejected=rejected, notes=("A note.",))
    first, second = ImportReport(source="s", files=(file,)), ImportReport(source="t", files=())
    store.save_import(OWNER, "p1", first)
    store.save_import(OWNER, "p1", second)
    assert store.imports(OWNER, "p1") == (first, second)


def test_twins_are_numbered_and_the_newest_is_in_use(store: SqliteStore) -> None:
    assert store.latest_twin(OWNER, "p1") is None
    store.save_twin(OWNER, "p1", "hash 1", {"model": "hovorka", "parameters": {"k": 0.5}})
    second = store.save_twin(OWNER, "p1", "hash 2", {"trace": [1.0, 2.0]})
    assert (second.version, second.data_hash, second.payload) == (2, "hash 2", {"trace": [1.0, 2.0]})
    assert store.latest_twin(OWNER, "p1") == second
    assert second.created.tzinfo is not None


def test_all_twins_of_one_person_are_listed_oldest_first(store: SqliteStore) -> None:
    store.add_person(OWNER, replace(PERSON, person_id="p2"))
    store.save_twin(OWNER, "p2", "of another", {})
    assert store.twins(OWNER, "p1") == ()
    kept = tuple(store.save_twin(OWNER, "p1", f"hash {number}", {"number": number}) for number in range(12))
    assert store.twins(OWNER, "p1") == kept
    assert store.latest_twin(OWNER, "p1") == kept[-1]


def test_forecasters_are_numbered_apart_from_twins_and_all_are_kept(store: SqliteStore) -> None:
    assert store.latest_forecaster(OWNER, "p1") is None
    store.save_twin(OWNER, "p1", "hash", {})
    kept = tuple(store.save_forecaster(OWNER, "p1", f"hash {number}", {"kind": "intervals"}) for number in range(3))
    assert [each.version for each in kept] == [1, 2, 3]
    assert store.forecasters(OWNER, "p1") == kept
    assert store.latest_forecaster(OWNER, "p1") == kept[-1]
    assert len(store.twins(OWNER, "p1")) == 1


def test_a_payload_that_is_no_json_is_refused(store: SqliteStore) -> None:
    for payload in ({"rmse": float("inf")}, {"when": START}):
        with pytest.raises(BadInput, match="JSON"):
            store.save_twin(OWNER, "p1", "hash", payload)
    assert store.latest_twin(OWNER, "p1") is None


def test_preferences_belong_to_their_viewer(store: SqliteStore) -> None:
    store.set_preference(OWNER, "unit", "mg/dL")
    store.set_preference(OWNER, "unit", "mmol/L")
    assert store.preference(OWNER, "unit") == "mmol/L"
    assert store.preference(replace(OWNER, name="guest"), "unit") is None


# Access --------------------------------------------------------------------------------------------------------


def test_every_method_asks_whether_the_viewer_may(store: SqliteStore) -> None:
    system = Viewer(name="job", role=Role.SYSTEM, purpose=Purpose.EXPORT)
    asks = [
        lambda: store.add_person(system, PERSON),
        lambda: store.people(system),
        lambda: store.person(system, "p1"),
        lambda: store.remove_person(system, "p1"),
        lambda: store.append(system, "p1", [reading(0)], []),
        lambda: store.readings(system, "p1", *EVER),
        lambda: store.events(system, "p1", *EVER),
        lambda: store.span(system, "p1"),
        lambda: store.version(system, "p1"),
        lambda: store.save_import(system, "p1", ImportReport(source="s", files=())),
        lambda: store.imports(system, "p1"),
        lambda: store.save_twin(system, "p1", "hash", {}),
        lambda: store.latest_twin(system, "p1"),
        lambda: store.twins(system, "p1"),
        lambda: store.preference(system, "unit"),
        lambda: store.set_preference(system, "unit", "mg/dL"),
    ]
    for ask in asks:
        with pytest.raises(AccessDenied, match="job"):
            ask()
    assert store.people(OWNER) == (PERSON,)
    assert store.version(OWNER, "p1") == 1


# The file ------------------------------------------------------------------------------------------------------


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_may_read_the_files(store: SqliteStore, path: Path) -> None:
    store.append(OWNER, "p1", [reading(0)], [])
    assert mode_of(path.parent) == 0o700
    assert {file.name: mode_of(file) for file in path.parent.iterdir()} == {
        "biotwin.db": 0o600,
        "biotwin.db-shm": 0o600,
        "biotwin.db-wal": 0o600,
    }


def test_a_folder_that_holds_other_things_keeps_its_mode(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    shared.chmod(0o755)
    (shared / "other").touch()
    SqliteStore(shared / "biotwin.db").close()
    assert mode_of(shared) == 0o755


def test_a_store_opened_again_has_what_was_kept(store: SqliteStore, path: Path) -> None:
    store.append(OWNER, "p1", [reading(0)], [])
    again = SqliteStore(path)
    assert again.readings(OWNER, "p1", *EVER) == (reading(0),)
    again.close()


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 99])
def test_a_file_of_a_newer_version_is_refused_and_left_alone(version: int, tmp_path: Path) -> None:
    path = tmp_path / "newer.db"
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version={version}")
    connection.close()
    with pytest.raises(BadFile, match=f"schema version {version}.*knows {SCHEMA_VERSION}"):
        SqliteStore(path)


def test_a_file_that_is_no_database_of_biotwin_is_refused(tmp_path: Path) -> None:
    text, other = tmp_path / "text.db", tmp_path / "other.db"
    text.write_text("This is no database. " * 100, encoding="utf-8")
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    for path in (text, other, tmp_path):
        with pytest.raises(BadFile, match=path.name):
            SqliteStore(path)


# Several writers -----------------------------------------------------------------------------------------------


def test_two_threads_write_beside_each_other_without_loss(store: SqliteStore) -> None:
    failures: list[Exception] = []

    def write(first: int) -> None:
        try:
            for minute in range(first, 200, 2):
                store.append(OWNER, "p1", [reading(minute)], [])
                store.readings(OWNER, "p1", *EVER)
                store.save_twin(OWNER, "p1", str(minute), {})
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(store.readings(OWNER, "p1", *EVER)) == 200
    twin = store.latest_twin(OWNER, "p1")
    assert twin is not None
    assert twin.version == 200


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_sqlite_store import OWNER, reading
from twin_core.store import SqliteStore
from twin_core.store.tables import SCHEMA_VERSION
store = SqliteStore(Path({path!r}))
for minute in range(100_000):
    store.append(OWNER, "p1", [reading(minute)], [])
    print(minute, flush=True)
"""


def writer(path: Path) -> "subprocess.Popen[str]":
    code = WRITER.format(tests=str(Path(__file__).parent), path=str(path))
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_a_killed_writer_loses_no_reading_whose_append_returned(store: SqliteStore, path: Path) -> None:
    with writer(path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 50:
                break
        process.kill()
        told = [int(line), *map(int, process.stdout)]
    assert process.returncode == -signal.SIGKILL
    kept = len(store.readings(OWNER, "p1", *EVER))
    assert told[-1] + 1 <= kept <= told[-1] + 2
    assert store.append(OWNER, "p1", [reading(-5)], []).readings_added == 1


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_writes_with_connections_of_its_own(store: SqliteStore) -> None:
    store.append(OWNER, "p1", [reading(0)], [])
    child = os.fork()
    if child == 0:
        opened: list[int] = []
        event.listen(Pool, "connect", lambda *_: opened.append(os.getpid()))
        added = store.append(OWNER, "p1", [reading(5)], []).readings_added
        os._exit(0 if added == 1 and opened == [os.getpid()] else 1)
    assert os.waitpid(child, 0)[1] == 0
    store.append(OWNER, "p1", [reading(10)], [])
    assert len(store.readings(OWNER, "p1", *EVER)) == 3
