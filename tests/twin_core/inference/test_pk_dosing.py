from dataclasses import replace

import numpy as np
import pytest

from tests.twin_core.inference.test_pk_rows import VANCOMYCIN, VANCOMYCIN_DOSES, VANCOMYCIN_LEVELS, infusion, levels
from twin_core.domain.dosing import STEADY, Candidate, FromNow, first_hours
from twin_core.domain.drugs import Exposure, Route, TargetBand
from twin_core.domain.errors import BadInput, OutOfRange
from twin_core.inference.dose_search import (
    Responses,
    at_mode,
    given_before,
    if_sampled_later,
    multiples,
    nearest_amounts,
    practical_amounts,
    ranked,
    sampling_gains,
    suggested,
)
from twin_core.inference.pk_fit import PkFit, averaged, fit_pk, most_probable
from twin_core.inference.pk_population import Occasions, Population
from twin_core.inference.pk_search import curves

TARGET = TargetBand(exposure=Exposure.AUC24, low=400.0, high=600.0, source="test")
EVERY_DAY = Candidate(amount_mg=1000.0, interval_h=24.0, route=Route.IV_INFUSION, duration_h=2.0)


@pytest.fixture(scope="module")
def fit() -> PkFit:
    return fit_pk(VANCOMYCIN, VANCOMYCIN_DOSES, VANCOMYCIN_LEVELS, np.random.default_rng(1))


def test_doses_for_a_target_are_those_of_posologyr() -> None:
    """Its test_doseoptim.R: patient 4, 65 mL/min, 70 kg; 0.1 % as its own tests allow."""
    goti = replace(VANCOMYCIN, typical={**VANCOMYCIN.typical, "CL_L_h": 4.5 * (65.0 / 120.0) ** 0.8, "V1_L": 58.4})
    doses = (infusion(0.0, 2000.0, 2.0), infusion(24.2, 1400.0, 2.0))
    person = replace(at_mode(most_probable(goti, doses, levels((13.0, 12.0), (48.0, 10.5)))), doses=())
    day, tenth = (FromNow(next_dose_h=0.0, from_h=start, until_h=start + 24.0) for start in (0.0, 216.0))
    auc, trough = Exposure.AUC24, Exposure.TROUGH
    assert Responses(person, day).amount_mg(EVERY_DAY, auc, 400.0) == pytest.approx(2377.758, rel=1e-3)
    assert Responses(person, day).amount_mg(EVERY_DAY, trough, 11.04931) == pytest.approx(2530.699, rel=1e-3)
    assert Responses(person, tenth).amount_mg(EVERY_DAY, auc, 400.0) == pytest.approx(1229.366, rel=1e-3)


@pytest.mark.parametrize("exposure", Exposure)
def test_exposure_from_now_is_that_of_the_whole_course_simulated_at_once(fit: PkFit, exposure: Exposure) -> None:
    found = Responses(fit, first_hours(46.0)).of(replace(EVERY_DAY, interval_h=12.0), exposure)
    line = replace(infusion(46.0, 1000.0, 2.0), interval_h=12.0, additional=1)
    times = np.linspace(46.0, 70.0, 2401)
    curve = curves(fit.population, fit.draws, (*VANCOMYCIN_DOSES, line), times)
    expected = {
        Exposure.AUC24: np.trapezoid(curve, times, axis=1),
        Exposure.PEAK: curve.max(axis=1),
        Exposure.TROUGH: curve[:, -1],
    }[exposure]
    np.testing.assert_allclose(found, expected, rtol=2e-4)


def test_a_regimen_kept_long_enough_reaches_its_steady_state(fit: PkFit) -> None:
    late = FromNow(next_dose_h=46.0, from_h=46.0 + 2376.0, until_h=46.0 + 2400.0)
    for exposure in Exposure:
        now, ever = (Responses(at_mode(fit), when).of(EVERY_DAY, exposure) for when in (late, STEADY))
        np.testing.assert_allclose(now, ever, rtol=1e-6)


def test_doses_of_the_past_that_would_follow_the_next_dose_are_dropped() -> None:
    line = replace(infusion(0.0, 1000.0, 1.0), interval_h=12.0, additional=9)
    (kept,) = given_before((line, infusion(50.0, 500.0, 1.0)), 36.0)
    assert kept.times_h == (0.0, 12.0, 24.0)


def test_the_risk_index_is_the_probability_above_the_given_limit(fit: PkFit) -> None:
    (found,) = ranked(fit, (EVERY_DAY,), TARGET, toxic_above=(Exposure.TROUGH, 15.0))
    trough = Responses(fit, STEADY).of(EVERY_DAY, Exposure.TROUGH)
    assert found.risk_index == np.mean(trough > 15.0)
    (plain,) = ranked(fit, (EVERY_DAY,), TARGET)
    assert plain.risk_index == plain.above


def test_a_mixture_has_the_draws_of_both_models(fit: PkFit) -> None:
    mixture = averaged([fit, fit], np.random.default_rng(2))
    found = Responses(mixture, STEADY).of(EVERY_DAY, Exposure.AUC24)
    assert len(found) == len(fit.draws)
    assert np.median(found) == pytest.approx(np.median(Responses(fit, STEADY).of(EVERY_DAY, Exposure.AUC24)), rel=0.03)


def test_suggested_doses_surround_the_one_that_hits_the_middle(fit: PkFit) -> None:
    found = suggested(fit, TARGET, (EVERY_DAY,), lambda exact: multiples(exact, 250.0))
    assert [each.amount_mg for each in found] == [500.0, 750.0, 1000.0]
    exact = Responses(fit, STEADY).amount_mg(EVERY_DAY, Exposure.AUC24, 500.0)
    assert 500.0 < exact < 1000.0
    assert max(ranked(fit, found, TARGET), key=lambda each: each.in_target).candidate.amount_mg == 750.0


def test_no_dose_is_needed_where_earlier_ones_suffice(fit: PkFit) -> None:
    assert Responses(fit, first_hours(38.0)).amount_mg(EVERY_DAY, Exposure.AUC24, 50.0) == 0.0


def test_tablets_add_up_and_one_may_be_cut() -> None:
    assert practical_amounts((500.0, 1000.0), most_units=2) == (500.0, 1000.0, 1500.0, 2000.0)
    assert practical_amounts((2.0,), most_units=2, halves=True) == (1.0, 2.0, 3.0, 4.0, 5.0)
    assert nearest_amounts(640.0, (250.0, 500.0, 750.0, 1000.0), count=2) == (500.0, 750.0)
    with pytest.raises(BadInput, match="Strengths"):
        practical_amounts(())
    with pytest.raises(OutOfRange, match="step_mg"):
        multiples(100.0, 0.0)


def test_a_sample_tells_more_where_the_curve_is_uncertain(fit: PkFit) -> None:
    """Expected against simulated: refits of levels drawn from the posterior at the best and the worst time."""
    times = np.array([37.6, 60.0, 120.0])
    quantity = np.log(Responses(fit, STEADY).of(EVERY_DAY, Exposure.AUC24))
    gains = sampling_gains(fit, quantity, times)
    assert np.all((gains >= 0.0) & (gains < 1.0))
    rng = np.random.default_rng(5)
    left = np.zeros(len(times))
    for draw in fit.draws[:: len(fit.draws) // 60]:
        f = curves(fit.population, draw[None], fit.doses, times)[0]
        measured = np.maximum(f + (3.4 + 0.227 * f) * rng.standard_normal(len(times)), 0.01)
        for place, pair in enumerate(zip(times, measured, strict=True)):
            again = most_probable(VANCOMYCIN, VANCOMYCIN_DOSES, (*VANCOMYCIN_LEVELS, *levels(pair)))
            left[place] += again.covariance[0, 0]
    assert np.argmin(left) == np.argmax(gains)
    assert np.argmax(left) == np.argmin(gains)


def test_a_later_sample_changes_the_dose_the_way_a_refit_says(fit: PkFit) -> None:
    def amount(person: PkFit) -> float:
        return Responses(person, STEADY).amount_mg(EVERY_DAY, Exposure.AUC24, 500.0)

    changed = if_sampled_later(fit, 1, 300.0, amount)
    refitted = most_probable(VANCOMYCIN, VANCOMYCIN_DOSES, levels((12.0, 14.8), (42.5, 22.5)))
    assert changed == pytest.approx(500.0 * refitted.individual["CL_L_h"], rel=1e-6)
    assert changed < amount(at_mode(fit))
    with pytest.raises(BadInput, match="level number 7"):
        if_sampled_later(fit, 7, 30.0, amount)


def test_what_earlier_doses_left_is_exact_where_parameters_change() -> None:
    """Area after 30 h of two compartments whose clearance changed at 20 h, against a fine trapezoid."""
    changing = Population(
        structure=VANCOMYCIN.structure,
        typical=VANCOMYCIN.typical,
        names=VANCOMYCIN.names,
        omega=VANCOMYCIN.omega,
        residual=VANCOMYCIN.residual,
        occasions=Occasions(names=("CL_L_h",), pi=0.1 * np.eye(1), starts_h=(20.0, 40.0)),
    )
    person = at_mode(most_probable(changing, VANCOMYCIN_DOSES, VANCOMYCIN_LEVELS))
    nothing = replace(EVERY_DAY, amount_mg=0.0)
    found = Responses(person, first_hours(30.0)).of(nothing, Exposure.AUC24)
    times = np.linspace(30.0, 54.0, 24_001)
    curve = curves(changing, person.draws, VANCOMYCIN_DOSES, times)
    np.testing.assert_allclose(found, np.trapezoid(curve, times, axis=1), rtol=1e-7)


def test_impossible_regimens_are_refused() -> None:
    with pytest.raises(BadInput, match="cannot repeat every 1 h"):
        Candidate(amount_mg=1.0, interval_h=1.0, route=Route.IV_INFUSION, duration_h=2.0)
    with pytest.raises(BadInput, match="must follow the next dose"):
        FromNow(next_dose_h=10.0, from_h=5.0, until_h=20.0)
