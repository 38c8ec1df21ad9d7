"""PyTorch: CPU, CUDA and MPS devices. Used as an array library: its autograd stays off."""

from typing import Any

import array_api_compat.torch as xp
import numpy as np
import torch

from chainrule.backends.base import Availability, Backend, BackendUnavailable


class TorchBackend(Backend):
    """torch tensors on one device."""

    @property
    def default_dtype(self) -> str:
        """Float64, but for Apple's MPS, which has none."""
        return "float32" if self.device.type == "mps" else "float64"

    def check_dtype(self, dtype: str) -> None:
        """Raise ``ValueError`` where the device does not compute in ``dtype``."""
        if dtype == "float64" and self.default_dtype != dtype:
            msg = "torch's mps device has no float64; give dtype='float32', or backend='torch:cpu'"
            raise ValueError(msg)

    def asarray(self, x: Any, dtype: Any = None) -> torch.Tensor:
        """Return ``x`` as a tensor on the device; host data are copied, a tensor is detached."""
        if isinstance(x, torch.Tensor):
            return x.detach().to(self.device, self.dtype(dtype)).contiguous()
        return torch.tensor(np.asarray(x), dtype=self.dtype(dtype), device=self.device)

    def to_numpy(self, array: torch.Tensor) -> np.ndarray:
        """Return it on the host: a copy from a device, a view on the CPU."""
        return array.detach().cpu().numpy()

    def synchronize(self, result: torch.Tensor) -> None:
        """Wait until the device of ``result`` has nothing left to do."""
        if result.device.type != "cpu":
            getattr(torch, result.device.type).synchronize()

    def describe(self) -> str:
        """Return "torch:cpu", "torch:cuda:0", ..."""
        return f"torch:{self.device}"


def make(device: str | None = None) -> TorchBackend:
    """Return the backend; ``device`` is "cpu" (the default), "cuda", "cuda:1", "mps".

    Raises
    ------
    ValueError
        If torch knows no such device.
    BackendUnavailable
        If it knows it but cannot use it here.
    """
    try:
        wanted = torch.device(device or "cpu")
    except RuntimeError:
        msg = f"torch has no device {device!r}; give 'torch:cpu', 'torch:cuda' or 'torch:mps'"
        raise ValueError(msg) from None
    try:
        placed = torch.zeros(1, device=wanted).device
        (torch.zeros(1, device=wanted) + 1).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = str(error).partition("\n")[0]
        msg = f"backend 'torch:{device}' cannot be used here: {why}; try backend='torch:cpu'"
        raise BackendUnavailable(msg) from None
    return TorchBackend("torch", xp, placed)


def of(array: torch.Tensor) -> TorchBackend:
    """Return the backend that ``array`` belongs to."""
    return TorchBackend("torch", xp, array.device)


def probe() -> Availability:
    """Return what there is to say about it here, having computed on each device."""
    devices = ["cpu"]
    for number in range(torch.cuda.device_count()):
        make(f"cuda:{number}")
        devices.append(f"cuda:{number} ({torch.cuda.get_device_name(number)})")
    if torch.backends.mps.is_available():
        make("mps")
        devices.append("mps")
    return Availability("torch", usable=True, version=torch.__version__, devices=tuple(devices))
