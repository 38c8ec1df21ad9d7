"""Expressions: the parts of a formula, read off the operations of a program.

Nothing here knows a formula. A formula is the tree of operations above a value, cut off at the values
that have names.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from chainrule.program.operations import Operand, Operation, Value

SILENT = {"astype", "reshape"}  # not shown: they change how an array is stored, not its entries


class Scope(NamedTuple):
    """What a formula is read in: which operation makes a value, and what the value is called there."""

    makers: Mapping[int, Operation]  # by the ``id`` of a value
    name: Callable[[Value], str]  # "" for a value without a name

    def symbol(self, operand: Operand) -> str:
        """Return the name of an operand; "" for a number, and for the result of an unnamed operation."""
        if not isinstance(operand, Value):
            return ""
        constant = "constant" if operand.data is not None and operand.data.ndim else ""
        return self.name(operand) or constant

    def number(self, operand: Operand) -> str:
        """Return the digits of a constant that is the same everywhere; "" for all else."""
        if isinstance(operand, Value):
            if operand.data is None or operand.data.ndim or self.name(operand):
                return ""
            operand = operand.data.item()
        return str(operand) if isinstance(operand, int) else f"{operand:.6g}"


def is_scalar(operand: Operand) -> bool:
    """Return whether an operand is one number."""
    return not isinstance(operand, Value) or all(length == 1 for length in operand.shape)


def products(operation: Operation, scope: Scope) -> list[str]:
    """Return the shapes of the matrix products in a formula, and of its elementwise product if it is one."""
    arrays = [operand.shape for operand in operation.inputs if len(operand.shape) > 1]
    texts: list[str] = []
    for value in operation.inputs:
        if id(value) in scope.makers and not scope.name(value):
            texts += products(scope.makers[id(value)], scope)
    symbol = {"matmul": "@", "multiply": "*"}.get(operation.function)
    if symbol and len(arrays) == 2:
        texts.append(f"{arrays[0]} {symbol} {arrays[1]} -> {operation.result.shape}")
    return list(dict.fromkeys(texts))


def setting(operation: Operation) -> str:
    """Return the axes of a reduction or the places of a slice; "" for the whole array."""
    if operation.function == "slice":
        return ", ".join(map(_place, operation.settings["places"]))
    axes: tuple[int, ...] = operation.settings.get("axis", ())
    whole = len(axes) in {0, len(operation.inputs[0].shape)}
    return "" if whole else f"axis={axes[0] if len(axes) == 1 else axes}"


def _place(place: object) -> str:
    if not isinstance(place, slice):
        return "..."
    return ":".join("" if end is None else str(end) for end in (place.start, place.stop))
