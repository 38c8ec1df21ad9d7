"""Fusion: which operations run together as one chain over one shape.

Between two matrix products there is a segment of elementwise operations and reductions. Within a segment they may be
reordered, as far as their operands allow: those over one shape form one chain, which is one pass over memory. Nothing
moves across a product, so a value that is computed late (such as the derivative of an activation) is not computed early
and kept.
"""

from typing import NamedTuple

from chainrule.mathematics.arrays import size
from chainrule.program.operations import Fusion, Operation, Program, alone
from chainrule.program.plan import Roots
from chainrule.program.primitives import REDUCTIONS


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
    """Return the grid that an operation runs over; for a reduction, that of its operand."""
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
            # A total is known after its chain has ended, so no operation of that chain can read it.
            free = not reads & waiting and not (is_total(operation) and reads & here)
            if free and where in (None, over(operation)):
                where = over(operation)
                chain.append(operation)
                waiting.discard(id(operation))
        left = [operation for operation in left if id(operation) in waiting]
        chains.append(chain[::-1])
    return chains[::-1]


def _group(chain: list[Operation], readers: dict[int, list[Operation]], kept: set[int]) -> Fusion:
    made = {id(operation.result) for operation in chain}
    here = {id(operation) for operation in chain}
    inputs = {id(v): v for operation in chain for v in operation.inputs if id(v) not in made}
    results = [
        operation.result
        for operation in chain
        if id(operation.result) in kept
        or any(id(reader) not in here for reader in readers.get(id(operation.result), ()))
    ]
    return Fusion(tuple(chain), tuple(inputs.values()), tuple(results))
