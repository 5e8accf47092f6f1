"""One person on one drug as the page `/dosing` sees them: what was entered, the curves, and the advice.

The figure, the tables, the CSV and the PDF are all made from the same `CaseView` and `Advice`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import erf, floor, isfinite, log10, sqrt

import numpy as np

from twin_core.domain.dosing import Candidate, Level
from twin_core.domain.drugs import Dose, Drug, Exposure, NoTarget, TargetBand
from twin_core.domain.errors import BiotwinError
from twin_core.domain.history import FloatArray
from twin_core.inference.dose_search import Attainment, exposure_at_steady_state, given_before
from twin_core.inference.pk_fit import Fit, PkFit, averaged, far_from_the_study
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
_FIRST_POINTS = 33
_REFINEMENTS = 8
_LINEAR_WITHIN = 0.01
_N_SHAPES = 8
_LEAST_NEXT_H = 48.0
_SWAPPED_LOW, _SWAPPED_HIGH = 200.0, 5000.0
_SAMPLE_STEPS = 49
_DAY_H = 24.0
_LONGEST_H = 10_000.0
_N_NODES = 13
_NEAR_RANKS = 5
_MOST_DOSES = 100
_GRID_AMOUNTS = 6
_PER_MG_L = {
    "mg/l": 1.0,
    "ug/ml": 1.0,
    "µg/ml": 1.0,
    "mcg/ml": 1.0,
    "ng/ml": 1e-3,
    "ug/l": 1e-3,
    "µg/l": 1e-3,
    "mcg/l": 1e-3,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class LevelRow:
    """A row of the table of levels, as typed: hours, and a level in the drug's unit (`<2`: below quantification)."""

    time: str
    level: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DoseRow:
    """A row of further doses, as typed: one more dose, or with an interval a regimen that replaces the one before."""

    time: str
    amount: str
    interval: str = ""
    count: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadDose:
    """What became of a row of further doses: a line or none, and a sentence where something is to be said."""

    dose: Dose | None
    note: str = ""


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
    covariates
        By name, as entered: one outside the study is replaced by the study's nearest, one that is no number (NaN) by
        the default, and both are said.
    given
        The regimen that began at 0 h.
    rows
        Levels as typed.
    following
        The regimen from the next dose on.
    dose_rows
        Further doses and changes of the regimen, as typed.
    now_h
        How long ago the first dose was [h]; None where that is not known, and then nothing is in the future.
    others
        Further models of the same drug to average with.
    """

    drug: Drug
    covariates: Mapping[str, float]
    given: Dose
    rows: tuple[LevelRow, ...]
    following: Candidate
    dose_rows: tuple[DoseRow, ...] = ()
    now_h: float | None = None
    others: tuple[Drug, ...] = ()


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
        """Shape `(len(PERCENTILES), n_times)` [mg/L], each the mean of the eleven nearest of the ordered draws.

        One draw alone would make a band jump where another takes its rank as the amount grows.
        """
        ordered = np.sort(np.ascontiguousarray((self.base_mg_l + amount_mg * self.unit_mg_l).T), axis=1)
        place = np.rint(np.array(PERCENTILES) / 100.0 * (ordered.shape[1] - 1)).astype(int)
        near = np.clip(place[:, None] + np.arange(-_NEAR_RANKS, _NEAR_RANKS + 1), 0, ordered.shape[1] - 1)
        return np.asarray(ordered[:, near].mean(axis=2).T)

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Weight:
    """One of several models: how far it is believed, and what it takes this person's clearance to be."""

    title: str
    weight: float
    phi: float
    clearance_l_h: float
    note: str


@dataclass(frozen=True, kw_only=True)
class CaseView:
    """Everything that is drawn of a case.

    Attributes
    ----------
    population
        People with the study's usual covariates.
    a_priori
        People with this person's covariates; no level is in it.
    fit
        Of the drug's own model.
    whole
        What curves, probabilities and regimens come from: `fit`, or several models averaged.
    a_posteriori
        This person as far as the levels tell; None without levels.
    covariate_notes
        By name: why a covariate was not taken as entered.
    next_dose_h
        When the regimen that follows begins.
    """

    case: Case
    doses: tuple[Dose, ...]
    read: tuple[ReadRow, ...]
    read_doses: tuple[ReadDose, ...]
    covariate_notes: Mapping[str, str]
    notes: tuple[str, ...]
    population: PopulationCurves
    a_priori: PopulationCurves
    fit: PkFit
    whole: Fit
    weights: tuple[Weight, ...]
    a_posteriori: PersonalCurves | None
    following: NextCurves
    next_dose_h: float
    residuals: tuple[Residual, ...]

    @property
    def has_levels(self) -> bool:
        """Whether any level counts."""
        return bool(self.fit.levels)

    @property
    def dose_times_h(self) -> tuple[float, ...]:
        """When doses were given or are planned before the next one, in order."""
        return tuple(sorted(time_h for dose in self.doses for time_h in dose.times_h))


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
    grid
        The same probabilities over doses and intervals, in their order.
    chosen
        The regimen of the sliders; None where the drug has no target.
    exposures
        Of the regimen of the sliders at steady state: 5th, 50th and 95th percentile.
    sample_h, sample_gain
        The best next sampling time [h] and the share of the variance it would take away; None where no level helps.
    """

    ranked: tuple[Attainment, ...]
    grid: tuple[Attainment, ...]
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


def read_covariates(drug: Drug, values: Mapping[str, float]) -> tuple[dict[str, float], dict[str, str]]:
    """Covariates that the model knows, and by name why one was not taken as entered.

    One outside the study is replaced by the study's nearest, one that is missing or no number by the default.
    """
    known, notes = {}, {}
    for each in drug.covariates:
        value, unit = values.get(each.name, each.default), "" if each.unit == "1" else f" {each.unit}"
        if not isfinite(value):
            known[each.name] = each.default
            notes[each.name] = f"Not a number: the study's usual {each.default:g}{unit} is used."
            continue
        known[each.name] = min(max(value, each.low), each.high)
        if known[each.name] != value:
            notes[each.name] = (
                f"{value:g}{unit} is refused: the study had {each.low:g} to {each.high:g}{unit}. The curves are those "
                f"of {known[each.name]:g}{unit}, an extrapolation for this person."
            )
    return known, notes


def read_doses(drug: Drug, given: Dose, rows: Sequence[DoseRow]) -> tuple[tuple[Dose, ...], tuple[ReadDose, ...]]:
    """All doses before the next one, and what became of every row of further doses."""
    read = tuple(_read_dose(drug, given, row) for row in rows)
    lines: tuple[Dose, ...] = (given,)
    for dose in sorted((each.dose for each in read if each.dose), key=lambda dose: dose.time_h):
        kept = lines if dose.interval_h is None else given_before(lines, dose.time_h)
        lines = (*kept, dose)
    return lines, read


def _read_dose(drug: Drug, given: Dose, row: DoseRow) -> ReadDose:
    texts = (row.time.strip(), row.amount.strip(), row.interval.strip(), row.count.strip())
    if not any(texts):
        return ReadDose(dose=None)
    time_h, amount_mg, interval_h, count = (_number(text) for text in texts)
    problem = _dose_problem(drug, given, time_h, amount_mg)
    if texts[2] and (interval_h is None or not max(given.duration_h, 0.5) <= interval_h <= _LONGEST_H):
        problem = problem or f"The interval must be {max(given.duration_h, 0.5):g} to {_LONGEST_H:g} h, or empty."
    if texts[3] and (count is None or count != int(count) or not 1 <= count <= _MOST_DOSES):
        problem = problem or f"The number of doses must be 1 to {_MOST_DOSES}."
    if problem or time_h is None or amount_mg is None:
        return ReadDose(dose=None, note=f"{problem} It is left out.")
    dose = replace(
        given,
        time_h=time_h,
        amount_mg=amount_mg,
        interval_h=interval_h,
        additional=int(count or 1) - 1 if interval_h else 0,
        steady_state=False,
    )
    note = "Without an interval this is a single dose." if count and count > 1 and not interval_h else ""
    return ReadDose(dose=dose, note=note)


def _dose_problem(drug: Drug, given: Dose, time_h: float | None, amount_mg: float | None) -> str:
    if time_h is None:
        return "Enter the time of the dose in hours since the first one."
    if time_h < given.time_h:
        return "This is before the first dose at 0 h."
    if time_h > _LONGEST_H:
        return f"This is more than {_LONGEST_H:g} h after the first dose."
    if amount_mg is None:
        return "Enter the dose in mg."
    if not 0.0 < amount_mg <= drug.largest_dose_mg:
        return f"A dose must be above 0 and at most {drug.largest_dose_mg:g} mg; got {amount_mg:g} mg."
    return ""


def read_rows(
    drug: Drug,
    covariates: Mapping[str, float],
    doses: Sequence[Dose],
    rows: Sequence[LevelRow],
    now_h: float | None = None,
) -> tuple[ReadRow, ...]:
    """Every row, read for itself: one that cannot be is refused with its reason and the others still count."""
    read = [_read(drug, doses, row, now_h) for row in rows]
    times = [each.level.time_h for each in read if each.level]
    if not times:
        return tuple(read)
    fit = fitted(drug, Person(covariates=covariates, doses=tuple(doses), levels=()), n_draws=2)
    found = curves(fit.population, np.zeros((1, len(fit.eta))), tuple(doses), np.array(times))[0]
    typical = dict(zip(times, found, strict=True))
    return tuple(_unless_swapped(drug, each, typical) for each in read)


def _read(drug: Drug, doses: Sequence[Dose], row: LevelRow, now_h: float | None) -> ReadRow:
    time_text, level_text = row.time.strip(), row.level.strip()
    if not time_text and not level_text:
        return ReadRow(level=None)
    time_h, level = _number(time_text), _level(drug, level_text)
    problem = _level_problem(drug, doses, time_h, level, now_h, below=level_text.startswith("<"))
    if problem or time_h is None or level is None:
        return ReadRow(level=None, note=problem)
    below = level_text.startswith("<")
    found = Level(time_h=time_h, concentration_mg_l=level / drug.levels_per_mg_l, below_quantification=below)
    due_h = due_after(doses)
    note = f"Taken after {due_h:g} h, when the next dose was due: no further dose is assumed." if time_h > due_h else ""
    return ReadRow(level=found, note=note)


def _level_problem(
    drug: Drug, doses: Sequence[Dose], time_h: float | None, level: float | None, now_h: float | None, *, below: bool
) -> str:
    """Why a level is refused, or nothing."""
    first_h = min(dose.time_h for dose in doses)
    if time_h is None:
        return "Enter the time in hours since the first dose."
    if level is None:
        return f"Enter the level as a number in {drug.level_unit}."
    if level < 0.0:
        return f"A level cannot be negative; got {level:g} {drug.level_unit}. It is left out."
    if time_h < first_h:
        return f"This is before the first dose at {first_h:g} h. Correct the time; it is left out."
    if time_h > _LONGEST_H:
        return f"This is more than {_LONGEST_H:g} h after the first dose; it is left out."
    if now_h is not None and time_h > now_h:
        return f"This is in the future: it is {written(now_h)} h after the first dose now. It is left out."
    if below and level == 0.0:
        return "Below 0 is no level. Enter the limit of quantification after <."
    return ""


def _level(drug: Drug, text: str) -> float | None:
    """A level in the drug's unit; one with its own unit written behind it is converted."""
    bare = text.removeprefix("<").strip()
    number, _, unit = bare.partition(" ")
    value, unit = _number(number), unit.strip().lower()
    if value is None or not unit or unit == drug.level_unit.lower():
        return value
    return value * _PER_MG_L[unit] * drug.levels_per_mg_l if unit in _PER_MG_L else None


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
        note=f"{entered} {drug.level_unit} where about {usual} is typical: in another unit? Enter {drug.level_unit}, "
        "or write the unit behind the number. It is left out.",
    )


def due_after(doses: Sequence[Dose]) -> float:
    """When the dose after these is due [h]: by the last regimen, or a day after a single dose."""
    last_h = max(dose.times_h[-1] for dose in doses)
    due = [dose.times_h[-1] + dose.interval_h for dose in doses if dose.interval_h]
    return max([last_h + _DAY_H] if not due else [each for each in due if each > last_h] or [last_h + _DAY_H])


# --- curves -----------------------------------------------------------------------------------------------------------


def view_of(dosing: Dosing, case: Case) -> CaseView:
    """Curves and residuals of a case; `BiotwinError` where the regimen is not allowed."""
    drug = case.drug
    covariates, covariate_notes = read_covariates(drug, case.covariates)
    doses, dose_rows = read_doses(drug, case.given, case.dose_rows)
    read = read_rows(drug, covariates, doses, case.rows, case.now_h)
    levels = tuple(row.level for row in read if row.level)
    next_dose_h = max([due_after(doses), *(level.time_h for level in levels)])
    fit = fitted(drug, Person(covariates=covariates, doses=doses, levels=levels))
    whole, weights = _averaged(fit, case, doses, levels)
    times = adaptive_times(fit, doses, 0.0, next_dose_h)
    usual = {covariate.name: covariate.default for covariate in drug.covariates}
    lines = _with_one_repeat(doses)
    a_priori = dosing.predict(drug, covariates, lines, times, n=_N_PEOPLE)
    return CaseView(
        case=replace(case, covariates=covariates),
        doses=doses,
        read=read,
        read_doses=dose_rows,
        covariate_notes=covariate_notes,
        notes=_future_notes(case.now_h, doses),
        population=a_priori if usual == covariates else dosing.predict(drug, usual, lines, times, n=_N_PEOPLE),
        a_priori=a_priori,
        fit=fit,
        whole=whole,
        weights=weights,
        a_posteriori=personal_curves(whole, times, n_draws=_N_DRAWS) if levels else None,
        following=_following(whole, fit, case, doses, next_dose_h),
        next_dose_h=next_dose_h,
        residuals=_residuals(fit),
    )


def _averaged(
    fit: PkFit, case: Case, doses: tuple[Dose, ...], levels: tuple[Level, ...]
) -> tuple[Fit, tuple[Weight, ...]]:
    """Several models of one drug, each with the covariates that it knows; the drug's own fit where it is alone."""
    if not case.others:
        return fit, ()
    fits, notes = [fit], [""]
    for other in case.others:
        named = {each.name for each in other.covariates}
        known, why = read_covariates(other, {name: v for name, v in case.covariates.items() if name in named})
        fits.append(fitted(other, Person(covariates=known, doses=doses, levels=levels)))
        notes.append(" ".join(why.values()))
    whole = averaged(fits, np.random.default_rng(0))
    titles = [each.title for each in (case.drug, *case.others)]
    return whole, tuple(
        Weight(title=title, weight=float(weight), phi=each.phi, clearance_l_h=each.individual["CL_L_h"], note=note)
        for title, weight, each, note in zip(titles, whole.weights, fits, notes, strict=True)
    )


def _future_notes(now_h: float | None, doses: Sequence[Dose]) -> tuple[str, ...]:
    if now_h is None:
        return ()
    times = [time_h for dose in doses for time_h in dose.times_h]
    later = sum(time_h > now_h for time_h in times)
    if not later:
        return ()
    when = f"it is {written(now_h)} h after the first dose now"
    return (f"{later} of {len(times)} doses are in the future ({when}): they are drawn as planned, not as given.",)


def _with_one_repeat(doses: tuple[Dose, ...]) -> tuple[Dose, ...]:
    """The same doses with one repeating line: the one at steady state, else the last; the others dose by dose."""
    repeating = [dose for dose in doses if dose.interval_h]
    if len(repeating) < 2:
        return doses
    kept = next((dose for dose in repeating if dose.steady_state), repeating[-1])
    singles = [
        replace(dose, time_h=time_h, interval_h=None, additional=0)
        for dose in doses
        if dose is not kept
        for time_h in dose.times_h
    ]
    return (*singles, kept)


def adaptive_times(fit: PkFit, doses: Sequence[Dose], start_h: float, end_h: float) -> FloatArray:
    """Times [h] to draw so that straight lines between them miss no peak by more than about 1 % of the highest.

    Every dose, the moment before it and every end of infusion is among them; then intervals are halved where the
    curve of the typical person or of one of some draws is not straight.
    """
    times = _corners(doses, start_h, end_h)
    people = np.concatenate((np.zeros((1, len(fit.eta))), fit.draws[:: max(1, len(fit.draws) // _N_SHAPES)]))
    values = curves(fit.population, people, tuple(doses), times)
    for _ in range(_REFINEMENTS):
        middles = (times[1:] + times[:-1]) / 2.0
        between = curves(fit.population, people, tuple(doses), middles)
        bend = np.abs(between - (values[:, 1:] + values[:, :-1]) / 2.0)
        scale = np.maximum(values.max(axis=1, keepdims=True), 1e-30)
        bent = ((bend / scale).max(axis=0) > _LINEAR_WITHIN) & (np.diff(times) > 1e-3)
        if not bent.any():
            break
        order = np.argsort(np.concatenate((times, middles[bent])))
        times = np.concatenate((times, middles[bent]))[order]
        values = np.concatenate((values, between[:, bent]), axis=1)[:, order]
    return np.asarray(times)


def _corners(doses: Sequence[Dose], start_h: float, end_h: float) -> FloatArray:
    even = np.linspace(start_h, end_h, _FIRST_POINTS)
    starts = np.array([time_h for dose in doses for time_h in dose.times_h])
    ends = np.array([time_h + dose.duration_h for dose in doses for time_h in dose.times_h])
    every = np.concatenate((even, starts, starts - 1e-6, ends))
    return np.unique(every[(every >= start_h) & (every <= end_h)])


def _following(whole: Fit, fit: PkFit, case: Case, doses: tuple[Dose, ...], next_dose_h: float) -> NextCurves:
    interval_h = case.following.interval_h
    count = max(2, int(np.ceil(_LEAST_NEXT_H / interval_h)))
    line = Candidate(
        amount_mg=1.0, interval_h=interval_h, route=case.following.route, duration_h=case.following.duration_h
    ).line(next_dose_h, count)
    times = adaptive_times(fit, (line,), next_dose_h, next_dose_h + count * interval_h)
    before = given_before(doses, next_dose_h)
    parts = [(part.population, _share_of_draws(part, whole)) for part in whole.parts]
    return NextCurves(
        times_h=times,
        base_mg_l=np.concatenate([curves(population, draws, before, times) for population, draws in parts]),
        unit_mg_l=np.concatenate([curves(population, draws, (line,), times) for population, draws in parts]),
    )


def _share_of_draws(part: PkFit, whole: Fit) -> FloatArray:
    total = sum(len(each.draws) for each in whole.parts)
    count = max(1, round(_N_DRAWS * len(part.draws) / total))
    return np.asarray(part.draws[np.linspace(0, len(part.draws) - 1, count).astype(int)])


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
    case, target = view.case, view.case.drug.target
    exposures = {each: _spread(exposure_at_steady_state(view.whole, case.following, each)) for each in Exposure}
    aim = target.exposure if isinstance(target, TargetBand) else Exposure.AUC24
    sample_h, gain = _best_sample(view, aim)
    without = Advice(
        ranked=(),
        grid=(),
        chosen=None,
        exposures=exposures,
        sample_h=sample_h,
        sample_gain=gain,
        timing=(),
        warnings=warnings_of(view),
    )
    if isinstance(target, NoTarget):
        return without
    return replace(
        without,
        ranked=_ranked(view, target, step_mg),
        grid=_grid(view, target, step_mg),
        chosen=advised(view.whole, target, (case.following,))[0],
        timing=timing_checks(view.fit, target, case.following, later_min=LATER_MIN) if view.has_levels else (),
    )


def _intervals_h(view: CaseView) -> tuple[float, ...]:
    own = view.case.following
    return tuple(sorted({each for each in (*INTERVALS_H, own.interval_h) if each >= own.duration_h}))


def _ranked(view: CaseView, target: TargetBand, step_mg: float) -> tuple[Attainment, ...]:
    following, drug = view.case.following, view.case.drug
    candidates = candidates_for(
        view.whole,
        target,
        route=following.route,
        duration_h=following.duration_h,
        intervals_h=_intervals_h(view),
        step_mg=step_mg,
    )
    return advised(view.whole, target, [each for each in candidates if each.amount_mg <= drug.largest_dose_mg])


def _grid(view: CaseView, target: TargetBand, step_mg: float) -> tuple[Attainment, ...]:
    """Doses about that of the sliders at every interval, in the order of dose and interval."""
    own, largest_mg = view.case.following, view.case.drug.largest_dose_mg
    shares = np.linspace(0.5, 2.0, _GRID_AMOUNTS + 1)
    amounts = sorted({max(step_mg, round(own.amount_mg * float(share) / step_mg) * step_mg) for share in shares})
    candidates = [
        replace(own, amount_mg=amount_mg, interval_h=interval_h)
        for amount_mg in amounts
        if amount_mg <= largest_mg
        for interval_h in _intervals_h(view)
    ]
    found = advised(view.whole, target, candidates)
    return tuple(sorted(found, key=lambda each: (each.candidate.amount_mg, each.candidate.interval_h)))


def _spread(values: FloatArray) -> tuple[float, float, float]:
    p05, p50, p95 = np.percentile(values, (5, 50, 95))
    return float(p05), float(p50), float(p95)


def _best_sample(view: CaseView, exposure: Exposure) -> tuple[float | None, float]:
    """The best time of the last dosing interval, from the end of its infusion on."""
    start_h = view.dose_times_h[-1] + max(view.case.given.duration_h, 0.5)
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
        and covariate.name not in view.covariate_notes
        and view.case.covariates[covariate.name] in (covariate.low, covariate.high)
        and view.case.covariates[covariate.name] != covariate.default
    ]
    sentences = [f"{name[0].upper()}{name[1:]} is at the end of what the study covered." for name in at_an_end]
    return (*view.notes, *view.covariate_notes.values(), *sentences, *view.fit.notes)


def is_extrapolation(view: CaseView) -> bool:
    """Whether a covariate is outside the study, or this person unlike nearly everybody in it (an eta beyond 2 SD)."""
    return bool(view.covariate_notes or far_from_the_study(view.fit.population, view.fit.eta))


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
