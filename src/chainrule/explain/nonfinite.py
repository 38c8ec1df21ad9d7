"""Nonfinite: NaN and infinity, and the operation that made the first one."""

from collections.abc import Callable, Iterator

import numpy as np

from chainrule.explain.lines import parameters
from chainrule.explain.records import Flag
from chainrule.program.operations import Operation, Program, Value
from chainrule.program.watch import Evaluated

Host = Callable[[Value], np.ndarray]
_KIND = "NaN or infinity"
_FILL = "fill or drop such rows first"
_REMEDIES = {"X": _FILL, "y": _FILL, "weights": "give every sample a finite weight"}
_BROKEN = "the weights are broken: load or draw them again, train at a lower rate"
_OVERFLOW = "scale X, start from smaller weights or take a lower learning rate, or change that line"


def flags(program: Program, run: Evaluated, to_numpy: Callable[..., np.ndarray]) -> Iterator[Flag]:
    """Yield a flag for each input that is not finite; if all are, for the operation that made the first NaN."""

    def host(value: Value) -> np.ndarray:
        return to_numpy(run.of(value))

    broken = [value for value in program.inputs if not _is_finite(host(value))]
    for value in broken:
        parts = parameters(program) if value.name == "theta" else {value.name: value}
        for name, part in parts.items():
            if not _is_finite(host(part)):
                yield _of_input("y" if name == "Y" else name, host(part))
    makers = {id(operation.result): operation for operation in program.operations}
    for value in () if broken else reversed(program.outputs):
        if not _is_finite(host(value)):
            yield _of_operation(_origin(value, makers, host), program, host)
            return


def _of_input(name: str, array: np.ndarray) -> Flag:
    array = array.reshape(len(array) if array.ndim else 1, -1)
    bad = ~np.isfinite(array)
    row, column = map(int, np.argwhere(bad)[0])
    what = f"{_word(array[row, column])} in row {row}, column {column} (from 0)"
    if bad.sum() > 1:
        rows = int(bad.any(axis=1).sum())
        what += f"; {bad.sum()} entries in {rows} row{'s' * (rows > 1)} are not finite"
    return Flag(_KIND, name, what, _REMEDIES.get(name, _BROKEN))


def _of_operation(operation: Operation, program: Program, host: Host) -> Flag:
    operands = [
        f"{program.name(value)} is {host(value).min():.4g} to {host(value).max():.4g}"
        for value in operation.inputs
        if not value.is_constant
    ]
    call = f"{operation.function}({', '.join(map(program.name, operation.operands))})"
    result = host(operation.result)
    first = _word(result[~np.isfinite(result)][0])
    what = f"{first} first appears in {call}, where {', '.join(operands)}"
    return Flag(_KIND, operation.source, what, _OVERFLOW)


def _origin(value: Value, makers: dict[int, Operation], host: Host) -> Operation:
    """Return the operation that made the first entry that is not finite, among those this value depends on."""
    operation = makers[id(value)]
    for operand in operation.inputs:
        if id(operand) in makers and not _is_finite(host(operand)):
            return _origin(operand, makers, host)
    return operation


def _is_finite(array: np.ndarray) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _word(number: float) -> str:
    return "NaN" if np.isnan(number) else "infinity"
