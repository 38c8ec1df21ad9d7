"""Write a `Chain` over arrays of known shapes as native code for the CPU.

The code loops over the rows, and in a row over strips of one vector register (64 bytes of the widest float, or fewer
lanes if the row is shorter). The last, partial strip is masked, so a row of 10 columns costs one vector, not ten
scalars. Values that a later stage needs (after a row statement) are kept in scratch rows, in L1. All outputs are
stored in the last stage.

Sums are added in float64, lane by lane, then the lanes in a fixed tree: the same shape gives the same bits.
"""

import functools
import math
from typing import Any, Final, NamedTuple

from llvmlite import ir

from chainrule.program.chains import ROW_FUNCTIONS, Argument, Chain, Statement
from chainrule.program.native import elementary
from chainrule.program.native.writer import INT, ITEM_BITS, Lanes, Places, Value, Writer, lanes_type
from chainrule.program.primitives import PRIMITIVES

VECTOR_BYTES: Final = 64
_SCRATCH_ITEM: Final = 8  # bytes; the widest dtype, so that every waiting value fits


class Grid(NamedTuple):
    """The shape that a chain runs over, and the bytes from row to row of each input and output: 0 if it is broadcast."""

    rows: int
    columns: int
    strides: tuple[int, ...]


def lanes_of(chain: Chain, columns: int) -> int:
    """Return the number of columns of a strip: those of a register, or the next power of two for a short row."""
    most = VECTOR_BYTES // (8 if "float64" in chain.dtypes.values() else 4)
    return min(most, max(2, 1 << (columns - 1).bit_length()))


@functools.lru_cache(maxsize=256)
def scratch_bytes(chain: Chain, columns: int) -> int:
    """Return the size of the scratch memory that the code needs."""
    return len(_waiting(chain)) * _row_bytes(chain, columns)


def _row_bytes(chain: Chain, columns: int) -> int:
    return _SCRATCH_ITEM * (columns + lanes_of(chain, columns))


def _waiting(chain: Chain) -> tuple[str, ...]:
    """Return the full values that a later stage reads, in order."""
    reads: list[tuple[Argument, int]] = []
    for s in chain.statements:
        stage = chain.stages[s.result] - (s.function in ROW_FUNCTIONS)
        reads += [(name, stage) for name in s.arguments]
    reads += [(output.value, max(chain.stages.values())) for output in chain.outputs]
    results = {s.result for s in chain.statements if chain.kinds[s.result] in ("full", "row")}
    late = [n for n, stage in reads if isinstance(n, str) and n in results and stage > chain.stages[n]]
    return tuple(dict.fromkeys(late))


class _Kernel:
    """The code being written: the addresses of the operands, and the values known at this point."""

    def __init__(self, writer: Writer, chain: Chain, grid: Grid, scratch: Value, places: Places) -> None:
        self.writer, self.builder = writer, writer.builder
        self.chain, self.grid, self.scratch, self.places = chain, grid, scratch, places
        self.width = lanes_of(chain, grid.columns)
        self.last_stage = max(chain.stages.values())
        self.waiting = {name: index for index, name in enumerate(_waiting(chain))}
        self.operands = {operand.name: index for index, operand in enumerate(chain.inputs)}
        self.totals = [self.accumulator("row_sum", "") if o.total else None for o in chain.outputs]
        self.scalars: dict[str, Lanes] = {}  # single values: 0-d operands, and values of the current row

    def accumulator(self, function: str, dtype: str) -> Value:
        """Return a variable with one value for each lane, set to the neutral element of a sum (in float64) or maximum."""
        typ = lanes_type("float64" if function == "row_sum" else dtype, self.width)
        variable = self.writer.variable(typ)
        self.builder.store(ir.Constant(typ, [_neutral(function)] * self.width), variable)
        return variable

    def pointer(self, operand: int, row: Value, column: Value, dtype: str) -> Value:
        """Return the pointer to item `column` of row `row` of an operand."""
        terms = (row, self.grid.strides[operand]), (column, ITEM_BITS[dtype] // 8)
        return self.writer.pointer(self.places[operand], *terms)


def write_chain(writer: Writer, chain: Chain, grid: Grid, scratch: Value, places: Places) -> None:
    """Write a chain; `places` are the integer addresses of its inputs, then of its outputs."""
    kernel = _Kernel(writer, chain, grid, scratch, places)
    _load_scalars(kernel, "scalar", writer.word(0))
    with writer.loop(0, grid.rows) as row:
        _write_row(kernel, row)
    for index, (output, variable) in enumerate(zip(chain.outputs, kernel.totals, strict=True)):
        if output.total:
            total = _across(kernel, "row_sum", variable).astype(chain.dtypes[output.value])
            _store_scalar(kernel, index, writer.word(0), total)


def _write_row(kernel: _Kernel, row: Value) -> None:
    """Write all stages of one row: elementwise strips, then the row statements that they feed."""
    chain, outer = kernel.chain, dict(kernel.scalars)
    _load_scalars(kernel, "column", row)
    for stage in range(kernel.last_stage + 1):
        _evaluate_scalars(kernel, stage)
        sums = {
            statement: kernel.accumulator(statement.function, chain.dtypes[statement.result])
            for statement in chain.statements
            if statement.function in ROW_FUNCTIONS and chain.stages[statement.result] == stage + 1
        }
        # If the last stage writes only (rows, 1), skip its loop over columns.
        if stage < kernel.last_stage or any(chain.kinds[o.value] == "full" for o in chain.outputs):
            _write_strips(kernel, row, stage, sums)
        for statement, variable in sums.items():
            value = _across(kernel, statement.function, variable)
            kernel.scalars[statement.result] = value.astype(chain.dtypes[statement.result])
    for index, output in enumerate(chain.outputs):
        if chain.kinds[output.value] in ("column", "scalar") and not output.total:
            _store_scalar(kernel, index, row, kernel.scalars[output.value])
    kernel.scalars = outer


# ---- single values: 0-d, and (rows, 1) ------------------------------------------------------------------------------


def _load_scalars(kernel: _Kernel, kind: str, row: Value) -> None:
    for index, operand in enumerate(kernel.chain.inputs):
        if operand.kind == kind:
            place = kernel.pointer(index, row, kernel.writer.word(0), operand.dtype)
            kernel.scalars[operand.name] = kernel.writer.load(place, operand.dtype, 1)


def _evaluate_scalars(kernel: _Kernel, stage: int) -> None:
    chain = kernel.chain
    for statement in chain.statements:
        result, is_narrow = statement.result, chain.kinds[statement.result] in ("column", "scalar")
        if is_narrow and statement.function not in ROW_FUNCTIONS and chain.stages[result] == stage:
            arguments = [kernel.scalars[a] if isinstance(a, str) else a for a in statement.arguments]
            kernel.scalars[result] = apply(statement, arguments)


def _store_scalar(kernel: _Kernel, output: int, row: Value, value: Lanes) -> None:
    operand = len(kernel.chain.inputs) + output
    kernel.writer.store(kernel.pointer(operand, row, kernel.writer.word(0), value.dtype), value)


# ---- strips: `width` columns of a row -------------------------------------------------------------------------------


def _write_strips(kernel: _Kernel, row: Value, stage: int, sums: dict[Statement, Value]) -> None:
    """Write the loop over whole strips, and the masked rest."""
    writer, width = kernel.writer, kernel.width
    rest = kernel.grid.columns % width
    whole = kernel.grid.columns - rest
    if whole:
        with writer.loop(0, whole, width) as column:
            _Strip(kernel, row, column, None).write(stage, sums)
    if rest:
        mask = writer.first_lanes(rest, width)
        _Strip(kernel, row, writer.word(whole), mask).write(stage, sums)


class _Strip:
    """One strip of one row being written, and the values known in it, by name."""

    def __init__(self, kernel: _Kernel, row: Value, column: Value, mask: Value) -> None:
        self.kernel, self.row, self.column, self.mask = kernel, row, column, mask
        self.known: dict[Argument, Lanes] = {}

    def get(self, argument: Argument) -> Any:
        """Return a value: a number; or lanes: a scalar spread, a result of this strip, or items from memory."""
        if isinstance(argument, str) and argument not in self.known:
            self.known[argument] = self._fetch(argument)
        return self.known.get(argument, argument)

    def _fetch(self, name: str) -> Lanes:
        kernel = self.kernel
        if name in kernel.scalars:
            return kernel.scalars[name].spread(kernel.width)
        dtype = kernel.chain.dtypes[name]
        if name in kernel.operands:
            pointer = kernel.pointer(kernel.operands[name], self.row, self.column, dtype)
            return kernel.writer.load(pointer, dtype, kernel.width, self.mask)
        return kernel.writer.load(self._waiting_place(name), dtype, kernel.width)

    def _waiting_place(self, name: str) -> Value:
        kernel = self.kernel
        row = kernel.waiting[name] * _row_bytes(kernel.chain, kernel.grid.columns)
        bytes_ = ITEM_BITS[kernel.chain.dtypes[name]] // 8
        return kernel.writer.pointer(kernel.scratch, kernel.writer.word(row), (self.column, bytes_))

    def write(self, stage: int, sums: dict[Statement, Value]) -> None:
        """Write one stage: compute, store what waits, feed the row statements; in the last stage store the outputs."""
        kernel, chain = self.kernel, self.kernel.chain
        for statement in chain.statements:
            wide = chain.kinds[statement.result] in ("full", "row")
            if wide and chain.stages[statement.result] == stage:
                value = apply(statement, [self.get(argument) for argument in statement.arguments])
                self.known[statement.result] = value
                if statement.result in kernel.waiting:
                    kernel.writer.store(self._waiting_place(statement.result), value)
        for statement, variable in sums.items():
            self._accumulate(variable, statement.function, self.get(statement.arguments[0]))
        if stage < kernel.last_stage:
            return
        outputs = [(n, o) for n, o in enumerate(chain.outputs) if chain.kinds[o.value] == "full"]
        # All loads of this strip come first: an output may be an input's array.
        values = [self.get(output.value) for _, output in outputs]
        for value, (number, output) in zip(values, outputs, strict=True):
            if output.total:
                self._accumulate(kernel.totals[number], "row_sum", value)
            else:
                place = kernel.pointer(len(chain.inputs) + number, self.row, self.column, value.dtype)
                kernel.writer.store(place, value, self.mask)

    def _accumulate(self, variable: Value, function: str, value: Lanes) -> None:
        builder = self.kernel.builder
        if function == "row_sum":
            value = value.astype("float64")
        if self.mask is not None:
            neutral = value.constant(_neutral(function))
            value = value.like(builder.select(self.mask, value.value, neutral.value))
        so_far = value.like(builder.load(variable, typ=value.value.type))
        builder.store(_combine(function, so_far, value).value, variable)


def _neutral(function: str) -> float:
    return 0.0 if function == "row_sum" else -math.inf


def _combine(function: str, x: Lanes, y: Lanes) -> Lanes:
    return x + y if function == "row_sum" else x.call("maximum", y)


def _across(kernel: _Kernel, function: str, variable: Value) -> Lanes:
    """Combine the lanes of a variable into one."""
    typ = variable.allocated_type
    dtype = "float32" if isinstance(typ.element, ir.FloatType) else "float64"
    lanes = Lanes(kernel.builder, kernel.builder.load(variable, typ=typ), dtype, kernel.width)
    return across(lanes, function)


def across(lanes: Lanes, function: str) -> Lanes:
    """Combine all lanes into one, halving their number each time."""
    width = lanes.width
    while width > 1:
        width //= 2
        lanes = _combine(function, lanes.at(range(width)), lanes.at(range(width, 2 * width)))
    # a vector of one lane is not yet a number
    item = lanes.builder.extract_element(lanes.value, ir.Constant(INT, 0))
    return Lanes(lanes.builder, item, lanes.dtype, 1)


def apply(statement: Statement, arguments: list[Lanes | float]) -> Lanes:
    """Return an elementwise statement's value: by Python's operator, or the function of its name in `elementary.py`."""
    first, *others = arguments
    if not isinstance(first, Lanes):
        model = next(argument for argument in reversed(others) if isinstance(argument, Lanes))
        first = model.constant(first)
    if statement.function == "astype":
        return first.astype(statement.dtype)
    numbers = [other for other in others if not isinstance(other, Lanes)]
    if statement.function == "where" and len(numbers) == 2:
        others[0] = first.astype(statement.dtype).constant(numbers[0])
    row = PRIMITIVES[statement.function]
    function = row.operator or getattr(elementary, row.name)
    value: Lanes = function(first, *others)
    return value
