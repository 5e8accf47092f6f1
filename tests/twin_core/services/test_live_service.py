import pytest

from tests.twin_core.services.conftest import INJECTIONS, PUMP, TurnedClock
from twin_core.domain.people import RecordKind
from twin_core.services.application import Services
from twin_core.services.live import HISTORY_DAYS


def readings_until(services: Services, person_id: str) -> list[float]:
    span = services.records.span_min(services.viewer, person_id)
    assert span is not None
    history = services.records.history(services.viewer, person_id, span[0], span[1] + 1.0)
    return [float(t) for t in history.cgm_time_min]


def test_a_recorded_persons_present_is_the_last_reading(services: Services) -> None:
    assert services.live.now_min(services.viewer, PUMP) == readings_until(services, PUMP)[-1]


@pytest.mark.parametrize("speed", [1, 60, 600])
def test_the_persons_clock_runs_as_fast_as_asked(services: Services, clock: TurnedClock, speed: int) -> None:
    played = services.live.start(services.viewer, PUMP, speed)
    began = services.live.now_min(services.viewer, played)
    clock.turn(30.0)
    assert services.live.now_min(services.viewer, played) - began == pytest.approx(0.5 * speed)


def test_a_demo_is_alive_at_once_with_days_of_history(services: Services) -> None:
    played = services.live.start(services.viewer, PUMP, 60)
    times = readings_until(services, played)
    assert services.records.person(services.viewer, played).record is RecordKind.PLAYED
    assert (times[-1] - times[0]) / 1440.0 == pytest.approx(HISTORY_DAYS, abs=0.5)
    assert services.live.now_min(services.viewer, played) - times[-1] < 10.0


def test_readings_enter_when_they_are_due_and_not_before(services: Services, clock: TurnedClock) -> None:
    played = services.live.start(services.viewer, PUMP, 60)
    recorded = readings_until(services, PUMP)
    before = readings_until(services, played)
    clock.turn(20.0)
    assert services.live.tick() > 0
    now_min = services.live.now_min(services.viewer, played)
    after = readings_until(services, played)
    assert after == [t for t in recorded if t <= now_min]
    assert len(after) > len(before)
    assert services.live.tick() == 0


def test_every_reading_raises_the_version_that_the_page_asks_for(services: Services, clock: TurnedClock) -> None:
    played = services.live.start(services.viewer, PUMP, 600)
    before = services.records.version(services.viewer, played)
    clock.turn(2.0)
    services.live.tick()
    assert services.records.version(services.viewer, played) > before


def test_a_pause_stops_the_clock_and_playing_goes_on_from_there(services: Services, clock: TurnedClock) -> None:
    played = services.live.start(services.viewer, PUMP, 60)
    clock.turn(10.0)
    services.live.tick()
    services.live.pause(services.viewer, played)
    stood = services.live.now_min(services.viewer, played)
    clock.turn(3600.0)
    assert services.live.tick() == 0
    assert services.live.now_min(services.viewer, played) == stood
    assert services.live.speed(played) is None
    services.live.play(services.viewer, played, 600)
    clock.turn(6.0)
    assert services.live.now_min(services.viewer, played) == pytest.approx(stood + 60.0)


def test_a_playback_ends_with_its_record(services: Services, clock: TurnedClock) -> None:
    played = services.live.start(services.viewer, INJECTIONS, 600)
    clock.turn(20 * 86400.0)
    services.live.tick()
    assert readings_until(services, played) == readings_until(services, INJECTIONS)
    last = readings_until(services, INJECTIONS)[-1]
    assert services.live.now_min(services.viewer, played) - last <= 5.0


def test_starting_again_begins_anew(services: Services, clock: TurnedClock) -> None:
    played = services.live.start(services.viewer, PUMP, 600)
    first = readings_until(services, played)
    clock.turn(100.0)
    services.live.tick()
    assert services.live.start(services.viewer, played, 60) == played
    assert readings_until(services, played) == first


def test_a_removed_person_ends_their_playback_and_no_others(services: Services, clock: TurnedClock) -> None:
    gone = services.live.start(services.viewer, PUMP, 600)
    other = services.live.start(services.viewer, INJECTIONS, 600)
    services.records.remove(services.viewer, gone)
    before = readings_until(services, other)
    clock.turn(10.0)
    services.live.tick()
    assert services.live.speed(gone) is None
    assert len(readings_until(services, other)) > len(before)
