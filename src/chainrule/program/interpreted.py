"""Kernels without native code: each group one call of the array library, in threads of the interpreter.

The functions release the interpreter's lock while they work, so long blocks run side by side; short
ones would wait for the lock longer than they take, which the rule in ``row_blocks.py`` knows.
"""

from collections.abc import Callable, Sequence

import numpy as np

from chainrule.program.operations import Fusion, alone
from chainrule.program.pool import pool, wait
from chainrule.program.program import Program
from chainrule.program.replay import Arrays, Call, Library, call


class InterpretedKernels:
    """One call an operation, with ``out``."""

    at_once = 1
    subtract = None  # NumPy's products have no way to add to what is there

    def __init__(self, library: Library) -> None:
        self.library = library

    def groups(self, program: Program) -> list[Fusion]:
        """Return the operations as they are to run: each alone."""
        return [alone(operation) for operation in program.operations if not operation.is_view]

    def item(self, group: Fusion, arrays: Arrays, columns: slice, *, add: bool) -> list[Call]:
        """Return what runs a group on some columns; with ``add``, a product adds to its result."""
        function, arguments = call(group.only, arrays, self.library, columns)
        if add and arrays.is_part(group.only.result):
            *operands, out = arguments
            product = arrays.empty(out.shape, out.dtype)  # where the last block had it
            return [(function, (*operands, product)), (np.add, (out, product, out))]
        return [(function, arguments)]

    def gather(self, source: np.ndarray, index: np.ndarray, step: np.ndarray, out: np.ndarray) -> Call:  # noqa: ARG002
        """Return what copies the rows ``index[0]`` of ``source`` to ``out``: one step runs at a time."""
        return self.library.gather, (source, index[0], out)

    def take(self, source: np.ndarray, step: np.ndarray, out: np.ndarray) -> Call:  # noqa: ARG002
        """Return what copies ``source[0]`` to ``out``."""
        return np.copyto, (out, source[0, ...])

    def put(self, source: np.ndarray, out: np.ndarray, step: np.ndarray) -> Call:  # noqa: ARG002
        """Return what copies ``source`` to ``out[0]``."""
        return np.copyto, (out[0, ...], source)

    def ready(
        self,
        phases: Sequence[Sequence[Sequence[Call]]],
        steps: Sequence[np.ndarray],  # noqa: ARG002
    ) -> Callable[[int], None]:
        """Return what runs these calls, each thread its own, and returns when all are done."""

        def run(_steps: int) -> None:
            for threads in phases:
                _run_all(threads)

        return run


def _run(calls: Sequence[Call]) -> None:
    for function, arguments in calls:
        function(*arguments)


def _run_all(threads: Sequence[Sequence[Call]]) -> None:
    others = [pool(len(threads)).submit(_quietly, calls) for calls in threads[1:]]
    try:
        _run(threads[0])
    finally:
        wait(others)


def _quietly(calls: Sequence[Call]) -> None:
    with np.errstate(all="ignore"):  # a thread has an error state of its own
        _run(calls)
