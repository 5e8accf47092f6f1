import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from twin_core.domain.errors import BadScenario
from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS, Forecast, ForecastStatus
from twin_core.domain.history import (
    BasalInsulin,
    BasalRate,
    Bolus,
    Condition,
    ConditionKind,
    Exercise,
    GlucagonDose,
    History,
    LongActingDose,
    Meal,
    MealInsulin,
    Rhythm,
    Therapy,
)
from twin_core.models.catalog import DRUGS, MODELS
from twin_core.services.dosing import Dosing
from twin_core.services.scenarios import Refusal, Scenarios, SimulatedGlucose, scenario_kinds
from twin_core.services.simulation import GlucoseModels


class RecordingSimulator:
    """Answers flat curves and keeps what it was asked."""

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
REAL = Scenarios(scenario_kinds(dosing=Dosing(DRUGS), simulator=GlucoseModels(MODELS), forecaster=FORECASTER))
"""The same with the models of the catalog."""
SIMULATE = {"kind": "simulate_glucose", "model": "uva_padova_t1d", "duration_min": 60}
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


def test_everything_of_a_life_reaches_the_simulator() -> None:
    answer(
        SIMULATE
        | {
            "meals": [{"time_min": 1, "carbs_g": 30, "protein_g": 20, "fat_g": 10, "fibre_g": 5}],
            "boluses": [{"time_min": 1, "dose_u": 4, "insulin": "inhaled"}, {"time_min": 2, "dose_u": 1}],
            "long_acting": [{"time_min": 0, "dose_u": 20}, {"time_min": 3, "dose_u": 10, "insulin": "degludec"}],
            "exercise": [{"time_min": 5, "duration_min": 30}],
            "glucagon": [{"time_min": 6, "dose_mg": 0.1}],
            "conditions": [{"time_min": 7, "kind": "alcohol", "degree": 2}],
            "rhythm": {"sensitivity": [0.8, 1, 1.2], "dawn_mg_kg_min": 1.5, "utc_offset_min": 60},
            "initial_state": {"Gp": 1},
        }
    )
    assert SIMULATOR.asked["therapy"] == Therapy(
        meals=(Meal(time_min=1.0, carbs_g=30.0, duration_min=6.0, protein_g=20.0, fat_g=10.0, fibre_g=5.0),),
        boluses=(Bolus(time_min=1.0, dose_u=4.0, insulin=MealInsulin.INHALED), Bolus(time_min=2.0, dose_u=1.0)),
        long_acting=(
            LongActingDose(time_min=0.0, dose_u=20.0),
            LongActingDose(time_min=3.0, dose_u=10.0, insulin=BasalInsulin.DEGLUDEC),
        ),
        exercise=(Exercise(time_min=5.0, duration_min=30.0, intensity_percent=50.0),),
        glucagon=(GlucagonDose(time_min=6.0, dose_mg=0.1),),
        conditions=(Condition(time_min=7.0, duration_min=0.0, kind=ConditionKind.ALCOHOL, degree=2.0),),
    )
    assert SIMULATOR.asked["rhythm"] == Rhythm(sensitivity=(0.8, 1.0, 1.2), dawn_mg_kg_min=1.5, utc_offset_min=60.0)
    assert SIMULATOR.asked["initial_state"] == {"Gp": 1.0}


def test_null_for_an_optional_list_is_an_empty_one() -> None:
    lists = ("meals", "boluses", "long_acting", "exercise", "glucagon", "conditions")
    answer(SIMULATE | dict.fromkeys((*lists, "rhythm", "cgm_error", "initial_state", "basal_u_h")))
    assert SIMULATOR.asked["therapy"] == Therapy()
    assert SIMULATOR.asked["rhythm"] == Rhythm()
    inputs = SCENARIOS.schema()["$defs"]["SimulateGlucoseInput"]["properties"]
    assert all({"type": "null"} in inputs[name]["anyOf"] for name in lists)


@pytest.mark.parametrize(
    ("model", "given", "what"),
    [
        ("edes", {"exercise": [{"time_min": 5, "duration_min": 30}]}, "exercise"),
        ("hovorka_t1d", {"glucagon": [{"time_min": 5, "dose_mg": 0.1}]}, "glucagon"),
    ],
)
def test_what_a_model_does_not_take_is_refused_by_name(model: str, given: dict[str, Any], what: str) -> None:
    refused = REAL.answer(SIMULATE | {"model": model} | given)
    assert isinstance(refused, Refusal)
    assert refused.message.startswith(f"The model {model} does not take ")
    assert what in refused.message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"meals": [{"time_min": 0, "carbs_g": 501}]}, "meals.0.carbs_g: allowed is 0 to 500 g; got 501."),
        ({"meals": [{"time_min": 0, "carbs_g": 5, "fat_g": -1}]}, "meals.0.fat_g: allowed is 0 to 300 g; got -1."),
        ({"boluses": [{"time_min": 0, "dose_u": -5}]}, "boluses.0.dose_u: allowed is 0 to 100 U; got -5."),
        ({"basal_u_h": 21}, "basal_u_h: allowed is 0 to 20 U/h; got 21."),
        ({"basal_u_h": [{"time_min": 0, "rate_u_h": 21}]}, "allowed is 0 to 20 U/h; got 21."),
        ({"long_acting": [{"time_min": 0, "dose_u": 201}]}, "long_acting.0.dose_u: allowed is 0 to 200 U; got 201."),
        ({"glucagon": [{"time_min": 0, "dose_mg": 10}]}, "glucagon.0.dose_mg: allowed is 0 to 5 mg; got 10."),
        ({"long_acting": [{"time_min": 0, "dose_u": 9, "insulin": "nph"}]}, "'degludec'; got 'nph'"),
        ({"conditions": [{"time_min": 0, "kind": "love"}]}, "'alcohol'; got 'love'"),
        ({"conditions": [{"time_min": 0, "kind": "stress", "degree": 4}]}, "allowed is 0 to 3 times the typical one"),
        ({"rhythm": {"sensitivity": [1, 1]}}, "rhythm.sensitivity: List should have at least 3"),
        ({"rhythm": {"sensitivity": [1, 0, 1]}}, "rhythm.sensitivity.1: allowed is 0.1 to 10"),
        ({"cgm_error": {"model": "vettoretti_2019", "seed": -1}}, "cgm_error.seed"),
        ({"cgm_error": {"model": "libre"}}, "There is no sensor called 'libre'. Known: breton_kovatchev_2008,"),
    ],
)
def test_the_impossible_is_refused_with_what_is_allowed(given: dict[str, Any], message: str) -> None:
    refused = REAL.answer(SIMULATE | given)
    assert isinstance(refused, Refusal)
    assert message in refused.message


def test_a_sensor_shows_the_same_errors_whatever_the_therapy() -> None:
    error = {"cgm_error": {"model": "vettoretti_2019", "seed": 3, "faults": False}, "step_min": 5}
    bolus = {"boluses": [{"time_min": 0, "dose_u": 1}]}
    rest, same, treated = (
        json.loads(REAL.answer_text(json.dumps(SIMULATE | error | given))) for given in ({}, {}, bolus)
    )
    assert rest["cgm"] == same["cgm"]
    assert rest["cgm"]["time_min"] == rest["time_min"] == list(range(0, 60, 5))
    shown, truth = (
        np.array(treated[key]["glucose_mg_dl"] if key else treated["glucose_mg_dl"])
        - np.array(rest[key]["glucose_mg_dl"] if key else rest["glucose_mg_dl"])
        for key in ("cgm", "")
    )
    np.testing.assert_allclose(shown, 1.048 * truth, atol=0.01)
    assert np.abs(np.array(rest["cgm"]["glucose_mg_dl"]) - 120.0).max() > 1.0


def test_without_a_sensor_there_are_no_readings_and_with_faults_some_are_null() -> None:
    assert json.loads(REAL.answer_text(json.dumps(SIMULATE)))["cgm"] is None
    days = SIMULATE | {"duration_min": 2880, "step_min": 60, "cgm_error": {"model": "vettoretti_2019", "seed": 1}}
    shown = json.loads(REAL.answer_text(json.dumps(days)))["cgm"]["glucose_mg_dl"]
    assert len(shown) == 576
    assert None in shown


def test_a_scenarios_basal_rate_does_not_move_the_steady_state_that_it_starts_from() -> None:
    """`parameters.basal_u_h` is the person's own rate, `basal_u_h` what is delivered."""
    rest, none, other = (
        json.loads(REAL.answer_text(json.dumps(SIMULATE | {"duration_min": 240} | given)))["glucose_mg_dl"]
        for given in ({}, {"basal_u_h": 0}, {"parameters": {"basal_u_h": 0.8}, "basal_u_h": 0.8})
    )
    assert none[0] == rest[0] == pytest.approx(120.0)
    assert none[-1] > rest[-1] + 20.0
    np.testing.assert_allclose(other, rest, atol=1e-6)


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
        (PK | {"model": None, "parameters": None, "drug": "aspirin"}, "UnknownName", "caffeine, gentamicin, metformin"),
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
