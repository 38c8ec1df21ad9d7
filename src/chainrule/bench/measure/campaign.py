"""The campaign: all cells of a run, in a new random order for each set of processes; it can be resumed."""

import math
import random
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.measure.crew import QUICK, Care, Crew, Seat, crew
from chainrule.bench.store import FILE, SCHEMA, Measurement, Records, append, read

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


class Listener:
    """Hears how a campaign goes on; this one ignores it."""

    def begin(self, done: int, total: int) -> None:
        """Hear how many units there are, and how many were measured before."""

    def unit(self, cell: Cell, operation: str, lines: Sequence[dict[str, Any]]) -> None:
        """Hear that a unit has ended, and which lines were written of it."""


def run(campaign: Campaign, folder: Path, listener: Listener) -> Records:
    """Measure what of the campaign is not in the folder yet, and return all that is.

    Raises
    ------
    ValueError
        If the folder holds another campaign.
    KeyboardInterrupt
        After Ctrl-C, when what was measured has been written.
    """
    identity, records = _begin(campaign, folder)
    undone = {_unit(one) for one in records.measurements if one.status == "interrupted"}
    done = {_unit(one) for one in records.measurements} - undone
    known = {(one.library, one.dtype, one.threads): one.products for one in records.rates}
    units = _units(campaign)
    left = [unit for unit in units if unit not in done]
    listener.begin(len(units) - len(left), len(units))
    for number, dtype in dict.fromkeys((number, cell.dtype) for number, cell, _ in left):
        mine = [unit for unit in left if unit[0] == number and unit[1].dtype == dtype]
        with crew(identity, number, dtype, campaign.care) as one:
            _set(campaign, one, mine, folder, known, listener)
    return read(folder)


# The best rate of products that is known, for each library, dtype and number of threads.
Known = dict[tuple[str, str, int], float]


def _set(
    campaign: Campaign, one: Crew, units: Sequence[Unit], folder: Path, known: Known, listener: Listener
) -> None:
    """Measure the units of one set of processes, and before them what the machine can do at its best.

    Where time is short, the first unit comes first, and only libraries that take part are asked.
    """
    is_short = campaign.care.until < math.inf
    if not is_short:
        _rates(one, roster.of(roster.PRODUCTS), campaign, folder, known)
    for place, (_, cell, operation) in enumerate(units):
        lines, seats = [], _seats(campaign, operation)
        peak = max((rate for (_, dtype, _), rate in known.items() if dtype == cell.dtype), default=0.0)
        if peak and (estimate := 2 * cell.flops / peak) > LONGEST_PASS:
            lines = list(_too_long(one, cell, operation, seats, estimate))
            append(folder, lines)
        else:
            for line in one.measure(cell, operation, seats):
                lines.append(line)
                append(folder, [line])
        listener.unit(cell, operation, lines)
        if is_short and place == 0 and time.monotonic() < campaign.care.until:
            _rates(one, campaign.contestants, campaign, folder, known)


def _rates(one: Crew, names: Iterable[str], campaign: Campaign, folder: Path, known: Known) -> None:
    """Measure and keep the best of the machine with the libraries of these bare products, once in a run."""
    devices = {roster.entry(name).device for name in campaign.contestants}
    for entry, threads in product(map(roster.entry, names), campaign.threads):
        key = entry.library, one.dtype, threads
        if entry.group != roster.PRODUCTS or entry.device not in devices or key in known:
            continue
        for line in one.rates(entry.library, threads) if entry.is_at_hand else ():
            known[key] = line["products"]
            append(folder, [line])


def _seats(campaign: Campaign, operation: str) -> list[Seat]:
    able = [name for name in campaign.contestants if operation in roster.entry(name).operations]
    return [Seat(name, threads) for name, threads in product(able, campaign.threads)]


def _too_long(
    one: Crew, cell: Cell, operation: str, seats: Sequence[Seat], seconds: float
) -> Iterator[dict[str, Any]]:
    reason = (
        f"two steps take {seconds:.1f} s at the machine's best rate; {LONGEST_PASS:.0f} s is the most"
    )
    for seat in seats:
        yield Measurement(one.run, one.number, cell, operation, *seat, "skipped", reason).line()


def _units(campaign: Campaign) -> list[Unit]:
    """Return everything that is to be measured: set by set, the cells shuffled in each."""
    units = []
    for number in range(campaign.processes):
        mine = [
            (number, cell, operation) for cell, operation in product(campaign.cells, campaign.operations)
        ]
        if campaign.shuffled:
            random.Random(number).shuffle(mine)  # noqa: S311  an order, no secret
        units += mine
    return units


def _begin(campaign: Campaign, folder: Path) -> tuple[str, Records]:
    """Return the run's name and what of it was measured; write the campaign where there is none yet."""
    if not (folder / FILE).exists():
        identity = time.strftime("%Y-%m-%dT%H:%M:%S")
        append(folder, [campaign.line(identity)])
        return identity, Records()
    records = read(folder)
    identity = records.plan.get("run", "")
    wanted = campaign.line(identity)
    different = [key for key in wanted if key != "commit" and records.plan.get(key) != wanted[key]]
    if different:
        msg = f"{folder} holds a run with other {', '.join(different)}; give another folder with -o"
        raise ValueError(msg)
    return identity, records


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


def measure(
    cells: Sequence[Cell],
    contestants: Sequence[str],
    seconds: float,
    operations: Sequence[str] = ("step",),
) -> Records:
    """Return the records of a quick look at a few cells that takes about so many seconds at the most.

    When the time is over, cells are left out, the last first.
    """
    # The bare products last: should time not suffice for all, the answer is known without them.
    names = list(dict.fromkeys([*contestants, *roster.with_products(contestants)]))
    campaign = Campaign(cells, names, operations, processes=1, shuffled=False)
    # Half of the time goes to starting and warming up; eight rounds are the fewest with an interval.
    each = seconds / max(1, len(cells)) / 2
    until = time.monotonic() + seconds
    care = replace(QUICK, rounds=15, least_rounds=8, budget=each, until=until)
    with tempfile.TemporaryDirectory() as folder:
        return run(replace(campaign, care=care), Path(folder), Listener())
