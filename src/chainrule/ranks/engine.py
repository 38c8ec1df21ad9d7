"""The engine of ranks: of each batch every rank takes its rows; one sum of what they found; the same update on all."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from chainrule.backends import Backend
from chainrule.mathematics.arrays import Array, namespace
from chainrule.program.blocks import BlockedBatch, plan_block
from chainrule.program.engine import KEPT, Step, Work, spec
from chainrule.program.epoch import Epoch
from chainrule.program.kernels import Item, Kernels
from chainrule.program.machine import asked_threads, blas_threads, cores
from chainrule.program.plan import Plan
from chainrule.program.replay import Arrays
from chainrule.program.row_blocks import Cut, cut
from chainrule.program.trace import Spec, trace
from chainrule.ranks.group import Group, total


class Stop(Protocol):
    """The signals that end training: see ``training.interrupts``."""

    @property
    def flag(self) -> float:
        """What this rank adds to the sum: 0 unless it received a signal."""

    def agree(self, flags: float) -> None:
        """Take the sum of the flags of all ranks as the answer."""


class RankBatch(Protocol):
    """A step on one batch size, in its two parts."""

    def part(self, progress: Any, order: np.ndarray | None, rate: float, key: Any) -> Array:
        """Return ``(P + 2,)``: the gradient and the loss of this rank's rows, and room for a flag."""

    def finish(self, progress: Any, summed: Array) -> Any:
        """Return the progress after the update by the sum of all ranks."""


class RankEngine:
    """Runs epochs together with the other ranks.

    Parameters
    ----------
    work
        What to run: all the rows of each batch.
    backend, group
        Where, and with whom.
    stop
        What tells this rank to end training: all do so after the same step.
    compiled
        Whether the backend may compile the step.

    Raises
    ------
    UnrecordableError
        If it is to be compiled and cannot be traced.
    """

    at_once = 1  # epoch

    def __init__(
        self, work: Work, backend: Backend, group: Group, stop: Stop, *, compiled: bool
    ) -> None:
        self.progress = work.progress
        self._group, self._stop = group, stop
        most, threads = asked_threads(work.threads) or max(1, cores() // group.neighbours), 1
        kernels = backend.kernels(work) if compiled else None
        step = backend.compiled_parts(work.step) if compiled else work.step
        self._batches: dict[int, RankBatch] = {}
        for rows in work.batch_sizes:
            if kernels is None:
                self._batches[rows] = WrittenBatch(work, rows, step, backend, group)
            else:
                how = _cut(work, group, rows, kernels, most)
                self._batches[rows] = PlannedBatch(work, rows, how, kernels, group)
                threads = max(threads, how.threads)
        # A leaf must not depend on the number of threads; and where threads are ours, BLAS keeps to one in each.
        self._blas_threads = 1 if threads > 1 or group.tree else most
        stop.agree(0.0)

    def at_work(self) -> AbstractContextManager[object]:
        """Return a context to run in, in which BLAS uses this rank's share of the processors."""
        return blas_threads(self._blas_threads)

    def run(self, epoch: Epoch, check: Callable[[], None]) -> list[float]:
        """Run an epoch: see ``Engine``."""
        losses = []
        for number, (start, stop) in enumerate(epoch.bounds):
            check()
            batch = self._batches[stop - start]
            order = None if epoch.order is None else epoch.order[start:stop]  # (rows,)
            key = None if epoch.keys is None else epoch.keys[number]
            buffer = batch.part(self.progress, order, epoch.rates[number], key)  # (P + 2,)
            buffer[-1] = self._stop.flag
            self._group.sum(buffer)
            self._stop.agree(float(buffer[-1]))
            self.progress = batch.finish(self.progress, buffer)
            losses.append(float(buffer[-2]))
        return losses


def _cut(work: Work, group: Group, rows: int, kernels: Kernels, most: int) -> Cut:
    """Return how this rank's rows of a batch are cut, into at most so many threads: leaves, or by the rule."""
    spans = group.spans(rows)
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

    def __init__(self, work: Work, rows: int, cut: Cut, kernels: Kernels, group: Group) -> None:
        theta, self._group = work.progress[0], group
        self._is_idle = not any(span.stop > span.start for span in group.spans(rows))
        self._buffer: np.ndarray = kernels.library.empty((theta.shape[0] + 2,), theta.dtype)  # (P + 2,)
        super().__init__(replace(work, steps=1), rows, cut, kernels)

    def part(self, progress: Any, order: np.ndarray | None, rate: float, key: Any) -> np.ndarray:  # noqa: ARG002
        """Return the gradient and the loss of this rank's rows."""
        self._rates[0] = rate
        if key is not None:
            self._keys[0] = key
        if order is not None:
            self._orders[0] = order
        if self._is_idle:
            self._buffer[...] = 0
        self._run(1)
        self._buffer[-2] = total(list(self._loss))
        return self._buffer

    def finish(self, progress: Any, summed: np.ndarray) -> Any:  # noqa: ARG002
        """Write the update over the progress."""
        self._run_finish(1)
        return progress

    def _spans(self) -> list[slice]:
        spans = self._group.spans(self._rows)
        return spans if self._group.tree else self._cut.spans(spans[0])

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
        self._run = self._runner([parts, *self._total()])
        self._run_finish = self._runner(finish)

    def _total(self) -> list[list[list[Item]]]:
        """Return the sum of the gradients as phases."""
        if len(self._gradients) == 1:
            return []
        specs = tuple(spec(g, f"g{n}") for n, g in enumerate(self._gradients, 1))
        made = _plan_total(specs, self._kernels)
        outputs = {0: self._buffer[:-2].view(np.uint8)}
        return self._shared(made, Arrays(made, self._gradients, self._kernels.library, outputs))

    def _finish(self) -> list[list[list[Item]]]:
        return self._update(self._work.progress, [self._buffer[:-2]])


@lru_cache(maxsize=KEPT)
def _plan_total(gradients: tuple[Spec, ...], kernels: Kernels) -> Plan:
    return plan_block(trace(total, gradients), kernels)


class WrittenBatch:
    """A rank's rows of a batch by the step as it is written, or as its backend compiles the two parts of it."""

    def __init__(self, work: Work, rows: int, step: Step, backend: Backend, group: Group) -> None:
        self._work, self._rows, self._step, self._backend = work, rows, step, backend
        self._group, self._rate = group, 0.0

    def part(self, progress: Any, order: np.ndarray | None, rate: float, key: Any) -> Array:
        """Return the gradient and the loss of this rank's rows."""
        xp, asarray, theta = namespace(progress.theta), self._backend.asarray, progress.theta
        key = None if key is None else asarray(key, "int32")  # ()
        self._rate = rate
        parts = []
        for span in self._group.spans(self._rows):
            if span.start == span.stop:
                parts.append(xp.zeros_like(xp.concat([theta, theta[:2]])))  # (P + 2,)
                continue
            rows = self._taken(order, span)
            L, g = self._step.part(theta, rows, key, self._rows, span.start)  # (), (P,)
            flag = xp.zeros_like(g[:1])  # (1,)
            parts.append(xp.concat([g, xp.reshape(L, (1,)), flag]))  # (P + 2,)
        summed = total(parts)  # (P + 2,)
        return np.array(self._backend.to_numpy(summed)) if self._group.on_host else summed

    def finish(self, progress: Any, summed: Array) -> Any:
        """Return the progress after the update."""
        dtype, asarray = progress.theta.dtype, self._backend.asarray
        return self._step.finish(progress, asarray(summed[:-2], dtype), asarray(self._rate, dtype))

    def _taken(self, order: np.ndarray | None, span: slice) -> Any:
        """Return some of the rows of a batch."""
        data, near = self._work.data, self._backend.near
        if order is None:
            return type(data)(*(part if part is None else near(part[span, :]) for part in data))
        places = order[span]  # (rows,)
        if not self._backend.streams(data.X):
            places = self._backend.asarray(places)
        taken = (p if p is None else near(namespace(p).take(p, places, axis=-2)) for p in data)
        return type(data)(*taken)
