from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from tests.twin_core.services.conftest import PUMP
from twin_core.domain.forecasts import HORIZONS_MIN
from twin_core.metrics.error_grid import Grid
from twin_core.services.application import Services
from twin_core.services.error_grids import grid_view
from twin_core.services.forecast_watch import NORMS, DailyNorm, DriftAction, WatchedDay, drift_of, watched_days
from twin_core.services.frozen_forecasts import Scored, watched_horizon
from twin_core.services.model_card import PERSISTENCE, model_card

ZONE = ZoneInfo("Europe/London")
RATIO = NORMS[DailyNorm.ERROR_RATIO][0]


def days(count: int = 14, *, ratio: float = RATIO, inside_90: float = 0.90, bias: float = 0.0) -> list[WatchedDay]:
    first = date(2026, 1, 1)
    return [
        WatchedDay(day=first + timedelta(days=n), count=90, skill=1.0 - ratio, inside_90=inside_90, bias_mg_dl=bias)
        for n in range(count)
    ]


def rows(spread: float = 20.0, shift: float = 0.0) -> Scored:
    """Two days of a walk, forecast as no change with normal bands that are right when `spread` is 20 at 60 min."""
    rng = np.random.default_rng(7)
    origins = 29_000_160.0 + np.arange(0.0, 2880.0, 15.0)
    now = 140.0 + 30.0 * np.sin(np.arange(origins.size) / 20.0)
    root = np.sqrt(np.array(HORIZONS_MIN) / 60.0)
    points = np.array([-1.6449, -1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.6449])
    return Scored(
        origins_min=origins,
        now_mg_dl=now,
        observed_mg_dl=now[:, None] + 20.0 * root * rng.normal(size=(origins.size, len(HORIZONS_MIN))),
        quantiles_mg_dl=now[:, None, None] + shift + spread * root[:, None] * points,
    )


def test_days_as_expected_need_nothing() -> None:
    state = drift_of(days())
    assert (state.action, state.reasons) == (DriftAction.NONE, ())


@pytest.mark.parametrize(
    ("changed", "action", "word"),
    [
        ({"inside_90": 0.75}, DriftAction.RECALIBRATE, "too narrow"),
        ({"inside_90": 1.0}, DriftAction.RECALIBRATE, "too wide"),
        ({"bias": 12.0}, DriftAction.REFIT, "too high"),
        ({"bias": -12.0}, DriftAction.REFIT, "too low"),
        ({"ratio": 1.2}, DriftAction.RETRAIN, "120 %"),
    ],
)
def test_each_drift_has_its_action_and_says_why(changed: dict[str, float], action: DriftAction, word: str) -> None:
    state = drift_of(days(**changed))
    assert state.action is action
    assert word in state.reasons[0]


def test_the_heaviest_action_wins_and_every_reason_is_told() -> None:
    state = drift_of(days(inside_90=0.7, bias=20.0))
    assert state.action is DriftAction.REFIT
    assert len(state.reasons) == 2


def test_one_bad_day_is_no_drift() -> None:
    usual = days()
    usual[6] = replace(usual[6], skill=-0.1, inside_90=0.75, bias_mg_dl=20.0)
    assert drift_of(usual).action is DriftAction.NONE


def test_few_days_say_nothing() -> None:
    state = drift_of(days(4, bias=50.0))
    assert state.action is DriftAction.UNKNOWN
    assert "4 whole days are too few" in state.sentence


def test_right_bands_cover_what_they_say_and_narrow_ones_do_not() -> None:
    right, narrow = watched_horizon(rows(), 60.0), watched_horizon(rows(8.0), 60.0)
    assert right is not None
    assert narrow is not None
    assert [right.coverage[p] for p in (50, 80, 90)] == pytest.approx([0.5, 0.8, 0.9], abs=0.08)
    assert narrow.coverage[90] < 0.6
    assert narrow.pit[0] > 3 * right.pit[0]
    assert right.crps_mg_dl < narrow.crps_mg_dl
    assert sum(right.count_by_range.values()) == right.count


def test_a_forecast_of_no_change_has_no_skill_and_a_shifted_one_its_bias() -> None:
    assert [day.skill for day in watched_days(rows(), ZONE)] == pytest.approx([0.0, 0.0])
    shifted = watched_horizon(rows(shift=15.0), 60.0)
    assert shifted is not None
    assert shifted.bias_mg_dl == pytest.approx(15.0, abs=5.0)


def test_withheld_forecasts_and_missing_readings_are_not_scored() -> None:
    made = rows()
    made.quantiles_mg_dl[:50] = np.nan
    made.observed_mg_dl[50:60] = np.nan
    scored = watched_horizon(made, 60.0)
    assert scored is not None
    assert scored.count == made.origins_min.size - 60
    made.quantiles_mg_dl[:] = np.nan
    assert watched_horizon(made, 60.0) is None
    assert watched_days(made, ZONE) == ()


def test_a_persons_last_14_days_are_watched_with_forecasts_made_then(services: Services) -> None:
    watch = services.forecast_watch.of(services.viewer, PUMP)
    assert [each.horizon_min for each in watch.horizons] == [30.0, 60.0, 120.0]
    assert 7 <= len(watch.days) <= 15
    assert watch.sampling_min == pytest.approx(5.0, abs=0.5)
    assert sum(watch.expected_pit) == pytest.approx(1.0)
    for each in watch.horizons:
        assert sum(each.pit) == pytest.approx(1.0)
        assert 0.5 < each.coverage[90] <= 1.0
        assert each.coverage[50] < each.coverage[80] < each.coverage[90]
        assert each.rmse_mg_dl < each.persistence_rmse_mg_dl
    assert services.forecast_watch.of(services.viewer, PUMP) is watch


def test_the_coverage_watched_is_that_of_the_sentence_next_to_the_band(services: Services) -> None:
    """The two look at other origins of the same days, so that they agree only nearly."""
    watch = services.forecast_watch.of(services.viewer, PUMP)
    said = services.today.of(services.viewer, PUMP).coverage
    assert said is not None
    assert watch.horizons[1].coverage[90] == pytest.approx(said.share_90, abs=0.03)


def test_pairs_without_a_reading_are_left_out_of_a_grid() -> None:
    view = grid_view(Grid.DTS, 30.0, np.array([100.0, np.nan]), np.array([100.0, 100.0]))
    assert view.reference_mg_dl.size == 1
    assert view.percent["A"] == 100.0


def test_the_card_says_what_the_manifest_says_and_every_model_is_scored_on_the_same_rows() -> None:
    card = model_card()
    assert card.models[-1] == PERSISTENCE
    for horizon in card.horizons_min:
        counts = {card.score(name, horizon).count for name in card.models}
        assert len(counts) == 1
        assert card.score(card.models[0], horizon).rmse < card.score(PERSISTENCE, horizon).rmse
    assert set(card.of(card.models[0])[0].coverage or {}) == {50, 80, 90}
