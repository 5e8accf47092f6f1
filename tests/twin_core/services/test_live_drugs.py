"""Drug levels at a person's present follow the noted doses, and say when nobody took them."""

import numpy as np
import pytest

from tests.twin_core.services.conftest import INJECTIONS, PUMP
from twin_core.domain.drugs import Dose, Route
from twin_core.domain.errors import OutOfRange, UnknownName
from twin_core.domain.history import history_of
from twin_core.models.catalog import DRUGS
from twin_core.models.pk.compartments import concentration
from twin_core.services.application import Services
from twin_core.services.live_drugs import doses_of
from twin_core.services.records import drug_event

CAFFEINE = next(drug for drug in DRUGS if drug.name == "caffeine")


def test_the_demo_person_takes_a_virtual_drug_and_it_is_called_so(services: Services) -> None:
    (level,) = services.live_drugs.of(services.viewer, PUMP)
    assert (level.name, level.virtual, level.repeats_h) == ("caffeine", True, 24.0)
    assert services.live_drugs.of(services.viewer, INJECTIONS) == ()


def test_a_virtual_drug_changes_nothing_of_what_the_twin_is_fitted_to(services: Services) -> None:
    start, end = services.records.span_min(services.viewer, PUMP) or (0.0, 0.0)
    events = services.records.drug_events(services.viewer, PUMP, start - 2880.0, end)
    assert [event.source for event in events] == ["virtual"]
    with_drug = history_of(*services.records.stored(services.viewer, PUMP, start - 2880.0, end))
    readings, everything = services.records.stored(services.viewer, PUMP, start - 2880.0, end)
    without = history_of(readings, [event for event in everything if event not in events])
    assert with_drug.therapy == without.therapy
    np.testing.assert_array_equal(with_drug.activity_steps, without.activity_steps)


def test_a_drug_taken_every_day_for_long_is_at_its_steady_state(services: Services) -> None:
    (level,) = services.live_drugs.of(services.viewer, PUMP)
    line = Dose(time_h=0.0, amount_mg=100.0, route=Route.ORAL, interval_h=24.0, additional=1, steady_state=True)
    expected = concentration(
        CAFFEINE.structure,
        CAFFEINE.individual(CAFFEINE.covariates_with({})),
        [line],
        [(level.now_min - level.last_dose_min) / 60.0],
    )
    assert level.now[0] == pytest.approx(float(expected[0, 0]), rel=1e-9)
    assert level.now[1] < level.now[0] < level.now[2]


def test_a_noted_dose_shows_at_once_and_nothing_is_in_the_blood_before_it(services: Services) -> None:
    services.live_drugs.take(services.viewer, INJECTIONS, "caffeine", 200.0, None)
    (level,) = services.live_drugs.of(services.viewer, INJECTIONS)
    assert not level.virtual
    assert level.next_dose_min is None
    past = level.times_min <= level.now_min
    assert np.all(level.typical[past] == 0.0)
    assert np.all(level.typical[~past] > 0.0)


def test_the_next_dose_is_ahead_and_one_interval_after_the_last(services: Services) -> None:
    (level,) = services.live_drugs.of(services.viewer, PUMP)
    assert level.next_dose_min is not None
    assert level.last_dose_min <= level.now_min < level.next_dose_min
    assert level.next_dose_min - level.last_dose_min == 24.0 * 60.0


def test_a_played_person_has_the_drugs_of_the_record(services: Services) -> None:
    played = services.live.start(services.viewer, PUMP, 60)
    assert [level.name for level in services.live_drugs.of(services.viewer, played)] == ["caffeine"]


def test_a_new_schedule_ends_the_one_before() -> None:
    first = drug_event("caffeine", 100.0, 12.0, 0.0, 0, "entered")
    second = drug_event("caffeine", 50.0, 24.0, 36.0 * 60.0, 0, "entered")
    lines = doses_of(CAFFEINE, (first, second), 72.0 * 60.0)
    given = [(time, dose.amount_mg) for dose in lines for time in dose.times_h]
    assert given == [(0.0, 100.0), (12.0, 100.0), (24.0, 100.0), (36.0, 50.0), (60.0, 50.0)]
    assert [dose.steady_state for dose in lines] == [True, False]


@pytest.mark.parametrize("amount", [0.0, -5.0, 1e6])
def test_an_impossible_dose_is_refused_and_not_kept(services: Services, amount: float) -> None:
    with pytest.raises(OutOfRange, match="dose of Caffeine"):
        services.live_drugs.take(services.viewer, INJECTIONS, "caffeine", amount, None)
    assert services.live_drugs.of(services.viewer, INJECTIONS) == ()


def test_an_unknown_drug_is_refused(services: Services) -> None:
    with pytest.raises(UnknownName, match="chalk"):
        services.live_drugs.take(services.viewer, INJECTIONS, "chalk", 5.0, None)
