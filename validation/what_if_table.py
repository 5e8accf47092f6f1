"""The test that decides about the twin: what it answers to a what-if, on people whose true answer is known.

A day from 04:00 on: 45, 70 and 80 g after 3, 8 and 14 hours over 5 min, a bolus of g/CR over the same 5 min, own basal
insulin; a sensor's readings every 5 min. The twin is fitted to that one day and then says what six changed days would
have been: boluses, basal insulin or meals x0.7 and x1.3. Two numbers a change, medians over people: MARD of the
predicted against the true day (both at least 40 mg/dL), and gain = mean predicted change / mean true change, 1 when
right.

True days come from (a) the ten adults of simglucose, whose equations are the twin's, and (b) twenty people of Hovorka's
structure, which is not. Beside the twin's answer stands what it says together with its second structure, each by the
evidence of that one day (`inference.weights`), as `/what-if` shows it; on (b) that second structure is the truth's own,
so that the twin alone is the test of a wrong structure. ReplayBG 1.4.0 gets the same readings (MAP with 8 starts, its
replay without sensor error).
"""

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from twin_core.domain.history import BasalRate, Bolus, FloatArray, History, Meal, Therapy
from twin_core.domain.models import OdeModel
from twin_core.inference.map_fit import fit_twin
from twin_core.inference.state import as_batch, current_state
from twin_core.inference.twin import UVA_PADOVA, FittedTwin
from twin_core.inference.weights import evidence_shares
from twin_core.models.glucose import dalla_man_2014, hovorka_2004
from twin_core.models.glucose.cgm_errors import errors, sensor_named
from twin_core.services.second_structure import SECOND
from twin_core.solve.compiled import kernel_of
from twin_core.solve.rk4 import integrate_batch
from twin_core.solve.schedule import schedule_of
from twin_core.trials.cohorts import virtual_cohort
from validation.line import Line
from validation.peers import answer_of, ours, simglucose_adults

MEALS = ((180.0, 45.0), (480.0, 70.0), (840.0, 80.0))
"""Minutes after 04:00 and grams."""
EATING_MIN = 5.0
LOCAL_TIME_MIN = 240.0
"""Minute 0 is 04:00."""
TIMES_MIN = np.arange(0.0, 1440.0, 5.0)
FLOOR_MG_DL = 40.0
SENSOR = "vettoretti_2019"
N_HOVORKA = 20
SEED = 34
STARTS = 8
"""Powell starts of ReplayBG's MAP; its default of 128 takes 16 times as long."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A changed day: factors of boluses, basal insulin and carbohydrate."""

    name: str
    boluses: float = 1.0
    basal: float = 1.0
    carbs: float = 1.0


AS_IT_WAS = Change(name="as it was")
CHANGES = (
    Change(name="bolus x0.7", boluses=0.7),
    Change(name="bolus x1.3", boluses=1.3),
    Change(name="basal x0.7", basal=0.7),
    Change(name="basal x1.3", basal=1.3),
    Change(name="carbs x0.7", carbs=0.7),
    Change(name="carbs x1.3", carbs=1.3),
)


@dataclass(frozen=True, kw_only=True)
class Somebody:
    """A person whose answers are known.

    Attributes
    ----------
    true_mg_dl
        Shape `(7, n_times)`: the day as it was and the six changed ones, without sensor error.
    readings_mg_dl
        Shape `(n_times,)`: what the sensor showed of the first.
    """

    name: str
    weight_kg: float
    basal_u_h: float
    gram_per_unit: float
    true_mg_dl: FloatArray
    readings_mg_dl: FloatArray


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What somebody's twin said of the seven days, shape `(7, n_times)`, and what the fit took.

    `weighed_mg_dl` is what the twin and its second structure say together, by evidence; `share` that of the second.
    """

    predicted_mg_dl: FloatArray
    cpu_s: float
    weighed_mg_dl: FloatArray | None = None
    share: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Group:
    """True people of one structure with the targets of the twin."""

    title: str
    model: OdeModel
    most_mard: float
    most_mard_basal_up: float
    gain: tuple[float, float]


SAME = Group(
    title="same structure", model=dalla_man_2014.MODEL, most_mard=5.0, most_mard_basal_up=5.0, gain=(0.9, 1.15)
)
OTHER = Group(
    title="other structure", model=hovorka_2004.MODEL, most_mard=15.0, most_mard_basal_up=26.0, gain=(0.7, 1.2)
)


def lines(data: Path) -> Iterator[Line]:  # noqa: ARG001
    """MARD and gain of both twins for each structure and change, and the CPU seconds of both."""
    for group in (SAME, OTHER):
        kernel_of(group.model).warm_up()
    everybody = {SAME.title: adults_of_simglucose(), OTHER.title: people_of_hovorka()}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        peers = {title: replayed(pool, people) for title, people in everybody.items()}
        own = {title: [answered(person) for person in people] for title, people in everybody.items()}
        for group in (SAME, OTHER):
            people, theirs = everybody[group.title], gathered(peers[group.title])
            yield from compared(group, people, own[group.title], theirs)


def adults_of_simglucose() -> list[Somebody]:
    """The ten adults, simulated by our engine (which case p1 proves to be equal)."""
    people = simglucose_adults()
    return [
        somebody(person["name"], dalla_man_2014.MODEL, ours(person), person["gram_per_unit"], number)
        for number, person in enumerate(people)
    ]


def people_of_hovorka() -> list[Somebody]:
    """Twenty virtual adults of the other structure."""
    cohort = virtual_cohort(N_HOVORKA, np.random.default_rng(SEED), model=hovorka_2004.MODEL.name)
    return [
        somebody(
            f"hovorka#{number:03d}", person.model, person.parameters, person.carb_ratio_g_u or np.nan, 100 + number
        )
        for number, person in enumerate(cohort.people)
    ]


def somebody(name: str, model: OdeModel, parameters: Any, gram_per_unit: float, number: int) -> Somebody:
    """A person's true days and one day's readings."""
    days = [therapy(gram_per_unit, parameters.basal_u_h, change) for change in (AS_IT_WAS, *CHANGES)]
    true = np.array([curve(model, parameters, day) for day in days])
    path = errors(sensor_named(SENSOR), TIMES_MIN, np.random.default_rng((SEED, number)), faults=False)
    return Somebody(
        name=name,
        weight_kg=parameters.BW,
        basal_u_h=parameters.basal_u_h,
        gram_per_unit=gram_per_unit,
        true_mg_dl=true,
        readings_mg_dl=np.round(path.applied(true[0])),
    )


def therapy(gram_per_unit: float, basal_u_h: float, change: Change) -> Therapy:
    """The day of the experiment with its meals and insulin; a bolus in five parts, a minute each."""
    parts = range(int(EATING_MIN))
    return Therapy(
        meals=tuple(Meal(time_min=t, carbs_g=change.carbs * g, duration_min=EATING_MIN) for t, g in MEALS),
        boluses=tuple(
            Bolus(time_min=t + part, dose_u=change.boluses * g / gram_per_unit / len(parts))
            for t, g in MEALS
            for part in parts
        ),
        basal=(
            BasalRate(time_min=-1440.0, rate_u_h=basal_u_h),
            BasalRate(time_min=0.0, rate_u_h=change.basal * basal_u_h),
        ),
    )


def curve(model: OdeModel, parameters: Any, day: Therapy, start: Any = None) -> FloatArray:
    """Sensed glucose every 5 min from minute 0 on [mg/dL], from rest or a given state."""
    schedule = schedule_of(day, start_min=0.0, end_min=1440.0)
    return integrate_batch(model, parameters, schedule, start, every_min=5.0).output("glucose_mg_dl")[0, :-1]


def answered(person: Somebody) -> Answers:
    """Our twin: fitted to the readings, then asked."""
    day = partial(therapy, person.gram_per_unit, person.basal_u_h)
    history = History(
        cgm_time_min=TIMES_MIN,
        cgm_mg_dl=person.readings_mg_dl,
        therapy=day(AS_IT_WAS),
        utc_offset_min=LOCAL_TIME_MIN,
    )
    began = time.process_time()
    twin = fitted(person, history, UVA_PADOVA)
    cpu_s = time.process_time() - began
    second = fitted(person, history, SECOND)
    first_says, second_says = (
        np.array([predicted_by(each, day(change), start) for change in (AS_IT_WAS, *CHANGES)])
        for each, start in ((each, current_state(each.parameters, history, 0.0)) for each in (twin, second))
    )
    shares = evidence_shares((twin, second))
    assert shares is not None
    return Answers(
        predicted_mg_dl=first_says,
        cpu_s=cpu_s,
        weighed_mg_dl=shares[0] * first_says + shares[1] * second_says,
        share=float(shares[1]),
    )


def fitted(person: Somebody, history: History, structure: str) -> FittedTwin:
    """A twin of the person's one day."""
    twin = fit_twin(
        history, now_min=float(TIMES_MIN[-1]), days=1.0, body_weight_kg=person.weight_kg, structure=structure
    )
    assert isinstance(twin, FittedTwin)
    return twin


def predicted_by(twin: FittedTwin, day: Therapy, start: FloatArray) -> FloatArray:
    """The day by the twin, with what it found of that day's windows and meals."""
    scales = {scale.time_min: np.exp(scale.log_mean) for scale in twin.carb_scales}
    eaten = tuple(replace(meal, carbs_g=meal.carbs_g * scales.get(meal.time_min, 1.0)) for meal in day.meals)
    schedule = schedule_of(replace(day, meals=eaten), start_min=0.0, end_min=1440.0)
    factors = np.ones(len(schedule.times_min))
    for window in sorted(twin.windows, key=lambda window: window.start_min):
        factors[schedule.times_min >= window.start_min] = np.exp(window.log_mean)
    schedule = schedule.with_input("sensitivity", factors)
    model, parameters = twin.structure.model, as_batch(twin.parameters)
    return integrate_batch(model, parameters, schedule, start, every_min=5.0).output("glucose_mg_dl")[0, :-1]


def replayed(pool: ThreadPoolExecutor, people: Sequence[Somebody]) -> list[Future[Any]]:
    """ReplayBG's answers, on their way: a process for half of the people each.

    The empty question before makes its environment, once.
    """
    answer_of("replaybg", "replaybg_days.py", question=asked(()))
    halves = (people[::2], people[1::2])
    return [pool.submit(answer_of, "replaybg", "replaybg_days.py", question=asked(half)) for half in halves]


def asked(people: Sequence[Somebody]) -> dict[str, Any]:
    """The question to ReplayBG: readings and each day's inputs, per 5 min."""
    return {
        "starts": STARTS,
        "people": [
            {
                "name": person.name,
                "body_weight_kg": person.weight_kg,
                "cgm_mg_dl": person.readings_mg_dl.tolist(),
                "days": [per_sample(person, change) for change in (AS_IT_WAS, *CHANGES)],
            }
            for person in people
        ],
    }


def per_sample(person: Somebody, change: Change) -> dict[str, list[float]]:
    """A day's inputs on the grid: each meal and bolus fills the one sample of 5 min that it takes."""
    grams = dict(MEALS)
    eaten = [grams.get(t, 0.0) / EATING_MIN for t in TIMES_MIN.tolist()]
    return {
        "carbs_g_min": [change.carbs * rate for rate in eaten],
        "bolus_u_min": [change.boluses * rate / person.gram_per_unit for rate in eaten],
        "basal_u_min": [change.basal * person.basal_u_h / 60.0] * len(eaten),
    }


def gathered(answers: Sequence[Future[Any]]) -> list[Answers]:
    """ReplayBG's answers in the order of the people."""
    halves = [answer.result() for answer in answers]
    n = sum(len(half) for half in halves)
    return [
        Answers(predicted_mg_dl=np.array(one["predicted_mg_dl"]), cpu_s=one["cpu_s"])
        for one in (halves[i % 2][i // 2] for i in range(n))
    ]


def compared(
    group: Group, people: Sequence[Somebody], own: Sequence[Answers], theirs: Sequence[Answers]
) -> Iterator[Line]:
    """Both twins on one group: a line each for every change."""
    our_scores, their_scores = scores(people, own), scores(people, theirs)
    for change, own_score, their in zip(CHANGES, our_scores, their_scores, strict=True):
        yield judged(group, change, own_score)
        yield Line(
            what=f"{group.title}, {change.name}: ReplayBG",
            seen=f"{their[0]:.1f} % / {their[1]:.2f}",
            target="beaten in both",
            holds=bool(own_score[0] < their[0] and abs(own_score[1] - 1.0) < abs(their[1] - 1.0)),
        )
    both = [Answers(predicted_mg_dl=one.weighed_mg_dl, cpu_s=0.0) for one in own if one.weighed_mg_dl is not None]
    for change, weighed in zip(CHANGES, scores(people, both), strict=True):
        yield judged(group, change, weighed, "both structures by evidence, ")
    shares = [one.share for one in own]
    yield Line(
        what=f"{group.title}: share of the second structure, quartiles",
        seen=" / ".join(f"{quartile:.2f}" for quartile in np.percentile(shares, (25.0, 50.0, 75.0))),
    )
    for name, answers in (("ours", own), ("ReplayBG", theirs)):
        seconds = [answer.cpu_s for answer in answers]
        missed = [rmse(answer.predicted_mg_dl[0], person) for answer, person in zip(answers, people, strict=True)]
        yield Line(
            what=f"{group.title}, {name}: CPU s a fit, RMSE to the readings [mg/dL]",
            seen=f"{np.median(seconds):.2f} s, {np.median(missed):.1f}",
        )


def judged(group: Group, change: Change, score: FloatArray, by: str = "") -> Line:
    """A change's median MARD and gain against the group's targets."""
    most = group.most_mard_basal_up if change.basal > 1.0 else group.most_mard
    low, high = group.gain
    return Line(
        what=f"{group.title}, {by}{change.name}: MARD and gain",
        seen=f"{score[0]:.1f} % / {score[1]:.2f}",
        target=f"<= {most:g} %, {low:g}-{high:g}",
        holds=bool(score[0] <= most and low <= score[1] <= high),
    )


def scores(people: Sequence[Somebody], answers: Sequence[Answers]) -> FloatArray:
    """Median MARD [%] and gain of each change, shape `(6, 2)`."""
    pairs = [(at_least(a.predicted_mg_dl), at_least(p.true_mg_dl)) for a, p in zip(answers, people, strict=True)]
    mard = [100.0 * np.mean(np.abs(said - true) / true, axis=1)[1:] for said, true in pairs]
    gain = [np.mean(said[1:] - said[0], axis=1) / np.mean(true[1:] - true[0], axis=1) for said, true in pairs]
    return np.stack((np.median(mard, axis=0), np.median(gain, axis=0)), axis=1)


def rmse(curve_mg_dl: FloatArray, person: Somebody) -> float:
    """Of a predicted day to the readings [mg/dL]."""
    return float(np.sqrt(np.mean((curve_mg_dl - person.readings_mg_dl) ** 2)))


def at_least(glucose_mg_dl: FloatArray) -> FloatArray:
    """No lower than a sensor shows."""
    return np.maximum(glucose_mg_dl, FLOOR_MG_DL)
