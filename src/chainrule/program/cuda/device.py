"""The device: the CUDA functions that a step needs. The backend implements them with CuPy, the tests with a stand-in."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import numpy as np

from chainrule.mathematics.arrays import Array
from chainrule.program.cuda.source import KernelText
from chainrule.program.machine import while_forking
from chainrule.program.replay import Call, Library

# Grid, block, arguments.
Launchable = Callable[[tuple[int, int], tuple[int, int], tuple[Any, ...]], None]


# Held while steps are captured, when no other thread may wait for the whole device.
CAPTURING = threading.Lock()
while_forking(CAPTURING)


class CannotCaptureError(RuntimeError):
    """A step cannot be a CUDA graph here; the message gives the reason."""


class Product(NamedTuple):
    """``out <- scale A @ B``, with ``onto`` ``out <- out + scale A @ B``; or ``out <- A @ B + bias``, or the relu of it.

    ``A (m, k)``, ``B (k, n)`` may be transposed views; ``out (m, n)`` is C-contiguous, and so is ``bias (1, n)``. ``scale`` is
    a 0-d array of the device, 1 by default.
    """

    A: Array
    B: Array
    out: Array
    scale: Array | None = None
    onto: bool = False
    bias: Array | None = None
    relu: bool = False


class Lane(Protocol):
    """Copies from pinned host memory to one buffer on the device, while the device computes."""

    def send(self, targets: Sequence[Array], sources: Sequence[np.ndarray]) -> None:
        """Copy after everything that reads the targets now, and before everything that is launched later."""

    def release(self) -> None:
        """Mark the last launch that reads the targets."""

    def wait_until_sent(self) -> None:
        """Wait, on the host, until the sources have been read."""


class Mark(Protocol):
    """A position in the order of launches, which the host can wait for."""

    def record(self) -> None:
        """Put the mark after everything that was launched so far."""

    def synchronize(self) -> None:
        """Wait until everything before the mark is done; return at once if it was never recorded."""


class Device(Library, Protocol):
    """The functions of a CUDA device that a step needs, in addition to replay's array library."""

    name: str  # including the versions that times depend on
    multiprocessors: int
    shared_bytes: int  # most shared memory per block
    most_blocks: int  # per cluster; 1 if the device has no clusters

    def at_work(self) -> AbstractContextManager[object]:
        """Return a context in which everything is launched on the device's stream, in order."""

    def address(self, array: Array) -> int:
        """Return the address of an array."""

    def kernel(self, text: KernelText) -> Launchable:
        """Return a kernel, compiled.

        Raises
        ------
        CannotCaptureError
            If the compiler refuses it, or the device has no room for a cluster of its blocks.
        """

    def clusters_at_once(self, text: KernelText) -> int:
        """Return how many clusters of a kernel run at once; a single block counts as a cluster."""

    def product(self, product: Product) -> Call:
        """Return the call that multiplies two matrices.

        Raises
        ------
        CannotCaptureError
            If it has a bias, and there is no cuBLASLt, or none of its algorithms fits.
        """

    def timed(self, calls: Sequence[Call]) -> float:
        """Return the microseconds that these calls take in a graph."""

    def graph(self, calls: Sequence[Call]) -> Callable[[], None]:
        """Return a function that runs these calls as one graph; each must have been called once before.

        Raises
        ------
        CannotCaptureError
            If the driver refuses.
        """

    def pinned(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """Return pinned host memory, which the device reads by itself while it computes."""

    def lane(self) -> "Lane":
        """Return a lane for batches from the host to the device."""

    def send(self, target: Array, source: np.ndarray) -> None:
        """Copy pinned host memory to the device, in order with launches; return at once."""

    def fetch(self, target: np.ndarray, source: Array) -> None:
        """Copy an array of the device to pinned host memory, in order with launches; return at once."""

    def mark(self) -> Mark:
        """Return a new mark."""
