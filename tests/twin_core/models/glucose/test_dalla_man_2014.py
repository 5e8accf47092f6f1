"""The UVA/Padova model: signs, sizes, and its switches one by one and all at once."""

from dataclasses import replace

import numpy as np
import pytest

from twin_core.domain.history import BasalRate, Bolus, Exercise, GlucagonDose, Meal, Therapy
from twin_core.domain.models import OdeModel
from twin_core.models.glucose.dalla_man_2014 import (
    MODEL,
    S2013,
    STATES,
    Inputs,
    Parameters,
    Parameters2013,
    basal_state,
    emptying_rate,
    production,
    risk,
    tissue_glucose,
)
from twin_core.solve.rk4 import Solution, SolveStatus, integrate, integrate_batch
from twin_core.solve.schedule import schedule_of, schedules_of

DEFAULT = Parameters()
DINNER = Therapy(meals=(Meal(time_min=0.0, carbs_g=60.0),), boluses=(Bolus(time_min=0.0, dose_u=6.0),))
both_models = pytest.mark.parametrize("model", [MODEL, S2013], ids=lambda model: model.name)


def run(therapy: Therapy, *, hours: float = 24.0, p: Parameters = DEFAULT) -> Solution:
    solution = integrate(MODEL, p, schedule_of(therapy, start_min=0.0, end_min=60.0 * hours))
    assert solution.status is SolveStatus.OK, solution.reason
    return solution


def glucose(therapy: Therapy, *, hours: float = 24.0) -> np.ndarray:
    return run(therapy, hours=hours).output("glucose_mg_dl")


def test_one_unit_more_lowers_glucose_at_every_minute_after_it() -> None:
    dinner = Meal(time_min=0.0, carbs_g=60.0)
    with_six, with_five = (
        glucose(Therapy(meals=(dinner,), boluses=(Bolus(time_min=0.0, dose_u=dose),))) for dose in (6.0, 5.0)
    )
    assert (with_six - with_five)[10:].max() < 0.0
    assert (with_six - with_five).min() < -8.0


def test_twenty_grams_more_raise_glucose_until_they_are_absorbed() -> None:
    with_eighty, with_sixty = (glucose(Therapy(meals=(Meal(time_min=0.0, carbs_g=grams),))) for grams in (80.0, 60.0))
    difference = with_eighty - with_sixty
    assert difference.max() > 20.0
    assert difference[10:90].min() > 0.0


def test_fifty_grams_without_insulin_raise_glucose_by_about_a_hundred() -> None:
    assert 60.0 < glucose(Therapy(meals=(Meal(time_min=0.0, carbs_g=50.0),)), hours=8.0).max() - 120.0 < 160.0


def test_without_insulin_glucose_passes_300_and_fifteen_units_an_hour_bring_160_below_100() -> None:
    """Both are the pruning rule of the OHSU virtual population (reference, glucose.md 3.1)."""
    none = Therapy(basal=(BasalRate(time_min=0.0, rate_u_h=0.0),))
    much = Therapy(basal=(BasalRate(time_min=0.0, rate_u_h=15.0),))
    assert glucose(none, hours=48.0).max() > 300.0
    high = DEFAULT._replace(Gb=160.0)
    assert run(much, hours=1000.0 / 60.0, p=high).output("glucose_mg_dl").min() < 100.0


def test_basal_insulin_alone_holds_basal_glucose_for_a_day_within_a_millionth() -> None:
    assert np.abs(glucose(Therapy()) - 120.0).max() < 1e-6


def test_basal_rate_given_by_the_pump_equals_the_models_own() -> None:
    pumped = Therapy(basal=(BasalRate(time_min=0.0, rate_u_h=DEFAULT.basal_u_h),))
    assert np.abs(glucose(pumped) - 120.0).max() < 1e-6


def test_tissue_glucose_at_rest_allows_for_utilisation() -> None:
    """E17: Gtb = k1 Gpb / k2, as a widely read issue gives it, is off by up to 28 %."""
    basal = basal_state(DEFAULT)
    p = DEFAULT
    assert basal.Gt == pytest.approx((p.k1 * basal.Gp - (p.EGPb - p.Fcns)) / p.k2)
    assert basal.Gt < 0.95 * p.k1 * basal.Gp / p.k2
    assert tissue_glucose(basal.Gp, 0.0, p) == pytest.approx(basal.Gt, rel=1e-12)


def test_emptying_equals_the_tanh_form_of_the_paper() -> None:
    p, D = DEFAULT, 60_000.0
    Q = np.linspace(0.0, 1.5 * D, 200)
    paper = p.kmin + (p.kmax - p.kmin) / 2.0 * (
        np.tanh(5.0 / (2.0 * D * (1.0 - p.b)) * (Q - p.b * D)) - np.tanh(5.0 / (2.0 * D * p.c) * (Q - p.c * D)) + 2.0
    )
    np.testing.assert_allclose(emptying_rate(Q, D, p), paper, rtol=1e-12)


def test_an_empty_stomach_divides_by_nothing_and_empties_at_the_fastest_rate() -> None:
    state = np.array(MODEL.steady_state(DEFAULT))
    assert np.isfinite(MODEL.rhs(0.0, tuple(state), Inputs(), DEFAULT)).all()
    state[1] = 1000.0
    assert MODEL.rhs(0.0, tuple(state), Inputs(), DEFAULT)[1] == pytest.approx(-DEFAULT.kmax * 1000.0)


def test_a_second_meal_counts_what_is_still_in_the_stomach() -> None:
    """simglucose 0.2.11 looks at the stomach when eating begins."""
    meals = tuple(Meal(time_min=t, carbs_g=60.0, duration_min=12.0) for t in (0.0, 60.0))
    solution = run(Therapy(meals=meals), hours=3.0)
    Q = solution.state("Qsto1") + solution.state("Qsto2")
    assert Q[60] > 5_000.0
    assert solution.state("Q0")[59] == 0.0
    assert (solution.state("Q0")[61:] == Q[60]).all()


def test_all_carbohydrate_is_absorbed_and_the_bioavailable_share_reaches_the_plasma() -> None:
    solution = run(Therapy(meals=(Meal(time_min=0.0, carbs_g=50.0),)), hours=48.0)
    absorbed_mg = DEFAULT.kabs * solution.state("Qgut").sum()
    assert absorbed_mg == pytest.approx(50_000.0, rel=1e-3)


def switched(therapy: Therapy = DINNER, *, hours: float = 8.0, **inputs: float) -> np.ndarray:
    """Glucose with inputs held at a value."""
    schedule = schedule_of(therapy, start_min=0.0, end_min=60.0 * hours)
    for name, value in inputs.items():
        schedule = schedule.with_input(name, value)
    solution = integrate(MODEL, DEFAULT, schedule)
    assert solution.status is SolveStatus.OK, solution.reason
    return solution.output("glucose_mg_dl")


@pytest.mark.parametrize(
    ("name", "value", "sign"),
    [
        ("sensitivity", 1.5, -1.0),
        ("sensitivity", 0.5, 1.0),
        ("production_share", 0.5, -1.0),
        ("production_share", 1.3, 1.0),
        ("production_added_mg_kg_min", 1.5, 1.0),
        ("exertion_per_min", 60.0, -1.0),
        ("exertion_lasting", 3600.0, -1.0),
        ("glucagon_mg", 0.01, 1.0),
        ("appearing_u_min", 0.02, -1.0),
        ("late_carbs_mg_min", 100.0, 1.0),
    ],
)
def test_each_switch_moves_glucose_the_way_it_should_and_never_the_other(name: str, value: float, sign: float) -> None:
    change = sign * (switched(**{name: value}) - switched())
    assert change.min() >= 0.0
    assert change.max() > 5.0


def test_a_stomach_slowed_by_half_peaks_lower_and_later() -> None:
    fast, slow = switched(Therapy(meals=DINNER.meals)), switched(Therapy(meals=DINNER.meals), emptying_share=0.5)
    assert slow.max() < fast.max() - 5.0
    assert slow.argmax() > fast.argmax() + 10


def test_uptake_in_exercise_is_model_c() -> None:
    """Equation (12) of Dalla Man, Breton, Cobelli 2009, with its numbers as LoopInsighT1 gives them."""
    alpha, beta, gamma, Y, ZW = 3e-4, 0.01, 1e-7, 50.0, 3000.0
    p, basal = DEFAULT, basal_state(DEFAULT)
    y = np.array(MODEL.steady_state(p))
    y[7] = X = 40.0
    Gp, Gt = basal.Gp, basal.Gt
    uptake = (
        (basal.Vm0 * (1.0 + beta * Y) + p.Vmx * ((1.0 + alpha * ZW) * (X + basal.I) - basal.I))
        * Gt
        / (p.Km0 * (1.0 - gamma * ZW * (X + basal.I)) + Gt)
    )
    slope = MODEL.rhs(0.0, tuple(y), Inputs(exertion_per_min=Y, exertion_lasting=ZW), p)
    assert slope[4] == pytest.approx(p.k1 * Gp - p.k2 * Gt - uptake, rel=1e-12)


def test_an_hour_of_exercise_lowers_glucose_at_once_and_is_felt_until_the_next_day() -> None:
    ride = Therapy(exercise=(Exercise(time_min=60.0, duration_min=60.0, intensity_percent=50.0),))
    change = switched(ride, hours=14.0) - switched(Therapy(), hours=14.0)
    assert change.max() <= 1e-6
    assert change[120] < -10.0
    assert change[-1] < -5.0


def glucagon_production(dose_mg: float) -> float:
    """What glucagon under the skin adds in its first hour [mg/kg], 80 kg."""
    p = DEFAULT._replace(BW=80.0)
    therapy = Therapy(glucagon=(GlucagonDose(time_min=0.0, dose_mg=dose_mg),))
    acting = schedule_of(therapy, start_min=0.0, end_min=60.0).input("glucagon_mg")
    basal = basal_state(p)
    added = production(basal.Gp, basal.I, Inputs(glucagon_mg=acting), p) - production(basal.Gp, basal.I, Inputs(), p)
    return float(added.sum())


def test_glucagon_adds_what_was_measured_in_the_first_hour() -> None:
    """El Youssef 2014, doi 10.2337/dc14-0803: 5 +- 68 mg/kg after 25 ug, 112 +- 152 after 175 ug, at low insulin."""
    assert glucagon_production(0.175) == pytest.approx(112.0, rel=0.02)
    assert 5.0 < glucagon_production(0.025) < 5.0 + 68.0


def test_a_rescue_dose_of_glucagon_raises_low_glucose_by_three_to_six_mmol_per_litre() -> None:
    """Blauw 2016, doi 10.1111/dom.12571: medians of 2.6 to 6.2 mmol/L, the highest after 1 mg."""
    low = Therapy(boluses=(Bolus(time_min=0.0, dose_u=8.0),), glucagon=(GlucagonDose(time_min=120.0, dose_mg=1.0),))
    plasma = run(low, hours=8.0, p=DEFAULT._replace(Gb=100.0)).output("plasma_glucose_mg_dl")
    assert plasma[120] < 70.0
    assert 2.6 < (plasma[120:].max() - plasma[120]) / 18.0156 < 6.2


def test_without_its_gain_s2013_is_the_plain_model() -> None:
    schedule = schedule_of(DINNER, start_min=0.0, end_min=480.0)
    plain = integrate(MODEL, DEFAULT, schedule).states
    assert (integrate(S2013, Parameters2013(*DEFAULT, r1=0.0), schedule).states == plain).all()


def test_s2013_deepens_hypoglycaemia_and_changes_nothing_above_basal_glucose() -> None:
    schedule = schedule_of(Therapy(boluses=(Bolus(time_min=0.0, dose_u=6.0),)), start_min=0.0, end_min=480.0)
    plain, strengthened = (
        integrate(model, model.parameters(), schedule).output("glucose_mg_dl") for model in (MODEL, S2013)
    )
    assert 0.0 < strengthened.min() < plain.min() - 5.0
    fed = schedule_of(Therapy(meals=DINNER.meals), start_min=0.0, end_min=480.0)
    assert integrate(MODEL, DEFAULT, fed).output("plasma_glucose_mg_dl").min() >= DEFAULT.Gb
    assert (
        integrate(S2013, Parameters2013(), fed).output("glucose_mg_dl")
        == integrate(MODEL, DEFAULT, fed).output("glucose_mg_dl")
    ).all()


def test_the_risk_of_low_glucose_is_that_of_the_paper_between_its_thresholds() -> None:
    p = Parameters2013(Gb=140.0)
    G = np.array([20.0, 60.0, 80.0, 120.0, 140.0, 300.0])
    expected = 10.0 * (np.log(np.clip(G, 60.0, 140.0)) ** 0.8124 - np.log(140.0) ** 0.8124) ** 2
    np.testing.assert_allclose(risk(G, p), expected, rtol=1e-12, atol=1e-14)


def extremes(model: OdeModel, n: int, rng: np.random.Generator) -> np.ndarray:
    """Every state of people under inputs that nobody bears, shape `(n, n_times, n_states)`."""
    whole = replace(model, outputs=lambda y, p: y, output_states=STATES)
    chosen = {
        "BW": rng.uniform(12.0, 120.0, n),
        "Gb": rng.choice([80.0, 120.0, 160.0], n),
        "basal_u_h": rng.uniform(0.2, 2.0, n),
        "Vmx": rng.uniform(0.01, 0.3, n),
        "Km0": rng.uniform(100.0, 400.0, n),
        "VG": rng.uniform(1.3, 2.6, n),
        "k2": rng.uniform(0.03, 0.3, n),
    }
    p = model.parameters(*(np.broadcast_to(value, (n,)) for value in model.parameters()))._replace(**chosen)
    doses = rng.choice([0.0, 5.0, 100.0], n)
    plans = [Therapy(meals=DINNER.meals, boluses=(Bolus(time_min=30.0, dose_u=dose),)) for dose in doses]
    schedules = schedules_of(plans, start_min=0.0, end_min=300.0)
    ranges = {
        "sensitivity": (0.05, 1.0, 10.0),
        "production_share": (0.0, 1.0, 3.0),
        "production_added_mg_kg_min": (0.0, 10.0),
        "exertion_per_min": (0.0, 200.0),
        "exertion_lasting": (0.0, 3600.0, 1e5),
        "glucagon_mg": (0.0, 1.0),
        "emptying_share": (0.1, 1.0),
        "own_basal": (0.0, 1.0),
    }
    fed = []
    for schedule in schedules:
        for name, values in ranges.items():
            schedule = schedule.with_input(name, rng.choice(values))
        fed.append(schedule)
    return integrate_batch(whole, p, fed).outputs


@both_models
def test_no_combination_of_switches_and_doses_makes_a_state_negative(model: OdeModel) -> None:
    states = extremes(model, 120, np.random.default_rng(3))
    assert np.isfinite(states).all()
    unsigned = [i for i, state in enumerate(STATES) if state.name not in model.signed_states]
    assert states[:, :, unsigned].min() >= -1e-9
