"""CuPy for replay: its memory, and its functions with ``out``."""

from functools import cache, partial
from typing import Any

import cupy
import numpy as np

from chainrule.mathematics.arrays import Array, size
from chainrule.program.operations import Operation
from chainrule.program.primitives import PRIMITIVES, REDUCTIONS
from chainrule.program.replay import Call


class CupyLibrary:
    """CuPy for replay: its memory, and its functions with ``out``."""

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array of any content; CuPy's allocator begins at 512 bytes."""
        return cupy.empty(shape, dtype=dtype)

    def reshaped(self, raw: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return the first bytes of ``raw``, 1-d of uint8, as an array of this shape and dtype."""
        return raw[: size(shape) * dtype.itemsize].view(dtype).reshape(shape)

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

    def listed(self, array: Array) -> list[float]:
        """Return the numbers of a 1-d array, on the host."""
        numbers: list[float] = array.tolist()
        return numbers

    def captured(self, calls: list[Call]) -> list[Call]:
        """Return the calls as they are: CuPy refuses cuBLAS while a stream captures."""
        return calls


@cache
def _where() -> Any:
    """Return ``where`` with ``out``, which CuPy's has not."""
    return cupy.ElementwiseKernel("bool c, T yes, T no", "T out", "out = c ? yes : no", "where_into")
