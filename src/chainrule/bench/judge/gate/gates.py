"""Gates: the table of what a step may consist of, allocate and take beside its floor; a TOML file."""

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chainrule.bench.cells import parse

FILE = Path("benchmarks/gates.toml")
BAND = 0.6
ROOM = 8192  # bytes: a limit on what a step allocates is a multiple of it

HEAD = """\
# What a training step may consist of, allocate, and take beside its floor. `nox -s gate` holds every change
# to it; `chainrule bench gate --update` writes it anew, and the commit says why.
#
# counts: exact; the same on every machine. Fewer is told as well, so that the table stays true.
# memory: of each contestant. kept: arrays that ten passes leave behind, exact. most_rise: the most bytes that a
#   pass may have for a moment beyond what there was. 32 KiB are NumPy's own buffer for an operand that it
#   broadcasts; any array of a hidden layer that is allocated beside it passes the limit.
# ratios: how many times as long a step takes as its bare matrix products, at one thread, in time of the
#   processor: what else the machine does is not counted. On another machine they are others: its BLAS has other
#   vectors, its Python another speed. The cells are so small that most of a step is calls, as most of their floor
#   is, which keeps the two together, and `band` is wide; where products take longer, ratios are lower. A cell
#   fails where the whole interval lies above ratio x (1 + band), in two attempts one after the other. A step
#   that takes twice as long is caught; one that takes 20 % longer is not: that is what `chainrule bench compare`
#   is for.
"""


@dataclass(frozen=True)
class Allowed:
    """The table.

    Attributes
    ----------
    counts
        By cell: the fields of :class:`~chainrule.bench.judge.gate.counts.Counts`.
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
    band: float = BAND

    def of(self, contestants: list[str]) -> "Allowed":
        """Return what of the table is about these contestants, and the counts."""
        memory = {cell: _only(named, contestants) for cell, named in self.memory.items()}
        ratios = {cell: _only(named, contestants) for cell, named in self.ratios.items()}
        return Allowed(self.counts, memory, ratios, self.band)

    @property
    def contestants(self) -> list[str]:
        """Who is in it."""
        named = [*self.memory.values(), *self.ratios.values()]
        return list(dict.fromkeys(name for names in named for name in names))

    def __str__(self) -> str:
        """Return it as the file has it."""
        return "\n".join([HEAD, f"band = {self.band:g}", *self._lines(), ""])

    def _lines(self) -> Iterator[str]:
        for cell, numbers in self.counts.items():
            yield f'\n[counts."{cell}"]'
            yield from (f"{name} = {number}" for name, number in numbers.items())
        for cell, named in self.memory.items():
            yield f'\n[memory."{cell}"]'
            for name, numbers in named.items():
                inner = ", ".join(f"{key} = {number}" for key, number in numbers.items())
                yield f"{name} = {{ {inner} }}"
        for cell, measured in self.ratios.items():
            yield f'\n[ratios."{cell}"]'
            yield from (f"{name} = {ratio:.3g}" for name, ratio in measured.items())


def _only(named: Mapping[str, Any], contestants: list[str]) -> dict[str, Any]:
    return {name: value for name, value in named.items() if name in contestants}


def read(file: Path = FILE) -> Allowed:
    """Return the table of a file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is no such table.
    """
    if not file.exists():
        msg = f"there is no table of gates {file}; give its path with --table (the project's is {FILE})"
        raise FileNotFoundError(msg)
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
        allowed = Allowed(**found)
        for cell in [*allowed.counts, *allowed.memory, *allowed.ratios]:
            parse(cell)
    except (ValueError, TypeError) as error:
        msg = f"{file} is no table of gates ({error}); see {FILE} for what one looks like"
        raise ValueError(msg) from None
    return allowed


def write(allowed: Allowed, file: Path = FILE) -> None:
    """Write a table to a file."""
    file.write_text(str(allowed), encoding="utf-8")


def limit(rise: int) -> int:
    """Return the limit to hold to where a pass was seen to allocate so many bytes for a moment.

    Examples
    --------
    >>> limit(808), limit(36984)
    (8192, 40960)
    """
    return ROOM * math.ceil(rise / ROOM)
