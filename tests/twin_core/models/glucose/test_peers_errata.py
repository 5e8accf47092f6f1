"""Mistakes measured in other implementations of this model, by their number in the project's list of errata.

Each test holds three things together: the mistaken form, written here; the right answer, from the equations as the
papers print them, integrated in steps of six seconds by code that shares nothing with the product; and ours.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from twin_core.domain.history import BasalRate, Bolus, Meal, Therapy
from twin_core.models.glucose.dalla_man_2014 import (
    MODEL,
    S2013,
    Parameters,
    Parameters2013,
    basal_state,
    equations,
    risk,
)
from twin_core.solve.rk4 import SolveStatus, integrate
from twin_core.solve.schedule import Schedule, schedule_of

ADULT = Parameters(basal_u_h=1.2)
CHILD = Parameters2013(BW=25.0, basal_u_h=0.35, Gb=140.0)
MEAL_MIN, GRAMS, UNITS = 60, 75.0, 6.0
"""A meal of 75 g in 15 minutes and its bolus, an hour after the start."""
DAY = Therapy(
    meals=(Meal(time_min=MEAL_MIN, carbs_g=GRAMS, duration_min=15.0),),
    boluses=(Bolus(time_min=MEAL_MIN, dose_u=UNITS),),
)
HOURS = 7.0


def printed_slopes(x: np.ndarray, d: float, insulin: float, D: float, p: Parameters) -> np.ndarray:
    """Dalla Man 2007 and 2006 with tanh, in simglucose's order of states; d [mg/min], insulin [pmol/kg/min], D [mg]."""
    Qsto1, Qsto2, Qgut, Gp, Gt, Ip, X, I1, XL, Il, Isc1, Isc2, Gs = x
    basal = basal_state(p)
    kempt = p.kmax
    if D > 0.0:
        rise = math.tanh(5.0 / (2.0 * D * (1.0 - p.b)) * (Qsto1 + Qsto2 - p.b * D))
        fall = math.tanh(5.0 / (2.0 * D * p.c) * (Qsto1 + Qsto2 - p.c * D))
        kempt = p.kmin + (p.kmax - p.kmin) / 2.0 * (rise - fall + 2.0)
    production = max(basal.kp1 - p.kp2 * Gp - p.kp3 * XL, 0.0)
    excretion = max(p.ke1 * (Gp - p.ke2), 0.0)
    m30 = p.HEb * p.m1 / (1.0 - p.HEb)
    return np.array(
        [
            d - p.kmax * Qsto1,
            p.kmax * Qsto1 - kempt * Qsto2,
            kempt * Qsto2 - p.kabs * Qgut,
            production + p.f * p.kabs * Qgut / p.BW - p.Fcns - excretion - p.k1 * Gp + p.k2 * Gt,
            p.k1 * Gp - p.k2 * Gt - (basal.Vm0 + p.Vmx * X) * Gt / (p.Km0 + Gt),
            p.m1 * Il - (p.m2 + p.m4) * Ip + p.ka1 * Isc1 + p.ka2 * Isc2,
            -p.p2u * (X - (Ip / p.VI - basal.I)),
            -p.ki * (I1 - Ip / p.VI),
            -p.ki * (XL - I1),
            p.m2 * Ip - (p.m1 + m30) * Il,
            insulin - (p.ka1 + p.kd) * Isc1,
            p.kd * Isc1 - p.ka2 * Isc2,
            p.ksc * (Gp - Gs),
        ]
    )


ORDER = ("Qsto1", "Qsto2", "Qgut", "Gp", "Gt", "Ip", "X", "I1", "XL", "Il", "Isc1", "Isc2", "Gs")


def at_rest(p: Parameters) -> np.ndarray:
    named = dict(zip((state.name for state in MODEL.states), MODEL.steady_state(p), strict=True))
    return np.array([named[name] for name in ORDER])


def given(minute: int, p: Parameters, grams: float) -> tuple[float, float, float]:
    """Carbohydrate [mg/min], insulin [pmol/kg/min] and D [mg] of a minute."""
    eating = 0 <= minute - MEAL_MIN < 15
    units = UNITS if minute == MEAL_MIN else 0.0
    eaten = 1000.0 * grams * min(max(minute - MEAL_MIN + 1, 0), 15) / 15.0
    return 1000.0 * grams / 15.0 * eating, 6000.0 / p.BW * (units + p.basal_u_h / 60.0), eaten


def as_printed(p: Parameters, grams: float, steps_a_minute: int = 10) -> np.ndarray:
    """Sensed glucose before each minute [mg/dL]."""
    x, h, glucose = at_rest(p), 1.0 / steps_a_minute, []
    for minute in range(int(60.0 * HOURS)):
        glucose.append(x[12] / p.VG)
        inputs = given(minute, p, grams)
        for _ in range(steps_a_minute):
            a = printed_slopes(x, *inputs, p)
            b = printed_slopes(x + 0.5 * h * a, *inputs, p)
            c = printed_slopes(x + 0.5 * h * b, *inputs, p)
            e = printed_slopes(x + h * c, *inputs, p)
            x = x + h / 6.0 * (a + 2.0 * b + 2.0 * c + e)
    return np.array(glucose)


def our_schedule(therapy: Therapy = DAY) -> Schedule:
    return schedule_of(therapy, start_min=0.0, end_min=60.0 * HOURS)


def test_e1_the_size_of_a_meal_in_grams_is_far_off_and_ours_in_milligrams_is_right() -> None:
    """simglucose before its issue 41, and GluCoEnv still: up to 208 mg/dL wrong, the median person 59."""
    right, schedule = as_printed(ADULT, GRAMS), our_schedule()
    mistaken = schedule.with_input("eaten_mg", schedule.input("eaten_mg") / 1000.0)
    ours, wrong = (integrate(MODEL, ADULT, each).output("glucose_mg_dl") for each in (schedule, mistaken))
    assert np.abs(ours - right).max() < 0.25
    assert np.abs(wrong - right).max() > 20.0


def test_e2_a_bolus_of_a_minute_is_stepped_over_by_a_multistep_solver_and_never_by_ours() -> None:
    """simglucose_with_numba keeps LSODA's history over the minutes: 43 to 67 mg/dL wrong."""
    from scipy.integrate import solve_ivp

    right = as_printed(ADULT, 0.0)
    wrong = solve_ivp(
        lambda t, x: printed_slopes(x, *given(int(t), ADULT, 0.0), ADULT),
        (0.0, 60.0 * HOURS),
        at_rest(ADULT),
        method="LSODA",
        t_eval=np.arange(60.0 * HOURS),
    )
    ours = integrate(MODEL, ADULT, our_schedule(Therapy(boluses=DAY.boluses))).output("glucose_mg_dl")
    assert np.abs(ours - right).max() < 0.01
    assert np.abs(wrong.y[12] / ADULT.VG - right).max() > 20.0


@pytest.mark.parametrize("offset_min", [0.0, 0.25, 0.5, 0.999])
def test_e2_all_of_a_bolus_arrives_wherever_in_the_minute_it_begins(offset_min: float) -> None:
    therapy = Therapy(
        boluses=(Bolus(time_min=10.0 + offset_min, dose_u=UNITS),), basal=(BasalRate(time_min=0.0, rate_u_h=0.0),)
    )
    schedule = schedule_of(therapy, start_min=0.0, end_min=60.0)
    assert (schedule.input("insulin_u_min") * schedule.widths_min).sum() == pytest.approx(UNITS, rel=1e-9)


def fixed_scale_risk(G: float, p: Parameters2013) -> float:
    """The mistaken form: on below Gb, but zero at 112.5 mg/dL whoever it is; Kovatchev's scale."""
    if p.Gb <= G:
        return 0.0
    return 10.0 * (math.log(max(G, p.Gth)) ** 1.084 - 5.381) ** 2


@pytest.mark.parametrize("basal_glucose", [80.0, 112.5, 120.0, 140.0, 200.0])
def test_e8_our_risk_begins_at_zero_for_everybody(basal_glucose: float) -> None:
    p = Parameters2013(Gb=basal_glucose)
    assert risk(basal_glucose, p) == 0.0
    assert risk(basal_glucose - 1e-6, p) < 1e-10
    G = np.linspace(20.0, basal_glucose, 4001)
    assert (np.diff(risk(G, p)) <= 0.0).all()
    assert np.abs(np.diff(risk(G, p))).max() < 0.01


def test_e8_the_risk_of_a_fixed_scale_jumps_where_basal_glucose_is_140() -> None:
    assert fixed_scale_risk(139.999, CHILD) > 0.5
    assert fixed_scale_risk(140.0, CHILD) == 0.0


def unguarded(t: float, y: tuple[float, ...], u: object, p: Parameters2013) -> tuple[float, ...]:
    """The mistaken form in the equations: the fixed scale, and nothing that keeps tissue glucose above zero."""
    strength = 1.0 + 1.509 * fixed_scale_risk(y[3] / p.VG, p)
    slopes = list(equations(lambda Gp, p: strength)[0](t, y, u, p._replace(kut=math.inf)))
    slopes[3] += p.Fcns * (min(y[3] / (0.05 * p.Gb * p.VG), 1.0) - 1.0)
    return tuple(slopes)


def test_e8_a_child_under_heavy_insulin_keeps_glucose_above_zero_where_the_mistaken_form_does_not() -> None:
    """LoopInsighT1 reaches -79,507 mg/dL in a child."""
    schedule = our_schedule(Therapy(meals=DAY.meals, boluses=(Bolus(time_min=MEAL_MIN, dose_u=25.0),)))
    mistaken = integrate(replace(S2013, rhs=unguarded), CHILD, schedule)
    assert mistaken.status is not SolveStatus.OK
    for model, child in ((S2013, CHILD), (MODEL, Parameters(*CHILD[: len(Parameters._fields)]))):
        ours = integrate(model, child, schedule)
        assert ours.status is SolveStatus.OK, ours.reason
        assert ours.output("plasma_glucose_mg_dl").min() >= 0.0


def test_e8_a_huge_overdose_leaves_every_state_finite_and_above_zero() -> None:
    schedule = schedule_of(Therapy(boluses=(Bolus(time_min=0.0, dose_u=60.0),)), start_min=0.0, end_min=1440.0)
    solution = integrate(S2013, CHILD, schedule)
    assert solution.status is SolveStatus.OK, solution.reason
    assert 0.0 <= solution.output("plasma_glucose_mg_dl").min() < 40.0
