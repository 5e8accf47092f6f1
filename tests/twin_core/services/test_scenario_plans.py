"""Saved what-if scenarios: four a person, under ids that tell nothing."""

import re
from dataclasses import fields

import pytest

from tests.twin_core.services.conftest import INJECTIONS, PUMP
from twin_core.domain.errors import BadInput, UnknownName
from twin_core.services.application import Services
from twin_core.services.scenario_plans import SCENARIO_NAMES
from twin_core.services.what_if import LIMITS, Plan


def keep(services: Services, *grams: float) -> list[str]:
    return [
        services.scenario_plans.keep(services.viewer, PUMP, Plan(carbs_g=each, bolus_in_min=15.0)).scenario_id
        for each in grams
    ]


def test_plans_get_the_first_free_letter_and_come_back_as_they_were(services: Services) -> None:
    first, second, _ = keep(services, 20.0, 40.0, 60.0)
    services.scenario_plans.remove(services.viewer, PUMP, first)
    keep(services, 80.0)
    kept = services.scenario_plans.of(services.viewer, PUMP)
    assert [each.name for each in kept] == ["A", "B", "C"]
    assert [each.plan.carbs_g for each in kept] == [80.0, 40.0, 60.0]
    assert kept[1].scenario_id == second
    assert kept[0].plan == Plan(carbs_g=80.0, bolus_in_min=15.0)


def test_a_fifth_scenario_is_refused(services: Services) -> None:
    keep(services, 10.0, 20.0, 30.0, 40.0)
    with pytest.raises(BadInput, match="4 scenarios are kept already"):
        keep(services, 50.0)
    assert [each.name for each in services.scenario_plans.of(services.viewer, PUMP)] == list(SCENARIO_NAMES)


def test_the_same_plan_again_and_a_plan_of_nothing_are_refused(services: Services) -> None:
    keep(services, 10.0)
    with pytest.raises(BadInput, match="kept already, as scenario A"):
        keep(services, 10.0)
    with pytest.raises(BadInput, match="changes nothing"):
        services.scenario_plans.keep(services.viewer, PUMP, Plan(carbs_in_min=30.0))


def test_an_id_is_opaque_and_belongs_to_one_person(services: Services) -> None:
    (scenario_id,) = keep(services, 37.0)
    assert re.fullmatch(r"[A-Za-z0-9_-]{12}", scenario_id)
    assert [each.name for each in services.scenario_plans.chosen(services.viewer, PUMP, [scenario_id])] == ["A"]
    for person, wanted in ((INJECTIONS, scenario_id), (PUMP, "AAAAAAAAAAAA")):
        with pytest.raises(UnknownName, match="saved scenario"):
            services.scenario_plans.chosen(services.viewer, person, [wanted])
    with pytest.raises(UnknownName):
        services.scenario_plans.remove(services.viewer, INJECTIONS, scenario_id)


def test_every_part_of_a_plan_has_its_limits_and_rests_where_it_changes_nothing() -> None:
    assert [field.name for field in fields(Plan)] == list(LIMITS)
    assert all(getattr(Plan(), name) == limit.rest for name, limit in LIMITS.items())
    assert Plan().changes_nothing
