"""The kinds `fit_pk` and `optimise_dose`, as JSON in and JSON out."""

import json
from typing import Any

import numpy as np
import pytest

from twin_core.models.catalog import DRUGS
from twin_core.services.dosing import Dosing
from twin_core.services.pk_scenarios import pk_kinds
from twin_core.services.scenarios import Refusal, Scenarios

SCENARIOS = Scenarios(pk_kinds(Dosing(DRUGS)))
NONMEM_1 = {
    "kind": "fit_pk",
    "model": "one_compartment",
    "population": {
        "typical": {"CL_L_h": 4.0, "V1_L": 70.0, "k_a_h": 1.0},
        "omega": {"CL_L_h": 0.2, "V1_L": 0.2, "k_a_h": 0.2},
        "sigma": {"proportional_sd": float(np.sqrt(0.05)), "form": "combined2"},
    },
    "doses": [{"time_h": 0, "amount_mg": 10000, "route": "oral"}],
    "levels": [
        {"time_h": 1.5, "concentration_mg_l": 91.2904},
        {"time_h": 4.4, "concentration_mg_l": 110.826},
        {"time_h": 7.1, "concentration_mg_l": 79.384},
        {"time_h": 24.6, "concentration_mg_l": 20.6671},
    ],
}
"""Patient 1 of mapbayr's examples (Le Louedec 2021, doi 10.1002/psp4.12689)."""
VANCOMYCIN = {
    "drug": "vancomycin",
    "covariates": {"creatinine_clearance_ml_min": 34.0, "body_weight_kg": 62.0},
    "doses": [
        {"time_h": 0, "amount_mg": 1900, "route": "iv_infusion", "duration_h": 1},
        {"time_h": 22.2, "amount_mg": 1750, "route": "iv_infusion", "duration_h": 1},
    ],
    "levels": [{"time_h": 12, "concentration_mg_l": 14.8}, {"time_h": 37.5, "concentration_mg_l": 22.5}],
}


def answered(scenario: dict[str, Any]) -> Any:
    return json.loads(SCENARIOS.answer_text(json.dumps(scenario)))


def refused(scenario: dict[str, Any]) -> str:
    answer = SCENARIOS.answer(scenario)
    assert isinstance(answer, Refusal)
    return answer.message


# --- fit_pk ----------------------------------------------------------------------------------------------------------


def test_a_fit_says_what_nonmem_prints() -> None:
    answer = answered(NONMEM_1)
    assert list(answer["eta"]) == ["CL_L_h", "V1_L", "k_a_h"]
    np.testing.assert_allclose(list(answer["eta"].values()), [0.405058386, 0.0728505976, -0.0749540941], atol=1e-6)
    assert answer["objective"] == pytest.approx(27.96776705, abs=1e-6)
    np.testing.assert_allclose(np.diag(answer["covariance"]), [0.0128120118, 0.0231664035, 0.125252672], atol=1e-6)
    assert answer["individual"]["CL_L_h"] == pytest.approx(4.0 * np.exp(0.405058386), rel=1e-6)
    assert answer["posterior"]["ess"] > 1000.0
    assert answer["posterior"]["eta_sd"]["CL_L_h"] == pytest.approx(0.157, rel=0.05)
    assert answer["posterior"]["p05"]["CL_L_h"] < answer["posterior"]["p50"]["CL_L_h"]
    assert answer["converged"] is True


def test_a_full_omega_with_zero_covariances_says_the_same_as_variances() -> None:
    full = {"names": ["CL_L_h", "V1_L", "k_a_h"], "matrix": (0.2 * np.eye(3)).tolist()}
    answer = answered({**NONMEM_1, "population": {**NONMEM_1["population"], "omega": full}})
    assert answer["eta"] == answered(NONMEM_1)["eta"]


def test_a_parameter_that_omega_does_not_name_does_not_vary() -> None:
    omega = {"CL_L_h": 0.2}
    answer = answered({**NONMEM_1, "population": {**NONMEM_1["population"], "omega": omega}})
    assert list(answer["eta"]) == ["CL_L_h"]
    assert answer["individual"]["V1_L"] == 70.0
    assert answer["posterior"]["p05"]["V1_L"] == 70.0


def test_the_form_of_sigma_matters_only_with_both_parts() -> None:
    def objective(form: str, additive_sd: float) -> float:
        sigma = {"proportional_sd": 0.2, "additive_sd": additive_sd, "form": form}
        return float(answered({**NONMEM_1, "population": {**NONMEM_1["population"], "sigma": sigma}})["objective"])

    assert objective("combined1", 0.0) == pytest.approx(objective("combined2", 0.0), abs=1e-9)
    assert abs(objective("combined1", 5.0) - objective("combined2", 5.0)) > 0.01


@pytest.mark.parametrize("levels", [None, []])
def test_without_a_level_the_prior_answers_and_says_so(levels: Any) -> None:
    answer = answered({"kind": "fit_pk", **VANCOMYCIN, "covariates": None, "levels": levels})
    assert set(answer["eta"].values()) == {0.0}
    assert answer["predicted_mg_l"] == []
    assert answer["posterior"]["sampler"] == "prior"
    assert "no level yet" in answer["notes"][0]


def test_levels_are_predicted_in_the_order_given() -> None:
    turned = answered({**NONMEM_1, "levels": NONMEM_1["levels"][::-1]})
    np.testing.assert_allclose(turned["predicted_mg_l"], answered(NONMEM_1)["predicted_mg_l"][::-1], rtol=1e-6)


def test_doses_after_the_last_level_change_nothing_of_the_fit() -> None:
    later = {"time_h": 500, "amount_mg": 1000, "route": "iv_infusion", "duration_h": 1}
    scenario = {"kind": "fit_pk", **VANCOMYCIN}
    answer = answered({**scenario, "doses": [*VANCOMYCIN["doses"], later]})
    assert answer["eta"] == pytest.approx(answered(scenario)["eta"], abs=1e-9)


def test_two_models_of_vancomycin_answer_with_visible_weights() -> None:
    second = next(drug.name for drug in DRUGS if drug.of_substance == "vancomycin" and drug.name != "vancomycin")
    answer = answered({"kind": "fit_pk", **VANCOMYCIN, "average_with": [second]})
    assert [each["drug"] for each in answer["models"]] == ["vancomycin", second]
    weights = [each["weight"] for each in answer["models"]]
    phi = [each["phi"] for each in answer["models"]]
    assert sum(weights) == pytest.approx(1.0)
    assert weights[0] / weights[1] == pytest.approx(np.exp(0.5 * (phi[1] - phi[0])), rel=1e-9)


def test_a_creatinine_clearance_that_falls_lowers_the_clearance_from_then_on() -> None:
    falling = [{"time_h": 20.0, "values": {"creatinine_clearance_ml_min": 10.0}}]
    answer = answered({"kind": "fit_pk", **VANCOMYCIN, "levels": [], "later_covariates": falling})
    assert answer["individual"]["CL_L_h"] == pytest.approx(4.5 * (10.0 / 120.0) ** 0.8)


def test_occasions_have_etas_of_their_own() -> None:
    population = {**NONMEM_1["population"], "pi": {"CL_L_h": 0.1}}
    answer = answered({**NONMEM_1, "population": population, "occasion_starts_h": [12.0]})
    assert list(answer["eta"]) == ["CL_L_h", "V1_L", "k_a_h", "CL_L_h@1", "CL_L_h@2"]
    assert np.shape(answer["covariance"]) == (5, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"levels": [{"time_h": -1, "concentration_mg_l": 5}]},
            "levels.0.time_h: -1 h is before the first dose at 0 h",
        ),
        ({"levels": [{"time_h": 1, "concentration_mg_l": -5}]}, "levels.0.concentration_mg_l"),
        ({"levels": [{"time_h": 1, "concentration_mg_l": 1e300}]}, "concentration_mg_l of a level is 1e+300"),
        ({"doses": []}, "doses"),
        ({"covariates": {"body_weight_kg": 900.0}}, "body_weight_kg is 900 kg; allowed is 33 to 255 kg"),
        ({"covariates": {"height_cm": 170.0}}, "height_cm"),
        ({"drug": "unobtainium"}, "unobtainium"),
        ({"drug": None}, "drug (with covariates), or model with population"),
        ({"model": "one_compartment"}, "got neither or a mix"),
        ({"occasion_starts_h": [10.0]}, "between occasions"),
        ({"doses": [{"time_h": 0, "amount_mg": 100, "route": "oral"}]}, "route is oral"),
        ({"later_covariates": [{"time_h": 0, "values": {"body_weight_kg": 60.0}}]}, "belong to the first ones"),
        ({"seed": -1}, "seed"),
    ],
)
def test_what_cannot_be_fitted_is_refused_with_the_reason(change: dict[str, Any], message: str) -> None:
    assert message in refused({"kind": "fit_pk", **VANCOMYCIN, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"omega": {"CL_L_h": -0.2}}, "omega"),
        ({"omega": {"Q2_L_h": 0.2}}, "Q2_L_h"),
        ({"omega": {"names": ["CL_L_h"], "matrix": [[0.1, 0.0]]}}, "population.omega.matrix: must be 1 x 1"),
        ({"omega": {"names": ["CL_L_h", "V1_L"], "matrix": [[0.1, 0.3], [0.3, 0.1]]}}, "positive definite"),
        ({"omega": {"CL_L_h": 1e6}}, "A variance of omega is 1e+06"),
        ({"sigma": {}}, "population.sigma"),
        ({"sigma": {"proportional_sd": 1e300}}, "proportional_sd is 1e+300"),
        ({"typical": {"CL_L_h": 4.0}}, "V1_L"),
    ],
)
def test_a_population_that_is_none_is_refused(change: dict[str, Any], message: str) -> None:
    assert message in refused({**NONMEM_1, "population": {**NONMEM_1["population"], **change}})


def test_a_level_in_another_unit_is_flagged_and_the_rest_still_answers() -> None:
    levels = [{"time_h": 12, "concentration_mg_l": 14_800.0}]
    answer = answered({"kind": "fit_pk", **VANCOMYCIN, "levels": levels})
    assert any("ng/mL or ug/L" in note for note in answer["notes"])
    assert len(answer["predicted_mg_l"]) == 1


# --- optimise_dose ---------------------------------------------------------------------------------------------------


def test_regimens_are_ranked_and_their_probabilities_add_up() -> None:
    answer = answered({"kind": "optimise_dose", **VANCOMYCIN, "step_mg": 250.0})
    assert (answer["exposure"], answer["target"]) == ("auc24_mg_h_l", [400.0, 600.0])
    shares = [each["probability_in_target"] for each in answer["regimens"]]
    assert shares == sorted(shares, reverse=True)
    for each in answer["regimens"]:
        parts = [each[f"probability_{name}"] for name in ("in_target", "below", "above")]
        assert sum(parts) == pytest.approx(1.0)
        assert each["amount_mg"] % 250.0 == 0.0
        assert each["risk_index"] == each["probability_above"]
    assert "no dose may be given" in answer["notes"][-1]


def test_given_candidates_are_the_ones_that_are_ranked() -> None:
    candidates = [{"amount_mg": dose, "interval_h": 24.0} for dose in (500.0, 750.0, 4000.0)]
    answer = answered({"kind": "optimise_dose", **VANCOMYCIN, "candidates": candidates})
    assert sorted(each["amount_mg"] for each in answer["regimens"]) == [500.0, 750.0, 4000.0]
    assert answer["regimens"][-1]["amount_mg"] == 4000.0
    assert {each["duration_h"] for each in answer["regimens"]} == {1.0}


def test_what_is_in_the_body_lowers_the_next_day_less_than_steady_state_needs() -> None:
    """The first day of 500 mg a day on top of two large doses has more area than its steady state."""
    candidates = [{"amount_mg": 500.0, "interval_h": 24.0}]
    ever = answered({"kind": "optimise_dose", **VANCOMYCIN, "candidates": candidates})
    now = answered({"kind": "optimise_dose", **VANCOMYCIN, "candidates": candidates, "next_dose_h": 38.0})
    assert now["regimens"][0]["exposure_p50"] > 1.3 * ever["regimens"][0]["exposure_p50"]


def test_a_limit_of_toxicity_is_its_own_exposure() -> None:
    candidates = [{"amount_mg": 750.0, "interval_h": 24.0}]
    scenario = {"kind": "optimise_dose", **VANCOMYCIN, "candidates": candidates}
    risks = [
        answered({**scenario, "toxic_above": {"trough_mg_l": limit}})["regimens"][0]["risk_index"]
        for limit in (1.0, 15.0, 1000.0)
    ]
    assert risks[0] == 1.0
    assert 0.0 < risks[1] < 1.0
    assert risks[2] == 0.0


def test_the_next_sample_and_wrong_times_are_answered() -> None:
    times = [38.0, 48.0, 72.0]
    answer = answered({"kind": "optimise_dose", **VANCOMYCIN, "sample_times_h": times, "later_min": 60.0})
    gains = [each["variance_removed"] for each in answer["next_samples"]]
    assert gains == sorted(gains, reverse=True)
    assert sorted(each["time_h"] for each in answer["next_samples"]) == times
    assert [each["level"] for each in answer["timing"]] == [0, 1]
    for each in answer["timing"]:
        assert each["change_mg"] == pytest.approx(each["amount_if_later_mg"] - each["amount_mg"])
    assert answer["timing"][1]["change_mg"] < 0.0  # the last level, reached later: clearance is slower


def test_vials_are_added_up() -> None:
    answer = answered({"kind": "optimise_dose", **VANCOMYCIN, "strengths_mg": [500.0, 1000.0], "intervals_h": [24.0]})
    assert {each["amount_mg"] for each in answer["regimens"]} == {500.0, 1000.0, 1500.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": {}}, "target: exactly one exposure is needed"),
        ({"target": {"trough_mg_l": [20.0, 10.0]}}, "target.trough_mg_l: the low end must be below the high end"),
        ({"target": {"trough_mg_l": [10.0]}}, "trough_mg_l"),
        ({"toxic_above": {"trough_mg_l": 20.0, "peak_mg_l": 40.0}}, "toxic_above: exactly one exposure"),
        ({"candidates": [{"amount_mg": 90_000.0, "interval_h": 24.0}]}, "allowed is 0 to 5000 mg"),
        ({"candidates": [{"amount_mg": 500.0, "interval_h": 24.0, "duration_h": 30.0}]}, "cannot repeat every 24 h"),
        (
            {
                "drug": "caffeine",
                "covariates": {},
                "levels": [],
                "doses": [{"time_h": 0, "amount_mg": 100, "route": "oral"}],
            },
            "target: is needed",
        ),
    ],
)
def test_what_cannot_be_optimised_is_refused_with_the_reason(change: dict[str, Any], message: str) -> None:
    assert message in refused({"kind": "optimise_dose", **VANCOMYCIN, **change})
