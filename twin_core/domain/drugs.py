"""How a drug and a dose are declared: one file in `models/pk/drugs/`, one value, no class hierarchy.

The names of pharmacokinetic parameters carry their units and are the same in drugs, scenarios and results.
Amounts are mg, volumes L, times h, concentrations mg/L. Variability between people is log-normal: a person's
parameter is the typical value times exp(eta), eta ~ N(0, omega), omega a variance on the log scale.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from twin_core.domain.errors import BadInput, OutOfRange, UnknownName
from twin_core.domain.history import FloatArray
from twin_core.domain.models import Quantity


class Structure(StrEnum):
    """How many compartments a linear model has; elimination is from the first."""

    ONE_COMPARTMENT = "one_compartment"
    TWO_COMPARTMENT = "two_compartment"
    THREE_COMPARTMENT = "three_compartment"

    @property
    def disposition(self) -> tuple[str, ...]:
        """The parameters that every model of this structure must have."""
        return _DISPOSITION[self]


_DISPOSITION = {
    Structure.ONE_COMPARTMENT: ("CL_L_h", "V1_L"),
    Structure.TWO_COMPARTMENT: ("CL_L_h", "V1_L", "Q2_L_h", "V2_L"),
    Structure.THREE_COMPARTMENT: ("CL_L_h", "V1_L", "Q2_L_h", "V2_L", "Q3_L_h", "V3_L"),
}

ABSORPTION = ("k_a_h", "lag_h", "F")
"""The parameters of first-order absorption; `lag_h` is 0 and `F` is 1 where a model does not name them."""

STAGES = "stages"
"""Optional parameter: absorption passes through a chain of so many stages, each left at rate `k_a_h` (Erlang)."""

METABOLITE_PARAMETERS = ("formation_L_h", "k_transit_h", "CL_L_h", "V1_L", "Q2_L_h", "V2_L")
"""Of a metabolite; without `k_transit_h` it forms at once, without `Q2_L_h` it has one compartment."""

_ENGINE = "limit of the linear engine, not of physiology"
PK_QUANTITIES: Mapping[str, Quantity] = {
    "CL_L_h": Quantity("L/h", 0.0, 1e5, "clearance", _ENGINE),
    "V1_L": Quantity("L", 1e-3, 1e6, "volume of the central compartment", _ENGINE),
    "Q2_L_h": Quantity("L/h", 0.0, 1e5, "flow between compartments 1 and 2", _ENGINE),
    "V2_L": Quantity("L", 1e-3, 1e6, "volume of compartment 2", _ENGINE),
    "Q3_L_h": Quantity("L/h", 0.0, 1e5, "flow between compartments 1 and 3", _ENGINE),
    "V3_L": Quantity("L", 1e-3, 1e6, "volume of compartment 3", _ENGINE),
    "k_a_h": Quantity("1/h", 1e-6, 1e4, "absorption rate", _ENGINE),
    "lag_h": Quantity("h", 0.0, 1e3, "time from swallowing to the start of absorption", _ENGINE),
    "F": Quantity("1", 0.0, 10.0, "exposure relative to the intravenous or reference dose", _ENGINE),
    "stages": Quantity("1", 1.0, 20.0, "stages of absorption, a whole number", _ENGINE),
    "formation_L_h": Quantity("L/h", 0.0, 1e5, "part of the parent's clearance that forms a metabolite", _ENGINE),
    "k_transit_h": Quantity("1/h", 1e-6, 1e4, "rate of leaving the transit stage to a metabolite", _ENGINE),
}
"""Every parameter that a linear model can have. `F` above 1 is relative exposure, not bioavailability."""


class Route(StrEnum):
    """How a dose enters the body; all but the intravenous ones pass through first-order absorption."""

    IV_BOLUS = "iv_bolus"
    IV_INFUSION = "iv_infusion"
    ORAL = "oral"
    SUBCUTANEOUS = "subcutaneous"
    INTRAMUSCULAR = "intramuscular"

    @property
    def is_absorbed(self) -> bool:
        """Whether the dose passes through first-order absorption."""
        return self not in (Route.IV_BOLUS, Route.IV_INFUSION)


@dataclass(frozen=True, kw_only=True, slots=True)
class Dose:
    """One line of a regimen: a dose, repeated if `interval_h` and `additional` say so.

    Attributes
    ----------
    duration_h
        Length of an infusion [h]; 0 acts at once.
    interval_h
        Time between repeats [h], needed by `additional` and `steady_state`.
    additional
        How many doses follow the first one.
    steady_state
        Whether the same dose was given every `interval_h` since ever before `time_h`. Such lines add up
        (NONMEM's SS=2), so that two lines make a steady state of unequal morning and evening doses.
    reset
        Whether the body is emptied just before `time_h` (NONMEM's EVID=4, or EVID=3 with `amount_mg` 0; SS=1 with
        `steady_state`): whatever lines of an earlier `time_h` gave, or would still give, counts no more.
    """

    time_h: float
    amount_mg: float
    route: Route
    duration_h: float = 0.0
    interval_h: float | None = None
    additional: int = 0
    steady_state: bool = False
    reset: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.amount_mg <= 1e9:
            raise OutOfRange("amount_mg", self.amount_mg, 0.0, 1e9, "mg")
        if not 0.0 <= self.duration_h <= 1e5:
            raise OutOfRange("duration_h", self.duration_h, 0.0, 1e5, "h")
        if self.duration_h > 0.0 and self.route is not Route.IV_INFUSION:
            raise BadInput(f"duration_h is {self.duration_h:g} h with route {self.route}; only iv_infusion has one.")
        if (self.additional > 0 or self.steady_state) and self.interval_h is None:
            raise BadInput("A dose with additional or steady_state needs interval_h; none was given.")
        if self.interval_h is not None and not 0.0 < self.interval_h <= 1e5:
            raise BadInput(f"interval_h is {self.interval_h:g} h; allowed is above 0 to 100000 h.")
        if self.steady_state and self.interval_h is not None and self.duration_h > self.interval_h:
            raise BadInput(f"An infusion of {self.duration_h:g} h cannot repeat every {self.interval_h:g} h for ever.")

    @property
    def times_h(self) -> tuple[float, ...]:
        """The times at which this line gives a dose [h]."""
        interval_h = self.interval_h or 0.0
        return tuple(self.time_h + repeat * interval_h for repeat in range(self.additional + 1))


class ErrorForm(StrEnum):
    """What a residual error with an additive part a and a proportional part b means, at prediction f."""

    COMBINED1 = "combined1"
    """Standard deviation a + b f (Monolix)."""
    COMBINED2 = "combined2"
    """Standard deviation sqrt(a^2 + b^2 f^2) (two independent errors)."""
    PROPORTIONAL = "proportional"
    """Standard deviation b f."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResidualError:
    """How measured levels scatter about a person's own curve."""

    form: ErrorForm
    proportional_sd: float
    additive_sd_mg_l: float = 0.0
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TypicalValue:
    """A parameter of the typical person at the reference covariates."""

    name: str
    value: float
    unit: str
    meaning: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Covariate:
    """Something known of the person that changes the parameters.

    Attributes
    ----------
    default
        What a page starts with: the study's median where it is published.
    reference
        The value at which the typical values hold.
    is_switch
        Whether only 0 (no) and 1 (yes) have a meaning.
    """

    name: str
    unit: str
    low: float
    high: float
    default: float
    reference: float
    meaning: str
    source: str
    is_switch: bool = False

    def checked(self, value: float) -> float:
        """The value, if this covariate allows it."""
        if self.is_switch and value not in (0.0, 1.0):
            raise BadInput(f"{self.name} is {value:g}; allowed is 0 (no) or 1 (yes).")
        if not self.low <= value <= self.high:
            raise OutOfRange(self.name, value, self.low, self.high, self.unit)
        return float(value)


class Exposure(StrEnum):
    """A number that sums up a curve."""

    AUC24 = "auc24_mg_h_l"
    """Area under the curve of the last dosing interval, as for 24 h [mg h/L]."""
    PEAK = "peak_mg_l"
    """Highest concentration of the last dosing interval [mg/L]."""
    TROUGH = "trough_mg_l"
    """Concentration at the end of the last dosing interval [mg/L]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetBand:
    """Where an exposure should be, both ends in."""

    exposure: Exposure
    low: float
    high: float
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class NoTarget:
    """Why there is no band that a clinician could aim at."""

    reason: str


Target: TypeAlias = TargetBand | NoTarget


@dataclass(frozen=True, kw_only=True)
class Metabolite:
    """What a part of a drug becomes, where a published model follows it.

    Attributes
    ----------
    mass_ratio
        mg of metabolite from 1 mg of drug: the ratio of their molar masses.
    individual
        From all covariates (by name) to the typical parameters of `METABOLITE_PARAMETERS` (by name).
    """

    name: str
    title: str
    mass_ratio: float
    typical: tuple[TypicalValue, ...]
    individual: Callable[[Mapping[str, float]], dict[str, float]]
    omega: Mapping[str, float]
    residual: ResidualError


EffectCourse: TypeAlias = Callable[
    [Mapping[str, ArrayLike], Mapping[str, ArrayLike], Sequence[Dose], ArrayLike], FloatArray
]
"""From the drug's parameters, the effect's parameters, doses and times [h] to `(n_people, n_times)`."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a drug does, where it is dosed by its effect rather than by its level.

    Attributes
    ----------
    course
        The effect in time.
    low, high
        Where it should be, both ends in.
    individual
        From all covariates (by name) to the typical parameters of the effect (by name).
    """

    name: str
    unit: str
    meaning: str
    typical: tuple[TypicalValue, ...]
    individual: Callable[[Mapping[str, float]], dict[str, float]]
    omega: Mapping[str, float]
    residual: ResidualError
    low: float
    high: float
    target_source: str
    course: EffectCourse


@dataclass(frozen=True, kw_only=True, slots=True)
class Regimen:
    """A way of dosing that a page can start with."""

    title: str
    doses: tuple[Dose, ...]


@dataclass(frozen=True, kw_only=True)
class Drug:
    """A drug's published population model.

    Attributes
    ----------
    individual
        From all covariates (by name) to the typical parameters of a person with them (by name).
    omega
        Variances of eta by parameter, on the log scale; a parameter not named does not vary.
    largest_dose_mg
        What a page accepts as one dose [mg]: guards against slips of the keyboard, recommends nothing.
    verified
        Whether every number was checked in the paper itself; `note` says what was done instead.
    substance
        What several models of one drug share; empty where the drug has one model.
    omega_covariances
        Covariances of eta by pairs of parameters, on the log scale; a pair not named is independent.
    iov
        Variances between occasions of one person by parameter, on the log scale.
    follows
        Parameters that have the eta of another one: eta of `follows[name]` multiplies `name` too.
    relative_exposure
        Whether `F` is exposure relative to a reference, which may exceed 1, and not bioavailability.
    level_unit, levels_per_mg_l
        The unit in which laboratories report levels, and how many of it are 1 mg/L.
    """

    name: str
    title: str
    structure: Structure
    typical: tuple[TypicalValue, ...]
    covariates: tuple[Covariate, ...]
    individual: Callable[[Mapping[str, float]], dict[str, float]]
    omega: Mapping[str, float]
    residual: ResidualError
    target: Target
    regimens: tuple[Regimen, ...]
    routes: tuple[Route, ...]
    largest_dose_mg: float
    population: str
    references: tuple[str, ...]
    verified: bool
    note: str
    substance: str = ""
    omega_covariances: Mapping[tuple[str, str], float] = field(default_factory=dict)
    iov: Mapping[str, float] = field(default_factory=dict)
    follows: Mapping[str, str] = field(default_factory=dict)
    relative_exposure: bool = False
    level_unit: str = "mg/L"
    levels_per_mg_l: float = 1.0
    metabolites: tuple[Metabolite, ...] = ()
    effect: Effect | None = None

    @property
    def of_substance(self) -> str:
        """What this is a model of."""
        return self.substance or self.name

    def omega_matrix(self) -> tuple[tuple[str, ...], FloatArray]:
        """The parameters that vary, and the covariance of their eta."""
        names = tuple(self.omega)
        matrix = np.diag([self.omega[name] for name in names]).reshape(len(names), len(names))
        for (one, other), covariance in self.omega_covariances.items():
            row, column = names.index(one), names.index(other)
            matrix[row, column] = matrix[column, row] = covariance
        return names, matrix

    def person(self, typical: Mapping[str, ArrayLike], eta: Mapping[str, ArrayLike]) -> dict[str, ArrayLike]:
        """Parameters of people with `eta` (by the names of `omega`), each a number or of shape `(n_people,)`."""
        unknown = [name for name in eta if name not in self.omega]
        if unknown:
            raise UnknownName(f"eta of {self.name}", unknown[0], self.omega)
        shared = {name: eta[leader] for name, leader in self.follows.items() if leader in eta}
        factors = {name: np.exp(np.asarray(value)) for name, value in {**eta, **shared}.items()}
        return {name: value * factors[name] if name in factors else value for name, value in typical.items()}

    def covariates_with(self, values: Mapping[str, float]) -> dict[str, float]:
        """The default covariates with some replaced; an unknown name or a value out of range is refused."""
        declared = {covariate.name: covariate for covariate in self.covariates}
        for name in values:
            if name not in declared:
                raise UnknownName(f"covariate of {self.name}", name, declared)
        return {name: covariate.checked(values.get(name, covariate.default)) for name, covariate in declared.items()}

    def check_doses(self, doses: tuple[Dose, ...]) -> None:
        """Refuse a regimen without doses, with a route that the model lacks, or with a dose out of range."""
        if not doses:
            raise BadInput(f"A regimen of {self.name} needs at least one dose.")
        for dose in doses:
            if dose.route not in self.routes:
                raise BadInput(f"route is {dose.route}; the model of {self.name} allows {', '.join(self.routes)}.")
            if dose.amount_mg > self.largest_dose_mg:
                raise OutOfRange("amount_mg", dose.amount_mg, 0.0, self.largest_dose_mg, "mg")
