"""Threads as ranks: for tests, and to try ranks where there is no MPI."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BrokenBarrierError
from typing import Any

import numpy as np

from chainrule.ranks.group import Group, check_tree, total


class ThreadGroup(Group):
    """A rank that is a thread."""

    name = "threads"

    def __init__(self, rank: int, places: list[Any], barrier: Barrier, *, tree: bool) -> None:
        super().__init__(tree=tree)
        self.rank, self.size, self.neighbours = rank, len(places), len(places)
        self._places, self._barrier = places, barrier

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks, in their order."""
        self._places[self.rank] = value
        self._barrier.wait()
        values = list(self._places)
        self._barrier.wait()
        return values

    def _sum(self, buffer: np.ndarray) -> None:
        buffer[...] = total(self.gather(buffer.copy()))

    def _swap(self, buffer: np.ndarray, other: int) -> np.ndarray:
        received: np.ndarray = self.gather(buffer.copy())[other]
        return received


def run(size: int, function: Callable[[Group], Any], *, tree: bool = False) -> list[Any]:
    """Return what ``function(group)`` returns on each of so many ranks; an error on one ends all, and is raised.

    Examples
    --------
    >>> run(3, lambda group: group.gather(group.rank))
    [[0, 1, 2], [0, 1, 2], [0, 1, 2]]
    """
    if tree:
        check_tree(size)
    places: list[Any] = [None] * size
    barrier, errors = Barrier(size), list[BaseException]()

    def work(rank: int) -> Any:
        try:
            return function(ThreadGroup(rank, places, barrier, tree=tree))
        except BrokenBarrierError:  # another rank has failed
            return None
        except BaseException as error:  # noqa: BLE001  raised below
            errors.append(error)
            barrier.abort()
            return None

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)  # seconds: the ranks wait for each other in every step
    try:
        with ThreadPoolExecutor(size) as pool:
            results = list(pool.map(work, range(size)))
    finally:
        sys.setswitchinterval(interval)
    if errors:
        raise errors[0]
    return results
