"""Instructions: what a native step consists of: chains, products, rows copied.

Each is a function of its own. The shapes and strides of its arrays are constants of its code, their addresses are its
arguments, so instructions of equal shapes are one function.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from llvmlite import ir

from chainrule.program.chains import Chain, Operand
from chainrule.program.native import chain_printer, compiler
from chainrule.program.native.blas import find_blas
from chainrule.program.native.chain_printer import Grid
from chainrule.program.native.lanes import WORD, Value, call_function
from chainrule.program.native.products import (
    ProductShape,
    Strided,
    scratch_items,
    write_blas_call,
    write_product,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chainrule.program.native.writer import Writer

Array = np.ndarray[Any, Any]

_CONSTANTS = (0, 1, -1, 2, 0.5)  # numbers of formulae, not of a user


class Instruction(NamedTuple):
    """What writes the code, what tells that apart from others, and the arrays."""

    write: Callable[[Writer, list[Value]], None]  # the values: the addresses of the arrays
    recipe: tuple[Any, ...]
    arrays: tuple[Array, ...]
    addresses: tuple[int, ...] = ()  # of functions; they follow those of the arrays

    @property
    def arguments(self) -> Array:
        """The words that its function takes."""
        return np.array([*(a.ctypes.data for a in self.arrays), *self.addresses], np.int64)

    def write_function(self, writer: Writer) -> None:
        """Write the function, `void function(int64 *arguments)`."""
        count = len(self.arrays) + len(self.addresses)
        self.write(writer, [writer.argument(number) for number in range(count)])


def addresses(instructions: Sequence[Instruction]) -> list[int]:
    """Return the addresses of their functions, which are compiled where they are new."""
    return compiler.compile_functions([(repr(i.recipe), i.write_function) for i in instructions])


def chain(chain: Chain, inputs: Sequence[Array], outputs: Sequence[Array]) -> Instruction:
    """Return the instruction that runs a chain over these arrays (0-d or 2-D, contiguous along the last axis)."""
    chain, numbers = _without_settings(chain)
    inputs = (*inputs, *numbers)
    arrays = (*inputs, *outputs)
    rows, columns = np.broadcast_shapes(*(a.shape for a in arrays), (1, 1))
    if chain.flattens and all(
        a.ndim == 0 or (a.shape == (rows, columns) and a.flags.c_contiguous) for a in arrays
    ):
        rows, columns = 1, rows * columns
    strides = tuple(a.strides[0] if a.ndim and a.shape[0] > 1 else 0 for a in arrays)
    grid = Grid(rows, columns, strides)
    scratch = np.empty(chain_printer.scratch_bytes(chain, columns), np.uint8)

    def write(writer: Writer, places: list[Value]) -> None:
        chain_printer.write_chain(writer, chain, grid, places[-1], places[:-1])

    return Instruction(write, ("chain", chain, grid), (*arrays, scratch))


@functools.lru_cache(maxsize=256)
def _without_settings(chain: Chain) -> tuple[Chain, list[Array]]:
    """Return the chain with a user's settings as operands, and those: each value would be a function of its own."""
    statements, settings = [], dict[str, Array]()
    for statement in chain.statements:
        if statement.function == "pow":  # whose exponent is how often it multiplies
            statements.append(statement)
            continue
        model = next(name for name in statement.arguments if isinstance(name, str))
        dtype = chain.dtypes[statement.result if statement.function == "where" else model]
        arguments = list(statement.arguments)
        for place, argument in enumerate(arguments):
            if not isinstance(argument, str) and argument not in _CONSTANTS:
                name = arguments[place] = f"setting{len(settings)}"
                settings[name] = np.array(argument, dtype)
        statements.append(statement._replace(arguments=tuple(arguments)))
    operands = [Operand(name, "scalar", array.dtype.name) for name, array in settings.items()]
    made = Chain((*chain.inputs, *operands), tuple(statements), chain.outputs)
    return made, list(settings.values())


def product(
    A: Array, B: Array, out: Array, *, adds: bool = False, rate: Array | None = None
) -> Instruction:
    """Return the instruction `out = A @ B`.

    With `adds`, `out += A @ B`; with a `rate`, 0-d and read at each run, `out -= rate A @ B`.
    """
    has_rate = rate is not None
    made = ProductShape(out.dtype.name, _matrix(A), _matrix(B), _matrix(out), adds or has_rate, has_rate)
    rates = () if rate is None else (rate,)
    blas = find_blas()
    if made.is_small or blas is None:
        scratch = np.empty(scratch_items(made), out.dtype)

        def write(writer: Writer, places: list[Value]) -> None:
            write_product(writer, made, places[:4], *places[4:])

        return Instruction(write, ("product", made), (A, B, out, scratch, *rates))

    def write_call(writer: Writer, places: list[Value]) -> None:
        *places, function = places
        rate = places[3] if rates else None
        write_blas_call(writer, made, blas.integer_bits, function, places[:3], rate)

    addresses = (blas.gemv if len(A) == 1 else blas.gemm)[made.dtype]
    return Instruction(write_call, ("blas", made, blas.integer_bits), (A, B, out, *rates), (addresses,))


def _matrix(array: Array) -> Strided:
    rows, columns = (stride // array.itemsize for stride in array.strides)
    return Strided((array.shape[0], array.shape[1]), (rows, columns))


def gather(source: Array, index: Array, step: Array, out: Array) -> Instruction:
    """Return the instruction `out[i, :] = source[index[step, i], :]`.

    `index` (steps, rows) is int64 and within range (it is not checked); `step` (1,) is int64.
    """
    row_bytes = source.shape[1] * source.itemsize
    sizes = index.shape[1], index.strides[0], row_bytes, source.strides[0], out.strides[0]
    return Instruction(
        functools.partial(_write_gather, sizes), ("gather", sizes), (source, index, step, out)
    )


def _write_gather(sizes: tuple[int, ...], writer: Writer, places: list[Value]) -> None:
    rows, step_bytes, row_bytes, source_stride, out_stride = sizes
    source, index, step, out = places
    number = writer.builder.load(writer.pointer(step), typ=WORD)
    with writer.loop(0, rows) as row:
        place = writer.pointer(index, (number, step_bytes), (row, 8))
        chosen = writer.builder.load(place, typ=WORD)
        _copy(
            writer,
            writer.pointer(source, (chosen, source_stride)),
            writer.pointer(out, (row, out_stride)),
            row_bytes,
        )


def put(source: Array, out: Array, step: Array) -> Instruction:
    """Return the instruction `out[step] = source`, of arrays that lie in one piece."""
    write = functools.partial(_write_copy, 0, source.nbytes)
    return Instruction(write, ("put", source.nbytes), (source, out, step))


def take(source: Array, step: Array, out: Array) -> Instruction:
    """Return the instruction `out = source[step]`, of arrays that lie in one piece."""
    write = functools.partial(_write_copy, out.nbytes, 0)
    return Instruction(write, ("take", out.nbytes), (source, out, step))


def _write_copy(from_stride: int, to_stride: int, writer: Writer, places: list[Value]) -> None:
    """Write the copy of a row; a side that has a row for each step has a stride, the other has 0."""
    source, out, step = places
    number = writer.builder.load(writer.pointer(step), typ=WORD)
    origin, target = (
        writer.pointer(place, (number, stride))
        for place, stride in ((source, from_stride), (out, to_stride))
    )
    _copy(writer, origin, target, from_stride or to_stride)


def _copy(writer: Writer, origin: Value, target: Value, bytes_: int) -> None:
    false = ir.Constant(ir.IntType(1), 0)
    size = writer.word(bytes_)
    call_function(writer.builder, "llvm.memcpy.p0.p0.i64", ir.VoidType(), target, origin, size, false)
