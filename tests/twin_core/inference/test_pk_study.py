"""A population model fitted to a virtual study finds what the study was made of, and says what it does not know."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from twin_core.domain.dosing import Level
from twin_core.domain.drugs import Dose, ErrorForm, ResidualError, Route, Structure
from twin_core.domain.errors import BadInput
from twin_core.inference.pk_fit import most_probable
from twin_core.inference.pk_population import Population
from twin_core.inference.pk_study import StudyFit, Subject, check_study, fit_study, simulated_levels

TRUTH = Population(
    structure=Structure.ONE_COMPARTMENT,
    typical={"CL_L_h": 2.75, "V1_L": 31.8, "k_a_h": 1.59},
    names=("CL_L_h", "V1_L"),
    omega=np.diag([0.07, 0.02]),
    residual=ResidualError(
        form=ErrorForm.COMBINED1, additive_sd_mg_l=0.5, proportional_sd=0.0, source="nlmixr2's fit of Theoph, rounded"
    ),
)
DOSE = Dose(time_h=0.0, amount_mg=320.0, route=Route.ORAL)
TIMES_H = (0.5, 2.0, 5.0, 9.0, 24.0)


def study(n: int, seed: int) -> list[Subject]:
    blank = Subject(doses=(DOSE,), levels=tuple(Level(time_h=time, concentration_mg_l=0.0) for time in TIMES_H))
    levels = simulated_levels(TRUTH, [blank] * n, np.random.default_rng(seed), 1)[0].reshape(n, -1)
    return [
        replace(
            blank,
            levels=tuple(
                Level(time_h=time, concentration_mg_l=max(level, 0.0))
                for time, level in zip(TIMES_H, each, strict=True)
            ),
        )
        for each in levels
    ]


@cache
def fitted() -> StudyFit:
    start = replace(TRUTH, typical={**TRUTH.typical, "CL_L_h": 4.0, "V1_L": 25.0}, omega=np.diag([0.2, 0.2]))
    return fit_study(start, study(16, 3))


def test_a_fit_finds_the_population_that_a_study_was_drawn_from() -> None:
    fit = fitted()
    assert fit.converged
    for name in TRUTH.names:
        off = np.log(fit.typical[name].value / TRUTH.typical[name])
        assert abs(off) <= 3.0 * fit.typical[name].logarithm_se
        assert 0.2 * np.sqrt(TRUTH.omega.diagonal().min() / 16) < fit.typical[name].logarithm_se < 0.2
    assert fit.residual["additive_sd_mg_l"].value == pytest.approx(0.5, abs=0.12)
    assert fit.population.typical["k_a_h"] == TRUTH.typical["k_a_h"]


def test_the_objective_is_the_sum_of_each_persons_and_lowest_at_the_fit() -> None:
    fit = fitted()

    def objective(population: Population) -> float:
        return sum(most_probable(population, each.doses, each.levels).objective for each in fit.subjects)

    assert fit.objective == pytest.approx(objective(fit.population), abs=1e-6)
    for factor in (0.98, 1.02):
        typical = {**fit.population.typical, "CL_L_h": factor * fit.population.typical["CL_L_h"]}
        assert objective(replace(fit.population, typical=typical)) > fit.objective
        assert objective(replace(fit.population, omega=factor * fit.population.omega)) > fit.objective


def test_a_person_is_predicted_better_with_the_own_eta_than_as_the_typical_one() -> None:
    checks = check_study(fitted(), np.random.default_rng(1), n_simulations=100, n_bins=4)
    assert checks.individual_errors.mean_absolute_percent < checks.typical_errors.mean_absolute_percent
    assert checks.predictive.share_inside >= 0.5


def test_a_model_with_twice_the_clearance_fails_the_predictive_check() -> None:
    typical = {**TRUTH.typical, "CL_L_h": 2.0 * TRUTH.typical["CL_L_h"]}
    wrong = replace(fitted(), population=replace(TRUTH, typical=typical))
    right = check_study(fitted(), np.random.default_rng(1), n_simulations=100, n_bins=4)
    found = check_study(wrong, np.random.default_rng(1), n_simulations=100, n_bins=4)
    assert found.predictive.share_inside < right.predictive.share_inside


def test_three_people_are_too_few() -> None:
    with pytest.raises(BadInput, match="at least 4"):
        fit_study(TRUTH, study(3, 0))


def test_a_person_without_levels_is_refused() -> None:
    first, second, *others = study(4, 0)
    with pytest.raises(BadInput, match="Person 2 of the study has no level"):
        fit_study(TRUTH, [first, replace(second, levels=()), *others])


def test_covariances_are_refused() -> None:
    with pytest.raises(BadInput, match="diagonal omega"):
        fit_study(replace(TRUTH, omega=np.array([[0.07, 0.01], [0.01, 0.02]])), study(4, 0))
