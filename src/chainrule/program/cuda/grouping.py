"""Grouping: which operations of a program run as one kernel on a CUDA device.

A launch costs more there than a pass over a small array, so more is brought together than on a CPU: what a
softmax makes of each row, the totals of a chain with what is computed from them, and the gradient of a bias,
a sum over rows, with the chain that makes its terms. As in ``fusion.py``, nothing moves across a product.

Products with a *thin* matrix, of at most 16 columns, are parts of the chain that reads them or makes their factor: ``dot`` is
a row of the thin one times a column of the other, ``outer`` the sum over all rows of the thin one's numbers times an entry.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from chainrule.program.cuda.loop import KEPT_COLUMNS, THIN, WARP
from chainrule.program.fusion import Extent, is_total, over
from chainrule.program.operations import Fusion, Operation, Program, Value
from chainrule.program.plan import Roots
from chainrule.program.primitives import REDUCTIONS

ONE = Extent(1, 1)


@dataclass(eq=False)
class Cluster:
    """Operations on the way to becoming one kernel: a chain over one grid, and the tail after its totals."""

    where: Extent
    main: list[Operation] = field(default_factory=list)
    tail: list[Operation] = field(default_factory=list)
    late: set[int] = field(default_factory=set)  # values known once all blocks are done
    narrow: set[int] = field(default_factory=set)  # values of one entry a row, made here

    def takes(self, operation: Operation, roots: Roots) -> str:
        """Return where the operation fits: "main", "tail", or nowhere: ""."""
        inputs, where = {id(value) for value in operation.inputs}, extent(operation)
        viewed = {id(root) for v in operation.inputs if (root := roots.of(v)) is not v}
        viewed |= {id(roots.of(value)) for value in operation.read_by_rows}
        if viewed & {id(made.result) for made in (*self.main, *self.tail)}:
            return ""  # another entry of what a thread here has yet to write
        if inputs & self.late:
            return "tail" if where == ONE and operation.is_elementwise else ""
        # A kernel with a row at a time has no registers for the sums of an outer product, nor for the columns of a wide one.
        by_rows = self.narrow or (operation.function in REDUCTIONS and not is_total(operation))
        too_many = {"outer"} if self.where.columns <= WARP else {"outer", "dot"}
        if by_rows and any(made.function in too_many for made in (*self.main, operation)):
            return ""
        column = Extent(self.where.rows, 1)
        if where == self.where or (where == column and inputs & self.narrow):
            return "main"
        return ""

    def add(self, operation: Operation, place: str) -> None:
        """Take an operation in."""
        (self.main if place == "main" else self.tail).append(operation)
        result = id(operation.result)
        if place == "tail" or is_total(operation) or is_column_sum(operation):
            self.late.add(result)
        elif over(operation) != self.where or operation.function in REDUCTIONS:
            self.narrow.add(result)

    def can_sum(self, operation: Operation) -> bool:
        """Return whether a row product sums over the rows of what is made here.

        A kernel with a row at a time keeps the sums of its columns in registers.
        """
        made_here = any(made.result is operation.inputs[1] for made in self.main)
        fits = not self.narrow or self.where.columns <= KEPT_COLUMNS
        return made_here and fits and self.where == extent(operation)


def grouped(program: Program, *, thin: bool = True) -> list[Fusion]:
    """Return the groups that the program runs as, in order; unless ``thin``, every matrix product by itself.

    Examples
    --------
    >>> from chainrule.mathematics.arrays import namespace
    >>> from chainrule.program.trace import Spec, trace
    >>> def mean_square(x):
    ...     return namespace(x).sum(x * x, axis=(-2, -1)) / 6.0
    >>> program = trace(mean_square, Spec((3, 2), "float32", "x"))
    >>> [[operation.function for operation in group.operations] for group in grouped(program)]
    [['multiply', 'sum', 'divide']]
    """
    roots = Roots(program)
    parts: list[Cluster | Operation] = []
    makers: dict[int, Cluster] = {}
    segment: list[Cluster] = []  # those since the last product
    for operation in program.operations:
        if operation.is_view:
            continue
        maker = makers.get(id(operation.inputs[1])) if operation.is_row_product else None
        few = _thin(operation, program, segment, makers, roots) if thin else None
        if maker is not None and maker.can_sum(operation):
            maker.add(operation, "main")
        elif few is not None:
            cluster, place = _place(few, segment, makers, roots)
            cluster.add(few, place)
            makers[id(operation.result)] = cluster
            first = segment.index(cluster)  # nothing moves across it, either
            parts, segment = [*parts, *segment[:first]], segment[first:]
        elif operation.is_elementwise or operation.function in REDUCTIONS:
            cluster, place = _place(operation, segment, makers, roots)
            cluster.add(operation, place)
            makers[id(operation.result)] = cluster
        else:
            parts += [*segment, operation]
            segment = []
    return [_group(part, program, roots) for part in (*parts, *segment)]


def is_column_sum(operation: Operation) -> bool:
    """Return whether an operation sums over the rows of its grid."""
    return operation.is_row_product or operation.function == "outer"


def extent(operation: Operation) -> Extent:
    """Return the grid that an operation of a kernel runs over: a sum over rows, that of what it sums."""
    if not is_column_sum(operation):
        return over(operation)
    *_, rows, columns = operation.inputs[operation.is_row_product].shape
    return Extent(rows, columns)


def _thin(
    operation: Operation,
    program: Program,
    segment: list[Cluster],
    makers: dict[int, Cluster],
    roots: Roots,
) -> Operation | None:
    """Return a thin product as an operation of a chain, if there is a chain that it can be a part of."""
    if (
        not operation.is_matrix_product
        or "rate" in operation.settings
        or len(operation.result.shape) != 2
    ):
        return None
    turned = {
        id(op.result): op.inputs[0] for op in program.operations if op.function == "matrix_transpose"
    }
    (A, B), result = operation.inputs, operation.result
    if id(A) not in turned:
        other, settings = turned.get(id(B), B), {"turned": id(B) in turned}
        return Operation("dot", (A, other), result, settings) if A.shape[-1] <= THIN else None
    A = turned[id(A)]  # its rows are summed over
    products = [op for op in program.operations if op.is_matrix_product]
    if B.shape[-1] <= THIN and any(op.inputs[0] is B and op.result.shape == A.shape for op in products):
        # The next product down has the same thin factor and the same grid.
        return Operation("outer", (A, B), result, {"turned": True})
    outer = Operation("outer", (B, A), result)
    taken = _taken(outer, segment, makers, roots) if A.shape[-1] <= THIN else None
    return outer if taken is not None and taken[0] is makers.get(id(B)) else None


def _place(
    operation: Operation, segment: list[Cluster], makers: dict[int, Cluster], roots: Roots
) -> tuple[Cluster, str]:
    """Return the first cluster that takes the operation after all that it reads; else a new one."""
    if taken := _taken(operation, segment, makers, roots):
        return taken
    new = Cluster(extent(operation))
    # Put scalar groups first, so that wide operations that use them can still be fused.
    last = max(_read_at(operation, segment, makers, roots), default=-1)
    segment.insert(last + 1 if new.where == ONE else len(segment), new)
    return new, "main"


def _taken(
    operation: Operation, segment: list[Cluster], makers: dict[int, Cluster], roots: Roots
) -> tuple[Cluster, str] | None:
    for cluster in segment[max(_read_at(operation, segment, makers, roots), default=0) :]:
        if place := cluster.takes(operation, roots):
            return cluster, place
    return None


def _read_at(
    operation: Operation, segment: list[Cluster], makers: dict[int, Cluster], roots: Roots
) -> list[int]:
    """Return the places in a segment of the clusters that make what an operation reads."""
    read = [makers.get(id(roots.of(value))) for value in operation.inputs]
    return [number for number, cluster in enumerate(segment) if any(cluster is c for c in read)]


def _group(cluster: Cluster | Operation, program: Program, roots: Roots) -> Fusion:
    """Return a cluster as a group: what it reads from outside, and what of it is read outside."""
    if isinstance(cluster, Operation):
        return Fusion((cluster,), _read(cluster), (cluster.result,))
    operations = (*cluster.main, *cluster.tail)
    here = {id(operation.result) for operation in operations}
    kept = {id(roots.of(value)) for value in program.outputs}
    for operation in program.operations:
        if id(operation.result) not in here and not operation.is_view:
            kept |= {id(roots.of(value)) for value in operation.inputs}
    return as_group(operations, kept)


def as_group(operations: Sequence[Operation], wanted: set[int]) -> Fusion:
    """Return operations as a group: what they read from outside, and those of their results that are ``wanted``."""
    made = {id(operation.result) for operation in operations}
    inputs = {id(v): v for op in operations for v in _read(op) if id(v) not in made}
    results = tuple(op.result for op in operations if id(op.result) in wanted)
    return Fusion(tuple(operations), tuple(inputs.values()), results)


def _read(operation: Operation) -> tuple[Value, ...]:
    """Return what an operation reads; a sum over rows reads no ones."""
    return operation.inputs[1:] if operation.is_row_product else operation.inputs
