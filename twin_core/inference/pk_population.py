"""What is assumed of a person before any level: a population model, and the levels that update it.

A person's parameter is the typical value times exp(eta), eta ~ N(0, Omega). Where parameters also differ between
occasions, it is the typical value times exp(eta + kappa), kappa ~ N(0, Pi) anew on each occasion; all kappas then stand
behind the etas in one vector of deviations with one block-diagonal covariance.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from twin_core.domain.drugs import ErrorForm, ResidualError, Structure
from twin_core.domain.errors import BadInput, OutOfRange, UnknownName
from twin_core.domain.history import FloatArray
from twin_core.models.pk.piecewise import Carry

_SMALLEST_SD_MG_L = 1e-6
_LARGEST_VARIANCE = 25.0
"""Of a logarithm: an SD of 5 spreads people over more than four decades."""
_LARGEST_PROPORTIONAL_SD = 10.0
_LARGEST_ADDITIVE_SD_MG_L = 1e6


@dataclass(frozen=True, kw_only=True)
class Occasions:
    """How parameters differ within a person from one occasion to the next.

    Attributes
    ----------
    names
        The parameters that differ, `m` of them.
    pi
        Shape `(m, m)`: covariance of kappa on the log scale.
    starts_h
        When each occasion but the first begins, increasing: `k - 1` times make `k` occasions.
    """

    names: tuple[str, ...]
    pi: FloatArray
    starts_h: tuple[float, ...]

    def __post_init__(self) -> None:
        _check_covariance("pi", self.pi, self.names)
        if any(later <= earlier for earlier, later in zip(self.starts_h, self.starts_h[1:], strict=False)):
            raise BadInput(f"Occasions must begin one after the other; got {self.starts_h} h.")


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
    occasions
        None where parameters are the same on all occasions.
    follows
        Parameters that have the eta of another one: eta of `follows[name]` multiplies `name` too.
    later
        Typical parameters from a time [h] on, in the order of time: a covariate that changed. `typical` before.
    carry
        Whether a level at the very time of a change belongs to what follows it, or to what was before.
    """

    structure: Structure
    typical: Mapping[str, float]
    names: tuple[str, ...]
    omega: FloatArray
    residual: ResidualError
    occasions: Occasions | None = None
    follows: Mapping[str, str] = field(default_factory=dict)
    later: tuple[tuple[float, Mapping[str, float]], ...] = ()
    carry: Carry = Carry.FORWARD

    def __post_init__(self) -> None:
        _check_covariance("omega", self.omega, self.names)
        _check_residual(self.residual)
        varied = (*self.names, *self.follows, *(self.occasions.names if self.occasions else ()))
        for name in varied:
            if name not in self.typical:
                raise UnknownName("parameter that varies", name, self.typical)
        for leader in self.follows.values():
            if leader not in self.names:
                raise UnknownName("parameter with an eta", leader, self.names)
        if any(later <= earlier for (earlier, _), (later, _) in zip(self.later, self.later[1:], strict=False)):
            raise BadInput("Covariates must change one after the other.")

    @property
    def n_deviations(self) -> int:
        """Length of eta with all its kappas."""
        n_kappa = len(self.occasions.names) * (len(self.occasions.starts_h) + 1) if self.occasions else 0
        return len(self.names) + n_kappa

    @property
    def deviation_names(self) -> tuple[str, ...]:
        """Names of eta with all its kappas; those of an occasion end in its number, as in `CL_L_h@2`."""
        if not self.occasions:
            return self.names
        numbers = range(1, len(self.occasions.starts_h) + 2)
        return (*self.names, *(f"{name}@{number}" for number in numbers for name in self.occasions.names))

    @cached_property
    def covariance(self) -> FloatArray:
        """Of eta and all kappas, shape `(n_deviations, n_deviations)`."""
        whole = np.zeros((self.n_deviations, self.n_deviations))
        n = len(self.names)
        whole[:n, :n] = self.omega
        if self.occasions:
            m = len(self.occasions.names)
            for first in range(n, self.n_deviations, m):
                whole[first : first + m, first : first + m] = self.occasions.pi
        return whole

    @cached_property
    def precision(self) -> FloatArray:
        """Inverse of `covariance`."""
        return np.asarray(np.linalg.inv(self.covariance))

    @cached_property
    def changes_h(self) -> tuple[float, ...]:
        """When parameters change, increasing; one more period than changes."""
        starts = self.occasions.starts_h if self.occasions else ()
        return tuple(sorted({*starts, *(time_h for time_h, _ in self.later)}))

    def individual(self, eta: FloatArray) -> dict[str, FloatArray]:
        """Parameters of people with `eta` `(n_people, >= n)` after every known change of a covariate.

        They are those of no occasion in particular (kappa = 0), each of shape `(n_people,)`.
        """
        people = self.people(self.later[-1][1] if self.later else self.typical, eta)
        return {name: np.broadcast_to(column, len(eta)) for name, column in people.items()}

    def people(self, typical: Mapping[str, float], eta: FloatArray) -> dict[str, FloatArray]:
        """Parameters about some typical ones: of shape `(n_people,)`, or `(1,)` where all people share one."""
        factors = dict(zip(self.names, np.exp(eta[:, : len(self.names)]).T, strict=True))
        factors |= {name: factors[leader] for name, leader in self.follows.items()}
        return {
            name: value * factors[name] if name in factors else np.array([value]) for name, value in typical.items()
        }

    def periods(self, eta: FloatArray) -> list[dict[str, FloatArray]]:
        """Parameters of people in every period between `changes_h`, the first one before all of them; as `people`."""
        return [self._in_period(eta, start_h) for start_h in (-np.inf, *self.changes_h)]

    def _in_period(self, eta: FloatArray, start_h: float) -> dict[str, FloatArray]:
        changed = [values for time_h, values in self.later if time_h <= start_h]
        people = self.people(changed[-1] if changed else self.typical, eta)
        if self.occasions:
            m = len(self.occasions.names)
            first = len(self.names) + m * int(np.searchsorted(self.occasions.starts_h, start_h, side="right"))
            for place, name in enumerate(self.occasions.names, start=first):
                people[name] = people[name] * np.exp(eta[:, place])
        return people


def _check_covariance(what: str, matrix: FloatArray, names: tuple[str, ...]) -> None:
    if len(set(names)) != len(names):
        raise BadInput(f"{what} names a parameter twice: {', '.join(names)}.")
    if matrix.shape != (len(names), len(names)):
        raise BadInput(f"{what} must be {len(names)} x {len(names)}; got shape {matrix.shape}.")
    if not np.allclose(matrix, matrix.T) or (names and np.linalg.eigvalsh(matrix)[0] <= 0.0):
        raise BadInput(f"{what} must be symmetric and positive definite: variances on the log scale.")
    if names and not matrix.diagonal().max() <= _LARGEST_VARIANCE:
        raise OutOfRange(f"A variance of {what}", float(matrix.diagonal().max()), 0.0, _LARGEST_VARIANCE, "(log scale)")


def _check_residual(residual: ResidualError) -> None:
    a, b = residual.additive_sd_mg_l, residual.proportional_sd
    if not 0.0 <= b <= _LARGEST_PROPORTIONAL_SD:
        raise OutOfRange("proportional_sd", b, 0.0, _LARGEST_PROPORTIONAL_SD, "1")
    if not 0.0 <= a <= _LARGEST_ADDITIVE_SD_MG_L:
        raise OutOfRange("additive_sd", a, 0.0, _LARGEST_ADDITIVE_SD_MG_L, "mg/L")
    if a == b == 0.0:
        raise BadInput("The residual error is 0: levels always scatter; give a proportional or an additive SD.")


def standard_deviation(residual: ResidualError, f: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Standard deviation of a level about the prediction `f` [mg/L], with its first two derivatives by `f`."""
    a, b = residual.additive_sd_mg_l, residual.proportional_sd
    if residual.form is ErrorForm.COMBINED2:
        sd = np.maximum(np.sqrt(a**2 + (b * f) ** 2), _SMALLEST_SD_MG_L)
        slope = b**2 * f / sd
        return sd, slope, (b**2 - slope**2) / sd
    start = a if residual.form is ErrorForm.COMBINED1 else 0.0
    sd = start + b * f
    free = sd > _SMALLEST_SD_MG_L
    return np.where(free, sd, _SMALLEST_SD_MG_L), np.where(free, b, 0.0), np.zeros_like(sd)
