"""The campaign: all cells of a run, in a new random order for each set of processes; it can be resumed.

A crew is a set of processes, one for each contestant, which take turns in a cell.
"""

import math
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.measure.environment import Pulse, flags, pulse
from chainrule.bench.measure.limits import WALL
from chainrule.bench.measure.process import Answer, Process
from chainrule.bench.store import FILE, SCHEMA, Measurement, Records, append, read
from chainrule.mathematics.naming import require

OVER: Answer = {"status": "skipped", "reason": "the time was over"}
NOT_STARTED: Answer = {"status": "interrupted", "reason": "stopped before its turn"}
LATE = 1.0  # seconds to wait for an answer after the deadline
FEWEST = 3  # rounds that are measured even after the deadline
SHORT_PASS = 0.01  # seconds; refilling a cache takes less than a hundredth of it
LONGEST_PASS = 4.0  # seconds; a cell whose pass takes longer is not measured


class Seat(NamedTuple):
    """A contestant with a number of threads; 0 is its own choice."""

    contestant: str
    threads: int = 0


# For each contestant of a cell, the seconds of its block in each round, by the number of the round.
Rounds = dict[Seat, dict[int, float]]


@dataclass(frozen=True)
class Care:
    """The settings for the measurement of a cell; times in seconds."""

    rounds: int = 15
    least_rounds: int = 3
    warm: float = 0.05
    block: float = 0.006
    budget: float = 10.0  # seconds for the rounds of a cell; a slow cell gets fewer rounds
    until: float = math.inf  # deadline by time.monotonic(); nothing starts after it
    clock: str = WALL  # the clock that times the blocks


QUICK = Care(rounds=9, warm=0.03, block=0.005, budget=3.0)


@dataclass
class Crew:
    """The processes of one set: contestants are compared within it."""

    run: str
    number: int
    dtype: str
    care: Care
    folder: str
    processes: dict[Seat, Process] = field(default_factory=dict)
    _environments: set[str] = field(default_factory=lambda: {""})

    def measure(self, cell: Cell, operation: str, seats: Sequence[Seat]) -> Iterator[dict[str, Any]]:
        """Yield the lines of a cell: new environments, then a measurement for each contestant.

        Ctrl-C between two turns yields the measurements so far, and then raises ``KeyboardInterrupt``.
        """
        before, stopped = self._pulse(), False
        answers = dict.fromkeys(seats, NOT_STARTED)
        rounds: Rounds = {seat: {} for seat in seats}
        # All contestants of a cell take passes of the same length: those for "cuda" if any needs it.
        device = max((roster.entry(seat.contestant).device for seat in seats), default="cpu")
        try:
            if device == "cuda":
                self._make_at_once(seats, answers, cell, operation)
            else:
                for seat in seats:
                    answers[seat] = self._make(seat, cell, operation, device)
            self._rounds(cell, answers, rounds)
        except KeyboardInterrupt:
            stopped = True
        doubts = flags(before, self._pulse())
        for seat, answer in answers.items():
            environment = answer.get("environment", {"id": ""})
            if environment["id"] not in self._environments:
                self._environments.add(environment["id"])
                yield environment
            status, reason = answer["status"], answer.get("reason", "")
            if status == "ok" and len(rounds[seat]) < min(self.care.least_rounds, FEWEST):
                status, reason = "interrupted", f"stopped after {len(rounds[seat])} rounds"
            yield Measurement(
                *(self.run, self.number, cell, operation, *seat, status, reason),
                rounds=tuple(rounds[seat]),
                seconds=tuple(rounds[seat].values()),
                steps=answer.get("passes", 0) * answer.get("steps", 0),
                first_call=answer.get("first_call", 0.0),
                check=answer.get("check", {}),
                flags=doubts,
                environment=environment["id"],
            ).line()
        if stopped:
            raise KeyboardInterrupt

    def rates(self, library: str, threads: int) -> Iterator[dict[str, Any]]:
        """Yield the best rates of the machine with a library, measured in the process of its bare products."""
        process = self._process(Seat(f"products-{library}", threads))
        answer = process.ask("rates", library=library, dtype=self.dtype, threads=threads)
        if "products" in answer:
            yield answer

    def _pulse(self) -> Pulse:
        return pulse(process.pid for process in self.processes.values())

    @property
    def _left(self) -> float:
        """The seconds until the deadline."""
        return self.care.until - time.monotonic()

    def _process(self, seat: Seat) -> Process:
        if seat not in self.processes or not self.processes[seat].is_alive:
            self.processes[seat] = Process(seat.threads, self.dtype)
        return self.processes[seat]

    def _make_at_once(
        self, seats: Sequence[Seat], answers: dict[Seat, Answer], cell: Cell, operation: str
    ) -> None:
        """Make the contestants of a GPU, which compile for seconds, at the same time; then warm each up alone."""
        for seat in seats:
            self._process(seat)  # Linux ends a worker with the thread that has started it
        # The first that takes a step computes the reference, with all cores, for the others.
        first = next((seat for seat in seats if not seat.contestant.startswith("products")), seats[0])
        answers[first] = self._make(first, cell, operation, "cuda")
        others = [seat for seat in seats if seat != first]
        with ThreadPoolExecutor(len(seats)) as pool:
            try:
                made = pool.map(lambda seat: self._make(seat, cell, operation, "cuda"), others)
                answers.update(zip(others, made, strict=True))
            except KeyboardInterrupt:
                for process in self.processes.values():
                    process.end()  # so that no thread waits for it
                raise
        for seat, answer in answers.items():
            if answer["status"] == "ok":
                warm = {"seconds": self.care.warm, "block": self.care.block}
                patience = self._left + LATE
                answers[seat] = answer | self._process(seat).ask("warm", patience=patience, **warm)

    def _make(self, seat: Seat, cell: Cell, operation: str, device: str) -> Answer:
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

    def _rounds(self, cell: Cell, answers: dict[Seat, Answer], taken: Rounds) -> None:
        """Time each contestant once per round, in a new random order; one that fails takes no more turns."""
        care = self.care
        ready = {seat: answer for seat, answer in answers.items() if answer["status"] == "ok"}
        again = {seat: answer["pass"] < SHORT_PASS for seat, answer in ready.items()}
        each = sum((answer["passes"] + again[seat]) * answer["pass"] for seat, answer in ready.items())
        rounds = max(care.least_rounds, min(int(care.budget / max(each, 1e-9)), care.rounds))
        shuffle = random.Random(f"{self.run} {self.number} {cell.name}").shuffle  # noqa: S311  an order, no secret
        order = list(ready)
        for number in range(rounds):
            fewest = min(care.least_rounds, FEWEST) if self._left < 0 else FEWEST
            if self._left < LATE and number >= fewest:
                break
            shuffle(order)
            for seat in list(order):
                how = {"passes": ready[seat]["passes"], "again": again[seat], "clock": care.clock}
                answer = self._process(seat).ask("time", **how)
                if "seconds" in answer:
                    taken[seat][number] = answer["seconds"]
                else:
                    answers[seat] = ready[seat] | answer
                    order.remove(seat)
        for seat in order:
            self._process(seat).ask("drop")


@contextmanager
def crew(run: str, number: int, dtype: str, care: Care) -> Iterator[Crew]:
    """Return a crew, whose processes end with the context."""
    with tempfile.TemporaryDirectory() as folder:
        one = Crew(run, number, dtype, care, folder)
        try:
            yield one
        finally:
            for process in one.processes.values():
                process.end()


# A cell to be measured by one set of processes: the set's number, the cell, the operation.
Unit = tuple[int, Cell, str]
# Called at the start and after each unit with the number done, the total, and the measurements of the last unit.
Listener = Callable[[int, int, Sequence[Measurement]], None]


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
        """Return the plan as a record of the results file."""
        return {
            "record": "plan",
            "schema": SCHEMA,
            "run": run,
            "cells": [cell.name for cell in self.cells],
            "contestants": list(self.contestants),
            "operations": list(self.operations),
            "processes": self.processes,
            "threads": list(self.threads),
        }

    def units(self) -> list[Unit]:
        """Return all cells to be measured: set by set, in random order within each set."""
        units = []
        for number in range(self.processes):
            mine = [(number, *pair) for pair in product(self.cells, self.operations)]
            random.Random(number).shuffle(mine)  # noqa: S311  an order, no secret
            units += mine
        return units


def run(campaign: Campaign, folder: Path, listener: Listener = lambda *_: None) -> Records:
    """Measure the part of the campaign that is not in the folder yet, and return all records.

    Raises
    ------
    ValueError
        If the folder holds another campaign.
    NotADirectoryError
        If it is a file.
    KeyboardInterrupt
        After Ctrl-C, when the measurements so far have been written.
    """
    records = _begin(campaign, folder)
    statuses = {
        (m.process, m.cell, m.operation, m.contestant, m.threads): m.status for m in records.measurements
    }
    undone = {subject[:3] for subject, status in statuses.items() if status == "interrupted"}
    done = {subject[:3] for subject in statuses} - undone
    units = campaign.units()
    left = [unit for unit in units if unit not in done]
    count = len(units) - len(left)
    listener(count, len(units), [])
    for number, dtype in dict.fromkeys((number, cell.dtype) for number, cell, _ in left):
        with crew(records.plan["run"], number, dtype, campaign.care) as one:
            if campaign.care.until == math.inf:  # a quick look does not measure the machine's limit
                _keep(_rates(campaign, one, records), folder, records)
            for _, cell, operation in (u for u in left if (u[0], u[1].dtype) == (number, dtype)):
                before = len(records.measurements)
                _keep(_measured(campaign, one, cell, operation, records), folder, records)
                count += 1
                listener(count, len(units), records.measurements[before:])
    return records


def _keep(lines: Iterable[dict[str, Any]], folder: Path, records: Records) -> None:
    """Write each line at once, and add it to the records."""
    for line in lines:
        append(folder, [line])
        records.add(line)


def _measured(
    campaign: Campaign, one: Crew, cell: Cell, operation: str, records: Records
) -> Iterable[dict[str, Any]]:
    """Return the lines of a cell; if it is too large for this machine, the lines have the reason."""
    able = [name for name in campaign.contestants if operation in roster.entry(name).operations]
    seats = [Seat(name, threads) for name, threads in product(able, campaign.threads)]
    peaks = [rates.products for rates in records.rates if rates.dtype == cell.dtype]
    seconds = 2 * cell.flops / max(peaks, default=math.inf)  # a pass has at least two steps
    if seconds <= LONGEST_PASS:
        return one.measure(cell, operation, seats)
    reason = (
        f"two steps take {seconds:.1f} s at the machine's best rate; {LONGEST_PASS:.0f} s is the most"
    )
    place = one.run, one.number, cell, operation
    return [Measurement(*place, *seat, "skipped", reason).line() for seat in seats]


def _rates(campaign: Campaign, one: Crew, records: Records) -> Iterator[dict[str, Any]]:
    """Yield the best rates of the machine with every library, once in a run."""
    measured = {(rates.library, rates.dtype, rates.threads) for rates in records.rates}
    # The roster has JAX, whose products are not measured alone, as a library of the CPU, but it may run on a GPU.
    entries = [roster.entry(name) for name in campaign.contestants]
    devices = {one.device for one in entries if one.library != "jax"} or {"cpu"}
    for name, threads in product(roster.of(roster.BACKEND), campaign.threads):
        entry = roster.entry(name)
        key = entry.library, one.dtype, threads
        if entry.device in devices and entry.is_at_hand and key not in measured:
            measured.add(key)
            yield from one.rates(entry.library, threads)


def _begin(campaign: Campaign, folder: Path) -> Records:
    """Return the records of the campaign; write its plan if there is none yet."""
    require(not folder.is_file(), f"{folder} is a file; give a folder with -o", NotADirectoryError)
    if not (folder / FILE).exists():
        records = Records()
        _keep([campaign.line(time.strftime("%Y-%m-%dT%H:%M:%S"))], folder, records)
        return records
    records = read(folder)
    plan = campaign.line(records.plan.get("run", ""))
    different = [key for key in plan if records.plan.get(key) != plan[key]]
    problem = f"{folder} holds a run with other {', '.join(different)}; give another folder with -o"
    require(not different, problem)
    return records


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
