import json

import numpy as np
import pytest

from twin_core.domain.errors import DamagedArtifact, SimulationFailed
from twin_core.domain.history import FloatArray
from twin_core.inference.sensitivity import (
    KEPT,
    OUTCOMES,
    QUANTILES,
    SAMPLES,
    Sensitivity,
    Spread,
    morris_influence,
    outcomes_of,
    sensitivity_of,
    sobol_indices,
    sobol_runs,
    standard_day,
    total_indices,
)
from twin_core.inference.twin import FittedTwin, TwinKind, population_twin
from twin_core.models.glucose.dalla_man_2014 import MODEL
from twin_core.solve.compiled import kernel_of

ISHIGAMI_FIRST = (0.3139, 0.4424, 0.0)
ISHIGAMI_TOTAL = (0.5576, 0.4424, 0.2437)
"""Analytic for a = 7, b = 0.1: Ishigami, Homma 1990; Saltelli et al. 2008, Global Sensitivity Analysis, section 4.4."""


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def ishigami(runs: FloatArray) -> FloatArray:
    low, high = QUANTILES
    x = np.pi * (2.0 * (runs - low) / (high - low) - 1.0)
    return np.asarray(np.sin(x[:, 0]) + 7.0 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0]))


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    kernel_of(MODEL).warm_up()


@pytest.fixture(scope="module")
def twin() -> FittedTwin:
    return population_twin(body_weight_kg=80.0, basal_u_h=1.1)


@pytest.fixture(scope="module")
def found(twin: FittedTwin) -> Sensitivity:
    return sensitivity_of(twin, samples=128, rng=rng())


def test_ishigamis_indices_are_those_of_the_analysis() -> None:
    found = sobol_indices(ishigami(sobol_runs(3, samples=8192, rng=rng())), 3, rng=rng())
    assert found.first == pytest.approx(ISHIGAMI_FIRST, abs=0.005)
    assert found.total == pytest.approx(ISHIGAMI_TOTAL, abs=0.005)


def test_bootstrap_intervals_hold_the_true_index_about_as_often_as_they_say() -> None:
    held = []
    for seed in range(1, 31):
        runs = rng(seed).uniform(*QUANTILES, size=(SAMPLES, 6))
        a, b = runs[:, :3], runs[:, 3:]
        mixed = [np.where(np.arange(3) == i, b, a) for i in range(3)]
        design = np.stack([a, *mixed, b], axis=1).reshape(-1, 3)
        found = sobol_indices(ishigami(design), 3, rng=rng(seed))
        held.append(np.abs(found.total - ISHIGAMI_TOTAL) <= found.total_half_width)
    assert 0.85 <= np.mean(held) <= 1.0


def test_indices_of_many_outcomes_at_once_equal_those_of_salib() -> None:
    runs = sobol_runs(3, samples=256, rng=rng())
    outcomes = np.stack((ishigami(runs), 40.0 + runs[:, 1] ** 2, 3.0 * runs[:, 0] * runs[:, 2]), axis=1)
    together = total_indices(outcomes, 3)
    for outcome, column in zip(outcomes.T, together.T, strict=True):
        assert column == pytest.approx(sobol_indices(outcome, 3, rng=rng()).total, rel=1e-9, abs=1e-12)


def test_screening_leaves_out_what_does_nothing() -> None:
    influence = morris_influence(lambda runs: np.stack((ishigami(runs), np.full(len(runs), 5.0)), axis=1), 5, rng=rng())
    assert influence.shape == (5, 2)
    assert (influence[:3, 0] > 0.1).all()
    assert (influence[3:, 0] == 0.0).all()
    assert (influence[:, 1] == 0.0).all()


def test_an_outcome_that_never_varies_has_no_indices() -> None:
    outcome = np.full(5 * 64, 100.0)
    assert sobol_indices(outcome, 3, rng=rng()).total.tolist() == [0.0, 0.0, 0.0]
    assert np.isnan(total_indices(outcome[:, None], 3)).all()


def test_the_global_random_state_is_left_alone() -> None:
    np.random.seed(3)
    before = np.random.get_state()[1]
    sobol_indices(ishigami(sobol_runs(3, samples=64, rng=rng())), 3, rng=rng())
    morris_influence(lambda runs: ishigami(runs)[:, None], 3, rng=rng())
    assert np.array_equal(before, np.random.get_state()[1])


def test_the_most_influential_twelve_are_indexed_over_the_day(found: Sensitivity) -> None:
    assert len(found.names) == KEPT
    assert found.screened[:KEPT] == found.names
    assert len(found.screened) == 23
    assert (np.diff(found.influence) <= 0.0).all()
    assert found.n_runs == 128 * (KEPT + 2)
    assert found.total_over_time.shape == (KEPT, len(found.time_min)) == (KEPT, 97)
    assert len(found.indices) == len(OUTCOMES)
    assert (np.diff(found.outcome_quantiles, axis=1) >= 0.0).all()


def test_fasting_glucose_depends_on_basal_glucose_alone(found: Sensitivity) -> None:
    at_midnight = dict(zip(found.names, found.total_over_time[:, 0], strict=True))
    assert at_midnight.pop("Gb") == pytest.approx(1.0, abs=0.1)
    assert max(at_midnight.values()) < 1e-6


def test_insulin_action_matters_more_after_lunch_than_before_breakfast(found: Sensitivity) -> None:
    course = found.total_over_time[found.names.index("Vmx")]
    assert course[found.time_min == 900.0] > 0.1 + course[found.time_min == 420.0]


def test_total_indices_are_not_below_first_ones(found: Sensitivity) -> None:
    for each in found.indices:
        assert (each.total + each.total_half_width + each.first_half_width >= each.first).all()


def test_a_known_parameter_has_no_influence(twin: FittedTwin) -> None:
    covariance = twin.theta_covariance.copy()
    place = twin.structure.prior.names.index("Vmx")
    covariance[place] = covariance[:, place] = 0.0
    covariance[place, place] = 1e-12
    known = FittedTwin(
        kind=TwinKind.FITTED,
        parameters=twin.parameters,
        theta_mean=twin.theta_mean,
        theta_covariance=covariance,
    )
    found = sensitivity_of(known, samples=32, rng=rng())
    assert found.screened[-1] == "Vmx"
    assert "Vmx" not in found.names
    of_people = sensitivity_of(known, spread=Spread.PRIOR, samples=32, rng=rng())
    assert "Vmx" in of_people.names


def test_the_same_generator_gives_the_same_answer_and_survives_json(twin: FittedTwin, found: Sensitivity) -> None:
    again = sensitivity_of(twin, samples=128, rng=rng())
    assert json.dumps(again.to_payload()) == json.dumps(found.to_payload())
    back = Sensitivity.from_payload(json.loads(json.dumps(found.to_payload())))
    assert json.dumps(back.to_payload()) == json.dumps(found.to_payload())


def test_a_damaged_payload_is_refused(found: Sensitivity) -> None:
    payload = found.to_payload()
    del payload["names"]
    with pytest.raises(DamagedArtifact, match="Compute it again"):
        Sensitivity.from_payload(payload)


def test_runs_that_leave_the_finite_numbers_are_an_error(twin: FittedTwin, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = FittedTwin(
        kind=TwinKind.FITTED,
        parameters=twin.parameters._replace(basal_u_h=float("nan")),
        theta_mean=twin.theta_mean,
        theta_covariance=twin.theta_covariance,
    )
    monkeypatch.setattr("twin_core.inference.sensitivity.standard_day", lambda _: standard_day(1.0))
    with pytest.raises(SimulationFailed, match="left the finite numbers"):
        sensitivity_of(broken, samples=4, rng=rng())


def test_progress_only_grows_and_stays_within_one(twin: FittedTwin) -> None:
    said: list[float] = []
    sensitivity_of(twin, samples=512, rng=rng(), progress=lambda fraction, _: said.append(fraction))
    assert said == sorted(said)
    assert 0.0 <= said[0] < said[-1] <= 1.0


def test_the_standard_day_follows_the_rule_of_500() -> None:
    day = standard_day(1.25)  # 30 U basal, 60 U in all, 8.33 g for 1 U
    assert [bolus.dose_u for bolus in day.boluses] == pytest.approx([5.4, 8.4, 9.6])
    assert sum(meal.carbs_g for meal in day.meals) == 195.0


def test_time_in_range_has_both_ends_in() -> None:
    outcomes = outcomes_of(np.array([[53.0, 54.0, 69.0, 70.0, 180.0, 181.0, 250.0, 251.0]]))
    assert outcomes[0].tolist() == [138.5, 53.0, 25.0]
