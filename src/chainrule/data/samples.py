"""Samples: the features and the target of a table, and its held-out rows."""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from chainrule.data import tables
from chainrule.data.tables import Column, Table, as_numbers, column, gaps, is_number, numbers
from chainrule.mathematics.checks import FRACTION, check_number
from chainrule.mathematics.naming import check_known, quoted, require

Task = Literal["classification", "regression"]
Label = str | int | float | bool

MOST_CLASSES = 50  # distinct whole numbers, unless --task asks for classes
_MAY_NUMBER = "a whole number that never repeats; if it only numbers the rows, leave it out with --drop"
_FEW_ROWS = 10  # in fewer rows, distinct whole numbers are often not row numbers
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")  # as an integer is printed
_CODE = re.compile(r"0[0-9]+")  # such as 007, which is not how an integer is printed


class Use(NamedTuple):
    """What a column of a table is used for, and the reason."""

    name: str
    role: Literal["target", "feature", "left out", "refused"]
    reason: str
    doubtful: bool = False  # the choice was automatic, and may be wrong


class Samples(NamedTuple):
    """Features and targets on the host, with a row for each sample."""

    X: np.ndarray  # (n, d), float64
    y: np.ndarray  # (n,), int64 indices into `labels`, or float64 values
    features: list[str]  # names of the columns of X
    labels: Sequence[Label]  # sorted; empty for regression
    task: Task
    uses: Sequence[Use] = ()  # one for each column of the table
    left_out: int = 0  # rows without a value


class ColumnChoice(NamedTuple):
    """The columns and rows of a table to learn from."""

    drop: Sequence[str] = ()  # columns to leave out
    features: Sequence[str] | None = None  # None: all but the target and an index
    missing: Sequence[str] | None = None  # words for gaps, whose rows are left out; None: refuse gaps


ALL = ColumnChoice()


def features_and_target(
    table: Table, target: str, task: str | None = None, choice: ColumnChoice = ALL
) -> Samples:
    """Return one column of a table as the target, and the other columns as features.

    Without a ``task``, the target decides. Text and booleans are classes. So are integers with two values, or with at
    most 50 values and at most the square root of the number of rows. Other integers, and floats, are quantities: regression.

    Parameters
    ----------
    table : dict of str to array
        Columns by name, as :func:`chainrule.data.tables.read_table` returns them.
    target : str
        The name of the column to learn.
    task : str, optional
        ``"classification"`` or ``"regression"``, if the target does not decide.
    choice : ColumnChoice
        Columns to leave out or to use, and words for a missing value. An index, which numbers or names
        the rows, is left out unless ``choice.features`` names it.

    Returns
    -------
    Samples
        ``X (n, d)`` float64 and ``y (n,)``, with the names of the features and of the classes.

    Raises
    ------
    ValueError
        If a column or a value is missing, features are not numbers (each is named), the target is neither clearly
        classes nor clearly a quantity, or there is nothing to learn.

    Examples
    --------
    >>> table = {"size": np.array([1.0, 2.0]), "kind": np.array(["cat", "dog"])}
    >>> samples = features_and_target(table, "kind")
    >>> samples.X.shape, samples.y, samples.labels, samples.task
    ((2, 1), array([0, 1]), ['cat', 'dog'], 'classification')
    """
    if task is not None:
        check_known("task", task, ["classification", "regression"])
    rows, uses = _examined(table, target, choice)
    features = [name for name in rows if name != target]
    problem = f"the table has only the column {quoted(target)} to use; it needs features to learn from"
    require(bool(features), problem)
    refused = quoted(",".join(use.name for use in uses if use.role == "refused"), 300)
    remedy = (
        f"leave columns out with --drop {refused}, rows with a gap or a word for it with --missing 'NA,?', or "
        "turn text and dates into numbers first, such as a column of 0 and 1 for each word"
    )
    X = numbers(rows, features, "a feature", remedy)
    y, labels = _target(rows[target], target, task, choice)
    kind: Task = "classification" if labels else "regression"
    return Samples(X, y, features, labels, kind, uses, len(table[target]) - len(y))


def uses_of(table: Table, target: str, choice: ColumnChoice = ALL) -> list[Use]:
    """Return the use of each column, and the reason.

    Parameters
    ----------
    table, target, choice
        As in :func:`features_and_target`.

    Returns
    -------
    list of Use
        One for each column, in the order of the table.

    Raises
    ------
    ValueError
        If a column that is named does not exist.

    Examples
    --------
    >>> table = {"": np.array([1, 2]), "size": np.array([1.0, 2.0]), "kind": np.array(["cat", "dog"])}
    >>> for use in uses_of(table, "kind"):
    ...     print(repr(use.name), use.role, use.reason, sep=", ")
    '', left out, an index: it numbers or names the rows
    'size', feature, a number
    'kind', target, the column to learn
    """
    return _examined(table, target, choice)[1]


def _examined(table: Table, target: str, choice: ColumnChoice) -> tuple[Table, list[Use]]:
    """Return the columns to use, without rows that have no value if asked, and the use of every column."""
    for name in (target, *choice.drop, *(choice.features or ())):
        column(table, name, "the target" if name == target else "--drop or --features")
    uses = {name: _left_out(name, values, target, choice) for name, values in table.items()}
    rows = {name: values for name, values in table.items() if uses[name] is None}
    if choice.missing is not None:
        kept = ~np.any([gaps(values, choice.missing) for values in rows.values()], axis=0)  # (n,)
        problem = "no row has a value in every column; leave out columns with gaps (--drop)"
        require(kept.any(), problem)
        rows = {name: values[kept] for name, values in rows.items()}
    return rows, [use or _use(name, rows[name], target) for name, use in uses.items()]


def _left_out(name: str, values: Column, target: str, choice: ColumnChoice) -> Use | None:
    taken = name not in choice.drop and (choice.features is None or name in choice.features)
    if name == target or (taken and (choice.features is not None or not tables.is_index(name, values))):
        return None
    reason = "an index: it numbers or names the rows" if taken else "as asked"
    return Use(name, "left out", reason, doubtful=taken)


def _use(name: str, values: Column, target: str) -> Use:
    if name == target:
        return Use(name, "target", "the column to learn")
    if problem := as_numbers(values)[1]:
        return Use(name, "refused", problem)
    if values.dtype.kind in "iu" and len(values) >= _FEW_ROWS and tables.never_repeats(values):
        return Use(name, "feature", _MAY_NUMBER, doubtful=True)
    return Use(name, "feature", "a number")


def _target(
    values: Column, name: str, task: str | None, choice: ColumnChoice
) -> tuple[Column, list[Label]]:
    """Return the targets as indices into the labels, and the labels; or quantities and no labels."""
    shown, gap = f"the target column {quoted(name)}", gaps(values)  # gap (n,)
    remedy = "drop the row, or leave such rows out with --missing ''"
    require(not gap.any(), f"row {gap.argmax() + 1} has no value in {shown}; {remedy}")
    values = _plain(values, shown)
    if values.dtype.kind == "O":
        _ask(values, shown, task, choice)
        values = _spelled(values, task)
    quantities, problem = as_numbers(values)
    needs_numbers = values.dtype.kind != "O" or task == "regression"
    require(not (needs_numbers and problem), f"{shown} has {problem}; correct it or drop the row")
    distinct, y = np.unique(values, return_inverse=True)
    labels = class_labels(distinct, values.size, name, task)
    return (y.astype(np.int64), labels) if labels else (quantities, [])


def class_labels(distinct: Column, rows: int, name: str, task: str | None) -> list[Label]:
    """Return the classes of a target; none if its values are quantities.

    Parameters
    ----------
    distinct : array
        ``(k,)``, the sorted distinct values.
    rows : int
        The number of rows.
    name : str
        The name of the column, for error messages.
    task : str, optional
        As in :func:`features_and_target`.

    Returns
    -------
    list
        The classes, sorted.

    Raises
    ------
    ValueError
        If there is only one value, or every row has its own value.

    Examples
    --------
    >>> class_labels(np.array([0.0, 0.5]), 100, "y", None), class_labels(np.array([0, 1]), 100, "y", None)
    ([], [0, 1])
    """
    shown = f"the target column {quoted(name)}"
    shared = f"{shown} is {quoted(distinct.tolist()[0])} in every row; there is nothing to learn"
    require(distinct.size > 1, shared)
    if task == "regression" or (task is None and not _is_class(distinct, rows)):
        return []
    own = f"every row has a value of its own in {shown}, wanted classes; for a quantity give --task regression"
    require(distinct.size < rows or distinct.size == 2, own)
    if distinct.dtype.kind == "f" and np.array_equal(distinct, distinct.astype(np.int64)):
        distinct = distinct.astype(np.int64)
    labels: list[Label] = distinct.tolist()
    return labels


def _plain(values: Column, shown: str) -> Column:
    """Return numbers and booleans unchanged, and text as an array of objects; refuse other values."""
    kinds = {type(value) for value in values.tolist()} if values.dtype.kind in "OUT" else set()
    if values.dtype.kind in "biuf":
        return values
    if not kinds or not kinds <= {str, int, float, bool}:
        got = as_numbers(values)[1] or " and ".join(sorted(kind.__name__ for kind in kinds))
        msg = f"{shown} holds {got}; wanted numbers, text or booleans: convert it first"
        raise ValueError(msg)
    if str in kinds:
        return np.array([str(value) for value in values.tolist()], dtype=object)
    return np.array(values.tolist())


def _ask(texts: Column, shown: str, task: str | None, choice: ColumnChoice) -> None:
    """Raise if a word may mean a missing value, or if there are a few words among numbers."""
    distinct, rows, counts = np.unique(texts, return_index=True, return_counts=True)
    is_word = np.array([not is_number(text) for text in distinct.tolist()])  # (k,)
    words = int(counts[is_word].sum())
    among_numbers = task is None and 0 < words <= texts.size / 2
    words_for_gaps = tables.MISSING if choice.missing is None else ()
    missing = np.array([text.lower() in words_for_gaps for text in distinct.tolist()])  # (k,)
    doubtful = missing | (is_word & among_numbers)  # (k,)
    if doubtful.any():
        row = rows[doubtful].min()
        word, keep = quoted(texts[row]), "--task classification" if among_numbers else "--missing ''"
        msg = (
            f"row {row + 1} has {word} in {shown}, which has {texts.size - words} numbers and {words} words; leave "
            f"such rows out with --missing {word}, or keep it as a class with {keep}"
        )
        raise ValueError(msg)


def _spelled(texts: Column, task: str | None) -> Column:
    """Return numbers written as text as numbers, unless they are classes or codes that would lose their spelling."""
    if all(_WHOLE.fullmatch(text) for text in texts):
        return np.array([int(text) for text in texts])
    is_code = any(_CODE.fullmatch(text) for text in texts)
    if task == "classification" or (task is None and is_code) or not all(map(is_number, texts)):
        return texts
    return np.array([float(text) for text in texts])


def _is_class(distinct: Column, rows: int) -> bool:
    if distinct.dtype.kind in "iu":
        return distinct.size == 2 or distinct.size <= min(MOST_CLASSES, rows**0.5)
    return distinct.dtype.kind in "Ob"


def split(
    samples: Samples, fraction: float, rng: "np.random.Generator"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the training rows and the held-out rows, chosen at random.

    If the targets are classes, the same share of each class is held out, and never all rows of one.

    Parameters
    ----------
    samples : Samples
        The rows.
    fraction : float
        The share of the rows to hold out, about.
    rng : numpy.random.Generator
        The random numbers.

    Returns
    -------
    tuple of array
        Two sorted arrays of row numbers.

    Raises
    ------
    ValueError
        If ``fraction`` is not between 0 and 1, or one of the two parts would be empty.

    Examples
    --------
    >>> samples = Samples(np.zeros((10, 1)), np.arange(10.0), ["x"], [], "regression")
    >>> learnt, kept = split(samples, 0.2, np.random.default_rng(0))
    >>> len(learnt), len(kept)
    (8, 2)
    """
    check_number("the held-out fraction", fraction, FRACTION)
    groups = samples.y if samples.labels else np.zeros(len(samples.y), dtype=np.int64)
    place = _places(groups, rng)
    held = min(round(fraction * place.size), int(np.sum(place < 1)))
    problem = f"{place.size} rows cannot be split with {fraction:g} held out; give more rows"
    require(0 < held < place.size, problem)
    order = np.argsort(place, kind="stable")
    return np.sort(order[held:]), np.sort(order[:held])


def _places(groups: np.ndarray, rng: "np.random.Generator") -> np.ndarray:
    """Spread the rows of each group evenly over (0, 1), in random order; its last row is at 1.

    The first part of the rows in this order, of any length, has the same share of every group.
    """
    place = np.empty(groups.size)
    _, sizes = np.unique(groups, return_counts=True)
    # Sort only once: there may be as many groups as rows.
    for group in np.split(np.argsort(groups, kind="stable"), np.cumsum(sizes)[:-1]):
        rows = rng.permutation(group)
        place[rows] = (np.arange(rows.size) + rng.random()) / rows.size
        place[rows[-1]] = 1.0
    return place
