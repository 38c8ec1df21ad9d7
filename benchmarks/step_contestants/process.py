"""The life of one process: make a contestant, check it, time it, and say so in one line of JSON."""

from pathlib import Path
from typing import Any

from step_contestants import ENTRIES
from step_contestants.cells import parse
from step_contestants.check import check, reference
from step_contestants.contestant import Contestant, Timing, UnavailableError, time_blocks
from step_contestants.problem import problem


def run(name: str, cell: str, seconds: float, cache: Path | None) -> dict[str, Any]:
    """Return the record of a contestant in a cell, without the environment."""
    record: dict[str, Any] = {"contestant": name, "cell": cell, "status": "ok"}
    entry = ENTRIES[name]
    if missing := entry.missing():
        return record | {"status": "skipped", "reason": f"{' and '.join(missing)} is not installed"}
    given = problem(parse(cell))
    wanted = reference(given, cache)
    try:
        contestant = entry.maker()(given)
    except UnavailableError as why:
        return record | {"status": "skipped", "reason": str(why)}
    record |= {"note": contestant.note, "check": check(contestant, given, wanted)}
    if wrong := record["check"].pop("wrong"):
        return record | {"status": "wrong", "reason": wrong}
    timing = _timing(contestant, seconds)
    return record | timing._asdict() | {"median_us": timing.median_us}


def _timing(contestant: Contestant, seconds: float) -> Timing:
    if contestant.measure is not None:
        return contestant.measure(seconds)
    with contestant.context():
        return time_blocks(contestant, seconds)
