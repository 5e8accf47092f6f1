"""The exact formulas against matrix exponentials of 40 digits, which share nothing with them."""

from collections.abc import Mapping

import mpmath
import numpy as np
import pytest

from twin_core.domain.drugs import Dose, Route, Structure
from twin_core.domain.errors import BadInput, OutOfRange, UnknownName
from twin_core.models.pk.compartments import area, concentration

GUT, CENTRAL, INFLOW = 0, 1, 4


def generator(structure: Structure, p: Mapping[str, float]) -> mpmath.matrix:
    """d/dt of (gut, central, 2, 3, inflow): the inflow is a constant rate into the central compartment."""
    rates = mpmath.zeros(5)

    def flow(source: int, sink: int | None, rate: mpmath.mpf) -> None:
        rates[source, source] -= rate
        if sink is not None:
            rates[sink, source] += rate

    V1 = mpmath.mpf(p["V1_L"])
    flow(GUT, CENTRAL, mpmath.mpf(p["k_a_h"]))
    flow(CENTRAL, None, mpmath.mpf(p["CL_L_h"]) / V1)
    for place in range(2, 1 + len(structure.disposition) // 2):
        Q, V = mpmath.mpf(p[f"Q{place}_L_h"]), mpmath.mpf(p[f"V{place}_L"])
        flow(CENTRAL, place, Q / V1)
        flow(place, CENTRAL, Q / V)
    rates[CENTRAL, INFLOW] = 1
    return rates


class Reference:
    """One dose line, by propagating the state with 40-digit matrix exponentials."""

    def __init__(self, structure: Structure, p: Mapping[str, float]) -> None:
        self.rates, self.p = generator(structure, p), p

    def after(self, state: mpmath.matrix, hours: mpmath.mpf) -> mpmath.matrix:
        return mpmath.expm(self.rates * hours) * state

    def single(self, dose: Dose, elapsed: mpmath.mpf) -> mpmath.matrix:
        """State `elapsed` after one dose."""
        state = mpmath.zeros(5, 1)
        if dose.route.is_absorbed:
            elapsed -= mpmath.mpf(self.p["lag_h"])
        if elapsed < 0:
            return state
        if dose.duration_h == 0.0:
            state[GUT if dose.route.is_absorbed else CENTRAL] = mpmath.mpf(dose.amount_mg) * (
                mpmath.mpf(self.p["F"]) if dose.route.is_absorbed else 1
            )
            return self.after(state, elapsed)
        duration = mpmath.mpf(dose.duration_h)
        state[INFLOW] = mpmath.mpf(dose.amount_mg) / duration
        state = self.after(state, min(elapsed, duration))
        state[INFLOW] = 0
        return self.after(state, max(elapsed - duration, mpmath.mpf(0)))

    def ever(self, dose: Dose, elapsed: mpmath.mpf) -> mpmath.matrix:
        """State `elapsed` after a dose given every interval since ever, from the sum of the geometric series."""
        interval = mpmath.mpf(dose.interval_h)
        whole = mpmath.ceil(max(mpmath.mpf(0), self.p["lag_h"] - elapsed + dose.duration_h) / interval)
        explicit = sum((self.single(dose, elapsed + k * interval) for k in range(int(whole))), mpmath.zeros(5, 1))
        body = self.rates[:4, :4]
        later = self.single(dose, elapsed + whole * interval)[:4]
        places = [place for place in range(4) if body[place, place] != 0]
        fall = mpmath.eye(len(places)) - mpmath.expm(
            mpmath.matrix([[body[i, j] for j in places] for i in places]) * interval
        )
        summed = mpmath.lu_solve(fall, mpmath.matrix([later[place] for place in places]))
        return explicit + mpmath.matrix([summed[places.index(i)] if i in places else 0 for i in range(5)])

    def concentration(self, dose: Dose, time: float) -> float:
        if time < dose.time_h:
            return 0.0
        total = mpmath.mpf(0)
        for repeat, start in enumerate(dose.times_h):
            elapsed = mpmath.mpf(time) - mpmath.mpf(start)
            if elapsed >= 0:
                ever = dose.steady_state and repeat == 0
                total += (self.ever if ever else self.single)(dose, elapsed)[CENTRAL]
        return float(total / mpmath.mpf(self.p["V1_L"]))


def random_case(random: np.random.Generator, structure: Structure) -> tuple[dict[str, float], Dose]:
    """Wide log-uniform parameters, with degenerate cases in a good part of the draws."""
    p = {name: float(10.0 ** random.uniform(-1.0, 2.0)) for name in structure.disposition}
    p |= {"k_a_h": float(10.0 ** random.uniform(-1.5, 1.0)), "lag_h": float(random.choice([0.0, 0.3, 1.7])), "F": 0.8}
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


@pytest.mark.parametrize("structure", list(Structure))
def test_concentrations_match_40_digit_matrix_exponentials_to_1e_12(structure: Structure) -> None:
    random = np.random.default_rng(20180402)
    worst = 0.0
    with mpmath.workdps(40):
        for _ in range(80):
            p, dose = random_case(random, structure)
            reference = Reference(structure, p)
            times = dose.time_h + np.array([0.4, 3.9, 26.0])
            expected = np.array([reference.concentration(dose, time) for time in times])
            got = concentration(structure, p, [dose], times)[0]
            seen = expected > 1e-30
            worst = max(worst, float(np.max(np.abs(got[seen] / expected[seen] - 1.0), initial=0.0)))
    assert worst <= 1e-12


IV = Dose(time_h=0.0, amount_mg=100.0, route=Route.IV_INFUSION, duration_h=2.0, interval_h=8.0, additional=4)
ORAL = Dose(time_h=0.0, amount_mg=100.0, route=Route.ORAL, interval_h=12.0, additional=2)
TWO = {"CL_L_h": 5.0, "V1_L": 20.0, "Q2_L_h": 4.0, "V2_L": 30.0, "k_a_h": 1.2, "lag_h": 0.5, "F": 0.7}
TIMES = np.linspace(-1.0, 60.0, 123)


def test_many_people_at_once_get_what_each_gets_alone() -> None:
    people = TWO | {"CL_L_h": np.linspace(1.0, 9.0, 500), "lag_h": np.linspace(0.0, 2.0, 500)}
    together = concentration(Structure.TWO_COMPARTMENT, people, [IV, ORAL], TIMES)
    alone = concentration(
        Structure.TWO_COMPARTMENT,
        TWO | {"CL_L_h": people["CL_L_h"][371], "lag_h": people["lag_h"][371]},
        [IV, ORAL],
        TIMES,
    )
    assert together.shape == (500, TIMES.size)
    np.testing.assert_allclose(together[371], alone[0], rtol=1e-13)


def test_doses_add_up_in_any_order_of_lines_and_times() -> None:
    separate = [concentration(Structure.TWO_COMPARTMENT, TWO, [line], TIMES) for line in (IV, ORAL)]
    shuffled = np.random.default_rng(1).permutation(TIMES.size)
    together = concentration(Structure.TWO_COMPARTMENT, TWO, [ORAL, IV], TIMES[shuffled])
    np.testing.assert_allclose(together, (separate[0] + separate[1])[:, shuffled], rtol=1e-13)


def test_nothing_is_there_before_a_dose_and_a_bolus_counts_at_its_own_time() -> None:
    bolus = Dose(time_h=3.0, amount_mg=100.0, route=Route.IV_BOLUS)
    one = {"CL_L_h": 5.0, "V1_L": 20.0}
    got = concentration(Structure.ONE_COMPARTMENT, one, [bolus], [2.999, 3.0])
    np.testing.assert_array_equal(got, [[0.0, 5.0]])


def test_a_steady_state_is_where_many_doses_lead() -> None:
    for line in (IV, ORAL):
        ever = Dose(
            time_h=0.0,
            amount_mg=line.amount_mg,
            route=line.route,
            duration_h=line.duration_h,
            interval_h=line.interval_h,
            additional=line.additional,
            steady_state=True,
        )
        long = Dose(
            time_h=-200.0 * line.interval_h,
            amount_mg=line.amount_mg,
            route=line.route,
            duration_h=line.duration_h,
            interval_h=line.interval_h,
            additional=line.additional + 200,
        )
        times = np.linspace(0.0, 60.0, 301)
        now, then = (concentration(Structure.TWO_COMPARTMENT, TWO, [doses], times) for doses in (ever, long))
        np.testing.assert_allclose(now, then, rtol=1e-11)


def test_the_area_is_that_of_the_curve() -> None:
    parameters = TWO | {"lag_h": np.array([0.0, 0.5])}
    start, end = 9.0, 31.0
    times = np.linspace(start, end, 220_001)
    curve = concentration(Structure.TWO_COMPARTMENT, parameters, [IV, ORAL], times)
    got = area(Structure.TWO_COMPARTMENT, parameters, [IV, ORAL], start, end)
    np.testing.assert_allclose(got, np.trapezoid(curve, times, axis=1), rtol=1e-8)


def test_the_area_of_one_interval_at_steady_state_is_dose_over_clearance() -> None:
    ever = Dose(time_h=0.0, amount_mg=100.0, route=Route.ORAL, interval_h=12.0, steady_state=True)
    np.testing.assert_allclose(area(Structure.TWO_COMPARTMENT, TWO, [ever], 0.0, 12.0), 0.7 * 100.0 / 5.0, rtol=1e-12)


def test_an_uncoupled_third_compartment_changes_nothing() -> None:
    three = TWO | {"Q3_L_h": 0.0, "V3_L": 10.0}
    np.testing.assert_allclose(
        concentration(Structure.THREE_COMPARTMENT, three, [IV], TIMES),
        concentration(Structure.TWO_COMPARTMENT, TWO, [IV], TIMES),
        rtol=1e-12,
    )


def test_impossible_input_is_refused_with_a_reason() -> None:
    with pytest.raises(UnknownName, match="k_e"):
        concentration(Structure.ONE_COMPARTMENT, {"CL_L_h": 1.0, "V1_L": 1.0, "k_e": 1.0}, [IV], TIMES)
    with pytest.raises(BadInput, match="needs k_a_h"):
        concentration(Structure.ONE_COMPARTMENT, {"CL_L_h": 1.0, "V1_L": 1.0}, [ORAL], TIMES)
    with pytest.raises(OutOfRange, match="V1_L is 0 L"):
        concentration(Structure.ONE_COMPARTMENT, {"CL_L_h": 1.0, "V1_L": 0.0}, [IV], TIMES)
    with pytest.raises(BadInput, match="needs interval_h"):
        Dose(time_h=0.0, amount_mg=1.0, route=Route.ORAL, steady_state=True)
    with pytest.raises(BadInput, match="clearance above zero"):
        area(Structure.ONE_COMPARTMENT, {"CL_L_h": 0.0, "V1_L": 1.0}, [IV], 0.0, 1.0)


def test_no_area_is_given_across_the_begin_of_a_steady_state() -> None:
    dose = Dose(time_h=6.0, amount_mg=100.0, route=Route.IV_BOLUS, interval_h=12.0, steady_state=True)
    parameters = {"CL_L_h": 2.0, "V1_L": 20.0}
    with pytest.raises(BadInput, match="must not begin between 0 and 12 h"):
        area(Structure.ONE_COMPARTMENT, parameters, (dose,), 0.0, 12.0)
    assert area(Structure.ONE_COMPARTMENT, parameters, (dose,), 6.0, 18.0)[0] == pytest.approx(50.0)
