"""Tracers: arrays that compute nothing, and the recorder that writes down what is asked of them.

A :class:`Tracer` satisfies the Array API as far as the step uses it. Every function called on it is
recorded as an operation; what is asked for twice is recorded once; what depends on constants alone is
computed at once. Anything else is an error that names the function.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import EllipsisType, FrameType
from typing import Any, NoReturn

import numpy as np

from chainrule.mathematics.arrays import size
from chainrule.program.constants import computed
from chainrule.program.operations import BINARY, COMPARISONS, UNARY, Operand, Operation, Value

_HERE = str(Path(__file__).parent)


class Recorder:
    """What a trace has written down so far; also the namespace of its tracers.

    The functions below are those of the Array API that the step uses.
    """

    def __init__(self) -> None:
        self.__name__ = __name__  # namespaces are told apart by name
        self.float32, self.float64 = np.float32, np.float64
        self.int32, self.int64 = np.int32, np.int64
        self.operations: list[Operation] = []
        self._known: dict[Any, Tracer] = {}

    def __getattr__(self, function: str) -> NoReturn:
        msg = f"the trace does not know xp.{function}; add it to program/, or train with compile=False"
        raise AttributeError(msg)

    # -- functions of the standard ----------------------------------------------------------------

    def matmul(self, x1: "Tracer", x2: "Tracer") -> "Tracer":
        """Record a matrix product."""
        (*lead1, m, k), (*lead2, k2, n) = x1.shape, x2.shape
        if k != k2:
            msg = f"matmul of {x1.shape} and {x2.shape}: the inner sizes {k} and {k2} differ"
            raise ValueError(msg)
        shape = (*np.broadcast_shapes(tuple(lead1), tuple(lead2)), m, n)
        return self.record("matmul", (x1, x2), shape, _common_dtype("matmul", (x1, x2)))

    def matrix_transpose(self, x: "Tracer") -> "Tracer":
        """Record a transpose of the last two axes."""
        *lead, m, n = x.shape
        return self.record("matrix_transpose", (x,), (*lead, n, m), x.dtype)

    def reshape(self, x: "Tracer", shape: Sequence[int]) -> "Tracer":
        """Record a reshape; one length may be -1."""
        known = size([length for length in shape if length >= 0])
        made = tuple(size(x.shape) // known if length < 0 else length for length in shape)
        if made == x.shape:
            return x
        return self.record("reshape", (x,), made, x.dtype, to_shape=made)

    def concat(self, arrays: Sequence["Tracer"], *, axis: int) -> "Tracer":
        """Record a concatenation along the last axis."""
        if axis != -1:
            msg = f"the trace knows concat along the last axis, got axis={axis}"
            raise ValueError(msg)
        *lead, _ = arrays[0].shape
        shape = (*lead, sum(array.shape[-1] for array in arrays))
        return self.record("concat", tuple(arrays), shape, _common_dtype("concat", arrays))

    def astype(self, x: "Tracer", dtype: Any) -> "Tracer":
        """Record a conversion."""
        if x.dtype == np.dtype(dtype):
            return x
        return self.record("astype", (x,), x.shape, np.dtype(dtype), to=np.dtype(dtype))

    def sum(self, x: "Tracer", *, axis: int | tuple[int, ...], keepdims: bool = False) -> "Tracer":
        """Record a sum."""
        return self._reduce("sum", x, axis, keepdims)

    def max(self, x: "Tracer", *, axis: int | tuple[int, ...], keepdims: bool = False) -> "Tracer":
        """Record a maximum."""
        return self._reduce("max", x, axis, keepdims)

    def zeros_like(self, x: "Tracer") -> "Tracer":
        """Return a constant."""
        return self._filled(x, 0)

    def ones_like(self, x: "Tracer") -> "Tracer":
        """Return a constant."""
        return self._filled(x, 1)

    def arange(self, stop: int, *, dtype: Any, device: None) -> "Tracer":
        """Return a constant."""
        del device  # a tracer lives nowhere
        return self.constant(np.arange(stop, dtype=dtype), (stop,))

    # -- recording --------------------------------------------------------------------------------

    def input(self, shape: Sequence[int], dtype: Any, name: str) -> "Tracer":
        """Return a tracer for an array that the program will be given."""
        return Tracer(self, Value(tuple(shape), np.dtype(dtype), name))

    def constant(self, data: np.ndarray, shape: tuple[int, ...]) -> "Tracer":
        """Return a tracer for a known array; 0-d data are that number everywhere."""
        return Tracer(self, Value(shape, data.dtype, "", data))

    def elementwise(self, function: str, *operands: Any) -> "Tracer":
        """Record a function of one entry each of its operands, broadcast against each other."""
        arrays = [operand for operand in operands if isinstance(operand, Tracer)]
        if function == "multiply" and len(arrays) == 2:
            for one, other in (operands, reversed(operands)):
                if one.is_everywhere(1) and np.broadcast_shapes(one.shape, other.shape) == other.shape:
                    unchanged: Tracer = other  # 1 x is x, to the bit
                    return unchanged
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
        dtype = _common_dtype(function, arrays)
        dtype = np.dtype(np.bool_) if function in COMPARISONS else dtype
        return self.record(function, operands, shape, dtype)

    def record(
        self, function: str, operands: Sequence[Any], shape: Sequence[int], dtype: Any, **settings: Any
    ) -> "Tracer":
        """Return the result of a function: recorded, recalled, or computed where it is constant."""
        values = tuple(_operand(operand) for operand in operands)
        if all(not isinstance(value, Value) or value.is_constant for value in values):
            return self.constant(computed(function, values, settings), tuple(shape))
        key = (function, tuple(map(_identity, values)), tuple(shape), repr(settings))
        if key not in self._known:
            result = Value(tuple(shape), np.dtype(dtype))
            caller = _caller()
            origin = f"{caller.f_code.co_filename}:{caller.f_lineno}" if caller else ""
            made = Operation(function, values, result, settings, origin, calls(caller))
            self.operations.append(made)
            self._known[key] = Tracer(self, result)
        return self._known[key]

    def _reduce(
        self, function: str, x: "Tracer", axis: int | tuple[int, ...], keepdims: bool
    ) -> "Tracer":
        axes = (axis,) if isinstance(axis, int) else tuple(axis)
        axes = tuple(a % len(x.shape) - len(x.shape) for a in axes)
        kept = [1 if a - len(x.shape) in axes else length for a, length in enumerate(x.shape)]
        shape = [length for a, length in enumerate(kept) if keepdims or a - len(kept) not in axes]
        return self.record(function, (x,), shape, x.dtype, axis=axes, keepdims=keepdims)

    def _filled(self, x: "Tracer", number: int) -> "Tracer":
        return self.constant(np.asarray(number, dtype=x.dtype), x.shape)


class Tracer:
    """An array of a trace: it has a shape and a dtype, and no numbers."""

    device = None
    __array_ufunc__ = None  # NumPy is not to take it for an object of its own: see _operand

    def __init__(self, recorder: Recorder, value: Value) -> None:
        self._recorder = recorder
        self.value = value

    @property
    def shape(self) -> tuple[int, ...]:
        """As of any array."""
        return self.value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """As of any array."""
        return self.value.dtype

    @property
    def ndim(self) -> int:
        """As of any array."""
        return len(self.value.shape)

    def __neg__(self) -> "Tracer":
        return self._recorder.elementwise("negative", self)

    def __abs__(self) -> "Tracer":
        return self._recorder.elementwise("abs", self)

    def __matmul__(self, other: "Tracer") -> "Tracer":
        return self._recorder.matmul(self, other)

    def __hash__(self) -> int:  # __eq__ compares entries
        return id(self)

    def is_everywhere(self, number: float) -> bool:
        """Return whether this is a constant, the same ``number`` everywhere."""
        data = self.value.data
        return data is not None and data.ndim == 0 and data.item() == number

    def __array_namespace__(self, *, api_version: str | None = None) -> Recorder:
        return self._recorder

    def __getitem__(self, key: Any) -> "Tracer":
        places = key if isinstance(key, tuple) else (key,)
        if not all(isinstance(place, slice | EllipsisType) for place in places):
            msg = f"the trace knows slices, got [{key}]; use xp.take outside the step"
            raise TypeError(msg)
        shape = np.broadcast_to(np.False_, self.shape)[places].shape
        if shape == self.shape:
            return self
        return self._recorder.record("slice", (self,), shape, self.dtype, places=places)

    def _no_value(self, *_: Any) -> NoReturn:
        msg = "the step reads a value on the host (float(), bool(), if); it must not: keep it an array"
        raise TypeError(msg)

    __bool__ = __float__ = __int__ = __index__ = __complex__ = __iter__ = _no_value


def _binary(function: str) -> Callable[[Tracer, Any], Tracer]:
    def operator(self: Tracer, other: Any) -> Tracer:
        return self._recorder.elementwise(function, self, other)

    return operator


def _reflected(function: str) -> Callable[[Tracer, Any], Tracer]:
    def operator(self: Tracer, other: Any) -> Tracer:
        return self._recorder.elementwise(function, other, self)

    return operator


def _named(function: str) -> Callable[..., Tracer]:
    def call(self: Recorder, *operands: Any) -> Tracer:
        return self.elementwise(function, *operands)

    return call


_OPERATORS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "and": "bitwise_and",
    "xor": "bitwise_xor",
    "lshift": "bitwise_left_shift",
    "rshift": "bitwise_right_shift",
}
for _symbol, _function in _OPERATORS.items():
    setattr(Tracer, f"__{_symbol}__", _binary(_function))
    setattr(Tracer, f"__r{_symbol}__", _reflected(_function))
for _symbol, _function in {
    "eq": "equal",
    "gt": "greater",
    "ge": "greater_equal",
    "lt": "less",
    "le": "less_equal",
}.items():
    setattr(Tracer, f"__{_symbol}__", _binary(_function))
for _function in UNARY | BINARY:
    setattr(Recorder, _function, _named(_function))


def _operand(given: Any) -> Operand:
    if isinstance(given, Tracer):
        return given.value
    if isinstance(given, bool | int | float):
        return given
    msg = (
        f"the step combines a traced array with {type(given).__name__}; make it an argument of the step"
    )
    raise TypeError(msg)


def _common_dtype(function: str, arrays: Sequence[Tracer]) -> np.dtype[Any]:
    first, *others = [array.dtype for array in arrays]
    for other in others:
        if other != first:
            msg = f"{function} of {first} and {other}: a step converts nothing by itself; use xp.astype"
            raise TypeError(msg)
    return first


def _identity(value: Operand) -> Any:
    if not isinstance(value, Value):
        return ("number", repr(value))  # its repr, for 0.0 == -0.0
    if value.data is not None and value.data.ndim == 0:
        return ("filled", repr(value.data.item()), value.shape, value.dtype)
    return id(value)


def _caller() -> FrameType | None:
    """Return the nearest caller that is mathematics, not this package's tracing."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return frame


def calls(frame: FrameType | None) -> tuple[str, ...]:
    """Return the names of the functions at work, from the one that is traced down to this one."""
    names = []
    while frame is not None and not frame.f_code.co_filename.startswith(_HERE):
        names.append(frame.f_code.co_qualname)
        frame = frame.f_back
    return tuple(reversed(names))
