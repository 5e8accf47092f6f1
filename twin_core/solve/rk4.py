"""One way to integrate any model: the classical Runge-Kutta method on a schedule's steps, for one or many patients.

Compiled where the model's kernel is ready, else the same equations interpreted, on floats for one patient and on
arrays for many; the two differ by rounding. No call waits for a compilation.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twin_core.domain.errors import BadInput
from twin_core.domain.history import FloatArray
from twin_core.domain.models import OdeModel
from twin_core.solve.compiled import LANES, NODES, WEIGHTS, Kernel, kernel_of
from twin_core.solve.schedule import Schedule

_STEPS_WORTH_A_THREAD = 200_000
"""Steps times patients from which more than one thread is used: about 20 ms of work."""

_FEW = LANES // 2
"""Fewer patients than this run one after the other."""

_ROUNDING = 1e-6
"""How far below zero rounding may carry a state that cannot be negative, in the state's unit."""


class SolveStatus(StrEnum):
    """How an integration ended."""

    OK = "ok"
    NOT_FINITE = "not_finite"
    NEGATIVE = "negative"


@dataclass(frozen=True, kw_only=True)
class Solution:
    """One patient's course.

    Attributes
    ----------
    reason
        When `status` is not `OK`: one sentence that says what happened, when, and what to do.
    times_min
        Shape `(n_steps,)` [min].
    states
        Shape `(n_steps, n_states)`: before each step.
    final_state
        Shape `(n_states,)`: after the last step.
    """

    model: OdeModel
    parameters: Any
    status: SolveStatus
    reason: str
    times_min: FloatArray
    states: FloatArray
    final_state: FloatArray

    def state(self, name: str) -> FloatArray:
        """The course of one state before each step, shape `(n_steps,)`."""
        return self.states[:, [state.name for state in self.model.states].index(name)]

    def output(self, name: str) -> FloatArray:
        """The course of one output before each step, shape `(n_steps,)`."""
        course = self.model.outputs(tuple(self.states.T), self.parameters)
        return np.asarray(course[[state.name for state in self.model.output_states].index(name)])


@dataclass(frozen=True, kw_only=True)
class BatchSolution:
    """Many patients' courses.

    Attributes
    ----------
    times_min
        Shape `(n_times,)`: the saved instants [min].
    outputs
        Shape `(n_patients, n_times, n_outputs)`, in the order of the model's `output_states`.
    final_states
        Shape `(n_patients, n_states)`: after the last step.
    finite
        Shape `(n_patients,)`: which patients stayed within the finite numbers.
    """

    model: OdeModel
    times_min: FloatArray
    outputs: FloatArray
    final_states: FloatArray
    finite: NDArray[np.bool_]

    def output(self, name: str) -> FloatArray:
        """One output, shape `(n_patients, n_times)`."""
        return self.outputs[:, :, [state.name for state in self.model.output_states].index(name)]


def integrate(model: OdeModel, parameters: Any, schedule: Schedule, initial_state: ArrayLike | None = None) -> Solution:
    """Integrate one patient from `initial_state`, or from the model's steady state.

    Parameters
    ----------
    parameters
        A `model.parameters` of floats.
    initial_state
        Shape `(n_states,)`, in the model's order and units.
    """
    start = model.steady_state(parameters) if initial_state is None else initial_state
    y = np.array(start, dtype=np.float64).reshape(len(model.states))
    kernel = kernel_of(model)
    every_step = np.ones(len(schedule.times_min) + 1, dtype=np.bool_)
    if kernel.run_one is not None:
        states = np.empty((1, len(every_step), len(y)))
        p = np.array(parameters, dtype=np.float64)[None]
        kernel.run_one(*_arguments(model, y[None], p, (schedule,), every_step), states, np.empty_like(y)[None], 0, 1)
        course = states[0]
    else:
        course = np.array(list(_interpreted(model, tuple(y.tolist()), parameters, (schedule,))))
    status, reason = _verdict(model, schedule, course)
    return Solution(
        model=model,
        parameters=parameters,
        status=status,
        reason=reason,
        times_min=schedule.times_min,
        states=course[:-1],
        final_state=course[-1],
    )


def integrate_batch(
    model: OdeModel,
    parameters: Any,
    schedules: Schedule | Sequence[Schedule],
    initial_states: ArrayLike | None = None,
    *,
    every_min: float | None = None,
) -> BatchSolution:
    """Integrate many patients at once.

    Parameters
    ----------
    parameters
        A `model.parameters` whose fields are floats or arrays of shape `(n_patients,)`.
    schedules
        One for all, or one a patient on the same steps (`schedules_of`).
    initial_states
        Shape `(n_patients, n_states)` or `(n_states,)`; the steady states when None.
    every_min
        Save outputs at whole multiples of this after the start only [min]; at every step when None.

    Raises
    ------
    BadInput
        Numbers of patients, schedules and states that do not fit together.
    """
    runs = (schedules,) if isinstance(schedules, Schedule) else tuple(schedules)
    p, y = _patients(model, parameters, runs, initial_states)
    saved = _saved(runs[0], every_min)
    outputs = np.empty((len(p), int(saved.sum()), len(model.output_states)))
    final = np.empty_like(y)
    kernel = kernel_of(model)
    if kernel.run_one is not None and len(p) < _FEW:
        _run_few(kernel, _arguments(model, y, p, runs, saved), outputs, final)
    elif kernel.ready:
        _run_blocks(kernel, _arguments(model, y, p, runs, saved), outputs, final)
    else:
        _run_arrays(model, y, p, runs, saved, outputs, final)
    return BatchSolution(
        model=model,
        times_min=runs[0].boundaries_min[saved],
        outputs=outputs,
        final_states=final,
        finite=np.asarray(np.isfinite(final).all(axis=1)),
    )


def _patients(
    model: OdeModel, parameters: Any, runs: Sequence[Schedule], initial_states: ArrayLike | None
) -> tuple[FloatArray, FloatArray]:
    """Parameters `(n, n_parameters)` and states `(n, n_states)`, each broadcast to the number of patients."""
    start = model.steady_state(parameters) if initial_states is None else tuple(np.asarray(initial_states).T)
    sizes = {np.size(value) for value in (*parameters, *start)} | {len(runs)}
    n = max(sizes)
    if not sizes <= {1, n} or not all(_on_same_steps(run, runs[0]) for run in runs[1:]):
        raise BadInput(
            f"Parameters, states and schedules must each be one for all or one a patient, on the same steps; "
            f"got sizes {sorted(sizes)}."
        )
    return _rows(parameters, n), _rows(start, n)


def _on_same_steps(run: Schedule, other: Schedule) -> bool:
    return run.times_min is other.times_min or np.array_equal(run.times_min, other.times_min)


def _rows(columns: Sequence[ArrayLike], n: int) -> FloatArray:
    table = np.empty((n, len(columns)))
    for i, column in enumerate(columns):
        table[:, i] = column
    return table


def _saved(schedule: Schedule, every_min: float | None) -> NDArray[np.bool_]:
    bounds = schedule.boundaries_min
    if every_min is None:
        return np.ones(len(bounds), dtype=np.bool_)
    rest = (bounds - bounds[0]) / every_min
    return np.asarray(np.abs(rest - np.round(rest)) * every_min < 1e-5)


def _arguments(
    model: OdeModel, y: FloatArray, p: FloatArray, runs: Sequence[Schedule], saved: NDArray[np.bool_]
) -> tuple[Any, ...]:
    """The leading arguments of a compiled run; see `compiled._compiled`."""
    inputs = np.ascontiguousarray(np.stack([_inputs(model, run) for run in runs]))
    restarts = np.ascontiguousarray(np.stack([run.restarts for run in runs]))
    return y, p, np.ascontiguousarray(runs[0].times_min), runs[0].widths_min, inputs, restarts, saved


def _inputs(model: OdeModel, schedule: Schedule) -> FloatArray:
    """A schedule's inputs in the model's order, shape `(n_steps, n_inputs)`."""
    wanted: tuple[str, ...] = model.inputs._fields  # type: ignore[attr-defined]
    if wanted == schedule.input_names:
        return schedule.inputs
    missing = set(wanted) - set(schedule.input_names)
    if missing:
        raise BadInput(f"The schedule brings {schedule.input_names}; {model.name} also needs {sorted(missing)}.")
    return schedule.inputs[:, [schedule.input_names.index(name) for name in wanted]]


def _run_few(kernel: Kernel, arguments: tuple[Any, ...], outputs: FloatArray, final: FloatArray) -> None:
    """Compiled, one patient after the other: a block would be mostly empty."""
    assert kernel.run_one is not None
    model = kernel.model
    states = np.empty((len(final), outputs.shape[1], len(model.states)))
    kernel.run_one(*arguments, states, final, 0, len(final))
    for course, output, p in zip(states, outputs, arguments[1], strict=True):
        output[:] = np.stack(model.outputs(tuple(course.T), model.parameters(*p)), axis=1)


def _run_blocks(kernel: Kernel, arguments: tuple[Any, ...], outputs: FloatArray, final: FloatArray) -> None:
    """Compiled: whole blocks shared out among threads."""
    assert kernel.run_block is not None
    n, n_steps = len(final), len(arguments[2])
    workers = min(os.cpu_count() or 1, 1 + n * n_steps // _STEPS_WORTH_A_THREAD)
    if workers == 1:
        kernel.run_block(*arguments, outputs, final, 0, n)
        return
    share = -(-n // (LANES * workers)) * LANES
    with ThreadPoolExecutor(workers) as pool:
        parts = [
            pool.submit(kernel.run_block, *arguments, outputs, final, first, min(first + share, n))
            for first in range(0, n, share)
        ]
    for part in parts:
        part.result()


def _run_arrays(
    model: OdeModel,
    y: FloatArray,
    p: FloatArray,
    runs: Sequence[Schedule],
    saved: NDArray[np.bool_],
    outputs: FloatArray,
    final: FloatArray,
) -> None:
    """Interpreted: each state an array over the patients, or a number for a single one."""
    alone = len(p) == 1
    parameters = model.parameters(*(p[0].tolist() if alone else p.T))
    start = tuple(y[0].tolist() if alone else y.T)
    row = 0
    for step, states in enumerate(_interpreted(model, start, parameters, runs)):
        if saved[step]:
            outputs[:, row] = np.stack(model.outputs(states, parameters), axis=-1)
            row += 1
    final[:] = np.stack(states, axis=-1)


def _interpreted(model: OdeModel, y: tuple[Any, ...], p: Any, runs: Sequence[Schedule]) -> Any:
    """The states before each step and after the last, one after the other."""
    inputs = [_inputs(model, run) for run in runs]
    yield y
    for step, (t, h) in enumerate(zip(runs[0].times_min.tolist(), runs[0].widths_min.tolist(), strict=True)):
        u = model.inputs(*(_values(table[step] for table in inputs)))
        if model.restart is not None and any(run.restarts[step] for run in runs):
            begun = _values([run.restarts[step]] for run in runs)[0]
            restarted = model.restart(y, u, p)
            y = tuple(
                new if begun is True else np.where(begun, new, old) for new, old in zip(restarted, y, strict=True)
            )
        y = _step(model, t, h, y, u, p)
        yield y


def _values(rows: Any) -> list[Any]:
    """Columns of the rows: plain values of a single row, arrays over several."""
    table = [np.asarray(row).tolist() for row in rows]
    return table[0] if len(table) == 1 else list(np.array(table).T)


def _step(model: OdeModel, t: float, h: float, y: tuple[Any, ...], u: Any, p: Any) -> tuple[Any, ...]:
    """One step, in the same order of operations as the compiled one."""
    total, slope = list(y), [0.0] * len(y)
    for node, weight in zip(NODES, WEIGHTS, strict=True):
        stage = tuple(value + node * h * k for value, k in zip(y, slope, strict=True))
        slope = list(model.rhs(t + node * h, stage, u, p))
        total = [value + weight * h * k for value, k in zip(total, slope, strict=True)]
    return tuple(total)


def _verdict(model: OdeModel, schedule: Schedule, course: FloatArray) -> tuple[SolveStatus, str]:
    bounds = schedule.boundaries_min
    broken = ~np.isfinite(course)
    if broken.any():
        row, column = np.argwhere(broken)[0]
        return SolveStatus.NOT_FINITE, (
            f"{model.states[column].name} left the finite numbers at minute {bounds[row]:g}: "
            "check the parameters, the initial state and the step."
        )
    signed = np.array([state.name in model.signed_states for state in model.states])
    below = (course < -_ROUNDING) & ~signed
    if below.any():
        row, column = np.argwhere(below)[0]
        return SolveStatus.NEGATIVE, (
            f"{model.states[column].name} fell below zero at minute {bounds[row]:g}: "
            "the parameters do not describe a person, or the step is too wide."
        )
    return SolveStatus.OK, ""
