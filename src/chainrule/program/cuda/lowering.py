"""Lowering to CUDA: a group of operations as the chain of a kernel, and the tail after its totals."""

from typing import NamedTuple

from chainrule.program.chains import Chain
from chainrule.program.cuda.grouping import ONE, as_group, extent
from chainrule.program.cuda.source import Tail
from chainrule.program.fusion import Extent, is_total, lower
from chainrule.program.operations import Fusion, Operation, Value


class Fused(NamedTuple):
    """The chain and the tail of a kernel, and the values of its arguments in their order."""

    chain: Chain
    tail: Tail | None
    where: Extent
    arguments: tuple[Value, ...]  # inputs and outputs of the chain, then of the tail
    full: tuple[Value, ...]  # arguments whose columns a thread moves several at a time


def fused(group: Fusion) -> Fused:
    """Return a group as a chain over its grid, and a tail with the operations that follow its totals.

    Examples
    --------
    >>> from chainrule.mathematics.arrays import namespace
    >>> from chainrule.program.cuda.grouping import grouped
    >>> from chainrule.program.trace import Spec, trace
    >>> def mean_square(x):
    ...     return namespace(x).sum(x * x, axis=(-2, -1)) / 6.0
    >>> (group,) = grouped(trace(mean_square, Spec((3, 2), "float32", "x")))
    >>> kernel = fused(group)
    >>> [s.function for s in kernel.chain.statements], [s.function for s in kernel.tail.chain.statements]
    (['multiply'], ['divide'])
    """
    where = extent(group.operations[0])
    late = _late(group)
    main = _part(group, [op for op in group.operations if id(op) not in late], late)
    lowered = lower(main, where)
    arguments = [*lowered.inputs, *lowered.outputs]
    tail = None
    if late:
        after = lower(_part(group, [op for op in group.operations if id(op) in late], set()), ONE)
        known = {id(value): number for number, value in enumerate(lowered.outputs)}
        names = zip(after.chain.inputs, after.inputs, strict=True)
        totals = tuple((o.name, known[id(v)]) for o, v in names if id(v) in known)
        kept = {id(value) for value in group.results}
        inner = tuple(number for value, number in known.items() if value not in kept)
        tail = Tail(after.chain, totals, inner)
        arguments = [v for v in arguments if id(v) not in known or id(v) in kept]
        arguments += [v for v in after.inputs if id(v) not in known] + list(after.outputs)
    # A thread moves several columns of full arrays at once; it reads the other arrays one entry at a time.
    kinds = [operand.kind for operand in lowered.chain.inputs]
    full = [value for value, kind in zip(lowered.inputs, kinds, strict=True) if kind in ("full", "thin")]
    for value, output in zip(lowered.outputs, lowered.chain.outputs, strict=True):
        if not (output.total or output.columns) and lowered.chain.kinds[output.value] == "full":
            full.append(value)
    return Fused(lowered.chain, tail, where, tuple(arguments), tuple(full))


def _late(group: Fusion) -> set[int]:
    """Return the operations of a group that depend on its totals, by ``id``."""
    waits = {id(op.result) for op in group.operations if is_total(op)}
    late: set[int] = set()
    for operation in group.operations:
        if any(id(value) in waits for value in operation.inputs):
            late.add(id(operation))
            waits.add(id(operation.result))
    return late


def _part(group: Fusion, operations: list[Operation], late: set[int]) -> Fusion:
    """Return some operations of a group as a group; values that late operations read are results."""
    wanted = {id(value) for value in group.results}
    wanted |= {id(v) for op in group.operations if id(op) in late for v in op.inputs}
    return as_group(operations, wanted)
