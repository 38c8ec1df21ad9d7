"""The plane of two features: a grid of points, and the predictions there."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule.data.inputs import host
from chainrule.mathematics.naming import require

_POINTS = 201  # along each axis of the plane


class Plane(NamedTuple):
    """A grid over two features."""

    first: np.ndarray  # (p,)   values of the feature on the horizontal axis
    second: np.ndarray  # (p,)   values of the feature on the vertical axis
    fixed: np.ndarray  # (d,)   the values of all other features
    features: tuple[int, int]

    def predicted(self, predict: Callable[[np.ndarray], Any]) -> np.ndarray:
        """Return the predictions at each point ``(p, p, k)``, asked for row by row of the grid."""
        rows = []
        for value in self.second:
            X = np.tile(self.fixed, (len(self.first), 1))  # (p, d)
            X[:, self.features[0]], X[:, self.features[1]] = self.first, value
            rows.append(np.asarray(host(predict(X))).reshape(len(X), -1))  # (p, k)
        return np.stack(rows)  # (p, p, k)


def one_column(y: np.ndarray, rows: int) -> np.ndarray:
    """Return targets as one column ``(n,)``; one-hot rows become labels."""
    count = len(y) if y.ndim else "no"
    require(count == rows, f"y has {count} rows but X has {rows}; give one target for each sample")
    return y.argmax(axis=1) if y.size > rows else y.reshape(rows)  # (n,)


def plane_of(X: np.ndarray, features: tuple[int, int]) -> Plane:
    """Return the plane of two features over the range of ``X (n, d)``, at the median of all others."""
    problem = f"X has shape {X.shape}, wanted (n, d) with d of 2 or more: a plane needs two features"
    require(X.ndim == 2 and X.shape[1] > 1 and len(X) > 0, problem)
    (i, j), last = features, X.shape[1] - 1
    problem = f"features is ({i}, {j}); give two different columns of X, from 0 to {last}"
    require(i != j and min(i, j) >= 0 and max(i, j) <= last, problem)
    finite = np.isfinite(X).all(axis=1)  # (n,)
    problem = f"X holds NaN or infinity in row {finite.argmin()}; fill or drop it first"
    require(bool(finite.all()), problem)
    return Plane(_range(X[:, i]), _range(X[:, j]), np.median(X, axis=0), (i, j))


def _range(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    margin = 0.15 * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, _POINTS)  # (p,)


def classes(P: np.ndarray, y: np.ndarray) -> tuple[list[Any], np.ndarray] | None:
    """Return the labels and the share of each at each point ``(p, p, k)``; ``None`` for a quantity.

    One output is a label, or the probability of the second of two classes, or else a quantity.
    """
    own, k = np.unique(y), P.shape[-1]
    if k == 1 and P.dtype.kind != "f":
        labels = np.union1d(P, own)  # (k,)
        return labels.tolist(), (labels == P).astype(np.float64)  # (p, p, k)
    if k == 1:
        if own.dtype.kind in "biuf" and not np.isin(own, (0, 1)).all():
            return None
        second, k = np.clip(P, 0.0, 1.0), 2  # (p, p, 1)
        P = np.concatenate([1.0 - second, second], axis=-1)  # (p, p, 2)
    if own.size == k:
        return own.tolist(), P
    # Some classes may have no sample here.
    are_places = own.dtype.kind in "biuf" and np.isin(own, np.arange(k)).all()
    problem = (
        f"y has {own.size} classes but predict gives {k}; give labels from 0 to {k - 1}, or all of them"
    )
    require(are_places, problem)
    return list(range(k)), P
