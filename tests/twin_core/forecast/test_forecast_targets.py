"""Targets are real readings, and the three blocks of time never touch."""

from dataclasses import replace

import numpy as np

from twin_core.domain.forecasts import HORIZONS_MIN
from twin_core.domain.history import History
from twin_core.forecast.targets import EMBARGO_MIN, blocks, observed, origins


def test_only_a_real_reading_is_a_target():
    history = History(cgm_time_min=np.array([0.0, 5.0, 12.0, 20.0]), cgm_mg_dl=np.array([100.0, 105.0, 112.0, 120.0]))
    seen = observed(history, np.array([0.0]))[0]
    np.testing.assert_array_equal(seen[:4], [105.0, np.nan, 112.0, 120.0])  # 5, 10, 15, 20 min
    assert np.isnan(seen[4:]).all()


def test_a_15_min_sensor_gives_a_target_every_third_horizon():
    time = 15.0 * np.arange(40)
    seen = observed(History(cgm_time_min=time, cgm_mg_dl=time + 50), np.array([0.0]))[0]
    assert np.isfinite(seen).sum() == len(HORIZONS_MIN) / 3
    assert (seen[2::3] == np.array(HORIZONS_MIN)[2::3] + 50).all()


def test_no_target_of_one_block_lies_in_the_next(record):
    history = record(days=20)
    parts = blocks(history)
    assert parts.train[-1] + EMBARGO_MIN < parts.calibration[0] + 5.0
    assert parts.calibration[-1] + EMBARGO_MIN < parts.test[0] + 5.0
    assert max(HORIZONS_MIN) < EMBARGO_MIN


def test_blocks_hold_70_10_and_20_percent_of_the_record(record):
    history = record(days=60)
    parts = blocks(history)
    share = np.array([parts.train.size, parts.calibration.size, parts.test.size]) / origins(history).size
    np.testing.assert_allclose(share, [0.70, 0.10, 0.20], atol=0.01)


def test_the_future_of_the_test_block_moves_no_training_origin(record):
    history = record(days=20)
    glucose = history.cgm_mg_dl.copy()
    glucose[int(0.85 * glucose.size) :] = 200.0
    np.testing.assert_array_equal(blocks(replace(history, cgm_mg_dl=glucose)).train, blocks(history).train)


def test_origins_need_a_fresh_reading_and_half_a_window(record):
    history = record(days=2)
    gone = (history.cgm_time_min > 2000) & (history.cgm_time_min < 2300)
    gappy = replace(history, cgm_time_min=history.cgm_time_min[~gone], cgm_mg_dl=history.cgm_mg_dl[~gone])
    made = origins(gappy)
    assert not ((made > 2016) & (made < 2300 + 60)).any()
    assert (made > 2300 + 90).any()


def test_a_record_without_readings_has_no_blocks():
    nothing = blocks(History(cgm_time_min=np.empty(0), cgm_mg_dl=np.empty(0)))
    assert nothing.train.size == nothing.calibration.size == nothing.test.size == 0
