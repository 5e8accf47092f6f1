"""Protocol P1 against simglucose 0.2.11, run in its own environment: the thirty people's days, theirs and ours.

Three announced meals (45, 70, 80 g at 07, 12, 18 h, eaten at 5 g/min), each with its bolus in the first minute, own
basal insulin, 1,440 minutes from the person's rest, glucose under the skin before each minute, no sensor error.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from twin_core.domain.history import Bolus, FloatArray, Meal, Therapy
from twin_core.models.glucose.dalla_man_2014 import MODEL, Parameters
from twin_core.solve.compiled import kernel_of
from twin_core.solve.rk4 import integrate_batch
from twin_core.solve.schedule import schedules_of
from validation.line import Line
from validation.peers import answer_of, ours

MEALS = ((420.0, 45.0), (720.0, 70.0), (1080.0, 80.0))
GRAMS_PER_MINUTE = 5.0
TARGETS = {1.0: 0.25, 0.5: 0.01}
"""Largest difference from simglucose [mg/dL] by our step [min]."""
SHARES = {"adolescent": (83.27, 0.0, 0.0), "adult": (96.47, 0.0, 0.0), "child": (78.39, 10.49, 2.60)}
"""Percent of the day in 70-180 mg/dL, below 70 and below 54, measured with simglucose 0.2.11 beforehand."""


def lines(data: Path) -> Iterator[Line]:  # noqa: ARG001
    """Differences, times and shares of the day in range."""
    people = answer_of("simglucose", "simglucose_days.py", "p1")
    theirs = np.array([person["glucose_mg_dl"] for person in people])
    kernel_of(MODEL).warm_up()
    for step_min, most in TARGETS.items():
        apart = float(np.abs(days(people, step_min) - theirs).max())
        yield Line(
            what=f"largest difference in 30 x 1,440 min, {60 * step_min:.0f}-s steps [mg/dL]",
            seen=f"{apart:.4f}",
            target=f"<= {most:g}",
            holds=apart <= most,
        )
    yield from times(people)
    yield from shares([person["name"] for person in people], days(people, 1.0))


def days(people: list[dict[str, Any]], step_min: float) -> FloatArray:
    """Our glucose under the skin before each minute [mg/dL], shape `(n_people, 1440)`."""
    parameters = Parameters(*np.array([ours(person) for person in people]).T)
    start = np.array([[person["start"].get(state.name, 0.0) for state in MODEL.states] for person in people])
    plans = [therapy(person["gram_per_unit"]) for person in people]
    schedules = schedules_of(plans, start_min=0.0, end_min=1440.0, step_min=step_min)
    return integrate_batch(MODEL, parameters, schedules, start, every_min=1.0).output("glucose_mg_dl")[:, :-1]


def therapy(gram_per_unit: float) -> Therapy:
    """The meals and boluses of a person."""
    return Therapy(
        meals=tuple(Meal(time_min=t, carbs_g=g, duration_min=g / GRAMS_PER_MINUTE) for t, g in MEALS),
        boluses=tuple(Bolus(time_min=t, dose_u=g / gram_per_unit) for t, g in MEALS),
    )


def times(people: list[dict[str, Any]]) -> Iterator[Line]:
    """CPU seconds of the same thirty days: theirs as shipped, theirs at its fastest, ours with building the inputs."""
    began = time.process_time()
    repeats = 20
    for _ in range(repeats):
        days(people, 1.0)
    own = (time.process_time() - began) / repeats
    shipped, plain = (sum(person[key] for person in people) for key in ("cpu_s", "plain_cpu_s"))
    yield Line(what="CPU seconds of simglucose, its patient as shipped", seen=f"{shipped:.1f}")
    yield Line(what="CPU seconds of simglucose, its numbers in a plain object", seen=f"{plain:.1f}")
    yield Line(what="CPU seconds of ours, 1-min steps, inputs included", seen=f"{own:.4f}")
    yield Line(what="ratio to simglucose as shipped", seen=f"{shipped / own:,.0f}")
    yield Line(what="ratio to simglucose in a plain object", seen=f"{plain / own:,.0f}")


def shares(names: list[str], glucose: FloatArray) -> Iterator[Line]:
    """Mean percent of the day in range and below, by group."""
    for group, expected in SHARES.items():
        of_group = glucose[[name.startswith(group) for name in names]]
        seen = (
            100.0 * np.mean((of_group >= 70.0) & (of_group <= 180.0)),
            100.0 * np.mean(of_group < 70.0),
            100.0 * np.mean(of_group < 54.0),
        )
        for what, share, target in zip(("in 70-180", "below 70", "below 54"), seen, expected, strict=True):
            yield Line(
                what=f"{group}: percent of the day {what} mg/dL",
                seen=f"{share:.2f}",
                target=f"{target:.2f} +- 0.1",
                holds=bool(abs(share - target) <= 0.1),
            )
