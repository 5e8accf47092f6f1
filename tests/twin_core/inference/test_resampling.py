"""Draws of the posterior itself."""

import numpy as np
import pytest

from twin_core.domain.history import BasalRate, Bolus, History, Meal, Therapy
from twin_core.inference.map_fit import Posterior, Problem, posterior_of, problem_of
from twin_core.inference.resampling import resampled
from twin_core.inference.structures import structure_named
from twin_core.models.glucose.dalla_man_2014 import MODEL
from twin_core.solve.compiled import kernel_of

UVA = structure_named("uva_padova_t1d")
THERAPY = Therapy(
    meals=(Meal(time_min=60.0, carbs_g=50.0),),
    boluses=(Bolus(time_min=60.0, dose_u=5.0),),
    basal=(BasalRate(time_min=-600.0, rate_u_h=1.1),),
)


@pytest.fixture(scope="module")
def fitted() -> tuple[Problem, Posterior]:
    kernel_of(MODEL).warm_up()
    times = 5.0 * np.arange(100)
    blank = History(cgm_time_min=times, cgm_mg_dl=np.full(100, 120.0), therapy=THERAPY, utc_offset_min=240.0)
    problem = problem_of(blank, now_min=495.0, days=0.5, body_weight_kg=80.0, structure=UVA)
    assert isinstance(problem, Problem)
    rng = np.random.default_rng(3)
    glucose = problem.predict(rng.normal(size=(1, len(problem.first_guess()))))[0] + rng.normal(scale=8.0, size=100)
    history = History(cgm_time_min=times, cgm_mg_dl=glucose, therapy=THERAPY, utc_offset_min=240.0)
    problem = problem_of(history, now_min=495.0, days=0.5, body_weight_kg=80.0, structure=UVA)
    assert isinstance(problem, Problem)
    return problem, posterior_of(problem)


def test_draws_have_the_shape_of_the_posterior_and_repeat_with_the_seed(fitted: tuple[Problem, Posterior]) -> None:
    first, again = (resampled(*fitted, 40, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(first.z, again.z)
    assert first.parameters.kabs.shape == (40,)
    assert 1.0 <= first.effective_sample_size <= 160.0
    assert 0.1 < first.accepted_share < 0.95


def test_draws_spread_about_as_the_normal_approximation_says(fitted: tuple[Problem, Posterior]) -> None:
    """No more: where the two differ the draws are right, which simulation-based calibration shows."""
    problem, posterior = fitted
    draws = resampled(problem, posterior, 150, np.random.default_rng(2)).z
    ratio = draws.std(axis=0) / np.sqrt(np.diag(posterior.covariance))
    assert 0.75 < np.median(ratio) < 1.25
    assert np.abs(draws).max() <= 3.5


def test_without_steps_copies_remain_and_steps_make_draws_of_their_own(fitted: tuple[Problem, Posterior]) -> None:
    copies, own = (resampled(*fitted, 40, np.random.default_rng(4), steps=steps) for steps in (0, 20))
    assert len(np.unique(copies.z[:, 0])) < 40
    assert len(np.unique(own.z[:, 0])) == 40
