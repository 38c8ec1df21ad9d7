"""The stage: a process for each contestant, which runs only while it is its turn, for the whole session."""

import tempfile
import time
from statistics import median
from typing import Any, NamedTuple

from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.judge.gate.counts import planned
from chainrule.bench.measure.crew import Care
from chainrule.bench.measure.process import Process
from suite.cases import Case

TRIPS = 15


class CannotRunError(Exception):
    """A contestant that is not there; the message says why."""


class Turn(NamedTuple):
    """A contestant that is made, warm and checked."""

    process: Process
    answer: dict[str, Any]  # of its worker

    @property
    def passes(self) -> int:
        """The passes of a block."""
        return int(self.answer["passes"])

    @property
    def steps(self) -> int:
        """The steps of a block."""
        return self.passes * int(self.answer["steps"])

    def block(self) -> dict[str, Any]:
        """Run a block; return its seconds by the worker's own clock."""
        return _timed(self.process.ask("time", passes=self.passes, again=False))

    def pass_untimed(self) -> None:
        """Run one pass: what others had displaced from the caches comes back."""
        _timed(self.process.ask("time", passes=0))


class Stage:
    """The processes of a session.

    Attributes
    ----------
    environments
        What each process ran on, by its identity.
    """

    def __init__(self, care: Care) -> None:
        self.care = care
        self.environments: dict[str, dict[str, Any]] = {}
        self._processes: dict[tuple[str, int, str], Process] = {}
        self._references = tempfile.TemporaryDirectory()

    def turn(self, case: Case, operation: str, *, is_timed: bool = True) -> Turn:
        """Return a contestant in a cell, ready; under "round_trip" stands what it takes to ask it for nothing.

        Raises
        ------
        CannotRunError
            If it is not installed, or finds no device.
        RuntimeError
            If its numbers are wrong, or its process fails.
        """
        process = self._process(case)
        answer = process.ask(
            "make",
            contestant=case.contestant,
            cell=case.cell.name,
            operation=operation,
            warm=self.care.warm,
            block=self.care.block,
            cache=self._references.name,
        )
        if answer["status"] == "skipped":
            raise CannotRunError(answer["reason"])
        if answer["status"] != "ok":
            msg = f"{answer['status']}: {answer['reason']}"
            raise RuntimeError(msg)
        return Turn(process, answer | {"round_trip": _trip(process) if is_timed else None})

    def environment(self, case: Case) -> str:
        """Return the identity of what a contestant runs on."""
        found = self._process(case).ask("environment")
        self.environments[found["id"]] = found
        identity: str = found["id"]
        return identity

    def drop(self, *turns: Turn) -> None:
        """Let go of the arrays of these."""
        for turn in turns:
            turn.process.ask("drop")

    def end(self) -> None:
        """End all processes."""
        for process in self._processes.values():
            process.end()
        self._references.cleanup()

    def _process(self, case: Case) -> Process:
        key = case.contestant, case.threads, case.cell.dtype
        if key not in self._processes or not self._processes[key].is_alive:
            self._processes[key] = Process(case.threads, case.cell.dtype)
        return self._processes[key]


def products_case(case: Case, operation: str) -> tuple[Case, str] | None:
    """Return the bare products of a case and their operation; ``None`` where there is none."""
    name = roster.products_of(case.contestant)
    if name in (None, case.contestant) or operation == "transfer" or roster.entry(name).missing():
        return None
    return case._replace(contestant=name), "forward" if operation == "forward" else "step"


def facts(cell: Cell, operation: str) -> dict[str, Any]:
    """Return what is known of a step of a cell before it runs."""
    plan = planned(cell)
    return {
        "flops": cell.forward_flops if operation == "forward" else cell.flops,
        "counts": {
            "products": plan.matmuls,
            "row_products": plan.row_products,
            "elementwise": plan.program.elementwise,
            "launches": plan.launches,
            "peak_bytes": plan.peak_bytes,
        },
    }


def _trip(process: Process) -> float:
    """Return the seconds that it takes to ask for nothing."""
    found = []
    for _ in range(TRIPS):
        began = time.perf_counter()
        _timed(process.ask("time", passes=0, again=False))
        found.append(time.perf_counter() - began)
    return median(found)


def _timed(answer: dict[str, Any]) -> dict[str, Any]:
    if "seconds" not in answer:
        raise RuntimeError(answer["reason"])
    return answer
