"""Operations, and the program that they form: a step as a straight line of operations on values of static shape.

``primitives.py`` lists the functions.
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

    ``data`` is the array of a constant, 0-d if all its entries are equal. ``role`` is the role of an input in
    a training step, and "" in other programs.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    name: str = ""
    data: np.ndarray | None = None
    role: Role = ""

    @property
    def nbytes(self) -> int:
        """The bytes of the array, without gaps."""
        return size(self.shape) * self.dtype.itemsize

    @property
    def is_constant(self) -> bool:
        """Whether its entries are known before the program runs."""
        return self.data is not None

    @property
    def number(self) -> Any:
        """The number that all entries of a constant are equal to; ``None`` for other values."""
        return None if self.data is None or self.data.ndim else self.data.item()


Operand = Value | float | int


@dataclass(eq=False)
class Operation:
    """A function applied to operands; ``settings`` are its other arguments."""

    function: str
    operands: tuple[Operand, ...]
    result: Value
    settings: dict[str, Any] = field(default_factory=dict)
    origin: str = ""  # path:line in the mathematics
    within: tuple[CodeType, ...] = ()  # the functions active at that line, from the traced one down

    @property
    def source(self) -> str:
        """The file and the line in the mathematics: "layers.py:55"."""
        return Path(self.origin).name

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The operands that are arrays."""
        return tuple(operand for operand in self.operands if isinstance(operand, Value))

    def computed(self, operands: Sequence[Any], xp: Namespace) -> Array:
        """Return the operation's result for arrays and numbers: the same call of the same library as in the step.

        Parameters
        ----------
        operands : sequence of Array, float or int
            An array or a number in place of each operand, in their order.
        xp : Namespace
            The namespace of the arrays, as in the Array API standard.

        Returns
        -------
        Array
            The result; of the recorded shape if the arrays have the recorded shapes.
        """
        if (operator := PRIMITIVES[self.function].operator) is not None:
            return operator(*operands)  # in every library, either side may be a Python number
        if self.function == "slice":
            return operands[0][self.settings["places"]]
        if self.function == "reshape":
            return xp.reshape(operands[0], self.settings["to_shape"])
        if self.function == "astype":
            to = self.settings["to"]  # CuPy, which has no name for bfloat16, takes NumPy's dtype
            return xp.astype(operands[0], getattr(xp, to.name, to))
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
        """Whether the operation is the product of a row of ones and a matrix: the gradient of a bias."""
        return self.function == "matmul" and self.result.shape[-2] == 1 and _is_ones(self.inputs[0])

    @property
    def is_matrix_product(self) -> bool:
        """Whether the operation is a matrix product other than a row product."""
        return self.function == "matmul" and not self.is_row_product

    @property
    def is_turned(self) -> bool:
        """Whether the other factor of a thin product, or its result, has the few numbers along its rows."""
        return bool(self.settings.get("turned"))

    @property
    def read_by_rows(self) -> tuple[Value, ...]:
        """The last inputs, if whole rows or columns of a few numbers are read at once: see ``cuda/grouping.py``."""
        return {"dot": self.inputs, "outer": self.inputs[1:]}.get(self.function, ())

    @property
    def flops(self) -> int:
        """Floating-point operations: 2 m n k for a product, otherwise one for each entry."""
        if self.is_view or self.function == "concat":
            return 0
        if self.function == "matmul":
            return 2 * size(self.result.shape) * self.inputs[0].shape[-1]
        return max(size(value.shape) for value in (*self.inputs, self.result))

    @property
    def bytes(self) -> int:
        """The bytes that are read and written, each array once."""
        if self.is_view:
            return 0
        return sum(value.nbytes for value in (*self.inputs, self.result) if value.data is None)


@dataclass(eq=False)
class Fusion:
    """Operations that run as one group: a single one, or a chain over one shape. The word is XLA's.

    ``inputs`` come from outside, ``results`` are needed outside; the values in between have no memory.
    """

    operations: tuple[Operation, ...]
    inputs: tuple[Value, ...]
    results: tuple[Value, ...]

    @property
    def only(self) -> Operation:
        """The only operation of the group."""
        (operation,) = self.operations
        return operation

    @property
    def is_concat(self) -> bool:
        """Whether the group is a concatenation."""
        return self.operations[0].function == "concat"

    @property
    def is_product(self) -> bool:
        """Whether the group is a matrix product."""
        return self.operations[0].function == "matmul"

    @property
    def is_elementwise(self) -> bool:
        """Whether a result may overwrite an input of its shape."""
        return not (self.is_product or self.is_concat)

    def reads_rows_of(self, value: Value) -> bool:
        """Return whether an entry of a result depends on a whole row of a value.

        Parameters
        ----------
        value : Value
            A value that the group reads.

        Returns
        -------
        bool
            If ``True``, no result may overwrite the value.
        """
        return any(value is read for op in self.operations for read in op.read_by_rows)


def alone(operation: Operation) -> Fusion:
    """Return a fusion of one operation.

    A reduction cannot overwrite its operand, but its result never has the operand's shape.

    Parameters
    ----------
    operation : Operation
        The operation.

    Returns
    -------
    Fusion
        A group with the inputs and the result of the operation.
    """
    return Fusion((operation,), operation.inputs, (operation.result,))


def _is_ones(value: Value) -> bool:
    return value.data is not None and bool(np.all(value.data == 1))


class Mention(NamedTuple):
    """A name of a value: a local variable in a function of the mathematics.

    A value may have several names: the ``A`` of a layer is the ``dZ_dW`` of the next one.
    """

    value: Value
    variable: str  # "dL_dW"
    layer: int | None  # the number of the layer, from 1
    code: CodeType  # the code of the function
    within: tuple[CodeType, ...]  # the active functions, from the step down to this one

    @property
    def name(self) -> str:
        """The name of the variable with the number of the layer: "dL_dW2"."""
        return f"{self.variable}{self.layer or ''}"


@dataclass(frozen=True, eq=False)
class Program:
    """A traced function as a list of operations.

    Printing it shows a table with the number, result, shape, function and FLOPs of each operation.
    """

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    operations: tuple[Operation, ...]
    mentions: tuple[Mention, ...] = ()  # all names of all values, in the order of the computation

    def without_dead_code(self) -> "Program":
        """Return the program without operations that no output depends on.

        Returns
        -------
        Program
            A program with the same inputs and outputs.
        """
        needed = {id(value) for value in self.outputs}
        kept: list[Operation] = []
        for operation in reversed(self.operations):
            if id(operation.result) in needed:
                kept.append(operation)
                needed.update(id(value) for value in operation.inputs)
        return Program(self.inputs, self.outputs, tuple(reversed(kept)), self.mentions)

    @property
    def matmuls(self) -> int:
        """The number of matrix products, without the row products of the bias gradients."""
        return sum(operation.is_matrix_product for operation in self.operations)

    @property
    def row_products(self) -> int:
        """The number of products of a row of ones and a matrix: one for each bias gradient."""
        return sum(operation.is_row_product for operation in self.operations)

    @property
    def elementwise(self) -> int:
        """The number of operations that are neither products nor views."""
        return self.launches - self.matmuls - self.row_products

    @cached_property
    def flops(self) -> int:
        """The floating-point operations of the matrix products, as benchmarks count them."""
        return sum(operation.flops for operation in self.operations if operation.is_matrix_product)

    @cached_property
    def bytes(self) -> int:
        """The bytes read and written if each operation reads its operands from memory."""
        return sum(operation.bytes for operation in self.operations)

    @cached_property
    def launches(self) -> int:
        """The number of operations that compute something: calls, or kernels, if none are fused."""
        return sum(not o.is_view and o.function != "concat" for o in self.operations)

    @cached_property
    def dtypes(self) -> frozenset[str]:
        """The dtypes of the computed values."""
        return frozenset(operation.result.dtype.name for operation in self.operations)

    @cached_property
    def names(self) -> dict[int, str]:
        """A name for each value, by ``id``: that in the mathematics, or a number."""
        names = {id(value): value.name for value in self.inputs}
        for number, operation in enumerate(self.operations):
            names[id(operation.result)] = operation.result.name or f"t{number}"
        return names

    def name(self, operand: Operand) -> str:
        """Return the name of an operand, or the digits of a number.

        Parameters
        ----------
        operand : Value, float or int
            An operand of one of the operations.

        Returns
        -------
        str
            The name; "constant" for an array of constants, "?" for a value of another program.
        """
        if not isinstance(operand, Value):
            return f"{operand}" if isinstance(operand, int) else f"{operand:.6g}"
        if operand.data is not None:
            return "constant" if operand.number is None else f"{operand.number:.6g}"
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
        """The bytes of all inputs."""
        return sum(size(value.shape) * value.dtype.itemsize for value in self.inputs)
