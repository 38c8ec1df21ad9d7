"""Expressions: what an operation computes, as a formula of named values, read off the program.

Nothing here knows a formula. A formula is the tree of operations above a value, cut off at the values
that have names.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chainrule.program.operations import Operand, Operation, Value

# Read through: they change how an array lies or is stored, not what it says.
SILENT = {"astype", "reshape"}


@dataclass(frozen=True)
class Node:
    """A part of a formula: a symbol, a number, or a function of other parts."""

    function: str  # "symbol", "number", or an operation's
    text: str  # the name, the number, or what is said of the function
    parts: tuple["Node", ...] = ()
    shape: tuple[int, ...] = ()

    @property
    def is_scalar(self) -> bool:
        """Whether it is one number."""
        return all(length == 1 for length in self.shape)


def formula(operation: Operation, makers: Mapping[int, Operation], name: Callable[[Value], str]) -> Node:
    """Return what makes an operation's result.

    Parameters
    ----------
    operation
        The operation.
    makers
        By the ``id`` of a value, the operation of the program that makes it.
    name
        Gives what a value is called there, or "" where it has no name.
    """

    def part(operand: Operand) -> Node:
        if not isinstance(operand, Value):
            return Node("number", _number(operand))
        if called := name(operand):
            return Node("symbol", called, (), operand.shape)
        if operand.data is not None:
            return constant(operand)
        return formula(makers[id(operand)], makers, name)

    if operation.function in SILENT:
        return part(operation.operands[0])
    if operation.function == "slice":
        text = ", ".join(map(_place, operation.settings["places"]))
    else:
        text = _axis(operation)
    return Node(operation.function, text, tuple(map(part, operation.operands)), operation.result.shape)


def constant(value: Value) -> Node:
    """Return a constant: a number where it is the same everywhere."""
    if value.data is None or value.data.ndim:
        return Node("symbol", "constant", (), value.shape)
    return Node("number", _number(value.data.item()), (), value.shape)


def products(
    operation: Operation, makers: Mapping[int, Operation], stop: Callable[[Value], str]
) -> list[str]:
    """Return the shapes of every product of arrays in a formula, spelled out.

    The matrix products, and the formula itself where it is an elementwise one.
    """
    arrays = [operand.shape for operand in operation.inputs if len(operand.shape) > 1]
    found: list[str] = []
    for value in operation.inputs:
        if id(value) in makers and not stop(value):
            found += products(makers[id(value)], makers, stop)
    symbol = {"matmul": "@", "multiply": "*"}.get(operation.function)
    if symbol and len(arrays) == 2:
        found.append(f"{arrays[0]} {symbol} {arrays[1]} -> {operation.result.shape}")
    return list(dict.fromkeys(found))


def _axis(operation: Operation) -> str:
    axes: tuple[int, ...] = operation.settings.get("axis", ())
    whole = len(axes) in {0, len(operation.inputs[0].shape)}
    return "" if whole else f"axis={axes[0] if len(axes) == 1 else axes}"


def _place(place: object) -> str:
    if not isinstance(place, slice):
        return "..."
    start, stop = ("" if end is None else str(end) for end in (place.start, place.stop))
    return f"{start}:{stop}"


def _number(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:.6g}"
