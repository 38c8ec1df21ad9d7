"""An elementwise statement of a chain, computed over `Lanes`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule.program.native import elementary
from chainrule.program.native.lanes import Lanes
from chainrule.program.primitives import PRIMITIVES

if TYPE_CHECKING:
    from chainrule.program.chains import Statement


def apply(statement: Statement, arguments: list[Lanes | float]) -> Lanes:
    """Return an elementwise statement's value: by Python's operator, or the function of its name in `elementary.py`."""
    first, *others = arguments
    if not isinstance(first, Lanes):
        model = next(argument for argument in reversed(others) if isinstance(argument, Lanes))
        first = model.constant(first)
    if statement.function == "astype":
        return first.astype(statement.dtype)
    numbers = [other for other in others if not isinstance(other, Lanes)]
    if statement.function == "where" and len(numbers) == 2:
        others[0] = first.astype(statement.dtype).constant(numbers[0])
    row = PRIMITIVES[statement.function]
    function = row.operator or getattr(elementary, row.name)
    value: Lanes = function(first, *others)
    return value
