"""The error of a prediction: made independent, and found again."""

import numpy as np
import pytest

from twin_core.domain.history import FloatArray
from twin_core.inference.error_model import ErrorModel, Whitening, most_probable_error, whitenings


def covariance_of(error: ErrorModel, gaps_min: FloatArray) -> FloatArray:
    """Dense, stretches independent."""
    times, stretch = np.cumsum(np.where(np.isinf(gaps_min), 0.0, gaps_min)), np.cumsum(np.isinf(gaps_min))
    together = stretch[:, None] == stretch
    return np.where(together, error.sd_mg_dl**2 * error.correlation(times[:, None] - times), 0.0)


def drawn(rng: np.random.Generator, error: ErrorModel, gaps_min: FloatArray) -> FloatArray:
    return np.linalg.cholesky(covariance_of(error, gaps_min)) @ rng.normal(size=len(gaps_min))


def test_whitened_errors_have_unit_variance_and_no_memory_across_any_gap() -> None:
    rng = np.random.default_rng(1)
    gaps = rng.choice([5.0, 10.0, 35.0, np.inf], p=[0.7, 0.2, 0.09, 0.01], size=3000)
    gaps[0] = np.inf
    error = ErrorModel(sd_mg_dl=12.0, model_share=0.5, lasting_min=120.0)
    white = Whitening.of(error, gaps)(drawn(rng, error, gaps))
    assert np.std(white) == pytest.approx(1.0, abs=0.04)
    assert abs(np.corrcoef(white[1:], white[:-1])[0, 1]) < 0.05


def test_whitening_few_readings_is_their_exact_likelihood() -> None:
    gaps = np.array([np.inf, 5.0, 10.0, 5.0, 20.0, np.inf, 5.0])
    error = ErrorModel(sd_mg_dl=9.0, model_share=0.3, lasting_min=60.0)
    covariance = covariance_of(error, gaps)
    values = np.array([3.0, -5.0, 10.0, 2.0, 7.0, 1.0, -4.0])
    whitening = Whitening.of(error, gaps)
    white = whitening(values)
    assert white @ white == pytest.approx(values @ np.linalg.solve(covariance, values), rel=1e-12)
    assert whitening.log_determinant == pytest.approx(np.linalg.slogdet(covariance)[1], rel=1e-12)


@pytest.mark.parametrize(("share", "lasting_min"), [(0.1, 240.0), (0.5, 120.0), (0.95, 240.0)])
def test_twelve_readings_are_remembered_enough_for_a_day(share: float, lasting_min: float) -> None:
    """The likelihood of 288 readings, exactly and as computed, differs by less than half a log unit."""
    rng = np.random.default_rng(3)
    gaps = np.where(np.arange(288) == 0, np.inf, 5.0)
    error = ErrorModel(sd_mg_dl=10.0, model_share=share, lasting_min=lasting_min)
    covariance, values = covariance_of(error, gaps), drawn(rng, error, gaps)
    whitening = Whitening.of(error, gaps)
    exact = values @ np.linalg.solve(covariance, values) + np.linalg.slogdet(covariance)[1]
    computed = whitening(values) @ whitening(values) + whitening.log_determinant
    assert computed / 2.0 == pytest.approx(exact / 2.0, abs=0.5)


def test_scaling_a_whitening_is_the_same_as_making_it_with_the_larger_error() -> None:
    gaps = np.array([np.inf, 5.0, 5.0, 15.0])
    scaled = Whitening.of(ErrorModel(sd_mg_dl=1.0), gaps).scaled(7.0)
    made = Whitening.of(ErrorModel(sd_mg_dl=7.0), gaps)
    np.testing.assert_allclose(scaled.weights, made.weights, rtol=1e-12)
    assert scaled.log_determinant == pytest.approx(made.log_determinant, rel=1e-12)
    assert scaled.error == made.error


@pytest.mark.parametrize(("sd", "share", "lasting_min"), [(8.0, 0.1, 40.0), (12.0, 0.5, 40.0), (25.0, 0.9, 40.0)])
def test_the_error_is_found_although_the_curve_follows_some_of_it(sd: float, share: float, lasting_min: float) -> None:
    """Thirty smooth directions are fitted to four days of error; medians over 8 records."""
    n, found = 1152, []
    gaps = np.where(np.arange(n) % 288 == 0, np.inf, 5.0)
    known = ErrorModel(sd_mg_dl=sd, model_share=share, lasting_min=lasting_min)
    whitening, candidates = Whitening.of(known, gaps), whitenings(gaps)
    J = np.column_stack([40.0 * np.sin(np.arange(n) * (k + 1) * np.pi / n) for k in range(30)])
    for seed in range(8):
        rng = np.random.default_rng(seed)
        readings = drawn(rng, known, gaps) + J @ rng.normal(size=30)
        W = whitening(J)
        z = np.linalg.solve(W.T @ W + np.eye(30), W.T @ whitening(readings))
        error = most_probable_error(candidates, readings - J @ z, J, z).error
        found.append((error.sd_mg_dl, float(error.correlation(30.0))))
    middle = np.median(found, axis=0)
    assert middle[0] == pytest.approx(sd, rel=0.15)
    assert middle[1] == pytest.approx(float(known.correlation(30.0)), abs=0.15)


def test_a_few_readings_leave_the_error_near_its_prior() -> None:
    gaps = np.array([np.inf, 5.0, 5.0])
    error = most_probable_error(whitenings(gaps), np.zeros(3), np.zeros((3, 2)), np.zeros(2)).error
    assert 4.0 < error.sd_mg_dl < 12.0
