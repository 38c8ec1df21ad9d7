"""Tables: named columns read from a file.

CSV and gzipped CSV are split by Polars (the extra ``data``) or the standard library; Parquet is read by Polars, npz by
NumPy.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chainrule._version import how_to_install
from chainrule.data.columns import Column, Table, as_array, as_numbers, check_memory, unique_names
from chainrule.data.delimited import COMMAS, Dialect, read_delimited
from chainrule.mathematics.naming import nearest, one_line, quoted, require
from chainrule.saving.files import PathLike

_SUFFIXES = (".csv", ".csv.gz", ".parquet", ".npz")


def read_table(path: PathLike, dialect: Dialect = COMMAS) -> Table:
    """Return the columns of a table, by name and in the order of the file.

    Parameters
    ----------
    path
        A file whose name ends in ``.csv``, ``.csv.gz`` (both with a line of column names),
        ``.parquet`` or ``.npz``. An npz file holds either one array a column, or ``X (n, d)`` and
        ``y (n,)``, whose columns are then called ``X_0``, ``X_1``, … and ``y``.
    dialect
        How CSV is written: its encoding, the separator, and columns to keep as text.

    Returns
    -------
    dict of str to array
        Columns ``(n,)``; in arrays of objects ``None`` is a gap.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is of another kind, cannot be read, holds no rows, or has two columns of one name.
    ModuleNotFoundError
        If Polars is needed and not installed.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/t.npz", X=np.eye(3), y=np.arange(3))
    ...     list(read_table(f"{folder}/t.npz"))
    ['X_0', 'X_1', 'X_2', 'y']
    """
    path = Path(path)
    problem = f"{path} is a folder; give a file" if path.is_dir() else f"there is no file {path}"
    require(path.is_file(), problem, FileNotFoundError)
    problem = f"{path}: unsupported table format; use one of {', '.join(_SUFFIXES)}"
    require(path.name.lower().endswith(_SUFFIXES), problem)
    problem = f"{path} is empty; give a table with a line of column names and at least one row"
    require(path.stat().st_size > 0, problem)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        table = _read_npz(path)
    else:
        table = _read_parquet(path) if suffix == ".parquet" else read_delimited(path, dialect)
    rows = min((len(column) for column in table.values()), default=0)
    require(rows > 0, f"{path} holds no rows; give a table with at least one")
    return table


def polars(name: str) -> Any:
    """Return Polars, which reading ``name`` needs.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed.

    Examples
    --------
    >>> polars("t.parquet").__name__
    'polars'
    """
    try:
        import polars as pl
    except ModuleNotFoundError as missing:
        msg = f"reading {name} needs Polars, which is not installed; {how_to_install('data')}"
        raise ModuleNotFoundError(msg) from missing
    return pl


def _read_parquet(path: Path) -> Table:
    pl = polars(path.name)
    try:
        lazy = pl.scan_parquet(path)
        rows, columns = lazy.select(pl.len()).collect().item(), len(lazy.collect_schema())
        check_memory(path, f"{rows:,} rows of {columns:,} columns", rows * columns)
        frame = lazy.with_columns(
            pl.selectors.by_dtype(pl.Categorical, pl.Enum).cast(pl.String)
        ).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        msg = f"{path} cannot be read ({one_line(error)}); is it damaged, or of another format?"
        raise ValueError(msg) from error
    return dict(zip(unique_names(path, frame.columns), map(as_array, frame), strict=True))


def _read_npz(path: Path) -> Table:
    import zipfile  # here, as gzip and csv elsewhere, so that `import chainrule` stays light

    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError):
        size = 0
    check_memory(path, f"{size:,} bytes", size // 8)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # NumPy raises whatever the layer that failed raises
        msg = f"{path} cannot be read as npz; write it with numpy.savez, without object arrays"
        raise ValueError(msg) from error
    columns = list(_columns_of(arrays))
    shapes = ", ".join(f"{quoted(name)} {array.shape}" for name, array in arrays.items())
    problem = f"{path} holds {shapes}; wanted X (n, d) and y (n,), or one array (n,) a column"
    require(all(column.ndim == 1 for _, column in columns), problem)
    problem = f"{path} holds columns of different lengths: {shapes}; wanted one length"
    require(len({len(column) for _, column in columns}) < 2, problem)
    names = unique_names(path, [name for name, _ in columns])
    return dict(zip(names, (column for _, column in columns), strict=True))


def _columns_of(arrays: Table) -> Iterable[tuple[str, Column]]:
    for name, array in arrays.items():
        if name == "X" and array.ndim == 2:
            for i in range(array.shape[1]):
                yield f"X_{i}", array[:, i]
        elif array.ndim == 2 and array.shape[1] == 1:
            yield name, array[:, 0]
        else:
            yield name, array


def column(table: Table, name: str, purpose: str) -> Column:
    """Return the column called ``name``, or raise with the nearest name there is.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> column({"width": np.array([1.0])}, "widht", "the target")
    Traceback (most recent call last):
    ...
    ValueError: there is no column 'widht' for the target; did you mean 'width'? (columns: 'width')
    """
    if name in table:
        return table[name]
    names = list(table)
    listed = ", ".join(map(quoted, names[:8])) + (", …" if len(names) > 8 else "")
    msg = f"there is no column {quoted(name)} for {purpose}{nearest(name, names)} (columns: {listed})"
    raise ValueError(msg)


def numbers(
    table: Table, names: Sequence[str], purpose: str, remedy: str = "fill or correct it first"
) -> np.ndarray:
    """Return the columns ``names`` as one float64 matrix ``(n, len(names))``.

    Rows count from 1 in the messages, the line of column names not among them.

    Parameters
    ----------
    table
        Columns by name.
    names
        Those to take, in this order.
    purpose, remedy
        What they are for, and what to do where one cannot be taken.

    Raises
    ------
    ValueError
        If a column is missing, or columns are not one finite number in every row; each is named.

    Examples
    --------
    >>> numbers({"a": np.array([1, 2]), "b": np.array(["3", "4.5"])}, ["a", "b"], "a feature")
    array([[1. , 3. ],
           [2. , 4.5]])
    """
    columns, problems = [], []
    for name in names:
        values, problem = as_numbers(column(table, name, purpose))
        columns.append(values)
        problems += [f"{quoted(name)} ({problem})"] if problem else []
    more = f" and {len(problems) - 8} more" if len(problems) > 8 else ""
    require(not problems, f"wanted one number a row in {', '.join(problems[:8])}{more}; {remedy}")
    return np.column_stack(columns)
