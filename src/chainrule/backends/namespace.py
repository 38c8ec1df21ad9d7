"""Any other Array API namespace, given as an object: the plain step runs on it as it stands."""

from importlib import import_module
from typing import Any

import numpy as np

from chainrule.backends.base import Backend
from chainrule.mathematics.arrays import Array, Namespace
from chainrule.mathematics.arrays import device as device_of
from chainrule.mathematics.arrays import namespace as namespace_of

_NEEDED = ("asarray", "matmul", "matrix_transpose", "reshape", "concat", "astype", "tanh")


class NamespaceBackend(Backend):
    """The arrays of a library that this package does not know by name."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.name, str(self.device))

    def to_numpy(self, array: Array) -> np.ndarray:
        """Return a copy of ``array`` on the host, by way of its library's default device."""
        default = self.xp.__array_namespace_info__().default_device()
        return np.asarray(array.to_device(default))


def _again(module: str, device: str) -> NamespaceBackend:
    """Return the backend of these names, as it was pickled or is to be copied."""
    xp = import_module(module)
    devices = {str(each): each for each in xp.__array_namespace_info__().devices()}
    return make(xp, devices[device])


def make(xp: Namespace, device: Any = None) -> NamespaceBackend:
    """Return the backend for the namespace ``xp``, on its default device unless told otherwise.

    Raises
    ------
    TypeError
        If the object lacks functions of the standard.
    """
    missing = [function for function in _NEEDED if not hasattr(xp, function)]
    if missing:
        msg = (
            f"backend {xp!r} is no Array API namespace (it has no {missing[0]}); give a name such as "
            "'numpy', or a module such as array_api_strict"
        )
        raise TypeError(msg)
    name = getattr(xp, "__name__", type(xp).__name__)
    if device is None:
        device = xp.__array_namespace_info__().default_device()
    return NamespaceBackend(name, xp, device)


def of(array: Array) -> NamespaceBackend:
    """Return the backend that ``array`` belongs to."""
    return make(namespace_of(array), device_of(array))
