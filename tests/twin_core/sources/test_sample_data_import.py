"""The shipped sample: what it holds, and that the excerpt of defects shows each of them."""

from collections import Counter
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from twin_core.domain.imports import FileReport, Imported, Reason
from twin_core.domain.records import EventKind
from twin_core.sources.t1d_uom import T1D_UOM, people_in

SAMPLE_DATA = Path(__file__).parents[3] / "sample_data"
LONDON = ZoneInfo("Europe/London")


def imported_from(folder: str) -> dict[str, Imported]:
    people = people_in(SAMPLE_DATA / folder)
    return {person: T1D_UOM.import_files(files, LONDON.key) for person, files in people.items()}


@pytest.fixture(scope="module")
def sample() -> dict[str, Imported]:
    return imported_from("t1d_uom")


@pytest.fixture(scope="module")
def defects() -> dict[str, FileReport]:
    return {file.name: file for imported in imported_from("defects").values() for file in imported.report.files}


def test_the_sample_is_small() -> None:
    assert sum(path.stat().st_size for path in SAMPLE_DATA.rglob("*") if path.is_file()) < 1_000_000


@pytest.mark.parametrize(
    ("person", "first_day", "last_day", "readings", "kinds"),
    [
        ("2308", date(2024, 2, 4), date(2024, 2, 17), 3848,
         {"activity": 2129, "basal_rate": 131, "bolus": 71, "carbs": 42}),
        ("2313", date(2024, 1, 18), date(2024, 1, 31), 4223,
         {"activity": 2124, "long_acting": 9, "bolus": 45, "carbs": 31}),
    ],
)  # fmt: skip
def test_the_sample_holds_fourteen_days_of_each_person(  # type: ignore[no-untyped-def]
    person, first_day, last_day, readings, kinds, sample
) -> None:
    imported = sample[person]
    days = {reading.instant.astimezone(LONDON).date() for reading in imported.readings}
    assert (min(days), max(days), len(days)) == (first_day, last_day, 14)
    assert len(imported.readings) == readings
    assert Counter(event.kind.value for event in imported.events) == kinds


@pytest.mark.parametrize("person", ["2308", "2313"])
def test_insulin_of_the_day_before_comes_along(person: str, sample: dict[str, Imported]) -> None:
    imported = sample[person]
    insulin = [e for e in imported.events if e.kind not in (EventKind.CARBS, EventKind.ACTIVITY)]
    before = (imported.readings[0].instant - insulin[0].instant).total_seconds() / 3600
    assert 0 < before <= 24.1


def test_no_glucose_of_the_sample_repeats_or_contradicts(sample: dict[str, Imported]) -> None:
    glucose = [file for imported in sample.values() for file in imported.report.files if file.kind == "glucose"]
    assert [file.rejected for file in glucose] == [(), ()]


@pytest.mark.parametrize(
    ("name", "rejected"),
    [
        ("glucose_2301.csv", {8: Reason.CONFLICT, 32: Reason.DUPLICATE}),
        ("glucose_2309.csv", {9: Reason.NONEXISTENT_LOCAL_TIME}),
        ("basal_2301.csv", {2: Reason.SUPERSEDED, 23: Reason.DUPLICATE}),
        ("basal_2309.csv", {4: Reason.SUPERSEDED}),
        ("bolus_2301.csv", {5: Reason.EMPTY}),
        ("bolus_2305.csv", {8: Reason.MISSING_VALUE, 21: Reason.FAR_FROM_RECORD}),
        ("nutrition_2309.csv", {6: Reason.BAD_DATE, 26: Reason.MISSING_VALUE}),
        ("nutrition_2320.csv", {21: Reason.IMPOSSIBLE_DATE}),
        ("activity_2305.csv", {4: Reason.DUPLICATE, 14: Reason.SECOND_WATCH}),
    ],
)
def test_each_defect_is_named_with_its_row(
    name: str, rejected: dict[int, Reason], defects: dict[str, FileReport]
) -> None:
    first: dict[Reason, int] = {}
    for row in defects[name].rejected:
        first.setdefault(row.reason, row.row)
    assert {line: reason for reason, line in first.items()} == rejected


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("basal_2301.csv", "byte-order mark"),
        ("basal_2301.csv", "2 columns without a name"),
        ("glucose_2301.csv", "shows twice"),
        ("glucose_2304.csv", "two sensors' traces are mixed"),
        ("glucose_2309.csv", "was not put forward"),
        ("activity_2305.csv", "another offset from UTC"),
    ],
)
def test_each_peculiarity_that_rejects_no_row_is_noted(name: str, words: str, defects: dict[str, FileReport]) -> None:
    assert words in " ".join(defects[name].notes)


def test_excerpts_of_defects_are_short(defects: dict[str, FileReport]) -> None:
    assert max(file.rows_read for file in defects.values()) < 200
