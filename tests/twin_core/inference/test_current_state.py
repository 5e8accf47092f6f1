"""The state at now, and the answer to a what-if from it."""

from dataclasses import replace

import numpy as np
import pytest

from twin_core.domain.errors import BadInput
from twin_core.domain.history import BasalRate, Bolus, History, LongActingDose, Meal, Therapy
from twin_core.inference.data_hash import data_hash
from twin_core.inference.state import current_state, response, therapy_between, with_unrecorded_doses
from twin_core.inference.twin import population_twin
from twin_core.models.glucose.dalla_man_2014 import MODEL, STATES
from twin_core.solve.compiled import kernel_of

TWIN = population_twin(body_weight_kg=75.0, basal_u_h=1.0)
BASAL = Therapy(basal=(BasalRate(time_min=-1000.0, rate_u_h=1.0),))
NAMES = [state.name for state in STATES]


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    kernel_of(MODEL).warm_up()


def readings(*pairs: tuple[float, float], therapy: Therapy = BASAL) -> History:
    time, glucose = zip(*pairs, strict=True)
    return History(cgm_time_min=np.array(time), cgm_mg_dl=np.array(glucose, dtype=float), therapy=therapy)


def test_the_last_reading_sets_plasma_and_skin_glucose() -> None:
    state = current_state(TWIN.parameters, readings((995.0, 90.0), (1000.0, 180.0), (1005.0, 300.0)), 1000.0)
    assert state.shape == (1, 16)
    for name in ("Gp", "Gs"):
        assert state[0, NAMES.index(name)] / TWIN.parameters.VG == pytest.approx(180.0)


def test_a_reading_of_an_hour_ago_is_not_taken_for_now() -> None:
    state = current_state(TWIN.parameters, readings((940.0, 300.0)), 1000.0)
    assert state[0, NAMES.index("Gs")] / TWIN.parameters.VG == pytest.approx(TWIN.parameters.Gb)


def test_a_reading_of_ten_minutes_ago_is_carried_on_by_the_model() -> None:
    state = current_state(TWIN.parameters, readings((990.0, 250.0)), 1000.0)
    assert 200.0 < state[0, NAMES.index("Gp")] / TWIN.parameters.VG < 250.0


def test_insulin_and_carbohydrate_of_the_hours_before_are_on_board() -> None:
    eaten = replace(BASAL, meals=(Meal(time_min=980.0, carbs_g=60.0),), boluses=(Bolus(time_min=980.0, dose_u=6.0),))
    state = current_state(TWIN.parameters, readings((1000.0, 120.0), therapy=eaten), 1000.0)[0]
    rest = current_state(TWIN.parameters, readings((1000.0, 120.0)), 1000.0)[0]
    assert state[: NAMES.index("Gp")].sum() > 40_000.0
    assert state[NAMES.index("Isc1")] > 4.0 * rest[NAMES.index("Isc1")]


def test_what_if_curves_begin_together_and_have_the_right_signs() -> None:
    draws = TWIN.draws(50, np.random.default_rng(3))
    state = current_state(draws, readings((1000.0, 150.0)), 1000.0)
    assert state.shape == (50, 16)
    more = replace(BASAL, boluses=(Bolus(time_min=1000.0, dose_u=1.0),))
    food = replace(BASAL, meals=(Meal(time_min=1000.0, carbs_g=20.0),))
    lower = response(draws, state, more, BASAL, now_min=1000.0)
    higher = response(draws, state, food, BASAL, now_min=1000.0, horizon_min=480.0)
    assert lower.difference_mg_dl.shape == (50, 49)
    assert higher.difference_mg_dl.shape == (50, 97)
    assert (lower.difference_mg_dl[:, 0] == 0.0).all()
    assert (lower.difference_mg_dl[:, -1] < 0.0).all()
    assert (higher.difference_mg_dl[:, 12] > 0.0).all()
    np.testing.assert_allclose(lower.without_mg_dl[:, 0], 150.0)


def test_a_meal_under_way_goes_on_as_if_nobody_had_asked() -> None:
    eating = replace(BASAL, meals=(Meal(time_min=990.0, carbs_g=60.0, duration_min=20.0),))
    history = readings((990.0, 120.0), therapy=eating)
    early = current_state(TWIN.parameters, history, 990.0)
    late = current_state(TWIN.parameters, history, 1000.0)
    rest = therapy_between(eating, 1000.0, 1240.0)
    in_one = response(TWIN.parameters, early, eating, eating, now_min=990.0, horizon_min=240.0)
    in_two = response(TWIN.parameters, late, rest, rest, now_min=1000.0, horizon_min=230.0)
    np.testing.assert_allclose(in_two.with_mg_dl[0], in_one.with_mg_dl[0, 2:], rtol=1e-10)


def test_a_horizon_that_is_no_multiple_of_five_minutes_is_refused() -> None:
    state = current_state(TWIN.parameters, readings((1000.0, 150.0)), 1000.0)
    with pytest.raises(BadInput, match="multiple of 5 min"):
        response(TWIN.parameters, state, BASAL, BASAL, now_min=1000.0, horizon_min=12.0)


def test_the_rate_in_force_at_the_start_is_kept_and_a_stale_one_forgotten() -> None:
    rates = tuple(BasalRate(time_min=t, rate_u_h=1.0) for t in (-5000.0, -100.0, -50.0, 10.0, 99.0))
    assert [rate.time_min for rate in therapy_between(Therapy(basal=rates), 0.0, 60.0).basal] == [-50.0, 10.0]
    assert therapy_between(Therapy(basal=rates[:1]), 0.0, 60.0).basal == ()


def test_a_daily_injection_missing_from_the_record_is_taken_to_equal_the_one_before() -> None:
    doses = tuple(LongActingDose(time_min=1440.0 * day, dose_u=10.0 + day) for day in (0, 1, 4))
    filled = with_unrecorded_doses(Therapy(long_acting=doses), until_min=1440.0 * 4.5).long_acting
    assert sorted((dose.time_min / 1440.0, dose.dose_u) for dose in filled) == [
        (0.0, 10.0),
        (1.0, 11.0),
        (2.0, 11.0),
        (3.0, 11.0),
        (4.0, 14.0),
    ]


def test_twice_daily_injections_are_left_as_they_are() -> None:
    doses = tuple(LongActingDose(time_min=720.0 * half, dose_u=8.0) for half in range(6))
    assert with_unrecorded_doses(Therapy(long_acting=doses), until_min=3700.0).long_acting == doses


def test_the_fingerprint_depends_on_the_data_and_not_on_the_order_of_entry() -> None:
    time, glucose = np.array([0.0, 5.0]), np.array([100.0, 110.0])
    boluses = (Bolus(time_min=0.0, dose_u=1.0), Bolus(time_min=3.0, dose_u=2.0))
    hashes = {
        data_hash(time, glucose, Therapy(boluses=order), body_weight_kg=70.0) for order in (boluses, boluses[::-1])
    }
    assert len(hashes) == 1
    assert data_hash(time, glucose + 1.0, Therapy(boluses=boluses), body_weight_kg=70.0) not in hashes
    assert data_hash(time, glucose, Therapy(boluses=boluses), body_weight_kg=None) not in hashes
