"""Interrupts: Ctrl-C is heard between two steps, and not within one.

A step that is cut off can leave nothing to keep: JAX has been given the old parameters to write the
new ones over, and a compiled step may write in place. So while training runs, a first Ctrl-C waits
until the step has ended; a second one is obeyed at once.
"""

import signal
import threading
from types import FrameType
from typing import Self


class Interrupts:
    """Holds Ctrl-C back until :meth:`check`, for as long as the context lasts.

    Only Python's own handler is replaced, and only in the main thread: a program that handles the
    signal itself goes on doing so.

    Examples
    --------
    >>> with Interrupts() as interrupts:
    ...     signal.raise_signal(signal.SIGINT)
    ...     print("the step ends")
    ...     try:
    ...         interrupts.check()
    ...     except KeyboardInterrupt:
    ...         print("and then training")
    the step ends
    and then training
    """

    def __init__(self) -> None:
        self._pressed = False
        self._replaced = False

    def __enter__(self) -> Self:
        usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if usual and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._note)
            self._replaced = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._replaced:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def check(self) -> None:
        """Raise ``KeyboardInterrupt`` where Ctrl-C has been pressed."""
        if self._pressed:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._pressed:
            signal.default_int_handler(number, frame)
        self._pressed = True
