"""Fits against what Monolix, NONMEM and nlmixr print in posologyr's tests (doi 10.3390/pharmaceutics14020442).

The remaining rows of that table are in `validation/pk_reference.py`.
"""

import numpy as np
import pytest

from twin_core.domain.dosing import Level
from twin_core.domain.drugs import Dose, ErrorForm, ResidualError, Route, Structure
from twin_core.domain.errors import BadInput, UnknownName
from twin_core.inference.pk_fit import averaged, fit_pk, most_probable
from twin_core.inference.pk_population import Occasions, Population

PROPORTIONAL = ResidualError(form=ErrorForm.PROPORTIONAL, proportional_sd=float(np.sqrt(0.05)), source="test")
VANCOMYCIN = Population(
    structure=Structure.TWO_COMPARTMENT,
    typical={"CL_L_h": 4.5 * (34.0 / 120.0) ** 0.8, "V1_L": 58.4 * 62.0 / 70.0, "Q2_L_h": 6.5, "V2_L": 38.4},
    names=("CL_L_h", "V1_L", "V2_L"),
    omega=np.diag([0.147, 0.510, 0.282]),
    residual=ResidualError(form=ErrorForm.COMBINED1, additive_sd_mg_l=3.4, proportional_sd=0.227, source="test"),
)


def infusion(time_h: float, amount_mg: float, duration_h: float) -> Dose:
    return Dose(time_h=time_h, amount_mg=amount_mg, route=Route.IV_INFUSION, duration_h=duration_h)


def levels(*pairs: tuple[float, float]) -> tuple[Level, ...]:
    return tuple(Level(time_h=time_h, concentration_mg_l=value) for time_h, value in pairs)


VANCOMYCIN_DOSES = (infusion(0.0, 1900.0, 1.0), infusion(22.2, 1750.0, 1.0))
VANCOMYCIN_LEVELS = levels((12.0, 14.8), (37.5, 22.5))


def test_vancomycin_of_patient_02_is_what_monolix_prints() -> None:
    fit = most_probable(VANCOMYCIN, VANCOMYCIN_DOSES, VANCOMYCIN_LEVELS)
    assert fit.individual["CL_L_h"] == pytest.approx(1.72, abs=0.005)
    assert fit.individual["V1_L"] == pytest.approx(59.8, abs=0.05)
    assert fit.individual["V2_L"] == pytest.approx(41.6, abs=0.05)


def test_a_full_omega_is_used_as_nlmixr_uses_it() -> None:
    amikacin = Population(
        structure=Structure.TWO_COMPARTMENT,
        typical={
            "CL_L_h": 4.3 * (50.0 / 82.0) ** 0.7,
            "V1_L": 15.9 * (62.0 / 78.0) ** 0.9,
            "V2_L": 21.4,
            "Q2_L_h": 12.1,
        },
        names=("CL_L_h", "V1_L", "V2_L", "Q2_L_h"),
        omega=np.array(
            [[0.1, 0.01, 0.01, -0.06], [0.01, 0.05, 0.02, 0.004], [0.01, 0.02, 0.2, 0.003], [-0.06, 0.004, 0.003, 0.08]]
        ),
        residual=ResidualError(form=ErrorForm.COMBINED2, additive_sd_mg_l=0.2, proportional_sd=0.1, source="test"),
    )
    fit = most_probable(amikacin, (infusion(0.0, 1600.0, 0.5),), levels((1.0, 75.0), (6.0, 32.0)))
    printed = {"CL_L_h": 2.62, "V1_L": 11.01, "V2_L": 14.57, "Q2_L_h": 11.96}
    for name, value in printed.items():
        assert fit.individual[name] == pytest.approx(value, abs=0.005)


def test_clearance_differs_between_occasions_as_monolix_prints() -> None:
    piperacillin = Population(
        structure=Structure.TWO_COMPARTMENT,
        typical={"CL_L_h": 17.1 * 92.0 / 70.0, "V1_L": 7.2, "V2_L": 17.8, "Q2_L_h": 52.0},
        names=("CL_L_h", "V1_L", "V2_L", "Q2_L_h"),
        omega=np.diag([0.08507985, 0.0673745, 0.429067, 0.2247455]),
        residual=ResidualError(form=ErrorForm.COMBINED1, additive_sd_mg_l=3.2, proportional_sd=0.253, source="test"),
        occasions=Occasions(names=("CL_L_h", "V1_L"), pi=np.diag([0.1934626, 0.05783106]), starts_h=(48.0, 72.0, 96.0)),
    )
    doses = tuple(infusion(8.0 * each + 0.07, 4000.0, 8.0) for each in range(15))
    fit = most_probable(piperacillin, doses, levels((47.9, 63.0), (71.9, 19.7), (95.9, 31.0), (120.0, 16.0)))
    found = [period["CL_L_h"][0] for period in piperacillin.periods(fit.eta[None])]
    np.testing.assert_allclose(found, [10.58, 24.0, 18.4, 26.3], atol=0.05)
    assert piperacillin.deviation_names[4:8] == ("CL_L_h@1", "V1_L@1", "CL_L_h@2", "V1_L@2")


def test_a_lag_longer_than_the_first_sample_is_no_obstacle() -> None:
    oral = Population(
        structure=Structure.ONE_COMPARTMENT,
        typical={"CL_L_h": 4.0, "V1_L": 70.0, "k_a_h": 1.0, "lag_h": 1.0},
        names=("CL_L_h", "V1_L", "k_a_h", "lag_h"),
        omega=0.2 * np.eye(4),
        residual=PROPORTIONAL,
    )
    dose = Dose(time_h=0.0, amount_mg=10_000.0, route=Route.ORAL)
    fit = most_probable(oral, (dose,), levels((1.5, 67.4275), (4.4, 115.449), (7.1, 83.7768), (24.6, 21.8323)))
    np.testing.assert_allclose(fit.eta, [0.396185952, 0.0370173441, 0.0825083501, -0.0967599813], atol=1e-6)


def test_a_changed_covariate_counts_from_its_time_on() -> None:
    before = {"CL_L_h": 4.0, "V1_L": 70.0}
    population = Population(
        structure=Structure.ONE_COMPARTMENT,
        typical=before,
        names=("CL_L_h", "V1_L"),
        omega=1e-6 * np.eye(2),
        residual=PROPORTIONAL,
        later=((10.0, {"CL_L_h": 8.0, "V1_L": 70.0}),),
    )
    bolus = Dose(time_h=0.0, amount_mg=700.0, route=Route.IV_BOLUS)
    fit = most_probable(population, (bolus,), levels((10.0, 5.6), (20.0, 1.8)))
    expected = 10.0 * np.exp([-4.0 / 7.0, -4.0 / 7.0 - 8.0 / 7.0])
    np.testing.assert_allclose(fit.predicted_mg_l, expected, rtol=1e-4)
    assert fit.individual["CL_L_h"] == pytest.approx(8.0, rel=1e-3)


def test_the_model_that_explains_the_levels_weighs_more() -> None:
    wrong = Population(**{**vars_of(VANCOMYCIN), "typical": {**VANCOMYCIN.typical, "CL_L_h": 15.0}})
    rng = np.random.default_rng(1)
    fits = [fit_pk(each, VANCOMYCIN_DOSES, VANCOMYCIN_LEVELS, rng) for each in (VANCOMYCIN, wrong)]
    mixture = averaged(fits, rng)
    assert mixture.weights.sum() == pytest.approx(1.0)
    assert mixture.weights[0] / mixture.weights[1] == pytest.approx(np.exp(0.5 * (fits[1].phi - fits[0].phi)))
    assert mixture.weights[0] > 0.9
    assert sum(len(part.draws) for part in mixture.parts) == len(fits[0].draws)


def test_models_without_levels_weigh_the_same() -> None:
    rng = np.random.default_rng(1)
    prior = fit_pk(VANCOMYCIN, VANCOMYCIN_DOSES, (), rng)
    np.testing.assert_array_equal(averaged([prior, prior], rng).weights, [0.5, 0.5])


def test_a_level_in_another_unit_is_pointed_out_and_others_are_not() -> None:
    swapped = most_probable(VANCOMYCIN, VANCOMYCIN_DOSES, levels((12.0, 14_800.0)))
    assert any("ng/mL or ug/L" in note for note in swapped.notes)
    tiny = most_probable(VANCOMYCIN, VANCOMYCIN_DOSES, levels((12.0, 0.0148)))
    assert any("g/L or mg/mL" in note for note in tiny.notes)
    assert most_probable(VANCOMYCIN, VANCOMYCIN_DOSES, VANCOMYCIN_LEVELS).notes == ()


def test_impossible_occasions_are_refused() -> None:
    with pytest.raises(BadInput, match="one after the other"):
        Occasions(names=("CL_L_h",), pi=np.eye(1), starts_h=(48.0, 48.0))
    with pytest.raises(UnknownName, match="k_a_h"):
        Population(**{**vars_of(VANCOMYCIN), "occasions": Occasions(names=("k_a_h",), pi=np.eye(1), starts_h=(9.0,))})


def vars_of(population: Population) -> dict[str, object]:
    return {name: getattr(population, name) for name in ("structure", "typical", "names", "omega", "residual")}
