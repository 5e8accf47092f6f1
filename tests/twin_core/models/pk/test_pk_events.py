"""NONMEM's meaning of data rows."""

import numpy as np
import pytest

from twin_core.domain.drugs import Dose, Route, Structure
from twin_core.domain.errors import BadInput
from twin_core.models.pk.compartments import area, concentration
from twin_core.models.pk.curve import Curve
from twin_core.models.pk.events import DataRow, doses_of
from twin_core.models.pk.piecewise import concentration_in_pieces

ONE = {"CL_L_h": 4.0, "V1_L": 20.0, "k_a_h": 1.1, "lag_h": 0.4, "F": 0.8}
TIMES = np.linspace(0.0, 47.0, 95)


def curve(*rows: DataRow) -> np.ndarray:
    return concentration(Structure.ONE_COMPARTMENT, ONE, doses_of(rows), TIMES)[0]


def test_a_rate_is_an_infusion_of_amount_over_rate_hours() -> None:
    by_rate = doses_of([DataRow(time_h=0.0, route=Route.IV_BOLUS, amt_mg=100.0, rate_mg_h=50.0)])
    assert by_rate == (Dose(time_h=0.0, amount_mg=100.0, route=Route.IV_INFUSION, duration_h=2.0),)
    assert by_rate == doses_of([DataRow(time_h=0.0, route=Route.IV_INFUSION, amt_mg=100.0, duration_h=2.0)])


def test_additional_doses_are_those_written_out() -> None:
    short = curve(DataRow(time_h=0.0, route=Route.ORAL, amt_mg=100.0, ii_h=12.0, addl=2))
    long = curve(*(DataRow(time_h=12.0 * i, route=Route.ORAL, amt_mg=100.0) for i in range(3)))
    np.testing.assert_allclose(short, long, rtol=1e-13)


def test_observations_and_other_events_give_nothing() -> None:
    assert doses_of([DataRow(time_h=1.0, route=Route.ORAL, evid=evid) for evid in (0, 2)]) == ()


def test_a_reset_ends_everything_given_and_still_to_be_given() -> None:
    before = (
        DataRow(time_h=0.0, route=Route.ORAL, amt_mg=100.0, ii_h=6.0, addl=9),
        DataRow(time_h=12.0, route=Route.IV_BOLUS, amt_mg=100.0, rate_mg_h=10.0),
    )
    got = curve(*before, DataRow(time_h=13.0, route=Route.ORAL, evid=3))
    np.testing.assert_array_equal(got[TIMES >= 13.0], 0.0)
    np.testing.assert_allclose(got[TIMES < 13.0], curve(*before)[TIMES < 13.0], rtol=1e-13)


def test_reset_and_dose_is_a_dose_into_an_empty_body() -> None:
    first = DataRow(time_h=0.0, route=Route.ORAL, amt_mg=100.0)
    got = curve(first, DataRow(time_h=5.0, route=Route.ORAL, amt_mg=70.0, evid=4))
    alone = curve(DataRow(time_h=5.0, route=Route.ORAL, amt_mg=70.0))
    np.testing.assert_allclose(got[TIMES >= 5.0], alone[TIMES >= 5.0], rtol=1e-13)


def test_one_steady_state_empties_the_body_and_two_adds_to_it() -> None:
    first = DataRow(time_h=0.0, route=Route.IV_BOLUS, amt_mg=100.0)
    steady = {ss: DataRow(time_h=5.0, route=Route.ORAL, amt_mg=70.0, ss=ss, ii_h=12.0) for ss in (1, 2)}
    later = TIMES >= 5.0
    alone = curve(steady[2])[later]
    np.testing.assert_allclose(curve(first, steady[1])[later], alone, rtol=1e-13)
    np.testing.assert_allclose(curve(first, steady[2])[later], alone + curve(first)[later], rtol=1e-13)


def test_all_three_ways_to_compute_agree_about_resets() -> None:
    doses = doses_of(
        [
            DataRow(time_h=0.0, route=Route.ORAL, amt_mg=100.0, ii_h=6.0, addl=9, ss=2),
            DataRow(time_h=12.5, route=Route.IV_BOLUS, amt_mg=80.0, rate_mg_h=20.0, evid=4),
            DataRow(time_h=30.0, route=Route.ORAL, evid=3),
        ]
    )
    expected = concentration(Structure.ONE_COMPARTMENT, ONE, doses, TIMES)
    np.testing.assert_allclose(Curve(Structure.ONE_COMPARTMENT, doses, TIMES).at(ONE), expected, rtol=1e-13)
    in_pieces = concentration_in_pieces(Structure.ONE_COMPARTMENT, [ONE], [], doses, TIMES)
    np.testing.assert_allclose(in_pieces, expected, rtol=1e-12)


def test_an_area_across_a_reset_is_the_area_of_the_curve() -> None:
    doses = doses_of(
        [
            DataRow(time_h=0.0, route=Route.ORAL, amt_mg=100.0, ii_h=6.0, addl=9),
            DataRow(time_h=12.5, route=Route.ORAL, amt_mg=80.0, evid=4),
        ]
    )
    total = 0.0
    for begin, end in ((1.0, 12.5), (12.5, 40.0)):
        inside = np.linspace(begin, np.nextafter(end, 0.0), 100_001)
        total += np.trapezoid(concentration(Structure.ONE_COMPARTMENT, ONE, doses, inside)[0], inside)
    assert area(Structure.ONE_COMPARTMENT, ONE, doses, 1.0, 40.0)[0] == pytest.approx(total, rel=1e-7)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (DataRow(time_h=3.0, route=Route.ORAL, evid=5, amt_mg=1.0), "EVID is 5"),
        (DataRow(time_h=3.0, route=Route.ORAL, ss=3, amt_mg=1.0), "SS is 3"),
        (DataRow(time_h=3.0, route=Route.IV_BOLUS, amt_mg=1.0, rate_mg_h=-1.0), "negative RATE"),
        (DataRow(time_h=3.0, route=Route.IV_BOLUS, rate_mg_h=5.0), "needs an AMT"),
        (DataRow(time_h=3.0, route=Route.IV_BOLUS, amt_mg=10.0, rate_mg_h=5.0, duration_h=1.0), "DUR is 1 h"),
        (DataRow(time_h=3.0, route=Route.ORAL, amt_mg=10.0, rate_mg_h=5.0), "zero-order"),
        (DataRow(time_h=3.0, route=Route.ORAL, amt_mg=10.0, addl=-1), "must not be negative"),
        (DataRow(time_h=3.0, route=Route.ORAL, amt_mg=10.0, ss=1), "needs interval_h"),
    ],
)
def test_a_row_without_meaning_is_refused_with_its_reason(row: DataRow, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        doses_of([row])
