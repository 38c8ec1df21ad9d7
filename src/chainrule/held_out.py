"""Held-out rows: a share of the data that training only watches."""

from chainrule.backends import Backend
from chainrule.batches import Chance
from chainrule.step import Batch, rows_of


def held_out(data: Batch, fraction: float, chance: Chance, backend: Backend) -> tuple[Batch, Batch]:
    """Return the rows to train on and the rows held out: about ``fraction`` of them, by lot.

    Raises
    ------
    ValueError
        If ``fraction`` is not between 0 and 1, or leaves one of the two parts empty.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import backends
    >>> data = Batch(X=np.arange(8.0)[:, None], Y=np.zeros((8, 1)))
    >>> learnt, kept = held_out(data, 0.25, Chance(0), backends.named("numpy"))
    >>> len(learnt.X), sorted({*range(8)} - {int(row) for row in learnt.X[:, 0]}) == sorted(kept.X[:, 0])
    (6, True)
    """
    if not 0.0 < fraction < 1.0:
        msg = f"validation_fraction is {fraction}; give a number above 0 and below 1"
        raise ValueError(msg)
    n = data.X.shape[0]
    held = round(n * fraction)
    if not 0 < held < n:
        msg = f"validation_fraction={fraction} holds out {held} of {n} rows; give more rows, or another one"
        raise ValueError(msg)
    order = backend.asarray(chance.order(n))  # (n,)
    return rows_of(data, order[held:]), rows_of(data, order[:held])
