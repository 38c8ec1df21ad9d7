"""Kernels: they run the groups of a plan, in several threads.

There are two kinds: calls of the array library, here, and native instructions (``native/kernels.py``). The functions
of the library release the GIL while they work, so long blocks run in parallel; short ones would wait for the GIL
longer than they run, which the rule in ``row_blocks.py`` takes into account.
"""

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from chainrule.program.operations import Fusion, Program, alone
from chainrule.program.replay import Arrays, Call, Library, call


@functools.cache
def pool(threads: int) -> ThreadPoolExecutor:
    """Return a pool of ``threads - 1`` threads, which work together with the calling thread.

    Examples
    --------
    >>> pool(2).submit(sum, [1, 2]).result()
    3
    """
    return ThreadPoolExecutor(max(1, threads - 1), thread_name_prefix="chainrule")


def wait(futures: Iterable[Future[Any]]) -> None:
    """Wait for all futures, also when interrupted, and raise the first error of them."""
    waiting = list(futures)
    try:
        for future in waiting:
            future.result()
    except KeyboardInterrupt:  # no thread may still write to the caller's arrays
        wait(waiting)
        raise


if hasattr(os, "register_at_fork"):  # a forked child has none of these threads
    os.register_at_fork(after_in_child=pool.cache_clear)


Item = Any  # runs one group: a call, or a native instruction

Phase = Sequence[Sequence[Item]]  # the items of each thread; threads without any may be left out


class Kernels:
    """Runs the groups of a plan: one call of the array library with ``out`` for each operation.

    The subclass ``NativeKernels`` fuses operations and compiles them.

    Attributes
    ----------
    at_once
        How many steps may run without a return to Python.
    can_subtract
        Whether a product can be subtracted from its result, times the learning rate: see ``descending.py``.
    """

    at_once = 1
    can_subtract = False

    def __init__(self, library: Library) -> None:
        self.library = library

    def groups(self, program: Program) -> list[Fusion]:
        """Return the operations as groups that run one after the other: each operation alone."""
        return [alone(operation) for operation in program.operations if not operation.is_view]

    def item(self, group: Fusion, arrays: Arrays, columns: slice, *, add: bool) -> list[Item]:
        """Return the items that run a group on some columns; with ``add``, a product adds to its result."""
        function, arguments = call(group.only, arrays, self.library, columns)
        if add and arrays.is_part(group.only.result):
            *operands, out = arguments
            product = arrays.empty(out.shape, out.dtype)  # at the same address for each block
            return [(function, (*operands, product)), (np.add, (out, product, out))]
        return [(function, arguments)]

    def gather(self, source: np.ndarray, index: np.ndarray, step: np.ndarray, out: np.ndarray) -> Item:  # noqa: ARG002
        """Return the item that copies the rows ``index[step]`` of ``source`` to ``out``; here, ``step`` is always 0."""
        return self.library.gather, (source, index[0], out)

    def take(self, source: np.ndarray, step: np.ndarray, out: np.ndarray) -> Item:  # noqa: ARG002
        """Return the item that copies ``source[step]`` to ``out``."""
        return np.copyto, (out, source[0, ...])

    def put(self, source: np.ndarray, out: np.ndarray, step: np.ndarray) -> Item:  # noqa: ARG002
        """Return the item that copies ``source`` to ``out[step]``."""
        return np.copyto, (out[0, ...], source)

    def ready(self, phases: Sequence[Phase], steps: Sequence[np.ndarray]) -> Callable[[int], None]:  # noqa: ARG002
        """Return a function that runs a number of steps, and returns when they are done.

        A thread runs its items of a phase when all threads have finished the phase before. Each thread reads the
        number of the step from its own array of ``steps``, ``(1,)`` int64.
        """

        def run(_steps: int) -> None:
            for threads in phases:
                run_all(threads)

        return run


def _run(calls: Sequence[Call]) -> None:
    for function, arguments in calls:
        function(*arguments)


def run_all(threads: Sequence[Sequence[Call]]) -> None:
    """Make the calls of each thread; all threads run at the same time."""
    others = [pool(len(threads)).submit(_quietly, calls) for calls in threads[1:]]
    try:
        _run(threads[0])
    finally:
        wait(others)


def _quietly(calls: Sequence[Call]) -> None:
    with np.errstate(all="ignore"):  # each thread has its own error state
        _run(calls)
