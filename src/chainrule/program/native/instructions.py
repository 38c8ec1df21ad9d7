"""Instructions: the parts of a native step: chains, products, copies of rows.

Each instruction is a function. The shapes and strides of its arrays are constants of its code, their addresses are its
arguments, so instructions of equal shapes are one function.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from chainrule.program.chains import Chain, Operand
from chainrule.program.native import chain_printer, compiler
from chainrule.program.native.blas import find_blas
from chainrule.program.native.chain_printer import Grid
from chainrule.program.native.products import ProductShape, Strided, write_blas_call, write_product
from chainrule.program.native.writer import WORD, Places, Value, Writer, call_function

Array = np.ndarray[Any, Any]

_CONSTANTS = (0, 1, -1, 2, 0.5)  # constants of formulas, not settings of a user


class Instruction(NamedTuple):
    """A function and its arrays: `write` writes its code, and `recipe` identifies the code."""

    write: Callable[[Writer, list[Value]], None]  # the values: the addresses of the arrays
    recipe: tuple[Any, ...]
    arrays: tuple[Array, ...]
    addresses: tuple[int, ...] = ()  # addresses of functions, passed after the addresses of the arrays

    @property
    def arguments(self) -> Array:
        """The words that are passed to the function."""
        return np.array([*(a.ctypes.data for a in self.arrays), *self.addresses], np.int64)

    def write_function(self, writer: Writer) -> None:
        """Write the function, `void function(int64 *arguments)`."""
        count = len(self.arrays) + len(self.addresses)
        self.write(writer, [writer.argument(number) for number in range(count)])


def addresses(instructions: Sequence[Instruction]) -> list[int]:
    """Return the addresses of the instructions' functions; new functions are compiled."""
    return compiler.compile_functions([(repr(i.recipe), i.write_function) for i in instructions])


def chain(chain: Chain, inputs: Sequence[Array], outputs: Sequence[Array]) -> Instruction:
    """Return the instruction that runs a chain over these arrays (0-d or 2-D, contiguous along the last axis)."""
    chain, numbers = _without_settings(chain)
    inputs = (*inputs, *numbers)
    arrays = (*inputs, *outputs)
    rows, columns = np.broadcast_shapes(*(a.shape for a in arrays), (1, 1))
    is_row = [a.ndim == 0 or (a.shape == (rows, columns) and a.flags.c_contiguous) for a in arrays]
    if chain.flattens and all(is_row):
        rows, columns = 1, rows * columns
    strides = tuple(a.strides[0] if a.ndim and a.shape[0] > 1 else 0 for a in arrays)
    grid = Grid(rows, columns, strides)
    scratch = np.empty(chain_printer.scratch_bytes(chain, columns), np.uint8)

    def write(writer: Writer, places: Places) -> None:
        chain_printer.write_chain(writer, chain, grid, places[-1], places[:-1])

    return Instruction(write, ("chain", chain, grid), (*arrays, scratch))


@functools.lru_cache(maxsize=256)
def _without_settings(chain: Chain) -> tuple[Chain, list[Array]]:
    """Return the chain with a user's settings as operands, and the settings, so that all values share a function."""
    statements, settings = [], dict[str, Array]()
    for statement in chain.statements:
        if statement.function == "pow":  # its exponent is the number of multiplications
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
    general = Chain((*chain.inputs, *operands), tuple(statements), chain.outputs)
    return general, list(settings.values())


def product(
    A: Array, B: Array, out: Array, *, adds: bool = False, rate: Array | None = None
) -> Instruction:
    """Return the instruction `out = A @ B`.

    With `adds`, `out += A @ B`; with a `rate`, 0-d and read at each run, `out -= rate A @ B`.
    """
    rates = () if rate is None else (rate,)
    shapes = _matrix(A), _matrix(B), _matrix(out)
    shape = ProductShape(out.dtype.name, *shapes, adds=adds or bool(rates), has_rate=bool(rates))
    blas = find_blas()
    if shape.is_small or blas is None:
        scratch = np.empty(shape.scratch_items, out.dtype)

        def write(writer: Writer, places: Places) -> None:
            write_product(writer, shape, places[:4], *places[4:])

        return Instruction(write, ("product", shape), (A, B, out, scratch, *rates))

    def write_call(writer: Writer, places: Places) -> None:
        *places, function = places
        write_blas_call(writer, shape, blas.integer_bits, function, places[:3], *places[3:])

    addresses = (blas.gemv if len(A) == 1 else blas.gemm)[shape.dtype]
    return Instruction(write_call, ("blas", shape, blas.integer_bits), (A, B, out, *rates), (addresses,))


def _matrix(array: Array) -> Strided:
    rows, columns = (stride // array.itemsize for stride in array.strides)
    return Strided((array.shape[0], array.shape[1]), (rows, columns))


def gather(source: Array, index: Array, step: Array, out: Array) -> Instruction:
    """Return the instruction `out[i, :] = source[index[step, i], :]`.

    `index` (steps, rows) is int64 and must be within range, which is not checked; `step` (1,) is int64.
    """
    row_bytes = source.shape[1] * source.itemsize
    sizes = index.shape[1], index.strides[0], row_bytes, source.strides[0], out.strides[0]
    write = functools.partial(_write_gather, sizes)
    return Instruction(write, ("gather", sizes), (source, index, step, out))


def _write_gather(sizes: tuple[int, ...], writer: Writer, places: Places) -> None:
    rows, step_bytes, row_bytes, source_stride, out_stride = sizes
    source, index, step, out = places
    number = writer.builder.load(writer.pointer(step), typ=WORD)
    with writer.loop(0, rows) as row:
        place = writer.pointer(index, (number, step_bytes), (row, 8))
        chosen = writer.builder.load(place, typ=WORD)
        origin = writer.pointer(source, (chosen, source_stride))
        _copy(writer, origin, writer.pointer(out, (row, out_stride)), row_bytes)


def put(source: Array, out: Array, step: Array) -> Instruction:
    """Return the instruction `out[step] = source`, of contiguous arrays."""
    write = functools.partial(_write_copy, 0, source.nbytes)
    return Instruction(write, ("put", source.nbytes), (source, out, step))


def take(source: Array, step: Array, out: Array) -> Instruction:
    """Return the instruction `out = source[step]`, of contiguous arrays."""
    write = functools.partial(_write_copy, out.nbytes, 0)
    return Instruction(write, ("take", out.nbytes), (source, out, step))


def _write_copy(from_stride: int, to_stride: int, writer: Writer, places: Places) -> None:
    """Write the copy of a row; the side with one row per step has a stride, the other has stride 0."""
    source, out, step = places
    number = writer.builder.load(writer.pointer(step), typ=WORD)
    origin = writer.pointer(source, (number, from_stride))
    _copy(writer, origin, writer.pointer(out, (number, to_stride)), from_stride or to_stride)


def _copy(writer: Writer, origin: Value, target: Value, bytes_: int) -> None:
    settings = writer.word(bytes_), ir.Constant(ir.IntType(1), 0)
    call_function(writer.builder, "llvm.memcpy.p0.p0.i64", ir.VoidType(), target, origin, *settings)
