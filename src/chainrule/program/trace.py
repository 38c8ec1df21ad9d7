"""The trace: run the step once on tracers, which record its operations."""

import traceback
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from chainrule.mathematics.arrays import record_like
from chainrule.program.names import naming
from chainrule.program.operations import Mention, Program, Role
from chainrule.program.tracer import Recorder, Tracer, is_tracing
from chainrule.program.unrecordable import UnrecordableError


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
    recorder = Recorder()
    inputs = []

    def enter(part: Any) -> Any:
        if isinstance(part, Spec):
            tracer = recorder.input(*part)
            inputs.append(tracer.value)
            return tracer
        return _rebuilt(part, enter)

    entered = [enter(argument) for argument in arguments]
    names = naming(recorder) if named else nullcontext(list[Mention]())
    with names as mentions:
        returned = _called(function, *entered)
    outputs = []

    def leave(part: Any) -> Any:
        if isinstance(part, Tracer):
            outputs.append(part.value)
            return part
        return _rebuilt(part, leave)

    leave(returned)
    operations = tuple(recorder.operations)
    return Program(tuple(inputs), tuple(outputs), operations, tuple(mentions)).without_dead_code()


def made_by(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the records that a function returns, with a :class:`Spec` for each of their arrays.

    Examples
    --------
    >>> from chainrule.mathematics.optimizers import momentum
    >>> made_by(momentum().init, Spec((3,), "float32", "theta"))[0].shape
    (3,)
    """
    recorder = Recorder()

    def enter(part: Any) -> Any:
        if isinstance(part, Spec):
            return recorder.input(*part)
        return _rebuilt(part, enter)

    def leave(part: Any) -> Any:
        if isinstance(part, Tracer):
            return Spec(part.shape, part.dtype, part.value.name)
        return _rebuilt(part, leave)

    return leave(_called(function, *map(enter, arguments)))


def _called(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result of a function; any error becomes the reason why it cannot be recorded."""
    try:
        return function(*arguments)
    except MemoryError:
        raise
    except Exception as error:
        places = [f for f in traceback.extract_tb(error.__traceback__) if not is_tracing(f.filename)]
        where = f" ({Path(places[-1].filename).name}:{places[-1].lineno})" if places else ""
        why = str(error).partition("\n")[0]
        why = why if why.startswith("it ") else f"it raises {type(error).__name__}: {why}"
        msg = f"the step cannot be recorded: {why}{where}"
        raise UnrecordableError(msg) from error


def _rebuilt(part: Any, change: Callable[[Any], Any]) -> Any:
    return record_like(part, map(change, part)) if isinstance(part, tuple) else part
