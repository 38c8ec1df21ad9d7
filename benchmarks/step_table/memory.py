"""Memory: what a step holds at the most, and what it allocates once it is under way.

Two measures, since no one instrument sees every library:

* resident: how much the process's resident memory rises, at its highest, while a contestant is made
  and runs ten steps; X and Y, which are there before, are added. The library is warm by then (a tiny step, a
  large product), so that its code, its threads and the BLAS's own buffers are not charged to it.
* arrays: for NumPy contestants, the bytes of all arrays that tracemalloc knows of after that; X and Y
  are added. To be compared with the plan's ``peak_bytes``.
"""

import ctypes
import gc
import resource
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
from step_contestants import ENTRIES
from step_contestants.cells import parse
from step_contestants.contestant import Contestant, UnavailableError
from step_contestants.problem import Problem, problem

from chainrule.bench.table import Table

CONTESTANTS = ("jit", "plain", "torch-eager", "torch-manual")
OURS = ("jit", "plain")
CALLS = 10
NOTES = (
    "peak_bytes: of the plan in one block; in row blocks each thread has the scratch of a block and a gradient",
    "arrays: the bytes that tracemalloc knows of as NumPy's after ten steps, with X and Y",
    "resident: how much the process grew at its highest, with X and Y; below a MiB, the allocator's noise",
    "rise: bytes that one steady step adds for a moment, + arrays that eleven steps leave behind",
    "of the rise, up to 32 KiB is NumPy's own buffer for an operand that it broadcasts: no array of ours",
)


def run(name: str, cell: str) -> dict[str, Any]:
    """Return the record of a contestant's memory in a cell, without the environment."""
    record: dict[str, Any] = {"contestant": name, "cell": cell, "status": "ok"}
    entry = ENTRIES[name]
    if missing := entry.missing():
        return record | {"status": "skipped", "reason": f"{' and '.join(missing)} is not installed"}
    given = problem(parse(cell))
    inputs = given.X.nbytes + given.Y.nbytes
    try:
        _warm(name)
    except UnavailableError as why:
        return record | {"status": "skipped", "reason": str(why)}
    record["resident"] = _resident(name, given) + inputs
    if name in OURS:
        record |= _traced(name, given, inputs) | {"peak_bytes": peak_bytes(given)}
    return record


def peak_bytes(given: Problem) -> int:
    """Return what the plan of the whole step, in one block, says."""
    from step_contestants.ours import work

    return int(work(given).plan(given.cell.batch).peak_bytes)


def _warm(name: str) -> None:
    _ten(ENTRIES[name].maker()(problem(parse("64-64-10,64"))))
    A = np.ones((2048, 2048), "float32")
    if name.startswith("torch"):
        import torch

        torch.mm(torch.from_numpy(A), torch.from_numpy(A))
    else:
        np.matmul(A, A)


def _ten(contestant: Contestant) -> Contestant:
    with contestant.context():
        for _ in range(CALLS):
            contestant.step()
        contestant.wait()
    return contestant


def _resident(name: str, given: Problem) -> int:
    """Return by how much making it and ten steps raise the resident memory."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)  # what was freed must not hide what is taken now
    before = _forget_highest()
    _ten(ENTRIES[name].maker()(given))
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


def _traced(name: str, given: Problem, inputs: int) -> dict[str, int]:
    """Return what tracemalloc sees: the arrays that there are, and what a steady step adds to them."""
    tracemalloc.start()
    contestant = _ten(ENTRIES[name].maker()(given))
    with contestant.context():
        gc.collect()
        count, total = _arrays()
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        contestant.step()
        rise = tracemalloc.get_traced_memory()[1] - before
        _ten(contestant)
        gc.collect()
        kept = _arrays()[0] - count
    tracemalloc.stop()
    return {"arrays": total + inputs, "arrays_kept": kept, "rise": rise}


def _arrays() -> tuple[int, int]:
    """Return how many blocks of NumPy's there are, and their bytes."""
    only = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
    traces = tracemalloc.take_snapshot().filter_traces([only]).traces
    return len(traces), sum(trace.size for trace in traces)


def table(records: list[dict[str, Any]]) -> Table:
    """Return the table of such records."""
    found = {(r["cell"], r["contestant"]): r for r in records if r["status"] == "ok"}
    head = ["cell", "peak_bytes", *(f"arrays {name}" for name in OURS)]
    head += [f"resident {name}" for name in CONTESTANTS] + [f"rise {name}" for name in OURS]
    made = Table("Memory of a step, KiB", head)
    for cell in dict.fromkeys(cell for cell, _ in found):
        of = {name: found.get((cell, name), {}) for name in CONTESTANTS}
        planned = [of[name].get("peak_bytes") for name in OURS]
        row = [cell, _kib(next((it for it in planned if it), None))]
        row += [_kib(of[name].get("arrays")) for name in OURS]
        row += [_kib(of[name].get("resident")) for name in CONTESTANTS]
        made.rows.append([*row, *(_rise(of[name]) for name in OURS)])
    made.notes = list(NOTES)
    made.notes += [
        f"{r['status']}: {r['contestant']} in {r['cell']}: {r['reason']}"
        for r in records
        if r["status"] != "ok"
    ]
    return made


def _kib(nbytes: int | None) -> str:
    return "-" if nbytes is None else f"{nbytes / 1024:.0f}"


def _rise(record: dict[str, Any]) -> str:
    return f"{record['rise']} B + {record['arrays_kept']}" if "rise" in record else "-"
