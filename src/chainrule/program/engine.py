"""Engines: how the steps of an epoch are run. Each is held to the plain one by a test.

An engine is handed the step as functions of arrays, and arrays to start from; it knows no mathematics.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from chainrule.mathematics.arrays import Array, record_like
from chainrule.program.dtypes import numpy_dtype
from chainrule.program.epoch import Epoch

if TYPE_CHECKING:  # imported where a step is traced, so that `import chainrule` stays light
    from chainrule.program.operations import Role
    from chainrule.program.plan import Plan
    from chainrule.program.trace import Spec

KEPT = 64  # programs and plans of each kind, which hold no arrays


class Step(Protocol):
    """The step as functions of arrays: see ``step.TrainingStep``."""

    def whole(self, progress: Any, batch: Any, learning_rate: Array, key: Array | None) -> Any:
        """Return the progress after a step, and the loss before it."""

    def part(self, theta: Array, batch: Any, key: Array | None, rows: int, first_row: int) -> Any:
        """Return the loss and the gradient of some rows of a batch."""

    def finish(self, progress: Any, g: Array, learning_rate: Array) -> Any:
        """Return the progress after the update by a gradient."""

    def __hash__(self) -> int:
        """Return the same number for steps that compute the same: what was compiled for one serves the other."""


@dataclass(frozen=True, eq=False)
class Work:
    """What there is to run.

    ``progress`` and ``data`` are records of arrays (see ``step.py``): the parameters and the
    optimiser's state, given up to the engine; and X, Y and the sample weights, or ``None``.
    """

    step: Step
    progress: Any
    data: Any
    # Of the batches of a whole epoch: the sizes and the number of its steps.
    bounds: Sequence[tuple[int, int]]
    drops: bool = False  # whether a step has a dropout key
    steps: int = 1  # how many there will be, at the most
    threads: int | None = None  # how many to use; None: CHAINRULE_THREADS, else one a core

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The arrays of the data: X, Y and, if given, the weights."""
        return arrays_of(self.data)

    @property
    def carried(self) -> tuple[Array, ...]:
        """The arrays that a step changes: the parameters and the optimiser's state."""
        theta, state = self.progress
        return (theta, *state)

    @property
    def batch_sizes(self) -> set[int]:
        """The sizes of the batches: one, or two if the last batch is smaller."""
        return {stop - start for start, stop in self.bounds}

    @property
    def is_one_batch(self) -> bool:
        """Whether every step takes all the rows, in their order."""
        return len(self.bounds) == 1

    def plan(self, rows: int) -> "Plan":
        """Return the plan of a whole step on batches of this many rows; equal steps have one.

        Its inputs are, in order: the parameters, the optimiser's state, the arrays of the data, the
        learning rate and, where units are dropped, the key. Its last output is the loss.
        """
        from chainrule.program.trace import Spec

        progress, data = progress_spec(self.progress), batch_spec(self.data, rows)
        key = Spec((), np.int32, "key", "key") if self.drops else None
        return plan_step(self.step, progress, data, key)


@lru_cache(maxsize=KEPT)
def plan_step(
    step: Step, progress: Any, batch: Any, key: "Spec | None", *, named: bool = False
) -> "Plan":
    """Return the plan of a whole step on arrays of these shapes; ``named``: with the names of its values."""
    from chainrule.program.planner import plan
    from chainrule.program.trace import Spec, trace

    theta, state = progress
    rate = Spec((), theta.dtype, "learning_rate", "rate")
    program = trace(step.whole, progress, batch, rate, key, named=named)
    carried = 1 + len(state)
    return plan(program, list(zip(program.inputs[:carried], program.outputs[:carried], strict=True)))


def arrays_of(data: Any) -> tuple[Array, ...]:
    """Return the arrays of a record of data: X, Y and, if given, the weights."""
    return tuple(part for part in data if part is not None)


def spec(array: Array, name: str, role: "Role" = "") -> "Spec":
    """Return the shape and the dtype of an array."""
    from chainrule.program.trace import Spec

    return Spec(tuple(array.shape), numpy_dtype(array.dtype), name, role)


def progress_spec(progress: Any) -> Any:
    """Return the record of the progress with a :class:`~chainrule.program.trace.Spec` for each array."""
    theta, state = progress
    states = [spec(part, f"state{number}", "state") for number, part in enumerate(state, start=1)]
    return type(progress)(spec(theta, "theta", "parameter"), record_like(state, states))


def batch_spec(data: Any, rows: int) -> Any:
    """Return the record of the data with a :class:`~chainrule.program.trace.Spec` of this many rows for each array."""
    from chainrule.program.trace import Spec

    roles: tuple[tuple[str, Role], ...] = (("X", "sample"), ("Y", "target"), ("weights", "weight"))
    return type(data)(
        *(
            None if part is None else Spec((rows, part.shape[-1]), numpy_dtype(part.dtype), name, role)
            for part, (name, role) in zip(data, roles, strict=True)
        )
    )


class Engine(Protocol):
    """Runs epochs; ``progress`` has the current parameters and state."""

    progress: Any

    @property
    def at_once(self) -> int:
        """How many epochs it runs at once, before it looks for Ctrl-C again."""

    def at_work(self) -> AbstractContextManager[object]:
        """Return a context to run epochs in; what it sets is set back when it ends, however it ends."""

    def run(self, epoch: Epoch, check: Callable[[], None]) -> list[float] | np.ndarray:
        """Run the steps of ``epoch.bounds``; return the loss of each, before its update.

        They may be a part of an epoch, or several epochs. How steps are divided among calls
        does not change a bit.

        ``check`` is called before each step and may raise: no step is left half done.
        """
