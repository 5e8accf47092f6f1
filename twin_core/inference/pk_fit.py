"""A person's pharmacokinetics from measured levels: the most probable parameters, and what the levels leave open.

A person's parameter is the typical value times exp(eta), eta ~ N(0, Omega). With predictions f, error variances v(f)
and measured levels y, eta minimises NONMEM's conditional objective (FOCE with interaction)

    Phi(eta) = sum[(y - f)^2 / v + ln v] + eta' Omega^-1 eta

by Fisher scoring; the covariance of eta is the inverse of the expected information at the minimum,

    H = Omega^-1 + sum[f' f'^T / v + v' v'^T / (2 v^2)],

and the objective that NONMEM prints for the person is Phi + ln|Omega| + ln|H|. Several starts guard against a second
minimum. A level below the limit of quantification L counts by its probability, -2 ln Pr(y < L) (method M3 of [2]).

The normal approximation is too narrow where levels say little (reference: by 28 % for a clearance), so that the
posterior itself is sampled: importance sampling from a t distribution with 4 degrees of freedom about the minimum with
twice its covariance, resampled by weight; the effective sample size says how far the sample can be trusted.

References
----------
[1] Wang Y 2007, Derivation of various NONMEM estimation methods, J Pharmacokinet Pharmacodyn 34:575,
    doi 10.1007/s10928-007-9060-6.
[2] Beal SL 2001, Ways to fit a PK model with some data below the quantification limit, J Pharmacokinet Pharmacodyn
    28:481, doi 10.1023/A:1012299115260.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from twin_core.domain.drugs import Dose, ErrorForm, ResidualError, Structure
from twin_core.domain.errors import BadInput, OutOfRange, UnknownName
from twin_core.domain.history import FloatArray
from twin_core.models.pk.compartments import concentration

N_DRAWS = 4000
LEAST_ESS = 400.0
"""Below so many effective draws the sample is said to be poor."""
_DEGREES_OF_FREEDOM = 4.0
_SPREAD = 2.0
"""The proposal's covariance, as a multiple of the approximate one."""
_ITERATIONS = 60
_DIFFERENCE = 1e-4
_CONVERGED = 1e-9
_LARGEST_STEP = 1.0
_SMALLEST_VARIANCE = 1e-12


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """A measured concentration; with `below_quantification` it is only known to be below `concentration_mg_l`."""

    time_h: float
    concentration_mg_l: float
    below_quantification: bool = False


@dataclass(frozen=True, kw_only=True)
class Population:
    """What is assumed of a person before any level.

    Attributes
    ----------
    typical
        Parameters of the typical person with this person's covariates, by name.
    names
        The parameters that vary between people, `n` of them.
    omega
        Shape `(n, n)`: covariance of eta.
    """

    structure: Structure
    typical: Mapping[str, float]
    names: tuple[str, ...]
    omega: FloatArray
    residual: ResidualError

    def __post_init__(self) -> None:
        for name in self.names:
            if name not in self.typical:
                raise UnknownName("parameter that varies", name, self.typical)
        if self.omega.shape != (len(self.names), len(self.names)):
            raise BadInput(f"omega must be {len(self.names)} x {len(self.names)}; got shape {self.omega.shape}.")
        if not np.allclose(self.omega, self.omega.T) or (self.names and np.linalg.eigvalsh(self.omega)[0] <= 0.0):
            raise BadInput("omega must be symmetric and positive definite: variances of eta on the log scale.")

    def individual(self, eta: FloatArray) -> dict[str, FloatArray]:
        """Parameters of people with `eta` of shape `(n_people, n)`, each of shape `(n_people,)`."""
        everyone = np.ones(len(eta))
        factors = dict(zip(self.names, np.exp(eta).T, strict=True))
        return {name: value * factors.get(name, everyone) for name, value in self.typical.items()}


@dataclass(frozen=True, kw_only=True)
class PkFit:
    """A person's parameters after their levels.

    Attributes
    ----------
    eta
        Shape `(n,)`, in the order of `population.names`; 0 without levels: the prior.
    covariance
        Shape `(n, n)`: normal approximation of the posterior of eta.
    objective
        As NONMEM prints it (without n ln 2 pi).
    individual
        All parameters, by name.
    predicted_mg_l
        Shape `(n_levels,)`.
    draws
        Shape `(n_draws, n)`: eta from the posterior.
    ess
        Effective number of independent draws before resampling.
    converged
        Whether the search ended at a minimum; `notes` say what else the reader must know.
    """

    population: Population
    eta: FloatArray
    covariance: FloatArray
    objective: float
    individual: Mapping[str, float]
    predicted_mg_l: FloatArray
    draws: FloatArray
    ess: float
    converged: bool
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, kw_only=True)
class _Problem:
    population: Population
    doses: Sequence[Dose]
    levels: Sequence[Level]

    @property
    def times(self) -> FloatArray:
        return np.array([level.time_h for level in self.levels])

    @property
    def measured(self) -> FloatArray:
        return np.array([level.concentration_mg_l for level in self.levels])

    @property
    def censored(self) -> FloatArray:
        return np.array([level.below_quantification for level in self.levels], dtype=bool)

    def predict(self, eta: FloatArray) -> FloatArray:
        """Predictions of people with `eta` `(n_people, n)`, shape `(n_people, n_levels)`."""
        people = self.population.individual(eta)
        return concentration(self.population.structure, people, self.doses, self.times)

    def objective(self, eta: FloatArray) -> FloatArray:
        """Phi of people with `eta` `(n_people, n)`, shape `(n_people,)`."""
        f = self.predict(eta)
        v = variance(self.population.residual, f)
        exact = (self.measured - f) ** 2 / v + np.log(v)
        terms = np.where(self.censored, self._below(f, v), exact) if self.censored.any() else exact
        return np.asarray(terms.sum(axis=1) + np.einsum("ij,jk,ik->i", eta, self.precision, eta))

    def _below(self, f: FloatArray, v: FloatArray) -> FloatArray:
        from scipy.special import log_ndtr

        return np.asarray(-2.0 * log_ndtr((self.measured - f) / np.sqrt(v)))

    @property
    def precision(self) -> FloatArray:
        return np.asarray(np.linalg.inv(self.population.omega))

    def gradient_and_information(self, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gradient of Phi / 2 and H at one `eta` `(n,)`, by central differences in one batch."""
        n = len(eta)
        around = np.vstack((eta, eta + _DIFFERENCE * np.eye(n), eta - _DIFFERENCE * np.eye(n)))
        f_all = self.predict(around)
        v_all = variance(self.population.residual, f_all)
        f, v = f_all[0], v_all[0]
        df = (f_all[1 : n + 1] - f_all[n + 1 :]) / (2.0 * _DIFFERENCE)
        dv = (v_all[1 : n + 1] - v_all[n + 1 :]) / (2.0 * _DIFFERENCE)
        residual = self.measured - f
        exact = -residual / v * df - residual**2 / (2.0 * v**2) * dv + dv / (2.0 * v)
        weight = df[:, None, :] * df[None, :, :] / v + dv[:, None, :] * dv[None, :, :] / (2.0 * v**2)
        if self.censored.any():
            below = self._below(f_all, v_all) / 2.0
            slope = (below[1 : n + 1] - below[n + 1 :]) / (2.0 * _DIFFERENCE)
            exact = np.where(self.censored, slope, exact)
            weight = np.where(self.censored, slope[:, None, :] * slope[None, :, :], weight)
        return exact.sum(axis=1) + self.precision @ eta, weight.sum(axis=2) + self.precision


def variance(residual: ResidualError, f: FloatArray) -> FloatArray:
    """The variance of a level about the prediction `f` [mg^2/L^2]."""
    a, b = residual.additive_sd_mg_l, residual.proportional_sd
    if residual.form is ErrorForm.COMBINED2:
        v = a**2 + (b * f) ** 2
    elif residual.form is ErrorForm.COMBINED1:
        v = (a + b * f) ** 2
    else:
        v = (b * f) ** 2
    return np.maximum(v, _SMALLEST_VARIANCE)


def fit_pk(
    population: Population,
    doses: Sequence[Dose],
    levels: Sequence[Level],
    rng: np.random.Generator,
    *,
    n_draws: int = N_DRAWS,
) -> PkFit:
    """Update a population model with a person's levels.

    Without levels the answer is the prior, and says so.

    Raises
    ------
    BadInput
        No dose, or a level before the first one.
    OutOfRange
        A negative or infinite level.
    """
    check_levels(doses, levels)
    problem = _Problem(population=population, doses=doses, levels=levels)
    n = len(population.names)
    if not levels or n == 0:
        return _prior(problem, rng, n_draws)
    found = [_minimum(problem, start) for start in _starts(population)]
    eta, converged = min(found, key=lambda end: float(problem.objective(end[0][None])[0]))
    _, information = problem.gradient_and_information(eta)
    covariance = np.asarray(np.linalg.inv(information), dtype=np.float64)
    draws, ess = _sampled(problem, eta, covariance, rng, n_draws)
    signs = np.linalg.slogdet(population.omega)[1] + np.linalg.slogdet(information)[1]
    return PkFit(
        population=population,
        eta=eta,
        covariance=(covariance + covariance.T) / 2.0,
        objective=float(problem.objective(eta[None])[0] + signs),
        individual=_one(population.individual(eta[None])),
        predicted_mg_l=problem.predict(eta[None])[0],
        draws=draws,
        ess=ess,
        converged=converged,
        notes=_notes(population, eta, ess, converged),
    )


def check_levels(doses: Sequence[Dose], levels: Sequence[Level]) -> None:
    """Refuse levels that no dose of this list can have caused."""
    if not doses:
        raise BadInput("A fit needs at least one dose; none was given.")
    first_h = min(dose.time_h for dose in doses)
    for level in levels:
        if not 0.0 <= level.concentration_mg_l < np.inf:
            raise OutOfRange("concentration_mg_l of a level", level.concentration_mg_l, 0.0, np.inf, "mg/L")
        if not first_h <= level.time_h < np.inf:
            raise BadInput(
                f"A level at {level.time_h:g} h is before the first dose at {first_h:g} h: give the earlier doses too, "
                "or correct its time."
            )


def _minimum(problem: _Problem, start: FloatArray) -> tuple[FloatArray, bool]:
    """Fisher scoring with step halving; whether it converged."""
    eta, value = start, float(problem.objective(start[None])[0])
    for _ in range(_ITERATIONS):
        gradient, information = problem.gradient_and_information(eta)
        step = -np.linalg.solve(information, gradient)
        step *= min(1.0, _LARGEST_STEP / max(float(np.abs(step).max()), 1e-300))
        shares = 0.5 ** np.arange(12)
        values = problem.objective(eta + shares[:, None] * step)
        best = int(np.argmin(values))
        if not values[best] < value:
            return eta, bool(np.abs(step).max() < 1e-5)
        eta, moved = eta + shares[best] * step, float(np.abs(shares[best] * step).max())
        value = float(values[best])
        if moved < _CONVERGED:
            return eta, True
    return eta, False


def _starts(population: Population) -> list[FloatArray]:
    """The typical person, and one SD up and down in all parameters at once."""
    sd = np.sqrt(np.diag(population.omega))
    return [np.zeros(len(sd)), sd, -sd]


def _sampled(
    problem: _Problem, eta: FloatArray, covariance: FloatArray, rng: np.random.Generator, n_draws: int
) -> tuple[FloatArray, float]:
    """Draws from the posterior and their effective number before resampling."""
    n = len(eta)
    root = np.linalg.cholesky(_SPREAD * covariance)
    normal = rng.standard_normal((n_draws, n))
    stretch = np.sqrt(_DEGREES_OF_FREEDOM / rng.chisquare(_DEGREES_OF_FREEDOM, n_draws))
    proposed = eta + stretch[:, None] * (normal @ root.T)
    squared = (normal**2).sum(axis=1) * stretch**2
    log_proposal = -0.5 * (_DEGREES_OF_FREEDOM + n) * np.log1p(squared / _DEGREES_OF_FREEDOM)
    log_weight = -0.5 * problem.objective(np.clip(proposed, -20.0, 20.0)) - log_proposal
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    even = (rng.uniform() + np.arange(n_draws)) / n_draws
    chosen = np.minimum(np.searchsorted(np.cumsum(weight), even), n_draws - 1)
    return proposed[chosen], float(1.0 / (weight**2).sum())


def _prior(problem: _Problem, rng: np.random.Generator, n_draws: int) -> PkFit:
    population = problem.population
    n = len(population.names)
    draws = rng.standard_normal((n_draws, n)) @ (np.linalg.cholesky(population.omega).T if n else np.empty((0, 0)))
    eta = np.zeros(n)
    return PkFit(
        population=population,
        eta=eta,
        covariance=population.omega,
        objective=float(problem.objective(eta[None])[0]) if problem.levels else 0.0,
        individual=_one(population.individual(eta[None])),
        predicted_mg_l=problem.predict(eta[None])[0] if problem.levels else np.empty(0),
        draws=draws,
        ess=float(n_draws),
        converged=True,
        notes=("There is no level yet: these are the typical values of people with these covariates.",),
    )


def _one(people: Mapping[str, FloatArray]) -> dict[str, float]:
    return {name: float(values[0]) for name, values in people.items()}


def _notes(population: Population, eta: FloatArray, ess: float, converged: bool) -> tuple[str, ...]:
    far = np.abs(eta) > 2.0 * np.sqrt(np.diag(population.omega))
    names = ", ".join(name for name, is_far in zip(population.names, far, strict=True) if is_far)
    sentences = (
        (not converged, "The search did not end at a minimum: do not rely on this fit."),
        (names, f"Unlike nearly everybody of the study (beyond 2 SD): {names}. Check doses, times and levels."),
        (ess < LEAST_ESS, f"The sample of the posterior is worth only {ess:.0f} draws: its intervals are rough."),
    )
    return tuple(sentence for holds, sentence in sentences if holds)
