"""People and their records: the one path on which readings enter, whether imported, played or sent by a sensor."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from twin_core.domain.access import Purpose, Viewer
from twin_core.domain.errors import BadFile, UnknownName
from twin_core.domain.history import History, history_of, instant_of, minutes_of
from twin_core.domain.imports import Imported, ImportReport
from twin_core.domain.people import Person, RecordKind
from twin_core.domain.ports import Appended, Source, Store
from twin_core.domain.records import DRUG_NAME, REPEATS_H, VIRTUAL_SOURCE, Event, EventKind, GlucoseReading

LAST_PERSON = "last_person"
UNIT = "unit"


@dataclass(frozen=True, kw_only=True)
class VirtualDrug:
    """A drug that a demo person did not take, added to show levels beside glucose; always labelled as virtual."""

    name: str
    amount_mg: float
    repeats_h: float
    local_hour: float
    """When on the record's first day, and from then on."""


@dataclass(frozen=True, kw_only=True)
class DemoPerson:
    """A real person whose excerpt is shipped, and how the screen calls them."""

    record: str
    label: str
    therapy: str
    time_zone: str
    attribution: str
    virtual_drugs: tuple[VirtualDrug, ...] = ()

    @property
    def person_id(self) -> str:
        """An opaque id, the same on every installation."""
        return sha256(f"demo:{self.record}".encode()).hexdigest()[:10]


@dataclass(frozen=True, kw_only=True)
class ImportOutcome:
    """Who was imported and what became of every row."""

    person: Person
    report: ImportReport
    added: Appended


class Records:
    """People and their records, through the store; every call names its viewer."""

    def __init__(self, store: Store, sources: tuple[Source, ...]) -> None:
        self._store = store
        self._sources = sources

    def people(self, viewer: Viewer) -> tuple[Person, ...]:
        """All people."""
        return self._store.people(viewer)

    def person(self, viewer: Viewer, person_id: str) -> Person:
        """One person; `UnknownName` when there is none."""
        return self._store.person(viewer, person_id)

    def add(self, viewer: Viewer, person: Person) -> None:
        """Add a person."""
        self._store.add_person(viewer, person)

    def remove(self, viewer: Viewer, person_id: str) -> None:
        """Remove a person and everything kept of them."""
        self._store.remove_person(viewer, person_id)

    def version(self, viewer: Viewer, person_id: str) -> int:
        """A number that grows with every change of the person's records."""
        return self._store.version(viewer, person_id)

    def ingest(
        self, viewer: Viewer, person_id: str, readings: Sequence[GlucoseReading], events: Sequence[Event]
    ) -> Appended:
        """Take over canonical records: the one path for imports, the virtual sensor and connectors."""
        return self._store.append(viewer, person_id, readings, events)

    def import_files(self, viewer: Viewer, files: Sequence[Path], label: str, time_zone: str) -> ImportOutcome:
        """Import the files of one person as a new, recorded person.

        The id comes from the accepted readings, so that importing the same files again adds nothing.
        """
        imported = self._source_of(files).import_files(files, time_zone)
        if not imported.report.accepted:
            raise BadFile(f"No row of {', '.join(file.name for file in files)} could be taken over.")
        person = Person(person_id=_id_of(imported), label=label, time_zone=time_zone, record=RecordKind.RECORDED)
        return self._take_over(viewer, person, imported)

    def ensure_demo(self, viewer: Viewer, folder: Path, people: Iterable[DemoPerson]) -> None:
        """Import the shipped excerpts that are not there yet."""
        known = {person.person_id for person in self.people(viewer)}
        for demo in people:
            if demo.person_id not in known:
                self._import_demo(viewer, folder, demo)

    def span_min(self, viewer: Viewer, person_id: str) -> tuple[float, float] | None:
        """Times [min since 1970 UTC] of the first and last reading, or None without readings."""
        span = self._store.span(viewer, person_id)
        return None if span is None else (minutes_of(span[0]), minutes_of(span[1]))

    def history(self, viewer: Viewer, person_id: str, start_min: float, end_min: float) -> History:
        """A stretch of the record, `start_min <= time < end_min`, as arrays."""
        start, end = instant_of(start_min), instant_of(end_min)
        readings = self._store.readings(viewer, person_id, start, end)
        return history_of(readings, self._store.events(viewer, person_id, start, end))

    def stored(
        self, viewer: Viewer, person_id: str, start_min: float, end_min: float
    ) -> tuple[tuple[GlucoseReading, ...], tuple[Event, ...]]:
        """A stretch of the record as it is stored."""
        start, end = instant_of(start_min), instant_of(end_min)
        readings = self._store.readings(viewer, person_id, start, end)
        return readings, self._store.events(viewer, person_id, start, end)

    def imports(self, viewer: Viewer, person_id: str) -> tuple[ImportReport, ...]:
        """The reports of a person's imports."""
        return self._store.imports(viewer, person_id)

    def last_seen(self, viewer: Viewer) -> str:
        """The person whose page this viewer opened last, else the first person."""
        known = [person.person_id for person in self.people(viewer)]
        last = self._store.preference(viewer, LAST_PERSON)
        if last in known:
            return last
        if not known:
            raise UnknownName("person", last or "", known)
        return known[0]

    def remember(self, viewer: Viewer, person_id: str) -> None:
        """Note whose page was opened."""
        if self._store.preference(viewer, LAST_PERSON) != person_id:
            self._store.set_preference(viewer, LAST_PERSON, person_id)

    def preference(self, viewer: Viewer, name: str, default: str) -> str:
        """A display preference."""
        return self._store.preference(viewer, name) or default

    def set_preference(self, viewer: Viewer, name: str, value: str) -> None:
        """Keep a display preference."""
        self._store.set_preference(viewer, name, value)

    def _source_of(self, files: Sequence[Path]) -> Source:
        for source in self._sources:
            if source.recognises(files):
                return source
        names = ", ".join(file.name for file in files)
        known = ", ".join(source.title for source in self._sources)
        raise BadFile(f"No known source reads these files: {names}. Known sources: {known}.")

    def _import_demo(self, viewer: Viewer, folder: Path, demo: DemoPerson) -> None:
        files = sorted(folder.glob(f"*/*_{demo.record}.csv"))
        imported = self._source_of(files).import_files(files, demo.time_zone)
        person = Person(
            person_id=demo.person_id,
            label=demo.label,
            time_zone=demo.time_zone,
            record=RecordKind.RECORDED,
            therapy=demo.therapy,
            attribution=demo.attribution,
        )
        self._take_over(viewer, person, imported)
        virtual = [_virtual_event(drug, imported.readings[0]) for drug in demo.virtual_drugs]
        self.ingest(viewer.with_purpose(Purpose.IMPORT), person.person_id, (), virtual)

    def drug_events(self, viewer: Viewer, person_id: str, start_min: float, end_min: float) -> tuple[Event, ...]:
        """Drugs taken in a stretch of the record, by time."""
        return self._store.events(viewer, person_id, instant_of(start_min), instant_of(end_min), EventKind.DRUG)

    def _take_over(self, viewer: Viewer, person: Person, imported: Imported) -> ImportOutcome:
        importing = viewer.with_purpose(Purpose.IMPORT)
        self.add(importing, person)
        added = self.ingest(importing, person.person_id, imported.readings, imported.events)
        self._store.save_import(importing, person.person_id, imported.report)
        return ImportOutcome(person=person, report=imported.report, added=added)


def drug_event(
    name: str, amount_mg: float, repeats_h: float | None, time_min: float, offset_min: int, source: str
) -> Event:
    """A drug taken at a time [min since 1970 UTC], once or from then on."""
    repeats = {} if repeats_h is None else {REPEATS_H: repeats_h}
    return Event(
        instant=instant_of(time_min),
        local=f"{instant_of(time_min + offset_min):%Y-%m-%d %H:%M}",
        offset_min=offset_min,
        source=source,
        kind=EventKind.DRUG,
        amount=amount_mg,
        details={DRUG_NAME: name, **repeats},
    )


def _virtual_event(drug: VirtualDrug, first: GlucoseReading) -> Event:
    local_min = minutes_of(first.instant) + first.offset_min
    taken_min = local_min - local_min % 1440.0 + 60.0 * drug.local_hour - first.offset_min
    return drug_event(drug.name, drug.amount_mg, drug.repeats_h, taken_min, first.offset_min, VIRTUAL_SOURCE)


def _id_of(imported: Imported) -> str:
    digest = sha256()
    for reading in imported.readings:
        digest.update(f"{reading.instant.timestamp():.0f} {reading.glucose_mg_dl:g}\n".encode())
    for event in imported.events:
        digest.update(f"{event.instant.timestamp():.0f} {event.kind} {event.amount:g}\n".encode())
    return digest.hexdigest()[:10]
