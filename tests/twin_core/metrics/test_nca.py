import numpy as np
import pytest

from twin_core.domain.errors import BadInput, OutOfRange
from twin_core.metrics.nca import Nca, NcaMethod, NcaRoute, nca

# Theoph, subject 1: Boeckmann, Sheiner, Beal 1994, as in R's data set; the dose is that of the reference run.
TIMES_H = (0.0, 0.25, 0.57, 1.12, 2.02, 3.82, 5.1, 7.03, 9.05, 12.12, 24.37)
LEVELS_MG_L = (0.74, 2.84, 6.57, 10.5, 9.66, 8.58, 8.36, 7.47, 6.89, 5.94, 3.28)
DOSE_MG = 320.0

# What Phoenix WinNonlin prints for it, linear trapezoids (as quoted by NonCompart's tests).
WINNONLIN_LINEAR = {
    "lambda_z_1_h": 0.048456997,
    "half_life_h": 14.30437757,
    "c_max_mg_l": 10.5,
    "t_max_h": 1.12,
    "c_last_mg_l": 3.28,
    "t_last_h": 24.37,
    "auc_last_mg_h_l": 148.92305,
    "auc_inf_mg_h_l": 216.611933,
    "auc_extrapolated_percent": 31.24891694,
    "aumc_last_mg_h2_l": 1459.071104,
    "aumc_inf_mg_h2_l": 4505.534819,
    "mrt_h": 20.80003053,
    "cl_over_f_l_h": 1.477296267,
    "vz_over_f_l": 30.48674823,
}


def theoph(method: NcaMethod = NcaMethod.LINEAR) -> Nca:
    return nca(TIMES_H, LEVELS_MG_L, dose_mg=DOSE_MG, method=method)


@pytest.mark.parametrize("name", WINNONLIN_LINEAR)
def test_theoph_subject_1_is_what_winnonlin_prints(name: str) -> None:
    assert getattr(theoph(), name) == pytest.approx(WINNONLIN_LINEAR[name], rel=2e-9)


def test_log_down_areas_are_exact_for_an_exponential() -> None:
    times = np.linspace(0.0, 24.0, 13)
    found = nca(
        times,
        8.0 * np.exp(-0.15 * times),
        dose_mg=100.0,
        route=NcaRoute.IV_BOLUS,
        method=NcaMethod.LINEAR_UP_LOG_DOWN,
    )
    assert found.auc_inf_mg_h_l == pytest.approx(8.0 / 0.15, rel=1e-12)
    assert found.mrt_h == pytest.approx(1.0 / 0.15, rel=1e-12)
    assert found.lambda_z_1_h == pytest.approx(0.15, rel=1e-12)
    assert found.cl_over_f_l_h == pytest.approx(100.0 * 0.15 / 8.0, rel=1e-12)


def test_a_bolus_without_a_sample_at_0_is_read_back_and_an_infusion_begins_at_0() -> None:
    times = np.array([0.5, 1.0, 2.0, 4.0, 8.0])
    levels = 8.0 * np.exp(-0.15 * times)
    bolus = nca(times, levels, dose_mg=1.0, route=NcaRoute.IV_BOLUS, method=NcaMethod.LINEAR_UP_LOG_DOWN)
    assert bolus.c_max_mg_l == pytest.approx(8.0)
    infusion = nca(times, levels, dose_mg=1.0, route=NcaRoute.IV_INFUSION, duration_h=0.5)
    assert infusion.t_max_h == 0.5
    extravascular = nca(times, levels, dose_mg=1.0)
    assert infusion.auc_inf_mg_h_l == pytest.approx(extravascular.auc_inf_mg_h_l)
    assert extravascular.mrt_h - infusion.mrt_h == pytest.approx(0.25)


def test_without_a_terminal_slope_what_needs_it_is_missing_and_the_rest_is_there() -> None:
    rising = nca([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0], dose_mg=10.0)
    assert rising.auc_last_mg_h_l == pytest.approx(4.5)
    assert rising.c_max_mg_l == 3.0
    assert np.isnan([rising.lambda_z_1_h, rising.half_life_h, rising.auc_inf_mg_h_l, rising.cl_over_f_l_h]).all()


def test_concentrations_of_0_after_the_last_positive_one_do_not_count() -> None:
    with_zeros = nca((*TIMES_H, 36.0, 48.0), (*LEVELS_MG_L, 0.0, 0.0), dose_mg=DOSE_MG)
    assert with_zeros == theoph()


def test_bad_samples_are_refused_with_what_was_wrong() -> None:
    with pytest.raises(BadInput, match="increase"):
        nca([0.0, 1.0, 1.0], [1.0, 2.0, 3.0], dose_mg=1.0)
    with pytest.raises(BadInput, match="one concentration"):
        nca([0.0, 1.0], [1.0], dose_mg=1.0)
    with pytest.raises(OutOfRange, match="Time after the dose is -1"):
        nca([-1.0, 1.0, 2.0], [1.0, 2.0, 3.0], dose_mg=1.0)
    with pytest.raises(OutOfRange, match="Concentration is -3"):
        nca([0.0, 1.0, 2.0], [1.0, 2.0, -3.0], dose_mg=1.0)
    with pytest.raises(OutOfRange, match="Dose"):
        nca([0.0, 1.0, 2.0], [1.0, 2.0, 3.0], dose_mg=0.0)
    with pytest.raises(BadInput, match="nothing to analyse"):
        nca([0.0, 1.0, 2.0], [0.0, 0.0, 0.0], dose_mg=1.0)
    with pytest.raises(OutOfRange, match="infusion"):
        nca([0.0, 1.0, 2.0], [1.0, 2.0, 1.0], dose_mg=1.0, route=NcaRoute.IV_INFUSION)
