"""Any other Array API namespace, passed as an object: it runs the step as written."""

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
from chainrule.mathematics.naming import refusing, require
from chainrule.program.engine import Engine, Plain, Work


class NamespaceBackend(Backend):
    """The arrays of any other library; ``device`` is ``None`` if it has no devices."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.name, str(self.device))

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        """Return host data, or an array of this backend, as an array on its device."""
        if self.device is not None:
            return super().asarray(x, dtype)
        return self.xp.asarray(x, dtype=self.dtype(dtype))  # some libraries have no device=

    def to_numpy(self, array: Array) -> np.ndarray:
        """Return a copy of ``array`` on the host, via the default device of its library."""
        if self.device is not None and self.device != (default := _default_device(self.xp)):
            array = array.to_device(default)
        try:
            return np.from_dlpack(array, device="cpu")
        except Exception:  # noqa: BLE001  libraries without DLPack, or without this dtype, may raise anything
            return np.asarray(array)

    def plain(self, work: Work) -> Engine:
        """Return the engine that runs the step as written, after a trial on two rows.

        Raises
        ------
        BackendUnavailableError
            If the step raises or its results differ from NumPy's; the message names the function.
        """
        why, check = first_problem(work, self), f"`chainrule info --namespace {self.name}`"
        problem = f"backend {self.name!r} cannot run the step: {why}; {check} checks every function"
        require(not why, problem, BackendUnavailableError)
        if not hasattr(work.progress.theta, "persist"):
            return super().plain(work)
        return Plain(work, self, partial(_persisted, work.step.whole))


def _persisted(step: Callable[..., Any], *arguments: Any) -> Any:
    """Take a step and compute its results: lazy arrays (Dask) would keep all earlier steps."""
    progress, L = step(*arguments)
    theta, *state, L = import_module("dask").persist(progress.theta, *progress.state, L)
    return type(progress)(theta, record_like(progress.state, state)), L


def _again(module: str, device: str) -> NamespaceBackend:
    """Return an unpickled or copied backend; on the default device if its own does not exist here."""
    backend = make(import_module(module))
    if device == str(backend.device):
        return backend
    devices = {str(each): each for each in backend.xp.__array_namespace_info__().devices()}
    return make(backend.xp, devices.get(device))


def make(xp: Namespace, device: Any = None) -> NamespaceBackend:
    """Return the backend for the namespace ``xp``, on its default device or the given one.

    Raises
    ------
    TypeError
        If the object is not an Array API namespace, or its arrays cannot be copied to the host.
    """
    remedy = "give a name such as 'numpy', or a module such as array_api_strict"
    problem = f"backend {xp!r} is not an Array API namespace ({{}}); {remedy}"
    with refusing((AttributeError, TypeError), problem, TypeError):
        xp = namespace_of(xp.asarray([0.0]))  # the wrapper of array-api-compat, if it has one
    name = getattr(xp, "__name__", type(xp).__name__).removeprefix("array_api_compat.")
    backend = NamespaceBackend(name, xp, _default_device(xp) if device is None else device)
    wanted = np.asarray([[1.0, 2.0]], np.float32)
    problem = f"backend {name!r} cannot be used: its arrays cannot be copied to the host ({{}})"
    with refusing(Exception, problem, TypeError):  # any library's
        got = backend.to_numpy(backend.asarray(wanted, "float32"))
        require(got.dtype == wanted.dtype and np.array_equal(got, wanted), " ".join(str(got).split()))
    return backend


def _default_device(xp: Namespace) -> Any:
    """Return the default device; ``None`` if creation functions have no ``device`` argument."""
    try:
        device = xp.__array_namespace_info__().default_device()
        xp.asarray([0.0], device=device)
    except (AttributeError, TypeError, ValueError):
        return None
    return device


def of(array: Array) -> NamespaceBackend:
    """Return the backend of an array."""
    return make(namespace_of(array), device_of(array))
