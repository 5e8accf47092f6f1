"""The trained model without tensorflow: a linear forecast, the network that corrects it, calibrated intervals.

References
----------
[1] Hochreiter & Schmidhuber, Long Short-Term Memory, Neural Computation 9:1735 (1997), with forget gates (Gers et
    al., Neural Computation 12:2451 (2000)); order of the gates as in Keras: input, forget, candidate, output.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.errors import DamagedArtifact
from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS
from twin_core.domain.history import FloatArray
from twin_core.forecast import artifact
from twin_core.forecast.conformal import MEDIAN, PAIRS, widened
from twin_core.forecast.features import FEATURE_NAMES, WindowArray, column, network_inputs
from twin_core.forecast.readiness import HIGHEST_MG_DL, LOWEST_MG_DL
from twin_core.forecast.ridge import N_INPUTS, Ridge
from twin_core.forecast.scaling import Scaling

N_HORIZONS, N_LEVELS = len(HORIZONS_MIN), len(QUANTILE_LEVELS)
LAYERS = (
    "lstm_kernel",
    "lstm_recurrent_kernel",
    "lstm_bias",
    "hidden_kernel",
    "hidden_bias",
    "quantiles_kernel",
    "quantiles_bias",
)


@dataclass(frozen=True, kw_only=True)
class QuantileLstm:
    """Weights and everything that turns a window into calibrated quantiles.

    Attributes
    ----------
    layers
        Arrays by the names in `LAYERS`.
    ridge
        The linear forecast that the network corrects.
    correction_scale_mg_dl
        Shape `(n_horizons,)`: standard deviation of the linear forecast's error over the training rows.
    offsets_mg_dl
        Shape `(n_horizons, len(PAIRS))`, see `conformal.interval_offsets`.
    correlation
        Shape `(n_horizons, n_horizons)`, see `copula.correlation`.
    """

    layers: Mapping[str, NDArray[np.float32]]
    scaling: Scaling
    ridge: Ridge
    correction_scale_mg_dl: FloatArray
    offsets_mg_dl: FloatArray
    correlation: FloatArray
    version: str

    @classmethod
    def load(cls, folder: Path = artifact.SHIPPED) -> "QuantileLstm":
        """The model of a folder; `DamagedArtifact` when its files are not what the manifest says."""
        arrays, manifest = artifact.load(folder)
        _check(arrays, manifest)
        return cls(
            layers={name: arrays[name] for name in LAYERS},
            scaling=Scaling(mean=arrays["feature_mean"], deviation=arrays["feature_deviation"]),
            ridge=Ridge(coefficients=arrays["ridge_coefficients"]),
            correction_scale_mg_dl=arrays["correction_scale_mg_dl"].astype(np.float64),
            offsets_mg_dl=arrays["offsets_mg_dl"].astype(np.float64),
            correlation=arrays["correlation"].astype(np.float64),
            version=str(manifest["model_version"]),
        )

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """What `artifact.save` keeps."""
        return dict(self.layers) | {
            "feature_mean": self.scaling.mean,
            "feature_deviation": self.scaling.deviation,
            "ridge_coefficients": self.ridge.coefficients,
            "correction_scale_mg_dl": self.correction_scale_mg_dl.astype(np.float32),
            "offsets_mg_dl": self.offsets_mg_dl.astype(np.float32),
            "correlation": self.correlation.astype(np.float32),
        }

    def predict(self, windows: WindowArray) -> FloatArray:
        """Calibrated quantiles [mg/dL], shape `(n, n_horizons, n_levels)`, not decreasing, within 40 to 400."""
        return np.clip(widened(self.uncalibrated(windows), self.offsets_mg_dl), LOWEST_MG_DL, HIGHEST_MG_DL)

    def uncalibrated(self, windows: WindowArray) -> FloatArray:
        """Quantiles as the network gives them [mg/dL], before intervals are widened and clipped."""
        scaled = self.scaling.apply(windows)
        correction = spread(raw_outputs(self.layers, network_inputs(scaled))).astype(np.float64)
        centre = _now(windows) + self.ridge.change(scaled)
        return centre[..., None] + self.correction_scale_mg_dl[:, None] * correction

    def linear(self, windows: WindowArray) -> FloatArray:
        """The linear forecast alone [mg/dL], shape `(n, n_horizons)`: a baseline."""
        return _now(windows) + self.ridge.change(self.scaling.apply(windows))


def _now(windows: WindowArray) -> FloatArray:
    """The reading at each origin [mg/dL], shape `(n, 1)`."""
    return windows[:, -1:, column("glucose")].astype(np.float64)


def raw_outputs(layers: Mapping[str, NDArray[np.float32]], inputs: WindowArray) -> NDArray[np.float32]:
    """The network's last layer for what `network_inputs` gives, shape `(n, n_horizons, n_levels)`."""
    state = _lstm(inputs, layers["lstm_kernel"], layers["lstm_recurrent_kernel"], layers["lstm_bias"])
    seen = np.concatenate([state, inputs[:, -1]], axis=1)
    hidden = np.maximum(seen @ layers["hidden_kernel"] + layers["hidden_bias"], 0)
    raw = hidden @ layers["quantiles_kernel"] + layers["quantiles_bias"]
    return np.asarray(raw.reshape(-1, N_HORIZONS, N_LEVELS))


def spread(raw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Raw outputs as quantiles that do not cross: sums of softplus terms away from the median."""
    away = np.log1p(np.exp(-np.abs(raw))) + np.maximum(raw, 0)
    median = raw[..., MEDIAN : MEDIAN + 1]
    below = median - np.cumsum(away[..., MEDIAN - 1 :: -1], axis=-1)[..., ::-1]
    above = median + np.cumsum(away[..., MEDIAN + 1 :], axis=-1)
    return np.concatenate([below, median, above], axis=-1)


def _lstm(
    inputs: WindowArray, kernel: WindowArray, recurrent: WindowArray, bias: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The state after the last step, equations of [1], shape `(n, units)`."""
    n, n_steps, n_features = inputs.shape
    units = recurrent.shape[0]
    driven = inputs.transpose(1, 0, 2).reshape(n_steps * n, n_features) @ kernel + bias
    state = np.zeros((n, units), dtype=np.float32)
    cell = np.zeros((n, units), dtype=np.float32)
    for step in driven.reshape(n_steps, n, 4 * units):
        into, forget, candidate, out = np.split(step + state @ recurrent, 4, axis=1)
        cell = _sigmoid(forget) * cell + _sigmoid(into) * np.tanh(candidate)
        state = _sigmoid(out) * np.tanh(cell)
    return state


def _sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / (1 + exp(-x)), which cannot overflow in this form."""
    return np.asarray(np.float32(0.5) * np.tanh(np.float32(0.5) * x) + np.float32(0.5))


def _check(arrays: Mapping[str, NDArray[np.float32]], manifest: Mapping[str, Any]) -> None:
    if tuple(manifest["features"]) != FEATURE_NAMES:
        raise DamagedArtifact("The weights were trained on other features than this version makes. Train anew.")
    wanted = {
        "feature_mean": (len(FEATURE_NAMES),),
        "feature_deviation": (len(FEATURE_NAMES),),
        "ridge_coefficients": (N_INPUTS, N_HORIZONS),
        "correction_scale_mg_dl": (N_HORIZONS,),
        "offsets_mg_dl": (N_HORIZONS, len(PAIRS)),
        "correlation": (N_HORIZONS, N_HORIZONS),
        "quantiles_bias": (N_HORIZONS * N_LEVELS,),
    }
    for name in (*LAYERS, *wanted):
        shape = arrays[name].shape if name in arrays else None
        if shape is None or shape != wanted.get(name, shape):
            raise DamagedArtifact(f"The weights' array {name} has shape {shape}, not {wanted.get(name)}. Train anew.")
