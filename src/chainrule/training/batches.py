"""Batches: the order of the rows, the dropout keys and the held-out rows, drawn on the host from the seed."""

from typing import Any

import numpy as np

from chainrule.backends import Backend
from chainrule.mathematics.checks import FRACTION, check_number
from chainrule.mathematics.naming import require
from chainrule.mathematics.step import Batch, rows_of


class Chance:
    """The random numbers of training: permutations and dropout keys, from separate streams.

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

    def order(self, n: int) -> np.ndarray:
        """Return a permutation of the rows ``(n,)``, int64."""
        return self._orders.permutation(n)

    def row_seed(self) -> int:
        """Return a seed for the orders of the rows in each window of an epoch."""
        return int(self._orders.integers(2**63))

    def keys(self, steps: int) -> np.ndarray:
        """Return the dropout keys of ``steps`` steps, ``(steps,)`` int32, uniform over all values."""
        return self._keys.integers(-(2**31), 2**31, size=steps, dtype=np.int32)


def held_out(data: Batch, fraction: float, chance: Chance, backend: Backend) -> tuple[Batch, Batch]:
    """Return the rows to train on and the rows held out: about ``fraction`` of them, chosen at random.

    Raises
    ------
    TypeError, ValueError
        If ``fraction`` is not a number between 0 and 1, or leaves one of the two parts empty.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import backends
    >>> data = Batch(X=np.arange(8.0)[:, None], Y=np.zeros((8, 1)))
    >>> learnt, kept = held_out(data, 0.25, Chance(0), backends.named("numpy"))
    >>> len(learnt.X), sorted({*range(8)} - {int(row) for row in learnt.X[:, 0]}) == sorted(kept.X[:, 0])
    (6, True)
    """
    check_number("validation_fraction", fraction, FRACTION)
    n = data.X.shape[0]
    held = round(n * fraction)
    problem = f"validation_fraction={fraction} would hold out {held} of {n} rows; use another fraction or more rows"
    require(0 < held < n, problem)
    order = backend.asarray(chance.order(n))  # (n,)
    with backend.quiet():
        return rows_of(data, order[held:]), rows_of(data, order[:held])
