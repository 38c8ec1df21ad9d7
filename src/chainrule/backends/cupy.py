"""CuPy: arrays and training on CUDA devices."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import array_api_compat.cupy as xp
import cupy
import numpy as np

from chainrule.backends.base import Availability, Backend, BackendUnavailableError
from chainrule.backends.cupy_device import CupyDevice, CupyLibrary, device_of
from chainrule.backends.numpy import make as numpy_backend
from chainrule.mathematics.arrays import Array
from chainrule.program.cuda.cublas import WORKSPACE_BYTES
from chainrule.program.cuda.device import CAPTURING, CannotCaptureError
from chainrule.program.cuda.persistent_engine import fastest, side_by_side
from chainrule.program.cuda.planning import cuda_plan
from chainrule.program.cuda.stream import PLACES, StreamEngine
from chainrule.program.engine import Engine, Pack, Work
from chainrule.program.plan import Plan
from chainrule.program.replay import Replay

SHARE_FOR_DATA = 0.5  # share of the free memory; larger data stay on the host
PART_BYTES = 8 << 20  # more than a kernel needs for partial sums over 1024 columns in float64
FIRST_WITH_BFLOAT16 = 14
CONVERTS_BFLOAT16 = 80  # compute capability 8.0 (Ampere), times ten
LOG = logging.getLogger("chainrule")


class CupyBackend(Backend):
    """CuPy arrays on one CUDA device."""

    plans = True

    def __hash__(self) -> int:
        return hash(self.describe())  # CuPy's devices are not hashable

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        """Return ``x`` as a C-contiguous CuPy array on the device."""
        with self.device:
            return cupy.asarray(x, dtype=dtype, order="C")  # ascontiguousarray makes (1,) of ()

    def to_numpy(self, array: Array) -> np.ndarray:
        """Return a copy on the host."""
        return super().to_numpy(cupy.asnumpy(array))

    def synchronize(self, result: Array) -> None:
        """Wait until the device of ``result`` has nothing left to do, but not while another thread captures."""
        with CAPTURING:
            result.device.synchronize()

    def available_bytes(self) -> int:
        """Return the free memory of the device in bytes."""
        with self.device:
            free: int = cupy.cuda.runtime.memGetInfo()[0]
            held: int = cupy.get_default_memory_pool().free_bytes()
        return free + held

    def check_dtype(self, dtype: str) -> None:
        """Raise ``ValueError`` if the device does not support ``dtype``."""
        if dtype != "bfloat16":
            super().check_dtype(dtype)
            return
        lacks = "the package ml_dtypes" if find_spec("ml_dtypes") is None else ""
        if int(cupy.__version__.partition(".")[0]) < FIRST_WITH_BFLOAT16:
            lacks = f"CuPy {FIRST_WITH_BFLOAT16}, this is {cupy.__version__}"
        if int(self.device.compute_capability) < CONVERTS_BFLOAT16:
            lacks = "a device of compute capability 8.0"
        if lacks:
            msg = f"bfloat16 on CuPy needs {lacks}; otherwise give dtype='float16'"
            raise ValueError(msg)
        import_module("ml_dtypes")  # NumPy then knows the name

    def planned(self, plan: Plan) -> Plan:
        """Return the plan of a step as it runs here, its operations grouped into kernels."""
        return cuda_plan(plan)

    @property
    def own_bytes(self) -> int:
        """The memory that a run needs in addition to its arrays: cuBLAS's workspace and partial sums."""
        return WORKSPACE_BYTES + PART_BYTES

    @property
    def places(self) -> int:
        """The number of batches on the device if the data stay on the host: one is copied while one is used."""
        return PLACES

    @property
    def notes(self) -> tuple[str, ...]:
        """A note on how float32 matrices are multiplied."""
        return (f"{self.describe()}: TF32 {'on (CUPY_TF32=1)' if tf32_is_on() else 'off'}",)

    def holder(self, nbytes: int) -> Backend:
        """Return the backend that holds ``nbytes`` bytes of training data: the host if they would fill the device."""
        return self if nbytes <= SHARE_FOR_DATA * self.available_bytes() else numpy_backend()

    def near(self, x: Any) -> Array:
        """Return data as an array of the device, copied if they were left on the host."""
        return self.asarray(x) if self.streams(x) else x

    def streams(self, x: Any) -> bool:
        """Return whether data were left on the host, to be streamed batch by batch."""
        return isinstance(x, np.ndarray)

    def plain(self, work: Work) -> Engine:
        """Return the engine that runs the step as written; its data must be on the device."""
        if self.streams(work.data.X):
            msg = f"{self.describe()} has no room for the data; leave compile=False out to have them streamed"
            raise ValueError(msg)
        return super().plain(work)

    def cuda_device(self) -> CupyDevice:
        """Return this thread's device for graphs of steps, in TF32 if that is on."""
        return device_of(self.device.id, tf32=tf32_is_on())

    def engine(self, work: Work) -> Engine:
        """Return the fastest engine: generated kernels, as one persistent kernel or captured as graphs."""
        streams = self.streams(work.data.X)
        with self.device:
            try:
                device = self.cuda_device()
                with device.at_work():  # so that its allocations are ready before the first step
                    return StreamEngine(work, device) if streams else fastest(work, device)
            except CannotCaptureError as error:
                if streams:
                    raise
                LOG.warning(
                    "the step is replayed with CuPy's own functions, without CUDA graphs: %s", error
                )
            return Replay(work, CupyLibrary(), self.asarray)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Return a context for all computations of a network, since CuPy computes on the current device."""
        with super().quiet(), self.device:
            yield

    def pack(self, works: Sequence[Work], threads: int) -> Pack | None:
        """Return a pack that runs networks side by side in persistent kernels; ``None`` if one of them is too large for that."""
        if self.streams(works[0].data.X):
            return None
        try:
            device = self.cuda_device()
            with device.at_work():
                return side_by_side(works, device, threads)
        except CannotCaptureError:  # without cuBLAS; the engines report it
            return None

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


def tf32_is_on() -> bool:
    """Return whether ``CUPY_TF32``, CuPy's switch, lets float32 products round their factors to 10 bits; by default not."""
    return os.environ.get("CUPY_TF32", "0") not in {"", "0"}


def make(device: str | None = None) -> CupyBackend:
    """Return the backend; ``device`` is the number of a CUDA device, by default the current one.

    Raises
    ------
    ValueError
        If ``device`` is not a number.
    BackendUnavailableError
        If the device cannot be used: there is no driver, no such device, no free memory or no CUDA compiler.
    """
    if device is not None and not device.isdigit():
        msg = f"CuPy's devices are numbers, got {device!r}; give 'cupy' or 'cupy:1'"
        raise ValueError(msg)
    try:
        chosen = cupy.cuda.Device(None if device is None else int(device))
        with chosen:
            (cupy.zeros(1) + 1).get()
    except Exception as error:  # noqa: BLE001  no driver, NVRTC or headers: each raises its own errors
        shown = "cupy" if device is None else f"cupy:{device}"
        why = str(error).strip().partition("\n")[0].removesuffix(".")
        msg = f"backend {shown!r} cannot be used here: {why}; try backend='numpy'"
        raise BackendUnavailableError(msg) from None
    return CupyBackend("cupy", xp, chosen)


def of(array: Array) -> CupyBackend:
    """Return the backend that ``array`` belongs to."""
    return CupyBackend("cupy", xp, array.device)


def probe() -> Availability:
    """Return the availability of this backend, after a computation on each device."""
    make()
    devices = []
    for number in range(cupy.cuda.runtime.getDeviceCount()):
        make(str(number))
        name = cupy.cuda.runtime.getDeviceProperties(number)["name"].decode()
        devices.append(f"{number} ({name}, TF32 {'on' if tf32_is_on() else 'off'})")
    return Availability("cupy", usable=True, version=cupy.__version__, devices=tuple(devices))
