"""A person's own forecaster: adopted only if better, kept by version, undone, never served for other weights."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.twin_core.services.conftest import INJECTIONS, PUMP
from twin_core.domain.errors import UnknownName
from twin_core.domain.forecasts import HORIZONS_MIN
from twin_core.forecast.forecaster import Forecaster
from twin_core.forecast.personal import Personal, Trial
from twin_core.services import personal_forecaster
from twin_core.services.application import Services

HIGHER_MG_DL = 6.0


def quiet(fraction: float, sentence: str) -> None:
    assert 0.0 <= fraction <= 1.0
    assert sentence


def trial(model: Any, *, adopted: bool) -> Trial:
    """A learner that found everything 6 mg/dL too low."""
    coefficients = np.zeros((1 + model.context_scaling.apply(np.zeros((1, 108))).shape[1], len(HORIZONS_MIN)))
    coefficients[0] = HIGHER_MG_DL
    return Trial(
        personal=Personal(coefficients=coefficients),
        adopted=adopted,
        population_rmse=(20.0, 30.0, 40.0),
        personal_rmse=(19.0, 29.0, 39.0),
        rows=1000,
        sentence="On the last days one missed by less.",
    )


@pytest.fixture
def adopted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal_forecaster, "personalised", lambda model, *_: trial(model, adopted=True))


def test_everybody_begins_with_the_shipped_forecaster(services: Services) -> None:
    assert services.forecasters.version(services.viewer, PUMP) == 0
    assert services.forecasters.current(services.viewer, PUMP) is services.forecasters._population
    (only,) = services.forecasters.versions(services.viewer, PUMP)
    assert (only.version, only.in_use) == (0, True)


@pytest.mark.usefixtures("adopted")
def test_what_is_adopted_moves_the_persons_forecasts_and_nobody_elses(services: Services) -> None:
    before = services.today.of(services.viewer, PUMP)
    outcome = services.forecasters.learn(services.viewer, PUMP, quiet)
    assert outcome.adopted, outcome.sentence
    after = services.today.of(services.viewer, PUMP)
    assert after.token != before.token
    assert after.forecast.model_version.endswith("+person-1")
    np.testing.assert_allclose(after.forecast.quantile(0.50) - before.forecast.quantile(0.50), HIGHER_MG_DL)
    assert services.forecasters.version(services.viewer, INJECTIONS) == 0


def test_a_real_trial_is_adopted_exactly_when_its_error_is_smaller(services: Services) -> None:
    outcome = services.forecasters.learn(services.viewer, PUMP, quiet)
    missed = [float(word) for word in outcome.sentence.replace(",", " ").split() if word.replace(".", "").isdigit()]
    own, population = missed[:2]
    assert own != population
    assert outcome.adopted == (own < population)
    assert services.forecasters.version(services.viewer, PUMP) == int(outcome.adopted)


def test_what_is_no_better_on_the_last_week_is_not_adopted(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal_forecaster, "personalised", lambda model, *_: trial(model, adopted=False))
    outcome = services.forecasters.learn(services.viewer, PUMP, quiet)
    assert not outcome.adopted
    assert outcome.sentence.endswith("The forecaster in use stays.")
    assert services.forecasters.version(services.viewer, PUMP) == 0


@pytest.mark.usefixtures("adopted")
def test_every_version_can_be_used_again_and_none_is_lost(services: Services) -> None:
    forecasters = services.forecasters
    forecasters.learn(services.viewer, PUMP, quiet)
    back = forecasters.use(services.viewer, PUMP, 0)
    assert (back.version, back.what) == (2, "as shipped, again")
    assert forecasters.current(services.viewer, PUMP) is forecasters._population
    again = forecasters.use(services.viewer, PUMP, 1)
    assert again.version == 3
    assert "missed" in again.trial
    assert [each.version for each in forecasters.versions(services.viewer, PUMP)] == [3, 2, 1, 0]
    assert [each.in_use for each in forecasters.versions(services.viewer, PUMP)] == [True, False, False, False]
    assert forecasters.use(services.viewer, PUMP, 3).version == 3


@pytest.mark.usefixtures("adopted")
def test_a_version_for_other_weights_is_never_served(services: Services) -> None:
    forecasters = services.forecasters
    forecasters.learn(services.viewer, PUMP, quiet)
    shipped = Forecaster.load()
    forecasters._population = replace(shipped, model=replace(shipped.model, version="stack-other"))
    assert forecasters.current(services.viewer, PUMP) is forecasters._population
    assert not forecasters.versions(services.viewer, PUMP)[0].usable
    with pytest.raises(UnknownName, match="forecaster"):
        forecasters.use(services.viewer, PUMP, 1)


def test_an_unknown_version_is_refused(services: Services) -> None:
    with pytest.raises(UnknownName, match="forecaster"):
        services.forecasters.use(services.viewer, PUMP, 7)
