"""Boosted trees of each quantile as a rival of the shipped intervals: same rows, same inputs, same treatment after.

The shipped spread is the network's. Here LightGBM fits every quantile of what the linear forecast misses, at 30, 60 and
120 min; the quantiles are put in order, widened on the calibration block and made to follow each person, as the shipped
ones are. Both are scored on the last fifth of each record.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from twin_core.bootstrap import read_folder
from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS
from twin_core.domain.history import FloatArray
from twin_core.forecast import adaptive, artifact, boosting, conformal, evaluation
from twin_core.forecast.damped_trend import DampedTrend
from twin_core.forecast.evaluation import Sample
from twin_core.forecast.model import Model
from twin_core.forecast.trees import Trees, known
from twin_core.metrics import forecast_scores
from validation.line import Line

AT_MIN = (30.0, 60.0, 120.0)
SEED = 1
_PLACES = [HORIZONS_MIN.index(horizon) for horizon in AT_MIN]


def lines(data: Path) -> Iterator[Line]:
    """Pinball loss and 90 % interval of both at each horizon."""
    histories = read_folder(data).histories
    model, manifest = Model.load(artifact.SHIPPED), artifact.manifest_of(artifact.SHIPPED)
    trees = _fitted(model, evaluation.training_sample(histories))
    calibration = evaluation.calibration_sample(histories)
    offsets = conformal.interval_offsets(calibration.observed_mg_dl[:, _PLACES], _quantiles(model, trees, calibration))
    held = evaluation.held_out(histories, model, DampedTrend(fading_min=float(manifest["damped_trend_fading_min"])))
    shipped = held.shipped.quantiles_mg_dl
    assert shipped is not None
    rival = _followed(model, trees, offsets, calibration, held.sample)
    for place, horizon in enumerate(AT_MIN):
        seen = held.sample.observed_mg_dl[:, _PLACES[place]]
        ours, theirs = _loss(seen, shipped[:, _PLACES[place]]), _loss(seen, rival[:, place])
        yield Line(
            what=f"{horizon:.0f} min: pinball loss, shipped / boosted quantiles [mg/dL]",
            seen=f"{ours:.3f} / {theirs:.3f}",
        )
        yield Line(
            what=f"{horizon:.0f} min: boosted 90 % interval holds; mean width [mg/dL]",
            seen=f"{forecast_scores.coverage(seen, rival[:, place, 0], rival[:, place, -1]):.3f}; "
            f"{forecast_scores.width(seen, rival[:, place, 0], rival[:, place, -1]):.0f}",
        )


def _fitted(model: Model, training: Sample) -> Trees:
    inputs = known(training.inputs.context)
    linear = model.ridge.change(model.context_scaling.apply(training.inputs.context), training.inputs)
    missed = training.change_mg_dl - linear
    return Trees.of_boosters(
        [
            boosting.fit(inputs, missed[:, place], objective="quantile", seed=SEED, level=level)
            for place in _PLACES
            for level in QUANTILE_LEVELS
        ]
    )


def _quantiles(model: Model, trees: Trees, sample: Sample) -> FloatArray:
    """In order, not yet widened, shape `(n, len(AT_MIN), n_levels)`."""
    linear = model.ridge.change(model.context_scaling.apply(sample.inputs.context), sample.inputs)[:, _PLACES]
    added = trees.predict(known(sample.inputs.context)).reshape(-1, len(AT_MIN), len(QUANTILE_LEVELS))
    return np.sort(sample.now_mg_dl[:, None, None] + linear[..., None] + added, axis=-1)


def _followed(model: Model, trees: Trees, offsets: FloatArray, before: Sample, sample: Sample) -> FloatArray:
    """The quantiles of a sample, widened by what each person's readings asked for since the calibration block."""
    first, then = (conformal.widened(_quantiles(model, trees, each), offsets) for each in (before, sample))
    out = then.copy()
    for person in np.unique(sample.persons):
        own, earlier = sample.persons == person, before.persons == person
        origins = np.concatenate([before.origins_min[earlier], sample.origins_min[own]])
        seen = np.concatenate([before.observed_mg_dl[earlier], sample.observed_mg_dl[own]])
        # `adaptive` wants every horizon: those between are left unknown
        said = np.full((*seen.shape, len(QUANTILE_LEVELS)), np.nan)
        said[:, _PLACES] = np.concatenate([first[earlier], then[own]])
        factors = adaptive.factors_over_time(origins, adaptive.scores(seen, said))[-own.sum() :, _PLACES]
        out[own] = adaptive.widened_by(then[own], factors)
    return out


def _loss(seen: FloatArray, quantiles: FloatArray) -> float:
    return forecast_scores.pinball(seen, quantiles, QUANTILE_LEVELS)
