"""The NumPy arrays that a contestant holds and allocates, as ``tracemalloc`` sees them; nothing is timed."""

import gc
import multiprocessing
import os
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np

from chainrule.bench import roster
from chainrule.bench.cell_data import cell_data
from chainrule.bench.cells import Cell
from chainrule.bench.contestant import Contestant
from chainrule.program.machine import blas_threads

PASSES = 10
TRIES = 5  # passes, of which the smallest rise counts: Python itself adds to the others


class Allocations(NamedTuple):
    """The arrays of one contestant in one cell."""

    held: int  # bytes of all its arrays after ten passes
    kept: int  # how many arrays ten more passes leave behind
    rise: int  # the most bytes that a pass allocates for a moment


def allocations(name: str, cell: Cell) -> Allocations:
    """Return the arrays of a contestant in a cell, measured in a process of its own.

    Raises
    ------
    RuntimeError
        If the contestant cannot run here; the message says why.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        try:
            return process.submit(_measured, name, cell).result()
        except Exception as why:  # noqa: BLE001  whatever a library raises is the reason
            msg = f"{name} in {cell.name}: {type(why).__name__}: {why}"
            raise RuntimeError(msg) from None


def _measured(name: str, cell: Cell) -> Allocations:
    os.environ["CHAINRULE_THREADS"] = "1"  # fewer threads that wait for each other on a busy machine
    data, make = cell_data(cell), roster.entry(name).maker()
    with blas_threads(1):
        first = make(data, "step")  # imports and compiles, which tracing would slow down
        with first.context():
            _run(first, 1)
        del first
        tracemalloc.start()
        contestant = make(data, "step")
        with contestant.context():
            _run(contestant)
            count, held = _arrays()
            rise = min(_rise(contestant) for _ in range(TRIES))
            _run(contestant)
            return Allocations(held, _arrays()[0] - count, rise)


def _run(contestant: Contestant, passes: int = PASSES) -> None:
    for _ in range(passes):
        contestant.run()
    contestant.wait()


def _rise(contestant: Contestant) -> int:
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    _run(contestant, 1)
    return tracemalloc.get_traced_memory()[1] - before


def _arrays() -> tuple[int, int]:
    """Return the number of blocks that NumPy has allocated, and their bytes."""
    gc.collect()
    only = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
    traces = tracemalloc.take_snapshot().filter_traces([only]).traces
    return len(traces), sum(trace.size for trace in traces)
