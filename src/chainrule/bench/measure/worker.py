"""The worker: a process that runs one contestant, cell after cell, and answers requests.

It reads one request a line from standard input, and answers each with a line.
The output of libraries goes to standard error, so that it cannot be taken for an answer.
"""

import ctypes
import gc
import json
import os
import signal
import sys
import time
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import IO

from chainrule import backends
from chainrule.bench import roster
from chainrule.bench.cell_data import cell_data
from chainrule.bench.cells import parse
from chainrule.bench.contestant import Contestant, UnavailableError
from chainrule.bench.measure.check import check
from chainrule.bench.measure.environment import environment
from chainrule.bench.measure.limits import WALL, best, warm_up
from chainrule.bench.measure.limits import block as timed
from chainrule.bench.measure.process import Answer

VERBS = ("make", "warm", "time", "drop", "rates")  # methods of a worker
_environment = cache(environment)  # once per process, after the contestant has loaded its libraries
_PR_SET_PDEATHSIG = 1


class Worker:
    """One contestant in one cell; its public methods answer requests."""

    def __init__(self) -> None:
        self._contestant: Contestant | None = None
        self._context = ExitStack()

    def make(
        self,
        contestant: str,
        cell: str,
        operation: str,
        warm: float,
        block: float,
        **more: str,
    ) -> Answer:
        """Make the contestant of a cell, check it and warm it up; return the time of a pass.

        ``more`` may have the ``device``, which decides how long a pass is, and ``cache``, a folder for the references.
        """
        self.drop()
        entry = roster.entry(contestant)
        if missing := entry.missing():
            return {"status": "skipped", "reason": f"{' and '.join(missing)} is not installed"}
        data = cell_data(parse(cell), more.get("device", "cpu"))
        try:
            one = entry.maker()(data, operation)
        except UnavailableError as why:
            return {"status": "skipped", "reason": str(why)}
        # As timeit does, collect garbage now and not while a step is timed.
        gc.collect()
        gc.freeze()
        gc.disable()
        self._context.enter_context(one.context())
        self._contestant = one
        start = time.perf_counter()
        returned = one.run()
        one.wait()
        first = time.perf_counter() - start
        checked = check(one, returned, data, Path(more["cache"]) if "cache" in more else None)
        if wrong := checked.pop("wrong"):
            self.drop()
            return {"status": "wrong", "reason": wrong, "check": checked}
        return {
            "status": "ok",
            "steps": one.steps,
            "first_call": first,
            "check": checked,
            "environment": _environment(),
            **self.warm(warm, block),
        }

    def warm(self, seconds: float, block: float) -> Answer:
        """Warm the contestant up; return the passes of a block, and the time of a pass."""
        assert self._contestant is not None  # noqa: S101  the protocol
        warmed = warm_up(self._contestant, seconds, block)
        return {"passes": warmed.passes, "pass": warmed.seconds}

    def time(self, passes: int, clock: str = WALL, *, again: bool = True) -> Answer:
        """Time a block of passes, after an untimed pass if ``again``.

        The turns of the others have emptied the caches; for a long pass that does not matter.
        """
        assert self._contestant is not None  # noqa: S101  the protocol
        if again:
            timed(self._contestant, 1)
        return {"seconds": timed(self._contestant, passes, clock)}

    def drop(self) -> Answer:
        """Release the cell's arrays; those in reference cycles are collected when the next cell is made."""
        if self._contestant is not None:
            self._context.close()
            self._contestant = None
            gc.unfreeze()
            gc.enable()
        return {}

    def rates(self, library: str, dtype: str, threads: int) -> Answer:
        """Measure the best rates of this machine with a library; JAX on a GPU says nothing about the CPU."""
        if library == "jax" and "cpu" not in backends.named(library).describe():
            return {}
        return best(library, dtype, threads).line()


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answer requests until the input ends."""
    worker = Worker()
    verbs = {verb: getattr(worker, verb) for verb in VERBS}
    for line in requests:
        request = json.loads(line)
        try:
            answer = json.dumps(verbs[request.pop("do")](**request))
        except Exception as error:  # noqa: BLE001  any library's
            reason = f"{type(error).__name__}: {error}".partition("\n")[0]
            answer = json.dumps({"status": "failed", "reason": reason})
        answers.write(f"{answer}\n")
        answers.flush()


def _end_with_parent() -> None:
    """Have Linux kill this process when its parent ends: a stopped process would not notice."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Run a worker on standard input and output."""
    _end_with_parent()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
