"""Kernels: how the groups of a plan become something that runs in threads.

There are two kinds: calls of the array library, here, and native instructions (``native/kernels.py``). The functions
of the library release the interpreter's lock while they work, so long blocks run side by side; short ones would wait
for the lock longer than they take, which the rule in ``row_blocks.py`` knows.
"""

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from chainrule.program.operations import Fusion, alone
from chainrule.program.program import Program
from chainrule.program.replay import Arrays, Call, Library, call


@functools.cache
def pool(threads: int) -> ThreadPoolExecutor:
    """Return the pool of the threads that work with the calling one; ``threads`` counts them all.

    Examples
    --------
    >>> pool(2).submit(sum, [1, 2]).result()
    3
    """
    return ThreadPoolExecutor(max(1, threads - 1), thread_name_prefix="chainrule")


def wait(futures: Iterable[Future[Any]]) -> None:
    """Wait for all of them, also when interrupted, and raise what was raised there."""
    waiting = list(futures)
    try:
        for future in waiting:
            future.result()
    except KeyboardInterrupt:  # nothing may be left at work on the caller's arrays
        wait(waiting)
        raise


if hasattr(os, "register_at_fork"):  # a forked child has none of these threads
    os.register_at_fork(after_in_child=pool.cache_clear)


Item = Any  # what kernels make of a group: a call, or a native instruction

Phase = Sequence[Sequence[Item]]  # the items of each thread; threads without any may be left out

Subtract = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], Item]


class Kernels(Protocol):
    """How the groups of a plan become something that runs in threads."""

    library: Library

    def groups(self, program: Program) -> list[Fusion]:
        """Return the operations as they are to run."""

    def item(self, group: Fusion, arrays: Arrays, columns: slice, *, add: bool) -> list[Item]:
        """Return what runs a group on some columns; with ``add``, a product adds to its result."""

    @property
    def subtract(self) -> Subtract | None:
        """What returns the item for ``out -= rate A @ B``, of ``rate, A, B, out``; ``None``: there is no such product."""

    @property
    def at_once(self) -> int:
        """How many steps may run without a return to Python."""

    def gather(self, source: np.ndarray, index: np.ndarray, step: np.ndarray, out: np.ndarray) -> Item:
        """Return what copies the rows ``index[step]`` of ``source`` to ``out``."""

    def take(self, source: np.ndarray, step: np.ndarray, out: np.ndarray) -> Item:
        """Return what copies ``source[step]`` to ``out``."""

    def put(self, source: np.ndarray, out: np.ndarray, step: np.ndarray) -> Item:
        """Return what copies ``source`` to ``out[step]``."""

    def ready(self, phases: Sequence[Phase], steps: Sequence[np.ndarray]) -> Callable[[int], None]:
        """Return what runs this many steps, and returns when they are done.

        Each thread runs its items of a phase when all have run the phase before; each reads the number of
        the step in its own of ``steps``, ``(1,)`` int64.
        """

    def __hash__(self) -> int:
        """Return the same number for kernels that are the same: a plan made for them is found again."""


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
