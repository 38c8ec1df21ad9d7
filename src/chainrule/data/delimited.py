"""Delimited text: CSV decoded, checked, and split into columns.

Polars splits it where it is installed, else the standard library's csv module. Both leave the same columns: text
without blanks around it, and numbers where every value is one.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule._version import how_to_install
from chainrule.data.columns import Column, Table, as_array, check_memory, is_number, unique_names
from chainrule.mathematics.naming import one_line, quoted, require

# Bytes of text that the csv module splits; more takes minutes, and Polars seconds.
_MOST_BY_CSV = 32 << 20
_OTHER_SEPARATORS = ";\t|"
_UTF16_MARKS = {b"\xff\xfe", b"\xfe\xff"}  # at the start of a file


class Dialect(NamedTuple):
    """How a table is written as text."""

    encoding: str = "utf-8"
    separator: str = ","
    spelled: Collection[str] = ()  # columns that stay text, as they are spelled

    def check(self) -> None:
        """Raise unless there is such an encoding, and the separator is one character.

        Raises
        ------
        ValueError
            It names the one that is none.
        """
        try:
            "".encode(self.encoding)
        except LookupError:
            msg = f"unknown encoding {quoted(self.encoding)}; give one such as utf-8, cp1252 or utf-16"
            raise ValueError(msg) from None
        is_one = len(self.separator) == 1 and self.separator.isascii()
        problem = f"separator is {quoted(self.separator)}; give one character, such as ';' or tab"
        require(is_one and self.separator not in '"\r\n', problem)


COMMAS = Dialect()


def read_delimited(path: Path, dialect: Dialect) -> Table:
    r"""Return the columns of a CSV file, gzipped if its name ends in ``.gz``.

    Blank rows are ignored. With the separator ``;`` numbers may have a decimal comma.

    Raises
    ------
    ValueError
        If it is not text in this encoding, two columns have one name, a row has more fields than there are names,
        or there is not enough memory for it.
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
    reader = csv.reader(_lines(text), delimiter=dialect.separator, strict=True)
    rows = _rows(path, reader)
    names = unique_names(path, next(rows, []))
    others = [
        c for c in _OTHER_SEPARATORS if len(names) == 1 and dialect.separator == "," and c in names[0]
    ]
    if others:
        shown = "tab" if others[0] == "\t" else others[0]
        msg = f"{path} has one column, {quoted(names[0])}; if '{shown}' separates it, give --separator '{shown}'"
        raise ValueError(msg)
    lines = text.count("\n")
    check_memory(path, f"{lines:,} lines of {len(names):,} columns", lines * len(names))
    try:
        import polars  # noqa: F401  only looked for
    except ModuleNotFoundError as missing:
        if len(text) > _MOST_BY_CSV:
            msg = f"{path.name} is too large to be read without Polars; {how_to_install('data')}"
            raise ModuleNotFoundError(msg) from missing
        return _by_csv(names, rows, dialect)
    return _by_polars(path, names, text.split("\n", reader.line_num)[-1], rows, dialect)


def _decoded(path: Path, encoding: str) -> str:
    import gzip
    import zlib

    parts, size = [], 0
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            while part := file.read(1 << 20):
                parts.append(part)
                size += len(part)
                check_memory(path, f"more than {size:,} bytes of text", size // 8)
    except (OSError, EOFError, zlib.error) as error:
        msg = f"{path} cannot be read ({error}); is it damaged, or of another format?"
        raise ValueError(msg) from error
    content = b"".join(parts)
    parts.clear()  # frees half of the memory
    with_mark = {"utf-8": "utf-8-sig"}.get(encoding.lower(), encoding)
    try:
        text = content.decode(with_mark).lstrip("\r\n")
    except UnicodeError as error:
        line = content.count(b"\n", 0, getattr(error, "start", 0)) + 1
        guess = "utf-16, as it seems" if content[:2] in _UTF16_MARKS else "such as cp1252"
        msg = f"{path} is not {encoding} in line {line}; give its encoding with --encoding ({guess})"
        raise ValueError(msg) from None
    problem = f"{path} holds NUL characters; is it no text, or UTF-16 (--encoding utf-16-le)?"
    require("\0" not in text, problem)
    text = text if "\n" in text else text.replace("\r", "\n")  # as old Macs ended lines
    return text if text.endswith("\n") else text + "\n"


def _lines(text: str) -> Iterator[str]:
    """Return the lines of a text, cut one at a time: all at once would take several times its memory."""
    start = 0
    while start < len(text):
        end = text.index("\n", start) + 1
        yield text[start:end]
        start = end


def _rows(path: Path, reader: Any) -> Iterator[list[str]]:
    """Return the rows that are not blank, each held to the number of names in the first."""
    from csv import Error

    names = None
    try:
        for row in reader:
            if names is None or any(field.strip() for field in row):
                names = len(row) if names is None else names
                if len(row) > names:
                    msg = (
                        f"{path} has {len(row)} fields in line {reader.line_num}, for {names} columns; quote "
                        "a value that holds the separator, or correct the line"
                    )
                    raise ValueError(msg)
                yield row
    except Error as error:
        msg = f"{path} cannot be read in line {reader.line_num} ({error}); is a quote left open?"
        raise ValueError(msg) from error


def _by_csv(names: list[str], rows: Iterator[list[str]], dialect: Dialect) -> Table:
    width = len(names)
    table: Table = {}
    columns = zip(*(row + [""] * (width - len(row)) for row in rows), strict=True)
    for name, fields in zip(names, columns, strict=False):  # of no rows there are no columns
        texts = [field.strip() or None for field in fields]
        table[name] = (
            np.array(texts, dtype=object) if name in dialect.spelled else _typed(texts, dialect)
        )
    return table


def _typed(texts: Sequence[str | None], dialect: Dialect) -> Column:
    """Return the texts as integers, floats or booleans, where all of them are."""
    plain = ["nan" if text is None else _point(text, dialect) for text in texts]
    for dtype in (np.int64, np.float64):
        with suppress(ValueError, OverflowError):
            if all(map(is_number, plain)):
                return np.array(plain).astype(dtype)
    words = [text and text.lower() for text in texts]
    booleans = set(words) <= {"true", "false", None}
    column = [word and word == "true" for word in words] if booleans else texts
    return np.array(column, dtype=bool if booleans and None not in words else object)


def _point(text: str, dialect: Dialect) -> str:
    return text.replace(",", ".") if dialect.separator == ";" else text


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
        name: as_array(series if name in dialect.spelled else _cast(series, dialect))
        for name, series in zip(names, frame, strict=True)
    }


def _cast(series: Any, dialect: Dialect) -> Any:
    """Return a series of text as integers, floats or booleans, where all of its values are."""
    import polars as pl

    plain = series.str.replace(",", ".", literal=True) if dialect.separator == ";" else series
    for dtype in (pl.Int64, pl.UInt64, pl.Float64):
        numbers = plain.cast(dtype, strict=False)
        if numbers.null_count() == series.null_count():
            return numbers
    words = series.str.to_lowercase()
    return words == "true" if words.drop_nulls().is_in(["true", "false"]).all() else series
