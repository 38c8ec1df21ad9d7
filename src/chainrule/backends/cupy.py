"""CuPy: CUDA devices."""

from typing import Any

import array_api_compat.cupy as xp
import cupy
import numpy as np

from chainrule.arrays import Array
from chainrule.backends.base import Availability, Backend, BackendUnavailableError


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

    def describe(self) -> str:
        """Return "cupy:0", "cupy:1", ..."""
        return f"cupy:{self.device.id}"


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
