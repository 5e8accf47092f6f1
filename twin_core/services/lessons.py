"""Lessons bound to the models of the twin: what a page needs to tell them, every figure measured at the moment."""

from collections.abc import Callable
from functools import cache
from math import log

import numpy as np

from twin_core.domain.lessons import EulerStep, EulerView
from twin_core.models.pk.euler_lesson import EulerLesson, Script, euler_lesson, points_lost

EULER_STEPS_H = tuple(round(0.1 * tenths, 1) for tenths in range(1, 61))
"""The steps of the slider."""
_FINE_POINTS = 241


def _peak(lesson: EulerLesson) -> str:
    highest = float(lesson.euler_mg_l.max())
    return f"{_number(highest)} mg/L ({lesson.peak_error_percent:+.1f} %); exactly {lesson.exact_peak_mg_l:.3f} mg/L"


def _peak_time(lesson: EulerLesson) -> str:
    exactly = log(lesson.script.k_a_h / lesson.script.k_e_h) / (lesson.script.k_a_h - lesson.script.k_e_h)
    return f"{lesson.peak_at_h:.2f} h; exactly {exactly:.2f} h"


def _tail(lesson: EulerLesson) -> str:
    return f"{_percent(lesson.error_percent_at(24.0))} at 24 h, {_percent(lesson.error_percent_at(48.0))} at 48 h"


def _axis(lesson: EulerLesson) -> str:
    return (
        f"drawn every {lesson.drawn_step_h:.4f} h; the point drawn at {lesson.drawn_at_h[-1]:g} h is the state of "
        f"{lesson.state_of_h[-1]:g} h"
    )


def _half_life(lesson: EulerLesson) -> str:
    exactly = log(2.0) / lesson.script.k_e_h
    seen = f"{lesson.half_life_h:.2f} h" if np.isfinite(lesson.half_life_h) else "the last points do not fall"
    return f"{seen}; exactly {exactly:.2f} h"


def _mass(lesson: EulerLesson) -> str:
    return (
        f"{_number(lesson.eliminated_mg)} mg leave the body of {lesson.script.dose_mg:g} mg taken; "
        f"exactly {lesson.exactly_eliminated_mg:.2f} mg"
    )


def _gut(lesson: EulerLesson) -> str:
    lowest = lesson.lowest_gut_mg
    return f"down to {_number(lowest)} mg" if lowest < 0.0 else "not at this step: it begins above 1 / ka = 2 h"


def _largest(lesson: EulerLesson) -> str:
    grows = "; it grows without bound (above 2 / ka = 4 h)" if lesson.diverges else ""
    return f"{lesson.largest_error_percent_of_peak:,.1f} % of the exact peak{grows}"


def _lost(lesson: EulerLesson) -> str:
    lost = _horizons_that_lose_a_point(lesson.step_h)
    return f"{lost} of 999 horizons between 0.1 and 99.9 h lose their last point"


EULER_DEFECTS: tuple[tuple[str, Callable[[EulerLesson], str]], ...] = (
    ("The peak is too high", _peak),
    ("The peak comes too early", _peak_time),
    ("The tail is wrong", _tail),
    ("The axis is not that of the steps", _axis),
    ("The half-life is wrong", _half_life),
    ("Drug is made from nothing", _mass),
    ("The gut holds less than nothing", _gut),
    ("The largest error", _largest),
    ("int(T / dt) cuts off points", _lost),
)
"""What is wrong with the script, and how it is measured at a step."""

EULER_MISSING = (
    "It takes one dose by mouth only: no infusion, no lag, no bioavailability, no steady state.",
    "Its numbers have no units, its variables are global, and nothing checks that amounts stay positive or add up.",
    "It knows one person: no covariates, no spread between people, no uncertainty.",
    "The textbook formula that would replace it divides 0 by 0 where ka equals ke; the exact curve here does not.",
)


@cache
def euler_view() -> EulerView:
    """The lesson on the tutorial's script: 100 mg by mouth, ka 0.5 per h, ke 0.2 per h, 10 L, 48 h."""
    script = Script()
    fine = euler_lesson(script.horizon_h / _FINE_POINTS, script)
    return EulerView(
        times_h=fine.drawn_at_h,
        exact_mg_l=fine.exact_mg_l,
        gut_mg=script.dose_mg * np.exp(-script.k_a_h * fine.drawn_at_h),
        steps=tuple(_step(step_h, script) for step_h in EULER_STEPS_H),
    )


def _step(step_h: float, script: Script) -> EulerStep:
    lesson = euler_lesson(step_h, script)
    return EulerStep(
        step_h=step_h,
        times_h=lesson.drawn_at_h,
        concentration_mg_l=lesson.euler_mg_l,
        gut_mg=lesson.gut_mg,
        findings=tuple(measure(lesson) for _, measure in EULER_DEFECTS),
    )


@cache
def _horizons_that_lose_a_point(step_h: float) -> int:
    return sum(points_lost(tenths / 10, step_h) for tenths in range(1, 1000))


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000.0 else f"{value:.2f}"


def _percent(value: float) -> str:
    return f"{value:+,.0f} %" if abs(value) >= 100.0 else f"{value:+.1f} %"
