"""What the services need of the outside, as Protocols; `bootstrap` chooses who fills them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from twin_core.domain.access import Viewer
from twin_core.domain.imports import Imported, ImportReport
from twin_core.domain.people import Person
from twin_core.domain.records import Event, EventKind, GlucoseReading


@dataclass(frozen=True, kw_only=True)
class Appended:
    """What an append did: records already there (same person, instant, source and kind) are left as they were."""

    readings_added: int
    events_added: int
    already_there: int


@dataclass(frozen=True, kw_only=True)
class KeptVersion:
    """One version of something made for a person: never overwritten, the newest is in use."""

    person_id: str
    version: int
    created: datetime
    data_hash: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class TwinVersion(KeptVersion):
    """One fitted twin; its payload is JSON: model name, parameters, posterior, metrics."""


@dataclass(frozen=True, kw_only=True)
class ForecasterVersion(KeptVersion):
    """One forecaster of a person; its payload is JSON: what is changed of the shipped one, and how it did on trial."""


@dataclass(frozen=True, kw_only=True)
class SavedScenario:
    """A plan that somebody kept for a person; its id tells nothing, so that it may stand in a link."""

    scenario_id: str
    person_id: str
    name: str
    """What the screen calls it, such as `A`; one of a person's scenarios has a name."""
    plan: Mapping[str, float]
    """Amounts, and times in minutes from whenever the plan is looked at."""


class Store(Protocol):
    """Where people, their records and their twins are kept. Every call names its viewer.

    `viewer` must be allowed by `security.access`; otherwise `AccessDenied`. An unknown person is `UnknownName`.
    Instants are timezone-aware UTC. All writes are durable when the call returns.
    """

    def add_person(self, viewer: Viewer, person: Person) -> None:
        """Add a person; the same id again replaces label and settings, never records."""

    def people(self, viewer: Viewer) -> tuple[Person, ...]:
        """All people, in the order in which they were added."""

    def person(self, viewer: Viewer, person_id: str) -> Person:
        """One person."""

    def remove_person(self, viewer: Viewer, person_id: str) -> None:
        """Remove a person with all records, reports, twins and scenarios."""

    def append(
        self, viewer: Viewer, person_id: str, readings: Sequence[GlucoseReading], events: Sequence[Event]
    ) -> Appended:
        """Add records in one transaction; raises the person's version if anything was added."""

    def readings(self, viewer: Viewer, person_id: str, start: datetime, end: datetime) -> tuple[GlucoseReading, ...]:
        """Readings with `start <= instant < end`, by time."""

    def events(
        self, viewer: Viewer, person_id: str, start: datetime, end: datetime, kind: EventKind | None = None
    ) -> tuple[Event, ...]:
        """Events with `start <= instant < end`, by time; of one kind if it is given."""

    def span(self, viewer: Viewer, person_id: str) -> tuple[datetime, datetime] | None:
        """Instants of the first and last reading, or None when there is none."""

    def version(self, viewer: Viewer, person_id: str) -> int:
        """A number that grows whenever the person's records change: cheap to ask, for polling."""

    def save_import(self, viewer: Viewer, person_id: str, report: ImportReport) -> None:
        """Keep the report of an import."""

    def imports(self, viewer: Viewer, person_id: str) -> tuple[ImportReport, ...]:
        """The reports of a person's imports, oldest first."""

    def save_twin(self, viewer: Viewer, person_id: str, data_hash: str, payload: Mapping[str, Any]) -> TwinVersion:
        """Keep a newly fitted twin as the next version."""

    def latest_twin(self, viewer: Viewer, person_id: str) -> TwinVersion | None:
        """The newest twin, or None."""

    def twins(self, viewer: Viewer, person_id: str) -> tuple[TwinVersion, ...]:
        """All twins of a person, oldest first."""

    def save_forecaster(
        self, viewer: Viewer, person_id: str, data_hash: str, payload: Mapping[str, Any]
    ) -> ForecasterVersion:
        """Keep a person's forecaster as the next version."""

    def latest_forecaster(self, viewer: Viewer, person_id: str) -> ForecasterVersion | None:
        """The newest forecaster, or None."""

    def forecasters(self, viewer: Viewer, person_id: str) -> tuple[ForecasterVersion, ...]:
        """All forecasters of a person, oldest first."""

    def save_scenario(self, viewer: Viewer, scenario: SavedScenario) -> None:
        """Keep a plan; one of the same name is replaced, and its id is gone."""

    def scenarios(self, viewer: Viewer, person_id: str) -> tuple[SavedScenario, ...]:
        """A person's saved plans, by name."""

    def remove_scenario(self, viewer: Viewer, person_id: str, scenario_id: str) -> None:
        """Remove a saved plan; `UnknownName` if the person has none of that id."""

    def preference(self, viewer: Viewer, name: str) -> str | None:
        """A display preference of this viewer, such as `unit`; None when never set."""

    def set_preference(self, viewer: Viewer, name: str, value: str) -> None:
        """Keep a display preference of this viewer."""


class Source(Protocol):
    """A kind of data that can be imported: three verbs run one after the other by `import_files`."""

    name: str
    title: str
    """For the import page."""

    def recognises(self, files: Sequence[Path]) -> bool:
        """Whether these files look like this source's (by name and header)."""

    def import_files(self, files: Sequence[Path], time_zone: str) -> Imported:
        """Parse, validate and normalise the files of one person. `BadFile` when one cannot be read at all."""


class Clock(Protocol):
    """What time it is: given in, so that tests can turn it."""

    def now(self) -> datetime:
        """The present instant, timezone-aware UTC."""


class ResultCache(Protocol):
    """Results that would cost time to compute again, by a key that names everything they depend on."""

    def get(self, key: str) -> Any:
        """The JSON value kept under a key, or None."""

    def set(self, key: str, value: Any, expire: float | None = None) -> Any:
        """Keep a JSON value, for `expire` seconds or until the cache is full."""
