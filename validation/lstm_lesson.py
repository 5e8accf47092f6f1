"""The LSTM of many tutorials, run as it is written: how good it looks, and how bad it is.

Ten rows of glucose, insulin and carbohydrate in, the next glucose out, trained on one person's rows with Keras and fed
its own output to look further ahead. `docs/explanation/naive-lstm.md` tells what is wrong with it. It beats "no change"
where nobody needs it, 5 min ahead, and loses where it matters.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twin_core.bootstrap import read_folder
from twin_core.domain.history import FloatArray, History
from twin_core.forecast.features import held_glucose
from validation.line import Line

PERSON = "2308"
LOOK_BACK = 10
UNITS, EPOCHS, BATCH = 50, 10, 32
TEST_SHARE = 0.2
STEP_MIN = 5.0
HORIZONS_MIN = (5.0, 15.0, 30.0, 60.0)


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """Errors on the last fifth of the rows [mg/dL], by horizon [min]."""

    naive_rmse: dict[float, float]
    no_change_rmse: dict[float, float]
    reported_loss: float
    """The mean squared error that Keras prints for its validation split."""


def lines(data: Path) -> Iterator[Line]:
    """Both errors at every horizon; at 60 min the tutorial's must be the larger."""
    lesson = taught(read_folder(data).histories[PERSON], epochs=EPOCHS, seed=1)
    yield Line(what="the loss that the tutorial shows", seen=f"{lesson.reported_loss:.1f}")
    for horizon in HORIZONS_MIN:
        naive, same = lesson.naive_rmse[horizon], lesson.no_change_rmse[horizon]
        yield Line(
            what=f"{horizon:.0f} min ahead: the tutorial's LSTM, no change {same:.2f}, mg/dL",
            seen=f"{naive:.2f}",
            target=f"> {same:.2f}" if horizon == HORIZONS_MIN[-1] else "",
            holds=naive > same if horizon == HORIZONS_MIN[-1] else None,
        )


def taught(history: History, *, epochs: int, seed: int) -> Lesson:
    """Train the tutorial's network on the first four fifths of the rows and look ahead on the last."""
    table = rows(history)
    train, test = np.split(table, [int((1.0 - TEST_SHARE) * len(table))])
    network, loss = _trained(*naive_windows(train), epochs=epochs, seed=seed)
    inputs, _ = naive_windows(test)
    steps = int(HORIZONS_MIN[-1] / STEP_MIN)
    inputs = inputs[: len(inputs) - steps]
    ahead = _iterated(network, inputs, steps)
    followed = np.stack([test[LOOK_BACK + step : LOOK_BACK + step + len(inputs), 0] for step in range(steps)], axis=1)
    same = np.repeat(inputs[:, -1, :1], steps, axis=1)
    places = {horizon: int(horizon / STEP_MIN) - 1 for horizon in HORIZONS_MIN}
    return Lesson(
        naive_rmse={horizon: _rmse(ahead[:, place], followed[:, place]) for horizon, place in places.items()},
        no_change_rmse={horizon: _rmse(same[:, place], followed[:, place]) for horizon, place in places.items()},
        reported_loss=loss,
    )


def rows(history: History) -> FloatArray:
    """The tutorial's table, `(n, 4)`: glucose, insulin, carbohydrate and steps of each 5 min that has a reading.

    Rows without a reading are dropped, so that a row's number is not its time: one of the lesson's traps.
    """
    first, last = history.cgm_time_min[[0, -1]]
    times = np.arange(first, last, STEP_MIN)
    glucose, age = held_glucose(history, times)
    doses = _summed(times, [(dose.time_min, dose.dose_u) for dose in history.therapy.boluses])
    carbs = _summed(times, [(meal.time_min, meal.carbs_g) for meal in history.therapy.meals])
    steps = _summed(times, list(zip(history.activity_time_min, history.activity_steps, strict=True)))
    return np.stack([glucose, doses, carbs, steps], axis=1)[age < STEP_MIN]


def naive_windows(table: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Inputs `(n, 10, 3)` and the next glucose `(n,)`.

    As in the tutorials, `[:, :-1]` is meant to leave out the target and leaves out the last input: exercise.
    """
    inputs = np.stack([table[start : start + LOOK_BACK, :-1] for start in range(len(table) - LOOK_BACK)])
    return inputs, table[LOOK_BACK:, 0]


def _trained(inputs: FloatArray, targets: FloatArray, *, epochs: int, seed: int) -> tuple[object, float]:
    """As written: unscaled inputs, relu in the LSTM, a validation split that overlaps the training windows."""
    import keras

    keras.utils.set_random_seed(seed)
    network = keras.Sequential(
        [keras.Input(inputs.shape[1:]), keras.layers.LSTM(UNITS, activation="relu"), keras.layers.Dense(1)]
    )
    network.compile(optimizer="adam", loss="mse")
    told = network.fit(inputs, targets, epochs=epochs, batch_size=BATCH, validation_split=0.2, verbose=0)
    return network, float(told.history["val_loss"][-1])


def _iterated(network: object, inputs: FloatArray, steps: int) -> FloatArray:
    """Fed with its own output, and without insulin or carbohydrate to come, shape `(n, steps)` [mg/dL]."""
    window, ahead = inputs.astype(np.float32), []
    for _ in range(steps):
        value = np.asarray(network(window))[:, 0]  # type: ignore[operator] # keras carries no annotations
        ahead.append(value)
        new = np.zeros_like(window[:, :1])
        new[:, 0, 0] = value
        window = np.concatenate([window[:, 1:], new], axis=1)
    return np.stack(ahead, axis=1).astype(np.float64)


def _summed(times: FloatArray, amounts: list[tuple[float, float]]) -> FloatArray:
    total = np.zeros(len(times))
    for time_min, amount in amounts:
        place = int((time_min - times[0]) // STEP_MIN)
        if 0 <= place < len(times):
            total[place] += amount
    return total


def _rmse(forecast: FloatArray, followed: FloatArray) -> float:
    return float(np.sqrt(np.mean((forecast - followed) ** 2)))
