"""Import a whole folder of T1D-UOM into a new store: `python benchmarks/import_t1d_uom.py FOLDER`.

Prints what became of every file, checks that no row was lost, and the seconds that it took.
"""

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from twin_core.domain.access import Purpose, Role, Viewer
from twin_core.domain.imports import FileReport, Imported
from twin_core.domain.people import Person, RecordKind
from twin_core.sources.t1d_uom import T1D_UOM, people_in
from twin_core.store import SqliteStore

TIME_ZONE = "Europe/London"
IMPORTER = Viewer(name="benchmark", role=Role.SYSTEM, purpose=Purpose.IMPORT)


def import_person(store: SqliteStore, person: str, files: tuple[Path, ...]) -> Imported:
    imported = T1D_UOM.import_files(files, TIME_ZONE)
    store.add_person(IMPORTER, Person(person_id=person, label=person, time_zone=TIME_ZONE, record=RecordKind.RECORDED))
    appended = store.append(IMPORTER, person, imported.readings, imported.events)
    stored = appended.readings_added + appended.events_added
    if stored != imported.report.accepted:
        raise AssertionError(f"{person}: {imported.report.accepted} accepted, but {stored} stored")
    store.save_import(IMPORTER, person, imported.report)
    return imported


def print_file(file: FileReport) -> None:
    reasons = ", ".join(f"{reason.name} {count}" for reason, count in file.by_reason.items())
    print(
        f"{file.name:20} read {file.rows_read:6} accepted {file.accepted:6} rejected {len(file.rejected):6} {reasons}"
    )
    for note in file.notes:
        print(f"{'':20} note: {note}")


def print_totals(all_imported: list[Imported]) -> None:
    files = [file for imported in all_imported for file in imported.report.files]
    read, accepted, rejected = (
        sum(values) for values in zip(*((f.rows_read, f.accepted, len(f.rejected)) for f in files), strict=True)
    )
    reasons = sum((Counter(file.by_reason) for file in files), Counter[str]())
    instants = [record.instant for i in all_imported for record in (*i.readings, *i.events)]
    print(f"\nrows read {read} = accepted {accepted} + rejected {rejected}: {read == accepted + rejected}")
    print(", ".join(f"{reason.name} {count}" for reason, count in reasons.most_common()))
    print(f"accepted from {min(instants).isoformat()} to {max(instants).isoformat()}")


def main() -> None:
    folder = Path(sys.argv[1])
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        store = SqliteStore(Path(temporary) / "store" / "benchmark.db")
        all_imported = [import_person(store, person, files) for person, files in people_in(folder).items()]
        store.close()
    seconds = time.perf_counter() - started
    for imported in all_imported:
        for file in imported.report.files:
            print_file(file)
    print_totals(all_imported)
    print(f"{seconds:.1f} s from files to store")


if __name__ == "__main__":
    main()
