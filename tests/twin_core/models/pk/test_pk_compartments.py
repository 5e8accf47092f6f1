"""The exact formulas against matrix exponentials of 40 digits, which share nothing with them."""

import numpy as np
import pytest

from twin_core.domain.drugs import Dose, Route, Structure
from twin_core.domain.errors import BadInput, OutOfRange, UnknownName
from twin_core.models.pk.compartments import area, concentration
from twin_core.models.pk.curve import Curve
from validation.pk_engine import TARGETS, errors


@pytest.mark.parametrize("structure", list(Structure))
def test_concentrations_match_40_digit_matrix_exponentials_to_1e_12(structure: Structure) -> None:
    # A part of the 1,000 sets of validation/pk_engine.py, degenerate ones among them.
    seen = np.array(list(errors(structure, np.random.default_rng(20180402), 30)))
    assert np.all(seen.max(axis=0) <= list(TARGETS.values()))


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


@pytest.mark.parametrize("structure", list(Structure))
@pytest.mark.parametrize("route", [Route.ORAL, Route.IV_INFUSION])
def test_many_people_on_an_even_grid_are_as_exact_as_each_dose_by_itself(structure: Structure, route: Route) -> None:
    random, n = np.random.default_rng(1), 300
    parameters = {name: 10.0 ** random.uniform(-1.0, 2.0, n) for name in structure.disposition}
    parameters["k_a_h"] = 10.0 ** random.uniform(-1.5, 1.0, n)
    parameters["k_a_h"][:50] = parameters["CL_L_h"][:50] / parameters["V1_L"][:50] * (1.0 + 1e-9)
    duration = 1.0 if route is Route.IV_INFUSION else 0.0
    dose = Dose(time_h=1.1, amount_mg=100.0, route=route, duration_h=duration, interval_h=12.0, additional=2)
    times = np.linspace(0.0, 48.0, 97)
    got, expected = concentration(structure, parameters, [dose], times), Curve(structure, [dose], times).at(parameters)
    seen = expected > 1e-30
    np.testing.assert_allclose(got[seen], expected[seen], rtol=1e-13)
