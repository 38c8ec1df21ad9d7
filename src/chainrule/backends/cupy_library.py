"""CuPy for replay: its memory, and its functions with ``out``."""

from functools import cache, partial
from typing import Any

import cupy
import numpy as np

from chainrule.backends.numpy import NumpyLibrary
from chainrule.mathematics.arrays import Array
from chainrule.program.operations import Operation
from chainrule.program.primitives import PRIMITIVES, REDUCTIONS
from chainrule.program.replay import Call


class CupyLibrary(NumpyLibrary):
    """CuPy for replay: its memory, and its functions with ``out``; the rest is as in NumPy, whose methods it has."""

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array of any content; CuPy's allocator begins at 512 bytes."""
        return cupy.empty(shape, dtype=dtype)

    def constant(self, data: np.ndarray) -> Array:
        """Return a known array."""
        return cupy.asarray(data, order="C")

    def shares(self, view: Array, array: Array) -> bool:
        """Return whether what was reshaped looks at the memory of what it was, and is no copy."""
        return bool(cupy.may_share_memory(view, array))

    def call(self, operation: Operation, arguments: list[Any], out: Array) -> Call:
        """Return the call that computes ``operation`` into ``out``."""
        function, settings = operation.function, operation.settings
        if function in {"copy", "astype"}:
            return partial(cupy.copyto, casting="unsafe"), (out, arguments[0])
        if function == "where":
            return _where(), (*arguments, out)
        named = getattr(cupy, PRIMITIVES[function].cupy or function)
        over = {}
        if function in REDUCTIONS:
            over = {"axis": settings["axis"], "keepdims": settings["keepdims"]}
        return partial(named, out=out, **over), tuple(arguments)

    def gather(self, source: Array, rows: Array, out: Array) -> None:
        """Copy rows of ``source`` to ``out``."""
        cupy.take(source, rows, axis=0, out=out)

    def fill(self, target: Array, number: float) -> None:
        """Write a number into a 0-d array."""
        target.fill(number)


@cache
def _where() -> Any:
    """Return ``where`` with ``out``, which CuPy's has not."""
    return cupy.ElementwiseKernel("bool c, T yes, T no", "T out", "out = c ? yes : no", "where_into")
