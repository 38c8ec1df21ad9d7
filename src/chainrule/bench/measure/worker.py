"""The worker: a process that is one contestant, cell after cell, and does what it is told.

It reads a request a line from standard input, and answers each with a line under the request's number.
Whatever a library prints goes to standard error, so that it cannot pass for an answer.
"""

import ctypes
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from chainrule.bench import roster
from chainrule.bench.cell_data import cell_data
from chainrule.bench.cells import parse
from chainrule.bench.contestant import Contestant, UnavailableError
from chainrule.bench.measure.check import check
from chainrule.bench.measure.clock import WALL, block, warm_up
from chainrule.bench.measure.environment import environment
from chainrule.bench.measure.limits import best

Answer = dict[str, Any]
Verb = Callable[[dict[str, Any]], Answer]
_PR_SET_PDEATHSIG = 1


class Worker:
    """One contestant, in the cell that it was last told."""

    def __init__(self) -> None:
        self._contestant: Contestant | None = None
        self._leave: Callable[[], object] = lambda: None

    def make(self, request: dict[str, Any]) -> Answer:
        """Make the contestant of a cell, check it and warm it up; say what a pass of it takes."""
        self.drop({})
        chosen = roster.entry(request["contestant"])
        if missing := chosen.missing():
            return _not_installed(missing)
        given = cell_data(parse(request["cell"]))
        try:
            made = chosen.maker()(given, request["operation"])
        except UnavailableError as why:
            return {"status": "skipped", "reason": str(why)}
        _collect()
        context = made.context()
        context.__enter__()
        self._contestant, self._leave = made, lambda: context.__exit__(None, None, None)
        began = time.perf_counter()
        returned = made.run()
        made.wait()
        first = time.perf_counter() - began
        checked = check(made, returned, given, _folder(request))
        if wrong := checked.pop("wrong"):
            self.drop({})
            return {"status": "wrong", "reason": wrong, "check": checked}
        warm = warm_up(made, request["warm"], request["block"])
        return {
            "status": "ok",
            "steps": made.steps,
            "passes": warm.passes,
            "pass": warm.seconds,
            "first_call": first,
            "calls": made.calls,
            "note": made.note,
            "check": checked,
        }

    def time(self, request: dict[str, Any]) -> Answer:
        """Run a block of passes; before it, untimed, one more where others' turns would tell.

        They have displaced what was in the caches; against a long pass that is nothing.
        """
        assert self._contestant is not None  # noqa: S101  the protocol
        if request.get("again", True):
            block(self._contestant, 1)
        took = block(self._contestant, request["passes"], request.get("clock", WALL))
        return {"seconds": took.computed, "enqueued": took.enqueued}

    def drop(self, _request: dict[str, Any]) -> Answer:
        """Let go of the cell's arrays; what of them is in circles goes when the next cell is made."""
        if self._contestant is not None:
            self._leave()
            self._contestant, self._leave = None, lambda: None
            gc.unfreeze()
            gc.enable()
        return {}

    def rates(self, request: dict[str, Any]) -> Answer:
        """Measure the best that this machine does with a library."""
        return best(request["library"], request["dtype"])._asdict()

    def environment(self, _request: dict[str, Any]) -> Answer:
        """Say what this process runs on."""
        return environment()


def _not_installed(missing: list[str]) -> Answer:
    return {"status": "skipped", "reason": f"{' and '.join(missing)} is not installed"}


def _collect() -> None:
    """As timeit does: nobody's step is charged with another's garbage."""
    gc.collect()
    gc.freeze()
    gc.disable()


def _folder(request: dict[str, Any]) -> Path | None:
    return Path(request["cache"]) if request.get("cache") else None


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answer requests until there are no more."""
    worker = Worker()
    does: dict[str, Verb] = {
        "make": worker.make,
        "time": worker.time,
        "drop": worker.drop,
        "rates": worker.rates,
        "environment": worker.environment,
    }
    for line in requests:
        request = json.loads(line)
        try:
            answer = does[request["do"]](request)
        except Exception as error:  # noqa: BLE001  whatever a library raises is what there is to say
            answer = {
                "status": "failed",
                "reason": f"{type(error).__name__}: {error}".partition("\n")[0],
            }
        answers.write(json.dumps(answer | {"number": request.get("number")}) + "\n")
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
