"""The feed: what the steps of a graph read, and where they write their losses.

Learning rates, dropout keys and the order of the rows are one record of bytes, with the same layout on the device and in pinned
host memory, so that one copy transfers all of them.
"""

from collections.abc import Callable
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from chainrule.mathematics.arrays import Array
from chainrule.program.cuda.device import Device
from chainrule.program.engine import Epoch

ALIGNED = 16  # bytes


class Feed(NamedTuple):
    """What steps read, and where they write their losses: an entry for each step."""

    record: Array  # (bytes,) uint8: everything but the losses
    order: Array | None  # (steps * rows,) int64: which rows of the data; None: all, in their order
    rates: Array  # (steps,)
    minus: Array  # (steps,): the negated rates, for products that go straight into the weights
    keys: Array | None  # (steps,) int32
    losses: Array  # (steps,)

    def part(self, steps: slice, rows: slice) -> "Feed":
        """Return the entries of some steps; ``rows`` are their part of the order."""
        order = None if self.order is None else self.order[rows]
        keys = None if self.keys is None else self.keys[steps]
        return Feed(self.record, order, self.rates[steps], self.minus[steps], keys, self.losses[steps])

    def write(self, epoch: Epoch, first: int = 0) -> None:
        """Write the settings of an epoch from step ``first`` on; for a feed on the host."""
        epoch, stop = epoch.drawn(), first + len(self.rates)
        self.rates[:] = epoch.rates[first:stop]
        np.negative(self.rates, out=self.minus)
        if self.keys is not None and epoch.keys is not None:
            self.keys[:] = epoch.keys[first:stop]
        if self.order is not None and epoch.order is not None:
            self.order[:] = epoch.order[epoch.bounds[first][0] : epoch.bounds[stop - 1][1]]


class FeedShape(NamedTuple):
    """The number of steps of a feed, and the sizes of its arrays."""

    steps: int
    rows: int  # total over its steps; 0 if each step takes all rows in their order
    dtype: np.dtype[Any]  # dtype of the rates and the losses
    keys: bool

    def on(self, device: Device, empty: Callable[..., Array]) -> Feed:
        """Return a feed in memory from ``empty``, which is ``device.empty`` or ``device.pinned``."""
        entries = [
            (self.rows, np.dtype(np.int64)),
            (self.steps, self.dtype),
            (self.steps, self.dtype),
            (self.steps * self.keys, np.dtype(np.int32)),
            (self.steps, self.dtype),
        ]
        sizes = [-(-count * dtype.itemsize // ALIGNED) * ALIGNED for count, dtype in entries]
        *starts, total = accumulate(sizes, initial=0)
        raw = empty((total,), np.dtype(np.uint8))
        order, rates, minus, keys, losses = (
            device.reshaped(raw[start:], (count,), dtype) if count else None
            for start, (count, dtype) in zip(starts, entries, strict=True)
        )
        return Feed(raw[: starts[-1]], order, rates, minus, keys, losses)
