"""What every source of data keeps; a new one joins by its line in `SOURCES` and a folder in `sample_data/`."""

from collections.abc import Sequence
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from twin_core.domain.errors import BadFile, UnknownName
from twin_core.domain.ports import Source
from twin_core.sources import SOURCES

SAMPLE_DATA = Path(__file__).parents[2] / "sample_data"

FOREIGN = {
    "empty": b"",
    "prose": b"Dear diary, today glucose was fine.\n",
    "other table": b"Index,Timestamp,Event Type,Value\n1,2024-01-01T00:00:00,EGV,112\n",
    "picture": b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe",
    "UTF-16": "bg_ts,value\r\n01/02/2024 10:00,5.5\r\n".encode("utf-16"),
}


def sample_of(source: Source) -> list[list[Path]]:
    """The sample's files, one list a person; a file's name ends in the person."""
    files = sorted((SAMPLE_DATA / source.name).rglob("*.csv"))
    people = sorted({path.stem.rpartition("_")[2] for path in files})
    return [[path for path in files if path.stem.endswith(f"_{person}")] for person in people]


SAMPLES = [pytest.param(s, files, id=f"{s.name}-{files[0].stem}") for s in SOURCES for files in sample_of(s)]
EACH_SOURCE = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
EACH_SAMPLE = pytest.mark.parametrize(("source", "files"), SAMPLES)


@EACH_SOURCE
def test_every_source_has_a_sample_with_its_licence(source: Source) -> None:
    assert sample_of(source)
    assert (SAMPLE_DATA / source.name / "ATTRIBUTION.txt").read_text(encoding="utf-8")
    assert (SAMPLE_DATA / source.name / "LICENSE.md").read_text(encoding="utf-8")


def test_names_of_sources_are_unique() -> None:
    assert len({source.name for source in SOURCES}) == len(SOURCES)


@EACH_SAMPLE
def test_a_source_recognises_its_sample(source: Source, files: Sequence[Path]) -> None:
    assert source.recognises(files)
    assert all(source.recognises([file]) for file in files)


@EACH_SAMPLE
def test_every_row_of_the_sample_is_accounted_for(source: Source, files: Sequence[Path]) -> None:
    imported = source.import_files(files, "Europe/London")
    report = imported.report
    assert report.source == source.name
    assert report.accepted + report.rejected == report.rows_read > 0
    assert report.accepted == len(imported.readings) + len(imported.events)
    assert {file.name for file in report.files} == {file.name for file in files}


@EACH_SAMPLE
def test_records_are_in_order_in_utc_and_keep_the_original(source: Source, files: Sequence[Path]) -> None:
    imported = source.import_files(files, "Europe/London")
    for records in (imported.readings, imported.events):
        instants = [record.instant for record in records]
        assert instants == sorted(instants)
        assert all(instant.tzinfo is UTC for instant in instants)
        assert all(record.local and record.source == source.name for record in records)
    assert all(abs(reading.offset_min) <= 14 * 60 for reading in imported.readings)


@EACH_SAMPLE
def test_another_zone_moves_the_instants_of_glucose(source: Source, files: Sequence[Path]) -> None:
    london = source.import_files(files, "Europe/London").readings
    tokyo = source.import_files(files, "Asia/Tokyo").readings
    assert london[0].instant - tokyo[0].instant == timedelta(hours=9)
    assert london[0].local == tokyo[0].local


@EACH_SOURCE
@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN.keys())
def test_foreign_files_are_neither_recognised_nor_read(source: Source, content: bytes, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.csv"
    foreign.write_bytes(content)
    assert not source.recognises([foreign])
    with pytest.raises(BadFile, match=r"foreign\.csv"):
        source.import_files([foreign], "Europe/London")


@EACH_SAMPLE
def test_one_foreign_file_spoils_the_lot(source: Source, files: Sequence[Path], tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.csv"
    foreign.write_bytes(FOREIGN["prose"])
    assert not source.recognises([*files, foreign])


@EACH_SOURCE
def test_no_file_a_missing_file_and_a_folder_are_refused(source: Source, tmp_path: Path) -> None:
    assert not source.recognises([])
    for files in ([], [tmp_path / "missing.csv"], [tmp_path]):
        assert not source.recognises(files)
        with pytest.raises(BadFile):
            source.import_files(files, "Europe/London")


@EACH_SAMPLE
def test_an_unknown_time_zone_is_refused_by_name(source: Source, files: Sequence[Path]) -> None:
    for zone in ("Europe/Manchester", "", "../London"):
        with pytest.raises(UnknownName, match="time zone"):
            source.import_files(files, zone)
