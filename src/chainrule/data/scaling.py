"""Scaling: columns brought to mean 0 and standard deviation 1, and back."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


class Scaler(NamedTuple):
    """What is subtracted from each column, and what it is then divided by.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 5.0], [3.0, 5.0]])
    >>> scaler = Scaler.fit(X)
    >>> scaler.apply(X)
    array([[-1.,  0.],
           [ 1.,  0.]])
    >>> scaler.undo(scaler.apply(X))
    array([[1., 5.],
           [3., 5.]])
    """

    mean: Floats  # (d,)
    scale: Floats  # (d,)

    @classmethod
    def fit(cls, X: Floats) -> Self:
        """Return the scaler of ``X (n, d)``. A column of one value keeps its scale: it becomes 0."""
        # Compared by value: rounding gives a constant column a deviation that is small, not 0.
        constant = np.min(X, axis=0) == np.max(X, axis=0)  # (d,)
        mean = np.where(constant, X[0], np.mean(X, axis=0))  # (d,)
        deviation = np.std(X, axis=0)  # (d,)   0 as well where it is too small for a float
        return cls(mean, np.where(constant | (deviation == 0), 1.0, deviation))

    def apply(self, X: Floats) -> Floats:
        """Return ``(X - mean) / scale``, for ``X (n, d)``."""
        return (X - self.mean) / self.scale

    def undo(self, X: Floats) -> Floats:
        """Return ``X * scale + mean``, for ``X (n, d)`` that was scaled."""
        return X * self.scale + self.mean

    def to_dict(self) -> dict[str, list[float]]:
        """Return the scaler as JSON has it, to the last bit."""
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}
