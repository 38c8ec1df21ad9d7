"""Prediction: the forward pass over any number of rows, a block of them at a time, each thread its own.

Four ways, chosen by shapes alone. Few rows run as they are written, until they have been predicted so often that a plan
pays; each thread keeps the last plans. More work runs as it is written, on all rows at once. Still more is cut
into a block a thread, which also runs as it is written, so a network's first prediction pays for no
preparation. What takes a thread longer than preparing goes through in blocks of one size, planned once
for a network and kept: the plans hold no arrays. Each call binds memory of its own to them, so calls may
overlap, the parameters may lie elsewhere in the next one, and nothing large outlives a call.
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

FLOPS_A_SECOND = 100e9  # of a core in float32; for telling little work from much, no more
FLOPS_A_UNIT = 150  # that take as long as a unit's bias and activation
SHARED_SECONDS = 2.5e-3  # of each thread; in less, the BLAS's own threads do as well on all rows at once
PLANNED_SECONDS = 5e-3  # of each thread; in less, memory planned saves no more than it takes to bind it
PLANNED_ROWS = 512  # of a block: fewer, and the products run at a lower rate; more, and caches overflow
MOST_ROWS = 1024  # of a block that runs as it is written
FEWEST_ROWS = 256  # of such a block: BLAS multiplies fewer at a lower rate
FEW_BYTES = (
    2**18
)  # of the parameters and of the rows; what takes more is not held up by the calls of a forward pass
CALLS_AS_WRITTEN = 50  # of few rows: planning takes as long as a plan saves in these
BLOCKS_A_THREAD = 4  # so that the last ones to end keep nobody waiting for long


class Blocks(NamedTuple):
    """How rows are cut: this many rows a block, this many threads, and whether the blocks are planned."""

    rows: int
    threads: int
    is_planned: bool


def seconds(theta: np.ndarray, X: np.ndarray) -> float:
    """Return about how long one thread takes for the outputs of ``X (n, n_in)``.

    Each parameter is multiplied once a row. At most ``P / (n_in + 1)`` units have a bias and an activation.

    Examples
    --------
    >>> seconds(np.zeros(64 * 64 + 64), np.zeros((1000, 64))) < 1e-3
    True
    """
    n, n_in = X.shape
    flops: float = n * theta.size * (2 + FLOPS_A_UNIT / (n_in + 1))
    return flops / FLOPS_A_SECOND * X.dtype.itemsize / 4


def cut(theta: np.ndarray, X: np.ndarray) -> Blocks:
    """Return how the rows of ``X (n, n_in)`` are cut, by shapes and the number of threads.

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
    """Predictions of one network for few rows, always as many, in one thread.

    The plan is bound to memory of its own; the parameters are copied there in each call, which may have others.
    """

    def __init__(self, forward: Forward, parameters: Spec, samples: Spec, kernels: Kernels) -> None:
        self._forward, self._specs, self._kernels = forward, (parameters, samples), kernels
        self._theta = kernels.library.empty(parameters.shape, parameters.dtype)  # (P,)
        self._calls = 0
        self._run: Run | None = None

    def __call__(self, theta: np.ndarray, X: np.ndarray) -> np.ndarray:
        """Return the outputs ``(n, n_out)``."""
        self._calls += 1
        if self._calls == CALLS_AS_WRITTEN and (
            made := _plan(self._forward, self._specs, self._kernels)
        ):
            self._run = _bound(made, self._theta, self._kernels)
        if self._run is None:
            return self._forward(theta, X)
        np.copyto(self._theta, theta)
        return self._run(X)


class _Kept(threading.local):
    """What each thread keeps, so that calls may overlap."""

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
    """Return the outputs ``(n, n_out)`` of ``X (n, n_in)``, cut as ``how`` says."""
    todo = deque(range(0, len(X), how.rows))  # where the blocks start
    done: dict[int, np.ndarray] = {}  # their outputs, each (rows, n_out)
    specs = Spec(theta.shape, theta.dtype, "theta"), Spec((how.rows, X.shape[1]), X.dtype, "X")
    made = _plan(forward, specs, kernels) if how.is_planned else None

    def work() -> None:
        run = partial(forward, theta) if made is None else _bound(made, theta, kernels)
        with np.errstate(all="ignore"):  # a thread has an error state of its own
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
            todo.clear()  # whatever went wrong, or Ctrl-C: nobody starts another block
            for other in others:
                # One that has begun is waited for; the others found their threads busy with another call.
                if not other.cancel():
                    other.result()  # raises the error of that thread
    return np.concatenate([done[start] for start in sorted(done)])  # (n, n_out)


@lru_cache(maxsize=32)
def _plan(forward: Forward, specs: tuple[Spec, Spec], kernels: Kernels) -> Plan | None:
    """Return the plan of a block, made once for all networks that are equal.

    ``None`` where an activation of the user's own cannot be recorded: it runs as it is written.
    """
    try:
        program = trace(forward, *specs)
    except UnrecordableError:
        return None
    return plan(program, (), kernels.groups(program))


def _bound(made: Plan, theta: np.ndarray, kernels: Kernels) -> Run:
    """Return what runs the plan of a block, in memory of its own."""
    _, samples = made.program.inputs
    taken = kernels.library.empty(samples.shape, samples.dtype)  # (rows, n_in)
    arrays = Arrays(made, (theta, taken), kernels.library)
    items = [kernels.item(group, arrays, slice(None), add=False) for group in made.groups]
    run_steps = kernels.ready([[[item for part in items for item in part]]], [np.zeros(1, np.int64)])
    A = arrays.of(made.program.outputs[0])  # (rows, n_out)

    def run(X: np.ndarray) -> np.ndarray:
        np.copyto(taken[: len(X)], X)
        # Where the last block is short; what lies there may be slow to compute with.
        taken[len(X) :] = 0.0
        run_steps(1)
        outputs: np.ndarray = A[: len(X)].copy()  # (len(X), n_out)
        return outputs

    return run
