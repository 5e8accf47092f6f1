import numpy as np
import pytest

from twin_core.domain.drugs import Dose, Exposure, Route, Structure
from twin_core.domain.errors import BadInput, OutOfRange, UnknownName
from twin_core.models.catalog import DRUGS
from twin_core.services.dosing import BAND_LABEL, POPULATION_PERCENTILES, Dosing
from twin_core.services.personal_dosing import Person, fitted

DOSING = Dosing(DRUGS)
VANCOMYCIN = DOSING.drug("vancomycin")
REGIMEN = (
    Dose(
        time_h=0.0,
        amount_mg=1000.0,
        route=Route.IV_INFUSION,
        duration_h=1.0,
        interval_h=12.0,
        additional=1,
        steady_state=True,
    ),
)
TIMES = np.linspace(0.0, 24.0, 97)


def test_an_unknown_drug_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=r"caffeine.*metformin.*vancomycin"):
        DOSING.drug("aspirin")


def test_all_models_of_a_substance_are_found() -> None:
    names = [drug.name for drug in DOSING.models_of("vancomycin")]
    assert names[0] == "vancomycin"
    assert len(names) == 2
    with pytest.raises(UnknownName, match="vancomycin"):
        DOSING.models_of("aspirin")


def test_people_vary_together_where_the_study_says_so() -> None:
    """Gentamicin: covariance 0.0372 of the logarithms of CL and V1 (Hodiamont 2017, 10.1097/FTD.0000000000000432)."""
    gentamicin = DOSING.drug("gentamicin")
    person = Person(covariates={}, doses=gentamicin.regimens[0].doses)
    draws = fitted(gentamicin, person, n_draws=20_000).draws
    assert np.cov(draws[:, 0], draws[:, 1])[0, 1] == pytest.approx(0.0372, rel=0.15)


def test_the_typical_auc24_at_steady_state_is_the_daily_dose_over_clearance() -> None:
    at_reference = {"creatinine_clearance_ml_min": 120.0, "body_weight_kg": 70.0}
    curves = DOSING.predict(VANCOMYCIN, at_reference, REGIMEN, TIMES, n=100)
    assert curves.exposures[Exposure.AUC24].typical == pytest.approx(2000.0 / 4.5, rel=1e-12)
    assert curves.typical_parameters["CL_L_h"] == 4.5  # Goti 2018 table 2


def test_percentiles_are_those_of_the_lognormal_population() -> None:
    # CL is log-normal with variance 0.147: at steady state so is AUC24, with percentiles exp(+-1.645 * 0.383).
    curves = DOSING.predict(VANCOMYCIN, {}, REGIMEN, TIMES, n=20_000, seed=5)
    auc = curves.exposures[Exposure.AUC24]
    assert auc.p50 == pytest.approx(auc.typical, rel=0.02)
    assert auc.p95 / auc.typical == pytest.approx(np.exp(1.6449 * np.sqrt(0.147)), rel=0.03)
    assert auc.typical / auc.p05 == pytest.approx(np.exp(1.6449 * np.sqrt(0.147)), rel=0.03)


def test_bands_are_ordered_reproducible_and_say_what_they_are() -> None:
    curves = DOSING.predict(VANCOMYCIN, {}, REGIMEN, TIMES, seed=3)
    again = DOSING.predict(VANCOMYCIN, {}, REGIMEN, TIMES, seed=3)
    assert curves.percentiles_mg_l.shape == (len(POPULATION_PERCENTILES), TIMES.size)
    assert np.all(np.diff(curves.percentiles_mg_l, axis=0) > 0.0)
    np.testing.assert_array_equal(curves.percentiles_mg_l, again.percentiles_mg_l)
    assert curves.band_label == BAND_LABEL == "variability between people"


def test_the_share_in_target_is_that_of_the_lognormal_auc() -> None:
    # P(400 <= 2000 / CL <= 600) with CL log-normal about 4.5: ln(600 / 444.4) and ln(400 / 444.4) over 0.3834 are
    # 0.7827 and -0.2748; the normal distribution function gives 0.7831 - 0.3917 = 39.1 %.
    at_reference = {"creatinine_clearance_ml_min": 120.0, "body_weight_kg": 70.0}
    curves = DOSING.predict(VANCOMYCIN, at_reference, REGIMEN, TIMES, n=20_000, seed=1)
    assert curves.in_target_percent == pytest.approx(39.1, abs=1.5)


def test_a_drug_without_a_target_has_no_share_in_it() -> None:
    caffeine = DOSING.drug("caffeine")
    assert DOSING.predict(caffeine, {}, caffeine.regimens[0].doses, TIMES, n=50).in_target_percent is None


def test_peak_and_trough_of_a_single_oral_dose_match_its_closed_form() -> None:
    # One compartment: t_max = ln(k_a / k) / (k_a - k); Csajka 2005 table 3 gives k_a 3.84 and k 4.98 / 38.6 per h.
    caffeine = DOSING.drug("caffeine")
    k_a, k = 3.84, 4.98 / 38.6
    t_max = np.log(k_a / k) / (k_a - k)

    def level(t: float) -> float:
        return float(200.0 * k_a / (38.6 * (k_a - k)) * (np.exp(-k * t) - np.exp(-k_a * t)))

    exposures = DOSING.predict(caffeine, {}, caffeine.regimens[0].doses, TIMES, n=50).exposures
    assert exposures[Exposure.PEAK].typical == pytest.approx(level(t_max), rel=1e-3)
    assert exposures[Exposure.TROUGH].typical == pytest.approx(level(24.0), rel=1e-12)


def test_the_peak_of_an_infusion_is_at_its_end() -> None:
    curves = DOSING.predict(VANCOMYCIN, {}, REGIMEN, np.array([13.0]), n=50)
    assert curves.exposures[Exposure.PEAK].typical == curves.typical_mg_l[0]


@pytest.mark.parametrize(
    ("covariates", "regimen", "message"),
    [
        ({"body_weight_kg": 500.0}, REGIMEN, "body_weight_kg is 500 kg; allowed is 33 to 255 kg"),
        ({"hemodialysis": 0.5}, REGIMEN, r"hemodialysis is 0.5; allowed is 0 \(no\) or 1 \(yes\)"),
        ({}, (Dose(time_h=0.0, amount_mg=9000.0, route=Route.IV_BOLUS),), "allowed is 0 to 5000 mg"),
        ({}, (Dose(time_h=0.0, amount_mg=900.0, route=Route.ORAL),), "allows iv_infusion, iv_bolus"),
        ({}, (), "at least one dose"),
    ],
)
def test_what_the_drug_does_not_allow_is_refused(
    covariates: dict[str, float], regimen: tuple[Dose, ...], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        DOSING.predict(VANCOMYCIN, covariates, regimen, TIMES)


def test_too_many_people_are_refused() -> None:
    with pytest.raises(OutOfRange, match="20000 people"):
        DOSING.predict(VANCOMYCIN, {}, REGIMEN, TIMES, n=10_000_000)


def test_a_patient_of_the_monolix_check_gets_the_same_curve_from_drug_and_parameters() -> None:
    # posologyr test_map_mlx.R, patient 02: 62 kg, CrCl 34 mL/min, not on dialysis.
    covariates = {"creatinine_clearance_ml_min": 34.0, "body_weight_kg": 62.0}
    levels, parameters = DOSING.simulate_drug("vancomycin", covariates, REGIMEN, TIMES)
    assert parameters["CL_L_h"] == pytest.approx(4.5 * (34.0 / 120.0) ** 0.8)
    np.testing.assert_array_equal(levels, DOSING.simulate(Structure.TWO_COMPARTMENT, parameters, REGIMEN, TIMES))
