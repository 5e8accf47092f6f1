import numpy as np
import pytest

from twin_core.domain.errors import OutOfRange
from twin_core.metrics.drift import LIMIT_SD, cumulative_sums


def days_until_alarm(rng: np.random.Generator, shift: float) -> int:
    sums = cumulative_sums(rng.normal(shift, 1.0, 6000), 0.0, 1.0).up
    beyond = np.flatnonzero(sums > LIMIT_SD)
    return int(beyond[0]) + 1 if beyond.size else sums.size


def test_a_steady_figure_alarms_about_once_in_930_days_and_a_shift_by_one_sd_within_two_weeks() -> None:
    """Hawkins 1993, table of one-sided CUSUMs: k = 0.5, h = 5 has average run lengths 930 and 10.4 (unverified)."""
    rng = np.random.default_rng(1)
    steady = np.mean([days_until_alarm(rng, 0.0) for _ in range(60)])
    shifted = np.mean([days_until_alarm(rng, 1.0) for _ in range(60)])
    assert steady == pytest.approx(930.0, rel=0.35)
    assert shifted == pytest.approx(10.4, rel=0.15)


def test_up_and_down_are_told_apart() -> None:
    up = cumulative_sums(np.full(14, 12.0), 10.0, 2.0)
    assert (up.moved_up, up.moved_down) == (True, False)
    down = cumulative_sums(np.full(14, 8.0), 10.0, 2.0)
    assert (down.moved_up, down.moved_down) == (False, True)


def test_a_figure_as_expected_never_sums_up() -> None:
    sums = cumulative_sums(np.full(60, 10.0), 10.0, 2.0)
    assert not sums.up.any()
    assert not sums.down.any()


def test_days_without_a_figure_change_nothing() -> None:
    with_gap = cumulative_sums(np.array([12.0, np.nan, np.nan, 12.0]), 10.0, 1.0)
    without = cumulative_sums(np.array([12.0, 12.0]), 10.0, 1.0)
    assert with_gap.up[-1] == without.up[-1]
    assert with_gap.up[1] == with_gap.up[0]


def test_no_days_have_not_moved_and_a_figure_without_spread_is_refused() -> None:
    assert not cumulative_sums(np.empty(0), 0.0, 1.0).moved_up
    with pytest.raises(OutOfRange, match="SD of a daily figure"):
        cumulative_sums(np.ones(3), 0.0, 0.0)
