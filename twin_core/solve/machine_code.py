"""Compiles a model's Runge-Kutta integrator to machine code: the only module of the core that runs the compiler.

Whoever compiles keeps the compiler's memory: 70 MB from its first function on, and 30 to 50 MB a model. So a server
has it done by `python -m twin_core.solve.machine_code NAME`, a process that writes the code to its standard output and
ends (see `Kernel.warm_up_in_a_child`). Nothing is kept on disk: numba's cache is pickle.

Patients are integrated in blocks, one array row a state and one column a patient, so that the innermost loop runs
over patients and fills the processor's vector registers. No fast-math: compiled and interpreted runs differ by
rounding only.
"""

import re
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import llvmlite.binding as llvm  # type: ignore[import-untyped]
import numba
from llvmlite import ir
from numba import carray  # type: ignore[attr-defined]
from numba.core import types
from numba.core.errors import RequireLiteralValue
from numba.extending import intrinsic

from twin_core.domain.errors import UnknownName
from twin_core.domain.models import OdeModel
from twin_core.models.catalog import MODELS
from twin_core.solve.compiled import LANES, NODES, SYMBOL, WEIGHTS, packed, workspace


def main(name: str) -> None:
    """Write the machine code of a model of the catalog to the standard output."""
    models = {model.name: model for model in MODELS}
    if name not in models:
        raise UnknownName("model", name, models)
    sys.stdout.buffer.write(packed(objects_of(models[name])))


def objects_of(model: OdeModel) -> tuple[bytes, bytes]:
    """Object files with the symbol `run`: one for single patients and all states, one for blocks and the outputs."""
    one = _compiled(model, 1, len(model.states), _all_states)
    block = _compiled(model, LANES, len(model.output_states), model.outputs)
    return one, block


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


_REALS = types.CPointer(types.float64)  # type: ignore[no-untyped-call]
_FLAGS = types.CPointer(types.boolean)  # type: ignore[no-untyped-call]
_ARGUMENTS = types.void(*(_REALS,) * 5, *(_FLAGS,) * 2, *(_REALS,) * 3, *(types.intp,) * 6)


def _compiled(model: OdeModel, lanes: int, n_observed: int, observe: Callable[..., Any]) -> bytes:
    """A function that integrates the patients `first` to `last - 1` in blocks of `lanes`, as an object file.

    Its arguments, with n patients, s steps, m inputs and 1 or n schedules: `start (n, n_states)`,
    `parameters (n, n_parameters)`, `times (s,)`, `widths (s,)`, `inputs (1 or n, s, m)`, `restarts (1 or n, s)`,
    `saved (s + 1,)`, and to be filled `observed (n, saved.sum(), n_observed)` and `final (n, n_states)`; `first`,
    `last`. All in one flat workspace, one row a quantity: then the compiler knows that rows do not overlap.
    `loaded` gives them as pointers, then the workspace, then the sizes.
    """
    P, U = model.parameters, model.inputs
    n_y, n_p, n_u = len(model.states), len(P._fields), len(U._fields)  # type: ignore[attr-defined]
    Y, STAGE, SUM, SLOPE = (row * n_y * lanes for row in range(4))
    PAR = 4 * n_y * lanes
    INPUT = PAR + n_p * lanes
    OBSERVED = INPUT + n_u * lanes
    size = workspace(model, lanes, n_observed)
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

    @part
    def run(start, parameters, times, widths, inputs, restarts, saved, observed, final, work, first, last):  # type: ignore[no-untyped-def]
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

    @numba.cfunc(_ARGUMENTS, error_model="numpy")
    def entry(  # type: ignore[no-untyped-def]
        start, parameters, times, widths, inputs, restarts, saved, observed, final, work, n, s, k, rows, first, last
    ):
        run(
            carray(start, (n, n_y)),
            carray(parameters, (n, n_p)),
            carray(times, (s,)),
            carray(widths, (s,)),
            carray(inputs, (k, s, n_u)),
            carray(restarts, (k, s)),
            carray(saved, (s + 1,)),
            carray(observed, (n, rows, n_observed)),
            carray(final, (n, n_y)),
            carray(work, (size,)),
            first,
            last,
        )

    return _object_of(entry)


_RUNTIME = re.compile(r"^declare (.*@(?:NRT_|numba_)\w+\(.*)$", re.MULTILINE)
_TRAPPED = r"define \1 {\n  call void @llvm.trap()\n  unreachable\n}"
_TRAP = "\ndeclare void @llvm.trap()\n"


def _object_of(entry: Any) -> bytes:
    """The compiled code of a `numba.cfunc` as an object file that needs no numba where it is loaded.

    It names parts of numba's runtime, for errors and for counting references, which nothing reaches: the equations
    raise nothing, and arrays made of pointers have no owner. LLVM loads no code with unknown names, so each gets a
    body that stops the process.
    """
    module = llvm.parse_assembly(_RUNTIME.sub(_TRAPPED, entry.inspect_llvm()) + _TRAP)
    for function in module.functions:
        if not function.is_declaration:
            function.linkage = llvm.Linkage.internal
    run = module.get_function(entry.native_name)
    run.name, run.linkage = SYMBOL, llvm.Linkage.external
    machine = llvm.Target.from_triple(module.triple).create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        reloc="pic",
        codemodel="jitdefault",
        jit=True,
    )
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3)))
    return bytes(machine.emit_object(module))


if __name__ == "__main__":
    main(sys.argv[1])
