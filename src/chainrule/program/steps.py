"""Steps: the engine that runs blocked batches, and its choice, which depends on shapes and never on timing."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from chainrule.program.blocks import BlockedBatch
from chainrule.program.chains import HALVES
from chainrule.program.descending import native_descent
from chainrule.program.engine import LAUNCH_SECONDS, Epoch, Pack, Work
from chainrule.program.kernels import Kernels
from chainrule.program.machine import asked_threads, blas_threads, threads
from chainrule.program.operations import Program
from chainrule.program.row_blocks import Cut, cut, one_core

# Rough costs of a replayed step: a call, a FLOP of a product, a byte of memory. They only have to distinguish
# a run that ends in a moment from one that is worth compiling for.
CALL_SECONDS, FLOP_SECONDS, BYTE_SECONDS = 1.5e-6, 1 / 40e9, 1 / 10e9
LONG_SECONDS = 0.05  # less than compiling takes, and about as much as loading compiled code
MOST_LAUNCHES = 25  # engines that may each run LAUNCH_SECONDS in one call
LIMIT_SECONDS = 0.02  # in a shorter run, setting the threads of BLAS (0.3 ms) is not worthwhile


def seconds(program: Program, steps: int) -> float:
    """Return roughly how long a run of this many steps takes, from its shapes alone."""
    calls = program.launches * CALL_SECONDS
    return steps * (calls + program.flops * FLOP_SECONDS + program.bytes * BYTE_SECONDS)


def is_native(program: Program, steps: int) -> bool:
    """Return whether native code should run these steps: it supports their dtypes, and the run is long enough.

    This depends on shapes alone, not on what has been compiled, so the same call always gives the same bits.
    """
    return seconds(program, steps) > LONG_SECONDS and program.dtypes.isdisjoint(HALVES)


def product_threads(work: Work) -> int | None:
    """Return the number of BLAS threads for batches that are not divided; ``None`` keeps the current number."""
    one = all(one_core(work.progress[0], rows) for rows in work.batch_sizes)
    takes = seconds(work.plan(max(work.batch_sizes)).program, work.steps)
    return 1 if one and takes > LIMIT_SECONDS else asked_threads(work.threads)


def cuts(work: Work, *, native: bool) -> dict[int, Cut]:
    """Return the cut of each batch size of the work."""
    most = threads(work.threads)
    return {rows: cut(work.plan(rows).program, rows, most, native=native) for rows in work.batch_sizes}


def blocked(work: Work, kernels: Kernels, cuts: dict[int, Cut]) -> "Steps":
    """Return the engine that runs ``work`` with these kernels; ``cuts`` has the cut of each batch size."""
    batches = {}
    for rows, how in cuts.items():
        direct = native_descent(work.plan(rows).program, kernels) if how == Cut(1, 1) else None
        batches[rows] = BlockedBatch(work, rows, how, kernels, direct)
    return Steps(work, batches)


class Steps:
    """The engine that runs blocked batches: in each call, as many steps of one batch size as take ``LAUNCH_SECONDS``.

    Parameters
    ----------
    work
        The steps and their arrays.
    batches
        The batch that runs a step, for each number of rows.
    """

    def __init__(self, work: Work, batches: dict[int, BlockedBatch]) -> None:
        self.progress = work.progress
        self._work, self._batches = work, batches
        self._at_once = dict.fromkeys(batches, 1)  # steps of each size that take LAUNCH_SECONDS

    def twin(self, work: Work) -> "Steps":
        """Return an engine for other work with equal step and shapes; the two must not run at the same time."""
        return Steps(work, {rows: batch.twin(work) for rows, batch in self._batches.items()})

    @property
    def at_once(self) -> int:
        """The number of epochs that take ``LAUNCH_SECONDS``."""
        rows = max(self._work.batch_sizes)
        steps = min(self._at_once[rows], self._batches[rows].at_once)
        return max(1, steps // len(self._work.bounds))

    def at_work(self) -> AbstractContextManager[object]:
        """Return a context to run in: if the engine has its own threads, BLAS uses one thread in each."""
        ours = any(batch.threads > 1 for batch in self._batches.values())
        return blas_threads(1 if ours else product_threads(self._work))

    def run(self, epoch: Epoch, check: Callable[[], None]) -> np.ndarray:
        """Run an epoch: see ``Engine``."""
        return _run_launches({self: epoch}, check)[self]

    def prepare(self, epoch: Epoch, first: int) -> tuple[BlockedBatch, int]:
        """Return the batch that runs the next steps of an epoch, from step ``first``, and their number."""
        (start, stop), left = epoch.bounds[first], len(epoch.rates) - first
        batch = self._batches[stop - start]
        last = first + min(left, batch.at_once, self._at_once[stop - start])
        order = epoch.order
        if order is not None:
            # Only consecutive batches of one size can run together.
            while epoch.bounds[last - 1][1] - start != (last - first) * (stop - start):
                last -= 1
            order = order[start : epoch.bounds[last - 1][1]]
        keys = None if epoch.keys is None else epoch.keys[first:last]
        batch.feed(epoch.rates[first:last], keys, order)
        return batch, last - first

    def learn(self, batch: BlockedBatch, steps: int, seconds: float) -> None:
        """Let the next launch have more steps if this one took less than half of ``LAUNCH_SECONDS``."""
        if seconds < LAUNCH_SECONDS / 2:
            self._at_once[batch.rows] = 2 * steps


class StepsPack(Pack):
    """Engines of several runs, each with one thread: a launch runs their next steps, engine by engine.

    Parameters
    ----------
    works
        The runs, with equal shapes.
    threads
        The number of threads that share them.
    engine
        Makes the engine of a run. Runs of a thread with equal steps are twins of the first one.
    """

    def __init__(self, works: Sequence[Work], threads: int, engine: Callable[[Work], Any]) -> None:
        first = dict[Any, Any]()  # the first engine of each thread and step
        engines = []
        for number, work in enumerate(works):
            kind = number % threads, work.step
            engines.append(first[kind].twin(work) if kind in first else engine(work))
            first.setdefault(kind, engines[-1])
        super().__init__(engines, threads)

    def run(self, epochs: Mapping[Any, Epoch], check: Callable[[], None]) -> dict[Any, np.ndarray]:
        """Run an epoch of each of these engines: see ``Pack``."""
        return _run_launches({engine: epoch.drawn() for engine, epoch in epochs.items()}, check)


def _run_launches(epochs: Mapping[Steps, Epoch], check: Callable[[], None]) -> dict[Any, np.ndarray]:
    """Run an epoch of each engine, and return the losses of its steps."""
    losses = {engine: np.empty(len(epoch.rates)) for engine, epoch in epochs.items()}  # (steps,) each
    done = dict.fromkeys(epochs, 0)
    while left := [engine for engine in epochs if done[engine] < len(losses[engine])]:
        launches = [engine.prepare(epochs[engine], done[engine]) for engine in left]
        check()
        began = time.perf_counter()
        (batch, steps), *others = launches
        if others:
            batch.run.together([(batch.run, steps) for batch, steps in launches])
        else:
            batch.run(steps)
        # The time of one engine: a launch may take LAUNCH_SECONDS for each, but for MOST_LAUNCHES at most, so that
        # Ctrl-C does not wait too long.
        seconds = (time.perf_counter() - began) / min(len(launches), MOST_LAUNCHES)
        for engine, (batch, steps) in zip(left, launches, strict=True):
            losses[engine][done[engine] : done[engine] + steps] = batch.losses(steps)
            engine.learn(batch, steps, seconds)
            done[engine] += steps
    return losses
