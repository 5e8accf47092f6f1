from pathlib import Path

import pytest

from tests.twin_core.services.conftest import PUMP, SAMPLE
from twin_core.domain.errors import BadFile, UnknownName
from twin_core.domain.people import RecordKind
from twin_core.services.application import Services
from twin_core.services.records import LAST_PERSON


def sample_files(person: str) -> list[Path]:
    return sorted((SAMPLE / "t1d_uom").glob(f"*/*_{person}.csv"))


def test_the_demo_people_are_real_recorded_and_attributed(services: Services) -> None:
    people = services.records.people(services.viewer)
    assert [person.record for person in people] == [RecordKind.RECORDED] * 2
    assert all("CC BY 4.0" in person.attribution for person in people)
    assert not any(person.person_id in person.label for person in people)


def test_an_import_gives_a_person_and_a_report_that_adds_up(services: Services) -> None:
    outcome = services.records.import_files(services.viewer, sample_files("2313"), "Somebody", "Europe/London")
    assert outcome.report.accepted + outcome.report.rejected == outcome.report.rows_read > 5000
    assert outcome.added.readings_added > 4000
    assert services.records.person(services.viewer, outcome.person.person_id).label == "Somebody"
    assert services.records.imports(services.viewer, outcome.person.person_id) == (outcome.report,)


def test_importing_the_same_files_again_adds_nothing(services: Services) -> None:
    first = services.records.import_files(services.viewer, sample_files("2308"), "A", "Europe/London")
    again = services.records.import_files(services.viewer, sample_files("2308"), "A", "Europe/London")
    assert again.person.person_id == first.person.person_id
    assert again.added.readings_added == again.added.events_added == 0
    assert again.added.already_there == first.added.readings_added + first.added.events_added


def test_a_file_of_no_known_source_is_refused_by_name(services: Services, tmp_path: Path) -> None:
    stranger = tmp_path / "holiday.csv"
    stranger.write_text("place,days\nLeeds,3\n")
    with pytest.raises(BadFile, match=r"holiday\.csv"):
        services.records.import_files(services.viewer, [stranger], "x", "Europe/London")


def test_the_person_opened_last_is_remembered_and_a_lost_one_is_not(services: Services) -> None:
    assert services.records.last_seen(services.viewer) == PUMP
    other = services.records.people(services.viewer)[1].person_id
    services.records.remember(services.viewer, other)
    assert services.records.last_seen(services.viewer) == other
    services.records.set_preference(services.viewer, LAST_PERSON, "gone")
    assert services.records.last_seen(services.viewer) == PUMP


def test_without_anybody_the_last_seen_person_is_an_error_not_a_crash(services: Services) -> None:
    for person in services.records.people(services.viewer):
        services.records.remove(services.viewer, person.person_id)
    with pytest.raises(UnknownName):
        services.records.last_seen(services.viewer)
