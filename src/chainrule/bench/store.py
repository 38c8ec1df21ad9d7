"""The store: what was measured, one JSON line each, never rewritten.

A run is a folder with one file, ``measurements.jsonl``. Its first line says what was planned; then come, in
the order in which they were taken, environments, ceilings and measurements. Raw samples are kept: all
medians and ratios are computed when they are read.
"""

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from chainrule.bench.cells import Cell, parse

FILE = "measurements.jsonl"
SCHEMA = 2
# "ok"; not tried, or cut short, with the reason; its numbers or its process were wrong.
STATUSES = ("ok", "skipped", "interrupted", "wrong", "failed")


@dataclass(frozen=True)
class Measurement:
    """What one contestant did in one cell in one process.

    Attributes
    ----------
    run, process
        The run that it is of, and which of its sets of processes: ratios are taken within one.
    cell, operation, contestant, threads
        What was measured; ``threads`` is what the libraries were told, 0 for their own choice.
    status, reason
        One of :data:`STATUSES`, and in words why it is not "ok".
    rounds
        The numbers of the rounds, in which every contestant of the cell took one turn.
    seconds, enqueued
        For each round, how long a block of steps took until everything was computed, and until it
        had been asked for.
    steps
        The steps of a block.
    first_call
        Seconds of the first call, what is compiled then included.
    calls
        The calls of a step into a library, where that is known.
    note
        How it was run.
    check
        What was compared before it was timed.
    flags
        What makes the figure doubtful: "drift", "busy", ...
    environment
        The identity of the environment that it ran in.
    """

    run: str
    process: int
    cell: Cell
    operation: str
    contestant: str
    threads: int = 0
    status: str = "ok"
    reason: str = ""
    rounds: tuple[int, ...] = ()
    seconds: tuple[float, ...] = ()
    enqueued: tuple[float, ...] = ()
    steps: int = 0
    first_call: float | None = None
    calls: int | None = None
    note: str = ""
    check: dict[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    environment: str = ""

    @property
    def per_step(self) -> list[float]:
        """Seconds a step, for each round."""
        return [seconds / self.steps for seconds in self.seconds]

    def line(self) -> dict[str, Any]:
        """Return it as it is written."""
        return {"record": "measurement", **asdict(self), "cell": self.cell.name}


@dataclass(frozen=True)
class Ceilings:
    """What the machine can do with one library, as measured in the same run.

    ``peak``: the best rate of square matrix products, FLOP/s; ``bandwidth``: of a copy, bytes read and
    written a second; ``empty_call``: the seconds of the smallest operation.
    """

    run: str
    process: int
    library: str
    dtype: str
    threads: int
    peak: float
    bandwidth: float
    empty_call: float

    def line(self) -> dict[str, Any]:
        """Return it as it is written."""
        return {"record": "ceilings", **asdict(self)}


@dataclass
class Records:
    """What a file holds."""

    plan: dict[str, Any] = field(default_factory=dict)
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    ceilings: list[Ceilings] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)

    def add(self, line: dict[str, Any]) -> None:
        """Take in a line; of what is not known (a later schema's) nothing is kept."""
        kind = line.get("record")
        if kind == "plan":
            self.plan = line
        elif kind == "environment":
            self.environments[line["id"]] = line
        elif kind == "ceilings":
            self.ceilings.append(Ceilings(**_known(Ceilings, line)))
        elif kind == "measurement":
            held = {name: _tuple(value) for name, value in _known(Measurement, line).items()}
            self.measurements.append(Measurement(**held | {"cell": parse(line["cell"])}))


def read(path: Path) -> Records:
    """Return the records of a run: a folder, or a file of lines, gzipped or not.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If a line is no record of this schema.
    """
    file = path / FILE if path.is_dir() else path
    if not file.exists():
        lacking = f"{path} holds no {FILE}" if path.is_dir() else f"there is no run at {path}"
        msg = f"{lacking}; measure with: chainrule bench run -o {path}"
        raise FileNotFoundError(msg)
    records = Records()
    for number, text in enumerate(_lines(file), start=1):
        try:
            line = json.loads(text)
            records.add(line)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            msg = f"{file}, line {number}: no record of a benchmark ({error}); measure again, or remove the line"
            raise ValueError(msg) from None
    return records


def _lines(file: Path) -> Iterator[str]:
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8") as lines:
        for text in lines:
            # A line without its end was being written when the machine went down.
            if text.strip() and text.endswith("\n"):
                yield text


def append(folder: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Write lines behind those that there are, and see them on the disk."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE
    _end_line(file)
    with file.open("a", encoding="utf-8") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)


def _end_line(file: Path) -> None:
    """Cut off a line that was never finished."""
    if not file.exists() or file.stat().st_size == 0:
        return
    held = file.read_bytes()
    if not held.endswith(b"\n"):
        file.write_bytes(held[: held.rfind(b"\n") + 1])


def _known(kind: type, line: dict[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(kind)}
    return {name: value for name, value in line.items() if name in names}


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
