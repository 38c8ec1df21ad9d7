"""Native matrix products for the interpreter: the BLAS's own through adapters, and a plain one for tiny sizes.

All compute `C = A @ B` for a row-major C, or `C += A @ B` where `accumulate` is 1. The arguments are words:

* `gemm`:  cblas function, transpose A, transpose B, m, n, k, A, lda, B, ldb, C, ldc, accumulate
* `gemv`:  cblas function, transpose A, rows and columns of A as it lies, A, lda, x, step of x, y, step of y, accumulate
* `small`: m, n, k, A, its bytes from row to row and from column to column, B, the same two, C, its bytes from row to row,
  accumulate
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


def print_gemm(dtype: str, integer_bits: int) -> str:
    """Return the module of `gemm`, which calls cblas_?gemm."""
    return _print_blas_call("gemm", dtype, integer_bits, "eeiiiFpipiGpi")


def print_gemv(dtype: str, integer_bits: int) -> str:
    """Return the module of `gemv`, which calls cblas_?gemv."""
    return _print_blas_call("gemv", dtype, integer_bits, "eiiFpipiGpi")


def _print_blas_call(name: str, dtype: str, integer_bits: int, kinds: str) -> str:
    """Write a call with row-major order and one argument a letter: enum, integer, pointer, F = 1, G = accumulate."""
    writer = Writer(name)
    builder, item = writer.builder, item_type(dtype)
    words = iter(range(1, len(kinds) - 1))
    values = [ir.Constant(ir.IntType(32), _ROW_MAJOR)]
    for kind in kinds:
        if kind == "F":
            values.append(ir.Constant(item, 1.0))
        elif kind == "G":
            values.append(builder.sitofp(writer.argument(len(kinds) - 1), item))
        elif kind == "p":
            values.append(writer.pointer(writer.argument(next(words))))
        else:
            word, bits = writer.argument(next(words)), 32 if kind == "e" else integer_bits
            values.append(word if bits == ITEM_BITS["int64"] else builder.trunc(word, ir.IntType(bits)))
    writer.call(writer.argument(0), *values)
    return writer.text()


def print_small_product(dtype: str, *, contiguous: bool) -> str:
    """Return the module of `small`: for each row of A a strip of C in one register; any strides of A.

    B has contiguous rows, or, at several times the cost (a gather), any strides.
    """
    writer = Writer("small")
    width = _WIDTH[dtype]
    m, n = writer.argument(0), writer.argument(1)
    with writer.loop(writer.word(0), m, 1) as row, writer.loop(writer.word(0), n, width) as column:
        mask = writer.first_lanes(writer.builder.sub(n, column), width)
        _write_strip(writer, dtype, (row, column, mask), contiguous=contiguous)
    return writer.text()


def _write_strip(
    writer: Writer, dtype: str, strip: tuple[Value, Value, Value], *, contiguous: bool
) -> None:
    """Write `C[row, columns] = Σ_i A[row, i] B[i, columns]` for a strip: row, first column, mask."""
    row, column, mask = strip
    builder, width = writer.builder, _WIDTH[dtype]
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
        a = writer.load(
            writer.pointer(A, builder.mul(row, A_row), builder.mul(i, A_column)), dtype, 1
        ).spread(width)
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
