"""Data faults: columns of very different size, and targets that no weights can give.

Only what the table shows for certain is flagged, not whether ``y`` belongs to the rows of ``X``.
"""

from collections.abc import Iterator

import numpy as np

from chainrule.explain.evidence import Curve
from chainrule.explain.faults import flag
from chainrule.explain.records import Flag

_LARGEST, _SPREAD = 10.0, 100.0  # rms of a column, and against the median column
_MARGIN = 1e-3  # of the output's range; targets at its border can be approached
_CONTRADICTED = 0.5  # of the rows


def features(X: np.ndarray) -> Iterator[Flag]:
    """Yield a flag if the largest column is far from unit size, or from the median column."""
    sizes = np.sqrt(np.mean(np.square(X.astype(np.float64)), axis=0))  # (d,)
    column, largest, median = int(sizes.argmax()), float(sizes.max()), float(np.median(sizes))
    if largest > _LARGEST or (largest > 1.0 and largest > _SPREAD * median > 0):
        yield flag("unscaled features", "X", column=column, largest=largest, median=median)


def mixed(Y: np.ndarray) -> Iterator[Flag]:
    """Yield a flag if a reshape, used instead of a transpose, mixed the one-hot rows of ``Y (n, k)``."""
    n, k = Y.shape
    sums = Y.sum(axis=1)  # (n,)
    if k < 2 or not np.isin(Y, (0, 1)).all() or (sums == 1).all():
        return
    if (Y.reshape(k, n).sum(axis=0) == 1).all():
        row = int(np.argmin(sums == 1))
        yield flag("targets misaligned", "y", row=row, sum=sums[row], k=k, n=n)


def contradicted(X: np.ndarray, Y: np.ndarray) -> Iterator[Flag]:
    """Yield a flag if half of the rows or more have a twin in ``X (n, d)`` with another target."""
    _, first, groups = np.unique(
        [hash(row.tobytes()) for row in X], return_index=True, return_inverse=True
    )  # (groups,), (n,)
    differs = np.any(Y - Y[first[groups]], axis=1)  # (n,)   from the first row of its group
    inside = np.bincount(groups, weights=differs)[groups] > 0  # (n,)
    if inside.mean() >= _CONTRADICTED:
        row = int(np.argmax(differs))
        counts = {"count": inside.sum(), "rows": len(X), "first": first[groups[row]], "row": row}
        yield flag("contradicting targets", "y against X", **counts)


def out_of_reach(Y: np.ndarray, output: Curve) -> Iterator[Flag]:
    """Yield a flag if targets lie outside the range of the output activation."""
    span = output.high - output.low
    margin = _MARGIN * (span if np.isfinite(span) else 1.0)
    inside = np.clip(Y, output.low - margin, output.high + margin) == Y  # (n, n_out)
    if inside.all():
        return
    kinds = np.unique(Y)
    remedy = "use loss='mean_squared_error' with output_activation='identity'"
    if len(kinds) == 2:
        remedy = "give the two values as 0 and 1 with loss='binary_cross_entropy'"
    elif np.array_equal(kinds, np.arange(len(kinds))):
        remedy += ", or for classes loss='cross_entropy' with an output for each"
    if kinds[-1] > _LARGEST or kinds[0] < -_LARGEST:
        remedy += "; bring y to mean 0 and deviation 1"
    counts = {"count": np.sum(~inside), "size": Y.size, "smallest": kinds[0], "largest": kinds[-1]}
    yield flag("targets out of reach", "y", curve=output, remedy=remedy, **counts)
