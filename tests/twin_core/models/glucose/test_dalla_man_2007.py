"""Own insulin: the published fasting states and meals, BIOMD0000000379, the way from normal to type 2, the drugs."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from twin_core.domain.errors import OutOfRange
from twin_core.domain.history import BasalRate, Bolus, Meal, Therapy
from twin_core.domain.models import OdeModel
from twin_core.models.glucose.dalla_man_2007 import (
    MODEL,
    NORMAL,
    Basal,
    Inputs,
    Parameters,
    basal_state,
    beta_cell_responsivity,
    emptying_rate,
    insulin_sensitivity,
    rhs,
    secretion,
    severity,
    slopes,
    steady_state,
)
from twin_core.solve.rk4 import Solution, SolveStatus, integrate
from twin_core.solve.schedule import schedule_of

TYPE_2 = Parameters()
NAMES = tuple(state.name for state in MODEL.states)
FASTING = Therapy()
BIOMODEL = NORMAL._replace(aD=5.0 / (2.0 * 0.18), cD=250.0, Vm0=0.8 * 2.5, Vmx=0.8 * 0.047, Kfall=2.3, ke1=0.0)
"""BIOMD0000000379: D = 78 g sets the steepness, uptake is (1 - part) with part = 0.2, E is 0, a fall counts."""
BIOMODEL_BASAL = Basal(Sb=1.8, Ip=1.25, I=25.0, Ipo=3.6, Gp=95.0 * 1.88, Gt=135.0, kp1=2.7)
BIOMODEL_START = {"Gp": 178.0, "Gt": 135.0, "Ip": 1.25, "Il": 4.5, "Ipo": 3.6, "I1": 25.0, "Id": 25.0, "Gs": 178.0}


def solved(solution: Solution) -> Solution:
    assert solution.status is SolveStatus.OK, solution.reason
    return solution


def run(therapy: Therapy, p: Parameters, *, minutes: float = 600.0, **acting: float) -> Solution:
    schedule = schedule_of(therapy, start_min=0.0, end_min=minutes)
    for name, value in acting.items():
        schedule = schedule.with_input(name, value)
    return solved(integrate(MODEL, p, schedule))


def drunk(p: Parameters, carbs_g: float, model: OdeModel = MODEL, start: dict[str, float] | None = None) -> Solution:
    """All of a meal in the stomach at once, as published simulations have it."""
    fasting = dict(zip(NAMES, steady_state(p), strict=True)) if start is None else dict.fromkeys(NAMES, 0.0) | start
    full = fasting | {"Qsto1": 1000.0 * carbs_g, "Q0": 1000.0 * carbs_g}
    schedule = schedule_of(FASTING, start_min=0.0, end_min=480.0, step_min=0.5)
    return solved(integrate(model, p, schedule, list(full.values())))


def peak(solution: Solution, values: np.ndarray) -> tuple[float, float]:
    return float(values.max()), float(solution.times_min[values.argmax()])


def peaks(solution: Solution) -> tuple[tuple[float, float], tuple[float, float]]:
    courses = (solution.output(name) for name in ("plasma_glucose_mg_dl", "plasma_insulin_pmol_l"))
    glucose, insulin = (peak(solution, course) for course in courses)
    return glucose, insulin


@pytest.mark.parametrize(("p", "glucose", "insulin"), [(NORMAL, 91.8, 25.6), (TYPE_2, 159.2, 59.9)])
def test_fasting_glucose_and_insulin_follow_from_the_published_table(
    p: Parameters, glucose: float, insulin: float
) -> None:
    """Table 1 of Dalla Man 2007; values of the reference 0, D6 (its insulin takes m4 = 0.4 m2, true to 0.1 %)."""
    basal = basal_state(p)
    assert basal.Gp / p.VG == pytest.approx(glucose, abs=0.05)
    assert pytest.approx(insulin, abs=0.06) == basal.I


@pytest.mark.parametrize(
    ("p", "glucose", "insulin", "derived"),
    [(NORMAL, (160.1, 63.0), (264.8, 96.0), 157.4), (TYPE_2, (304.0, 121.0), (340.4, 190.0), 296.0)],
)
def test_a_meal_of_78_g_peaks_where_it_should(
    p: Parameters, glucose: tuple[float, float], insulin: tuple[float, float], derived: float
) -> None:
    """Reference 3.6 with the tabulated a and c, and E14 with those that D = 78 g gives."""
    (got_glucose, glucose_at), (got_insulin, insulin_at) = peaks(drunk(p, 78.0))
    assert (got_glucose, got_insulin) == (pytest.approx(glucose[0], abs=0.1), pytest.approx(insulin[0], abs=0.1))
    assert (glucose_at, insulin_at) == (pytest.approx(glucose[1], abs=1.0), pytest.approx(insulin[1], abs=1.0))
    from_D = p._replace(aD=2.5 / (1.0 - p.b), cD=2.5 / p.d)
    assert peaks(drunk(from_D, 78.0))[0][0] == pytest.approx(derived, abs=0.1)


def test_biomd0000000379_is_reproduced_within_a_thousandth() -> None:
    """T5 of the reference, by libroadrunner from the SBML file."""

    def with_its_basal_values(t: Any, y: Any, u: Any, p: Any) -> tuple[Any, ...]:
        return slopes(y, u, p, BIOMODEL_BASAL)

    solution = drunk(BIOMODEL, 78.0, replace(MODEL, rhs=with_its_basal_values), BIOMODEL_START)
    glucose = solution.output("plasma_glucose_mg_dl")
    Ra = BIOMODEL.f * BIOMODEL.kabs * solution.state("Qgut") / BIOMODEL.BW
    S = BIOMODEL.gamma * solution.state("Ipo")
    tops = (*peaks(solution), peak(solution, Ra), peak(solution, S))
    published = (163.944, 259.377, 7.15427, 8.3157)
    np.testing.assert_allclose([top for top, _ in tops], published, rtol=1e-3)
    np.testing.assert_allclose([at for _, at in tops], (70.0, 84.0, 20.0, 76.0), atol=0.5)
    np.testing.assert_allclose(glucose[[240, 600, 840]], (145.846, 95.213, 91.276), rtol=1e-3)


def test_biomd0000000379_starts_off_its_steady_state() -> None:
    """E15: dGp/dt = -0.026 mg/kg/min; consistent values are Ib 25.56 and Sb 1.549."""
    start = dict.fromkeys(NAMES, 0.0) | BIOMODEL_START
    assert slopes(tuple(start.values()), Inputs(), BIOMODEL, BIOMODEL_BASAL)[3] == pytest.approx(-0.026, abs=5e-4)
    assert basal_state(NORMAL).Sb == pytest.approx(1.549, abs=5e-4)
    assert pytest.approx(25.56, abs=0.05) == basal_state(NORMAL).I


def test_the_ends_of_the_severity_axis_are_the_published_people() -> None:
    np.testing.assert_allclose(severity(0.0), NORMAL, rtol=1e-14)
    np.testing.assert_allclose(severity(1.0), TYPE_2, rtol=1e-14)


def test_severity_outside_its_axis_is_refused() -> None:
    for s in (-0.1, 1.1, float("nan")):
        with pytest.raises(OutOfRange, match="Severity"):
            severity(s)


@pytest.mark.parametrize(
    ("s", "fasting", "after_two_hours"),
    [(0.0, (0.0, 100.0), (0.0, 140.0)), (0.5, (100.0, 126.0), (140.0, 200.0)), (1.0, (126.0, 400.0), (200.0, 500.0))],
)
def test_people_on_the_severity_axis_have_the_diagnosis_that_it_says(
    s: float, fasting: tuple[float, float], after_two_hours: tuple[float, float]
) -> None:
    """Criteria of the American Diabetes Association, Standards of Care: fasting, and two hours after 75 g."""
    course = drunk(severity(s), 75.0).output("plasma_glucose_mg_dl")
    assert fasting[0] <= course[0] < fasting[1]
    assert after_two_hours[0] <= course[240] < after_two_hours[1]


def test_glucose_rises_and_sensitivity_and_responsivity_fall_all_along_the_severity_axis() -> None:
    people = [severity(s) for s in np.linspace(0.0, 1.0, 6)]
    assert (np.diff([basal_state(p).Gp / p.VG for p in people]) > 0.0).all()
    assert (np.diff([insulin_sensitivity(p) for p in people]) < 0.0).all()
    cells = np.array([beta_cell_responsivity(p) for p in people])
    assert (np.diff(cells[:, 1:], axis=0) < 0.0).all()


def test_insulin_sensitivity_is_what_a_clamp_measures() -> None:
    """Glucose is held, insulin raised by 1 pmol/L: what must be infused more, over glucose."""
    for p in (NORMAL, severity(0.5), TYPE_2):
        basal, raised = basal_state(p), 1.0
        Gt = basal.Gt
        for _ in range(200):
            Gt = (p.k1 * basal.Gp - (p.Vm0 + p.Vmx * raised) * Gt / (p.Km0 + Gt)) / p.k2
        infused = (p.k1 * basal.Gp - p.k2 * Gt) - (p.k1 * basal.Gp - p.k2 * basal.Gt) + p.kp3 * raised
        assert insulin_sensitivity(p) == pytest.approx(infused / (basal.Gp / p.VG), rel=2e-3)


@pytest.mark.parametrize(
    "p",
    [
        NORMAL,
        severity(0.3),
        TYPE_2,
        TYPE_2._replace(kp1_share=0.8),
        TYPE_2._replace(RTG_fall=120.0),
        NORMAL._replace(kp1_share=0.8, RTG_fall=150.0, m6=0.5),
    ],
    ids=["normal", "0.3", "type 2", "metformin", "SGLT2", "all at their limits"],
)
def test_fasting_is_held_for_a_day_within_a_millionth(p: Parameters) -> None:
    course = run(FASTING, p, minutes=1440.0).output("glucose_mg_dl")
    assert course[0] > 10.0
    assert np.abs(course - course[0]).max() < 1e-6


def test_metformin_lowers_fasting_glucose_by_the_measured_third_at_a_share_of_nine_tenths() -> None:
    """Hundal 2000: fasting glucose falls by 30 %, production by 24 %; here production falls by less."""
    before, after = (basal_state(p) for p in (TYPE_2, TYPE_2._replace(kp1_share=0.9)))
    assert after.Gp / before.Gp == pytest.approx(0.70, abs=0.03)


def test_lowering_the_renal_threshold_loses_glucose_but_less_than_is_measured() -> None:
    """Front Endocrinol 2022, 12:814074: 68 g a day with normal kidneys; the table's ke1 allows a sixth of it."""
    lost_g, glucose = [], []
    for fall in (0.0, 60.0, 120.0):
        p = TYPE_2._replace(RTG_fall=fall)
        solution = run(Therapy(meals=(Meal(time_min=0.0, carbs_g=78.0),)), p, minutes=1440.0)
        above = np.maximum(solution.state("Gp") - (p.ke2 - fall * p.VG), 0.0)
        lost_g.append(p.ke1 * p.BW * above.sum() / 1000.0)
        glucose.append(solution.output("plasma_glucose_mg_dl"))
    assert lost_g[0] < 2.0 < lost_g[1] < lost_g[2] < 15.0
    assert (glucose[1] < glucose[0]).all()
    assert (glucose[2] < glucose[1]).all()


def test_injected_insulin_lowers_glucose_and_spares_the_beta_cells() -> None:
    meal = Meal(time_min=0.0, carbs_g=60.0)
    without = run(Therapy(meals=(meal,)), TYPE_2)
    bolus = run(Therapy(meals=(meal,), boluses=(Bolus(time_min=0.0, dose_u=8.0),)), TYPE_2)
    basal = run(Therapy(meals=(meal,), basal=(BasalRate(time_min=0.0, rate_u_h=0.5),)), TYPE_2)
    appearing = run(Therapy(meals=(meal,)), TYPE_2, appearing_u_min=0.5 / 60.0)
    for treated in (bolus, basal, appearing):
        assert (treated.output("glucose_mg_dl") - without.output("glucose_mg_dl"))[60:300].max() < 0.0
        assert treated.state("Ipo").sum() < without.state("Ipo").sum()


def test_sensitivity_lowers_and_production_raises_glucose() -> None:
    fasting = basal_state(TYPE_2).Gp / TYPE_2.VG
    assert run(FASTING, TYPE_2, sensitivity=1.3).output("glucose_mg_dl")[60:].max() < fasting
    for acting in ({"production_share": 1.1}, {"production_added_mg_kg_min": 0.5}, {"late_carbs_mg_min": 50.0}):
        assert run(FASTING, TYPE_2, **acting).output("glucose_mg_dl")[60:].min() > fasting, acting


def test_a_rise_releases_insulin_and_a_fall_takes_none_back() -> None:
    basal = basal_state(NORMAL)
    at_rest, rising, falling = (secretion(0.0, slope, NORMAL, basal) for slope in (0.0, 1.88, -1.88))
    assert (at_rest, rising) == (basal.Sb, pytest.approx(basal.Sb + NORMAL.K))
    assert falling == at_rest
    assert secretion(0.0, -1.88, NORMAL._replace(Kfall=2.3), basal) == 0.0


def test_secretion_ends_when_glucose_is_far_below_basal() -> None:
    """The second branch of Y' in [1]: beta (G - Gb) < -Sb."""
    basal = basal_state(NORMAL)
    low = dict(zip(NAMES, steady_state(NORMAL), strict=True)) | {"Gp": 0.5 * basal.Gp}
    Y = NAMES.index("Y")
    assert rhs(0.0, tuple(low.values()), Inputs(), NORMAL)[Y] == pytest.approx(-NORMAL.alpha * basal.Sb)
    low["Gp"] = 0.95 * basal.Gp
    drive = NORMAL.beta * (-0.05 * basal.Gp / NORMAL.VG)
    assert rhs(0.0, tuple(low.values()), Inputs(), NORMAL)[Y] == pytest.approx(NORMAL.alpha * drive)


def test_emptying_equals_the_tanh_form_of_the_paper() -> None:
    p, D = NORMAL, 78_000.0
    Q = np.linspace(0.0, 1.2 * D, 200)
    a, c = 0.00013, 0.00236
    paper = p.kmin + (p.kmax - p.kmin) / 2.0 * (np.tanh(a * (Q - p.b * D)) - np.tanh(c * (Q - p.d * D)) + 2.0)
    np.testing.assert_allclose(emptying_rate(Q, D, p), paper, rtol=1e-12)


def test_a_planned_meal_only_adds() -> None:
    eaten, planned = Meal(time_min=0.0, carbs_g=60.0), Meal(time_min=90.0, carbs_g=10.0)
    without, with_it = (
        run(Therapy(meals=(eaten,), planned=meals), TYPE_2).output("plasma_glucose_mg_dl") for meals in ((), (planned,))
    )
    assert (with_it - without)[90:300].min() >= 0.0
    assert (with_it - without).max() > 5.0


def test_a_feast_and_an_overdose_leave_every_unsigned_state_at_or_above_zero() -> None:
    """A feast secretes so much that the liver's extraction ends at zero, where m3 would change sign."""
    unsigned = [name not in MODEL.signed_states for name in NAMES]
    feast = run(Therapy(meals=(Meal(time_min=0.0, carbs_g=400.0),)), TYPE_2._replace(beta=0.5), minutes=1440.0)
    assert TYPE_2.m5 * TYPE_2.gamma * feast.state("Ipo").max() > TYPE_2.m6
    overdose = run(Therapy(boluses=(Bolus(time_min=0.0, dose_u=100.0),)), NORMAL, minutes=1440.0)
    assert overdose.output("plasma_glucose_mg_dl").min() < 40.0
    for solution in (feast, overdose):
        assert solution.states[:, unsigned].min() > -1e-9
