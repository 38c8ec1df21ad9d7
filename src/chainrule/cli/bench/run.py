"""`chainrule bench run`: measure."""

from pathlib import Path
from typing import Annotated

import typer

from chainrule.bench import roster
from chainrule.bench.cells import GRID
from chainrule.bench.judge.mapping import store
from chainrule.bench.judge.results import Results
from chainrule.bench.measure import campaign
from chainrule.bench.measure.crew import QUICK, Care
from chainrule.bench.report import terminal
from chainrule.bench.roster import OPERATIONS
from chainrule.cli.bench import options
from chainrule.cli.bench.progress import progress
from chainrule.cli.errors import fail
from chainrule.cli.options import option
from chainrule.cli.show import console


def run(
    output: Annotated[Path, option("bench run.output")] = options.FOLDER,
    quick: Annotated[bool, option("bench run.quick")] = False,
    preset: Annotated[str, option("bench run.preset")] = "digits",
    grid: Annotated[str | None, option("bench run.grid", help=f'As in "{GRID}".')] = None,
    cell: Annotated[list[str] | None, option("bench run.cell")] = None,
    backend: options.Contestants = None,
    peers: Annotated[bool, option("bench run.peers")] = False,
    operation: Annotated[str, option("bench run.operation")] = "step",
    dtype: Annotated[str, option("bench run.dtype")] = "float32",
    threads: Annotated[str | None, option("bench run.threads")] = None,
    processes: Annotated[int | None, option("bench run.processes")] = None,
) -> None:
    """Measure which backend is fastest where. What DIR holds is kept: a run goes on.

    What was measured is also what backend="auto" goes by.
    """
    plan = campaign.Campaign(
        options.cells(preset, grid, dtype, cell, quick=quick),
        options.contestants(backend, peers=peers),
        options.listed("operation", operation, list(OPERATIONS)),
        processes or (1 if quick else 3),
        options.threads(threads),
        QUICK if quick else Care(),
    )
    try:
        with progress() as listener:
            records = campaign.run(plan, output, listener)
    except KeyboardInterrupt:
        typer.echo(
            f"interrupted; what was measured is kept. The same command goes on: {output}", err=True
        )
        raise typer.Exit(130) from None
    taken = [m for m in records.measurements if roster.entry(m.contestant).group != roster.PRODUCTS]
    if all(one.status != "ok" for one in taken):
        fail(f"nothing was measured: {taken[0].reason}")
    results = Results(records)
    store(results)
    console().print(terminal(results))
