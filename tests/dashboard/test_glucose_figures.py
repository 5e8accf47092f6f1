import json
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboard.components.now import POSSIBLE, alert_of, sentence_of, trend_of
from dashboard.figures.glucose import TODAY_TRACES, WHAT_IF_TRACES, today_figure, what_if_figure
from dashboard.pages.today import patched
from dashboard.theme.display import Display, Screen
from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS, Forecast, ForecastStatus
from twin_core.domain.history import Bolus, History, Meal, Therapy
from twin_core.domain.units import GlucoseUnit, in_unit

NOW_MIN = 28_000_000.0
INSULIN = (NOW_MIN + np.arange(-360.0, 241.0, 5.0), np.full(121, 60.0))


def history() -> History:
    times = NOW_MIN + np.arange(-720.0, 1.0, 5.0)
    therapy = Therapy(
        meals=(Meal(time_min=NOW_MIN - 90.0, carbs_g=45.0), Meal(time_min=NOW_MIN - 80.0, carbs_g=0.0)),
        boluses=(Bolus(time_min=NOW_MIN - 95.0, dose_u=4.25), Bolus(time_min=NOW_MIN - 700.0, dose_u=9.0)),
    )
    return History(cgm_time_min=times, cgm_mg_dl=np.linspace(60.0, 190.0, times.size), therapy=therapy)


def forecast(centre: float = 120.0, low_within_60: float = 0.02, last: float = 150.0) -> Forecast:
    spread = np.outer(np.sqrt(np.array(HORIZONS_MIN)), np.linspace(-4.0, 4.0, len(QUANTILE_LEVELS)))
    return Forecast(
        origin_min=NOW_MIN,
        status=ForecastStatus.OK,
        horizons_min=np.array(HORIZONS_MIN),
        quantiles_mg_dl=centre + spread,
        persistence_mg_dl=last,
        below_70_within_min={30: 0.0, 60: low_within_60, 120: max(0.05, low_within_60)},
    )


def screen(unit: GlucoseUnit = GlucoseUnit.MG_DL) -> Screen:
    return Display(mode="light", unit=unit).screen()


def withheld() -> Forecast:
    return Forecast(origin_min=NOW_MIN, status=ForecastStatus.STALE, reason="The last reading is 40 min old.")


def test_figures_are_valid_plotly() -> None:
    today = today_figure(history(), forecast(), NOW_MIN, INSULIN, screen())
    planned = what_if_figure(history(), forecast(), NOW_MIN, forecast(150.0).quantiles_mg_dl, screen())
    for figure in (today, planned):
        assert go.Figure(figure).data
        assert "NaN" not in json.dumps(figure, allow_nan=False)


def test_traces_stand_in_the_order_that_the_browser_relies_on() -> None:
    today = today_figure(history(), forecast(), NOW_MIN, INSULIN, screen())
    planned = what_if_figure(history(), forecast(), NOW_MIN, forecast().quantiles_mg_dl, screen())
    assert len(today["data"]) == len(TODAY_TRACES)
    assert len(planned["data"]) == len(WHAT_IF_TRACES)
    assert planned["data"][WHAT_IF_TRACES.index("preview")]["name"] == "preview"
    assert today["data"][TODAY_TRACES.index("measured")]["name"] == "measured"


@pytest.mark.parametrize("unit", list(GlucoseUnit))
def test_measured_glucose_is_shown_unchanged_in_either_unit(unit: GlucoseUnit) -> None:
    drawn = today_figure(history(), forecast(), NOW_MIN, INSULIN, screen(unit))["data"][5]
    recent = history().cgm_mg_dl[-73:]
    assert drawn["y"] == pytest.approx(
        [in_unit(float(v), unit) for v in recent], abs=0.51 if unit == "mg/dL" else 0.006
    )


def test_low_and_high_readings_differ_by_shape_not_by_colour_alone() -> None:
    times = NOW_MIN + np.array([-20.0, -15.0, -10.0, -5.0, 0.0])
    edges = History(cgm_time_min=times, cgm_mg_dl=np.array([69.0, 70.0, 120.0, 180.0, 181.0]))
    marker = today_figure(edges, forecast(), NOW_MIN, INSULIN, screen())["data"][5]["marker"]
    assert marker["symbol"] == ["diamond", "circle", "circle", "circle", "square"]
    assert len(set(marker["color"])) == 3


def test_only_recent_events_that_carry_something_are_drawn() -> None:
    data = today_figure(history(), forecast(), NOW_MIN, INSULIN, screen())["data"]
    assert data[TODAY_TRACES.index("carbs")]["text"] == ["45 g"]
    assert data[TODAY_TRACES.index("bolus")]["text"] == ["4.25 U"]


def test_a_withheld_forecast_draws_the_past_and_no_future() -> None:
    data = today_figure(history(), withheld(), NOW_MIN, INSULIN, screen())["data"]
    assert all(data[TODAY_TRACES.index(name)]["y"] == [] for name in ("p95", "p05", "p75", "p25", "median"))
    assert len(data[TODAY_TRACES.index("measured")]["y"]) == 73


def test_the_patch_carries_everything_that_moves() -> None:
    figure = today_figure(history(), forecast(), NOW_MIN, INSULIN, screen())
    operations = patched(figure).to_plotly_json()["operations"]
    places = {tuple(operation["location"]) for operation in operations}
    for number in range(len(TODAY_TRACES)):
        assert {("data", number, "x"), ("data", number, "y")} <= places
    assert {("layout", "shapes"), ("layout", "xaxis", "range"), ("layout", "yaxis")} <= places


def test_the_forecast_without_a_kind_of_knowledge_is_drawn_when_it_is_asked_for() -> None:
    moved = {"trend": np.full(48, 10.0), "meals": np.zeros(48), "insulin": np.full(48, -5.0)}
    made = today_figure(history(), forecast(), NOW_MIN, INSULIN, screen(), contributions=moved, without=["insulin"])
    drawn = {trace["name"]: trace for trace in made["data"] if "without" in trace.get("name", "")}
    assert {name: trace["visible"] for name, trace in drawn.items()} == {
        "without trend": False,
        "without meals": False,
        "without insulin": True,
    }
    middle = made["data"][TODAY_TRACES.index("median")]["y"]
    assert drawn["without insulin"]["y"] == [value + 5.0 for value in middle]
    assert drawn["without trend"]["y"] == [value - 10.0 for value in middle]


def test_the_low_alarm_of_the_forecaster_is_announced_below_the_probability_of_later_lows() -> None:
    made = replace(forecast(), below_70_within_min={30: 0.18, 60: 0.2, 120: 0.25})
    assert "low glucose possible" not in text_of(alert_of(made, GlucoseUnit.MG_DL)).lower()
    raised = text_of(alert_of(replace(made, low_alarm=True), GlucoseUnit.MG_DL))
    assert "Low glucose possible within 30 min" in raised
    assert "18 % within 30 min" in raised


def test_no_chance_of_a_low_is_called_none() -> None:
    assert "under 1 % within 30 min" in text_of(alert_of(forecast(), GlucoseUnit.MG_DL))


def text_of(component: object) -> str:
    if isinstance(component, str | int | float):
        return str(component)
    if isinstance(component, list | tuple):
        return "".join(map(text_of, component))
    return text_of(getattr(component, "children", "") or "")


def test_sentence_curve_and_alert_come_from_the_same_forecast() -> None:
    made = forecast(centre=110.0, low_within_60=0.4)
    at = HORIZONS_MIN.index(60.0)
    drawn = today_figure(history(), made, NOW_MIN, INSULIN, screen())["data"]
    for level, name in ((0.05, "p05"), (0.50, "median"), (0.95, "p95")):
        value = drawn[TODAY_TRACES.index(name)]["y"][at]
        assert value == round(float(made.quantile(level)[at]))
        assert f"{value:.0f}" in sentence_of(made, GlucoseUnit.MG_DL)
    alert = text_of(alert_of(made, GlucoseUnit.MG_DL))
    assert "within 60 min" in alert
    assert "40 %" in alert


def test_no_low_is_announced_below_the_threshold_and_the_chance_is_still_said() -> None:
    alert = text_of(alert_of(forecast(low_within_60=POSSIBLE - 0.01), GlucoseUnit.MG_DL))
    assert "Low glucose possible" not in alert
    assert f"{100 * (POSSIBLE - 0.01):.0f} %" in alert


def test_a_high_forecast_is_announced_in_the_unit_of_the_screen() -> None:
    assert "10.0 mmol/L" in text_of(alert_of(forecast(centre=200.0), GlucoseUnit.MMOL_L))


def test_the_strip_says_first_what_is_so_now() -> None:
    for last, words in ((53.0, "very low now"), (69.0, "low now"), (216.0, "high now")):
        assert words in text_of(alert_of(forecast(last=last), GlucoseUnit.MG_DL))
    falling = text_of(alert_of(forecast(centre=163.0, last=216.0), GlucoseUnit.MG_DL))
    assert "passes" not in falling
    assert "163 mg/dL in 1 h" in falling


def test_a_withheld_forecast_says_why_everywhere() -> None:
    assert withheld().reason in text_of(alert_of(withheld(), GlucoseUnit.MG_DL))
    assert withheld().reason in sentence_of(withheld(), GlucoseUnit.MG_DL)


@pytest.mark.parametrize(
    ("rate", "words"),
    [(-3.5, "falling very fast"), (-1.0, "steady"), (0.0, "steady"), (1.0, "rising"), (3.0, "rising very fast")],
)
def test_the_trend_is_said_in_words(rate: float, words: str) -> None:
    assert trend_of(rate)[1] == words
