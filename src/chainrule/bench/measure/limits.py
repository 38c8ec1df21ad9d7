"""How long blocks of passes take, and what this machine can do at its best with one library.

A machine's best rates of matrix products and of copies, over all libraries, bound every step from below: see ``limit``
in ``chainrule.bench.judge.results``.
"""

import math
import operator
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np

from chainrule import backends
from chainrule.backends import Backend
from chainrule.bench.contestant import Contestant
from chainrule.bench.roster import device_of
from chainrule.bench.store import Rates

WALL, PROCESSOR = "wall", "processor"
FINE = 1e-6  # seconds: what a clock must tell apart to time a block with it
WARM_CALLS = 3
BLOCK_SECONDS = 0.01
LEAST_TICKS = 1000  # a block takes this many times as long as reading the clock and waiting for nothing


class Warm(NamedTuple):
    """The measurements of a contestant after its warm-up."""

    passes: int  # of a block
    seconds: float  # of a pass


def block(contestant: Contestant, passes: int, clock: str = WALL) -> float:
    """Run ``passes`` passes, wait for the results, and return the seconds.

    Parameters
    ----------
    contestant, passes
        Who, and how many.
    clock
        "wall", or "processor": the time that this process computes, in which what else the machine does is
        not counted; of what waits for a device or a disk it sees nothing.
    """
    if contestant.clocked is not None and passes:
        return contestant.clocked(passes)
    run, now = contestant.run, _reader(clock)
    began = now()
    for _ in repeat(None, passes):
        run()
    contestant.wait()
    return now() - began


def _reader(clock: str) -> Callable[[], float]:
    """Return what reads a clock; the processor's is too coarse for a block on some systems."""
    is_fine = time.get_clock_info("process_time").resolution <= FINE
    return time.process_time if clock == PROCESSOR and is_fine else time.perf_counter


def warm_up(contestant: Contestant, seconds: float, block_seconds: float = BLOCK_SECONDS) -> Warm:
    """Call a contestant until it is warm, and return the passes in a block and the seconds of one.

    Parameters
    ----------
    contestant
        Who; its first call is behind it.
    seconds
        For how long, at least; and for three calls.
    block_seconds
        How long a block is to be.
    """
    began, done, passes = time.perf_counter(), 0, 1
    while True:
        took = block(contestant, passes)
        done += passes
        if done >= WARM_CALLS and time.perf_counter() - began >= seconds:
            break
        if took < block_seconds:
            passes *= 2
    overhead = min(block(contestant, 0) for _ in range(5))  # the clock is read, and nothing waited for
    wanted = max(block_seconds, LEAST_TICKS * overhead)
    return Warm(max(1, math.ceil(wanted * passes / took)), took / passes)


WORKING_SETS = tuple(1 << power for power in range(14, 29, 2))  # bytes: 16 KB, 64 KB, ... 256 MB
LARGE_ON_CUDA = 1 << 30  # bytes, of which next to nothing stays in a second-level cache of 50 MB
SMALL, LARGE, LARGEST = 256, 1024, 8192  # of square matrices
LONG = 0.01  # seconds; when a large product takes longer, larger ones are hardly faster
SWEEPS = 3  # over everything, so that a moment in which the machine is busy does not count
WARM, BLOCK = 0.003, 0.005  # seconds


class _Timed(NamedTuple):
    """A call that is timed again and again, and how much it does: FLOPs, or bytes."""

    amount: float
    contestant: Contestant
    passes: int

    def rate(self) -> float:
        """Return how much it does in a second."""
        return self.amount * self.passes / block(self.contestant, self.passes)


def best(library: str, dtype: str = "float32", threads: int = 0) -> Rates:
    """Return the best that a library does on this machine; takes about a second.

    Parameters
    ----------
    library
        As the roster names it.
    dtype, threads
        Of the arrays; that this process was given.

    Examples
    --------
    >>> best("numpy").products > 1e9
    True
    """
    backend = backends.named(library.replace("-", ":"))
    sets = (*WORKING_SETS, LARGE_ON_CUDA) if device_of(library) == "cuda" else WORKING_SETS
    ones = np.ones(sets[-1] // np.dtype(dtype).itemsize, dtype)  # (bytes / itemsize,)
    kernels = [list(_products(backend, dtype)), *(_moves(backend, ones, size) for size in sets)]
    sweeps = [[max(one.rate() for one in group) for group in kernels] for _ in range(SWEEPS)]
    flops, *copies = map(max, zip(*sweeps, strict=True))
    return Rates(library, dtype, threads, flops, tuple(zip(sets, copies, strict=True)))


def _products(backend: Backend, dtype: str) -> Iterator[_Timed]:
    """Yield products of square matrices, up to the first large one that takes long."""
    rng = np.random.default_rng(0)
    n, seconds = SMALL, 0.0
    while n <= LARGE or (seconds < LONG and n <= LARGEST):
        # Random numbers: products of zeros draw less power, and some processors clock higher for it.
        A, B = (backend.asarray(rng.standard_normal((n, n), "float32").astype(dtype)) for _ in range(2))
        kernel = _timed(backend, 2.0 * n**3, backend.xp.matmul, A, B)
        yield kernel
        n, seconds = 2 * n, kernel.amount / kernel.rate()


def _moves(backend: Backend, ones: np.ndarray, size: int) -> list[_Timed]:
    """Return three ways to move the bytes of a working set.

    A copy; an update in place, as an optimizer makes it, for which a processor need not fetch what it will
    overwrite, as it does for a copy; and a dot product, which only reads.
    """
    count = size // ones.itemsize
    source, target = map(backend.asarray, (ones[: count // 2], ones[count // 2 : count]))  # (count / 2,)
    whole = backend.asarray(ones[:count])  # (count,)
    return [
        _timed(backend, size, backend.copy, source, target),
        _timed(backend, 2 * size, operator.imul, whole, 1.0),
        _timed(backend, size, backend.xp.matmul, whole, whole),
    ]


def _timed(backend: Backend, amount: float, call: Callable[..., Any], *arguments: Any) -> _Timed:
    last = [call(*arguments)]

    def run() -> None:
        last[0] = call(*arguments)

    contestant = Contestant(run, 1, wait=partial(lambda held: backend.synchronize(held[0]), last))
    return _Timed(amount, contestant, warm_up(contestant, WARM, BLOCK).passes)
