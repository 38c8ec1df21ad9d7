"""What each elementwise statement of a chain computes, over `Lanes`."""

from __future__ import annotations

from typing import Final

from chainrule.program.chains import COMPARISONS, FLOAT_FUNCTIONS, Statement
from chainrule.program.native import elementary
from chainrule.program.native.lanes import Lanes, is_float

_OPERATORS: Final = {
    "add": "__add__", "subtract": "__sub__", "multiply": "__mul__", "divide": "__truediv__", "negative": "__neg__",
    "abs": "__abs__", "bitwise_and": "__and__", "bitwise_or": "__or__", "bitwise_xor": "__xor__",
    "bitwise_left_shift": "__lshift__", "bitwise_right_shift": "__rshift__",
}  # fmt: skip


def apply(statement: Statement, arguments: list[Lanes | float]) -> Lanes:
    """Return an elementwise statement's value."""
    function = statement.function
    model = next(a for a in reversed(arguments) if isinstance(a, Lanes))
    if function == "where":
        return as_lanes(arguments[0]).where(arguments[1], arguments[2])
    x, *others = [a if isinstance(a, Lanes) else model.constant(a) for a in arguments]
    if function in COMPARISONS:
        return x.compare(COMPARISONS[function], others[0])
    if function in _OPERATORS:
        return getattr(x, _OPERATORS[function])(*others)  # type: ignore[no-any-return]
    return _special(statement, x, others)


def as_lanes(value: Lanes | float) -> Lanes:
    """Return a value that must be lanes."""
    if isinstance(value, Lanes):
        return value
    msg = f"where has the Python number {value} for its condition; give it a bool array"
    raise TypeError(msg)


def _special(statement: Statement, x: Lanes, others: list[Lanes]) -> Lanes:
    function = statement.function
    if function in ("maximum", "minimum"):
        return _extreme(function, x, others[0])
    if function in FLOAT_FUNCTIONS:
        return x.call("sqrt") if function == "sqrt" else getattr(elementary, function)(x)
    if function == "square":
        return x * x
    if function == "sign":
        return (x > 0).where(x.constant(1), (x < 0).where(x.constant(-1), x))  # keeps 0, -0 and NaN
    return x.astype(statement.dtype) if function == "astype" else x


def _extreme(function: str, x: Lanes, y: Lanes) -> Lanes:
    if is_float(x.dtype):
        return x.call(function, y)  # llvm.maximum and llvm.minimum: NaN if either is
    return ((x > y) if function == "maximum" else (x < y)).where(x, y)
