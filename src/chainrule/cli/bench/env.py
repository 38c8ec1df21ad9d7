"""`chainrule bench env`: what would be measured here, and on what."""

import json
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from chainrule.bench.environment import environment
from chainrule.bench.roster import ROSTER
from chainrule.cli.show import console

AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


def env(as_json: AsJson = False) -> None:
    """Say what this machine is, and who can take part here."""
    facts = {key: value for key, value in environment().items() if key != "record"}
    who: list[dict[str, object]] = [
        {"name": entry.name, "group": entry.group, "missing": entry.missing(), "says": entry.says}
        for entry in ROSTER.values()
    ]
    if as_json:
        typer.echo(json.dumps({**facts, "contestants": who}))
        return
    screen = console()
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        shown = value if isinstance(value, str | int | float) else json.dumps(value)
        table.add_row(Text(name, style="bold"), Text(str(shown)))
    screen.print(table)
    screen.print(_roster(who))


def _roster(who: list[dict[str, object]]) -> Table:
    table = Table(title="contestants", title_justify="left")
    table.add_column("name", style="bold", no_wrap=True)
    table.add_column("is", no_wrap=True)
    table.add_column("what it is, or what it needs installed", overflow="fold")
    for one in who:
        missing = one["missing"]
        said = (
            Text(f"needs {', '.join(missing)}", style="red")
            if isinstance(missing, list) and missing
            else Text(str(one["says"]))
        )
        table.add_row(str(one["name"]), str(one["group"]), said)
    return table
