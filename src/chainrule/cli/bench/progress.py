"""The progress of a run: a bar with the time left on a terminal, a line a cell elsewhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from chainrule.bench import roster
from chainrule.bench.measure.campaign import Listener

HOUR = 3600.0  # seconds over which the speed is averaged: a cell may take minutes


@contextmanager
def progress() -> Iterator[Listener]:
    """Yield what shows on standard error how a run goes on."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = MofNCompleteColumn(), BarColumn(bar_width=16), TimeRemainingColumn()
    bar = Progress(
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
        speed_estimate_period=HOUR,
    )
    task = bar.add_task("")

    def shown(done: int, total: int, lines: Sequence[dict[str, Any]]) -> None:
        bar.update(task, completed=done, total=total)
        left = bar.tasks[0].time_remaining
        text = summary(lines) if lines else f"{done} of {total} were measured before" if done else ""
        if text and not console.is_terminal:
            text = f"[{done}/{total}] {text}" + (
                f"  about {timedelta(seconds=round(left))} left" if left else ""
            )
        if text:
            console.print(text, markup=False)

    with bar:
        yield shown


def summary(lines: Sequence[dict[str, Any]]) -> str:
    """Return a line about a cell: its fastest contestant that is not just products, and what went wrong.

    Examples
    --------
    >>> line = {"record": "measurement", "contestant": "numpy", "status": "ok", "seconds": [0.01], "steps": 100}
    >>> summary([line | {"cell": "2-4-1,4", "operation": "step"}])
    '2-4-1,4 step  numpy 100 us'
    """
    measured = [line for line in lines if line["record"] == "measurement"]
    times = [
        (min(line["seconds"]) / line["steps"], line["contestant"])
        for line in measured
        if line["status"] == "ok" and roster.entry(line["contestant"]).group != roster.PRODUCTS
    ]
    parts = [f"{measured[0]['cell']} {measured[0]['operation']}"]
    if times:
        seconds, who = min(times)
        parts.append(f"{who} {1e6 * seconds:.3g} us")
    failed = [line for line in measured if line["status"] in {"wrong", "failed"}]
    parts += [f"{line['contestant']}: {line['reason']}" for line in failed]
    if all(line["status"] == "skipped" for line in measured):
        parts.append(f"skipped: {measured[0]['reason']}")
    return "  ".join(parts)
