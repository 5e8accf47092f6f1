"""The tutorial's LSTM stays as bad as it is: a lesson that must not be quietly mended."""

from pathlib import Path

import numpy as np
import pytest

from tests.twin_core.services.conftest import SAMPLE
from twin_core.bootstrap import read_folder
from twin_core.domain.history import Bolus, History, Meal, Therapy
from validation.lstm_lesson import LOOK_BACK, PERSON, naive_windows, rows, taught


def test_the_tutorials_lstm_is_worse_than_no_change_an_hour_ahead() -> None:
    lesson = taught(read_folder(SAMPLE / "t1d_uom").histories[PERSON], epochs=5, seed=1)
    assert lesson.naive_rmse[60.0] > 1.05 * lesson.no_change_rmse[60.0]
    assert lesson.no_change_rmse[5.0] < lesson.no_change_rmse[60.0]


def test_exercise_never_enters_it() -> None:
    table = np.arange(80.0).reshape(20, 4)
    inputs, targets = naive_windows(table)
    assert inputs.shape == (20 - LOOK_BACK, LOOK_BACK, 3)
    assert not np.isin(table[:, 3], inputs).any()
    assert targets == pytest.approx(table[LOOK_BACK:, 0])


def test_its_rows_run_across_a_gap_as_if_there_were_none() -> None:
    times = np.concatenate([np.arange(0.0, 100.0, 5.0), np.arange(1000.0, 1100.0, 5.0)])
    therapy = Therapy(meals=(Meal(time_min=50.0, carbs_g=30.0),), boluses=(Bolus(time_min=50.0, dose_u=3.0),))
    history = History(cgm_time_min=times, cgm_mg_dl=np.full(times.size, 120.0), therapy=therapy)
    table = rows(history)
    assert abs(len(table) - times.size) <= 1
    assert table[:, 1].sum() == 3.0
    assert table[:, 2].sum() == 30.0


def test_the_lesson_is_told_in_the_documents() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/explanation/naive-lstm.md").read_text()
    assert all(f"| {number} |" in text for number in range(1, 17))
