"""Prediction: the forward pass over any number of rows, a block at a time, in bounded memory.

Blocks are so small that what lies between the samples and the outputs stays in the second-level cache.
Each thread has the memory of one block, and takes the blocks in turn.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from chainrule.program import machine
from chainrule.program.engine import numpy_dtype
from chainrule.program.kernels import Kernels
from chainrule.program.planner import plan
from chainrule.program.program import Program
from chainrule.program.replay import Arrays
from chainrule.program.trace import Spec, trace

Forward = Callable[[Any, Any], Any]  # theta (P,), X (n, n_in) -> A (n, n_out)
SMALLEST_BLOCK = 64  # rows; fewer, and the products run at a lower rate
SHARED_FLOPS = 20_000_000  # a forward pass below this is over before threads have met


def program_of(forward: Forward, theta: np.ndarray, X: np.ndarray, rows: int) -> Program:
    """Return the program of the forward pass on so many rows."""
    specs = (Spec(theta.shape, theta.dtype, "theta"), Spec((rows, X.shape[1]), X.dtype, "X"))
    return trace(forward, *specs)


def block_rows(program: Program, rows: int) -> int:
    """Return how many rows a block has: those whose activations fill half of the second-level cache."""
    made = sum(op.result.nbytes for op in program.operations if op.is_matrix_product)
    row_bytes = max(1.0, made / rows)
    return int(min(rows, max(SMALLEST_BLOCK, machine.l2_bytes() / 2 / row_bytes)))


def predict(forward: Forward, theta: np.ndarray, X: np.ndarray, kernels: Kernels) -> np.ndarray:
    """Return the outputs ``(n, n_out)`` of ``X (n, n_in)``."""
    n = X.shape[0]
    rows = block_rows(program_of(forward, theta, X, n), n)
    starts = range(0, n - n % rows, rows)
    first = _Block(forward, theta, X, rows, kernels)
    out = np.empty((n, first.A.shape[1]), dtype=first.A.dtype)  # (n, n_out)
    threads = min(machine.threads(), len(starts))
    blocks = [first, *(_Block(forward, theta, X, rows, kernels) for _ in range(threads - 1))]
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        shares = [pool.submit(b.run, X, starts[i::threads], out) for i, b in enumerate(blocks)]
        for share in shares:
            share.result()  # waits, and raises what was raised there
        if n % rows:
            _Block(forward, theta, X, n % rows, kernels).run(X, [n - n % rows], out)
    return out


class _Block:
    """The forward pass of one block, in memory of its own."""

    def __init__(
        self, forward: Forward, theta: np.ndarray, X: np.ndarray, rows: int, kernels: Kernels
    ) -> None:
        program = program_of(forward, theta, X, rows)
        made = plan(program, (), kernels.groups(program))
        self._X = kernels.library.empty((rows, X.shape[1]), numpy_dtype(X.dtype))  # (rows, n_in)
        arrays = Arrays(made, (theta, self._X), kernels.library)
        items = [kernels.item(group, arrays, slice(None), add=False) for group in made.groups]
        self._run = kernels.ready([[item for part in items for item in part]])
        self.A: np.ndarray = arrays.of(program.outputs[0])  # (rows, n_out)

    def run(self, X: np.ndarray, starts: Sequence[int], out: np.ndarray) -> None:
        """Write the outputs of the blocks that start there."""
        rows = len(self._X)
        with np.errstate(all="ignore"):  # a thread has an error state of its own
            for start in starts:
                np.copyto(self._X, X[start : start + rows])
                self._run()
                out[start : start + rows] = self.A
