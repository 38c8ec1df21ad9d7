"""Matrix products as native code: printed with their sizes where that is quicker, else a call of NumPy's BLAS.

All compute `C = s A @ B`, or `C += s A @ B` with `adds`; s is 1, or minus the number at the address `rate`. A printed
product keeps a block of C in registers: some rows of one vector of columns, to which it adds, for each inner index, the
items of a column of A times a vector of a row of B. Three cases, so that the vectors lie in one piece in memory:

* B has contiguous rows: as said. With one column of B, and rows of A contiguous: dot products along the rows of A.
* The same of `C' = B' @ A'`, where C has one row or one column.
* Else B is turned round into scratch memory first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from llvmlite import ir

from chainrule.program.native.chain_printer import across
from chainrule.program.native.lanes import ITEM_BITS, Lanes, Value, item_type, lanes_type

if TYPE_CHECKING:
    from chainrule.program.native.writer import Writer

PLAIN: Final = 111  # CblasNoTrans
TRANSPOSED: Final = 112  # CblasTrans
_ROW_MAJOR: Final = 101
_VECTOR_BYTES: Final = 64
_ROW_BYTES: Final = 256  # of the only row of C: rows of B are read in longer pieces
_ROWS: Final = (6, 5, 4)  # of a block: with two 32-byte registers each, what 16 registers hold
# Multiplications up to which a printed product is quicker than a BLAS (AMD EPYC, AVX2, one thread, float32: 5 times at
# 16 x 16 x 64, 1.0 to 1.4 at 64 x 64 x 64, 0.8 to 1.2 with twice as many, 0.8 at 64 x 128 x 128).
PRINTED: Final = 2**19
# Items of a B that may be turned round for a few rows (4 rows: 0.2 times as quick as a BLAS at 256 x 64, 1.3 at 64 x 16).
TURNED: Final = 2**10


class Strided(NamedTuple):
    """How a matrix lies: its shape, and the items from row to row and from column to column."""

    shape: tuple[int, int]
    strides: tuple[int, int]

    @property
    def turned(self) -> Strided:
        """The matrix turned round."""
        return Strided(self.shape[::-1], self.strides[::-1])

    @property
    def has_rows(self) -> bool:
        """Whether the items of a row lie side by side."""
        return self.strides[1] == 1 or self.shape[1] == 1


class ProductShape(NamedTuple):
    """A product to print: `C = A @ B`, added to C or not, times a rate or not."""

    dtype: str
    A: Strided
    B: Strided
    C: Strided
    adds: bool
    has_rate: bool

    @property
    def is_small(self) -> bool:
        """Whether it is quicker printed than by a BLAS."""
        (m, k), n = self.oriented.A.shape, self.oriented.B.shape[1]
        # Turning B round takes 1.5 ns an item, which few rows of A do not earn back.
        is_worth_turning = self.oriented.form != "turned" or k <= 16 or m >= 64 or k * n <= TURNED
        return m * n * k <= PRINTED and is_worth_turning

    @property
    def form(self) -> str:
        """How it is printed: `rows`, `dots` or `turned`."""
        if self.B.shape[1] > 1 and self.B.has_rows:
            return "rows"
        if self.B.shape[1] == 1 and self.A.has_rows and self.B.turned.has_rows:
            return "dots"
        return "turned"

    @property
    def oriented(self) -> ProductShape:
        """The product to print: itself, or `C' = B' @ A'` where that is one of vectors in one piece."""
        other = self._replace(A=self.B.turned, B=self.A.turned, C=self.C.turned)
        return other if self.form == "turned" != other.form and other.C.has_rows else self


def scratch_items(product: ProductShape) -> int:
    """Return how many items of scratch memory the printed product needs."""
    k, n = product.oriented.B.shape
    return k * n if product.oriented.form == "turned" else 0


def write_product(
    writer: Writer, product: ProductShape, places: list[Value], rate: Value = None
) -> None:
    """Write a product; `places` are the integer addresses of A, B, C and scratch, `rate` that of the rate."""
    A, B, C, scratch = places
    turned = product.oriented
    if turned is not product:
        A, B, product = B, A, turned
    factor = None if rate is None else -writer.load(writer.pointer(rate), product.dtype, 1)
    block = _Block(writer, product, [A, B, C], factor)
    if product.form == "dots":
        block.write_dots()
        return
    if product.form == "turned":
        k, n = product.B.shape
        lying = Strided((k, n), (n, 1))
        with writer.loop(0, n) as column, writer.loop(0, k) as row:
            value = writer.load(block.pointer(1, row, column), product.dtype, 1)
            copied = block.pointer_in(scratch, lying, row, column)
            writer.store(copied, value)
        block = _Block(writer, product._replace(B=lying), [A, scratch, C], factor)
    block.write_rows()


class _Block:
    """The code of one product being written."""

    def __init__(
        self, writer: Writer, product: ProductShape, places: list[Value], factor: Lanes | None
    ) -> None:
        self.writer, self.product, self.places, self.factor = writer, product, places, factor
        self.dtype, self.bytes = product.dtype, ITEM_BITS[product.dtype] // 8
        (m, k), n = product.A.shape, product.B.shape[1]
        self.is_outer = k == 1
        most = (_ROW_BYTES if m == 1 else _VECTOR_BYTES) // self.bytes
        self.width = min(most, max(2, 1 << (n - 1).bit_length()))
        if product.form == "dots":
            self.width = min(most, max(2, 1 << (product.A.shape[1] - 1).bit_length()))

    def pointer(self, operand: int, row: Value, column: Value) -> Value:
        """Return the pointer to an item of A, B or C."""
        matrix = (self.product.A, self.product.B, self.product.C)[operand]
        return self.pointer_in(self.places[operand], matrix, row, column)

    def pointer_in(self, place: Value, matrix: Strided, row: Value, column: Value) -> Value:
        """Return the pointer to an item of a matrix that begins at a place."""
        return self.writer.pointer(
            place, (row, matrix.strides[0] * self.bytes), (column, matrix.strides[1] * self.bytes)
        )

    def write_rows(self) -> None:
        """Write the loops over strips of columns, and in each over blocks of rows; in an outer product the other way.

        Its strips of B are used once, and along its rows memory is read as it lies.
        """
        writer, (m, n) = self.writer, self.product.C.shape
        rest, rows = n % self.width, _rows(m)
        whole, left = n - rest, m % rows
        for columns, *strips in ((self.width, 0, whole), (rest, whole, n)):
            mask = writer.first_lanes(columns, self.width)
            for height, *blocks in ((rows, 0, m - left), (left, m - left, m)):
                if columns == 0 or height == 0:
                    continue
                loops = [(*strips, self.width), (*blocks, height)]
                if self.is_outer:
                    with writer.loop(*loops[1]) as row, writer.loop(*loops[0]) as column:
                        self._write_block(row, height, column, mask)
                else:
                    with writer.loop(*loops[0]) as column, writer.loop(*loops[1]) as row:
                        self._write_block(row, height, column, mask)

    def _write_block(self, row: Value, rows: int, column: Value, mask: Value) -> None:
        writer, builder = self.writer, self.writer.builder
        typ = lanes_type(self.dtype, self.width)
        numbers = [builder.add(row, writer.word(number)) for number in range(rows)]
        totals = [writer.variable(typ) for _ in numbers]
        for total in totals:
            builder.store(ir.Constant(typ, None), total)
        with writer.loop(0, self.product.A.shape[1]) as inner:
            b = writer.load(self.pointer(1, inner, column), self.dtype, self.width, mask)
            for number, total in zip(numbers, totals, strict=True):
                a = writer.load(self.pointer(0, number, inner), self.dtype, 1).spread(self.width)
                so_far = a.like(builder.load(total, typ=typ))
                builder.store(a.times_plus(b, so_far).value, total)
        for number, total in zip(numbers, totals, strict=True):
            value = Lanes(builder, builder.load(total, typ=typ), self.dtype, self.width)
            self._store(self.pointer(2, number, column), value, mask)

    def _store(self, place: Value, value: Lanes, mask: Value) -> None:
        width = value.width
        if self.product.adds:
            before = self.writer.load(place, self.dtype, width, mask)
            factor = 1.0 if self.factor is None else self.factor.spread(width)
            value = value.times_plus(factor, before) if self.factor else value + before
        elif self.factor:
            value = value * self.factor.spread(width)
        self.writer.store(place, value, mask)

    def write_dots(self) -> None:
        """Write `C[row, 0] = Σ_i A[row, i] B[i, 0]`, for four rows at a time."""
        writer, m, rows = self.writer, self.product.A.shape[0], 4
        left = m % rows
        if m - left:
            with writer.loop(0, m - left, rows) as row:
                self._write_dots(row, rows)
        if left:
            self._write_dots(writer.word(m - left), left)

    def _write_dots(self, row: Value, rows: int) -> None:
        writer, builder, k = self.writer, self.writer.builder, self.product.A.shape[1]
        typ, zero = lanes_type(self.dtype, self.width), writer.word(0)
        numbers = [builder.add(row, writer.word(number)) for number in range(rows)]
        totals = [writer.variable(typ) for _ in numbers]
        for total in totals:
            builder.store(ir.Constant(typ, None), total)
        rest = k % self.width
        for items, start, stop in ((self.width, 0, k - rest), (rest, k - rest, k)):
            if start == stop:
                continue
            mask = writer.first_lanes(items, self.width)
            with writer.loop(start, stop, self.width) as inner:
                b = self._load_column(inner, mask)
                for number, total in zip(numbers, totals, strict=True):
                    a = writer.load(self.pointer(0, number, inner), self.dtype, self.width, mask)
                    so_far = a.like(builder.load(total, typ=typ))
                    builder.store(a.times_plus(b, so_far).value, total)
        for number, total in zip(numbers, totals, strict=True):
            lanes = Lanes(builder, builder.load(total, typ=typ), self.dtype, self.width)
            self._store(self.pointer(2, number, zero), across(lanes, "row_sum"), None)

    def _load_column(self, inner: Value, mask: Value) -> Lanes:
        return self.writer.load(
            self.pointer(1, inner, self.writer.word(0)), self.dtype, self.width, mask
        )


def _rows(m: int) -> int:
    """Return the rows of a block: those that leave none over, or the most."""
    return next((rows for rows in _ROWS if m % rows == 0), min(m, _ROWS[0]))


def write_blas_call(
    writer: Writer,
    product: ProductShape,
    integer_bits: int,
    function: Value,
    places: list[Value],
    rate: Value,
) -> None:
    """Write the call of a BLAS's `gemm`, or of its `gemv` where A has one row; `function` is its address."""
    builder, item, integer = writer.builder, item_type(product.dtype), ir.IntType(integer_bits)

    def enum(number: int) -> Value:
        return ir.Constant(ir.IntType(32), number)

    def size(number: int) -> Value:
        return ir.Constant(integer, number)

    A, B, C = (writer.pointer(place) for place in places)
    one = ir.Constant(item, 1.0)
    alpha = (
        one if rate is None else builder.fneg(writer.load(writer.pointer(rate), product.dtype, 1).value)
    )
    beta = ir.Constant(item, float(product.adds))
    (m, k), n = product.A.shape, product.B.shape[1]
    turned_B, ldb = leading(product.B)
    if m == 1:  # (1, k) @ (k, n) is B' x
        lies = product.B.shape if turned_B == PLAIN else product.B.shape[::-1]
        kind = enum(TRANSPOSED if turned_B == PLAIN else PLAIN)
        steps = [size(_step(row)) for row in (product.A, product.C)]
        words = [kind, *map(size, lies), alpha, B, size(ldb), A, steps[0], beta, C, steps[1]]
    else:
        turned_A, lda = leading(product.A)
        ldc = leading(product.C)[1]
        words = [
            enum(turned_A),
            enum(turned_B),
            size(m),
            size(n),
            size(k),
            alpha,
            A,
            size(lda),
            B,
            size(ldb),
        ]
        words += [beta, C, size(ldc)]
    writer.call(function, enum(_ROW_MAJOR), *words)


def leading(matrix: Strided) -> tuple[int, int]:
    """Return how a BLAS is to take a matrix, and its leading dimension in items."""
    rows, columns = matrix.strides
    if matrix.shape[0] == 1 and columns == 1:
        return PLAIN, matrix.shape[1]
    if columns == 1 and rows >= matrix.shape[1]:
        return PLAIN, rows
    if rows == 1 and columns >= matrix.shape[0]:
        return TRANSPOSED, columns
    msg = f"a matrix of shape {matrix.shape} has strides {matrix.strides}; a BLAS takes contiguous rows or columns: copy it"
    raise ValueError(msg)


def _step(row: Strided) -> int:
    """Return the items from one entry of a row to the next; 1 where there is one: its stride may be 0 then."""
    return row.strides[1] if row.shape[1] > 1 else 1
