"""Columns: the values of one name in a table, as an array; which of them a network can take, and why not the others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.mathematics.naming import quoted
from chainrule.program.machine import available_bytes

Column = np.ndarray  # (n,), of any dtype; where it holds objects, ``None`` is a gap
Table = dict[str, Column]

_BYTES_A_CELL = 48  # while a table is read: its text, the column, and the matrix of features
_INDEX_NAMES = {"", "Unnamed: 0", "rownames", "row.names"}  # of pandas and of R
MISSING = {"na", "n/a", "#n/a", "nan", "nil", "null", "none", "missing", "?", "-", "--", "."}
"""Words that usually mean that there is no value, in lower case."""

_OTHER_KINDS = {"M": "dates", "m": "durations", "S": "bytes", "V": "records", "c": "complex numbers"}


def unique_names(path: Path, names: Sequence[str]) -> list[str]:
    """Return the names of columns without blanks around them.

    Raises
    ------
    ValueError
        If two of them are then the same.

    Examples
    --------
    >>> unique_names(Path("t.csv"), ["a", " b"])
    ['a', 'b']
    >>> unique_names(Path("t.csv"), ["a", "b", " a"])
    Traceback (most recent call last):
    ...
    ValueError: t.csv has two columns of one name: 'a' (column 1) and ' a' (column 3); rename one of them
    """
    stripped = [name.strip() for name in names]
    for second, name in enumerate(stripped):
        first = stripped.index(name) if len(set(stripped)) < len(stripped) else second
        if first < second:
            msg = (
                f"{path} has two columns of one name: {quoted(names[first])} (column {first + 1}) and "
                f"{quoted(names[second])} (column {second + 1}); rename one of them"
            )
            raise ValueError(msg)
    return stripped


def check_memory(path: Path, size: str, cells: int) -> None:
    """Raise ``ValueError`` where a table of this many cells is too large for the memory that is left.

    A compressed file of a few kilobytes may hold gigabytes.

    Raises
    ------
    ValueError
        It says how much memory the table takes, and how much is free.

    Examples
    --------
    >>> check_memory(Path("t.csv"), "3 lines of 2 columns", 6)
    """
    wanted, left = cells * _BYTES_A_CELL, available_bytes()
    if left is not None and wanted > left:
        msg = (
            f"{path} has {size}, which takes {wanted / 1e9:.1f} GB of memory; {left / 1e9:.1f} GB are free: "
            "give fewer rows"
        )
        raise ValueError(msg)


def as_array(series: Any) -> Column:
    """Return a Polars series as an array ``(n,)``: of objects where it has gaps, or holds lists or records.

    Examples
    --------
    >>> import polars as pl
    >>> as_array(pl.Series([3, None]))
    array([3, None], dtype=object)
    """
    if series.dtype.is_decimal():
        series = series.cast(float)
    if series.dtype.is_nested() or (series.null_count() and not series.dtype.is_float()):
        column = np.empty(len(series), dtype=object)
        column[:] = series.to_list()
        return column
    array: Column = series.to_numpy()
    return array.astype(object) if array.dtype.kind == "U" else array


def is_number(value: Any) -> bool:
    """Return whether a value is a number, or text that is one. Python's ``1_000`` is none in a table.

    Examples
    --------
    >>> is_number(True), is_number("-1e3"), is_number("1_000"), is_number("one")
    (True, True, False, False)
    """
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return not isinstance(value, bytes) and "_" not in str(value)


def as_numbers(values: Column) -> tuple[Column, str]:
    """Return a column as float64 ``(n,)``, and the reason why it is not one finite number a row, if it is not.

    Rows count from 1, the line of names not among them.

    Examples
    --------
    >>> as_numbers(np.array(["3", "4.5"]))
    (array([3. , 4.5]), '')
    >>> as_numbers(np.array([1.0, np.nan]))[1]
    'no value in row 2'
    """
    if values.dtype.kind in "biuf":
        numbers = values.astype(np.float64)
    elif values.dtype.kind in "OUT":
        numbers = np.empty(len(values))
        for row, value in enumerate(values.tolist()):
            if value is not None and not is_number(value):
                kind = "text" if isinstance(value, str) else f"a {type(value).__name__}"
                return numbers, f"{kind}, {quoted(value)} in row {row + 1}"
            numbers[row] = np.nan if value is None else float(value)
    else:
        return values, _OTHER_KINDS.get(values.dtype.kind, f"{values.dtype}")
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if wrong.size == 0:
        return numbers, ""
    what = "no value" if np.isnan(numbers[wrong[0]]) else "an infinite value"
    more = f" and {wrong.size - 1} more" if wrong.size > 1 else ""
    return numbers, f"{what} in row {wrong[0] + 1}{more}"


def gaps(values: Column, words: Sequence[str] = ()) -> Column:
    """Return which rows have no value, ``(n,)`` of bool: a gap, NaN, or one of ``words``.

    A word may be a number, such as -999.

    Examples
    --------
    >>> gaps(np.array(["3", "NA", None], dtype=object), ["NA"]), gaps(np.array([1, -999]), ["-999"])
    (array([False,  True,  True]), array([False,  True]))
    """
    found: Column
    if values.dtype.kind in "Mm":
        found = np.isnat(values)
    elif values.dtype.kind in "biuf":
        stand_ins = [float(word) for word in words if is_number(word)]
        found = np.isnan(values) | np.isin(values, stand_ins)
    else:
        texts = {"", *words}
        found = np.array([v is None or (isinstance(v, str) and v in texts) for v in values.tolist()])
    return found


def never_repeats(values: Column) -> bool:
    """Return whether no two of the values are the same, and they are whole numbers or text.

    Examples
    --------
    >>> never_repeats(np.array([3, 1, 2])), never_repeats(np.array([0.5, 1.5]))
    (True, False)
    """
    if values.dtype.kind in "iu":
        return np.unique(values).size == values.size
    texts = values.tolist()
    return all(isinstance(text, str) for text in texts) and len(set(texts)) == len(texts)


def is_index(name: str, values: Column) -> bool:
    """Return whether a column plainly numbers or names the rows, as data frames write it.

    Examples
    --------
    >>> is_index("", np.array([0, 1, 2])), is_index("id", np.array([0, 1, 2]))
    (True, False)
    """
    return has_index_name(name) and never_repeats(values)


def has_index_name(name: str) -> bool:
    """Return whether data frames write row numbers under this name.

    Examples
    --------
    >>> has_index_name("Unnamed: 0"), has_index_name("id")
    (True, False)
    """
    return name in _INDEX_NAMES or name.startswith("__index_level_")
