"""Stress, illness, alcohol and the time of day; and the table of all effects."""

import re
from pathlib import Path

import numpy as np
import pytest

from twin_core.domain.history import Condition, ConditionKind, Rhythm, Therapy
from twin_core.models.glucose.conditions import REMEMBERED_MIN, production_share, sensitivity_factor
from twin_core.models.glucose.dalla_man_2014 import MODEL
from twin_core.models.glucose.effects import EFFECTS
from twin_core.models.glucose.rhythm import dawn_mg_kg_min
from twin_core.models.glucose.rhythm import sensitivity_factor as factor_by_time
from twin_core.models.glucose.sourced import Evidence
from twin_core.solve.rk4 import integrate
from twin_core.solve.schedule import AT_REST, STEADY, schedule_of

MINUTES = np.arange(0.0, 4.0 * 1440.0)


def undergone(kind: ConditionKind, *, duration_min: float = 0.0, degree: float = 1.0) -> Condition:
    return Condition(time_min=600.0, duration_min=duration_min, kind=kind, degree=degree)


def hours_later(values: np.ndarray, hours: float) -> float:
    return float(values[600 + round(60 * hours)])


def test_stress_lowers_insulins_action_as_published_from_one_hour_until_after_five() -> None:
    """Moberg 1994: 20 min of stress, steady glucose 8.7 against 10.6 mmol/L, from 1 h on, more than 5 h."""
    factor = sensitivity_factor((undergone(ConditionKind.STRESS, duration_min=20.0),), MINUTES)
    assert factor[:600].min() == 1.0
    assert hours_later(factor, 0.5) == pytest.approx(0.82**0.5)
    assert [hours_later(factor, hours) for hours in (1, 3, 5)] == pytest.approx([8.7 / 10.6] * 3, abs=0.002)
    assert hours_later(factor, 6.4) == 1.0


def test_an_infection_halves_insulins_action_and_recovers_over_a_day() -> None:
    """Yki-Jarvinen 1989: 52 % less glucose taken up."""
    factor = sensitivity_factor((undergone(ConditionKind.ILLNESS, duration_min=2880.0),), MINUTES)
    assert [hours_later(factor, hours) for hours in (12, 48)] == pytest.approx([0.48, 0.48])
    assert hours_later(factor, 60) == pytest.approx(0.48**0.5)
    assert hours_later(factor, 73) == 1.0


def test_a_degree_of_nothing_changes_nothing_and_conditions_multiply() -> None:
    none = undergone(ConditionKind.STRESS, duration_min=60.0, degree=0.0)
    np.testing.assert_array_equal(sensitivity_factor((none,), MINUTES), np.ones(len(MINUTES)))
    stress, illness = (undergone(kind, duration_min=1440.0) for kind in (ConditionKind.STRESS, ConditionKind.ILLNESS))
    both = sensitivity_factor((stress, illness), MINUTES)
    np.testing.assert_allclose(both, sensitivity_factor((stress,), MINUTES) * sensitivity_factor((illness,), MINUTES))
    twice = undergone(ConditionKind.STRESS, duration_min=1440.0, degree=2.0)
    np.testing.assert_allclose(sensitivity_factor((twice,), MINUTES), sensitivity_factor((stress,), MINUTES) ** 2)


@pytest.mark.parametrize(("portions", "lowest", "hours"), [(1.0, 0.7, 4.0), (2.0, 0.49, 5.0), (8.0, 0.3, 8.0)])
def test_alcohol_lowers_production_by_30_to_70_percent_for_four_to_eight_hours(
    portions: float, lowest: float, hours: float
) -> None:
    share = production_share((undergone(ConditionKind.ALCOHOL, degree=portions),), MINUTES)
    assert share.min() == pytest.approx(lowest)
    acting = np.flatnonzero(share < 1.0)
    assert acting[0] == 600 + 61  # one minute into the ramp that begins an hour after the drink
    assert (acting[-1] + 1 - 660) / 60.0 == hours
    assert hours_later(share, 2.0) == pytest.approx(lowest)


def test_alcohol_leaves_insulins_action_alone_and_stress_leaves_the_liver_alone() -> None:
    assert (sensitivity_factor((undergone(ConditionKind.ALCOHOL),), MINUTES) == 1.0).all()
    assert (production_share((undergone(ConditionKind.STRESS, duration_min=60.0),), MINUTES) == 1.0).all()


@pytest.mark.parametrize("kind", ConditionKind)
def test_what_may_be_forgotten_acts_no_more(kind: ConditionKind) -> None:
    old = Condition(time_min=-90.0 - REMEMBERED_MIN, duration_min=90.0, kind=kind)
    now = np.array([0.0])
    assert sensitivity_factor((old,), now)[0] * production_share((old,), now)[0] == 1.0


@pytest.mark.parametrize(("kind", "sign"), [("stress", 1.0), ("illness", 1.0), ("alcohol", -1.0)])
def test_stress_and_illness_raise_glucose_and_alcohol_lowers_it(kind: str, sign: float) -> None:
    therapy = Therapy(conditions=(Condition(time_min=0.0, duration_min=120.0, kind=ConditionKind(kind)),))
    glucose = integrate(MODEL, MODEL.parameters(), schedule_of(therapy, start_min=0.0, end_min=480.0))
    change = sign * (glucose.output("glucose_mg_dl") - 120.0)
    assert change.max() > 5.0
    assert change.min() > -1e-6


def test_windows_of_sensitivity_begin_at_four_eleven_and_seventeen_local_time() -> None:
    rhythm = Rhythm(sensitivity=(0.5, 1.0, 2.0), utc_offset_min=60.0)
    local_h = np.array([0.0, 3.99, 4.0, 10.99, 11.0, 16.99, 17.0, 23.99, 28.0])
    expected = [2.0, 2.0, 0.5, 0.5, 1.0, 1.0, 2.0, 2.0, 0.5]
    np.testing.assert_array_equal(factor_by_time(rhythm, 60.0 * local_h - 60.0), expected)


def test_dawn_rises_to_its_height_at_five_and_is_over_at_seven() -> None:
    rhythm = Rhythm(dawn_mg_kg_min=1.5)
    hours = np.array([2.9, 3.0, 4.0, 5.0, 7.0, 12.0, 29.0])
    expected = [0.0, 0.0, 1.5 * np.sqrt(0.5), 1.5, 0.0, 0.0, 1.5]
    np.testing.assert_allclose(dawn_mg_kg_min(rhythm, 60.0 * hours), expected, atol=1e-12)


def test_a_rhythm_acts_on_schedules_and_every_window_begins_with_a_step() -> None:
    rhythm = Rhythm(sensitivity=(0.8, 1.0, 1.2), dawn_mg_kg_min=1.0, utc_offset_min=0.4)
    schedule = schedule_of(Therapy(), start_min=0.0, end_min=2880.0, rhythm=rhythm)
    for change in (239.6, 659.6, 1019.6, 1679.6):
        assert np.abs(schedule.times_min - change).min() < 1e-9
    assert set(schedule.input("sensitivity")) == {0.8, 1.0, 1.2}
    assert schedule.input("production_added_mg_kg_min").max() == pytest.approx(1.0, abs=1e-4)
    steady = schedule_of(Therapy(), start_min=0.0, end_min=2880.0, rhythm=STEADY)
    np.testing.assert_array_equal(steady.inputs, schedule_of(Therapy(), start_min=0.0, end_min=2880.0).inputs)


def test_every_effect_has_a_name_its_inputs_a_statement_and_sourced_numbers() -> None:
    assert len({effect.name for effect in EFFECTS}) == len(EFFECTS)
    for effect in EFFECTS:
        assert set(effect.inputs) <= set(AT_REST), effect.name
        assert effect.statement.endswith("."), effect.name
        assert effect.numbers, effect.name
        for number in effect.numbers:
            assert number.unit, number
            assert number.meaning, number
            assert number.source, number
            assert np.isfinite(number.value), number
            assert number.evidence.meaning


def test_every_input_beyond_food_and_insulin_belongs_to_an_effect() -> None:
    acted_on = {name for effect in EFFECTS for name in effect.inputs}
    plain = {"carbs_mg_min", "eaten_mg", "insulin_u_min", "planned_mg_min", "planned_eaten_mg"}
    found_not_given = {"unexplained_mg_kg_min"}
    assert set(AT_REST) - plain - found_not_given == acted_on


def test_an_effect_is_as_sure_as_its_weakest_number() -> None:
    by_name = {effect.name: effect for effect in EFFECTS}
    assert by_name["alcohol"].evidence is Evidence.D
    assert by_name["glargine_u300"].evidence is Evidence.C
    assert by_name["dawn"].evidence is Evidence.C


def test_the_documents_name_every_effect_with_its_evidence() -> None:
    root = Path(__file__).parents[4]
    text = (root / "docs/explanation/insulins-meals-exercise.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| ([A-D]) \|$", text, flags=re.MULTILINE))
    assert rows == {effect.name: effect.evidence.value for effect in EFFECTS}
