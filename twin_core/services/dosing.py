"""Concentrations of a drug after a regimen: for a typical person, and how they vary between people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from twin_core.domain.drugs import Dose, Drug, Exposure, Structure, TargetBand
from twin_core.domain.errors import BadInput, OutOfRange, UnknownName
from twin_core.domain.history import FloatArray
from twin_core.models.pk.compartments import area, concentration

POPULATION_PERCENTILES = (5, 25, 50, 75, 95)
BAND_LABEL = "variability between people"
"""What the percentiles are; they are neither the uncertainty about one person nor the noise of an assay."""

_HOURS_A_DAY = 24.0
_FEWEST_PEOPLE, _MOST_PEOPLE = 10, 20_000
_PEAK_POINTS = 97


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """A number of the typical person, and the 5th, 50th and 95th percentile of people."""

    typical: float
    p05: float
    p50: float
    p95: float


@dataclass(frozen=True, kw_only=True)
class PopulationCurves:
    """Concentrations of people with the same covariates under one regimen.

    Attributes
    ----------
    typical_parameters
        Of the typical person with these covariates, by name.
    typical_mg_l
        Shape `(n_times,)` [mg/L].
    percentiles_mg_l
        Shape `(len(POPULATION_PERCENTILES), n_times)` [mg/L]: at each time, not of whole curves.
    exposures
        Of the last dosing interval, see `domain.drugs.Exposure`.
    in_target_percent
        How many people have the target exposure, or None when the drug has no target.
    """

    times_h: FloatArray
    typical_parameters: Mapping[str, float]
    typical_mg_l: FloatArray
    percentiles_mg_l: FloatArray
    exposures: Mapping[Exposure, Spread]
    in_target_percent: float | None
    n_people: int
    band_label: str = BAND_LABEL


class Dosing:
    """What a dose does, by the published models of some drugs."""

    def __init__(self, drugs: tuple[Drug, ...]) -> None:
        self.drugs = drugs

    def drug(self, name: str) -> Drug:
        """The drug of that name; `UnknownName` if there is none."""
        known = {drug.name: drug for drug in self.drugs}
        if name not in known:
            raise UnknownName("drug", name, known)
        return known[name]

    def models_of(self, substance: str) -> tuple[Drug, ...]:
        """All models of one drug; `UnknownName` if there is none."""
        found = tuple(drug for drug in self.drugs if drug.of_substance == substance)
        if not found:
            raise UnknownName("substance", substance, {drug.of_substance for drug in self.drugs})
        return found

    def predict(
        self,
        drug: Drug,
        covariates: Mapping[str, float],
        regimen: tuple[Dose, ...],
        times_h: ArrayLike,
        *,
        n: int = 1000,
        seed: int = 0,
    ) -> PopulationCurves:
        """Curves of the typical person and of `n` simulated people with the same covariates.

        Covariates that are not given take the drug's defaults. `OutOfRange`, `UnknownName` or `BadInput` for
        covariates and doses that the drug's model does not allow.
        """
        if not _FEWEST_PEOPLE <= n <= _MOST_PEOPLE:
            raise OutOfRange("n", n, _FEWEST_PEOPLE, _MOST_PEOPLE, "people")
        drug.check_doses(regimen)
        if sum(dose.interval_h is not None for dose in regimen) > 1:
            raise BadInput("Exposure is computed for one repeating line of doses; simulate several with simulate_pk.")
        typical = drug.individual(drug.covariates_with(covariates))
        people = _typical_and_people(drug, typical, n, np.random.default_rng(seed))
        times = np.asarray(times_h, dtype=float)
        curves = concentration(drug.structure, people, regimen, times)
        exposures = _exposures(drug.structure, people, regimen)
        return PopulationCurves(
            times_h=times,
            typical_parameters=typical,
            typical_mg_l=curves[0],
            percentiles_mg_l=_percentiles(curves[1:]),
            exposures={exposure: _spread(values) for exposure, values in exposures.items()},
            in_target_percent=_in_target_percent(drug, exposures),
            n_people=n,
        )

    def simulate_drug(
        self, name: str, covariates: Mapping[str, float], doses: tuple[Dose, ...], times_h: ArrayLike
    ) -> tuple[FloatArray, dict[str, float]]:
        """Concentrations [mg/L] of the typical person with these covariates, and the parameters used."""
        drug = self.drug(name)
        drug.check_doses(doses)
        parameters = drug.individual(drug.covariates_with(covariates))
        return concentration(drug.structure, parameters, doses, times_h)[0], parameters

    def simulate(
        self, structure: Structure, parameters: Mapping[str, float], doses: tuple[Dose, ...], times_h: ArrayLike
    ) -> FloatArray:
        """Concentrations [mg/L], shape `(n_times,)`, from given parameters."""
        return np.asarray(concentration(structure, parameters, doses, times_h)[0])


def _typical_and_people(
    drug: Drug, typical: Mapping[str, float], n: int, random: np.random.Generator
) -> dict[str, ArrayLike]:
    """Parameters by name: the first is the typical person's, then those of `n` people, log-normal about it."""
    names, omega = drug.omega_matrix()
    eta = random.standard_normal((n, len(names))) @ np.linalg.cholesky(omega).T if names else np.empty((n, 0))
    everyone = np.concatenate((np.zeros((1, len(names))), eta))
    people = drug.person(typical, dict(zip(names, everyone.T, strict=True)))
    return {name: np.broadcast_to(np.asarray(value, dtype=float), n + 1) for name, value in people.items()}


def _percentiles(curves: FloatArray) -> FloatArray:
    """`np.percentile(curves, POPULATION_PERCENTILES, axis=0)` in half its time: rows are sorted in the cache."""
    ordered = np.sort(np.ascontiguousarray(curves.T), axis=1)
    place = np.array(POPULATION_PERCENTILES) / 100.0 * (ordered.shape[1] - 1)
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, ordered.shape[1] - 1)
    weight = place - below
    percentiles: FloatArray = (ordered[:, below] * (1.0 - weight) + ordered[:, above] * weight).T
    return np.maximum.accumulate(percentiles, axis=0)  # rounding must not turn equal ones round


def _exposures(
    structure: Structure, people: Mapping[str, ArrayLike], doses: tuple[Dose, ...]
) -> dict[Exposure, FloatArray]:
    """Each exposure of the last dosing interval, shape `(1 + n,)`."""
    start_h, interval_h = _last_interval(doses)
    end_h = start_h + interval_h
    times = np.append(_peak_times(doses, start_h, interval_h), end_h)
    curves = concentration(structure, people, doses, times)
    return {
        Exposure.AUC24: area(structure, people, doses, start_h, end_h) * _HOURS_A_DAY / interval_h,
        Exposure.PEAK: curves.max(axis=1),
        Exposure.TROUGH: curves[:, -1],
    }


def _last_interval(doses: Sequence[Dose]) -> tuple[float, float]:
    """Time of the last dose and the interval that follows it [h].

    The interval is the last line's; without one, the gap since the dose before it; a day for a single dose.
    """
    given = sorted((time_h, dose.interval_h or 0.0) for dose in doses for time_h in dose.times_h)
    last_h, interval_h = given[-1]
    if len(given) == 1 and not doses[0].steady_state:
        return last_h, _HOURS_A_DAY
    gaps = [last_h - time_h for time_h, _ in given if time_h < last_h]
    return last_h, interval_h or (min(gaps) if gaps else _HOURS_A_DAY)


def _peak_times(doses: Sequence[Dose], start_h: float, interval_h: float) -> FloatArray:
    """Where a peak may be: the ends of infusions, and points that lie closer together early on."""
    early = start_h + interval_h * np.linspace(0.0, 1.0, _PEAK_POINTS, endpoint=False) ** 2
    ends = [time_h + dose.duration_h for dose in doses for time_h in dose.times_h]
    return np.append(early, [end for end in ends if start_h <= end < start_h + interval_h])


def _spread(values: FloatArray) -> Spread:
    p05, p50, p95 = np.percentile(values[1:], (5, 50, 95))
    return Spread(typical=float(values[0]), p05=float(p05), p50=float(p50), p95=float(p95))


def _in_target_percent(drug: Drug, exposures: Mapping[Exposure, FloatArray]) -> float | None:
    if not isinstance(drug.target, TargetBand):
        return None
    people = exposures[drug.target.exposure][1:]
    return float(100.0 * np.mean((drug.target.low <= people) & (people <= drug.target.high)))
