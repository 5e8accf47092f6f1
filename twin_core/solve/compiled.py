"""A model's Runge-Kutta integrator as machine code, made while nobody waits for it.

Compiling takes seconds, so a `Kernel` is warmed up in a background thread; until it is ready `solve.rk4` runs the
same equations interpreted. A server has it compiled by a child that ends again, because a compiler's memory stays with
the process it ran in (`solve.machine_code`). Loaded code holds no interpreter lock, so several threads may integrate at
once.
"""

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm  # type: ignore[import-untyped]
import numpy as np

from twin_core.domain.models import OdeModel
from twin_core.solve.native import array_of, engine_of

LANES = 8
"""Patients in a block: the doubles that a 512-bit vector register holds."""

NODES = (0.0, 0.5, 0.5, 1.0)
WEIGHTS = (1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0)
"""Nodes and weights of the classical fourth-order Runge-Kutta method (Kutta 1901)."""

SYMBOL = "run"
"""The name of the function in an object file."""

_SIZE_BYTES = 8
_PACKAGES = Path(__file__).resolve().parents[2]


class Kernel:
    """The compiled integrators of one model: `ready` once a warm-up has run in any thread.

    `run_one` writes all states of single patients, `run_block` the outputs of many, both with the arguments of
    `loaded`. A forked child keeps what was ready before the fork. What was still being compiled stays interpreted
    there: the thread that held the compiler's lock does not exist in the child.
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
        """Compile here, unless that is done; a second caller waits for the first. Does nothing in a forked child."""
        self._warm_up(_compiled_here)

    def warm_up_in_a_child(self) -> None:
        """As `warm_up`, but for a model of the catalog and compiled by a process that ends again.

        A child that fails leaves the model interpreted, which is slower and otherwise the same.
        """
        self._warm_up(_compiled_in_a_child)

    def _warm_up(self, compiled: Callable[[OdeModel], tuple[bytes, bytes] | None]) -> None:
        if self.ready or os.getpid() != self._process:
            return
        with self._lock:
            if not self.ready:
                self._load(compiled(self.model))
                self._done.set()

    def _load(self, objects: tuple[bytes, bytes] | None) -> None:
        if objects is not None:
            self.run_one = loaded(objects[0], workspace(self.model, 1, len(self.model.states)))
            self.run_block = loaded(objects[1], workspace(self.model, LANES, len(self.model.output_states)))

    def wait_until_ready(self, timeout_s: float | None = None) -> bool:
        """Wait for a warm-up that runs in another thread, such as before a fork; whether it is ready."""
        if not self.ready and os.getpid() == self._process:
            self._done.wait(timeout_s)
        return self.ready


@cache
def kernel_of(model: OdeModel) -> Kernel:
    """The one kernel of a model in this process."""
    return Kernel(model)


def workspace(model: OdeModel, lanes: int, n_observed: int) -> int:
    """How many numbers `lanes` patients need: state, stage, sum, slope, parameters, inputs, what is observed."""
    quantities = len(model.parameters._fields) + len(model.inputs._fields)  # type: ignore[attr-defined]
    return lanes * (4 * len(model.states) + quantities + n_observed)


def packed(objects: tuple[bytes, bytes]) -> bytes:
    """Two object files as one: the size of the first, then both."""
    return len(objects[0]).to_bytes(_SIZE_BYTES, "little") + objects[0] + objects[1]


def unpacked(data: bytes) -> tuple[bytes, bytes]:
    """What `packed` was made from."""
    end = _SIZE_BYTES + int.from_bytes(data[:_SIZE_BYTES], "little")
    return data[_SIZE_BYTES:end], data[end:]


def _compiled_here(model: OdeModel) -> tuple[bytes, bytes]:
    from twin_core.solve.machine_code import objects_of

    return objects_of(model)


def _compiled_in_a_child(model: OdeModel) -> tuple[bytes, bytes] | None:
    command = [sys.executable, "-m", "twin_core.solve.machine_code", model.name]
    child = subprocess.run(  # noqa: S603 (this interpreter, and a name of the catalog)
        command, cwd=_PACKAGES, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False
    )
    return unpacked(child.stdout) if child.returncode == 0 else None


_POINTERS = (
    *(array_of(np.float64, n) for n in (2, 2, 1, 1, 3)),
    *(array_of(np.bool_, n) for n in (2, 1)),
    *(array_of(np.float64, n) for n in (3, 2, 1)),
)
_SIGNATURE = ctypes.CFUNCTYPE(None, *_POINTERS, *(ctypes.c_ssize_t,) * 6)


def loaded(code: bytes, n_work: int) -> Callable[..., None]:
    """The function of an object file that integrates the patients `first` to `last - 1`.

    Its arguments, with n patients, s steps, m inputs and 1 or n schedules: `start (n, n_states)`,
    `parameters (n, n_parameters)`, `times (s,)`, `widths (s,)`, `inputs (1 or n, s, m)`, `restarts (1 or n, s)`,
    `saved (s + 1,)`, and to be filled `observed (n, saved.sum(), n_observed)` and `final (n, n_states)`; `first`,
    `last`. Another type or number of dimensions raises `ctypes.ArgumentError`.
    """
    engine = engine_of()
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    function = _SIGNATURE(engine.get_function_address(SYMBOL))

    def run(
        start: Any,
        parameters: Any,
        times: Any,
        widths: Any,
        inputs: Any,
        restarts: Any,
        saved: Any,
        observed: Any,
        final: Any,
        first: int,
        last: int,
    ) -> None:
        sizes = (len(start), len(widths), len(inputs), observed.shape[1])
        work = np.empty(n_work)
        function(start, parameters, times, widths, inputs, restarts, saved, observed, final, work, *sizes, first, last)

    run.engine = engine  # type: ignore[attr-defined] # the code lives as long as the engine
    return run
