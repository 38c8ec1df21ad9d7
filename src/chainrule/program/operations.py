"""Operations: the elements of a program.

A program is a straight line of operations on values of static shape. Which functions there are is said in
``primitives.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import CodeType
from typing import Any, Literal, NamedTuple

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


class Mention(NamedTuple):
    """A name that a function of the mathematics has for a value: one of its local variables.

    A value may have several: the ``A`` of a layer is the ``dZ_dW`` of the next one.
    """

    value: Value
    variable: str  # "dL_dW"
    layer: int | None  # the layer that the call works on, from 1
    call: int  # which call it is local to
    code: CodeType  # of the function
    within: tuple[CodeType, ...]  # the functions at work, from the step down to this one

    @property
    def name(self) -> str:
        """The name of the variable with the number of the layer: "dL_dW2"."""
        return f"{self.variable}{self.layer or ''}"


@dataclass(frozen=True, eq=False)
class Program:
    """A traced function as a list of operations.

    Printing it gives a table: the number of each operation, the name of its result, the shape, the
    operation, its floating-point operations.
    """

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    operations: tuple[Operation, ...]
    mentions: tuple[Mention, ...] = ()  # every name of every value, in the order of the computation

    def without_dead_code(self) -> "Program":
        """Return the program without the operations that no output depends on."""
        needed = {id(value) for value in self.outputs}
        kept: list[Operation] = []
        for operation in reversed(self.operations):
            if id(operation.result) in needed:
                kept.append(operation)
                needed.update(id(value) for value in operation.inputs)
        return Program(self.inputs, self.outputs, tuple(reversed(kept)), self.mentions)

    @property
    def matmuls(self) -> int:
        """The matrix products; the one-row products of the bias gradients are counted apart."""
        return sum(operation.is_matrix_product for operation in self.operations)

    @property
    def row_products(self) -> int:
        """The products of a row of ones with a matrix: one for each bias gradient."""
        return sum(operation.is_row_product for operation in self.operations)

    @property
    def elementwise(self) -> int:
        """The operations that are neither products nor views."""
        return self.launches - self.matmuls - self.row_products

    @cached_property
    def flops(self) -> int:
        """The floating-point operations of the matrix products, as every benchmark counts them."""
        return sum(operation.flops for operation in self.operations if operation.is_matrix_product)

    @cached_property
    def bytes(self) -> int:
        """The bytes read and written if every operation goes to memory for every operand."""
        return sum(operation.bytes for operation in self.operations)

    @cached_property
    def launches(self) -> int:
        """The operations that compute something: each one call, or one kernel, if none is fused."""
        return sum(
            not operation.is_view and operation.function != "concat" for operation in self.operations
        )

    @cached_property
    def dtypes(self) -> frozenset[str]:
        """The dtypes of the computed values."""
        return frozenset(operation.result.dtype.name for operation in self.operations)

    @cached_property
    def names(self) -> dict[int, str]:
        """A name for every value, by ``id``: what the mathematics calls it, or a number."""
        names = {id(value): value.name for value in self.inputs}
        for number, operation in enumerate(self.operations):
            names[id(operation.result)] = operation.result.name or f"t{number}"
        return names

    def name(self, operand: Operand) -> str:
        """Return the name of an operand, or the digits of a number."""
        if not isinstance(operand, Value):
            return f"{operand}" if isinstance(operand, int) else f"{operand:.6g}"
        if operand.data is not None:
            return f"{operand.data.item():.6g}" if operand.data.ndim == 0 else "constant"
        return self.names.get(id(operand), "?")

    def __repr__(self) -> str:
        """Return a summary; printing shows the operations."""
        products, count = self.matmuls, len(self.operations)
        return f"{type(self).__name__}({count} operations, {products} matrix products, {self.flops:,} FLOPs)"

    def __str__(self) -> str:
        """Return the table of operations."""
        head = f"{'#':>3} {'result':<13} {'shape':<16} {'operation':<44} {'FLOPs':>9}"
        return "\n".join([head, *(self._line(*line) for line in enumerate(self.operations))])

    def _line(self, number: int, operation: Operation) -> str:
        name = self.name(operation.result)
        operands = ", ".join(map(self.name, operation.operands))
        text = f"{operation.function}({operands})"
        shape = str(operation.result.shape)
        return f"{number:>3} {name:<13} {shape:<16} {text:<44} {operation.flops:>9}"

    @property
    def input_bytes(self) -> int:
        """The bytes of everything that the program is given."""
        return sum(size(value.shape) * value.dtype.itemsize for value in self.inputs)
