"""Protein, fat and fibre: late glucose, a slow stomach, and nothing at all without them."""

import numpy as np
import pytest

from twin_core.domain.history import Meal, Therapy
from twin_core.models.glucose.dalla_man_2014 import MODEL
from twin_core.models.glucose.meals import SLOWEST, emptying_share, late_carbs_mg_min
from twin_core.solve.rk4 import Solution, integrate
from twin_core.solve.schedule import schedule_of

MINUTES = np.arange(0.0, 1441.0)


def eaten(*, planned: bool = False, **meal: float) -> Solution:
    meals = (Meal(time_min=0.0, carbs_g=40.0, **meal),)
    therapy = Therapy(planned=meals) if planned else Therapy(meals=meals)
    return integrate(MODEL, MODEL.parameters(), schedule_of(therapy, start_min=0.0, end_min=720.0))


def test_a_meal_of_carbohydrate_alone_is_bit_for_bit_what_it_was() -> None:
    plain = schedule_of(Therapy(meals=(Meal(time_min=0.0, carbs_g=40.0),)), start_min=0.0, end_min=720.0)
    said = Meal(time_min=0.0, carbs_g=40.0, protein_g=0.0, fat_g=0.0, fibre_g=0.0)
    np.testing.assert_array_equal(
        schedule_of(Therapy(meals=(said,)), start_min=0.0, end_min=720.0).inputs, plain.inputs
    )
    assert (plain.input("emptying_share") == 1.0).all()
    assert not plain.input("late_carbs_mg_min").any()


@pytest.mark.parametrize(
    ("protein_g", "fat_g", "carbs_g", "hours"),
    [(25.0, 0.0, 10.0, 3.0), (50.0, 0.0, 20.0, 4.0), (30.0, 20.0, 30.0, 5.0), (50.0, 40.0, 56.0, 8.0)],
)
def test_late_glucose_follows_the_warsaw_rule(protein_g: float, fat_g: float, carbs_g: float, hours: float) -> None:
    """10 g for each 100 kcal of 4 kcal/g protein and 9 kcal/g fat, over 3, 4, 5 and 8 h (Pankowska 2012)."""
    meal = Meal(time_min=100.0, carbs_g=0.0, protein_g=protein_g, fat_g=fat_g)
    rates = late_carbs_mg_min((meal,), MINUTES)
    assert rates.sum() == pytest.approx(1000.0 * carbs_g)
    during = np.flatnonzero(rates > 0.0)
    assert (during[0], during[-1] + 1) == (160, 160 + 60.0 * hours)


def test_late_glucose_of_meals_adds() -> None:
    meals = tuple(Meal(time_min=t, carbs_g=0.0, protein_g=20.0, fat_g=10.0) for t in (0.0, 90.0))
    np.testing.assert_allclose(
        late_carbs_mg_min(meals, MINUTES), sum(late_carbs_mg_min((meal,), MINUTES) for meal in meals), atol=1e-9
    )


def test_protein_raises_glucose_late_and_not_early() -> None:
    """Paterson 2017: 75 g of protein beside 30 g carbohydrate raised glucose from 150 min on, 5 mmol/L at 300 min."""
    rise = eaten(protein_g=75.0).output("glucose_mg_dl") - eaten().output("glucose_mg_dl")
    assert np.abs(rise[:90]).max() < 5.0
    assert 40.0 < rise[300] < 140.0


def test_fat_lowers_early_and_raises_late_glucose() -> None:
    """Lodefalk 2008: less in the first two hours with 38 g of fat. Smart 2013: more from 210 min on with 35 g."""
    rise = eaten(fat_g=36.0).output("glucose_mg_dl") - eaten().output("glucose_mg_dl")
    assert rise[:120].mean() < -5.0
    assert rise[210:300].mean() > 15.0


def test_fat_halves_the_rate_of_emptying_by_36_g_and_fibre_lengthens_it_by_a_quarter_by_14_g() -> None:
    """Lodefalk 2008: paracetamol peaked at 120 instead of 60 min. Benini 1995: 231.7 instead of 186.0 min."""
    begun = np.array([0.0])
    assert emptying_share((Meal(time_min=0.0, carbs_g=50.0, fat_g=36.0),), begun)[0] == pytest.approx(0.5)
    slowed = emptying_share((Meal(time_min=0.0, carbs_g=50.0, fibre_g=13.9),), begun)[0]
    assert 1.0 / slowed == pytest.approx(231.7 / 186.0, rel=0.01)


def test_a_stomach_slows_from_the_meal_on_recovers_and_never_stands_still() -> None:
    share = emptying_share((Meal(time_min=60.0, carbs_g=50.0, fat_g=300.0),), MINUTES)
    assert (share[:60] == 1.0).all()
    assert share[60] == SLOWEST
    assert (np.diff(share[60:]) >= 0.0).all()
    assert share[-1] > 0.9


def test_fat_delays_carbohydrate_without_losing_any() -> None:
    fibre, plain = eaten(fibre_g=30.0), eaten()
    left = [solution.final_state[:3].sum() for solution in (fibre, plain)]
    assert max(left) < 400.0  # mg of 40 g
    absorbed = [np.cumsum(solution.state("Qgut")) for solution in (fibre, plain)]
    assert absorbed[0][120] < 0.95 * absorbed[1][120]
    assert absorbed[0][-1] == pytest.approx(absorbed[1][-1], rel=0.01)


def test_a_planned_meal_adds_late_glucose_and_does_not_slow_the_stomach() -> None:
    therapy = Therapy(planned=(Meal(time_min=10.0, carbs_g=20.0, fat_g=30.0, protein_g=20.0),))
    schedule = schedule_of(therapy, start_min=0.0, end_min=720.0)
    assert (schedule.input("emptying_share") == 1.0).all()
    assert schedule.input("late_carbs_mg_min").sum() > 0.0
    rise = eaten(planned=True, fat_g=30.0).output("glucose_mg_dl") - eaten(planned=True).output("glucose_mg_dl")
    assert rise.min() > -1e-9
