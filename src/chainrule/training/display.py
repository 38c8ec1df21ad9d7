"""The display of progress: a bar on a terminal, lines elsewhere, or the lines of the notebook."""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TextIO

from chainrule.mathematics.checks import flag
from chainrule.training.history import Record

# Raised if the reader of the output is gone, which should not stop training.
_UNREAD = (OSError, ValueError)
_NARROW = 90  # columns


class Display:
    """Shows nothing; the subclasses show the progress of a run."""

    stream: TextIO | None = None

    def shown(self, first: int, stop: int) -> Sequence[int]:
        """Return the epochs to show, of those from ``first`` up to ``stop``, which have ended."""
        return range(max(first, stop - 1), stop)

    def show(self, record: Record) -> None:
        """Show an epoch that has ended."""

    def close(self) -> None:
        """Leave the terminal as it was."""

    def note(self, text: str) -> None:
        """Print a line about the whole run to the stream, if there is one; called after :meth:`close`."""
        if self.stream is not None:
            say(text, self.stream)


class Lines(Display):
    """Prints a line for each epoch that is a multiple of ``every``, and for epoch ``last``."""

    def __init__(
        self, every: int, stream: TextIO, line: Callable[[Record], str], last: int = -1
    ) -> None:
        self._every, self.stream, self._line, self._last = every, stream, line, last

    def shown(self, first: int, stop: int) -> Sequence[int]:
        """Return the multiples, and the last epoch."""
        multiples = range(first + -first % self._every, stop, self._every)
        return sorted({*multiples, *({self._last} & {stop - 1})})

    def show(self, record: Record) -> None:
        """Print a line."""
        self.note(self._line(record))


class Bar(Display):
    """A progress bar (rich), redrawn at most ten times per second."""

    def __init__(self, epochs: int, console: Any) -> None:
        from rich import progress
        from rich.table import Column

        counts = Column(no_wrap=True, min_width=2 * len(str(epochs)) + 1)
        time_left = Column(no_wrap=True, min_width=len("0:00:00"))
        # On a narrow terminal, omit the word first, then the bar, then the end of the summary.
        word = [progress.TextColumn("epoch")] if console.width > _NARROW else []
        self._bar = progress.Progress(
            *word,
            progress.MofNCompleteColumn(table_column=counts),
            progress.BarColumn(bar_width=20),
            progress.TimeRemainingColumn(table_column=time_left),
            progress.TextColumn("{task.fields[summary]}"),
            console=console,
            auto_refresh=False,
        )
        self.stream = sys.stderr
        self._task = self._bar.add_task("epoch", total=epochs, summary="")
        self._newest: Record | None = None
        self._drawn = 0.0
        self._bar.start()

    def show(self, record: Record) -> None:
        """Advance the bar."""
        self._newest = record
        now = time.monotonic()
        if now - self._drawn >= 0.1:
            self._drawn = now
            self._draw(record, summary(record))

    def close(self) -> None:
        """Leave the bar at the newest epoch, also if training ended early, and show the cursor again."""
        if self._newest is not None:
            self._draw(self._newest, f"{summary(self._newest)}  {_passed(self._newest)}")
        with suppress(*_UNREAD):
            self._bar.stop()

    def _draw(self, record: Record, text: str) -> None:
        with suppress(*_UNREAD):
            self._bar.update(self._task, completed=record.epoch + 1, summary=text)
            self._bar.refresh()


def say(text: str, stream: TextIO) -> None:
    """Print a line, also if nobody reads the stream any more."""
    with suppress(*_UNREAD):
        print(text, file=stream, flush=stream is sys.stderr)


def summary(record: Record) -> str:
    """Return one line about an epoch.

    Examples
    --------
    >>> summary(Record(0, 0.5, 0.75, 0.9, 0.1, 1.25))
    'loss 0.5  validation 0.75  accuracy 90.00%'
    """
    line = f"loss {record.loss:.4g}"
    if record.validation_loss is not None:
        line += f"  validation {record.validation_loss:.4g}"
    if record.validation_accuracy is not None:
        line += f"  accuracy {record.validation_accuracy:.2%}"
    return line


def _passed(record: Record) -> str:
    return f"{record.seconds:.{int(record.seconds < 100)}f} s"


def display(progress: bool | None, epochs: int, every: int, *, plain: bool = True) -> Display:
    """Return the display for ``train(progress=...)``.

    Parameters
    ----------
    progress : bool or None
        ``True``: a bar on a terminal, lines elsewhere. ``False``: nothing. ``None``: a ``plain`` run of at least ``every``
        epochs prints a line every ``every`` epochs; other runs are shown as for ``True``.
    epochs, every : int
        The number of epochs, and between two lines.
    plain : bool
        Whether every step takes all rows, and none are held out.

    Returns
    -------
    Display
        An object that shows records.
    """
    if progress is None and plain and epochs >= every:
        return Lines(every, sys.stdout, lambda record: f"Epoch {record.epoch}, Loss:{record.loss}")
    if progress is not None and not flag("progress", progress):
        return Display()
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        return Bar(epochs, console)
    # About twenty lines in the whole run.
    return Lines(max(1, epochs // 20), sys.stderr, partial(_line, epochs), last=epochs - 1)


def _line(epochs: int, record: Record) -> str:
    return f"epoch {record.epoch + 1}/{epochs}  {summary(record)}  {_passed(record)}"
