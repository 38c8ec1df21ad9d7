"""Matrix products as instructions: which function multiplies, and the words that it is told.

Tiny ones and those of a column by a row are ours (`products.py`); the rest go to the BLAS that NumPy is linked with.
"""

from __future__ import annotations

import functools
from typing import Any, Final

import numpy as np

from chainrule.program.native import compiler, products
from chainrule.program.native.blas import find_blas
from chainrule.program.native.interpreter import Instruction

Array = np.ndarray[Any, Any]

SMALL_PRODUCT: Final = (
    64  # m n k up to which the plain product beats the dispatch of a BLAS (some 100 ns)
)
WIDE_OUTER: Final = (
    64  # columns from which on adding x y' row by row is no slower than by a BLAS (measured)
)


def matmul(
    A: Array, B: Array, out: Array, *, accumulate: bool = False, rate: Array | None = None
) -> Instruction | None:
    """Return the instruction `out = A @ B`, or None where no BLAS was found and it is not small.

    With `accumulate`, `out += A @ B`; with a `rate`, 0-d and read at each run, `out -= rate A @ B`.
    """
    scale = _one(out.dtype.name) if rate is None else rate
    ends = [accumulate or rate is not None, scale.ctypes.data, 1 if rate is None else -1]
    called = _own_product(A, B, out, adds=bool(ends[0])) or _blas_product(A, B, out)
    if called is None:
        return None
    function, words = called
    return Instruction(function, np.array([*words, *ends], np.int64), (A, B, out, scale))


def _own_product(A: Array, B: Array, out: Array, *, adds: bool) -> tuple[int, list[int]] | None:
    """Return our function for a product, and its first words; None where a BLAS does better."""
    (m, k), n = A.shape, B.shape[1]
    has_rows = B.strides[1] == B.itemsize
    if m * n * k <= SMALL_PRODUCT:
        places = [word for array in (A, B) for word in (array.ctypes.data, *array.strides)]
        words = [m, n, k, *places, out.ctypes.data, out.strides[0]]
        return _small_address(out.dtype.name, has_rows), words
    if k == 1 and n >= WIDE_OUTER and has_rows and adds:
        words = [m, n, A.ctypes.data, A.strides[0], B.ctypes.data, out.ctypes.data, out.strides[0]]
        return _outer_address(out.dtype.name), words
    return None


def _blas_product(A: Array, B: Array, out: Array) -> tuple[int, list[int]] | None:
    """Return the function that calls a BLAS for a product, and its first words; None where there is none."""
    blas = find_blas()
    if blas is None:
        return None
    kind, words = ("gemv", _gemv_words) if A.shape[0] == 1 else ("gemm", _gemm_words)
    function = _blas_address(kind, out.dtype.name, blas.integer_bits)
    return function, [getattr(blas, kind)[out.dtype.name], *words(A, B, out)]


@functools.cache
def _one(dtype: str) -> Array:
    return np.ones((), dtype)


def _leading(matrix: Array) -> tuple[int, int]:
    """Return whether a matrix lies transposed, and its leading dimension in items."""
    rows, columns = (stride // matrix.itemsize for stride in matrix.strides)
    if matrix.shape[0] == 1 and columns == 1:
        return products.PLAIN, matrix.shape[1]
    if columns == 1 and rows >= matrix.shape[1]:
        return products.PLAIN, rows
    if rows == 1 and columns >= matrix.shape[0]:
        return products.TRANSPOSED, columns
    msg = f"a matrix of shape {matrix.shape} has strides {matrix.strides}; a BLAS takes contiguous rows or columns: copy it"
    raise ValueError(msg)


def _gemm_words(A: Array, B: Array, out: Array) -> list[int]:
    (transpose_A, lda), (transpose_B, ldb), (_, ldc) = _leading(A), _leading(B), _leading(out)
    (m, k), n = A.shape, B.shape[1]
    return [
        transpose_A,
        transpose_B,
        m,
        n,
        k,
        A.ctypes.data,
        lda,
        B.ctypes.data,
        ldb,
        out.ctypes.data,
        ldc,
    ]


def _gemv_words(A: Array, B: Array, out: Array) -> list[int]:
    """Return the words of `(1, k) @ (k, n)` as `B.T @ x`."""
    transpose_B, ldb = _leading(B)
    rows, columns = B.shape if transpose_B == products.PLAIN else B.shape[::-1]
    turned = products.TRANSPOSED if transpose_B == products.PLAIN else products.PLAIN
    ends = [A.ctypes.data, _step(A), out.ctypes.data, _step(out)]
    return [turned, rows, columns, B.ctypes.data, ldb, *ends]


def _step(row: Array) -> int:
    """Return the items from one entry of a row to the next; 1 where there is one: its stride may be 0 then."""
    return row.strides[1] // row.itemsize if row.shape[1] > 1 else 1


@functools.cache
def _small_address(dtype: str, contiguous: bool) -> int:
    return compiler.compile_function(
        functools.partial(products.print_small_product, dtype, contiguous=contiguous),
        "small",
        f"{dtype} {contiguous}",
    )


@functools.cache
def _outer_address(dtype: str) -> int:
    return compiler.compile_function(functools.partial(products.print_outer, dtype), "outer", dtype)


@functools.cache
def _blas_address(kind: str, dtype: str, integer_bits: int) -> int:
    return compiler.compile_function(
        functools.partial(products.print_blas_call, kind, dtype, integer_bits),
        kind,
        f"{dtype} {integer_bits}",
    )
