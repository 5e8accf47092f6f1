"""The words of `/what-if` and the look of its curves."""

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboard.components.plan_outcomes import _change, _value
from dashboard.figures.glucose import WHAT_IF_TRACES, what_if_figure
from dashboard.pages.what_if import _ids_of, _link, _listed, plan_words
from dashboard.theme.display import Display
from dashboard.theme.scenario_lines import SCENARIO_LINES
from tests.dashboard.test_glucose_figures import NOW_MIN, forecast, history, withheld
from twin_core.domain.forecasts import QUANTILE_LEVELS
from twin_core.domain.units import GlucoseUnit
from twin_core.services.outcomes import Outcome, outcomes_of
from twin_core.services.scenario_plans import SCENARIO_NAMES
from twin_core.services.what_if import Plan

SCREEN = Display(mode="light", unit=GlucoseUnit.MG_DL).screen()


def minimum(*lows: float, against: float | None = None) -> Outcome:
    paths = np.array(lows)[:, None]
    others = None if against is None else np.full_like(paths, against)
    return outcomes_of(paths, others)[1]


def test_a_value_at_the_edge_of_a_sensor_is_said_to_be_at_most_that() -> None:
    assert _value(minimum(40.0, 40.0, 55.0), GlucoseUnit.MG_DL).startswith("40 or less (40 or less to ")
    assert _value(minimum(40.0), GlucoseUnit.MMOL_L) == "2.2 or less (2.2 or less to 2.2 or less)"
    assert _value(minimum(400.0), GlucoseUnit.MG_DL).startswith("400 or more")
    assert _value(minimum(70.0), GlucoseUnit.MG_DL) == "70 (70 to 70)"


def test_a_difference_has_its_sign_and_its_interval_and_no_plan_has_none() -> None:
    assert _change(minimum(80.0, against=95.0), GlucoseUnit.MG_DL) == "-15 (-15 to -15)"
    assert _change(minimum(113.0156, against=95.0), GlucoseUnit.MMOL_L) == "+1.0 (+1.0 to +1.0)"
    assert _change(minimum(80.0), GlucoseUnit.MG_DL) == "–"


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (Plan(carbs_g=60.0, bolus_u=4.5, bolus_in_min=15.0), "60 g now, 4.5 U in 15 min"),
        (Plan(basal_percent=50.0), "basal at 50 %"),
        (Plan(exercise_min=30.0, exercise_in_min=20.0), "30 min of exercise at 50 % in 20 min"),
    ],
)
def test_a_plan_is_said_in_one_line(plan: Plan, words: str) -> None:
    assert plan_words(plan) == words


def test_a_link_names_scenarios_by_id_and_is_read_back() -> None:
    link = _link("0a1b2c", ["xK3-_a", "Qz7"])
    assert link == "/p/0a1b2c/what-if?scenarios=xK3-_a,Qz7"
    assert _ids_of("?" + link.partition("?")[2]) == ["xK3-_a", "Qz7"]
    assert _ids_of("") == _ids_of(None) == _ids_of("?other=1") == _ids_of("?scenarios=") == []


def test_scenarios_are_listed_in_words() -> None:
    assert _listed(["A"]) == "scenario A"
    assert _listed(["A", "B", "D"]) == "scenarios A, B and D"


def test_scenarios_differ_by_dashes_and_letter_not_by_colour_alone() -> None:
    curve = np.linspace(120.0, 160.0, 48)
    drawn = what_if_figure(
        history(),
        forecast(),
        NOW_MIN,
        forecast(150.0).quantiles_mg_dl,
        SCREEN,
        scenarios=dict.fromkeys(SCENARIO_NAMES, curve),
        second_mg_dl=curve,
    )
    assert go.Figure(drawn).data
    json.dumps(drawn, allow_nan=False)
    scenarios = drawn["data"][len(WHAT_IF_TRACES) + 1 :]
    assert [trace["name"] for trace in scenarios] == [f"scenario {name}" for name in SCENARIO_NAMES]
    assert len({trace["line"]["dash"] for trace in scenarios}) == len(SCENARIO_NAMES)
    letters = drawn["layout"]["annotations"]
    assert [letter["text"] for letter in letters] == [f"<b>{name}</b>" for name in SCENARIO_NAMES]
    assert len({letter["x"] for letter in letters}) == len(SCENARIO_NAMES)


def test_every_name_of_a_scenario_has_a_line_in_both_modes() -> None:
    assert tuple(SCENARIO_LINES) == SCENARIO_NAMES
    for mode in ("light", "dark"):
        colours = Display(mode=mode, unit=GlucoseUnit.MG_DL).screen().colours
        assert len({line.colour(colours) for line in SCENARIO_LINES.values()}) == len(SCENARIO_NAMES)


def test_a_withheld_forecast_leaves_no_old_curve() -> None:
    nothing = np.empty((0, len(QUANTILE_LEVELS)))
    drawn = what_if_figure(history(), withheld(), NOW_MIN, nothing, SCREEN)
    names = ("p95", "p05", "baseline", "what_if_p95", "what_if_p05", "exact", "preview")
    assert all(drawn["data"][WHAT_IF_TRACES.index(name)]["y"] == [] for name in names)
    assert drawn["data"][WHAT_IF_TRACES.index("measured")]["y"]
