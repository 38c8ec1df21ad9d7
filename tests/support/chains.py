"""Chains evaluated by NumPy, one statement at a time, to compare generated code with."""

import numpy as np


def evaluated(chain, arrays, where):
    """Return the outputs of a chain over the grid ``where`` of rows and columns."""
    known = {operand.name: array for operand, array in zip(chain.inputs, arrays, strict=True)}
    for operand, array in zip(chain.inputs, arrays, strict=True):
        assert array.dtype.name == operand.dtype, operand
    with np.errstate(all="ignore"):
        for statement in chain.statements:
            known[statement.result] = _value(statement, known)
            assert known[statement.result].dtype.name == chain.dtypes[statement.result], statement
    return [_output(known[output.value], output, chain, where) for output in chain.outputs]


def _value(statement, known):
    function, _, arguments, dtype = statement
    given = [known[a] if isinstance(a, str) else a for a in arguments]
    if function == "row_max":
        return np.max(given[0], axis=-1, keepdims=True)
    if function == "row_sum":
        return np.sum(given[0], axis=-1, keepdims=True)
    if function in {"astype", "copy"}:
        return given[0].astype(dtype or given[0].dtype)
    value = np.asarray(getattr(np, function)(*given))
    return value.astype(dtype) if dtype else value  # of two numbers, NumPy makes float64


def _output(value, output, chain, where):
    if output.total:
        return np.sum(value)
    shapes = {"full": where, "column": (where.rows, 1), "row": (1, where.columns), "scalar": ()}
    return np.broadcast_to(value, shapes[chain.kinds[output.value]]).copy()
