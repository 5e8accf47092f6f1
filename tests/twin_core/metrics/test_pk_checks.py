import numpy as np
import pytest

from twin_core.domain.errors import BadInput, OutOfRange
from twin_core.metrics.pk_checks import prediction_errors, predictive_check


def test_errors_are_relative_to_the_measured_level() -> None:
    found = prediction_errors([10.0, 20.0, 40.0, 50.0], [11.0, 15.0, 40.0, 100.0])
    assert found.mean_percent == pytest.approx((10.0 - 25.0 + 0.0 + 100.0) / 4.0)
    assert found.median_percent == pytest.approx(5.0)
    assert found.mean_absolute_percent == pytest.approx(135.0 / 4.0)
    assert found.root_mean_square_percent == pytest.approx(np.sqrt((100.0 + 625.0 + 10_000.0) / 4.0))
    assert (found.within_20_percent, found.within_30_percent, found.n) == (50.0, 75.0, 4)


def test_levels_without_a_percentage_are_refused() -> None:
    with pytest.raises(OutOfRange, match="measured level"):
        prediction_errors([0.0, 1.0], [1.0, 1.0])
    with pytest.raises(BadInput, match="One prediction a level"):
        prediction_errors([], [])


def study(rng: np.random.Generator, n_studies: int, doses: np.ndarray, spread: float) -> np.ndarray:
    """Levels of 200 people at 5 times: dose times a falling curve, log-normal about it."""
    return doses * CURVE * np.exp(spread * rng.standard_normal((n_studies, len(CURVE))))


TIMES = np.tile([1.0, 2.0, 4.0, 8.0, 12.0], 200)
CURVE = np.exp(-0.2 * TIMES)
SAME = np.ones_like(TIMES)


def test_a_model_that_made_the_levels_is_inside_its_own_intervals() -> None:
    rng = np.random.default_rng(1)
    check = predictive_check(TIMES, study(rng, 1, SAME, 0.3)[0], study(rng, 300, SAME, 0.3), n_bins=5)
    np.testing.assert_array_equal(check.times_h, [1.0, 2.0, 4.0, 8.0, 12.0])
    assert check.share_inside >= 12.0 / 15.0
    expected = np.exp(-0.2 * check.times_h) * np.exp(0.3 * 1.6449 * np.array([[-1.0], [0.0], [1.0]]))
    np.testing.assert_allclose(check.middle, expected, rtol=0.03)


def test_a_model_with_too_little_spread_is_found_out() -> None:
    rng = np.random.default_rng(1)
    check = predictive_check(TIMES, study(rng, 1, SAME, 0.6)[0], study(rng, 300, SAME, 0.2), n_bins=5)
    assert np.all(check.observed[0] < check.low[0])
    assert np.all(check.observed[2] > check.high[2])


def test_different_doses_blur_the_check_until_it_is_prediction_corrected() -> None:
    rng = np.random.default_rng(1)
    doses = np.repeat(rng.choice([1.0, 10.0], 200), 5)
    observed, simulated = study(rng, 1, doses, 0.3)[0], study(rng, 300, doses, 0.3)
    plain = predictive_check(TIMES, observed, simulated, n_bins=5)
    corrected = predictive_check(TIMES, observed, simulated, n_bins=5, typical_mg_l=doses * CURVE)
    assert np.all(plain.middle[2] / plain.middle[0] > 10.0)
    assert np.all(corrected.middle[2] / corrected.middle[0] < 3.2)  # exp(2 * 1.645 * 0.3) = 2.7
    assert corrected.share_inside >= 12.0 / 15.0


def test_equal_times_are_never_parted() -> None:
    times = np.repeat([1.0, 2.0, 3.0], [10, 1, 1])
    check = predictive_check(times, np.ones(12), np.ones((20, 12)), n_bins=3)
    assert 1.0 in check.times_h
    assert len(set(check.times_h)) == len(check.times_h)


def test_bad_shapes_and_too_few_simulations_are_refused() -> None:
    with pytest.raises(BadInput, match="simulated"):
        predictive_check([1.0, 2.0], [1.0, 2.0], np.ones((5, 2)), n_bins=1)
    with pytest.raises(BadInput, match="times"):
        predictive_check([1.0, 2.0], [1.0], np.ones((50, 2)), n_bins=1)
    with pytest.raises(OutOfRange, match="n_bins"):
        predictive_check([1.0, 2.0], [1.0, 2.0], np.ones((50, 2)), n_bins=3)
