"""Priors: where they stand and how their coordinates turn into the model's."""

import numpy as np
import pytest

from twin_core.domain.history import Therapy
from twin_core.inference.priors import population_prior
from twin_core.models.glucose.dalla_man_2014 import MODEL, Parameters
from twin_core.solve.rk4 import integrate_batch
from twin_core.solve.schedule import schedule_of


def test_the_prior_means_are_the_models_defaults() -> None:
    prior = population_prior()
    default = Parameters()
    p = prior.parameters(prior.theta(np.zeros(23)), body_weight_kg=default.BW, basal_u_h=default.basal_u_h)
    for name, value in default._asdict().items():
        expected = 0.4 * default.m2 if name == "m4" else value
        assert getattr(p, name) == pytest.approx(expected, rel=1e-12), name


def test_twenty_three_parameters_have_the_published_spread() -> None:
    """Log-SDs as in the reference, glucose.md 3.3."""
    prior = population_prior()
    sd = dict(zip(prior.names, prior.sd, strict=True))
    assert len(sd) == 23
    assert (sd["Vmx"], sd["kp3"], sd["kmax"], sd["Gb"], sd["VG"], sd["b"], sd["c"]) == (
        0.5,
        0.5,
        0.4,
        0.15,
        0.12,
        0.5,
        0.8,
    )


def test_moments_of_a_lognormal_match_the_closed_form() -> None:
    prior = population_prior()
    mean, sd = prior.moments(prior.centre, prior.sd)
    s, median = 0.5, Parameters().kp3
    i = prior.names.index("kp3")
    assert mean[i] == pytest.approx(median * np.exp(s**2 / 2.0), rel=1e-9)
    assert sd[i] == pytest.approx(mean[i] * np.sqrt(np.exp(s**2) - 1.0), rel=1e-6)


def test_people_drawn_from_the_prior_rest_at_their_basal_glucose() -> None:
    prior = population_prior()
    z = np.clip(np.random.default_rng(5).normal(size=(64, 23)), -3.5, 3.5)
    p = prior.parameters(prior.theta(z), body_weight_kg=75.0, basal_u_h=1.0)
    solution = integrate_batch(MODEL, p, schedule_of(Therapy(), start_min=0.0, end_min=240.0), every_min=240.0)
    np.testing.assert_allclose(solution.output("glucose_mg_dl")[:, -1], np.asarray(p.Gb), rtol=1e-9)
