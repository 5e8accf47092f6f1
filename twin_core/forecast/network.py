"""The network and its fit: the only file that imports tensorflow, and only when it is called.

An LSTM reads the window; three dense layers turn its last state, beside the newest slot and the context, into seven
quantiles of the error of a linear forecast (`ridge`) at every horizon. The median is free; the others stand away
from it by sums of softplus terms, so that no two cross.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS

Weights: TypeAlias = dict[str, NDArray[np.float32]]

UNITS = 48
HIDDEN = (128, 64)
BATCH = 256
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 0.1
AVERAGING = 0.998
"""Momentum of the running average of the weights, which is what is judged and kept."""
FEATURE_DROPOUT, CONTEXT_DROPOUT, CONTEXT_NOISE, HIDDEN_DROPOUT = 0.1, 0.2, 0.1, (0.2, 0.3, 0.2)
"""Without them the calibration loss rises from the second epoch on."""
PATIENCE = 4
THREADS = 2
MEDIAN = QUANTILE_LEVELS.index(0.50)

_LAYERS = ("lstm", "hidden_1", "hidden_2", "quantiles")


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Windows `(n, steps, features)`, context `(n, width)` and scaled corrections `(n, horizons)`; NaN is no target."""

    inputs: NDArray[np.float32]
    context: NDArray[np.float32]
    corrections: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Weights of the best epoch, and the loss on the validation rows after each epoch."""

    weights: Weights
    validation_loss: tuple[float, ...]


def fit(train: Rows, validation: Rows, *, seed: int, epochs: int, progress: Callable[[float, str], None]) -> Fit:
    """Fit the network, keeping the epoch with the least pinball loss on `validation`.

    `progress(share, sentence)` is called after each epoch; it may raise to stop the training.
    """
    import keras

    _settle(seed)
    model = build(train.inputs.shape[1], train.inputs.shape[2], train.context.shape[1])
    steps = epochs * -(-len(train.inputs) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps, alpha=0.02)
    optimizer = keras.optimizers.AdamW(
        rate, weight_decay=WEIGHT_DECAY, clipnorm=1.0, use_ema=True, ema_momentum=AVERAGING
    )
    model.compile(optimizer=optimizer, loss=pinball_loss)
    history = model.fit(
        [train.inputs, train.context],
        train.corrections,
        validation_data=([validation.inputs, validation.context], validation.corrections),
        epochs=epochs,
        batch_size=BATCH,
        shuffle=True,
        verbose=0,
        callbacks=[
            keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
            keras.callbacks.EarlyStopping("val_loss", patience=PATIENCE, restore_best_weights=True),
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: progress((epoch + 1) / epochs, _sentence(epoch, logs))
            ),
        ],
    )
    return Fit(weights=weights_of(model), validation_loss=tuple(map(float, history.history["val_loss"])))


def build(n_steps: int, n_features: int, n_context: int) -> Any:
    """The untrained Keras model: windows and context in, raw outputs `(n, horizons, levels)` out (see `quantiles`)."""
    import keras
    from keras import layers

    window, context = keras.Input((n_steps, n_features)), keras.Input((n_context,))
    known = layers.SpatialDropout1D(FEATURE_DROPOUT)(window)
    newest = layers.Cropping1D((n_steps - 1, 0))(known)[:, 0]
    person = layers.GaussianNoise(CONTEXT_NOISE)(layers.Dropout(CONTEXT_DROPOUT)(context))
    seen = layers.Concatenate()([layers.LSTM(UNITS, name="lstm")(known), newest, person])
    for place, units in enumerate(HIDDEN):
        dropped = layers.Dropout(HIDDEN_DROPOUT[place])(seen)
        seen = layers.Dense(units, activation="relu", name=f"hidden_{place + 1}")(dropped)
    raw = layers.Dense(len(HORIZONS_MIN) * len(QUANTILE_LEVELS), name="quantiles")(
        layers.Dropout(HIDDEN_DROPOUT[-1])(seen)
    )
    return keras.Model([window, context], layers.Reshape((len(HORIZONS_MIN), len(QUANTILE_LEVELS)))(raw))


def quantiles(raw: Any) -> Any:
    """Raw outputs as quantiles that do not cross, by cumulative softplus around the median; shape unchanged."""
    from keras import ops

    away = ops.softplus(raw)
    median = raw[..., MEDIAN : MEDIAN + 1]
    below = median - ops.flip(ops.cumsum(ops.flip(away[..., :MEDIAN], -1), -1), -1)
    above = median + ops.cumsum(away[..., MEDIAN + 1 :], -1)
    return ops.concatenate([below, median, above], -1)


def pinball_loss(corrections: Any, raw: Any) -> Any:
    """Mean pinball loss over the targets that exist."""
    from keras import ops

    exists = ops.logical_not(ops.isnan(corrections))
    miss = ops.expand_dims(ops.where(exists, corrections, 0.0), -1) - quantiles(raw)
    levels = ops.array(QUANTILE_LEVELS, dtype="float32")
    loss = ops.mean(ops.maximum(levels * miss, (levels - 1.0) * miss), -1)
    weight = ops.cast(exists, "float32")
    return ops.sum(loss * weight) / ops.maximum(ops.sum(weight), 1.0)


def weights_of(model: Any) -> Weights:
    """The weights of a model built here, by name such as `lstm_kernel`."""
    named = {}
    for layer in _LAYERS:
        for variable in model.get_layer(layer).weights:
            named[f"{layer}_{variable.name}"] = np.asarray(variable.numpy(), dtype=np.float32)
    return named


def _settle(seed: int) -> None:
    """Fix every seed and the number of threads (which can be set only before the first tensor)."""
    import keras
    import tensorflow

    keras.utils.set_random_seed(seed)
    tensorflow.config.experimental.enable_op_determinism()
    try:
        tensorflow.config.threading.set_intra_op_parallelism_threads(THREADS)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        return


def _sentence(epoch: int, logs: Mapping[str, float]) -> str:
    return f"epoch {epoch + 1}: loss {logs['loss']:.4f}, on the calibration block {logs['val_loss']:.4f}"
