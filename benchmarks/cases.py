"""The cases of the benchmarks: which backends, networks, batches, dtypes and threads the flags ask for."""

from itertools import product
from typing import Any, NamedTuple

import pytest

from chainrule.bench import roster
from chainrule.bench.cells import DTYPES, GRID, PRESETS, QUICK_GRID, Cell, preset
from chainrule.cli import bench
from chainrule.cli.options import sizes

SLOW = ", ".join(name for name, entry in roster.ROSTER.items() if entry.is_slow_to_make)
FLAGS = {
    "--backend": "backends, as numpy,numpy-jit (default: all that are installed)",
    "--require-backend": "backends that fail instead of being skipped where they cannot run",
    "--peers": f"other libraries, or none (default: all that are installed but {SLOW}, which compile for seconds)",
    "--preset": f"networks: {', '.join(PRESETS)}; all (default: digits)",
    "--grid": f'hidden sizes and batch sizes (default: "{GRID}"; with --quick: "{QUICK_GRID}")',
    "--dtype": f"dtypes: {', '.join(DTYPES)} (default: float32)",
    "--threads": "numbers of threads, as 1,2; 0: each library's own choice (default: 0)",
}


class Case(NamedTuple):
    """One benchmark."""

    operation: str
    backend: str  # or a peer, or the bare products of a library: a name of the roster
    preset: str
    cell: Cell
    threads: int

    @property
    def name(self) -> str:
        """The name in the table."""
        return "-".join([self.preset, self.backend, *self._rest])

    @property
    def group(self) -> str:
        """The cases that are compared with each other: those that differ in the backend alone."""
        return " ".join([f"{self.operation}:", self.preset, *self._rest])

    @property
    def _rest(self) -> list[str]:
        threads = [f"T{self.threads}"] if self.threads else []
        return [self.cell.dtype, f"H{self.cell.hidden}", f"B{self.cell.batch}", *threads]

    @property
    def flops(self) -> int:
        """The floating-point operations of a step's matrix products."""
        training, forward = self.cell.flops, self.cell.forward_flops
        return {"transfer": 0, "forward": forward}.get(self.operation, training)


def add_flags(parser: Any) -> None:
    """Add the flags to pytest's command line."""
    group = parser.getgroup("chainrule", "benchmarks of chainrule")
    group.addoption("--quick", action="store_true", help="few cells, few rounds")
    for flag, text in FLAGS.items():
        group.addoption(flag, default="", metavar=flag[2:].upper(), help=text)


def cases(config: Any, operation: str) -> list[Case]:
    """Return the cases of an operation.

    Raises
    ------
    pytest.UsageError
        If a flag names something unknown.
    """
    try:
        names = _names(config, operation)
        threads = sizes([config.getoption("--threads") or "0"], "--threads", least=0)
        cells = _cells(config)
        for required in words(config, "--require-backend"):
            roster.entry(required)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    rows = product(cells, names, threads)
    return [Case(operation, name, *cell, count) for cell, name, count in rows]


def words(config: Any, flag: str) -> list[str]:
    """Return the words of a flag."""
    return bench.words(config.getoption(flag))


def _cells(config: Any) -> list[tuple[str, Cell]]:
    grid = config.getoption("--grid") or (QUICK_GRID if config.getoption("--quick") else GRID)
    presets, dtypes = words(config, "--preset") or ["digits"], config.getoption("--dtype") or "float32"
    presets = list(PRESETS) if presets == ["all"] else presets
    kinds = bench.listed("dtype", dtypes, list(DTYPES))
    return [(name, cell) for name in presets for dtype in kinds for cell in preset(name, grid, dtype)]


def _names(config: Any, operation: str) -> list[str]:
    backends = _chosen(config, "--backend", roster.BACKEND)
    peers = _chosen(config, "--peers", roster.PEER) if operation == "step" else []
    names = [*roster.with_products(backends), *peers]
    return [name for name in names if operation in roster.entry(name).operations]


def _chosen(config: Any, flag: str, group: str) -> list[str]:
    names = words(config, flag)
    if not names:
        entries = [roster.entry(name) for name in roster.of(group)]
        return [e.name for e in entries if e.is_at_hand and not e.is_slow_to_make]
    names = [] if names == ["none"] else names
    for name in names:
        if roster.entry(name).group != group:
            msg = f"{name!r} is a {roster.entry(name).group}, not a {group}; known: {', '.join(roster.of(group))}"
            raise ValueError(msg)
    return names
