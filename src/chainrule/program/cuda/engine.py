"""The engine: training on a CUDA device, many steps as one graph.

The first time, the kernels of a step are launched one after the other, which trains like any other step and lets cuBLAS choose
its algorithms; from then on a graph repeats them. Nothing is allocated, and no kernel gets arguments from the host: learning
rates, keys and the order of the rows are in a record that is copied before each graph, and losses are copied back after it.
The host prepares a graph while the one before runs, and waits for the one before that.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import cycle, groupby

import numpy as np

from chainrule.program.cuda.batch import BoundBatch, Scratch
from chainrule.program.cuda.device import CannotCaptureError, Device, Mark
from chainrule.program.cuda.feed import FeedShape
from chainrule.program.dtypes import numpy_dtype
from chainrule.program.engine import Epoch, Work
from chainrule.program.replay import Call

LOG = logging.getLogger("chainrule")
# Limits of one graph. In float32, an H100 takes about 20 ms for this many floating-point operations.
MOST_STEPS, MOST_NODES, MOST_FLOPS = 64, 2000, 1e12
MOST_ROWS = 1 << 16  # in the order that is written before a graph, while the one before runs
TOGETHER = 4  # graphs of epochs of one batch that run before their losses are read
UNDER_WAY = 2  # most graphs that are launched and not yet waited for


class Runner:
    """Calls that are launched one by one the first time, and as one graph from then on."""

    def __init__(self, device: Device, calls: list[Call]) -> None:
        self._device, self.calls = device, calls
        # Captured at the second run, if possible.
        self.graph: Callable[[], None] | None = None
        self._runs = 0

    def __call__(self) -> None:
        """Launch them."""
        self._runs += 1
        if self._runs == 2:  # on the second run: a single run is not worth a graph
            try:
                self.graph = self._device.graph(self.calls)
            except CannotCaptureError as error:
                LOG.warning("a step runs as single kernels, not as one CUDA graph: %s", error)
        if self.graph is not None:
            self.graph()
            return
        for function, arguments in self.calls:
            function(*arguments)


class Chunk:
    """Steps on batches of one size that are launched together, with the arrays that they read and write."""

    def __init__(self, device: Device, batch: BoundBatch, shape: FeedShape) -> None:
        self._device, rows = device, shape.rows // shape.steps
        self._here = shape.on(device, device.empty)
        self.parts = [
            self._here.part(slice(step, step + 1), slice(step * rows, (step + 1) * rows))
            for step in range(shape.steps)
        ]
        self.run = Runner(device, [call for part in self.parts for call in batch.calls(part)])
        turns = ((shape.on(device, device.pinned), device.mark()) for _ in range(UNDER_WAY))
        self._turns = cycle(turns)

    def launch(self, epoch: Epoch, first: int) -> tuple[Mark, np.ndarray]:
        """Launch the steps of an epoch from ``first`` on; return the mark to wait for, and their losses."""
        host, mark = next(self._turns)
        host.write(epoch, first)
        self._device.send(self._here.record, host.record)
        self.run()
        self._device.fetch(host.losses, self._here.losses)
        mark.record()
        return mark, host.losses


class GraphEngine:
    """Runs steps on a CUDA device.

    Parameters
    ----------
    work
        The run, with its data on the device; the arrays of its progress are overwritten.
    device
        The device.

    Raises
    ------
    CannotCaptureError
        If the step does something that the kernels cannot, or the device's compiler refuses one of them.
    """

    def __init__(self, work: Work, device: Device) -> None:
        self.progress = work.progress
        self._work, self._device = work, device
        self._dtype = numpy_dtype(work.progress[0].dtype)
        scratch = Scratch(device)
        self._batches = {
            rows: BoundBatch(work, rows, device, scratch=scratch)
            for rows in sorted(work.batch_sizes, reverse=True)
        }
        self._most = {rows: most_steps(batch) for rows, batch in self._batches.items()}
        self._chunks: dict[tuple[int, int], Chunk] = {}
        self._whole = chunks(work.bounds, self._most)
        for span in self._whole:
            self._chunk(work.bounds, span)
        self.notes = tuple(note for batch in self._batches.values() for note in batch.notes)
        self.hides_nan = any(batch.hides_nan for batch in self._batches.values())

    @property
    def at_once(self) -> int:
        """How many epochs of one batch it runs before it returns their losses: the steps of a few graphs."""
        return TOGETHER * min(self._most.values()) if self._work.is_one_batch else 1

    def at_work(self) -> AbstractContextManager[object]:
        """Return a context to run in: everything goes to the device's own stream."""
        return self._device.at_work()

    def run(self, epoch: Epoch, check: Callable[[], None]) -> np.ndarray:
        """Run an epoch: see ``Engine``. Ctrl-C ends it between two graphs, of which two are under way at most."""
        losses = np.empty(len(epoch.bounds), self._dtype)  # (steps,)
        under_way: deque[tuple[range, tuple[Mark, np.ndarray]]] = deque()

        def land() -> None:
            span, (mark, values) = under_way.popleft()
            mark.synchronize()  # sync: the graph before the last one
            losses[span.start : span.stop] = values

        try:
            for span in self._whole if epoch.bounds == self._work.bounds else self._cut(epoch.bounds):
                check()
                if len(under_way) == UNDER_WAY:
                    land()
                under_way.append((span, self._chunk(epoch.bounds, span).launch(epoch, span.start)))
        finally:
            while under_way:
                land()
        return losses

    def _cut(self, bounds: Sequence[tuple[int, int]]) -> Iterator[range]:
        """Yield some steps as chunks of two lengths, so that parts of all lengths share a few graphs."""
        for start, stop in runs(bounds):
            most = self._most[_rows(bounds[start])]
            rest = stop - (stop - start) % most
            yield from (*_ranges(start, rest, most), *_ranges(rest, stop, 1))

    def _chunk(self, bounds: Sequence[tuple[int, int]], span: range) -> Chunk:
        """Return the chunk for a span of steps; there is one for each number of steps and of rows."""
        steps, rows = len(span), _rows(bounds[span.start])
        if (steps, rows) not in self._chunks:
            ordered = 0 if self._work.is_one_batch else steps * rows
            shape = FeedShape(steps, ordered, self._dtype, self._work.drops)
            self._chunks[steps, rows] = Chunk(self._device, self._batches[rows], shape)
        return self._chunks[steps, rows]


def most_steps(batch: BoundBatch) -> int:
    """Return the largest number of steps of a batch in one graph."""
    steps = MOST_STEPS, MOST_NODES // batch.nodes, MOST_FLOPS // (1 + batch.plan.flops)
    return max(1, int(min(*steps, MOST_ROWS // max(1, batch.gathered))))


def chunks(bounds: Sequence[tuple[int, int]], most: dict[int, int]) -> list[range]:
    """Return the steps of an epoch, cut where the batch size changes and after at most ``most`` steps of a size.

    Examples
    --------
    >>> chunks([(0, 4), (4, 8), (8, 12), (12, 13)], {4: 2, 1: 2})
    [range(0, 2), range(2, 3), range(3, 4)]
    """
    cut: list[range] = []
    for start, stop in runs(bounds):
        count = -(-(stop - start) // most[_rows(bounds[start])])
        # As few graphs as possible, all of one length but the last.
        cut += _ranges(start, stop, -(-(stop - start) // count))
    return cut


def runs(bounds: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the first step of each run of batches of one size, and the step after its last.

    Examples
    --------
    >>> list(runs([(0, 4), (4, 8), (8, 9)]))
    [(0, 2), (2, 3)]
    """
    start = 0
    for _, alike in groupby(bounds, _rows):
        stop = start + len(list(alike))
        yield start, stop
        start = stop


def _rows(bounds: tuple[int, int]) -> int:
    return bounds[1] - bounds[0]


def _ranges(start: int, stop: int, length: int) -> list[range]:
    return [range(first, min(first + length, stop)) for first in range(start, stop, length)]
