"""Personalisation: learns what the population misses, is adopted only where it helps, and can be stopped."""

import numpy as np
import pytest

from twin_core.domain.errors import BadInput
from twin_core.forecast import personal
from twin_core.forecast.personal import personalised


def test_a_habit_that_the_population_cannot_know_is_learned(shipped, record):
    history = record(days=14)
    now = float(history.cgm_time_min[-1])
    trial = personalised(shipped.model, history, now)
    assert trial.adopted == (np.mean(trial.personal_rmse) < np.mean(trial.population_rmse))
    assert trial.adopted  # the made-up record swings in a way that no person does
    assert "is adopted" in trial.sentence


def test_a_learner_that_does_not_help_on_the_last_week_is_not_adopted(shipped, record, monkeypatch):
    far_too_high = np.zeros((1 + shipped.model.context_scaling.width, 48))
    far_too_high[0] = 90.0
    monkeypatch.setattr(personal, "fitted", lambda *_: personal.Personal(coefficients=far_too_high))
    history = record(days=14)
    trial = personal.personalised(shipped.model, history, float(history.cgm_time_min[-1]))
    assert not trial.adopted
    assert "is not adopted" in trial.sentence


def test_less_than_three_days_are_refused_with_what_there_is(shipped, record):
    history = record(days=3)
    with pytest.raises(BadInput, match="needs 3 days"):
        personalised(shipped.model, history, float(history.cgm_time_min[500]))


def test_it_reports_progress_and_can_be_stopped(shipped, record):
    history, told = record(days=8), []
    personalised(shipped.model, history, float(history.cgm_time_min[-1]), lambda share, _: told.append(share))
    assert told == sorted(told)

    def stop(share: float, sentence: str) -> None:
        raise InterruptedError(sentence)

    with pytest.raises(InterruptedError):
        personalised(shipped.model, history, float(history.cgm_time_min[-1]), stop)
