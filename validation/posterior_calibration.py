"""Simulation-based calibration of the fit's posterior (Talts et al. 2018, arXiv 1804.06788).

Two hundred people are drawn from the prior, with their own sensitivity by window, carb counting errors and error of
the readings; one day of each is fitted. If the posterior is right, the rank of the truth within it is uniform.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from twin_core.domain.history import BasalRate, Bolus, FloatArray, History, Meal, Therapy
from twin_core.inference.map_fit import Problem, TooLittleData, posterior_of, problem_of
from twin_core.inference.structures import structure_named
from twin_core.solve.compiled import kernel_of
from validation.line import Line

N_PEOPLE = 200
SEED = 3
WEIGHT_KG, BASAL_U_H, GRAM_PER_UNIT = 80.0, 1.1, 10.0
LOCAL_MIN = 240.0
TIMES_MIN = 5.0 * np.arange(288)
MEALS = ((180.0, 45.0), (480.0, 70.0), (840.0, 80.0))
THERAPY = Therapy(
    meals=tuple(Meal(time_min=t, carbs_g=g, duration_min=5.0) for t, g in MEALS),
    boluses=tuple(Bolus(time_min=t, dose_u=g / GRAM_PER_UNIT) for t, g in MEALS),
    basal=(BasalRate(time_min=-600.0, rate_u_h=BASAL_U_H),),
)
LEVELS = (0.5, 0.8, 0.9)
_BINS = 10
_CHI_SQUARE_99 = 21.67
"""The 99 % point of chi-square with 9 degrees of freedom."""


def lines(data: Path) -> Iterator[Line]:  # noqa: ARG001
    """Coverage over all shared parameters, the rank histogram of each, and the worst one."""
    structure = structure_named("uva_padova_t1d")
    kernel_of(structure.model).warm_up()
    names = structure.prior.names
    ranks = _ranks(np.random.default_rng(SEED))[:, : len(names)]
    away = np.abs(ranks - 0.5)
    for level in LEVELS:
        inside = away <= level / 2.0
        share, worst = float(inside.mean()), int(np.argmin(inside.mean(axis=0)))
        yield Line(
            what=f"the {100 * level:.0f} % interval holds, {len(names)} parameters, {N_PEOPLE} people",
            seen=f"{100 * share:.1f} %",
            target=f"{100 * level:.0f} +- 3 %",
            holds=abs(share - level) <= 0.03,
        )
        yield Line(what="  the parameter it holds least", seen=f"{names[worst]} {100 * inside[:, worst].mean():.0f} %")
    histograms = [np.histogram(column, bins=_BINS, range=(0.0, 1.0))[0] for column in ranks.T]
    even = N_PEOPLE / _BINS
    for name, counts in zip(names, histograms, strict=True):
        chi_square = float(((counts - even) ** 2 / even).sum())
        verdict = "even" if chi_square < _CHI_SQUARE_99 else "UNEVEN at 1 %"
        yield Line(what=f"ranks of {name}: {' '.join(map(str, counts))}", seen=f"chi2 {chi_square:.1f}, {verdict}")


def _ranks(rng: np.random.Generator) -> FloatArray:
    """Where the truth lies in its posterior, 0 to 1, shape `(n_people, n_unknowns)`."""
    rows = []
    for _ in range(N_PEOPLE):
        blank = _problem(np.full(len(TIMES_MIN), 120.0))
        truth = rng.normal(size=len(blank.first_guess()))
        clean = blank.predict(truth[None])[0]
        problem = _problem(np.maximum(clean + _error(rng), 5.0))
        posterior = posterior_of(problem)
        rows.append(_normal_cdf((truth - posterior.z) / np.sqrt(np.diag(posterior.covariance))))
    return np.array(rows)


def _problem(glucose_mg_dl: FloatArray) -> Problem:
    history = History(cgm_time_min=TIMES_MIN, cgm_mg_dl=glucose_mg_dl, therapy=THERAPY, utc_offset_min=LOCAL_MIN)
    structure = structure_named("uva_padova_t1d")
    problem = problem_of(history, now_min=1440.0, days=1.0, body_weight_kg=WEIGHT_KG, structure=structure)
    assert not isinstance(problem, TooLittleData)
    return problem


def _error(rng: np.random.Generator) -> FloatArray:
    """AR(1) errors whose SD and correlation differ between people as the error model's prior says."""
    sd = 12.0 * np.exp(0.5 * rng.normal())
    correlation = float(np.clip(rng.beta(17.0, 3.0), 0.3, 0.99))
    error = np.zeros(len(TIMES_MIN))
    error[0] = sd * rng.normal()
    for k in range(1, len(error)):
        error[k] = correlation * error[k - 1] + sd * np.sqrt(1.0 - correlation**2) * rng.normal()
    return error


def _normal_cdf(x: FloatArray) -> FloatArray:
    from scipy.special import ndtr

    return np.asarray(ndtr(x))
