"""`chainrule bench compare`: two runs side by side, or two contestants of one."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group

from chainrule.bench.judge.comparison import Comparison, compare_contestants
from chainrule.bench.judge.comparison import compare as compared
from chainrule.bench.judge.comparison_rows import HEAD, MEANS_HEAD, mean_rows, rows
from chainrule.bench.report.word_table import Table
from chainrule.bench.store import read
from chainrule.cli.options import AsJson
from chainrule.cli.show import console

SLOWER = 1  # the exit code

Before = Annotated[str, typer.Argument(metavar="BEFORE", help="A run's folder or file.")]
After = Annotated[str, typer.Argument(metavar="AFTER", help="Another's.")]
Inside = Annotated[
    Path | None,
    typer.Option("--in", metavar="RUN", help="Of this run, compare the contestants BEFORE and AFTER."),
]
Force = Annotated[bool, typer.Option("--force", help="Compare different machines, too.")]
Fail = Annotated[bool, typer.Option("--fail", help="Exit code 1 where something is slower.")]


def compare(
    before: Before,
    after: After,
    inside: Inside = None,
    force: Force = False,
    fail: Fail = False,
    as_json: AsJson = False,
) -> None:
    """Say, cell by cell, what is faster or slower after than before, or undecided."""
    if inside is not None:
        found = compare_contestants(read(inside), before, after)
    else:
        found = compared(read(Path(before)), read(Path(after)), force=force)
    if as_json:
        typer.echo(
            json.dumps({"rows": rows(found), "means": mean_rows(found), "notes": list(found.notes)})
        )
    else:
        console().print(_tables(found, f"{after} beside {before}, us a step"))
    if fail and found.slower:
        raise typer.Exit(SLOWER)


def _tables(found: Comparison, title: str) -> Group:
    cells = Table(title, HEAD, [*rows(found)], texts=2)
    means = Table("All cells, geometric mean", MEANS_HEAD, [*mean_rows(found)], list(found.notes))
    return Group(cells.rich(), "", means.rich())
