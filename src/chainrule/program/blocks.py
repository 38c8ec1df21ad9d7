"""Blocks: a step on parts of its batch, in several threads, with the gradients added in a fixed order.

Each thread runs the forward and backward pass over its blocks of rows, one after the other, in the same scratch
memory, and adds up one gradient. When all threads are done, the gradients are added in the order of the
threads. Then the update follows; the threads share a long one.
"""

from collections.abc import Callable, Sequence
from copy import copy
from functools import lru_cache
from typing import Any

import numpy as np

from chainrule.mathematics.arrays import size
from chainrule.program.engine import KEPT, Numbers, Step, Work, batch_spec, progress_spec, spec
from chainrule.program.fusion import over
from chainrule.program.kernels import Item, Kernels
from chainrule.program.operations import Fusion, Program
from chainrule.program.plan import Plan, plan
from chainrule.program.replay import Allocator, Arrays
from chainrule.program.row_blocks import Cut
from chainrule.program.trace import Spec, trace

ORDERED_ROWS = 2**20  # most rows of the steps in one call: their order then takes at most 8 MB
SHARED_UPDATE = 30_000  # parameters; with fewer, one thread is done before two could synchronize


class Arena:
    """Memory that the blocks of a thread use, one after the other."""

    def __init__(self, library: Allocator) -> None:
        self._library = library
        self._raw: list[np.ndarray] = []
        self._used = 0

    def rewind(self) -> None:
        """Give out the same memory again, from the start."""
        self._used = 0

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """Return an uninitialized array: the n-th one since ``rewind`` has the same memory for each block."""
        nbytes = size(shape) * dtype.itemsize
        if self._used == len(self._raw):
            self._raw.append(self._library.empty((nbytes,), np.dtype(np.uint8)))
        if self._raw[self._used].nbytes < nbytes:
            self._raw[self._used] = self._library.empty((nbytes,), np.dtype(np.uint8))
        self._used += 1
        reshaped: np.ndarray = self._library.reshaped(self._raw[self._used - 1], shape, dtype)
        return reshaped


class BlockedBatch:
    """A step on one batch size, cut into blocks.

    Parameters
    ----------
    work
        The steps and their arrays; those of its progress are overwritten.
    rows
        The number of rows of the batch.
    cut
        The numbers of threads and blocks.
    kernels
        The kernels that run the groups of a plan.
    direct
        The plan of a whole step, loss and update in one, for a batch of one block: see ``descending.py``.
    """

    def __init__(self, work: Work, rows: int, cut: Cut, kernels: Kernels, direct: Plan | None) -> None:
        self._work, self._cut, self._kernels, self.rows = work, cut, kernels, rows
        self._direct = direct
        theta, count = work.progress[0], cut.threads
        # The arrays that steps read and write have one row per step.
        self.at_once = max(1, min(kernels.at_once, work.steps, ORDERED_ROWS // rows))
        self._orders = np.zeros((self.at_once, rows), dtype=np.int64)  # indices of rows of the data
        self._rates = np.zeros(self.at_once, dtype=theta.dtype)
        self._keys = np.zeros(self.at_once, dtype=np.int32)
        self._losses = np.zeros((self.at_once, count * cut.blocks), dtype=theta.dtype)  # per block
        # The number of the current step and its dropout key, for each thread.
        self._steps = [np.zeros(1, dtype=np.int64) for _ in range(count)]
        self._rate = np.zeros((), dtype=theta.dtype)  # ()
        self._key = [np.zeros((), dtype=np.int32) for _ in range(count)]  # ()
        self._loss = np.zeros(count * cut.blocks, dtype=theta.dtype)
        self._gradients = self._new_gradients()
        parts, finish = self._threads(), self._finish()
        step = self._steps[0]
        parts[0].insert(0, kernels.take(self._rates, step, self._rate))
        finish[0][0].append(kernels.put(self._loss, self._losses, step))
        self._ready(parts, finish)

    def twin(self, work: Work) -> "BlockedBatch":
        """Return a batch that runs the same step on the arrays of other work with equal shapes.

        It shares scratch memory, so the two must not run at the same time.
        """
        batch = copy(self)
        batch._work = work
        fed = self._orders, self._rates, self._keys, self._losses
        batch._orders, batch._rates, batch._keys, batch._losses = map(np.zeros_like, fed)
        others = batch._orders, batch._rates, batch._keys, batch._losses
        old = *self._work.carried, *self._work.arrays, *fed
        batch.run = self.run.twin(list(zip(old, (*work.carried, *work.arrays, *others), strict=True)))
        return batch

    def _new_gradients(self) -> list[np.ndarray]:
        """Return the arrays to which blocks add their gradients: one for each thread."""
        theta = self._work.progress[0]
        empty = self._kernels.library.empty
        return [empty(theta.shape, theta.dtype) for _ in range(self._cut.threads)]  # (P,) each

    run: Any  # a callable that runs a number of steps: see `_runner`
    _first = 0  # index in the batch of the first row; not 0 if a process has only a part of the batch

    def _ready(self, parts: list[list[Item]], finish: list[list[list[Item]]]) -> None:
        """Prepare to run the items of each thread in the forward and backward pass, then the phases of the update."""
        self.run = self._runner([parts, *finish])

    def _runner(self, phases: list[list[list[Item]]]) -> Callable[[int], None]:
        """Return a callable that runs a number of steps of these phases."""
        if self._cut.threads == 1:  # no other thread to wait for
            phases = [[[item for (items,) in phases for item in items]]]
        return self._kernels.ready(phases, self._steps)

    @property
    def threads(self) -> int:
        """The number of threads of a step."""
        return self._cut.threads

    def feed(self, rates: Numbers, keys: np.ndarray | None, order: np.ndarray | None) -> None:
        """Store the learning rates, keys and rows of the next steps."""
        steps = len(rates)
        self._rates[:steps] = rates
        if keys is not None:
            self._keys[:steps] = keys
        if order is not None:
            self._orders[:steps] = order.reshape(steps, self.rows)

    def losses(self, steps: int) -> np.ndarray:
        """Return the loss before each of the steps that have run."""
        losses: np.ndarray = self._losses[:steps].sum(axis=1, dtype=np.float64)  # (steps,)
        return losses

    def _spans(self) -> list[slice]:
        """Return the rows of each block."""
        return self._cut.spans(slice(0, self.rows))

    def _threads(self) -> list[list[Item]]:
        """Return the items of each thread in the forward and backward pass."""
        spans, parts = self._spans(), []
        for thread in range(self._cut.threads):
            arena, items = Arena(self._kernels.library), list[Item]()
            if self._work.drops:
                items.append(self._kernels.take(self._keys, self._steps[thread], self._key[thread]))
            for turn in range(self._cut.blocks):
                arena.rewind()
                number = thread * self._cut.blocks + turn
                if spans[number].start < spans[number].stop:
                    items += self._block(spans[number], number, arena)
            parts.append(items)
        return parts

    def _block(self, where: slice, number: int, arena: Arena) -> list[Item]:
        work, thread = self._work, number // self._cut.blocks
        # Blocks that add to the same gradient are consecutive.
        gradient, turn = divmod(number, len(self._loss) // len(self._gradients))
        taken, items = [], []
        for source in work.arrays:
            if work.is_one_batch:
                taken.append(source[where.start - self._first : where.stop - self._first])
            else:
                taken.append(arena.empty((where.stop - where.start, source.shape[-1]), source.dtype))
                index = self._orders[:, where]
                items.append(self._kernels.gather(source, index, self._steps[thread], taken[-1]))
        key = (self._key[thread],) if work.drops else ()
        loss = self._loss[number : number + 1].view(np.uint8)
        if self._direct is None:
            planned, inputs = self._part(where), (work.progress[0], *taken, *key)
            outputs = {0: loss, 1: self._gradients[gradient].view(np.uint8)}
        else:
            planned, inputs = self._direct, (*work.carried, *taken, self._rate, *key)
            outputs = {len(planned.program.outputs) - 1: loss}
        arrays = Arrays(planned, inputs, self._kernels.library, outputs, arena.empty)
        for group in planned.groups:
            items += self._kernels.item(group, arrays, slice(None), add=turn > 0)
        return items

    def _part(self, where: slice) -> Plan:
        """Return the plan of a block's loss and gradient: blocks of one size share it, unless their dropout differs."""
        theta = spec(self._work.progress[0], "theta", "parameter")
        key = Spec((), np.int32, "key", "key") if self._work.drops else None
        data, first = batch_spec(self._work.data, where.stop - where.start), where.start if key else 0
        program = trace_block(self._work.step, theta, data, key, self.rows, first)
        return plan_block(program, self._kernels)

    def _finish(self) -> list[list[list[Item]]]:
        """Return the phases of the update, each with the items of each thread."""
        return [[[]]] if self._direct else self._update(self._gradients)

    def _update(self, gradients: Sequence[np.ndarray]) -> list[list[list[Item]]]:
        """Return the update by the sum of these gradients, as phases."""
        progress = self._work.progress
        inputs = (*self._work.carried, *gradients, self._rate)
        parts = tuple(spec(g, f"g{n}") for n, g in enumerate(gradients, 1))
        planned = plan_update(self._work.step, progress_spec(progress), parts, self._kernels)
        return self._shared(planned, Arrays(planned, inputs, self._kernels.library))

    def _shared(self, planned: Plan, arrays: Arrays) -> list[list[list[Item]]]:
        """Return a plan as phases; the threads share the columns of long elementwise operations."""
        count, phases = self._cut.threads, list[list[list[Item]]]()
        for group in planned.groups:
            if count > 1 and _is_long_update(group):
                columns = shares(over(group.operations[0]).columns, count)
                phases.append([self._kernels.item(group, arrays, share, add=False) for share in columns])
                continue
            if not phases or len(phases[-1]) > 1:
                phases.append([[]])  # a phase for this thread only
            phases[-1][0].extend(self._kernels.item(group, arrays, slice(None), add=False))
        return phases


@lru_cache(maxsize=KEPT)
def trace_block(step: Step, theta: Spec, data: Any, key: Spec | None, rows: int, first: int) -> Program:
    """Return the program of a block: its loss and its gradient."""
    return trace(step.part, theta, data, key, rows, first)


@lru_cache(maxsize=KEPT)
def plan_block(program: Program, kernels: Kernels) -> Plan:
    """Return the plan of a block."""
    return plan(program, (), kernels.groups(program))


@lru_cache(maxsize=KEPT)
def plan_update(step: Step, progress: Any, gradients: tuple[Spec, ...], kernels: Kernels) -> Plan:
    """Return the plan of an update by the gradients of the threads."""

    def finish(progress: Any, gradients: tuple[Any, ...], rate: Any) -> Any:
        total = gradients[0]
        for g in gradients[1:]:  # in thread order
            total = total + g
        return step.finish(progress, total, rate)

    rate = Spec((), progress[0].dtype, "learning_rate", "rate")
    program = trace(finish, progress, gradients, rate)
    carried = list(zip(program.inputs, program.outputs, strict=False))[: 1 + len(progress[1])]
    return plan(program, carried, kernels.groups(program))


def _is_long_update(group: Fusion) -> bool:
    """Return whether a group updates many parameters elementwise, so that threads can share it."""
    where = over(group.operations[0])
    itself = all(operation.is_elementwise for operation in group.operations)
    return itself and where.rows == 1 and where.columns >= SHARED_UPDATE


def shares(columns: int, count: int) -> list[slice]:
    """Return ``count`` equal ranges of columns, cut at cache lines; the last ones may be empty.

    Examples
    --------
    >>> shares(100, 2)
    [slice(0, 64, None), slice(64, 100, None)]
    """
    line = 16
    share = -(-columns // (count * line)) * line
    return [slice(start, min(start + share, columns)) for start in range(0, count * share, share)]
