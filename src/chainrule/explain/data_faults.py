"""Data faults: features of very different size, and targets that no weights can give.

Only what the table shows for certain is flagged: whether ``y`` belongs to the rows of ``X`` is not asked.
"""

from collections.abc import Iterator

import numpy as np

from chainrule.explain.evidence import Curve
from chainrule.explain.records import Flag

_LARGEST, _SPREAD = 10.0, 100.0  # rms of a column, and against the median column
_MARGIN = 1e-3  # of the output's range; a target at its border is approached
_CONTRADICTED = 0.5  # of the rows


def features(X: np.ndarray) -> Iterator[Flag]:
    """Yield the largest column where it is far from unit size, or from the median column."""
    sizes = np.sqrt(np.mean(np.square(X.astype(np.float64)), axis=0))  # (d,)
    column, largest, median = int(sizes.argmax()), float(sizes.max()), float(np.median(sizes))
    if largest <= _LARGEST and not (largest > 1.0 and largest > _SPREAD * median > 0):
        return
    what = f"column {column} is of size {largest:.3g} (rms), the median column of {median:.3g}"
    remedy = (
        "bring every column to mean 0 and deviation 1 (chainrule.data.scaling.Scaler.fit(X).apply(X))"
    )
    yield Flag("unscaled features", "X", what, remedy)


def mixed(Y: np.ndarray) -> Iterator[Flag]:
    """Yield a flag where one-hot rows ``Y (n, k)`` were mixed by a reshape in the place of a transpose."""
    n, k = Y.shape
    sums = Y.sum(axis=1)  # (n,)
    if k < 2 or not np.isin(Y, (0, 1)).all() or (sums == 1).all():
        return
    if (Y.reshape(k, n).sum(axis=0) == 1).all():
        row = int(np.argmin(sums == 1))
        what = f"row {row} of y sums to {sums[row]:g}, but every row of y.reshape({k}, {n}).T to 1"
        yield Flag("targets misaligned", "y", what, "use y.T in the place of reshape")


def contradicted(X: np.ndarray, Y: np.ndarray) -> Iterator[Flag]:
    """Yield a flag where half of the rows or more have a twin in ``X (n, d)`` with another target."""
    _, first, groups = np.unique(
        [hash(row.tobytes()) for row in X], return_index=True, return_inverse=True
    )  # (groups,), (n,)
    differs = np.any(Y - Y[first[groups]], axis=1)  # (n,)   from the first of its group
    inside = np.bincount(groups, weights=differs)[groups] > 0  # (n,)
    if inside.mean() < _CONTRADICTED:
        return
    row = int(np.argmax(differs))
    what = (
        f"{inside.sum()} of {len(X)} rows have the same features as another row with another target, such "
        f"as rows {first[groups[row]]} and {row} (from 0): at best the network gives their mean"
    )
    remedy = "look whether y was shuffled or X lost its columns; else more features, or a lower goal"
    yield Flag("contradicting targets", "y against X", what, remedy)


def out_of_reach(Y: np.ndarray, output: Curve) -> Iterator[Flag]:
    """Yield a flag where targets lie outside the values that the output activation takes."""
    span = output.high - output.low
    margin = _MARGIN * (span if np.isfinite(span) else 1.0)
    inside = np.clip(Y, output.low - margin, output.high + margin) == Y  # (n, n_out)
    if inside.all():
        return
    what = (
        f"y is {Y.min():.4g} to {Y.max():.4g}, but the output activation {output.name} gives "
        f"{output.low:.3g} to {output.high:.3g}: {np.sum(~inside)} of {Y.size} targets cannot be reached"
    )
    kinds = np.unique(Y)
    remedy = "use loss='mean_squared_error' with output_activation='identity'"
    if len(kinds) == 2:
        remedy = "give the two values as 0 and 1 with loss='binary_cross_entropy'"
    elif np.array_equal(kinds, np.arange(len(kinds))):
        remedy += ", or for classes loss='cross_entropy' with an output for each"
    if np.abs(Y).max() > _LARGEST:
        remedy += "; bring y to mean 0 and deviation 1"
    yield Flag("targets out of reach", "y", what, remedy)
