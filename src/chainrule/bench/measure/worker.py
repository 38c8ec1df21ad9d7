"""The worker: a process that is one contestant, cell after cell, and answers requests.

It reads a request a line from standard input, and answers each with a line.
Whatever a library prints goes to standard error, so that it cannot pass for an answer.
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
from typing import IO, Any

from chainrule.bench import roster
from chainrule.bench.cell_data import cell_data
from chainrule.bench.cells import parse
from chainrule.bench.contestant import Contestant, UnavailableError
from chainrule.bench.measure.check import check
from chainrule.bench.measure.environment import environment
from chainrule.bench.measure.limits import WALL, best, warm_up
from chainrule.bench.measure.limits import block as timed

Answer = dict[str, Any]
VERBS = ("make", "time", "drop", "rates")  # methods of a worker
_environment = cache(environment)  # once in a process, when the contestant has loaded its libraries
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
        """Make the contestant of a cell, check it and warm it up; return what a pass of it takes.

        ``more`` may have the ``device`` that the data are for, and the folder that is the ``cache`` of references.
        """
        self.drop()
        chosen = roster.entry(contestant)
        if missing := chosen.missing():
            return {"status": "skipped", "reason": f"{' and '.join(missing)} is not installed"}
        given = cell_data(parse(cell), more.get("device", "cpu"))
        cache = more.get("cache")
        try:
            made = chosen.maker()(given, operation)
        except UnavailableError as why:
            return {"status": "skipped", "reason": str(why)}
        # Garbage is collected now and not while a step is timed, as timeit does.
        gc.collect()
        gc.freeze()
        gc.disable()
        self._context.enter_context(made.context())
        self._contestant = made
        began = time.perf_counter()
        returned = made.run()
        made.wait()
        first = time.perf_counter() - began
        checked = check(made, returned, given, Path(cache) if cache else None)
        if wrong := checked.pop("wrong"):
            self.drop()
            return {"status": "wrong", "reason": wrong, "check": checked}
        warmed = warm_up(made, warm, block)
        return {
            "status": "ok",
            "steps": made.steps,
            "passes": warmed.passes,
            "pass": warmed.seconds,
            "first_call": first,
            "check": checked,
            "environment": _environment(),
        }

    def time(self, passes: int, clock: str = WALL, *, again: bool = True) -> Answer:
        """Time a block of passes, after an untimed pass if ``again``.

        The turns of the others have displaced what was in the caches; for a long pass that does not matter.
        """
        assert self._contestant is not None  # noqa: S101  the protocol
        if again:
            timed(self._contestant, 1)
        return {"seconds": timed(self._contestant, passes, clock)}

    def drop(self) -> Answer:
        """Let go of the cell's arrays; what of them is in circles goes when the next cell is made."""
        if self._contestant is not None:
            self._context.close()
            self._contestant = None
            gc.unfreeze()
            gc.enable()
        return {}

    def rates(self, library: str, dtype: str, threads: int) -> Answer:
        """Measure the best that this machine does with a library."""
        return best(library, dtype, threads).line()


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answer requests until there are no more."""
    worker = Worker()
    verbs = {verb: getattr(worker, verb) for verb in VERBS}
    for line in requests:
        request = json.loads(line)
        try:
            answer = verbs[request.pop("do")](**request)
        except Exception as error:  # noqa: BLE001  whatever a library raises is what there is to say
            reason = f"{type(error).__name__}: {error}".partition("\n")[0]
            answer = {"status": "failed", "reason": reason}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _end_with_parent() -> None:
    """Have Linux end this process with its parent: one that is stopped would not notice."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Be a worker."""
    _end_with_parent()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
