"""Virtual people: drawn from published distributions, kept when they behave as people do.

Nobody here is a copy of anybody: a cohort is a sample of parameters, and no table of patients is shipped.

Type 1 diabetes in the UVA/Padova structure: published means with the spread of `inference.priors`, body weight and
basal insulin by age group. In Hovorka's: insulin sensitivities that rise and fall together, glucose production and
weight as [1]; the basal rate is what holds basal glucose with them. Either person is kept when

- every parameter is within the range that its model declares;
- basal insulin is between 0.1 and 0.8 U/kg/day;
- without any insulin glucose passes 300 mg/dL [1];
- with 15 U/h (an adult; others in proportion to weight) it falls from 160 to below 100 mg/dL [1];
- the carbohydrate ratio is between 3 and 40 g/U;
- 1 U lowers glucose by 5 to 300 mg/dL.

The carbohydrate ratio is found by simulation: the bolus that, given with a meal, has glucose back where it was after
five hours. So is the correction factor: how far a small bolus lowers glucose within five hours.

Type 2 diabetes and none: both published means of Dalla Man 2007, spread as above. A person is kept when fasting glucose
and glucose two hours after 75 g (1.75 g/kg in children) are what the diagnosis asks for [5].

References
----------
[1] Resalat, El Youssef, Tyler, Castle, Jacobs 2019, PLoS ONE 14(7):e0217301, doi 10.1371/journal.pone.0217301; the
    distributions as its authors' open code has them.
[2] Klinkert et al. 2008, Exp Clin Endocrinol Diabetes 116, doi 10.1055/s-2007-990296: 743 pump users of 0-18 years.
[3] BioMed Research International 2015:250656, table 3: basal 0.31 +- 0.07 U/kg/day on pumps, 0.32 +- 0.08 before
    puberty.
[4] US EPA, Exposure Factors Handbook 2011 (EPA/600/R-09/052F), table 8-1.
[5] American Diabetes Association, Standards of Care, Diagnosis and Classification: diabetes at 126 mg/dL fasting or 200
    after two hours, normal below 100 and 140.
[6] Wilinska et al. 2010, J Diabetes Sci Technol 4(1):132 (unverified: its table from memory).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.errors import BadInput, UnknownName
from twin_core.domain.history import BasalRate, Bolus, FloatArray, Meal, Therapy
from twin_core.domain.models import OdeModel, quantities
from twin_core.inference.priors import population_prior
from twin_core.inference.structures import structure_named
from twin_core.models.glucose import dalla_man_2007, dalla_man_2014, hovorka_2004
from twin_core.solve.rk4 import integrate_batch
from twin_core.solve.schedule import schedule_of, schedules_of

BoolArray: TypeAlias = NDArray[np.bool_]


class Diabetes(StrEnum):
    """Whether a virtual person has diabetes, and which."""

    TYPE_1 = "t1d"
    TYPE_2 = "t2d"
    NONE = "none"


class AgeGroup(StrEnum):
    """How old virtual people are: 18 years and more, 11 to 17, 6 to 10."""

    ADULT = "adult"
    ADOLESCENT = "adolescent"
    CHILD = "child"


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Published statistics of an age group; both quantities are taken as lognormal.

    `meal_g` is the meal at which the carbohydrate ratio is found (a choice: 0.8 g/kg), `load_g` the glucose drunk for
    the diagnosis.
    """

    weight_kg: float
    weight_sd_kg: float
    basal_u_kg_day: float
    basal_sd_u_kg_day: float
    meal_g: float
    load_g: float


_GROUPS: Mapping[AgeGroup, _Group] = {
    # weight [1]; basal 42.3 U/day of which 1/1.78 basal, at 76.3 kg [1], spread of [3]
    AgeGroup.ADULT: _Group(
        weight_kg=76.3, weight_sd_kg=15.9, basal_u_kg_day=0.311, basal_sd_u_kg_day=0.07, meal_g=60.0, load_g=75.0
    ),
    # weight [4], SD unverified; basal [2], spread of [3]
    AgeGroup.ADOLESCENT: _Group(
        weight_kg=56.8, weight_sd_kg=11.4, basal_u_kg_day=0.41, basal_sd_u_kg_day=0.09, meal_g=45.0, load_g=75.0
    ),
    AgeGroup.CHILD: _Group(
        weight_kg=31.8, weight_sd_kg=6.4, basal_u_kg_day=0.34, basal_sd_u_kg_day=0.085, meal_g=25.0, load_g=55.0
    ),
}

BASAL_U_KG_DAY = (0.1, 0.8)
CARB_RATIO_G_U = (3.0, 40.0)
CORRECTION_MG_DL_U = (5.0, 300.0)
"""Plausible bounds of basal insulin, carbohydrate ratio and correction factor: choices."""

GLUCOSE_SD = 0.15
"""SD of the log of basal glucose between people of Hovorka's structure: that of `inference.priors`."""
SENSITIVITY_SHARE = 0.4
"""Sensitivities in type 1 diabetes over those of the distributions of [1], which are for no diabetes."""
TIMING_SD = 0.25
"""SD of the log of Hovorka's tG and tI [6]."""
SECRETION_SD = 0.3
"""SD of the log of a parameter of secretion (a choice)."""
PRODUCTION_SD = 0.1
"""SD of the log of kp1 in the model of type 2 diabetes (a choice: fasting glucose follows it closely)."""

_HIGH_WITHOUT_INSULIN_MG_DL = 300.0
_WITHOUT_INSULIN_MIN = 2880.0
_MUCH_INSULIN_U_H = 15.0
_MUCH_FROM_MG_DL, _MUCH_TO_MG_DL = 160.0, 100.0
_MUCH_MIN = 1000.0
_AFTER_MEAL_MIN = 300.0
_HIGHEST_FASTING_MG_DL = 300.0
_TRIED_G_U = np.geomspace(60.0, 2.0, 18)
"""Carbohydrate ratios that are simulated; between them the answer is interpolated."""

SAMPLED_PER_PERSON = 50
"""So many are drawn, at most, for each person wanted."""


@dataclass(frozen=True, kw_only=True)
class VirtualPerson:
    """One person: a model's parameters, and the dosing that suits them (None without insulin treatment)."""

    model: OdeModel
    diabetes: Diabetes
    group: AgeGroup
    parameters: Any
    carb_ratio_g_u: float | None = None
    correction_mg_dl_u: float | None = None


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """People, how many were drawn to find them, and why the others were not kept."""

    people: tuple[VirtualPerson, ...]
    n_drawn: int
    rejected: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class _Check:
    """A test that people pass or not; `passes(model, people, group)` returns shape `(n,)`."""

    reason: str
    passes: Callable[[OdeModel, Any, AgeGroup], BoolArray]


@dataclass(frozen=True, kw_only=True)
class _Population:
    """Where people of one kind come from: `draw(n, group, rng)` returns parameters of shape `(n,)`."""

    model: OdeModel
    draw: Callable[[int, AgeGroup, np.random.Generator], Any]
    checks: tuple[_Check, ...]


def virtual_cohort(
    n: int,
    rng: np.random.Generator,
    *,
    diabetes: Diabetes = Diabetes.TYPE_1,
    group: AgeGroup = AgeGroup.ADULT,
    model: str | None = None,
) -> Cohort:
    """Draw `n` virtual people; the same generator state gives the same people.

    Parameters
    ----------
    model
        The structure by name; the first of those that know this diabetes when None.

    Raises
    ------
    UnknownName
        There is no population of this diabetes in this model.
    BadInput
        `n` is not between 1 and 10,000, or too few of 50 `n` people drawn are plausible.
    """
    if not 1 <= n <= 10_000:
        raise BadInput(f"A cohort has 1 to 10,000 people; got {n}.")
    population = _population(diabetes, model)
    kept: list[Any] = []
    rejected: Counter[str] = Counter()
    n_kept = n_drawn = 0
    while n_kept < n and n_drawn < SAMPLED_PER_PERSON * n:
        draws = min(max(16, 2 * (n - n_kept)), SAMPLED_PER_PERSON * n - n_drawn)
        people = _plausible(population, population.draw(draws, group, rng), group, rejected)
        n_drawn += draws
        n_kept += _count(people)
        kept.append(people)
    if n_kept < n:
        reasons = ", ".join(f"{count} {reason}" for reason, count in rejected.most_common())
        raise BadInput(f"Of {n_drawn} people drawn {n_kept} are plausible, {n} are wanted; the others: {reasons}.")
    chosen = _subset(_joined(kept), np.arange(n))
    return Cohort(
        people=tuple(_people(population.model, chosen, diabetes, group)), n_drawn=n_drawn, rejected=dict(rejected)
    )


def carb_ratio_g_u(model: OdeModel, people: Any, group: AgeGroup) -> FloatArray:
    """Carbohydrate that 1 U covers [g/U], shape `(n,)` for parameters of shape `(n,)`; NaN outside 2 to 60 g/U.

    The bolus with which glucose is, five hours after a meal of 0.8 g/kg, where it was.
    """
    meal = Meal(time_min=0.0, carbs_g=_GROUPS[group].meal_g)
    doses = meal.carbs_g / _TRIED_G_U
    days = schedules_of(
        [Therapy(meals=(meal,), boluses=(Bolus(time_min=0.0, dose_u=dose),)) for dose in doses],
        start_min=0.0,
        end_min=_AFTER_MEAL_MIN,
    )
    ends = [_glucose(model, people, day, _AFTER_MEAL_MIN) for day in days]
    change = np.stack([end[:, -1] - end[:, 0] for end in ends], axis=1)
    return np.array([meal.carbs_g / _crossing(doses, row) for row in change])


def correction_mg_dl_u(model: OdeModel, people: Any, group: AgeGroup) -> FloatArray:
    """How far 1 U lowers glucose within five hours [mg/dL per U], shape `(n,)`; measured with a small bolus."""
    dose = _GROUPS[group].meal_g / 60.0
    day = schedule_of(Therapy(boluses=(Bolus(time_min=0.0, dose_u=dose),)), start_min=0.0, end_min=_AFTER_MEAL_MIN)
    glucose = _glucose(model, people, day, 5.0)
    return np.asarray((glucose[:, 0] - glucose.min(axis=1)) / dose)


def _population(diabetes: Diabetes, model: str | None) -> _Population:
    known = {each.model.name: each for kind, each in _populations() if kind is diabetes}
    if model is None:
        return next(iter(known.values()))
    if model not in known:
        raise UnknownName(f"model of {diabetes.value} for virtual people", model, known)
    return known[model]


def _populations() -> Iterator[tuple[Diabetes, _Population]]:
    yield Diabetes.TYPE_1, _Population(model=dalla_man_2014.MODEL, draw=_uva_padova, checks=_TYPE_1_CHECKS)
    yield Diabetes.TYPE_1, _Population(model=hovorka_2004.MODEL, draw=_hovorka, checks=_TYPE_1_CHECKS)
    yield Diabetes.TYPE_2, _Population(model=dalla_man_2007.MODEL, draw=_type_2, checks=_TYPE_2_CHECKS)
    yield Diabetes.NONE, _Population(model=dalla_man_2007.MODEL, draw=_no_diabetes, checks=_NO_DIABETES_CHECKS)


def _uva_padova(n: int, group: AgeGroup, rng: np.random.Generator) -> Any:
    prior = population_prior()
    people = prior.parameters(prior.theta(rng.normal(size=(n, len(prior.names)))), body_weight_kg=1.0, basal_u_h=1.0)
    of_group = _GROUPS[group]
    weight_kg = _lognormal(rng, of_group.weight_kg, of_group.weight_sd_kg, n)
    basal_u_kg_day = _lognormal(rng, of_group.basal_u_kg_day, of_group.basal_sd_u_kg_day, n)
    return people._replace(BW=weight_kg, basal_u_h=basal_u_kg_day * weight_kg / 24.0)


def _hovorka(n: int, group: AgeGroup, rng: np.random.Generator) -> Any:
    """Sensitivities, production and weight of [1]; what [1] does not vary but gut and injection site is nominal."""
    of_group = _GROUPS[group]
    shared = rng.normal(size=n)
    transport = 5.12 + 1.44 * (shared + rng.uniform(-0.25, 0.25, n))
    disposal = 0.82 + 0.32 * shared
    liver = 52.0 + 13.75 * (shared + rng.uniform(-0.75, 0.75, n))
    # a negative draw becomes so small a number that the declared range refuses it
    sensitivities = (SENSITIVITY_SHARE * np.maximum(values, 1e-3) for values in (transport, disposal, liver))
    nominal: Any = hovorka_2004.Parameters()
    people = _everybody(nominal, n)._replace(
        **dict(zip(("SIT", "SID", "SIE"), sensitivities, strict=True)),
        BW=_lognormal(rng, of_group.weight_kg, of_group.weight_sd_kg, n),
        Gb=115.0 * np.exp(GLUCOSE_SD * rng.normal(size=n)),
        tG=nominal.tG * np.exp(TIMING_SD * rng.normal(size=n)),
        tI=nominal.tI * np.exp(TIMING_SD * rng.normal(size=n)),
    )
    production = hovorka_2004.EGP0_MG_KG_MIN * (1.0 + 0.0016 / 0.0161 * rng.normal(size=n))
    return people._replace(basal_u_h=hovorka_2004.basal_rate_for(people, production))


def _type_2(n: int, group: AgeGroup, rng: np.random.Generator) -> Any:
    return _around(dalla_man_2007.Parameters(), n, group, rng)


def _no_diabetes(n: int, group: AgeGroup, rng: np.random.Generator) -> Any:
    return _around(dalla_man_2007.NORMAL, n, group, rng)


def _around(mean: Any, n: int, group: AgeGroup, rng: np.random.Generator) -> Any:
    """Log-normal around published means; what is a share of something stays."""
    prior, of_group = population_prior(), _GROUPS[group]
    spread = dict(zip(prior.names, prior.sd.tolist(), strict=True))
    spread |= dict.fromkeys(("K", "alpha", "beta", "gamma"), SECRETION_SD) | {"kp1": PRODUCTION_SD, "b": 0.0, "c": 0.0}
    varied = {
        name: values * np.exp(spread.get(name, 0.0) * rng.normal(size=n))
        for name, values in _everybody(mean, n)._asdict().items()
    }
    weight_kg = _lognormal(rng, of_group.weight_kg, of_group.weight_sd_kg, n)
    return type(mean)(**varied | {"BW": weight_kg, "m4": mean.m4 / mean.m2 * varied["m2"]})


def _everybody(person: Any, n: int) -> Any:
    """The parameters of `n` people who are all alike."""
    return type(person)(*(np.full(n, value) for value in person))


def _lognormal(rng: np.random.Generator, mean: float, sd: float, n: int) -> FloatArray:
    """A lognormal sample of the given mean and SD (not those of the logarithm)."""
    variance = np.log1p((sd / mean) ** 2)
    return rng.lognormal(np.log(mean) - variance / 2.0, np.sqrt(variance), n)


def _plausible(population: _Population, people: Any, group: AgeGroup, rejected: Counter[str]) -> Any:
    """Those who pass every check; each other is counted under the first that failed."""
    for check in population.checks:
        if _count(people) == 0:
            break
        passed = check.passes(population.model, people, group)
        rejected += Counter({check.reason: int((~passed).sum())})
        people = _subset(people, np.flatnonzero(passed))
    return people


def _declared(model: OdeModel, people: Any, group: AgeGroup) -> BoolArray:  # noqa: ARG001
    declared = quantities(model.parameters)
    columns = zip(declared.values(), people, strict=True)
    inside = [(quantity.low <= values) & (values <= quantity.high) for quantity, values in columns]
    return np.asarray(np.all(inside, axis=0))


def _usual_basal(model: OdeModel, people: Any, group: AgeGroup) -> BoolArray:  # noqa: ARG001
    return _between(24.0 * people.basal_u_h / people.BW, BASAL_U_KG_DAY)


def _needs_insulin(model: OdeModel, people: Any, group: AgeGroup) -> BoolArray:  # noqa: ARG001
    nothing = Therapy(basal=(BasalRate(time_min=0.0, rate_u_h=0.0),))
    day = schedule_of(nothing, start_min=0.0, end_min=_WITHOUT_INSULIN_MIN)
    return np.asarray(_glucose(model, people, day, 60.0).max(axis=1) > _HIGH_WITHOUT_INSULIN_MG_DL)


def _answers_to_insulin(model: OdeModel, people: Any, group: AgeGroup) -> BoolArray:
    rate_u_h = _MUCH_INSULIN_U_H * _GROUPS[group].weight_kg / _GROUPS[AgeGroup.ADULT].weight_kg
    much = Therapy(basal=(BasalRate(time_min=0.0, rate_u_h=rate_u_h),))
    day = schedule_of(much, start_min=0.0, end_min=_MUCH_MIN)
    at_rest = np.stack(model.steady_state(people), axis=1)
    start = structure_named(model.name).with_glucose(at_rest, people, _MUCH_FROM_MG_DL)
    return np.asarray(_glucose(model, people, day, 10.0, start).min(axis=1) < _MUCH_TO_MG_DL)


def _usual_ratio(model: OdeModel, people: Any, group: AgeGroup) -> BoolArray:
    return _between(carb_ratio_g_u(model, people, group), CARB_RATIO_G_U)


def _usual_correction(model: OdeModel, people: Any, group: AgeGroup) -> BoolArray:
    return _between(correction_mg_dl_u(model, people, group), CORRECTION_MG_DL_U)


def _has_type_2(model: OdeModel, people: Any, group: AgeGroup) -> BoolArray:
    fasting, later = _fasting_and_later(model, people, group)
    return _between(fasting, (70.0, _HIGHEST_FASTING_MG_DL)) & ((fasting >= 126.0) | (later >= 200.0))


def _has_no_diabetes(model: OdeModel, people: Any, group: AgeGroup) -> BoolArray:
    fasting, later = _fasting_and_later(model, people, group)
    return _between(fasting, (70.0, 99.99)) & (later < 140.0)


def _fasting_and_later(model: OdeModel, people: Any, group: AgeGroup) -> tuple[FloatArray, FloatArray]:
    """Glucose before and two hours after the load [mg/dL]."""
    load = Meal(time_min=0.0, carbs_g=_GROUPS[group].load_g, duration_min=5.0)
    glucose = _glucose(model, people, schedule_of(Therapy(meals=(load,)), start_min=0.0, end_min=120.0), 120.0)
    return glucose[:, 0], glucose[:, -1]


_IN_RANGE = _Check(reason="with a parameter outside its range", passes=_declared)
_TYPE_2_CHECKS = (_IN_RANGE, _Check(reason="without type 2 diabetes by glucose", passes=_has_type_2))
_NO_DIABETES_CHECKS = (_IN_RANGE, _Check(reason="not normal by glucose", passes=_has_no_diabetes))
_TYPE_1_CHECKS = (
    _IN_RANGE,
    _Check(reason="with an implausible basal rate", passes=_usual_basal),
    _Check(reason="below 300 mg/dL without insulin", passes=_needs_insulin),
    _Check(reason="above 100 mg/dL with 15 U/h", passes=_answers_to_insulin),
    _Check(reason="with an implausible carbohydrate ratio", passes=_usual_ratio),
    _Check(reason="with an implausible correction factor", passes=_usual_correction),
)


def _glucose(model: OdeModel, people: Any, schedule: Any, every_min: float, start: Any = None) -> FloatArray:
    """Sensed glucose [mg/dL], shape `(n, n_times)`."""
    return integrate_batch(model, people, schedule, start, every_min=every_min).output("glucose_mg_dl")


def _between(values: FloatArray, bounds: tuple[float, float]) -> BoolArray:
    """NaN is not between anything."""
    return np.asarray((bounds[0] <= values) & (values <= bounds[1]))


def _crossing(doses: FloatArray, change: FloatArray) -> float:
    """The dose at which a decreasing change is 0; NaN when no tried dose brackets it."""
    if not change[0] > 0.0 > change[-1]:
        return float("nan")
    right = int(np.argmax(change <= 0.0))
    share = change[right - 1] / (change[right - 1] - change[right])
    return float(doses[right - 1] + share * (doses[right] - doses[right - 1]))


def _count(people: Any) -> int:
    return len(people[0])


def _subset(people: Any, chosen: NDArray[np.intp]) -> Any:
    return type(people)(*(values[chosen] for values in people))


def _joined(parts: Sequence[Any]) -> Any:
    return type(parts[0])(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _people(model: OdeModel, chosen: Any, diabetes: Diabetes, group: AgeGroup) -> Iterator[VirtualPerson]:
    treated = diabetes is Diabetes.TYPE_1
    ratios = carb_ratio_g_u(model, chosen, group).tolist() if treated else [None] * _count(chosen)
    factors = correction_mg_dl_u(model, chosen, group).tolist() if treated else [None] * _count(chosen)
    for ratio, factor, values in zip(ratios, factors, zip(*chosen, strict=True), strict=True):
        yield VirtualPerson(
            model=model,
            diabetes=diabetes,
            group=group,
            parameters=model.parameters(*map(float, values)),
            carb_ratio_g_u=ratio,
            correction_mg_dl_u=factor,
        )
