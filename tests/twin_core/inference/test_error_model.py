"""The error of a prediction: made independent, and found again."""

import numpy as np
import pytest

from twin_core.domain.history import FloatArray
from twin_core.inference.error_model import ErrorModel, error_of


def lasting(rng: np.random.Generator, gaps_min: FloatArray, sd: float, correlation: float) -> FloatArray:
    error = np.zeros(len(gaps_min))
    for i, gap in enumerate(gaps_min):
        r = correlation ** (gap / 5.0) if np.isfinite(gap) else 0.0
        error[i] = r * error[i - 1] + sd * np.sqrt(1.0 - r * r) * rng.normal()
    return error


def test_whitened_errors_have_unit_variance_and_no_memory_across_any_gap() -> None:
    rng = np.random.default_rng(1)
    gaps = rng.choice([5.0, 10.0, 35.0, np.inf], p=[0.7, 0.2, 0.09, 0.01], size=20_000)
    gaps[0] = np.inf
    white = ErrorModel(sd_mg_dl=12.0, correlation=0.9).whitened(gaps, lasting(rng, gaps, 12.0, 0.9))
    assert np.std(white) == pytest.approx(1.0, abs=0.02)
    assert abs(np.corrcoef(white[1:], white[:-1])[0, 1]) < 0.02


def test_whitening_is_the_exact_likelihood() -> None:
    """Squares of the whitened values are those with the inverse of the covariance s^2 r^|i - j|."""
    gaps = np.array([np.inf, 5.0, 10.0, 5.0, 20.0])
    times = np.cumsum([0.0, *gaps[1:]])
    covariance = 9.0**2 * 0.8 ** (np.abs(times[:, None] - times) / 5.0)
    values = np.array([3.0, -5.0, 10.0, 2.0, 7.0])
    white = ErrorModel(sd_mg_dl=9.0, correlation=0.8).whitened(gaps, values)
    assert white @ white == pytest.approx(values @ np.linalg.solve(covariance, values), rel=1e-12)


@pytest.mark.parametrize(("sd", "correlation"), [(6.0, 0.7), (12.0, 0.9), (25.0, 0.95)])
def test_the_error_is_found_although_the_curve_follows_some_of_it(sd: float, correlation: float) -> None:
    """Thirty smooth directions are fitted to four days of error; medians over 20 records."""
    n, found = 1152, []
    gaps = np.where(np.arange(n) % 288 == 0, np.inf, 5.0)
    J = np.column_stack([40.0 * np.sin(np.arange(n) * (k + 1) * np.pi / n) for k in range(30)])
    for seed in range(20):
        rng = np.random.default_rng(seed)
        readings = lasting(rng, gaps, sd, correlation) + J @ rng.normal(size=30)
        known = ErrorModel(sd_mg_dl=sd, correlation=correlation)
        W = known.whitened(gaps, J)
        z = np.linalg.solve(W.T @ W + np.eye(30), W.T @ known.whitened(gaps, readings))
        error = error_of(gaps, readings - J @ z, J, z)
        found.append((error.sd_mg_dl, error.correlation))
    middle = np.median(found, axis=0)
    assert middle[0] == pytest.approx(sd, rel=0.15)
    assert middle[1] == pytest.approx(correlation, abs=0.03)


def test_a_few_readings_leave_the_error_near_its_prior() -> None:
    gaps = np.array([np.inf, 5.0, 5.0])
    error = error_of(gaps, np.zeros(3), np.zeros((3, 2)), np.zeros(2))
    assert 2.0 < error.sd_mg_dl < 12.0
    assert 0.5 <= error.correlation < 0.99
