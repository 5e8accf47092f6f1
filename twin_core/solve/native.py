"""Machine code in this process: the engine that holds it, and the type of an array among its arguments."""

from typing import Any

import llvmlite.binding as llvm  # type: ignore[import-untyped]
import numpy as np


def engine_of(assembly: str = "") -> Any:
    """An engine with LLVM instructions compiled for this processor; object files may be added.

    It resolves what the code calls (exp, pow) in this process. The code lives as long as the engine.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=2,
        jit=True,
        codemodel="jitdefault",
    )
    return llvm.create_mcjit_compiler(llvm.parse_assembly(assembly), machine)


def array_of(kind: type, dimensions: int) -> Any:
    """The type of a contiguous array; another one raises `ctypes.ArgumentError` when the function is called."""
    return np.ctypeslib.ndpointer(dtype=kind, ndim=dimensions, flags="C_CONTIGUOUS")
