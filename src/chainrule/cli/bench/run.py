"""`chainrule bench run`: measure."""

from typing import Annotated

import typer

from chainrule.bench import roster
from chainrule.bench.judge.mapping import store
from chainrule.bench.judge.results import Results
from chainrule.bench.measure import campaign
from chainrule.bench.measure.crew import QUICK, Care
from chainrule.bench.report import terminal
from chainrule.bench.roster import OPERATIONS
from chainrule.cli.bench import options
from chainrule.cli.bench.progress import progress
from chainrule.cli.errors import fail
from chainrule.cli.show import console

Processes = Annotated[int | None, typer.Option(min=1, metavar="N", help="Sets of processes; else 3.")]


def run(
    output: options.Output = options.FOLDER,
    quick: options.Quick = False,
    preset: options.Preset = "digits",
    grid: options.Grid = None,
    cell: options.CellsGiven = None,
    backend: options.Contestants = None,
    peers: options.Peers = False,
    operation: options.Operations = "step",
    dtype: options.Dtype = "float32",
    threads: options.Threads = None,
    processes: Processes = None,
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
