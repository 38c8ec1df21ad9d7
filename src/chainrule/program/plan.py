"""The plan: the places of all values of a program in memory, decided before it runs.

Each result gets a place in a storage. A result takes the storage of an operand that it is the last to
read, where it can be computed in place; else one that has become free; else a new one. What is carried
from step to step (the parameters, the optimiser's state) is written where it was read. A concatenation
costs nothing: its parts are computed in their places of the whole. So no step allocates anything, and
the bytes are known exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from chainrule.mathematics.arrays import size
from chainrule.program.operations import Fusion, Operation, Value
from chainrule.program.program import Program

Carried = Sequence[tuple[Value, Value]]


@dataclass(eq=False)
class Storage:
    """Memory: that of an input, of a constant, or scratch of this many bytes."""

    nbytes: int
    value: Value | None = None  # the input or the constant that it is; None: scratch

    @property
    def is_scratch(self) -> bool:
        """Whether the plan made it."""
        return self.value is None


class Home(NamedTuple):
    """Where a value lies: the elements from ``start`` along the last axis of a ``whole``.

    ``whole`` is the shape of what the storage holds then; without leading dimensions it is flat.
    """

    storage: Storage
    start: int = 0
    whole: tuple[int, ...] | None = None  # None: the value has the storage to itself


def _of_program(name: str, doc: str) -> Any:
    """Return the property of a plan that its program has."""
    return property(lambda plan: getattr(plan.program, name), doc=doc)


@dataclass
class Plan:
    """A program with a place for each of its values.

    Attributes
    ----------
    program
        What is planned.
    carried
        Pairs of an input and the output that takes its place.
    groups
        What computes something, in order; ``copy`` moves what could not be computed in its place.
    homes
        Where each root value lies, by ``id``; views lie where their roots do.
    """

    program: Program
    carried: tuple[tuple[Value, Value], ...]
    groups: list[Fusion] = field(default_factory=list)
    homes: dict[int, Home] = field(default_factory=dict)

    @cached_property
    def storages(self) -> list[Storage]:
        """Every storage that something lies in, once."""
        found = {id(home.storage): home.storage for home in self.homes.values()}
        return list(found.values())

    operations = _of_program("operations", "The operations of the program, in order.")
    matmuls = _of_program("matmuls", "The matrix products, those of one row (for the biases) apart.")
    row_products = _of_program("row_products", "The products of a row of ones with a matrix.")
    flops = _of_program("flops", "The floating-point operations of the matrix products.")
    bytes = _of_program("bytes", "The bytes read and written if each operation reads every operand.")

    @property
    def launches(self) -> int:
        """The calls, or kernels, of a step."""
        return len(self.groups)

    @property
    def scratch_bytes(self) -> int:
        """The bytes of everything that is neither an input nor a constant."""
        return sum(storage.nbytes for storage in self.storages if storage.is_scratch)

    @property
    def constant_bytes(self) -> int:
        """The bytes of the constants that are more than a number."""
        return sum(s.nbytes for s in self.storages if s.value is not None and s.value.is_constant)

    @property
    def peak_bytes(self) -> int:
        """The bytes of all arrays of a step: its inputs, its constants and its scratch."""
        return self.program.input_bytes + self.constant_bytes + self.scratch_bytes

    __repr__ = Program.__repr__  # a plan has the same counts

    def __str__(self) -> str:
        """Return the table of operations, and what they come to."""
        return (
            f"{self.program}\n"
            f"{self.matmuls} matrix products and {self.row_products} of one row, {self.flops:,} FLOPs; "
            f"{self.launches} launches, {self.bytes:,} bytes read and written; "
            f"{self.peak_bytes:,} bytes at the peak"
        )


class Roots:
    """Which value owns the memory that a view looks at, and where in it."""

    def __init__(self, program: Program) -> None:
        self._maker = {id(operation.result): operation for operation in program.operations}

    def of(self, value: Value) -> Value:
        """Return the value that owns the memory of ``value``."""
        while (maker := self._view(value)) is not None:
            value = maker.inputs[0]
        return value

    def start(self, value: Value) -> int | None:
        """Return where along its root's last axis ``value`` starts, if it is a run of it."""
        start = 0
        while (maker := self._view(value)) is not None:
            if maker.function == "matrix_transpose":
                return None
            if maker.function == "slice":
                *lead, last = maker.settings["places"]
                if any(place not in (..., slice(None)) for place in lead):
                    return None
                start += last.indices(maker.inputs[0].shape[-1])[0]
            value = maker.inputs[0]
        return start

    def is_whole(self, value: Value) -> bool:
        """Return whether ``value`` is all of its root, in the root's own order."""
        root = self.of(value)
        return self.start(value) == 0 and size(value.shape) == size(root.shape)

    def _view(self, value: Value) -> Operation | None:
        maker = self._maker.get(id(value))
        return maker if maker is not None and maker.is_view else None
