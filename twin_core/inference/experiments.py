"""Which small experiment would tell what the data could not.

A day on which the bolus always matches the meal cannot tell strong insulin with strong food from weak with weak. For
each of a few changed days the expected posterior is computed before the day is lived: what readings there would say
of the shared parameters (Fisher information under the error model, the day's own sensitivities and counting errors
integrated out) is added to what is known (Bayesian D- and A-optimal design: Chaloner and Verdinelli 1995, Stat Sci
10(3):273, doi 10.1214/ss/1177009939). What counts is not the parameters but the answers: the SD of the mean change of
glucose when boluses, basal insulin or food of the day were 30 % less, linearised, after over before.

The sentences never advise to leave insulin out, and send the reader to the clinician.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from twin_core.domain.history import Bolus, FloatArray, Meal, Therapy
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.inference.error_model import ErrorModel, Whitening
from twin_core.inference.segments import CARB_SD, WINDOWS_H, Day, day_with
from twin_core.inference.state import as_batch
from twin_core.inference.structures import Structure
from twin_core.solve.rk4 import integrate_batch
from twin_core.solve.schedule import schedules_of

WEIGHED_SD = 0.05
"""SD of the log of the carbohydrate of weighed food over what was eaten (a choice: a kitchen scale and a table)."""
WORTH_SAYING = 1.25
"""An experiment must narrow the answers by so many times what another usual day does (a choice)."""
_TOGETHER_MIN = 45.0
"""A bolus this near to a meal belongs to it."""
_SNACK_G = 15.0
_CORRECTION_SHARE = 1.0 / 36.0
"""Of a day's insulin: what lowers glucose by 50 mg/dL by the rule of 1800 (unverified)."""
_LESS = 0.7
_DIFFERENCE = 1e-4
_GRID_MIN = 5.0


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of a person after a fit.

    Attributes
    ----------
    z, covariance
        Shape `(n,)` and `(n, n)`: whitened shared parameters.
    """

    structure: Structure
    z: FloatArray
    covariance: FloatArray
    error: ErrorModel
    body_weight_kg: float
    basal_u_h: float

    def sets(self) -> tuple[FloatArray, FloatArray]:
        """Parameters at `z` and beside it in every direction, rows of whitened coordinates."""
        return self.z[None], self.z + _DIFFERENCE * np.eye(len(self.z))


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A changed day and what it would tell.

    Attributes
    ----------
    narrowing
        How much smaller the SD of the answers would be, mean of the three, in [0, 1].
    changes_insulin
        Whether insulin is other than usual, which is the clinician's to decide.
    """

    what: str
    narrowing: float
    changes_insulin: bool


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    what: str
    therapy: Therapy
    changes_insulin: bool = False
    carb_sd: float = CARB_SD


def experiments_of(known: Known, therapy: Therapy, day_start_min: float) -> tuple[Experiment, ...]:
    """The experiments on a day like the one that begins at `day_start_min`, a usual day first, then the best first."""
    usual, *others = _candidates(therapy, day_start_min)
    gradients = _answers(known, therapy, day_start_min)
    told = [
        Experiment(
            what=candidate.what,
            narrowing=_narrowing(known, gradients, _information(known, candidate, day_start_min)),
            changes_insulin=candidate.changes_insulin,
        )
        for candidate in (usual, *others)
    ]
    return told[0], *sorted(told[1:], key=lambda experiment: -experiment.narrowing)


def sentences(experiments: Sequence[Experiment]) -> tuple[str, ...]:
    """The best experiment, and the best that leaves insulin alone, each in words."""
    usual, *others = experiments
    worth = [one for one in others if one.narrowing > WORTH_SAYING * usual.narrowing]
    if not worth:
        nothing = "No small experiment would tell much more than another usual day"
        return (f"{nothing}, which would narrow answers about insulin and food by about {_percent(usual.narrowing)}.",)
    harmless = [one for one in worth if not one.changes_insulin]
    chosen = dict.fromkeys((worth[0], *harmless[:1]))
    return tuple(_sentence(one, usual) for one in chosen)


def _sentence(one: Experiment, usual: Experiment) -> str:
    care = (
        " Plan it with your clinician, keep basal insulin as it is, and have fast carbohydrate at hand."
        if one.changes_insulin
        else " Insulin stays as you and your clinician set it."
    )
    return (
        f"{one.what[0].upper()}{one.what[1:]} would narrow answers about insulin and food by about "
        f"{_percent(one.narrowing)}, another usual day by {_percent(usual.narrowing)}.{care}"
    )


def _percent(share: float) -> str:
    return f"{100.0 * share:.0f} %"


def _candidates(therapy: Therapy, day_start_min: float) -> list[_Candidate]:
    end_min = day_start_min + MINUTES_PER_DAY
    meals = sorted(
        (m for m in therapy.meals if day_start_min <= m.time_min < end_min and m.carbs_g > 0.0),
        key=lambda meal: meal.carbs_g,
    )
    found = [
        _Candidate(what="another usual day", therapy=therapy),
        _Candidate(what="a day on which all food is weighed", therapy=therapy, carb_sd=WEIGHED_SD),
    ]
    quiet_min = _quiet_min([meal.time_min for meal in meals], day_start_min)
    snack = Meal(time_min=quiet_min, carbs_g=_SNACK_G, duration_min=5.0)
    found.append(
        _Candidate(
            what=f"{_SNACK_G:g} g of glucose between meals on a usual day, without a bolus for it",
            therapy=replace(therapy, meals=(*therapy.meals, snack)),
        )
    )
    dose_u = _CORRECTION_SHARE * _daily_u(therapy, day_start_min)
    if dose_u > 0.0:
        correction = Bolus(time_min=quiet_min, dose_u=dose_u)
        found.append(
            _Candidate(
                what=f"a correction of about {dose_u:.1f} U between meals, when glucose is high anyway",
                therapy=replace(therapy, boluses=(*therapy.boluses, correction)),
                changes_insulin=True,
            )
        )
    if meals and _boluses_of(therapy, meals[-1]):
        found.append(
            _Candidate(
                what="a day on which the bolus of the largest meal is 30 % smaller",
                therapy=_with_boluses(therapy, _boluses_of(therapy, meals[-1]), 0.7),
                changes_insulin=True,
            )
        )
    if _daily_u(therapy, day_start_min) > 0.0:
        given = {b for b in therapy.boluses if day_start_min <= b.time_min < end_min}
        found.append(
            _Candidate(
                what="a day on which every bolus is 20 % smaller",
                therapy=_with_boluses(therapy, given, 0.8),
                changes_insulin=True,
            )
        )
    morning = [m for m in meals if m.time_min < day_start_min + 60.0 * (WINDOWS_H[1] - WINDOWS_H[0])]
    if morning and len(morning) < len(meals):
        found.append(
            _Candidate(
                what="a morning without breakfast, so without its bolus, with basal insulin as usual,",
                therapy=_without(therapy, morning),
                changes_insulin=True,
            )
        )
    return found


def _quiet_min(meals_min: Sequence[float], day_start_min: float) -> float:
    """The middle of the longest time between meals from 07 to 23 h."""
    first, last = day_start_min + 180.0, day_start_min + 1140.0
    inside = sorted(t for t in meals_min if first < t < last)
    marks = [first, *inside, last]
    return max(((b - a, 0.5 * (a + b)) for a, b in pairwise(marks)))[1]


def _daily_u(therapy: Therapy, day_start_min: float) -> float:
    """Boluses of the day, twice: about half of a day's insulin is basal."""
    end_min = day_start_min + MINUTES_PER_DAY
    return 2.0 * sum(bolus.dose_u for bolus in therapy.boluses if day_start_min <= bolus.time_min < end_min)


def _boluses_of(therapy: Therapy, meal: Meal) -> set[Bolus]:
    return {bolus for bolus in therapy.boluses if abs(bolus.time_min - meal.time_min) <= _TOGETHER_MIN}


def _with_boluses(therapy: Therapy, chosen: set[Bolus], factor: float) -> Therapy:
    boluses = (replace(b, dose_u=factor * b.dose_u) if b in chosen else b for b in therapy.boluses)
    return replace(therapy, boluses=tuple(boluses))


def _without(therapy: Therapy, meals: Sequence[Meal]) -> Therapy:
    boluses = {bolus for meal in meals for bolus in _boluses_of(therapy, meal)}
    return replace(
        therapy,
        meals=tuple(meal for meal in therapy.meals if meal not in meals),
        boluses=tuple(bolus for bolus in therapy.boluses if bolus not in boluses),
    )


def _information(known: Known, candidate: _Candidate, day_start_min: float) -> FloatArray:
    """What a day's readings say of the shared parameters, `(n, n)`, its local coordinates integrated out."""
    times = day_start_min + np.arange(0.0, MINUTES_PER_DAY, _GRID_MIN)
    day = day_with(candidate.therapy, [(times, np.full(len(times), np.nan))], day_start_min)
    J = _jacobian(known, day)
    scale = np.ones(day.n_local)
    scale[len(scale) - len(day.meals_min) :] = candidate.carb_sd / CARB_SD
    n = len(known.z)
    J[:, n:] *= scale
    gaps = np.diff(times, prepend=-np.inf)
    whitened = Whitening.of(known.error, gaps)(J)
    F = whitened.T @ whitened
    local = F[n:, n:] + np.eye(day.n_local)
    return np.asarray(F[:n, :n] - F[:n, n:] @ np.linalg.solve(local, F[n:, :n]))


def _jacobian(known: Known, day: Day) -> FloatArray:
    """Of a day's readings by shared and local coordinates, at local coordinates 0."""
    here, beside = known.sets()
    rest = np.zeros(day.n_local)
    shared = day.predict(known.structure, _parameters(known, np.vstack((here, beside))), rest[None])
    steps = _DIFFERENCE * np.eye(day.n_local)
    local = day.predict(known.structure, as_batch(_parameters(known, known.z)), steps)
    return np.asarray(np.vstack((shared[1:], local)).T - shared[0][:, None]) / _DIFFERENCE


def _parameters(known: Known, z: FloatArray) -> Any:
    prior = known.structure.prior
    return prior.parameters(prior.theta(z), body_weight_kg=known.body_weight_kg, basal_u_h=known.basal_u_h)


def _answers(known: Known, therapy: Therapy, day_start_min: float) -> FloatArray:
    """Gradients of the three answers by the shared parameters, shape `(3, n)` [mg/dL]."""
    therapies = (therapy, *(less(therapy, day_start_min) for less in (_less_bolus, _less_basal, _less_food)))
    days = schedules_of(therapies, start_min=day_start_min, end_min=day_start_min + MINUTES_PER_DAY)
    parameters = _parameters(known, np.vstack(known.sets()))
    curves = [
        integrate_batch(known.structure.model, parameters, day, every_min=_GRID_MIN).output("glucose_mg_dl")
        for day in days
    ]
    means = np.array([curve.mean(axis=1) for curve in curves])
    changes = means[1:] - means[0]
    return np.asarray(changes[:, 1:] - changes[:, :1]) / _DIFFERENCE


def _less_bolus(therapy: Therapy, day_start_min: float) -> Therapy:
    return _with_boluses(therapy, {bolus for bolus in therapy.boluses if bolus.time_min >= day_start_min}, _LESS)


def _less_basal(therapy: Therapy, day_start_min: float) -> Therapy:
    before = [rate for rate in therapy.basal if rate.time_min < day_start_min]
    in_force = [replace(rate, time_min=day_start_min) for rate in before[-1:]]
    changed = [*in_force, *(rate for rate in therapy.basal if rate.time_min >= day_start_min)]
    return replace(
        therapy,
        basal=(*before, *(replace(rate, rate_u_h=_LESS * rate.rate_u_h) for rate in changed)),
        long_acting=tuple(
            replace(dose, dose_u=_LESS * dose.dose_u) if dose.time_min >= day_start_min else dose
            for dose in therapy.long_acting
        ),
    )


def _less_food(therapy: Therapy, day_start_min: float) -> Therapy:
    meals = (replace(m, carbs_g=_LESS * m.carbs_g) if m.time_min >= day_start_min else m for m in therapy.meals)
    return replace(therapy, meals=tuple(meals))


def _narrowing(known: Known, gradients: FloatArray, information: FloatArray) -> float:
    """How much smaller the SDs of the answers become, mean of those that are uncertain at all."""
    after = np.linalg.inv(np.linalg.inv(known.covariance) + information)
    before_sd, after_sd = (
        np.sqrt(np.einsum("ij,jk,ik->i", gradients, C, gradients)) for C in (known.covariance, after)
    )
    uncertain = before_sd > 0.0
    return float(np.mean(1.0 - after_sd[uncertain] / before_sd[uncertain])) if uncertain.any() else 0.0
