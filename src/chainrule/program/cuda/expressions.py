"""Expressions: each statement of a chain as CUDA C.

16-bit floats are computed in float32 and rounded when they are stored, and by ``astype``.
"""

import math
from typing import Final

from chainrule.program.chains import HALVES, Argument, Chain, Statement
from chainrule.program.primitives import PRIMITIVES

REGISTERS: Final = {
    "bool": "bool", "int32": "int", "uint32": "unsigned int", "int64": "long long", "float32": "float", "float64": "double",
    "float16": "float", "bfloat16": "float",
}  # fmt: skip
BYTES: Final = {
    "bool": 1, "int32": 4, "uint32": 4, "int64": 8, "float32": 4, "float64": 8, "float16": 2, "bfloat16": 2,
}  # fmt: skip
STORED: Final = {**REGISTERS, "float16": "float16", "bfloat16": "bfloat16"}
# Signed overflow is undefined in C, so these are computed unsigned.
_WRAPPING: Final = {"add", "subtract", "multiply", "negative", "square", "bitwise_left_shift"}


def assignment(statement: Statement, chain: Chain) -> str:
    """Return a statement as CUDA C, which assigns the result to its name.

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
    if function == "dot":
        return "dot({}_row, {}_column)".format(*statement.arguments)
    dtype = [chain.dtypes[a] for a in statement.arguments if isinstance(a, str)][-1]
    dtype = chain.dtypes[statement.result] if function == "where" else dtype
    arguments = [_spell(argument, dtype) for argument in statement.arguments]
    if function == "astype":
        return _cast(arguments[0], dtype, statement.dtype)
    text, suffix = PRIMITIVES[function].cuda, "" if dtype == "float64" else "f"
    if function in _WRAPPING and "float" not in dtype:
        unsigned = "unsigned long long" if dtype == "int64" else "unsigned int"
        arguments = [f"({unsigned}){argument}" for argument in arguments]
        text = f"({REGISTERS[dtype]})({text})"
    return text.format(*arguments, f=suffix)


def _cast(x: str, source: str, target: str) -> str:
    if target in HALVES:
        return x if source == target else f"to_float(rounded<{target}>((float){x}))"
    return f"{x} != 0" if target == "bool" and source != "bool" else f"({REGISTERS[target]}){x}"


def _spell(argument: Argument, dtype: str) -> str:
    """Return a name, or a Python number with the suffix of its type, so that float32 arithmetic stays float32."""
    if isinstance(argument, str):
        return argument
    if "float" not in dtype:
        suffix = {"int64": "LL", "uint32": "u"}.get(dtype, "")
        return f"{int(argument)}{suffix}"
    if not math.isfinite(argument):
        name = "NAN" if math.isnan(argument) else "INFINITY"
        return f"({'-' if argument < 0 else ''}({REGISTERS[dtype]}){name})"
    literal = f"{float(argument)!r}{'' if dtype == 'float64' else 'f'}"
    return literal if argument >= 0 else f"({literal})"
