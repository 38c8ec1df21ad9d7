"""The device: what running a step asks of CUDA. The backend does it with CuPy; tests, with a stand-in."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import numpy as np

from chainrule.arrays import Array
from chainrule.program.cuda.source import Text
from chainrule.program.replay import Call, Library

Launchable = Callable[
    [tuple[int, int], tuple[int, int], tuple[Any, ...]], None
]  # grid, block, arguments


class CannotCaptureError(RuntimeError):
    """A step cannot be one CUDA graph here; the message says why."""


class Product(NamedTuple):
    """``out <- scale A @ B``, with ``onto`` ``out <- out + scale A @ B``.

    ``A (m, k)``, ``B (k, n)`` may be transposed views; ``out (m, n)`` is C-contiguous. ``scale`` is a 0-d
    array of the device, 1 unless given.
    """

    A: Array
    B: Array
    out: Array
    scale: Array | None = None
    onto: bool = False


class Device(Library, Protocol):
    """What running a step asks of a CUDA device, besides what replay asks of an array library."""

    multiprocessors: int

    def at_work(self) -> AbstractContextManager[object]:
        """Return a context in which everything is launched in order."""

    def address(self, array: Array) -> int:
        """Return where an array begins."""

    def kernel(self, text: Text) -> Launchable:
        """Return a kernel, compiled."""

    def product(self, product: Product) -> Call:
        """Return the call that multiplies two matrices."""

    def graph(self, calls: Sequence[Call]) -> Callable[[], None]:
        """Return what runs these calls, each made once before, as one graph.

        Raises
        ------
        CannotCaptureError
            Where the driver refuses it.
        """

    def write(self, target: Array, numbers: np.ndarray) -> None:
        """Write host numbers into an array, in order with what is launched."""

    def copy(self, target: Array, source: Array) -> None:
        """Copy one array of the device into another."""
