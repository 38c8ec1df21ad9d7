"""The history of a training run: a record for each epoch, printed as a table or plotted."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple


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
    records: list[Record] = field(default_factory=list)
    interrupted: bool = False  # Ctrl-C, or a callback that returned True
    best_epoch: int | None = None  # where early stopping found the weights that it restored
    notes: tuple[str, ...] = ()  # how a GPU multiplied, why the loss did not fall, ...

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __getitem__(self, name: str) -> list[Any]:
        """Return one column: ``history["loss"]``."""
        if name not in Record._fields:
            msg = f"history has no column {name!r} (known: {', '.join(Record._fields)})"
            raise KeyError(msg)
        return [getattr(record, name) for record in self.records]

    def __repr__(self) -> str:
        if not self.records:
            return "History(no epochs)"
        last = self.records[-1]
        return f"History({len(self)} epochs, last {self.reported} {last.loss:.6g})"

    def __str__(self) -> str:
        """Return a table of at most 20 epochs, the first and the last among them, and the notes."""
        validated = any(record.validation_loss is not None for record in self.records)
        scored = any(record.validation_accuracy is not None for record in self.records)
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
        if len(self.records) <= most:
            return self.records
        places = {round(i * (len(self.records) - 1) / (most - 1)) for i in range(most)}
        return [self.records[place] for place in sorted(places)]

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
