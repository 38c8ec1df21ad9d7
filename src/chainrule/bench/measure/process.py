"""A process with a worker in it, of which no thread runs but when it is its turn."""

import json
import math
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import IO, Any

from chainrule.bench.measure import product_precision
from chainrule.program.machine import cores

PATIENCE = 300.0  # seconds for one answer; a process that takes longer hangs
SLICE = 1.0  # seconds
CAN_STOP = hasattr(signal, "SIGSTOP")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "CHAINRULE_THREADS")


class Process:
    """One worker.

    Between its turns it is stopped as a whole: threads of OpenBLAS, OpenMP and XLA that wait for work
    spin, and made PyTorch 2 to 25 times slower where they shared the cores with it.

    Parameters
    ----------
    threads
        How many its libraries are to use, and cores to run on; 0: as they choose.
    dtype
        What it will compute in.
    """

    def __init__(self, threads: int = 0, dtype: str = "float32") -> None:
        self._threads = threads
        self._asked = 0
        self._process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-m", "chainrule.bench.measure.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | _surroundings(threads, dtype),
            start_new_session=True,  # Ctrl-C is for this process alone
        )
        if 0 < threads < cores() and hasattr(os, "sched_setaffinity"):
            # XLA asks for nothing else.
            os.sched_setaffinity(self._process.pid, sorted(os.sched_getaffinity(0))[:threads])

    def ask(self, do: str, patience: float = math.inf, **request: Any) -> dict[str, Any]:
        """Let it run until it has answered a request; return the answer.

        One that has not answered after so many seconds, or those of ``PATIENCE``, is ended.
        """
        patience = min(patience, PATIENCE)
        self._signal("SIGCONT")
        try:
            self._asked += 1
            line = json.dumps({"do": do, "number": self._asked, **request})
            _pipe(self._process.stdin).write(line + "\n")
            _pipe(self._process.stdin).flush()
            answer = self._answer(self._asked, patience)
        except (OSError, ValueError) as error:
            self.end()
            why = (
                f"no answer within {patience:.0f} s"
                if isinstance(error, TimeoutError)
                else "its process ended"
            )
            return {"status": "failed", "reason": why}
        self._signal("SIGSTOP")
        return answer

    @property
    def identity(self) -> int:
        """The system's number for it."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def end(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _answer(self, number: int, patience: float) -> dict[str, Any]:
        """Return the answer to a request; those to requests that were given up (Ctrl-C) are passed over."""
        while True:
            answer: dict[str, Any] = json.loads(self._line(patience))
            if answer.pop("number", None) == number:
                return answer

    def _line(self, patience: float) -> str:
        out = _pipe(self._process.stdout)
        if CAN_STOP and not any(_is_readable(out, each) for each in _slices(patience)):
            raise TimeoutError
        return out.readline()

    def _signal(self, name: str) -> None:
        if CAN_STOP and self.is_alive:
            self._process.send_signal(getattr(signal, name))


def _is_readable(pipe: IO[str], seconds: float) -> bool:
    return bool(select.select([pipe], [], [], seconds)[0])


def _slices(seconds: float) -> Iterator[float]:
    """Yield a wait in short pieces: while all of us are stopped (Ctrl-Z, a laptop that sleeps) one piece passes."""
    while seconds > 0:
        yield min(seconds, SLICE)
        seconds -= SLICE


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None  # noqa: S101  it was asked for
    return pipe


def _surroundings(threads: int, dtype: str) -> dict[str, str]:
    """Return the variables of the worker's environment that differ from this process's."""
    variables = {name: str(threads) for name in _THREADS} if threads else {}
    variables["PYTHONWARNINGS"] = "ignore"  # of other libraries
    variables |= product_precision.variables()
    # JAX would take three quarters of a device's memory at once, and leave too little to those beside it.
    variables["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    if dtype == "float64":
        variables["JAX_ENABLE_X64"] = "1"
    return variables
