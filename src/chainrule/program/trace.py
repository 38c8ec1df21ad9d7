"""The trace: run the unchanged step once on tracers, and write down what it does."""

from collections.abc import Callable
from typing import Any, NamedTuple

from chainrule.mathematics.arrays import record_like
from chainrule.program.names import naming
from chainrule.program.program import Program
from chainrule.program.tracer import Recorder, Tracer


class Spec(NamedTuple):
    """What is known of an array before there is one."""

    shape: tuple[int, ...]
    dtype: Any
    name: str = ""


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
            tracer = recorder.input(part.shape, part.dtype, part.name)
            inputs.append(tracer.value)
            return tracer
        return _rebuilt(part, enter)

    entered = [enter(argument) for argument in arguments]
    with naming(recorder) as mentions:
        returned = function(*entered)
    outputs = []

    def leave(part: Any) -> Any:
        if isinstance(part, Tracer):
            outputs.append(part.value)
            return part
        return _rebuilt(part, leave)

    leave(returned)
    operations, named = tuple(recorder.operations), tuple(mentions)
    return Program(tuple(inputs), tuple(outputs), operations, named).without_dead_code()


def made_by(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what is known of the arrays that a function makes, in its records: a :class:`Spec` each.

    Examples
    --------
    >>> from chainrule.mathematics.optimizers import momentum
    >>> made_by(momentum().init, Spec((3,), "float32", "theta"))[0].shape
    (3,)
    """
    recorder = Recorder()

    def enter(part: Any) -> Any:
        if isinstance(part, Spec):
            return recorder.input(part.shape, part.dtype, part.name)
        return _rebuilt(part, enter)

    def leave(part: Any) -> Any:
        if isinstance(part, Tracer):
            return Spec(part.shape, part.dtype, part.value.name)
        return _rebuilt(part, leave)

    return leave(function(*map(enter, arguments)))


def _rebuilt(part: Any, change: Callable[[Any], Any]) -> Any:
    return record_like(part, map(change, part)) if isinstance(part, tuple) else part
