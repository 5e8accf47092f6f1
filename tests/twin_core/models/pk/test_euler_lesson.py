"""The tutorial's script has the defects that were measured on it."""

import numpy as np
import pytest

from twin_core.domain.errors import OutOfRange
from twin_core.models.pk.euler_lesson import Script, euler_lesson, points_lost

AS_WRITTEN = euler_lesson(0.1)


def test_its_peak_is_too_high_and_too_early() -> None:
    assert AS_WRITTEN.euler_mg_l.max() == pytest.approx(5.514, abs=5e-4)
    assert AS_WRITTEN.exact_peak_mg_l == pytest.approx(5.429, abs=5e-4)
    assert AS_WRITTEN.peak_error_percent == pytest.approx(1.6, abs=0.05)
    assert AS_WRITTEN.peak_at_h == pytest.approx(3.006, abs=5e-4)
    # Exactly ln(k_a / k_e) / (k_a - k_e) = 3.054 h.
    assert AS_WRITTEN.exact_peak_at_h == pytest.approx(np.log(2.5) / 0.3, abs=0.01)


def test_its_tail_is_too_low() -> None:
    assert AS_WRITTEN.error_percent_at(24.0) == pytest.approx(-3.8, abs=0.05)
    assert AS_WRITTEN.error_percent_at(48.0) == pytest.approx(-7.4, abs=0.05)
    assert AS_WRITTEN.half_life_h == pytest.approx(3.438, abs=5e-4)
    assert AS_WRITTEN.largest_error_percent_of_peak == pytest.approx(2.0, abs=0.05)


def test_its_axis_hides_a_part_of_the_error() -> None:
    assert AS_WRITTEN.drawn_step_h == pytest.approx(0.100209, abs=5e-7)
    assert AS_WRITTEN.drawn_at_h[-1] == 48.0
    assert AS_WRITTEN.state_of_h[-1] == pytest.approx(47.9)
    assert AS_WRITTEN.own_error_percent_at_end == pytest.approx(-9.25, abs=0.005)


def test_it_makes_mass_from_nothing() -> None:
    assert AS_WRITTEN.eliminated_mg == pytest.approx(100.20, abs=0.005)
    assert AS_WRITTEN.exactly_eliminated_mg < 100.0


def test_long_steps_overshoot_then_go_below_zero_then_diverge() -> None:
    assert euler_lesson(1.0).largest_error_percent_of_peak == pytest.approx(26.0, abs=0.5)
    # Steps of 1 / k_a put all of the dose into the body at once: 10 mg/L where there are 5.07.
    assert euler_lesson(2.0).euler_mg_l[1] == 10.0
    assert euler_lesson(2.0).lowest_gut_mg == 0.0
    assert euler_lesson(4.0).lowest_gut_mg == -100.0
    assert not euler_lesson(4.0).diverges
    assert euler_lesson(5.0).diverges
    assert euler_lesson(5.0).largest_error_percent_of_peak > 5_000.0


def test_int_cuts_a_point_off_348_of_999_horizons() -> None:
    assert sum(points_lost(tenth / 10, 0.1) for tenth in range(1, 1000)) == 348
    assert [points_lost(horizon, 0.1) for horizon in (0.3, 0.6, 0.7, 1.2, 48.0)] == [1, 1, 1, 1, 0]


def test_shorter_steps_come_nearer_at_first_order() -> None:
    errors = [euler_lesson(step).own_error_percent_at_end for step in (0.1, 0.05, 0.025)]
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(2.0, rel=0.05)


def test_equal_rates_do_not_break_the_exact_curve() -> None:
    lesson = euler_lesson(0.01, Script(k_a_h=0.2, k_e_h=0.2))
    assert np.all(np.isfinite(lesson.exact_mg_l))
    assert lesson.largest_error_percent_of_peak < 1.0


def test_a_step_out_of_range_is_refused() -> None:
    with pytest.raises(OutOfRange, match="step_h"):
        euler_lesson(0.0)
