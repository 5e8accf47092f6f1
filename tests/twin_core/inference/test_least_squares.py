"""The minimiser, on problems whose answer is known."""

import numpy as np
import pytest

from twin_core.domain.history import FloatArray
from twin_core.inference.least_squares import least_squares


def test_a_linear_problem_is_solved_as_the_normal_equations_do() -> None:
    rng = np.random.default_rng(0)
    A, b = rng.normal(size=(40, 5)), 0.1 * rng.normal(size=40)
    found = least_squares(lambda z: A @ z - b, lambda _z: A, np.zeros(5), np.full(5, 3.5), iterations=30)
    np.testing.assert_allclose(found.z, np.linalg.solve(A.T @ A + np.eye(5), A.T @ b), atol=1e-3)
    assert found.converged


def test_a_coordinate_stays_on_its_bound_and_the_others_are_best_given_it() -> None:
    A, b = np.array([[30.0, 10.0], [0.0, 10.0]]), np.array([300.0, 10.0])
    found = least_squares(lambda z: A @ z - b, lambda _z: A, np.zeros(2), np.array([2.0, 50.0]), iterations=60)
    assert found.z[0] == 2.0
    rest = b - 2.0 * A[:, 0]
    assert found.z[1] == pytest.approx(A[:, 1] @ rest / (A[:, 1] @ A[:, 1] + 1.0), rel=1e-2)


def test_a_curved_valley_is_followed_downhill() -> None:
    """Rosenbrock's function, 10 (y - x^2) and 1 - x, with the prior's pull towards 0."""

    def data(z: FloatArray) -> FloatArray:
        return np.array([100.0 * (z[1] - z[0] ** 2), 10.0 * (1.0 - z[0])])

    def jacobian(z: FloatArray) -> FloatArray:
        return np.array([[-200.0 * z[0], 100.0], [-10.0, 0.0]])

    found = least_squares(data, jacobian, np.array([-1.2, 1.0]), np.full(2, 3.5), iterations=200)
    assert found.z == pytest.approx([0.97, 0.94], abs=0.05)


def test_a_region_without_finite_numbers_is_not_entered() -> None:
    found = least_squares(
        lambda z: np.log(z + 2.0) - 5.0,
        lambda z: np.diag(1.0 / (z + 2.0)),
        np.array([-1.9]),
        np.array([3.5]),
        iterations=50,
    )
    assert np.isfinite(found.cost)
    assert found.z[0] > -1.9
