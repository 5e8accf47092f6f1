"""The linear engine against matrix exponentials of 40 digits, which share nothing with it, on 1,000 parameter sets."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import mpmath
import numpy as np

from twin_core.domain.drugs import Dose, Route, Structure
from twin_core.domain.history import FloatArray
from twin_core.models.pk.compartments import concentration
from twin_core.models.pk.curve import Curve
from twin_core.models.pk.piecewise import concentration_in_pieces
from validation.line import Line

SETS = 1_000
TARGETS = {"modes": 1e-12, "sums over doses": 1e-12, "small matrices": 1e-10}
"""Largest relative errors. Small matrices lose digits while a curve falls, here to 1e-30 mg/L."""
_DIGITS = 40
_UNSEEN_MG_L = 1e-30
"""Below this no concentration is compared: it is underflow soon."""


def generator(structure: Structure, p: Mapping[str, float]) -> mpmath.matrix:
    """d/dt of (stages of absorption, central, 2, 3, inflow): a constant inflow goes into the central compartment."""
    stages = int(p.get("stages", 1))
    size = stages + len(structure.disposition) // 2 + 1
    rates = mpmath.zeros(size)

    def flow(source: int, sink: int | None, rate: mpmath.mpf) -> None:
        rates[source, source] -= rate
        if sink is not None:
            rates[sink, source] += rate

    V1 = mpmath.mpf(p["V1_L"])
    for stage in range(stages):
        flow(stage, stage + 1, mpmath.mpf(p["k_a_h"]))
    flow(stages, None, mpmath.mpf(p["CL_L_h"]) / V1)
    for place in range(2, 1 + len(structure.disposition) // 2):
        Q, V = mpmath.mpf(p[f"Q{place}_L_h"]), mpmath.mpf(p[f"V{place}_L"])
        flow(stages, stages + place - 1, Q / V1)
        flow(stages + place - 1, stages, Q / V)
    rates[stages, size - 1] = 1
    return rates


class Reference:
    """One dose line, by propagating the state with 40-digit matrix exponentials."""

    def __init__(self, structure: Structure, p: Mapping[str, float]) -> None:
        self.rates, self.p = generator(structure, p), p
        self.size, self.central = self.rates.rows, int(p.get("stages", 1))

    def after(self, state: mpmath.matrix, hours: mpmath.mpf) -> mpmath.matrix:
        """State some hours later."""
        return mpmath.expm(self.rates * hours) * state

    def single(self, dose: Dose, elapsed: mpmath.mpf) -> mpmath.matrix:
        """State `elapsed` after one dose."""
        state = mpmath.zeros(self.size, 1)
        if dose.route.is_absorbed:
            elapsed -= mpmath.mpf(self.p["lag_h"])
        if elapsed < 0:
            return state
        if dose.duration_h == 0.0:
            state[0 if dose.route.is_absorbed else self.central] = mpmath.mpf(dose.amount_mg) * (
                mpmath.mpf(self.p["F"]) if dose.route.is_absorbed else 1
            )
            return self.after(state, elapsed)
        duration = mpmath.mpf(dose.duration_h)
        state[self.size - 1] = mpmath.mpf(dose.amount_mg) / duration
        state = self.after(state, min(elapsed, duration))
        state[self.size - 1] = 0
        return self.after(state, max(elapsed - duration, mpmath.mpf(0)))

    def ever(self, dose: Dose, elapsed: mpmath.mpf) -> mpmath.matrix:
        """State `elapsed` after a dose given every interval since ever, from the sum of the geometric series."""
        interval, n = mpmath.mpf(dose.interval_h), self.size - 1
        whole = mpmath.ceil(max(mpmath.mpf(0), self.p["lag_h"] - elapsed + dose.duration_h) / interval)
        explicit = sum(
            (self.single(dose, elapsed + k * interval) for k in range(int(whole))), mpmath.zeros(self.size, 1)
        )
        later = self.single(dose, elapsed + whole * interval)
        fall = mpmath.eye(n) - mpmath.expm(self.rates[:n, :n] * interval)
        summed = mpmath.lu_solve(fall, later[:n])
        return explicit + mpmath.matrix([*summed, 0])

    def concentration(self, dose: Dose, time: float) -> float:
        """After the whole line, at one time [mg/L]."""
        if time < dose.time_h:
            return 0.0
        total = mpmath.mpf(0)
        for repeat, start in enumerate(dose.times_h):
            elapsed = mpmath.mpf(time) - mpmath.mpf(start)
            if elapsed >= 0:
                ever = dose.steady_state and repeat == 0
                total += (self.ever if ever else self.single)(dose, elapsed)[self.central]
        return float(total / mpmath.mpf(self.p["V1_L"]))


def random_case(random: np.random.Generator, structure: Structure) -> tuple[dict[str, float], Dose]:
    """Wide log-uniform parameters, with degenerate cases in a good part of the draws."""
    p = {name: float(10.0 ** random.uniform(-1.0, 2.0)) for name in structure.disposition}
    p |= {"k_a_h": float(10.0 ** random.uniform(-1.5, 1.0)), "lag_h": float(random.choice([0.0, 0.3, 1.7])), "F": 0.8}
    p["stages"] = float(random.choice([1, 1, 1, 2, 3, 5]))
    steady = bool(random.random() < 0.4)
    degenerate = random.integers(7)
    if degenerate == 0:
        p["k_a_h"] = p["CL_L_h"] / p["V1_L"] * float(1.0 + random.choice([0.0, 1e-15, 1e-9, 1e-5]))
    if degenerate == 1:
        p["CL_L_h"] = float(random.choice([1e-9, 1e-5] if steady else [0.0, 1e-12, 1e-6]))
    if degenerate == 2 and "Q2_L_h" in p:
        p["Q2_L_h"] = float(random.choice([1e-12, 1e-6, 1e3]))
    if degenerate == 3 and "Q3_L_h" in p:
        p["Q3_L_h"] = p["Q2_L_h"] * p["V3_L"] / p["V2_L"] * float(1.0 + random.choice([0.0, 1e-14, 1e-8]))
    route = Route(random.choice([Route.IV_BOLUS, Route.IV_INFUSION, Route.ORAL]))
    duration = float(random.choice([1e-9, 1e-3, 0.5, 3.0])) if route is Route.IV_INFUSION else 0.0
    return p, Dose(
        time_h=float(random.choice([0.0, 2.5])),
        amount_mg=float(random.uniform(1.0, 1000.0)),
        route=route,
        duration_h=duration,
        interval_h=float(random.choice([6.0, 12.0])),
        additional=int(random.integers(3)),
        steady_state=steady,
    )


def errors(structure: Structure, random: np.random.Generator, n: int) -> Iterator[tuple[float, float, float]]:
    """For each of `n` random cases the largest relative error: of the modes, of the sums, of the small matrices."""
    with mpmath.workdps(_DIGITS):
        for _ in range(n):
            p, dose = random_case(random, structure)
            reference = Reference(structure, p)
            times = dose.time_h + np.array([0.4, 3.9, 26.0])
            expected = np.array([reference.concentration(dose, time) for time in times])
            yield (
                _error(concentration(structure, p, [dose], times)[0], expected),
                _error(Curve(structure, [dose], times).at(p)[0], expected),
                _error(concentration_in_pieces(structure, [p], [], [dose], times)[0], expected),
            )


def _error(got: FloatArray, expected: FloatArray) -> float:
    seen = expected > _UNSEEN_MG_L
    return float(np.max(np.abs(got[seen] / expected[seen] - 1.0), initial=0.0))


def lines(_data: Path) -> Iterator[Line]:
    """The largest error of each way to compute, a structure at a time."""
    random = np.random.default_rng(40)
    shares = {Structure.ONE_COMPARTMENT: 334, Structure.TWO_COMPARTMENT: 333, Structure.THREE_COMPARTMENT: 333}
    assert sum(shares.values()) == SETS
    for structure, n in shares.items():
        seen = np.array(list(errors(structure, random, n)))
        for (way, target), worst in zip(TARGETS.items(), seen.max(axis=0), strict=True):
            yield Line(
                what=f"{structure}, {n} sets, {way}: relative error",
                seen=f"{worst:.1e}",
                target=f"<= {target:.0e}",
                holds=bool(worst <= target),
            )
