"""`chainrule bench env`: what would be measured here, and on what."""

import json
from typing import Any

import typer

from chainrule.bench.judge.machines import library
from chainrule.bench.measure.environment import environment
from chainrule.bench.report.word_table import Table
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
    screen.print(_roster(who).rich())


def _contestant(entry: Entry, *, has_gpu: bool) -> dict[str, Any]:
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


def _roster(who: list[dict[str, Any]]) -> Table:
    head = ["name", "is", "description, or what it needs installed"]
    rows = [
        (
            one["name"],
            one["group"],
            f"needs {', '.join(one['missing'])}" if one["missing"] else one["says"],
        )
        for one in who
    ]
    return Table("contestants", head, [*rows], texts=3)
