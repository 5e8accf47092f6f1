"""The tutorial's one-compartment script beside the exact curve: what explicit Euler steps do, as a lesson.

The script takes ``n = int(T / dt)`` points, draws them over ``linspace(0, T, n)``, and steps

    gut <- gut - k_a gut dt        A <- A + (k_a gut - k_e A) dt        C = A / V

The exact curve is that of `compartments`. Each figure of `EulerLesson` is one of the script's defects.
"""

from dataclasses import dataclass
from math import log

import numpy as np

from twin_core.domain.drugs import Dose, Route, Structure
from twin_core.domain.errors import OutOfRange
from twin_core.domain.history import FloatArray
from twin_core.models.pk.compartments import area, concentration

_SHORTEST_STEP_H, _LONGEST_STEP_H = 0.001, 12.0
_FINE_POINTS = 4801


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    """The constants at the head of the script: per hour, mg and L."""

    k_a_h: float = 0.5
    k_e_h: float = 0.2
    dose_mg: float = 100.0
    V_L: float = 10.0
    horizon_h: float = 48.0


@dataclass(frozen=True, kw_only=True)
class EulerLesson:
    """The script's points and the exact curve.

    Attributes
    ----------
    drawn_at_h, state_of_h
        Shape `(n,)`: where the script draws a point, and of which time its state is; they drift apart.
    euler_mg_l, gut_mg, exact_mg_l
        Shape `(n,)`: the script's numbers, and the exact concentration where the points are drawn.
    exact_then_mg_l
        Shape `(n,)`: the exact concentration at `state_of_h`, which Euler's own error is counted from.
    """

    script: Script
    step_h: float
    drawn_at_h: FloatArray
    state_of_h: FloatArray
    euler_mg_l: FloatArray
    gut_mg: FloatArray
    exact_mg_l: FloatArray
    exact_then_mg_l: FloatArray
    exact_peak_mg_l: float
    exact_peak_at_h: float

    @property
    def peak_error_percent(self) -> float:
        """How much the script's peak is too high."""
        return 100.0 * (float(self.euler_mg_l.max()) / self.exact_peak_mg_l - 1.0)

    @property
    def peak_at_h(self) -> float:
        """When the script draws its peak."""
        return float(self.drawn_at_h[int(np.argmax(self.euler_mg_l))])

    @property
    def largest_error_percent_of_peak(self) -> float:
        """The largest distance from the exact curve, where the points are drawn."""
        return 100.0 * float(np.abs(self.euler_mg_l - self.exact_mg_l).max()) / self.exact_peak_mg_l

    def error_percent_at(self, time_h: float) -> float:
        """How much the drawn point nearest to a time is off."""
        place = int(np.argmin(np.abs(self.drawn_at_h - time_h)))
        return 100.0 * float(self.euler_mg_l[place] / self.exact_mg_l[place] - 1.0)

    @property
    def own_error_percent_at_end(self) -> float:
        """The last point against the exact curve at the time whose state it is: the shifted axis hides a part of it."""
        return 100.0 * float(self.euler_mg_l[-1] / self.exact_then_mg_l[-1] - 1.0)

    @property
    def drawn_step_h(self) -> float:
        """The spacing of the axis; the steps are `step_h`."""
        return float(self.drawn_at_h[1] - self.drawn_at_h[0])

    @property
    def half_life_h(self) -> float:
        """Half-life that the script's last points show, on its own axis; the exact one is ln 2 / k_e. Inf if none."""
        last, before = self.euler_mg_l[-1], self.euler_mg_l[-2]
        return log(2.0) * self.drawn_step_h / log(before / last) if 0.0 < last < before else float("inf")

    @property
    def eliminated_mg(self) -> float:
        """Clearance times the trapezoidal area on the script's axis: more than the dose is mass from nothing."""
        clearance = self.script.k_e_h * self.script.V_L
        return clearance * float(np.trapezoid(self.euler_mg_l, self.drawn_at_h))

    @property
    def exactly_eliminated_mg(self) -> float:
        """The same of the exact curve."""
        structure, parameters, doses = _declared(self.script)
        return float(parameters["CL_L_h"] * area(structure, parameters, doses, 0.0, self.script.horizon_h)[0])

    @property
    def lowest_gut_mg(self) -> float:
        """Below zero where the step is longer than 1 / k_a."""
        return float(self.gut_mg.min())

    @property
    def diverges(self) -> bool:
        """Whether the steps grow without bound: longer than 2 / k_a or 2 / k_e."""
        return self.step_h > 2.0 / max(self.script.k_a_h, self.script.k_e_h)

    @property
    def lost_points(self) -> int:
        """How many points `int` cuts off, because the quotient of two decimals lies just below a whole number."""
        return points_lost(self.script.horizon_h, self.step_h)


def points_lost(horizon_h: float, step_h: float) -> int:
    """Points that ``int(horizon_h / step_h)`` loses against the nearest whole number when that is meant."""
    quotient = horizon_h / step_h
    return round(quotient) - int(quotient) if abs(quotient - round(quotient)) < 1e-6 else 0


def euler_lesson(step_h: float, script: Script | None = None) -> EulerLesson:
    """Run the script with steps of `step_h`, and the exact curve beside it.

    Raises
    ------
    OutOfRange
        If the step is shorter than 0.001 h or longer than 12 h.
    """
    if not _SHORTEST_STEP_H <= step_h <= _LONGEST_STEP_H:
        raise OutOfRange("step_h", step_h, _SHORTEST_STEP_H, _LONGEST_STEP_H, "h")
    script = Script() if script is None else script
    n = int(script.horizon_h / step_h)
    drawn_at, state_of = np.linspace(0.0, script.horizon_h, n), step_h * np.arange(n, dtype=np.float64)
    gut, body = np.empty(n), np.empty(n)
    gut[0], body[0] = script.dose_mg, 0.0
    for i in range(n - 1):
        gut[i + 1] = gut[i] - script.k_a_h * gut[i] * step_h
        body[i + 1] = body[i] + (script.k_a_h * gut[i] - script.k_e_h * body[i]) * step_h
    structure, parameters, doses = _declared(script)
    fine = np.linspace(0.0, script.horizon_h, _FINE_POINTS)
    exact = concentration(structure, parameters, doses, fine)[0]
    return EulerLesson(
        script=script,
        step_h=step_h,
        drawn_at_h=drawn_at,
        state_of_h=state_of,
        euler_mg_l=body / script.V_L,
        gut_mg=gut,
        exact_mg_l=concentration(structure, parameters, doses, drawn_at)[0],
        exact_then_mg_l=concentration(structure, parameters, doses, state_of)[0],
        exact_peak_mg_l=float(exact.max()),
        exact_peak_at_h=float(fine[int(np.argmax(exact))]),
    )


def _declared(script: Script) -> tuple[Structure, dict[str, float], tuple[Dose, ...]]:
    parameters = {"CL_L_h": script.k_e_h * script.V_L, "V1_L": script.V_L, "k_a_h": script.k_a_h}
    dose = Dose(time_h=0.0, amount_mg=script.dose_mg, route=Route.ORAL)
    return Structure.ONE_COMPARTMENT, parameters, (dose,)
