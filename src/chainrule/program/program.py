"""The program: a step as a straight line of operations, with static shapes and exact counts."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from chainrule.mathematics.arrays import size
from chainrule.program.operations import Operand, Operation, Value

if TYPE_CHECKING:  # names are given to tracers, which make programs
    from chainrule.program.names import Mention


@dataclass(frozen=True, eq=False)
class Program:
    """A traced function as a list of operations.

    Printing it gives a table: the number of each operation, the name of its result, the shape, the
    operation, its floating-point operations.
    """

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    operations: tuple[Operation, ...]
    mentions: tuple["Mention", ...] = ()  # every name of every value, in the order of the computation

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
