"""Steps: the engine over blocked batches, and how it is chosen: by shapes, never by timing."""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from chainrule.program.blocks import BlockedBatch
from chainrule.program.chains import HALVES
from chainrule.program.descending import native_descent
from chainrule.program.engine import Epoch, Pack, Work
from chainrule.program.kernels import Kernels
from chainrule.program.machine import asked_threads, blas_threads, threads
from chainrule.program.operations import Program
from chainrule.program.row_blocks import Cut, cut, one_core

# What a replayed step costs, roughly: a call, a FLOP of a product, a byte of memory. For telling a run
# that is over in a moment from one that is worth compiling for, no more.
CALL_SECONDS, FLOP_SECONDS, BYTE_SECONDS = 1.5e-6, 1 / 40e9, 1 / 10e9
LONG_SECONDS = 0.05  # less than compiling takes, about what loading what lies on disk does
LAUNCH_SECONDS = 0.004  # of work between two looks for Ctrl-C
MOST_LAUNCHES = 25  # of LAUNCH_SECONDS in one call, each of another engine
LIMIT_SECONDS = 0.02  # a run below this is over before setting the threads of BLAS, 0.3 ms, has paid


def seconds(program: Program, steps: int) -> float:
    """Return what a run of this many steps takes, roughly, by its shapes alone."""
    calls = program.launches * CALL_SECONDS
    return steps * (calls + program.flops * FLOP_SECONDS + program.bytes * BYTE_SECONDS)


def is_native(program: Program, steps: int) -> bool:
    """Return whether native code is to run these steps: it computes in their dtypes, and they are worth it.

    By shapes alone, not by what has been compiled: the same call gives the same bits whatever ran before.
    """
    return seconds(program, steps) > LONG_SECONDS and program.dtypes.isdisjoint(HALVES)


def product_threads(work: Work) -> int | None:
    """Return how many threads BLAS takes for batches that are not divided; ``None`` changes nothing."""
    one = all(one_core(work.progress[0], rows) for rows in work.batch_sizes)
    takes = seconds(work.plan(max(work.batch_sizes)).program, work.steps)
    return 1 if one and takes > LIMIT_SECONDS else asked_threads(work.threads)


def cuts(work: Work, *, native: bool) -> dict[int, Cut]:
    """Return how each batch size of the work is cut, by the rule."""
    most = threads(work.threads)
    programs = {rows: work.plan(rows).program for rows in work.batch_sizes}
    return {rows: cut(made, rows, most, native=native) for rows, made in programs.items()}


def blocked(work: Work, kernels: Kernels, cuts: dict[int, Cut]) -> "Steps":
    """Return the engine that runs ``work`` cut like that, with these kernels."""
    batches = {}
    for rows, how in cuts.items():
        one = how == Cut(1, 1)
        direct = native_descent(work.plan(rows).program, kernels) if one else None
        batches[rows] = BlockedBatch(work, rows, how, kernels, direct)
    return Steps(work, batches)


Launch = tuple[Any, int]  # what runs steps, and how many of them


class Steps:
    """The engine over batches: as many steps of one size at once as a short while allows.

    Parameters
    ----------
    work
        What to run.
    batches
        What runs a step, by the rows of the batch.
    """

    def __init__(self, work: Work, batches: dict[int, BlockedBatch]) -> None:
        self.progress = work.progress
        self._work, self._batches = work, batches
        self._at_once = dict.fromkeys(batches, 1)  # how many steps of a size take LAUNCH_SECONDS

    def twin(self, work: Work) -> "Steps":
        """Return the engine of other work of equal step and shapes; the two must not run at once."""
        return Steps(work, {rows: batch.twin(work) for rows, batch in self._batches.items()})

    @property
    def at_once(self) -> int:
        """How many epochs take ``LAUNCH_SECONDS``."""
        rows = max(self._work.batch_sizes)
        steps = min(self._at_once[rows], self._batches[rows].at_once)
        return max(1, steps // len(self._work.bounds))

    def at_work(self) -> AbstractContextManager[object]:
        """Return a context to run in: where the threads are ours, BLAS keeps to one in each."""
        ours = any(batch.threads > 1 for batch in self._batches.values())
        return blas_threads(1 if ours else product_threads(self._work))

    def run(self, epoch: Epoch, check: Callable[[], None]) -> np.ndarray:
        """Run an epoch: see ``Engine``."""
        return _run_launches({self: epoch}, check)[self]

    def launches(self, epoch: Epoch) -> Generator[Launch, float | None, np.ndarray]:
        """Yield what runs the next steps of an epoch, and their number; be sent the seconds that they took."""
        losses = np.empty(len(epoch.rates))  # (steps,)
        bounds, first = epoch.bounds, 0
        while first < len(losses):
            start, stop = bounds[first]
            rows, batch = stop - start, self._batches[stop - start]
            last = first + min(len(losses) - first, batch.at_once, self._at_once[rows])
            order = epoch.order
            if order is not None:
                # Only batches of one size that follow each other can run together.
                while bounds[last - 1][1] - start != (last - first) * rows:
                    last -= 1
                order = order[start : bounds[last - 1][1]]
            keys = None if epoch.keys is None else epoch.keys[first:last]
            seconds = yield batch.feed(epoch.rates[first:last], keys, order), last - first
            losses[first:last] = batch.losses(last - first)
            if seconds is not None and seconds < LAUNCH_SECONDS / 2:
                self._at_once[rows] = 2 * (last - first)
            first = last
        return losses


class StepsPack(Pack):
    """Engines over batches of one thread each: their next steps in one launch, engine by engine.

    Parameters
    ----------
    works
        What the runs are; of equal shapes.
    threads
        How many share them.
    engine
        What makes the engine of a run; runs of a thread whose steps are equal are twins of its first one.
    """

    def __init__(self, works: Sequence[Work], threads: int, engine: Callable[[Work], Any]) -> None:
        first = dict[Any, Any]()  # by the part and the step
        engines = []
        for number, work in enumerate(works):
            kind = number % threads, work.step
            engines.append(first[kind].twin(work) if kind in first else engine(work))
            first.setdefault(kind, engines[-1])
        super().__init__(engines, threads)

    def run(self, epochs: Mapping[Any, Epoch], check: Callable[[], None]) -> dict[Any, np.ndarray]:
        """Run an epoch of each of these engines: see ``Pack``."""
        return _run_launches(epochs, check)


def _run_launches(epochs: Mapping[Steps, Epoch], check: Callable[[], None]) -> dict[Any, np.ndarray]:
    """Run an epoch of each engine; return the losses of its steps."""
    going = {engine: engine.launches(epoch) for engine, epoch in epochs.items()}
    losses, seconds = dict[Any, np.ndarray](), None
    while going:
        ready = dict[Steps, Launch]()
        for engine, launches in going.items():
            try:
                ready[engine] = launches.send(seconds)
            except StopIteration as end:
                losses[engine] = end.value  # (steps,)
        going = {engine: going[engine] for engine in ready}
        if ready:
            check()
            began = time.perf_counter()
            (run, steps), *others = ready.values()
            if others:
                run.together(list(ready.values()))
            else:
                run(steps)
            # Each engine may take as long as one alone, but all of them no longer than Ctrl-C may wait.
            seconds = (time.perf_counter() - began) / min(len(ready), MOST_LAUNCHES)
    return losses
