"""Engines: how the steps of an epoch are run. Tests compare each engine with the plain one.

An engine gets the step as functions of arrays, and arrays to start from; it contains no mathematics.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from chainrule.mathematics.arrays import Array, namespace, record_like
from chainrule.program.dtypes import numpy_dtype

if TYPE_CHECKING:  # imported when a step is traced, so that `import chainrule` stays light
    from chainrule.program.operations import Role
    from chainrule.program.plan import Plan
    from chainrule.program.trace import Spec

Numbers = Sequence[float] | np.ndarray
LAUNCH_SECONDS = 0.004  # work between two checks for Ctrl-C
KEPT = 64  # cached programs and plans of each kind; they hold no arrays


class Epoch(NamedTuple):
    """The steps that an engine runs in one call: an epoch, or a part of one. The arrays are on the host.

    A step takes the rows ``order[start:stop]`` of its bounds. The batch sizes are those of the engine's work.
    """

    order: np.ndarray | None  # (n,) int64, the order of the rows; None: all of them, as they are
    bounds: Sequence[tuple[int, int]]  # the start and stop of each step
    rates: Numbers  # (steps,), the learning rates
    keys: np.ndarray | None  # (steps,) int32, the dropout keys; None: no dropout
    data: Any = None  # whose rows the order selects; None: the work's data, always so if engines read a host buffer
    # If ranks have their own rows: for each step, the size of the whole batch, and the index of this rank's first row.
    places: Sequence[tuple[int, int]] | None = None
    draw: Callable[[], np.ndarray] | None = None  # draws the order, the same one in every call

    def part(self, first: int, stop: int) -> "Epoch":
        """Return the steps from ``first`` up to, but not including, ``stop``."""
        keys = None if self.keys is None else self.keys[first:stop]  # (stop - first,)
        places = None if self.places is None else self.places[first:stop]
        bounds, rates = self.bounds[first:stop], self.rates[first:stop]
        return self._replace(bounds=bounds, rates=rates, keys=keys, places=places)

    def drawn(self) -> "Epoch":
        """Return the epoch with its order. Drawing takes longer than the rest of the plan, so a pack may do it in threads."""
        return self if self.draw is None else self._replace(order=self.draw(), draw=None)


def bounds(n: int, batch_size: int | None) -> list[tuple[int, int]]:
    """Return the ``(start, stop)`` of each batch of an epoch; the last batch may be smaller.

    Examples
    --------
    >>> bounds(5, 2)
    [(0, 2), (2, 4), (4, 5)]
    >>> bounds(5, None)
    [(0, 5)]
    """
    size = n if batch_size is None else min(batch_size, n)
    return [(start, min(start + size, n)) for start in range(0, n, size)]


class Step(Protocol):
    """The step as functions of arrays: see ``step.TrainingStep``."""

    def whole(self, progress: Any, batch: Any, learning_rate: Array, key: Array | None) -> Any:
        """Return the progress after a step, and the loss before it."""

    def part(self, theta: Array, batch: Any, key: Array | None, rows: int, first_row: int) -> Any:
        """Return the loss and the gradient of some rows of a batch."""

    def finish(self, progress: Any, g: Array, learning_rate: Array) -> Any:
        """Return the progress after the update by a gradient."""

    def __hash__(self) -> int:
        """Return the same number for equal steps, so that they share compiled code."""


@dataclass(frozen=True, eq=False)
class Work:
    """The steps that an engine runs, and their arrays.

    ``progress`` and ``data`` are records of arrays (see ``step.py``): the parameters and the
    optimizer's state, which the engine may overwrite; and X, Y and the sample weights, or ``None``.
    """

    step: Step
    progress: Any
    data: Any
    bounds: Sequence[tuple[int, int]]  # the start and stop of each batch of a whole epoch
    drops: bool = False  # whether a step has a dropout key
    steps: int = 1  # the largest number of steps of the run
    threads: int | None = None  # None: CHAINRULE_THREADS, else one per core

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The arrays of the data: X, Y and, if given, the weights."""
        return arrays_of(self.data)

    @property
    def carried(self) -> tuple[Array, ...]:
        """The arrays that a step changes: the parameters and the optimizer's state."""
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

    def plan(self, rows: int, *, named: bool = False) -> "Plan":
        """Return the plan of a whole step on batches of this many rows; equal steps share it.

        Its inputs are, in order: the parameters, the optimizer's state, the arrays of the data, the
        learning rate and, with dropout, the key. Its last output is the loss.
        """
        from chainrule.program.trace import Spec

        progress, data = progress_spec(self.progress), batch_spec(self.data, rows)
        key = Spec((), np.int32, "key", "key") if self.drops else None
        return plan_step(self.step, progress, data, key, named=named)


@lru_cache(maxsize=KEPT)
def plan_step(step: Step, progress: Any, batch: Any, key: "Spec | None", *, named: bool) -> "Plan":
    """Return the plan of a whole step on arrays of these shapes; ``named``: with the names of its values."""
    from chainrule.program.plan import plan
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

    def of_rows(part: Any, name: str, role: "Role") -> "Spec | None":
        return None if part is None else spec(part, name, role)._replace(shape=(rows, part.shape[-1]))

    X, Y, weights = data
    parts = of_rows(X, "X", "sample"), of_rows(Y, "Y", "target"), of_rows(weights, "weights", "weight")
    return type(data)(*parts)


class Engine(Protocol):
    """Runs epochs; ``progress`` has the current parameters and the optimizer's state."""

    progress: Any

    @property
    def at_once(self) -> int:
        """The number of epochs that the engine runs in one call, before it checks for Ctrl-C again."""
        return 1

    def at_work(self) -> AbstractContextManager[object]:
        """Return a context to run epochs in; it restores the settings that it changes."""
        return nullcontext()

    def run(self, epoch: Epoch, check: Callable[[], None]) -> Numbers:
        """Run the steps of ``epoch.bounds``; return the loss of each, before its update.

        They may be a part of an epoch, or several epochs. The results do not depend on how steps are
        divided among calls.

        ``check`` is called between steps and may raise an error: no step is left half done.
        """


class Plain(Engine):
    """The plain engine: calls ``step.whole`` once for each batch. It is the reference for all other engines.

    Parameters
    ----------
    work
        The steps and their arrays.
    backend
        Its methods ``asarray`` and ``to_numpy`` bring arrays to its device and back.
    compiled
        A function to call in place of ``step.whole``.
    """

    def __init__(self, work: Work, backend: Any, compiled: Callable[..., Any] | None = None) -> None:
        self.progress, self._work, self._step = work.progress, work, compiled or work.step.whole
        self._backend = backend

    def run(self, epoch: Epoch, check: Callable[[], None]) -> list[float]:
        """Run an epoch: see ``Engine``."""
        dtype, asarray = self.progress[0].dtype, self._backend.asarray
        order = None if epoch.order is None else asarray(epoch.order)  # (n,)
        data, losses = epoch.data or self._work.data, []
        for number, bounds in enumerate(epoch.bounds):
            check()
            rate = asarray(epoch.rates[number], dtype)  # ()
            key = None if epoch.keys is None else asarray(epoch.keys[number], "int32")  # ()
            batch = data if order is None and self._work.is_one_batch else taken(data, order, *bounds)
            self.progress, L = self._step(self.progress, batch, rate, key)
            losses.append(L)
        # sync: the losses, once an epoch
        stacked: list[float] = self._backend.to_numpy(namespace(*losses).stack(losses)).tolist()
        return stacked


def taken(data: Any, order: Array | None, start: int, stop: int) -> Any:
    """Return the rows ``order[start:stop]`` of the data, or ``start`` to ``stop`` without an order."""

    def rows(part: Array) -> Array:
        if order is None:
            return part[start:stop, :]
        return namespace(part).take(part, order[start:stop], axis=-2)

    return type(data)(*(None if part is None else rows(part) for part in data))


class Pack:
    """The engines of several runs, which run one after the other; subclasses run them together.

    Parameters
    ----------
    engines
        One for each run.
    threads
        The number of threads. Each has a part of the engines, and all may call :meth:`run` at the same time.
    """

    def __init__(self, engines: Sequence[Engine], threads: int = 1) -> None:
        self.engines, self.parts = engines, parts(len(engines), threads)

    def at_work(self) -> AbstractContextManager[object]:
        """Return a context to run epochs in. The first engine's is enough, since all change the same settings."""
        return self.engines[0].at_work()

    def run(self, epochs: Mapping[Engine, Epoch], check: Callable[[], None]) -> Mapping[Any, Numbers]:
        """Run an epoch of each of these engines; return the losses of its steps: see ``Engine.run``."""
        losses = dict[Engine, Numbers]()
        for engine, epoch in epochs.items():
            # such as a CUDA stream of its own
            with engine.at_work() if len(self.engines) > 1 else nullcontext():
                losses[engine] = engine.run(epoch.drawn(), check)
        return losses


def parts(count: int, threads: int) -> list[range]:
    """Return the indices of ``count`` engines for each of at most ``threads`` threads.

    Examples
    --------
    >>> parts(5, 2)
    [range(0, 5, 2), range(1, 5, 2)]
    """
    return [range(first, count, threads) for first in range(min(count, threads))]
