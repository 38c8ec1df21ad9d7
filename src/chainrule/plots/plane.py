"""The plane of two features: a grid of points, and the meaning of the predictions there."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule.data.inputs import host
from chainrule.mathematics.naming import require

_POINTS = 201  # along each axis of the plane
_ROWS_AT_ONCE = 4096


class Plane(NamedTuple):
    """A grid over two features."""

    first: np.ndarray  # (p,)   values of the feature across
    second: np.ndarray  # (p,)   and of the one upwards
    fixed: np.ndarray  # (d,)   where the plane lies in all others
    features: tuple[int, int]

    def predicted(self, predict: Callable[[np.ndarray], Any]) -> np.ndarray:
        """Return the predictions at each point ``(p, p, k)``."""
        across, upwards = np.meshgrid(self.first, self.second)  # (p, p)
        pairs = np.stack([across.ravel(), upwards.ravel()], axis=1)  # (p p, 2)
        parts = []
        for start in range(0, len(pairs), _ROWS_AT_ONCE):
            some = pairs[start : start + _ROWS_AT_ONCE]
            X = np.tile(self.fixed, (len(some), 1))  # (rows, d)
            X[:, list(self.features)] = some
            parts.append(np.asarray(host(predict(X))).reshape(len(some), -1))  # (rows, k)
        return np.concatenate(parts).reshape(*across.shape, -1)


def one_column(y: np.ndarray, rows: int) -> np.ndarray:
    """Return targets as one column ``(n,)``; one-hot rows become labels."""
    count = len(y) if y.ndim else "no"
    require(count == rows, f"y has {count} rows but X has {rows}; give one target for each sample")
    one_hot = y.ndim == 2 and y.shape[1] > 1
    column: np.ndarray = np.argmax(y, axis=1) if one_hot else np.reshape(y, rows)  # (n,)
    return column


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


def are_classes(y: np.ndarray, P: np.ndarray) -> bool:
    """Return whether one output is a label, or the probability of the second of two classes."""
    return P.dtype.kind != "f" or y.dtype.kind not in "biuf" or set(np.unique(y).tolist()) <= {0, 1}


def classes(P: np.ndarray, y: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """Return the labels, and the share of each at each point: ``(p, p, k)``."""
    given = np.unique(y)
    if P.shape[-1] == 1 and P.dtype.kind != "f":
        labels = np.unique(np.concatenate([np.unique(P), given]))
        return labels.tolist(), (labels == P).astype(np.float64)  # (p, p, k)
    if P.shape[-1] == 1:
        one = np.clip(P, 0.0, 1.0)  # (p, p, 1)   the probability of the second class
        P = np.concatenate([1.0 - one, one], axis=-1)  # (p, p, 2)
    k = P.shape[-1]
    if given.size == k:
        return given.tolist(), P
    if given.dtype.kind in "biuf" and np.isin(given, np.arange(k)).all():  # some have no sample here
        return list(range(k)), P
    msg = f"y has {given.size} classes but predict gives {k}; give labels from 0 to {k - 1}, or all of them"
    raise ValueError(msg)
