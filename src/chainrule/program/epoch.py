"""Epochs: the input of an engine for one pass over the rows, and the bounds of its batches."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Epoch(NamedTuple):
    """The steps that an engine runs in one call, on the host: those of an epoch, or of a part of one.

    Each step takes the rows ``order[start:stop]`` of its bounds. The batch sizes are those of the engine's work.
    """

    order: np.ndarray | None  # (n,) int64, which rows when; None: all in one batch, in their order
    # Of each step, its first row of the order and the one after its last.
    bounds: Sequence[tuple[int, int]]
    rates: Sequence[float] | np.ndarray  # (steps,), the learning rates
    keys: np.ndarray | None  # (steps,) int32, the dropout keys; None: nothing is dropped
    data: Any = None  # what the order counts rows of, instead of the work's data; never where engines read a host buffer

    def part(self, first: int, stop: int) -> "Epoch":
        """Return the steps from ``first`` up to, but not including, ``stop``."""
        keys = None if self.keys is None else self.keys[first:stop]  # (stop - first,)
        return self._replace(bounds=self.bounds[first:stop], rates=self.rates[first:stop], keys=keys)


def bounds(n: int, batch_size: int | None) -> list[tuple[int, int]]:
    """Return the ``(start, stop)`` of each batch of an epoch; a ragged last one is kept.

    Examples
    --------
    >>> bounds(5, 2)
    [(0, 2), (2, 4), (4, 5)]
    >>> bounds(5, None)
    [(0, 5)]
    """
    size = n if batch_size is None else min(batch_size, n)
    return [(start, min(start + size, n)) for start in range(0, n, size)]
