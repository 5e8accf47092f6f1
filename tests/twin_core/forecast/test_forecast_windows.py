"""Windows: causal, finite, the same alone as in a crowd, and by the published curves."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad

from twin_core.domain.history import BasalRate, Bolus, History, LongActingDose, Meal, Therapy
from twin_core.forecast.features import (
    FEATURE_NAMES,
    FEATURES,
    N_STEPS,
    carbs_remaining,
    column,
    insulin_remaining,
    long_acting_share,
    windows,
)
from twin_core.forecast.scaling import Scaling


def newest(history: History, origin_min: float, name: str) -> float:
    return float(windows(history, [origin_min])[0, -1, column(name)])


def only(therapy: Therapy) -> History:
    return History(cgm_time_min=np.array([0.0]), cgm_mg_dl=np.array([100.0]), therapy=therapy)


def rewritten_after(history: History, origin_min: float, rng: np.random.Generator) -> History:
    """The same past with another future: readings shuffled and changed, every event moved, doubled, changed."""
    later = np.flatnonzero(history.cgm_time_min > origin_min)
    glucose, therapy = history.cgm_mg_dl.copy(), history.therapy
    glucose[later] = rng.permutation(glucose[later]) + 77.0

    def changed(events, amount):
        past = tuple(e for e in events if e.time_min <= origin_min)
        future = [replace(e, **{amount: 9.9, "time_min": origin_min + rng.uniform(0.01, 600)}) for e in events]
        return past + tuple(future)

    known = history.activity_time_min + 15.0 <= origin_min
    return replace(
        history,
        cgm_mg_dl=glucose,
        therapy=Therapy(
            meals=changed(therapy.meals, "carbs_g"),
            boluses=changed(therapy.boluses, "dose_u"),
            basal=changed(therapy.basal, "rate_u_h"),
            long_acting=changed(therapy.long_acting, "dose_u"),
        ),
        activity_steps=np.where(known, history.activity_steps, 5000.0),
    )


def test_nothing_after_the_origin_changes_a_bit_of_its_window(record):
    history, rng = record(days=4), np.random.default_rng(5)
    for origin in rng.uniform(2500.0, 6000.0, 25):
        before, after = windows(history, [origin]), windows(rewritten_after(history, origin, rng), [origin])
        assert before.tobytes() == after.tobytes()


def test_what_happened_before_the_origin_does_change_the_window(record):
    history = record()
    shifted = replace(history, cgm_mg_dl=history.cgm_mg_dl + 1.0)
    assert windows(history, [4000.0]).tobytes() != windows(shifted, [4000.0]).tobytes()


def test_an_origin_alone_gives_the_bits_it_gives_among_many(record):
    history = record(days=5)
    origins = np.arange(1005.0, 1000.0 + 5 * 1440, 5.0)
    together = windows(history, origins)
    for place in np.random.default_rng(2).choice(origins.size, 60, replace=False):
        assert windows(history, origins[place : place + 1]).tobytes() == together[place : place + 1].tobytes()


def test_windows_are_finite_for_a_person_with_no_record_at_all():
    empty = History(cgm_time_min=np.empty(0), cgm_mg_dl=np.empty(0))
    made = windows(empty, [100.0, 200.0])
    assert np.isfinite(made).all()
    assert not made[..., column("glucose_present")].any()


def test_no_origins_give_no_windows(record):
    assert windows(record(), []).shape == (0, N_STEPS, len(FEATURES))


def test_insulin_not_recorded_differs_from_insulin_long_ago():
    long_ago = only(Therapy(boluses=(Bolus(time_min=-1000.0, dose_u=4.0),)))
    never = only(Therapy())
    for history, recorded in ((long_ago, 1.0), (never, 0.0)):
        assert newest(history, 0.0, "insulin_on_board") == 0.0
        assert newest(history, 0.0, "bolus_recorded") == recorded


@pytest.mark.parametrize("kind", ["bolus", "basal", "carbs", "steps"])
def test_each_channel_has_a_flag_that_a_record_raises(record, kind):
    assert newest(record(), 4000.0, f"{kind}_recorded") == 1.0
    assert newest(only(Therapy()), 4000.0, f"{kind}_recorded") == 0.0


def test_a_reading_counts_from_the_next_slot_on_and_is_held_for_20_min():
    history = History(cgm_time_min=np.array([12.0]), cgm_mg_dl=np.array([123.0]))
    glucose, present = windows(history, [40.0])[0, :, [column("glucose"), column("glucose_present")]]
    np.testing.assert_array_equal(glucose[-8:], [0, 0, 123, 123, 123, 123, 0, 0])  # slots 5, 10, ..., 40
    np.testing.assert_array_equal(present[-8:], [0, 0, 1, 1, 1, 1, 0, 0])
    assert newest(history, 25.0, "glucose_age") == 13.0


def test_a_gap_is_held_and_never_interpolated():
    history = History(cgm_time_min=np.array([0.0, 30.0]), cgm_mg_dl=np.array([100.0, 160.0]))
    assert set(windows(history, [30.0])[0, :, column("glucose")]) == {0.0, 100.0, 160.0}


def test_glucose_from_now_is_zero_at_the_origin(record):
    made = windows(record(), np.arange(2000.0, 4000.0, 35.0))
    assert not made[:, -1, column("glucose_from_now")].any()
    np.testing.assert_allclose(
        made[:, 0, column("glucose_from_now")],
        made[:, 0, column("glucose")] - made[:, -1, column("glucose")],
    )


def test_day_statistics_equal_numpy_on_the_same_readings(record):
    history = record()
    day = history.cgm_mg_dl[(history.cgm_time_min > 4000 - 1440) & (history.cgm_time_min <= 4000)]
    assert newest(history, 4000.0, "glucose_mean_24h") == pytest.approx(day.mean(), rel=1e-6)
    assert newest(history, 4000.0, "glucose_sd_24h") == pytest.approx(day.std(), rel=1e-6)


def test_insulin_on_board_is_one_minus_the_integral_of_the_published_activity():
    # Activity curve of LoopKit/Loop issue 388: S / tau^2 * t * (1 - t / td) * exp(-t / tau), td 360, tp 75 min.
    tau = 75 * (1 - 75 / 360) / (1 - 150 / 360)
    a = 2 * tau / 360
    scale = 1 / (1 - a + (1 + a) * np.exp(-360 / tau))

    def activity(t):
        return scale / tau**2 * t * (1 - t / 360) * np.exp(-t / tau)

    for minute in (0.0, 30.0, 75.0, 200.0, 359.0):
        assert insulin_remaining(np.array([minute]))[0] == pytest.approx(1 - quad(activity, 0, minute)[0], abs=1e-9)
    np.testing.assert_allclose(insulin_remaining(np.array([360.0, 500.0])), 0.0, atol=1e-12)


def test_insulin_acts_fastest_after_75_min():
    minutes = np.arange(0.0, 361.0)
    assert minutes[np.argmin(np.gradient(insulin_remaining(minutes)))] == 75.0


def test_half_of_a_meal_is_absorbed_after_half_of_three_hours():
    np.testing.assert_allclose(carbs_remaining(np.array([0.0, 90.0, 180.0, 300.0])), [1.0, 0.5, 0.0, 0.0])


def test_one_long_acting_dose_a_day_is_a_constant_rate():
    hours_ago = np.arange(0.0, 24.0, 0.5)[:, None] + np.array([0.0, 24.0])
    np.testing.assert_allclose(long_acting_share(60 * hours_ago).sum(axis=1), 1.0)


def test_doses_and_meals_add_up_at_the_slot():
    therapy = Therapy(
        boluses=(Bolus(time_min=-100.0, dose_u=2.0), Bolus(time_min=-10.0, dose_u=3.0)),
        meals=(Meal(time_min=-90.0, carbs_g=40.0), Meal(time_min=0.0, carbs_g=10.0)),
        basal=(BasalRate(time_min=-300.0, rate_u_h=1.5), BasalRate(time_min=-60.0, rate_u_h=0.7)),
        long_acting=(LongActingDose(time_min=-720.0, dose_u=24.0),),
    )
    remaining = 2.0 * insulin_remaining(np.array([100.0]))[0] + 3.0 * insulin_remaining(np.array([10.0]))[0]
    expected = {
        "insulin_on_board": remaining,
        "bolus_30": 3.0,
        "carbs_on_board": 30.0,
        "carbs_30": 10.0,
        "basal_rate": 0.7 + 1.0,
    }
    assert {name: newest(only(therapy), 0.0, name) for name in expected} == pytest.approx(expected)


def test_a_basal_rate_ends_after_a_day():
    therapy = Therapy(basal=(BasalRate(time_min=0.0, rate_u_h=1.0),))
    assert [newest(only(therapy), time, "basal_rate") for time in (1435.0, 1440.0)] == [1.0, 0.0]


def test_steps_count_only_when_their_interval_is_over():
    history = replace(only(Therapy()), activity_time_min=np.array([0.0]), activity_steps=np.array([700.0]))
    assert [newest(history, time, "steps_60") for time in (10.0, 15.0, 70.0, 75.0)] == [0.0, 700.0, 700.0, 0.0]


def test_clock_features_follow_local_time():
    history = replace(only(Therapy()), utc_offset_min=120.0)
    assert newest(history, 4 * 60.0, "day_sine") == pytest.approx(1.0)  # 06:00 local
    assert newest(history, 10 * 60.0, "day_cosine") == pytest.approx(-1.0)  # 12:00 local


def test_every_flag_that_a_feature_names_is_itself_a_feature():
    assert {f.known_by for f in FEATURES if f.known_by} <= set(FEATURE_NAMES)
    assert len(set(FEATURE_NAMES)) == len(FEATURES)


def test_scaling_uses_known_values_only_and_turns_the_unknown_into_the_mean(record):
    made = windows(record(), np.arange(2000.0, 4000.0, 5.0))
    made[:100, :, column("bolus_recorded")] = 0.0
    made[:100, :, column("insulin_on_board")] = 1e6
    scaled = Scaling.of(made).apply(made)
    assert not scaled[:100, :, column("insulin_on_board")].any()
    assert scaled[100:, :, column("insulin_on_board")].std() == pytest.approx(1.0, abs=1e-3)


def test_scaling_leaves_flags_as_they_are(record):
    made = windows(record(), np.arange(2000.0, 4000.0, 50.0))
    np.testing.assert_array_equal(
        Scaling.of(made).apply(made)[..., column("basal_recorded")], made[..., column("basal_recorded")]
    )
