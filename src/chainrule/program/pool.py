"""The pool: threads of the interpreter that are kept from one piece of shared work to the next.

A thread that waits is there at once, also on a busy machine; a new one stands in line for a processor.
"""

import functools
import os
from concurrent.futures import ThreadPoolExecutor


@functools.cache
def pool(threads: int) -> ThreadPoolExecutor:
    """Return the threads that work beside the one that asks, so many with it.

    Examples
    --------
    >>> pool(2).submit(sum, [1, 2]).result()
    3
    """
    return ThreadPoolExecutor(max(1, threads - 1), thread_name_prefix="chainrule")


if hasattr(os, "register_at_fork"):  # a forked child has none of these threads
    os.register_at_fork(after_in_child=pool.cache_clear)
