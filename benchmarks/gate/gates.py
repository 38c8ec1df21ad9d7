"""The table of what a step may do, allocate and take: ``benchmarks/gates.toml``."""

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chainrule.bench.cells import parse

FILE = Path("benchmarks/gates.toml")
ROOM = 8192  # bytes: a limit on what a step allocates is a multiple of it

HEAD = """\
# What a training step may do, allocate, and take compared with its matrix products alone. `nox -s gate` checks
# it; `nox -s gate -- --update` measures it again and writes this file. Say in the commit why it changed.
#
# counts: exact, the same on every machine. Fewer also fails, so that the table stays true.
# memory: of each contestant. kept: arrays that ten passes leave behind, exact. most_rise: the most bytes that a
#   pass may allocate for a moment. 32 KiB are NumPy's own buffer for an operand that it broadcasts; any array
#   of a hidden layer exceeds the limit.
# ratios: the time of a step divided by the time of its bare matrix products, at one thread, in processor time,
#   so that other programs do not count. Other machines have other ratios: another BLAS, a Python of another
#   speed. The cells are so small that calls take most of both times, which keeps the ratios close, and `band`
#   is wide. A cell fails where the whole interval lies above ratio x (1 + band), twice in a row. A step that
#   takes twice as long is caught; one that takes 20 % longer is not: use `chainrule bench compare` for that.
"""


@dataclass(frozen=True)
class Gates:
    """What is allowed.

    Attributes
    ----------
    counts
        By cell: the fields of :class:`~benchmarks.gate.counts.Counts`.
    memory
        By cell and contestant: ``kept`` and ``most_rise``.
    ratios
        By cell and contestant.
    band
        How far a ratio may lie above the table's, as a share of it.
    """

    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    memory: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    ratios: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    band: float = 0.6

    def __str__(self) -> str:
        """Return the text of the file."""
        return "\n".join([HEAD, f"band = {self.band:g}", *self._lines(), ""])

    def _lines(self) -> Iterator[str]:
        for cell, numbers in self.counts.items():
            yield f'\n[counts."{cell}"]'
            yield from (f"{name} = {number}" for name, number in numbers.items())
        for cell, limits in self.memory.items():
            yield f'\n[memory."{cell}"]'
            for name, limit in limits.items():
                yield f"{name} = {{ kept = {limit['kept']}, most_rise = {limit['most_rise']} }}"
        for cell, measured in self.ratios.items():
            yield f'\n[ratios."{cell}"]'
            yield from (f"{name} = {ratio:.3g}" for name, ratio in measured.items())


def read(file: Path = FILE) -> Gates:
    """Return the table of a file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds something else.
    """
    if not file.exists():
        msg = f"there is no {file}; run the gate at the top of a checkout of chainrule"
        raise FileNotFoundError(msg)
    try:
        table = Gates(**tomllib.loads(file.read_text(encoding="utf-8")))
        for cell in [*table.counts, *table.memory, *table.ratios]:
            parse(cell)
    except (ValueError, TypeError) as error:
        msg = f"{file} is not a table of the gate ({error}); restore it with: git checkout {file}"
        raise ValueError(msg) from None
    return table


def limit(rise: int) -> int:
    """Return the limit for a pass that was seen to allocate so many bytes for a moment.

    Examples
    --------
    >>> limit(808), limit(36984)
    (8192, 40960)
    """
    return ROOM * math.ceil(rise / ROOM)
