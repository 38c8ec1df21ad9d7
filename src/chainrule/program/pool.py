"""The pool: threads of the interpreter that are kept from one piece of shared work to the next.

A waiting thread starts at once, also on a busy machine; a new one queues for a processor.
"""

import functools
import os
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


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
