"""The history of a training run: a record for each epoch, printed as a table or plotted."""

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from chainrule.data.tables import polars
from chainrule.mathematics.naming import require

if TYPE_CHECKING:
    from polars import DataFrame

    from chainrule.plots.canvas import Ax, Picture


class Record(NamedTuple):
    """The results of one epoch."""

    epoch: int  # counted from 0
    loss: float  # mean over the epoch's batches, each before its update
    validation_loss: float | None  # after the epoch's last update
    validation_accuracy: float | None  # share of correct classes, 0 to 1; None without classes
    learning_rate: float  # at the epoch's first step
    seconds: float  # since training began


_MOST_ROWS = 20  # rows of the printed table, at most
# Its columns: the index in a record, the width and the format.
_COLUMNS = {
    "epoch": (0, 7, ""),
    "loss": (1, 12, ".6g"),
    "validation": (2, 12, ".6g"),
    "accuracy": (3, 8, ".2%"),
    "seconds": (5, 8, ".2f"),
}


@dataclass
class History:
    """The records of a run, and how it ended.

    Attributes
    ----------
    reported : str
        The name of the loss.
    interrupted : bool
        Whether Ctrl-C or a callback ended training.
    best_epoch : int or None
        The epoch whose weights early stopping restored.
    error : Exception or None
        The error that ended a network of ``train_many`` early.
    notes : tuple of str
        Lines about the run: how a GPU multiplied, why the loss did not fall, ...
    records : list of Record
        A record for each epoch; ``len(history)`` is their number, and iteration yields them.

    Examples
    --------
    >>> from chainrule import NeuralNetwork
    >>> net = NeuralNetwork(2, 4, 1, seed=0)
    >>> history = net.train([[0, 0], [0, 1]], [[0], [1]], epochs=2, learning_rate=0.1, progress=False)
    >>> len(history), history.interrupted
    (2, False)
    """

    reported: str  # the name of the loss in the loss column
    interrupted: bool = False  # Ctrl-C, or a callback that returned True
    best_epoch: int | None = None  # the epoch whose weights early stopping restored
    # The error that ended a member of `train_many` early.
    error: Exception | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()  # how a GPU multiplied, why the loss did not fall, ...
    # The losses, the learning rates and the seconds: plain numbers, since adding a record must not cost more than a step.
    _numbers: tuple["array[float]", ...] = field(
        default_factory=lambda: (array("d"), array("d"), array("d")), repr=False
    )
    _held_out: list[tuple[float | None, float | None]] = field(default_factory=list, repr=False)

    def add(
        self,
        losses: Sequence[float] | np.ndarray,
        rates: Sequence[float] | np.ndarray,
        seconds: float,
        held_out: tuple[float | None, float | None] | None = None,
    ) -> None:
        """Add epochs that ended at ``seconds``; several epochs are assumed to take equal times.

        Parameters
        ----------
        losses, rates : array
            ``(epochs,)``: the loss of each epoch, and the learning rate of its first step.
        seconds : float
            The time since training began.
        held_out : tuple, optional
            The loss and the accuracy on held-out data, of a single epoch.
        """
        before = self._numbers[2][-1] if len(self) else 0.0
        ends = np.linspace(before, seconds, len(losses) + 1)[1:]  # (epochs,)
        for column, more in zip(self._numbers, (losses, rates, ends), strict=True):
            column.frombytes(np.asarray(more, np.float64).tobytes())
        if held_out is not None:
            self._held_out.append(held_out)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all records as arrays, for a checkpoint.

        Returns
        -------
        dict of str to array
            ``numbers (3, epochs)`` and ``held_out (epochs, 2)``, or ``(0, 2)`` without held-out data.
        """
        held_out = np.array(self._held_out, np.float64).reshape(-1, 2)  # (epochs, 2); NaN: no accuracy
        return {"numbers": np.array(self._numbers), "held_out": held_out}

    def extend(self, numbers: np.ndarray, held_out: np.ndarray) -> None:
        """Add the records of :meth:`arrays`.

        Parameters
        ----------
        numbers, held_out : array
            ``(3, epochs)`` and ``(epochs, 2)``.
        """
        for column, more in zip(self._numbers, numbers, strict=True):
            column.frombytes(more.tobytes())
        rows = held_out.tolist()
        self._held_out += [(loss, None if math.isnan(accuracy) else accuracy) for loss, accuracy in rows]

    @property
    def records(self) -> list[Record]:
        """A record for each epoch."""
        losses, rates, seconds = self._numbers
        held_out = self._held_out or [(None, None)] * len(self)
        rows = zip(range(len(self)), losses, held_out, rates, seconds, strict=True)
        return [Record(epoch, loss, *held, rate, end) for epoch, loss, held, rate, end in rows]

    def record(self, epoch: int) -> Record:
        """Return the record of one epoch.

        Parameters
        ----------
        epoch : int
            From 0; -1 is the last.

        Returns
        -------
        Record
            ``epoch``, ``loss``, ``validation_loss``, ``validation_accuracy``, ``learning_rate`` and ``seconds``.

        Raises
        ------
        IndexError
            If there is no such epoch.
        """
        loss, rate, seconds = (column[epoch] for column in self._numbers)
        held_out = self._held_out[epoch] if self._held_out else (None, None)
        return Record(range(len(self))[epoch], loss, *held_out, rate, seconds)

    def __len__(self) -> int:
        return len(self._numbers[0])

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __getitem__(self, name: str) -> list[Any]:
        """Return one column as a list: ``history["loss"]``."""
        problem = f"history has no column {name!r} (known: {', '.join(Record._fields)})"
        require(name in Record._fields, problem, KeyError)
        return [getattr(record, name) for record in self.records]

    def __repr__(self) -> str:
        if not len(self):
            return "History(no epochs)"
        last = self.record(-1)
        return f"History({len(self)} epochs, last {self.reported} {last.loss:.6g})"

    def __str__(self) -> str:
        """Return a table of at most 20 epochs, the first and the last among them, and the notes."""
        count = len(self)
        places = np.unique(np.linspace(0, count - 1, min(count, _MOST_ROWS)).round().astype(int))
        records, columns = [self.record(place) for place in places], []
        for name, (place, width, form) in _COLUMNS.items():
            values = [record[place] for record in records]
            texts = ["" if value is None else format(value, form) for value in values]
            if any(texts) or not texts:
                columns.append([text.rjust(width) for text in (name, *texts)])
        return "\n".join([*map("  ".join, zip(*columns, strict=True)), *self.notes])

    def to_frame(self) -> "DataFrame":
        """Return the records as a Polars data frame.

        Returns
        -------
        polars.DataFrame
            A row for each epoch; the columns are the fields of ``Record``.

        Raises
        ------
        ImportError
            If Polars (extra ``data``) is not installed.
        """
        pl = polars("to_frame")
        dtypes = dict.fromkeys(Record._fields, pl.Float64) | {"epoch": pl.Int64}
        return pl.DataFrame(self.records, schema=dtypes, orient="row")

    def plot(self, ax: "Ax" = None) -> "Picture | Any":
        """Draw the losses; also the accuracy, and the learning rate if it varies.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to draw the losses into.

        Returns
        -------
        Picture or Axes
            A picture, or ``ax``: see :func:`chainrule.plots.plot_history`.

        Raises
        ------
        ImportError
            If matplotlib (extra ``plots``) is not installed.
        ValueError
            If there are no epochs.
        """
        from chainrule.plots import plot_history

        return plot_history(self, reported=self.reported, best_epoch=self.best_epoch, ax=ax)
