import numpy as np
import pytest

from twin_core.domain.dosing import Candidate, Level
from twin_core.domain.drugs import Dose, Exposure, Route, TargetBand
from twin_core.domain.errors import BadInput, UnknownName
from twin_core.inference.pk_fit import PkFit
from twin_core.models.catalog import DRUGS
from twin_core.models.pk.piecewise import Carry
from twin_core.services.dosing import Dosing
from twin_core.services.personal_dosing import (
    PERCENTILES,
    Person,
    adjusted,
    candidates_for,
    fitted,
    fitted_with_all,
    next_sample,
    personal_curves,
    population_of,
    timing_checks,
    two_digits,
)

DOSING = Dosing(DRUGS)
VANCOMYCIN = DOSING.drug("vancomycin")
TARGET = TargetBand(exposure=Exposure.AUC24, low=400.0, high=600.0, source="test")
PERSON = Person(
    covariates={"creatinine_clearance_ml_min": 34.0, "body_weight_kg": 62.0},
    doses=(
        Dose(time_h=0.0, amount_mg=1900.0, route=Route.IV_INFUSION, duration_h=1.0),
        Dose(time_h=22.2, amount_mg=1750.0, route=Route.IV_INFUSION, duration_h=1.0),
    ),
    levels=(Level(time_h=12.0, concentration_mg_l=14.8), Level(time_h=37.5, concentration_mg_l=22.5)),
)
TIMES = np.linspace(0.0, 48.0, 97)


@pytest.fixture(scope="module")
def fit() -> PkFit:
    return fitted(VANCOMYCIN, PERSON)


def test_levels_narrow_the_band(fit: PkFit) -> None:
    prior = fitted(VANCOMYCIN, Person(covariates=PERSON.covariates, doses=PERSON.doses))
    before, after = personal_curves(prior, TIMES), personal_curves(fit, TIMES)
    assert after.percentiles_mg_l.shape == (len(PERCENTILES), len(TIMES))
    assert np.all(np.diff(after.percentiles_mg_l, axis=0) >= 0.0)
    width = [curves.percentiles_mg_l[-1, -1] - curves.percentiles_mg_l[0, -1] for curves in (before, after)]
    assert width[1] < 0.7 * width[0]


def test_the_most_probable_curve_goes_through_the_predicted_levels(fit: PkFit) -> None:
    curves = personal_curves(fit, [12.0, 37.5])
    np.testing.assert_allclose(curves.most_probable_mg_l, fit.predicted_mg_l, rtol=1e-12)


def test_an_adjusted_course_is_the_past_and_then_the_new_regimen(fit: PkFit) -> None:
    regimen = Candidate(amount_mg=500.0, interval_h=12.0, route=Route.IV_INFUSION, duration_h=1.0)
    doses = adjusted(PERSON.doses, regimen, 40.0, 64.0)
    assert [time_h for dose in doses for time_h in dose.times_h] == [0.0, 22.2, 40.0, 52.0]
    without, with_regimen = (personal_curves(fit, [39.9, 41.0], d).most_probable_mg_l for d in (PERSON.doses, doses))
    assert without[0] == with_regimen[0]
    assert with_regimen[1] > without[1] + 3.0


def test_every_drug_of_the_catalog_can_be_fitted_and_averaged() -> None:
    for drug in DRUGS:
        doses = drug.regimens[0].doses
        alone = personal_curves(fitted(drug, Person(covariates={}, doses=doses), n_draws=200), [6.0])
        level = Level(time_h=doses[0].time_h + 6.0, concentration_mg_l=1.3 * float(alone.most_probable_mg_l[0]))
        mixture = fitted_with_all((drug,), Person(covariates={}, doses=doses, levels=(level,)), n_draws=200)
        assert mixture.weights.tolist() == [1.0]
        assert mixture.fits[0].converged, drug.name


def test_both_models_of_vancomycin_make_one_band() -> None:
    mixture = fitted_with_all(DOSING.models_of("vancomycin"), PERSON)
    assert len(mixture.fits) == 2
    assert sum(len(part.draws) for part in mixture.parts) == 4000
    middle = personal_curves(mixture, [37.5]).percentiles_mg_l[2, 0]
    assert 15.0 < middle < 30.0


def test_a_covariate_that_no_model_knows_is_refused() -> None:
    with pytest.raises(UnknownName, match="height_cm"):
        fitted_with_all(DOSING.models_of("vancomycin"), Person(covariates={"height_cm": 170.0}, doses=PERSON.doses))


def test_a_covariate_carried_back_holds_since_the_one_before() -> None:
    later = ((10.0, {"creatinine_clearance_ml_min": 60.0}), (20.0, {"creatinine_clearance_ml_min": 120.0}))
    clearances = {}
    for carry in Carry:
        person = Person(
            covariates={"creatinine_clearance_ml_min": 30.0}, doses=PERSON.doses, later_covariates=later, carry=carry
        )
        population = population_of(VANCOMYCIN, person)
        clearances[carry] = [float(each["CL_L_h"][0]) for each in population.periods(np.zeros((1, 3)))]
        assert population.changes_h == ((10.0, 20.0) if carry is Carry.FORWARD else (0.0, 10.0))
    expected = [4.5 * (clearance / 120.0) ** 0.8 for clearance in (30.0, 60.0, 120.0)]
    np.testing.assert_allclose(clearances[Carry.FORWARD], expected)
    np.testing.assert_allclose(clearances[Carry.BACKWARD], expected)


def test_covariates_before_the_first_dose_are_the_first_ones() -> None:
    early = Person(covariates={}, doses=PERSON.doses, later_covariates=((0.0, {"body_weight_kg": 70.0}),))
    with pytest.raises(BadInput, match="belong to the first ones"):
        fitted(VANCOMYCIN, early)


def test_suggested_doses_are_rounded_as_asked(fit: PkFit) -> None:
    by_vial = candidates_for(fit, TARGET, route=Route.IV_INFUSION, duration_h=1.0, strengths_mg=(500.0,))
    assert {each.amount_mg % 500.0 for each in by_vial} == {0.0}
    by_step = candidates_for(fit, TARGET, route=Route.IV_INFUSION, duration_h=1.0, step_mg=125.0)
    assert {each.amount_mg % 125.0 for each in by_step} == {0.0}
    assert {each.interval_h for each in by_step} == {6.0, 8.0, 12.0, 24.0, 48.0}
    assert two_digits(1234.0) == 100.0
    assert two_digits(0.056) == pytest.approx(0.001)


def test_a_sample_moved_by_nothing_changes_no_dose(fit: PkFit) -> None:
    way = Candidate(amount_mg=1.0, interval_h=12.0, route=Route.IV_INFUSION, duration_h=1.0)
    for check in timing_checks(fit, TARGET, way, later_min=0.0):
        assert check.change_mg == pytest.approx(0.0, abs=1e-3)


def test_a_level_soon_after_the_last_one_tells_less_than_a_later_one(fit: PkFit) -> None:
    way = Candidate(amount_mg=1.0, interval_h=12.0, route=Route.IV_INFUSION, duration_h=1.0)
    soon, later = next_sample(fit, way, Exposure.AUC24, [37.6, 60.0])
    assert 0.0 <= soon < later < 1.0
