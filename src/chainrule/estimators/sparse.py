"""Sparse features: training and prediction on a SciPy matrix, a few dense rows at a time."""

from collections.abc import Generator
from typing import Any

import numpy as np
from scipy.sparse import issparse

from chainrule import NeuralNetwork
from chainrule.data import targets
from chainrule.mathematics.step import Batch
from chainrule.program.engine import Epoch, bounds
from chainrule.training.windows import BufferedRows

BYTES = 2**25  # size of rows made dense at a time, unless a batch is larger


def parts(X: Any, rows: int = 1) -> list[tuple[int, int]]:
    """Return ``(start, stop)`` of the parts of X to make dense at a time, each a multiple of ``rows``.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> parts(csr_array((1000, 10_000)), rows=200)
    [(0, 400), (400, 800), (800, 1000)]
    """
    affordable = BYTES // (8 * X.shape[1])
    return bounds(X.shape[0], max(1, affordable // rows) * rows)


def dense(X: Any) -> Any:
    """Return a sparse X as an array; other X unchanged."""
    return X.toarray() if issparse(X) else X


class SparseRows(BufferedRows):
    """The rows of a SciPy matrix, some of them dense at a time, in the order that dense rows would have.

    Parameters
    ----------
    network
        The network to train.
    data
        X ``(n, n_features)`` of SciPy, Y and the weights.
    batch_size
        Rows a step; ``None``: all.
    """

    def __init__(self, network: NeuralNetwork, data: Batch, batch_size: int | None) -> None:
        net, n = network.architecture, data.X.shape[0]
        door = network._place_for(range(n), batch_size)
        self._spans = parts(data.X, batch_size or n)
        most = self._spans[0][1]
        super().__init__(net, door, most, most, is_weighted=data.weights is not None)
        self._rows = targets.with_targets(*data, net, self._host)

    def __len__(self) -> int:
        return int(self._rows.X.shape[0])

    def some(self) -> Batch:
        """Return the first rows, dense."""
        return self._dense(slice(*parts(self._rows.X)[0]))

    def spans(self, plan: Epoch) -> Generator[Epoch, None, None]:
        """Yield the steps of an epoch in spans whose rows are in the buffer."""
        steps = -(-self._most // plan.bounds[0][1])
        for first in range(0, len(plan.bounds), steps):
            part = plan.part(first, first + steps)
            order = np.asarray(plan.order)[part.bounds[0][0] : part.bounds[-1][1]]  # (rows,)
            for array, rows in zip(self._buffer, self._dense(order), strict=True):
                if array is not None:
                    array[: len(order)] = rows
            yield self._sent(part, np.arange(len(order)))

    def parts(self) -> Generator[Batch, None, None]:
        """Yield all rows, dense, on the backend."""
        for span in parts(self._rows.X):
            yield self._dense(slice(*span)).map(self._backend.asarray)

    def _dense(self, rows: Any) -> Batch:
        X, Y, weights = self._rows
        dense = X[rows].toarray().astype(self._host.dtype)
        return Batch(dense, Y[rows], None if weights is None else weights[rows])
