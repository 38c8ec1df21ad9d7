"""The trace: run the step once on tracers, which record its operations, and name its values."""

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from chainrule.mathematics.arrays import record_like
from chainrule.mathematics.naming import require
from chainrule.program.operations import Mention, Program, Role, Value
from chainrule.program.tracer import Recorder, Tracer, calls, is_tracing
from chainrule.program.unrecordable import UnrecordableError

_MATHEMATICS = str(Path(__file__).parents[1] / "mathematics")


class Spec(NamedTuple):
    """Shape, dtype and name of an array that does not exist yet; ``role`` is its role in a training step."""

    shape: tuple[int, ...]
    dtype: Any
    name: str = ""
    role: Role = ""


def trace(function: Callable[..., Any], *arguments: Any, named: bool = False) -> Program:
    """Return the program of ``function(*arguments)``.

    Parameters
    ----------
    function
        Pure, written against the Array API.
    arguments
        Its arguments, with a :class:`Spec` in place of each array; tuples, records and ``None``
        may be nested.
    named
        Whether to collect the names of the values in the mathematics. This takes most of the time, and only
        output for readers needs it.

    Returns
    -------
    Program
        Its operations, without those that no output depends on.

    Raises
    ------
    UnrecordableError
        If the function cannot be recorded: it uses a function that is not a primitive, reads a value on
        the host, uses an array that is not an argument, or raises an error.

    Examples
    --------
    >>> from chainrule.mathematics.arrays import namespace
    >>> def double(x):
    ...     return namespace(x).tanh(x + x)
    >>> print(trace(double, Spec((3, 2), "float32", "x")))
      # result        shape            operation                                        FLOPs
      0 t0            (3, 2)           add(x, x)                                            6
      1 t1            (3, 2)           tanh(t0)                                             6
    """
    recorder, outputs = Recorder(), list[Value]()
    names = naming(recorder) if named else nullcontext(list[Mention]())
    with names as mentions:
        returned = _called(recorder, function, arguments)
    _replaced(returned, Tracer, lambda tracer: outputs.append(tracer.value))  # in their order
    inputs, operations = tuple(recorder.inputs), tuple(recorder.operations)
    return Program(inputs, tuple(outputs), operations, tuple(mentions)).without_dead_code()


def specs_of(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the records that a function returns, with a :class:`Spec` for each of their arrays.

    Parameters
    ----------
    function : function
        Pure, written against the Array API.
    arguments : object
        Its arguments, as in :func:`trace`.

    Returns
    -------
    object
        What the function returns, with a :class:`Spec` of the same shape and dtype in place of each array.

    Examples
    --------
    >>> from chainrule.mathematics.optimizers import momentum
    >>> specs_of(momentum().init, Spec((3,), "float32", "theta"))[0].shape
    (3,)
    """
    returned = _called(Recorder(), function, arguments)
    return _replaced(returned, Tracer, lambda tracer: Spec(tracer.shape, tracer.dtype))


def _called(recorder: Recorder, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Return a function's result for tracers; any error becomes the reason why it cannot be recorded."""
    tracers = _replaced(arguments, Spec, lambda spec: recorder.input(*spec))
    try:
        return function(*tracers)
    except MemoryError:
        raise
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.name != require.__name__]
        places = [frame for frame in frames if not is_tracing(frame.filename)]
        where = f" ({Path(places[-1].filename).name}:{places[-1].lineno})" if places else ""
        why = str(error).partition("\n")[0]
        why = why if why.startswith("it ") else f"it raises {type(error).__name__}: {why}"
        msg = f"the step cannot be recorded: {why}{where}"
        raise UnrecordableError(msg) from error


def _replaced(part: Any, kind: type, new: Callable[[Any], Any]) -> Any:
    """Return nested tuples and records with ``new(x)`` in place of each ``x`` of this kind."""
    if isinstance(part, kind):
        return new(part)
    is_nested = isinstance(part, tuple)
    return record_like(part, (_replaced(x, kind, new) for x in part)) if is_nested else part


@contextmanager
def naming(recorder: Recorder | None = None) -> Iterator[list[Mention]]:
    """Give traced values the names of variables in the mathematics.

    When a function of the mathematics returns, its local variables name their values: ``Z`` in ``dense_forward``,
    with the number of the layer whose ``W`` is an argument. At the end, the list that the context returns
    contains all names of all values, in the order of the computation.

    Parameters
    ----------
    recorder : Recorder, optional
        The recorder of the traced values; without it, nothing may be traced in the context.

    Yields
    ------
    list of Mention
        A list that is empty until the context ends.
    """
    mentions: list[Mention] = []
    if sys.getprofile() is not None:  # do not disturb a profiler; names are only a convenience
        yield mentions
        return
    scribe = _Scribe(recorder)
    sys.setprofile(scribe.on_event)
    try:
        yield mentions
    finally:
        sys.setprofile(None)
    mentions += scribe.in_order()


class _Scribe:
    """Watches calls of the mathematics, and records the values of its variables."""

    def __init__(self, recorder: Recorder | None) -> None:
        self._operations = recorder.operations if recorder else []
        self._made: dict[int, int] = {}  # index of the operation that made a value, by the value's id
        self._starts: list[int] = []  # number of operations before each active call
        self._calls = 0
        self._found: list[tuple[tuple[int, int, int, int], Mention]] = []
        self._by_function: set[int] = set()  # values named after the function that returned them

    def on_event(self, frame: FrameType, event: str, returned: object) -> None:
        """Record a call; at a return, name the values of the variables."""
        if event not in {"call", "return"} or not _is_mathematics(frame):
            return
        if event == "call":
            self._starts.append(len(self._operations))
            return
        start = self._starts.pop() if self._starts else 0
        number = _layer_number(frame)
        _name_records(returned)
        self._name_locals(frame, number)
        # The names of its parts come before the value that a function returns.
        following = start if isinstance(returned, Tracer) else len(self._operations)
        self._mention_locals(frame, number, start, following)
        if isinstance(returned, Tracer):
            self._name_returned(frame, number, returned.value)

    def in_order(self) -> list[Mention]:
        """Return every name of every value once, in the order of the computation."""
        self._found.sort(key=lambda found: found[0])
        mentions: dict[tuple[int, str], Mention] = {}
        for (_, is_made, *_), mention in self._found:
            if is_made and mention.value.name != mention.name:
                continue  # a variable has named it since
            mentions.setdefault((id(mention.value), mention.name), mention)
        return list(mentions.values())

    def _name_locals(self, frame: FrameType, number: str) -> None:
        arguments = frame.f_code.co_varnames[: frame.f_code.co_argcount]
        for name, held in _locals(frame):
            value = held.value
            handed_down = name in arguments and value.name == name
            renamed = bool(number) and id(value) in self._by_function
            if not value.is_constant and (not value.name or handed_down or renamed):
                value.name = f"{name}{number}"
                self._by_function.discard(id(value))

    def _name_returned(self, frame: FrameType, number: str, value: Value) -> None:
        """Name a value without a variable after the function that returned it: ``clipped``, ``dropout_mask1``."""
        name = frame.f_code.co_qualname
        if value.name or value.is_constant or not name.isidentifier() or name.startswith("_"):
            return
        if any(isinstance(held, Tracer) and held.value is value for held in frame.f_locals.values()):
            return  # it was an argument
        value.name = f"{name}{number}"
        self._by_function.add(id(value))
        mention = Mention(value, name, _layer(number), frame.f_code, calls(frame))
        self._found.append(((self._made[id(value)], 1, self._calls, 0), mention))

    def _mention_locals(self, frame: FrameType, number: str, start: int, following: int) -> None:
        """Record the variables of a call; values from elsewhere come before the next ones that are made."""
        for place in range(len(self._made), len(self._operations)):
            self._made[id(self._operations[place].result)] = place
        self._calls += 1
        within = calls(frame)
        for rank, (name, held) in reversed(list(enumerate(_locals(frame)))):
            value, called = held.value, f"{name}{number}"
            made = self._made.get(id(value), -1)
            if value.name == called and made >= 0:
                order = (made, 1, self._calls, 0)
                following = made if made >= start else following
            elif number:
                order = (following, 0, self._calls, rank)
            else:
                continue
            mention = Mention(value, name, _layer(number), frame.f_code, within)
            self._found.append((order, mention))


def _is_mathematics(frame: FrameType) -> bool:
    is_check = frame.f_code is require.__code__  # the tracer's own
    return not is_check and frame.f_code.co_filename.startswith(_MATHEMATICS)


def _locals(frame: FrameType) -> Iterator[tuple[str, Tracer]]:
    """Yield the tracers in a function's local variables, in the order in which they are assigned.

    Arguments are left out, except the dL_dA of a layer, which has that name only there.
    """
    arguments = frame.f_code.co_varnames[: frame.f_code.co_argcount]
    for name, held in frame.f_locals.items():
        handed_down = name == "dL_dA" and "cache" in arguments
        if isinstance(held, Tracer) and (handed_down or name not in arguments):
            yield name, held


def _name_records(returned: Any) -> None:
    """Name the arrays of layers that are returned as a tuple of records: W1, b1, W2, b2, ..."""
    if not isinstance(returned, tuple) or not all(hasattr(part, "_fields") for part in returned):
        return
    for number, record in enumerate(returned, start=1):
        for name in record._fields:
            held = getattr(record, name)
            if isinstance(held, Tracer) and not held.value.name:
                held.value.name = f"{name}{number}"


def _layer(number: str) -> int | None:
    return int(number) if number.isdigit() else None


def _layer_number(frame: FrameType | None) -> str:
    """Return the number of the layer of this call: the number of a caller's ``layer`` or ``cache``."""
    while frame is not None and _is_mathematics(frame):
        for record, part in (("layer", "W"), ("cache", "Z")):
            held = getattr(frame.f_locals.get(record), part, None)
            if isinstance(held, Tracer):
                return held.value.name.removeprefix(part)
        frame = frame.f_back
    return ""
