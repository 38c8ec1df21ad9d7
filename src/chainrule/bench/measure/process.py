"""A process with a worker in it, whose threads run only when it is its turn."""

import json
import math
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from typing import IO, Any

from chainrule.bench.measure import product_precision
from chainrule.program.machine import cores

Answer = dict[str, Any]
PATIENCE = 300.0  # seconds for one answer; a process that takes longer is considered hung
SLICE = 1.0  # seconds per wait for an answer
CAN_STOP = hasattr(signal, "SIGSTOP")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "CHAINRULE_THREADS")


class Process:
    """One worker.

    Between its turns it is stopped as a whole: threads of OpenBLAS, OpenMP and XLA that wait for work
    spin, and made PyTorch 2 to 25 times slower where they shared the cores with it.

    Parameters
    ----------
    threads
        Threads of its libraries, and cores to run on; 0 leaves the choice to the libraries.
    dtype
        The dtype of its cells.
    """

    def __init__(self, threads: int = 0, dtype: str = "float32") -> None:
        self._process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-m", "chainrule.bench.measure.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | _variables(threads, dtype),
            start_new_session=True,  # Ctrl-C reaches only the parent process
        )
        assert self._process.stdin is not None  # noqa: S101  they are pipes
        assert self._process.stdout is not None  # noqa: S101
        self._requests, self._answers = self._process.stdin, self._process.stdout
        if 0 < threads < cores() and hasattr(os, "sched_setaffinity"):
            # XLA takes its number of threads only from the affinity.
            os.sched_setaffinity(self.pid, sorted(os.sched_getaffinity(0))[:threads])

    def ask(self, do: str, patience: float = math.inf, **request: Any) -> Answer:
        """Let the worker run until it has answered a request; return the answer.

        The worker is killed if it has not answered after this many seconds, or after ``PATIENCE``, or if this process is
        interrupted while it waits.
        """
        patience = min(patience, PATIENCE)
        try:
            self._signal("SIGCONT")
            self._requests.write(json.dumps({"do": do, **request}) + "\n")
            self._requests.flush()
            answer: Answer = json.loads(_line(self._answers, patience))
        except (OSError, ValueError) as error:
            self.end()
            is_late = isinstance(error, TimeoutError)
            why = f"no answer within {patience:.0f} s" if is_late else "its process ended"
            return {"status": "failed", "reason": why}
        except KeyboardInterrupt:
            self.end()
            raise
        self._signal("SIGSTOP")
        return answer

    @property
    def pid(self) -> int:
        """The process ID of the worker."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the worker still runs."""
        return self._process.poll() is None

    def end(self) -> None:
        """Kill the worker."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._requests, self._answers):
            with suppress(BrokenPipeError):  # the worker did not read a request
                pipe.close()

    def _signal(self, name: str) -> None:
        if CAN_STOP and self.is_alive:
            self._process.send_signal(getattr(signal, name))


def _line(pipe: IO[str], seconds: float) -> str:
    """Return the next line; raise ``TimeoutError`` if there is none after this many seconds.

    It waits in short pieces: while all processes are stopped (Ctrl-Z, a laptop that sleeps) only one piece passes.
    """
    while CAN_STOP and not select.select([pipe], [], [], min(SLICE, max(0.0, seconds)))[0]:
        seconds -= SLICE
        if seconds <= 0:
            raise TimeoutError
    return pipe.readline()


def _variables(threads: int, dtype: str) -> dict[str, str]:
    """Return the environment variables of the worker that differ from this process's."""
    return {
        **{name: str(threads) for name in _THREADS if threads},
        "PYTHONWARNINGS": "ignore",  # silences warnings of other libraries
        # JAX would take three quarters of a device's memory at once, and leave too little for the others.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        **({"JAX_ENABLE_X64": "1"} if dtype == "float64" else {}),
        **product_precision.variables(),
    }
