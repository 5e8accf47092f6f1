import numpy as np
import pytest

from tests.twin_core.services.conftest import INJECTIONS, PUMP
from twin_core.domain.errors import UnknownName
from twin_core.domain.forecasts import HORIZONS_MIN
from twin_core.forecast.conformal import PAIRS
from twin_core.forecast.forecaster import Forecaster
from twin_core.services.application import Services
from twin_core.services.personal_forecaster import PersonalForecasters, Trial, _better, until, with_intervals

TOO_NARROW = np.full((len(HORIZONS_MIN), len(PAIRS)), -25.0)


def narrow(services: Services) -> PersonalForecasters:
    """A shipped forecaster whose intervals are far too narrow for anybody."""
    own = services.forecasters
    own._population = with_intervals(Forecaster.load(), TOO_NARROW.tolist(), "too-narrow")
    return own


def quiet(fraction: float, sentence: str) -> None:
    assert 0.0 <= fraction <= 1.0
    assert sentence


def test_everybody_begins_with_the_shipped_forecaster(services: Services) -> None:
    assert services.forecasters.version(services.viewer, PUMP) == 0
    assert services.forecasters.current(services.viewer, PUMP) is services.forecasters._population
    (only,) = services.forecasters.versions(services.viewer, PUMP)
    assert (only.version, only.in_use) == (0, True)


def test_intervals_that_do_not_fit_a_person_are_learned_and_adopted(services: Services) -> None:
    forecasters = narrow(services)
    before = services.today.of(services.viewer, PUMP)
    outcome = forecasters.learn(services.viewer, PUMP, quiet)
    assert outcome.adopted, outcome.sentence
    own = forecasters.current(services.viewer, PUMP)
    assert own.model_version.endswith("+person-1")
    assert own.model.offsets_mg_dl.mean() > forecasters._population.model.offsets_mg_dl.mean() + 10.0
    after = services.today.of(services.viewer, PUMP)
    assert after.token != before.token
    assert after.forecast.model_version == own.model_version
    assert forecasters.version(services.viewer, INJECTIONS) == 0


def test_what_is_no_better_on_the_last_week_is_not_adopted(services: Services) -> None:
    outcome = services.forecasters.learn(services.viewer, PUMP, quiet)
    assert not outcome.adopted, outcome.sentence
    assert "not adopted" in outcome.sentence
    assert services.forecasters.version(services.viewer, PUMP) == 0


def test_every_version_can_be_used_again_and_none_is_lost(services: Services) -> None:
    forecasters = narrow(services)
    forecasters.learn(services.viewer, PUMP, quiet)
    back = forecasters.use(services.viewer, PUMP, 0)
    assert (back.version, back.what) == (2, "as shipped, again")
    assert forecasters.current(services.viewer, PUMP) is forecasters._population
    again = forecasters.use(services.viewer, PUMP, 1)
    assert again.version == 3
    assert "loss" in again.trial
    assert [each.version for each in forecasters.versions(services.viewer, PUMP)] == [3, 2, 1, 0]
    assert [each.in_use for each in forecasters.versions(services.viewer, PUMP)] == [True, False, False, False]
    assert forecasters.use(services.viewer, PUMP, 3).version == 3


def test_a_version_for_other_weights_is_never_served(services: Services) -> None:
    forecasters = narrow(services)
    forecasters.learn(services.viewer, PUMP, quiet)
    forecasters._population = Forecaster.load()
    assert forecasters.current(services.viewer, PUMP) is forecasters._population
    assert not forecasters.versions(services.viewer, PUMP)[0].usable
    with pytest.raises(UnknownName, match="forecaster"):
        forecasters.use(services.viewer, PUMP, 1)


def test_a_lower_loss_or_truer_intervals_at_the_same_loss_are_better_and_nothing_else() -> None:
    before = Trial(loss_mg_dl=10.0, inside_90=0.84)
    assert _better(Trial(loss_mg_dl=9.8, inside_90=0.84), before)
    assert _better(Trial(loss_mg_dl=10.0, inside_90=0.89), before)
    assert not _better(Trial(loss_mg_dl=10.2, inside_90=0.90), before)
    assert not _better(Trial(loss_mg_dl=9.99, inside_90=0.845), before)
    assert not _better(Trial(loss_mg_dl=float("nan"), inside_90=0.90), before)


def test_an_unknown_version_is_refused(services: Services) -> None:
    with pytest.raises(UnknownName, match="forecaster"):
        services.forecasters.use(services.viewer, PUMP, 7)


def test_learning_never_sees_the_week_of_the_trial(services: Services) -> None:
    history = services.records.history(services.viewer, PUMP, 0.0, 1e9)
    middle = float(np.median(history.cgm_time_min))
    known = until(history, middle)
    assert known.cgm_time_min.max() < middle
    assert known.cgm_mg_dl.size < history.cgm_mg_dl.size
