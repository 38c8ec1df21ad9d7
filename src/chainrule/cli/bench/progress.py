"""The progress of a run: a bar with the time left on a terminal, a line a cell elsewhere."""

import sys
import time
from collections.abc import Sequence
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Column

from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.measure.campaign import Listener


class Shown(Listener):
    """Says on standard error how a run goes on; a context, so that the terminal is left as it was."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            BarColumn(bar_width=16),
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = TaskID(0)
        self._done = self._total = self._here = 0
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take it away."""
        self._bar.stop()

    def begin(self, done: int, total: int) -> None:
        """Hear how many units there are, and how many were measured before."""
        self._done, self._total = done, total
        self._task = self._bar.add_task("starting the processes", total=total, completed=done)
        if done:
            self._say(f"{done} of {total} were measured before; going on")

    def unit(self, cell: Cell, operation: str, lines: Sequence[dict[str, Any]]) -> None:
        """Hear of a unit that has ended."""
        self._done, self._here = self._done + 1, self._here + 1
        left = f"about {duration(self.left)} left"
        self._bar.update(self._task, completed=self._done, description=left)
        bar = "" if self._console.is_terminal else f"[{self._done}/{self._total}] "
        more = "" if self._console.is_terminal else f"  {left}"
        self._say(f"{bar}{summary(cell, operation, lines)}{more}")

    @property
    def left(self) -> float:
        """The seconds to go, if the others take as long as those so far."""
        each = (time.monotonic() - self._began) / max(1, self._here)
        return each * (self._total - self._done)

    def _say(self, text: str) -> None:
        if self._console.is_terminal:
            self._bar.console.print(text, markup=False)
        else:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()


def summary(cell: Cell, operation: str, lines: Sequence[dict[str, Any]]) -> str:
    """Return a line about a cell: its fastest contestant that is not just products, and what went wrong.

    Examples
    --------
    >>> from chainrule.bench.cells import parse
    >>> line = {"record": "measurement", "contestant": "numpy", "status": "ok", "seconds": [0.01], "steps": 100}
    >>> summary(parse("2-4-1,4"), "step", [line])
    '2-4-1,4 step  numpy 100 us'
    """
    measured = [line for line in lines if line["record"] == "measurement"]
    times = [
        (min(line["seconds"]) / line["steps"], line["contestant"])
        for line in measured
        if line["status"] == "ok" and roster.entry(line["contestant"]).group != roster.PRODUCTS
    ]
    parts = [f"{cell.name} {operation}"]
    if times:
        seconds, who = min(times)
        parts.append(f"{who} {1e6 * seconds:.3g} us")
    failed = [line for line in measured if line["status"] in {"wrong", "failed"}]
    parts += [f"{line['contestant']}: {line['reason']}" for line in failed]
    if measured and all(line["status"] == "skipped" for line in measured):
        parts.append(f"skipped: {measured[0]['reason']}")
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """Return a time as a person says it.

    Examples
    --------
    >>> duration(42), duration(150)
    ('42 s', '2.5 min')
    """
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
