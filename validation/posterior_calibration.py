"""Whether the twin knows what it does not know: simulation-based calibration (Talts et al. 2018, arXiv 1804.06788).

Two hundred people are drawn from the prior, with one day each: sensitivity by window, counting errors, the error's SD
and correlation are drawn as the fit assumes them. Each is fitted. If posteriors are right, the place of the true value
within a person's posterior is even over people: ten bins of its histogram, chi-square, and how often intervals of 50,
80 and 90 % hold the truth. Asked of the 23 shared parameters, of the day's own seven coordinates, and of what counts:
the answers to three what-ifs (mean glucose of the day if boluses or basal insulin were 30 % less, or meals 30 %
larger). A few people's posteriors are also resampled (`inference.resampling`).
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from twin_core.domain.history import BasalRate, Bolus, FloatArray, History, Meal, Therapy
from twin_core.inference.error_model import (
    LARGEST_SD_MG_DL,
    LASTING_MIN,
    PRIOR_MODEL_SD_MG_DL,
    PRIOR_SENSOR_LOG_SD,
    PRIOR_SENSOR_SD_MG_DL,
    ErrorModel,
)
from twin_core.inference.map_fit import Posterior, Problem, posterior_of, problem_of
from twin_core.inference.priors import PLAUSIBLE_SDS
from twin_core.inference.resampling import resampled
from twin_core.inference.structures import Structure, structure_named
from twin_core.solve.compiled import kernel_of
from twin_core.solve.rk4 import integrate_batch
from twin_core.solve.schedule import schedule_of
from validation.line import Line

N_PEOPLE, N_RESAMPLED, N_DRAWS = 200, 40, 100
SEED = 18
STRUCTURE = "uva_padova_t1d"
WEIGHT_KG, BASAL_U_H, GRAMS_A_UNIT = 80.0, 1.1, 10.0
LOCAL_TIME_MIN = 240.0
TIMES_MIN = 5.0 * np.arange(288)
MEALS = ((180.0, 45.0), (480.0, 70.0), (840.0, 80.0))
LOWEST_MG_DL = 5.0
"""Readings are kept above; few days of the prior go there."""
LEVELS = (0.5, 0.8, 0.9)
BINS = 10
RARE_CHI_SQUARE = 21.67
"""The 99 % point of chi-square with 9 degrees of freedom."""
WHAT_IFS = ("boluses x0.7", "basal x0.7", "meals x1.3")


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody's true coordinates and the day that was measured."""

    z: FloatArray
    problem: Problem


def lines(data: Path) -> Iterator[Line]:  # noqa: ARG001
    """Coverage and rank histograms of the normal approximation, then coverage of the resampled posterior."""
    structure = structure_named(STRUCTURE)
    kernel_of(structure.model).warm_up()
    rng = np.random.default_rng(SEED)
    people = [person(structure, rng) for _ in range(N_PEOPLE)]
    began = time.process_time()
    posteriors = [posterior_of(one.problem) for one in people]
    yield Line(what=f"{N_PEOPLE} fits of one day: CPU s each", seen=f"{(time.process_time() - began) / N_PEOPLE:.2f} s")
    names = structure.prior.names
    n = len(names)
    normal = np.array([normal_places(one, p, rng) for one, p in zip(people, posteriors, strict=True)])
    yield from covered(f"{n} shared parameters", normal[:, :n], within=0.03)
    yield from covered("7 coordinates of the day", normal[:, n:-3])
    for i, what in enumerate(WHAT_IFS):
        yield from covered(f"what if {what}", normal[:, [n + 7 + i]], within=0.1)
    for name, places in zip((*names, *(f"what if {what}" for what in WHAT_IFS)), _asked(normal, n).T, strict=True):
        yield histogram(name, places)
    chosen = list(zip(people, posteriors, strict=True))[:N_RESAMPLED]
    began = time.process_time()
    mended = [resampled_places(one, p, rng) for one, p in chosen]
    seconds = (time.process_time() - began) / N_RESAMPLED
    size = np.median([size for _, size in mended])
    yield Line(what=f"resampled to {N_DRAWS} draws: CPU s each, median ESS", seen=f"{seconds:.2f} s, {size:.0f}")
    places = np.array([place for place, _ in mended])
    yield from covered(f"resampled, {N_RESAMPLED} people, shared parameters", places[:, :n])
    yield from covered("the same people, not resampled", normal[:N_RESAMPLED, :n])
    yield from covered("resampled, the three what-ifs", places[:, -3:])
    yield from covered("the same people, not resampled", normal[:N_RESAMPLED, -3:])


def _asked(places: FloatArray, n_shared: int) -> FloatArray:
    """Shared parameters and what-ifs."""
    return np.column_stack((places[:, :n_shared], places[:, -3:]))


def person(structure: Structure, rng: np.random.Generator) -> Person:
    """Somebody drawn from the prior, on a day drawn from the prior, measured with an error drawn from the prior."""
    blank = problem(structure, np.full(len(TIMES_MIN), 120.0))
    z = np.clip(rng.normal(size=len(blank.first_guess())), -PLAUSIBLE_SDS, PLAUSIBLE_SDS)
    glucose = blank.predict(z[None])[0] + lasting(rng, len(TIMES_MIN))
    return Person(z=z, problem=problem(structure, np.maximum(glucose, LOWEST_MG_DL)))


def problem(structure: Structure, glucose_mg_dl: FloatArray) -> Problem:
    """The fit of one day of readings."""
    history = History(cgm_time_min=TIMES_MIN, cgm_mg_dl=glucose_mg_dl, therapy=therapy(), utc_offset_min=LOCAL_TIME_MIN)
    found = problem_of(history, now_min=1439.0, days=1.0, body_weight_kg=WEIGHT_KG, structure=structure)
    assert isinstance(found, Problem)
    return found


def lasting(rng: np.random.Generator, n: int) -> FloatArray:
    """An error as `inference.error_model` assumes it."""
    sensor = PRIOR_SENSOR_SD_MG_DL * np.exp(PRIOR_SENSOR_LOG_SD * rng.normal())
    model = min(PRIOR_MODEL_SD_MG_DL * abs(rng.standard_cauchy()), LARGEST_SD_MG_DL)
    sd = float(np.hypot(sensor, model))
    error = ErrorModel(sd_mg_dl=sd, model_share=(model / sd) ** 2, lasting_min=float(rng.choice(LASTING_MIN)))
    apart_min = 5.0 * np.subtract.outer(np.arange(float(n)), np.arange(float(n)))
    return np.asarray(sd * np.linalg.cholesky(error.correlation(apart_min)) @ rng.normal(size=n))


def therapy(*, boluses: float = 1.0, basal: float = 1.0, meals: float = 1.0) -> Therapy:
    """The day, with factors of what is changed; doses do not depend on who gets them, or they would tell of them."""
    changed = (BasalRate(time_min=0.0, rate_u_h=basal * BASAL_U_H),) if basal != 1.0 else ()
    return Therapy(
        meals=tuple(Meal(time_min=t, carbs_g=meals * g, duration_min=5.0) for t, g in MEALS),
        boluses=tuple(Bolus(time_min=t, dose_u=boluses * g / GRAMS_A_UNIT) for t, g in MEALS),
        basal=(BasalRate(time_min=-600.0, rate_u_h=BASAL_U_H), *changed),
    )


def normal_places(one: Person, posterior: Posterior, rng: np.random.Generator) -> FloatArray:
    """The share of the posterior below the truth: exact for coordinates, by draws for what-ifs."""
    draws = rng.multivariate_normal(posterior.z, posterior.covariance, size=N_DRAWS, method="cholesky")
    plausible = np.clip(draws, -PLAUSIBLE_SDS, PLAUSIBLE_SDS)
    scores = (one.z - posterior.z) / np.sqrt(np.diag(posterior.covariance))
    return np.concatenate((normal_share(scores), what_if_places(one, one.problem.parameters(plausible))))


def resampled_places(one: Person, posterior: Posterior, rng: np.random.Generator) -> tuple[FloatArray, float]:
    """The same of the resampled posterior, with its effective sample size."""
    draws = resampled(one.problem, posterior, N_DRAWS, rng)
    places = np.concatenate(((draws.z < one.z).mean(axis=0), what_if_places(one, draws.parameters)))
    return places, draws.effective_sample_size


def normal_share(scores: FloatArray) -> FloatArray:
    """The standard normal distribution function."""
    from scipy.special import ndtr

    return np.asarray(ndtr(scores))


def what_if_places(one: Person, draws: Any) -> FloatArray:
    """The share of draws whose answers are below the true ones, shape `(3,)`."""
    return np.asarray((answers(one, draws) < answers(one, one.problem.parameters(one.z[None]))).mean(axis=1))


def answers(one: Person, parameters: Any) -> FloatArray:
    """Change of mean glucose in the three what-ifs [mg/dL], shape `(3, n)`."""
    model = one.problem.structure.model
    days = (therapy(), therapy(boluses=0.7), therapy(basal=0.7), therapy(meals=1.3))
    schedules = [schedule_of(day, start_min=0.0, end_min=1440.0) for day in days]
    courses = [integrate_batch(model, parameters, s, every_min=5.0).output("glucose_mg_dl") for s in schedules]
    means = np.array([course.mean(axis=1) for course in courses])
    return np.asarray(means[1:] - means[0])


def covered(what: str, places: FloatArray, within: float | None = None) -> Iterator[Line]:
    """How often the intervals of the three levels hold the truth."""
    shares = [float(np.mean(np.abs(places - 0.5) <= level / 2.0)) for level in LEVELS]
    yield Line(
        what=f"{what}: 50, 80, 90 % intervals hold",
        seen=", ".join(f"{100.0 * share:.1f}" for share in shares) + " %",
        target="" if within is None else f"+- {100.0 * within:.0f} %",
        holds=None if within is None else all(abs(a - b) <= within for a, b in zip(shares, LEVELS, strict=True)),
    )


def histogram(name: str, places: FloatArray) -> Line:
    """Ten bins, and whether they are even."""
    counts = np.histogram(places, bins=BINS, range=(0.0, 1.0))[0]
    expected = len(places) / BINS
    chi_square = float(((counts - expected) ** 2).sum() / expected)
    verdict = "even" if chi_square < RARE_CHI_SQUARE else "UNEVEN at 1 %"
    return Line(what=f"ranks of {name}: {' '.join(map(str, counts))}", seen=f"chi2 {chi_square:.1f}, {verdict}")
