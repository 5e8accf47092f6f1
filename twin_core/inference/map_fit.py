"""The most probable parameters of a person, and a normal approximation of what remains unknown (MAP and Laplace).

The readings of the last days are cut into segments (`segments`); all share one parameter set. Residuals and prior
are minimised together in whitened coordinates by a trust-region least-squares method (Branch, Coleman and Li 1999,
`scipy.optimize.least_squares`), with finite differences from one batch of 24 simulations. The posterior covariance
is the inverse of J'J + 1 in those coordinates.

The error of a prediction is mostly the model's, not the sensor's, and lasts: neighbouring residuals are correlated.
Its SD is estimated from the residuals, at least 10 mg/dL, their lag-1 correlation rho likewise, and the
variance is inflated by (1 + rho)/(1 - rho), the loss of information on a mean under AR(1) errors, so that 288
correlated readings a day do not swamp the prior as white noise of 5 mg/dL does (reference: a published twin that
fits to 1.5 mg/dL and answers a what-if with an eighth of the true effect).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twin_core.domain.history import FloatArray, History, Therapy
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.inference.data_hash import data_hash
from twin_core.inference.priors import ASSUMED_BODY_WEIGHT_KG, PLAUSIBLE_SDS, Prior, population_prior
from twin_core.inference.segments import Segment, segments_of
from twin_core.inference.state import as_batch, therapy_between, with_unrecorded_doses
from twin_core.inference.twin import FitMetrics, FittedTwin, TwinKind, weight_notes
from twin_core.solve.schedule import check_therapy, schedule_of

Progress = Callable[[float, str], object]
"""Called with the fraction done and a sentence."""

FEWEST_READINGS = 72
"""Six hours of readings at 5 min."""

ROUNDS = 3
"""Fits with the error model estimated anew from the residuals of the fit before."""
ITERATIONS = 30
ERROR_SD_MG_DL = (10.0, 80.0)
"""Bounds of the error's SD. Below 25 for complete records; real ones, with meals left out, need more (tried)."""
MISSED_MG_DL = 30.0
"""Residuals above this are said to the reader."""
LARGEST_CORRELATION = 0.95
"""A choice: at 0.95 a reading counts as 1/39 of an independent one, about seven independent readings a day at 5 min.
More would leave nothing but the prior."""
UNMOVED_RATIO = 0.9
"""A parameter whose posterior SD is above so much of its prior SD was not moved by the data."""

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
class ErrorModel:
    """The error of a prediction: its SD [mg/dL] and the correlation between neighbouring readings."""

    sd_mg_dl: float = 15.0
    correlation: float = 0.8

    @property
    def effective_sd_mg_dl(self) -> float:
        """The SD of independent errors that carry as much information."""
        return float(self.sd_mg_dl * np.sqrt((1.0 + self.correlation) / (1.0 - self.correlation)))


@dataclass(frozen=True, kw_only=True)
class _Problem:
    """What is fitted to: segments, prior, and the person's given values."""

    segments: tuple[Segment, ...]
    prior: Prior
    body_weight_kg: float
    basal_u_h: float

    def readings(self) -> FloatArray:
        return np.concatenate([segment.glucose_mg_dl[1:] for segment in self.segments])

    def predict(self, whitened: FloatArray) -> FloatArray:
        """Predictions of `(k, 23)` parameter sets at all readings, shape `(k, n_readings)`."""
        theta = self.prior.theta(whitened)
        p = self.prior.parameters(theta, body_weight_kg=self.body_weight_kg, basal_u_h=self.basal_u_h)
        return np.concatenate([segment.predict(as_batch(p)) for segment in self.segments], axis=1)

    def jacobian(self, z: FloatArray) -> FloatArray:
        """Derivatives of the predictions by the whitened parameters, shape `(n_readings, 23)`."""
        sets = np.vstack((z, z + _DIFFERENCE * np.eye(len(z))))
        predicted = self.predict(sets)
        return np.asarray((predicted[1:] - predicted[0]).T / _DIFFERENCE)


def fit_twin(
    history: History,
    *,
    now_min: float,
    days: float = 3.0,
    body_weight_kg: float | None = None,
    progress: Progress = lambda _fraction, _sentence: None,
) -> FittedTwin | TooLittleData:
    """Fit the type 1 diabetes twin to the last `days` before `now_min`.

    Parameters
    ----------
    body_weight_kg
        75 kg is assumed, and said so in the notes, where it is not known.
    progress
        Called with a fraction in [0, 1] and a sentence.

    Raises
    ------
    OutOfRange
        A therapy with an impossible amount.
    """
    start_min = now_min - days * MINUTES_PER_DAY
    history = replace(history, therapy=with_unrecorded_doses(history.therapy, now_min))
    therapy = therapy_between(history.therapy, start_min, now_min)
    check_therapy(therapy)
    segments = segments_of(history, start_min=start_min, end_min=now_min)
    basal_u_h = mean_basal_u_h(therapy, start_min=start_min, end_min=now_min)
    missing = _missing(segments, therapy, basal_u_h, start_min, days)
    if missing:
        return TooLittleData(missing=missing)
    weight_kg = ASSUMED_BODY_WEIGHT_KG if body_weight_kg is None else body_weight_kg
    problem = _Problem(segments=segments, prior=population_prior(), body_weight_kg=weight_kg, basal_u_h=basal_u_h)
    z, error = _most_probable(problem, progress)
    progress(1.0, "The twin is fitted.")
    notes = (*weight_notes(body_weight_kg), *_simplifications(therapy))
    return _twin(problem, z, error, notes, _hash(segments, therapy, body_weight_kg))


def mean_basal_u_h(therapy: Therapy, *, start_min: float, end_min: float) -> float:
    """The mean basal rate of pump and pen over the time since the first record of either [U/h]; 0 without any."""
    basal = Therapy(basal=therapy.basal, long_acting=therapy.long_acting)
    schedule = schedule_of(basal, start_min=start_min, end_min=end_min)
    insulin_u_min, own = schedule.input("insulin_u_min"), schedule.input("own_basal")
    covered = (1.0 - own) * schedule.widths_min
    return 60.0 * float(insulin_u_min @ covered / covered.sum()) if covered.any() else 0.0


def _missing(
    segments: Sequence[Segment], therapy: Therapy, basal_u_h: float, start_min: float, days: float
) -> tuple[str, ...]:
    n = sum(len(segment.time_min) for segment in segments)
    span = f"in the last {days:g} days"
    meals = [meal for meal in therapy.meals if meal.time_min >= start_min and meal.carbs_g > 0.0]
    reasons = (
        (n < FEWEST_READINGS, f"{n} glucose readings without gaps {span}, at least {FEWEST_READINGS} are needed"),
        (basal_u_h <= 0.0, f"no basal or long-acting insulin {span}"),
        (not meals and not therapy.boluses, f"neither a meal nor a bolus {span}"),
    )
    return tuple(reason for absent, reason in reasons if absent)


def _most_probable(problem: _Problem, progress: Progress) -> tuple[FloatArray, ErrorModel]:
    """The whitened parameters and the error model, each estimated from the other in turn."""
    z, error = np.zeros(len(problem.prior.names)), ErrorModel()
    for number in range(ROUNDS):
        z = _minimum(problem, z, error, lambda share, number=number: progress((number + share) / ROUNDS, _SENTENCE))  # type: ignore[misc]
        previous, error = error, _error_of(problem, problem.readings() - problem.predict(z[None])[0])
        if abs(error.effective_sd_mg_dl / previous.effective_sd_mg_dl - 1.0) < 0.1:
            break
    return z, error


_SENTENCE = "Fitting the model to the readings."


def _minimum(problem: _Problem, z: FloatArray, error: ErrorModel, progress: Callable[[float], object]) -> FloatArray:
    # imported here because only the worker that fits needs scipy's 40 MB, not the web process
    from scipy.optimize import least_squares

    scale = error.effective_sd_mg_dl
    readings = problem.readings()
    steps = iter(range(1, ITERATIONS + 1))

    def residuals(z: FloatArray) -> FloatArray:
        return np.concatenate(((problem.predict(z[None])[0] - readings) / scale, z))

    def jacobian(z: FloatArray) -> FloatArray:
        return np.vstack((problem.jacobian(z) / scale, np.eye(len(z))))

    result = least_squares(
        residuals,
        z,
        jac=jacobian,
        bounds=(-PLAUSIBLE_SDS, PLAUSIBLE_SDS),
        method="trf",
        ftol=1e-4,
        xtol=1e-4,
        max_nfev=ITERATIONS,
        callback=lambda _: progress(next(steps, ITERATIONS) / ITERATIONS),
    )
    return np.asarray(result.x)


def _error_of(problem: _Problem, residuals: FloatArray) -> ErrorModel:
    """SD and lag-1 correlation of residuals, within their bounds; pairs never span two segments."""
    sd = float(np.sqrt(np.mean(residuals**2)))
    ends = np.cumsum([len(segment.time_min) - 1 for segment in problem.segments])
    pieces = np.split(residuals, ends[:-1])
    products = sum(float(piece[1:] @ piece[:-1]) for piece in pieces)
    squares = sum(float(piece[1:] @ piece[1:] + piece[:-1] @ piece[:-1]) / 2.0 for piece in pieces)
    correlation = products / squares if squares > 0.0 else 0.0
    return ErrorModel(
        sd_mg_dl=float(np.clip(sd, *ERROR_SD_MG_DL)), correlation=float(np.clip(correlation, 0.0, LARGEST_CORRELATION))
    )


def _twin(problem: _Problem, z: FloatArray, error: ErrorModel, notes: tuple[str, ...], fingerprint: str) -> FittedTwin:
    prior = problem.prior
    jacobian = problem.jacobian(z)
    precision = jacobian.T @ jacobian / error.effective_sd_mg_dl**2 + np.eye(len(z))
    covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
    theta = prior.theta(z)
    metrics = _metrics(problem, z, error, jacobian @ covariance @ jacobian.T)
    return FittedTwin(
        kind=TwinKind.FITTED,
        parameters=prior.parameters(theta, body_weight_kg=problem.body_weight_kg, basal_u_h=problem.basal_u_h),
        theta_mean=theta,
        theta_covariance=prior.sd[:, None] * (covariance + covariance.T) / 2.0 * prior.sd,
        metrics=metrics,
        notes=(*notes, *_verdicts(prior, z, covariance, metrics)),
        window_min=(float(problem.segments[0].time_min[0]), float(problem.segments[-1].time_min[-1])),
        data_hash=fingerprint,
    )


def _metrics(problem: _Problem, z: FloatArray, error: ErrorModel, spread: FloatArray) -> FitMetrics:
    readings = problem.readings()
    residuals = readings - problem.predict(z[None])[0]
    half_width = 1.6449 * np.sqrt(np.diag(spread) + error.sd_mg_dl**2)
    return FitMetrics(
        rmse_mg_dl=float(np.sqrt(np.mean(residuals**2))),
        mard_percent=float(100.0 * np.mean(np.abs(residuals) / readings)),
        coverage_90_percent=float(100.0 * np.mean(np.abs(residuals) <= half_width)),
        n_readings=len(readings),
        error_sd_mg_dl=error.sd_mg_dl,
        error_correlation=error.correlation,
    )


def _simplifications(therapy: Therapy) -> tuple[str, ...]:
    if not therapy.long_acting:
        return ()
    sentence = (
        "Long-acting insulin is taken as an even rate over the 24 h after each injection; "
        "an injection missing from the record for more than 36 h is taken to equal the one before."
    )
    return (sentence,)


def _verdicts(prior: Prior, z: FloatArray, covariance: FloatArray, metrics: FitMetrics) -> tuple[str, ...]:
    names: Any = np.array(prior.names)
    edge = names[np.abs(z) > PLAUSIBLE_SDS - 0.01]
    unmoved = names[np.sqrt(np.diag(covariance)) > UNMOVED_RATIO]
    missed = (
        f"The fitted curve misses the readings by {metrics.rmse_mg_dl:.0f} mg/dL: meals, insulin or activity may be "
        "missing from the record, and what-if answers are uncertain."
    )
    sentences = (
        (len(edge), f"On the edge of what is plausible, so that the data may say something else: {', '.join(edge)}."),
        (len(unmoved), f"These data told little about: {', '.join(unmoved)}."),
        (metrics.rmse_mg_dl > MISSED_MG_DL, missed),
    )
    return tuple(sentence for holds, sentence in sentences if holds)


def error_on_its_bound(metrics: FitMetrics) -> bool:
    """Whether the error's SD or its correlation stands on its upper bound."""
    return metrics.error_sd_mg_dl >= ERROR_SD_MG_DL[1] or metrics.error_correlation >= LARGEST_CORRELATION


def _hash(segments: Sequence[Segment], therapy: Therapy, body_weight_kg: float | None) -> str:
    time = np.concatenate([segment.time_min for segment in segments])
    glucose = np.concatenate([segment.glucose_mg_dl for segment in segments])
    return data_hash(time, glucose, therapy, body_weight_kg=body_weight_kg)
