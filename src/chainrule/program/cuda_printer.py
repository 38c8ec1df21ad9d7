"""Spell an elementwise `Chain` in CUDA C, for a CuPy `ElementwiseKernel`.

CuPy broadcasts the operands itself and takes care of strides, so this printer has only the statements to spell. Row statements
and totals are reductions, which an elementwise kernel cannot hold: split the chain there.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from chainrule.program.chains import COMPARISONS, ROW_FUNCTIONS, Argument, Chain, Statement

_TYPES: Final = {
    "bool": "bool", "int32": "int", "uint32": "unsigned int", "int64": "long long", "float32": "float", "float64": "double",
}  # fmt: skip
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


class ElementwiseSource(NamedTuple):
    """The three texts that `cupy.ElementwiseKernel` takes."""

    in_params: str
    out_params: str
    operation: str


def print_cuda(chain: Chain) -> ElementwiseSource:
    """Return the source of an elementwise chain; each output is named `out_` and its value's name."""
    reductions = [s.function for s in chain.statements if s.function in ROW_FUNCTIONS]
    reductions += ["total" for output in chain.outputs if output.total]
    if reductions:
        msg = f"the chain holds {reductions}, and an elementwise kernel reduces nothing; end the chain before them"
        raise ValueError(msg)
    inputs = ", ".join(f"{operand.dtype} {operand.name}" for operand in chain.inputs)
    outputs = ", ".join(f"{chain.dtypes[output.value]} out_{output.value}" for output in chain.outputs)
    lines = [
        f"const {_TYPES[chain.dtypes[s.result]]} {s.result} = {_expression(s, chain)};"
        for s in chain.statements
    ]
    lines += [f"out_{output.value} = {output.value};" for output in chain.outputs]
    return ElementwiseSource(inputs, outputs, "\n".join(lines))


def _expression(statement: Statement, chain: Chain) -> str:
    function = statement.function
    dtype = _argument_dtype(statement, chain)
    x, *rest = [
        _spell(a, "bool" if function == "where" and i == 0 else dtype)
        for i, a in enumerate(statement.arguments)
    ]
    if function in (*_WRAPPING, "negative") and not dtype.startswith("float"):
        return _wrapping(function, dtype, x, rest)
    if function in _INFIX:
        return f"{x} {_INFIX[function]} {rest[0]}"
    simple = {
        "negative": f"-{x}", "positive": x, "square": f"{x} * {x}", "where": f"{x} ? {' : '.join(rest)}",
        "sign": f"{x} > 0 ? 1 : ({x} < 0 ? -1 : {x})",
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
        return f"({_TYPES[dtype]})(0u - ({unsigned}){x})"
    sign = "<<" if function == "bitwise_left_shift" else _INFIX[function]
    return f"({_TYPES[dtype]})(({unsigned}){x} {sign} ({unsigned}){rest[0]})"


def _extreme(function: str, dtype: str, x: str, y: str) -> str:
    """NaN if either is, as the Array API has it; C's fmaxf drops a NaN."""
    sign = ">" if function == "maximum" else "<"
    nan = f" || {x} != {x}" if dtype.startswith("float") else ""
    return f"({x} {sign} {y}{nan}) ? {x} : {y}"


def _call(function: str, dtype: str, x: str) -> str:
    if dtype.startswith("float"):
        name = "fabs" if function == "abs" else function
        return f"{name}{'f' if dtype == 'float32' else ''}({x})"
    return f"{x} < 0 ? -{x} : {x}"  # abs of an integer


def _cast(x: str, source: str, target: str) -> str:
    return f"{x} != 0" if target == "bool" and source != "bool" else f"({_TYPES[target]}){x}"


def _argument_dtype(statement: Statement, chain: Chain) -> str:
    """Return the dtype that a Python number among the arguments takes."""
    names = [a for a in statement.arguments if isinstance(a, str)]
    return chain.dtypes[statement.result] if statement.function == "where" else chain.dtypes[names[-1]]


def _spell(argument: Argument, dtype: str) -> str:
    """Return a name, or a Python number with its type's suffix, so that float32 arithmetic stays float32."""
    if isinstance(argument, str):
        return argument
    if not dtype.startswith("float"):
        return str(int(argument)) if dtype != "int64" else f"{int(argument)}LL"
    if not math.isfinite(argument):
        return "NAN" if math.isnan(argument) else f"({'-' if argument < 0 else ''}INFINITY)"
    literal = f"{float(argument)!r}{'f' if dtype == 'float32' else ''}"
    return literal if argument >= 0 else f"({literal})"
