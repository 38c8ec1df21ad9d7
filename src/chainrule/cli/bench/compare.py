"""`chainrule bench compare`: two runs side by side, or two contestants of one."""

import json
from pathlib import Path
from typing import Annotated

import typer

from chainrule.backends.speed_map.interval import Interval
from chainrule.bench.judge.comparison import compare as compared
from chainrule.bench.judge.comparison import compare_contestants
from chainrule.bench.report.formats import NONE, microseconds
from chainrule.bench.report.word_table import Table
from chainrule.bench.store import read
from chainrule.cli.options import AsJson, argument, option
from chainrule.cli.show import console

SLOWER = 1  # the exit code
HEAD = ("cell", "contestant", "before, µs", "after, µs", "times", "95 % interval", "verdict")


def compare(
    before: Annotated[str, argument("bench compare.before")],
    after: Annotated[str, argument("bench compare.after")],
    inside: Annotated[Path | None, option("bench compare.in")] = None,
    force: Annotated[bool, option("bench compare.force")] = False,
    fail: Annotated[bool, option("bench compare.fail")] = False,
    as_json: AsJson = False,
) -> None:
    """Say, cell by cell, what is faster or slower after than before, or undecided."""
    if inside is not None:
        comparison = compare_contestants(read(inside), before, after)
    else:
        comparison = compared(read(Path(before)), read(Path(after)), force=force)
    rows = [
        (
            *(row.place.cell.name, row.place.contestant),
            *(microseconds(row.before), microseconds(row.after)),
            *(*_texts(row.ratio), row.verdict),
        )
        for row in comparison.rows
    ]
    means = [
        (f"mean of {mean.cells}", mean.contestant, NONE, NONE, *_texts(mean.ratio), mean.verdict)
        for mean in comparison.means
    ]
    if as_json:
        typer.echo(json.dumps({"rows": rows, "means": means, "notes": list(comparison.notes)}))
    else:
        title = f"{after} compared with {before}, a step; means are geometric"
        console().print(Table(title, HEAD, [*rows, *means], list(comparison.notes), texts=2).rich())
    if fail and comparison.slower:
        raise typer.Exit(SLOWER)


def _texts(ratio: Interval) -> tuple[str, str]:
    ends = f"{ratio.low:.3f} to {ratio.high:.3f}" if ratio.is_bounded else "too few rounds"
    return f"{ratio.estimate:.3f}", ends
