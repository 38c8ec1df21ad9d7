"""A CUDA device by way of CuPy: what ``program/cuda`` asks for, each in a few lines of CuPy's own."""

import ctypes
import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

import cupy
import numpy as np

from chainrule.backends.cupy_library import CupyLibrary
from chainrule.mathematics.arrays import Array, size
from chainrule.program.cuda.cublas import WORKSPACE_BYTES, Cublas, matrix
from chainrule.program.cuda.device import CannotCaptureError, Launchable, Product
from chainrule.program.cuda.source import KernelText, prelude
from chainrule.program.replay import Call

OPTIONS = ("--std=c++17",)
REFUSALS = (cupy.cuda.runtime.CUDARuntimeError, cupy.cuda.driver.CUDADriverError, RuntimeError)


class CupyLane:
    """A way from pinned memory to one place on the device, on a stream of its own.

    Parameters
    ----------
    computing, copying
        The streams that the place is read on, and filled on.
    """

    def __init__(self, computing: cupy.cuda.Stream, copying: cupy.cuda.Stream) -> None:
        self._computing, self._copying = computing, copying
        self._sent, self._free = (cupy.cuda.Event(disable_timing=True) for _ in range(2))

    def send(self, targets: Sequence[Array], sources: Sequence[np.ndarray]) -> None:
        """Copy, once what read the targets before has been computed; returns at once."""
        self._copying.wait_event(self._free)  # one that was never recorded is not waited for
        for target, source in zip(targets, sources, strict=True):
            target.set(source, stream=self._copying)
        self._sent.record(self._copying)

    def arrive(self) -> None:
        """Have what is launched from now on wait for what was sent."""
        self._computing.wait_event(self._sent)

    def release(self) -> None:
        """Say that what was launched so far reads the targets, and nothing after it does."""
        self._free.record(self._computing)

    def wait_until_sent(self) -> None:
        """Wait, on the host, until the sources have been read."""
        self._sent.synchronize()


class CupyDevice(CupyLibrary):
    """One CUDA device, with a stream and a cuBLAS of its own.

    The stream is an ordinary one: it waits for what CuPy does on the default stream, and the other way round.

    Parameters
    ----------
    device
        CuPy's.
    tf32
        Whether float32 products may round their factors to 10 bits.

    Raises
    ------
    CannotCaptureError
        If cuBLAS cannot be reached.
    """

    def __init__(self, device: cupy.cuda.Device, *, tf32: bool = False) -> None:
        self._device = device
        self._kernels: dict[str, Launchable] = {}
        self._ones: dict[str, Array] = {}
        self._copying: cupy.cuda.Stream | None = None
        with device:
            facts = cupy.cuda.runtime.getDeviceProperties(device.id)
            self.multiprocessors: int = facts["multiProcessorCount"]
            self.stream = cupy.cuda.Stream()
            self._workspace = cupy.empty((WORKSPACE_BYTES,), dtype=cupy.uint8)
            where = self.stream.ptr, self._workspace.data.ptr, WORKSPACE_BYTES
            self._cublas = Cublas(find_cublas(), *where, tf32=tf32)

    def at_work(self) -> AbstractContextManager[object]:
        """Return a context in which everything is launched on the stream."""
        stack = ExitStack()
        stack.enter_context(self._device)
        stack.enter_context(self.stream)
        return stack

    def address(self, array: Array) -> int:
        """Return where an array begins."""
        address: int = array.data.ptr
        return address

    def kernel(self, text: KernelText) -> Launchable:
        """Return a kernel, compiled when it is first launched and kept in CuPy's cache on disk."""
        if text.name not in self._kernels:
            source = prelude() + text.source
            self._kernels[text.name] = cupy.RawKernel(source, text.name, options=OPTIONS)
        return self._kernels[text.name]

    def product(self, product: Product) -> Call:
        """Return the call that multiplies two matrices; it keeps them, of which cuBLAS knows the addresses alone."""
        given: list[Any] = [matrix(a, self.address(a), a.dtype.name) for a in product[:3]]
        if product.scale is not None:
            given.append(self.address(product.scale))
        if product.scale is not None and product.onto:
            dtype = product.scale.dtype
            given.append(self.address(self._ones.setdefault(dtype.name, cupy.ones((), dtype=dtype))))
        return _multiply, (self._cublas, product, tuple(given))

    def graph(self, calls: Sequence[Call]) -> Callable[[], None]:
        """Return what runs these calls, each made once before, as one graph."""
        try:
            with self.at_work(), uncollected():
                self.stream.begin_capture()
                try:
                    for function, arguments in calls:
                        function(*arguments)
                finally:
                    graph = self.stream.end_capture()
                graph.upload(self.stream)
        except REFUSALS as error:
            raise CannotCaptureError(str(error)) from None
        return partial(graph.launch, self.stream)

    def pinned(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """Return host memory that the device reads by itself while it computes."""
        memory = cupy.cuda.alloc_pinned_memory(size(shape) * dtype.itemsize)
        array: np.ndarray = np.frombuffer(memory, dtype, size(shape)).reshape(shape)
        return array

    def lane(self) -> "CupyLane":
        """Return a way for batches from the host to the device, while it computes."""
        with self._device:
            if self._copying is None:
                self._copying = cupy.cuda.Stream(non_blocking=True)
            return CupyLane(self.stream, self._copying)

    def write(self, target: Array, numbers: np.ndarray) -> None:
        """Write host numbers into an array, in order with what is launched."""
        target.set(np.ascontiguousarray(numbers))

    def copy(self, target: Array, source: Array) -> None:
        """Copy one array of the device into another."""
        cupy.copyto(target, source)


def _multiply(cublas: Cublas, _kept: Product, given: tuple[Any, ...]) -> None:
    cublas.multiply(*given)


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep Python's collector waiting: a handle of cuBLAS that it frees waits for the device, which ends a capture."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def find_cublas() -> Any:
    """Return libcublas, as CuPy has loaded it or as NVIDIA's own search finds it.

    Raises
    ------
    CannotCaptureError
        If it is nowhere.
    """
    major = cupy.cuda.runtime.runtimeGetVersion() // 1000
    names = [f"libcublas.so.{major}", f"cublas64_{major}.dll"]
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        found = load_nvidia_dynamic_lib("cublas").abs_path or ""
    except Exception:  # noqa: BLE001  an older CuPy comes without it, and it has errors of its own
        found = ""
    # Where two versions of CUDA are installed it may find the one that CuPy is not made for.
    is_ours = any(mark in found for mark in (f".so.{major}", f"64_{major}."))
    for name in [found, *names] if is_ours else names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    msg = f"libcublas of CUDA {major} is not found; install the toolkit, or cupy-cuda{major}x[ctk]"
    raise CannotCaptureError(msg)
