"""The engine: training on a CUDA device, many steps as one graph.

Each step is launched one kernel after the other once, which trains like any other step, compiles the kernels
and lets cuBLAS choose; from then on a graph repeats it. Nothing is allocated, and no kernel gets
arguments from the host: learning rates, keys and the order of the rows are in buffers that are filled for each epoch.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby

from chainrule.program.cuda.batch import BoundBatch
from chainrule.program.cuda.device import CannotCaptureError, Device
from chainrule.program.cuda.feed import Feed, feed
from chainrule.program.dtypes import numpy_dtype
from chainrule.program.engine import Work
from chainrule.program.epoch import Epoch
from chainrule.program.replay import Call

LOG = logging.getLogger("chainrule")
MOST_STEPS = 64  # in one graph
MOST_NODES = 2000


@dataclass
class Chunk:
    """Steps that are launched together: which of the epoch, and their calls or, once captured, their graph."""

    steps: slice
    rows: slice
    feed: Feed  # where the calls read: parts of the epoch's own, or a place that several chunks share
    shared: bool
    run: "Runner"


class Runner:
    """Calls, made one by one the first time and as one graph from then on."""

    def __init__(self, device: Device, calls: list[Call]) -> None:
        self._device, self.calls = device, calls
        self._graph: Callable[[], None] | None = None
        self._tried = False

    @property
    def is_captured(self) -> bool:
        """Whether it is a graph by now."""
        return self._graph is not None

    def __call__(self) -> None:
        """Make the calls."""
        if self._graph is not None:
            self._graph()
            return
        for function, arguments in self.calls:
            function(*arguments)
        if not self._tried:
            self._tried = True
            try:
                self._graph = self._device.graph(self.calls)
            except CannotCaptureError as error:
                LOG.warning("a step runs as single kernels, not as one CUDA graph: %s", error)


class GraphEngine:
    """Runs steps on a CUDA device.

    Parameters
    ----------
    work
        What to run, its data on the device; the arrays of its progress are written over.
    device
        The device.
    straight
        Whether products go straight into the weights where they can; by a rule unless given.

    Raises
    ------
    CannotCaptureError
        If the step does something that the kernels cannot.
    """

    at_once = 1  # epoch

    def __init__(self, work: Work, device: Device, *, straight: bool | None = None) -> None:
        self.progress = work.progress
        self._work, self._device = work, device
        rows = 0 if work.is_one_batch else work.bounds[-1][1]
        self._dtype = numpy_dtype(work.progress[0].dtype)
        self._feed = feed(device, len(work.bounds), rows, self._dtype, keys=work.drops)
        self._batches = {n: BoundBatch(work, n, device, straight=straight) for n in work.batch_sizes}
        self._most = {
            n: max(1, min(MOST_STEPS, MOST_NODES // b.nodes)) for n, b in self._batches.items()
        }
        self._shared: dict[tuple[int, int], tuple[Feed, Runner]] = {}
        self._chunks = self._cut()

    @property
    def is_captured(self) -> bool:
        """Whether every step is a launch of a graph by now."""
        return all(chunk.run.is_captured for chunk in self._chunks)

    def at_work(self) -> AbstractContextManager[object]:
        """Return a context to run in: everything goes to the device's own stream."""
        return self._device.at_work()

    def run(self, epoch: Epoch, check: Callable[[], None]) -> list[float]:
        """Run an epoch: see ``Engine``. Ctrl-C is heard between two graphs."""
        self._feed.tell(self._device, epoch)
        whole = epoch.bounds == self._work.bounds
        for chunk in self._chunks if whole else self._cut_part(epoch.bounds):
            check()
            mine = self._feed.part(chunk.steps, chunk.rows)
            if chunk.shared:
                chunk.feed.take(self._device, mine)
            chunk.run()
            if chunk.shared:
                self._device.copy(mine.losses, chunk.feed.losses)
        # sync: the losses, once a run.
        return self._device.listed(self._feed.losses[: len(epoch.bounds)])

    def _cut(self) -> list[Chunk]:
        """Return a whole epoch as chunks; those of one length and batch size share a graph."""
        bounds = self._work.bounds
        spans = chunks(bounds, self._most)
        kinds = [(len(span), _rows(bounds[span.start])) for span in spans]
        pairs = zip(spans, kinds, strict=True)
        return [self._chunk(bounds, span, shared=kinds.count(kind) > 1) for span, kind in pairs]

    def _cut_part(self, bounds: Sequence[tuple[int, int]]) -> Iterator[Chunk]:
        """Yield some steps as chunks of two lengths, so that parts of any length share a few graphs."""
        for start, stop in runs(bounds):
            most = self._most[_rows(bounds[start])]
            rest = stop - (stop - start) % most
            for span in [*_ranges(start, rest, most), *_ranges(rest, stop, 1)]:
                yield self._chunk(bounds, span, shared=True)

    def _chunk(self, bounds: Sequence[tuple[int, int]], span: range, *, shared: bool) -> Chunk:
        steps, rows = (
            slice(span.start, span.stop),
            slice(bounds[span.start][0], bounds[span.stop - 1][1]),
        )
        kind = len(span), _rows(bounds[span.start])
        if not shared:
            place = self._feed.part(steps, rows)
            return Chunk(steps, rows, place, shared, Runner(self._device, self._calls(kind, place)))
        if kind not in self._shared:
            place = feed(self._device, len(span), kind[0] * kind[1], self._dtype, keys=self._work.drops)
            self._shared[kind] = place, Runner(self._device, self._calls(kind, place))
        place, run = self._shared[kind]
        return Chunk(steps, rows, place, shared, run)

    def _calls(self, kind: tuple[int, int], feed: Feed) -> list[Call]:
        steps, rows = kind
        calls: list[Call] = []
        for step in range(steps):
            mine = feed.part(slice(step, step + 1), slice(step * rows, (step + 1) * rows))
            calls += self._batches[rows].calls(mine)
        return calls


def chunks(bounds: Sequence[tuple[int, int]], most: dict[int, int]) -> list[range]:
    """Return the steps of an epoch, cut where a graph ends: at another batch size, or at ``most`` steps of a size.

    Examples
    --------
    >>> chunks([(0, 4), (4, 8), (8, 12), (12, 13)], {4: 2, 1: 2})
    [range(0, 2), range(2, 3), range(3, 4)]
    """
    cut: list[range] = []
    for start, stop in runs(bounds):
        count = -(-(stop - start) // most[_rows(bounds[start])])
        # As few graphs as do, and so of one length, but for the last.
        cut += _ranges(start, stop, -(-(stop - start) // count))
    return cut


def runs(bounds: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the first step, and the one after the last, of each run of batches of one size.

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
