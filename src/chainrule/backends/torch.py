"""PyTorch on CPU, CUDA and MPS devices, as an array library without autograd."""

from collections.abc import Callable
from functools import partial
from typing import Any

import array_api_compat.torch as xp
import numpy as np
import torch
from torch import Tensor

from chainrule.backends.base import Availability, Backend, BackendUnavailableError
from chainrule.backends.numpy import NumpyLibrary
from chainrule.mathematics.arrays import size
from chainrule.mathematics.naming import refusing, require
from chainrule.program import machine
from chainrule.program.engine import Engine, Work
from chainrule.program.operations import Operation
from chainrule.program.primitives import PRIMITIVES, REDUCTIONS
from chainrule.program.replay import Call, Replay


class TorchBackend(Backend):
    """PyTorch tensors on one device."""

    plans = True

    @property
    def default_dtype(self) -> str:
        """Float64, except on Apple's MPS, which does not support it."""
        return "float32" if self.device.type == "mps" else "float64"

    def check_dtype(self, dtype: str) -> None:
        """Raise ``ValueError`` if the device does not support ``dtype``."""
        problem = "torch's mps device has no float64; give dtype='float32', or backend='torch:cpu'"
        require(dtype != "float64" or self.default_dtype == dtype, problem)
        super().check_dtype(dtype)

    def asarray(self, x: Any, dtype: Any = None) -> Tensor:
        """Return ``x`` as a tensor on the device; host data are copied, a tensor is detached."""
        if isinstance(x, Tensor):
            return x.detach().to(self.device, self.dtype(dtype)).contiguous()
        return _tensor(np.asarray(x), self.device, self.dtype(dtype))

    def to_numpy(self, array: Tensor) -> np.ndarray:
        """Return a copy on the host; bfloat16, which NumPy lacks, becomes float32."""
        half = array.dtype == torch.bfloat16
        host: np.ndarray = (array.float() if half else array).detach().cpu().numpy()
        return host

    def synchronize(self, result: Tensor) -> None:
        """Wait until the device of ``result`` has finished all work."""
        if result.device.type != "cpu":
            getattr(torch, result.device.type).synchronize()

    def available_bytes(self) -> int | None:
        """Return the free memory of the device in bytes; ``None`` if it is unknown."""
        if self.device.type == "cpu":
            return machine.available_bytes()
        if self.device.type == "cuda":
            free: int = torch.cuda.mem_get_info(self.device)[0]
            return free
        return None

    def engine(self, work: Work) -> Engine:
        """Return the fastest engine: a replay of the plan; on CUDA, captured as one graph."""
        return Replay(work, TorchLibrary(self.device), self.asarray)

    def autodiff(self, function: Callable[[Tensor], Tensor], theta: Tensor) -> Tensor:
        """Return the derivative of ``function`` at ``theta``, (P,), by autograd."""
        leaf = theta.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(function(leaf), leaf)
        return gradient

    def copy(self, array: Tensor, out: Tensor | None = None) -> Tensor:
        """Return a copy of ``array`` that shares no memory with it; ``out`` if given."""
        return array.clone() if out is None else out.copy_(array)

    def describe(self) -> str:
        """Return "torch:cpu", "torch:cuda:0", ..."""
        return f"torch:{self.device}"


class TorchLibrary(NumpyLibrary):
    """PyTorch's memory and functions with ``out``, for replay."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
        """Return an uninitialized tensor; torch's allocators start at the boundary of a cache line."""
        return torch.empty(shape, dtype=getattr(torch, dtype.name), device=self._device)

    def reshaped(self, raw: Tensor, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
        """Return the first bytes of ``raw``, 1-d of uint8, as a tensor of this shape and dtype."""
        wanted = raw[: size(shape) * dtype.itemsize]
        return wanted.view(getattr(torch, dtype.name)).view(shape)

    def constant(self, data: np.ndarray) -> Tensor:
        """Return a tensor with these entries."""
        return _tensor(np.ascontiguousarray(data).reshape(data.shape), self._device)

    def shares(self, view: Tensor, array: Tensor) -> bool:
        """Return whether ``view``, a reshaped ``array``, shares its memory and is not a copy."""
        return bool(view.data_ptr() == array.data_ptr())

    def call(self, operation: Operation, arguments: list[Any], out: Tensor) -> Call:
        """Return the call that computes ``operation`` into ``out``."""
        function, settings = operation.function, operation.settings
        if function in {"copy", "astype"}:
            return out.copy_, (arguments[0],)
        if function == "sign":
            return _sign, (arguments[0], out)
        if function == "pow":  # torch multiplies if the exponent is a Python number
            arguments[1] = operation.operands[1]
        named = getattr(torch, PRIMITIVES[function].torch or function)
        over = {}
        if function in REDUCTIONS:
            over = {"dim": settings["axis"], "keepdim": settings["keepdims"]}
        return partial(named, out=out, **over), tuple(arguments)

    def gather(self, source: Tensor, rows: Tensor, out: Tensor) -> None:
        """Copy rows of ``source`` to ``out``."""
        torch.index_select(source, 0, rows, out=out)

    def fill(self, target: Tensor, number: float) -> None:
        """Write a number into a 0-d tensor."""
        target.fill_(float(number) if target.is_floating_point() else int(number))

    def captured(self, calls: list[Call]) -> list[Call]:
        """Return one launch of a CUDA graph of these calls, which have been made once; on other devices, the calls."""
        if self._device.type != "cuda":
            return calls
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for function, arguments in calls:
                function(*arguments)
        return [(graph.replay, ())]


def _sign(x: Tensor, out: Tensor) -> None:
    torch.where(x.isnan(), x, torch.sign(x), out=out)  # torch.sign returns 0 for NaN


def _tensor(data: np.ndarray, device: torch.device, dtype: Any = None) -> Tensor:
    if data.dtype.name == "bfloat16":  # torch does not accept NumPy's bfloat16
        return _tensor(data.astype(np.float32), device, dtype or torch.bfloat16)
    return torch.tensor(data, dtype=dtype, device=device)


def make(device: str | None = None) -> TorchBackend:
    """Return the backend; ``device`` is "cpu" (the default), "cuda", "cuda:1", "mps".

    Raises
    ------
    ValueError
        If torch has no device of this name.
    BackendUnavailableError
        If the device cannot be used here.
    """
    problem = f"torch has no device {device!r}; give 'torch:cpu', 'torch:cuda' or 'torch:mps'"
    with refusing(RuntimeError, problem):
        wanted = torch.device(device or "cpu")
    problem = f"backend 'torch:{device}' cannot be used here: {{}}; try backend='torch:cpu'"
    kinds = RuntimeError, AssertionError, NotImplementedError
    with refusing(kinds, problem, BackendUnavailableError):
        zeros = torch.zeros(1, device=wanted)
        (zeros + 1).cpu()
    return TorchBackend("torch", xp, zeros.device)


def of(array: Tensor) -> TorchBackend:
    """Return the backend of a tensor."""
    return TorchBackend("torch", xp, array.device)


def probe() -> Availability:
    """Return the availability of this backend, after a computation on each device."""
    devices = ["cpu"]
    for number in range(torch.cuda.device_count()):
        make(f"cuda:{number}")
        devices.append(f"cuda:{number} ({torch.cuda.get_device_name(number)})")
    if torch.backends.mps.is_available():
        make("mps")
        devices.append("mps")
    return Availability("torch", usable=True, version=torch.__version__, devices=tuple(devices))
