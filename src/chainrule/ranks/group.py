"""Groups: the ranks of a training run, and the communication between them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.mathematics.arrays import Array
from chainrule.mathematics.naming import quoted

LEAVES = 8  # parts of a batch that the tree adds up: as many as there may be ranks


class Group:
    """One process, alone; the subclasses are one of several.

    All ranks call the same methods in the same order.

    Parameters
    ----------
    tree
        Whether each batch is cut into ``LEAVES`` parts whose gradients are added in pairs, and the pairs in
        pairs: the same additions, and so the same bits, on 1, 2, 4 and 8 ranks.

    Attributes
    ----------
    rank, size
        The number of this process, from 0, and of all.
    neighbours
        How many of them share this machine.
    on_host
        Whether :meth:`sum` takes NumPy arrays; else arrays of the device.

    Examples
    --------
    >>> group = Group()
    >>> group.rank, group.size, group.gather("a")
    (0, 1, ['a'])
    """

    name = "alone"
    rank = 0
    size = 1
    neighbours = 1
    on_host = True

    def __init__(self, *, tree: bool = False) -> None:
        self.tree = tree

    @property
    def is_divided(self) -> bool:
        """Whether batches are cut for this group."""
        return self.tree or self.size > 1

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes on the group for the history."""
        if not self.is_divided:
            return ()
        where = f"{self.size} rank{'s' * (self.size > 1)} ({self.name})"
        if self.tree:
            return (f"{where}, sums by a tree: the same bits on 1, 2, 4 and {LEAVES} ranks",)
        return (
            f"{where}: all have the same bits, which another number of ranks would round differently",
        )

    def spans(self, rows: int) -> list[slice]:
        """Return the rows of a batch that this rank computes: one span, or with a tree a span for each leaf.

        Examples
        --------
        >>> Group().spans(10), len(Group(tree=True).spans(10))
        ([slice(0, 10, None)], 8)
        """
        from chainrule.program.row_blocks import Cut

        count = LEAVES if self.tree else self.size
        own = count // self.size
        return Cut(1, count).spans(slice(0, rows))[self.rank * own :][:own]

    def sum(self, buffer: Array) -> None:
        """Replace an array by its sum over the ranks, which has the same bits on all of them."""
        if not self.tree:
            self._sum(buffer)
            return
        distance = 1
        while distance < self.size:
            # a + b and b + a have the same bits.
            np.add(buffer, self._swap(buffer, self.rank ^ distance), out=buffer)
            distance *= 2

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks, in their order."""
        return [value]

    def broadcast(self, value: Any) -> Any:
        """Return the value of rank 0."""
        return self.gather(value if self.rank == 0 else None)[0]

    def check_alike(self, facts: Mapping[str, Any]) -> None:
        """Raise if the ranks differ in one of these facts.

        Raises
        ------
        ValueError
            On all ranks; it names what differs.
        """
        texts = self.gather({name: str(value) for name, value in facts.items()})
        for name, text in texts[0].items():
            for rank, others in enumerate(texts):
                if others[name] != text:
                    msg = (
                        f"the ranks differ in {name}: {quoted(text)} on rank 0, {quoted(others[name])} on rank {rank}; "
                        "start all of them in the same way, with a seed"
                    )
                    raise ValueError(msg)

    def fail(self, code: int, show: Callable[[], None]) -> None:
        """Show an error once, and end the ranks that did not have it, with an exit code."""
        del code
        show()

    def _sum(self, buffer: Array) -> None:
        """Replace an array by its sum over the ranks, added in any order."""

    def _swap(self, buffer: np.ndarray, other: int) -> np.ndarray:
        """Exchange arrays with another rank, and return its array."""
        raise NotImplementedError


def total(parts: Sequence[Any]) -> Any:
    """Return the sum of parts, added in pairs, and the pairs in pairs.

    Examples
    --------
    >>> total(["a", "b", "c", "d"])
    'abcd'
    """
    if len(parts) == 1:
        return parts[0]
    middle = (len(parts) + 1) // 2
    return total(parts[:middle]) + total(parts[middle:])


def check_tree(size: int) -> None:
    """Raise if the leaves of a tree cannot be shared equally by this many ranks.

    Raises
    ------
    ValueError
        If the leaves cannot be shared out equally.

    Examples
    --------
    >>> check_tree(3)
    Traceback (most recent call last):
        ...
    ValueError: sums by a tree run on 1, 2, 4 or 8 ranks, these are 3; leave ':tree' out
    """
    if LEAVES % size:
        msg = f"sums by a tree run on 1, 2, 4 or {LEAVES} ranks, these are {size}; leave ':tree' out"
        raise ValueError(msg)
