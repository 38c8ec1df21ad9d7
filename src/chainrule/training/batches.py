"""Batches: the rows of training, and random numbers for their order and for dropout, drawn on the host from the seed."""

from collections.abc import Generator
from copy import copy
from typing import Any, Self

import numpy as np

from chainrule import backends
from chainrule.mathematics.checks import FRACTION, check_number
from chainrule.mathematics.naming import require
from chainrule.mathematics.step import Batch, rows_of
from chainrule.program.engine import Epoch
from chainrule.ranks.group import Group


class Chance:
    """The random numbers of training: permutations and dropout keys, from separate streams.

    Parameters
    ----------
    seed : int, optional
        Equal seeds give equal numbers on every backend. ``None`` draws a seed from NumPy's global state,
        so that ``numpy.random.seed`` makes an unseeded run repeatable.

    Examples
    --------
    >>> Chance(0).order(4)
    array([3, 0, 2, 1])
    """

    def __init__(self, seed: int | None) -> None:
        self.seed = seed
        if seed is None:
            seed = int(np.random.randint(2**31))  # noqa: NPY002  the global state is meant
        self._orders = np.random.default_rng([seed, 1])
        self._keys = np.random.default_rng([seed, 2])

    @property
    def state(self) -> list[Any]:
        """The state of the random numbers, as plain values, which can be assigned back."""
        return [draws.bit_generator.state for draws in (self._orders, self._keys)]

    @state.setter
    def state(self, states: list[Any]) -> None:
        for draws, state in zip((self._orders, self._keys), states, strict=True):
            draws.bit_generator.state = state

    def of_rank(self, rank: int) -> "Chance":
        """Return the random numbers of one rank that has its own rows; each call returns other ones.

        All ranks must call it at the same time, so that this object stays the same on all of them.

        Parameters
        ----------
        rank : int
            The number of the rank.

        Returns
        -------
        Chance
            Its orders differ between ranks; its dropout keys are the same.
        """
        own = copy(self)
        own._orders = np.random.default_rng([self.row_seed(), rank])
        return own

    def order(self, n: int, epochs: int = 1) -> np.ndarray:
        """Return a permutation of ``range(n)``, or several ones.

        Parameters
        ----------
        n : int
            The number of rows.
        epochs : int
            The number of permutations, which follow each other: those of as many calls.

        Returns
        -------
        array
            ``(epochs * n,)``, int64.
        """
        rows = np.tile(np.arange(n), (epochs, 1))
        # A single call, which releases the GIL, so that members draw at the same time.
        return self._orders.permuted(rows, axis=1, out=rows).reshape(-1)

    def row_seed(self) -> int:
        """Return an int to seed the orders of the rows within the windows of an epoch.

        Returns
        -------
        int
            From 0 to 2**63 - 1.
        """
        return int(self._orders.integers(2**63))

    def keys(self, steps: int) -> np.ndarray:
        """Return the dropout keys of some steps.

        Parameters
        ----------
        steps : int
            The number of keys.

        Returns
        -------
        array
            ``(steps,)`` int32, uniform over all values.
        """
        return self._keys.integers(-(2**31), 2**31, size=steps, dtype=np.int32)


class TrainingRows:
    """The rows to train on, in memory. The subclasses read them from elsewhere.

    Parameters
    ----------
    data : Batch
        The rows, on the backend or on the host.

    Attributes
    ----------
    counts : tuple of int or None
        The number of rows on each rank, if every rank has its own rows.
    """

    in_memory = True
    counts: tuple[int, ...] | None = None

    def __init__(self, data: Batch) -> None:
        self.data = data

    def __len__(self) -> int:
        return int(self.data.X.shape[-2])

    def __str__(self) -> str:
        return f"{len(self)} rows"

    @property
    def total(self) -> int:
        """The number of rows on all ranks together."""
        return len(self) if self.counts is None else sum(self.counts)

    @property
    def facts(self) -> dict[str, Any]:
        """The facts about the data that must be the same on all ranks, by name."""
        shapes = [part if part is None else tuple(part.shape) for part in self.data]
        if self.counts is None:
            return {"data": shapes}
        return {"columns of X, y and weights": [shape and shape[1:] for shape in shapes]}

    def some(self) -> Batch:
        """Return some of the rows as a ``Batch``.

        Returns
        -------
        Batch
            All rows here; the subclasses may return fewer.
        """
        return self.data

    def order(self, chance: Chance, *, shuffle: bool) -> np.ndarray:
        """Return the order of the rows in an epoch.

        Parameters
        ----------
        chance : Chance
            The random numbers.
        shuffle : bool
            Whether the order is random; otherwise the rows stay as they are.

        Returns
        -------
        array
            ``(n,)``, int64.
        """
        return chance.order(len(self)) if shuffle else np.arange(len(self))

    def spans(self, plan: Epoch) -> Generator[Epoch, None, None]:
        """Yield the steps of an epoch, or of a part of it, as parts whose rows are in memory.

        Parameters
        ----------
        plan : Epoch
            The steps, with the order that :meth:`order` returned.

        Yields
        ------
        Epoch
            Consecutive steps of ``plan``.
        """
        yield plan

    def parts(self) -> Generator[Batch, None, None]:
        """Yield all rows in parts that fit into memory.

        Yields
        ------
        Batch
            One part: ``X (n, n_0)``, ``Y (n, n_L)``, and the weights ``(n, 1)`` or ``None``.
        """
        yield self.data

    def loaded(self) -> "TrainingRows":
        """Return these rows; rows of a file are read into memory if a batch has all of them.

        Returns
        -------
        TrainingRows
            The same rows.
        """
        return self

    def shared(self, group: Group, *, own: bool) -> Self:
        """Return the rows of this rank.

        Parameters
        ----------
        group : Group
            The ranks.
        own : bool
            Whether each rank was given its own rows.

        Returns
        -------
        TrainingRows
            The rows; if each rank has its own, ``counts`` has their number on each rank.
        """
        return self._counted(group) if own else self

    def _counted(self, group: Group) -> Self:
        other = copy(self)
        other.counts = tuple(group.gather(len(self)))
        require(sum(other.counts) > 0, "X has no rows on any rank; give at least one sample")
        return other

    def split(self, fraction: float, chance: Chance) -> tuple["TrainingRows", "TrainingRows"]:
        """Return the training rows and the held-out rows, chosen at random.

        Parameters
        ----------
        fraction : float
            The approximate share of the rows to hold out.
        chance : Chance
            The random numbers.

        Returns
        -------
        tuple of TrainingRows
            The training rows, and the held-out rows.

        Raises
        ------
        TypeError, ValueError
            If ``fraction`` is not a number between 0 and 1, or one of the two parts would be empty.

        Examples
        --------
        >>> rows = TrainingRows(Batch(X=np.arange(8.0)[:, None], Y=np.zeros((8, 1))))
        >>> learnt, kept = rows.split(0.25, Chance(0))
        >>> len(learnt), sorted({*range(8)} - {int(row) for row in learnt.data.X[:, 0]}) == sorted(kept.data.X[:, 0])
        (6, True)
        """
        check_number("validation_fraction", fraction, FRACTION)
        n, backend = len(self), backends.of(self.data.X)
        held = round(n * fraction)
        problem = f"validation_fraction={fraction} would hold out {held} of {n} rows; use another fraction or more rows"
        require(0 < held < n, problem)
        order = backend.asarray(chance.order(n))  # (n,)
        with backend.quiet():
            learnt, kept = rows_of(self.data, order[held:]), rows_of(self.data, order[:held])
        return TrainingRows(learnt), TrainingRows(kept)
