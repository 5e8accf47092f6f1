"""What the forecaster knows beyond the window: causal to the last bit, and right where it can be counted by hand."""

from dataclasses import replace

import numpy as np
import pytest

from twin_core.domain.history import Bolus, History, Therapy
from twin_core.forecast.context import CONTEXT_NAMES, context, context_column, inputs_of


def number(history: History, origin_min: float, name: str) -> float:
    return float(context(history, np.array([origin_min]))[0, context_column(name)])


def test_names_are_unique_and_as_many_as_columns(record):
    assert len(set(CONTEXT_NAMES)) == len(CONTEXT_NAMES)
    assert context(record(), np.array([4000.0])).shape == (1, len(CONTEXT_NAMES))


def test_shuffling_everything_after_the_origin_leaves_the_inputs_bit_identical(record, shipped):
    history, rng = record(days=5), np.random.default_rng(1)
    origins = np.array([3000.0, 4321.0, 6000.0])
    for origin in origins:
        later = history.cgm_time_min > origin
        glucose = history.cgm_mg_dl.copy()
        glucose[later] = rng.permutation(glucose[later])
        therapy = history.therapy
        changed = replace(
            history,
            cgm_mg_dl=glucose,
            therapy=replace(
                therapy,
                meals=tuple(replace(m, carbs_g=150.0) if m.time_min > origin else m for m in therapy.meals),
                boluses=tuple(b for b in therapy.boluses if b.time_min <= origin),
                basal=tuple(replace(b, rate_u_h=9.0) if b.time_min > origin else b for b in therapy.basal),
                long_acting=tuple(d for d in therapy.long_acting if d.time_min <= origin),
            ),
            activity_steps=np.where(history.activity_time_min + 15.0 > origin, 5000.0, history.activity_steps),
        )
        one, other = (inputs_of(each, [origin]) for each in (history, changed))
        assert one.context.tobytes() == other.context.tobytes()
        assert one.windows.tobytes() == other.windows.tobytes()
        forecasts = [shipped.forecast(each, origin) for each in (history, changed)]
        assert forecasts[0].quantiles_mg_dl.tobytes() == forecasts[1].quantiles_mg_dl.tobytes()
        assert forecasts[0].below_70_within_min == forecasts[1].below_70_within_min


def test_many_origins_at_once_give_what_each_gives_alone(record):
    history, origins = record(days=5), np.arange(2000.0, 7000.0, 333.0)
    together = context(history, origins)
    alone = np.concatenate([context(history, origins[place : place + 1]) for place in range(origins.size)])
    assert together.tobytes() == alone.tobytes()


def test_what_lies_more_than_a_fortnight_back_is_forgotten(record):
    history = record(days=20)
    origin = float(history.cgm_time_min[-1])
    recent = history.cgm_time_min > origin - 15 * 1440.0
    shorter = replace(history, cgm_time_min=history.cgm_time_min[recent], cgm_mg_dl=history.cgm_mg_dl[recent])
    assert context(shorter, np.array([origin])).tobytes() == context(history, np.array([origin])).tobytes()


def test_habits_of_a_record_that_repeats_every_day_are_that_day(flat):
    time_min = 5.0 * np.arange(10 * 288)
    daily = History(cgm_time_min=time_min, cgm_mg_dl=150.0 + 40.0 * np.sin(2 * np.pi * time_min / 1440.0))
    origin = 8 * 1440.0
    assert number(daily, origin, "usual_0") == pytest.approx(0.0, abs=1.0)
    assert number(daily, origin, "usual_change_240") == pytest.approx(40.0 * np.sin(2 * np.pi / 6), abs=1.5)
    assert number(daily, origin, "level_14d") == pytest.approx(150.0, abs=0.5)


def test_insulin_sums_and_what_is_on_board_can_be_counted_by_hand(flat):
    given = replace(flat(120.0), therapy=Therapy(boluses=(Bolus(time_min=1000.0, dose_u=4.0),)))
    assert number(given, 1000.0, "bolus_on_board") == pytest.approx(4.0)
    assert number(given, 1045.0, "bolus_60") == 4.0
    assert number(given, 1045.0, "bolus_30") == 0.0
    assert number(given, 1045.0, "bolus_since") == 45.0
    assert number(given, 1000.0 + 360.0, "bolus_on_board") == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(number(given, 999.0, "bolus_since"))


def test_a_record_without_anything_is_unknown_and_not_zero():
    nothing = History(cgm_time_min=np.empty(0), cgm_mg_dl=np.empty(0))
    row = context(nothing, np.array([500.0]))[0]
    for name in ("glucose", "change_30", "mean_24h", "usual_60", "bolus_since", "basal_departure_60"):
        assert np.isnan(row[context_column(name)])
    assert row[context_column("bolus_recorded")] == 0.0
