"""Long-acting and inhaled insulin: published profiles come out, nothing is lost, a steady regimen stays steady."""

import numpy as np
import pytest

from twin_core.domain.history import BasalInsulin, Bolus, FloatArray, LongActingDose, MealInsulin, Therapy
from twin_core.models.glucose.chains import remaining
from twin_core.models.glucose.dalla_man_2014 import MODEL
from twin_core.models.glucose.insulins import DEPOTS, INHALED, REMEMBERED_MIN, appearing_u_min, own_basal_share
from twin_core.solve.rk4 import integrate
from twin_core.solve.schedule import schedule_of

DAY_MIN = 1440.0
MINUTES = np.arange(0.0, 12.0 * DAY_MIN + 1.0)
every_insulin = pytest.mark.parametrize("insulin", BasalInsulin)


def daily(insulin: BasalInsulin, dose_u: float, days: int, every_min: float = DAY_MIN) -> tuple[LongActingDose, ...]:
    times = np.arange(0.0, days * DAY_MIN, every_min)
    return tuple(LongActingDose(time_min=float(t), dose_u=dose_u, insulin=insulin) for t in times)


def steady_profile(insulin: BasalInsulin) -> FloatArray:
    """Appearance from the last of ten daily doses on, each minute for 36 h; no dose follows."""
    rates = appearing_u_min(daily(insulin, 24.0, 10), (), MINUTES)
    return rates[int(9 * DAY_MIN) : int(10.5 * DAY_MIN)]


def half_time_h(profile: FloatArray) -> float:
    exposure = np.cumsum(profile)
    return float(np.searchsorted(exposure, 0.5 * exposure[-1])) / 60.0


@every_insulin
def test_every_unit_that_acts_appears_and_no_more(insulin: BasalInsulin) -> None:
    bounds = np.sort(np.concatenate((np.arange(0.0, 60.0 * DAY_MIN, 7.3), [333.3])))
    dose = LongActingDose(time_min=333.3, dose_u=20.0, insulin=insulin)
    rates = appearing_u_min((dose,), (), bounds)
    assert rates @ np.diff(bounds) == pytest.approx(DEPOTS[insulin].share.value * 20.0, rel=1e-6)
    assert (rates >= 0.0).all()
    assert not rates[bounds[:-1] < 333.3].any()


def test_doses_superpose_and_a_start_in_between_changes_nothing() -> None:
    doses = daily(BasalInsulin.DEGLUDEC, 20.0, 3) + daily(BasalInsulin.DETEMIR, 10.0, 2, 720.0)
    together = appearing_u_min(doses, (), MINUTES)
    np.testing.assert_allclose(together, sum(appearing_u_min((dose,), (), MINUTES) for dose in doses), rtol=1e-12)
    np.testing.assert_allclose(appearing_u_min(doses, (), MINUTES[1000:]), together[1000:], rtol=1e-9)


@pytest.mark.parametrize(
    ("insulin", "half_life_h"),
    [
        (BasalInsulin.GLARGINE_U100, 13.5),  # Becker 2015 table 1
        (BasalInsulin.GLARGINE_U300, 19.0),  # Becker 2015 table 1
        (BasalInsulin.DEGLUDEC, 25.0),  # prescribing information
    ],
)
def test_what_appears_halves_in_the_published_half_life(insulin: BasalInsulin, half_life_h: float) -> None:
    rates = appearing_u_min((LongActingDose(time_min=0.0, dose_u=20.0, insulin=insulin),), (), MINUTES)
    early, late = rates[3 * 1440], rates[3 * 1440 + round(60 * half_life_h)]
    assert late / early == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize(
    ("insulin", "earliest_h", "latest_h"),
    [(BasalInsulin.DETEMIR, 6.0, 8.0), (BasalInsulin.DEGLUDEC, 8.0, 12.0)],  # prescribing informations
)
def test_a_single_dose_peaks_at_the_published_time(insulin: BasalInsulin, earliest_h: float, latest_h: float) -> None:
    rates = appearing_u_min((LongActingDose(time_min=0.0, dose_u=20.0, insulin=insulin),), (), MINUTES)
    assert earliest_h <= rates.argmax() / 60.0 <= latest_h


@pytest.mark.parametrize(
    ("insulin", "half_24_h", "swing"),
    # Becker 2015 table 1: interquartile ranges of T50%-INS-AUC0-24 and of (highest - last)/last; the middle half of
    # 100 U/mL's halving time is 9 to 10 h, of 300 U/mL's 10 to 11 h
    [(BasalInsulin.GLARGINE_U100, (9.0, 10.0), (1.3, 2.3)), (BasalInsulin.GLARGINE_U300, (10.0, 11.0), (0.6, 1.0))],
)
def test_glargine_at_steady_state_has_the_published_profile(
    insulin: BasalInsulin, half_24_h: tuple[float, float], swing: tuple[float, float]
) -> None:
    profile = steady_profile(insulin)
    day = profile[:1440]
    assert half_24_h[0] <= half_time_h(day) <= half_24_h[1]
    assert swing[0] <= (day.max() - day[-1]) / day[-1] <= swing[1]


def test_glargine_300_is_spread_over_36_h_as_published() -> None:
    """Becker 2015 table 1: half of 36 h's exposure by 14.0 (12 to 15) h; exposure of 24 h 0.83 of 100 U/mL's."""
    three, one = (steady_profile(insulin) for insulin in (BasalInsulin.GLARGINE_U300, BasalInsulin.GLARGINE_U100))
    assert 12.0 <= half_time_h(three) <= 15.0
    assert three[:1440].sum() / one[:1440].sum() == pytest.approx(0.83, abs=0.01)


def test_degludec_reaches_its_plateau_within_four_days_but_not_two() -> None:
    """Prescribing information: 3 to 4 days; the trough is above 90 % of the plateau."""
    rates = appearing_u_min(daily(BasalInsulin.DEGLUDEC, 20.0, 12), (), MINUTES)
    troughs = rates[1439::1440]
    assert troughs[1] < 0.9 * troughs[-1] < troughs[3]


@every_insulin
def test_what_may_be_forgotten_is_at_most_a_twenty_fifth(insulin: BasalInsulin) -> None:
    assert remaining(DEPOTS[insulin].rates_per_min, np.array([REMEMBERED_MIN]))[0] < 0.041


@every_insulin
@pytest.mark.parametrize("every_min", [1440.0, 720.0])
def test_own_basal_and_recorded_doses_make_the_regimens_steady_state(insulin: BasalInsulin, every_min: float) -> None:
    """From the first dose on every day brings what the body needs, as if the regimen had never begun."""
    own_u_min = 0.02
    dose_u = own_u_min * every_min / DEPOTS[insulin].share.value
    doses = daily(insulin, dose_u, 12, every_min)
    total = appearing_u_min(doses, (), MINUTES) + own_u_min * own_basal_share(doses, MINUTES)
    days = total.reshape(12, 1440)
    np.testing.assert_allclose(days, np.tile(days[-1], (12, 1)), rtol=1e-6)
    np.testing.assert_allclose(days.mean(axis=1), own_u_min, rtol=1e-6)


def test_a_missed_dose_is_missed() -> None:
    doses = daily(BasalInsulin.GLARGINE_U100, 24.0, 1)
    share = own_basal_share(doses, MINUTES)
    total = appearing_u_min(doses, (), MINUTES) * 60.0 + share
    assert total[:1440].mean() == pytest.approx(1.0, rel=1e-9)
    assert total[2160:2880].mean() < 0.5
    assert (np.diff(share[1:]) < 0.0).all()


def test_own_basal_runs_in_full_before_the_first_dose_and_stops_at_a_dose_of_nothing() -> None:
    dose = LongActingDose(time_min=600.0, dose_u=0.0)
    np.testing.assert_array_equal(own_basal_share((dose,), MINUTES), np.arange(len(MINUTES) - 1) < 600)


@pytest.mark.parametrize(
    ("insulin", "within_mg_dl"), [(BasalInsulin.DEGLUDEC, 25.0), (BasalInsulin.GLARGINE_U100, 45.0)]
)
def test_whoever_injects_what_the_body_needs_stays_near_basal_glucose(
    insulin: BasalInsulin, within_mg_dl: float
) -> None:
    """The flatter the insulin the nearer, and near on the average, from the first dose on."""
    p = MODEL.parameters()
    therapy = Therapy(long_acting=daily(insulin, 24.0 * p.basal_u_h / DEPOTS[insulin].share.value, 2))
    glucose = integrate(MODEL, p, schedule_of(therapy, start_min=0.0, end_min=2.0 * DAY_MIN)).output("glucose_mg_dl")
    assert np.abs(glucose - p.Gb).max() < within_mg_dl
    assert glucose.mean() == pytest.approx(p.Gb, abs=8.0)


def test_inhaled_insulin_peaks_in_plasma_in_a_quarter_of_an_hour_and_is_gone_after_three() -> None:
    """Prescribing information: highest at 12 to 15 min, at baseline by about 180 min."""
    therapy = Therapy(boluses=(Bolus(time_min=0.0, dose_u=8.0, insulin=MealInsulin.INHALED),))
    solution = integrate(MODEL, MODEL.parameters(), schedule_of(therapy, start_min=0.0, end_min=300.0))
    rise = solution.output("plasma_insulin_pmol_l") - solution.output("plasma_insulin_pmol_l")[0]
    assert 12 <= rise.argmax() <= 15
    assert rise[180] < 0.05 * rise.max()


def test_inhaled_units_act_as_so_many_under_the_skin() -> None:
    """Prescribing information: 0.35 mg in a cartridge of 4 U at 28.8 U/mg; 0.26 of that under the skin."""
    assert INHALED.share.value == pytest.approx(0.35 * 28.8 / 4.0 * 0.26, abs=0.002)
    bolus = Bolus(time_min=5.0, dose_u=8.0, insulin=MealInsulin.INHALED)
    assert appearing_u_min((), (bolus,), MINUTES).sum() == pytest.approx(8.0 * INHALED.share.value, rel=1e-6)
