"""The campaign: all cells of a run, in a new random order for each set of processes; it can be resumed.

A crew is a set of processes, one for each contestant, which take turns in a cell.
"""

import math
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.measure.environment import Pulse, flags, pulse
from chainrule.bench.measure.limits import WALL
from chainrule.bench.measure.process import Process
from chainrule.bench.store import FILE, SCHEMA, Measurement, Records, append, read
from chainrule.mathematics.naming import require

OVER = {"status": "skipped", "reason": "the time was over"}
NOT_MADE = {"status": "interrupted", "reason": "stopped before its turn"}
LATE = 1.0  # seconds that an answer is waited for when the time is over
FEWEST = 3  # rounds that are kept, however late it is
SHORT_PASS = 0.01  # seconds; to fill a cache again takes less than a hundredth of it


class Seat(NamedTuple):
    """A contestant with a number of threads; 0: as it chooses."""

    contestant: str
    threads: int = 0


# For each contestant of a cell: the numbers of its rounds, and what its process answered.
Turns = dict[Seat, list[tuple[int, dict[str, Any]]]]


@dataclass(frozen=True)
class Care:
    """With how much care a cell is measured; times in seconds."""

    rounds: int = 15
    least_rounds: int = 3
    warm: float = 0.05
    block: float = 0.006
    budget: float = 10.0  # for the rounds of a cell: there are fewer where they take long
    until: float = math.inf  # by time.monotonic(): nothing is begun after it
    clock: str = WALL  # which one times the blocks


QUICK = Care(rounds=9, warm=0.03, block=0.005, budget=3.0)


@dataclass
class Crew:
    """The processes of one set: what is compared is compared within it."""

    run: str
    number: int
    dtype: str
    care: Care
    folder: str
    processes: dict[Seat, Process] = field(default_factory=dict)
    _environments: set[str] = field(default_factory=set)

    def measure(self, cell: Cell, operation: str, seats: Sequence[Seat]) -> Iterator[dict[str, Any]]:
        """Yield the lines of a cell: new environments, then a measurement for each contestant.

        Ctrl-C between two turns yields what has been measured, and then raises ``KeyboardInterrupt``.
        """
        before, stopped = self._pulse(), False
        made: dict[Seat, dict[str, Any]] = {}
        turns: Turns = {seat: [] for seat in seats}
        # The passes of all who take turns are alike.
        devices = {roster.entry(seat.contestant).device for seat in seats}
        device = "cuda" if "cuda" in devices else "cpu"
        try:
            for seat in seats:
                made[seat] = self._make(seat, cell, operation, device)
            ready = {seat: answer for seat, answer in made.items() if answer["status"] == "ok"}
            self._rounds(cell, ready, turns)
        except KeyboardInterrupt:
            stopped = True
        doubts = flags(before, self._pulse())
        for seat in seats:
            answer = made.get(seat, NOT_MADE)
            environment = answer.get("environment", {"id": ""})
            if environment["id"] not in {"", *self._environments}:
                self._environments.add(environment["id"])
                yield environment
            status, reason = self._status(answer, turns[seat])
            taken = [(number, took["seconds"]) for number, took in turns[seat] if "seconds" in took]
            yield Measurement(
                *(self.run, self.number, cell, operation, *seat, status, reason),
                rounds=tuple(number for number, _ in taken),
                seconds=tuple(seconds for _, seconds in taken),
                steps=answer.get("passes", 0) * answer.get("steps", 0),
                first_call=answer.get("first_call"),
                check=answer.get("check", {}),
                flags=doubts,
                environment=environment["id"],
            ).line()
        if stopped:
            raise KeyboardInterrupt

    def rates(self, library: str, threads: int) -> Iterator[dict[str, Any]]:
        """Yield the best that the machine does with a library, asked of the process of its bare products."""
        process = self._process(Seat(f"products-{library}", threads))
        answer = process.ask("rates", library=library, dtype=self.dtype, threads=threads)
        if "products" in answer:
            yield answer

    def _pulse(self) -> Pulse:
        return pulse(process.identity for process in self.processes.values())

    @property
    def _left(self) -> float:
        """The seconds until the time is over."""
        return self.care.until - time.monotonic()

    def _process(self, seat: Seat) -> Process:
        if seat not in self.processes or not self.processes[seat].is_alive:
            self.processes[seat] = Process(seat.threads, self.dtype)
        return self.processes[seat]

    def _make(self, seat: Seat, cell: Cell, operation: str, device: str) -> dict[str, Any]:
        if self._left <= 0:
            return OVER
        answer = self._process(seat).ask(
            "make",
            patience=self._left + LATE,
            contestant=seat.contestant,
            cell=cell.name,
            operation=operation,
            warm=self.care.warm,
            block=self.care.block,
            device=device,
            cache=self.folder,
        )
        return OVER if answer["status"] == "failed" and self._left < 0 else answer

    def _rounds(self, cell: Cell, ready: dict[Seat, dict[str, Any]], turns: Turns) -> None:
        """Let each contestant take a turn in each round, in a new random order."""
        care = self.care
        again = {seat: answer["pass"] < SHORT_PASS for seat, answer in ready.items()}
        each = [(answer["passes"] + again[seat]) * answer["pass"] for seat, answer in ready.items()]
        rounds = int(care.budget / max(sum(each), 1e-9))
        rounds = max(care.least_rounds, min(rounds, care.rounds))
        shuffle = random.Random(f"{self.run} {self.number} {cell.name}").shuffle  # noqa: S311  an order, no secret
        order = list(ready)

        def is_running(seat: Seat) -> bool:
            return all("seconds" in took for _, took in turns[seat][-1:])

        for number in range(rounds):
            fewest = min(care.least_rounds, FEWEST) if self._left < 0 else FEWEST
            if self._left < LATE and number >= fewest:
                break
            shuffle(order)
            for seat in filter(is_running, order):
                how = {"passes": ready[seat]["passes"], "again": again[seat], "clock": care.clock}
                turns[seat].append((number, self._process(seat).ask("time", **how)))
        for seat in filter(is_running, ready):
            self._process(seat).ask("drop")

    def _status(
        self, answer: dict[str, Any], turns: Sequence[tuple[int, dict[str, Any]]]
    ) -> tuple[str, str]:
        """Return whether a contestant was measured, and why not."""
        if turns and "seconds" not in turns[-1][1]:
            return "failed", turns[-1][1]["reason"]
        if answer["status"] == "ok" and len(turns) < min(self.care.least_rounds, FEWEST):
            return "interrupted", f"stopped after {len(turns)} rounds"
        return answer["status"], answer.get("reason", "")


@contextmanager
def crew(run: str, number: int, dtype: str, care: Care) -> Iterator[Crew]:
    """Return a crew, whose processes end with the context, however it ends."""
    with tempfile.TemporaryDirectory() as folder:
        one = Crew(run, number, dtype, care, folder)
        try:
            yield one
        finally:
            for process in one.processes.values():
                process.end()


LONGEST_PASS = 4.0  # seconds; a cell whose pass takes longer is not measured


@dataclass(frozen=True)
class Campaign:
    """The plan of a run: cells, contestants and time."""

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
