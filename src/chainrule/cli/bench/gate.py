"""`chainrule bench gate` and `calibrate`: is a step still what the table says, and how far may ratios vary."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from chainrule.bench.judge.gate import calibration, gates
from chainrule.bench.judge.gate import verdict as rooms
from chainrule.cli.bench import options
from chainrule.cli.errors import fail

CLOSED = 1  # the exit code

Table = Annotated[Path, typer.Option("--table", metavar="FILE", help="What is allowed; a TOML file.")]
Update = Annotated[bool, typer.Option("--update", help="Write what is found here into the table.")]
Write = Annotated[
    Path | None, typer.Option("--write", metavar="FILE", help="Write the band into this table of gates.")
]


def gate(table: Table = gates.FILE, backend: options.Contestants = None, update: Update = False) -> None:
    """Hold a step to the table: its operations, what it allocates, its time beside the floor.

    Exit code 1 where something does not hold.
    """
    allowed = gates.read(table)
    if update:
        gates.write(_updated(allowed), table)
        typer.echo(f"{table} says what was found here; see what changed with: git diff {table}")
        return
    if backend is not None:
        allowed = allowed.of(options.listed("contestant", backend, allowed.contestants))
    known = calibration.kept()
    found = rooms.gate(allowed, band=known.band if known else 0.0, say=_say)
    for finding in found:
        typer.echo(str(finding))
    if found:
        raise typer.Exit(CLOSED)
    typer.echo(f"the gate is open: all of {table} holds")


def _say(text: str) -> None:
    typer.echo(f"looking at {text}", err=True)


def _updated(allowed: gates.Allowed) -> gates.Allowed:
    try:
        return rooms.updated(allowed)
    except RuntimeError as why:
        fail(str(why))


def calibrate(backend: options.Contestants = "numpy", write: Write = None) -> None:
    """Measure a backend against itself: how far ratios vary on this machine. The gate takes it into account."""
    try:
        found = calibration.calibrate(backend or "numpy")
    except RuntimeError as why:
        fail(str(why))
    for cell, (estimate, low, high) in found.ratios.items():
        typer.echo(f"{cell}: {found.contestant} beside itself {estimate:.3f} ({low:.3f} to {high:.3f})")
    place = calibration.keep(found)
    if write is not None:
        gates.write(replace(gates.read(write), band=round(found.band, 2)), write)
        place = write
    typer.echo(f"ratios up to {1 + found.band:.2f} times the expected say nothing here; kept in {place}")
