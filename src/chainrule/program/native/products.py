"""Native matrix products for the interpreter: the BLAS's own through adapters, and a plain one for tiny sizes.

All compute `C = alpha A @ B` for a row-major C, or `C += alpha A @ B` where `accumulate` is 1; alpha is the number at the
address `scale`, times `sign`. The arguments are words:

* `gemm`:  cblas function, transpose A, transpose B, m, n, k, A, lda, B, ldb, C, ldc, accumulate, scale, sign
* `gemv`:  cblas function, transpose A, rows and columns of A as it lies, A, lda, x, step of x, y, step of y, accumulate,
  scale, sign
* `outer`: m, n, x, its bytes from item to item, y (contiguous), C, its bytes from row to row, accumulate (1), scale,
  sign: `C += alpha x y'`
* `small`: m, n, k, A, its bytes from row to row and from column to column, B, the same two, C, its bytes from row to row,
  accumulate, scale, sign
"""

from __future__ import annotations

from typing import Final

from llvmlite import ir

from chainrule.program.native.lanes import (
    ITEM_BITS,
    POINTER,
    Lanes,
    Value,
    call_function,
    item_type,
    lanes_type,
)
from chainrule.program.native.writer import Writer, suffix

PLAIN: Final = 111  # CblasNoTrans
TRANSPOSED: Final = 112  # CblasTrans
_ROW_MAJOR: Final = 101
_WIDTH: Final = {"float32": 16, "float64": 8}


# The arguments of each after the order: enum, integer, pointer, F = alpha, G = accumulate.
_ARGUMENTS: Final = {"gemm": "eeiiiFpipiGpi", "gemv": "eiiFpipiGpi"}


def print_blas_call(name: str, dtype: str, integer_bits: int) -> str:
    """Return the module of `gemm` or `gemv`, which calls the function of that name of a BLAS."""
    writer = Writer(name)
    builder, item, kinds = writer.builder, item_type(dtype), _ARGUMENTS[name]
    words = iter(range(1, len(kinds)))
    last = 1 + sum(kind in "eip" for kind in kinds)  # accumulate, and after it scale and sign
    values = [ir.Constant(ir.IntType(32), _ROW_MAJOR)]
    for kind in kinds:
        if kind == "F":
            values.append(_alpha(writer, dtype, last + 1).value)
        elif kind == "G":
            values.append(builder.sitofp(writer.argument(last), item))
        elif kind == "p":
            values.append(writer.pointer(writer.argument(next(words))))
        else:
            word, bits = writer.argument(next(words)), 32 if kind == "e" else integer_bits
            values.append(word if bits == ITEM_BITS["int64"] else builder.trunc(word, ir.IntType(bits)))
    writer.call(writer.argument(0), *values)
    return writer.text()


def _alpha(writer: Writer, dtype: str, word: int) -> Lanes:
    """Return the number at the address in a word, times the sign in the next."""
    sign = writer.builder.sitofp(writer.argument(word + 1), item_type(dtype))
    return writer.load(writer.pointer(writer.argument(word)), dtype, 1) * Lanes(
        writer.builder, sign, dtype, 1
    )


def print_outer(dtype: str) -> str:
    """Return the module of `outer`: row by row, which keeps up with memory.

    A BLAS's ?ger would share it out among threads, and every step would move the weights from core to core.
    """
    writer = Writer("outer")
    builder, width = writer.builder, _WIDTH[dtype]
    m, n, x, x_step, y, C, C_row = (writer.argument(i) for i in range(7))
    alpha, whole = _alpha(writer, dtype, 8), builder.and_(n, writer.word(-width))
    with writer.loop(writer.word(0), m, 1) as row:
        a_place = writer.pointer(x, builder.mul(row, x_step))
        a = (writer.load(a_place, dtype, 1) * alpha).spread(width)
        here = builder.add(C, builder.mul(row, C_row))
        for start, stop in ((writer.word(0), whole), (whole, n)):  # the second: what is left of a strip
            with writer.loop(start, stop, width) as column:
                mask = writer.first_lanes(builder.sub(n, column), width) if stop is n else None
                offset = builder.mul(column, writer.word(ITEM_BITS[dtype] // 8))
                place = writer.pointer(here, offset)
                b = writer.load(writer.pointer(y, offset), dtype, width, mask)
                writer.store(place, a.times_plus(b, writer.load(place, dtype, width, mask)), mask)
    return writer.text()


def print_small_product(dtype: str, *, contiguous: bool) -> str:
    """Return the module of `small`: for each row of A a strip of C in one register; any strides of A.

    B has contiguous rows, or, at several times the cost (a gather), any strides.
    """
    writer = Writer("small")
    width = _WIDTH[dtype]
    m, n, alpha = writer.argument(0), writer.argument(1), _alpha(writer, dtype, 12)
    with writer.loop(writer.word(0), m, 1) as row, writer.loop(writer.word(0), n, width) as column:
        mask = writer.first_lanes(writer.builder.sub(n, column), width)
        _write_strip(writer, alpha, (row, column, mask), contiguous=contiguous)
    return writer.text()


def _write_strip(
    writer: Writer, alpha: Lanes, strip: tuple[Value, Value, Value], *, contiguous: bool
) -> None:
    """Write `C[row, columns] = Σ_i alpha A[row, i] B[i, columns]` for a strip: row, first column, mask."""
    row, column, mask = strip
    builder, dtype = writer.builder, alpha.dtype
    width = _WIDTH[dtype]
    k, A, A_row, A_column, B, B_row, B_column, C, C_row, accumulate = (
        writer.argument(i) for i in range(2, 12)
    )
    item_bytes = writer.word(ITEM_BITS[dtype] // 8)
    place = writer.pointer(C, builder.mul(row, C_row), builder.mul(column, item_bytes))
    before = writer.load(place, dtype, width, mask)
    wanted = Lanes(builder, builder.sitofp(accumulate, item_type(dtype)), dtype, 1).spread(width)
    with builder.goto_entry_block():
        total = builder.alloca(lanes_type(dtype, width))
    builder.store((wanted > 0.0).where(before, 0.0).value, total)
    with writer.loop(writer.word(0), k, 1) as i:
        a_place = writer.pointer(A, builder.mul(row, A_row), builder.mul(i, A_column))
        a = (writer.load(a_place, dtype, 1) * alpha).spread(width)
        start = writer.pointer(B, builder.mul(i, B_row), builder.mul(column, B_column))
        b = (
            writer.load(start, dtype, width, mask)
            if contiguous
            else _load_strided(writer, dtype, start, B_column, mask)
        )
        builder.store(a.times_plus(b, a.like(builder.load(total, typ=a.value.type))).value, total)
    writer.store(place, wanted.like(builder.load(total, typ=before.value.type)), mask)


def _load_strided(writer: Writer, dtype: str, start: Value, step: Value, mask: Value) -> Lanes:
    """Return items `step` bytes apart; those outside the mask are 0."""
    builder, width = writer.builder, _WIDTH[dtype]
    lane = Lanes(
        builder, ir.Constant(ir.VectorType(ir.IntType(64), width), list(range(width))), "int64", width
    )
    offsets = lane * Lanes(builder, step, "int64", 1).spread(width)
    pointers = builder.gep(start, [offsets.value], source_etype=ir.IntType(8))
    typ, align = lanes_type(dtype, width), ir.Constant(ir.IntType(32), ITEM_BITS[dtype] // 8)
    name = f"llvm.masked.gather.{suffix(dtype, width)}.v{width}p0"
    pointers.type = ir.VectorType(POINTER, width)
    return Lanes(
        builder,
        call_function(builder, name, typ, pointers, align, mask, ir.Constant(typ, None)),
        dtype,
        width,
    )
