import json

import numpy as np
import plotly.graph_objects as go

from dashboard.figures.replay import REPLAY_TRACES, replay_figure, retold_figure
from dashboard.theme.display import Display
from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS
from twin_core.domain.history import Bolus, History, Meal, Therapy
from twin_core.domain.units import GlucoseUnit

START_MIN = 28_000_000.0
SCREEN = Display(mode="light", unit=GlucoseUnit.MG_DL).screen()


def day() -> tuple[History, np.ndarray, np.ndarray]:
    times = START_MIN + np.arange(0.0, 1440.0, 5.0)
    therapy = Therapy(
        meals=(Meal(time_min=START_MIN + 480.0, carbs_g=40.0),),
        boluses=(Bolus(time_min=START_MIN + 480.0, dose_u=4.0),),
    )
    history = History(cgm_time_min=times, cgm_mg_dl=120.0 + 40.0 * np.sin(times / 100.0), therapy=therapy)
    origins = START_MIN + np.arange(0.0, 1440.0, 15.0)
    fan = 120.0 + np.outer(np.sqrt(HORIZONS_MIN), np.linspace(-4.0, 4.0, len(QUANTILE_LEVELS)))
    quantiles = np.tile(fan, (len(origins), 1, 1))
    quantiles[5] = np.nan
    return history, origins, quantiles


def test_the_replayed_day_is_valid_plotly_and_its_traces_stand_in_their_order() -> None:
    history, origins, quantiles = day()
    figure = replay_figure(history, origins, quantiles, 30, START_MIN + 1440.0, SCREEN)
    assert len(go.Figure(figure).data) == len(REPLAY_TRACES)
    assert "NaN" not in json.dumps(figure, allow_nan=False)
    names = [trace.get("name") for trace in figure["data"]]
    assert names[1] == "measured"
    assert names[REPLAY_TRACES.index("median")] == "forecast"


def test_a_withheld_forecast_is_drawn_as_nothing() -> None:
    history, origins, quantiles = day()
    figure = replay_figure(history, origins, quantiles, 5, START_MIN + 1440.0, SCREEN)
    assert set(figure["data"][REPLAY_TRACES.index("median")]["y"]) == {None}


def test_ghosts_are_two_hours_long_and_one_an_hour() -> None:
    history, origins, quantiles = day()
    ghosts = replay_figure(history, origins, quantiles, 30, START_MIN + 1440.0, SCREEN)["data"][0]
    assert ghosts["x"].count(None) == 24
    assert ghosts["x"].index(None) == 24


def test_the_retold_day_is_valid_plotly_with_gaps_left_open() -> None:
    times = START_MIN + np.arange(0.0, 1441.0, 5.0)
    measured = np.full(len(times), 120.0)
    measured[50:80] = np.nan
    curves = np.stack((measured - 10.0, measured + 5.0, measured + 20.0))
    figure = retold_figure(times, measured, np.full(len(times), 110.0), curves, np.zeros(49), SCREEN)
    assert go.Figure(figure).data
    assert "NaN" not in json.dumps(figure, allow_nan=False)
    assert len(figure["data"][3]["y"]) == len(times) - 30
