"""The time of blocks of passes, and the best rates of this machine with one library.

A machine's best rates of matrix products and of copies, over all libraries, bound every step from below: see ``limit``
in ``chainrule.bench.judge.results``.
"""

import math
import operator
import time
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np

from chainrule import backends
from chainrule.backends import Backend
from chainrule.bench.contestant import Contestant
from chainrule.bench.roster import device_of
from chainrule.bench.store import Rates

WALL, PROCESSOR = "wall", "processor"
FINE = 1e-6  # seconds; a clock that times blocks must resolve this
WARM_CALLS = 3
BLOCK_SECONDS = 0.01
LEAST_TICKS = 1000  # a block takes this many times as long as reading the clock and an empty wait


class Warm(NamedTuple):
    """The measurements of a contestant after its warm-up."""

    passes: int  # per block
    seconds: float  # per pass


def block(contestant: Contestant, passes: int, clock: str = WALL) -> float:
    """Run ``passes`` passes, wait for the results, and return the seconds.

    Parameters
    ----------
    contestant, passes
        The contestant, and the number of passes.
    clock
        "wall", or "processor": the CPU time of this process, which excludes other processes and waiting for
        a device or a disk. On systems whose processor clock is too coarse, it is "wall".
    """
    if contestant.clocked is not None and passes:
        return contestant.clocked(passes)
    is_fine = time.get_clock_info("process_time").resolution <= FINE
    now = time.process_time if clock == PROCESSOR and is_fine else time.perf_counter
    run = contestant.run
    start = now()
    for _ in repeat(None, passes):
        run()
    contestant.wait()
    return now() - start


def warm_up(contestant: Contestant, seconds: float, block_seconds: float = BLOCK_SECONDS) -> Warm:
    """Call a contestant until it is warm, and return the passes per block and the seconds per pass.

    Parameters
    ----------
    contestant
        The contestant, which was called once before.
    seconds
        The least time, with at least three calls.
    block_seconds
        The wanted length of a block.
    """
    start, done, passes = time.perf_counter(), 0, 1
    while True:
        took = block(contestant, passes)
        done += passes
        if done >= WARM_CALLS and time.perf_counter() - start >= seconds:
            break
        if took < block_seconds:
            passes *= 2
    overhead = min(block(contestant, 0) for _ in range(5))  # seconds of an empty block
    wanted = max(block_seconds, LEAST_TICKS * overhead)
    return Warm(max(1, math.ceil(wanted * passes / took)), took / passes)


WORKING_SETS = tuple(1 << power for power in range(14, 29, 2))  # bytes: 16 KB, 64 KB, ... 256 MB
LARGE_ON_CUDA = 1 << 30  # bytes, of which a 50 MB L2 cache keeps almost nothing
SMALL, LARGE, LARGEST = 256, 1024, 8192  # sizes of square matrices
LONG = 0.01  # seconds; once a product takes longer, the rate of larger ones is hardly higher
SWEEPS = 3  # repetitions of all measurements; the best counts, in case the machine was busy
WARM, BLOCK = 0.003, 0.005  # seconds


Work = tuple[float, Contestant]  # FLOPs or bytes per call, and the call


def best(library: str, dtype: str = "float32", threads: int = 0) -> Rates:
    """Return the best rates of a library on this machine; takes about a second.

    Parameters
    ----------
    library
        Its name in the roster.
    dtype, threads
        The dtype of the arrays, and the threads of this process.

    Examples
    --------
    >>> best("numpy").products > 1e9
    True
    """
    backend = backends.named(library.replace("-", ":"))
    sets = (*WORKING_SETS, LARGE_ON_CUDA) if device_of(library) == "cuda" else WORKING_SETS
    ones = np.ones(sets[-1] // np.dtype(dtype).itemsize, dtype)  # (bytes / itemsize,)
    work = [_products(backend, dtype), *(_moves(backend, ones, size) for size in sets)]
    warm = [[(one, warm_up(one[1], WARM, BLOCK).passes) for one in group] for group in work]
    sweeps = [[max(_rate(*one) for one in group) for group in warm] for _ in range(SWEEPS)]
    flops, *copies = map(max, zip(*sweeps, strict=True))
    return Rates(library, dtype, threads, flops, tuple(zip(sets, copies, strict=True)))


def _rate(work: Work, passes: int) -> float:
    """Return FLOPs or bytes per second."""
    amount, contestant = work
    return amount * passes / block(contestant, passes)


def _products(backend: Backend, dtype: str) -> Iterator[Work]:
    """Yield products of square matrices, up to the first large one that takes long."""
    rng = np.random.default_rng(0)
    n, seconds = SMALL, 0.0
    while n <= LARGE or (seconds < LONG and n <= LARGEST):
        # Random numbers: products of zeros draw less power, and some processors clock higher for it.
        A, B = (backend.asarray(rng.standard_normal((n, n), "float32").astype(dtype)) for _ in range(2))
        product = _work(backend, 2.0 * n**3, backend.xp.matmul, A, B)
        yield product
        n, seconds = 2 * n, block(product[1], 1)


def _moves(backend: Backend, ones: np.ndarray, size: int) -> list[Work]:
    """Return three ways to move the bytes of a working set.

    A copy; an update in place, as an optimizer makes it, for which a processor need not fetch what it will
    overwrite, as it does for a copy; and a dot product, which only reads.
    """
    count = size // ones.itemsize
    source, target = map(backend.asarray, (ones[: count // 2], ones[count // 2 : count]))  # (count / 2,)
    whole = backend.asarray(ones[:count])  # (count,)
    return [
        _work(backend, size, backend.copy, source, target),
        _work(backend, 2 * size, operator.imul, whole, 1.0),
        _work(backend, size, backend.xp.matmul, whole, whole),
    ]


def _work(backend: Backend, amount: float, call: Callable[..., Any], *arguments: Any) -> Work:
    last = [call(*arguments)]

    def run() -> None:
        last[0] = call(*arguments)

    return amount, Contestant(run, 1, wait=lambda: backend.synchronize(last[0]))
