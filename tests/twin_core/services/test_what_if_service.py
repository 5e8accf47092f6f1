from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from tests.twin_core.services.conftest import INJECTIONS, PUMP, SAMPLE, TurnedClock
from twin_core.bootstrap import DEMO_PEOPLE, OWNER, assemble
from twin_core.domain.errors import OutOfRange
from twin_core.domain.forecasts import ForecastStatus
from twin_core.domain.history import History, Meal, Therapy
from twin_core.forecast.forecaster import Forecaster
from twin_core.jobs.cache import open_cache
from twin_core.services.application import Services
from twin_core.services.simulation import HybridForecasts
from twin_core.services.what_if import (
    BASAL_NODES_PERCENT,
    BOLUS_NODES_U,
    CARBS_NODES_G,
    EXERCISE_NODES_MIN,
    EXERCISE_NODES_PERCENT,
    LIMITS,
    Plan,
    View,
)
from twin_core.store.sqlite import SqliteStore


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Services that tests only ask: nothing is played, fitted or kept."""
    folder = tmp_path_factory.mktemp("still")
    store, cache = SqliteStore(folder / "data" / "biotwin.sqlite"), open_cache(folder / "cache")
    built = assemble(store, cache, TurnedClock())
    built.records.ensure_demo(OWNER, SAMPLE / "t1d_uom", DEMO_PEOPLE)
    yield built
    cache.close()
    store.close()


@pytest.mark.parametrize("hours", [0, 26, 60, 75])
def test_no_plan_changes_nothing(services: Services, clock: TurnedClock, hours: int) -> None:
    played = services.live.start(services.viewer, INJECTIONS, 600)
    clock.turn(hours * 6.0)
    services.live.tick()
    answer = services.what_if.answer(services.viewer, played, Plan())
    assert np.allclose(answer.quantiles_mg_dl, answer.baseline.quantiles_mg_dl, atol=1e-9)
    assert len(answer.outcomes) == 5
    assert answer.own.outcomes == answer.outcomes
    assert all(outcome.change is None for outcome in answer.own.outcomes)


@pytest.mark.parametrize("person", [PUMP, INJECTIONS])
def test_a_bolus_lowers_and_a_meal_raises_at_every_horizon_after_it(still: Services, person: str) -> None:
    nothing = still.what_if.answer(still.viewer, person, Plan()).median_mg_dl
    bolus = still.what_if.answer(still.viewer, person, Plan(bolus_u=4.0)).median_mg_dl
    meal = still.what_if.answer(still.viewer, person, Plan(carbs_g=50.0)).median_mg_dl
    assert (bolus <= nothing).all()
    assert (bolus < nothing - 5.0).any()
    assert (meal >= nothing).all()
    assert (meal > nothing + 20.0).any()


def test_more_of_an_action_does_more(still: Services) -> None:
    ends = [still.what_if.answer(still.viewer, PUMP, Plan(bolus_u=u)).median_mg_dl[-1] for u in (0.0, 1.0, 2.0, 4.0)]
    peaks = [still.what_if.answer(still.viewer, PUMP, Plan(carbs_g=g)).median_mg_dl.max() for g in (10.0, 30.0, 60.0)]
    assert ends == sorted(ends, reverse=True)
    assert peaks == sorted(peaks)


def test_less_basal_raises_for_a_pump_and_cannot_change_after_an_injection(still: Services) -> None:
    pump = still.what_if.answer(still.viewer, PUMP, Plan(basal_percent=0.0))
    assert pump.basal_can_change
    assert pump.median_mg_dl[-1] > pump.baseline.median_mg_dl[-1]
    injected = still.what_if.answer(still.viewer, INJECTIONS, Plan(basal_percent=0.0))
    assert not injected.basal_can_change
    assert np.allclose(injected.median_mg_dl, injected.baseline.median_mg_dl)


def test_the_preview_is_the_exact_model_on_its_nodes(still: Services) -> None:
    plan = Plan(carbs_g=60.0, bolus_u=4.0)
    answer = still.what_if.answer(still.viewer, PUMP, plan)
    on_node = answer.preview.joint_mg_dl[CARBS_NODES_G.index(60.0), BOLUS_NODES_U.index(4.0)]
    exact = answer.median_mg_dl - answer.baseline.median_mg_dl
    assert np.abs(on_node - exact).max() < 1e-6
    assert answer.largest_gap_mg_dl(list(answer.median_mg_dl + 3.0)) == pytest.approx(3.0)
    assert answer.largest_gap_mg_dl([100.0]) == float("inf")


@pytest.mark.parametrize("view", list(View))
def test_the_preview_knows_what_another_basal_rate_or_exercise_adds_to_the_plan(still: Services, view: View) -> None:
    plan = Plan(carbs_g=40.0, bolus_u=4.0, basal_percent=50.0, exercise_min=30.0, exercise_percent=60.0)
    preview = still.what_if.answer(still.viewer, PUMP, plan, view=view).preview
    for changed, table in (
        (replace(plan, basal_percent=150.0), preview.basal_mg_dl[BASAL_NODES_PERCENT.index(150.0)]),
        (
            replace(plan, exercise_min=90.0, exercise_percent=40.0),
            preview.exercise_mg_dl[EXERCISE_NODES_MIN.index(90.0), EXERCISE_NODES_PERCENT.index(40.0)]
            - preview.exercise_mg_dl[EXERCISE_NODES_MIN.index(30.0), EXERCISE_NODES_PERCENT.index(60.0)],
        ),
    ):
        before = still.what_if.answer(still.viewer, PUMP, plan, view=view).median_mg_dl
        after = still.what_if.answer(still.viewer, PUMP, changed, view=view).median_mg_dl
        inside = (after > 40.0) & (before > 40.0)
        assert inside.any()
        assert np.abs(table - (after - before))[inside].max() < 1e-6


def test_exercise_lowers_glucose_and_more_of_it_lowers_more(still: Services) -> None:
    lowest = [
        still.what_if.answer(still.viewer, PUMP, Plan(exercise_min=minutes)).median_mg_dl.min()
        for minutes in (0.0, 30.0, 60.0)
    ]
    assert lowest == sorted(lowest, reverse=True)
    assert lowest[0] - lowest[-1] > 1.0


@pytest.mark.parametrize("view", list(View))
def test_a_saved_scenario_is_answered_on_the_same_draws_as_the_sliders(still: Services, view: View) -> None:
    plan = Plan(carbs_g=45.0, bolus_u=3.0, bolus_in_min=15.0)
    other = Plan(basal_percent=0.0)
    answer = still.what_if.answer(still.viewer, PUMP, plan, scenarios={"A": plan, "C": other}, view=view)
    assert list(answer.scenarios) == ["A", "C"]
    assert np.array_equal(answer.scenarios["A"].quantiles_mg_dl, answer.quantiles_mg_dl)
    assert answer.scenarios["A"].outcomes == answer.own.outcomes
    alone = still.what_if.answer(still.viewer, PUMP, other, view=view)
    assert alone.own.outcomes == answer.scenarios["C"].outcomes
    for outcome in answer.own.outcomes:
        assert outcome.change is not None
        assert outcome.change.low <= outcome.change.middle <= outcome.change.high
        assert outcome.value.low <= outcome.value.middle <= outcome.value.high


def test_alone_the_twin_looks_eight_hours_ahead_and_its_band_is_only_what_it_does_not_know(still: Services) -> None:
    answer = still.what_if.answer(still.viewer, PUMP, Plan(bolus_u=2.0), view=View.TWIN)
    assert answer.baseline.horizons_min[[0, -1]].tolist() == [5.0, 480.0]
    assert answer.baseline.model_version == ""
    assert (np.diff(answer.quantiles_mg_dl, axis=1) >= 0.0).all()
    assert (answer.median_mg_dl <= answer.baseline.median_mg_dl + 1e-9).all()
    last_mg_dl = answer.history.cgm_mg_dl[-1]
    assert np.abs(answer.baseline.quantiles_mg_dl[0] - last_mg_dl).max() < 15.0


def test_an_open_page_is_answered_from_the_moment_that_it_shows(services: Services, clock: TurnedClock) -> None:
    played = services.live.start(services.viewer, PUMP, 60)
    plan = Plan(carbs_g=30.0)
    first = services.what_if.answer(services.viewer, played, plan)
    clock.turn(10.0)
    services.live.tick()
    assert services.what_if.token(services.viewer, played) != first.token
    again = services.what_if.answer(services.viewer, played, plan, now_min=first.now_min)
    assert np.array_equal(again.median_mg_dl, first.median_mg_dl)
    assert services.what_if.answer(services.viewer, played, plan).now_min == first.now_min + 10.0
    later = services.what_if.answer(services.viewer, played, plan, now_min=first.now_min + 9999.0)
    assert later.now_min == first.now_min + 10.0


def test_another_structure_answers_as_the_average_until_it_is_fitted_to_the_same_days(services: Services) -> None:
    plan = Plan(carbs_g=60.0)
    before = services.what_if.answer(services.viewer, PUMP, plan)
    assert before.second is not None
    assert not before.second.fitted
    assert (before.second.median_mg_dl >= before.baseline.median_mg_dl - 1e-9).all()
    refused = services.second.fit(services.viewer, PUMP, lambda _share, _words: None)
    assert not refused.fitted
    assert "not fitted yet" in refused.sentence
    assert services.twins.fit(services.viewer, PUMP, lambda _share, _words: None).fitted
    assert services.second.fit(services.viewer, PUMP, lambda _share, _words: None).fitted
    after = services.what_if.answer(services.viewer, PUMP, plan)
    assert after.token != before.token
    assert after.second is not None
    assert after.second.fitted
    assert np.abs(after.second.median_mg_dl - after.median_mg_dl).max() > 0.5


def test_the_interval_with_a_plan_is_at_least_as_wide_as_the_twin_is_unsure(still: Services) -> None:
    answer = still.what_if.answer(still.viewer, PUMP, Plan(carbs_g=80.0))
    width = answer.quantiles_mg_dl[:, -1] - answer.quantiles_mg_dl[:, 0]
    own = answer.baseline.quantiles_mg_dl[:, -1] - answer.baseline.quantiles_mg_dl[:, 0]
    assert (np.diff(answer.quantiles_mg_dl, axis=1) >= -1e-9).all()
    assert width[24] > own[24]


@pytest.mark.parametrize(("name", "value"), [("carbs_g", -5.0), ("bolus_u", 40.0), ("exercise_percent", 95.0)])
def test_an_impossible_plan_is_refused_with_the_allowed_range(name: str, value: float) -> None:
    with pytest.raises(OutOfRange, match=f"allowed is {LIMITS[name].low:g} to {LIMITS[name].high:g}"):
        Plan(**{name: value})


def test_without_a_forecast_there_is_no_what_if_but_its_reason(services: Services, clock: TurnedClock) -> None:
    played = services.live.start(services.viewer, PUMP, 1)
    person = services.records.person(services.viewer, played)
    services.records.remove(services.viewer, played)
    services.records.add(services.viewer, person)
    answer = services.what_if.answer(services.viewer, played, Plan())
    assert answer.baseline.status is not ForecastStatus.OK
    assert answer.baseline.reason
    assert answer.outcomes == ()
    assert answer.second is None
    assert services.what_if.answer(services.viewer, played, Plan(carbs_g=20.0), view=View.TWIN).median_mg_dl.size == 0


def test_a_snack_soon_after_a_large_meal_only_ever_raises_and_in_proportion(services: Services) -> None:
    """With one stomach, 1 g would set how fast 90 g still empty: up by tens of mg/dL first, down later."""
    now_min = 1440.0
    cgm = np.arange(0.0, now_min + 1.0, 5.0)
    for minutes_ago in (30.0, 80.0, 120.0):
        eaten = Therapy(meals=(Meal(time_min=now_min - minutes_ago, carbs_g=90.0),))
        history = History(cgm_time_min=cgm, cgm_mg_dl=np.full(cgm.size, 150.0), therapy=eaten)
        forecasts = HybridForecasts(Forecaster.load())
        nothing, one, ten = (
            forecasts.forecast(
                history=history,
                now_min=now_min,
                announced=Therapy(meals=(Meal(time_min=now_min, carbs_g=grams),) if grams else ()),
                twin=None,
            ).median_mg_dl
            for grams in (0.0, 1.0, 10.0)
        )
        assert (one >= nothing - 1e-9).all()
        assert (one - nothing).max() < 5.0
        assert (ten - nothing).max() == pytest.approx(10.0 * (one - nothing).max(), rel=0.3)
