from typing import Any

import numpy as np
import pytest

from tests.twin_core.services.conftest import INJECTIONS, PUMP, TurnedClock
from twin_core.domain.forecasts import ForecastStatus
from twin_core.services import twins as twins_module
from twin_core.services.application import Services
from twin_core.services.today import latest


def no_progress(_: float, __: str) -> None:
    return None


def test_today_is_built_once_for_each_state_of_a_person(services: Services) -> None:
    assert services.today.of(services.viewer, PUMP) is services.today.of(services.viewer, PUMP)


def test_today_shows_the_last_reading_and_a_forecast_from_it(services: Services) -> None:
    today = services.today.of(services.viewer, PUMP)
    assert today.last_mg_dl == today.history.cgm_mg_dl[-1] == today.forecast.persistence_mg_dl
    assert today.forecast.status is ForecastStatus.OK
    assert today.age_min < 1.0


def test_the_coverage_of_the_intervals_is_measured_and_near_its_promise(services: Services) -> None:
    coverage = services.today.of(services.viewer, PUMP).coverage
    assert coverage is not None
    assert coverage.count > 800
    assert 0.80 <= coverage.share_90 <= 0.97
    assert coverage.share_50 < coverage.share_90


def test_the_token_changes_with_a_new_reading(services: Services, clock: TurnedClock) -> None:
    played = services.live.start(services.viewer, PUMP, 60)
    token = services.today.token(services.viewer, played)
    assert services.today.token(services.viewer, played) == token
    clock.turn(6.0)
    services.live.tick()
    assert services.today.token(services.viewer, played) != token


def test_a_stale_person_gets_a_reason_instead_of_a_forecast(services: Services, clock: TurnedClock) -> None:
    played = services.live.start(services.viewer, INJECTIONS, 600)
    clock.turn(20 * 86400.0)
    services.live.tick()
    services.live.pause(services.viewer, played)
    today = services.today.of(services.viewer, played)
    assert today.forecast.status is ForecastStatus.OK
    late = today.now_min + 60.0
    history = services.records.history(services.viewer, played, late - 1800.0, late)
    assert latest(history, late)[1] > 55.0


def test_todays_speed_is_that_of_the_playback(services: Services) -> None:
    played = services.live.start(services.viewer, PUMP, 60)
    assert services.today.of(services.viewer, played).speed == 60
    services.live.pause(services.viewer, played)
    assert services.today.of(services.viewer, played).speed is None


def test_a_daily_injection_is_taken_to_go_on_in_the_hours_ahead(services: Services, clock: TurnedClock) -> None:
    played = services.live.start(services.viewer, INJECTIONS, 600)
    for _ in range(24):
        clock.turn(6.0)
        services.live.tick()
        _, insulin = services.today.of(services.viewer, played).insulin
        assert insulin[72:].min() > 60.0  # 64 U a day hold about 90 pmol/L; without the next dose it falls to 16


def test_plasma_insulin_rises_after_a_bolus_and_never_falls_below_zero(services: Services) -> None:
    time_min, insulin = services.today.of(services.viewer, PUMP).insulin
    assert len(time_min) == len(insulin) == 121
    assert (insulin >= 0.0).all()
    assert insulin.max() > 2.0 * insulin.min()


def test_a_fit_puts_a_new_twin_in_use_and_the_same_data_are_not_fitted_twice(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert services.twins.version(services.viewer, PUMP) == 0
    assert services.twins.fit(services.viewer, PUMP, no_progress).fitted
    first = services.twins.current(services.viewer, PUMP)
    monkeypatch.setattr(twins_module, "fit_twin", lambda *_, **__: pytest.fail("fitted again"))
    outcome = services.twins.fit(services.viewer, PUMP, no_progress)
    assert outcome.fitted
    assert "Nothing is new since version 1" in outcome.sentence
    assert np.array_equal(first.theta_mean, services.twins.current(services.viewer, PUMP).theta_mean)
    assert "version 1" in services.twins.summary(services.viewer, PUMP).title


def test_a_failed_fit_leaves_the_last_twin_in_place_and_says_so(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert services.twins.fit(services.viewer, PUMP, no_progress).fitted
    services.cache.clear()

    def broken(*_: Any, **__: Any) -> None:
        raise FloatingPointError("the parameters ran away")

    monkeypatch.setattr(twins_module, "fit_twin", broken)
    outcome = services.twins.fit(services.viewer, PUMP, no_progress)
    assert not outcome.fitted
    assert "the parameters ran away" in outcome.sentence
    assert "stays in place" in outcome.sentence
    assert services.twins.version(services.viewer, PUMP) == 1


def test_too_little_data_is_said_with_what_is_missing(services: Services, clock: TurnedClock) -> None:
    person = services.records.person(services.viewer, PUMP)
    services.records.remove(services.viewer, PUMP)
    services.records.add(services.viewer, person)
    outcome = services.twins.fit(services.viewer, PUMP, no_progress)
    assert not outcome.fitted
    assert "0 glucose readings" in outcome.sentence
    assert "stays in place" in outcome.sentence
