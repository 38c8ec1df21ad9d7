"""Batches: which rows each step of an epoch trains on, drawn on the host and equal on every backend."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Epoch(NamedTuple):
    """What one epoch needs of chance and of the schedule: an entry a step, on the host."""

    order: np.ndarray | None  # (n,) int64, which rows when; None: all in one batch, as they lie
    rates: Sequence[float]  # of each step, the learning rate
    keys: np.ndarray | None  # (steps,) int32, the dropout keys; None: nothing is dropped


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


class Chance:
    """The draws of training: permutations and dropout keys, each from a stream of its own.

    Parameters
    ----------
    seed
        Equal seeds give equal draws on every backend. ``None`` draws one from NumPy's global state,
        so that ``numpy.random.seed`` makes even an unseeded run repeatable.

    Examples
    --------
    >>> Chance(0).order(4)
    array([3, 0, 2, 1])
    """

    def __init__(self, seed: int | None) -> None:
        if seed is None:
            seed = int(np.random.randint(2**31))  # noqa: NPY002  the global state is meant
        self._orders = np.random.default_rng([seed, 1])
        self._keys = np.random.default_rng([seed, 2])

    def order(self, n: int) -> np.ndarray:
        """Return a permutation of the rows ``(n,)``, int64."""
        return self._orders.permutation(n)

    def keys(self, steps: int) -> np.ndarray:
        """Return ``(steps,)`` int32, uniform over all of them."""
        return self._keys.integers(-(2**31), 2**31, size=steps, dtype=np.int32)
