"""Interrupts: Ctrl-C and SIGTERM take effect between steps, never within a step.

A step that is interrupted may leave no valid weights: JAX overwrites the old parameters, and so does a compiled
step. While training runs, the first signal therefore waits until the step has ended.
"""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any, Self

from chainrule.training.display import say

_TERMINATED = 2.0**16  # more than the number of ranks
ANSWER = "stopping after this step; a second Ctrl-C does not wait for it"


class Interrupts:
    """Delays signals until :meth:`check` is called, while the context lasts.

    The first signal is answered by a line on standard error. Only default handlers are replaced, and only
    in the main thread, so a program's own handlers stay. A context inside another context shares its signals.

    Parameters
    ----------
    signals : int
        The signals to delay. Default: SIGINT.
    at_once : int
        The number of signals that end a step without waiting for it.
    answer : str
        The line that answers the first signal.
    deadline : float, optional
        The number of seconds after which SIGALRM is sent to this process.

    Attributes
    ----------
    received : list of int
        The signals received, in their order.

    Examples
    --------
    >>> with Interrupts(answer="stopping") as interrupts:
    ...     signal.raise_signal(signal.SIGINT)
    ...     print("the step ends")
    ...     try:
    ...         interrupts.check()
    ...     except KeyboardInterrupt:
    ...         print("and then training")
    the step ends
    and then training
    """

    def __init__(
        self, *signals: int, at_once: int = 2, answer: str = ANSWER, deadline: float | None = None
    ) -> None:
        self.received: list[int] = []
        self._signals, self._deadline = signals or (signal.SIGINT,), deadline
        if deadline is not None:
            self._signals += (signal.SIGALRM,)
        self._at_once, self._answer = at_once, answer
        self._receiver = self  # the context that installed the handlers: this or an outer one
        self._agreed: bool | None = None  # whether the ranks agreed to stop; None: this process is alone
        self._replaced: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            # Check both signals: one may be ignored, as Ctrl-C is in a background job.
            for number in {*self._signals, signal.SIGINT, signal.SIGTERM}:
                handler = signal.getsignal(number)
                around = getattr(handler, "__self__", None)
                if isinstance(around, Interrupts):
                    self._receiver = around
                elif number in self._signals and handler in (signal.default_int_handler, signal.SIG_DFL):
                    self._replaced[number] = handler
                    signal.signal(number, self._note)
        if self._deadline is not None:
            signal.setitimer(signal.ITIMER_REAL, max(self._deadline, 1e-3))  # 0 would disable the timer
        return self

    def __exit__(self, *_: object) -> None:
        if self._deadline is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._replaced.items():
            signal.signal(number, handler)

    @property
    def is_pending(self) -> bool:
        """Whether a signal was received; with several ranks, whether they agreed that one of them received a signal."""
        return bool(self._receiver.received) if self._agreed is None else self._agreed

    @property
    def flag(self) -> float:
        """The term of this rank in the sum over all ranks: 0 without a signal, 1 after Ctrl-C, more after other signals."""
        received = self._receiver.received
        return 0.0 if not received else 1.0 if received[0] == signal.SIGINT else _TERMINATED

    def agree(self, flags: float) -> None:
        """Stop at the next :meth:`check` if a rank received a signal, as if this rank had received it."""
        self._agreed, received = flags > 0, self._receiver.received
        if self._agreed:
            self.settle()  # a signal to all ranks at once does not count as a second one
        if self._agreed and not received:
            received.append(signal.SIGTERM if flags >= _TERMINATED else signal.SIGINT)

    def check(self) -> None:
        """Raise ``KeyboardInterrupt`` if a signal was received."""
        if self.is_pending:
            self.settle()
            raise KeyboardInterrupt

    def settle(self) -> None:
        """Also delay the second signal, while the result of the steps is kept."""
        self._receiver._at_once = 3

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.received.append(number)
        if len(self.received) >= self._at_once:
            self.settle()
            raise KeyboardInterrupt
        if len(self.received) == 1:
            try:
                say(self._answer, sys.stderr)
            except RuntimeError:  # the signal came during a write to the stream
                os.write(2, f"{self._answer}\n".encode())
