"""The interpreter: a table of instructions run without Python, and what its instructions do besides chains.

A table is an int64 array of (function address, arguments address) pairs. Every function has the signature
`void function(int64 *arguments)`: chains (`llvm_printer.py`), matrix products (`matmul.py`), row gathers (here). So a
new kind of instruction is a new function, not a new opcode, and `run` is one loop.

>>> import numpy as np
>>> x, out = np.arange(6.0, dtype="float32").reshape(3, 2), np.empty((2, 2), "float32")
>>> rows = np.array([2, 0])
>>> InstructionTable([gather_rows(x, rows, out)]).run()
>>> out
array([[4., 5.],
       [0., 1.]], dtype=float32)
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from llvmlite import ir

from chainrule.program.native import compiler, llvm_printer
from chainrule.program.native.lanes import WORD, Value, call_function
from chainrule.program.native.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chainrule.program.chains import Chain

Array = np.ndarray[Any, Any]


class Instruction(NamedTuple):
    """One call: a function, its words, and the arrays that must live as long as the table."""

    function: int
    arguments: Array
    arrays: tuple[Array, ...]


class InstructionTable:
    """Instructions in order, ready to run in any thread; `words` is what the interpreter takes: address and length."""

    def __init__(self, instructions: Iterable[Instruction]) -> None:
        self.instructions = tuple(instructions)
        pairs = [(i.function, i.arguments.ctypes.data) for i in self.instructions]
        self._pairs = np.array(pairs, np.int64).reshape(-1, 2)
        self.words = (self._pairs.ctypes.data, len(pairs))
        self._arguments = np.array(self.words, np.int64)
        self._address = self._arguments.ctypes.data
        self._run = compiler.function_at(run_address())

    def run(self) -> None:
        """Run the instructions in this thread, without the GIL."""
        self._run(self._address)


def print_run() -> str:
    """Return the module of `run`: arguments are the table's address and its length."""
    writer = Writer("run")
    write_run(writer, writer.argument(0), writer.argument(1))
    return writer.text()


def write_run(writer: Writer, table: Value, length: Value) -> None:
    """Write the loop over the (function, arguments) pairs of a table."""
    pairs = writer.pointer(table)
    two = writer.word(2)
    with writer.loop(writer.word(0), length, 1) as index:
        first = writer.builder.mul(index, two)
        function, arguments = (
            writer.builder.load(writer.builder.gep(pairs, [place], source_etype=WORD), typ=WORD)
            for place in (first, writer.builder.add(first, writer.word(1)))
        )
        writer.call(function, writer.pointer(arguments))


@functools.cache
def run_address() -> int:
    """Return the address of the interpreter."""
    return compiler.compile_function(print_run, "run")


# ---- chains ---------------------------------------------------------------------------------------------------------


@functools.cache
def compile_chain(chain: Chain) -> int:
    """Return the address of a chain's kernel: from memory, from disk (1 ms), or compiled now (some 40 ms)."""
    return compiler.compile_function(
        functools.partial(llvm_printer.print_llvm, chain), llvm_printer.NAME, repr(chain)
    )


def call_chain(chain: Chain, inputs: Sequence[Array], outputs: Sequence[Array]) -> Instruction:
    """Return the instruction that runs a chain over these arrays (0-d or 2-D, contiguous along the last axis)."""
    _check_arrays(chain, inputs, outputs)
    arrays = (*inputs, *outputs)
    rows, columns = np.broadcast_shapes(*(a.shape for a in arrays), (1, 1))
    if chain.flattens and all(
        a.ndim == 0 or (a.shape == (rows, columns) and a.flags.c_contiguous) for a in arrays
    ):
        rows, columns = 1, rows * columns
    scratch = np.empty(llvm_printer.scratch_bytes(chain, columns), np.uint8)
    words = [rows, columns, scratch.ctypes.data]
    for array in arrays:
        words += [array.ctypes.data, array.strides[0] if array.ndim and array.shape[0] > 1 else 0]
    return Instruction(compile_chain(chain), np.array(words, np.int64), (*arrays, scratch))


def _check_arrays(chain: Chain, inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
    names = [operand.name for operand in chain.inputs] + [output.value for output in chain.outputs]
    if len(names) != len(inputs) + len(outputs):
        msg = f"got {len(inputs)} inputs and {len(outputs)} outputs; the chain names {names}"
        raise ValueError(msg)
    for name, array in zip(names, (*inputs, *outputs), strict=True):
        lies_well = array.ndim in (0, 2) and (
            array.ndim == 0 or array.shape[1] <= 1 or array.strides[1] == array.itemsize
        )
        if array.dtype.name != chain.dtypes[name] or not lies_well:
            msg = (
                f"{name} is {array.dtype.name} of shape {array.shape}, strides {array.strides}; the chain takes "
                f"{chain.dtypes[name]}, 0-d or 2-D with contiguous rows: convert or copy it"
            )
            raise ValueError(msg)


# ---- rows -----------------------------------------------------------------------------------------------------------


def gather_rows(source: Array, index: Array, out: Array) -> Instruction:
    """Return the instruction `out[i, :] = source[index[i], :]`; `index` is int64 and within range (it is not checked)."""
    row_bytes = source.shape[1] * source.itemsize
    words = [
        len(index),
        row_bytes,
        source.ctypes.data,
        source.strides[0],
        index.ctypes.data,
        out.ctypes.data,
        out.strides[0],
    ]
    return Instruction(_gather_address(), np.array(words, np.int64), (source, index, out))


@functools.cache
def _gather_address() -> int:
    return compiler.compile_function(print_gather, "gather")


def print_gather() -> str:
    """Return the module of `gather`."""
    writer = Writer("gather")
    builder = writer.builder
    rows, row_bytes, source, source_stride, index, out, out_stride = (
        writer.argument(i) for i in range(7)
    )
    with writer.loop(writer.word(0), rows, 1) as row:
        chosen = builder.load(builder.gep(writer.pointer(index), [row], source_etype=WORD), typ=WORD)
        origin = writer.pointer(source, builder.mul(chosen, source_stride))
        target = writer.pointer(out, builder.mul(row, out_stride))
        false = ir.Constant(ir.IntType(1), 0)
        call_function(builder, "llvm.memcpy.p0.p0.i64", ir.VoidType(), target, origin, row_bytes, false)
    return writer.text()
