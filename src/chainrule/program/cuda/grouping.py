"""Grouping: which operations of a program run as one kernel on a CUDA device.

A launch costs more there than a pass over a small array, so more operations share a kernel than on a CPU: a softmax over
each row, the totals of a chain with what is computed from them, and the gradient of a bias, a sum over rows, with the chain
that computes its terms. As in ``fusion.py``, nothing moves across a product.

Products with a *thin* matrix, of at most 16 columns, are parts of the chain that reads them or computes their factor. ``dot`` is
a row of the thin matrix times a column of the other; ``outer`` sums, over all rows, the thin matrix's numbers times an entry. A
product whose result is thin is a part of the chain that reads it, too: a ``dot`` with many terms.
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
class KernelDraft:
    """Operations that will be one kernel: a chain over one grid, and the tail after its totals."""

    where: Extent
    main: list[Operation] = field(default_factory=list)
    tail: list[Operation] = field(default_factory=list)
    late: set[int] = field(default_factory=set)  # values that are known once all blocks are done
    narrow: set[int] = field(default_factory=set)  # values with one entry per row that are computed here

    def takes(self, operation: Operation, roots: Roots) -> str:
        """Return the part that the operation fits into: "main", "tail", or "" for none."""
        inputs, where = {id(value) for value in operation.inputs}, extent(operation)
        viewed = {id(root) for v in operation.inputs if (root := roots.of(v)) is not v}
        viewed |= {id(roots.of(value)) for value in operation.read_by_rows}
        if viewed & {id(other.result) for other in (*self.main, *self.tail)}:
            return ""  # it reads entries that other threads of this kernel compute
        if inputs & self.late:
            return "tail" if where == ONE and operation.is_elementwise else ""
        # A kernel by rows has no registers for the sums of an outer product, nor for the columns of a wide one.
        both = (*self.main, operation)
        by_rows = self.narrow or any(is_long(other) for other in both)
        by_rows = by_rows or (operation.function in REDUCTIONS and not is_total(operation))
        too_many = {"outer"} if self.where.columns <= WARP else {"outer", "dot"}
        if by_rows and any(other.function in too_many for other in both):
            return ""
        column = Extent(self.where.rows, 1)
        if where == self.where or (where == column and inputs & self.narrow):
            return "main"
        return ""

    def add(self, operation: Operation, place: str) -> None:
        """Add an operation."""
        (self.main if place == "main" else self.tail).append(operation)
        result = id(operation.result)
        if place == "tail" or is_total(operation) or is_column_sum(operation):
            self.late.add(result)
        elif over(operation) != self.where or operation.function in REDUCTIONS:
            self.narrow.add(result)

    def can_sum(self, operation: Operation) -> bool:
        """Return whether a row product sums over the rows of a value that is computed here.

        A kernel by rows keeps the sums of its columns in registers.
        """
        is_here = any(other.result is operation.inputs[1] for other in self.main)
        fits = not self.narrow or self.where.columns <= KEPT_COLUMNS
        return is_here and fits and self.where == extent(operation)


def grouped(program: Program, *, thin: bool = True, long: bool = True) -> list[Fusion]:
    """Return the groups that the program runs as, in order.

    Without ``long``, a product with many terms is a group; without ``thin``, every matrix product is.

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
    return _Grouping(program, thin=thin, long=long).groups()


def is_long(operation: Operation) -> bool:
    """Return whether an operation of a chain is a product with many terms, a thread for each row and column."""
    return operation.function == "dot" and operation.inputs[0].shape[-1] > THIN


def is_column_sum(operation: Operation) -> bool:
    """Return whether an operation sums over the rows of its grid."""
    return operation.is_row_product or operation.function == "outer"


def extent(operation: Operation) -> Extent:
    """Return the grid that an operation of a kernel runs over; for a sum over rows, the grid of its operand."""
    if not is_column_sum(operation):
        return over(operation)
    *_, rows, columns = operation.inputs[operation.is_row_product].shape
    return Extent(rows, columns)


class _Grouping:
    """Divides a program into drafts of kernels and products; the drafts since the last product can still take operations."""

    def __init__(self, program: Program, *, thin: bool, long: bool) -> None:
        self._program, self._roots, self._thin, self._long = program, Roots(program), thin, long
        turns = (op for op in program.operations if op.function == "matrix_transpose")
        self._turned = {id(op.result): op.inputs[0] for op in turns}
        self._products = [op for op in program.operations if op.is_matrix_product]
        self._parts: list[KernelDraft | Operation] = []
        self._segment: list[KernelDraft] = []  # the drafts since the last product
        self._makers: dict[
            int, KernelDraft
        ] = {}  # the draft that computes each value, by the value's id

    def groups(self) -> list[Fusion]:
        """Return the groups."""
        for operation in self._program.operations:
            if operation.is_view:
                continue
            maker = self._makers.get(id(operation.inputs[1])) if operation.is_row_product else None
            few = self._as_thin(operation) if self._thin else None
            if maker is not None and maker.can_sum(operation):
                maker.add(operation, "main")
            elif few is not None:
                first = self._segment.index(self._put(few))  # nothing moves across this product either
                self._parts += self._segment[:first]
                del self._segment[:first]
            elif operation.is_elementwise or operation.function in REDUCTIONS:
                self._put(operation)
            else:
                self._parts += [*self._segment, operation]
                self._segment = []
        return [self._group(part) for part in (*self._parts, *self._segment)]

    def _as_thin(self, operation: Operation) -> Operation | None:
        """Return a thin product as an operation of a chain, if there is a chain that it can be a part of."""
        is_plain = operation.is_matrix_product and "rate" not in operation.settings
        if not is_plain or len(operation.result.shape) != 2:
            return None
        (A, B), result, turned = operation.inputs, operation.result, self._turned
        if id(A) not in turned:
            other, settings = turned.get(id(B), B), {"turned": id(B) in turned}
            fits = A.shape[-1] <= THIN or (self._long and B.shape[-1] <= THIN)
            return Operation("dot", (A, other), result, settings) if fits else None
        A = turned[id(A)]  # the product sums over its rows
        same = any(op.inputs[0] is B and op.result.shape == A.shape for op in self._products)
        if B.shape[-1] <= THIN and same:
            # The next product down has the same thin factor and the same grid.
            return Operation("outer", (A, B), result, {"turned": True})
        outer = Operation("outer", (B, A), result)
        taken = self._taken(outer) if A.shape[-1] <= THIN else None
        return outer if taken is not None and taken[0] is self._makers.get(id(B)) else None

    def _put(self, operation: Operation) -> KernelDraft:
        """Put an operation into the first draft that takes it after all that it reads; else into a new one."""
        draft, place = self._taken(operation) or (KernelDraft(extent(operation)), "main")
        if draft not in self._segment:
            # Put scalar groups first, so that wide operations that use them can still be fused.
            last = max(self._read_at(operation), default=-1)
            self._segment.insert(last + 1 if draft.where == ONE else len(self._segment), draft)
        draft.add(operation, place)
        self._makers[id(operation.result)] = draft
        return draft

    def _taken(self, operation: Operation) -> tuple[KernelDraft, str] | None:
        for draft in self._segment[max(self._read_at(operation), default=0) :]:
            if place := draft.takes(operation, self._roots):
                return draft, place
        return None

    def _read_at(self, operation: Operation) -> list[int]:
        """Return the indices in the segment of the drafts that compute an operation's inputs."""
        read = {id(self._makers.get(id(self._roots.of(value)))) for value in operation.inputs}
        return [number for number, draft in enumerate(self._segment) if id(draft) in read]

    def _group(self, part: KernelDraft | Operation) -> Fusion:
        """Return a draft as a group: the values that it reads from outside, and its results that are read outside."""
        if isinstance(part, Operation):
            return Fusion((part,), _read(part), (part.result,))
        operations = (*part.main, *part.tail)
        here = {id(operation.result) for operation in operations}
        kept = {id(self._roots.of(value)) for value in self._program.outputs}
        for operation in self._program.operations:
            if id(operation.result) not in here and not operation.is_view:
                kept |= {id(self._roots.of(value)) for value in operation.inputs}
        return as_group(operations, kept)


def as_group(operations: Sequence[Operation], wanted: set[int]) -> Fusion:
    """Return operations as a group: what they read from outside, and those of their results that are ``wanted``."""
    results_here = {id(operation.result) for operation in operations}
    inputs = {id(v): v for op in operations for v in _read(op) if id(v) not in results_here}
    results = tuple(op.result for op in operations if id(op.result) in wanted)
    return Fusion(tuple(operations), tuple(inputs.values()), results)


def _read(operation: Operation) -> tuple[Value, ...]:
    """Return the values that an operation reads; a sum over rows does not read the ones."""
    return operation.inputs[1:] if operation.is_row_product else operation.inputs
