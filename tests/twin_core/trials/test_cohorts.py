"""Virtual people are plausible, the same for the same seed, and each refusal is counted."""

import numpy as np
import pytest

from twin_core.domain.errors import BadInput, UnknownName
from twin_core.domain.history import BasalRate, Bolus, FloatArray, Meal, Therapy
from twin_core.domain.models import quantities
from twin_core.models.glucose import dalla_man_2007, dalla_man_2014, hovorka_2004
from twin_core.solve.compiled import kernel_of
from twin_core.solve.rk4 import integrate
from twin_core.solve.schedule import schedule_of
from twin_core.trials.cohorts import AgeGroup, Cohort, Diabetes, VirtualPerson, virtual_cohort

N = 12
KINDS = [
    (Diabetes.TYPE_1, dalla_man_2014.MODEL.name),
    (Diabetes.TYPE_1, hovorka_2004.MODEL.name),
    (Diabetes.TYPE_2, dalla_man_2007.MODEL.name),
    (Diabetes.NONE, dalla_man_2007.MODEL.name),
]
TYPE_1 = [name for kind, name in KINDS if kind is Diabetes.TYPE_1]


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    for model in (dalla_man_2014.MODEL, hovorka_2004.MODEL):
        kernel_of(model).warm_up()


@pytest.fixture(scope="module")
def cohorts() -> dict[tuple[Diabetes, str], Cohort]:
    return {
        (kind, name): virtual_cohort(N, np.random.default_rng(3), diabetes=kind, model=name) for kind, name in KINDS
    }


def glucose(person: VirtualPerson, therapy: Therapy, minutes: float) -> FloatArray:
    course = integrate(person.model, person.parameters, schedule_of(therapy, start_min=0.0, end_min=minutes))
    return course.output("glucose_mg_dl")


@pytest.mark.parametrize("kind", KINDS)
def test_a_cohort_has_the_people_asked_for_within_the_ranges_of_their_model(
    kind: tuple[Diabetes, str], cohorts: dict[tuple[Diabetes, str], Cohort]
) -> None:
    people = cohorts[kind].people
    assert len(people) == N
    for person in people:
        assert person.diabetes is kind[0]
        assert person.model.name == kind[1]
        for name, quantity in quantities(person.model.parameters).items():
            assert quantity.low <= getattr(person.parameters, name) <= quantity.high
    assert len({person.parameters for person in people}) == N


@pytest.mark.parametrize("kind", KINDS)
def test_everybody_drawn_is_kept_or_counted_with_a_reason(
    kind: tuple[Diabetes, str], cohorts: dict[tuple[Diabetes, str], Cohort]
) -> None:
    cohort = cohorts[kind]
    assert N + sum(cohort.rejected.values()) <= cohort.n_drawn <= 50 * N
    assert all(count > 0 for count in cohort.rejected.values())


def test_the_same_seed_gives_the_same_people_and_another_seed_others() -> None:
    first, again, other = (virtual_cohort(3, np.random.default_rng(seed)).people for seed in (1, 1, 2))
    assert first == again
    assert first[0].parameters != other[0].parameters


@pytest.mark.parametrize("name", TYPE_1)
def test_type_1_without_insulin_passes_300_and_with_much_falls_below_100(
    name: str, cohorts: dict[tuple[Diabetes, str], Cohort]
) -> None:
    """Resalat 2019, doi 10.1371/journal.pone.0217301: the two tests that its authors prune by."""
    person = cohorts[Diabetes.TYPE_1, name].people[0]
    without = Therapy(basal=(BasalRate(time_min=0.0, rate_u_h=0.0),))
    much = Therapy(basal=(BasalRate(time_min=0.0, rate_u_h=15.0),))
    assert glucose(person, without, 2880.0).max() > 300.0
    assert glucose(person, much, 1000.0).min() < 100.0


@pytest.mark.parametrize("name", TYPE_1)
def test_a_bolus_by_the_carb_ratio_brings_glucose_back_after_five_hours(
    name: str, cohorts: dict[tuple[Diabetes, str], Cohort]
) -> None:
    for person in cohorts[Diabetes.TYPE_1, name].people[:3]:
        assert person.carb_ratio_g_u is not None
        assert 3.0 <= person.carb_ratio_g_u <= 40.0
        meal = Meal(time_min=0.0, carbs_g=60.0)
        bolus = Bolus(time_min=0.0, dose_u=60.0 / person.carb_ratio_g_u)
        course = glucose(person, Therapy(meals=(meal,), boluses=(bolus,)), 301.0)
        assert course[300] == pytest.approx(course[0], abs=3.0)
        assert course.max() > course[0] + 1.0


@pytest.mark.parametrize("name", TYPE_1)
def test_the_correction_factor_is_what_one_unit_lowers(name: str, cohorts: dict[tuple[Diabetes, str], Cohort]) -> None:
    person = cohorts[Diabetes.TYPE_1, name].people[0]
    course = glucose(person, Therapy(boluses=(Bolus(time_min=0.0, dose_u=1.0),)), 300.0)
    assert course[0] - course.min() == pytest.approx(person.correction_mg_dl_u, rel=0.02)


def test_children_weigh_less_and_take_less_insulin_than_adults() -> None:
    groups = {
        group: virtual_cohort(N, np.random.default_rng(5), group=group).people
        for group in (AgeGroup.ADULT, AgeGroup.CHILD)
    }
    for name in ("BW", "basal_u_h"):
        adults, children = (np.median([getattr(p.parameters, name) for p in people]) for people in groups.values())
        assert children < 0.7 * adults


def test_type_2_and_none_are_what_the_diagnosis_asks_for(cohorts: dict[tuple[Diabetes, str], Cohort]) -> None:
    """American Diabetes Association: 126 mg/dL fasting or 200 two hours after 75 g; normal below 100 and 140."""
    load = Therapy(meals=(Meal(time_min=0.0, carbs_g=75.0, duration_min=5.0),))
    for kind in (Diabetes.TYPE_2, Diabetes.NONE):
        for person in cohorts[kind, dalla_man_2007.MODEL.name].people[:4]:
            course = glucose(person, load, 121.0)
            diabetic = course[0] >= 126.0 or course[120] >= 200.0
            normal = course[0] < 100.0 and course[120] < 140.0
            assert (diabetic, normal) == ((True, False) if kind is Diabetes.TYPE_2 else (False, True))
            assert person.carb_ratio_g_u is None


def test_people_differ_as_the_published_spread_says() -> None:
    """Weight of adults with type 1 diabetes 76.3 +- 15.9 kg, Resalat 2019."""
    people = virtual_cohort(300, np.random.default_rng(9), model=hovorka_2004.MODEL.name).people
    weights = np.array([person.parameters.BW for person in people])
    assert weights.mean() == pytest.approx(76.3, abs=3.0)
    assert weights.std() == pytest.approx(15.9, abs=2.5)


def test_an_unknown_model_or_an_empty_cohort_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(UnknownName, match="uva_padova_t1d"):
        virtual_cohort(1, rng, model="bergman")
    with pytest.raises(UnknownName, match="t2d"):
        virtual_cohort(1, rng, diabetes=Diabetes.TYPE_2, model=hovorka_2004.MODEL.name)
    with pytest.raises(BadInput, match="got 0"):
        virtual_cohort(0, rng)


def test_a_population_of_which_nobody_is_plausible_ends_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin_core.trials.cohorts.CARB_RATIO_G_U", (1000.0, 2000.0))
    with pytest.raises(BadInput, match=r"Of 100 people drawn 0 are plausible, 2 are wanted.*carbohydrate ratio"):
        virtual_cohort(2, np.random.default_rng(0))
