"""Fits against what NONMEM prints (FOCE with interaction, ADVAN13) for four patients of mapbayr's examples.

One compartment with absorption, typical CL 4 L/h, V 70 L, k_a 1 1/h, variances 0.2, proportional error of variance
0.05 (Le Louedec 2021, doi 10.1002/psp4.12689).
"""

import numpy as np
import pytest

from twin_core.domain.dosing import Candidate, Level
from twin_core.domain.drugs import Dose, ErrorForm, Exposure, ResidualError, Route, Structure, TargetBand
from twin_core.domain.errors import BadInput, OutOfRange, UnknownName
from twin_core.inference.dose_search import exposure_at_steady_state, ranked
from twin_core.inference.pk_fit import PkFit, fit_pk
from twin_core.inference.pk_population import Population

POPULATION = Population(
    structure=Structure.ONE_COMPARTMENT,
    typical={"CL_L_h": 4.0, "V1_L": 70.0, "k_a_h": 1.0},
    names=("CL_L_h", "V1_L", "k_a_h"),
    omega=0.2 * np.eye(3),
    residual=ResidualError(
        form=ErrorForm.PROPORTIONAL, proportional_sd=float(np.sqrt(0.05)), source="the control file"
    ),
)
FIRST = Dose(time_h=0.0, amount_mg=10_000.0, route=Route.ORAL)
LATER = Dose(time_h=72.0, amount_mg=10_000.0, route=Route.ORAL, interval_h=24.0, additional=6)
LEVELS = {
    1: ((1.5, 91.2904), (4.4, 110.826), (7.1, 79.384), (24.6, 20.6671)),
    2: ((25.9, 45.1629),),
    3: ((215.0, 7.79911), (216.0, 6.7926), (221.0, 96.7771), (222.6, 72.8342)),
    4: ((237.1, 34.0987),),
}
NONMEM_ETA = {
    1: (0.405058386, 0.0728505976, -0.0749540941),
    2: (-0.145364976, 0.024058784, -0.00618814556),
    3: (0.767680982, -0.139206821, 0.0821537434),
    4: (0.270025131, -0.136257306, 0.0123831629),
}
NONMEM_COVARIANCE = {
    1: (0.0128120118, 0.00540868557, 0.0231664035, 0.000469547364, 0.0219133609, 0.125252672),
    2: (0.0315750683, 0.0278753447, 0.195386462, -0.00716980131, 0.00118664548, 0.199694784),
    3: (0.0170442794, 0.0220648483, 0.0333487274, -0.0197813154, -0.0154166577, 0.195511967),
    4: (0.0476201486, 0.0768923717, 0.161199353, -0.00698803391, 0.00352623064, 0.199679534),
}
NONMEM_OBJECTIVE = {1: 27.96776705123152, 2: 6.716415715171724, 3: 23.269101579198335, 4: 7.652302199952867}


def fitted(patient: int) -> PkFit:
    levels = [Level(time_h=time_h, concentration_mg_l=value) for time_h, value in LEVELS[patient]]
    return fit_pk(POPULATION, (FIRST, LATER), levels, np.random.default_rng(1))


@pytest.mark.parametrize("patient", LEVELS)
def test_eta_covariance_and_objective_are_those_that_nonmem_prints(patient: int) -> None:
    fit = fitted(patient)
    assert fit.converged
    np.testing.assert_allclose(fit.eta, NONMEM_ETA[patient], atol=1e-6)
    np.testing.assert_allclose(fit.covariance[np.tril_indices(3)], NONMEM_COVARIANCE[patient], atol=1e-6)
    assert fit.objective == pytest.approx(NONMEM_OBJECTIVE[patient], abs=1e-6)


def test_the_sampled_posterior_is_as_wide_as_an_exact_one_where_the_approximation_is_too_narrow() -> None:
    """SD of clearance's eta, patient 1: 0.157 by 400,000 importance draws, 0.159 by emcee, 0.113 by Laplace."""
    fit = fitted(1)
    assert fit.draws[:, 0].std() == pytest.approx(0.157, rel=0.05)
    assert np.sqrt(fit.covariance[0, 0]) == pytest.approx(0.113, rel=0.01)
    assert fit.ess > 1500.0


def test_without_levels_the_answer_is_the_prior_and_says_so() -> None:
    fit = fit_pk(POPULATION, (FIRST,), (), np.random.default_rng(1))
    assert fit.individual == {"CL_L_h": 4.0, "V1_L": 70.0, "k_a_h": 1.0}
    np.testing.assert_allclose(fit.draws.std(axis=0), np.sqrt(0.2), rtol=0.05)
    assert "no level yet" in fit.notes[0]


def test_a_level_below_quantification_pulls_down_but_not_to_zero() -> None:
    known = Level(time_h=4.0, concentration_mg_l=100.0)
    below = Level(time_h=30.0, concentration_mg_l=5.0, below_quantification=True)
    without = fit_pk(POPULATION, (FIRST,), (known,), np.random.default_rng(1))
    censored = fit_pk(POPULATION, (FIRST,), (known, below), np.random.default_rng(1))
    measured = fit_pk(
        POPULATION, (FIRST,), (known, Level(time_h=30.0, concentration_mg_l=0.5)), np.random.default_rng(1)
    )
    clearances = [fit.individual["CL_L_h"] for fit in (without, censored, measured)]
    assert clearances == sorted(clearances)
    assert clearances[1] > clearances[0] * 1.05
    assert censored.converged


def test_a_person_unlike_the_study_is_named() -> None:
    fit = fit_pk(
        POPULATION,
        (FIRST,),
        [Level(time_h=t, concentration_mg_l=400.0) for t in (20.0, 40.0, 60.0)],
        np.random.default_rng(1),
    )
    assert any("CL_L_h" in note for note in fit.notes)


def test_impossible_levels_are_refused_with_the_reason() -> None:
    rng = np.random.default_rng(1)
    with pytest.raises(BadInput, match="before the first dose at 0 h"):
        fit_pk(POPULATION, (FIRST,), (Level(time_h=-2.0, concentration_mg_l=3.0),), rng)
    with pytest.raises(OutOfRange, match="concentration_mg_l"):
        fit_pk(POPULATION, (FIRST,), (Level(time_h=2.0, concentration_mg_l=-3.0),), rng)
    with pytest.raises(BadInput, match="at least one dose"):
        fit_pk(POPULATION, (), (), rng)
    with pytest.raises(UnknownName, match="Q2_L_h"):
        Population(**{**vars_of(POPULATION), "names": ("Q2_L_h",), "omega": np.eye(1)})
    with pytest.raises(BadInput, match="positive definite"):
        Population(**{**vars_of(POPULATION), "omega": np.diag([0.2, 0.2, -0.1])})


def vars_of(population: Population) -> dict[str, object]:
    return {name: getattr(population, name) for name in ("structure", "typical", "names", "omega", "residual")}


def test_the_area_at_steady_state_is_dose_over_clearance() -> None:
    fit = fitted(1)
    regimen = Candidate(amount_mg=500.0, interval_h=12.0, route=Route.ORAL)
    area = exposure_at_steady_state(fit, regimen, Exposure.AUC24)
    np.testing.assert_allclose(area, 1000.0 / (4.0 * np.exp(fit.draws[:, 0])), rtol=1e-9)


def test_regimens_are_ranked_by_the_probability_to_meet_the_target() -> None:
    fit = fitted(1)
    target = TargetBand(exposure=Exposure.AUC24, low=400.0, high=600.0, source="test")
    doses = (500.0, 1000.0, 1500.0, 3000.0, 6000.0)
    found = ranked(fit, [Candidate(amount_mg=d, interval_h=12.0, route=Route.ORAL) for d in doses], target)
    shares = [each.in_target for each in found]
    assert shares == sorted(shares, reverse=True)
    best = found[0].candidate.amount_mg * 2.0 / fit.individual["CL_L_h"]
    assert 400.0 < best < 600.0
    for each in found:
        figures = each.figures()
        parts = [figures[f"probability_{name}"] for name in ("in_target", "below", "above")]
        assert sum(parts) == pytest.approx(1.0)


def test_more_drug_is_never_less_probable_to_be_too_much() -> None:
    fit = fitted(2)
    target = TargetBand(exposure=Exposure.TROUGH, low=10.0, high=20.0, source="test")
    risks = [
        ranked(fit, [Candidate(amount_mg=dose, interval_h=8.0, route=Route.ORAL)], target)[0].above
        for dose in (100.0, 500.0, 1000.0, 2000.0)
    ]
    assert risks == sorted(risks)
    assert risks[-1] > risks[0]
