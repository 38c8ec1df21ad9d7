"""The crew: a process for each contestant, and how they take turns in a cell."""

import math
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from chainrule.bench.cells import Cell
from chainrule.bench.measure.clock import WALL
from chainrule.bench.measure.environment import Pulse, flags, pulse
from chainrule.bench.measure.process import Process
from chainrule.bench.store import Measurement

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

        When interrupted between two turns it yields what there is, and raises ``KeyboardInterrupt`` after.
        """
        before, stopped = self._pulse(), False
        made: dict[Seat, dict[str, Any]] = {}
        turns: Turns = {seat: [] for seat in seats}
        try:
            for seat in seats:
                made[seat] = self._make(seat, cell, operation)
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

    def _make(self, seat: Seat, cell: Cell, operation: str) -> dict[str, Any]:
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
