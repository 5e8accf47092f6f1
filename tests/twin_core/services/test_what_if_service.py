import numpy as np
import pytest

from tests.twin_core.services.conftest import INJECTIONS, PUMP, TurnedClock
from twin_core.domain.errors import OutOfRange
from twin_core.domain.forecasts import ForecastStatus
from twin_core.domain.history import History, Meal, Therapy
from twin_core.forecast.forecaster import Forecaster
from twin_core.services.application import Services
from twin_core.services.simulation import HybridForecasts
from twin_core.services.what_if import BOLUS_NODES_U, CARBS_NODES_G, LIMITS, Plan


@pytest.mark.parametrize("hours", [0, 26, 60, 75])
def test_no_plan_changes_nothing(services: Services, clock: TurnedClock, hours: int) -> None:
    played = services.live.start(services.viewer, INJECTIONS, 600)
    clock.turn(hours * 6.0)
    services.live.tick()
    answer = services.what_if.answer(services.viewer, played, Plan())
    assert np.allclose(answer.quantiles_mg_dl, answer.baseline.quantiles_mg_dl, atol=1e-9)
    assert len(answer.outcomes) == 5
    for outcome in answer.outcomes:
        assert outcome.without == outcome.with_plan
        assert (outcome.change, outcome.change_low, outcome.change_high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("person", [PUMP, INJECTIONS])
def test_a_bolus_lowers_and_a_meal_raises_at_every_horizon_after_it(services: Services, person: str) -> None:
    nothing = services.what_if.answer(services.viewer, person, Plan()).median_mg_dl
    bolus = services.what_if.answer(services.viewer, person, Plan(bolus_u=4.0)).median_mg_dl
    meal = services.what_if.answer(services.viewer, person, Plan(carbs_g=50.0)).median_mg_dl
    assert (bolus <= nothing).all()
    assert (bolus < nothing - 5.0).any()
    assert (meal >= nothing).all()
    assert (meal > nothing + 20.0).any()


def test_more_of_an_action_does_more(services: Services) -> None:
    ends = [
        services.what_if.answer(services.viewer, PUMP, Plan(bolus_u=u)).median_mg_dl[-1] for u in (0.0, 1.0, 2.0, 4.0)
    ]
    peaks = [
        services.what_if.answer(services.viewer, PUMP, Plan(carbs_g=g)).median_mg_dl.max() for g in (10.0, 30.0, 60.0)
    ]
    assert ends == sorted(ends, reverse=True)
    assert peaks == sorted(peaks)


def test_less_basal_raises_for_a_pump_and_cannot_change_after_an_injection(services: Services) -> None:
    pump = services.what_if.answer(services.viewer, PUMP, Plan(basal_percent=0.0))
    assert pump.basal_can_change
    assert pump.median_mg_dl[-1] > pump.baseline.median_mg_dl[-1]
    injected = services.what_if.answer(services.viewer, INJECTIONS, Plan(basal_percent=0.0))
    assert not injected.basal_can_change
    assert np.allclose(injected.median_mg_dl, injected.baseline.median_mg_dl)


def test_the_preview_is_the_exact_model_on_its_nodes(services: Services) -> None:
    plan = Plan(carbs_g=60.0, bolus_u=4.0)
    answer = services.what_if.answer(services.viewer, PUMP, plan)
    on_node = answer.preview.joint_mg_dl[CARBS_NODES_G.index(60.0), BOLUS_NODES_U.index(4.0)]
    exact = answer.median_mg_dl - answer.baseline.median_mg_dl
    assert np.abs(on_node - exact).max() < 1e-6
    assert answer.largest_gap_mg_dl(list(answer.median_mg_dl + 3.0)) == pytest.approx(3.0)


def test_the_interval_with_a_plan_is_at_least_as_wide_as_the_twin_is_unsure(services: Services) -> None:
    answer = services.what_if.answer(services.viewer, PUMP, Plan(carbs_g=80.0))
    width = answer.quantiles_mg_dl[:, -1] - answer.quantiles_mg_dl[:, 0]
    own = answer.baseline.quantiles_mg_dl[:, -1] - answer.baseline.quantiles_mg_dl[:, 0]
    assert (np.diff(answer.quantiles_mg_dl, axis=1) >= -1e-9).all()
    assert width[24] > own[24]


@pytest.mark.parametrize(("name", "value"), [("carbs_g", -5.0), ("bolus_u", 40.0), ("basal_percent", 300.0)])
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
