"""The problem of a cell: the same data, start and learning rate for every contestant."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from step_contestants.cells import Cell

ADAM_RATE = 1e-6
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class Problem(NamedTuple):
    """Arrays in float32, resident before anything is timed."""

    cell: Cell
    X: np.ndarray  # (n, n_0)
    Y: np.ndarray  # (n, n_L)   values; with adam, one-hot
    weights: tuple[np.ndarray, ...]  # (n_in, n_out) each
    biases: tuple[np.ndarray, ...]  # (1, n_out) each
    rate: float

    @property
    def labels(self) -> np.ndarray:
        """The classes ``(n,)`` of one-hot targets."""
        return self.Y.argmax(axis=1)  # (n,)

    @property
    def parameters(self) -> list[np.ndarray]:
        """The start: the weights, then the biases."""
        return [*self.weights, *self.biases]

    def copies(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return the start as arrays to write over: weights and biases."""
        return [W.copy() for W in self.weights], [b.copy() for b in self.biases]

    def in_float64(self) -> "Problem":
        """Return the same problem in float64."""
        cell, X, Y, weights, biases, rate = self
        wide = [tuple(part.astype("float64") for part in parts) for parts in (weights, biases)]
        return Problem(cell, X.astype("float64"), Y.astype("float64"), *wide, rate)


def problem(cell: Cell) -> Problem:
    """Return the problem of a cell; it is the same in every process."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((cell.batch, cell.sizes[0]), dtype="float32")  # (n, n_0)
    weights = tuple(_glorot(rng, *shape) for shape in pairwise(cell.sizes))
    biases = tuple(
        np.float32(0.1) * rng.standard_normal((1, n), dtype="float32") for n in cell.sizes[1:]
    )
    return Problem(cell, X, _targets(rng, cell), weights, biases, _rate(cell))


def _glorot(rng: np.random.Generator, n_in: int, n_out: int) -> np.ndarray:
    """Return weights that saturate nothing: standard normal ones over 784 inputs make every sigmoid
    0 or 1, every delta a denormal, and the step ten times slower than anybody's training."""
    limit = np.float32(np.sqrt(6 / (n_in + n_out)))
    return limit * (2 * rng.random((n_in, n_out), dtype="float32") - 1)  # (n_in, n_out)


def _targets(rng: np.random.Generator, cell: Cell) -> np.ndarray:
    n, n_out = cell.batch, cell.sizes[-1]
    if cell.adam:
        return np.eye(n_out, dtype="float32")[rng.integers(n_out, size=n)]  # (n, n_out)
    # Away from 0 and 1, which a sigmoid reaches by saturating.
    return np.float32(0.2) + np.float32(0.6) * rng.random((n, n_out), dtype="float32")  # (n, n_out)


def _rate(cell: Cell) -> float:
    """Return a learning rate at which many thousand steps stay where they started to look alike.

    The loss is a sum over rows, and its curvature grows as rows times width.
    """
    if cell.adam:
        return ADAM_RATE
    return min(1e-3, 10 / (cell.batch * (cell.sizes[0] + cell.hidden)))
