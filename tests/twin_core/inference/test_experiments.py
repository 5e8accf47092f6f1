"""Which small experiment would tell: expected information, and words that keep people safe."""

from dataclasses import replace

import numpy as np
import pytest

from twin_core.domain.history import BasalRate, Bolus, History, Meal, Therapy
from twin_core.inference.error_model import ErrorModel, Whitening
from twin_core.inference.experiments import Experiment, Known, experiments_of, sentences
from twin_core.inference.map_fit import Problem, posterior_of, problem_of
from twin_core.inference.structures import structure_named
from twin_core.models.glucose.dalla_man_2014 import MODEL
from twin_core.solve.compiled import kernel_of

UVA = structure_named("uva_padova_t1d")
DAY = Therapy(
    meals=tuple(Meal(time_min=t, carbs_g=g) for t, g in ((180.0, 45.0), (480.0, 70.0), (840.0, 80.0))),
    boluses=tuple(Bolus(time_min=t, dose_u=g / 9.0) for t, g in ((180.0, 45.0), (480.0, 70.0), (840.0, 80.0))),
    basal=(BasalRate(time_min=-600.0, rate_u_h=1.1),),
)
N = len(UVA.prior.names)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    kernel_of(MODEL).warm_up()


def known(covariance_factor: float = 1.0) -> Known:
    return Known(
        structure=UVA,
        z=np.zeros(N),
        covariance=covariance_factor * np.eye(N),
        error=ErrorModel(sd_mg_dl=10.0),
        body_weight_kg=80.0,
        basal_u_h=1.1,
    )


def test_every_experiment_narrows_and_none_beyond_all_there_is() -> None:
    experiments = experiments_of(known(), DAY, 0.0)
    assert len(experiments) == 7
    assert all(0.0 < one.narrowing < 1.0 for one in experiments)
    assert experiments[0].what == "another usual day"
    others = [one.narrowing for one in experiments[1:]]
    assert others == sorted(others, reverse=True)


def test_weighed_food_tells_more_than_counted_food() -> None:
    usual, *others = experiments_of(known(), DAY, 0.0)
    weighed = next(one for one in others if "weighed" in one.what)
    assert weighed.narrowing > usual.narrowing
    assert not weighed.changes_insulin


def test_who_is_known_already_learns_little() -> None:
    before, after = (experiments_of(known(factor), DAY, 0.0)[0].narrowing for factor in (1.0, 1e-4))
    assert after < 0.02
    assert before > 10.0 * after


def test_the_expected_narrowing_is_what_a_second_day_then_brings() -> None:
    """Expected before, and had after, fitting a second usual day of the prior's mean person: the same information."""
    two_days = Therapy(
        meals=(*DAY.meals, *(replace(m, time_min=m.time_min + 1440.0) for m in DAY.meals)),
        boluses=(*DAY.boluses, *(replace(b, time_min=b.time_min + 1440.0) for b in DAY.boluses)),
        basal=(*DAY.basal, BasalRate(time_min=1000.0, rate_u_h=1.1)),
    )
    expected = experiments_of(known(), DAY, 0.0)[0].narrowing
    assert expected == pytest.approx(_had(two_days), abs=0.05)


def _had(therapy: Therapy) -> float:
    """The narrowing of one answer by the day that ends at 1440, from the prior, by the fit's own Jacobian."""
    problem = _problem(therapy, 1440.0)
    z = np.zeros(N + problem.days[0].n_local)
    W = Whitening.of(ErrorModel(sd_mg_dl=10.0), problem.gaps_min)(problem.jacobian(z))
    covariance = np.linalg.inv(W.T @ W + np.eye(len(z)))[:N, :N]
    gradients = _gradients()
    after, before = (np.sqrt(np.einsum("ij,jk,ik->i", gradients, C, gradients)) for C in (covariance, np.eye(N)))
    return float(np.mean(1.0 - after / before))


def _gradients() -> np.ndarray:
    from twin_core.inference.experiments import _answers

    return _answers(known(), DAY, 0.0)


def _problem(therapy: Therapy, until_min: float) -> Problem:
    times = np.arange(0.0, until_min, 5.0)
    history = History(cgm_time_min=times, cgm_mg_dl=np.full(len(times), 140.0), therapy=therapy, utc_offset_min=240.0)
    problem = problem_of(history, now_min=until_min, days=until_min / 1440.0, body_weight_kg=80.0, structure=UVA)
    assert isinstance(problem, Problem)
    return problem


def test_words_send_to_the_clinician_where_insulin_changes_and_never_tell_to_leave_it_out() -> None:
    usual = Experiment(what="another usual day", narrowing=0.1, changes_insulin=False)
    less = Experiment(what="a day on which the bolus is smaller", narrowing=0.3, changes_insulin=True)
    weighed = Experiment(what="a day on which all food is weighed", narrowing=0.2, changes_insulin=False)
    first, second = sentences((usual, less, weighed))
    assert "30 %" in first
    assert "clinician" in first
    assert "keep basal insulin" in first
    assert "weighed" in second
    assert "clinician" in second
    (nothing,) = sentences((usual, replace(less, narrowing=0.11)))
    assert nothing.startswith("No small experiment")
    for experiment in experiments_of(known(), DAY, 0.0):
        assert "skip" not in experiment.what
        assert "without insulin" not in experiment.what


def test_a_fit_says_an_experiment() -> None:
    problem = _problem(DAY, 1440.0)
    posterior = posterior_of(problem)
    told = sentences(
        experiments_of(replace(known(), z=posterior.z[:N], covariance=posterior.covariance[:N, :N]), DAY, 0.0)
    )
    assert 1 <= len(told) <= 2
    assert all(sentence.endswith(".") for sentence in told)
