"""Tracers: arrays without entries, and the recorder of their operations.

A :class:`Tracer` supports the functions of the Array API that are primitives. Each call is recorded as an operation.
Equal calls are recorded once, and calls on constants alone are computed immediately. Other functions raise an
error that names them.
"""

import math
import sys
from collections.abc import Callable, Sequence
from functools import partialmethod
from pathlib import Path
from types import CodeType, EllipsisType, FrameType
from typing import Any, NoReturn

import numpy as np

from chainrule.mathematics.arrays import size
from chainrule.mathematics.naming import require
from chainrule.program.dtypes import numpy_dtype
from chainrule.program.operations import Operand, Operation, Role, Value
from chainrule.program.primitives import PRIMITIVES, Primitive

_HERE = str(Path(__file__).parent)
LARGEST_POWER = 8  # every factor adds one rounding


class Recorder:
    """The operations recorded so far; also the namespace of the tracers.

    It has a method for each elementwise primitive, and those below.
    """

    pi, e, inf, nan = math.pi, math.e, math.inf, math.nan

    def __init__(self) -> None:
        self.__name__ = __name__  # namespaces are distinguished by name
        self.bool, self.int32, self.int64 = np.bool_, np.int32, np.int64
        self.float32, self.float64 = np.float32, np.float64
        self.inputs: list[Value] = []
        self.operations: list[Operation] = []
        self._known: dict[Any, Tracer] = {}

    def __getattr__(self, function: str) -> NoReturn:
        msg = f"it uses xp.{function}, which is not among the primitives"
        raise AttributeError(msg)

    # -- functions of the standard ----------------------------------------------------------------

    def matmul(self, x1: "Tracer", x2: "Tracer") -> "Tracer":
        """Record a matrix product."""
        (*lead1, m, k), (*lead2, k2, n) = x1.shape, x2.shape
        require(k == k2, f"matmul of {x1.shape} and {x2.shape}: the inner sizes {k} and {k2} differ")
        shape = (*np.broadcast_shapes(tuple(lead1), tuple(lead2)), m, n)
        return self.record("matmul", (x1, x2), shape, _common_dtype("matmul", (x1, x2)))

    def matrix_transpose(self, x: "Tracer") -> "Tracer":
        """Record a transpose of the last two axes."""
        *lead, m, n = x.shape
        return self.record("matrix_transpose", (x,), (*lead, n, m), x.dtype)

    def reshape(self, x: "Tracer", shape: Sequence[int]) -> "Tracer":
        """Record a reshape; one length may be -1."""
        fixed = size([length for length in shape if length >= 0])
        new_shape = tuple(size(x.shape) // fixed if length < 0 else length for length in shape)
        if new_shape == x.shape:
            return x
        return self.record("reshape", (x,), new_shape, x.dtype, to_shape=new_shape)

    def concat(self, arrays: Sequence["Tracer"], *, axis: int) -> "Tracer":
        """Record a concatenation along the last axis."""
        problem = f"it uses xp.concat with axis={axis}; only the last axis, -1, can be recorded"
        require(axis == -1, problem)
        *lead, _ = arrays[0].shape
        shape = (*lead, sum(array.shape[-1] for array in arrays))
        return self.record("concat", tuple(arrays), shape, _common_dtype("concat", arrays))

    def astype(self, x: "Tracer", dtype: Any) -> "Tracer":
        """Record a conversion."""
        if x.dtype == numpy_dtype(dtype):
            return x
        return self.record("astype", (x,), x.shape, numpy_dtype(dtype), to=numpy_dtype(dtype))

    def clip(self, x: "Tracer", min: float | None = None, max: float | None = None) -> "Tracer":
        """Record a clip to two numbers; a missing bound is infinite."""
        bounds = (-math.inf if min is None else min, math.inf if max is None else max)
        problem = "it clips to arrays; only bounds that are Python numbers can be recorded"
        require(not any(isinstance(bound, Tracer) for bound in bounds), problem, TypeError)
        return self.elementwise("clip", x, *bounds)

    def pow(self, x1: Any, x2: Any) -> "Tracer":
        """Record a power with a small whole number as exponent."""
        is_whole = isinstance(x2, int | float) and x2 in range(LARGEST_POWER + 1)
        problem = f"it takes a power that is not a whole number from 0 to {LARGEST_POWER}"
        require(is_whole, problem, TypeError)
        if x2 < 2:
            return x1 if x2 else self.ones_like(x1)
        return self.elementwise("pow", x1, int(x2))

    def full_like(self, x: "Tracer", fill_value: float) -> "Tracer":
        """Return a constant."""
        return self.constant(np.asarray(fill_value, dtype=x.dtype), x.shape)

    zeros_like = partialmethod(full_like, fill_value=0)
    ones_like = partialmethod(full_like, fill_value=1)

    def asarray(self, obj: Any, *, dtype: Any = None, device: None = None) -> "Tracer":
        """Return a constant: a Python number with a dtype."""
        del device  # tracers have no device
        is_number = isinstance(obj, bool | int | float) and dtype is not None
        problem = "it makes an array of more than a Python number with a dtype; make it an argument of the step"
        require(is_number, problem, TypeError)
        return self.constant(np.asarray(obj, dtype=dtype), ())

    def arange(self, stop: int, *, dtype: Any) -> "Tracer":
        """Return a constant."""
        return self.constant(np.arange(stop, dtype=dtype), (stop,))

    # -- recording --------------------------------------------------------------------------------

    def input(self, shape: Sequence[int], dtype: Any, name: str, role: Role) -> "Tracer":
        """Return a tracer for an argument of the program."""
        self.inputs.append(Value(tuple(shape), numpy_dtype(dtype), name, role=role))
        return Tracer(self, self.inputs[-1])

    def constant(self, data: np.ndarray, shape: tuple[int, ...]) -> "Tracer":
        """Return a tracer for a constant; with 0-d data, all its entries are that number."""
        return Tracer(self, Value(shape, data.dtype, "", data))

    def elementwise(self, function: str, *operands: Any) -> "Tracer":
        """Record an elementwise function of operands that are broadcast against each other."""
        row = PRIMITIVES[function]
        problem = f"it calls xp.{function} with {len(operands)} arguments; it takes {row.arity}"
        require(len(operands) == row.arity, problem, TypeError)
        arrays = [operand for operand in operands if isinstance(operand, Tracer)]
        if function == "multiply" and len(arrays) == 2:
            for one, other in (operands, reversed(operands)):
                is_one = one.value.number == 1
                if is_one and np.broadcast_shapes(one.shape, other.shape) == other.shape:
                    unchanged: Tracer = other  # 1 x is x, to the bit
                    return unchanged
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
        dtype = _dtype_of(row, operands)
        return self.record(function, operands, shape, np.dtype(row.gives or dtype))

    def record(
        self, function: str, operands: Sequence[Any], shape: Sequence[int], dtype: Any, **settings: Any
    ) -> "Tracer":
        """Return the result of a function: recorded, found among earlier ones, or computed if it is constant."""
        values = tuple(_operand(operand) for operand in operands)
        operation = Operation(function, values, Value(tuple(shape), numpy_dtype(dtype)), settings)
        if all(value.is_constant for value in operation.inputs):
            return self.constant(_folded(operation), tuple(shape))
        key = (function, tuple(map(_identity, values)), tuple(shape), repr(settings))
        if key not in self._known:
            caller = _caller()
            operation.origin = f"{caller.f_code.co_filename}:{caller.f_lineno}" if caller else ""
            operation.within = calls(caller)
            self.operations.append(operation)
            self._known[key] = Tracer(self, operation.result)
        return self._known[key]

    def reduction(self, function: str, x: "Tracer", *, axis: Any = None, keepdims: bool = False) -> Any:
        """Record a reduction over one axis (an int), some axes, or all of them."""
        every = range(x.ndim) if axis is None else axis
        axes = (every,) if isinstance(every, int) else tuple(every)
        axes = tuple(a % x.ndim - x.ndim for a in axes)  # counted from the last one, which is -1
        kept = [1 if a - x.ndim in axes else length for a, length in enumerate(x.shape)]
        shape = [length for a, length in enumerate(kept) if keepdims or a - x.ndim not in axes]
        return self.record(function, (x,), shape, x.dtype, axis=axes, keepdims=keepdims)


class Tracer:
    """An array of a trace: it has a shape and a dtype, but no entries."""

    device = None

    def __init__(self, recorder: Recorder, value: Value) -> None:
        self._recorder, self.value = recorder, value
        self.shape, self.ndim, self.dtype = value.shape, len(value.shape), value.dtype

    def applied(self, function: str, *others: Any) -> "Tracer":
        """Return a function of this array and others."""
        return self._recorder.elementwise(function, self, *others)

    def reflected(self, function: str, other: Any) -> "Tracer":
        """Return a function of another operand and this array, in that order."""
        return self._recorder.elementwise(function, other, self)

    def __pos__(self) -> "Tracer":
        return self

    def __pow__(self, other: Any) -> "Tracer":
        # NumPy computes x**2 with np.square, unlike np.power(x, 2), and the bits must be the same as NumPy's.
        is_square = isinstance(other, int | float) and other == 2
        return self.applied("square") if is_square else self._recorder.pow(self, other)

    def __rpow__(self, other: Any) -> "Tracer":
        return self._recorder.pow(other, self)

    def __matmul__(self, other: "Tracer") -> "Tracer":
        return self._recorder.matmul(self, other)

    def __array_namespace__(self, *, api_version: str | None = None) -> Recorder:
        return self._recorder

    def __getitem__(self, key: Any) -> "Tracer":
        places = key if isinstance(key, tuple) else (key,)
        are_slices = all(isinstance(place, slice | EllipsisType) for place in places)
        problem = "it indexes an array with something other than slices; only slices can be recorded"
        require(are_slices, problem, TypeError)
        shape = np.broadcast_to(np.False_, self.shape)[places].shape
        if shape == self.shape:
            return self
        return self._recorder.record("slice", (self,), shape, self.dtype, places=places)

    def _no_value(self, *_: Any, **__: Any) -> NoReturn:
        msg = "it reads a value on the host (float(), bool(), if, np.asarray()); keep it an array"
        raise TypeError(msg)

    __bool__ = __float__ = __int__ = __index__ = __complex__ = __iter__ = __array__ = _no_value

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **_: Any) -> NoReturn:
        for other in inputs:
            _operand(other)  # a NumPy operand is the more likely reason
        msg = f"it calls np.{ufunc.__name__}; use xp.{ufunc.__name__} of xp = namespace(...)"
        raise TypeError(msg)

    def __array_function__(self, function: Callable[..., Any], *_: Any) -> NoReturn:
        msg = f"it calls np.{function.__name__}; use a function of xp = namespace(...)"
        raise TypeError(msg)


for _row in PRIMITIVES.values():
    _method = {"elementwise": Recorder.elementwise, "reduction": Recorder.reduction}.get(_row.kind)
    if _method and _row.name != "copy" and not hasattr(Recorder, _row.name):
        setattr(Recorder, _row.name, partialmethod(_method, _row.name))
    _symbol = _row.operator.__name__.strip("_") if _row.operator else ""
    if _symbol and f"__{_symbol}__" not in vars(Tracer):
        setattr(Tracer, f"__{_symbol}__", partialmethod(Tracer.applied, _row.name))
        if hasattr(int, f"__r{_symbol}__"):
            setattr(Tracer, f"__r{_symbol}__", partialmethod(Tracer.reflected, _row.name))


def _operand(operand: Any) -> Operand:
    if isinstance(operand, Tracer):
        return operand.value
    problem = f"it combines an array with {type(operand).__name__}; make that an argument of the step"
    require(isinstance(operand, bool | int | float), problem, TypeError)
    number: float = operand
    return number


def _folded(operation: Operation) -> np.ndarray:
    """Return the result of an operation on constants; if all entries are equal, it stays 0-d."""
    data: list[Any] = [part.data if isinstance(part, Value) else part for part in operation.operands]
    are_numbers = all(np.ndim(part) == 0 for part in data)
    if are_numbers and operation.is_view:
        return np.asarray(data[0])
    if not are_numbers or not operation.is_elementwise:
        data = [
            np.broadcast_to(part, operand.shape) if isinstance(operand, Value) else part
            for part, operand in zip(data, operation.operands, strict=True)
        ]
    if operation.function == "astype":
        return np.asarray(data[0]).astype(operation.settings["to"])
    return np.asarray(operation.computed(data, np))


def _dtype_of(row: Primitive, operands: Sequence[Any]) -> np.dtype[Any]:
    """Return the common dtype of a function's operands, and refuse operands that it would convert."""
    if row.name == "where":
        condition, *operands = operands
        problem = "it calls xp.where with a condition that is not a bool array; compare first"
        require(getattr(condition, "dtype", None) == np.bool_, problem, TypeError)
    arrays = [operand for operand in operands if isinstance(operand, Tracer)]
    problem = f"it calls xp.{row.name} of Python numbers alone; make one of them an array"
    require(arrays, problem, TypeError)
    dtype = _common_dtype(row.name, arrays)
    widest = {"b": bool, "i": bool | int, "u": bool | int}.get(dtype.kind, bool | int | float)
    fits = all(isinstance(o, Tracer) or isinstance(_operand(o), widest) for o in operands)
    if not fits or not row.accepts(dtype.name):
        kinds = ", ".join(getattr(o, "dtype", np.dtype(type(o))).name for o in operands)
        msg = f"it calls xp.{row.name} of {kinds}, which would convert them; use xp.astype first"
        raise TypeError(msg)
    return dtype


def _common_dtype(function: str, arrays: Sequence[Tracer]) -> np.dtype[Any]:
    first, *others = [array.dtype for array in arrays]
    for other in others:
        problem = f"it calls xp.{function} of {first} and {other}, which would convert them; use xp.astype first"
        require(other == first, problem, TypeError)
    return first


def _identity(value: Operand) -> Any:
    if not isinstance(value, Value):
        return ("number", repr(value))  # by its repr, since 0.0 == -0.0
    if value.number is not None:
        return ("filled", repr(value.number), value.shape, value.dtype)
    return id(value)


def is_tracing(path: str) -> bool:
    """Return whether a file belongs to the tracing, not to the traced mathematics."""
    return path.startswith(_HERE)


def _caller() -> FrameType | None:
    """Return the nearest caller outside of the tracing."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_tracing(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def calls(frame: FrameType | None) -> tuple[CodeType, ...]:
    """Return the code of the active functions, from the traced one down to this one."""
    codes = []
    while frame is not None and not is_tracing(frame.f_code.co_filename):
        codes.append(frame.f_code)
        frame = frame.f_back
    return tuple(reversed(codes))
