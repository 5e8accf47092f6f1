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
    """The state after the last step, equations of [1], shape `(n, units)`.

    A gate is `sigmoid(x) = (1 + tanh(x / 2)) / 2`, which cannot overflow and lets one tanh serve all four at once.
    """
    units = recurrent.shape[0]
    halved = np.full(4 * units, 0.5, dtype=np.float32)
    halved[2 * units : 3 * units] = 1.0  # the candidate is no gate
    kernel, recurrent, bias = kernel * halved, recurrent * halved, bias * halved
    state = np.zeros((len(inputs), units), dtype=np.float32)
    cell = np.zeros_like(state)
    for step in inputs.transpose(1, 0, 2):
        into, forget, candidate, out = np.split(np.tanh(step @ kernel + (state @ recurrent + bias)), 4, axis=1)
        cell = _share(forget) * cell + _share(into) * candidate
        state = _share(out) * np.tanh(cell)
    return np.asarray(state)


def _share(halved_tanh: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.float32(0.5) * halved_tanh + np.float32(0.5))
