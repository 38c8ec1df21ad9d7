"""Constants: what of a program depends on no input, computed at once, on the host."""

from typing import Any

import numpy as np

from chainrule.program.operations import Operand, Value
from chainrule.program.primitives import ELEMENTWISE, VIEWS


def computed(function: str, operands: tuple[Operand, ...], settings: dict[str, Any]) -> np.ndarray:
    """Return what a function makes of constants; one number everywhere stays one number, 0-d.

    Examples
    --------
    >>> ones = Value((3, 1), np.dtype("float32"), "", np.asarray(1, dtype="float32"))
    >>> computed("multiply", (ones, 0.5), {})
    array(0.5, dtype=float32)
    """
    data: list[Any] = [part.data if isinstance(part, Value) else part for part in operands]
    if all(np.ndim(part) == 0 for part in data) and function in VIEWS:
        return np.asarray(data[0])
    if not all(np.ndim(part) == 0 for part in data) or function not in ELEMENTWISE:
        data = [
            np.broadcast_to(part, operand.shape) if isinstance(operand, Value) else part
            for part, operand in zip(data, operands, strict=True)
        ]
    if function == "slice":
        return np.asarray(data[0][settings["places"]])
    if function == "reshape":
        return np.asarray(data[0].reshape(settings["to_shape"]))
    if function == "astype":
        return np.asarray(data[0]).astype(settings["to"])
    if function == "concat":
        return np.concatenate(data, axis=-1)
    return np.asarray(getattr(np, function)(*data, **settings))
