"""The virtual sensor: a recorded person played back, as if it happened now, into the ordinary path of ingestion.

A real connector later does the same: it calls `Records.ingest` whenever something new has arrived.
"""

import logging
import threading
from dataclasses import dataclass, replace

from twin_core.domain.access import Purpose, Role, Viewer
from twin_core.domain.errors import BiotwinError
from twin_core.domain.history import instant_of, minutes_of
from twin_core.domain.people import Person, RecordKind
from twin_core.domain.ports import Clock
from twin_core.domain.records import Event, GlucoseReading
from twin_core.services.records import Records

SPEEDS = (1, 60, 600)
HISTORY_DAYS = 3.0
"""How much of the record lies in the past when a playback begins: what a first fit needs."""
START_HOUR = 7.5
"""Hours after the third midnight or so at which a playback begins, so that a day with its meals lies ahead."""
_LIVE_SUFFIX = "-live"
_FEED = Viewer(name="virtual sensor", role=Role.SYSTEM, purpose=Purpose.LIVE_FEED)
_TICK_S = 0.2
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Playback:
    """A running playback: at wall time `wall_min` the person's clock showed `person_min`."""

    speed: float
    wall_min: float
    person_min: float
    end_min: float
    readings: tuple[GlucoseReading, ...]
    events: tuple[Event, ...]

    def now_min(self, wall_min: float) -> float:
        """What the person's clock shows at a wall time [min]."""
        return min(self.person_min + (wall_min - self.wall_min) * self.speed, self.end_min)


class Live:
    """Who is played back, how fast, and what time it is for each person."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._lock = threading.RLock()
        self._playbacks: dict[str, Playback] = {}
        self._paused_at: dict[str, float] = {}

    def start(self, viewer: Viewer, source_id: str, speed: float, *, anew: bool = True) -> str:
        """Play a recorded person from its start; returns the id of the played person."""
        source = self._records.person(viewer, source_id.removesuffix(_LIVE_SUFFIX))
        played = replace(
            source,
            person_id=source.person_id + _LIVE_SUFFIX,
            label=f"{source.label} (live)",
            record=RecordKind.PLAYED,
        )
        known = {person.person_id for person in self._records.people(viewer)}
        if anew or played.person_id not in known:
            self._begin(viewer, source, played)
        self.play(viewer, played.person_id, speed)
        return played.person_id

    def play(self, viewer: Viewer, person_id: str, speed: float) -> None:
        """Go on playing, from where the person's clock stands."""
        source_id = person_id.removesuffix(_LIVE_SUFFIX)
        span = self._records.span_min(viewer, source_id)
        if span is None or source_id == person_id:
            return
        with self._lock:
            now_min = self.now_min(viewer, person_id)
            readings, events = self._records.stored(viewer, source_id, now_min, span[1] + 1.0)
            self._paused_at.pop(person_id, None)
            self._playbacks[person_id] = Playback(
                speed=speed,
                wall_min=minutes_of(self._clock.now()),
                person_min=now_min,
                end_min=span[1] + 5.0,
                readings=readings,
                events=events,
            )

    def pause(self, viewer: Viewer, person_id: str) -> None:
        """Stop the person's clock."""
        with self._lock:
            now_min = self.now_min(viewer, person_id)
            if self._playbacks.pop(person_id, None) is not None:
                self._paused_at[person_id] = now_min

    def speed(self, person_id: str) -> float | None:
        """How fast the person is played, or None when they are not."""
        playback = self._playbacks.get(person_id)
        return None if playback is None else playback.speed

    def now_min(self, viewer: Viewer, person_id: str) -> float:
        """The person's present [min since 1970 UTC].

        A recorded person's present is the last reading, a played one's the playback's clock, a live one's is now.
        """
        playback = self._playbacks.get(person_id)
        if playback is not None:
            return playback.now_min(minutes_of(self._clock.now()))
        if person_id in self._paused_at:
            return self._paused_at[person_id]
        wall_min = minutes_of(self._clock.now())
        if self._records.person(viewer, person_id).record is RecordKind.LIVE:
            return wall_min
        span = self._records.span_min(viewer, person_id)
        return wall_min if span is None else span[1]

    def tick(self) -> int:
        """Ingest everything that has become due; returns how many records were new."""
        with self._lock:
            return sum(self._feed_or_stop(person_id, playback) for person_id, playback in list(self._playbacks.items()))

    def run(self, stop: threading.Event) -> None:
        """Tick until told to stop (the body of a daemon thread); what goes wrong once must not end it."""
        while not stop.wait(_TICK_S):
            try:
                self.tick()
            except Exception:
                _LOG.exception("The virtual sensor could not deliver; it tries again.")

    def _begin(self, viewer: Viewer, source: Person, played: Person) -> None:
        span = self._records.span_min(viewer, source.person_id)
        if span is None:
            return
        start_min = min(span[0] + HISTORY_DAYS * 1440.0 + START_HOUR * 60.0, (span[0] + span[1]) / 2.0)
        readings, events = self._records.stored(viewer, source.person_id, span[0] - 2880.0, start_min)
        with self._lock:
            self._playbacks.pop(played.person_id, None)
            self._paused_at.pop(played.person_id, None)
            if played.person_id in {person.person_id for person in self._records.people(viewer)}:
                self._records.remove(viewer, played.person_id)
            self._records.add(viewer, played)
            self._records.ingest(_FEED, played.person_id, readings, events)

    def _feed_or_stop(self, person_id: str, playback: Playback) -> int:
        """Feed one person; whoever cannot be fed, such as one that was removed, is no longer played."""
        try:
            return self._feed(person_id, playback)
        except BiotwinError as error:
            del self._playbacks[person_id]
            _LOG.warning("A playback has ended: %s", error)
            return 0

    def _feed(self, person_id: str, playback: Playback) -> int:
        now = instant_of(playback.now_min(minutes_of(self._clock.now())))
        readings = tuple(reading for reading in playback.readings if reading.instant <= now)
        events = tuple(event for event in playback.events if event.instant <= now)
        if not readings and not events:
            return 0
        added = self._records.ingest(_FEED, person_id, readings, events)
        self._playbacks[person_id] = replace(
            playback, readings=playback.readings[len(readings) :], events=playback.events[len(events) :]
        )
        return added.readings_added + added.events_added
