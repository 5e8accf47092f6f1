"""From histories to a folder of weights: fit, calibrate, test on what no fit has seen, and write down how.

Per person the first 70 % of the readings train, the next 10 % choose the epoch and calibrate the intervals, the
last 20 % are only scored; 4.5 h between the blocks belong to none.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS
from twin_core.domain.history import FloatArray, History
from twin_core.forecast import artifact, conformal, copula, network
from twin_core.forecast.evaluation import (
    TRAIN_STRIDE,
    Sample,
    calibration_sample,
    evaluate,
    training_sample,
)
from twin_core.forecast.features import FEATURE_NAMES, N_STEPS, STEP_MIN, WindowArray, network_inputs
from twin_core.forecast.quantile_lstm import N_HORIZONS, QuantileLstm
from twin_core.forecast.ridge import Ridge
from twin_core.forecast.scaling import Scaling
from twin_core.forecast.targets import CALIBRATION_SHARE, EMBARGO_MIN, TRAIN_SHARE

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
    """Train a forecaster on some persons and write it to a folder.

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
        The histories hold too little for one of the blocks.
    """
    progress(0.0, "reading windows")
    training, calibration = training_sample(histories), calibration_sample(histories)
    model, validation_loss = _fitted(
        training, calibration, seed, epochs, lambda share, text: progress(0.9 * share, text)
    )
    progress(0.9, "calibrating intervals")
    model = calibrated(model, calibration)
    progress(0.95, "scoring the held-out block")
    manifest = {
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "seed": seed,
        "data_sha256": data_hash(histories),
        "persons": len(histories),
        "rows": {"train": len(training.persons), "calibration": len(calibration.persons)},
        "protocol": _protocol(),
        "features": list(FEATURE_NAMES),
        "epochs": len(validation_loss),
        "validation_loss": list(validation_loss),
        "held_out": [asdict(score) for score in evaluate(histories, model)],
    }
    progress(1.0, "done")
    return artifact.save(out_dir, model.arrays(), manifest)


def calibrated(model: QuantileLstm, calibration: Sample) -> QuantileLstm:
    """The model with its intervals and copula fitted to a calibration block."""
    offsets = conformal.interval_offsets(calibration.observed_mg_dl, model.uncalibrated(calibration.windows))
    widened = replace(model, offsets_mg_dl=offsets)
    scores = copula.normal_scores(widened.predict(calibration.windows), calibration.observed_mg_dl)
    return replace(widened, correlation=copula.correlation(scores))


def data_hash(histories: Mapping[str, History]) -> str:
    """SHA-256 over every number of every history, in order of person."""
    digest = hashlib.sha256()
    for person in sorted(histories):
        digest.update(person.encode())
        for numbers in _numbers(histories[person]):
            digest.update(np.ascontiguousarray(numbers, dtype="<f8").tobytes())
    return digest.hexdigest()


def _fitted(
    training: Sample, calibration: Sample, seed: int, epochs: int, progress: Callable[[float, str], None]
) -> tuple[QuantileLstm, tuple[float, ...]]:
    """The network of the best epoch, with intervals as they come out of it, and the loss after each epoch."""
    scaling = Scaling.of(training.windows)
    known, later = scaling.apply(training.windows), scaling.apply(calibration.windows)
    ridge = Ridge.fitted(known, training.change_mg_dl)
    errors = training.change_mg_dl - ridge.change(known)
    scale = np.maximum(np.nanstd(errors, axis=0), LEAST_CORRECTION_SCALE_MG_DL)
    fit = network.fit(
        _rows(known, errors / scale),
        _rows(later, (calibration.change_mg_dl - ridge.change(later)) / scale),
        seed=seed,
        epochs=epochs,
        progress=progress,
    )
    model = QuantileLstm(
        layers=fit.weights,
        scaling=scaling,
        ridge=ridge,
        correction_scale_mg_dl=scale,
        offsets_mg_dl=np.zeros((N_HORIZONS, len(conformal.PAIRS))),
        correlation=np.eye(N_HORIZONS),
        version="unsaved",
    )
    return model, fit.validation_loss


def _rows(scaled_windows: WindowArray, corrections: FloatArray) -> network.Rows:
    return network.Rows(inputs=network_inputs(scaled_windows), corrections=corrections.astype(np.float32))


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
