"""Non-compartmental analysis of one dose by the rules of Phoenix WinNonlin.

Areas by trapezoids, linear, or linear while concentrations rise and logarithmic while they fall; the last part by the
terminal slope lambda_z. The slope is a least-squares line through the logarithms of at least the last three positive
concentrations; of all such tails the one with the best adjusted R2 is taken, and of those within 0.0001 of it the one
with the most points. The peak itself is not part of a tail, except after an intravenous bolus. After a bolus the
concentration at time 0 is read back from the first two points; without a point at 0 it is 0 for other routes.

Reference: Gabrielsson, Weiner 2012, Non-compartmental analysis, Methods Mol Biol 929:377,
doi 10.1007/978-1-62703-050-2_16. The rules were checked against WinNonlin's printed tables for Theoph.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from twin_core.domain.errors import BadInput, OutOfRange
from twin_core.domain.history import FloatArray

FEWEST_POINTS = 3
_TIE = 1e-4


class NcaRoute(StrEnum):
    """How the dose was given."""

    EXTRAVASCULAR = "extravascular"
    IV_BOLUS = "iv_bolus"
    IV_INFUSION = "iv_infusion"


class NcaMethod(StrEnum):
    """How areas are measured between two points."""

    LINEAR = "linear"
    LINEAR_UP_LOG_DOWN = "linear_up_log_down"


@dataclass(frozen=True, kw_only=True)
class Nca:
    """Exposure and disposition after one dose; NaN where it cannot be computed (no terminal slope).

    `mrt_h` is that of the body: after an infusion half its length is subtracted. `cl_over_f_l_h` and `vz_over_f_l`
    are clearance and volume themselves after an intravenous dose (F = 1).
    """

    lambda_z_1_h: float
    lambda_z_points: int
    lambda_z_adjusted_r2: float
    half_life_h: float
    c_max_mg_l: float
    t_max_h: float
    c_last_mg_l: float
    t_last_h: float
    auc_last_mg_h_l: float
    auc_inf_mg_h_l: float
    auc_extrapolated_percent: float
    aumc_last_mg_h2_l: float
    aumc_inf_mg_h2_l: float
    aumc_extrapolated_percent: float
    mrt_h: float
    cl_over_f_l_h: float
    vz_over_f_l: float


def nca(
    times_h: ArrayLike,
    concentration_mg_l: ArrayLike,
    *,
    dose_mg: float,
    route: NcaRoute = NcaRoute.EXTRAVASCULAR,
    method: NcaMethod = NcaMethod.LINEAR,
    duration_h: float = 0.0,
) -> Nca:
    """Analyse the concentrations `(n,)` [mg/L] at increasing `times_h` `(n,)` after one dose at time 0.

    Raises
    ------
    BadInput
        Times that do not increase, or not as many concentrations as times, or none above 0.
    OutOfRange
        A negative time or concentration, a dose that is not positive, an infusion without length.
    """
    t, c = _checked(times_h, concentration_mg_l, dose_mg, route, duration_h)
    slope = _terminal_slope(t, c, with_peak=route is NcaRoute.IV_BOLUS)
    t, c = _from_zero(t, c, route)
    last = int(np.flatnonzero(c > 0.0)[-1])
    peak = int(np.argmax(c))
    area, moment = _areas(t[: last + 1], c[: last + 1], method)
    rest = c[last] / slope.lambda_z
    rest_moment = rest * (t[last] + 1.0 / slope.lambda_z)
    auc, aumc = area + rest, moment + rest_moment
    return Nca(
        lambda_z_1_h=slope.lambda_z,
        lambda_z_points=slope.points,
        lambda_z_adjusted_r2=slope.adjusted_r2,
        half_life_h=float(np.log(2.0) / slope.lambda_z),
        c_max_mg_l=float(c[peak]),
        t_max_h=float(t[peak]),
        c_last_mg_l=float(c[last]),
        t_last_h=float(t[last]),
        auc_last_mg_h_l=area,
        auc_inf_mg_h_l=float(auc),
        auc_extrapolated_percent=float(100.0 * rest / auc),
        aumc_last_mg_h2_l=moment,
        aumc_inf_mg_h2_l=float(aumc),
        aumc_extrapolated_percent=float(100.0 * rest_moment / aumc),
        mrt_h=float(aumc / auc - (duration_h / 2.0 if route is NcaRoute.IV_INFUSION else 0.0)),
        cl_over_f_l_h=float(dose_mg / auc),
        vz_over_f_l=float(dose_mg / auc / slope.lambda_z),
    )


@dataclass(frozen=True, kw_only=True)
class _Slope:
    lambda_z: float = float("nan")
    points: int = 0
    adjusted_r2: float = float("nan")


def _checked(
    times_h: ArrayLike, concentration_mg_l: ArrayLike, dose_mg: float, route: NcaRoute, duration_h: float
) -> tuple[FloatArray, FloatArray]:
    t, c = (np.asarray(values, dtype=np.float64) for values in (times_h, concentration_mg_l))
    if t.ndim != 1 or t.shape != c.shape:
        raise BadInput(f"There must be one concentration for each time; got {t.shape} times and {c.shape} of them.")
    if np.any(np.diff(t) <= 0.0):
        raise BadInput("Times must increase, each once: one row a sample.")
    for name, values, unit in (("Time after the dose", t, "h"), ("Concentration", c, "mg/L")):
        wrong = values[~((values >= 0.0) & (values < np.inf))]
        if wrong.size:
            raise OutOfRange(name, float(wrong[0]), 0.0, np.inf, unit)
    if not (c > 0.0).any():
        raise BadInput("No concentration is above 0, so that there is nothing to analyse.")
    if not 0.0 < dose_mg < np.inf:
        raise OutOfRange("Dose", dose_mg, 0.0, np.inf, "mg")
    if route is NcaRoute.IV_INFUSION and not 0.0 < duration_h < np.inf:
        raise OutOfRange("Length of the infusion", duration_h, 0.0, np.inf, "h")
    return t, c


def _terminal_slope(t: FloatArray, c: FloatArray, *, with_peak: bool) -> _Slope:
    first = int(np.argmax(c)) + (0 if with_peak else 1)
    seen = c[first:] > 0.0
    t, log_c = t[first:][seen], np.log(c[first:][seen])
    tails = [_line(t[-n:], log_c[-n:]) for n in range(FEWEST_POINTS, len(t) + 1)]
    falling = [tail for tail in tails if tail.lambda_z > 0.0]
    if not falling:
        return _Slope()
    best = max(tail.adjusted_r2 for tail in falling)
    return [tail for tail in falling if tail.adjusted_r2 > best - _TIE][-1]


def _line(t: FloatArray, log_c: FloatArray) -> _Slope:
    n = len(t)
    dt, dy = t - t.mean(), log_c - log_c.mean()
    total = float(dy @ dy)
    slope = float(dt @ dy / (dt @ dt))
    r2 = 1.0 - float(np.sum((dy - slope * dt) ** 2)) / total if total > 0.0 else 0.0
    return _Slope(lambda_z=-slope, points=n, adjusted_r2=1.0 - (1.0 - r2) * (n - 1) / (n - 2))


def _from_zero(t: FloatArray, c: FloatArray, route: NcaRoute) -> tuple[FloatArray, FloatArray]:
    """The course with a point at time 0."""
    if t[0] == 0.0:
        return t, c
    start = _back_extrapolated(t, c) if route is NcaRoute.IV_BOLUS else 0.0
    return np.concatenate(([0.0], t)), np.concatenate(([start], c))


def _back_extrapolated(t: FloatArray, c: FloatArray) -> float:
    """The concentration at 0 after a bolus, by the logarithms of the first two; the first one if they do not fall."""
    if len(c) < 2 or not c[0] > c[1] > 0.0:
        return float(c[0])
    slope = np.log(c[0] / c[1]) / (t[1] - t[0])
    return float(c[0] * np.exp(slope * t[0]))


def _areas(t: FloatArray, c: FloatArray, method: NcaMethod) -> tuple[float, float]:
    """Area under the curve and under its first moment."""
    dt, c1, c2 = np.diff(t), c[:-1], c[1:]
    area = dt * (c1 + c2) / 2.0
    moment = dt * (t[:-1] * c1 + t[1:] * c2) / 2.0
    if method is NcaMethod.LINEAR_UP_LOG_DOWN:
        falls = (c1 > c2) & (c2 > 0.0)
        k = np.log(c1[falls] / c2[falls]) / dt[falls]
        area[falls] = (c1[falls] - c2[falls]) / k
        moment[falls] = (t[:-1][falls] * c1[falls] - t[1:][falls] * c2[falls]) / k + area[falls] / k
    return float(area.sum()), float(moment.sum())
