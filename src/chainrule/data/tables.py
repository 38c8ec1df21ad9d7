"""Tables: named columns read from a file, and the checks that they contain numbers.

CSV and gzipped CSV are decoded and checked here, and split by Polars if it is installed (the extra ``data``), else by the
csv module. Both give the same columns: text without surrounding blanks, or numbers if all values are numbers. Polars
reads Parquet, and NumPy reads npz.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule._version import how_to_install
from chainrule.mathematics.naming import nearest, one_line, quoted, refusing, require
from chainrule.program.machine import available_bytes
from chainrule.saving.files import PathLike

Column = np.ndarray  # (n,), any dtype; among objects, ``None`` is a gap
Table = dict[str, Column]

_BYTES_A_CELL = 48  # bytes per cell while a table is read: text, column, and matrix of features
_INDEX_NAMES = {"", "Unnamed: 0", "rownames", "row.names"}  # as pandas and R write them
MISSING = {"na", "n/a", "#n/a", "nan", "nil", "null", "none", "missing", "?", "-", "--", "."}
"""Words that usually mean that there is no value, in lower case."""

_OTHER_KINDS = {"M": "dates", "m": "durations", "S": "bytes", "V": "records", "c": "complex numbers"}


def unique_names(path: Path, names: Sequence[str]) -> list[str]:
    """Return the names of columns, without surrounding blanks.

    Parameters
    ----------
    path : Path
        The file, for error messages.
    names : sequence of str
        The names as in the file.

    Returns
    -------
    list of str
        The names, in the same order.

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
    places: dict[str, int] = {}
    for second, name in enumerate(stripped):
        first = places.setdefault(name, second)
        problem = (
            f"{path} has two columns of one name: {quoted(names[first])} (column {first + 1}) and "
            f"{quoted(names[second])} (column {second + 1}); rename one of them"
        )
        require(first == second, problem)
    return stripped


def check_memory(path: Path, size: str, cells: int) -> None:
    """Raise ``ValueError`` if a table does not fit into the free memory.

    A compressed file of a few kilobytes may contain gigabytes.

    Parameters
    ----------
    path : Path
        The file, for the message.
    size : str
        Its size in words, for the message.
    cells : int
        The number of values.

    Raises
    ------
    ValueError
        With the memory that the table takes, and the memory that is free.

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
    """Return a Polars series as an array.

    Parameters
    ----------
    series : polars.Series
        Series of any type.

    Returns
    -------
    array
        ``(n,)``; of objects if the series has gaps, lists or records.

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
    """Return whether a value is a number, or text that can be read as a number; ``1_000`` cannot.

    Parameters
    ----------
    value : object
        Any value of a table.

    Returns
    -------
    bool
        Whether ``float(value)`` is its number.

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
    """Return a column as numbers, and the problem if it does not have one finite number in each row.

    Rows count from 1, without the line of names.

    Parameters
    ----------
    values : array
        ``(n,)``, of any dtype.

    Returns
    -------
    tuple
        A float64 array ``(n,)``, and a text, empty without a problem.

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
    """Return which rows have no value: a gap, NaN, or one of ``words``.

    Parameters
    ----------
    values : array
        ``(n,)``, of any dtype.
    words : sequence of str
        Words for a missing value; also numbers, such as -999.

    Returns
    -------
    array
        ``(n,)``, bool.

    Examples
    --------
    >>> gaps(np.array(["3", "NA", None], dtype=object), ["NA"]), gaps(np.array([1, -999]), ["-999"])
    (array([False,  True,  True]), array([False,  True]))
    """
    if values.dtype.kind in "Mm":
        return np.asarray(np.isnat(values))
    if values.dtype.kind in "biuf":
        stand_ins = [float(word) for word in words if is_number(word)]
        return np.asarray(np.isnan(values) | np.isin(values, stand_ins))
    texts = {None, "", *words}
    return np.array([isinstance(value, str | None) and value in texts for value in values.tolist()])


def never_repeats(values: Column) -> bool:
    """Return whether all values are different, and are whole numbers or text.

    Parameters
    ----------
    values : array
        ``(n,)``, of any dtype.

    Returns
    -------
    bool
        ``False`` for floats.

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
    """Return whether a column is an index: it numbers or names the rows, as data frames write it.

    Parameters
    ----------
    name : str
        The name of the column.
    values : array
        ``(n,)``, its values.

    Returns
    -------
    bool
        Whether the name is one of an index, and no value repeats.

    Examples
    --------
    >>> is_index("", np.array([0, 1, 2])), is_index("id", np.array([0, 1, 2]))
    (True, False)
    """
    return has_index_name(name) and never_repeats(values)


def has_index_name(name: str) -> bool:
    """Return whether data frames write row numbers under this name.

    Parameters
    ----------
    name : str
        The name of a column.

    Returns
    -------
    bool
        Whether pandas or R use it.

    Examples
    --------
    >>> has_index_name("Unnamed: 0"), has_index_name("id")
    (True, False)
    """
    return name in _INDEX_NAMES or name.startswith("__index_level_")


# Most characters of text for the csv module, which takes 8 s for them (Polars 1 s), and several times their memory.
_MOST_BY_CSV = 32 << 20
_DAMAGED = "cannot be read ({}); is it damaged, or of another format?"
_UTF16_MARKS = {b"\xff\xfe", b"\xfe\xff"}  # at the start of a file


class Dialect(NamedTuple):
    """The encoding and the separator of a table that is text."""

    encoding: str = "utf-8"
    separator: str = ","
    spelled: Collection[str] = ()  # columns that stay text, with their spelling

    def check(self) -> None:
        """Raise unless the encoding exists and the separator is one character.

        Raises
        ------
        ValueError
            It names the one that is wrong.
        """
        problem = f"unknown encoding {quoted(self.encoding)}; give one such as utf-8, cp1252 or utf-16"
        with refusing(LookupError, problem):
            "".encode(self.encoding)
        is_one = len(self.separator) == 1 and self.separator.isascii()
        problem = f"separator is {quoted(self.separator)}; give one character, such as ';' or tab"
        require(is_one and self.separator not in '"\r\n', problem)


COMMAS = Dialect()


def read_delimited(path: Path, dialect: Dialect) -> Table:
    r"""Return the columns of a CSV file, gzipped if its name ends in ``.gz``.

    Blank rows are ignored. With the separator ``;``, numbers may have a decimal comma.

    Parameters
    ----------
    path : Path
        The file.
    dialect : Dialect
        Its encoding and separator.

    Returns
    -------
    dict of str to array
        Columns ``(n,)``.

    Raises
    ------
    ValueError
        If it is not text in this encoding, two columns have the same name, a row has more fields than there are names,
        or there is not enough memory.
    ModuleNotFoundError
        If it is too large to be read without Polars, which is not installed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "t.csv"
    ...     _ = path.write_text("kind;size\noak;3,5\n")
    ...     read_delimited(path, Dialect(separator=";"))
    {'kind': array(['oak'], dtype=object), 'size': array([3.5])}
    """
    import csv

    dialect.check()
    text = _decoded(path, dialect.encoding)
    # One line at a time: all at once would take several times the memory of the text.
    lines = (line[0] for line in re.finditer(r"[^\n]*\n", text))
    reader = csv.reader(lines, delimiter=dialect.separator, strict=True)
    rows = _rows(path, reader)
    names = unique_names(path, next(rows, []))
    is_one = len(names) == 1 and dialect.separator == ","
    other = next((c for c in ";\t|" if is_one and c in names[0]), "").replace("\t", "tab")
    problem = f"{path} has one column, {quoted(','.join(names))}; if '{other}' separates it, give --separator '{other}'"
    require(not other, problem)
    count = text.count("\n")
    check_memory(path, f"{count:,} lines of {len(names):,} columns", count * len(names))
    if find_spec("polars") is not None:
        return _by_polars(path, names, text.split("\n", reader.line_num)[-1], rows, dialect)
    problem = f"{path.name} is too large to be read without Polars; {how_to_install('data')}"
    require(len(text) <= _MOST_BY_CSV, problem, ModuleNotFoundError)
    return _by_csv(names, rows, dialect)


def _decoded(path: Path, encoding: str) -> str:
    import gzip
    import zlib

    content = bytearray()
    open_file = gzip.open if path.suffix.lower() == ".gz" else open
    with refusing((OSError, EOFError, zlib.error), f"{path} {_DAMAGED}"), open_file(path, "rb") as file:
        while part := file.read(1 << 20):
            content += part
            check_memory(path, f"more than {len(content):,} bytes of text", len(content) // 8)
    with_mark = {"utf-8": "utf-8-sig"}.get(encoding.lower(), encoding)
    try:
        text = content.decode(with_mark).lstrip("\r\n")
    except UnicodeError as error:
        line = content.count(b"\n", 0, getattr(error, "start", 0)) + 1
        guess = "utf-16, as it seems" if bytes(content[:2]) in _UTF16_MARKS else "such as cp1252"
        msg = f"{path} is not {encoding} in line {line}; give its encoding with --encoding ({guess})"
        raise ValueError(msg) from None
    problem = f"{path} holds NUL characters; is it no text, or UTF-16 (--encoding utf-16-le)?"
    require("\0" not in text, problem)
    text = text if "\n" in text else text.replace("\r", "\n")  # line ends of old Macs
    return text if text.endswith("\n") else text + "\n"


def _rows(path: Path, reader: Any) -> Iterator[list[str]]:
    """Yield the rows; none may have more fields than the first, which has the names."""
    from csv import Error

    most = None
    try:
        for row in reader:
            most = len(row) if most is None else most
            problem = (
                f"{path} has {len(row)} fields in line {reader.line_num}, for {most} columns; quote "
                "a value that holds the separator, or correct the line"
            )
            require(len(row) <= most, problem)
            yield row
    except Error as error:
        msg = f"{path} cannot be read in line {reader.line_num} ({error}); is a quote left open?"
        raise ValueError(msg) from error


def _by_polars(
    path: Path, names: list[str], body: str, rows: Iterator[list[str]], dialect: Dialect
) -> Table:
    import polars as pl

    places = list(map(str, range(len(names))))  # simple names, so that none needs quotes
    try:
        frame = pl.read_csv(
            (dialect.separator.join(places) + "\n" + body).encode(),
            schema=dict.fromkeys(places, pl.String),
            separator=dialect.separator,
        )
    except pl.exceptions.PolarsError as error:
        list(rows)  # raises, and names the line
        msg = f"{path} cannot be read ({one_line(error)}); is a quote left open?"
        raise ValueError(msg) from error
    frame = frame.with_columns(pl.all().str.strip_chars().replace("", None))
    frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    return {
        name: _pointed(as_array(series), dialect)
        if name in dialect.spelled
        else as_array(_cast(series, dialect))
        for name, series in zip(names, frame, strict=True)
    }


def _pointed(column: Column, dialect: Dialect) -> Column:
    """Return a column of text, with points for decimal commas if all of its values are numbers."""
    if dialect.separator == ";":
        plain = [text and text.replace(",", ".") for text in column.tolist()]
        if all(text is None or is_number(text) for text in plain):
            return np.array(plain, dtype=object)
    return column


def _cast(series: Any, dialect: Dialect) -> Any:
    """Return a series of text as integers, floats or booleans if all of its values are."""
    import polars as pl

    plain = series.str.replace(",", ".", literal=True) if dialect.separator == ";" else series
    for dtype in (pl.Int64, pl.UInt64, pl.Float64):
        numbers = plain.cast(dtype, strict=False)
        if numbers.null_count() == series.null_count():
            return numbers
    words = series.str.to_lowercase()
    return words == "true" if words.drop_nulls().is_in(["true", "false"]).all() else series


def _by_csv(names: list[str], rows: Iterator[list[str]], dialect: Dialect) -> Table:
    filled = (row + [""] * (len(names) - len(row)) for row in rows if any(map(str.strip, row)))
    table: Table = {}
    for name, fields in zip(names, zip(*filled, strict=True), strict=False):  # no rows, no columns
        column = np.array([field.strip() or None for field in fields], dtype=object)  # (n,)
        is_spelled = name in dialect.spelled
        table[name] = _pointed(column, dialect) if is_spelled else _typed(column, dialect)
    return table


def _typed(column: Column, dialect: Dialect) -> Column:
    """Return a column of text as integers, floats or booleans if all of its values are, as ``_cast`` does."""
    has_value = np.array([text is not None for text in column])  # (n,)
    values = _converted(column[has_value].tolist(), dialect)  # (number of values,)
    if has_value.all():
        return values
    typed = np.full(len(column), np.nan if values.dtype.kind == "f" else None)  # (n,)
    typed[has_value] = values
    return typed


def _converted(texts: list[str], dialect: Dialect) -> Column:
    plain = [text.replace(",", ".") for text in texts] if dialect.separator == ";" else texts
    if all(text.isascii() and is_number(text) for text in plain):
        for number, dtype in ((int, np.int64), (int, np.uint64), (float, np.float64)):
            with suppress(ValueError, OverflowError):
                return np.array(list(map(number, plain)), dtype)
    words = [text.lower() for text in texts]
    if set(words) <= {"true", "false"}:
        return np.array([word == "true" for word in words])
    return np.array(texts, dtype=object)


_SUFFIXES = (".csv", ".csv.gz", ".parquet", ".npz")


def read_table(path: PathLike, dialect: Dialect = COMMAS) -> Table:
    """Return the columns of a table by name, in the order of the file.

    Parameters
    ----------
    path : str or path
        A file whose name ends in ``.csv``, ``.csv.gz`` (both with a line of column names),
        ``.parquet`` or ``.npz``. An npz file contains one array for each column, or ``X (n, d)`` and
        ``y (n,)``, whose columns are then called ``X_0``, ``X_1``, … and ``y``.
    dialect : Dialect
        The encoding and separator of CSV, and columns to keep as text.

    Returns
    -------
    dict of str to array
        Columns ``(n,)``; in arrays of objects, ``None`` is a gap.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is of another kind, cannot be read, has no rows, or has two columns of the same name.
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


def polars(what: str) -> Any:
    """Import Polars, and return it.

    Parameters
    ----------
    what : str
        The purpose, for the error message.

    Returns
    -------
    module
        Polars.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed.

    Examples
    --------
    >>> polars("reading t.parquet").__name__
    'polars'
    """
    problem = f"{what} needs Polars, which is not installed; {how_to_install('data')}"
    require(find_spec("polars") is not None, problem, ModuleNotFoundError)
    return import_module("polars")


def _read_parquet(path: Path) -> Table:
    pl = polars(f"reading {path.name}")
    with refusing((pl.exceptions.PolarsError, OSError), f"{path} {_DAMAGED}"):
        lazy = pl.scan_parquet(path)
        rows, columns = lazy.select(pl.len()).collect().item(), len(lazy.collect_schema())
        check_memory(path, f"{rows:,} rows of {columns:,} columns", rows * columns)
        texts = pl.selectors.by_dtype(pl.Categorical, pl.Enum).cast(pl.String)
        frame = lazy.with_columns(texts).collect()
    return dict(zip(unique_names(path, frame.columns), map(as_array, frame), strict=True))


def _read_npz(path: Path) -> Table:
    problem = f"{path} cannot be read as npz; write it with numpy.savez, without object arrays"
    with refusing(Exception, problem):  # NumPy raises the error of whichever layer failed
        archive = np.load(path, allow_pickle=False)
        size = sum(member.file_size for member in archive.zip.infolist())
    check_memory(path, f"{size:,} bytes", size // 8)
    with refusing(Exception, problem), archive:
        arrays = {name: archive[name] for name in archive.files}
    columns = list(_columns_of(arrays))
    shapes = ", ".join(f"{quoted(name)} {array.shape}" for name, array in arrays.items())
    problem = f"{path} holds {shapes}; wanted X (n, d) and y (n,), or one array (n,) for each column"
    lengths = {column.shape for _, column in columns}
    require(len(lengths) < 2 and all(len(shape) == 1 for shape in lengths), problem)
    names = unique_names(path, [name for name, _ in columns])
    return dict(zip(names, (column for _, column in columns), strict=True))


def _columns_of(arrays: Table) -> Iterable[tuple[str, Column]]:
    for name, array in arrays.items():
        if name == "X" and array.ndim == 2:
            yield from ((f"X_{number}", part) for number, part in enumerate(array.T))
        else:
            yield name, array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def column(table: Table, name: str, purpose: str) -> Column:
    """Return a column of a table by name.

    Parameters
    ----------
    table : dict of str to array
        Columns by name.
    name : str
        The name of the column.
    purpose : str
        The purpose of the column, for the error message.

    Returns
    -------
    array
        ``(n,)``.

    Raises
    ------
    ValueError
        If there is no column of that name; the message suggests the nearest name.

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
    """Return columns of a table as one matrix.

    Rows count from 1 in the messages, without the line of names.

    Parameters
    ----------
    table : dict of str to array
        Columns by name.
    names : sequence of str
        The columns to use, in this order.
    purpose, remedy : str
        Their purpose, and the remedy if one cannot be used.

    Returns
    -------
    array
        ``(n, len(names))``, float64.

    Raises
    ------
    ValueError
        If a column is missing, or does not have one finite number in every row; each is named.

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
    require(not problems, f"wanted one number per row in {', '.join(problems[:8])}{more}; {remedy}")
    return np.column_stack(columns)
