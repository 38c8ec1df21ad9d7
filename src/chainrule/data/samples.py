"""Samples: a table made into features and a target, and the rows held out of it."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from chainrule.data.tables import Column, Table, column, numbers
from chainrule.mathematics.naming import nearest

Task = Literal["classification", "regression"]
Label = str | int | float | bool

_MOST_CLASSES = 50


class Samples(NamedTuple):
    """Features and targets on the host, one row a sample."""

    X: np.ndarray  # (n, d), float64
    y: np.ndarray  # (n,), int64 places in `labels`, or float64 values
    features: list[str]  # names of the columns of X
    labels: Sequence[Label]  # sorted; empty for regression
    task: Task


def features_and_target(table: Table, target: str, task: str | None = None) -> Samples:
    """Return the column ``target`` as what is to be learnt and all others as features.

    Without a ``task``, the target decides. Text and booleans are classes. So are integers that take
    two values, or more but at most 50 and at most the square root of the number of rows. Other
    integers, and floats, are quantities: regression.

    Parameters
    ----------
    table
        Columns by name, as :func:`chainrule.data.tables.read_table` returns them.
    target
        The name of the column to learn.
    task
        ``"classification"`` or ``"regression"``, to say it instead.

    Raises
    ------
    ValueError
        If a column or value is missing, a feature is no number (both named), or there is nothing
        to learn.

    Examples
    --------
    >>> table = {"size": np.array([1.0, 2.0]), "kind": np.array(["cat", "dog"])}
    >>> samples = features_and_target(table, "kind")
    >>> samples.X.shape, samples.y, samples.labels, samples.task
    ((2, 1), array([0, 1]), ['cat', 'dog'], 'classification')
    """
    if task not in {None, "classification", "regression"}:
        known = ["classification", "regression"]
        msg = f"unknown task {task!r}{nearest(str(task), known)} (known: {', '.join(known)})"
        raise ValueError(msg)
    wanted = column(table, target, "the target")
    features = [name for name in table if name != target]
    if not features:
        msg = f"the table has only the column {target!r}; it needs features to learn from"
        raise ValueError(msg)
    X = numbers(table, features, "a feature")
    _refuse_gaps(wanted, target)
    if task == "regression" or (task is None and not _is_class(wanted)):
        y = numbers({target: wanted}, [target], "the target")[:, 0]
        return Samples(X, y, features, [], "regression")
    y, labels = _encode(wanted, target)
    return Samples(X, y, features, labels, "classification")


def _is_class(values: Column) -> bool:
    if values.dtype.kind in "iu":
        distinct = np.unique(values).size
        return distinct == 2 or distinct <= min(_MOST_CLASSES, values.size**0.5)
    return values.dtype.kind in "OUSTb"


def _refuse_gaps(values: Column, name: str) -> None:
    gaps = np.isnan(values) if values.dtype.kind == "f" else np.array([v is None for v in values])
    if gaps.any():
        msg = f"row {gaps.argmax() + 1} has no value in the target column {name!r}; drop the row"
        raise ValueError(msg)
    if np.unique(values).size == 1:
        msg = f"the target column {name!r} is {values[:1].tolist()[0]!r} in every row; there is nothing to learn"
        raise ValueError(msg)


def _encode(values: Column, name: str) -> tuple[np.ndarray, list[Label]]:
    labels, y = np.unique(values, return_inverse=True)
    if labels.size == values.size > 2:
        msg = f"every row has a target {name!r} of its own, wanted classes; or say --task regression"
        raise ValueError(msg)
    if labels.dtype.kind == "f" and np.array_equal(labels, np.trunc(labels)):
        labels = labels.astype(np.int64)
    return y.astype(np.int64), labels.tolist()


def split(
    samples: Samples, fraction: float, rng: "np.random.Generator"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to train on and the rows held out: two sorted arrays of indices.

    About ``fraction`` of the rows are held out, by lot; of classes, the same share of each, and
    never all rows of one.

    Raises
    ------
    ValueError
        If ``fraction`` is not between 0 and 1, or leaves one of the two parts empty.

    Examples
    --------
    >>> samples = Samples(np.zeros((10, 1)), np.arange(10.0), ["x"], [], "regression")
    >>> learnt, kept = split(samples, 0.2, np.random.default_rng(0))
    >>> len(learnt), len(kept)
    (8, 2)
    """
    if not 0 < fraction < 1:
        msg = f"the held-out fraction must lie between 0 and 1, got {fraction:g}; 0.2 is a fifth"
        raise ValueError(msg)
    groups = samples.y if samples.labels else np.zeros(len(samples.y), dtype=np.int64)
    place = _places(groups, rng)
    held = min(round(fraction * place.size), int(np.sum(place < 1)))
    if not 0 < held < place.size:
        msg = f"{place.size} rows cannot be split with {fraction:g} held out; give more rows"
        raise ValueError(msg)
    order = np.argsort(place, kind="stable")
    return np.sort(order[held:]), np.sort(order[:held])


def _places(groups: np.ndarray, rng: "np.random.Generator") -> np.ndarray:
    """Spread the rows of each group evenly over (0, 1), in the order of a lot; its last is at 1.

    Any leading part of the rows so ordered holds the same share of every group.
    """
    place = np.empty(groups.size)
    for group in np.unique(groups):
        rows = rng.permutation(np.flatnonzero(groups == group))
        place[rows] = (np.arange(rows.size) + rng.random()) / rows.size
        place[rows[-1]] = 1.0
    return place
