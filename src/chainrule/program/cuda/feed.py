"""The feed: what the steps of an epoch read, and where they write their losses, all on the device."""

from typing import NamedTuple

import numpy as np

from chainrule.mathematics.arrays import Array
from chainrule.program.cuda.device import Device
from chainrule.program.dtypes import numpy_dtype
from chainrule.program.epoch import Epoch


class Feed(NamedTuple):
    """What steps read, and where they write their losses: an entry for each step."""

    order: Array | None  # (steps * rows,) int64: which rows of the data; None: all, in their order
    rates: Array  # (steps,)
    minus: Array  # (steps,): the rates with the other sign, for what goes straight into the weights
    keys: Array | None  # (steps,) int32
    losses: Array  # (steps,)

    def part(self, steps: slice, rows: slice) -> "Feed":
        """Return the entries of some steps, whose batches have those rows of the order."""
        order = None if self.order is None else self.order[rows]
        keys = None if self.keys is None else self.keys[steps]
        return Feed(order, self.rates[steps], self.minus[steps], keys, self.losses[steps])

    def tell(self, device: Device, epoch: Epoch) -> None:
        """Write what an epoch says into the first entries of the arrays."""
        rates = np.asarray(epoch.rates, dtype=numpy_dtype(self.rates.dtype))  # (steps,)
        written = (
            (self.rates, rates),
            (self.minus, -rates),
            (self.order, epoch.order),
            (self.keys, epoch.keys),
        )
        for target, numbers in written:
            if target is not None and numbers is not None:
                device.write(target[: len(numbers)], numbers)

    def take(self, device: Device, other: "Feed") -> None:
        """Copy the feed of other steps to these."""
        for target, source in zip(self[:-1], other[:-1], strict=True):
            if target is not None:
                device.copy(target, source)


def feed(device: Device, steps: int, rows: int, dtype: np.dtype[np.generic], *, keys: bool) -> Feed:
    """Return a feed for this many steps; with ``rows``, those of all their batches, it has an order."""
    return Feed(
        device.empty((rows,), np.dtype(np.int64)) if rows else None,
        device.empty((steps,), dtype),
        device.empty((steps,), dtype),
        device.empty((steps,), np.dtype(np.int32)) if keys else None,
        device.empty((steps,), dtype),
    )
