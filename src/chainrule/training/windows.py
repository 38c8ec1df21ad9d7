"""Windows: a stream as the data of training. Memory holds two windows of rows: one in use, one being read.

The order of an epoch is drawn in two steps. The blocks of the stream are shuffled and joined to windows of at most a given
number of rows; then the rows of each window are shuffled. Both depend only on the seed and the epoch, so
training may start in the middle of an epoch without reading the windows before.
"""

import zlib
from collections.abc import Generator
from contextlib import closing
from copy import copy
from typing import Any, Self

import numpy as np

from chainrule import backends
from chainrule.data import targets
from chainrule.data.inputs import Door
from chainrule.data.streams import Block, Stream, ahead
from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.naming import require
from chainrule.mathematics.step import Batch
from chainrule.program.engine import Epoch
from chainrule.ranks.group import Group
from chainrule.training.batches import Chance, TrainingRows


class BufferedRows(TrainingRows):
    """Rows of which a buffer on the host holds some at a time: one array for each of X, Y and the weights.

    Parameters
    ----------
    net, door
        The network, and the backend and dtype of its data.
    rows
        The number of rows in the buffer.
    most
        The largest number of rows in a span of steps.
    is_weighted
        Whether the rows have weights.
    """

    in_memory = False

    def __init__(
        self, net: Architecture, door: Door, rows: int, most: int, *, is_weighted: bool
    ) -> None:
        self._net, self._backend, self._most = net, door.backend, most
        self._host = door._replace(backend=backends.named("numpy"))
        widths = net.sizes[0], net.sizes[-1], 1
        X, Y, weights = (np.zeros((rows, width), door.dtype) for width in widths)
        self._buffer = Batch(X, Y, weights if is_weighted else None)

    @property
    def is_shared(self) -> bool:
        """Whether the engine reads the buffer in place: on NumPy, and on CUDA, which streams from the host."""
        return self._backend == self._host.backend or self._backend.streams(self._buffer.X)

    @property
    def data(self) -> Batch:  # type: ignore[override]
        """The data that an engine is built for: the buffer, or one row of it if rows are copied to a device."""
        if self.is_shared:
            return self._buffer
        return self._buffer.map(lambda part: self._backend.asarray(part[:1]))

    def _sent(self, part: Epoch, places: np.ndarray) -> Epoch:
        """Return the steps on the rows at ``places`` of the buffer, copied to the backend unless it reads the buffer."""
        first = part.bounds[0][0]
        bounds = [(start - first, stop - first) for start, stop in part.bounds]
        part = part._replace(order=places, bounds=bounds)
        if self.is_shared:
            return part
        # The same number of rows each time, since JAX compiles for every shape.
        rows = np.resize(places, self._most)  # (most,)
        data = self._buffer.map(lambda part: self._backend.asarray(part[rows]))
        return part._replace(order=np.arange(len(places)), data=data)


class Windows(BufferedRows):
    """The rows of a stream, window by window.

    The buffer has room for the rows that the last window left, fewer than a batch, and for two windows.

    Parameters
    ----------
    stream
        The source of the rows.
    net
        The network; its loss determines the form of the targets.
    door
        The backend and the dtype.
    batch_size
        The number of rows in a step.

    Raises
    ------
    ValueError
        If there is no batch size, or the number of features differs from the network's.
    """

    def __init__(self, stream: Stream, net: Architecture, door: Door, batch_size: int | None) -> None:
        problem = "batch_size is None, which takes all rows in every step; give one, such as 512, to read them in windows"
        require(batch_size is not None, problem)
        columns = len(stream.features)
        problem = f"the data have {columns} features but the network takes {net.sizes[0]}; name them with Stream(features=[...])"
        require(columns == net.sizes[0], problem)
        self._stream, self._carried = stream, batch_size or 0
        self._size = min(stream.window, len(stream))
        most = self._carried + self._size
        super().__init__(net, door, most + self._size, most, is_weighted=stream.is_weighted)

    def __len__(self) -> int:
        return len(self._stream)

    def __str__(self) -> str:
        return f"{len(self)} rows in windows of {self._stream.window}"

    @property
    def facts(self) -> dict[str, Any]:
        """The facts about the data that must be the same on all ranks, by name."""
        scaler = b"".join(part.tobytes() for part in self._stream.scaler or ())
        return {
            **super().facts,
            "features": self._stream.features,
            "scaler": f"checksum {zlib.crc32(scaler):08x}",
        }

    def some(self) -> Batch:
        """Return the rows of the first block, on the host; none if there are no blocks."""
        blocks = self._stream.blocks
        return self._batch(blocks[0]) if blocks else self._buffer.map(lambda part: part[:0])

    def loaded(self) -> TrainingRows:
        """Return these windows; if a batch has all rows, all rows in their order, in the memory of the backend."""
        if self.total > self._carried:
            return self
        asarray, xp = self._backend.asarray, self._backend.xp
        none = self._buffer.map(lambda part: asarray(part[:0]))
        parts = zip(none, *self.parts(), strict=True)
        data = Batch(*(None if part[0] is None else xp.concat(part, axis=0) for part in parts))
        rows = TrainingRows(data)
        rows.counts = self.counts
        return rows

    def shared(self, group: Group, *, own: bool) -> Self:
        """Return this rank's rows: all rows of its own stream, or its blocks of a shared stream."""
        if own:
            return self._counted(group)
        other = copy(self)
        other._stream = self._stream.shared(group)
        if group.tree:  # the tree sums leaves of the same batch on any number of ranks
            return self
        return other._counted(group)

    def order(self, chance: Chance, *, shuffle: bool) -> np.ndarray:
        """Return the order of an epoch ``(blocks + 1,)``: the blocks, then the seed for the rows, or -1."""
        count = len(self._stream.blocks)
        if not shuffle:
            return np.append(np.arange(count), -1)
        blocks = np.arange(count) if self._stream.is_sequential else chance.order(count)  # (blocks,)
        return np.append(blocks, chance.row_seed())

    def spans(self, plan: Epoch) -> Generator[Epoch, None, None]:
        """Yield the steps of an epoch, or of a part of one, in spans whose rows are in the buffer.

        ``plan.order`` is that of :meth:`order`.
        """
        *numbers, seed = np.asarray(plan.order).tolist()
        start, stop = plan.bounds[0][0], plan.bounds[-1][1]
        if start == stop:  # a rank without rows
            yield self._sent(plan, np.arange(0))
            return
        windows = [w for w in self._windows(numbers) if w[0] < stop and w[0] + _rows(w[1]) > start]
        tasks = [(place % 2, seed, first, blocks) for place, (first, blocks) in enumerate(windows)]
        left, step = np.arange(0), 0  # indices of the unused rows; number of steps done
        skipped = start - windows[0][0]  # rows of the first window
        with closing(ahead(lambda task: self._fill(*task), tasks)) as filled:
            for window in filled:
                places, skipped = np.concatenate([left, window[skipped:]]), 0  # (rows,)
                begin, last = plan.bounds[step][0], step
                while last < len(plan.bounds) and plan.bounds[last][1] - begin <= len(places):
                    last += 1
                used = plan.bounds[last - 1][1] - begin if last > step else 0
                if last > step:
                    yield self._sent(plan.part(step, last), places[:used])
                # The window's buffer is refilled next, so copy what is left of it.
                left, step = np.arange(len(places) - used), last
                for array in _arrays(self._buffer):
                    array[: len(left)] = array[places[used:]]

    def parts(self) -> Generator[Batch, None, None]:
        """Yield the rows block by block, on the backend."""
        for batch in ahead(self._batch, self._stream.blocks):
            yield batch.map(self._backend.asarray)

    def split(self, fraction: float, chance: Chance) -> tuple[TrainingRows, TrainingRows]:
        """Return the blocks to train on and the blocks held out: see :meth:`~chainrule.data.streams.Stream.split`."""
        learnt, kept = copy(self), copy(self)
        learnt._stream, kept._stream = self._stream.split(fraction, chance.order)
        return learnt, kept

    def _windows(self, numbers: list[int]) -> list[tuple[int, list[Block]]]:
        """Return the first row of each window in the order of the epoch, and its blocks."""
        windows: list[tuple[int, list[Block]]] = [(0, [])]
        for number in numbers:
            block, (first, blocks) = self._stream.blocks[number], windows[-1]
            if blocks and _rows(blocks) + block.rows > self._stream.window:
                windows.append((first + _rows(blocks), []))
            windows[-1][1].append(block)
        return windows

    def _fill(self, half: int, seed: int, first: int, blocks: list[Block]) -> np.ndarray:
        """Read blocks into a half of the buffer, and return the indices of their rows in the order of the epoch."""
        start = stop = self._carried + half * self._size
        for block in blocks:
            rows = slice(stop, stop + block.rows)
            batch = self._batch(block, self._buffer.X[rows])
            for array, part in zip(_arrays(self._buffer)[1:], _arrays(batch)[1:], strict=True):
                array[rows] = part
            stop = rows.stop
        places = np.arange(start, stop)  # (rows,)
        return places if seed < 0 else np.random.default_rng([seed, first]).permutation(places)

    def _batch(self, block: Block, out: np.ndarray | None = None) -> Batch:
        """Return the rows of a block as the network takes them, on the host, with X in ``out`` if it is given."""
        shape = block.rows, self._net.sizes[0]
        X = np.empty(shape, self._host.dtype) if out is None else out  # (n, n_0)
        raw = self._stream.read(block, X)
        try:
            return targets.with_targets(X, raw.y, raw.weights, self._net, self._host)
        except (TypeError, ValueError) as error:
            msg = f"from {self._stream.where(block, 0)}: {error}"
            raise type(error)(msg) from None


def _rows(blocks: list[Block]) -> int:
    return sum(block.rows for block in blocks)


def _arrays(batch: Batch) -> list[np.ndarray]:
    return [part for part in batch if part is not None]
