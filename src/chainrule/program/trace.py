"""The trace: run the unchanged step once on arrays that compute nothing, and write down what it does.

A :class:`Tracer` satisfies the Array API as far as the step uses it. Every function called on it is
recorded as an operation; what is asked for twice is recorded once; what depends on constants alone is
computed at once. Anything else is an error that names the function.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import EllipsisType, FrameType
from typing import Any, NamedTuple, NoReturn

import array_api_compat.numpy as host
import numpy as np

from chainrule.program.operations import BINARY, COMPARISONS, UNARY, Operand, Operation, Value
from chainrule.program.program import Program


class Spec(NamedTuple):
    """What is known of an array before there is one."""

    shape: tuple[int, ...]
    dtype: Any
    name: str = ""


_HERE = str(Path(__file__).parent)
_MATHEMATICS = str(Path(__file__).parent.parent)


class Recorder:
    """What a trace has written down so far; also the namespace of its tracers.

    The functions below are those of the Array API that the step uses.
    """

    float32 = host.float32
    float64 = host.float64
    int32 = host.int32
    int64 = host.int64
    bool = host.bool

    def __init__(self) -> None:
        self.__name__ = "chainrule.program.trace"  # namespaces are told apart by name
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
        return self.record("matmul", (x1, x2), shape, x1.dtype)

    def matrix_transpose(self, x: "Tracer") -> "Tracer":
        """Record a transpose of the last two axes."""
        *lead, m, n = x.shape
        return self.record("matrix_transpose", (x,), (*lead, n, m), x.dtype)

    def reshape(self, x: "Tracer", shape: Sequence[int]) -> "Tracer":
        """Record a reshape; one length may be -1."""
        shape = np.empty(x.shape, dtype=bool).reshape(shape).shape
        if shape == x.shape:
            return x
        return self.record("reshape", (x,), shape, x.dtype)

    def concat(self, arrays: Sequence["Tracer"], *, axis: int) -> "Tracer":
        """Record a concatenation along the last axis."""
        if axis != -1:
            msg = f"the trace knows concat along the last axis, got axis={axis}"
            raise ValueError(msg)
        *lead, _ = arrays[0].shape
        shape = (*lead, sum(array.shape[-1] for array in arrays))
        return self.record("concat", tuple(arrays), shape, arrays[0].dtype)

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
        return self.constant(np.arange(stop, dtype=dtype))

    # -- recording --------------------------------------------------------------------------------

    def input(self, shape: Sequence[int], dtype: Any, name: str) -> "Tracer":
        """Return a tracer for an array that the program will be given."""
        return Tracer(self, Value(tuple(shape), np.dtype(dtype), name))

    def constant(self, data: np.ndarray, shape: tuple[int, ...] | None = None) -> "Tracer":
        """Return a tracer for a known array; 0-d data of a ``shape`` are that number everywhere."""
        return Tracer(self, Value(data.shape if shape is None else shape, data.dtype, "", data))

    def elementwise(self, function: str, *operands: Any) -> "Tracer":
        """Record a function of one entry each of its operands, broadcast against each other."""
        arrays = [operand for operand in operands if isinstance(operand, Tracer)]
        if function == "multiply" and len(arrays) == 2:
            for one, other in (operands, reversed(operands)):
                if one.is_everywhere(1) and np.broadcast_shapes(one.shape, other.shape) == other.shape:
                    return other  # 1 x is x, to the bit
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
        dtype = np.dtype(bool) if function in COMPARISONS else arrays[0].dtype
        return self.record(function, operands, shape, dtype)

    def record(
        self, function: str, operands: Sequence[Any], shape: Sequence[int], dtype: Any, **settings: Any
    ) -> "Tracer":
        """Return the result of a function: recorded, recalled, or computed where it is constant."""
        values = tuple(_operand(operand) for operand in operands)
        if all(not isinstance(value, Value) or value.is_constant for value in values):
            return self._folded(function, values, tuple(shape), settings)
        key = (function, tuple(map(_identity, values)), tuple(shape), repr(settings))
        if key not in self._known:
            result = Value(tuple(shape), np.dtype(dtype))
            self.operations.append(Operation(function, values, result, settings, _source()))
            self._known[key] = Tracer(self, result)
        return self._known[key]

    def _reduce(
        self, function: str, x: "Tracer", axis: int | tuple[int, ...], keepdims: bool
    ) -> "Tracer":
        axes = (axis,) if isinstance(axis, int) else tuple(axis)
        axes = tuple(a % len(x.shape) - len(x.shape) for a in axes)
        shape = [
            1 if place - len(x.shape) in axes else length
            for place, length in enumerate(x.shape)
            if keepdims or place - len(x.shape) not in axes
        ]
        return self.record(function, (x,), shape, x.dtype, axis=axes, keepdims=keepdims)

    def _filled(self, x: "Tracer", number: int) -> "Tracer":
        return self.constant(np.asarray(number, dtype=x.dtype), x.shape)

    def _folded(
        self, function: str, values: tuple[Operand, ...], shape: tuple[int, ...], settings: dict[str, Any]
    ) -> "Tracer":
        data = [value.data if isinstance(value, Value) else value for value in values]
        everywhere = all(np.ndim(d) == 0 for d in data)  # one number: it stays one
        if everywhere and (function in UNARY or function in BINARY):
            return self.constant(np.asarray(getattr(host, function)(*data)), shape)
        whole = [
            np.broadcast_to(d, value.shape) if isinstance(value, Value) else value
            for d, value in zip(data, values, strict=True)
        ]
        if everywhere and function in {"reshape", "slice", "matrix_transpose"}:
            return self.constant(np.asarray(data[0]), shape)
        if function == "slice":
            return self.constant(whole[0][settings["places"]])
        if function == "reshape":
            return self.constant(whole[0].reshape(shape))
        if function == "astype":
            return self.constant(np.asarray(data[0]).astype(settings["to"]), shape)
        return self.constant(np.asarray(getattr(host, function)(*whole, **settings)))


class Tracer:
    """An array of a trace: it has a shape and a dtype, and no numbers."""

    device = None

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
        shape = np.empty(self.shape, dtype=bool)[places].shape
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
Tracer.__neg__ = lambda self: self._recorder.elementwise("negative", self)  # type: ignore[attr-defined]
Tracer.__abs__ = lambda self: self._recorder.elementwise("abs", self)  # type: ignore[attr-defined]
Tracer.__matmul__ = lambda self, other: self._recorder.matmul(self, other)  # type: ignore[attr-defined]
Tracer.__hash__ = lambda self: id(self)  # type: ignore[method-assign,assignment]
for _function in UNARY | BINARY:
    setattr(Recorder, _function, _named(_function))


def _operand(given: Any) -> Operand:
    if isinstance(given, Tracer):
        return given.value
    if isinstance(given, bool | int | float):
        return given
    msg = f"the step combines a traced array with {type(given).__name__}; make it an argument of the step"
    raise TypeError(msg)


def _identity(value: Operand) -> Any:
    if not isinstance(value, Value):
        return ("number", type(value), value)
    if value.data is not None and value.data.ndim == 0:
        return ("filled", value.data.item(), value.shape, value.dtype)
    return id(value)


def _source() -> str:
    """Return file:line of the nearest caller that is mathematics, not this package's tracing."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    if frame is None:
        return ""
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


@contextmanager
def naming() -> Iterator[None]:
    """Name the traced values by what the mathematics calls them.

    Whenever a function of the package returns, its local variables name the values they hold: ``Z``
    in ``dense_forward``, with the number of the layer whose ``W`` it was given.
    """

    def on_event(frame: FrameType, event: str, returned: object) -> None:
        if event == "return" and _is_mathematics(frame):
            _name_records(returned)
            _name_locals(frame)

    if sys.getprofile() is not None:  # a profiler at work is left alone; names are a convenience
        yield
        return
    sys.setprofile(on_event)
    try:
        yield
    finally:
        sys.setprofile(None)


def _is_mathematics(frame: FrameType) -> bool:
    path = frame.f_code.co_filename
    return path.startswith(_MATHEMATICS) and not path.startswith(_HERE)


def _name_locals(frame: FrameType) -> None:
    number = _layer_number(frame)
    arguments = frame.f_code.co_varnames[: frame.f_code.co_argcount]
    for name, held in frame.f_locals.items():
        if not isinstance(held, Tracer) or held.value.is_constant:
            continue
        # What a layer is handed as its dL_dA was made elsewhere, and is known by that name here.
        handed_down = name == "dL_dA" and "cache" in arguments and held.value.name in {"", name}
        if handed_down or (not held.value.name and name not in arguments):
            held.value.name = f"{name}{number}"


def _name_records(returned: Any) -> None:
    """Name the layers that are returned as a tuple of records: W1, b1, W2, b2, ..."""
    if not isinstance(returned, tuple) or not all(hasattr(part, "_fields") for part in returned):
        return
    for number, record in enumerate(returned, start=1):
        for name in record._fields:
            held = getattr(record, name)
            if isinstance(held, Tracer) and not held.value.name:
                held.value.name = f"{name}{number}"


def _layer_number(frame: FrameType | None) -> str:
    """Return the number of the layer that this call works on: that of a caller's layer or cache."""
    while frame is not None and _is_mathematics(frame):
        for record, part in (("layer", "W"), ("cache", "Z")):
            held = getattr(frame.f_locals.get(record), part, None)
            if isinstance(held, Tracer):
                return held.value.name.removeprefix(part)
        frame = frame.f_back
    return ""


def trace(function: Callable[..., Any], *arguments: Any) -> Program:
    """Return the program of ``function(*arguments)``.

    Parameters
    ----------
    function
        Pure, written against the Array API.
    arguments
        What it takes, with a :class:`Spec` in the place of every array; tuples, records and ``None``
        may be nested.

    Raises
    ------
    AttributeError
        If the function uses one of the standard's functions that is not known here, by its name.
    TypeError
        If it reads a value on the host, or mixes in an array that is no argument.

    Examples
    --------
    >>> from chainrule.arrays import namespace
    >>> def double(x):
    ...     return namespace(x).tanh(x + x)
    >>> print(trace(double, Spec((3, 2), "float32", "x")))
      # result        shape            operation                                        FLOPs
      0 t0            (3, 2)           add(x, x)                                            6
      1 t1            (3, 2)           tanh(t0)                                             6
    """
    recorder = Recorder()
    inputs: list[Value] = []

    def enter(part: Any) -> Any:
        if isinstance(part, Spec):
            tracer = recorder.input(part.shape, part.dtype, part.name)
            inputs.append(tracer.value)
            return tracer
        return _rebuilt(part, enter)

    entered = [enter(argument) for argument in arguments]
    with naming():
        returned = function(*entered)
    outputs: list[Value] = []

    def leave(part: Any) -> Any:
        if isinstance(part, Tracer):
            outputs.append(part.value)
            return part
        return _rebuilt(part, leave)

    leave(returned)
    return Program(tuple(inputs), tuple(outputs), tuple(recorder.operations)).without_dead_code()


def _rebuilt(part: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(part, tuple):
        changed = [change(inner) for inner in part]
        return type(part)(*changed) if hasattr(part, "_fields") else tuple(changed)
    return part
