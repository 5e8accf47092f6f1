"""One person on one drug as the page `/dosing` sees them: what was entered, the curves, and the advice.

The figure, the tables, the CSV and the PDF are all made from the same `CaseView` and `Advice`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import erf, floor, isfinite, log10, sqrt

import numpy as np

from twin_core.domain.dosing import Candidate, Level
from twin_core.domain.drugs import Dose, Drug, Exposure, NoTarget, TargetBand
from twin_core.domain.errors import BiotwinError
from twin_core.domain.history import FloatArray
from twin_core.inference.dose_search import Attainment, exposure_at_steady_state, given_before
from twin_core.inference.pk_fit import PkFit, far_from_the_study
from twin_core.inference.pk_population import standard_deviation
from twin_core.inference.pk_search import curves
from twin_core.services.dosing import Dosing, PopulationCurves
from twin_core.services.personal_dosing import (
    INTERVALS_H,
    PERCENTILES,
    Person,
    PersonalCurves,
    TimingCheck,
    advised,
    candidates_for,
    fitted,
    next_sample,
    personal_curves,
    timing_checks,
)

LATER_MIN = 30.0
_N_DRAWS = 1000
_N_PEOPLE = 1000
_GRID_POINTS = 121
_NEXT_POINTS = 81
_LEAST_NEXT_H = 48.0
_SWAPPED_LOW, _SWAPPED_HIGH = 200.0, 5000.0
_SAMPLE_STEPS = 49
_DAY_H = 24.0
_LONGEST_H = 10_000.0
_N_NODES = 13


@dataclass(frozen=True, kw_only=True, slots=True)
class LevelRow:
    """A row of the table of levels, as typed: hours, and a level in the drug's unit (`<2`: below quantification)."""

    time: str
    level: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadRow:
    """What became of a row: a level or none, and a sentence where something is to be said."""

    level: Level | None
    note: str = ""

    @property
    def is_refused(self) -> bool:
        """Whether the row counts for nothing until it is corrected."""
        return self.level is None and bool(self.note)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What was entered.

    Attributes
    ----------
    given
        The doses so far, as one line that begins at 0 h.
    rows
        Levels as typed.
    following
        The regimen from the next dose on.
    """

    drug: Drug
    covariates: Mapping[str, float]
    given: Dose
    rows: tuple[LevelRow, ...]
    following: Candidate


@dataclass(frozen=True, kw_only=True)
class NextCurves:
    """Concentrations from the next dose on: of some draws what earlier doses leave, and what 1 mg per dose adds.

    Attributes
    ----------
    base_mg_l, unit_mg_l
        Shape `(n_draws, n_times)`.
    """

    times_h: FloatArray
    base_mg_l: FloatArray
    unit_mg_l: FloatArray

    def percentiles(self, amount_mg: float) -> FloatArray:
        """Shape `(len(PERCENTILES), n_times)` [mg/L], exact because the model is linear in the dose."""
        ordered = np.sort(np.ascontiguousarray((self.base_mg_l + amount_mg * self.unit_mg_l).T), axis=1)
        place = np.rint(np.array(PERCENTILES) / 100.0 * (ordered.shape[1] - 1)).astype(int)
        return np.asarray(ordered[:, place].T)

    def nodes(self, largest_mg: float) -> tuple[FloatArray, FloatArray]:
        """Amounts between 0 and the largest, and their percentiles `(n_nodes, 5, n_times)`, to interpolate between."""
        amounts = largest_mg * np.linspace(0.0, 1.0, _N_NODES) ** 1.5
        return amounts, np.stack([self.percentiles(float(amount)) for amount in amounts])


@dataclass(frozen=True, kw_only=True)
class Residual:
    """A level, what the most probable person has at its time, and the difference in SD of the residual error."""

    level: Level
    predicted_mg_l: float
    in_sd: float


@dataclass(frozen=True, kw_only=True)
class CaseView:
    """Everything that is drawn of a case.

    Attributes
    ----------
    population
        People with the study's usual covariates.
    a_priori
        People with this person's covariates; no level is in it.
    a_posteriori
        This person as far as the levels tell; None without levels.
    next_dose_h
        When the regimen that follows begins.
    """

    case: Case
    read: tuple[ReadRow, ...]
    population: PopulationCurves
    a_priori: PopulationCurves
    fit: PkFit
    a_posteriori: PersonalCurves | None
    following: NextCurves
    next_dose_h: float
    residuals: tuple[Residual, ...]

    @property
    def has_levels(self) -> bool:
        """Whether any level counts."""
        return bool(self.fit.levels)


@dataclass(frozen=True, kw_only=True, slots=True)
class Belief:
    """A parameter: before the levels, after them, and where this person stands among people."""

    name: str
    meaning: str
    unit: str
    typical: float
    value: float
    p05: float
    p95: float
    eta: float | None
    percentile: float | None


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What follows from a case, the regimen of the sliders among it.

    Attributes
    ----------
    ranked
        Regimens, the most probable to meet the target first; empty where the drug has no target.
    chosen
        The regimen of the sliders; None where the drug has no target.
    exposures
        Of the regimen of the sliders at steady state: 5th, 50th and 95th percentile.
    sample_h, sample_gain
        The best next sampling time [h] and the share of the variance it would take away; None where no level helps.
    """

    ranked: tuple[Attainment, ...]
    chosen: Attainment | None
    exposures: Mapping[Exposure, tuple[float, float, float]]
    sample_h: float | None
    sample_gain: float
    timing: tuple[TimingCheck, ...]
    warnings: tuple[str, ...]


def written(value: float) -> str:
    """A number with three significant digits and never an exponent: 2600 is `2,600`."""
    if value == 0.0 or not isfinite(value):
        return f"{value:g}"
    digits = 2 - floor(log10(abs(value)))
    rounded = round(value, digits)
    if abs(rounded) >= 100.0:
        return f"{rounded:,.0f}"
    return f"{rounded:.{min(max(digits, 0), 9)}f}".rstrip("0").rstrip(".")


def exposure_unit(drug: Drug, exposure: Exposure) -> str:
    """The unit of an exposure where levels are in the drug's unit."""
    if exposure is not Exposure.AUC24:
        return drug.level_unit
    amount, per = drug.level_unit.split("/")
    return f"{amount} h/{per}"


# --- what was typed ---------------------------------------------------------------------------------------------------


def read_rows(
    drug: Drug, covariates: Mapping[str, float], given: Dose, rows: Sequence[LevelRow]
) -> tuple[ReadRow, ...]:
    """Every row, read for itself: one that cannot be is refused with its reason and the others still count."""
    read = [_read(drug, given, row) for row in rows]
    times = [each.level.time_h for each in read if each.level]
    if not times:
        return tuple(read)
    person = Person(covariates=covariates, doses=(given,), levels=())
    fit = fitted(drug, person, n_draws=2)
    typical = dict(
        zip(times, curves(fit.population, np.zeros((1, len(fit.eta))), (given,), np.array(times))[0], strict=True)
    )
    return tuple(_unless_swapped(drug, each, typical) for each in read)


def _read(drug: Drug, given: Dose, row: LevelRow) -> ReadRow:
    time_text, level_text = row.time.strip(), row.level.strip()
    if not time_text and not level_text:
        return ReadRow(level=None)
    time_h, level = _number(time_text), _number(level_text.removeprefix("<"))
    if time_h is None:
        return ReadRow(level=None, note="Enter the time in hours since the first dose.")
    if level is None:
        return ReadRow(level=None, note=f"Enter the level as a number in {drug.level_unit}.")
    if level < 0.0:
        return ReadRow(level=None, note=f"A level cannot be negative; got {level:g} {drug.level_unit}. It is left out.")
    if time_h < given.time_h:
        return ReadRow(level=None, note="This is before the first dose at 0 h. Correct the time; it is left out.")
    if time_h > _LONGEST_H:
        return ReadRow(level=None, note=f"This is more than {_LONGEST_H:g} h after the first dose; it is left out.")
    below = level_text.startswith("<")
    if below and level == 0.0:
        return ReadRow(level=None, note="Below 0 is no level. Enter the limit of quantification after <.")
    found = Level(time_h=time_h, concentration_mg_l=level / drug.levels_per_mg_l, below_quantification=below)
    due_h = given.times_h[-1] + (given.interval_h or _DAY_H)
    note = f"Taken after {due_h:g} h, when the next dose was due: no further dose is assumed." if time_h > due_h else ""
    return ReadRow(level=found, note=note)


def _number(text: str) -> float | None:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return value if isfinite(value) else None


def _unless_swapped(drug: Drug, row: ReadRow, typical_mg_l: Mapping[float, float]) -> ReadRow:
    """The row, or a refusal where its level is about 1000 times off what is typical."""
    if row.level is None or row.level.below_quantification or row.level.concentration_mg_l == 0.0:
        return row
    expected, measured = typical_mg_l[row.level.time_h], row.level.concentration_mg_l
    if expected <= 0.0 or not _SWAPPED_LOW < max(measured / expected, expected / measured) < _SWAPPED_HIGH:
        return row
    entered, usual = (written(value * drug.levels_per_mg_l) for value in (measured, expected))
    return ReadRow(
        level=None,
        note=f"{entered} {drug.level_unit} where about {usual} is typical: in another unit? Enter {drug.level_unit}. "
        "It is left out.",
    )


# --- curves -----------------------------------------------------------------------------------------------------------


def view_of(dosing: Dosing, case: Case) -> CaseView:
    """Curves and residuals of a case; `BiotwinError` where the regimen or the covariates are not allowed."""
    drug = case.drug
    read = read_rows(drug, case.covariates, case.given, case.rows)
    levels = tuple(row.level for row in read if row.level)
    due_h = case.given.times_h[-1] + (case.given.interval_h or _DAY_H)
    next_dose_h = max([due_h, *(level.time_h for level in levels)])
    times = curve_times((case.given,), 0.0, next_dose_h, _GRID_POINTS)
    fit = fitted(drug, Person(covariates=case.covariates, doses=(case.given,), levels=levels))
    usual = {covariate.name: covariate.default for covariate in drug.covariates}
    a_priori = dosing.predict(drug, case.covariates, (case.given,), times, n=_N_PEOPLE)
    same = usual == dict(case.covariates)
    return CaseView(
        case=case,
        read=read,
        population=a_priori if same else dosing.predict(drug, usual, (case.given,), times, n=_N_PEOPLE),
        a_priori=a_priori,
        fit=fit,
        a_posteriori=personal_curves(fit, times, n_draws=_N_DRAWS) if levels else None,
        following=_following(fit, case, next_dose_h),
        next_dose_h=next_dose_h,
        residuals=_residuals(fit),
    )


def curve_times(doses: Sequence[Dose], start_h: float, end_h: float, n_points: int) -> FloatArray:
    """Times [h] to draw: evenly spaced, and every dose, end of infusion and the moment just before each dose."""
    even = np.linspace(start_h, end_h, n_points)
    starts = np.array([time_h for dose in doses for time_h in dose.times_h])
    ends = np.array([time_h + dose.duration_h for dose in doses for time_h in dose.times_h])
    every = np.concatenate((even, starts, starts - 1e-6, ends))
    return np.unique(every[(every >= start_h) & (every <= end_h)])


def _following(fit: PkFit, case: Case, next_dose_h: float) -> NextCurves:
    interval_h = case.following.interval_h
    count = max(2, int(np.ceil(_LEAST_NEXT_H / interval_h)))
    line = Candidate(
        amount_mg=1.0, interval_h=interval_h, route=case.following.route, duration_h=case.following.duration_h
    ).line(next_dose_h, count)
    times = curve_times((line,), next_dose_h, next_dose_h + count * interval_h, _NEXT_POINTS)
    draws = fit.draws[np.linspace(0, len(fit.draws) - 1, _N_DRAWS).astype(int)]
    return NextCurves(
        times_h=times,
        base_mg_l=curves(fit.population, draws, given_before((case.given,), next_dose_h), times),
        unit_mg_l=curves(fit.population, draws, (line,), times),
    )


def _residuals(fit: PkFit) -> tuple[Residual, ...]:
    if not fit.levels:
        return ()
    sd, _, _ = standard_deviation(fit.population.residual, fit.predicted_mg_l)
    return tuple(
        Residual(
            level=level,
            predicted_mg_l=float(predicted),
            in_sd=float((level.concentration_mg_l - predicted) / width),
        )
        for level, predicted, width in zip(fit.levels, fit.predicted_mg_l, sd, strict=True)
    )


# --- advice -----------------------------------------------------------------------------------------------------------


def advice_of(view: CaseView, step_mg: float) -> Advice:
    """Regimens, the next sample, what a wrong time would do, and what the reader must be warned of."""
    fit, case, target = view.fit, view.case, view.case.drug.target
    exposures = {each: _spread(exposure_at_steady_state(fit, case.following, each)) for each in Exposure}
    aim = target.exposure if isinstance(target, TargetBand) else Exposure.AUC24
    sample_h, gain = _best_sample(view, aim)
    if isinstance(target, NoTarget):
        return Advice(
            ranked=(),
            chosen=None,
            exposures=exposures,
            sample_h=sample_h,
            sample_gain=gain,
            timing=(),
            warnings=warnings_of(view),
        )
    return Advice(
        ranked=_ranked(view, target, step_mg),
        chosen=advised(fit, target, (case.following,))[0],
        exposures=exposures,
        sample_h=sample_h,
        sample_gain=gain,
        timing=timing_checks(fit, target, case.following, later_min=LATER_MIN) if fit.levels else (),
        warnings=warnings_of(view),
    )


def _ranked(view: CaseView, target: TargetBand, step_mg: float) -> tuple[Attainment, ...]:
    following, drug = view.case.following, view.case.drug
    candidates = candidates_for(
        view.fit,
        target,
        route=following.route,
        duration_h=following.duration_h,
        intervals_h=INTERVALS_H,
        step_mg=step_mg,
    )
    return advised(view.fit, target, [each for each in candidates if each.amount_mg <= drug.largest_dose_mg])


def _spread(values: FloatArray) -> tuple[float, float, float]:
    p05, p50, p95 = np.percentile(values, (5, 50, 95))
    return float(p05), float(p50), float(p95)


def _best_sample(view: CaseView, exposure: Exposure) -> tuple[float | None, float]:
    """The best time of the last dosing interval, from the end of its infusion on."""
    given = view.case.given
    start_h = given.times_h[-1] + max(given.duration_h, 0.5)
    times = np.linspace(start_h, max(view.next_dose_h, start_h + 1.0), _SAMPLE_STEPS)
    try:
        gains = next_sample(view.fit, view.case.following, exposure, times)
    except BiotwinError:
        return None, 0.0
    best = int(np.argmax(gains))
    return (float(times[best]), float(gains[best])) if gains[best] > 0.0 else (None, 0.0)


def warnings_of(view: CaseView) -> tuple[str, ...]:
    """Where the model is asked for more than its study can tell, and what the fit has to say."""
    drug = view.case.drug
    at_an_end = [
        covariate.meaning.split(",")[0]
        for covariate in drug.covariates
        if not covariate.is_switch
        and view.case.covariates[covariate.name] in (covariate.low, covariate.high)
        and view.case.covariates[covariate.name] != covariate.default
    ]
    sentences = [f"{name[0].upper()}{name[1:]} is at the end of what the study covered." for name in at_an_end]
    return (*sentences, *view.fit.notes)


def is_extrapolation(view: CaseView) -> bool:
    """Whether this person is unlike nearly everybody of the study (an eta beyond 2 SD)."""
    return bool(far_from_the_study(view.fit.population, view.fit.eta))


def beliefs(view: CaseView) -> tuple[Belief, ...]:
    """Every parameter of the model, with its eta as a percentile of the population where it varies."""
    fit = view.fit
    people = fit.population.individual(fit.draws)
    found = []
    for each in view.case.drug.typical:
        if each.name not in fit.individual:
            continue
        p05, p95 = np.percentile(people[each.name], (5, 95))
        leader = fit.population.follows.get(each.name, each.name)
        place = fit.population.names.index(leader) if leader in fit.population.names else None
        eta = None if place is None else float(fit.eta[place])
        sd = 1.0 if place is None else sqrt(float(fit.population.omega[place, place]))
        found.append(
            Belief(
                name=each.name,
                meaning=each.meaning,
                unit=each.unit,
                typical=float(fit.population.typical[each.name]),
                value=float(fit.individual[each.name]),
                p05=float(p05),
                p95=float(p95),
                eta=eta,
                percentile=None if eta is None else 50.0 * (1.0 + erf(eta / sd / sqrt(2.0))),
            )
        )
    return tuple(found)
