"""`chainrule bench env`: what would be measured here, and on what."""

import json
from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from chainrule.bench.judge.machines import library
from chainrule.bench.measure.environment import environment
from chainrule.bench.roster import ROSTER, Entry
from chainrule.cli.options import AsJson
from chainrule.cli.show import console, facts_table


def env(as_json: AsJson = False) -> None:
    """Say what this machine is, and who can take part here."""
    facts = {key: value for key, value in environment().items() if key != "record"}
    who = [_contestant(entry, has_gpu=facts["gpu"] is not None) for entry in ROSTER.values()]
    if as_json:
        typer.echo(json.dumps({**facts, "contestants": who}))
        return
    screen = console()
    screen.print(facts_table({name: _shown(name, value) for name, value in facts.items()}))
    screen.print(_roster(who))


def _contestant(entry: Entry, *, has_gpu: bool) -> dict[str, object]:
    missing = entry.missing()
    if entry.device == "cuda" and not has_gpu:
        missing.append("a CUDA device")
    says = entry.description + (
        "; only when named: it compiles in every cell" if entry.is_slow_to_make else ""
    )
    return {"name": entry.name, "group": entry.group, "missing": missing, "says": says}


def _shown(name: str, value: Any) -> str:
    """Return a fact as a person reads it."""
    if name == "blas":
        return "\n".join(library(one) for one in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {held}" for key, held in value.items()) or "none"
    return "not known" if value is None and name != "gpu" else "none" if value is None else str(value)


def _roster(who: list[dict[str, object]]) -> Table:
    table = Table(title="contestants", title_justify="left")
    table.add_column("name", style="bold", no_wrap=True)
    table.add_column("is", no_wrap=True)
    table.add_column("what it is, or what it needs installed", overflow="fold")
    for one in who:
        missing = one["missing"]
        text = (
            Text(f"needs {', '.join(missing)}", style="red")
            if isinstance(missing, list) and missing
            else Text(str(one["says"]))
        )
        table.add_row(str(one["name"]), str(one["group"]), text)
    return table
