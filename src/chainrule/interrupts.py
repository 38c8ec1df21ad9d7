"""Interrupts: Ctrl-C heard between two steps, so that no step is left half done."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def heard() -> Iterator[Callable[[], bool]]:
    """Hold Ctrl-C back while the context lasts, and give a function that tells whether it came.

    A second Ctrl-C is not held back. Outside the main thread, where no signal arrives, and where
    somebody else handles the signal, nothing is changed.

    Examples
    --------
    >>> with heard() as is_stopped:
    ...     is_stopped()
    False
    """
    came = threading.Event()
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield came.is_set
        return

    def hear(_signal: int, _frame: FrameType | None) -> None:
        came.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, hear)
    try:
        yield came.is_set
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
