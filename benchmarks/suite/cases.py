"""Cases: who is timed in which cells, by what the command line says."""

from collections.abc import Iterable
from itertools import product
from typing import Any, NamedTuple

import pytest

from chainrule.bench import roster
from chainrule.bench.cells import DTYPES, GRID, PRESETS, QUICK_GRID, Cell, preset
from chainrule.cli.bench import options

FLAGS = {
    "--backend": "backends, as numpy,numpy-jit (default: those that are installed)",
    "--require-backend": "backends whose absence fails their benchmarks instead of skipping them",
    "--peers": "peers (default: those that are installed and do not compile for seconds in every cell: "
    f"{', '.join(name for name, entry in roster.ROSTER.items() if entry.is_slow_to_make)} run when named)",
    "--preset": f"networks: {', '.join(PRESETS)}; all (default: digits)",
    "--grid": f'hidden sizes and batch sizes (default: "{GRID}"; with --quick: "{QUICK_GRID}")',
    "--dtype": f"dtypes: {', '.join(DTYPES)} (default: float32)",
    "--threads": "numbers of threads, as 1,2; best: 1, 2, 4 ... cores; 0: the libraries' own choice (default: 0)",
}


class Case(NamedTuple):
    """One benchmark."""

    contestant: str
    preset: str
    cell: Cell
    threads: int

    @property
    def name(self) -> str:
        """What the table calls it."""
        cell = self.cell
        threads = [f"T{self.threads}"] if self.threads else []
        parts = [self.preset, self.contestant, cell.dtype, f"H{cell.hidden}", f"B{cell.batch}", *threads]
        return "-".join(parts)


def add_flags(parser: Any) -> None:
    """Give the command line its flags."""
    group = parser.getgroup("chainrule", "what the benchmarks of chainrule measure")
    group.addoption("--quick", action="store_true", help="few cells, few rounds")
    for flag, says in FLAGS.items():
        group.addoption(flag, default=None, metavar=flag[2:].upper(), help=says)


def cases(config: Any, group: str, operation: str) -> list[Case]:
    """Return the cases of the contestants of a group that can do the operation."""
    try:
        names = _names(config, group, operation)
        cells, threads = _cells(config), _threads(config)
        for required in words(config, "require-backend"):
            roster.entry(required)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    return [Case(name, *cell, count) for cell, name, count in product(cells, names, threads)]


def words(config: Any, option: str) -> list[str]:
    """Return what a flag lists."""
    given = config.getoption(f"--{option}")
    return [word.strip() for word in given.split(",") if word.strip()] if given else []


def _threads(config: Any) -> list[int]:
    given = words(config, "threads") or ["0"]
    if given == [options.BEST]:
        return list(options.threads(options.BEST))
    if not all(count.isdecimal() for count in given):
        msg = f"--threads {','.join(given)}: wanted whole numbers with commas, or best; 0 is the libraries' own choice"
        raise ValueError(msg)
    return [int(count) for count in given]


def _cells(config: Any) -> list[tuple[str, Cell]]:
    grid = config.getoption("--grid") or (QUICK_GRID if config.getoption("--quick") else GRID)
    presets, dtypes = words(config, "preset") or ["digits"], words(config, "dtype") or ["float32"]
    presets = list(PRESETS) if presets == ["all"] else presets
    if unknown := set(dtypes) - set(DTYPES):
        msg = f"unknown dtype {', '.join(sorted(unknown))} (known: {', '.join(DTYPES)})"
        raise ValueError(msg)
    return [(name, cell) for name in presets for dtype in dtypes for cell in preset(name, grid, dtype)]


def _names(config: Any, group: str, operation: str) -> Iterable[str]:
    able = roster.of(group, operation=operation)
    if group == roster.PRODUCTS:
        products = map(roster.products_of, _names(config, roster.BACKEND, "step"))
        return list(dict.fromkeys(name for name in products if name in able))
    chosen = words(config, "backend" if group == roster.BACKEND else "peers")
    if not chosen:
        entries = map(roster.entry, able)
        return [e.name for e in entries if not e.missing() and not e.is_slow_to_make]
    for name in chosen:
        if roster.entry(name).group != group:
            msg = f"{name!r} is a {roster.entry(name).group}, not a {group}; known: {', '.join(roster.of(group))}"
            raise ValueError(msg)
    return [name for name in chosen if operation in roster.entry(name).operations]
