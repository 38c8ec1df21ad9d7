"""Tracing: the step as a program, with the names of its values and its parts."""

import sys
from types import CodeType
from typing import NamedTuple

from chainrule.mathematics.arrays import Array
from chainrule.mathematics.losses import Loss
from chainrule.mathematics.parameters import Layout
from chainrule.mathematics.step import Batch, Progress, TrainingStep, data_gradient, finish, forward
from chainrule.program.engine import batch_spec, progress_spec, spec
from chainrule.program.operations import Value
from chainrule.program.program import Program
from chainrule.program.trace import trace

# Which part of the step an operation belongs to, by an active function; the first match counts.
_SECTIONS = (
    (finish, "update"),
    (Layout.join, "update"),
    (Layout.split, "inputs"),
    (forward, "forward"),
    (Loss.value, "loss"),
    (data_gradient, "backward"),
)


class Start(NamedTuple):
    """The state that a step starts from: arrays on the device of the network."""

    progress: Progress
    batch: Batch
    learning_rate: Array  # ()
    key: Array | None  # (), int32: of the dropout

    @property
    def arrays(self) -> list[Array]:
        """All arrays, in the order in which a program takes them."""
        theta, state = self.progress
        parts = (theta, *state, *self.batch, self.learning_rate, self.key)
        return [part for part in parts if part is not None]


def traced(step: TrainingStep, start: Start) -> Program:
    """Return the program of the step.

    Raises
    ------
    RuntimeError
        If a profiler is active: the names are read through the same hook.
    """
    if sys.getprofile() is not None:
        msg = "a profiler is active, and the names are read through the same hook; explain without it"
        raise RuntimeError(msg)
    rows = start.batch.X.shape[-2]
    rate = spec(start.learning_rate, "learning_rate", "rate")
    key = None if start.key is None else spec(start.key, "key", "key")
    return trace(
        step.whole, progress_spec(start.progress), batch_spec(start.batch, rows), rate, key, named=True
    )


def names(program: Program) -> dict[int, str]:
    """Return the name of each value; a prime marks the second value of a name.

    A value carried from step to step has the same name before and after: ``m <- 0.9 m + 0.1 g``.
    """
    called: dict[int, str] = {}
    taken: dict[str, int] = {}
    for value in (*program.inputs, *(operation.result for operation in program.operations)):
        if value.name:
            count = taken.setdefault(value.name, -1) + 1
            taken[value.name] = count
            called[id(value)] = value.name + "'" * count
    states = len(program.outputs) - 2
    for old, new in zip(program.inputs[1 : 1 + states], program.outputs[1:-1], strict=True):
        if id(new) in called and not _is_read_late(old, new, program):
            called[id(old)] = called[id(new)]
    return called


def _is_read_late(old: Value, new: Value, program: Program) -> bool:
    """Return whether the old value is read after the new one is computed."""
    places = {id(operation.result): place for place, operation in enumerate(program.operations)}
    late = program.operations[places.get(id(new), 0) + 1 :]
    return any(old is operand for operation in late for operand in operation.operands)


def section(within: tuple[CodeType, ...]) -> str:
    """Return the part of the step that an operation belongs to, by the functions active there."""
    sections = (part for function, part in _SECTIONS if function.__code__ in within)
    return next(sections, "update")


def parameters(program: Program) -> dict[str, Value]:
    """Return the weights and biases by name, as they are split from the flat parameters."""
    split = Layout.split.__code__
    return {o.result.name: o.result for o in program.operations if split in o.within and o.result.name}
