import numpy as np
import pytest

from tests.twin_core.inference.test_pk_fit import FIRST, LATER, LEVELS, POPULATION
from twin_core.domain.dosing import Level
from twin_core.inference.pk_fit import fit_pk, most_probable
from twin_core.inference.pk_posterior import Sampler, effective_size, ensemble_sample, pareto_smoothed, posterior
from twin_core.inference.pk_search import Problem, around, minimum

PROBLEM = Problem(
    POPULATION, (FIRST, LATER), tuple(Level(time_h=t, concentration_mg_l=value) for t, value in LEVELS[1])
)


def test_the_derivatives_are_those_of_the_objective() -> None:
    eta = np.array([[0.3, -0.2, 0.4], [-0.5, 0.1, 0.2]])
    here = around(PROBLEM, eta)
    np.testing.assert_allclose(here.phi, PROBLEM.objective(eta), rtol=1e-12)
    for each in range(3):
        step = 1e-5 * np.eye(3)[each]
        slope = (PROBLEM.objective(eta + step) - PROBLEM.objective(eta - step)) / 4e-5
        np.testing.assert_allclose(here.gradient[:, each], slope, rtol=1e-6)
        bend = (around(PROBLEM, eta + step).gradient - around(PROBLEM, eta - step).gradient) / 2e-5
        np.testing.assert_allclose(here.hessian[:, each], bend, rtol=1e-4, atol=1e-4)


def test_the_derivatives_hold_for_levels_below_quantification() -> None:
    below = Level(time_h=48.0, concentration_mg_l=5.0, below_quantification=True)
    problem = Problem(POPULATION, (FIRST, LATER), (*PROBLEM.levels, below))
    eta = np.array([[0.1, 0.2, -0.3]])
    here = around(problem, eta)
    for each in range(3):
        step = 1e-5 * np.eye(3)[each]
        slope = (problem.objective(eta + step) - problem.objective(eta - step)) / 4e-5
        np.testing.assert_allclose(here.gradient[:, each], slope, rtol=1e-6)
        bend = (around(problem, eta + step).gradient - around(problem, eta - step).gradient) / 2e-5
        np.testing.assert_allclose(here.hessian[:, each], bend, rtol=1e-4, atol=1e-4)


def test_the_chain_and_importance_sampling_agree() -> None:
    found = minimum(PROBLEM)
    rng = np.random.default_rng(3)
    by_weight = posterior(PROBLEM, found.eta, np.linalg.inv(found.information), rng, 4000)
    by_chain = ensemble_sample(PROBLEM, by_weight.draws, rng, 4000)
    assert by_weight.sampler is Sampler.IMPORTANCE
    assert by_chain.sampler is Sampler.ENSEMBLE
    assert by_chain.ess > 1000.0
    np.testing.assert_allclose(by_chain.draws.std(axis=0), by_weight.draws.std(axis=0), rtol=0.08)
    np.testing.assert_allclose(by_chain.draws.mean(axis=0), by_weight.draws.mean(axis=0), atol=0.03)


def test_a_proposal_that_misses_the_posterior_gives_way_to_the_chain() -> None:
    found = minimum(PROBLEM)
    rng = np.random.default_rng(3)
    elsewhere = posterior(PROBLEM, found.eta + 0.3, 0.002 * np.eye(3), rng, 4000)
    assert elsewhere.sampler is Sampler.ENSEMBLE
    assert elsewhere.draws[:, 0].std() == pytest.approx(0.157, rel=0.1)


def test_the_same_seed_draws_the_same_posterior() -> None:
    fits = [fit_pk(POPULATION, (FIRST, LATER), PROBLEM.levels, np.random.default_rng(9)) for _ in range(2)]
    np.testing.assert_array_equal(fits[0].draws, fits[1].draws)


def test_the_most_probable_person_is_the_fit_without_its_draws() -> None:
    only = most_probable(POPULATION, (FIRST, LATER), PROBLEM.levels)
    whole = fit_pk(POPULATION, (FIRST, LATER), PROBLEM.levels, np.random.default_rng(1))
    np.testing.assert_array_equal(only.eta, whole.eta)
    np.testing.assert_array_equal(only.draws, only.eta[None])
    assert only.objective == whole.objective


def test_the_shape_of_a_pareto_tail_is_found() -> None:
    """Weights u^-k have a tail of shape k; over 30 samples of 300 tail weights its mean has an SE of about 0.02."""
    rng = np.random.default_rng(4)
    for shape in (0.3, 0.8):
        found = [pareto_smoothed(rng.uniform(size=10_000) ** -shape)[1] for _ in range(30)]
        assert np.mean(found) == pytest.approx(shape, abs=0.05)


def test_equal_weights_stay_equal() -> None:
    weight, _ = pareto_smoothed(np.ones(1000))
    np.testing.assert_allclose(weight, 1e-3)


def test_a_sticky_chain_is_worth_fewer_draws() -> None:
    """An autoregression of coefficient 0.9 has an autocorrelation time of (1 + 0.9) / (1 - 0.9) = 19."""
    rng = np.random.default_rng(2)
    chain = np.empty((4000, 20))
    chain[0] = rng.standard_normal(20)
    for step in range(1, 4000):
        chain[step] = 0.9 * chain[step - 1] + np.sqrt(1.0 - 0.81) * rng.standard_normal(20)
    assert effective_size(chain) == pytest.approx(4000 * 20 / 19.0, rel=0.15)
