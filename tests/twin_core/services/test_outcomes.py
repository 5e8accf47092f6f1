"""Outcomes of draws, and what their intervals are."""

import numpy as np
import pytest

from twin_core.services.outcomes import OUTCOME_NAMES, IntervalKind, Outcome, outcomes_of, paired_difference


def named(outcomes: tuple[Outcome, ...]) -> dict[str, Outcome]:
    return {outcome.name: outcome for outcome in outcomes}


def paths(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=float)


def test_time_in_range_holds_both_ends_and_chances_do_not() -> None:
    found = named(outcomes_of(paths([54.0, 69.9, 70.0, 180.0, 180.1])))
    assert found["time_in_range_percent"].value.middle == 40.0
    assert found["chance_below_70_percent"].value.middle == 100.0
    assert found["chance_below_54_percent"].value.middle == 0.0
    assert found["chance_above_180_percent"].value.middle == 100.0
    assert found["minimum_mg_dl"].value.middle == 54.0


def test_the_interval_of_the_lowest_glucose_holds_90_percent_of_the_draws() -> None:
    draws = np.arange(0.0, 101.0)[:, None] + 60.0
    found = named(outcomes_of(draws))["minimum_mg_dl"]
    assert found.kind is IntervalKind.RANGE
    assert (found.value.low, found.value.middle, found.value.high) == (65.0, 110.0, 155.0)


def test_differences_are_taken_draw_by_draw() -> None:
    """Draws that differ by 100 mg/dL from each other but all fall by 10 have a difference without any spread."""
    before = np.linspace(80.0, 180.0, 50)[:, None]
    change = named(outcomes_of(before - 10.0, before))["minimum_mg_dl"].change
    assert change is not None
    assert (change.low, change.middle, change.high) == pytest.approx((-10.0, -10.0, -10.0))


def test_a_chance_seen_in_no_draw_may_still_be_one_in_75() -> None:
    """Wilson's upper bound for 0 of n is z^2/(n + z^2): 1.33 % for 200 draws at 90 %."""
    found = named(outcomes_of(np.full((200, 3), 100.0)))["chance_below_70_percent"]
    assert found.kind is IntervalKind.SAMPLING
    assert (found.value.low, found.value.middle) == (0.0, 0.0)
    assert found.value.high == pytest.approx(100.0 * 2.70554 / 202.70554, abs=1e-3)


def test_the_paired_difference_is_that_of_the_published_example() -> None:
    """Counts 12, 4, 26, 6 give 0.2548067 to 0.6251933 at 95 % (R package statpsych, ci.prop.ps, its documentation)."""
    low, high = paired_difference(26.0, 4.0, 48, z=1.959963984540054)
    assert (low, high) == pytest.approx((0.2548067, 0.6251933), abs=1e-7)


def test_the_interval_of_a_difference_of_chances_is_narrower_on_the_same_draws_than_on_others() -> None:
    rng = np.random.default_rng(1)
    before = rng.normal(90.0, 20.0, (200, 1))
    paired = named(outcomes_of(before - 5.0, before))["chance_below_70_percent"].change
    apart = named(outcomes_of(before - 5.0, rng.permutation(before)))["chance_below_70_percent"].change
    assert paired is not None
    assert apart is not None
    assert paired.middle == apart.middle
    assert paired.high - paired.low < 0.7 * (apart.high - apart.low)


def test_without_another_course_there_is_no_difference() -> None:
    found = outcomes_of(np.full((5, 2), 100.0))
    assert [outcome.change for outcome in found] == [None] * len(OUTCOME_NAMES)
