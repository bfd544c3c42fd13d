"""Make machine code of kernels for the processor at hand, and call it in PyTorch's own threads.

llvmlite is LLVM as a library: it takes some 50 ms a kernel and needs no compiler on the machine. The threads are those
of the OpenMP library that PyTorch has loaded: a second set beside them would wait for the cores that the first one
keeps busy while it waits. Where that library is another one a call takes one thread.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import torch
from llvmlite import ir

_WORTH_WAKING = 2**20
"""Bytes that a call touches from which on more threads are faster."""


class Compiled:
    """The kernels of a module, ready to be called."""

    def __init__(self, module: ir.Module) -> None:
        names = [one.name for one in module.functions if not one.is_declaration]
        self._has_threads = _find_threads()
        if self._has_threads:
            _add_threads(module, names)
        self._engine = _compile(module)
        address = self._engine.get_function_address
        direct = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        shared = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int32)
        self._direct = {one: direct(address(one)) for one in names}
        self._shared = {one: shared(address(_shared(one))) for one in names if self._has_threads}

    def threads(self, work: int) -> int:
        """How many threads a call that touches `work` bytes is worth."""
        return torch.get_num_threads() if self._has_threads and work >= _WORTH_WAKING else 1

    def __call__(self, name: str, arguments: Sequence[int], threads: int) -> None:
        """Run a kernel, without the interpreter's lock. Who calls vouches for the addresses."""
        given = (ctypes.c_int64 * len(arguments))(*arguments)
        if threads > 1:
            self._shared[name](ctypes.addressof(given), threads)
        else:
            self._direct[name](ctypes.addressof(given), 0, 1)


def bits(number: float) -> int:
    """A float32 as an argument."""
    return int(struct.unpack("I", struct.pack("f", number))[0])


def _compile(module: ir.Module) -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    features = llvm.get_host_cpu_features().flatten()
    if "+avx512f" in features:
        features += ",-prefer-256-bit"  # sixteen numbers are then one register
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True)
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(3))
    builder.getModulePassManager().run(parsed, builder)
    engine = llvm.create_mcjit_compiler(parsed, machine)
    engine.finalize_object()
    return engine


def _find_threads() -> bool:
    """Make GNU's OpenMP known to LLVM, if it is what PyTorch has loaded."""
    for path in sorted((Path(torch.__file__).parent / "lib").glob("libgomp*.so*")):
        try:
            library = ctypes.CDLL(str(path), mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
            for name in ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads"):
                llvm.add_symbol(name, ctypes.cast(getattr(library, name), ctypes.c_void_p).value)
        except (OSError, AttributeError):
            continue
        return True
    return False


def _add_threads(module: ir.Module, names: Sequence[str]) -> None:
    """Beside each kernel(arguments, first, step) one that takes arguments and the number of threads."""
    long, int_, byte = ir.IntType(64), ir.IntType(32), ir.IntType(8).as_pointer()
    body = ir.FunctionType(ir.VoidType(), [byte])
    kind = ir.FunctionType(ir.VoidType(), [body.as_pointer(), byte, int_, int_])
    begin = ir.Function(module, kind, "GOMP_parallel")
    number, count = (
        ir.Function(module, ir.FunctionType(int_, []), f"omp_get_{one}") for one in ("thread_num", "num_threads")
    )
    for name in names:
        part = ir.Function(module, body, f"{name}.part")
        b = ir.IRBuilder(part.append_basic_block())
        first, step = (b.zext(b.call(one, []), long) for one in (number, count))
        b.call(module.globals[name], [b.bitcast(part.args[0], long.as_pointer()), first, step])
        b.ret_void()
        whole = ir.Function(module, ir.FunctionType(ir.VoidType(), [byte, int_]), _shared(name))
        b = ir.IRBuilder(whole.append_basic_block())
        b.call(begin, [part, whole.args[0], whole.args[1], ir.Constant(int_, 0)])
        b.ret_void()


def _shared(name: str) -> str:
    return f"{name}.shared"
