"""Spell a `Chain` as one native function of the CPU (LLVM text).

The function walks over the rows, and in a row over strips of one vector register (64 bytes of the widest float). The
last, partial strip is masked, so a row of 10 columns costs one vector, not ten scalars. Values that a later stage
needs (after a row statement) wait in scratch rows, in L1. Everything that is stored is stored in the last stage.

Sums are added in float64, lane by lane, then the lanes in a fixed tree: the same shape gives the same bits.

Arguments: [rows, columns, scratch address, then (address, bytes from row to row) of every input and every output].
"""

from __future__ import annotations

import math
from typing import Final

from llvmlite import ir

from chainrule.program.chains import HALVES, ROW_FUNCTIONS, Argument, Chain, Statement
from chainrule.program.native.lanes import ITEM_BITS, Lanes, Value, lanes_type
from chainrule.program.native.statements import apply
from chainrule.program.native.writer import Writer

NAME: Final = "chain"
VECTOR_BYTES: Final = 64
_HEADER: Final = 3  # rows, columns, scratch
_SCRATCH_ITEM: Final = 8  # bytes; the widest dtype, so that every waiting value fits


def lanes_of(chain: Chain) -> int:
    """Return how many columns a strip of this chain holds."""
    return VECTOR_BYTES // (8 if "float64" in chain.dtypes.values() else 4)


def scratch_bytes(chain: Chain, columns: int) -> int:
    """Return the size of the scratch memory that one call of the kernel needs."""
    return len(_waiting(chain)) * _SCRATCH_ITEM * (columns + lanes_of(chain))


def _waiting(chain: Chain) -> tuple[str, ...]:
    """Return the full values that a later stage reads, in order."""
    last = max(chain.stages.values())
    reads = [
        (name, chain.stages[s.result] - (s.function in ROW_FUNCTIONS))
        for s in chain.statements
        for name in s.arguments
    ]
    reads += [(output.value, last) for output in chain.outputs]
    results = {s.result for s in chain.statements if chain.kinds[s.result] in ("full", "row")}
    return tuple(
        dict.fromkeys(
            n for n, stage in reads if isinstance(n, str) and n in results and stage > chain.stages[n]
        )
    )


class _Kernel(Writer):
    """The kernel being written: where the operands are, and the values known at this point."""

    def __init__(self, chain: Chain) -> None:
        super().__init__(NAME)
        self.chain, self.width = chain, lanes_of(chain)
        self.last_stage = max(chain.stages.values())
        self.waiting = {name: index for index, name in enumerate(_waiting(chain))}
        self.rows, self.columns, self.scratch = (self.argument(i) for i in range(_HEADER))
        self.totals = [
            self.accumulator("float64", 0.0) if output.total else None for output in chain.outputs
        ]
        self.scalars: dict[str, Lanes] = {}  # values of one lane: 0-d, and of this row
        self.places: list[Value] = []  # address and row stride of each operand

    def accumulator(self, dtype: str, start: float) -> Value:
        """Return a variable of one value a lane, set to `start`."""
        typ = lanes_type(dtype, self.width)
        variable = self.builder.alloca(typ)
        self.builder.store(ir.Constant(typ, [start] * self.width), variable)
        return variable

    def address(self, base: Value, column: Value, dtype: str) -> Value:
        """Return the pointer to item `column` of the row that begins at the integer address `base`."""
        return self.pointer(base, self.builder.mul(column, self.word(ITEM_BITS[dtype] // 8)))

    def row_base(self, operand: int, row: Value) -> Value:
        """Return the integer address of row `row` of an operand; a broadcast operand has stride 0."""
        base, stride = self.places[operand]
        return self.builder.add(base, self.builder.mul(row, stride))


def print_llvm(chain: Chain) -> str:
    """Return the LLVM module of a chain; its one function is `NAME`."""
    sums = [
        o.value for o in chain.outputs if o.columns or (o.total and chain.kinds[o.value] == "column")
    ]
    if sums or set(chain.dtypes.values()) & set(HALVES):
        msg = (
            f"the chain sums {sums} over rows, or computes in 16 bits, which is for CUDA; print it there"
        )
        raise ValueError(msg)
    kernel = _Kernel(chain)
    for index in range(len(chain.inputs) + len(chain.outputs)):
        kernel.places.append(
            (kernel.argument(_HEADER + 2 * index), kernel.argument(_HEADER + 2 * index + 1))
        )
    _load_scalars(kernel, "scalar", kernel.word(0))
    with kernel.loop(kernel.word(0), kernel.rows, 1) as row:
        _write_row(kernel, row)
    _store_totals(kernel)
    return kernel.text()


def _write_row(kernel: _Kernel, row: Value) -> None:
    """Write all stages of one row: elementwise strips, then the row statements they feed."""
    outer = dict(kernel.scalars)
    _load_scalars(kernel, "column", row)
    for stage in range(kernel.last_stage + 1):
        _evaluate_scalars(kernel, stage)
        sums = _begin_row_statements(kernel, stage)
        if _stage_walks(kernel, stage):
            _write_strips(kernel, row, stage, sums)
        for statement, variable in sums.items():
            kernel.scalars[statement.result] = _finish_row_statement(kernel, statement, variable)
    for index, output in enumerate(kernel.chain.outputs):
        if kernel.chain.kinds[output.value] in ("column", "scalar") and not output.total:
            _store_scalar(kernel, index, row, kernel.scalars[output.value])
    kernel.scalars = outer


# ---- values of one lane: 0-d, and (rows, 1) -------------------------------------------------------------------------


def _load_scalars(kernel: _Kernel, kind: str, row: Value) -> None:
    for index, operand in enumerate(kernel.chain.inputs):
        if operand.kind == kind:
            kernel.scalars[operand.name] = kernel.load(
                kernel.pointer(kernel.row_base(index, row)), operand.dtype, 1
            )


def _evaluate_scalars(kernel: _Kernel, stage: int) -> None:
    chain = kernel.chain
    for statement in chain.statements:
        narrow = (
            chain.kinds[statement.result] in ("column", "scalar")
            and statement.function not in ROW_FUNCTIONS
        )
        if narrow and chain.stages[statement.result] == stage:
            arguments = [kernel.scalars[a] if isinstance(a, str) else a for a in statement.arguments]
            kernel.scalars[statement.result] = apply(statement, arguments)


def _store_scalar(kernel: _Kernel, output: int, row: Value, value: Lanes) -> None:
    base = kernel.row_base(len(kernel.chain.inputs) + output, row)
    kernel.store(kernel.pointer(base), value)


# ---- strips: `width` columns of a row -------------------------------------------------------------------------------


def _stage_walks(kernel: _Kernel, stage: int) -> bool:
    """Return whether a stage needs the row's columns: all do, but a last one that writes (rows, 1) only."""
    chain = kernel.chain
    return stage < kernel.last_stage or any(
        chain.kinds[output.value] == "full" for output in chain.outputs
    )


def _write_strips(kernel: _Kernel, row: Value, stage: int, sums: dict[Statement, Value]) -> None:
    """Write the loop over whole strips, and the masked rest."""
    builder, width = kernel.builder, kernel.width
    whole = builder.and_(kernel.columns, kernel.word(-width))
    with kernel.loop(kernel.word(0), whole, width) as column:
        _Strip(kernel, row, column, None).write(stage, sums)
    rest = builder.sub(kernel.columns, whole)
    with builder.if_then(builder.icmp_signed(">", rest, kernel.word(0))):
        _Strip(kernel, row, whole, kernel.first_lanes(rest, width)).write(stage, sums)


class _Strip:
    """One strip of one row being written: what is known of it, by name."""

    def __init__(self, kernel: _Kernel, row: Value, column: Value, mask: Value) -> None:
        self.kernel, self.row, self.column, self.mask = kernel, row, column, mask
        self.known: dict[str, Lanes] = {}
        self.operands = {
            operand.name: (index, operand) for index, operand in enumerate(kernel.chain.inputs)
        }

    def get(self, argument: Argument) -> Lanes | float:
        """Return a value: a number, one lane spread, one computed before, one from memory."""
        if not isinstance(argument, str):
            return argument
        if argument not in self.known:
            self.known[argument] = self._fetch(argument)
        return self.known[argument]

    def _fetch(self, name: str) -> Lanes:
        kernel = self.kernel
        if name in kernel.scalars:
            return kernel.scalars[name].spread(kernel.width)
        dtype = kernel.chain.dtypes[name]
        if name in self.operands:
            pointer = kernel.address(
                kernel.row_base(self.operands[name][0], self.row), self.column, dtype
            )
            return kernel.load(pointer, dtype, kernel.width, self.mask)
        return kernel.load(self._waiting_place(name), dtype, kernel.width)

    def _waiting_place(self, name: str) -> Value:
        builder, word = self.kernel.builder, self.kernel.word
        row_bytes = builder.mul(
            builder.add(self.kernel.columns, word(self.kernel.width)), word(_SCRATCH_ITEM)
        )
        base = builder.add(self.kernel.scratch, builder.mul(row_bytes, word(self.kernel.waiting[name])))
        return self.kernel.address(base, self.column, self.kernel.chain.dtypes[name])

    def write(self, stage: int, sums: dict[Statement, Value]) -> None:
        """Write one stage: compute, keep what waits, feed the row statements; in the last stage store."""
        chain = self.kernel.chain
        for statement in chain.statements:
            wide = chain.kinds[statement.result] in ("full", "row")
            if wide and chain.stages[statement.result] == stage:
                value = apply(statement, [self.get(argument) for argument in statement.arguments])
                self.known[statement.result] = value
                if statement.result in self.kernel.waiting:
                    self.kernel.store(self._waiting_place(statement.result), value)
        for statement, variable in sums.items():
            self._accumulate(variable, statement.function, self._lanes(statement.arguments[0]))
        if stage == self.kernel.last_stage:
            self._store_outputs()

    def _lanes(self, name: Argument) -> Lanes:
        value = self.get(name)
        assert isinstance(value, Lanes)  # noqa: S101  a name stands for no Python number
        return value

    def _store_outputs(self) -> None:
        kernel = self.kernel
        values = [
            (output, self._lanes(output.value))
            for output in kernel.chain.outputs
            if kernel.chain.kinds[output.value] == "full"
        ]
        for (
            output,
            value,
        ) in values:  # after every load of this strip, so that an output may be an input's array
            index = kernel.chain.outputs.index(output)
            if output.total:
                self._accumulate(kernel.totals[index], "row_sum", value)
                continue
            base = kernel.row_base(len(kernel.chain.inputs) + index, self.row)
            kernel.store(kernel.address(base, self.column, value.dtype), value, self.mask)

    def _accumulate(self, variable: Value, function: str, value: Lanes) -> None:
        builder = self.kernel.builder
        if function == "row_sum":
            value = value.astype("float64")
        if self.mask is not None:
            neutral = value.constant(0.0 if function == "row_sum" else -math.inf)
            value = value.like(builder.select(self.mask, value.value, neutral.value))
        so_far = value.like(builder.load(variable, typ=value.value.type))
        builder.store(_combine(function, so_far, value).value, variable)


def _combine(function: str, x: Lanes, y: Lanes) -> Lanes:
    return x + y if function == "row_sum" else x.call("maximum", y)


def _begin_row_statements(kernel: _Kernel, stage: int) -> dict[Statement, Value]:
    """Return a variable for each row statement that this stage feeds."""
    variables = {}
    with kernel.builder.goto_entry_block():  # a variable made in a loop would grow the stack
        for statement in kernel.chain.statements:
            if (
                statement.function in ROW_FUNCTIONS
                and kernel.chain.stages[statement.result] == stage + 1
            ):
                dtype = (
                    "float64"
                    if statement.function == "row_sum"
                    else kernel.chain.dtypes[statement.result]
                )
                variables[statement] = kernel.builder.alloca(lanes_type(dtype, kernel.width))
    for statement, variable in variables.items():
        start = 0.0 if statement.function == "row_sum" else -math.inf
        typ = variable.allocated_type
        kernel.builder.store(ir.Constant(typ, [start] * kernel.width), variable)
    return variables


def _finish_row_statement(kernel: _Kernel, statement: Statement, variable: Value) -> Lanes:
    return _across(kernel, statement.function, variable).astype(kernel.chain.dtypes[statement.result])


def _across(kernel: _Kernel, function: str, variable: Value) -> Lanes:
    """Combine the lanes of a variable into one: halves upon halves."""
    builder, typ = kernel.builder, variable.allocated_type
    dtype = "float32" if isinstance(typ.element, ir.FloatType) else "float64"
    value, width = Lanes(builder, builder.load(variable, typ=typ), dtype, kernel.width), kernel.width
    while width > 1:
        width //= 2
        halves = [[*range(width)], [*range(width, 2 * width)]]
        lanes = [ir.Constant(ir.VectorType(ir.IntType(32), width), half) for half in halves]
        low, high = (
            builder.shuffle_vector(value.value, ir.Constant(value.value.type, ir.Undefined), half)
            for half in lanes
        )
        value = _combine(function, Lanes(builder, low, dtype, width), Lanes(builder, high, dtype, width))
        if width == 1:  # a vector of one lane is not yet a number
            value = Lanes(
                builder, builder.extract_element(value.value, ir.Constant(ir.IntType(32), 0)), dtype, 1
            )
    return value


def _store_totals(kernel: _Kernel) -> None:
    for index, (output, variable) in enumerate(zip(kernel.chain.outputs, kernel.totals, strict=True)):
        if output.total:
            total = _across(kernel, "row_sum", variable).astype(kernel.chain.dtypes[output.value])
            _store_scalar(kernel, index, kernel.word(0), total)
