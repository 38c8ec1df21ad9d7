"""Tables: named columns read from a file, and the numbers taken out of them.

CSV, gzipped CSV and Parquet are read by Polars (the extra ``data``), npz by NumPy.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.mathematics.naming import nearest
from chainrule.saving.files import PathLike

Column = np.ndarray  # (n,), of any dtype
Table = dict[str, Column]

_SUFFIXES = (".csv", ".csv.gz", ".parquet", ".npz")


def read_table(path: PathLike) -> Table:
    """Return the columns of a table, by name and in the order of the file.

    Parameters
    ----------
    path
        A file whose name ends in ``.csv``, ``.csv.gz`` (both with a line of column names),
        ``.parquet`` or ``.npz``. An npz file holds either one array a column, or ``X (n, d)`` and
        ``y (n,)``, whose columns are then called ``X_0``, ``X_1``, … and ``y``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is of another kind, cannot be read, or holds no rows.
    ModuleNotFoundError
        If Polars is needed and not installed.

    Examples
    --------
    >>> from chainrule.data.bundled import DIGITS
    >>> import numpy as np, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/t.npz", X=np.eye(3), y=np.arange(3))
    ...     list(read_table(f"{folder}/t.npz"))
    ['X_0', 'X_1', 'X_2', 'y']
    """
    path = Path(path)
    if not path.is_file():
        msg = f"{path} is a folder; give a file" if path.is_dir() else f"there is no file {path}"
        raise FileNotFoundError(msg)
    if not path.name.lower().endswith(_SUFFIXES):
        msg = f"{path} is no table by its name; it must end in one of {', '.join(_SUFFIXES)}"
        raise ValueError(msg)
    if path.stat().st_size == 0:
        msg = f"{path} is empty; give a table with a line of column names and at least one row"
        raise ValueError(msg)
    table = _read_npz(path) if path.suffix.lower() == ".npz" else _read_by_polars(path)
    if not table or min(len(column) for column in table.values()) == 0:
        msg = f"{path} holds no rows; give a table with at least one"
        raise ValueError(msg)
    return table


def _read_by_polars(path: Path) -> Table:
    try:
        import polars as pl
    except ModuleNotFoundError as missing:
        msg = f'reading {path.name} needs Polars, which is not installed; pip install "chainrule[data]"'
        raise ModuleNotFoundError(msg) from missing
    try:
        if path.suffix.lower() == ".parquet":
            frame = pl.read_parquet(path)
        else:
            # The whole file decides a column's type, not its first hundred rows.
            frame = _without_blanks(pl.read_csv(path, infer_schema_length=None))
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        first_line = str(error).strip().partition("\n")[0]
        msg = f"{path} cannot be read ({first_line}); is it damaged, or of another format?"
        raise ValueError(msg) from error
    plain = frame.with_columns(
        pl.selectors.decimal().cast(pl.Float64),
        pl.selectors.by_dtype(pl.Categorical, pl.Enum).cast(pl.String),
    )
    return {series.name.strip(): series.to_numpy() for series in plain}


def _without_blanks(frame: Any) -> Any:
    """Strip text of blanks, and read what is then a number as one: ``1, 2`` means ``1,2``."""
    import polars as pl

    columns = []
    for series in frame:
        values = series
        if series.dtype == pl.String:
            values = series.str.strip_chars()
            for dtype in (pl.Float64, pl.Int64):  # the narrower, where both fit
                cast = series.str.strip_chars().cast(dtype, strict=False)
                values = cast if cast.null_count() == series.null_count() else values
        columns.append(values)
    return pl.DataFrame(columns)


def _read_npz(path: Path) -> Table:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # NumPy raises whatever the layer that failed raises
        msg = f"{path} cannot be read as npz; write it with numpy.savez, without object arrays"
        raise ValueError(msg) from error
    columns = dict(_columns_of(arrays))
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    if any(column.ndim != 1 for column in columns.values()):
        msg = f"{path} holds {shapes}; wanted X (n, d) and y (n,), or one array (n,) a column"
        raise ValueError(msg)
    if len({len(column) for column in columns.values()}) > 1:
        msg = f"{path} holds columns of different lengths: {shapes}; wanted one length"
        raise ValueError(msg)
    return columns


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
    ValueError: there is no column 'widht' for the target; did you mean 'width'? (columns: width)
    """
    if name in table:
        return table[name]
    names = list(table)
    listed = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    msg = f"there is no column {name!r} for {purpose}{nearest(name, names)} (columns: {listed})"
    raise ValueError(msg)


def numbers(table: Table, names: Sequence[str], purpose: str) -> np.ndarray:
    """Return the columns ``names`` as one float64 matrix ``(n, len(names))``.

    Rows count from 1 in the messages, the line of column names not among them.

    Raises
    ------
    ValueError
        If a column is not there, or holds no number somewhere: text, a gap, infinity.

    Examples
    --------
    >>> numbers({"a": np.array([1, 2]), "b": np.array(["3", "4.5"])}, ["a", "b"], "a feature")
    array([[1. , 3. ],
           [2. , 4.5]])
    """
    matrix = np.column_stack([_floats(column(table, name, purpose), name) for name in names])
    wrong = np.argwhere(~np.isfinite(matrix))  # row by row
    if wrong.size:
        row, place = wrong[0]
        what = "no value" if np.isnan(matrix[row, place]) else "an infinite value"
        which = f" (the first of {len(wrong)} such places)" if len(wrong) > 1 else ""
        msg = f"row {row + 1} has {what} in column {names[place]!r}{which}; fill it or drop the row"
        raise ValueError(msg)
    return matrix


def _floats(values: Column, name: str) -> np.ndarray:
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    if values.dtype.kind not in "OUST":
        msg = f"column {name!r} holds {values.dtype}, wanted numbers; convert it or leave it out"
        raise ValueError(msg)
    return np.array([_float(value, row, name) for row, value in enumerate(values, start=1)])


def _float(value: object, row: int, name: str) -> float:
    try:
        return np.nan if value is None else float(str(value))
    except ValueError:
        msg = (
            f"row {row} has {value!r} in column {name!r}, wanted a number;"
            " write it as one, or leave the column out"
        )
        raise ValueError(msg) from None
