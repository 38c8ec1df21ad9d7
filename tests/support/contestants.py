"""Contestants that are slow, wrong or faulty, to test the benchmark with.

A worker imports them by name, as `support.contestants:slower`.
"""

import os
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from chainrule.backends.numpy import NumpyLibrary
from chainrule.bench.contestants import notebook as room
from chainrule.bench.contestants import ours

HERE = f"{__name__}:"
TICKS = "CHAINRULE_TEST_TICKS"  # the file that `ticks` counts in


def _counted(problem, operation, share, seed):
    """Plain NumPy that takes a millisecond a pass, times a share, by a clock of its own.

    Its clock counts passes, and varies by up to one per cent. It tests the instrument between a clock and a
    verdict; a real clock would test how busy the machine is.
    """
    made, chance = room.notebook(problem, operation), np.random.default_rng(seed)

    def clocked(passes):
        for _ in range(passes):
            made.run()
        return passes * 1e-3 * share * float(chance.uniform(0.99, 1.01))

    return replace(made, clocked=clocked)


steady, steady_too = partial(_counted, share=1.0, seed=0), partial(_counted, share=1.0, seed=1)
slower, twice = partial(_counted, share=1.2, seed=2), partial(_counted, share=2.0, seed=3)


def sleeps(problem, operation):
    """Every pass sleeps for two milliseconds first, by the real clock."""
    made = room.notebook(problem, operation)

    def run():
        time.sleep(0.002)
        return made.run()

    return replace(made, run=run)


def rounded(problem, operation):
    """Ours on NumPy, the factors of its products rounded to 10 bits, as TF32 does. Its process has no other."""
    usual = NumpyLibrary.call

    def call(library, made, arguments, out):
        if not made.is_matrix_product:
            return usual(library, made, arguments, out)
        return lambda A, B, out: np.copyto(out, _to_10_bits(A) @ _to_10_bits(B)), (*arguments, out)

    NumpyLibrary.call = call
    return ours.numpy(problem, operation)


def _to_10_bits(array):
    bits = np.ascontiguousarray(array).view(np.uint32)
    return ((bits + np.uint32(1 << 12)) & np.uint32(0xFFFFE000)).view(np.float32)


def wrong(problem, operation):
    """A step that goes too far by a twentieth, as one with a factor wrong in its gradient."""
    return room.notebook(problem._replace(rate=1.05 * problem.rate), operation)


def unsynchronised(problem, operation):
    """A device that computes when somebody looks, and a wait that does not look."""
    made, queue = room.notebook(problem, operation), []

    def state(_):
        returned = [run() for run in queue]
        queue.clear()
        return made.state(returned[-1])

    return replace(made, run=lambda: queue.append(made.run), state=state, wait=lambda: None)


def crashes(problem, operation):
    """It ends its process in the middle of a pass."""
    return replace(room.notebook(problem, operation), run=lambda: os._exit(3))


def crashes_later(problem, operation):
    """It ends its process when it is timed."""
    return replace(room.notebook(problem, operation), clocked=_crash_after_warm_up())


def _crash_after_warm_up():
    calls = []

    def clocked(passes):
        calls.append(passes)
        if len(calls) > 6:
            os._exit(3)
        return 0.01 * passes

    return clocked


def hangs(problem, operation):
    """It never comes back."""
    return replace(room.notebook(problem, operation), run=lambda: time.sleep(1e6))


def raises(problem, operation):
    """It fails with two lines."""
    msg = "no such thing\nand more of it"
    raise OSError(msg)


def prints(problem, operation):
    """It writes to standard output, through Python and past it."""
    made = room.notebook(problem, operation)

    def run():
        sys.stdout.write('{"seconds": 0}\n')
        os.write(1, b"a library says hello\n")
        return made.run()

    return replace(made, run=run)


def ticks(problem, operation):
    """A thread of it counts in a file for as long as it may run."""
    file = Path(os.environ[TICKS])

    def count():
        while True:
            with file.open("a") as out:
                out.write("x")
            time.sleep(0.001)

    threading.Thread(target=count, daemon=True).start()
    return room.notebook(problem, operation)
