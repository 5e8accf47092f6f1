"""The twin against the last readings, its versions, and when a refit is proposed."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.twin_core.services.conftest import PUMP, TurnedClock
from twin_core.bootstrap import OWNER
from twin_core.domain.access import Purpose, Role, Viewer
from twin_core.domain.errors import AccessDenied, DamagedArtifact, UnknownName
from twin_core.domain.history import BasalRate, History, Therapy
from twin_core.inference.ensemble_filter import FilterRun, FilterStatus, run_filter
from twin_core.inference.twin import FitMetrics, FittedTwin, TwinKind, population_twin
from twin_core.services import twins as twins_module
from twin_core.services.application import Services
from twin_core.services.recalibration import (
    DriftTest,
    Innovations,
    Outlook,
    Recalibrations,
    RecalibrationStatus,
    drift_test,
    recalibration_of,
)

METRICS = FitMetrics(
    rmse_mg_dl=20.0,
    mard_percent=12.0,
    coverage_90_percent=90.0,
    n_readings=864,
    error_sd_mg_dl=20.0,
    error_correlation=0.95,
)


def some_twin(number: int, *, window_min: tuple[float, float] = (0.0, 4320.0)) -> FittedTwin:
    """A twin as if fitted, without the seconds of a fit; each number another."""
    average = population_twin(body_weight_kg=70.0 + number, basal_u_h=1.0)
    return replace(
        average, kind=TwinKind.FITTED, metrics=METRICS, window_min=window_min, data_hash=f"hash {number}", notes=()
    )


@pytest.fixture
def recalibrations(services: Services) -> Recalibrations:
    return Recalibrations(services.records, services.live, services.twins)


def kept(services: Services, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Put a twin in use."""
    services.cache.clear()
    monkeypatch.setattr(twins_module, "fit_twin", lambda *_, **__: some_twin(number))
    assert services.twins.fit(services.viewer, PUMP, lambda *_: None).fitted


# The present ---------------------------------------------------------------------------------------------------


def test_the_last_two_days_are_told_up_to_the_present(services: Services, recalibrations: Recalibrations) -> None:
    told = recalibrations.of(services.viewer, PUMP)
    now_min = services.live.now_min(services.viewer, PUMP)
    assert told.status is RecalibrationStatus.OK
    assert told.now_min - 2880.0 <= told.time_min[0] < told.time_min[-1] == now_min
    n = len(told.time_min)
    assert n > 500
    for band in (told.glucose_mg_dl, told.sensitivity, told.sensor_error_mg_dl, told.flow_mg_kg_min):
        assert len(band.p05) == len(band.p50) == len(band.p95) == n
        assert ((band.p05 <= band.p50) & (band.p50 <= band.p95)).all()
    assert len(told.measured_mg_dl) == len(told.innovations.normalised) == n
    assert np.abs(told.glucose_mg_dl.p50 - told.measured_mg_dl).mean() < 12.0
    assert told.meals
    assert all(told.time_min[0] - 5.0 <= meal.time_min <= now_min for meal in told.meals)
    assert 80.0 < told.innovations.within_90_percent <= 100.0


def test_the_outlook_begins_near_the_last_reading_and_widens(
    services: Services, recalibrations: Recalibrations
) -> None:
    told = recalibrations.of(services.viewer, PUMP)
    outlook = told.outlook
    assert (outlook.time_min[0], outlook.time_min[-1]) == (told.now_min + 5.0, told.now_min + 480.0)
    widths = outlook.glucose_mg_dl.p95 - outlook.glucose_mg_dl.p05
    assert widths[0] < widths[11] < widths[23]
    assert abs(outlook.glucose_mg_dl.p50[0] - told.measured_mg_dl[-1]) < 30.0
    assert outlook.glucose_mg_dl.p05.min() >= 20.0


def test_it_is_computed_once_for_each_state_of_a_person(
    services: Services, recalibrations: Recalibrations, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = services.live.start(services.viewer, PUMP, 60)
    first = recalibrations.of(services.viewer, played)
    assert recalibrations.of(services.viewer, played) is first
    clock.turn(6.0)
    services.live.tick()
    later = recalibrations.of(services.viewer, played)
    assert later.time_min[-1] > first.time_min[-1]
    services.live.pause(services.viewer, played)
    monkeypatch.setattr(twins_module, "fit_twin", lambda *_, **__: some_twin(1))
    services.twins.fit(services.viewer, played, lambda *_: None)
    assert (later.twin_version, recalibrations.of(services.viewer, played).twin_version) == (0, 1)


def test_too_little_data_is_said_with_what_is_missing(services: Services, recalibrations: Recalibrations) -> None:
    person = services.records.person(services.viewer, PUMP)
    services.records.remove(services.viewer, PUMP)
    services.records.add(services.viewer, person)
    told = recalibrations.of(services.viewer, PUMP)
    assert told.status is RecalibrationStatus.TOO_LITTLE_DATA
    assert "0 usable glucose readings in the last 48 h" in told.sentence
    assert not told.drift.refit_proposed
    assert told.time_min.size == 0


def test_the_right_to_read_is_asked_each_time(services: Services, recalibrations: Recalibrations) -> None:
    recalibrations.of(services.viewer, PUMP)
    stranger = Viewer(name="job", role=Role.SYSTEM, purpose=Purpose.EXPORT)
    with pytest.raises(AccessDenied):
        recalibrations.of(stranger, PUMP)


# Drift ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def followed() -> FilterRun:
    """A run over a day and a half of calm readings, its sensitivity set to the twin's own throughout."""
    times = np.arange(0.0, 2161.0, 5.0)
    history = History(
        cgm_time_min=times + 10_000.0,
        cgm_mg_dl=120.0 + 15.0 * np.sin(times / 90.0),
        therapy=Therapy(basal=(BasalRate(time_min=9_000.0, rate_u_h=1.0),)),
    )
    rng = np.random.default_rng(0)
    run = run_filter(some_twin(1), history, start_min=10_000.0, end_min=12_160.0, rng=rng, ahead_min=60.0)
    assert run.moment is not None
    calm = replace(run.moment, widening=1.0)
    return replace(run, sensitivity=np.ones_like(run.sensitivity), moment=calm, resets_min=())


def judged(run: FilterRun, **window: Any) -> DriftTest:
    """By the drift test, with misses as they should be."""
    times = np.array([update.time_min for update in run.updates])
    innovations = Innovations(time_min=times, normalised=np.resize((-1.0, 1.0), len(times)))
    return drift_test(run, some_twin(1, **window), innovations)


def test_readings_that_agree_with_the_twin_propose_no_refit(followed: FilterRun) -> None:
    drift = judged(followed)
    assert not drift.refit_proposed
    assert drift.reasons == ()
    assert "no refit is needed" in drift.sentence


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sensitivity": 1.3}, "insulin acted 30 % more strongly than the twin says"),
        ({"sensitivity": 0.7}, "insulin acted 30 % more weakly than the twin says"),
        ({"widening": 2.0}, "2.0 times as far from the forecast"),
        ({"resets_min": (5.0, 9.0)}, "lost the person 2 times"),
    ],
)
def test_a_person_who_has_moved_away_is_proposed_a_refit_with_the_reason(
    followed: FilterRun, change: dict[str, Any], said: str
) -> None:
    assert followed.moment is not None
    moved = replace(
        followed,
        sensitivity=followed.sensitivity * change.get("sensitivity", 1.0),
        moment=replace(followed.moment, widening=change.get("widening", 1.0)),
        resets_min=change.get("resets_min", ()),
    )
    drift = judged(moved)
    assert drift.refit_proposed
    assert len(drift.reasons) == 1
    assert drift.sentence.startswith("A refit is proposed:")
    assert said in drift.sentence


def test_readings_missed_by_more_than_expected_are_a_reason(followed: FilterRun) -> None:
    times = np.array([update.time_min for update in followed.updates])
    for sd, proposed in ((1.0, False), (1.2, False), (1.5, True)):
        innovations = Innovations(time_min=times, normalised=np.resize((-sd, sd), len(times)))
        assert drift_test(followed, some_twin(1), innovations).refit_proposed is proposed


def test_no_refit_is_proposed_before_a_day_of_new_readings(followed: FilterRun) -> None:
    last_min = followed.updates[-1].time_min
    moved = replace(followed, sensitivity=1.4 * followed.sensitivity)
    early = judged(moved, window_min=(last_min - 4320.0, last_min - 720.0))
    assert not early.refit_proposed
    assert len(early.reasons) == 1
    assert "up to 12 h before the last" in early.sentence
    assert judged(moved, window_min=(last_min - 4320.0, last_min - 1440.0)).refit_proposed


def test_the_average_and_few_readings_are_not_judged(followed: FilterRun) -> None:
    moved = replace(followed, sensitivity=1.4 * followed.sensitivity)
    few = replace(moved, updates=moved.updates[:143])
    assert "143 readings are too few" in judged(few).sentence
    innovations = Innovations(time_min=np.arange(400.0), normalised=np.ones(400))
    average = drift_test(moved, population_twin(), innovations)
    assert not average.refit_proposed
    assert "Nothing is fitted" in average.sentence


def test_a_reset_is_told(followed: FilterRun) -> None:
    lost = replace(followed, status=FilterStatus.RESET, sentence="It lost the person once.", resets_min=(7.0,))
    told = recalibration_of(lost, some_twin(1), 1, 0.0, Outlook())
    assert told.status is RecalibrationStatus.RESET
    assert (told.sentence, told.resets_min) == ("It lost the person once.", (7.0,))


# Versions ------------------------------------------------------------------------------------------------------


def test_versions_are_listed_newest_first_with_their_data_and_figures(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert services.twins.versions(services.viewer, PUMP) == ()
    for number in (1, 2):
        kept(services, monkeypatch, number)
    second, first = services.twins.versions(services.viewer, PUMP)
    assert [(record.version, record.in_use) for record in (second, first)] == [(2, True), (1, False)]
    assert first.data_hash == "hash 1"
    assert first.metrics == METRICS
    assert first.window_min == (0.0, 4320.0)
    assert first.model == "uva_padova_t1d"
    assert first.created <= second.created


def test_an_earlier_version_comes_back_and_the_newest_stays_listed(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        kept(services, monkeypatch, number)
    record = services.twins.use(services.viewer, PUMP, 1)
    assert (record.version, record.restores, record.in_use) == (3, 1, True)
    assert services.twins.current(services.viewer, PUMP).parameters.BW == 71.0
    assert [each.version for each in services.twins.versions(services.viewer, PUMP)] == [3, 2, 1]
    assert "version 3 (version 1 again)" in services.twins.summary(services.viewer, PUMP).title
    services.twins.use(services.viewer, PUMP, 2)
    assert services.twins.use(services.viewer, PUMP, 3).restores == 1


def test_using_what_is_in_use_and_fitting_the_same_data_add_nothing(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        kept(services, monkeypatch, number)
    assert services.twins.use(services.viewer, PUMP, 2).version == 2
    services.twins.use(services.viewer, PUMP, 1)
    monkeypatch.setattr(twins_module, "fit_twin", lambda *_, **__: some_twin(1))
    services.cache.clear()
    assert "Nothing is new since version 3" in services.twins.fit(services.viewer, PUMP, lambda *_: None).sentence
    assert len(services.twins.versions(services.viewer, PUMP)) == 3


def test_an_unknown_or_damaged_version_cannot_be_used_and_a_damaged_one_is_still_listed(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(services, monkeypatch, 1)
    store = services.twins._store
    store.save_twin(OWNER, PUMP, "broken", {"model": "forgotten"})
    kept_latest = store.save_twin(OWNER, PUMP, "hash 3", some_twin(3).to_payload())
    assert kept_latest.version == 3
    with pytest.raises(UnknownName, match="7"):
        services.twins.use(services.viewer, PUMP, 7)
    with pytest.raises(DamagedArtifact):
        services.twins.use(services.viewer, PUMP, 2)
    broken = services.twins.versions(services.viewer, PUMP)[1]
    assert (broken.version, broken.model, broken.metrics) == (2, "forgotten", None)
    assert services.twins.version(services.viewer, PUMP) == 3


def test_the_fit_takes_as_many_days_as_asked(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def fit(*_: Any, days: float, **__: Any) -> FittedTwin:
        asked.append(days)
        return some_twin(int(days))

    monkeypatch.setattr(twins_module, "fit_twin", fit)
    services.twins.fit(services.viewer, PUMP, lambda *_: None)
    services.twins.fit(services.viewer, PUMP, lambda *_: None, days=14.0)
    assert asked == [twins_module.FIT_DAYS, 14.0]
