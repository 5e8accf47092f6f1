"""`fit_twin` and `what_if` from JSON to JSON, on people whose truth is simulated and therefore known."""

import json
from typing import Any

import numpy as np
import pytest

from twin_core.domain.history import BasalRate, Bolus, Meal, Therapy
from twin_core.models.glucose.dalla_man_2014 import MODEL
from twin_core.services.scenarios import Refusal, Scenarios
from twin_core.services.twin_scenarios import TWIN_KINDS
from twin_core.solve.rk4 import integrate
from twin_core.solve.schedule import schedule_of

SCENARIOS = Scenarios(TWIN_KINDS)
TRUTH = MODEL.parameters_with(
    {"BW": 72.0, "basal_u_h": 1.1, "Gb": 128.0, "kp3": 0.0105, "Vmx": 0.058, "kabs": 0.045, "ka2": 0.016}
)
GRAMS_A_UNIT = 10.0
BOLUS = {"time_min": 0.0, "dose_u": 2.0}
DAY = ((180.0, 45.0), (480.0, 70.0), (840.0, 80.0))
"""Meals of the what-if experiment: minute and grams, with the bolus at the same time (reference: table 3.4)."""
CHANGES = {
    "bolus x0.7": (1.0, 0.7, 1.0),
    "bolus x1.3": (1.0, 1.3, 1.0),
    "basal x0.7": (1.0, 1.0, 0.7),
    "basal x1.3": (1.0, 1.0, 1.3),
    "carbohydrate x0.7": (0.7, 1.0, 1.0),
    "carbohydrate x1.3": (1.3, 1.0, 1.0),
}


def life(carbs: float = 1.0, bolus: float = 1.0, basal: float = 1.0) -> dict[str, Any]:
    return {
        "meals": [{"time_min": t, "carbs_g": carbs * g, "duration_min": 5} for t, g in DAY],
        "boluses": [{"time_min": t, "dose_u": bolus * g / GRAMS_A_UNIT} for t, g in DAY],
        "basal_u_h": basal * TRUTH.basal_u_h,
    }


def true_course(carbs: float = 1.0, bolus: float = 1.0, basal: float = 1.0) -> np.ndarray:
    """What the true person does, every 5 min."""
    therapy = Therapy(
        meals=tuple(Meal(time_min=t, carbs_g=carbs * g, duration_min=5.0) for t, g in DAY),
        boluses=tuple(Bolus(time_min=t, dose_u=bolus * g / GRAMS_A_UNIT) for t, g in DAY),
        basal=(BasalRate(time_min=0.0, rate_u_h=basal * TRUTH.basal_u_h),),
    )
    run = integrate(MODEL, TRUTH, schedule_of(therapy, start_min=0.0, end_min=1440.0))
    return np.asarray(run.output("glucose_mg_dl")[np.abs(run.times_min % 5.0) < 1e-6])


def sensed(course: np.ndarray, seed: int = 4) -> list[dict[str, float]]:
    """With the autoregressive error of a sensor (coefficient 0.8, SD 5 mg/dL)."""
    rng, error = np.random.default_rng(seed), np.zeros(course.size)
    for i in range(1, course.size):
        error[i] = 0.8 * error[i - 1] + rng.normal(0.0, 3.0)
    values = np.round(course + error).tolist()
    return [{"time_min": 5.0 * i, "glucose_mg_dl": value} for i, value in enumerate(values)]


def answer(scenario: dict[str, Any]) -> Any:
    return json.loads(SCENARIOS.answer_text(json.dumps(scenario)))


def refusal(scenario: dict[str, Any]) -> str:
    answered = SCENARIOS.answer(scenario)
    assert isinstance(answered, Refusal)
    return answered.message


@pytest.fixture(scope="module")
def fitted() -> Any:
    cgm = sensed(true_course())
    return answer({"kind": "fit_twin", "cgm": cgm, "body_weight_kg": 72, "seed": 1, **life()})


@pytest.fixture(scope="module")
def told(fitted: Any) -> Any:
    plans = [{"start_min": 0, "duration_min": 1440, **life(*change)} for change in CHANGES.values()]
    baseline = {"start_min": 0, "duration_min": 1440, **life()}
    return answer({"kind": "what_if", "twin": fitted["twin"], "baseline": baseline, "scenarios": plans})


def test_a_fit_answers_the_fields_of_the_contract(fitted: Any) -> None:
    assert set(fitted) == {"twin", "posterior", "fit", "identifiability", "cpu_s"}
    assert set(fitted["fit"]) == {"rmse_mg_dl", "mard_percent", "coverage_90_percent"}
    assert set(fitted["posterior"]["Gb"]) == {"mean", "sd", "prior_mean", "prior_sd", "unit"}
    assert fitted["posterior"]["Gb"]["unit"] == "mg/dL"
    assert fitted["fit"]["rmse_mg_dl"] < 8.0
    assert all(sentence.endswith(".") for sentence in fitted["identifiability"])
    assert fitted["cpu_s"] > 0.0


def test_a_day_narrows_basal_glucose_around_the_truth_and_widens_nothing(fitted: Any) -> None:
    Gb = fitted["posterior"]["Gb"]
    assert Gb["sd"] < 0.75 * Gb["prior_sd"]
    assert abs(Gb["mean"] - TRUTH.Gb) < 1.645 * Gb["sd"]
    assert max(each["sd"] / each["prior_sd"] for each in fitted["posterior"].values()) < 1.5


@pytest.mark.parametrize("number", range(len(CHANGES)), ids=list(CHANGES))
def test_a_twin_of_one_day_recovers_the_true_effect_of_a_change(told: Any, number: int) -> None:
    """The bounds of table 3.4 are for the median of many people (gain 0.9-1.15, MARD 5 %); one gets a wider berth."""
    change = list(CHANGES.values())[number]
    truth, before = true_course(*change), true_course()
    scenario = told["scenarios"][number]
    said = np.array(scenario["difference"]["glucose_mg_dl"]["p50"])[: truth.size]
    course = np.array(scenario["glucose_mg_dl"]["p50"])[: truth.size]
    assert 0.75 < said.mean() / (truth - before).mean() < 1.25
    assert 100.0 * np.mean(np.abs(course - truth) / np.maximum(truth, 40.0)) < 8.0


def test_the_interval_of_a_difference_holds_the_true_one_at_most_times(told: Any) -> None:
    inside = []
    for change, scenario in zip(CHANGES.values(), told["scenarios"], strict=True):
        true = true_course(*change) - true_course()
        said = scenario["difference"]["glucose_mg_dl"]
        low, high = (np.array(said[name])[: true.size] for name in ("p05", "p95"))
        inside.append(np.mean((low - 0.5 <= true) & (true <= high + 0.5)))
    assert np.mean(inside) > 0.7


def test_every_plan_has_ordered_quantiles_outcomes_and_what_their_intervals_are(told: Any) -> None:
    assert told["draws"] == 200
    for plan in (told["baseline"], *told["scenarios"]):
        assert plan["time_min"][0] == 0.0
        assert plan["time_min"][-1] == 1440.0
        quantiles = np.array([plan["glucose_mg_dl"][name] for name in ("p05", "p25", "p50", "p75", "p95")])
        assert (np.diff(quantiles, axis=0) >= 0.0).all()
        assert plan["outcomes"]["minimum_mg_dl"]["interval"] == "holds 90 % of the draws"
        assert plan["outcomes"]["chance_below_70_percent"]["interval"] == "90 % sampling error of the draws"
        for outcome in plan["outcomes"].values():
            assert outcome["low"] <= outcome["value"] <= outcome["high"]
    assert "difference" not in told["baseline"]


def test_exercise_and_more_insulin_lower_and_more_carbohydrate_raises_in_every_quantile(fitted: Any) -> None:
    quiet = {"duration_min": 480, "basal_u_h": TRUTH.basal_u_h}
    plans = [
        quiet | {"boluses": [{"time_min": 30, "dose_u": 1.0}]},
        quiet | {"exercise": [{"time_min": 60, "duration_min": 45, "intensity_percent": 60}]},
        quiet | {"meals": [{"time_min": 30, "carbs_g": 20.0}]},
    ]
    got = answer({"kind": "what_if", "twin": fitted["twin"], "baseline": quiet, "scenarios": plans})["scenarios"]
    assert max(got[0]["difference"]["glucose_mg_dl"]["p95"]) <= 1e-9
    assert max(got[1]["difference"]["glucose_mg_dl"]["p95"]) <= 1e-9
    assert min(got[1]["difference"]["glucose_mg_dl"]["p50"]) < -1.0
    assert min(got[2]["difference"]["glucose_mg_dl"]["p05"]) >= -1e-9


def test_a_what_if_begins_at_the_steady_state_a_given_glucose_or_what_a_history_leads_to(fitted: Any) -> None:
    plan = {"start_min": 300, "duration_min": 240}
    asked = {"kind": "what_if", "twin": fitted["twin"], "baseline": plan}
    steady = answer(asked)["baseline"]["glucose_mg_dl"]["p50"]
    assert max(steady) - min(steady) < 1e-3
    given = answer(asked | {"initial_glucose_mg_dl": 220})["baseline"]["glucose_mg_dl"]
    assert (given["p05"][0], given["p95"][0]) == pytest.approx((220.0, 220.0))
    past = {"cgm": [{"time_min": 295, "glucose_mg_dl": 90}], "boluses": [{"time_min": 240, "dose_u": 5}]}
    led = answer(asked | {"history": past})["baseline"]["glucose_mg_dl"]["p50"]
    assert led[0] == pytest.approx(90.0, abs=10.0)
    assert led[-1] < led[0] - 10.0


def test_the_same_seed_gives_the_same_answer_and_another_one_other_draws(fitted: Any) -> None:
    asked = {"kind": "what_if", "twin": fitted["twin"], "baseline": {"duration_min": 120}, "draws": 50}
    assert answer(asked) == answer(asked)
    assert (
        answer(asked)["baseline"]["glucose_mg_dl"]["p95"]
        != answer(asked | {"seed": 8})["baseline"]["glucose_mg_dl"]["p95"]
    )


def test_too_little_data_is_refused_with_what_is_missing() -> None:
    cgm = sensed(true_course())
    short = {"kind": "fit_twin", "cgm": cgm[:40], **life()}
    assert "at least 72 are needed" in refusal(short)
    assert "neither a meal nor a bolus" in refusal({"kind": "fit_twin", "cgm": cgm, "basal_u_h": 1.1})
    assert "no basal or long-acting insulin" in refusal({"kind": "fit_twin", "cgm": cgm, **life(), "basal_u_h": None})
    assert "at least six hours" in refusal({"kind": "fit_twin", "cgm": [], **life()})


def test_too_much_data_is_refused() -> None:
    far = [{"time_min": 0.0, "glucose_mg_dl": 100}, {"time_min": 41_000.0, "glucose_mg_dl": 100}]
    assert "allowed is at most 28" in refusal({"kind": "fit_twin", "cgm": far, **life()})


@pytest.mark.parametrize("kind", ["type_2", "none"])
def test_a_body_with_insulin_of_its_own_gets_the_weaker_twin_which_says_so(kind: str) -> None:
    asked = {"kind": "fit_twin", "cgm": sensed(true_course()), "meals": life()["meals"], "diabetes_type": kind}
    found = answer(asked)
    assert found["twin"]["kind"] == "glucose_and_meals"
    assert found["fit"]["rmse_mg_dl"] > 0.0
    assert any("weaker twin" in sentence for sentence in found["identifiability"])
    plans = {"baseline": {"duration_min": 240}, "scenarios": [{"duration_min": 240, "boluses": [BOLUS]}]}
    assert "does not take" in refusal({"kind": "what_if", "twin": found["twin"], **plans})


def test_a_body_with_insulin_of_its_own_is_refused_injections_choices_and_glucose_alone() -> None:
    asked = {"kind": "fit_twin", "cgm": sensed(true_course()), "diabetes_type": "type_2"}
    assert "insulin is recorded" in refusal({**asked, **life()})
    assert "meals: is empty" in refusal(asked)
    assert "structure: cannot be chosen" in refusal({**asked, "meals": life()["meals"], "structure": "hovorka_t1d"})


def test_glucose_alone_gives_the_populations_twin_which_says_so() -> None:
    found = answer({"kind": "fit_twin", "cgm": sensed(true_course())})
    assert found["twin"]["kind"] == "population"
    assert found["fit"] is None
    assert "neither insulin nor food" in found["identifiability"][0]


def test_impossible_doses_are_refused_with_the_allowed_range(fitted: Any) -> None:
    plan = {"boluses": [{"time_min": 0, "dose_u": 300}]}
    message = refusal({"kind": "what_if", "twin": fitted["twin"], "baseline": plan})
    assert "baseline.boluses.0.dose_u: allowed is 0 to 100 U; got 300" in message


def test_plans_over_different_hours_and_two_ways_to_begin_are_refused(fitted: Any) -> None:
    asked = {"kind": "what_if", "twin": fitted["twin"], "baseline": {"duration_min": 240}}
    later = asked | {"scenarios": [{"duration_min": 240}, {"start_min": 60, "duration_min": 240}]}
    assert "scenarios.1: runs from minute 60" in refusal(later)
    both = asked | {"initial_glucose_mg_dl": 100, "history": {"cgm": []}}
    assert "not both" in refusal(both)


def test_what_is_no_twin_is_refused() -> None:
    assert "This is not a twin" in refusal({"kind": "what_if", "twin": {"model": "x"}, "baseline": {}})


def test_the_second_structure_can_be_fitted_to_the_same_day_and_asked() -> None:
    cgm = sensed(true_course())
    second = answer({"kind": "fit_twin", "cgm": cgm, "body_weight_kg": 72, "structure": "hovorka_t1d", **life()})
    asked = {"kind": "what_if", "twin": second["twin"], "baseline": life(), "scenarios": [life(bolus=1.3)]}
    got = answer(asked)["scenarios"][0]["difference"]["glucose_mg_dl"]["p50"]
    true = true_course(bolus=1.3) - true_course()
    assert 0.4 < np.mean(got) / true.mean() < 1.6
