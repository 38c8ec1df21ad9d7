"""The history of a training run: a record for each epoch, printed as a table or plotted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np


class Record(NamedTuple):
    """What one epoch came to."""

    epoch: int  # counted from 0
    loss: float  # over the epoch's batches, each before its update
    validation_loss: float | None  # after the epoch's last update
    validation_accuracy: float | None  # share of right classes, 0 to 1; None where there are none
    learning_rate: float  # of the epoch's first step
    seconds: float  # since training began


@dataclass
class History:
    """The records of a run, and how it ended.

    Examples
    --------
    >>> from chainrule import NeuralNetwork
    >>> net = NeuralNetwork(2, 4, 1, seed=0)
    >>> history = net.train([[0, 0], [0, 1]], [[0], [1]], epochs=2, learning_rate=0.1, progress=False)
    >>> len(history), history.interrupted
    (2, False)
    """

    reported: str  # what the loss column holds
    interrupted: bool = False  # Ctrl-C, or a callback that returned True
    best_epoch: int | None = None  # where early stopping found the weights that it restored
    notes: tuple[str, ...] = ()  # how a GPU multiplied, why the loss did not fall, ...
    _columns: tuple[list[Any], ...] = field(default_factory=lambda: ([], [], [], [], []), repr=False)

    def add(
        self,
        losses: Sequence[float],
        rates: Sequence[float],
        seconds: float,
        validation_loss: float | None = None,
        validation_accuracy: float | None = None,
    ) -> None:
        """Add epochs that ended at ``seconds``; of several, those between are taken to last equally long."""
        count, before = len(losses), self._columns[-1][-1] if len(self) else 0.0
        ends = np.linspace(before, seconds, count + 1)[1:].tolist()
        held_out = [validation_loss] * count, [validation_accuracy] * count
        for column, more in zip(self._columns, (losses, *held_out, rates, ends), strict=True):
            column.extend(more)

    @property
    def records(self) -> list[Record]:
        """A record for each epoch."""
        return [Record(*row) for row in zip(range(len(self)), *self._columns, strict=True)]

    def record(self, epoch: int) -> Record:
        """Return the record of one epoch; -1 is the last one."""
        return Record(range(len(self))[epoch], *(column[epoch] for column in self._columns))

    def __len__(self) -> int:
        return len(self._columns[0])

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __getitem__(self, name: str) -> list[Any]:
        """Return one column: ``history["loss"]``."""
        if name not in Record._fields:
            msg = f"history has no column {name!r} (known: {', '.join(Record._fields)})"
            raise KeyError(msg)
        return list((range(len(self)), *self._columns)[Record._fields.index(name)])

    def __repr__(self) -> str:
        if not len(self):
            return "History(no epochs)"
        last = self.record(-1)
        return f"History({len(self)} epochs, last {self.reported} {last.loss:.6g})"

    def __str__(self) -> str:
        """Return a table of at most 20 epochs, the first and the last among them, and the notes."""
        validated, scored = (any(v is not None for v in column) for column in self._columns[1:3])
        head = f"{'epoch':>7}  {'loss':>12}"
        head += f"  {'validation':>12}" if validated else ""
        head += f"  {'accuracy':>8}" if scored else ""
        lines = [f"{head}  {'seconds':>8}"]
        for record in self._shown(20):
            line = f"{record.epoch:>7}  {record.loss:>12.6g}"
            line += f"  {_figure(record.validation_loss):>12}" if validated else ""
            line += f"  {_percent(record.validation_accuracy):>8}" if scored else ""
            lines.append(f"{line}  {record.seconds:>8.2f}")
        return "\n".join([*lines, *self.notes])

    def _shown(self, most: int) -> list[Record]:
        if len(self) <= most:
            return self.records
        places = {round(i * (len(self) - 1) / (most - 1)) for i in range(most)}
        return [self.record(place) for place in sorted(places)]

    def plot(self, ax: Any = None) -> Any:
        """Draw the losses, and the accuracy and the learning rate where there is something to see.

        Returns a picture, or ``ax`` with the losses alone: :func:`chainrule.plots.plot_history`.

        Raises
        ------
        ImportError
            If matplotlib (extra ``plots``) is not installed.
        ValueError
            If there are no epochs.
        """
        from chainrule.plots import plot_history

        return plot_history(self, reported=self.reported, best_epoch=self.best_epoch, ax=ax)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"
