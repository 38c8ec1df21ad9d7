"""Rounds: every contestant in a process of its own, whole processes interleaved."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

STEPS = Path(__file__).parents[1] / "steps.py"
SECONDS_LIMIT = 600  # a process that takes longer hangs

Record = dict[str, Any]


class Turn(NamedTuple):
    """One process to be run."""

    round: int
    cell: str
    contestant: str


@dataclass(frozen=True)
class Schedule:
    """What is to be measured."""

    cells: Sequence[str]
    contestants: Sequence[str]
    rounds: int
    seconds: float
    cache: Path
    mode: str = "time"

    def turns(self) -> Iterator[Turn]:
        """Yield the processes in order: in each round, cell by cell, the contestants shuffled."""
        shuffle = random.Random(0).shuffle  # noqa: S311  an order that favours nobody, not a secret
        for number in range(1, self.rounds + 1):
            for cell in self.cells:
                order = list(self.contestants)
                shuffle(order)
                for contestant in order:
                    yield Turn(number, cell, contestant)


def run(schedule: Schedule, took: Callable[[Turn, Record, float], None]) -> Iterator[Record]:
    """Yield the record of each process; ``took`` is told of each, with its seconds.

    What is wrong, fails or cannot run is not tried again in later rounds.
    """
    out: set[tuple[str, str]] = set()
    identity = time.strftime("%Y-%m-%dT%H:%M:%S")
    commit = _commit()
    for turn in schedule.turns():
        if (turn.cell, turn.contestant) in out:
            continue
        began = time.perf_counter()
        record = {"schema": 1, "run": identity, "commit": commit, "round": turn.round}
        record |= process(schedule, turn)
        if record["status"] != "ok":
            out.add((turn.cell, turn.contestant))
        took(turn, record, time.perf_counter() - began)
        yield record


def process(schedule: Schedule, turn: Turn) -> Record:
    """Run one contestant in a process of its own and return its record."""
    command = [sys.executable, str(STEPS), schedule.mode, "--contestant", turn.contestant]
    command += ["--cell", turn.cell, "--seconds", str(schedule.seconds), "--cache", str(schedule.cache)]
    failed = {"contestant": turn.contestant, "cell": turn.cell, "status": "failed"}
    # XLA would look for other devices and say so; warnings of libraries are not the table's.
    surroundings = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "ignore"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS_LIMIT, env=surroundings, check=False
        )
    except subprocess.TimeoutExpired:
        return failed | {"reason": f"it took more than {SECONDS_LIMIT} s"}
    try:
        record: Record = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return failed | {"reason": said[-1]}
    return record


def _commit() -> str | None:
    """Return which source was measured; a plus sign says that it was changed since."""
    command = ["git", "-C", str(STEPS.parent), "describe", "--always", "--exclude=*", "--dirty=+"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


@dataclass
class Progress:
    """Says on standard error where the run stands, and about how long it will take yet."""

    schedule: Schedule
    _now: Turn | None = None
    _known: dict[tuple[str, str], float] = field(default_factory=dict)

    def __call__(self, turn: Turn, record: Record, seconds: float) -> None:
        """Show a process that has ended."""
        is_ok = record["status"] == "ok"
        self._now = turn
        self._known[turn.cell, turn.contestant] = seconds if is_ok else 0.0  # not run again
        if not is_ok:
            reason = f"{turn.contestant} in {turn.cell}: {record['reason']}"
            self._line(f"{record['status']}: {reason}", end=True)
        self._line(self._text(turn, record), end=not sys.stderr.isatty())

    def close(self) -> None:
        """Leave the line."""
        if sys.stderr.isatty():
            sys.stderr.write("\n")

    def _text(self, turn: Turn, record: Record) -> str:
        figure = f" {record['median_us']:.4g} us" if "median_us" in record else ""
        where = f"round {turn.round}/{self.schedule.rounds}  {turn.cell}  {turn.contestant}{figure}"
        return f"{where}  about {self.left() / 60:.1f} min left"

    def left(self) -> float:
        """Return the seconds to go: each process as long as last time, or as the others on average."""
        usual = sum(self._known.values()) / max(1, len(self._known))
        turns = list(self.schedule.turns())
        done = 0 if self._now is None else turns.index(self._now) + 1
        return sum(self._known.get((turn.cell, turn.contestant), usual) for turn in turns[done:])

    @staticmethod
    def _line(text: str, *, end: bool = False) -> None:
        clear = "\r\x1b[K" if sys.stderr.isatty() else ""
        sys.stderr.write(clear + text + ("\n" if end else ""))
        sys.stderr.flush()
