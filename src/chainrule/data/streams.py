"""Streams: rows that are read from files block by block, for data larger than memory.

A *block* is a run of consecutive rows of one file that are read together. The memory of a stream does not depend on the
number of rows; ``training/windows.py`` brings the blocks to training.
"""

import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from copy import copy
from itertools import product
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np

from chainrule.data.scaling import Scaler
from chainrule.data.tables import column, has_index_name, polars
from chainrule.mathematics.checks import FRACTION, at_least, check_number
from chainrule.mathematics.naming import quoted, refusing, require
from chainrule.ranks import join
from chainrule.ranks.group import Group

# Bytes of float32 features per window. A block is below 32 MiB, above which glibc maps new memory for each array.
WINDOW_BYTES = 120_000_000
BLOCKS = 4  # per window, at least
FEWEST_BLOCKS = 16  # at least this many blocks, so that some can be held out of a small file
_TILE = 256, 384  # rows and columns that are checked, scaled and transposed at once, in a core's cache

Item = TypeVar("Item")
Read = TypeVar("Read")


class Block(NamedTuple):
    """Consecutive rows of a file, from ``start`` up to, but not including, ``stop``."""

    file: int
    start: int
    stop: int

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.stop - self.start


class RawRows(NamedTuple):
    """Rows as they are in the file."""

    X: np.ndarray  # (n, d)
    y: np.ndarray  # (n,) or (n, n_out)
    weights: np.ndarray | None  # (n,)


class Stream:
    """Rows for training that are read block by block.

    Parameters
    ----------
    source : path, array, list or function
        A Parquet file, or a folder of Parquet files with the same columns; an ``.npy`` file or an array such as
        ``numpy.load(path, mmap_mode="r")``; or record batches: a list of them, or a function that returns an
        iterator over them. A record batch is a Polars data frame, a dict of columns, or an object with Arrow's interface.
    y, sample_weight : str, array or path
        The target and the weight of each row: names of columns, with a list of names for several outputs; for ``.npy``,
        arrays or ``.npy`` files.
    features : sequence of str, optional
        The columns to learn from. Default: all other columns except those in ``drop`` and the row numbers of data frames.
    drop : sequence of str
        Columns to leave out.
    window : int, optional
        The number of rows that are shuffled together. It bounds the memory, which holds two windows. Default: 120 MB of
        float32 features.

    Attributes
    ----------
    features : list of str
        The names of the columns of X.
    scaler : Scaler or None
        The scaler of X.
    is_weighted, is_sequential : bool
        Whether the rows have weights, and whether blocks can only be read in their order, as for record batches.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or no Parquet file in the folder.
    ValueError
        If the columns of the files differ, a column is missing or does not contain numbers, or there are no rows.
    TypeError
        If the record batches can be read only once.

    Examples
    --------
    >>> batches = [{"a": [0.0, 1.0], "y": [1.0, 3.0]}, {"a": [2.0], "y": [5.0]}]
    >>> stream = Stream(batches, "y")
    >>> len(stream), stream.features
    (3, ['a'])
    """

    def __init__(
        self,
        source: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        features: Sequence[str] | None = None,
        drop: Sequence[str] = (),
        window: int | None = None,
    ) -> None:
        self._source = _opened(source, y, sample_weight, features, drop)
        self.features, self.target = self._source.features, y
        self.is_weighted: bool = self._source.is_weighted
        self.is_sequential = isinstance(self._source, _Records)
        self.scaler: Scaler | None = None
        self.places: Callable[[np.ndarray], np.ndarray] | None = None  # labels to indices of classes
        rows = sum(map(sum, self._source.groups))
        require(rows > 0, f"{self._source.name} holds no rows; give at least one")
        by_default = max(BLOCKS, WINDOW_BYTES // (4 * len(self.features)))
        self.window = by_default if window is None else at_least(1, "window", window)
        most = max(1, min(self.window // BLOCKS, -(-rows // FEWEST_BLOCKS)))
        self.blocks = [
            Block(file, start, stop)
            for file, groups in enumerate(self._source.groups)
            for start, stop in _runs(groups, most)
        ]

    def __len__(self) -> int:
        return sum(block.rows for block in self.blocks)

    def read(self, block: Block, out: np.ndarray | None = None) -> RawRows:
        """Read the rows of a block.

        Parameters
        ----------
        block : Block
            One of ``blocks``.
        out : array, optional
            ``(rows, d)``: X is written to it, scaled in float64 if the stream has a scaler.

        Returns
        -------
        RawRows
            ``X (rows, d)``, ``y (rows,)`` or ``(rows, n_out)``, and ``weights (rows,)`` or ``None``, as in the file.

        Raises
        ------
        ValueError
            If a value is missing or infinite; the message has its column, file and row.
        """
        raw: RawRows = self._source.read(block)
        # Reused: freeing and allocating an array of this size costs more than the arithmetic.
        scratch = np.empty(_TILE)
        for start, first in product(*map(range, (0, 0), raw.X.shape, _TILE)):
            rows, columns = slice(start, start + _TILE[0]), slice(first, first + _TILE[1])
            tile = raw.X[rows, columns]  # (rows, columns)
            finite = np.isfinite(tile)  # (rows, columns)
            if not finite.all():
                row, place = np.argwhere(~finite)[0] + (start, first)
                what = "no value" if np.isnan(raw.X[row, place]) else "infinity"
                msg = f"{self.where(block, row)} has {what} in {quoted(self.features[place])}; fill or drop it first"
                raise ValueError(msg)
            if out is not None:
                if self.scaler is not None:
                    scaler, (n, d) = Scaler(*(part[columns] for part in self.scaler)), tile.shape
                    tile = scaler.apply(tile, out=scratch[:n, :d])  # (rows, columns)
                out[rows, columns] = tile
        return raw if self.places is None else raw._replace(y=self.places(raw.y))

    def where(self, block: Block, row: int) -> str:
        """Return the number of a row of a block in its file, from 1, and the file.

        Parameters
        ----------
        block : Block
            One of ``blocks``.
        row : int
            The number of the row in the block, from 0.

        Returns
        -------
        str
            As in "row 12 of rows.parquet".
        """
        return f"row {block.start + row + 1} of {self._source.files[block.file]}"

    def read_all(self) -> Iterator[RawRows]:
        """Return an iterator over the ``RawRows`` of each block; the next block is read in a thread.

        Returns
        -------
        iterator of RawRows
            As :meth:`read` returns them, in the order of ``blocks``.
        """
        return ahead(self.read, self.blocks)

    def standardized(
        self, scaler: Scaler | None = None, *, ranks: Any = None, sharded: bool = False
    ) -> Self:
        """Return the same rows with scaled features.

        Parameters
        ----------
        scaler : Scaler, optional
            By default the scaler to mean 0 and standard deviation 1, which takes one pass over the rows.
        ranks, sharded
            As in :meth:`chainrule.NeuralNetwork.train`: each rank passes over its own blocks, and all get the same scaler.

        Returns
        -------
        Stream
            The stream, with its ``scaler`` set.

        Examples
        --------
        >>> Stream([{"a": [0.0, 2.0], "y": [1, 0]}], "y").standardized().scaler
        Scaler(mean=array([1.]), scale=array([1.]))
        """
        other = copy(self)
        if scaler is None:
            group = join(ranks)
            own = self if sharded else self.shared(group)
            scaler = Scaler.over((raw.X for raw in own.read_all()), group)
        other.scaler = scaler
        return other

    def split(self, fraction: float, draw: Callable[[int], np.ndarray]) -> tuple[Self, Self]:
        """Return the training blocks and the held-out blocks.

        Parameters
        ----------
        fraction : float
            The share of the rows to hold out, about.
        draw : function
            Returns a permutation of ``range(n)``; the first blocks in it are held out.

        Returns
        -------
        tuple of Stream
            The training rows, and the held-out rows.

        Raises
        ------
        TypeError, ValueError
            If ``fraction`` is not a number between 0 and 1, or one of the two parts would be empty.
        """
        check_number("the held-out fraction", fraction, FRACTION)
        order = draw(len(self.blocks))  # (blocks,)
        rows = np.cumsum([self.blocks[number].rows for number in order])  # (blocks,)
        held = int(np.argmin(np.abs(rows - fraction * len(self)))) + 1
        problem = f"{len(self.blocks)} blocks of rows cannot be split with {fraction:g} held out; give a smaller window"
        require(held < len(self.blocks), problem)
        return self._only(order[held:]), self._only(order[:held])

    def shard(self, rank: int, size: int) -> Self:
        """Return the blocks of one rank; all ranks have about the same number of rows.

        Parameters
        ----------
        rank, size : int
            The number of this rank, from 0, and of all ranks.

        Returns
        -------
        Stream
            Consecutive blocks. Each block belongs to one rank; with fewer blocks than ranks, some ranks have none.

        Examples
        --------
        >>> stream = Stream([{"a": [0.0, 1.0, 2.0], "y": [1.0, 3.0, 5.0]}], "y")
        >>> [len(stream.shard(rank, 2)) for rank in range(2)]
        [1, 2]
        """
        rows = np.array([block.rows for block in self.blocks])  # (blocks,)
        middles = np.cumsum(rows) - rows / 2  # (blocks,)
        return self._only(np.flatnonzero(middles * size // rows.sum() == rank))

    def shared(self, group: Group) -> Self:
        """Return the blocks of this rank, if all ranks have the same stream.

        Parameters
        ----------
        group : Group
            The ranks.

        Returns
        -------
        Stream
            As :meth:`shard` returns it.

        Raises
        ------
        ValueError
            If the ranks differ in the window, the features or the blocks.

        Examples
        --------
        >>> from chainrule.ranks import join
        >>> len(Stream([{"a": [0.0, 1.0], "y": [1.0, 3.0]}], "y").shared(join("alone")))
        2
        """
        blocks = zlib.crc32(np.array(self.blocks).tobytes())  # of (blocks, 3)
        data = f"{len(self)} rows in blocks with checksum {blocks:08x}"
        group.check_alike({"window": self.window, "features": self.features, "data": data})
        return self.shard(group.rank, group.size)

    def _only(self, numbers: np.ndarray) -> Self:
        other = copy(self)
        other.blocks = [self.blocks[number] for number in sorted(numbers.tolist())]
        return other


def is_stream(X: Any, y: Any) -> bool:
    """Return whether data are read block by block: a :class:`Stream`, ``.npy``, or y is a column name.

    Parameters
    ----------
    X, y
        As in :meth:`chainrule.NeuralNetwork.train`.

    Returns
    -------
    bool
        ``False`` for arrays.

    Examples
    --------
    >>> is_stream("rows.parquet", "y"), is_stream([[1.0]], [0])
    (True, False)
    """
    # Names of columns, or labels of rows.
    is_text = isinstance(y, list) and bool(y) and isinstance(y[0], str)
    is_named = isinstance(y, str) or (is_text and not hasattr(X, "shape"))
    is_npy = isinstance(X, str | PathLike) and fspath(X).endswith(".npy")
    return is_named or is_npy or isinstance(X, Stream)


def as_stream(X: Any, y: Any, sample_weight: Any = None) -> Stream:
    """Return data for which :func:`is_stream` is true as a stream.

    Parameters
    ----------
    X, y, sample_weight
        As in :meth:`chainrule.NeuralNetwork.train`.

    Returns
    -------
    Stream
        X itself if it is one.

    Raises
    ------
    ValueError
        If X is a stream and y or weights are given.

    Examples
    --------
    >>> len(as_stream([{"a": [0.0, 1.0], "y": [1.0, 3.0]}], "y"))
    2
    """
    if not isinstance(X, Stream):
        return Stream(X, y, sample_weight)
    problem = "y and sample_weight come with a Stream, which has its own; give y=None"
    require(y is None and sample_weight is None, problem)
    return X


def ahead(read: Callable[[Item], Read], items: Iterable[Item]) -> Generator[Read, None, None]:
    """Return an iterator over ``read(item)``; each is computed in a thread while the previous one is used.

    Parameters
    ----------
    read : function
        Is called with one item at a time.
    items : iterable
        Its arguments.

    Returns
    -------
    generator
        The results in the order of the items.

    Examples
    --------
    >>> list(ahead(abs, [-1, -2]))
    [1, 2]
    """
    from concurrent.futures import ThreadPoolExecutor  # so that `import chainrule` stays light

    with ThreadPoolExecutor(1, "chainrule-reader") as pool:
        pending: Any = None
        for item in items:
            previous, pending = pending, pool.submit(read, item)
            if previous is not None:
                yield previous.result()
        if pending is not None:
            yield pending.result()


def _runs(groups: list[int], most: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of runs of whole row groups with at most ``most`` rows; a larger group is cut.

    Reading a part of a row group reads the whole group.

    Examples
    --------
    >>> list(_runs([3, 3, 3, 20], 8))
    [(0, 6), (6, 9), (9, 17), (17, 25), (25, 29)]
    """
    start = stop = 0
    for rows in groups:
        if stop > start and stop + rows - start > most:
            yield start, stop
            start = stop
        stop += rows
        while stop - start > most:
            yield start, start + most
            start += most
    if stop > start:
        yield start, stop


def _opened(source: Any, y: Any, weights: Any, *columns: Any) -> Any:
    """Return the reader of a source."""
    if isinstance(source, str | PathLike) and Path(source).suffix == ".npy":
        source = np.load(source, mmap_mode="r")
    if isinstance(source, np.ndarray):
        return _Arrays(source, y, weights)
    return (_Parquet if isinstance(source, str | PathLike) else _Records)(source, y, weights, *columns)


class _Arrays:
    """Arrays in files that are mapped into memory."""

    def __init__(self, X: np.ndarray, y: Any, weights: Any) -> None:
        self._X, self._y, self._weights = X, _mapped(y), None if weights is None else _mapped(weights)
        self.is_weighted = weights is not None
        self.name = fspath(getattr(X, "filename", None) or "X")
        problem = f"{self.name} has shape {X.shape} and dtype {X.dtype}, wanted numbers (n, d); give a row a sample"
        require(X.ndim == 2 and X.dtype.kind in "biuf", problem)
        for name, array in (("y", self._y), ("sample_weight", self._weights)):
            shape = X.shape if array is None else array.shape
            problem = f"{name} has shape {shape} but X has {len(X)} rows; give one entry for each row"
            require(shape[:1] == X.shape[:1], problem)
        self.features = [f"X_{number}" for number in range(X.shape[1])]
        self.files, self.groups = [self.name], [[len(X)]]

    def read(self, block: Block) -> RawRows:
        rows = slice(block.start, block.stop)
        weights = None if self._weights is None else self._weights[rows]
        return RawRows(np.asarray(self._X[rows]), np.asarray(self._y[rows]), weights)


def _mapped(array: Any) -> np.ndarray:
    return np.load(array, mmap_mode="r") if isinstance(array, str | PathLike) else np.asarray(array)


class _Frames:
    """Tables with named columns, as frames of Polars."""

    name: str
    files: list[str]
    groups: list[list[int]]  # for each file, the number of rows in each of its row groups

    def __init__(
        self,
        schema: dict[str, Any],
        y: Any,
        weights: Any,
        features: Sequence[str] | None,
        drop: Sequence[str],
    ) -> None:
        targets = [y] if isinstance(y, str) else y
        are_names = isinstance(targets, list) and all(isinstance(name, str) for name in targets)
        problem = f"y is {quoted(y)}; give the name of the target's column in {self.name}, as y='label'"
        require(are_names, problem, TypeError)
        taken = [*targets, *([] if weights is None else [weights])]
        names = dict.fromkeys(schema)
        others = (name for name in schema if name not in {*taken, *drop} and not has_index_name(name))
        self.features = list(features or others)
        self._y, self._weights, self.is_weighted = y, weights, weights is not None
        self.columns = [*self.features, *taken]
        for name in (*self.columns, *drop):
            column(names, name, f"training, in {self.name}")  # type: ignore[arg-type]
        kinds = {name: schema[name] for name in self.features}
        texts = [name for name, kind in kinds.items() if not (kind.is_numeric() or kind == bool)]
        listed = ", ".join(f"{quoted(name)} ({schema[name]})" for name in texts[:8]) or "no column"
        problem = f"{self.name}: wanted numbers in each feature, got {listed}; leave others out with drop=[...]"
        require(bool(self.features) and not texts, problem)

    def raw(self, frame: Any) -> RawRows:
        """Return a frame as arrays, with NaN for missing values."""
        # Column by column, as in the frame: transposing tile by tile, on reading, is faster.
        X = frame.select(self.features).to_numpy(order="fortran")  # (n, d)
        weights = None if self._weights is None else frame[self._weights].to_numpy()
        return RawRows(X, frame[self._y].to_numpy(), weights)


class _Parquet(_Frames):
    """A Parquet file, or the Parquet files of a folder by name."""

    def __init__(self, source: Any, *columns: Any) -> None:
        path = Path(source)
        self._pl = pl = polars(f"reading {path.name}")
        self.name = str(path)
        self.files = sorted(map(str, path.rglob("*.parquet"))) if path.is_dir() else [str(path)]
        got = "a folder without .parquet files" if path.is_dir() else "no file or folder"
        problem = f"{path} is {got}; give a Parquet file, or a folder of them"
        require(path.exists() and self.files, problem, FileNotFoundError)
        parquet = str(path.with_suffix(".parquet"))
        problem = (
            f"{path} is CSV; give Parquet: polars.read_csv({str(path)!r}).write_parquet({parquet!r})"
        )
        require(path.suffix != ".csv", problem)
        # A lazy frame keeps the metadata of its file, which are large if there are many columns.
        self._lazy = [pl.scan_parquet(file) for file in self.files]
        schemas, self.groups = [], []
        for file, lazy in zip(self.files, self._lazy, strict=True):
            problem = f"{file} cannot be read ({{}}); is it damaged, or not Parquet?"
            with refusing((pl.exceptions.PolarsError, OSError), problem):
                schemas.append(dict(lazy.collect_schema()))
                # Polars makes a chunk of each row group; if it ever does not, only the speed of reading changes.
                self.groups.append(lazy.select(pl.first()).collect().to_series().chunk_lengths())
            _check_columns(schemas[0], schemas[-1], file, self.files[0])
        super().__init__(schemas[0], *columns)

    def read(self, block: Block) -> RawRows:
        rows = self._lazy[block.file].slice(block.start, block.rows)
        problem = f"{self.files[block.file]} cannot be read ({{}}); was it changed after training began?"
        # A panic of Polars, on a damaged file, is no Exception.
        errors = self._pl.exceptions
        with refusing((errors.PolarsError, errors.PanicException), problem):
            return self.raw(rows.select(self.columns).collect())


class _Records(_Frames):
    """Record batches, which can only be read in their order, but several times."""

    name = "the record batches"

    def __init__(self, source: Any, *columns: Any) -> None:
        self._pl, self._source = polars("reading record batches"), source
        self._held: Any = None  # the latest batch that was read
        self._at = 0  # its first row
        problem = (
            f"got a {type(source).__name__}, which can be read only once, and the rows are counted first; give a list "
            "of record batches, or a function that returns a new iterator"
        )
        require(not isinstance(source, Iterator), problem, TypeError)
        schema, rows = None, []
        for number, frame in enumerate(self._frames()):
            schema = schema or dict(frame.schema)
            _check_columns(schema, dict(frame.schema), f"record batch {number}", "record batch 0")
            rows.append(frame.height)
        self.files, self.groups = [self.name], [rows]
        require(schema is not None, "there are no record batches; give at least one")
        super().__init__(schema or {}, *columns)

    def read(self, block: Block) -> RawRows:
        if self._held is None or block.start < self._at:
            self._batches, self._at = self._frames(), 0
            self._held = next(self._batches)
        parts, row = [], block.start
        while row < block.stop:
            while row >= self._at + self._held.height:
                self._at += self._held.height
                self._held = next(self._batches, None)
                problem = f"the record batches ended at row {self._at}, wanted {sum(self.groups[0])} as at first; give the same rows each time"
                require(self._held is not None, problem)
            parts.append(self._held.slice(row - self._at, block.stop - row))
            row += parts[-1].height
        return self.raw(self._pl.concat(parts))

    def _frames(self) -> Iterator[Any]:
        return map(self._pl.DataFrame, self._source() if callable(self._source) else self._source)


def _check_columns(wanted: dict[str, Any], got: dict[str, Any], name: str, first: str) -> None:
    differ = sorted(name for name in {*wanted, *got} if wanted.get(name) != got.get(name))
    listed = ", ".join(
        f"{quoted(column)} ({got.get(column, 'missing')}, there {wanted.get(column, 'missing')})"
        for column in differ[:4]
    )
    problem = f"{name} has other columns than {first}: {listed}; write all of them with the same names and types"
    require(got == wanted, problem)
