"""What plans do, outcome by outcome, each figure with its interval and what that interval is."""

from collections.abc import Sequence
from typing import Any

from dash import html

from dashboard.components.basics import aria, figures_table
from dashboard.theme.display import Display
from dashboard.theme.scenario_lines import SCENARIO_LINES
from twin_core.domain.units import GlucoseUnit, glucose_text, in_unit
from twin_core.services.hybrid import N_DRAWS
from twin_core.services.outcomes import HIGHEST_MG_DL, LOWEST_MG_DL, IntervalKind, Outcome, OutcomeUnit
from twin_core.services.what_if import View, WhatIfAnswer

_WHOLE = {"whiteSpace": "nowrap"}
_LONGEST_WHOLE = 12
"""Characters of an interval that fit into a third of a screen of 320 px."""


def line_sample(name: str) -> html.Span:
    """A piece of a saved scenario's line, in its dashes and colour."""
    return html.Span(style=SCENARIO_LINES[name].style, **aria(hidden="true"))


def difference_text(difference_mg_dl: float, unit: GlucoseUnit) -> str:
    """A difference of glucose in the unit of the screen."""
    return f"{in_unit(difference_mg_dl, unit):.{0 if unit is GlucoseUnit.MG_DL else 1}f}"


def outcomes_of_plans(answer: WhatIfAnswer, display: Display) -> list[Any]:
    """Every outcome without a plan, with the plan of the sliders and with each scenario, in a small table each."""
    if not answer.outcomes:
        return [html.P("Without a forecast no outcome can be said.", className="muted small")]
    rows: dict[str, tuple[Any, tuple[Outcome, ...]]] = {"No plan": ("No plan", answer.outcomes)}
    if not answer.plan.changes_nothing:
        rows["This plan"] = ("This plan", answer.own.outcomes)
    for name, each in answer.scenarios.items():
        rows[name] = (html.Span([line_sample(name), f" {name}"]), each.outcomes)
    groups: dict[IntervalKind, list[Any]] = {kind: [] for kind in IntervalKind}
    for number, outcome in enumerate(answer.outcomes):
        lines = [(head, outcomes[number]) for head, outcomes in rows.values()]
        groups[outcome.kind].append(_outcome_table(outcome, lines, answer.view, display.unit))
    return [
        html.P(_band_words(answer), className="small"),
        html.H3("What may happen"),
        html.P(
            f"The middle of {N_DRAWS} draws, then the interval that holds 90 % of them; for a difference, of the "
            "differences draw by draw.",
            className="muted tiny",
        ),
        html.Div(groups[IntervalKind.RANGE], className="halves"),
        html.H3("Chances"),
        html.P(
            f"The share of the {N_DRAWS} draws, then the 90 % sampling error of so few draws. What is not known of "
            "glucose and twin is in the chance itself, not in its interval.",
            className="muted tiny",
        ),
        html.Div(groups[IntervalKind.SAMPLING], className="halves"),
        *_edge_words(answer, display.unit),
    ]


def _outcome_table(outcome: Outcome, lines: Sequence[tuple[Any, Outcome]], view: View, unit: GlucoseUnit) -> html.Div:
    levels = (glucose_text(level, unit) for level in outcome.levels_mg_dl)
    label = outcome.label.format(*levels) + (f" {unit.value}" if outcome.levels_mg_dl else "")
    counted = unit.value if outcome.unit is OutcomeUnit.GLUCOSE else "%"
    points = unit.value if outcome.unit is OutcomeUnit.GLUCOSE else "points"
    head = ("Plan", counted, f"Difference, {points}")
    rows = [(name, _cell(_value(each, unit)), _cell(_change(each, unit))) for name, each in lines]
    return figures_table(f"{label}, next {view.horizon_min / 60.0:.0f} h", head, rows)


def _cell(text: str) -> Any:
    """A figure whose short interval goes to the next line as a whole where the column is narrow."""
    middle, _, interval = text.partition(" (")
    if not interval or len(interval) > _LONGEST_WHOLE:
        return text
    return [middle, " ", html.Span(f"({interval}", style=_WHOLE)]


def _value(outcome: Outcome, unit: GlucoseUnit) -> str:
    value = outcome.value
    if outcome.unit is OutcomeUnit.PERCENT:
        return f"{value.middle:.0f} ({value.low:.0f} to {value.high:.0f})"
    middle, low, high = (_at_edge(number, unit) for number in (value.middle, value.low, value.high))
    return f"{middle} ({low} to {high})"


def _change(outcome: Outcome, unit: GlucoseUnit) -> str:
    if outcome.change is None:
        return "–"
    numbers = (outcome.change.middle, outcome.change.low, outcome.change.high)
    if outcome.unit is OutcomeUnit.GLUCOSE:
        digits = 0 if unit is GlucoseUnit.MG_DL else 1
        middle, low, high = (_signed(in_unit(number, unit), digits) for number in numbers)
    else:
        middle, low, high = (_signed(number, 0) for number in numbers)
    return f"{middle} ({low} to {high})"


def _at_edge(glucose_mg_dl: float, unit: GlucoseUnit) -> str:
    """A glucose; at the edge of what a sensor shows it may be further."""
    shown = glucose_text(glucose_mg_dl, unit)
    if glucose_mg_dl <= LOWEST_MG_DL:
        return f"{shown} or less"
    return f"{shown} or more" if glucose_mg_dl >= HIGHEST_MG_DL else shown


def _edge_words(answer: WhatIfAnswer, unit: GlucoseUnit) -> list[html.P]:
    """A sentence where a course reached the edge, so that a difference may be larger than said."""
    every = (answer.outcomes, answer.own.outcomes, *(each.outcomes for each in answer.scenarios.values()))
    lowest = (each.value.low for outcomes in every for each in outcomes if each.name == "minimum_mg_dl")
    if min(lowest) > LOWEST_MG_DL:
        return []
    edge = f"{glucose_text(LOWEST_MG_DL, unit)} {unit.value}"
    words = f"A sensor shows nothing below {edge}: where a draw goes further down, the true difference is larger."
    return [html.P(words, className="muted tiny")]


def _band_words(answer: WhatIfAnswer) -> str:
    """What the band is made of, and whose twin answers."""
    unknown = {
        "fitted": "what the days it was fitted to could not tell",
        "population": "how people differ, for nothing is fitted to this person yet",
    }[answer.twin_kind.value]
    if answer.view is View.FORECAST:
        return (
            "The band without a plan is the error of the learned forecast. With a plan it also holds what the twin "
            f"does not know of the plan's effect: {unknown}."
        )
    return (
        f"The twin alone, without the learned forecast. Its bands hold only {unknown}; not the errors of the "
        "equations, nor what else may happen in eight hours."
    )


def _signed(value: float, digits: int) -> str:
    """A number with its sign; what rounds to nothing is 0, not +0."""
    return f"{value:+.{digits}f}" if round(value, digits) else "0"
