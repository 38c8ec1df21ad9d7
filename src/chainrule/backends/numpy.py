"""NumPy: the CPU, and the reference of every other backend."""

from typing import Any

import array_api_compat.numpy
import numpy as np

from chainrule.backends.base import Availability, Backend


class NumpyBackend(Backend):
    """NumPy arrays on the CPU."""

    def asarray(self, x: Any, dtype: Any = None) -> np.ndarray:
        """Return ``x`` as a C-contiguous NumPy array: ``x`` itself where it is one already."""
        return np.asarray(x, dtype=dtype, order="C")


def make(device: str | None = None) -> NumpyBackend:
    """Return the backend; its only device is "cpu"."""
    if device not in (None, "cpu"):
        msg = f"backend 'numpy' has no device {device!r}; its only one is 'cpu'"
        raise ValueError(msg)
    return NumpyBackend("numpy", array_api_compat.numpy)


def of(_array: np.ndarray) -> NumpyBackend:
    """Return the backend that ``array`` belongs to."""
    return make()


def probe() -> Availability:
    """Return what there is to say about it here."""
    return Availability("numpy", usable=True, version=np.__version__, devices=("cpu",))
