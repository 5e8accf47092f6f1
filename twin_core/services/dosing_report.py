"""The report of a dosing case as CSV and as one page of PDF, from the view and the advice that the page shows."""

import csv
from collections.abc import Iterable, Sequence
from io import BytesIO, StringIO
from textwrap import wrap
from typing import Any

from twin_core.domain.drugs import Dose, Exposure, NoTarget, TargetBand
from twin_core.domain.history import FloatArray
from twin_core.inference.dose_search import Attainment
from twin_core.services.dosing_case import Advice, CaseView, beliefs, exposure_unit, written
from twin_core.services.personal_dosing import NO_ADVICE, PERCENTILES

_A4_INCH = (8.27, 11.69)
_INK, _MUTED, _OWN, _NEXT, _TARGET = "#18222F", "#4A5A6C", "#1C5D99", "#8A2D7C", "#5ABA97"
_LINE_CHARACTERS = 122
_LINE_INCH = 0.135


def best_of_each_interval(ranked: Sequence[Attainment]) -> tuple[Attainment, ...]:
    """The first of every interval, in the order of the ranking."""
    first: dict[float, Attainment] = {}
    for each in ranked:
        first.setdefault(each.candidate.interval_h, each)
    return tuple(first.values())


def csv_of(view: CaseView, advice: Advice) -> str:
    """Long table: what, time [h], percentile, value, unit; then levels, regimens and parameters; sources at the end."""
    drug = view.case.drug
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("what", "time_h", "percentile", "value", "unit"))
    own = view.a_posteriori
    series = [
        ("population", view.population.times_h, view.population.percentiles_mg_l),
        ("a priori", view.a_priori.times_h, view.a_priori.percentiles_mg_l),
        *([("a posteriori", own.times_h, own.percentiles_mg_l)] if own else []),
        ("following regimen", view.following.times_h, view.following.percentiles(view.case.following.amount_mg)),
    ]
    for name, times, curves in series:
        writer.writerows(_curve_rows(name, times, curves * drug.levels_per_mg_l, drug.level_unit))
    for residual in view.residuals:
        level = residual.level
        name = "level below quantification" if level.below_quantification else "level"
        value = level.concentration_mg_l * drug.levels_per_mg_l
        writer.writerow((name, f"{level.time_h:g}", "", f"{value:.6g}", drug.level_unit))
        writer.writerow(("residual", f"{level.time_h:g}", "", f"{residual.in_sd:.4g}", "SD"))
    for weight in view.weights:
        writer.writerow((f"weight of {weight.title}", "", "", f"{weight.weight:.4f}", "1"))
    for each in {each.candidate: each for each in (*advice.ranked, *advice.grid)}.values():
        name = f"{each.candidate.amount_mg:g} mg every {each.candidate.interval_h:g} h"
        writer.writerow((f"{name}: in target", "", "", f"{each.in_target:.4f}", "probability"))
        writer.writerow((f"{name}: too much", "", "", f"{each.risk_index:.4f}", "probability"))
    for belief in beliefs(view):
        writer.writerow((belief.name, "", "", f"{belief.value:.6g}", belief.unit))
    for sentence in (*advice.warnings, *left_out(view), NO_ADVICE, *drug.references):
        writer.writerow((sentence, "", "", "", ""))
    return text.getvalue()


def _curve_rows(name: str, times_h: FloatArray, curves: FloatArray, unit: str) -> Iterable[tuple[str, ...]]:
    for percentile, curve in zip(PERCENTILES, curves, strict=True):
        for time_h, value in zip(times_h, curve, strict=True):
            yield name, f"{time_h:.6g}", str(percentile), f"{value:.6g}", unit


def pdf_of(view: CaseView, advice: Advice) -> bytes:
    """One page of A4: the curves, the advice with its risk, the parameters, the disclaimer and the sources."""
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure

    figure = Figure(figsize=_A4_INCH)
    FigureCanvasPdf(figure)
    title = f"Dosing report: {view.case.drug.title}"
    figure.text(0.08, 0.965, title, size=15, weight="bold", color=_INK, va="top")
    figure.text(0.08, 0.94, NO_ADVICE, size=8.5, color="#A61B22", va="top")
    _draw_curves(figure.add_axes((0.08, 0.63, 0.86, 0.28)), view)
    y = 0.58
    for heading, sentences in _sections(view, advice):
        y = _write(figure, y, heading, sentences)
    page = BytesIO()
    figure.savefig(page, format="pdf", metadata={"Title": title, "CreationDate": None})
    return page.getvalue()


def line_words(dose: Dose) -> str:
    """A line of doses in words."""
    infused = f" over {written(dose.duration_h)} h" if dose.duration_h else ""
    repeated = f", {dose.additional + 1} x every {written(dose.interval_h)} h" if dose.interval_h else ", once"
    return f"from {written(dose.time_h)} h {written(dose.amount_mg)} mg{infused}{repeated}"


def _draw_curves(axes: Any, view: CaseView) -> None:
    drug = view.case.drug
    scale = drug.levels_per_mg_l
    prior, own = view.a_priori, view.a_posteriori
    curves = own.percentiles_mg_l if own else prior.percentiles_mg_l
    whose = "this person" if own else "people with these covariates"
    kind = "uncertainty about this person" if own else "variability between people"
    _fan(axes, prior.times_h, curves * scale, _OWN, f"{whose}: 50 % and 90 % ({kind})")
    if own:
        axes.plot(prior.times_h, prior.percentiles_mg_l[2] * scale, "--", color=_MUTED, lw=1, label="before the levels")
    _fan(
        axes,
        view.following.times_h,
        view.following.percentiles(view.case.following.amount_mg) * scale,
        _NEXT,
        "regimen from the next dose on",
    )
    if view.residuals:
        times = [each.level.time_h for each in view.residuals]
        axes.plot(
            times, [each.level.concentration_mg_l * scale for each in view.residuals], "o", color=_INK, label="levels"
        )
    target = drug.target
    if isinstance(target, TargetBand):
        per = scale / (24.0 if target.exposure is Exposure.AUC24 else 1.0)
        axes.axhspan(target.low * per, target.high * per, color=_TARGET, alpha=0.14, lw=0, label="target")
    axes.axvline(view.next_dose_h, color=_MUTED, lw=1, ls=":")
    axes.set_xlabel("Hours since the first dose", size=8)
    axes.set_ylabel(f"Concentration, {drug.level_unit}", size=8)
    axes.tick_params(labelsize=8)
    axes.set_xlim(left=0.0)
    axes.set_ylim(bottom=0.0)
    axes.legend(fontsize=7, frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)


def _fan(axes: Any, times_h: FloatArray, percentiles: FloatArray, colour: str, label: str) -> None:
    p05, p25, p50, p75, p95 = percentiles
    axes.fill_between(times_h, p05, p95, color=colour, alpha=0.14, lw=0)
    axes.fill_between(times_h, p25, p75, color=colour, alpha=0.2, lw=0)
    axes.plot(times_h, p50, color=colour, lw=1.5, label=label)


def _sections(view: CaseView, advice: Advice) -> list[tuple[str, list[str]]]:
    case, drug = view.case, view.case.drug
    so_far = f"Given: {'; '.join(line_words(dose) for dose in view.doses)}."
    following = f"From {written(view.next_dose_h)} h on: {written(case.following.amount_mg)} mg every "
    following += f"{written(case.following.interval_h)} h."
    covariates = "; ".join(
        f"{each.meaning.partition(',')[0]} {written(case.covariates[each.name])}{_spaced(each.unit)}"
        for each in drug.covariates
    )
    levels = "; ".join(
        f"{'<' if each.level.below_quantification else ''}"
        f"{written(each.level.concentration_mg_l * drug.levels_per_mg_l)} {drug.level_unit} "
        f"at {written(each.level.time_h)} h ({each.in_sd:+.1f} SD)"
        for each in view.residuals
    )
    facts = [f"{so_far} {following}", f"Covariates: {covariates or 'none'}."]
    facts += [f"Levels: {levels or 'none yet: this is the prior'}.", *left_out(view), *_weight_sentences(view)]
    return [
        ("Person", facts),
        ("Regimens at steady state", _regimen_sentences(view, advice)),
        ("Sampling", _sampling_sentences(view, advice)),
        ("Parameters (90 % interval; percentile of people)", [_parameter_sentence(view)]),
        ("What to know", list(advice.warnings)),
        ("Sources", [*_target_sentence(view), *([] if drug.verified else [drug.note]), *drug.references]),
    ]


def left_out(view: CaseView) -> list[str]:
    """A sentence for every row that counts for nothing."""
    levels = [f"Level {n} left out. {row.note}" for n, row in enumerate(view.read, start=1) if row.is_refused]
    doses = [
        f"Further dose {n} left out. {row.note}"
        for n, row in enumerate(view.read_doses, start=1)
        if row.dose is None and row.note
    ]
    return levels + doses


def _weight_sentences(view: CaseView) -> list[str]:
    if not view.weights:
        return []
    shares = "; ".join(f"{each.title} {100 * each.weight:.0f} %" for each in view.weights)
    return [f"Models averaged: {shares}."]


def _regimen_sentences(view: CaseView, advice: Advice) -> list[str]:
    drug = view.case.drug
    if isinstance(drug.target, NoTarget):
        return [f"None ranked: {drug.target.reason.rstrip('.')}."]
    unit = exposure_unit(drug, drug.target.exposure)
    sentences = []
    for each in best_of_each_interval(advice.ranked):
        figures = each.figures()
        low, middle, high = (written(figures[f"exposure_{p}"] * drug.levels_per_mg_l) for p in ("p05", "p50", "p95"))
        sentences.append(
            f"{written(each.candidate.amount_mg)} mg every {written(each.candidate.interval_h)} h: in target "
            f"{100 * each.in_target:.0f} %, too much {100 * each.risk_index:.0f} %; {middle} {unit} ({low} to {high})"
        )
    return sentences


def _sampling_sentences(view: CaseView, advice: Advice) -> list[str]:
    sentences = []
    if advice.sample_h is not None:
        share = f"{100 * advice.sample_gain:.0f} % of the variance of the exposure"
        sentences.append(f"Most informative next level: at {written(advice.sample_h)} h ({share}).")
    sentences += [
        f"Sample at {written(view.fit.levels[each.level].time_h)} h taken {each.later_min:.0f} min later: dose "
        f"{written(each.amount_mg)} to {written(each.amount_if_later_mg)} mg."
        for each in advice.timing
    ]
    return sentences


def _parameter_sentence(view: CaseView) -> str:
    found = []
    for each in beliefs(view):
        spread = (
            "" if each.percentile is None else f" ({written(each.p05)} to {written(each.p95)}; {each.percentile:.0f})"
        )
        found.append(f"{each.meaning} {written(each.value)}{_spaced(each.unit)}{spread}")
    return "; ".join(found) + "."


def _spaced(unit: str) -> str:
    return "" if unit == "1" else f" {unit}"


def _target_sentence(view: CaseView) -> list[str]:
    target = view.case.drug.target
    return [] if isinstance(target, NoTarget) else [f"Target: {target.source}."]


def _write(figure: Any, y: float, heading: str, sentences: Sequence[str]) -> float:
    """A heading and its sentences from `y` (share of the page) downwards; where the next one may begin."""
    if not sentences:
        return y
    step = _LINE_INCH / _A4_INCH[1]
    figure.text(0.08, y, heading, size=9.5, weight="bold", color=_INK, va="top")
    y -= 1.4 * step
    for sentence in sentences:
        for line in wrap(sentence, _LINE_CHARACTERS):
            figure.text(0.08, y, line, size=7.5, color=_INK, va="top", parse_math=False)
            y -= step
    return y - 0.6 * step
