"""A CUDA device through CuPy, as ``program/cuda/device.py`` describes it; and CuPy's functions for replay."""

import ctypes
import gc
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import Any

import cupy
import numpy as np

from chainrule.backends.numpy import NumpyLibrary
from chainrule.mathematics.arrays import Array, size
from chainrule.program.cuda.cublas import WORKSPACE_BYTES, Cublas, matrix
from chainrule.program.cuda.cublas_lt import LtProduct
from chainrule.program.cuda.device import CAPTURING, CannotCaptureError, Launchable, Product
from chainrule.program.cuda.loop import THREADS
from chainrule.program.cuda.source import PRELUDE, KernelText
from chainrule.program.operations import Operation
from chainrule.program.primitives import PRIMITIVES, REDUCTIONS
from chainrule.program.replay import Call

OPTIONS = ("--std=c++17",)
# Timing: repetitions per graph and milliseconds per graph, both at most, and launches of the graph.
TIMED_CALLS, TIMED_MILLISECONDS, TIMES = 20, 10, 5
MOST_BLOCKS, FIRST_WITH_CLUSTERS = 16, 9  # blocks per cluster on an H100; least compute capability
NON_PORTABLE_CLUSTER = 14  # CUfunction_attribute: more than 8 blocks
REFUSALS = (cupy.cuda.runtime.CUDARuntimeError, cupy.cuda.driver.CUDADriverError, RuntimeError)


class CupyLibrary(NumpyLibrary):
    """CuPy for replay: its memory, and its functions with ``out``; the other methods are those for NumPy."""

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array of any content; CuPy aligns arrays to 512 bytes."""
        return cupy.empty(shape, dtype=dtype)

    def constant(self, data: np.ndarray) -> Array:
        """Return a constant as an array of the device."""
        return cupy.asarray(data, order="C")

    def shares(self, view: Array, array: Array) -> bool:
        """Return whether ``view`` is a view of ``array`` and no copy."""
        return bool(cupy.may_share_memory(view, array))

    def call(self, operation: Operation, arguments: list[Any], out: Array) -> Call:
        """Return the call that computes ``operation`` into ``out``."""
        function, settings = operation.function, operation.settings
        if function in {"copy", "astype"}:
            return partial(cupy.copyto, casting="unsafe"), (out, arguments[0])
        if function == "where":
            return _where(), (*arguments, out)
        named = getattr(cupy, PRIMITIVES[function].cupy or function)
        over = {}
        if function in REDUCTIONS:
            over = {"axis": settings["axis"], "keepdims": settings["keepdims"]}
        return partial(named, out=out, **over), tuple(arguments)

    def gather(self, source: Array, rows: Array, out: Array) -> None:
        """Copy rows of ``source`` to ``out``."""
        cupy.take(source, rows, axis=0, out=out)

    def fill(self, target: Array, number: float) -> None:
        """Write a number into a 0-d array."""
        target.fill(number)


@cache
def _where() -> Any:
    """Return ``where`` with ``out``, which CuPy lacks."""
    return cupy.ElementwiseKernel("bool c, T yes, T no", "T out", "out = c ? yes : no", "where_into")


def allow_clusters(kernel: int, text: KernelText) -> int:
    """Allow a kernel its clusters of blocks; return how many run at once.

    Raises
    ------
    CannotCaptureError
        If the device has no room for one.
    """
    cupy.cuda.driver.funcSetAttribute(kernel, NON_PORTABLE_CLUSTER, 1)
    # CUlaunchConfig, 56 bytes: grid and block in three dimensions, bytes of shared memory, and neither stream nor attributes.
    config = (ctypes.c_uint * 14)(text.blocks, 1, 1, THREADS, 1, 1, text.shared_bytes)
    driver, count = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1"), ctypes.c_int()
    arguments = ctypes.byref(count), ctypes.c_void_p(kernel), ctypes.byref(config)
    status = driver.cuOccupancyMaxActiveClusters(*arguments)
    if status or not count.value:
        msg = f"the device has no room for a cluster of {text.blocks} blocks (status {status})"
        raise CannotCaptureError(msg)
    return count.value


class CupyLane:
    """Copies from pinned memory to one buffer on the device, on another stream.

    Parameters
    ----------
    computing, copying
        The streams on which the place is read and filled.
    """

    def __init__(self, computing: cupy.cuda.Stream, copying: cupy.cuda.Stream) -> None:
        self._computing, self._copying = computing, copying
        self._sent, self._free = (cupy.cuda.Event(disable_timing=True) for _ in range(2))

    def send(self, targets: Sequence[Array], sources: Sequence[np.ndarray]) -> None:
        """Copy after everything that reads the targets now, and before everything that is launched later."""
        self._copying.wait_event(self._free)  # returns at once if the event was never recorded
        for target, source in zip(targets, sources, strict=True):
            target.set(source, stream=self._copying)
        self._sent.record(self._copying)
        self._computing.wait_event(self._sent)

    def release(self) -> None:
        """Mark the last launch that reads the targets."""
        self._free.record(self._computing)

    def wait_until_sent(self) -> None:
        """Wait, on the host, until the sources have been read."""
        self._sent.synchronize()


class CupyDevice(CupyLibrary):
    """One CUDA device for one thread, with its own stream and cuBLAS handle.

    The stream is a non-blocking one, so that it can be captured while another thread uses the default stream. Events keep it in
    order with what the caller launches before and after :meth:`at_work`.

    Parameters
    ----------
    device
        CuPy's device.
    tf32
        Whether float32 products may round their factors to 10 bits.

    Raises
    ------
    CannotCaptureError
        If cuBLAS or cuBLASLt, which cuBLAS itself needs, cannot be reached.
    """

    def __init__(self, device: cupy.cuda.Device, *, tf32: bool = False) -> None:
        self._device = device
        self._kernels: dict[str, Launchable] = {}
        self._clusters: dict[str, int] = {}  # clusters that run at once, by kernel
        self._ones: dict[str, Array] = {}
        self._copying: cupy.cuda.Stream | None = None
        with device:
            facts = cupy.cuda.runtime.getDeviceProperties(device.id)
            version = find_library("cublasLt").cublasLtGetVersion
            version.restype = ctypes.c_size_t
            self.name = f"{facts['name'].decode()}, cuBLASLt {version()}, TF32 {'on' if tf32 else 'off'}"
            self.multiprocessors: int = facts["multiProcessorCount"]
            self.shared_bytes: int = facts["sharedMemPerBlockOptin"]
            self.most_blocks = MOST_BLOCKS if facts["major"] >= FIRST_WITH_CLUSTERS else 1
            self.stream = cupy.cuda.Stream(non_blocking=True)
            memory = cupy.empty((WORKSPACE_BYTES,), dtype=cupy.uint8)
            workspace, owners = (memory.data.ptr, WORKSPACE_BYTES), (self.stream, memory)
            self._cublas = Cublas(
                find_library("cublas"), self.stream.ptr, workspace, tf32=tf32, owners=owners
            )

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Launch everything on the stream: after the caller's earlier launches, and before the later ones."""
        with self._device:
            outside = cupy.cuda.get_current_stream()
            self.stream.wait_event(outside.record())
            try:
                with self.stream:
                    yield
            finally:
                outside.wait_event(self.stream.record())

    def address(self, array: Array) -> int:
        """Return the address of an array."""
        address: int = array.data.ptr
        return address

    def kernel(self, text: KernelText) -> Launchable:
        """Return a kernel, compiled now or from CuPy's cache on disk."""
        if text.name not in self._kernels:
            kernel = cupy.RawKernel(PRELUDE + text.source, text.name, options=OPTIONS)
            try:
                kernel.compile()
                if text.shared_bytes:  # a kernel must request more than 48 KB
                    kernel.max_dynamic_shared_size_bytes = text.shared_bytes
                    if text.blocks > 1:
                        self._clusters[text.name] = allow_clusters(kernel.kernel.ptr, text)
                    kernel = partial(kernel, shared_mem=text.shared_bytes)
            except (cupy.cuda.compiler.CompileException, *REFUSALS) as error:
                msg = f"a kernel cannot be used: {str(error).strip().partition(chr(10))[0]}"
                raise CannotCaptureError(msg) from None
            self._kernels[text.name] = kernel
        return self._kernels[text.name]

    def clusters_at_once(self, text: KernelText) -> int:
        """Return how many clusters of a kernel run at once; all blocks of a cluster are in one part of the device."""
        return self._clusters.get(text.name, self.multiprocessors)

    def product(self, product: Product) -> Call:
        """Return the call that multiplies two matrices; it keeps the arrays, since cuBLAS gets their addresses only."""
        arguments: list[Any] = [matrix(a, self.address(a), a.dtype.name) for a in product[:3]]
        if product.bias is not None:
            library, bias = find_library("cublasLt"), self.address(product.bias)
            lt = LtProduct(library, self._cublas, arguments, bias, relu=product.relu)
            return lt, (product,)
        if product.scale is not None:
            arguments.append(self.address(product.scale))
        if product.scale is not None and product.onto:
            dtype = product.scale.dtype
            arguments.append(self.address(self._ones.setdefault(dtype.name, cupy.ones((), dtype=dtype))))
        return _multiply, (self._cublas, product, tuple(arguments))

    def graph(self, calls: Sequence[Call]) -> Callable[[], None]:
        """Return a function that runs these calls as one graph; each must have been called once before."""
        try:
            with self.at_work(), CAPTURING, uncollected():
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

    def timed(self, calls: Sequence[Call]) -> float:
        """Return the time of these calls in microseconds, by the device's clock: the least of a few graph launches."""

        def once() -> None:
            for function, arguments in calls:
                function(*arguments)

        once()
        count = max(1, min(TIMED_CALLS, int(TIMED_MILLISECONDS / (1e-3 + self._milliseconds(once)))))
        launch = self.graph([*calls] * count)
        return min(self._milliseconds(launch) for _ in range(TIMES)) * 1e3 / count

    def _milliseconds(self, launch: Callable[[], None]) -> float:
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record(self.stream)
        launch()
        end.record(self.stream)
        end.synchronize()
        return float(cupy.cuda.get_elapsed_time(start, end))

    def pinned(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """Return pinned host memory, which the device reads by itself while it computes."""
        memory = cupy.cuda.alloc_pinned_memory(size(shape) * dtype.itemsize)
        array: np.ndarray = np.frombuffer(memory, dtype, size(shape)).reshape(shape)
        return array

    def lane(self) -> "CupyLane":
        """Return a lane for batches from the host to the device."""
        with self._device:
            if self._copying is None:
                self._copying = cupy.cuda.Stream(non_blocking=True)
            return CupyLane(self.stream, self._copying)

    def send(self, target: Array, source: np.ndarray) -> None:
        """Copy pinned host memory to the device, in order with launches; return at once."""
        target.set(source, stream=self.stream)

    def fetch(self, target: np.ndarray, source: Array) -> None:
        """Copy an array of the device to pinned host memory, in order with launches; return at once."""
        source.get(stream=self.stream, out=target, blocking=False)

    def mark(self) -> cupy.cuda.Event:
        """Return an event, which is recorded on the stream of :meth:`at_work`."""
        return cupy.cuda.Event(disable_timing=True)


_devices = threading.local()  # each thread's devices, by number and precision


def device_of(number: int, *, tf32: bool) -> CupyDevice:
    """Return this thread's :class:`CupyDevice` of a number and precision, which is made once."""
    known: dict[str, CupyDevice] = vars(_devices)  # this thread's devices devices
    name = f"{number}, {tf32}"
    if name not in known:
        known[name] = CupyDevice(cupy.cuda.Device(number), tf32=tf32)
    return known[name]


def _multiply(cublas: Cublas, _kept: Product, arguments: tuple[Any, ...]) -> None:
    cublas.multiply(*arguments)


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause Python's garbage collector: destroying a cuBLAS handle waits for the device, which would end a capture."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def find_library(name: str) -> Any:
    """Return libcublas or libcublasLt: the one that CuPy has loaded.

    Raises
    ------
    CannotCaptureError
        If it is not installed.
    """
    major = cupy.cuda.runtime.runtimeGetVersion() // 1000
    with suppress(ImportError):
        # CuPy has loaded both here, also from NVIDIA's wheels, so that they can be found by name.
        _ = cupy.cuda.cublas
    for file in (f"lib{name}.so.{major}", f"{name}64_{major}.dll"):
        with suppress(OSError):
            return ctypes.CDLL(file)
    msg = f"lib{name} of CUDA {major} is not found; install the toolkit, or cupy-cuda{major}x[ctk]"
    raise CannotCaptureError(msg)
