"""Fit a population model to the levels of all people of a study: FOCE with interaction.

The likelihood of a study has no closed form, because each person's eta is unknown. Approximated about the most probable
eta of each person, -2 ln L (without n ln 2 pi) is the sum over people of what NONMEM calls their objective [1],

    Phi_i(eta_i) + ln det Omega + ln det H_i

with Phi and H of `pk_search`. It is minimised over the logarithms of the typical values, of the SDs of eta (Omega
diagonal) and of the residual SDs. The covariance of the estimates is twice the inverse of its Hessian (NONMEM's
MATRIX=R); with few people it is rough, and that of the SDs rougher.

References
----------
[1] Wang Y 2007, Derivation of various NONMEM estimation methods, J Pharmacokinet Pharmacodyn 34:575,
    doi 10.1007/s10928-007-9060-6.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from twin_core.domain.dosing import Level
from twin_core.domain.drugs import Dose
from twin_core.domain.errors import BadInput
from twin_core.domain.history import FloatArray
from twin_core.inference.pk_fit import check_levels, objective_of
from twin_core.inference.pk_population import Population, standard_deviation
from twin_core.inference.pk_search import Minimum, Problem, curves, minimum, minimum_from
from twin_core.metrics.pk_checks import PredictionErrors, PredictiveCheck, prediction_errors, predictive_check
from twin_core.models.pk.compartments import check_parameters

_FEWEST_PEOPLE = 4
_DIFFERENCE = 1e-3
"""Of a logarithm, for slopes; the objective is known to about 1e-9."""
_BEND_DIFFERENCE = 1e-2
_SETTLED = 1e-4
"""Largest slope of the objective, per unit of a logarithm, at which the search ends."""
_FARTHEST = 6.0
"""So far, in logarithms, an estimate may go from its start."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One person of a study."""

    doses: tuple[Dose, ...]
    levels: tuple[Level, ...]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its standard error; `logarithm_se` is that of its natural logarithm."""

    value: float
    logarithm_se: float

    @property
    def standard_error(self) -> float:
        """By the delta method."""
        return self.value * self.logarithm_se


@dataclass(frozen=True, kw_only=True)
class StudyFit:
    """What a study says of its population; `m` people, `n` parameters that vary.

    Attributes
    ----------
    typical, spread, residual
        Typical values by parameter; SDs of eta by parameter; residual SDs by `proportional_sd` and `additive_sd_mg_l`.
    etas
        Shape `(m, n)`: the most probable ones.
    shrinkage
        By parameter, 1 - SD(etas) / SD of eta: near 1 the levels say nothing of each person.
    objective
        NONMEM's: -2 ln L without n ln 2 pi.
    """

    population: Population
    subjects: tuple[Subject, ...]
    typical: Mapping[str, Estimate]
    spread: Mapping[str, Estimate]
    residual: Mapping[str, Estimate]
    etas: FloatArray
    shrinkage: Mapping[str, float]
    objective: float
    converged: bool


class _Study:
    """The objective of a study, which remembers where each person's eta was last."""

    def __init__(self, start: Population, subjects: Sequence[Subject]) -> None:
        self.start, self.subjects = start, subjects
        self.error_names = tuple(
            name for name in ("proportional_sd", "additive_sd_mg_l") if getattr(start.residual, name) > 0.0
        )
        self.etas: list[FloatArray] = [minimum(problem).eta for problem in self._problems(start)]

    def _problems(self, population: Population) -> list[Problem]:
        return [Problem(population, subject.doses, subject.levels) for subject in self.subjects]

    @property
    def beginning(self) -> FloatArray:
        """Logarithms of typical values, SDs of eta and residual SDs."""
        names = self.start.names
        values = [self.start.typical[name] for name in names]
        values += list(np.sqrt(np.diag(self.start.omega)))
        return np.log([*values, *(getattr(self.start.residual, name) for name in self.error_names)])

    def population(self, logarithms: FloatArray) -> Population:
        """The population model that these logarithms stand for."""
        n, values = len(self.start.names), np.exp(logarithms)
        errors = dict(zip(self.error_names, map(float, values[2 * n :]), strict=True))
        residual = self.start.residual
        return replace(
            self.start,
            typical={**self.start.typical, **dict(zip(self.start.names, map(float, values[:n]), strict=True))},
            omega=np.diag(values[n : 2 * n] ** 2),
            residual=replace(
                residual,
                proportional_sd=errors.get("proportional_sd", residual.proportional_sd),
                additive_sd_mg_l=errors.get("additive_sd_mg_l", residual.additive_sd_mg_l),
            ),
        )

    def minima(self, logarithms: FloatArray) -> list[Minimum]:
        """Each person's most probable eta, searched from the last one."""
        problems = self._problems(self.population(logarithms))
        return [minimum_from(problem, eta[None]) for problem, eta in zip(problems, self.etas, strict=True)]

    def objective(self, logarithms: FloatArray) -> float:
        """-2 ln L without n ln 2 pi."""
        population = self.population(logarithms)
        return sum(objective_of(population, found) for found in self.minima(logarithms))

    def with_slope(self, logarithms: FloatArray) -> tuple[float, FloatArray]:
        """The objective and its slopes; the etas found become the next starts."""
        self.etas = [found.eta for found in self.minima(logarithms)]
        steps = _DIFFERENCE * np.eye(len(logarithms))
        slope = [
            (self.objective(logarithms + step) - self.objective(logarithms - step)) / (2.0 * _DIFFERENCE)
            for step in steps
        ]
        return self.objective(logarithms), np.array(slope)

    def hessian(self, logarithms: FloatArray) -> FloatArray:
        """Second differences of the objective, shape `(k, k)`."""
        k, h = len(logarithms), _BEND_DIFFERENCE
        unit, here = h * np.eye(k), self.objective(logarithms)
        up = [self.objective(logarithms + step) for step in unit]
        down = [self.objective(logarithms - step) for step in unit]
        bend = np.diag([(up[i] + down[i] - 2.0 * here) / h**2 for i in range(k)])
        for i in range(k):
            for j in range(i):
                both = self.objective(logarithms + unit[i] + unit[j]) + self.objective(logarithms - unit[i] - unit[j])
                bend[i, j] = bend[j, i] = (both - up[i] - down[i] - up[j] - down[j] + 2.0 * here) / (2.0 * h**2)
        return bend


def fit_study(start: Population, subjects: Sequence[Subject]) -> StudyFit:
    """Estimate typical values, spread and residual error from all people's levels.

    Parameters
    ----------
    start
        First guesses, and what is held: parameters that do not vary, and residual SDs of 0. Omega must be diagonal.

    Raises
    ------
    BadInput
        Fewer than 4 people, a person without levels, covariances in `start`, or occasions.
    OutOfRange
        A level that is no concentration.
    """
    from scipy.optimize import minimize

    _check(start, subjects)
    study = _Study(start, subjects)
    beginning = study.beginning
    bounds = [(value - _FARTHEST, value + _FARTHEST) for value in beginning]
    found = minimize(
        study.with_slope,
        beginning,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"gtol": _SETTLED, "ftol": 1e-12, "maxiter": 200},
    )
    return _study_fit(study, np.asarray(found.x), bool(found.success))


def _check(start: Population, subjects: Sequence[Subject]) -> None:
    if len(subjects) < _FEWEST_PEOPLE:
        raise BadInput(f"A spread between people needs at least {_FEWEST_PEOPLE} of them; got {len(subjects)}.")
    if start.occasions or start.follows or start.later or np.count_nonzero(start.omega - np.diag(np.diag(start.omega))):
        raise BadInput("A study is fitted with a diagonal omega, without occasions and covariates that change.")
    for number, subject in enumerate(subjects, start=1):
        if not subject.levels:
            raise BadInput(f"Person {number} of the study has no level: leave the person out.")
        check_levels(subject.doses, subject.levels)
        check_parameters(start.structure, start.typical, subject.doses)


def _study_fit(study: _Study, logarithms: FloatArray, settled: bool) -> StudyFit:
    population, n = study.population(logarithms), len(study.start.names)
    bend = study.hessian(logarithms)
    usable = bool(np.linalg.eigvalsh(bend)[0] > 0.0)
    errors = np.sqrt(np.diag(2.0 * np.linalg.inv(bend))) if usable else np.full(len(logarithms), np.inf)
    estimates = [
        Estimate(value=float(value), logarithm_se=float(error))
        for value, error in zip(np.exp(logarithms), errors, strict=True)
    ]
    etas = np.stack([found.eta for found in study.minima(logarithms)])
    spread = dict(zip(population.names, estimates[n : 2 * n], strict=True))
    return StudyFit(
        population=population,
        subjects=tuple(study.subjects),
        typical=dict(zip(population.names, estimates[:n], strict=True)),
        spread=spread,
        residual=dict(zip(study.error_names, estimates[2 * n :], strict=True)),
        etas=etas,
        shrinkage={
            name: float(1.0 - column.std(ddof=1) / spread[name].value)
            for name, column in zip(population.names, etas.T, strict=True)
        },
        objective=study.objective(logarithms),
        converged=settled and usable,
    )


def simulated_levels(
    population: Population, subjects: Sequence[Subject], rng: np.random.Generator, n: int
) -> FloatArray:
    """The same doses and sampling times in `n` studies of new people, with scatter: `(n, n_levels)` [mg/L]."""
    root = np.linalg.cholesky(population.covariance)
    return np.concatenate(
        [_scattered(population, subject, rng.standard_normal((n, len(root))) @ root.T, rng) for subject in subjects],
        axis=1,
    )


def _scattered(population: Population, subject: Subject, eta: FloatArray, rng: np.random.Generator) -> FloatArray:
    expected = curves(population, eta, subject.doses, _times(subject))
    sd, _, _ = standard_deviation(population.residual, expected)
    return np.asarray(expected + sd * rng.standard_normal(expected.shape))


def _times(subject: Subject) -> FloatArray:
    return np.array([level.time_h for level in subject.levels], dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class StudyChecks:
    """How well a fitted population model describes its own study.

    `typical_errors` are those of the typical person's levels, `individual_errors` those at each person's own eta; both
    of levels above 0 only, and both flattered by having been fitted to the same levels.
    """

    predictive: PredictiveCheck
    typical_errors: PredictionErrors
    individual_errors: PredictionErrors


def check_study(fit: StudyFit, rng: np.random.Generator, *, n_simulations: int = 500, n_bins: int = 8) -> StudyChecks:
    """Visual predictive check and prediction errors of a fit."""
    population, subjects = fit.population, fit.subjects
    times = np.concatenate([_times(subject) for subject in subjects])
    measured = np.array([level.concentration_mg_l for subject in subjects for level in subject.levels])
    typical, individual = (
        np.concatenate(
            [
                curves(population, eta[None], subject.doses, _times(subject))[0]
                for eta, subject in zip(etas, subjects, strict=True)
            ]
        )
        for etas in (np.zeros_like(fit.etas), fit.etas)
    )
    seen = measured > 0.0
    simulated = simulated_levels(population, subjects, rng, n_simulations)
    return StudyChecks(
        predictive=predictive_check(times, measured, simulated, n_bins=n_bins),
        typical_errors=prediction_errors(measured[seen], typical[seen]),
        individual_errors=prediction_errors(measured[seen], individual[seen]),
    )
