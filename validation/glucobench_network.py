"""The forecaster that GlucoBench is answered with: ridge regression, small networks for what it misses, habits.

Each network has two heads for each of twelve horizons: one trained on squared errors, which gives a mean, one on
absolute errors, which gives a median. Networks of several input lengths and seeds are averaged. The
mean of a person with training windows is corrected by a ridge regression of what was missed in them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.history import FloatArray

LAGS = (36, 72, 144)
MEMBERS = 1
UNITS, DROP_OUT, EPOCHS, BATCH = 96, 0.2, 10, 256
RATE, WEIGHT_DECAY = 1.5e-3, 1e-4
RIDGE_PENALTY = 1e-7
HABIT_PENALTY = 1000.0
"""In windows; chosen on the validation pieces of five seeds, with the ridge line alone."""
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


class Windows(NamedTuple):
    """Windows of some people.

    Attributes
    ----------
    inputs, followed
        Shapes `(n, lags)` and `(n, 12)` [mg/dL].
    time_min, persons
        Shape `(n,)`: the minute of the last input, and whose window it is.
    """

    inputs: FloatArray
    followed: FloatArray
    time_min: FloatArray
    persons: NDArray[np.int64]

    def last(self, lags: int) -> "Windows":
        """The same windows with fewer inputs."""
        return self._replace(inputs=self.inputs[:, -lags:])


Forecast = Callable[[Windows], Point]


def trained(training: Callable[[int], Windows], seed: int, *, clock: bool) -> Forecast:
    """A forecaster of windows with at least the longest of `LAGS`; what followed them is not looked at.

    Parameters
    ----------
    training
        The training windows of a number of lags.
    clock
        Whether the times of day are real, so that they may be used.
    """
    parts = [_part(training(lags), lags, seed, clock=clock) for lags in LAGS]

    def forecast(rows: Windows) -> Point:
        made = [part(rows) for part in parts]
        return Point(
            median=np.mean([each.median for each in made], axis=0), mean=np.mean([each.mean for each in made], axis=0)
        )

    return forecast


def _part(rows: Windows, lags: int, seed: int, *, clock: bool) -> Forecast:
    """Ridge, networks and personal corrections of one input length."""
    weights = _ridge(rows.inputs, rows.followed)
    left = rows.followed - _line(weights, rows.inputs)
    scale = left.std(axis=0)
    features = _features(rows.inputs, rows.time_min, clock=clock)
    networks = [_network(features, left / scale, 100 * seed + member) for member in range(MEMBERS)]

    def of_all(own: Windows) -> Point:
        line = _line(weights, own.inputs)
        seen = _features(own.inputs, own.time_min, clock=clock)
        heads = np.mean([network.predict(seen, batch_size=4096, verbose=0) for network in networks], axis=0)
        return Point(median=line + scale * heads[:, _HORIZONS:], mean=line + scale * heads[:, :_HORIZONS])

    habits = _habits(rows, rows.followed - of_all(rows).mean, clock=clock)

    def forecast(wider: Windows) -> Point:
        own = wider.last(lags)
        made = of_all(own)
        return Point(median=made.median, mean=made.mean + habits(own))

    return forecast


def _habits(rows: Windows, missed: FloatArray, *, clock: bool) -> Callable[[Windows], FloatArray]:
    """What is missed in each person, by ridge regression on a few figures; 0 for somebody without windows."""
    figures = _figures(rows, clock=clock)
    middle, spread = figures.mean(axis=0), figures.std(axis=0)

    def columns(some: Windows) -> FloatArray:
        standard = (_figures(some, clock=clock) - middle) / spread
        return np.concatenate([standard, np.ones((len(standard), 1))], axis=1)

    known = columns(rows)
    penalty = HABIT_PENALTY * np.eye(known.shape[1])
    weights = {
        int(person): np.linalg.solve(known[own].T @ known[own] + penalty, known[own].T @ missed[own])
        for person in np.unique(rows.persons)
        for own in (rows.persons == person,)
    }
    nothing = np.zeros((known.shape[1], _HORIZONS))

    def correction(some: Windows) -> FloatArray:
        own = np.stack([weights.get(int(person), nothing) for person in some.persons])
        return np.asarray(np.einsum("nc,nch->nh", columns(some), own))

    return correction


def _figures(rows: Windows, *, clock: bool) -> FloatArray:
    """Level, changes over 15, 30, 60 min, mean and spread, and the time of day, shape `(n, 7 or 11)`."""
    now = rows.inputs[:, -1]
    columns = [now, *(now - rows.inputs[:, -1 - back] for back in (3, 6, 12))]
    columns += [rows.inputs.mean(axis=1), rows.inputs.std(axis=1), now - rows.inputs[:, -36:].mean(axis=1)]
    if clock:
        columns += _clock(rows.time_min)
    return np.stack(columns, axis=1)


def _clock(time_min: FloatArray) -> list[FloatArray]:
    angle = 2.0 * np.pi * (time_min % 1440.0) / 1440.0
    return [np.sin(angle), np.cos(angle), np.sin(2.0 * angle), np.cos(2.0 * angle)]


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
        columns += [column[:, None] for column in _clock(time_min)]
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
