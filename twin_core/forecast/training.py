"""From histories to a folder of weights: fit, calibrate, test on what no fit has seen, and write down how.

Per person the first 70 % of the readings train, the next 10 % choose the epoch, the shares and the alarm's threshold
and calibrate the intervals, the last 20 % are only scored; 4.5 h between the blocks belong to none.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS
from twin_core.domain.history import FloatArray, History
from twin_core.forecast import alarms, artifact, boosting, conformal, copula, network
from twin_core.forecast.context import CONTEXT_NAMES, Inputs
from twin_core.forecast.damped_trend import DampedTrend
from twin_core.forecast.evaluation import (
    TRAIN_STRIDE,
    Sample,
    calibration_sample,
    training_sample,
)
from twin_core.forecast.features import FEATURE_NAMES, N_STEPS, STEP_MIN, network_inputs
from twin_core.forecast.model import KNOTS_MIN, Model, Parts
from twin_core.forecast.report import report_of
from twin_core.forecast.ridge import ContextScaling, Ridge
from twin_core.forecast.scaling import Scaling
from twin_core.forecast.targets import CALIBRATION_SHARE, EMBARGO_MIN, TRAIN_SHARE, blocks
from twin_core.forecast.trees import Trees, known

ALARM_THRESHOLDS = tuple(round(0.05 + 0.01 * step, 2) for step in range(30))
ALARM_SENSITIVITY, ALARM_LEAD_MIN = 0.95, 27.0
"""What the alarm must reach on the calibration block: above the targets of 0.90 and 25 min, since new weeks differ."""
LEAST_CORRECTION_SCALE_MG_DL = 1.0
"""So that a record without change can be trained on."""


def train(
    histories: Mapping[str, History],
    *,
    seed: int,
    epochs: int,
    out_dir: Path,
    command: str,
    progress: Callable[[float, str], None],
) -> dict[str, Any]:
    """Train a forecaster on some persons, test it on what it has not seen, and write both to a folder.

    Parameters
    ----------
    histories
        By person.
    command
        What a reader would type to do the same; kept in the manifest.
    progress
        Called with the share done and a sentence; it may raise to stop.

    Returns
    -------
    The manifest as written.

    Raises
    ------
    BadInput
        The histories hold too little for one of the blocks, or lightgbm is not installed.
    """
    progress(0.0, "reading windows")
    training, calibration = training_sample(histories), calibration_sample(histories)
    model, validation_loss = fitted(
        training, calibration, seed=seed, epochs=epochs, progress=lambda share, text: progress(0.9 * share, text)
    )
    progress(0.9, "setting the alarm")
    model = alarming(model, histories, calibration)
    damped = DampedTrend.fitted(training.inputs, training.change_mg_dl)
    manifest = {
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "seed": seed,
        "data_sha256": data_hash(histories),
        "persons": len(histories),
        "rows": {"train": len(training.persons), "calibration": len(calibration.persons)},
        "seen_until_min": {person: float(blocks(h).test[0]) for person, h in histories.items() if blocks(h).test.size},
        "protocol": _protocol(),
        "features": [*FEATURE_NAMES, *CONTEXT_NAMES],
        "damped_trend_fading_min": damped.fading_min,
        "epochs": len(validation_loss),
        "validation_loss": list(validation_loss),
    }
    written = artifact.save(out_dir, model.arrays(), manifest)
    progress(0.95, "scoring the held-out block")
    report = report_of(histories, replace(model, version=written["model_version"]), damped, written["rows"], seed)
    report.save(out_dir)
    progress(1.0, "done")
    return written


def alarming(model: Model, histories: Mapping[str, History], calibration: Sample) -> Model:
    """The model with the highest alarm threshold that foresees enough of the calibration block's events."""
    inputs, now = calibration.inputs, calibration.now_mg_dl
    parts = model.parts(inputs)
    low = model.low_within(parts, model.joined(inputs, parts).quantiles_mg_dl)[:, 0]
    scored = [
        (threshold, alarms.score("", histories, calibration.persons, calibration.origins_min, now, low >= threshold))
        for threshold in ALARM_THRESHOLDS
    ]
    return replace(model, alarm_threshold=alarms.threshold_for(ALARM_SENSITIVITY, ALARM_LEAD_MIN, scored))


def calibrated(model: Model, calibration: Sample) -> Model:
    """The model with shares, intervals, copula and alarm threshold fitted to a calibration block."""
    inputs, seen = calibration.inputs, calibration.observed_mg_dl
    parts = model.parts(inputs)
    shared = replace(model, tree_share=_tree_share(calibration.change_mg_dl, parts))
    offsets = conformal.interval_offsets(seen, shared.uncalibrated(inputs, parts)[0])
    wide = replace(shared, offsets_mg_dl=offsets)
    scores = copula.normal_scores(wide.joined(inputs, parts).quantiles_mg_dl, seen)
    return replace(wide, correlation=copula.correlation(scores))


def _tree_share(change_mg_dl: FloatArray, parts: Parts) -> FloatArray:
    """The share of the trees that leaves the least squared error at each knot, straight lines between them."""
    share = []
    for place in (HORIZONS_MIN.index(knot) for knot in KNOTS_MIN):
        exists = np.isfinite(change_mg_dl[:, place])
        apart = (parts.trees - parts.network)[exists, place]
        missed = (change_mg_dl - parts.network)[exists, place]
        best = float(apart @ missed / max(float(apart @ apart), 1e-9))
        share.append(np.clip(best, 0.0, 1.0))
    return np.asarray(np.interp(HORIZONS_MIN, KNOTS_MIN, share))


def data_hash(histories: Mapping[str, History]) -> str:
    """SHA-256 over every number of every history, in order of person."""
    digest = hashlib.sha256()
    for person in sorted(histories):
        digest.update(person.encode())
        for numbers in _numbers(histories[person]):
            digest.update(np.ascontiguousarray(numbers, dtype="<f8").tobytes())
    return digest.hexdigest()


def fitted(
    training: Sample, calibration: Sample, *, seed: int, epochs: int, progress: Callable[[float, str], None]
) -> tuple[Model, tuple[float, ...]]:
    """The model with the network of the best epoch, calibrated, and the network's loss after each epoch."""
    linear = _linear(training)
    progress(0.05, "fitting trees")
    trees = _trees(training, linear, seed)
    errors = training.change_mg_dl - linear.change(training.inputs)
    scale = np.maximum(np.nanstd(errors, axis=0), LEAST_CORRECTION_SCALE_MG_DL)
    fit = network.fit(
        linear.network_rows(training, scale),
        linear.network_rows(calibration, scale),
        seed=seed,
        epochs=epochs,
        progress=lambda share, text: progress(0.3 + 0.65 * share, text),
    )
    model = Model(
        layers=fit.weights,
        window_scaling=linear.window_scaling,
        context_scaling=linear.context_scaling,
        ridge=linear.ridge,
        trees=trees,
        correction_scale_mg_dl=scale,
        tree_share=np.full(len(HORIZONS_MIN), 0.5),
        offsets_mg_dl=np.zeros((len(HORIZONS_MIN), len(conformal.PAIRS))),
        correlation=np.eye(len(HORIZONS_MIN)),
        alarm_threshold=1.0,
        version="unsaved",
    )
    progress(0.96, "calibrating intervals")
    return calibrated(model, calibration), fit.validation_loss


@dataclass(frozen=True, kw_only=True)
class _Linear:
    """The linear forecast with the scalings that it reads by."""

    window_scaling: Scaling
    context_scaling: ContextScaling
    ridge: Ridge

    def change(self, inputs: Inputs) -> FloatArray:
        """Forecast change [mg/dL], shape `(n, n_horizons)`."""
        return self.ridge.change(self.context_scaling.apply(inputs.context), inputs)

    def network_rows(self, sample: Sample, scale_mg_dl: FloatArray) -> network.Rows:
        """What the network is to learn: the linear forecast's errors in units of their spread."""
        errors = (sample.change_mg_dl - self.change(sample.inputs)) / scale_mg_dl
        return network.Rows(
            inputs=network_inputs(self.window_scaling.apply(sample.inputs.windows)),
            context=self.context_scaling.apply(sample.inputs.context),
            corrections=errors.astype(np.float32),
        )


def _linear(training: Sample) -> _Linear:
    scaling = ContextScaling.of(training.inputs.context)
    ridge = Ridge.fitted(scaling.apply(training.inputs.context), training.inputs, training.change_mg_dl)
    return _Linear(window_scaling=Scaling.of(training.inputs.windows), context_scaling=scaling, ridge=ridge)


def _trees(training: Sample, linear: _Linear, seed: int) -> Trees:
    """Corrections of the linear forecast at the knots, then the log-odds of a low."""
    inputs = known(training.inputs.context)
    errors = training.change_mg_dl - linear.change(training.inputs)
    knots = [boosting.fit(inputs, errors[:, HORIZONS_MIN.index(knot)], objective="l2", seed=seed) for knot in KNOTS_MIN]
    lows = [boosting.fit(inputs, low, objective="binary", seed=seed) for low in training.low_within.T]
    return Trees.of_boosters([*knots, *lows])


def _numbers(history: History) -> tuple[FloatArray, ...]:
    therapy = history.therapy
    return (
        history.cgm_time_min,
        history.cgm_mg_dl,
        np.array([(m.time_min, m.carbs_g, m.duration_min) for m in therapy.meals]),
        np.array([(b.time_min, b.dose_u) for b in therapy.boluses]),
        np.array([(b.time_min, b.rate_u_h) for b in therapy.basal]),
        np.array([(d.time_min, d.dose_u) for d in therapy.long_acting]),
        history.activity_time_min,
        history.activity_steps,
        np.array([history.utc_offset_min]),
    )


def _protocol() -> dict[str, Any]:
    return {
        "train_share": TRAIN_SHARE,
        "calibration_share": CALIBRATION_SHARE,
        "embargo_min": EMBARGO_MIN,
        "train_stride": TRAIN_STRIDE,
        "window_min": N_STEPS * STEP_MIN,
        "horizons_min": list(HORIZONS_MIN),
        "quantile_levels": list(QUANTILE_LEVELS),
    }
