"""Backends: where a step runs.

A backend contains no mathematics. It makes arrays on its device, waits for them, and runs the step with as little
overhead as possible. One process may use several backends.

A network uses the backend of the ``backend=`` argument, otherwise that of the environment variable
``CHAINRULE_BACKEND``, otherwise that of the first arrays that it gets. With "auto", the measurements in
:mod:`chainrule.backends.speed_map` decide.
"""

import os
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import array_api_compat

from chainrule._version import how_to_install
from chainrule.backends.base import Availability, Backend, BackendUnavailableError
from chainrule.mathematics.arrays import Array
from chainrule.mathematics.naming import check_known, one_line, refusing, require

__all__ = ["Availability", "Backend", "BackendUnavailableError"]
__all__ += ["available", "get", "is_auto", "named", "of"]

# The name of each backend, and the command that installs it.
INSTALL = {
    "numpy": "pip install numpy",
    "cupy": f"{how_to_install('cuda12')} (or cuda13)",
    "torch": how_to_install("torch"),
    "jax": how_to_install("jax"),
}


def _room(name: str) -> ModuleType:
    return import_module(f"chainrule.backends.{name}")


def named(full_name: str) -> Backend:
    """Return the backend with this name.

    Parameters
    ----------
    full_name
        A library, with a device or without: "numpy", "cupy:1", "torch:cuda", "jax:cpu".

    Returns
    -------
    Backend
        The backend, after a computation on its device.

    Raises
    ------
    ValueError
        If no backend has this name; the message suggests the most similar one.
    BackendUnavailableError
        If its library is not installed, or its device cannot be used.

    Examples
    --------
    >>> named("numpy").name
    'numpy'
    """
    name, _, device = full_name.partition(":")
    check_known("backend", name, sorted(INSTALL))
    problem = f"backend {name!r} is not installed; {INSTALL[name]}, or use 'numpy'"
    require(find_spec(name), problem, BackendUnavailableError)
    problem = f"backend {name!r} is installed but does not import: {{}}"
    with refusing(Exception, problem, BackendUnavailableError):  # whatever a broken installation raises
        room = _room(name)
    backend: Backend = room.make(device or None)
    return backend


def of(array: Array) -> Backend:
    """Return the backend of an array.

    Parameters
    ----------
    array
        An array of any shape, of NumPy, CuPy, PyTorch, JAX or another library with the Array API.

    Returns
    -------
    Backend
        The backend of its library and device.

    Raises
    ------
    TypeError
        If it is not an array of the Array API standard.

    Examples
    --------
    >>> import numpy as np
    >>> of(np.ones(3)).name
    'numpy'
    """
    names = (name for name in INSTALL if getattr(array_api_compat, f"is_{name}_array")(array))
    backend: Backend = _room(next(names, "namespace")).of(array)
    return backend


def get(choice: Any = None) -> Backend | None:
    """Return the backend for a ``backend=`` argument; ``None`` if the arrays decide.

    Parameters
    ----------
    choice
        A name, a :class:`Backend` or an Array API namespace. ``None`` stands for ``CHAINRULE_BACKEND``,
        if that is set.

    Returns
    -------
    Backend or None
        The backend; ``None`` without any of these, and for "auto": see :func:`is_auto`.

    Raises
    ------
    ValueError
        If no backend has this name.
    BackendUnavailableError
        If it cannot be used here.
    TypeError
        If ``choice`` is none of these.

    Examples
    --------
    >>> import array_api_strict
    >>> get("numpy").name, get(array_api_strict).name
    ('numpy', 'array_api_strict')
    """
    choice = _asked(choice)
    if is_auto(choice):
        return None
    if choice is None or isinstance(choice, Backend):
        return choice
    if isinstance(choice, str):
        return named(choice)
    for name in INSTALL:
        is_one = getattr(array_api_compat, f"is_{name}_namespace")
        if isinstance(choice, ModuleType) and is_one(choice):
            return named(name)
    backend: Backend = _room("namespace").make(choice)
    return backend


def is_auto(choice: Any = None) -> bool:
    """Return whether a ``backend=`` argument is "auto"; ``None`` stands for ``CHAINRULE_BACKEND``.

    Parameters
    ----------
    choice : object, optional
        The argument, as in :func:`get`.

    Returns
    -------
    bool
        ``True`` if the measurements decide which backend is used.

    Examples
    --------
    >>> is_auto("auto"), is_auto("numpy")
    (True, False)
    """
    asked = _asked(choice)
    return isinstance(asked, str) and asked == "auto"


def _asked(choice: Any) -> Any:
    return os.environ.get("CHAINRULE_BACKEND") or None if choice is None else choice


def available() -> list[Availability]:
    """Return for each backend whether it can be used here, or why not.

    Each device computes something, since a library can be installed without its device.

    Returns
    -------
    list of Availability
        One for each name: "numpy", "cupy", "torch", "jax".

    Examples
    --------
    >>> available()[0].name, available()[0].usable
    ('numpy', True)
    """
    return [_probed(name) for name in INSTALL]


def _probed(name: str) -> Availability:
    if find_spec(name) is None:
        return Availability(name, usable=False, reason=f"not installed: {INSTALL[name]}")
    version = None
    with suppress(Exception):  # a broken installation may raise anything
        version = import_module(name).__version__
    try:
        availability: Availability = _room(name).probe()
    except Exception as error:  # noqa: BLE001  a driver may raise anything; the reason is shown
        return Availability(name, usable=False, version=version, reason=one_line(error))
    return availability
