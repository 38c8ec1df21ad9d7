"""The campaign: all cells of a run, in a new random order for each set of processes; it can be resumed."""

import math
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.measure.crew import QUICK, Care, Crew, Seat, crew
from chainrule.bench.store import FILE, SCHEMA, Measurement, Records, append, read
from chainrule.mathematics.naming import require

LONGEST_PASS = 4.0  # seconds; a cell whose pass takes longer is not measured


@dataclass(frozen=True)
class Campaign:
    """What is to be measured."""

    cells: Sequence[Cell]
    contestants: Sequence[str]
    operations: Sequence[str] = ("step",)
    processes: int = 3
    threads: Sequence[int] = (0,)
    care: Care = field(default_factory=Care)

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
# Called at the start and after each unit: how many are done, how many there are, and the lines of the last.
Listener = Callable[[int, int, Sequence[dict[str, Any]]], None]


def run(campaign: Campaign, folder: Path, listener: Listener = lambda *_: None) -> Records:
    """Measure what of the campaign is not in the folder yet, and return all that is.

    Raises
    ------
    ValueError
        If the folder holds another campaign.
    KeyboardInterrupt
        After Ctrl-C, when what was measured has been written.
    """
    records = _begin(campaign, folder)
    undone = {_unit(one) for one in records.measurements if one.status == "interrupted"}
    done = {_unit(one) for one in records.measurements} - undone
    units = _units(campaign)
    left = [unit for unit in units if unit not in done]
    count = len(units) - len(left)
    listener(count, len(units), [])
    for number, dtype in dict.fromkeys((number, cell.dtype) for number, cell, _ in left):
        with crew(records.plan["run"], number, dtype, campaign.care) as one:
            if campaign.care.until == math.inf:  # a quick look has no time for the machine's limit
                _keep(_rates(campaign, one, records), folder, records)
            for _, cell, operation in (u for u in left if (u[0], u[1].dtype) == (number, dtype)):
                lines = _keep(_measured(campaign, one, cell, operation, records), folder, records)
                count += 1
                listener(count, len(units), lines)
    return records


def _keep(lines: Iterable[dict[str, Any]], folder: Path, records: Records) -> list[dict[str, Any]]:
    """Write each line as soon as it is there, add it to the records, and return all."""
    kept = []
    for line in lines:
        append(folder, [line])
        records.add(line)
        kept.append(line)
    return kept


def _measured(
    campaign: Campaign, one: Crew, cell: Cell, operation: str, records: Records
) -> Iterable[dict[str, Any]]:
    """Return the lines of a cell; of one that is too large for this machine, the reason."""
    able = [name for name in campaign.contestants if operation in roster.entry(name).operations]
    seats = [Seat(name, threads) for name, threads in product(able, campaign.threads)]
    peak = max(
        (rates.products for rates in records.rates if rates.dtype == cell.dtype), default=math.inf
    )
    seconds = 2 * cell.flops / peak  # a pass has at least two steps
    if seconds <= LONGEST_PASS:
        return one.measure(cell, operation, seats)
    reason = (
        f"two steps take {seconds:.1f} s at the machine's best rate; {LONGEST_PASS:.0f} s is the most"
    )
    place = one.run, one.number, cell, operation
    return [Measurement(*place, *seat, "skipped", reason).line() for seat in seats]


def _rates(campaign: Campaign, one: Crew, records: Records) -> Iterator[dict[str, Any]]:
    """Yield the best of the machine with every library for its bare products, once in a run."""
    known = {(rates.library, rates.dtype, rates.threads) for rates in records.rates}
    devices = {roster.entry(name).device for name in campaign.contestants}
    for name, threads in product(roster.of(roster.PRODUCTS), campaign.threads):
        entry = roster.entry(name)
        is_known = (entry.library, one.dtype, threads) in known
        if entry.device in devices and entry.is_at_hand and not is_known:
            yield from one.rates(entry.library, threads)


def _units(campaign: Campaign) -> list[Unit]:
    """Return everything that is to be measured: set by set, the cells shuffled in each."""
    units = []
    for number in range(campaign.processes):
        mine = [(number, *pair) for pair in product(campaign.cells, campaign.operations)]
        random.Random(number).shuffle(mine)  # noqa: S311  an order, no secret
        units += mine
    return units


def _begin(campaign: Campaign, folder: Path) -> Records:
    """Return what was measured of the campaign; write its plan where there is none yet."""
    if not (folder / FILE).exists():
        records = Records()
        _keep([campaign.line(time.strftime("%Y-%m-%dT%H:%M:%S"))], folder, records)
        return records
    records = read(folder)
    wanted = campaign.line(records.plan.get("run", ""))
    different = [key for key in wanted if key != "commit" and records.plan.get(key) != wanted[key]]
    problem = f"{folder} holds a run with other {', '.join(different)}; give another folder with -o"
    require(not different, problem)
    return records


def _unit(one: Measurement) -> Unit:
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


def measure(cell: Cell, contestants: Sequence[str], seconds: float) -> Records:
    """Return the records of a quick look at a cell that takes about this many seconds at the most.

    When the time is over, contestants are left out, the last first. The machine's limit is not measured.
    """
    # Half of the time goes to starting and warming up; eight rounds are the fewest with an interval.
    until = time.monotonic() + seconds
    care = replace(QUICK, rounds=15, least_rounds=8, budget=seconds / 2, until=until)
    campaign = Campaign([cell], contestants, processes=1, care=care)
    with tempfile.TemporaryDirectory() as folder:
        return run(campaign, Path(folder))
