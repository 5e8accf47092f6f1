"""The most probable parameters of a person, and a normal approximation of what remains unknown (MAP and Laplace).

The readings of the last days are cut into days (`segments`). All share one parameter set; each day also has its own
sensitivity in three windows and its own error in counting each meal, both held small by their prior, so that days and
meals may differ without bending the person's physiology. Residuals, made independent by the error model
(`error_model`), and prior are minimised together in whitened coordinates (`least_squares`). Derivatives are finite
differences; a day's local coordinates act on that day alone, so that one batch of about 32 simulations a day gives
them all. The posterior covariance is the inverse of J'J + 1 in those coordinates.

How the stomach empties makes minima of their own, so that three starts are taken where the structure has such a
parameter (`Structure.starts`); other parameters never needed it (docs/explanation/identification.md).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from twin_core.domain.history import FloatArray, History, Therapy
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.inference.data_hash import data_hash
from twin_core.inference.error_model import STEP_MIN, ErrorModel, Whitening, log_prior, most_probable_error, whitenings
from twin_core.inference.experiments import Known, experiments_of, sentences
from twin_core.inference.least_squares import Minimum, least_squares
from twin_core.inference.priors import ASSUMED_BODY_WEIGHT_KG, PLAUSIBLE_SDS, Prior
from twin_core.inference.segments import WARM_UP_MIN, Day, days_of
from twin_core.inference.state import as_batch, therapy_between, with_unrecorded_doses
from twin_core.inference.structures import Structure, structure_named
from twin_core.inference.twin import (
    UVA_PADOVA,
    CarbScale,
    FitMetrics,
    FittedTwin,
    TwinKind,
    WindowSensitivity,
    population_twin,
    weight_notes,
)
from twin_core.models.glucose.insulins import DEPOTS
from twin_core.solve.schedule import check_therapy

Progress = Callable[[float, str], object]
"""Called with the fraction done and a sentence."""

FEWEST_READINGS = 72
"""Six hours of readings at 5 min."""

ROUNDS = 6
"""Fits, at most, with the error model estimated anew from the fit before."""
ITERATIONS = 30
MISSED_MG_DL = 30.0
"""Residuals above this are said to the reader."""
EDES = "edes"
"""The structure for people who make their own insulin."""
LARGEST_ERROR_MG_DL = 80.0
"""Beyond this a record is not believed (a choice: real records, with meals left out, were off by 29 to 60)."""
UNMOVED_RATIO = 0.9
"""A parameter whose posterior SD is above so much of its prior SD was not moved by the data."""

_IDLE_SDS = 2.0
"""Insulin hardly acts where all of its sensitivities are so far below the prior's mean: one person in 40 each."""
_SAME_MODE = 0.3
"""Minima closer than this, in prior SDs of every coordinate, are one."""
_DIFFERENCE = 1e-4
"""Step of the finite differences, in prior SDs."""


@dataclass(frozen=True, kw_only=True)
class TooLittleData:
    """Why there is no fit."""

    missing: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """One sentence for the screen."""
        return f"There is too little data for a personal twin: {'; '.join(self.missing)}."


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is fitted to. Coordinates `z` are whitened: the shared parameters, then each day's local ones."""

    structure: Structure
    days: tuple[Day, ...]
    body_weight_kg: float
    basal_u_h: float

    @property
    def prior(self) -> Prior:
        """The prior of the shared parameters."""
        return self.structure.prior

    @cached_property
    def readings(self) -> FloatArray:
        """All readings, shape `(n_readings,)`."""
        return np.concatenate([segment.glucose_mg_dl for day in self.days for segment in day.segments])

    @cached_property
    def gaps_min(self) -> FloatArray:
        """Time since the reading before, infinite where a stretch begins, shape `(n_readings,)`."""
        return np.concatenate(
            [np.diff(segment.time_min, prepend=-np.inf) for day in self.days for segment in day.segments]
        )

    @cached_property
    def whitenings(self) -> tuple[Whitening, ...]:
        """Of every error that is considered."""
        return whitenings(self.gaps_min)

    def first_guess(self) -> FloatArray:
        """Coordinates before the fit."""
        return np.concatenate((np.zeros(len(self.prior.names)), *(day.first_guess() for day in self.days)))

    def alternatives(self, z: FloatArray) -> tuple[FloatArray, ...]:
        """Other coordinates to begin from, see `Structure.starts`."""
        starts = []
        for name, value in self.structure.starts:
            other = z.copy()
            other[self.prior.names.index(name)] = value
            starts.append(other)
        return tuple(starts)

    def places(self) -> list[slice]:
        """Where each day's local coordinates stand."""
        ends = len(self.prior.names) + np.cumsum([0, *(day.n_local for day in self.days)])
        return [slice(int(a), int(b)) for a, b in pairwise(ends)]

    def parameters(self, z: FloatArray) -> Any:
        """The model's parameters for coordinates of shape `(n,)` or `(n_sets, n)`."""
        theta = self.prior.theta(z[..., : len(self.prior.names)])
        return self.prior.parameters(theta, body_weight_kg=self.body_weight_kg, basal_u_h=self.basal_u_h)

    def predict(self, z: FloatArray) -> FloatArray:
        """Predictions at all readings, shape `(n_sets, n_readings)` for coordinates of shape `(n_sets, n)`."""
        parameters = self.parameters(z)
        curves = [
            day.predict(self.structure, parameters, z[:, place])
            for day, place in zip(self.days, self.places(), strict=True)
        ]
        return np.concatenate(curves, axis=1)

    def jacobian(self, z: FloatArray) -> FloatArray:
        """Derivatives of the predictions by the coordinates, shape `(n_readings, n)`."""
        n_shared = len(self.prior.names)
        sets = self.parameters(np.vstack((z[:n_shared], z[:n_shared] + _DIFFERENCE * np.eye(n_shared))))
        alone = as_batch(self.parameters(z))
        J = np.zeros((len(self.readings), len(z)))
        row = 0
        for day, place in zip(self.days, self.places(), strict=True):
            rows = slice(row, row := row + day.n_readings)
            predicted = day.predict(self.structure, sets, z[None, place])
            J[rows, :n_shared] = (predicted[1:] - predicted[0]).T / _DIFFERENCE
            local = z[place] + _DIFFERENCE * np.eye(day.n_local)
            J[rows, place] = (day.predict(self.structure, alone, local) - predicted[0]).T / _DIFFERENCE
        return J


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """Where the posterior is highest, and its normal approximation there.

    Attributes
    ----------
    z
        Shape `(n,)`: the most probable whitened coordinates.
    covariance
        Shape `(n, n)`.
    jacobian
        Shape `(n_readings, n)`: of the predictions [mg/dL].
    log_evidence
        Log marginal likelihood of the readings (Laplace), up to a constant of the problem.
    """

    z: FloatArray
    error: ErrorModel
    covariance: FloatArray
    jacobian: FloatArray
    log_evidence: float


def fit_twin(
    history: History,
    *,
    now_min: float,
    days: float = 3.0,
    body_weight_kg: float | None = None,
    structure: str = UVA_PADOVA,
    progress: Progress = lambda _fraction, _sentence: None,
) -> FittedTwin | TooLittleData:
    """Fit the type 1 diabetes twin to the last `days` before `now_min`.

    Parameters
    ----------
    body_weight_kg
        75 kg is assumed, and said so in the notes, where it is not known.
    structure
        The name of a model of `structures`.
    progress
        Called with a fraction in [0, 1] and a sentence.

    Raises
    ------
    OutOfRange
        A therapy with an impossible amount.
    UnknownName
        There is no such structure.
    """
    problem = problem_of(
        history, now_min=now_min, days=days, body_weight_kg=body_weight_kg, structure=structure_named(structure)
    )
    if isinstance(problem, TooLittleData):
        return problem
    posterior = posterior_of(problem, progress)
    progress(1.0, "The twin is fitted.")
    contradiction = _contradiction(posterior)
    if contradiction:
        return TooLittleData(missing=(contradiction,))
    therapy = _therapy(history, now_min, days)
    notes = (*weight_notes(body_weight_kg), *_simplifications(therapy))
    twin = _twin(problem, posterior, notes, _hash(problem, therapy, body_weight_kg))
    return replace(twin, experiments=_experiments(problem, posterior, therapy))


def twin_without_insulin(
    history: History, *, now_min: float, days: float = 3.0, body_weight_kg: float | None = None
) -> FittedTwin | TooLittleData:
    """A weaker twin, and labelled so, for somebody who records no insulin at all.

    With meals E-DES is fitted; without, there is nothing to learn from but the population. Refused where insulin is
    recorded: a body that makes its own would be the wrong one.
    """
    therapy = _therapy(history, now_min, days)
    if therapy.boluses or therapy.basal or therapy.long_acting:
        return TooLittleData(missing=("insulin is recorded, so that a model without it would be the wrong one",))
    twin = fit_twin(history, now_min=now_min, days=days, body_weight_kg=body_weight_kg, structure=EDES)
    if isinstance(twin, FittedTwin) or therapy.meals:
        return twin
    people = population_twin(body_weight_kg=body_weight_kg)
    alone = "There is neither insulin nor food in the record: glucose alone cannot tell one from the other."
    return replace(people, notes=(alone, *people.notes))


def problem_of(
    history: History, *, now_min: float, days: float, body_weight_kg: float | None, structure: Structure
) -> Problem | TooLittleData:
    """What `fit_twin` fits to."""
    start_min = now_min - days * MINUTES_PER_DAY
    therapy = _therapy(history, now_min, days)
    check_therapy(therapy)
    parts = days_of(replace(history, therapy=therapy), start_min=start_min, end_min=now_min)
    basal_u_h = mean_basal_u_h(therapy, start_min=start_min, end_min=now_min)
    missing = _missing(parts, therapy, basal_u_h, start_min, days, bool(structure.insulin_action))
    if missing:
        return TooLittleData(missing=missing)
    weight_kg = ASSUMED_BODY_WEIGHT_KG if body_weight_kg is None else body_weight_kg
    return Problem(structure=structure, days=parts, body_weight_kg=weight_kg, basal_u_h=basal_u_h)


def _therapy(history: History, now_min: float, days: float) -> Therapy:
    """What acts on the days and on the warm-up before them."""
    start_min = now_min - days * MINUTES_PER_DAY - WARM_UP_MIN
    return therapy_between(with_unrecorded_doses(history.therapy, now_min), start_min, now_min)


def mean_basal_u_h(therapy: Therapy, *, start_min: float, end_min: float) -> float:
    """The mean basal rate of pump and pen over the time since the first record of either [U/h]; 0 without any.

    A long-acting dose counts, as far as it acts like rapid insulin, as spread evenly over the 24 h after it.
    """
    rates = sorted(therapy.basal, key=lambda rate: rate.time_min)
    times = [rate.time_min for rate in rates] + [dose.time_min for dose in therapy.long_acting]
    begin_min = max(start_min, min(times, default=end_min))
    if begin_min >= end_min:
        return 0.0
    ends = [*(rate.time_min for rate in rates[1:]), end_min]
    pump = sum(
        rate.rate_u_h * _overlap_min(rate.time_min, until_min, begin_min, end_min)
        for rate, until_min in zip(rates, ends, strict=False)
    )
    pen = sum(
        DEPOTS[dose.insulin].share.value
        * dose.dose_u
        / 24.0
        * _overlap_min(dose.time_min, dose.time_min + MINUTES_PER_DAY, begin_min, end_min)
        for dose in therapy.long_acting
    )
    return float(pump + pen) / (end_min - begin_min)


def _overlap_min(begin_min: float, end_min: float, low_min: float, high_min: float) -> float:
    return max(0.0, min(end_min, high_min) - max(begin_min, low_min))


def _missing(
    parts: Sequence[Day], therapy: Therapy, basal_u_h: float, start_min: float, days: float, needs_insulin: bool
) -> tuple[str, ...]:
    n = sum(day.n_readings for day in parts)
    span = f"in the last {days:g} days"
    meals = [meal for meal in therapy.meals if meal.time_min >= start_min and meal.carbs_g > 0.0]
    no_event = not meals and not (needs_insulin and therapy.boluses)
    reasons = (
        (n < FEWEST_READINGS, f"{n} glucose readings without gaps {span}, at least {FEWEST_READINGS} are needed"),
        (needs_insulin and basal_u_h <= 0.0, f"no basal or long-acting insulin {span}"),
        (no_event, f"neither a meal nor a bolus {span}" if needs_insulin else f"no meal {span}"),
    )
    return tuple(reason for absent, reason in reasons if absent)


def posterior_of(problem: Problem, progress: Progress = lambda _fraction, _sentence: None) -> Posterior:
    """The most probable coordinates and the error model, each estimated from the other in turn; then other modes.

    A meal's curve can often be explained by a stomach that empties late fast or late slowly: minima of their own. When
    the error is known they are looked for, and the posterior's covariance is that of all together.
    """
    steps = _Steps(progress)
    whitening = Whitening.of(ErrorModel(), problem.gaps_min)
    modes = _modes(problem, [problem.first_guess()], whitening, steps)
    for _ in range(ROUNDS):
        previous, whitening = whitening, _whitening_at(problem, modes[0])
        settled = _alike(whitening.error, previous.error)
        if settled and len(modes) > 1:
            break
        starts = problem.alternatives(modes[0].z) if settled else ()
        modes = _modes(problem, [modes[0].z, *starts], whitening, steps)
        if settled and len(modes) == 1:
            break
    return _together(modes)


@dataclass(frozen=True, kw_only=True)
class _Mode:
    """A minimum of the cost, and the posterior's normal approximation there."""

    cost: float
    posterior: Posterior

    @property
    def z(self) -> FloatArray:
        return self.posterior.z


class _Steps:
    """Tells the progress of a search whose length is not known: each step takes a part of what is left."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._done = 0.0

    def __call__(self, _share: float) -> None:
        self._done += 0.02 * (1.0 - self._done)
        self._progress(self._done, "Fitting the model to the readings.")


def _modes(
    problem: Problem, starts: Sequence[FloatArray], whitening: Whitening, progress: Callable[[float], object]
) -> list[_Mode]:
    """Different minima, the lowest first."""
    found = [_most_probable(problem, start, whitening, progress) for start in starts]
    different: list[Minimum] = []
    for minimum in sorted(found, key=lambda minimum: minimum.cost):
        if all(np.abs(minimum.z - other.z).max() > _SAME_MODE for other in different):
            different.append(minimum)
    return [_Mode(cost=minimum.cost, posterior=_posterior_at(problem, minimum, whitening)) for minimum in different]


def _most_probable(
    problem: Problem, z: FloatArray, whitening: Whitening, progress: Callable[[float], object]
) -> Minimum:
    def residuals(z: FloatArray) -> FloatArray:
        return whitening(problem.predict(z[None])[0] - problem.readings)

    def jacobian(z: FloatArray) -> FloatArray:
        return whitening(problem.jacobian(z))

    bound = np.full(len(z), PLAUSIBLE_SDS)
    return least_squares(residuals, jacobian, z, bound, iterations=ITERATIONS, progress=progress)


def _posterior_at(problem: Problem, minimum: Minimum, whitening: Whitening) -> Posterior:
    J = problem.jacobian(minimum.z)
    whitened = whitening(J)
    covariance = np.linalg.inv(whitened.T @ whitened + np.eye(len(minimum.z)))
    error = whitening.error
    log_likelihood_and_prior = -minimum.cost - 0.5 * whitening.log_determinant
    return Posterior(
        z=minimum.z,
        error=error,
        covariance=(covariance + covariance.T) / 2.0,
        jacobian=J,
        log_evidence=log_likelihood_and_prior
        + 0.5 * float(np.linalg.slogdet(covariance)[1])
        + float(log_prior(error.sd_mg_dl, error.model_share)),
    )


def _whitening_at(problem: Problem, mode: _Mode) -> Whitening:
    residuals = problem.readings - problem.predict(mode.z[None])[0]
    return most_probable_error(problem.whitenings, residuals, mode.posterior.jacobian, mode.z)


def _alike(error: ErrorModel, other: ErrorModel) -> bool:
    """Whether the SDs of two errors differ by less than a fifth, and the correlations after half an hour by 0.1."""
    larger = abs(float(np.log(error.sd_mg_dl / other.sd_mg_dl)))
    return larger < 0.2 and abs(float(error.correlation(30.0) - other.correlation(30.0))) < 0.1


def _together(modes: Sequence[_Mode]) -> Posterior:
    """The lowest mode with the covariance of a mixture of all, each by its mass: exp(-cost) |covariance|^(1/2)."""
    best = modes[0]
    log_mass = [0.5 * np.linalg.slogdet(mode.posterior.covariance)[1] - mode.cost + best.cost for mode in modes]
    mass = np.exp(np.array(log_mass) - max(log_mass))
    covariance = sum(
        share * (mode.posterior.covariance + np.outer(mode.z - best.z, mode.z - best.z))
        for share, mode in zip(mass / mass.sum(), modes, strict=True)
    )
    return replace(best.posterior, covariance=np.asarray(covariance))


def _twin(problem: Problem, posterior: Posterior, notes: tuple[str, ...], fingerprint: str) -> FittedTwin:
    prior, n = problem.prior, len(problem.prior.names)
    z, covariance = posterior.z[:n], posterior.covariance[:n, :n]
    metrics = _metrics(problem, posterior)
    windows, carb_scales = _local(problem, posterior)
    return FittedTwin(
        kind=TwinKind.FITTED if problem.structure.insulin_action else TwinKind.GLUCOSE_AND_MEALS,
        model=problem.structure.model.name,
        parameters=problem.parameters(posterior.z),
        theta_mean=prior.theta(z),
        theta_covariance=prior.sd[:, None] * covariance * prior.sd,
        metrics=metrics,
        notes=(*notes, *_verdicts(problem.structure, z, covariance, metrics)),
        window_min=(
            float(problem.days[0].segments[0].time_min[0]),
            float(problem.days[-1].segments[-1].time_min[-1]),
        ),
        data_hash=fingerprint,
        windows=windows,
        carb_scales=carb_scales,
    )


def _experiments(problem: Problem, posterior: Posterior, therapy: Therapy) -> tuple[str, ...]:
    """On a day like the fullest of the last three; none about insulin for a model without."""
    if not problem.structure.insulin_action:
        return ()
    n = len(problem.prior.names)
    known = Known(
        structure=problem.structure,
        z=posterior.z[:n],
        covariance=posterior.covariance[:n, :n],
        error=posterior.error,
        body_weight_kg=problem.body_weight_kg,
        basal_u_h=problem.basal_u_h,
    )
    fullest = max(problem.days[-3:], key=lambda day: day.n_readings)
    return sentences(experiments_of(known, therapy, fullest.start_min))


def _local(problem: Problem, posterior: Posterior) -> tuple[tuple[WindowSensitivity, ...], tuple[CarbScale, ...]]:
    """The posterior of what differed from day to day and meal to meal."""
    sd = np.sqrt(np.diag(posterior.covariance))
    windows: list[WindowSensitivity] = []
    scales: list[CarbScale] = []
    for day, place in zip(problem.days, problem.places(), strict=True):
        means, sds = posterior.z[place] * day.local_sd, sd[place] * day.local_sd
        values = list(zip(means.tolist(), sds.tolist(), strict=True))[len(day.segments) :]
        for start_min, (mean, spread) in zip(day.windows_min, values, strict=False):
            windows.append(WindowSensitivity(start_min=start_min, log_mean=mean, log_sd=spread))
        for time_min, (mean, spread) in zip(day.meals_min, values[len(day.windows_min) :], strict=True):
            scales.append(CarbScale(time_min=time_min, log_mean=mean, log_sd=spread))
    return tuple(windows), tuple(scales)


def _metrics(problem: Problem, posterior: Posterior) -> FitMetrics:
    error, readings = posterior.error, problem.readings
    residuals = readings - problem.predict(posterior.z[None])[0]
    spread = posterior.jacobian @ np.linalg.cholesky(posterior.covariance)
    half_width = 1.6449 * np.sqrt((spread**2).sum(axis=1) + error.sd_mg_dl**2)
    return FitMetrics(
        rmse_mg_dl=float(np.sqrt(np.mean(residuals**2))),
        mard_percent=float(100.0 * np.mean(np.abs(residuals) / readings)),
        coverage_90_percent=float(100.0 * np.mean(np.abs(residuals) <= half_width)),
        n_readings=len(readings),
        error_sd_mg_dl=error.sd_mg_dl,
        error_correlation=float(error.correlation(STEP_MIN)),
        error_model_share=error.model_share,
        error_lasting_min=error.lasting_min,
        log_evidence=posterior.log_evidence,
    )


def _contradiction(posterior: Posterior) -> str:
    """Why the record cannot be believed; empty if it can."""
    if posterior.error.sd_mg_dl < LARGEST_ERROR_MG_DL:
        return ""
    return (
        f"the recorded insulin and food do not go with the glucose (off by {posterior.error.sd_mg_dl:.0f} mg/dL), so "
        "that times, units or entries must be wrong or missing"
    )


def _simplifications(therapy: Therapy) -> tuple[str, ...]:
    if not therapy.long_acting:
        return ()
    sentence = (
        "Where a long-acting injection seems to be missing from the record, the one of the day before is taken to have "
        "been repeated."
    )
    return (sentence,)


def _verdicts(structure: Structure, z: FloatArray, covariance: FloatArray, metrics: FitMetrics) -> tuple[str, ...]:
    names: Any = np.array(structure.prior.names)
    edge = names[np.abs(z) > PLAUSIBLE_SDS - 0.01]
    unmoved = names[np.sqrt(np.diag(covariance)) > UNMOVED_RATIO]
    action = [z[structure.prior.names.index(name)] for name in structure.insulin_action]
    missed = (
        f"The fitted curve misses the readings by {metrics.rmse_mg_dl:.0f} mg/dL: meals, insulin or activity may be "
        "missing from the record, and what-if answers are uncertain."
    )
    idle = (
        "By this record insulin hardly acts: doses may be recorded that were not given, or meals may be missing. "
        "Answers about insulin are doubtful."
    )
    weaker = (
        "This is a weaker twin: it was fitted to glucose and meals alone, by a model of a body that makes its own "
        "insulin. It has no answer about insulin."
    )
    sentences = (
        (not action, weaker),
        (bool(action) and max(action, default=0.0) < -_IDLE_SDS, idle),
        (len(edge), f"On the edge of what is plausible, so that the data may say something else: {', '.join(edge)}."),
        (len(unmoved), f"These data told little about: {', '.join(unmoved)}."),
        (metrics.rmse_mg_dl > MISSED_MG_DL, missed),
    )
    return tuple(sentence for holds, sentence in sentences if holds)


def _hash(problem: Problem, therapy: Therapy, body_weight_kg: float | None) -> str:
    time = np.concatenate([segment.time_min for day in problem.days for segment in day.segments])
    return data_hash(time, problem.readings, therapy, body_weight_kg=body_weight_kg)
