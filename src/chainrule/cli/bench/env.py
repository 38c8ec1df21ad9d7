"""`chainrule bench env`: what would be measured here, and on what."""

import json

import typer

from chainrule.bench.judge.machines import facts
from chainrule.bench.measure.environment import environment
from chainrule.bench.report.word_table import Table
from chainrule.bench.roster import ROSTER, Entry
from chainrule.cli.options import AsJson
from chainrule.cli.show import console, facts_table


def env(as_json: AsJson = False) -> None:
    """Say what this machine is, and who can take part here."""
    here = environment()
    missing = {entry: _missing(entry, has_gpu=here["gpu"] is not None) for entry in ROSTER.values()}
    if as_json:
        who = [
            {"name": one.name, "group": one.group, "missing": lacks, "says": one.description}
            for one, lacks in missing.items()
        ]
        typer.echo(json.dumps({**here, "contestants": who}))
        return
    rows = [
        (one.name, one.group, f"needs {', '.join(lacks)}" if lacks else one.description)
        for one, lacks in missing.items()
    ]
    screen = console()
    screen.print(facts_table(dict(facts(here))))
    head = ["name", "is", "description, or what it needs installed"]
    screen.print(Table("contestants", head, [*rows], texts=3).rich())


def _missing(entry: Entry, *, has_gpu: bool) -> list[str]:
    return entry.missing() + (["a CUDA device"] if entry.device == "cuda" and not has_gpu else [])
