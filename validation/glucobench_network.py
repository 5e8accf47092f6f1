"""The forecaster that GlucoBench is answered with: a line by ridge regression, and small networks for what it misses.

Each network has two heads for each of twelve horizons: one trained on squared errors, which gives a mean, one on
absolute errors, which gives a median. Networks of several input lengths and seeds are averaged. Nothing is
chosen by validation or test.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from twin_core.domain.history import FloatArray

LAGS = (36, 72, 144)
MEMBERS = 2
UNITS, DROP_OUT, EPOCHS, BATCH = 96, 0.2, 10, 256
RATE, WEIGHT_DECAY = 1.5e-3, 1e-4
RIDGE_PENALTY = 1e-7
_HORIZONS = 12
_RECENT = 13
_LEVEL_MG_DL, _CHANGE_MG_DL, _STEP_MG_DL = 25.0, 20.0, 3.0
"""Rough spreads of a level, of a change over hours and of one over 5 min, so that inputs are near one."""
_MIDDLE_MG_DL = 100.0


@dataclass(frozen=True, kw_only=True)
class Point:
    """Median and mean forecast [mg/dL], each of shape `(n, 12)`."""

    median: FloatArray
    mean: FloatArray


Windows = tuple[FloatArray, FloatArray, FloatArray]
"""Inputs `(n, lags)`, what followed `(n, 12)` [mg/dL], and the minute of the last input `(n,)`."""


def trained(training: Callable[[int], Windows], seed: int, *, clock: bool) -> Callable[[FloatArray, FloatArray], Point]:
    """A forecaster of inputs `(n, at least the longest of LAGS)` and minutes `(n,)`.

    Parameters
    ----------
    training
        The training windows of a number of lags.
    clock
        Whether the times of day are real, so that they may be used.
    """
    parts = [_part(training(lags), lags, seed, clock=clock) for lags in LAGS]

    def forecast(inputs: FloatArray, time_min: FloatArray) -> Point:
        made = [part(inputs, time_min) for part in parts]
        return Point(
            median=np.mean([each.median for each in made], axis=0), mean=np.mean([each.mean for each in made], axis=0)
        )

    return forecast


def _part(windows: Windows, lags: int, seed: int, *, clock: bool) -> Callable[[FloatArray, FloatArray], Point]:
    """Ridge and networks of one input length."""
    inputs, followed, times = windows
    weights = _ridge(inputs, followed)
    left = followed - _line(weights, inputs)
    scale = left.std(axis=0)
    features = _features(inputs, times, clock=clock)
    networks = [_network(features, left / scale, 100 * seed + member) for member in range(MEMBERS)]

    def forecast(wider: FloatArray, time_min: FloatArray) -> Point:
        own = wider[:, -lags:]
        line = _line(weights, own)
        seen = _features(own, time_min, clock=clock)
        heads = np.mean([np.asarray(network(seen), dtype=np.float64) for network in networks], axis=0)
        return Point(median=line + scale * heads[:, _HORIZONS:], mean=line + scale * heads[:, :_HORIZONS])

    return forecast


def _features(inputs: FloatArray, time_min: FloatArray, *, clock: bool) -> FloatArray:
    now = inputs[:, -1:]
    spread = inputs.std(axis=1, keepdims=True)
    columns = [
        (inputs - now)[:, :-1] / _CHANGE_MG_DL,
        (now - _MIDDLE_MG_DL) / _LEVEL_MG_DL,
        np.diff(inputs[:, -_RECENT:], axis=1) / _STEP_MG_DL,
        (inputs.mean(axis=1, keepdims=True) - _MIDDLE_MG_DL) / _LEVEL_MG_DL,
        spread / _CHANGE_MG_DL,
        (inputs.max(axis=1, keepdims=True) - now) / _LEVEL_MG_DL,
        (now - inputs.min(axis=1, keepdims=True)) / _LEVEL_MG_DL,
    ]
    if clock:
        angle = 2.0 * np.pi * (time_min[:, None] % 1440.0) / 1440.0
        columns += [np.sin(angle), np.cos(angle), np.sin(2.0 * angle), np.cos(2.0 * angle)]
    return np.concatenate(columns, axis=1).astype(np.float32)


def _design(inputs: FloatArray) -> FloatArray:
    now = inputs[:, -1:]
    return np.concatenate([(inputs - now)[:, :-1], now, np.ones_like(now)], axis=1)


def _ridge(inputs: FloatArray, followed: FloatArray) -> FloatArray:
    design = _design(inputs)
    penalty = RIDGE_PENALTY * len(design) * np.eye(design.shape[1])
    return np.asarray(np.linalg.solve(design.T @ design + penalty, design.T @ (followed - inputs[:, -1:])))


def _line(weights: FloatArray, inputs: FloatArray) -> FloatArray:
    return np.asarray(inputs[:, -1:] + _design(inputs) @ weights)


def _network(features: FloatArray, targets: FloatArray, seed: int) -> Any:
    """Two hidden layers; the first half of the outputs is the mean, the second the median, in spreads of the rest."""
    import keras
    from keras import layers, ops

    def loss(truth: Any, made: Any) -> Any:
        squared = ops.mean((truth - made[:, :_HORIZONS]) ** 2)
        return 0.5 * squared + ops.mean(ops.abs(truth - made[:, _HORIZONS:]))

    keras.utils.set_random_seed(seed)
    given = keras.Input((features.shape[1],))
    hidden = given
    for _ in range(2):
        hidden = layers.Dropout(DROP_OUT)(layers.Dense(UNITS, activation="gelu")(hidden))
    network = keras.Model(given, layers.Dense(2 * _HORIZONS, kernel_initializer="zeros")(hidden))
    steps = EPOCHS * (len(features) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps)
    network.compile(keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY), loss)
    network.fit(features, targets.astype(np.float32), batch_size=BATCH, epochs=EPOCHS, verbose=0)
    return network
