"""The store: measurements as lines of JSON, which are only appended.

A run is a folder with one file, ``measurements.jsonl``. Its first line says what was planned; then come, in
the order in which they were taken, rates of the machine, environments and measurements. Raw samples are kept: all
medians and ratios are computed when they are read.
"""

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from chainrule.bench.cells import Cell, parse
from chainrule.mathematics.naming import refusing, require

FILE = "measurements.jsonl"
SCHEMA = 2
# "ok"; not tried, or cut short, with the reason; its numbers or its process were wrong.
STATUSES = ("ok", "skipped", "interrupted", "wrong", "failed")


@dataclass(frozen=True)
class Measurement:
    """The samples of one contestant in one cell in one process.

    Attributes
    ----------
    run, process
        The run that it is of, and which of its sets of processes: ratios are taken within one.
    cell, operation, contestant, threads
        What was measured; ``threads`` is the number that the libraries were given, 0 for their own choice.
    status, reason
        One of :data:`STATUSES`, and in words why it is not "ok".
    rounds
        The numbers of the rounds, in which every contestant of the cell took one turn.
    seconds
        For each round, how long a block of steps took until everything was computed.
    steps
        The steps of a block.
    first_call
        Seconds of the first call, what is compiled then included.
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
    steps: int = 0
    first_call: float | None = None
    check: dict[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    environment: str = ""

    def __post_init__(self) -> None:
        """Raise if the samples do not fit together.

        Raises
        ------
        ValueError
            If there are samples of no steps or of no time, or not as many as rounds.
        """
        problem = f"{len(self.rounds)} rounds and {len(self.seconds)} seconds; wanted as many of each"
        require(len(self.rounds) == len(self.seconds), problem)
        if self.seconds and (self.steps < 1 or min(self.seconds) <= 0):
            msg = f"blocks of {self.steps} steps, the shortest of {min(self.seconds)} s; wanted more than 0"
            raise ValueError(msg)

    @property
    def is_timed(self) -> bool:
        """Whether it has times that count."""
        return self.status == "ok" and bool(self.seconds)

    @property
    def per_step(self) -> list[float]:
        """Seconds a step, for each round."""
        return [seconds / self.steps for seconds in self.seconds]

    def line(self) -> dict[str, Any]:
        """Return the record as a line of the file."""
        return {"record": "measurement", **asdict(self), "cell": self.cell.name}


@dataclass(frozen=True)
class Rates:
    """The best rates of the machine with one library, measured once in a run.

    Attributes
    ----------
    library, dtype, threads
        With what it was measured.
    products
        The best rate of square matrix products, in FLOP/s.
    copies
        The working sets in bytes that were copied, ascending, and how many bytes a second were moved.
    """

    library: str
    dtype: str
    threads: int
    products: float
    copies: tuple[tuple[int, float], ...]

    def line(self) -> dict[str, Any]:
        """Return the record as a line of the file."""
        return {"record": "rates", **asdict(self)}

    def copy_rate(self, working_set: int) -> float | None:
        """Return the best rate, in bytes a second, at which a working set of this size can be copied.

        Between two sizes that were measured, the rate of the smaller one. No size counts as slower than a
        larger one: a small copy takes long only because it has to be called. ``None`` below the smallest size.

        Examples
        --------
        >>> rates = Rates("numpy", "float32", 0, 1e11, ((1024, 2e9), (4096, 5e9), (16384, 3e9)))
        >>> rates.copy_rate(2048), rates.copy_rate(20000), rates.copy_rate(10)
        (5000000000.0, 3000000000.0, None)
        """
        smaller = [size for size, _ in self.copies if size <= working_set]
        if not smaller:
            return None
        return max(rate for size, rate in self.copies if size >= smaller[-1])


@dataclass
class Records:
    """The records of a file."""

    plan: dict[str, Any] = field(default_factory=dict)
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    rates: list[Rates] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)

    def add(self, line: dict[str, Any]) -> None:
        """Add a line. Fields and records that are not known, from a later version, are ignored.

        Raises
        ------
        ValueError, KeyError, TypeError
            If it is no line of a benchmark.
        """
        kind = line.get("record")
        if kind == "plan":
            self.plan = line
        elif kind == "environment":
            self.environments[line["id"]] = line
        elif kind == "rates":
            self.rates.append(Rates(**_known(Rates, line)))
        elif kind == "measurement":
            known = _known(Measurement, line)
            self.measurements.append(Measurement(**known | {"cell": parse(line["cell"])}))


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
        problem = f"{file}, line {number}: not a record of a benchmark ({{}}); remove the line or measure again"
        with refusing((ValueError, TypeError, KeyError, AttributeError), problem):
            records.add(json.loads(text))
    return records


def _lines(file: Path) -> Iterator[str]:
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8") as lines:
        for text in lines:
            # A line without its end was being written when the machine went down.
            if text.strip() and text.endswith("\n"):
                yield text


def append(folder: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Append lines, and wait until they are on the disk."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE
    if file.exists() and not (held := file.read_bytes()).endswith(b"\n"):
        file.write_bytes(held[: held.rfind(b"\n") + 1])  # without the line that was never finished
    with file.open("a", encoding="utf-8") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)


def _known(kind: type, line: dict[str, Any]) -> dict[str, Any]:
    """Return what a line says of the fields of a record."""
    names = {one.name for one in fields(kind)}
    return {name: _tuple(value) for name, value in line.items() if name in names}


def _tuple(value: Any) -> Any:
    """Return lists, as JSON has them, as tuples."""
    return tuple(map(_tuple, value)) if isinstance(value, list) else value
