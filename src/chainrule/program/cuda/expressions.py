"""Expressions: each statement of a chain as CUDA C.

16-bit floats are computed in float32: they are rounded where they are stored, and where ``astype`` asks for it.
"""

from __future__ import annotations

import math
from typing import Final

from chainrule.program.chains import COMPARISONS, HALVES, Argument, Chain, Statement

REGISTERS: Final = {
    "bool": "bool", "int32": "int", "uint32": "unsigned int", "int64": "long long", "float32": "float", "float64": "double",
    "float16": "float", "bfloat16": "float",
}  # fmt: skip
STORED: Final = {**REGISTERS, "float16": "float16", "bfloat16": "bfloat16"}
_INFIX: Final = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^",
    "bitwise_right_shift": ">>", **COMPARISONS,
}  # fmt: skip
_WRAPPING: Final = (
    "add",
    "subtract",
    "multiply",
    "bitwise_left_shift",
)  # signed overflow is undefined in C: go unsigned


def assignment(statement: Statement, chain: Chain) -> str:
    """Return a statement as CUDA C: what it computes, under its own name.

    Examples
    --------
    >>> from chainrule.program.chains import Operand, Output
    >>> half = Statement("multiply", "h", ("x", -0.5))
    >>> assignment(half, Chain((Operand("x", "full", "float32"),), (half,), (Output("h"),)))
    'const float h = x * (-0.5f);'
    """
    kind = REGISTERS[chain.dtypes[statement.result]]
    return f"const {kind} {statement.result} = {_expression(statement, chain)};"


def _expression(statement: Statement, chain: Chain) -> str:
    function = statement.function
    dtype = _argument_dtype(statement, chain)
    x, *rest = [
        _spell(a, "bool" if function == "where" and i == 0 else dtype)
        for i, a in enumerate(statement.arguments)
    ]
    if function in (*_WRAPPING, "negative") and "float" not in dtype:
        return _wrapping(function, dtype, x, rest)
    if function in _INFIX:
        return f"{x} {_INFIX[function]} {rest[0]}"
    simple = {
        "negative": f"-{x}", "positive": x, "square": f"{x} * {x}", "where": f"{x} ? {' : '.join(rest)}",
        "sign": f"{x} > 0 ? 1 : {x if dtype == 'uint32' else f'({x} < 0 ? -1 : {x})'}",
    }  # fmt: skip
    if function in simple:
        return simple[function]
    if function == "astype":
        return _cast(x, dtype, statement.dtype)
    if function in ("maximum", "minimum"):
        return _extreme(function, dtype, x, rest[0])
    return _call(function, dtype, x)


def _wrapping(function: str, dtype: str, x: str, rest: list[str]) -> str:
    unsigned = "unsigned long long" if dtype == "int64" else "unsigned int"
    if function == "negative":
        return f"({REGISTERS[dtype]})(0u - ({unsigned}){x})"
    sign = "<<" if function == "bitwise_left_shift" else _INFIX[function]
    return f"({REGISTERS[dtype]})(({unsigned}){x} {sign} ({unsigned}){rest[0]})"


def _extreme(function: str, dtype: str, x: str, y: str) -> str:
    """NaN if either is, as the Array API has it; C's fmaxf drops a NaN."""
    sign = ">" if function == "maximum" else "<"
    nan = f" || {x} != {x}" if "float" in dtype else ""
    return f"({x} {sign} {y}{nan}) ? {x} : {y}"


def _call(function: str, dtype: str, x: str) -> str:
    if "float" in dtype:
        name = "fabs" if function == "abs" else function
        return f"{name}{'' if dtype == 'float64' else 'f'}({x})"
    return x if dtype == "uint32" else f"{x} < 0 ? -{x} : {x}"  # abs of an integer


def _cast(x: str, source: str, target: str) -> str:
    if target in HALVES:
        return x if source == target else f"to_float(rounded<{target}>((float){x}))"
    return f"{x} != 0" if target == "bool" and source != "bool" else f"({REGISTERS[target]}){x}"


def _argument_dtype(statement: Statement, chain: Chain) -> str:
    """Return the dtype that a Python number among the arguments takes."""
    names = [a for a in statement.arguments if isinstance(a, str)]
    return chain.dtypes[statement.result] if statement.function == "where" else chain.dtypes[names[-1]]


def _spell(argument: Argument, dtype: str) -> str:
    """Return a name, or a Python number with its type's suffix, so that float32 arithmetic stays float32."""
    if isinstance(argument, str):
        return argument
    if "float" not in dtype:
        return str(int(argument)) if dtype != "int64" else f"{int(argument)}LL"
    if not math.isfinite(argument):
        return "NAN" if math.isnan(argument) else f"({'-' if argument < 0 else ''}INFINITY)"
    literal = f"{float(argument)!r}{'' if dtype == 'float64' else 'f'}"
    return literal if argument >= 0 else f"({literal})"
