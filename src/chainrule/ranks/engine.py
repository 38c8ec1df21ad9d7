"""The engine of ranks: each rank computes its rows of a batch, the gradients are summed, and all make the same update."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np

from chainrule.backends import Backend
from chainrule.mathematics.arrays import Array, namespace
from chainrule.program.blocks import BlockedBatch, plan_block
from chainrule.program.engine import KEPT, Epoch, Step, Work, spec, taken
from chainrule.program.kernels import Item, Kernels
from chainrule.program.machine import asked_threads, blas_threads, cores
from chainrule.program.plan import Plan
from chainrule.program.replay import Arrays
from chainrule.program.row_blocks import Cut, cut
from chainrule.program.trace import Spec, trace
from chainrule.ranks.group import Group, Share, total


class Part(NamedTuple):
    """The part of a batch that a rank has: all rows, of which it computes some, or its own rows."""

    rows: int  # number of rows in the whole batch
    size: int  # number of rows that this rank has
    first: int  # index of this rank's first row in the batch
    is_own: bool  # whether no other rank has these rows

    def spans(self, group: Group) -> list[slice]:
        """Return the rows of the batch that the rank computes: see ``Group.spans``."""
        return [slice(self.first, self.first + self.size)] if self.is_own else group.spans(self.rows)


class Stop(Protocol):
    """The signals that end training: see ``training.interrupts``."""

    @property
    def flag(self) -> float:
        """The rank's term in the sum: 0 unless the rank received a signal."""

    def agree(self, flags: float) -> None:
        """Decide by the sum of all ranks' flags."""


class RankEngine:
    """Runs epochs together with the other ranks.

    Parameters
    ----------
    work
        The step and the data. Without a ``share``, the bounds are those of whole batches.
    backend, group
        The backend of the steps, and the group of ranks.
    stop
        The signals that end training; all ranks end after the same step.
    share
        This rank's part of each batch, if every rank has its own rows.
    compiled
        Whether the backend may compile the step.

    Raises
    ------
    UnrecordableError
        If ``compiled`` is true and the step cannot be traced.
    """

    at_once = 1  # epoch

    def __init__(
        self,
        work: Work,
        backend: Backend,
        group: Group,
        stop: Stop,
        share: Share | None = None,
        *,
        compiled: bool,
    ) -> None:
        self.progress, self._drops = work.progress, work.drops
        self._group, self._stop = group, stop
        most, threads = asked_threads(work.threads) or max(1, cores() // group.neighbours), 1
        kernels = backend.kernels(work) if compiled else None
        step = backend.compiled_parts(work.step) if compiled else work.step
        self._batches: dict[Part, PlannedBatch | WrittenBatch] = {}
        for part in set(self._parts(work.bounds, share and share.places)):
            if kernels is None:
                self._batches[part] = WrittenBatch(work, part, step, backend, group)
            else:
                how = _cut(work, group, part, kernels, most)
                self._batches[part] = PlannedBatch(work, part, how, kernels, group)
                threads = max(threads, how.threads)
        # A leaf must not depend on the number of threads; and with our own threads, BLAS uses one thread in each.
        self._blas_threads = 1 if threads > 1 or group.tree else most
        stop.agree(0.0)

    def at_work(self) -> AbstractContextManager[object]:
        """Return a context to run in, in which BLAS uses this rank's share of the processors."""
        return blas_threads(self._blas_threads)

    def run(self, epoch: Epoch, check: Callable[[], None]) -> list[float]:
        """Run an epoch: see ``Engine``."""
        losses = []
        for number, part in enumerate(self._parts(epoch.bounds, epoch.places)):
            check()
            batch = self._batches[part]
            one = epoch.part(number, number + 1)
            buffer = batch.part(self.progress, one)  # (P + 2,): gradient, loss, flag
            buffer[-1] = self._stop.flag
            self._group.sum(buffer)
            self._stop.agree(float(buffer[-1]))
            self.progress = batch.finish(self.progress, buffer, one)
            losses.append(float(buffer[-2]))
        return losses

    def _parts(
        self, bounds: Sequence[tuple[int, int]], places: Sequence[tuple[int, int]] | None
    ) -> list[Part]:
        """Return the part of each batch that this rank has."""
        sizes = [stop - start for start, stop in bounds]
        if places is None:
            return [Part(size, size, 0, is_own=False) for size in sizes]
        # Only dropout depends on the position in the batch: without it, fewer parts differ.
        return [
            Part(rows, size, first * self._drops, is_own=True)
            for size, (rows, first) in zip(sizes, places, strict=True)
        ]


def _cut(work: Work, group: Group, part: Part, kernels: Kernels, most: int) -> Cut:
    """Return how this rank's rows of a batch are cut, into at most ``most`` threads: leaves, or by the rule."""
    spans = part.spans(group)
    if group.tree:
        threads = max(n for n in range(1, most + 1) if len(spans) % n == 0)
        return Cut(threads, len(spans) // threads)
    own = spans[0].stop - spans[0].start
    is_native = kernels.at_once > 1
    return cut(work.plan(own).program, own, most, native=is_native) if own else Cut(1, 1)


class PlannedBatch(BlockedBatch):
    """A rank's rows of a batch in row blocks: native code where llvmlite is installed.

    Each leaf of a tree has a gradient; otherwise the blocks of a thread add to one.
    """

    def __init__(self, work: Work, part: Part, cut: Cut, kernels: Kernels, group: Group) -> None:
        theta, self._group = work.progress[0], group
        self._first, self._own = part.first, part.spans(group)
        self._is_idle = not any(span.stop > span.start for span in self._own)
        self._buffer: np.ndarray = kernels.library.empty((theta.shape[0] + 2,), theta.dtype)  # (P + 2,)
        super().__init__(replace(work, steps=1), part.rows, cut, kernels, None)

    def part(self, _progress: Any, one: Epoch) -> np.ndarray:
        """Return the gradient and the loss of this rank's rows of one batch, with a place for the flag: ``(P + 2,)``."""
        self._rates[:] = one.rates
        if one.keys is not None:
            self._keys[:] = one.keys
        if one.order is not None:
            rows = one.order[slice(*one.bounds[0])]  # (rows,)
            self._orders[0, self._first : self._first + len(rows)] = rows
        if self._is_idle:
            self._buffer[...] = 0
        self.run(1)
        self._buffer[-2] = total(list(self._loss))
        return self._buffer

    def finish(self, progress: Any, _summed: np.ndarray, _one: Epoch) -> Any:
        """Update the progress in place, and return it."""
        self._run_finish(1)
        return progress

    def _spans(self) -> list[slice]:
        return self._own if self._group.tree else self._cut.spans(self._own[0])

    def _new_gradients(self) -> list[np.ndarray]:
        whole, count = self._buffer[:-2], self._cut.threads  # (P,)
        if self._group.tree:
            count *= self._cut.blocks
        if count == 1:
            return [whole]
        gradients = [self._kernels.library.empty(whole.shape, whole.dtype) for _ in range(count)]
        for gradient in gradients:
            gradient[...] = 0  # leaves without rows write none
        return gradients

    def _ready(self, parts: list[list[Item]], finish: list[list[list[Item]]]) -> None:
        self.run = self._runner([parts, *self._total()])
        self._run_finish = self._runner(finish)

    def _total(self) -> list[list[list[Item]]]:
        """Return the sum of the gradients as phases."""
        if len(self._gradients) == 1:
            return []
        specs = tuple(spec(g, f"g{n}") for n, g in enumerate(self._gradients, 1))
        plan = _plan_total(specs, self._kernels)
        outputs = {0: self._buffer[:-2].view(np.uint8)}
        return self._shared(plan, Arrays(plan, self._gradients, self._kernels.library, outputs))

    def _finish(self) -> list[list[list[Item]]]:
        return self._update([self._buffer[:-2]])


@lru_cache(maxsize=KEPT)
def _plan_total(gradients: tuple[Spec, ...], kernels: Kernels) -> Plan:
    return plan_block(trace(total, gradients), kernels)


class WrittenBatch:
    """A rank's rows of a batch, computed by the step as written, or with its two parts compiled by the backend."""

    def __init__(self, work: Work, part: Part, step: Step, backend: Backend, group: Group) -> None:
        self._work, self._part, self._step = work, part, step
        self._backend, self._group = backend, group

    def part(self, progress: Any, one: Epoch) -> Array:
        """Return the gradient and the loss of this rank's rows of one batch, with a place for the flag: ``(P + 2,)``."""
        theta, backend, data = progress.theta, self._backend, one.data or self._work.data
        xp, start = namespace(theta), one.bounds[0][0] - self._part.first
        key = None if one.keys is None else backend.asarray(one.keys[0], "int32")  # ()
        order = one.order  # (n,)
        if order is not None and not backend.streams(data.X):
            order = backend.asarray(order)
        parts = [xp.zeros_like(xp.concat([theta, theta[:2]]))]  # (P + 2,)
        for span in self._part.spans(self._group):
            if span.start < span.stop:
                rows = taken(data, order, start + span.start, start + span.stop).map(backend.near)
                L, g = self._step.part(theta, rows, key, self._part.rows, span.start)  # (), (P,)
                parts.append(xp.concat([g, xp.reshape(L, (1,)), parts[0][:1]]))  # (P + 2,)
            else:
                parts.append(parts[0])
        summed = total(parts[1:])  # (P + 2,)
        return np.array(backend.to_numpy(summed)) if self._group.on_host else summed

    def finish(self, progress: Any, summed: Array, one: Epoch) -> Any:
        """Return the progress after the update."""
        dtype, asarray = progress.theta.dtype, self._backend.asarray
        return self._step.finish(progress, asarray(summed[:-2], dtype), asarray(one.rates[0], dtype))
