"""The lesson on Euler's steps says what is measured, at every step of its slider."""

import numpy as np
import pytest

from twin_core.domain.lessons import EulerStep
from twin_core.services.lessons import EULER_DEFECTS, EULER_STEPS_H, euler_view


def step_of(step_h: float) -> EulerStep:
    return euler_view().steps[EULER_STEPS_H.index(step_h)]


def finding(step_h: float, what: str) -> str:
    return step_of(step_h).findings[[name for name, _ in EULER_DEFECTS].index(what)]


def test_there_are_nine_defects_with_a_finding_at_every_step() -> None:
    assert len(EULER_DEFECTS) == 9
    assert all(len(step.findings) == 9 and all(step.findings) for step in euler_view().steps)


@pytest.mark.parametrize(("step_h", "percent"), [(1.0, "26.2"), (2.0, "90.1"), (4.0, "344.4"), (5.0, "7,868.2")])
def test_the_largest_error_is_the_measured_one(step_h: float, percent: str) -> None:
    assert finding(step_h, "The largest error").startswith(f"{percent} % of the exact peak")


def test_only_steps_above_4_h_grow_without_bound() -> None:
    growing = [
        step.step_h for step in euler_view().steps if "without bound" in finding(step.step_h, "The largest error")
    ]
    assert growing == [step_h for step_h in EULER_STEPS_H if step_h > 4.0]


def test_only_steps_above_2_h_take_more_from_the_gut_than_it_holds() -> None:
    negative = [step.step_h for step in euler_view().steps if step.gut_mg.min() < 0.0]
    assert negative == [step_h for step_h in EULER_STEPS_H if step_h > 2.0]
    assert finding(4.0, "The gut holds less than nothing") == "down to -100.00 mg"


def test_the_exact_curve_is_batemans() -> None:
    view = euler_view()
    expected = 10.0 * 0.5 / 0.3 * (np.exp(-0.2 * view.times_h) - np.exp(-0.5 * view.times_h))
    np.testing.assert_allclose(view.exact_mg_l, expected, rtol=1e-9, atol=1e-12)
