from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest

from tests.twin_core.services.conftest import INJECTIONS, PUMP
from twin_core.domain.errors import BadInput, OutOfRange
from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS
from twin_core.inference.retelling import CannotRetell
from twin_core.services.application import Services
from twin_core.services.replay import CHANGES, Change, RetoldDay


def a_day(services: Services, person: str) -> date:
    return services.replay.days(services.viewer, person)[3]


def retell(services: Services, person: str, change: Change) -> RetoldDay:
    told = services.replay.retell(services.viewer, person, a_day(services, person), change)
    assert not isinstance(told, CannotRetell), told
    return told


def test_days_run_from_the_first_to_the_last_reading_newest_first(services: Services) -> None:
    days = services.replay.days(services.viewer, PUMP)
    assert len(days) in (14, 15)
    assert all(later - earlier == timedelta(days=1) for later, earlier in pairwise(days))


def test_a_day_without_a_record_is_refused_with_the_days_there_are(services: Services) -> None:
    with pytest.raises(BadInput, match="no record of 1999-01-01"):
        services.replay.day(services.viewer, PUMP, date(1999, 1, 1))


def test_frozen_forecasts_are_those_that_were_made_without_the_future(services: Services) -> None:
    replayed = services.replay.day(services.viewer, PUMP, a_day(services, PUMP))
    origin = 40
    now_min = float(replayed.origins_min[origin])
    known = replayed.history.cgm_time_min <= now_min
    history = replace(
        replayed.history,
        cgm_time_min=replayed.history.cgm_time_min[known],
        cgm_mg_dl=replayed.history.cgm_mg_dl[known],
    )
    forecaster = services.forecasters.current(services.viewer, PUMP)
    followed = forecaster.followed_many(history, replayed.origins_min[: origin + 1])[-1]
    np.testing.assert_array_equal(replayed.quantiles_mg_dl[origin], followed)
    middle = QUANTILE_LEVELS.index(0.50)
    made = forecaster.forecast(history, now_min)
    np.testing.assert_allclose(followed[:, middle], made.quantiles_mg_dl[:, middle], atol=1e-3)
    assert replayed.quantiles_mg_dl.shape == (len(replayed.origins_min), len(HORIZONS_MIN), 7)


def test_scores_count_what_could_be_scored_and_errors_grow_with_the_horizon(services: Services) -> None:
    scores = services.replay.day(services.viewer, PUMP, a_day(services, PUMP)).scores
    assert [score.horizon_min for score in scores] == [30.0, 60.0, 120.0]
    assert all(0 < score.count <= 96 for score in scores)
    errors = [score.rmse_mg_dl for score in scores]
    assert errors == sorted(errors)


@pytest.mark.parametrize("person", [PUMP, INJECTIONS])
def test_no_change_retells_what_was_measured(services: Services, person: str) -> None:
    told = retell(services, person, Change())
    seen = np.isfinite(told.measured_mg_dl)
    for curve in told.retold_mg_dl:
        np.testing.assert_allclose(curve[seen], told.measured_mg_dl[seen], atol=1e-9)
    for outcome in told.outcomes:
        assert outcome.retold == pytest.approx(outcome.measured)


def test_more_insulin_lowers_the_day_and_more_carbohydrate_raises_it(services: Services) -> None:
    bolus, carbs = (retell(services, PUMP, change) for change in (Change(bolus_percent=150), Change(carbs_percent=150)))
    for told, sign in ((bolus, -1.0), (carbs, 1.0)):
        mean = next(outcome for outcome in told.outcomes if outcome.label == "Mean glucose")
        assert sign * (mean.retold - mean.measured) > 2.0
        assert mean.low <= mean.retold <= mean.high
        assert mean.high - mean.low > 0.5


def test_less_basal_raises_for_pump_and_injections(services: Services) -> None:
    for person in (PUMP, INJECTIONS):
        mean = retell(services, person, Change(basal_percent=0.0)).outcomes[-1]
        assert mean.retold > mean.measured + 1.0


@pytest.mark.parametrize("name", CHANGES)
def test_an_impossible_change_is_refused_with_the_range(name: str) -> None:
    with pytest.raises(OutOfRange, match=str(int(CHANGES[name].high))):
        Change(**{name: CHANGES[name].high + 1.0})
