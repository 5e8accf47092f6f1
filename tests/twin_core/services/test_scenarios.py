import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from twin_core.domain.errors import BadScenario
from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS, Forecast, ForecastStatus
from twin_core.domain.history import BasalRate, History, Meal, Therapy
from twin_core.models.catalog import DRUGS
from twin_core.services.dosing import Dosing
from twin_core.services.scenarios import Exercise, Refusal, Scenarios, SimulatedGlucose, scenario_kinds


class RecordingSimulator:
    """Answers flat curves and keeps what it was asked."""

    def takes_exercise(self, model: str) -> bool:
        return model == "walker"

    def simulate(self, **asked: Any) -> SimulatedGlucose:
        self.asked = asked
        times = np.arange(0.0, asked["duration_min"], asked["step_min"])
        flat = np.full(times.size, 120.0)
        return SimulatedGlucose(
            time_min=times,
            glucose_mg_dl=flat,
            plasma_glucose_mg_dl=flat,
            plasma_insulin_pmol_l=np.full(times.size, np.nan),
            states={"Gp": flat},
        )


class RecordingForecaster:
    """Forecasts the last reading, or abstains without one."""

    def forecast(
        self, *, history: History, now_min: float, announced: Therapy, twin: Mapping[str, Any] | None
    ) -> Forecast:
        self.history, self.announced, self.twin = history, announced, twin
        if not history.cgm_mg_dl.size:
            return Forecast(origin_min=now_min, status=ForecastStatus.NO_DATA, reason="There is no reading.")
        shape = (len(HORIZONS_MIN), len(QUANTILE_LEVELS))
        return Forecast(
            origin_min=now_min,
            status=ForecastStatus.OK,
            horizons_min=np.array(HORIZONS_MIN),
            quantiles_mg_dl=history.cgm_mg_dl[-1] + np.zeros(shape) + np.arange(shape[1]),
            persistence_mg_dl=float(history.cgm_mg_dl[-1]),
            below_70_within_min={30: 0.1, 60: 0.2, 120: 0.3},
            model_version="flat",
        )


SIMULATOR, FORECASTER = RecordingSimulator(), RecordingForecaster()
SCENARIOS = Scenarios(scenario_kinds(dosing=Dosing(DRUGS), simulator=SIMULATOR, forecaster=FORECASTER))
METRICS = {
    "kind": "glucose_metrics",
    "time_min": [0, 5, 10, 15, 20, 25, 30, 35],
    "glucose_mg_dl": [53, 54, 69, 70, 180, 181, 250, 251],
    "preset": "standard",
}
INFUSION = {"time_h": 0, "amount_mg": 1000, "route": "iv_infusion", "duration_h": 1}
PK = {
    "kind": "simulate_pk",
    "model": "one_compartment",
    "parameters": {"CL_L_h": 5, "V1_L": 20},
    "doses": [{"time_h": 0, "amount_mg": 100, "route": "iv_bolus"}],
    "times_h": [0, 4],
}


def answer(scenario: object) -> Any:
    return json.loads(SCENARIOS.answer_text(json.dumps(scenario)))


def refusal(scenario: object) -> Refusal:
    answered = SCENARIOS.answer(scenario)
    assert isinstance(answered, Refusal)
    return answered


def test_glucose_metrics_answers_the_fields_of_the_contract() -> None:
    got = answer(METRICS)
    assert got["time_in_ranges_percent"] == {
        "very_low": 12.5,
        "low": 25.0,
        "target": 25.0,
        "high": 25.0,
        "very_high": 12.5,
    }
    assert set(got) == {
        *("time_in_ranges_percent", "mean_mg_dl", "sd_mg_dl", "cv_percent", "gmi_percent", "gri", "lbgi", "hbgi"),
        *("adrr", "modd_mg_dl", "active_percent", "episodes"),
    }
    assert got["adrr"] is None
    assert got["episodes"][0]["kind"] == "hypoglycemia"


def test_missing_readings_go_in_as_null_and_come_out_as_null() -> None:
    got = answer({"kind": "glucose_metrics", "time_min": [0, 5], "glucose_mg_dl": [None, None]})
    assert got["mean_mg_dl"] is None
    assert got["time_in_ranges_percent"]["target"] is None


def test_simulate_pk_with_parameters_is_the_closed_form() -> None:
    assert answer(PK)["concentration_mg_l"] == [5.0, pytest.approx(5.0 * np.exp(-1.0))]


def test_simulate_pk_with_a_drug_takes_its_default_covariates_and_says_so() -> None:
    got = answer({"kind": "simulate_pk", "drug": "vancomycin", "doses": [INFUSION], "times_h": [1, 12]})
    assert got["parameters"]["CL_L_h"] == pytest.approx(4.5 * (62.0 / 120.0) ** 0.8)  # Goti 2018 tables 1 and 2
    assert got["concentration_mg_l"][0] > got["concentration_mg_l"][1] > 0.0


@pytest.mark.parametrize(
    "scenario",
    [
        PK | {"drug": "vancomycin"},
        PK | {"model": None},
        PK | {"covariates": {"body_weight_kg": 70}},
        {"kind": "simulate_pk", "doses": [INFUSION], "times_h": [1]},
    ],
)
def test_simulate_pk_takes_a_drug_or_a_model_and_no_mix(scenario: object) -> None:
    assert "drug (with covariates), or model with parameters" in refusal(scenario).message


def test_simulate_glucose_fills_in_the_defaults_of_the_contract() -> None:
    got = answer({"kind": "simulate_glucose", "model": "any", "meals": [{"time_min": 60, "carbs_g": 50}]})
    asked = SIMULATOR.asked
    assert (asked["duration_min"], asked["step_min"], asked["body_weight_kg"]) == (1440.0, 1.0, None)
    assert asked["therapy"] == Therapy(meals=(Meal(time_min=60.0, carbs_g=50.0, duration_min=10.0),))
    assert len(got["glucose_mg_dl"]) == len(got["states"]["Gp"]) == 1440
    assert got["plasma_insulin_pmol_l"][0] is None  # NaN is never printed


def test_a_small_meal_lasts_at_least_a_minute_and_a_given_duration_is_kept() -> None:
    meals = [{"time_min": 0, "carbs_g": 2}, {"time_min": 0, "carbs_g": 50, "duration_min": 30}]
    answer({"kind": "simulate_glucose", "model": "any", "meals": meals})
    assert [meal.duration_min for meal in SIMULATOR.asked["therapy"].meals] == [1.0, 30.0]


def test_basal_is_the_models_own_one_rate_or_rates_by_time() -> None:
    rates = [{"time_min": 0, "rate_u_h": 1.0}, {"time_min": 60, "rate_u_h": 0.5}]
    expected: list[Sequence[BasalRate]] = [
        (),
        (BasalRate(time_min=0.0, rate_u_h=0.0),),
        (BasalRate(time_min=0.0, rate_u_h=1.0), BasalRate(time_min=60.0, rate_u_h=0.5)),
    ]
    for basal, therapy in zip((None, 0, rates), expected, strict=True):
        answer({"kind": "simulate_glucose", "model": "any", "basal_u_h": basal, "duration_min": 5})
        assert SIMULATOR.asked["therapy"].basal == therapy


def test_exercise_is_refused_by_a_model_without_it_and_passed_on_otherwise() -> None:
    scenario = {"kind": "simulate_glucose", "model": "sitter", "exercise": [{"time_min": 5, "duration_min": 30}]}
    assert "sitter has no exercise" in refusal(scenario).message
    answer(scenario | {"model": "walker", "long_acting": [{"time_min": 0, "dose_u": 20}], "initial_state": {"Gp": 1}})
    assert SIMULATOR.asked["exercise"] == (Exercise(time_min=5.0, duration_min=30.0, intensity_percent=50.0),)
    assert SIMULATOR.asked["therapy"].long_acting[0].dose_u == 20.0
    assert SIMULATOR.asked["initial_state"] == {"Gp": 1.0}
    answer(scenario | {"exercise": []})


def test_forecast_answers_horizons_quantiles_and_probabilities() -> None:
    history = {
        "cgm": [{"time_min": 0, "glucose_mg_dl": 100}, {"time_min": 5, "glucose_mg_dl": 110}],
        "activity": [{"time_min": 0, "steps": 300}],
        "basal_u_h": 0.8,
    }
    got = answer(
        {"kind": "forecast", "history": history, "now_min": 5, "announced": {"meals": [{"time_min": 9, "carbs_g": 40}]}}
    )
    assert got["horizon_min"] == list(range(5, 245, 5))
    assert got["quantiles_mg_dl"]["p05"][0] == 110.0
    assert list(got["quantiles_mg_dl"]) == ["p05", "p10", "p25", "p50", "p75", "p90", "p95"]
    assert got["probability"]["below_70_within_min"] == {"30": 0.1, "60": 0.2, "120": 0.3}
    assert FORECASTER.announced.meals[0].carbs_g == 40.0
    assert FORECASTER.history.therapy.basal[0].rate_u_h == 0.8
    assert FORECASTER.twin is None


def test_an_abstention_has_its_reason_and_no_numbers() -> None:
    got = answer({"kind": "forecast", "history": {"cgm": []}, "now_min": 0})
    assert (got["status"], got["reason"], got["horizon_min"]) == ("no_data", "There is no reading.", [])
    assert got["quantiles_mg_dl"]["p50"] == []


@pytest.mark.parametrize(
    ("scenario", "field", "message"),
    [
        (METRICS | {"preset": "children"}, "preset", "got 'children'"),
        (METRICS | {"colour": 1}, "colour", "allowed: kind, time_min, glucose_mg_dl, preset"),
        (METRICS | {"glucose_mg_dl": ["100"]}, "glucose_mg_dl.0", "valid number; got '100'"),
        ({"kind": "glucose_metrics", "time_min": []}, "glucose_mg_dl", "is missing"),
        (PK | {"doses": [INFUSION | {"amount_mg": -5}]}, "doses.0.amount_mg", "got -5"),
        (PK | {"doses": [INFUSION | {"salt": 1}]}, "doses.0.salt", "allowed: time_h, amount_mg, route"),
        (PK | {"doses": [INFUSION | {"duration_h": None}]}, "doses.0", "iv_infusion needs duration_h"),
        (PK | {"doses": [INFUSION | {"steady_state": True}]}, "doses.0", "needs interval_h"),
        (PK | {"parameters": {"CL": 5}}, "parameters.CL", "allowed: CL_L_h, V1_L, Q2_L_h"),
        (PK | {"parameters": {"CL_L_h": True}}, "parameters.CL_L_h", "got True"),
    ],
)
def test_a_bad_scenario_is_refused_naming_the_field(scenario: object, field: str, message: str) -> None:
    refused = refusal(scenario)
    assert refused.fields == (field,)
    assert refused.message.startswith(f"{field}: ")
    assert message in refused.message


@pytest.mark.parametrize(
    ("scenario", "type_", "message"),
    [
        ({"kind": "weather"}, "BadScenario", "kind: got 'weather'; allowed: forecast, glucose_metrics, simulate_"),
        ({}, "BadScenario", "kind: is missing"),
        (7, "BadScenario", "got 7"),
        (PK | {"model": None, "parameters": None, "drug": "aspirin"}, "UnknownName", "caffeine, metformin, vanco"),
        (PK | {"parameters": {"CL_L_h": 5, "V1_L": 0}}, "OutOfRange", "V1_L is 0 L; allowed is 0.001 to"),
        (PK | {"parameters": {"CL_L_h": 5}}, "BadInput", "needs V1_L"),
        (METRICS | {"time_min": [0]}, "BadInput", "differ in length: 1 and 8"),
    ],
)
def test_what_a_service_refuses_keeps_its_reason(scenario: object, type_: str, message: str) -> None:
    refused = refusal(scenario)
    assert refused.type == type_
    assert message in refused.message


def test_one_bad_entry_of_a_list_leaves_the_others_answered_in_order() -> None:
    first, bad, last = answer([METRICS, METRICS | {"preset": 1}, PK])
    assert first["mean_mg_dl"] == pytest.approx(138.5)
    assert bad["error"]["fields"] == ["preset"]
    assert last["concentration_mg_l"][0] == 5.0


@pytest.mark.parametrize("text", ["{", '{"kind": NaN}', "", "[" * 100_000])
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(BadScenario, match="JSON"):
        SCENARIOS.answer_text(text)


def test_the_schema_names_every_kind_with_its_input_and_output() -> None:
    schema = json.loads(json.dumps(SCENARIOS.schema()))
    assert set(schema["kinds"]) == {"glucose_metrics", "simulate_glucose", "forecast", "simulate_pk"}
    for models in schema["kinds"].values():
        for reference in models.values():
            name = reference["$ref"].removeprefix("#/$defs/")
            assert schema["$defs"][name]["additionalProperties"] is False
    assert schema["$defs"]["Scenario"]["discriminator"]["mapping"]["forecast"] == "#/$defs/ForecastInput"


def test_scenarios_load_neither_tensorflow_nor_dash() -> None:
    code = "import sys, twin_core.services.scenarios; print(sorted({'tensorflow', 'dash'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
