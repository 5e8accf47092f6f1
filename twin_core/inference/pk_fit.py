"""A person's pharmacokinetics from measured levels: the most probable parameters, and what the levels leave open.

A person's parameter is the typical value times exp(eta), eta ~ N(0, Omega). The most probable eta is that of NONMEM's
FOCE with interaction (`inference.pk_search`), and so are its covariance and the objective Phi + ln|Omega| + ln|H|.

That normal approximation is too narrow where levels say little (by 28 % for the clearance of the first of NONMEM's
patients in the tests), so that the posterior itself is sampled (`inference.pk_posterior`). Two published models of one
drug answer together, weighted by how well each explains the levels [1].

References
----------
[1] Uster DW et al. 2021, A model averaging/selection approach improves the predictive performance of model-informed
    precision dosing: vancomycin as a case study, Clin Pharmacol Ther 109:175, doi 10.1002/cpt.2065.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from twin_core.domain.dosing import Level
from twin_core.domain.drugs import Dose
from twin_core.domain.errors import BadInput, OutOfRange
from twin_core.domain.history import FloatArray
from twin_core.inference.pk_population import Population
from twin_core.inference.pk_posterior import LEAST_ESS, Posterior, Sampler, posterior
from twin_core.inference.pk_search import Minimum, Problem, minimum
from twin_core.models.pk.compartments import check_parameters

N_DRAWS = 4000
NO_LEVEL = "There is no level yet: these are the typical values of people with these covariates."
_FAR_SD = 2.0
_LARGEST_LEVEL_MG_L = 1e6
"""A kilogram in a litre."""
_SWAPPED_LOW, _SWAPPED_HIGH = 200.0, 5000.0
"""A level this many times off what is typical is taken for one in another unit."""


@dataclass(frozen=True, kw_only=True)
class PkFit:
    """A person's parameters after their levels.

    Attributes
    ----------
    eta
        Shape `(n,)`, in the order of `population.names` and then, occasion by occasion, of its occasions' names; 0
        without levels: the prior.
    covariance
        Shape `(n, n)`: normal approximation of the posterior of eta.
    phi, objective
        What eta minimises, and the same with ln|Omega| + ln|H|, as NONMEM prints it (without n ln 2 pi).
    individual
        All parameters, by name, on no occasion in particular.
    predicted_mg_l
        Shape `(n_levels,)`.
    draws
        Shape `(n_draws, n)`: eta from the posterior.
    ess
        Effective number of independent draws behind them.
    converged
        Whether the search ended at a minimum; `notes` say what else the reader must know.
    """

    population: Population
    doses: tuple[Dose, ...]
    levels: tuple[Level, ...]
    eta: FloatArray
    covariance: FloatArray
    phi: float
    objective: float
    individual: Mapping[str, float]
    predicted_mg_l: FloatArray
    draws: FloatArray
    ess: float
    sampler: Sampler
    converged: bool
    notes: tuple[str, ...] = field(default=())

    @property
    def parts(self) -> tuple["PkFit", ...]:
        """The one model of which its draws are."""
        return (self,)


@dataclass(frozen=True, kw_only=True)
class AveragedFit:
    """Several models' fits of one person.

    Attributes
    ----------
    fits
        Each whole, in the order given.
    weights
        Shape `(n_fits,)`, sum 1: how far each is believed.
    parts
        The same fits with as many of their draws as their weights say.
    """

    fits: tuple[PkFit, ...]
    weights: FloatArray
    parts: tuple[PkFit, ...]

    @property
    def ess(self) -> float:
        """Effective number of draws of the mixture: that of independent strata."""
        return float(1.0 / sum(w**2 / fit.ess for w, fit in zip(self.weights, self.fits, strict=True)))


Fit: TypeAlias = PkFit | AveragedFit


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
        A negative level, or one that is no concentration.
    """
    problem = _checked_problem(population, doses, levels)
    if not levels or population.n_deviations == 0:
        return _prior(problem, rng, n_draws)
    found = minimum(problem)
    sample = posterior(problem, found.eta, covariance_of(found), rng, n_draws)
    return _fit_at(problem, found, sample, _notes(problem, found, sample.ess))


def most_probable(population: Population, doses: Sequence[Dose], levels: Sequence[Level]) -> PkFit:
    """As `fit_pk`, but with the most probable eta for its only draw: a tenth of the time."""
    problem = _checked_problem(population, doses, levels)
    if not levels or population.n_deviations == 0:
        prior = _prior(problem, np.random.default_rng(0), 1)
        return replace(prior, draws=prior.eta[None])
    found = minimum(problem)
    only = Posterior(found.eta[None], LEAST_ESS, Sampler.MODE)
    return _fit_at(problem, found, only, _notes(problem, found, LEAST_ESS))


def _checked_problem(population: Population, doses: Sequence[Dose], levels: Sequence[Level]) -> Problem:
    check_levels(doses, levels)
    check_parameters(population.structure, population.typical, doses)
    return Problem(population, tuple(doses), tuple(levels))


def _fit_at(problem: Problem, found: Minimum, sample: Posterior, notes: tuple[str, ...]) -> PkFit:
    return PkFit(
        population=problem.population,
        doses=problem.doses,
        levels=problem.levels,
        eta=found.eta,
        covariance=covariance_of(found),
        phi=found.phi,
        objective=objective_of(problem.population, found),
        individual=_one(problem.population.individual(found.eta[None])),
        predicted_mg_l=found.predicted,
        draws=sample.draws,
        ess=sample.ess,
        sampler=sample.sampler,
        converged=found.converged,
        notes=notes,
    )


def covariance_of(found: Minimum) -> FloatArray:
    """Normal approximation of the posterior's covariance, shape `(n, n)`."""
    covariance = np.linalg.inv(found.information)
    return np.asarray((covariance + covariance.T) / 2.0)


def objective_of(population: Population, found: Minimum) -> float:
    """The objective that NONMEM prints for a person, without n ln 2 pi."""
    return float(found.phi + np.linalg.slogdet(population.covariance)[1] + np.linalg.slogdet(found.information)[1])


def averaged(fits: Sequence[PkFit], rng: np.random.Generator) -> AveragedFit:
    """Fits of several models to the same levels, weighted by exp(-Phi / 2) as in [1].

    Without levels all weigh the same.
    """
    if not fits:
        raise BadInput("Averaging needs at least one fit; none was given.")
    phi = np.array([fit.phi for fit in fits])
    weights = np.exp(-0.5 * (phi - phi.min()))
    weights /= weights.sum()
    n_draws = min(len(fit.draws) for fit in fits)
    counts = np.diff(np.rint(n_draws * np.concatenate(([0.0], np.cumsum(weights)))).astype(int))
    parts = tuple(
        replace(fit, draws=rng.permutation(fit.draws)[:count])
        for fit, count in zip(fits, counts, strict=True)
        if count > 0
    )
    return AveragedFit(fits=tuple(fits), weights=weights, parts=parts)


def check_levels(doses: Sequence[Dose], levels: Sequence[Level]) -> None:
    """Refuse levels that no dose of this list can have caused."""
    if not doses:
        raise BadInput("A fit needs at least one dose; none was given.")
    first_h = min(dose.time_h for dose in doses)
    for level in levels:
        if not 0.0 <= level.concentration_mg_l <= _LARGEST_LEVEL_MG_L:
            raise OutOfRange(
                "concentration_mg_l of a level", level.concentration_mg_l, 0.0, _LARGEST_LEVEL_MG_L, "mg/L"
            )
        if not first_h <= level.time_h < np.inf:
            raise BadInput(
                f"A level at {level.time_h:g} h is before the first dose at {first_h:g} h: give the earlier doses too, "
                "or correct its time."
            )


def swapped_units(problem: Problem) -> tuple[str, ...]:
    """A sentence for each level that is about 1000 times off what is typical: it may be in another unit."""
    typical = problem.predict(np.zeros((1, problem.population.n_deviations)))[0]
    return tuple(
        f"The level at {level.time_h:g} h is {level.concentration_mg_l:g} mg/L where {expected:.3g} mg/L is typical: "
        f"was it measured in {'ng/mL or ug/L' if level.concentration_mg_l > expected else 'g/L or mg/mL'}? "
        "Enter it in mg/L, which is ug/mL."
        for level, expected in zip(problem.levels, typical, strict=True)
        if not level.below_quantification and _is_1000_times_off(level.concentration_mg_l, float(expected))
    )


def _is_1000_times_off(level: float, expected: float) -> bool:
    if level <= 0.0 or expected <= 0.0:
        return False
    return _SWAPPED_LOW < max(level / expected, expected / level) < _SWAPPED_HIGH


def _prior(problem: Problem, rng: np.random.Generator, n_draws: int) -> PkFit:
    population = problem.population
    n = population.n_deviations
    draws = rng.standard_normal((n_draws, n)) @ (np.linalg.cholesky(population.covariance).T if n else np.empty((0, 0)))
    eta = np.zeros(n)
    phi = float(problem.objective(eta[None])[0]) if problem.levels else 0.0
    return PkFit(
        population=population,
        doses=problem.doses,
        levels=problem.levels,
        eta=eta,
        covariance=population.covariance,
        phi=phi,
        objective=phi,
        individual=_one(population.individual(eta[None])),
        predicted_mg_l=problem.predict(eta[None])[0] if problem.levels else np.empty(0),
        draws=draws,
        ess=float(n_draws),
        sampler=Sampler.PRIOR,
        converged=True,
        notes=(NO_LEVEL,) if not problem.levels else ("No parameter varies between people: levels change nothing.",),
    )


def _one(people: Mapping[str, FloatArray]) -> dict[str, float]:
    return {name: float(values[0]) for name, values in people.items()}


def far_from_the_study(population: Population, eta: FloatArray) -> tuple[str, ...]:
    """Parameters in which a person with `eta` `(n,)` is more than 2 SD from the typical one."""
    sd = np.sqrt(np.diag(population.omega))
    return tuple(
        name for name, value, width in zip(population.names, eta, sd, strict=False) if abs(value) > _FAR_SD * width
    )


def _notes(problem: Problem, found: Minimum, ess: float) -> tuple[str, ...]:
    names = ", ".join(far_from_the_study(problem.population, found.eta))
    sentences = (
        (not found.converged, "The search did not end at a minimum: do not rely on this fit."),
        (found.others, "Another set of parameters explains the levels nearly as well; a further level would decide."),
        (names, f"Unlike nearly everybody of the study (beyond 2 SD): {names}. Check doses, times and levels."),
        (ess < LEAST_ESS, f"The sample of the posterior is worth only {ess:.0f} draws: its intervals are rough."),
    )
    return (*(sentence for holds, sentence in sentences if holds), *swapped_units(problem))
