"""The kinds `error_grid` and `nca`, as JSON in and JSON out."""

import json
from typing import Any

import numpy as np
import pytest

from twin_core.services.metric_scenarios import METRIC_KINDS
from twin_core.services.scenarios import Refusal, Scenarios

SCENARIOS = Scenarios(METRIC_KINDS)


def answered(scenario: dict[str, Any]) -> Any:
    return json.loads(SCENARIOS.answer_text(json.dumps(scenario)))


def refused(scenario: dict[str, Any]) -> str:
    answer = SCENARIOS.answer(scenario)
    assert isinstance(answer, Refusal)
    return answer.message


THEOPH_1 = {
    "kind": "nca",
    "times_h": [0, 0.25, 0.57, 1.12, 2.02, 3.82, 5.1, 7.03, 9.05, 12.12, 24.37],
    "concentration_mg_l": [0.74, 2.84, 6.57, 10.5, 9.66, 8.58, 8.36, 7.47, 6.89, 5.94, 3.28],
    "dose_mg": 320,
    "route": "extravascular",
}


def test_nca_of_theoph_1_is_what_winnonlin_prints() -> None:
    """Phoenix WinNonlin's tables in the tests of NonCompart 0.8.0, subject 1."""
    linear = answered({**THEOPH_1, "method": "linear"})
    assert linear["lambda_z_1_h"] == pytest.approx(0.048456997, rel=1e-8)
    assert linear["half_life_h"] == pytest.approx(14.30437757, rel=1e-8)
    assert linear["auc_last_mg_h_l"] == pytest.approx(148.92305, rel=1e-9)
    assert linear["auc_inf_mg_h_l"] == pytest.approx(216.611933, rel=1e-8)
    assert linear["mrt_h"] == pytest.approx(20.80003053, rel=1e-8)
    logarithmic = answered({**THEOPH_1, "method": "linear_up_log_down"})
    assert logarithmic["auc_last_mg_h_l"] == pytest.approx(147.2347485, rel=1e-8)


def test_nca_without_a_terminal_slope_answers_null() -> None:
    answer = answered({"kind": "nca", "times_h": [0, 1, 2], "concentration_mg_l": [0, 1, 2], "dose_mg": 1})
    assert answer["lambda_z_1_h"] is None
    assert answer["auc_inf_mg_h_l"] is None
    assert answer["auc_last_mg_h_l"] == 2.0


def test_nca_of_an_infusion_needs_its_length() -> None:
    assert "infusion" in refused({**THEOPH_1, "route": "iv_infusion", "duration_h": None})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dose_mg": 0}, "dose_mg"),
        ({"route": "oral"}, "route"),
        ({"times_h": [0, 1]}, "one concentration for each time"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_bad_nca_is_refused_with_the_reason(change: dict[str, Any], message: str) -> None:
    assert message in refused({**THEOPH_1, **change})


@pytest.mark.parametrize("grid", ["clarke", "parkes_t1", "parkes_t2", "dts"])
def test_a_perfect_meter_is_in_zone_a_of_every_grid(grid: str) -> None:
    glucose = np.linspace(40.0, 400.0, 37).tolist()
    answer = answered({"kind": "error_grid", "grid": grid, "reference_mg_dl": glucose, "predicted_mg_dl": glucose})
    assert set(answer["zones"]) == {"A"}
    assert answer["zone_percent"]["A"] == 100.0
    assert sum(answer["zone_percent"].values()) == pytest.approx(100.0)


def test_clarke_finds_a_reading_that_would_treat_the_wrong_way() -> None:
    pair = {"reference_mg_dl": [50.0], "predicted_mg_dl": [250.0]}
    assert answered({"kind": "error_grid", "grid": "clarke", **pair})["zones"] == ["E"]


def test_an_error_grid_without_a_pair_has_no_shares() -> None:
    answer = answered({"kind": "error_grid", "grid": "clarke", "reference_mg_dl": [], "predicted_mg_dl": []})
    assert answer["zones"] == []
    assert set(answer["zone_percent"].values()) == {None}


def test_pairs_that_do_not_match_are_refused() -> None:
    assert refused({"kind": "error_grid", "grid": "clarke", "reference_mg_dl": [100.0], "predicted_mg_dl": []})
    assert "grid" in refused(
        {"kind": "error_grid", "grid": "surveillance", "reference_mg_dl": [], "predicted_mg_dl": []}
    )
