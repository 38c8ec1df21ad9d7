"""Memory: what a step holds at the most, and what it allocates once it is under way; nothing is timed.

Two measures, since no one instrument sees every library: how far the process grows, and for NumPy's
arrays what ``tracemalloc`` knows of. The second is to be compared with the plan's ``peak_bytes``.
"""

import ctypes
import gc
import resource
import sys
import tracemalloc
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chainrule.bench import roster
from chainrule.bench.cells import Cell, parse
from chainrule.bench.contestant import Contestant
from chainrule.bench.judge.gate.counts import planned
from chainrule.bench.measure.process import Process
from chainrule.bench.problem import Problem, problem

PASSES = 10
TRIES = 5  # passes of which the one with the least rise counts: the others' is Python's own
WARM = "64-64-10,64"
LARGE = 2048


class Memory(NamedTuple):
    """Bytes, of one contestant in one cell.

    ``None`` stands where the instrument sees nothing of that library.
    """

    resident: int  # how far the process grew at its highest, above the data; small ones drown in noise
    arrays: int | None = None  # all that the contestant has made, after ten passes
    kept: int | None = None  # how many arrays ten more passes leave behind
    rise: int | None = None  # what one pass has more than there was, at its highest
    peak_bytes: int | None = None  # what the plan says, for a step in one block


def asked(name: str, cell: Cell) -> Memory:
    """Return the memory of a contestant in a cell, taken in a process of its own.

    Raises
    ------
    RuntimeError
        If the contestant cannot run here; the message says why.
    """
    process = Process(threads=1, dtype=cell.dtype)
    try:
        answer = process.ask("memory", contestant=name, cell=cell.name)
    finally:
        process.end()
    if "resident" not in answer:
        msg = f"{name} in {cell.name}: {answer['reason']}"
        raise RuntimeError(msg)
    return Memory(**answer)


def memory(name: str, cell: Cell) -> Memory:
    """Return the memory of a contestant in a cell, taken here: in a process that has done nothing else.

    The library is warmed first, so that its code, its threads and the BLAS's own buffers are not
    charged to the step.
    """
    given = problem(cell)
    _warm(name)
    resident = _resident(name, given)
    if roster.entry(name).library != "numpy":
        return Memory(resident)
    arrays, kept, rise = _traced(name, given)
    ours = roster.entry(name).group == roster.BACKEND
    return Memory(resident, arrays, kept, rise, planned(cell).peak_bytes if ours else None)


def _made(name: str, given: Problem) -> Contestant:
    found: Contestant = roster.entry(name).maker()(given, "step")
    return found


def _run(contestant: Contestant, passes: int = PASSES) -> Contestant:
    for _ in range(passes):
        contestant.run()
    contestant.wait()
    return contestant


def _warm(name: str) -> None:
    contestant = _made(name, problem(parse(WARM)))
    with contestant.context():
        _run(contestant, 1)
    A = np.ones((LARGE, LARGE), "float32")  # (LARGE, LARGE)
    if roster.entry(name).library == "torch":
        from chainrule.bench.contestants import pytorch

        pytorch.matmul()(pytorch.tensor(A), pytorch.tensor(A))
    else:
        np.matmul(A, A)


def _resident(name: str, given: Problem) -> int:
    """Return by how much making it and ten passes raise the resident memory."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)  # what was freed must not hide what is taken now
    before = _forget_highest()
    contestant = _made(name, given)
    with contestant.context():
        _run(contestant)
    return _highest() - before


def _forget_highest() -> int:
    """Make the present resident memory the highest seen, where the system can; return it in bytes."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return _status("VmRSS")
    except OSError:
        return _highest()


def _highest() -> int:
    """Return the highest resident memory in bytes."""
    try:
        return _status("VmHWM")
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) * 1024
    raise OSError(key)


def _traced(name: str, given: Problem) -> tuple[int, int, int]:
    """Return the bytes of the arrays that there are, how many more stay, and what a pass adds for a moment."""
    tracemalloc.start()
    contestant = _made(name, given)
    with contestant.context():
        _run(contestant)
        gc.collect()
        count, total = _arrays()
        rise = min(_rise(contestant) for _ in range(TRIES))
        _run(contestant)
        gc.collect()
        kept = _arrays()[0] - count
    tracemalloc.stop()
    return total, kept, rise


def _rise(contestant: Contestant) -> int:
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    _run(contestant, 1)
    return tracemalloc.get_traced_memory()[1] - before


def _arrays() -> tuple[int, int]:
    """Return how many blocks of NumPy's there are, and their bytes."""
    only = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
    traces = tracemalloc.take_snapshot().filter_traces([only]).traces
    return len(traces), sum(trace.size for trace in traces)
