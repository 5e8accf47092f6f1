"""Saved scenarios survive, belong to one person, and are gone with them."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from twin_core.domain.access import Purpose, Role, Viewer
from twin_core.domain.errors import AccessDenied, BadInput, UnknownName
from twin_core.domain.people import Person, RecordKind
from twin_core.domain.ports import SavedScenario
from twin_core.store import SqliteStore

OWNER = Viewer(name="owner", role=Role.OWNER, purpose=Purpose.CARE)
FEED = Viewer(name="feed", role=Role.SYSTEM, purpose=Purpose.LIVE_FEED)
PERSON = Person(person_id="p1", label="Person 1", time_zone="UTC", record=RecordKind.RECORDED)
A = SavedScenario(scenario_id="xK3", person_id="p1", name="A", plan={"carbs_g": 60.0, "bolus_u": 4.5})
B = SavedScenario(scenario_id="Qz7", person_id="p1", name="B", plan={"basal_percent": 50.0})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "biotwin.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(path)
    opened.add_person(OWNER, PERSON)
    opened.add_person(OWNER, replace(PERSON, person_id="p2"))
    yield opened
    opened.close()


def test_saved_scenarios_come_back_by_name_after_the_store_is_opened_again(store: SqliteStore, path: Path) -> None:
    for scenario in (B, A):
        store.save_scenario(OWNER, scenario)
    again = SqliteStore(path)
    assert again.scenarios(OWNER, "p1") == (A, B)
    assert again.scenarios(OWNER, "p2") == ()
    again.close()


def test_the_same_name_again_replaces_the_plan_and_its_id(store: SqliteStore) -> None:
    changed = replace(A, scenario_id="new", plan={"bolus_u": 1.0})
    store.save_scenario(OWNER, A)
    store.save_scenario(OWNER, changed)
    assert store.scenarios(OWNER, "p1") == (changed,)


def test_a_scenario_is_removed_by_its_own_person_only(store: SqliteStore) -> None:
    store.save_scenario(OWNER, A)
    for person_id, scenario_id in (("p2", "xK3"), ("p1", "other")):
        with pytest.raises(UnknownName, match="saved scenario"):
            store.remove_scenario(OWNER, person_id, scenario_id)
    store.remove_scenario(OWNER, "p1", "xK3")
    assert store.scenarios(OWNER, "p1") == ()


def test_scenarios_go_with_their_person(store: SqliteStore) -> None:
    store.save_scenario(OWNER, A)
    store.remove_person(OWNER, "p1")
    store.add_person(OWNER, PERSON)
    assert store.scenarios(OWNER, "p1") == ()


def test_nobody_unknown_and_no_number_that_is_none_is_kept(store: SqliteStore) -> None:
    with pytest.raises(UnknownName):
        store.save_scenario(OWNER, replace(A, person_id="nobody"))
    with pytest.raises(UnknownName):
        store.scenarios(OWNER, "nobody")
    with pytest.raises(BadInput):
        store.save_scenario(OWNER, replace(A, plan={"carbs_g": float("nan")}))


def test_the_virtual_sensor_neither_sees_nor_changes_scenarios(store: SqliteStore) -> None:
    for forbidden in (
        lambda: store.scenarios(FEED, "p1"),
        lambda: store.save_scenario(FEED, A),
        lambda: store.remove_scenario(FEED, "p1", "xK3"),
    ):
        with pytest.raises(AccessDenied):
            forbidden()


def test_a_file_of_version_1_gets_the_table_and_keeps_its_people(store: SqliteStore, path: Path) -> None:
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE scenarios")
        connection.execute("PRAGMA user_version=1")
    connection.close()
    grown = SqliteStore(path)
    assert [person.person_id for person in grown.people(OWNER)] == ["p1", "p2"]
    grown.save_scenario(OWNER, A)
    assert grown.scenarios(OWNER, "p1") == (A,)
    grown.close()
