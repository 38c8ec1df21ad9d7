"""Fusion: which operations run together over one shape, and such a group as a chain, to be printed for the CPU or CUDA.

Between two matrix products there is a segment of elementwise operations and reductions. Within a segment they may be
reordered, as far as their operands allow: those over one shape form one chain, which is one pass over memory. Nothing
moves across a product, so a value that is computed late (such as the derivative of an activation) is not computed early
and kept.
"""

from functools import lru_cache
from typing import NamedTuple

from chainrule.mathematics.arrays import Array, size
from chainrule.mathematics.naming import require
from chainrule.program.chains import Argument, Chain, Kind, Operand, Output, Statement
from chainrule.program.operations import Fusion, Operation, Program, Value, alone
from chainrule.program.operations import Operand as Given
from chainrule.program.plan import Roots
from chainrule.program.primitives import REDUCTIONS
from chainrule.program.unrecordable import UnrecordableError

_OTHER: dict[bool, Kind] = {False: "few rows", True: "few columns"}
_ROW_FUNCTIONS = {"max": "row_max", "sum": "row_sum"}


class Extent(NamedTuple):
    """The shape that a chain runs over: all leading axes as rows, the last one as columns."""

    rows: int
    columns: int


def grid(shape: tuple[int, ...]) -> Extent:
    """Return the grid of an array of this shape.

    Examples
    --------
    >>> grid((3, 4)), grid((4,)), grid(())
    (Extent(rows=3, columns=4), Extent(rows=1, columns=4), Extent(rows=1, columns=1))
    """
    return Extent(size(shape[:-1]), shape[-1] if shape else 1)


def over(operation: Operation) -> Extent:
    """Return the grid that an operation runs over; for a reduction, the grid of its operand."""
    reduced = operation.function in REDUCTIONS
    return grid((operation.inputs[0] if reduced else operation.result).shape)


def is_total(operation: Operation) -> bool:
    """Return whether an operation sums all entries to one number."""
    return operation.function == "sum" and size(operation.result.shape) == 1


def fuse(program: Program) -> list[Fusion]:
    """Return the groups that the program runs as, in order.

    Examples
    --------
    >>> from chainrule.mathematics.arrays import namespace
    >>> from chainrule.program.trace import Spec, trace
    >>> program = trace(lambda x: namespace(x).tanh(x + 1.0), Spec((3, 2), "float32", "x"))
    >>> [[operation.function for operation in group.operations] for group in fuse(program)]
    [['add', 'tanh']]
    """
    roots = Roots(program)
    readers: dict[int, list[Operation]] = {}
    for operation in program.operations:
        for value in () if operation.is_view else operation.inputs:
            readers.setdefault(id(roots.of(value)), []).append(operation)
    kept = {id(roots.of(value)) for value in program.outputs}

    groups: list[Fusion] = []
    segment: list[Operation] = []
    for operation in program.operations:
        if operation.is_elementwise or operation.function in REDUCTIONS:
            segment.append(operation)
        elif not operation.is_view:
            groups += [_group(chain, readers, kept) for chain in _chains(segment, readers)]
            groups.append(alone(operation))
            segment = []
    return groups + [_group(chain, readers, kept) for chain in _chains(segment, readers)]


def _chains(segment: list[Operation], readers: dict[int, list[Operation]]) -> list[list[Operation]]:
    """Return the operations of a segment as chains, each as late as its readers allow.

    The chains are built from the end: an operation may join the current chain if all its readers have been
    placed. Values that are computed late need not be kept from one chain to a later one.
    """
    left = list(segment)
    chains: list[list[Operation]] = []
    while left:
        waiting = {id(operation) for operation in left}
        chain: list[Operation] = []
        where: Extent | None = None
        for operation in reversed(left):
            reads = {id(reader) for reader in readers.get(id(operation.result), ())}
            here = {id(link) for link in chain}
            # A total is only known at the end of its chain, so no operation of that chain can read it.
            free = not reads & waiting and not (is_total(operation) and reads & here)
            if free and where in (None, over(operation)):
                where = over(operation)
                chain.append(operation)
                waiting.discard(id(operation))
        left = [operation for operation in left if id(operation) in waiting]
        chains.append(chain[::-1])
    return chains[::-1]


def _group(chain: list[Operation], readers: dict[int, list[Operation]], kept: set[int]) -> Fusion:
    results_here = {id(operation.result) for operation in chain}
    here = {id(operation) for operation in chain}
    inputs = {id(v): v for operation in chain for v in operation.inputs if id(v) not in results_here}
    results = [
        operation.result
        for operation in chain
        if id(operation.result) in kept
        or any(id(reader) not in here for reader in readers.get(id(operation.result), ()))
    ]
    return Fusion(tuple(chain), tuple(inputs.values()), tuple(results))


class Lowered(NamedTuple):
    """A chain, and the values that it reads and writes, in the order of its operands and outputs."""

    chain: Chain
    where: Extent
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


@lru_cache(maxsize=1024)
def lower(group: Fusion, where: Extent | None = None) -> Lowered:
    """Return a group as a chain over ``where``, by default the grid of its first operation.

    Names depend on the position only, so that equal chains of different networks are one kernel.

    Raises
    ------
    UnrecordableError
        If it has a reduction that no chain can contain.

    Examples
    --------
    >>> from chainrule.mathematics.arrays import namespace
    >>> from chainrule.program.trace import Spec, trace
    >>> program = trace(lambda x: namespace(x).tanh(x + 1.0), Spec((3, 2), "float32", "x"))
    >>> for statement in lower(fuse(program)[0]).chain.statements:
    ...     print(statement.result, statement.function, *statement.arguments)
    r0 add x0 1.0
    r1 tanh r0
    """
    for operation in group.operations:
        _check_reduction(operation)
    where = where or over(group.operations[0])
    entries = {id(v) for o in group.operations for v in o.inputs[: len(o.inputs) - len(o.read_by_rows)]}
    read = [(v, kind(v, where), 0) for v in group.inputs if id(v) in entries and v.number is None]
    names = {id(value): f"x{number}" for number, (value, *_) in enumerate(read)}
    few: dict[int, str] = {}  # names of the operands whose whole rows or columns are read
    for operation in group.operations:
        kinds: tuple[Kind, Kind] = "thin", _OTHER[operation.is_turned]
        for value, spread in zip(operation.read_by_rows, kinds, strict=False):
            if id(value) not in few:
                few[id(value)] = f"x{len(read)}"
                read.append((value, spread, operation.read_by_rows[0].shape[-1]))
    statements, sums = [], {}
    for number, operation in enumerate(group.operations):
        if is_total(operation) or operation.is_row_product:
            summed = names[id(operation.inputs[-1])]
            sums[id(operation.result)] = Output(summed, is_total(operation), operation.is_row_product)
            continue
        if operation.function == "outer":
            summed, by = names[id(operation.inputs[0])], few[id(operation.inputs[1])]
            sums[id(operation.result)] = Output(summed, columns=True, by=by, turned=operation.is_turned)
            continue
        names[id(operation.result)] = f"r{number}"
        if operation.function == "dot":
            factors = tuple(few[id(value)] for value in operation.inputs)
            statements.append(Statement("dot", f"r{number}", factors))
        else:
            statements.append(_statement(operation, names))
    operands = tuple(Operand(f"x{n}", how, v.dtype.name, k) for n, (v, how, k) in enumerate(read))
    inputs = tuple(value for value, *_ in read)
    outputs = tuple(sums.get(id(v)) or Output(names[id(v)]) for v in group.results)
    return Lowered(Chain(operands, tuple(statements), outputs), where, inputs, group.results)


def kind(value: Value, where: Extent) -> Kind:
    """Return how a value is broadcast over the grid of a chain."""
    kinds: dict[Extent, Kind] = {  # later entries replace equal keys
        Extent(where.rows, 1): "column",
        Extent(1, where.columns): "row",
        Extent(1, 1): "scalar",
        where: "full",
    }
    return kinds[grid(value.shape)]


def laid_out(array: Array, where: Extent) -> Array:
    """Return an array in the shape that the kernel of a chain takes: 2-d, or 0-d for one number."""
    own = grid(array.shape)
    return array.reshape(() if own == (1, 1) != where else own)


def _statement(operation: Operation, names: dict[int, str]) -> Statement:
    function, result = operation.function, names[id(operation.result)]
    arguments = tuple(_argument(operand, names) for operand in operation.operands)
    if function in REDUCTIONS:
        return Statement(_ROW_FUNCTIONS[function], result, arguments)
    dtype = operation.result.dtype.name if function in {"astype", "where"} else ""
    return Statement(function, result, arguments, dtype)


def _check_reduction(operation: Operation) -> None:
    """Refuse a reduction that no chain can contain; training then runs the step as written."""
    if operation.function not in REDUCTIONS:
        return
    fits = is_total(operation) or operation.settings == {"axis": (-1,), "keepdims": True}
    dtype, axes = operation.result.dtype.name, operation.settings.get("axis")
    what = f"it takes xp.{operation.function} of {dtype} over the axes {axes} ({operation.source})"
    problem = f"the step cannot be compiled: {what}; take it of floats, with axis=-1 and keepdims=True"
    require(fits and "float" in dtype, problem, UnrecordableError)


def _argument(operand: Given, names: dict[int, str]) -> Argument:
    if not isinstance(operand, Value):
        return operand
    return names[id(operand)] if operand.number is None else operand.number
