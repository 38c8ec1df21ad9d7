"""Groups: the ranks of a training run, and how they communicate."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from chainrule.mathematics.arrays import Array
from chainrule.mathematics.naming import quoted, require

LEAVES = 8  # number of parts that the tree adds, and largest number of ranks


class Group:
    """A single process; the subclasses are one of several processes.

    All ranks call the same methods in the same order.

    Parameters
    ----------
    tree : bool
        Whether each batch is cut into ``LEAVES`` parts, whose gradients are added in pairs, and the pairs in
        pairs. These are the same additions, and so give the same bits, on 1, 2, 4 and 8 ranks.

    Attributes
    ----------
    rank, size : int
        The number of this process, from 0, and the number of processes.
    neighbours : int
        The number of processes on this machine.
    on_host : bool
        Whether :meth:`sum` takes NumPy arrays, or arrays of the device.

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
        """Whether batches are cut into parts for this group."""
        return self.tree or self.size > 1

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes on the group for the history."""
        where = f"{self.size} rank{'s' * (self.size > 1)} ({self.name})"
        how = ": all have the same bits, which another number of ranks would round differently"
        if self.tree:
            how = f", sums by a tree: the same bits on 1, 2, 4 and {LEAVES} ranks"
        return (f"{where}{how}",) if self.is_divided else ()

    def spans(self, rows: int) -> list[slice]:
        """Return the rows of a batch that this rank computes.

        Parameters
        ----------
        rows : int
            The number of rows of the batch, which all ranks have.

        Returns
        -------
        list of slice
            One slice; with a tree, one for each leaf.

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
        """Replace an array by its sum over the ranks, which has the same bits on all of them.

        Parameters
        ----------
        buffer : array
            The array, with the same shape and dtype on all ranks.
        """
        if not self.tree:
            self._sum(buffer)
            return
        distance = 1
        while distance < self.size:
            # a + b and b + a have equal bits.
            np.add(buffer, self._swap(buffer, self.rank ^ distance), out=buffer)
            distance *= 2

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks.

        Parameters
        ----------
        value : object
            The value of this rank; it must be possible to pickle it.

        Returns
        -------
        list
            The values, in the order of the ranks.
        """
        return [value]

    def broadcast(self, value: Any) -> Any:
        """Return the value of rank 0.

        Parameters
        ----------
        value : object
            Only that of rank 0 is used.

        Returns
        -------
        object
            The same value on all ranks.
        """
        return self.gather(value if self.rank == 0 else None)[0]

    def check_alike(self, facts: Mapping[str, Any]) -> None:
        """Raise if the ranks differ in one of these facts.

        Parameters
        ----------
        facts : dict
            Facts by name; their texts are compared.

        Raises
        ------
        ValueError
            On all ranks, with the name of the fact and two texts that differ.
        """
        texts = self.gather({name: str(value) for name, value in facts.items()})
        for name, text in texts[0].items():
            for rank, others in enumerate(texts):
                problem = (
                    f"the ranks differ in {name}: {quoted(text)} on rank 0, {quoted(others.get(name))} on rank {rank}; "
                    "start all of them in the same way, with a seed"
                )
                require(others.get(name) == text, problem)

    def fail(self, code: int, show: Callable[[], None]) -> None:
        """Show an error once, and end the ranks that do not have it.

        Parameters
        ----------
        code : int
            The exit code.
        show : function
            Prints the error.
        """
        del code
        show()

    def _sum(self, buffer: Array) -> None:
        """Replace an array by its sum over the ranks, added in any order."""

    def _swap(self, buffer: np.ndarray, other: int) -> np.ndarray:
        """Exchange arrays with another rank, and return the array of that rank."""
        raise NotImplementedError


ALONE = Group()


class Share(NamedTuple):
    """One rank's rows of each batch of an epoch, if every rank has its own rows."""

    bounds: list[tuple[int, int]]  # start and stop in the order of its own rows; some may be empty
    places: list[tuple[int, int]]  # rows of the whole batch; index of this rank's first row


def share(bounds: Sequence[tuple[int, int]], counts: Sequence[int], rank: int) -> Share:
    """Return the rows that a rank contributes to each batch of all ranks' rows.

    A batch holds the rows of rank 0, then those of rank 1, and so on, each in proportion to what the rank has.

    Parameters
    ----------
    bounds
        The bounds of the batches of all rows, as ``chainrule.program.engine.bounds`` returns them.
    counts
        The number of rows of each rank.
    rank
        The rank.

    Returns
    -------
    Share
        An entry for each batch. The parts of all ranks cover each row once.

    Examples
    --------
    >>> share([(0, 4), (4, 8), (8, 9)], [6, 3], rank=0)
    Share(bounds=[(0, 2), (2, 5), (5, 6)], places=[(4, 0), (4, 0), (1, 0)])
    >>> share([(0, 4), (4, 8), (8, 9)], [6, 3], rank=1)
    Share(bounds=[(0, 2), (2, 3), (3, 3)], places=[(4, 2), (4, 3), (1, 1)])
    """
    # The rows of all ranks before each step.
    ends = np.array([0, *(stop for _, stop in bounds)])  # (steps + 1,)
    own, rest, left = ends, ends, sum(counts)
    for count in counts[: rank + 1]:
        # Rounded down one rank after the other, no rank ever has fewer rows after a step than before it.
        own = rest * count // max(left, 1)  # (steps + 1,)
        rest, left = rest - own, left - count  # (steps + 1,)  of the ranks after this one
    before = ends - rest - own  # (steps + 1,)  of the ranks before it
    rows, first = np.diff(ends).tolist(), np.diff(before).tolist()
    starts = own.tolist()
    return Share(list(pairwise(starts)), list(zip(rows, first, strict=True)))


def total(parts: Sequence[Any]) -> Any:
    """Return the sum of parts, added in pairs, and the pairs in pairs.

    Parameters
    ----------
    parts : sequence
        Arrays, or other objects with ``+``.

    Returns
    -------
    object
        The sum; the only part if there is one.

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
    """Raise if the leaves of a tree cannot be divided equally among the ranks.

    Parameters
    ----------
    size : int
        The number of ranks.

    Raises
    ------
    ValueError
        If it does not divide ``LEAVES``.

    Examples
    --------
    >>> check_tree(3)
    Traceback (most recent call last):
        ...
    ValueError: sums by a tree run on 1, 2, 4 or 8 ranks, these are 3; leave ':tree' out
    """
    problem = f"sums by a tree run on 1, 2, 4 or {LEAVES} ranks, these are {size}; leave ':tree' out"
    require(LEAVES % size == 0, problem)
