"""The store: measurements as lines of JSON, which are only appended.

A run is a folder with one file, ``measurements.jsonl``. Its first line is the plan; rates of the machine, environments and
measurements follow in the order of time. Raw samples are kept: medians and ratios are computed when they are read.
"""

import gzip
import json
import math
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from chainrule.bench.cells import Cell, parse
from chainrule.mathematics.naming import refusing, require

FILE = "measurements.jsonl"
SCHEMA = 2
# Errors of a file that is no text, or that ends within a compressed block.
_DAMAGE = (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error)


@dataclass(frozen=True)
class Measurement:
    """The samples of one contestant in one cell in one process.

    Attributes
    ----------
    run, process
        The run, and the number of its set of processes: ratios are taken within one.
    cell, operation, contestant, threads
        The subject; ``threads`` is the number of threads of the libraries, 0 for their own choice.
    status, reason
        "ok", "skipped", "interrupted", "wrong" or "failed", and the reason if it is not "ok".
    rounds
        The numbers of the rounds, in which every contestant of the cell took one turn.
    seconds
        For each round, the time of a block of steps until everything was computed.
    steps
        The steps of a block.
    first_call
        Seconds of the first call, compilation included; 0 if there was none.
    check
        The results of the check before it was timed.
    flags
        The reasons to doubt the figure, such as "busy".
    environment
        The identity of its environment.
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
    first_call: float = 0.0
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
            msg = (
                f"got {self.steps} steps per block, shortest {min(self.seconds)} s; both must be above 0"
            )
            raise ValueError(msg)

    @property
    def is_timed(self) -> bool:
        """Whether the record has valid times."""
        return self.status == "ok" and bool(self.seconds)

    @property
    def per_step(self) -> list[float]:
        """Seconds per step, for each round."""
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
        The library, and the dtype and threads of the measurement.
    products
        The best rate of square matrix products, in FLOP/s.
    copies
        The copied working sets in bytes, ascending, and the bytes moved in a second.
    """

    library: str
    dtype: str
    threads: int
    products: float
    copies: tuple[tuple[int, float], ...]

    def line(self) -> dict[str, Any]:
        """Return the record as a line of the file."""
        return {"record": "rates", **asdict(self)}

    def copy_rate(self, working_set: int) -> float:
        """Return the best rate, in bytes per second, at which a working set of this size can be copied.

        Between two measured sizes, it is the rate of the smaller one. No size counts as slower than a
        larger one: a small copy takes long only because of the call. Below the smallest size it is infinite.

        Examples
        --------
        >>> rates = Rates("numpy", "float32", 0, 1e11, ((1024, 2e9), (4096, 5e9), (16384, 3e9)))
        >>> rates.copy_rate(2048), rates.copy_rate(20000), rates.copy_rate(10)
        (5000000000.0, 3000000000.0, inf)
        """
        smaller = [size for size, _ in self.copies if size <= working_set]
        return max(
            (rate for size, rate in self.copies if smaller and size >= smaller[-1]), default=math.inf
        )


@dataclass
class Records:
    """The records of a file."""

    plan: dict[str, Any] = field(default_factory=dict)
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    rates: list[Rates] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)

    def add(self, line: dict[str, Any]) -> None:
        """Add a line. Unknown fields and records, from a later version, are ignored.

        Raises
        ------
        ValueError, KeyError, TypeError
            If it is not a line of a benchmark file.
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
        If the file is damaged, or a line is not a record of this schema.
    """
    file = path / FILE if path.is_dir() else path
    if not file.exists():
        lacking = f"{path} holds no {FILE}" if path.is_dir() else f"there is no run at {path}"
        msg = f"{lacking}; measure with: chainrule bench run -o {path}"
        raise FileNotFoundError(msg)
    records = Records()
    damaged = f"{file} is damaged, or is no file of a benchmark ({{}}); use a copy or measure again"
    with refusing(_DAMAGE, damaged):
        for number, text in enumerate(_lines(file), start=1):
            problem = f"{file}, line {number}: not a record of a benchmark ({{}}); remove the line or measure again"
            with refusing((ValueError, TypeError, KeyError, AttributeError), problem):
                records.add(json.loads(text))
    return records


def _lines(file: Path) -> Iterator[str]:
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8") as lines:
        for text in lines:
            # A line without a newline was being written when the machine went down.
            if text.strip() and text.endswith("\n"):
                yield text


def append(folder: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Append lines, and wait until they are on the disk."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE
    if file.exists() and not (held := file.read_bytes()).endswith(b"\n"):
        file.write_bytes(held[: held.rfind(b"\n") + 1])  # without the unfinished line
    with file.open("a", encoding="utf-8") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)


def _known(kind: type, line: dict[str, Any]) -> dict[str, Any]:
    """Return the values in a line for the fields of a record."""
    names = {one.name for one in fields(kind)}
    return {name: _tuple(value) for name, value in line.items() if name in names}


def _tuple(value: Any) -> Any:
    """Return lists, as JSON has them, as tuples."""
    return tuple(map(_tuple, value)) if isinstance(value, list) else value
