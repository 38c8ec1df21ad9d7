"""Any other Array API namespace, given as an object: the plain step runs on it as it stands."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from chainrule.backends.base import Backend, BackendUnavailableError
from chainrule.backends.trial import first_problem
from chainrule.mathematics.arrays import Array, Namespace, record_like
from chainrule.mathematics.arrays import device as device_of
from chainrule.mathematics.arrays import namespace as namespace_of
from chainrule.program.engine import Engine, Plain, Work


class NamespaceBackend(Backend):
    """The arrays of any other library; ``device`` is ``None`` if it has no devices."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.name, str(self.device))

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        """Return host data or an array of this backend as an array of it, on its device."""
        if self.device is not None:
            return super().asarray(x, dtype)
        return self.xp.asarray(x, dtype=self.dtype(dtype))  # not every library takes a device=

    def to_numpy(self, array: Array) -> np.ndarray:
        """Return a copy of ``array`` on the host, by way of its library's default device."""
        if self.device is not None and self.device != (default := _default_device(self.xp)):
            array = array.to_device(default)
        try:
            return np.from_dlpack(array, device="cpu")
        except Exception:  # noqa: BLE001  whatever a library raises that has no DLPack, or not of this dtype
            return np.asarray(array)

    def plain(self, work: Work) -> Engine:
        """Return what runs the step as it is written, once two rows have been through it.

        Raises
        ------
        BackendUnavailableError
            If the step raises or its results differ from NumPy's; the message names the function.
        """
        if problem := first_problem(work, self):
            msg = (
                f"backend {self.name!r} cannot run the step: {problem}; "
                f"`chainrule info --namespace {self.name}` checks every function"
            )
            raise BackendUnavailableError(msg)
        if not hasattr(work.progress.theta, "persist"):
            return super().plain(work)
        return Plain(work, self.asarray, self.to_numpy, partial(_persisted, work.step.whole))


def _persisted(step: Callable[..., Any], *arguments: Any) -> Any:
    """Take a step and compute its results: where arrays are lazy (Dask), they would keep all steps before."""
    progress, L = step(*arguments)
    theta, *state, L = import_module("dask").persist(progress.theta, *progress.state, L)
    return type(progress)(theta, record_like(progress.state, state)), L


def _again(module: str, device: str) -> NamespaceBackend:
    """Return the backend of these names, as it was pickled or is to be copied; on the default device if it is unknown."""
    backend = make(import_module(module))
    if device == str(backend.device):
        return backend
    devices = {str(each): each for each in backend.xp.__array_namespace_info__().devices()}
    return make(backend.xp, devices.get(device))


def make(xp: Namespace, device: Any = None) -> NamespaceBackend:
    """Return the backend for the namespace ``xp``, on its default device unless given another.

    Raises
    ------
    TypeError
        If the object is no namespace of the standard, or its arrays do not come back to the host.
    """
    try:
        xp = namespace_of(xp.asarray([0.0]))  # array-api-compat's, where it has one
    except (AttributeError, TypeError) as error:
        msg = f"backend {xp!r} is no Array API namespace ({error}); give a name such as 'numpy', or a module such as array_api_strict"
        raise TypeError(msg) from None
    name = getattr(xp, "__name__", type(xp).__name__).removeprefix("array_api_compat.")
    backend = NamespaceBackend(name, xp, _default_device(xp) if device is None else device)
    wanted = np.asarray([[1.0, 2.0]], np.float32)
    try:
        got: Any = backend.to_numpy(backend.asarray(wanted, "float32"))
        returns = got.dtype == wanted.dtype and np.array_equal(got, wanted)
    except Exception as error:  # noqa: BLE001  any library's
        got, returns = error, False
    if not returns:
        shown = " ".join(str(got).split())
        msg = f"backend {name!r} cannot be used: its arrays do not come back to the host ({shown})"
        raise TypeError(msg)
    return backend


def _default_device(xp: Namespace) -> Any:
    """Return the device of new arrays; ``None`` if creation functions have no such argument."""
    try:
        device = xp.__array_namespace_info__().default_device()
        xp.asarray([0.0], device=device)
    except (AttributeError, TypeError, ValueError):
        return None
    return device


def of(array: Array) -> NamespaceBackend:
    """Return the backend that ``array`` belongs to."""
    return make(namespace_of(array), device_of(array))
