"""Streams: training on data that do not fit on the device, batch by batch from the host.

There are two places for a batch on the device, and two in pinned host memory. While a step computes on one, the rows of the
next batch are gathered on the host and copied to the other.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np

from chainrule.program.cuda.batch import BoundBatch, Scratch
from chainrule.program.cuda.device import Device
from chainrule.program.cuda.engine import Runner
from chainrule.program.cuda.feed import FeedShape
from chainrule.program.dtypes import numpy_dtype
from chainrule.program.engine import Epoch, Work
from chainrule.program.kernels import run_all
from chainrule.program.machine import threads

PLACES = 2
SHARE = 1 << 20  # least number of bytes that a thread gathers


class BatchPlace:
    """A buffer for a batch: its arrays on the device and in pinned memory, and the step on it."""

    def __init__(self, work: Work, rows: int, device: Device, scratch: Scratch) -> None:
        shapes = [((rows, part.shape[-1]), part.dtype) for part in work.arrays]
        shape = FeedShape(1, 0, numpy_dtype(work.progress[0].dtype), work.drops)
        self._host, self._feed = shape.on(device, device.pinned), shape.on(device, device.empty)
        self._pinned = tuple(device.pinned(*each) for each in shapes)
        batch = tuple(device.empty(*each) for each in shapes)
        self._sources, self._targets = (*self._pinned, self._host.record), (*batch, self._feed.record)
        self.losses = self._feed.losses  # (1,)
        self.lane = device.lane()
        bound = BoundBatch(work, rows, device, scratch=scratch, batch=batch)
        self.run = Runner(device, bound.calls(self._feed))
        self.notes, self.hides_nan = bound.notes, bound.hides_nan
        self._threads = threads(work.threads)

    def fill(self, work: Work, epoch: Epoch, step: int) -> None:
        """Gather the rows of a step on the host and send them once the previous ones have been sent."""
        self.lane.wait_until_sent()
        self._host.write(epoch, step)
        start, stop = epoch.bounds[step]
        rows = np.arange(start, stop) if epoch.order is None else epoch.order[start:stop]  # (n,)
        for source, pinned in zip(work.arrays, self._pinned, strict=True):
            gather(source, rows, pinned, self._threads)
        self.lane.send(self._targets, self._sources)


def gather(source: np.ndarray, rows: np.ndarray, out: np.ndarray, most: int) -> None:
    """Copy rows of an array, in at most ``most`` threads.

    Examples
    --------
    >>> out = np.empty((2, 1))
    >>> gather(np.array([[1.0], [2.0], [3.0]]), np.array([2, 0]), out, 1)
    >>> out.tolist()
    [[3.0], [1.0]]
    """
    count = max(1, min(most, out.nbytes // SHARE))
    share = -(-len(rows) // count)
    parts = [slice(start, start + share) for start in range(0, len(rows), share)]
    # "clip": with "raise", NumPy writes to a copy first.
    run_all([[(source.take, (rows[part], 0, out[part], "clip"))] for part in parts])


class StreamEngine:
    """Runs steps on a CUDA device; each batch comes from the host while the step before it computes.

    Parameters
    ----------
    work
        The run: the arrays of its progress are on the device, its data are NumPy arrays.
    device
        The device.

    Raises
    ------
    CannotCaptureError
        If the step does something that the kernels cannot, or the device's compiler refuses one of them.
    """

    at_once = 1  # epoch

    def __init__(self, work: Work, device: Device) -> None:
        self.progress = work.progress
        self._work, self._device, scratch = work, device, Scratch(device)
        self._losses = device.pinned((len(work.bounds),), numpy_dtype(work.progress[0].dtype))
        self._mark = device.mark()
        self._places = {
            rows: [BatchPlace(work, rows, device, scratch) for _ in range(PLACES)]
            for rows in sorted(work.batch_sizes, reverse=True)
        }
        self.notes = tuple(note for first, *_ in self._places.values() for note in first.notes)
        self.hides_nan = any(first.hides_nan for first, *_ in self._places.values())

    def at_work(self) -> AbstractContextManager[object]:
        """Return a context to run in: everything goes to the device's own stream."""
        return self._device.at_work()

    def run(self, epoch: Epoch, check: Callable[[], None]) -> np.ndarray:
        """Run an epoch: see ``Engine``."""
        try:
            for number, (start, stop) in enumerate(epoch.bounds):
                check()
                place = self._places[stop - start][number % PLACES]
                place.fill(self._work, epoch, number)
                place.run()
                place.lane.release()
                self._device.fetch(self._losses[number : number + 1], place.losses)
        finally:
            self._mark.record()
            self._mark.synchronize()  # sync: the losses, once an epoch; no copy outlives its pinned memory
        return self._losses[: len(epoch.bounds)].copy()
