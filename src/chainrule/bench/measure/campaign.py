"""The campaign: all cells of a run, in an order drawn anew for each set of processes; it can be resumed."""

import math
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.measure.crew import QUICK, Care, Crew, Seat, crew
from chainrule.bench.store import FILE, SCHEMA, Records, append, read

LONGEST_PASS = 4.0  # seconds; a cell whose pass takes longer is not measured


@dataclass(frozen=True)
class Plan:
    """What is to be measured."""

    cells: Sequence[Cell]
    contestants: Sequence[str]
    operations: Sequence[str] = ("step",)
    processes: int = 3
    threads: Sequence[int] = (0,)
    care: Care = field(default_factory=Care)
    shuffled: bool = True  # the cells of each set of processes

    def line(self, run: str) -> dict[str, Any]:
        """Return it as it is written."""
        return {
            "record": "plan",
            "schema": SCHEMA,
            "run": run,
            "commit": commit(),
            "cells": [cell.name for cell in self.cells],
            "contestants": list(self.contestants),
            "operations": list(self.operations),
            "processes": self.processes,
            "threads": list(self.threads),
        }


# A cell to be measured by one set of processes: the set's number, the cell, the operation.
Unit = tuple[int, Cell, str]


class Ended(NamedTuple):
    """A unit that has been measured: what was written of it, and the seconds that it took."""

    cell: Cell
    operation: str
    lines: Sequence[dict[str, Any]]
    seconds: float


class Progress(Protocol):
    """What is told how a campaign goes on."""

    def begin(self, done: int, total: int) -> None:
        """Hear how many units there are, and how many were measured before."""

    def unit(self, ended: Ended) -> None:
        """Hear of a unit that has ended."""


def run(plan: Plan, folder: Path, progress: Progress) -> Records:
    """Measure what of the plan is not in the folder yet, and return all that is.

    Raises
    ------
    ValueError
        If the folder holds another plan.
    KeyboardInterrupt
        After Ctrl-C, when what was measured has been written.
    """
    identity, done = _begin(plan, folder)
    units = _units(plan)
    left = [unit for unit in units if unit not in done]
    progress.begin(len(units) - len(left), len(units))
    for number, dtype in dict.fromkeys((number, cell.dtype) for number, cell, _ in left):
        mine = [unit for unit in left if unit[0] == number and unit[1].dtype == dtype]
        with crew(identity, number, dtype, plan.care) as one:
            _set(plan, one, mine, folder, progress)
    return read(folder)


def _set(plan: Plan, one: Crew, units: Sequence[Unit], folder: Path, progress: Progress) -> None:
    """Measure the units of one set of processes, between two looks at what the machine can do.

    Its clock and its other guests change what that is; the better look counts. Where time is short, the first
    unit comes before the first look.
    """
    is_short = plan.care.until < math.inf
    peak = 0.0 if is_short else _ceilings(plan, one, folder)
    for place, (_, cell, operation) in enumerate(units):
        began, lines = time.perf_counter(), []
        seats = _seats(plan, operation)
        if peak and (estimate := 2 * cell.flops / peak) > LONGEST_PASS:
            lines = list(_too_long(one, cell, operation, seats, estimate))
            append(folder, lines)
        else:
            for line in one.measure(cell, operation, seats):
                lines.append(line)
                append(folder, [line])
        progress.unit(Ended(cell, operation, lines, time.perf_counter() - began))
        if is_short and place == 0 and time.monotonic() < plan.care.until:
            peak = _ceilings(plan, one, folder)
    if time.monotonic() < plan.care.until:
        _ceilings(plan, one, folder)


def _ceilings(plan: Plan, one: Crew, folder: Path) -> float:
    """Measure and keep what the machine can do with each library that has a floor; return the best rate."""
    floors = [entry for entry in map(roster.entry, plan.contestants) if entry.group == roster.FLOOR]
    libraries = [floor.library for floor in floors]
    known = [line for threads in plan.threads for line in one.ceilings(libraries, threads)]
    append(folder, known)
    return max((line["peak"] for line in known), default=0.0)


def _seats(plan: Plan, operation: str) -> list[Seat]:
    able = [name for name in plan.contestants if operation in roster.entry(name).operations]
    return [Seat(name, threads) for name, threads in product(able, plan.threads)]


def _too_long(
    one: Crew, cell: Cell, operation: str, seats: Sequence[Seat], seconds: float
) -> Iterator[dict[str, Any]]:
    reason = (
        f"two steps take {seconds:.1f} s at the machine's best rate; {LONGEST_PASS:.0f} s is the most"
    )
    for seat in seats:
        yield {
            "record": "measurement",
            "run": one.run,
            "process": one.number,
            "cell": cell.name,
            "operation": operation,
            "contestant": seat.contestant,
            "threads": seat.threads,
            "status": "skipped",
            "reason": reason,
        }


def _units(plan: Plan) -> list[Unit]:
    """Return everything that is to be measured: set by set, the cells shuffled in each."""
    units = []
    for number in range(plan.processes):
        mine = [(number, cell, operation) for cell, operation in product(plan.cells, plan.operations)]
        if plan.shuffled:
            random.Random(number).shuffle(mine)  # noqa: S311  an order, no secret
        units += mine
    return units


def _begin(plan: Plan, folder: Path) -> tuple[str, set[Unit]]:
    """Return the run's name and what of it was measured; write the plan where there is none yet."""
    if not (folder / FILE).exists():
        identity = time.strftime("%Y-%m-%dT%H:%M:%S")
        append(folder, [plan.line(identity)])
        return identity, set()
    records = read(folder)
    identity = records.plan.get("run", "")
    wanted = plan.line(identity)
    different = [key for key in wanted if key != "commit" and records.plan.get(key) != wanted[key]]
    if different:
        msg = f"{folder} holds a run with other {', '.join(different)}; give another folder with -o"
        raise ValueError(msg)
    undone = {_unit(one) for one in records.measurements if one.status == "interrupted"}
    return identity, {_unit(one) for one in records.measurements} - undone


def _unit(one: Any) -> Unit:
    return one.process, one.cell, one.operation


def commit() -> str | None:
    """Return which source is measured; a plus sign says that it was changed since."""
    here = str(Path(__file__).parent)
    command = ["git", "-C", here, "describe", "--always", "--exclude=*", "--dirty=+"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  no input
    except OSError:
        return None
    return done.stdout.strip() or None


class Silence:
    """Progress that nobody hears of."""

    def begin(self, done: int, total: int) -> None:
        """Hear it."""

    def unit(self, ended: Ended) -> None:
        """Hear it."""


def measure(
    cells: Sequence[Cell],
    contestants: Sequence[str],
    seconds: float,
    operations: Sequence[str] = ("step",),
) -> Records:
    """Return the records of a quick look at a few cells that takes about so many seconds at the most.

    When the time is over, cells are left out, the last first.
    """
    # Floors last: should time not suffice for all, the answer is known without them.
    names = list(dict.fromkeys([*contestants, *roster.with_floors(contestants)]))
    plan = Plan(cells, names, operations, processes=1, shuffled=False)
    # Half of the time goes to starting and warming up; eight rounds are the fewest with an interval.
    each = seconds / max(1, len(cells)) / 2
    until = time.monotonic() + seconds
    care = replace(QUICK, squares=(1024,), rounds=15, least_rounds=8, budget=each, until=until)
    with tempfile.TemporaryDirectory() as folder:
        return run(replace(plan, care=care), Path(folder), Silence())
