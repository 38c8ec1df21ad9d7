"""CuPy: CUDA devices."""

from functools import partial
from typing import Any

import array_api_compat.cupy as xp
import cupy
import numpy as np

from chainrule.arrays import Array, size
from chainrule.backends.base import Availability, Backend, BackendUnavailableError
from chainrule.program.engine import Engine, Work
from chainrule.program.operations import Operation
from chainrule.program.replay import Call, Replay

_NAMES = {"bitwise_left_shift": "left_shift", "bitwise_right_shift": "right_shift"}


class CupyBackend(Backend):
    """CuPy arrays on one CUDA device."""

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        """Return ``x`` as a C-contiguous CuPy array on the device."""
        with self.device:
            return cupy.ascontiguousarray(cupy.asarray(x, dtype=dtype))

    def to_numpy(self, array: Array) -> np.ndarray:
        """Return a copy on the host."""
        host: np.ndarray = cupy.asnumpy(array)
        return host

    def synchronize(self, result: Array) -> None:
        """Wait until the device of ``result`` has nothing left to do."""
        with result.device:
            cupy.cuda.get_current_stream().synchronize()

    @property
    def plans(self) -> bool:
        """Whether a step runs in memory that was planned: it does."""
        return True

    def available_bytes(self) -> int | None:
        """Return how much memory the device has left."""
        with self.device:
            free: int = cupy.cuda.runtime.memGetInfo()[0]
            held: int = cupy.get_default_memory_pool().free_bytes()
        return free + held

    def engine(self, work: Work) -> Engine:
        """Return what runs a step fastest here: its plan, replayed."""
        return Replay(work, CupyLibrary(), self.asarray)

    def copy(self, array: Array, out: Array | None = None) -> Array:
        """Return an array of the same values that shares no memory with ``array``; ``out`` if given."""
        with self.device:
            if out is None:
                return array.copy()
            out[...] = array
            return out

    def describe(self) -> str:
        """Return "cupy:0", "cupy:1", ..."""
        return f"cupy:{self.device.id}"


class CupyLibrary:
    """CuPy for replay: its memory, and its functions with ``out``."""

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array of any content; CuPy's allocator begins at 512 bytes."""
        return cupy.empty(shape, dtype=dtype)

    def reshaped(self, raw: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return the first bytes of ``raw``, 1-d of uint8, as an array of this shape and dtype."""
        return raw[: size(shape) * dtype.itemsize].view(dtype).reshape(shape)

    def constant(self, data: np.ndarray) -> Array:
        """Return a known array."""
        return cupy.asarray(data, order="C")

    def call(self, operation: Operation, arguments: list[Any], out: Array) -> Call:
        """Return the call that computes ``operation`` into ``out``."""
        function, settings = operation.function, operation.settings
        if function in {"copy", "astype"}:
            return partial(cupy.copyto, casting="unsafe"), (out, arguments[0])
        if function in {"sum", "max"}:
            over = {"axis": settings["axis"], "keepdims": settings["keepdims"]}
            return partial(getattr(cupy, function), out=out, **over), tuple(arguments)
        return partial(getattr(cupy, _NAMES.get(function, function)), out=out), tuple(arguments)

    def gather(self, source: Array, rows: Array, out: Array) -> None:
        """Copy rows of ``source`` to ``out``."""
        cupy.take(source, rows, axis=0, out=out)

    def fill(self, target: Array, number: float) -> None:
        """Write a number into a 0-d array."""
        target.fill(number)

    def listed(self, array: Array) -> list[float]:
        """Return the numbers of a 1-d array, on the host."""
        numbers: list[float] = array.tolist()
        return numbers

    def captured(self, calls: list[Call]) -> list[Call]:
        """Return the calls as they are: CuPy refuses cuBLAS while a stream captures."""
        return calls


def make(device: str | None = None) -> CupyBackend:
    """Return the backend; ``device`` is a CUDA device's number, the current one unless given.

    Raises
    ------
    ValueError
        If ``device`` is no number.
    BackendUnavailableError
        If the device cannot be used: no driver, no such device, or no memory left.
    """
    if device is not None and not device.isdigit():
        msg = f"CuPy's devices are numbers, got {device!r}; give 'cupy' or 'cupy:1'"
        raise ValueError(msg)
    try:
        chosen = cupy.cuda.Device(None if device is None else int(device))
        with chosen:
            (cupy.zeros(1) + 1).get()
    except (cupy.cuda.runtime.CUDARuntimeError, cupy.cuda.memory.OutOfMemoryError) as error:
        shown = "cupy" if device is None else f"cupy:{device}"
        msg = f"backend {shown!r} cannot be used here: {error}; try backend='numpy'"
        raise BackendUnavailableError(msg) from None
    return CupyBackend("cupy", xp, chosen)


def of(array: Array) -> CupyBackend:
    """Return the backend that ``array`` belongs to."""
    return CupyBackend("cupy", xp, array.device)


def probe() -> Availability:
    """Return what there is to say about it here, having computed on each device."""
    make()
    devices = []
    for number in range(cupy.cuda.runtime.getDeviceCount()):
        make(str(number))
        name = cupy.cuda.runtime.getDeviceProperties(number)["name"].decode()
        devices.append(f"{number} ({name})")
    return Availability("cupy", usable=True, version=cupy.__version__, devices=tuple(devices))
