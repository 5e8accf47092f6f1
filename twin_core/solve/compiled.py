"""A model's Runge-Kutta integrator as machine code, compiled in memory while nobody waits for it.

The first compilation takes seconds, so a `Kernel` is warmed up in a background thread; until it is ready
`solve.rk4` runs the same equations interpreted. Nothing is cached on disk: numba's cache is pickle.

Patients are integrated in blocks, one array row a state and one column a patient, so that the innermost loop runs
over patients and fills the processor's vector registers. Compiled code holds no interpreter lock, so several
threads may integrate at once; numba's own thread pool is not used, because its default layer must not be entered
from two threads. No fast-math: compiled and interpreted runs differ by rounding only.
"""

import os
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.core.errors import RequireLiteralValue
from numba.extending import intrinsic

from twin_core.domain.models import OdeModel

LANES = 8
"""Patients in a block: the doubles that a 512-bit vector register holds."""

NODES = (0.0, 0.5, 0.5, 1.0)
WEIGHTS = (1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0)
"""Nodes and weights of the classical fourth-order Runge-Kutta method (Kutta 1901)."""


class Kernel:
    """The compiled integrators of one model: `ready` once `warm_up` has run in any thread.

    `run_one` writes all states of single patients, `run_block` the outputs of many, both with the arguments of
    `_compiled`. A forked child keeps what was ready before the fork. What was still being compiled stays
    interpreted there: the thread that held the compiler's lock does not exist in the child.
    """

    def __init__(self, model: OdeModel) -> None:
        self.model = model
        self.run_one: Callable[..., None] | None = None
        self.run_block: Callable[..., None] | None = None
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._done = threading.Event()

    @property
    def ready(self) -> bool:
        """Whether the compiled code is there; never blocks."""
        return self.run_block is not None

    def warm_up(self) -> None:
        """Compile, unless that is done; a second caller waits for the first. Does nothing in a forked child."""
        if self.ready or os.getpid() != self._process:
            return
        with self._lock:
            if not self.ready:
                self.run_one = _compiled(self.model, 1, len(self.model.states), _all_states)
                self.run_block = _compiled(self.model, LANES, len(self.model.output_states), self.model.outputs)
                self._done.set()

    def wait_until_ready(self, timeout_s: float | None = None) -> bool:
        """Wait for a `warm_up` that runs in another thread, such as before a fork; whether it is ready."""
        if self.ready or os.getpid() != self._process:
            return self.ready
        return self._done.wait(timeout_s)


@cache
def kernel_of(model: OdeModel) -> Kernel:
    """The one kernel of a model in this process."""
    return Kernel(model)


@cache
def _jitted(function: Callable[..., Any]) -> Any:
    """A function for numba to compile at its first call from compiled code; both kernels share it.

    Inlined by force: one call left in the loop over patients keeps it from being vectorised (measured: 2,400 instead
    of 6,400 patient-days a second).
    """
    return numba.njit(error_model="numpy", forceinline=True)(function)


def _all_states(y: Any, p: Any) -> Any:  # noqa: ARG001
    return y


def _no_restart(y: Any, u: Any, p: Any) -> Any:  # noqa: ARG001
    return y


@cache
def _columns(lanes: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Reader and writer of a tuple that stands in every `lanes`-th place of a flat array.

    Written as LLVM instructions with constant offsets: numba's own tuple access is a loop with a jump table, which
    keeps the loop over patients from being vectorised (measured: 480 instead of 9,000 patient-days a second).
    """

    @intrinsic
    def load(_typing: Any, array: Any, start: Any, count: Any) -> Any:  # noqa: ARG001
        if not isinstance(count, types.IntegerLiteral):
            raise RequireLiteralValue("count")
        result = types.UniTuple(types.float64, count.literal_value)  # type: ignore[no-untyped-call]

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointers = _pointers(context, builder, signature, args, lanes, count.literal_value)
            return context.make_tuple(builder, result, [builder.load(pointer) for pointer in pointers])

        return result(array, types.intp, count), generate

    @intrinsic
    def store(_typing: Any, array: Any, start: Any, values: Any) -> Any:  # noqa: ARG001
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            for i, pointer in enumerate(_pointers(context, builder, signature, args, lanes, len(values))):
                builder.store(builder.extract_value(args[2], i), pointer)
            return context.get_dummy_value()

        return types.void(array, types.intp, values), generate

    return load, store


def _pointers(context: Any, builder: Any, signature: Any, args: Any, lanes: int, count: int) -> list[Any]:
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    offsets = (builder.add(args[1], ir.Constant(args[1].type, i * lanes)) for i in range(count))
    return [builder.gep(data, [offset], inbounds=True) for offset in offsets]


_REAL = types.float64
_ARGUMENTS = types.void(
    _REAL[:, ::1],
    _REAL[:, ::1],
    _REAL[::1],
    _REAL[::1],
    _REAL[:, :, ::1],
    types.boolean[:, ::1],
    types.boolean[::1],
    _REAL[:, :, ::1],
    _REAL[:, ::1],
    types.intp,
    types.intp,
)


def _compiled(model: OdeModel, lanes: int, n_observed: int, observe: Callable[..., Any]) -> Callable[..., None]:
    """A function that integrates the patients `first` to `last - 1` in blocks of `lanes`.

    Its arguments, with n patients, s steps, m inputs and 1 or n schedules: `start (n, n_states)`,
    `parameters (n, n_parameters)`, `times (s,)`, `widths (s,)`, `inputs (1 or n, s, m)`, `restarts (1 or n, s)`,
    `saved (s + 1,)`, and to be filled `observed (n, saved.sum(), n_observed)` and `final (n, n_states)`; `first`,
    `last`. All in one flat workspace, one row a quantity: then the compiler knows that rows do not overlap.
    """
    P, U = model.parameters, model.inputs
    n_y, n_p, n_u = len(model.states), len(P._fields), len(U._fields)  # type: ignore[attr-defined]
    Y, STAGE, SUM, SLOPE = (row * n_y * lanes for row in range(4))
    PAR = 4 * n_y * lanes
    INPUT = PAR + n_p * lanes
    OBSERVED = INPUT + n_u * lanes
    size = OBSERVED + n_observed * lanes
    load, store = _columns(lanes)
    rhs, view, begin = _jitted(model.rhs), _jitted(observe), _jitted(model.restart or _no_restart)
    part = numba.njit(error_model="numpy")  # inlining in numba compiles 0.4 s faster and runs 30 % slower

    @part
    def parameters_at(work, lane):  # type: ignore[no-untyped-def]
        return P(*load(work, PAR + lane, n_p))

    @part
    def inputs_at(work, lane):  # type: ignore[no-untyped-def]
        return U(*load(work, INPUT + lane, n_u))

    @part
    def take_inputs(work, inputs, restarts, step, first, last):  # type: ignore[no-untyped-def]
        for lane in range(lanes):
            row = min(first + lane, last - 1) % len(inputs)
            for i in range(n_u):
                work[INPUT + i * lanes + lane] = inputs[row, step, i]
            if restarts[row, step]:
                y = load(work, Y + lane, n_y)
                store(work, Y + lane, begin(y, inputs_at(work, lane), parameters_at(work, lane)))

    @part
    def advance(work, t, h):  # type: ignore[no-untyped-def]
        for i in range(n_y * lanes):
            work[SUM + i] = work[Y + i]
        for stage in range(4):
            node, weight = NODES[stage], WEIGHTS[stage]
            for i in range(n_y * lanes):
                work[STAGE + i] = work[Y + i] + node * h * work[SLOPE + i]
            for lane in range(lanes):
                y = load(work, STAGE + lane, n_y)
                slope = rhs(t + node * h, y, inputs_at(work, lane), parameters_at(work, lane))
                store(work, SLOPE + lane, slope)
            for i in range(n_y * lanes):
                work[SUM + i] += weight * h * work[SLOPE + i]
        for i in range(n_y * lanes):
            work[Y + i] = work[SUM + i]

    @part
    def save(work, observed, row, first, last):  # type: ignore[no-untyped-def]
        for lane in range(lanes):
            store(work, OBSERVED + lane, view(load(work, Y + lane, n_y), parameters_at(work, lane)))
        for lane in range(min(lanes, last - first)):
            for i in range(n_observed):
                observed[first + lane, row, i] = work[OBSERVED + i * lanes + lane]

    @numba.njit(_ARGUMENTS, nogil=True, error_model="numpy")
    def run(start, parameters, times, widths, inputs, restarts, saved, observed, final, first, last):  # type: ignore[no-untyped-def]
        work = np.zeros(size)
        for block in range(first, last, lanes):
            for lane in range(lanes):
                who = min(block + lane, last - 1)
                for i in range(n_y):
                    work[Y + i * lanes + lane] = start[who, i]
                    work[SLOPE + i * lanes + lane] = 0.0
                for i in range(n_p):
                    work[PAR + i * lanes + lane] = parameters[who, i]
            row = 0
            for step in range(len(widths)):
                if saved[step]:
                    save(work, observed, row, block, last)
                    row += 1
                take_inputs(work, inputs, restarts, step, block, last)
                advance(work, times[step], widths[step])
            if saved[len(widths)]:
                save(work, observed, row, block, last)
            for lane in range(min(lanes, last - block)):
                for i in range(n_y):
                    final[block + lane, i] = work[Y + i * lanes + lane]

    return run
