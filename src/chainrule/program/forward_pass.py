"""Prediction: the forward pass over any number of rows, in blocks and in several threads.

There are four ways, chosen by shapes alone:

* Few rows run as written, until they have been predicted so often that a plan is worthwhile. Each thread keeps its last plans.
* More work runs as written, on all rows at once.
* Still more is cut into blocks, which threads share. They also run as written, so that the first prediction of a
  network needs no preparation.
* If a thread has more to do than preparation takes, blocks of one size run by a plan, which is made once for a network
  and kept. Plans hold no arrays: each call binds them to its own memory, so calls may overlap, and no large array
  remains after a call.
"""

import threading
from collections import deque
from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from chainrule.program.kernels import Kernels, pool
from chainrule.program.machine import blas_threads, threads
from chainrule.program.plan import Plan, plan
from chainrule.program.replay import Arrays
from chainrule.program.trace import Spec, trace
from chainrule.program.unrecordable import UnrecordableError

Forward = Callable[[np.ndarray, np.ndarray], np.ndarray]  # theta (P,), X (n, n_in) -> A (n, n_out)
Run = Callable[[np.ndarray], np.ndarray]  # X (rows, n_in) -> A (rows, n_out)

FLOPS_A_SECOND = 100e9  # per core in float32; a rough value, to tell small jobs from large ones
FLOPS_A_UNIT = 150  # FLOPs that take as long as one unit's bias and activation
SHARED_SECONDS = 2.5e-3  # per thread; below this, BLAS threads on all rows at once are as fast
PLANNED_SECONDS = 5e-3  # per thread; below this, a plan saves less time than binding it takes
PLANNED_ROWS = 512  # per planned block: with fewer, products are slower; with more, caches overflow
MOST_ROWS = 1024  # per block that runs without a plan
FEWEST_ROWS = 256  # per such block: with fewer, BLAS is slower
# Limit for the parameters and for the rows; above it, call overhead does not matter.
FEW_BYTES = 2**18
CALLS_AS_WRITTEN = 50  # for few rows: the call that makes a plan, which pays off only over many calls
BLOCKS_A_THREAD = 4  # at least this many, so that no thread waits long for the last blocks


class Blocks(NamedTuple):
    """How rows are cut: the rows of a block, the number of threads, and whether blocks run by a plan."""

    rows: int
    threads: int
    is_planned: bool


def seconds(theta: np.ndarray, X: np.ndarray) -> float:
    """Return roughly how long one thread takes for the outputs of ``X (n, n_in)``.

    Each parameter is multiplied once for each row. At most ``P / (n_in + 1)`` units have a bias and an activation.

    Examples
    --------
    >>> seconds(np.zeros(64 * 64 + 64), np.zeros((1000, 64))) < 1e-3
    True
    """
    n, n_in = X.shape
    flops: float = n * theta.size * (2 + FLOPS_A_UNIT / (n_in + 1))
    return flops / FLOPS_A_SECOND * X.dtype.itemsize / 4


def cut(theta: np.ndarray, X: np.ndarray) -> Blocks:
    """Return how the rows of ``X (n, n_in)`` are cut, depending on shapes and the number of threads.

    Examples
    --------
    >>> cut(np.zeros(3), np.zeros((10, 2)))
    Blocks(rows=10, threads=1, is_planned=False)
    """
    n, takes = len(X), seconds(theta, X)
    if takes < 2 * SHARED_SECONDS:
        return Blocks(n, 1, is_planned=False)
    most = threads()
    if n >= BLOCKS_A_THREAD * most * PLANNED_ROWS and takes > most * PLANNED_SECONDS:
        return Blocks(PLANNED_ROWS, most, is_planned=True)
    count = min(most, int(takes / SHARED_SECONDS))
    if n < count * FEWEST_ROWS:
        return Blocks(n, 1, is_planned=False)
    turns = -(-n // (count * MOST_ROWS))
    return Blocks(-(-n // (count * turns)), count, is_planned=False)


class Few:
    """Predictions of one network for a fixed, small number of rows, in one thread.

    The plan is bound to its own memory, to which each call copies its parameters.
    """

    def __init__(self, forward: Forward, parameters: Spec, samples: Spec, kernels: Kernels) -> None:
        self._forward, self._specs, self._kernels = forward, (parameters, samples), kernels
        self._theta = kernels.library.empty(parameters.shape, parameters.dtype)  # (P,)
        self._calls = 0
        self._run: Run | None = None

    def __call__(self, theta: np.ndarray, X: np.ndarray) -> np.ndarray:
        """Return the outputs ``(n, n_out)``."""
        self._calls += 1
        if self._calls == CALLS_AS_WRITTEN:
            planned = _plan(self._forward, self._specs, self._kernels)
            self._run = None if planned is None else _bound(planned, self._theta, self._kernels)
        if self._run is None:
            return self._forward(theta, X)
        np.copyto(self._theta, theta)
        return self._run(X)


class _Kept(threading.local):
    """The plans that each thread keeps for itself, so that calls may overlap."""

    def __init__(self) -> None:
        self.few = lru_cache(maxsize=16)(Few)


_kept = _Kept()


def few(forward: Forward, theta: np.ndarray, X: np.ndarray, kernels: Kernels) -> np.ndarray:
    """Return the outputs ``(n, n_out)`` of few rows ``X (n, n_in)``."""
    specs = Spec(theta.shape, theta.dtype, "theta"), Spec(X.shape, X.dtype, "X")
    return _kept.few(forward, *specs, kernels)(theta, X)


def predict(
    forward: Forward, theta: np.ndarray, X: np.ndarray, how: Blocks, kernels: Kernels
) -> np.ndarray:
    """Return the outputs ``(n, n_out)`` of ``X (n, n_in)``, with the rows cut by ``how``."""
    todo = deque(range(0, len(X), how.rows))  # starts of the blocks
    done: dict[int, np.ndarray] = {}  # their outputs, each (rows, n_out)
    specs = Spec(theta.shape, theta.dtype, "theta"), Spec((how.rows, X.shape[1]), X.dtype, "X")
    planned = _plan(forward, specs, kernels) if how.is_planned else None

    def work() -> None:
        run = partial(forward, theta) if planned is None else _bound(planned, theta, kernels)
        with np.errstate(all="ignore"):  # each thread has its own error state
            while todo:
                try:
                    start = todo.popleft()
                except IndexError:  # another thread was faster
                    return
                done[start] = run(X[start : start + how.rows])

    with blas_threads(1):
        others = [pool(how.threads).submit(work) for _ in range(how.threads - 1)]
        try:
            work()
        finally:
            todo.clear()  # after an error or Ctrl-C, no thread starts another block
            for other in others:
                # Cancel a future that has not begun: its thread is busy with another call.
                if not other.cancel():
                    other.result()  # raises the error of that thread
    return np.concatenate([done[start] for start in sorted(done)])  # (n, n_out)


@lru_cache(maxsize=32)
def _plan(forward: Forward, specs: tuple[Spec, Spec], kernels: Kernels) -> Plan | None:
    """Return the plan of a block, which equal networks share; ``None`` if an activation cannot be recorded."""
    try:
        program = trace(forward, *specs)
    except UnrecordableError:
        return None
    return plan(program, (), kernels.groups(program))


def _bound(planned: Plan, theta: np.ndarray, kernels: Kernels) -> Run:
    """Return a function that runs the plan of a block, with its own memory."""
    _, samples = planned.program.inputs
    buffer = kernels.library.empty(samples.shape, samples.dtype)  # (rows, n_in)
    arrays = Arrays(planned, (theta, buffer), kernels.library)
    items = [kernels.item(group, arrays, slice(None), add=False) for group in planned.groups]
    run_steps = kernels.ready([[[item for part in items for item in part]]], [np.zeros(1, np.int64)])
    A = arrays.of(planned.program.outputs[0])  # (rows, n_out)

    def run(X: np.ndarray) -> np.ndarray:
        np.copyto(buffer[: len(X)], X)
        buffer[len(X) :] = 0.0  # pad a short last block: leftover values may be slow to compute with
        run_steps(1)
        outputs: np.ndarray = A[: len(X)].copy()  # (len(X), n_out)
        return outputs

    return run
