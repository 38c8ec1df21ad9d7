"""Kernels without native code: each group one call of the array library, in threads of the interpreter.

The functions release the interpreter's lock while they work, so long blocks run side by side; short
ones would wait for the lock longer than they take, which the rule in ``row_blocks.py`` knows.
"""

import functools
from collections.abc import Callable, Sequence

import numpy as np

from chainrule.program.operations import Fusion, alone
from chainrule.program.pool import pool
from chainrule.program.program import Program
from chainrule.program.replay import Arrays, Call, Library, call


class InterpretedKernels:
    """One call an operation, with ``out``."""

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
            product = self.library.empty(out.shape, out.dtype)
            return [(function, (*operands, product)), (np.add, (out, product, out))]
        return [(function, arguments)]

    def gather(self, source: np.ndarray, rows: np.ndarray, out: np.ndarray) -> Call:
        """Return what copies rows of ``source`` to ``out``."""
        return self.library.gather, (source, rows, out)

    def ready(self, threads: Sequence[Sequence[Call]]) -> Callable[[], None]:
        """Return what runs these calls, each thread its own, and returns when all are done."""
        if len(threads) == 1:
            return functools.partial(_run, threads[0])
        return functools.partial(_run_all, threads)


def _run(calls: Sequence[Call]) -> None:
    for function, arguments in calls:
        function(*arguments)


def _run_all(threads: Sequence[Sequence[Call]]) -> None:
    others = [pool(len(threads)).submit(_quietly, calls) for calls in threads[1:]]
    try:
        _run(threads[0])
    finally:
        for other in others:
            other.result()  # waits, and raises what was raised there


def _quietly(calls: Sequence[Call]) -> None:
    with np.errstate(all="ignore"):  # a thread has an error state of its own
        _run(calls)
