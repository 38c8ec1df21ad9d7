"""The data of a cell: the same X and Y, initial weights, batches and learning rate for every contestant.

A contestant is called for a pass: one step on each of several batches, whose rows it gathers from arrays on the device by one
permutation, as training does. Steps on a single batch would find all of it in the cache.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from chainrule.bench.cells import Cell
from chainrule.program.engine import bounds

ADAM_RATE = 1e-6
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
# Limits of a pass by device: batches, bytes of X, floating-point operations, and bytes of updated parameters; but a pass
# has at least two batches. On a GPU a pass is long, so that the wait for its end is negligible.
MOST = {"cpu": (50, 64 << 20, 2e9, 32 << 20), "cuda": (200, 320 << 20, 2e11, 1 << 40)}


class CellData(NamedTuple):
    """Arrays on the host, in the cell's dtype."""

    cell: Cell
    X: np.ndarray  # (batches n, n_0)
    Y: np.ndarray  # (batches n, n_L)   values; with adam, one-hot
    order: np.ndarray  # (batches n,) int64   the order of the rows
    weights: tuple[np.ndarray, ...]  # (n_in, n_out) each
    biases: tuple[np.ndarray, ...]  # (1, n_out) each
    rate: float

    @property
    def steps(self) -> int:
        """The steps of a pass, one for each batch."""
        return len(self.X) // self.cell.batch

    @property
    def bounds(self) -> list[tuple[int, int]]:
        """The start and the end of each batch in the order."""
        return bounds(len(self.X), self.cell.batch)

    @property
    def rows(self) -> list[np.ndarray]:
        """The rows ``(n,)`` of each batch."""
        return [self.order[start:stop] for start, stop in self.bounds]

    def first_batch(self) -> "CellData":
        """Return the data with its first batch only.

        Returns
        -------
        CellData
            ``X (n, n_0)``, ``Y (n, n_L)`` and ``order (n,)`` of n = ``cell.batch`` rows; ``order`` is 0 to n - 1.
        """
        n = self.cell.batch
        return self._replace(X=self.X[:n], Y=self.Y[:n], order=np.arange(n))

    @property
    def labels(self) -> np.ndarray:
        """The classes ``(batches n,)`` of one-hot targets."""
        classes: np.ndarray = self.Y.argmax(axis=1)  # (batches n,)
        return classes

    @property
    def parameters(self) -> list[np.ndarray]:
        """The initial weights, then the biases."""
        return [*self.weights, *self.biases]

    def copies(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return copies of the initial weights and biases.

        Returns
        -------
        weights : list of ndarray
            ``(n_in, n_out)`` each.
        biases : list of ndarray
            ``(1, n_out)`` each.
        """
        return [W.copy() for W in self.weights], [b.copy() for b in self.biases]

    def astype(self, dtype: str) -> "CellData":
        """Return the same data in another dtype.

        Parameters
        ----------
        dtype : str
            "float32" or "float64".

        Returns
        -------
        CellData
            X, Y, weights and biases in this dtype. Arrays that already have it are not copied.
        """
        X, Y = (array.astype(dtype, copy=False) for array in (self.X, self.Y))
        weights, biases = (
            tuple(array.astype(dtype, copy=False) for array in arrays)
            for arrays in (self.weights, self.biases)
        )
        return self._replace(X=X, Y=Y, weights=weights, biases=biases)


def cell_data(cell: Cell, device: str = "cpu") -> CellData:
    """Return the data of a cell; it is the same in every process.

    Parameters
    ----------
    cell : Cell
        The cell.
    device : str
        "cpu", or "cuda" for the longer passes of cells that are measured on a GPU.

    Returns
    -------
    CellData
        Two or more batches, in the dtype of the cell.

    Examples
    --------
    >>> from chainrule.bench.cells import parse
    >>> data = cell_data(parse("2-4-1,4"))
    >>> data.X.shape, data.steps
    ((200, 2), 50)
    """
    rng = np.random.default_rng(0)
    rows = cell.batch * _batches(cell, device)
    X = rng.standard_normal((rows, cell.sizes[0]), dtype="float32")  # (batches n, n_0)
    weights = tuple(_glorot(rng, *shape) for shape in pairwise(cell.sizes))
    biases = tuple(
        np.float32(0.1) * rng.standard_normal((1, n), dtype="float32") for n in cell.sizes[1:]
    )
    Y, order = _targets(rng, cell, rows), rng.permutation(rows)
    return CellData(cell, X, Y, order, weights, biases, _rate(cell)).astype(cell.dtype)


def _batches(cell: Cell, device: str) -> int:
    batches, nbytes, flops, updated = MOST[device]
    fits = (
        nbytes // (cell.batch * cell.sizes[0] * 4),
        int(flops // cell.flops),
        updated // (4 * cell.parameters),
    )
    return max(2, min(batches, *fits))


def _glorot(rng: np.random.Generator, n_in: int, n_out: int) -> np.ndarray:
    """Return initial weights that saturate no sigmoid.

    Standard normal ones over 784 inputs make every sigmoid 0 or 1 and every delta a denormal, which makes a step ten times
    slower than in training.
    """
    limit = np.float32(np.sqrt(6 / (n_in + n_out)))
    return limit * (2 * rng.random((n_in, n_out), dtype="float32") - 1)  # (n_in, n_out)


def _targets(rng: np.random.Generator, cell: Cell, rows: int) -> np.ndarray:
    n_out = cell.sizes[-1]
    if cell.rule == "adam":
        return np.eye(n_out, dtype="float32")[rng.integers(n_out, size=rows)]  # (rows, n_out)
    # Away from 0 and 1, which a sigmoid reaches by saturating.
    spread = np.float32(0.6) * rng.random((rows, n_out), dtype="float32")  # (rows, n_out)
    return np.float32(0.2) + spread  # (rows, n_out)


def _rate(cell: Cell) -> float:
    """Return a learning rate so small that many thousand steps hardly change the loss.

    The loss is a sum over rows, and its curvature grows as rows times width.
    """
    if cell.rule == "adam":
        return ADAM_RATE
    return min(1e-3, 10 / (cell.batch * (cell.sizes[0] + cell.hidden)))
