"""Nonlinear models, where the answer is known: the linear limit, Lambert's function, and mass balance."""

import numpy as np
import pytest
from scipy.special import lambertw

from twin_core.domain.drugs import Dose, Route, Structure
from twin_core.domain.errors import BadInput, SimulationFailed
from twin_core.models.catalog import DRUGS
from twin_core.models.pk.compartments import concentration
from twin_core.models.pk.drugs.warfarin import inr
from twin_core.models.pk.nonlinear import Turnover, integrate, michaelis_menten, to_tolerance, turnover

Q12H = Dose(time_h=0.0, amount_mg=1000.0, route=Route.IV_INFUSION, duration_h=1.0, interval_h=12.0, additional=4)
TIMES = np.linspace(0.0, 60.0, 241)


def linear_by_steps(longest_step_h: float) -> np.ndarray:
    CL, V1, Q, V2 = 4.5, 58.4, 6.5, 38.4

    def slope(_t: float, state: np.ndarray, inflow: np.ndarray | float) -> np.ndarray:
        central, outer = state
        exchanged = Q / V1 * central - Q / V2 * outer
        return np.stack([inflow - CL / V1 * central - exchanged, exchanged])

    states = integrate(
        slope, np.zeros((2, 1)), [Q12H], TIMES, absorbed_into=0, injected_into=0, longest_step_h=longest_step_h
    )
    return np.asarray(states[:, :, 0] / V1)


def test_an_hours_infusion_every_12_h_agrees_with_the_exact_curve_to_1e_8() -> None:
    p = {"CL_L_h": 4.5, "V1_L": 58.4, "Q2_L_h": 6.5, "V2_L": 38.4}
    exact = concentration(Structure.TWO_COMPARTMENT, p, [Q12H], TIMES)
    stepped = to_tolerance(linear_by_steps, relative=1e-10)
    np.testing.assert_allclose(stepped, exact, rtol=1e-8)


def test_no_infusion_is_stepped_over_however_long_the_step() -> None:
    coarse = linear_by_steps(1e3)
    p = {"CL_L_h": 4.5, "V1_L": 58.4, "Q2_L_h": 6.5, "V2_L": 38.4}
    exact = concentration(Structure.TWO_COMPARTMENT, p, [Q12H], TIMES)
    np.testing.assert_allclose(coarse, exact, rtol=1e-4)


def test_the_order_of_the_method_is_four() -> None:
    far = np.array([0.0, 20.0])

    def run(longest_step_h: float) -> np.ndarray:
        def slope(_t: float, state: np.ndarray, _inflow: np.ndarray | float) -> np.ndarray:
            return -0.3 * state

        bolus = [Dose(time_h=0.0, amount_mg=1.0, route=Route.IV_BOLUS)]
        return integrate(
            slope, np.zeros((1, 1)), bolus, far, absorbed_into=0, injected_into=0, longest_step_h=longest_step_h
        )[0, 1]

    errors = [abs(float(run(step)[0]) - np.exp(-6.0)) for step in (1.0, 0.5)]
    assert errors[0] / errors[1] == pytest.approx(16.0, rel=0.15)


def test_saturable_elimination_follows_lambert_w() -> None:
    # Schnell and Mendoza 1997 (10.1006/jtbi.1997.0425): C = Km W(C0 / Km exp((C0 - Vmax t / V) / Km)).
    p = {"V_max_mg_h": np.array([20.0, 60.0]), "K_m_mg_l": 4.0, "V1_L": 40.0}
    bolus = [Dose(time_h=0.0, amount_mg=600.0, route=Route.IV_BOLUS)]
    times = np.linspace(0.0, 30.0, 61)
    start = 600.0 / 40.0
    got = michaelis_menten(p, bolus, times)
    for person, V_max in enumerate((20.0, 60.0)):
        expected = 4.0 * lambertw(start / 4.0 * np.exp((start - V_max * times / 40.0) / 4.0)).real
        np.testing.assert_allclose(got[person], expected, rtol=1e-6, atol=1e-9)


def test_far_below_saturation_elimination_is_linear() -> None:
    p = {"V_max_mg_h": 4e6, "K_m_mg_l": 1e6, "V1_L": 40.0, "k_a_h": 1.3, "F": 0.6}
    oral = [Dose(time_h=1.0, amount_mg=100.0, route=Route.ORAL, interval_h=8.0, additional=2)]
    linear = {"CL_L_h": 4.0, "V1_L": 40.0, "k_a_h": 1.3, "F": 0.6}
    times = np.linspace(0.0, 30.0, 61)
    expected = concentration(Structure.ONE_COMPARTMENT, linear, oral, times)
    np.testing.assert_allclose(michaelis_menten(p, oral, times), expected, rtol=1e-5)


def test_a_reset_starts_again_from_the_state_at_the_beginning() -> None:
    p = {"V_max_mg_h": 20.0, "K_m_mg_l": 4.0, "V1_L": 40.0}
    first = Dose(time_h=0.0, amount_mg=600.0, route=Route.IV_BOLUS)
    again = Dose(time_h=10.0, amount_mg=600.0, route=Route.IV_BOLUS, reset=True)
    got = michaelis_menten(p, [first, again], [0.0, 5.0, 10.0, 15.0])[0]
    np.testing.assert_allclose(got[2:], got[:2], rtol=1e-12)


def test_a_steady_state_and_a_stiff_system_are_refused() -> None:
    p = {"V_max_mg_h": 20.0, "K_m_mg_l": 4.0, "V1_L": 40.0}
    ever = Dose(time_h=0.0, amount_mg=600.0, route=Route.IV_BOLUS, interval_h=24.0, steady_state=True)
    with pytest.raises(BadInput, match="one by one"):
        michaelis_menten(p, [ever], [1.0])
    with pytest.raises(SimulationFailed, match="too long"):
        to_tolerance(lambda step: np.array([step**0.01]), relative=1e-12)


def test_the_inr_is_the_same_with_steps_of_a_tenth() -> None:
    drug = next(drug for drug in DRUGS if drug.name == "warfarin")
    covariates = drug.covariates_with({})
    assert drug.effect is not None
    given = (drug.individual(covariates), drug.effect.individual(covariates), drug.regimens[0].doses)
    times = np.linspace(0.0, 672.0, 29)
    np.testing.assert_allclose(inr(*given, times), inr(*given, times, longest_step_h=0.1), atol=1e-5)


def test_the_inr_settles_where_the_effect_averages() -> None:
    # At rest both chains equal 1 - E; a constant infusion gives the constant C = rate / CL.
    effect = {"EC50_mg_l": 2.28, "INR_base": 1.13}
    infusion = [Dose(time_h=0.0, amount_mg=3.0 / 24.0 * 2000.0, route=Route.IV_INFUSION, duration_h=2000.0)]
    got = inr({"CL_L_h": 0.348, "V1_L": 14.3}, effect, infusion, [1999.0])[0, 0]
    level = 3.0 / 24.0 / 0.348
    share = level**1.39 / (2.28**1.39 + level**1.39)
    assert got == pytest.approx(1.13 + 20.0 * share, rel=1e-6)


@pytest.mark.parametrize("kind", list(Turnover))
def test_a_response_settles_where_making_and_loss_balance_and_returns(kind: Turnover) -> None:
    # Dayneka 1993 (10.1007/BF01061691), models I to IV: R0 (1 - E), R0 / (1 - E), R0 (1 + E), R0 / (1 + E).
    p = {"CL_L_h": 4.0, "V1_L": 40.0, "R_0": 30.0, "k_out_h": 0.4, "E_max": 0.8, "C_50_mg_l": 2.0}
    infusion = [Dose(time_h=0.0, amount_mg=1600.0, route=Route.IV_INFUSION, duration_h=200.0)]
    got = turnover(p, infusion, [0.0, 200.0, 600.0], kind)[0]
    effect = 0.8 * 2.0 / (2.0 + 2.0)
    settled = {
        Turnover.INHIBITS_MAKING: 30.0 * (1.0 - effect),
        Turnover.INHIBITS_LOSS: 30.0 / (1.0 - effect),
        Turnover.STIMULATES_MAKING: 30.0 * (1.0 + effect),
        Turnover.STIMULATES_LOSS: 30.0 / (1.0 + effect),
    }
    np.testing.assert_allclose(got, [30.0, settled[kind], 30.0], rtol=1e-6)


def test_more_than_all_cannot_be_inhibited() -> None:
    p = {"CL_L_h": 4.0, "V1_L": 40.0, "R_0": 30.0, "k_out_h": 0.4, "E_max": 1.2, "C_50_mg_l": 2.0}
    with pytest.raises(BadInput, match="at most 1"):
        turnover(p, [Q12H], [1.0], Turnover.INHIBITS_LOSS)
