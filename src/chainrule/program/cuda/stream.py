"""Streams: training on data that the device has no room for, batch by batch from the host.

There are two places for a batch on the device, and two in pinned host memory. While a step computes on the one, the
rows of the next are gathered on the host and copied to the other.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np

from chainrule.program.cuda.batch import BoundBatch
from chainrule.program.cuda.device import Device
from chainrule.program.cuda.engine import Runner
from chainrule.program.cuda.feed import feed
from chainrule.program.dtypes import numpy_dtype
from chainrule.program.engine import Work
from chainrule.program.epoch import Epoch

PLACES = 2


class Slot:
    """A place for a batch: its arrays on the device and in pinned memory, and the step on it."""

    def __init__(self, work: Work, rows: int, device: Device) -> None:
        shapes = [((rows, part.shape[-1]), part.dtype) for part in work.arrays]
        theta = numpy_dtype(work.progress[0].dtype)
        self.pinned = tuple(device.pinned(*shape) for shape in shapes)
        self.batch = tuple(device.empty(*shape) for shape in shapes)
        self.lane = device.lane()
        self.feed = feed(device, 1, 0, theta, keys=work.drops)
        bound = BoundBatch(work, rows, device, batch=self.batch)
        self.run = Runner(device, bound.calls(self.feed))


class StreamEngine:
    """Runs steps on a CUDA device, their batches brought from the host one ahead.

    Parameters
    ----------
    work
        What to run: the arrays of its progress on the device, its data NumPy arrays.
    device
        The device.

    Raises
    ------
    CannotCaptureError
        If the step does something that the kernels cannot.
    """

    at_once = 1  # epoch

    def __init__(self, work: Work, device: Device) -> None:
        self.progress = work.progress
        self._work, self._device = work, device
        theta = numpy_dtype(work.progress[0].dtype)
        self._feed = feed(device, len(work.bounds), 0, theta, keys=work.drops)
        self._places = {n: [Slot(work, n, device) for _ in range(PLACES)] for n in work.batch_sizes}

    def at_work(self) -> AbstractContextManager[object]:
        """Return a context to run in: everything goes to the device's own stream."""
        return self._device.at_work()

    def run(self, epoch: Epoch, check: Callable[[], None]) -> list[float]:
        """Run an epoch: see ``Engine``."""
        self._feed.tell(self._device, epoch)
        for number, (start, stop) in enumerate(epoch.bounds):
            check()
            place = self._places[stop - start][number % PLACES]
            rows = None if epoch.order is None else epoch.order[start:stop]
            place.lane.wait_until_sent()
            for source, pinned in zip(self._work.arrays, place.pinned, strict=True):
                if rows is None:
                    pinned[...] = source[start:stop]
                else:
                    # "raise" would go through a copy.
                    np.take(source, rows, axis=0, out=pinned, mode="clip")
            place.lane.send(place.batch, place.pinned)
            place.lane.arrive()
            mine = self._feed.part(slice(number, number + 1), slice(0))
            place.feed.take(self._device, mine)
            place.run()
            place.lane.release()
            self._device.copy(mine.losses, place.feed.losses)
        # sync: the losses, once an epoch.
        return self._device.listed(self._feed.losses[: len(epoch.bounds)])
