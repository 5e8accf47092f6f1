"""The most probable eta: NONMEM's conditional objective and its minimum.

With predictions f, their standard deviations s(f) and measured levels y, eta minimises (FOCE with interaction, [1])

    Phi(eta) = sum[(y - f)^2 / s^2 + 2 ln s] + eta' Omega^-1 eta

and a level below the limit of quantification L counts by -2 ln Pr(y < L) instead (method M3 of [2]). Each level's term
is a function of its f alone, differentiated exactly; f itself is differentiated by eta numerically, to second order, so
that Newton's steps converge quadratically. One batch of predictions serves a step of all starts with all derivatives.
Where the Hessian is not positive definite the step is that of Fisher scoring, with the expected information

    H = Omega^-1 + sum[f' f'^T (1 / s^2 + 2 (ds/df)^2 / s^2)]

whose inverse at the minimum is the covariance of eta that NONMEM prints.

References
----------
[1] Wang Y 2007, Derivation of various NONMEM estimation methods, J Pharmacokinet Pharmacodyn 34:575,
    doi 10.1007/s10928-007-9060-6.
[2] Beal SL 2001, Ways to fit a PK model with some data below the quantification limit, J Pharmacokinet Pharmacodyn
    28:481, doi 10.1023/A:1012299115260.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.dosing import Level
from twin_core.domain.drugs import PK_QUANTITIES, Dose
from twin_core.domain.history import FloatArray
from twin_core.inference.pk_population import Population, standard_deviation
from twin_core.models.pk.curve import Curve
from twin_core.models.pk.piecewise import concentration_in_pieces

_ITERATIONS = 60
_DIFFERENCE = 1e-4
_CONVERGED = 5e-5
"""A Newton step below this leaves an error of about its square."""
_CONVERGED_SCORING = 1e-9
_LARGEST_STEP = 1.0
_SMALLEST_STEP = 1e-7
_ROUNDING = 1e-14
_N_PEOPLE = 128
_UNLIKE_SD = 1.0
"""Root mean square distance of the second start from the first, in SD of the population."""
_NEARLY_AS_GOOD = 6.0
"""In Phi: e^-3 of the likelihood."""
_NEAR = 0.1
"""Two ends closer than this in all etas are one minimum."""
_FARTHEST_ETA = 20.0


@dataclass(frozen=True)
class Problem:
    """A person's doses and levels under a population model."""

    population: Population
    doses: tuple[Dose, ...]
    levels: tuple[Level, ...]

    @cached_property
    def times_h(self) -> FloatArray:
        """Shape `(n_levels,)`."""
        return np.array([level.time_h for level in self.levels], dtype=np.float64)

    @cached_property
    def measured(self) -> FloatArray:
        """Shape `(n_levels,)` [mg/L]."""
        return np.array([level.concentration_mg_l for level in self.levels], dtype=np.float64)

    @cached_property
    def below(self) -> NDArray[np.bool_] | None:
        """Which levels are below quantification; None when none is."""
        below = np.array([level.below_quantification for level in self.levels], dtype=bool)
        return below if below.any() else None

    def predict(self, eta: FloatArray) -> FloatArray:
        """Predictions of people with `eta` `(n_people, n)`, shape `(n_people, n_levels)` [mg/L]."""
        return self._at(np.minimum(np.maximum(eta, -_FARTHEST_ETA), _FARTHEST_ETA))

    @cached_property
    def _at(self) -> Callable[[FloatArray], FloatArray]:
        return evaluator(self.population, self.doses, self.times_h)

    def objective(self, eta: FloatArray) -> FloatArray:
        """Phi of people with `eta` `(n_people, n)`, shape `(n_people,)`."""
        f = self.predict(eta)
        sd, _, _ = standard_deviation(self.population.residual, f)
        z = (self.measured - f) / sd
        terms = z * z + 2.0 * np.log(sd)
        if self.below is not None:
            from scipy.special import log_ndtr

            terms = np.where(self.below, -2.0 * log_ndtr(z), terms)
        return np.asarray(terms.sum(axis=1) + ((eta @ self.population.precision) * eta).sum(axis=1))


def evaluator(population: Population, doses: Sequence[Dose], times_h: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """From eta `(n_people, n)` to concentrations `(n_people, n_times)` [mg/L], the doses looked at once."""
    if population.changes_h:
        return lambda eta: _in_pieces(population, eta, doses, times_h)
    curve = Curve(population.structure, doses, times_h)
    return lambda eta: curve.at(population.people(population.typical, eta))


def _in_pieces(population: Population, eta: FloatArray, doses: Sequence[Dose], times_h: FloatArray) -> FloatArray:
    """As `evaluator` where parameters change; far proposals are held within the engine's limits."""
    pieces = [
        {name: np.clip(column, PK_QUANTITIES[name].low, PK_QUANTITIES[name].high) for name, column in period.items()}
        for period in population.periods(eta)
    ]
    return concentration_in_pieces(
        population.structure, pieces, population.changes_h, doses, times_h, carry=population.carry
    )


def curves(population: Population, eta: FloatArray, doses: Sequence[Dose], times_h: FloatArray) -> FloatArray:
    """Concentrations of people with `eta` `(n_people, n)`, shape `(n_people, n_times)` [mg/L]."""
    return evaluator(population, doses, times_h)(eta)


class Around(NamedTuple):
    """Phi and its shape at several points; `s` of them, `n` deviations."""

    phi: FloatArray
    """Shape `(s,)`."""
    gradient: FloatArray
    """Of Phi / 2, shape `(s, n)`."""
    hessian: FloatArray
    """Of Phi / 2, shape `(s, n, n)`."""
    information: FloatArray
    """The expected one, shape `(s, n, n)`."""
    predicted: FloatArray
    """Shape `(s, n_levels)` [mg/L]."""

    def replaced(self, rows: NDArray[np.bool_], others: "Around") -> "Around":
        """With some points taken from others."""
        if rows.all():
            return others
        return Around(
            *(
                np.where(rows.reshape(-1, *(1,) * (mine.ndim - 1)), theirs, mine)
                for mine, theirs in zip(self, others, strict=True)
            )
        )


class Minimum(NamedTuple):
    """Where a search ended."""

    eta: FloatArray
    """Shape `(n,)`."""
    phi: float
    information: FloatArray
    """Shape `(n, n)`."""
    predicted: FloatArray
    """Shape `(n_levels,)` [mg/L]."""
    converged: bool
    others: int
    """How many other minima, nearly as good, the starts led to."""


class _Terms(NamedTuple):
    """What each level adds to Phi / 2, as a function of its prediction."""

    value: FloatArray
    slope: FloatArray
    bend: FloatArray
    expected_bend: FloatArray


def minimum(problem: Problem) -> Minimum:
    """The lowest minimum that the starts lead to."""
    return minimum_from(problem, _starts(problem))


def minimum_from(problem: Problem, eta: FloatArray) -> Minimum:
    """The lowest minimum that these starts, shape `(s, n)`, lead to."""
    here = around(problem, eta)
    converged = np.zeros(len(eta), dtype=bool)
    reach = np.full(len(eta), _LARGEST_STEP)
    for _ in range(_ITERATIONS):
        step, is_newton = _steps(here, reach)
        size = np.abs(step).max(axis=1)
        there = around(problem, eta + step)
        better = there.phi <= here.phi + _ROUNDING * (1.0 + np.abs(here.phi))
        eta, here = np.where(better[:, None], eta + step, eta), here.replaced(better, there)
        enough = np.where(is_newton, _CONVERGED, _CONVERGED_SCORING)
        converged |= size < np.where(better, enough, _SMALLEST_STEP)
        reach = np.where(better, np.minimum(2.0 * reach, _LARGEST_STEP), 0.25 * size)
        if (converged | _joined(eta, here.phi, converged)).all():
            break
    return _lowest(eta, here, converged)


def _starts(problem: Problem) -> FloatArray:
    """Of people drawn from the population, the one whom the levels suit best, and the best one unlike that one."""
    root = np.linalg.cholesky(problem.population.covariance)
    normal = _people(len(root))
    phi = np.nan_to_num(problem.objective(normal @ root.T), nan=np.inf)
    best = int(np.argmin(phi))
    unlike = ((normal - normal[best]) ** 2).sum(axis=1) > _UNLIKE_SD**2 * len(root)
    second = int(np.argmin(np.where(unlike, phi, np.inf)))
    return np.asarray(normal[[best, second]] @ root.T)


@cache
def _people(n: int) -> FloatArray:
    """The typical person and others, always the same ones, shape `(_N_PEOPLE, n)` in SD."""
    people = np.random.default_rng(_N_PEOPLE).standard_normal((_N_PEOPLE, n))
    people[0] = 0.0
    return people


def _joined(eta: FloatArray, phi: FloatArray, converged: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which starts are about to reach a minimum that another one has reached."""
    if not converged.any():
        return converged
    near = np.abs(eta[:, None] - eta[None, converged]).max(axis=2) < _NEAR
    return np.asarray((near & (phi[:, None] >= phi[None, converged])).any(axis=1))


def around(problem: Problem, eta: FloatArray) -> Around:
    """Phi with its derivatives at the points `eta` `(s, n)`, from one batch of predictions."""
    s, n = eta.shape
    offsets = _offsets(n)
    f_all = problem.predict((eta[:, None, :] + offsets).reshape(-1, n)).reshape(s, len(offsets), -1)
    f, df, d2f = _differences(f_all, n)
    terms = _terms(problem, f)
    prior = eta @ problem.population.precision
    across = df[:, :, None, :] * df[:, None, :, :]
    return Around(
        phi=2.0 * terms.value.sum(axis=1) + (prior * eta).sum(axis=1),
        gradient=(df * terms.slope[:, None, :]).sum(axis=2) + prior,
        hessian=(across * terms.bend[:, None, None, :] + d2f * terms.slope[:, None, None, :]).sum(axis=3)
        + problem.population.precision,
        information=(across * terms.expected_bend[:, None, None, :]).sum(axis=3) + problem.population.precision,
        predicted=f,
    )


@cache
def _pairs(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    first, second = np.triu_indices(n, 1)
    return first, second


@cache
def _offsets(n: int) -> FloatArray:
    """Where predictions are needed about a point: itself, each eta up and down, each pair up and down."""
    first, second = _pairs(n)
    single = np.eye(n)
    double = single[first] + single[second]
    return _DIFFERENCE * np.concatenate((np.zeros((1, n)), single, -single, double, -double))


def _differences(f_all: FloatArray, n: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Predictions, first and second derivatives by eta: `(s, L)`, `(s, n, L)`, `(s, n, n, L)`."""
    first, second = _pairs(n)
    m = len(first)
    f, up, down = f_all[:, 0], f_all[:, 1 : n + 1], f_all[:, n + 1 : 2 * n + 1]
    both_up, both_down = f_all[:, 2 * n + 1 : 2 * n + 1 + m], f_all[:, 2 * n + 1 + m :]
    bent = (up + down - 2.0 * f[:, None]) / _DIFFERENCE**2
    d2f = np.empty((len(f), n, n, f.shape[1]))
    d2f[:, np.arange(n), np.arange(n)] = bent
    mixed = (both_up + both_down - 2.0 * f[:, None]) / (2.0 * _DIFFERENCE**2) - (bent[:, first] + bent[:, second]) / 2.0
    d2f[:, first, second] = mixed
    d2f[:, second, first] = mixed
    return f, (up - down) / (2.0 * _DIFFERENCE), d2f


def _terms(problem: Problem, f: FloatArray) -> _Terms:
    """With z = (y - f) / s and u = ds/df: (z^2 + 2 ln s) / 2 and its derivatives by f."""
    sd, u, du = standard_deviation(problem.population.residual, f)
    z = (problem.measured - f) / sd
    dz = -(1.0 + z * u) / sd
    exact = _Terms(
        value=0.5 * z * z + np.log(sd),
        slope=z * dz + u / sd,
        bend=dz * dz + z * _bend_of_z(z, dz, sd, u, du) + (du - u * u / sd) / sd,
        expected_bend=(1.0 + 2.0 * u * u) / (sd * sd),
    )
    if problem.below is None:
        return exact
    censored = _censored(z, dz, _bend_of_z(z, dz, sd, u, du))
    return _Terms(*(np.where(problem.below, theirs, mine) for mine, theirs in zip(exact, censored, strict=True)))


def _bend_of_z(z: FloatArray, dz: FloatArray, sd: FloatArray, u: FloatArray, du: FloatArray) -> FloatArray:
    return -(2.0 * dz * u + z * du) / sd


def _censored(z: FloatArray, dz: FloatArray, d2z: FloatArray) -> _Terms:
    """-ln of the normal distribution function at z, and its derivatives by f."""
    from scipy.special import log_ndtr

    log_below = log_ndtr(z)
    hazard = np.exp(-0.5 * z * z - 0.5 * np.log(2.0 * np.pi) - log_below)
    bend = hazard * (z + hazard) * dz * dz - hazard * d2z
    return _Terms(value=-log_below, slope=-hazard * dz, bend=bend, expected_bend=np.maximum(bend, 0.0))


def _steps(here: Around, reach: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Newton's steps where the Hessian is positive definite, else those of scoring, no longer than `reach`."""
    is_newton = _positive_definite(here.hessian)
    matrix = np.where(is_newton[:, None, None], here.hessian, here.information)
    step = -np.linalg.solve(matrix, here.gradient[:, :, None])[:, :, 0]
    size = np.abs(step).max(axis=1)
    return step * np.minimum(1.0, reach / np.maximum(size, 1e-300))[:, None], is_newton


def _positive_definite(matrices: FloatArray) -> NDArray[np.bool_]:
    try:
        np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.eigvalsh(matrices)[:, 0] > 0.0)
    return np.ones(len(matrices), dtype=bool)


def _lowest(eta: FloatArray, here: Around, converged: NDArray[np.bool_]) -> Minimum:
    best = int(np.argmin(here.phi))
    apart = (np.abs(eta - eta[best]).max(axis=1) > _NEAR) & (here.phi < here.phi[best] + _NEARLY_AS_GOOD)
    return Minimum(
        eta=eta[best],
        phi=float(here.phi[best]),
        information=here.information[best],
        predicted=here.predicted[best],
        converged=bool(converged[best]),
        others=int((apart & converged).sum()),
    )
