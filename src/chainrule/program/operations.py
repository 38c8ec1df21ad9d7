"""Operations: the elements of a program.

A program is a straight line of operations on values of static shape. Which functions there are is said in
``primitives.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any, Literal

import numpy as np

from chainrule.mathematics.arrays import Array, Namespace, size
from chainrule.program.primitives import ELEMENTWISE, PRIMITIVES, VIEWS

Role = Literal["parameter", "state", "sample", "target", "weight", "rate", "negated rate", "key", ""]


@dataclass(eq=False)
class Value:
    """An array of the program: an input, a constant, or the result of an operation.

    ``data`` is the constant's array; for a constant that is one number everywhere it is 0-d. ``role`` is what an
    input is to the step; "" where a program is not a training step.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    name: str = ""
    data: np.ndarray | None = None
    role: Role = ""

    @property
    def nbytes(self) -> int:
        """The bytes that the array takes, laid out without gaps."""
        return size(self.shape) * self.dtype.itemsize

    @property
    def is_constant(self) -> bool:
        """Whether it is known before anything runs."""
        return self.data is not None


Operand = Value | float | int


@dataclass(eq=False)
class Operation:
    """One function applied to operands; ``settings`` are its other arguments."""

    function: str
    operands: tuple[Operand, ...]
    result: Value
    settings: dict[str, Any] = field(default_factory=dict)
    origin: str = ""  # path:line of the mathematics that it comes from
    within: tuple[CodeType, ...] = ()  # the functions at work there, from the traced one down

    @property
    def source(self) -> str:
        """The file's name and the line that it comes from: "layers.py:55"."""
        return Path(self.origin).name

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The operands that are arrays."""
        return tuple(operand for operand in self.operands if isinstance(operand, Value))

    def computed(self, operands: Sequence[Any], xp: Namespace) -> Array:
        """Return what it makes of arrays and numbers: the same call, of the same library, as in the step."""
        if (operator := PRIMITIVES[self.function].operator) is not None:
            return operator(*operands)  # it takes a Python number on either side in every library
        if self.function == "slice":
            return operands[0][self.settings["places"]]
        if self.function == "reshape":
            return xp.reshape(operands[0], self.settings["to_shape"])
        if self.function == "astype":
            name = self.settings["to"].name
            return xp.astype(operands[0], getattr(xp, "bool" if name == "bool" else name))
        if self.function == "concat":
            return xp.concat(operands, axis=-1)
        return getattr(xp, self.function)(*operands, **self.settings)

    @property
    def is_view(self) -> bool:
        """Whether the operation returns a view and computes nothing."""
        return self.function in VIEWS

    @property
    def is_elementwise(self) -> bool:
        """Whether each entry of the result depends on one entry of each operand."""
        return self.function in ELEMENTWISE

    @property
    def is_row_product(self) -> bool:
        """Whether it is the product of one row with a matrix (the gradient of a bias)."""
        return self.function == "matmul" and self.result.shape[-2] == 1 and _is_ones(self.inputs[0])

    @property
    def is_matrix_product(self) -> bool:
        """Whether it is a matrix product, those of one row apart."""
        return self.function == "matmul" and not self.is_row_product

    @property
    def is_turned(self) -> bool:
        """Whether the other factor of such a product, or its result, has its few numbers along the rows."""
        return bool(self.settings.get("turned"))

    @property
    def read_by_rows(self) -> tuple[Value, ...]:
        """The last inputs, of which rows or columns of a few numbers are read at once: see ``cuda/grouping.py``."""
        return {"dot": self.inputs, "outer": self.inputs[1:]}.get(self.function, ())

    @property
    def flops(self) -> int:
        """Floating-point operations: 2 m n k for a product, one for each entry otherwise."""
        if self.is_view or self.function == "concat":
            return 0
        if self.function == "matmul":
            return 2 * size(self.result.shape) * self.inputs[0].shape[-1]
        return max(size(value.shape) for value in (*self.inputs, self.result))

    @property
    def bytes(self) -> int:
        """The bytes read and written: every array operand once, the result once."""
        if self.is_view:
            return 0
        return sum(value.nbytes for value in (*self.inputs, self.result) if value.data is None)


@dataclass(eq=False)
class Fusion:
    """Operations that run as one group: a single one, or a chain over one shape. XLA has the same word.

    ``inputs`` come from outside, ``results`` are needed outside; the values between have no memory.
    """

    operations: tuple[Operation, ...]
    inputs: tuple[Value, ...]
    results: tuple[Value, ...]

    @property
    def only(self) -> Operation:
        """The operation, where it is one alone."""
        (operation,) = self.operations
        return operation

    @property
    def is_concat(self) -> bool:
        """Whether it lays arrays one after the other."""
        return self.operations[0].function == "concat"

    @property
    def is_product(self) -> bool:
        """Whether it is a matrix product."""
        return self.operations[0].function == "matmul"

    @property
    def is_elementwise(self) -> bool:
        """Whether a result may take the very place of an input of its shape."""
        return not (self.is_product or self.is_concat)

    def reads_rows_of(self, value: Value) -> bool:
        """Return whether an entry of a result depends on a whole row of a value."""
        return any(value is read for op in self.operations for read in op.read_by_rows)


def alone(operation: Operation) -> Fusion:
    """Return a fusion of one operation.

    A reduction cannot take the place of what it reduces, but no result has the shape to do so.
    """
    return Fusion((operation,), operation.inputs, (operation.result,))


def _is_ones(value: Value) -> bool:
    return value.data is not None and bool(np.all(value.data == 1))
