"""Matrix products as native code: printed with their sizes if that is faster, otherwise a call of NumPy's BLAS.

All compute `C = s A @ B`, or `C += s A @ B` with `adds`; s is 1, or minus the number at the address `rate`. A printed
product keeps a block of C in registers: a vector of columns in each of some rows. For each inner index, it adds an
item of A times a vector from a row of B. Three cases, so that the vectors are contiguous in memory:

* B has contiguous rows: as described. With one column of B, and contiguous rows of A: dot products along the rows of A.
* If C has one row or one column: the same for `C' = B' @ A'`.
* Otherwise B is transposed into scratch memory first.
"""

from functools import partial
from typing import Final, NamedTuple

from llvmlite import ir

from chainrule.program.native.chain_printer import across
from chainrule.program.native.writer import INT, ITEM_BITS, Lanes, Places, Value, Writer, lanes_type

PLAIN: Final = 111  # CblasNoTrans
TRANSPOSED: Final = 112  # CblasTrans
_ROW_MAJOR: Final = 101
_VECTOR_BYTES: Final = 64
_ROW_BYTES: Final = 256  # if C has one row: B is then read in longer pieces
_ROWS: Final = (6, 5, 4)  # rows per block; each takes two of the 16 32-byte registers
# Multiplications up to which a printed product is faster than a BLAS (AMD EPYC, AVX2, one thread, float32: 5 times at
# 16 x 16 x 64, 1.0 to 1.4 at 64 x 64 x 64, 0.8 to 1.2 with twice as many, 0.8 at 64 x 128 x 128).
PRINTED: Final = 2**19
# Items of a B that may be transposed for a few rows (4 rows: 0.2 times as fast as a BLAS at 256 x 64, 1.3 at 64 x 16).
TURNED: Final = 2**10


class Strided(NamedTuple):
    """The layout of a matrix: its shape, and its strides in items, from row to row and from column to column."""

    shape: tuple[int, int]
    strides: tuple[int, int]

    @property
    def turned(self) -> "Strided":
        """The transposed matrix."""
        return Strided(self.shape[::-1], self.strides[::-1])

    @property
    def has_rows(self) -> bool:
        """Whether the items of a row are contiguous."""
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
        """Whether the printed product is faster than a BLAS."""
        (m, k), n = self.oriented.A.shape, self.oriented.B.shape[1]
        # Transposing B takes 1.5 ns per item, too long for few rows of A.
        is_worth_turning = self.oriented.form != "turned" or k <= 16 or m >= 64 or k * n <= TURNED
        return m * n * k <= PRINTED and is_worth_turning

    @property
    def form(self) -> str:
        """The form of the printed code: `rows`, `dots` or `turned`."""
        if self.B.shape[1] > 1 and self.B.has_rows:
            return "rows"
        if self.B.shape[1] == 1 and self.A.has_rows and self.B.turned.has_rows:
            return "dots"
        return "turned"

    @property
    def oriented(self) -> "ProductShape":
        """The product to print: itself, or `C' = B' @ A'` if only that has contiguous vectors."""
        other = self._replace(A=self.B.turned, B=self.A.turned, C=self.C.turned)
        return other if self.form == "turned" != other.form and other.C.has_rows else self

    @property
    def scratch_items(self) -> int:
        """The number of items of scratch memory that the printed product needs."""
        k, n = self.oriented.B.shape
        return k * n if self.oriented.form == "turned" else 0


def write_product(writer: Writer, product: ProductShape, places: Places, rate: Value = None) -> None:
    """Write a product; `places` are the integer addresses of A, B, C and scratch, `rate` the address of the rate."""
    A, B, C, scratch = places
    oriented = product.oriented
    if oriented is not product:
        A, B = B, A
    block = _Block(writer, oriented, [A, B, C], rate)
    if oriented.form == "turned":
        k, n = oriented.B.shape
        copied = _Block(writer, oriented._replace(B=Strided((k, n), (n, 1))), [A, scratch, C], rate)
        with writer.loop(0, n) as column, writer.loop(0, k) as row:
            item = writer.load(block.pointer(1, row, column), product.dtype, 1)
            writer.store(copied.pointer(1, row, column), item)
        block = copied
    block.write()


class _Block:
    """The code of one product being written: some rows of C at a time, in registers."""

    def __init__(self, writer: Writer, product: ProductShape, places: Places, rate: Value) -> None:
        self.writer, self.product, self.places = writer, product, places
        self.dtype, self.bytes = product.dtype, ITEM_BITS[product.dtype] // 8
        self.factor = _factor(writer, product.dtype, rate)
        self.is_dots = product.form == "dots"
        (m, k), n = product.A.shape, product.B.shape[1]
        most = (_ROW_BYTES if m == 1 else _VECTOR_BYTES) // self.bytes
        self.width = min(most, max(2, 1 << ((k if self.is_dots else n) - 1).bit_length()))
        self.typ = lanes_type(self.dtype, self.width)

    def pointer(self, operand: int, row: Value, column: Value) -> Value:
        """Return the pointer to an item of A, B or C."""
        matrix = (self.product.A, self.product.B, self.product.C)[operand]
        rows, columns = (stride * self.bytes for stride in matrix.strides)
        return self.writer.pointer(self.places[operand], (row, rows), (column, columns))

    def write(self) -> None:
        """Write the loops over strips of columns, and in each over blocks of rows; in an outer product the other way.

        An outer product uses each strip of B once, and along its rows it reads memory in order. Dot products have one strip.
        """
        writer, (m, n), k = self.writer, self.product.C.shape, self.product.A.shape[1]
        rows = 4 if self.is_dots else _rows(m)
        strips = [(1, 0, 1)] if self.is_dots else _parts(n, self.width)
        for columns, *strip in strips:
            for height, *block in _parts(m, rows):
                loops = [(*strip, self.width), (*block, height)]
                if k == 1:
                    with writer.loop(*loops[1]) as row, writer.loop(*loops[0]) as column:
                        self._write_rows(row, height, column, columns)
                else:
                    with writer.loop(*loops[0]) as column, writer.loop(*loops[1]) as row:
                        self._write_rows(row, height, column, columns)

    def _write_rows(self, row: Value, rows: int, column: Value, columns: int) -> None:
        """Write one block: `rows` rows of C, and `columns` of its columns."""
        writer, builder, k = self.writer, self.writer.builder, self.product.A.shape[1]
        numbers = [builder.add(row, writer.word(number)) for number in range(rows)]
        totals = [writer.variable(self.typ) for _ in numbers]
        for total in totals:
            builder.store(ir.Constant(self.typ, None), total)
        for items, start, stop in _parts(k, self.width) if self.is_dots else [(1, 0, k)]:
            mask = writer.first_lanes(items if self.is_dots else columns, self.width)
            with writer.loop(start, stop, self.width if self.is_dots else 1) as inner:
                b = writer.load(self.pointer(1, inner, column), self.dtype, self.width, mask)
                for number, total in zip(numbers, totals, strict=True):
                    place, lanes = self.pointer(0, number, inner), self.width if self.is_dots else 1
                    a = writer.load(place, self.dtype, lanes, mask if self.is_dots else None)
                    so_far = b.like(builder.load(total, typ=self.typ))
                    builder.store(a.spread(self.width).times_plus(b, so_far).value, total)
        mask = None if self.is_dots else writer.first_lanes(columns, self.width)
        for number, total in zip(numbers, totals, strict=True):
            value = Lanes(builder, builder.load(total, typ=self.typ), self.dtype, self.width)
            value = across(value, "row_sum") if self.is_dots else value
            self._store(self.pointer(2, number, column), value, mask)

    def _store(self, place: Value, value: Lanes, mask: Value) -> None:
        factor = None if self.factor is None else self.factor.spread(value.width)
        if self.product.adds:
            before = self.writer.load(place, self.dtype, value.width, mask)
            value = value + before if factor is None else value.times_plus(factor, before)
        elif factor is not None:
            value = value * factor
        self.writer.store(place, value, mask)


def _factor(writer: Writer, dtype: str, rate: Value) -> Lanes | None:
    """Return minus the rate at an address, if there is one."""
    return None if rate is None else -writer.load(writer.pointer(rate), dtype, 1)


def _parts(length: int, step: int) -> list[tuple[int, int, int]]:
    """Return the size, start and stop of the whole steps of a length, and of the rest, unless empty."""
    whole = length - length % step
    parts = [(step, 0, whole), (length - whole, whole, length)]
    return [part for part in parts if part[1] < part[2]]


def _rows(m: int) -> int:
    """Return the rows per block: the largest number without a remainder, else the largest of all."""
    return next((rows for rows in _ROWS if m % rows == 0), min(m, _ROWS[0]))


def write_blas_call(
    writer: Writer, product: ProductShape, bits: int, function: Value, places: Places, rate: Value = None
) -> None:
    """Write the call of a BLAS's `gemm`, or of its `gemv` if A has one row.

    `function` is its address, and its integers have this many `bits`.
    """
    item = lanes_type(product.dtype, 1)
    size, enum = partial(ir.Constant, ir.IntType(bits)), partial(ir.Constant, INT)
    A, B, C = (writer.pointer(place) for place in places)
    factor = _factor(writer, product.dtype, rate)
    alpha = ir.Constant(item, 1.0) if factor is None else factor.value
    beta = ir.Constant(item, float(product.adds))
    (m, k), n = product.A.shape, product.B.shape[1]
    turned_B, ldb = leading(product.B)
    if m == 1:  # (1, k) @ (k, n): compute B' x
        lies = product.B.shape if turned_B == PLAIN else product.B.shape[::-1]
        kind = TRANSPOSED if turned_B == PLAIN else PLAIN
        steps = [size(_step(row)) for row in (product.A, product.C)]
        words = [enum(kind), *map(size, lies), alpha, B, size(ldb), A, steps[0], beta, C, steps[1]]
    else:
        (turned_A, lda), (_, ldc) = leading(product.A), leading(product.C)
        words = [enum(turned_A), enum(turned_B), *map(size, (m, n, k)), alpha]
        words += [A, size(lda), B, size(ldb), beta, C, size(ldc)]
    writer.call(function, enum(_ROW_MAJOR), *words)


def leading(matrix: Strided) -> tuple[int, int]:
    """Return the transpose argument of a BLAS for a matrix, and the leading dimension in items."""
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
    """Return the items from one entry of a row to the next; 1 for a single entry, whose stride may be 0."""
    return row.strides[1] if row.shape[1] > 1 else 1
