"""Parameters that change in time, against a solver that knows nothing of the formulas."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from twin_core.domain.drugs import Dose, Route, Structure
from twin_core.domain.errors import BadInput
from twin_core.models.pk.compartments import concentration
from twin_core.models.pk.piecewise import Carry, CovariateRecord, concentration_in_pieces, pieces_of

TWO = {"CL_L_h": 5.0, "V1_L": 20.0, "Q2_L_h": 4.0, "V2_L": 30.0, "k_a_h": 1.2, "lag_h": 0.5, "F": 0.7}
IV = Dose(time_h=0.0, amount_mg=100.0, route=Route.IV_INFUSION, duration_h=2.0, interval_h=8.0, additional=3)
ORAL = Dose(time_h=1.0, amount_mg=60.0, route=Route.ORAL, interval_h=12.0, additional=1)
TIMES = np.linspace(0.0, 40.0, 81)


def test_equal_pieces_are_one() -> None:
    got = concentration_in_pieces(Structure.TWO_COMPARTMENT, [TWO] * 4, [3.3, 9.0, 20.0], [IV, ORAL], TIMES)
    np.testing.assert_allclose(got, concentration(Structure.TWO_COMPARTMENT, TWO, [IV, ORAL], TIMES), rtol=1e-12)


def test_a_change_of_clearance_and_volume_is_what_an_ode_solver_finds() -> None:
    # Amounts go on through the change; clearances and volumes jump, also while an infusion runs.
    pieces = [TWO, TWO | {"CL_L_h": 1.5, "V1_L": 26.0}, TWO | {"CL_L_h": 9.0}]
    changes = [9.0, 17.25]
    times = np.array([4.0, 8.5, 9.5, 12.0, 17.0, 17.5, 25.0, 33.0])
    got = concentration_in_pieces(Structure.TWO_COMPARTMENT, pieces, changes, [IV], times)[0]
    state, expected, moment = np.zeros(2), {}, 0.0
    edges = sorted({*changes, *times, *(start + d for start in IV.times_h for d in (0.0, 2.0))} - {0.0})
    for edge in edges:
        p = pieces[int(np.searchsorted(changes, moment, side="right"))]
        flow = 50.0 if any(start <= moment < start + 2.0 for start in IV.times_h) else 0.0
        matrix = np.array(
            [
                [-(p["CL_L_h"] + p["Q2_L_h"]) / p["V1_L"], p["Q2_L_h"] / p["V2_L"]],
                [p["Q2_L_h"] / p["V1_L"], -p["Q2_L_h"] / p["V2_L"]],
            ]
        )
        state = solve_ivp(
            lambda _t, y, K=matrix, r=flow: K @ y + [r, 0.0],
            (moment, edge),
            state,
            method="DOP853",
            rtol=1e-12,
            atol=1e-12,
        ).y[:, -1]
        moment = edge
        volume = pieces[int(np.searchsorted(changes, edge, side="right"))]["V1_L"]
        expected[edge] = state[0] / volume
    np.testing.assert_allclose(got, [expected[time] for time in times], rtol=1e-9)


def test_bioavailability_and_lag_are_those_of_the_piece_in_which_a_dose_is_given() -> None:
    later = TWO | {"F": 0.35, "lag_h": 2.0}
    got = concentration_in_pieces(Structure.TWO_COMPARTMENT, [TWO, later], [6.0], [ORAL], TIMES)[0]
    first = Dose(time_h=1.0, amount_mg=60.0, route=Route.ORAL)
    second = Dose(time_h=13.0, amount_mg=60.0, route=Route.ORAL)
    expected = (
        concentration(Structure.TWO_COMPARTMENT, TWO, [first], TIMES)[0]
        + concentration(Structure.TWO_COMPARTMENT, later, [second], TIMES)[0]
    )
    np.testing.assert_allclose(got, expected, rtol=1e-12)


RECORDS = (
    CovariateRecord(time_h=0.0, values={"creatinine": 1.0, "weight": 70.0}),
    CovariateRecord(time_h=24.0, values={"creatinine": 2.0}),
    CovariateRecord(time_h=48.0, values={"creatinine": 3.0, "weight": 72.0}),
)


def test_forward_a_value_holds_until_the_next_one() -> None:
    changes, pieces = pieces_of(RECORDS, Carry.FORWARD)
    np.testing.assert_array_equal(changes, [24.0, 48.0])
    assert [piece["creatinine"] for piece in pieces] == [1.0, 2.0, 3.0]
    assert [piece["weight"] for piece in pieces] == [70.0, 70.0, 72.0]


def test_backward_a_value_holds_since_the_one_before_it() -> None:
    changes, pieces = pieces_of(RECORDS, Carry.BACKWARD)
    np.testing.assert_array_equal(changes, [0.0, 24.0])
    assert [piece["creatinine"] for piece in pieces] == [1.0, 2.0, 3.0]
    assert [piece["weight"] for piece in pieces] == [70.0, 72.0, 72.0]


def test_at_the_time_of_a_change_the_piece_of_the_carry_counts() -> None:
    bolus = Dose(time_h=0.0, amount_mg=100.0, route=Route.IV_BOLUS)
    small, large = {"CL_L_h": 2.0, "V1_L": 10.0}, {"CL_L_h": 2.0, "V1_L": 20.0}
    forward, backward = (
        concentration_in_pieces(Structure.ONE_COMPARTMENT, [small, large], [5.0], [bolus], [5.0], carry=carry)[0, 0]
        for carry in Carry
    )
    assert backward == pytest.approx(10.0 * np.exp(-1.0), rel=1e-13)
    assert forward == pytest.approx(backward / 2.0, rel=1e-13)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(BadInput, match="need 3 pieces; got 2"):
        concentration_in_pieces(Structure.TWO_COMPARTMENT, [TWO, TWO], [1.0, 2.0], [IV], TIMES)
    with pytest.raises(BadInput, match="increasing"):
        concentration_in_pieces(Structure.TWO_COMPARTMENT, [TWO] * 3, [2.0, 1.0], [IV], TIMES)
    with pytest.raises(BadInput, match="same time"):
        pieces_of([RECORDS[0], RECORDS[0]], Carry.FORWARD)
    with pytest.raises(BadInput, match="at least one"):
        pieces_of([], Carry.FORWARD)
