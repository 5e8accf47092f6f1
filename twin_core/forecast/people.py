"""The two questions about people: how well is one served whom training has never met, and what does own data add."""

from collections.abc import Iterator, Mapping

import numpy as np

from twin_core.domain.forecasts import HORIZONS_MIN
from twin_core.domain.history import History
from twin_core.forecast.evaluation import (
    PERSON_HORIZONS_MIN,
    Sample,
    calibration_sample,
    sample_of,
    training_sample,
)
from twin_core.forecast.model import Model
from twin_core.forecast.personal import Personal
from twin_core.forecast.personal import fitted as fitted_personal
from twin_core.forecast.report import LeftOutRow, PersonalRow
from twin_core.forecast.targets import blocks
from twin_core.forecast.training import fitted
from twin_core.metrics import forecast_scores

LEFT_OUT_STRIDE = 2
"""Of the training sample every second row again: eleven trainings must end some time."""
_PERSONAL_STRIDE = 2


def left_out_rows(histories: Mapping[str, History], *, seed: int, epochs: int) -> Iterator[LeftOutRow]:
    """Every person's test block by a model trained on all others, one person after another."""
    training, calibration = training_sample(histories), calibration_sample(histories)
    for person in histories:
        known = training.rows(np.flatnonzero(training.persons != person)[::LEFT_OUT_STRIDE])
        later = calibration.rows(np.flatnonzero(calibration.persons != person))
        model, _ = fitted(known, later, seed=seed, epochs=epochs, progress=lambda _share, _sentence: None)
        test = sample_of({person: histories[person]}, {person: blocks(histories[person]).test})
        mean = model.predict(test.inputs).mean_mg_dl
        for horizon in PERSON_HORIZONS_MIN:
            place = HORIZONS_MIN.index(horizon)
            seen = test.observed_mg_dl[:, place]
            yield LeftOutRow(
                person=person,
                horizon_min=horizon,
                rmse=forecast_scores.rmse(seen, mean[:, place]),
                persistence_rmse=forecast_scores.rmse(seen, test.now_mg_dl),
            )


def personal_rows(histories: Mapping[str, History], model: Model) -> Iterator[PersonalRow]:
    """Every person's test block before and after personalisation.

    The learner reads the training block and is tried on the calibration block; where it does not help there the
    population's forecast stays, and both errors are the same.
    """
    for person, history in histories.items():
        parts = blocks(history)
        trial_from, test_from = float(parts.calibration[0]), float(parts.test[0])
        trying, test = (sample_of({person: history}, {person: each}) for each in (parts.calibration, parts.test))
        first = fitted_personal(model, history, parts.train[::_PERSONAL_STRIDE], trial_from)
        before, after = _errors(trying, model, None), _errors(trying, model, first)
        adopted = bool(np.mean(after) < np.mean(before))
        everything = np.concatenate([parts.train, parts.calibration])[::_PERSONAL_STRIDE]
        personal = fitted_personal(model, history, everything, test_from) if adopted else None
        for horizon, population, own in zip(
            PERSON_HORIZONS_MIN, _errors(test, model, None), _errors(test, model, personal), strict=True
        ):
            yield PersonalRow(
                person=person, horizon_min=horizon, population_rmse=population, personal_rmse=own, adopted=adopted
            )


def _errors(sample: Sample, model: Model, personal: Personal | None) -> tuple[float, ...]:
    said = model.predict(sample.inputs)
    if personal is not None:
        said = personal.applied(model, sample.inputs, said)
    return tuple(
        forecast_scores.rmse(sample.observed_mg_dl[:, place], said.mean_mg_dl[:, place])
        for place in (HORIZONS_MIN.index(horizon) for horizon in PERSON_HORIZONS_MIN)
    )
