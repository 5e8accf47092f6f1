"""`python -m twin_core`: the real command with the real services behind it."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from twin_core.__main__ import main
from twin_core.bootstrap import read_folder
from twin_core.inference.twin import population_twin

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data" / "t1d_uom"
PK = {
    "kind": "simulate_pk",
    "model": "one_compartment",
    "parameters": {"CL_L_h": 2.0, "V1_L": 20.0},
    "doses": [{"time_h": 0.0, "amount_mg": 100.0, "route": "iv_bolus"}],
    "times_h": [0.0, 1.0, 2.0],
}


def answered(capsys: pytest.CaptureFixture[str], tmp_path: Path, scenario: Any) -> Any:
    file = tmp_path / "scenario.json"
    file.write_text(json.dumps(scenario))
    assert main(["run", str(file)]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_file_is_answered_on_standard_output(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    answer = answered(capsys, tmp_path, PK)
    assert answer["concentration_mg_l"] == pytest.approx([5.0 * np.exp(-0.1 * t) for t in (0.0, 1.0, 2.0)], rel=1e-12)


def test_a_dash_reads_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(PK)))
    assert main(["run", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["concentration_mg_l"][0] == 5.0


def test_a_bad_scenario_exits_2_with_the_wrong_field_on_standard_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "scenario.json"
    file.write_text(json.dumps(PK | {"times_h": "now"}))
    assert main(["run", str(file)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "times_h" in printed.err
    assert "'now'" in printed.err


def test_an_absent_file_exits_2_and_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["run", str(tmp_path / "absent.json")]) == 2
    assert "absent.json" in capsys.readouterr().err


def test_a_bad_entry_of_a_list_leaves_the_others_answered(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    good, bad = answered(capsys, tmp_path, [PK, PK | {"surprise": 1}])
    assert good["concentration_mg_l"][0] == 5.0
    assert "surprise" in json.dumps(bad["error"])


def test_the_schema_names_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    kinds = json.loads(capsys.readouterr().out)["kinds"]
    assert set(kinds) == {
        "error_grid",
        "fit_pk",
        "fit_twin",
        "forecast",
        "glucose_metrics",
        "nca",
        "optimise_dose",
        "simulate_glucose",
        "simulate_pk",
        "what_if",
    }


def test_the_default_patient_rests_at_basal_for_a_day(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    answer = answered(capsys, tmp_path, {"kind": "simulate_glucose", "model": "uva_padova_t1d", "duration_min": 1440})
    glucose = np.array(answer["glucose_mg_dl"])
    assert answer["time_min"] == list(range(1440))
    assert np.abs(glucose - glucose[0]).max() < 1e-6


def test_a_meal_raises_and_a_bolus_lowers_simulated_glucose(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rest = {"kind": "simulate_glucose", "model": "uva_padova_t1d", "duration_min": 300, "step_min": 5}
    meal = rest | {"meals": [{"time_min": 10, "carbs_g": 50}]}
    bolus = rest | {"boluses": [{"time_min": 10, "dose_u": 3}]}
    curves = [np.array(each["glucose_mg_dl"]) for each in answered(capsys, tmp_path, [rest, meal, bolus])]
    assert (curves[1] - curves[0]).max() > 40.0
    assert (curves[2] - curves[0]).min() < -20.0
    assert answered(capsys, tmp_path, rest)["time_min"] == list(range(0, 300, 5))


def test_an_unknown_parameter_is_refused_with_the_known_ones(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    scenario = {"kind": "simulate_glucose", "model": "uva_padova_t1d", "parameters": {"Vmax": 1.0}}
    refused = answered(capsys, tmp_path, [scenario])[0]["error"]
    assert "Vmax" in json.dumps(refused)
    assert "Vmx" in json.dumps(refused)


def test_the_answer_stands_on_the_grid_that_was_asked_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    scenario = {"kind": "simulate_glucose", "model": "uva_padova_t1d", "duration_min": 15}
    for step in (0.5, 1.5, 2.5, 7.5):
        times = answered(capsys, tmp_path, scenario | {"step_min": step})["time_min"]
        assert times == pytest.approx(np.arange(0.0, 15.0, step))


def test_a_basal_rate_holds_however_long_ago_it_was_set(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def ends(basal: Any) -> list[float]:
        asked = {"kind": "forecast", "history": history(4320.0, days=3) | {"basal_u_h": basal}, "now_min": 4320.0}
        meal = asked | {"announced": {"meals": [{"time_min": 4325.0, "carbs_g": 30.0}]}}
        return [each["quantiles_mg_dl"]["p50"][-1] for each in answered(capsys, tmp_path, [asked, meal])]

    low, high = ends(0.3), ends(2.0)
    assert low != high
    assert ends([{"time_min": 0.0, "rate_u_h": 2.0}]) == high


def test_a_number_too_long_to_read_is_refused_not_raised(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "scenario.json"
    file.write_text('{"kind": "simulate_pk", "times_h": [' + "9" * 5000 + "]}")
    assert main(["run", str(file)]) == 2
    assert "not JSON" in capsys.readouterr().err


def test_a_twin_that_is_none_is_refused_in_its_place(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    asked = {"kind": "forecast", "history": history(1500.0), "now_min": 1500.0, "twin": {}}
    asked |= {"announced": {"boluses": [{"time_min": 1505.0, "dose_u": 1.0}]}}
    good = population_twin().to_payload()
    flat = good | {"theta_covariance": np.ones((len(good["theta_mean"]),) * 2).tolist()}
    light = good | {"parameters": good["parameters"] | {"BW": -70.0}}
    bare = good | {"parameters": {}}
    twins = [{}, flat, light, bare, good | {"window_min": []}, good]
    answers = answered(capsys, tmp_path, [asked | {"twin": twin} for twin in twins])
    assert ["error" in answer for answer in answers] == [True] * 5 + [False]


def history(now_min: float, days: float = 1.0) -> dict[str, Any]:
    times = np.arange(now_min - 1440.0 * days, now_min + 1.0, 5.0)
    return {"cgm": [{"time_min": float(t), "glucose_mg_dl": 140.0 + 25.0 * float(np.sin(t / 120.0))} for t in times]}


def test_a_forecast_comes_with_its_quantiles_and_probabilities(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    answer = answered(capsys, tmp_path, {"kind": "forecast", "history": history(1500.0), "now_min": 1500.0})
    assert answer["status"] == "ok"
    assert answer["horizon_min"] == list(range(5, 245, 5))
    low, high = np.array(answer["quantiles_mg_dl"]["p05"]), np.array(answer["quantiles_mg_dl"]["p95"])
    assert (low < high).all()
    assert 0.0 <= answer["probability"]["below_70_within_min"]["60"] <= 1.0


def test_an_announced_bolus_lowers_and_an_announced_meal_raises_the_forecast(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = {"kind": "forecast", "history": history(1500.0), "now_min": 1500.0}
    bolus = asked | {"announced": {"boluses": [{"time_min": 1505.0, "dose_u": 4.0}]}}
    meal = asked | {"announced": {"meals": [{"time_min": 1505.0, "carbs_g": 50.0}]}}
    p50 = [np.array(each["quantiles_mg_dl"]["p50"]) for each in answered(capsys, tmp_path, [asked, bolus, meal])]
    assert (p50[1][12:] < p50[0][12:]).all()
    assert (p50[2][12:] > p50[0][12:]).all()


def test_a_stale_history_is_withheld_with_its_reason(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    answer = answered(capsys, tmp_path, {"kind": "forecast", "history": history(1500.0), "now_min": 1600.0})
    assert answer["status"] == "stale"
    assert "100 min" in answer["reason"]


def test_a_folder_is_read_with_every_row_accounted_for() -> None:
    found = read_folder(SAMPLE)
    assert set(found.histories) == {"2308", "2313"}
    assert found.report.accepted + found.report.rejected == found.report.rows_read
    assert found.first.year == found.last.year == 2024


def test_the_web_app_imports_no_tensorflow() -> None:
    code = "import sys, app; print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    root = Path(__file__).resolve().parents[2]
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root).stdout
    assert printed == "[]\n"


def evaluated(folder: Path, out: Path) -> pd.DataFrame:
    assert main(["evaluate-forecast", str(folder), "--out", str(out)]) == 0
    return pd.read_parquet(out).set_index(["person", "origin_utc", "horizon_min"])


def test_a_folder_is_forecast_from_every_origin_and_what_comes_later_changes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made = evaluated(SAMPLE, tmp_path / "made.parquet")
    printed = capsys.readouterr().out
    assert "ahead of persistence at 30, 60 and 120 min, pooled over people: yes" in printed
    assert f"{len(made):,} rows written" in printed
    levels = made[["p05", "p10", "p25", "p50", "p75", "p90", "p95"]].to_numpy()
    assert (np.diff(levels, axis=1) >= 0.0).all()
    assert sorted(set(made.index.get_level_values("horizon_min"))) == list(range(5, 245, 5))

    changed, moment = tmp_path / "changed", pd.Timestamp("2024-02-10 12:00")
    shutil.copytree(SAMPLE, changed)
    file = changed / "glucose" / "glucose_2308.csv"
    readings = pd.read_csv(file)
    later = pd.to_datetime(readings["bg_ts"], format="%d/%m/%Y %H:%M") > moment
    assert later.any()
    readings.loc[later, "value"] = 15.0
    readings.to_csv(file, index=False)
    again = evaluated(changed, tmp_path / "again.parquet")
    origins = made.index.get_level_values("origin_utc")
    before = made[(origins <= moment) | (made.index.get_level_values("person") != "2308")]
    said = [*before.columns.drop("observed_mg_dl")]
    assert len(before) > 100_000
    pd.testing.assert_frame_equal(again.loc[before.index, said], before[said], check_exact=True)
    after = made[(origins > moment) & (made.index.get_level_values("person") == "2308")]
    shared = after.index.intersection(again.index)
    assert (again.loc[shared, "p50"] - after.loc[shared, "p50"]).abs().max() > 50.0
