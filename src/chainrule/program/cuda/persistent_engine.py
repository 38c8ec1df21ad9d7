"""The engine of persistent kernels: a small network, or several side by side, each trained by one block or one cluster.

A call runs one epoch or several, by one launch or a few. The settings of their steps are copied to the device once, and their losses
are copied back once.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from operator import itemgetter
from typing import Any

import numpy as np

from chainrule.program.cuda.device import CannotCaptureError, Device
from chainrule.program.cuda.engine import UNDER_WAY, GraphEngine, runs
from chainrule.program.cuda.feed import Feed, FeedShape
from chainrule.program.cuda.loop import THREADS
from chainrule.program.cuda.persistent import Persistent, persistent
from chainrule.program.dtypes import numpy_dtype
from chainrule.program.engine import Epoch, Pack, Step, Work, parts
from chainrule.program.kernels import run_all
from chainrule.program.replay import Call

LOG = logging.getLogger("chainrule")
# Longest launch, by the model of its kernel: Ctrl-C takes effect between launches.
LAUNCH_MICROSECONDS = 5_000
TOGETHER_MICROSECONDS = (
    20_000  # longest call, by the same model: its epochs have no records if Ctrl-C ends it
)
CLUSTERS = 16, 8, 4, 2  # blocks; not with dropout, whose masks need each block's first row
# In a step's products: the most for one block if there are clusters, and what a block of a cluster should have at most. On an H200,
# larger steps were up to three times faster on clusters, and more blocks than that hardly faster.
MOST_FLOPS_ALONE, FLOPS_A_BLOCK = 1_000_000, 500_000
MOST_STEPS, MOST_ROWS = 4096, 2**16  # in a call; the rows of its orders then take 512 KB
MOST_ROWS_TOGETHER = 2**23  # in a call for several networks: 64 MB on the host, and on the device
ROWS_OF_A_THREAD = (
    2**14
)  # least rows to order for a network (0.2 ms) in threads, which else wait for the GIL

Bounds = Sequence[tuple[int, int]]


class PersistentEngine:
    """Runs the steps of a small network by one block, or one cluster of blocks, of a CUDA device.

    Parameters
    ----------
    work
        The run, with its data on the device; the arrays of its progress are overwritten.
    device
        The device.
    kernels
        The kernel for each batch size.

    Raises
    ------
    CannotCaptureError
        If the device's compiler refuses a kernel.
    """

    def __init__(self, work: Work, device: Device, kernels: Mapping[int, Persistent]) -> None:
        self.progress = work.progress
        self.work, self.device, self.kernels = work, device, kernels
        self.functions = {rows: device.kernel(kernel.text) for rows, kernel in kernels.items()}
        self._constants = {
            rows: [device.constant(array) for array in kernel.constants]
            for rows, kernel in kernels.items()
        }

    @cached_property
    def at_once(self) -> int:
        """How many epochs it runs before it returns their losses, so that the host has little to do for each."""
        sizes = [stop - start for start, stop in self.work.bounds]
        microseconds = sum(self.kernels[rows].microseconds for rows in sizes)
        most = min(TOGETHER_MICROSECONDS / microseconds, min(MOST_STEPS, self.work.steps) / len(sizes))
        return max(1, int(most if self.work.is_one_batch else min(most, MOST_ROWS / sum(sizes))))

    def most_steps(self, rows: int, waves: int = 1) -> int:
        """Return how many steps fit into ``LAUNCH_MICROSECONDS`` if the clusters of a launch run in ``waves`` turns."""
        return max(1, int(LAUNCH_MICROSECONDS / (waves * self.kernels[rows].microseconds)))

    def at_work(self) -> AbstractContextManager[object]:
        """Return a context to run in: everything goes to the device's own stream."""
        return self.device.at_work()

    def run(self, epoch: Epoch, check: Callable[[], None]) -> np.ndarray:
        """Run an epoch: see ``Engine``. Ctrl-C ends it between two launches, of which two are under way at most."""
        return self._alone.run({self: epoch}, check)[self]

    @cached_property
    def _alone(self) -> "PersistentPack":
        return PersistentPack([self])

    def addresses(self, rows: int, feed: Feed) -> list[int]:
        """Return the row of the table that a kernel takes for this network: see ``Persistent``."""
        theta, state = self.progress
        inputs = theta, *state, *self.work.arrays, feed.rates, feed.keys if self.work.drops else None
        arrays = *inputs, *self._constants[rows], feed.order, feed.losses
        return [self.device.address(array) for array in arrays if array is not None]


class PersistentPack(Pack):
    """Runs the steps of several networks side by side, each by its own block or cluster.

    Parameters
    ----------
    engines
        One for each network, for work of equal shapes.
    threads
        The number of threads that draw the orders of the networks. Engines are not divided among them.
    """

    def __init__(self, engines: Sequence[PersistentEngine], threads: int = 1) -> None:
        super().__init__(engines)
        work, device = engines[0].work, engines[0].device
        self._device, self._places = device, {engine: place for place, engine in enumerate(engines)}
        most = MOST_ROWS_TOGETHER // (len(engines) * work.bounds[-1][1])
        for engine in engines if not work.is_one_batch else ():
            engine.at_once = max(1, min(engine.at_once, most))
        together = max(engine.at_once for engine in engines)
        self._steps = together * len(work.bounds)
        self._rows = 0 if work.is_one_batch else together * work.bounds[-1][1]
        self._threads = threads if self._rows else 1
        dtype, count = numpy_dtype(work.progress[0].dtype), len(engines)
        drops = any(engine.work.drops for engine in engines)
        shape = FeedShape(count * self._steps, count * self._rows, dtype, drops)
        self._here, self._host = shape.on(device, device.empty), shape.on(device, device.pinned)
        self._marks = [device.mark() for _ in range(UNDER_WAY)]
        self._kinds: list[tuple[PersistentEngine, Bounds]] = []
        self._feeds: list[Feed] = []  # of the kinds, on the host
        self._shares: list[range] = []  # the feeds that each thread writes
        self._launches: list[Call] = []

    def run(self, epochs: Mapping[Any, Epoch], check: Callable[[], None]) -> dict[Any, np.ndarray]:
        """Run an epoch of each of these engines: see ``Pack``."""
        kinds = [(engine, epoch.bounds) for engine, epoch in epochs.items()]
        if kinds != self._kinds:
            self._launches, self._kinds = self._bound(kinds), kinds
            self._feeds = [self._part(self._host, *kind) for kind in kinds]
            rows = max(bounds[-1][1] - bounds[0][0] for _, bounds in kinds)
            self._shares = parts(len(kinds), self._threads if rows >= ROWS_OF_A_THREAD else 1)
        writes = [feed.write for feed in self._feeds]
        calls = [(write, (epoch,)) for write, epoch in zip(writes, epochs.values(), strict=True)]
        run_all([[calls[n] for n in share] for share in self._shares])
        try:
            for number, (kernel, arguments) in enumerate(self._launches):
                check()
                if number == 0:
                    self._device.send(self._here.record, self._host.record)
                mark = self._marks[number % UNDER_WAY]
                mark.synchronize()
                kernel(*arguments)
                if number + 1 == len(self._launches):
                    self._device.fetch(self._host.losses, self._here.losses)
                mark.record()
        finally:
            for mark in self._marks:
                mark.synchronize()  # sync: all launches, and with the last one the losses
        losses = [feed.losses.copy() for feed in self._feeds]  # (steps,) each
        return dict(zip(epochs, losses, strict=True))

    def _part(self, feed: Feed, engine: PersistentEngine, bounds: Bounds, start: int = 0) -> Feed:
        """Return the feed of an engine, from a step on."""
        step, row = (self._places[engine] * count for count in (self._steps, self._rows))
        rows = slice(row + bounds[start][0] - bounds[0][0], row + bounds[-1][1] - bounds[0][0])
        return feed.part(slice(step + start, step + len(bounds)), rows)

    def _bound(self, kinds: Sequence[tuple[PersistentEngine, Bounds]]) -> list[Call]:
        """Return the launches of an epoch; engines whose next steps have the same kernel share them."""
        tables: dict[tuple[int, int, str], tuple[PersistentEngine, int, list[list[int]]]] = {}
        runs_of = {key: list(runs(bounds)) for key, bounds in {id(b): b for _, b in kinds}.items()}
        for engine, bounds in kinds:
            for number, (start, stop) in enumerate(runs_of[id(bounds)]):
                rows = bounds[start][1] - bounds[start][0]
                row = engine.addresses(rows, self._part(self._here, engine, bounds, start))
                kind = number, stop - start, engine.kernels[rows].text.name
                tables.setdefault(kind, (engine, rows, []))[2].append(row)
        launches, self._sent = list[Call](), list[np.ndarray]()  # tables on their way to the device
        for (_, steps, _), (engine, rows, table) in sorted(tables.items(), key=itemgetter(0)):
            sent = self._device.pinned((len(table), len(table[0])), np.dtype(np.int64))
            sent[:] = table
            here = self._device.empty(sent.shape, sent.dtype)
            self._device.send(here, sent)
            text = engine.kernels[rows].text
            most = engine.most_steps(rows, -(-len(table) // self._device.clusters_at_once(text)))
            for first in range(0, steps, most):
                last = min(first + most, steps)
                arguments = here, np.int64(first), np.int64(last)
                call = (len(table) * text.blocks, 1), (THREADS, 1), arguments
                launches.append((engine.functions[rows], call))
            self._sent.append(sent)
        return launches


def small(work: Work, device: Device) -> PersistentEngine | None:
    """Return the engine of a step that one block or one cluster is enough for; ``None`` for others."""
    sizes = work.batch_sizes
    kernels = {rows: kernel for rows in sizes if (kernel := _kernel(work, rows, device)) is not None}
    return PersistentEngine(work, device, kernels) if len(kernels) == len(sizes) else None


def _kernel(work: Work, rows: int, device: Device) -> Persistent | None:
    """Return the kernel of one block or of a cluster; ``None`` if none is large enough.

    First comes one block for small steps, then the smallest cluster whose blocks have little to do, then the largest, then one block.
    Only the shapes decide, so a network has the same bits alone and side by side with others.
    """
    flops = work.plan(rows).flops
    clusters = [n for n in CLUSTERS if n <= device.most_blocks and rows % n == 0 and not work.drops]
    enough = [n for n in reversed(clusters) if flops <= n * FLOPS_A_BLOCK]
    alone = [1] * (flops <= MOST_FLOPS_ALONE)
    for blocks in dict.fromkeys((*alone, *enough, *clusters, 1)):
        try:
            kernel = persistent(work, rows, device.shared_bytes, blocks)
            if kernel is not None:
                device.kernel(kernel.text)
                return kernel
        except CannotCaptureError as error:
            LOG.warning("no kernel of %d blocks for a batch of %d rows: %s", blocks, rows, error)
    return None


def fastest(work: Work, device: Device) -> PersistentEngine | GraphEngine:
    """Return the fastest engine of a step: persistent kernels if one block or one cluster is enough, else graphs.

    Raises
    ------
    CannotCaptureError
        If the step does something that the kernels cannot.
    """
    return small(work, device) or GraphEngine(work, device)


def side_by_side(works: Sequence[Work], device: Device, threads: int = 1) -> PersistentPack | None:
    """Return a pack for steps of equal shapes; ``None`` if a block or cluster is too small for one of them."""
    known, engines = dict[Step, PersistentEngine](), list[PersistentEngine]()
    for work in works:
        first = known.get(work.step)
        engine = PersistentEngine(work, device, first.kernels) if first else small(work, device)
        if engine is None:
            return None
        known[work.step] = engine
        engines.append(engine)
    return PersistentPack(engines, threads)
