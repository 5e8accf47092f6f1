"""What follows from a case on `/dosing`: regimens with their risk, the next sample, and the maths behind them."""

from typing import Any

from dash import html

from dashboard.components.basics import card, figures_table, metric, notice
from twin_core.domain.drugs import Dose, Drug, ErrorForm, Exposure, NoTarget, Structure, TargetBand
from twin_core.services.dosing_case import (
    Advice,
    Belief,
    CaseView,
    beliefs,
    exposure_unit,
    is_extrapolation,
    written,
)
from twin_core.services.dosing_report import best_of_each_interval
from twin_core.services.personal_dosing import NO_ADVICE

TRY = "dosing-try"
EXPOSURES = {Exposure.AUC24: "AUC over 24 h", Exposure.PEAK: "Peak", Exposure.TROUGH: "Trough"}


def advice_cards(view: CaseView, advice: Advice) -> list[Any]:
    """All cards below the figure."""
    return [_advice(view, advice), *_grid(view, advice), *_weights(view), _maths(view)]


def _advice(view: CaseView, advice: Advice) -> html.Section:
    return card(
        html.H2("The regimen from the next dose on, at steady state"),
        notice(NO_ADVICE),
        _badges(view, advice),
        html.Div(_chosen(view, advice), className="metrics"),
        *_ranked(view, advice),
        *_sampling(view, advice),
        class_name="stack-tight",
    )


def _badges(view: CaseView, advice: Advice) -> html.Div:
    basis = "based on levels" if view.has_levels else "no level yet: the prior"
    badges = [html.Span(basis, className="chip")]
    if is_extrapolation(view):
        why = "a covariate outside the study" if view.covariate_notes else "unlike the study's people"
        badges.append(html.Span(f"extrapolation: {why}", className="chip chip-red"))
    elif any("end of what the study covered" in warning for warning in advice.warnings):
        badges.append(html.Span("at the edge of the study", className="chip chip-amber"))
    sentences = [html.P(warning, className="small") for warning in advice.warnings]
    return html.Div([html.Div(badges, className="badge-line"), *sentences], className="stack-tight")


def _chosen(view: CaseView, advice: Advice) -> list[Any]:
    drug, whose = view.case.drug, "uncertainty about this person" if view.has_levels else "90 % of such people"
    shown = [
        metric(
            EXPOSURES[exposure],
            f"{written(p50 * drug.levels_per_mg_l)} {exposure_unit(drug, exposure)}",
            f"{whose}: {written(p05 * drug.levels_per_mg_l)} to {written(p95 * drug.levels_per_mg_l)}",
        )
        for exposure, (p05, p50, p95) in advice.exposures.items()
    ]
    if advice.chosen is None or not isinstance(drug.target, TargetBand):
        return shown
    return [
        metric("In the target", _percent(advice.chosen.in_target), target_words(drug)),
        metric("Risk index", _percent(advice.chosen.risk_index), "probability of more than the target"),
        *shown,
    ]


def target_words(drug: Drug) -> str:
    """The target with its unit, or why there is none."""
    if isinstance(drug.target, NoTarget):
        return drug.target.reason
    low, high = (written(end * drug.levels_per_mg_l) for end in (drug.target.low, drug.target.high))
    return f"{EXPOSURES[drug.target.exposure]} of {low} to {high} {exposure_unit(drug, drug.target.exposure)}"


def _percent(share: float) -> str:
    if 0.0 < share < 0.01:
        return "below 1 %"
    return "above 99 %" if 0.99 < share < 1.0 else f"{100.0 * share:.0f} %"


def _ranked(view: CaseView, advice: Advice) -> list[Any]:
    drug = view.case.drug
    if isinstance(drug.target, NoTarget):
        return [html.P(f"No regimens are ranked: {drug.target.reason.rstrip('.')}.", className="small muted")]
    rows = []
    for place, each in enumerate(best_of_each_interval(advice.ranked)):
        figures = each.figures()
        spread = [written(figures[f"exposure_{which}"] * drug.levels_per_mg_l) for which in ("p05", "p50", "p95")]
        rows.append(
            (
                f"{written(each.candidate.amount_mg)} mg every {written(each.candidate.interval_h)} h",
                _percent(each.in_target),
                _percent(figures["probability_below"]),
                _percent(each.risk_index),
                f"{spread[1]} ({spread[0]} to {spread[2]})",
                html.Button("Try", id={"type": TRY, "row": place}, className="button", n_clicks=0),
            )
        )
    head = ("Regimen", "In target", "Too little", "Risk index", exposure_unit(drug, drug.target.exposure), "")
    caption = (
        f"Best dose of each interval, most probable first; target: {target_words(drug)}; risk index: probability of "
        "more than the target"
    )
    return [figures_table(caption, (*head[:-1], "On the sliders"), rows)]


def _grid(view: CaseView, advice: Advice) -> list[Any]:
    """Probabilities over doses and intervals; darker is more probably in the target."""
    if not advice.grid:
        return []
    intervals = sorted({each.candidate.interval_h for each in advice.grid})
    rows: dict[float, list[Any]] = {}
    for each in advice.grid:
        rows.setdefault(each.candidate.amount_mg, []).append(_cell(each.in_target, each.risk_index))
    caption = f"In the target / risk index, at steady state; target: {target_words(view.case.drug)}"
    head = ("Dose", *(f"every {written(interval_h)} h" for interval_h in intervals))
    table = figures_table(caption, head, [(f"{written(amount)} mg", *cells) for amount, cells in rows.items()])
    return [card(html.H2("Probability over doses and intervals"), table, class_name="stack-tight")]


def _cell(in_target: float, risk_index: float) -> html.Span:
    share = round(100.0 * in_target)
    shade = {"background": f"color-mix(in srgb, var(--target) {min(share, 60)}%, transparent)"}
    return html.Span(f"{_percent(in_target)} / {_percent(risk_index)}", className="grid-cell", style=shade)


def _weights(view: CaseView) -> list[Any]:
    """How far each of several models is believed."""
    if not view.weights:
        return []
    rows = [
        (
            each.title,
            _percent(each.weight),
            written(each.clearance_l_h),
            written(each.phi),
            each.note or "none",
        )
        for each in view.weights
    ]
    words = (
        "The levels decide the weights: exp(−Φ/2) of each model."
        if view.has_levels
        else "No level yet: all models weigh the same."
    )
    table = figures_table(
        "Models averaged in the band after the levels, the regimen that follows and all probabilities",
        ("Model", "Weight", "Clearance, L/h", "Φ", "Covariates not as entered"),
        rows,
    )
    return [card(html.H2("Models averaged"), html.P(words, className="small"), table, class_name="stack-tight")]


def _sampling(view: CaseView, advice: Advice) -> list[Any]:
    sentences = []
    if advice.sample_h is not None:
        since = advice.sample_h - view.dose_times_h[-1]
        sentences.append(
            f"The next level would tell most at {written(advice.sample_h)} h, {written(since)} h after the last dose: "
            f"it is expected to take away {100 * advice.sample_gain:.0f} % of the variance of the exposure."
        )
    for check in advice.timing:
        time_h = view.fit.levels[check.level].time_h
        sentences.append(
            f"If the sample at {written(time_h)} h was in truth taken {check.later_min:.0f} min later, the dose every "
            f"{written(view.case.following.interval_h)} h that aims at the middle of the target changes from "
            f"{written(check.amount_mg)} to {written(check.amount_if_later_mg)} mg ({_signed(check.change_mg)} mg)."
        )
    if not sentences:
        return []
    return [html.H3("Sampling"), html.Ul([html.Li(sentence) for sentence in sentences], className="small")]


def _signed(value: float) -> str:
    return f"{'+' if value >= 0.0 else '−'}{written(abs(value))}"


# --- the maths --------------------------------------------------------------------------------------------------------

_PERIPHERAL = {Structure.ONE_COMPARTMENT: (), Structure.TWO_COMPARTMENT: (2,), Structure.THREE_COMPARTMENT: (2, 3)}
_ERRORS = {
    ErrorForm.COMBINED1: "SD = a + b f",
    ErrorForm.COMBINED2: "SD = √(a² + b² f²)",
    ErrorForm.PROPORTIONAL: "SD = b f",
}


def equation_of(drug: Drug, dose: Dose) -> str:
    """The differential equations of a drug's model for a route, one a line."""
    flows = _PERIPHERAL[drug.structure]
    back = "".join(f" − (Q{i}/V1)·A1 + (Q{i}/V{i})·A{i}" for i in flows)
    into = "F·ka·A0" if dose.route.is_absorbed else "input(t)"
    lines = ["dA0/dt = input(t − lag) − ka·A0"] if dose.route.is_absorbed else []
    lines.append(f"dA1/dt = {into} − (CL/V1)·A1{back}")
    lines += [f"dA{i}/dt = (Q{i}/V1)·A1 − (Q{i}/V{i})·A{i}" for i in flows]
    return "\n".join([*lines, "C = A1/V1"])


def _maths(view: CaseView) -> html.Section:
    drug, fit = view.case.drug, view.fit
    residual = drug.residual
    scatter = (
        f"level = C + error, {_ERRORS[residual.form]}, b = {written(residual.proportional_sd)}, "
        f"a = {written(residual.additive_sd_mg_l * drug.levels_per_mg_l)} {drug.level_unit}"
    )
    prior = (
        "parameter = typical(covariates) · exp(η),  η ~ N(0, Ω)\n"
        "most probable η: least Σ[(y − f)²/s² + 2 ln s] + ηᵀΩ⁻¹η"
    )
    covariates = [
        (covariate.meaning, _with_unit(view.case.covariates[covariate.name], covariate.unit), covariate.source)
        for covariate in drug.covariates
    ]
    tables = [figures_table("Parameters before and after the levels", _HEAD, [_belief(each) for each in beliefs(view)])]
    if covariates:
        tables.append(figures_table("Covariates that set the prior", ("Covariate", "Value", "Source"), covariates))
    if view.residuals:
        tables.append(figures_table("Levels and residuals", _RESIDUAL_HEAD, _residual_rows(view)))
    source = {"prior": "draws from the prior", "importance": "importance resampling", "ensemble": "a Markov chain"}
    worth = f"Posterior: {source.get(fit.sampler, fit.sampler)}, worth {fit.ess:,.0f} independent draws."
    return card(
        html.Details(
            [
                html.Summary("Show the maths"),
                html.Div(
                    [
                        html.Pre(f"{equation_of(drug, view.case.given)}\n{prior}\n{scatter}", className="formula"),
                        *tables,
                        html.P(worth, className="small"),
                    ],
                    className="stack-tight",
                ),
            ]
        ),
        class_name="stack-tight",
    )


_HEAD = ("Parameter", "Typical here", "This person", "90 % interval", "η", "Percentile of people")
_RESIDUAL_HEAD = ("Time, h", "Level", "Predicted", "Difference, SD")


def _belief(each: Belief) -> tuple[str, ...]:
    name = f"{each.name.partition('_')[0]}, {each.meaning}"
    typical, value, low, high = (written(number) for number in (each.typical, each.value, each.p05, each.p95))
    if each.eta is None or each.percentile is None:
        return name, _unit(typical, each.unit), value, "same in everybody", "–", "–"
    return name, _unit(typical, each.unit), value, f"{low} to {high}", f"{each.eta:+.2f}", f"{each.percentile:.0f}"


def _residual_rows(view: CaseView) -> list[tuple[str, ...]]:
    scale, unit = view.case.drug.levels_per_mg_l, view.case.drug.level_unit
    return [
        (
            written(each.level.time_h),
            f"{'<' if each.level.below_quantification else ''}{written(each.level.concentration_mg_l * scale)} {unit}",
            f"{written(each.predicted_mg_l * scale)} {unit}",
            "–" if each.level.below_quantification else f"{each.in_sd:+.1f}",
        )
        for each in view.residuals
    ]


def _with_unit(value: float, unit: str) -> str:
    return _unit(written(value), unit)


def _unit(text: str, unit: str) -> str:
    return text if unit == "1" else f"{text} {unit}"
