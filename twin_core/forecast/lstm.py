"""The trained network without tensorflow: windows and context in, quantiles that do not cross out.

References
----------
[1] Hochreiter & Schmidhuber, Long Short-Term Memory, Neural Computation 9:1735 (1997), with forget gates (Gers et
    al., Neural Computation 12:2451 (2000)); order of the gates as in Keras: input, forget, candidate, output.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS
from twin_core.forecast.conformal import MEDIAN
from twin_core.forecast.features import WindowArray

N_HORIZONS, N_LEVELS = len(HORIZONS_MIN), len(QUANTILE_LEVELS)
DENSE = ("hidden_1", "hidden_2", "quantiles")
LAYERS = (
    "lstm_kernel",
    "lstm_recurrent_kernel",
    "lstm_bias",
    *(f"{layer}_{what}" for layer in DENSE for what in ("kernel", "bias")),
)


def raw_outputs(
    layers: Mapping[str, NDArray[np.float32]], inputs: WindowArray, context: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The network's last layer for scaled windows and context, shape `(n, n_horizons, n_levels)`."""
    state = _lstm(inputs, layers["lstm_kernel"], layers["lstm_recurrent_kernel"], layers["lstm_bias"])
    seen = np.concatenate([state, inputs[:, -1], context], axis=1)
    for name in DENSE[:-1]:
        seen = np.maximum(seen @ layers[f"{name}_kernel"] + layers[f"{name}_bias"], 0)
    raw = seen @ layers["quantiles_kernel"] + layers["quantiles_bias"]
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
