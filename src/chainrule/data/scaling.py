"""Scaling: columns are scaled to mean 0 and standard deviation 1, and back."""

from collections.abc import Iterable
from functools import reduce
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from chainrule.ranks.group import ALONE, Group

Floats = NDArray[np.floating]


class _Moments(NamedTuple):
    """The number of rows, and for each column its extremes, mean and variance."""

    rows: int
    low: Floats  # (d,)
    high: Floats  # (d,)
    mean: Floats  # (d,)
    variance: Floats  # (d,)

    @classmethod
    def of(cls, block: Floats) -> Self:
        X = np.asarray(block, dtype=np.float64)  # (n, d)
        return cls(len(X), *(f(X, axis=0) for f in (np.min, np.max, np.mean, np.var)))

    def merged(self, other: "_Moments") -> "_Moments":
        """Return the moments of the rows of both."""
        rows = self.rows + other.rows
        if not rows:
            return self
        share, apart = other.rows / rows, other.mean - self.mean  # (), (d,)
        more = other.variance - self.variance + (1 - share) * apart**2  # (d,)
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)  # (d,)
        return _Moments(rows, low, high, self.mean + share * apart, self.variance + share * more)


_NO_ROWS = _Moments(0, *map(np.asarray, (np.inf, -np.inf, 0.0, 0.0)))


class Scaler(NamedTuple):
    """The mean and the scale of each column: the mean is subtracted, and the result is divided by the scale.

    Attributes
    ----------
    mean, scale : array
        ``(d,)``.

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
        """Return the scaler of a matrix. A column with a single value becomes 0.

        Parameters
        ----------
        X : array
            ``(n, d)``.

        Returns
        -------
        Scaler
            Scaler for d columns.
        """
        return cls.over([X])

    @classmethod
    def over(cls, blocks: Iterable[Floats], group: Group = ALONE) -> Self:
        """Return the scaler of the rows of all blocks, in one pass and in float64.

        The mean and variance of each block are merged with those of the blocks before it: T. F. Chan, G. H. Golub and
        R. J. LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.

        Parameters
        ----------
        blocks : iterable of array
            Each ``(n, d)``.
        group : Group
            The blocks of all ranks of the group count; all get the same scaler.

        Returns
        -------
        Scaler
            Scaler for d columns.

        Examples
        --------
        >>> Scaler.over([np.array([[1.0, 5.0]]), np.array([[3.0, 5.0]])])
        Scaler(mean=array([2., 5.]), scale=array([1., 1.]))
        """
        own = reduce(_Moments.merged, map(_Moments.of, blocks), _NO_ROWS)
        moments = reduce(_Moments.merged, group.gather(own))
        # Compared by value: rounding gives a constant column a deviation that is small, not 0.
        constant, deviation = moments.low == moments.high, np.sqrt(moments.variance)  # (d,)
        mean = np.where(constant, moments.low, moments.mean)  # (d,)
        # A deviation that is too small for a float is 0 as well.
        return cls(mean, np.where(constant | (deviation == 0), 1.0, deviation))

    def apply(self, X: Floats, out: Floats | None = None) -> Floats:
        """Return ``(X - mean) / scale``.

        Parameters
        ----------
        X : array
            ``(n, d)``.
        out : array, optional
            ``(n, d)``, for the result.

        Returns
        -------
        array
            ``(n, d)``.
        """
        if out is None:  # X may be of any library: ONNX export records a prediction with its scaler
            return (X - self.mean) / self.scale  # (n, d)
        return np.divide(np.subtract(X, self.mean, out=out), self.scale, out=out)  # (n, d)

    def undo(self, X: Floats) -> Floats:
        """Return ``X * scale + mean``.

        Parameters
        ----------
        X : array
            ``(n, d)``, scaled.

        Returns
        -------
        array
            ``(n, d)``.
        """
        return X * self.scale + self.mean

    def to_dict(self) -> dict[str, list[float]]:
        """Return the scaler for JSON, without rounding.

        Returns
        -------
        dict
            Lists of d floats: ``mean`` and ``scale``.
        """
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}
