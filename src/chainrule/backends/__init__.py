"""Backends: where a step runs. The only rooms, with ``program/``, that name an accelerator library.

A backend has no mathematics of its own. It says where its arrays live, how to wait for them, and how
the one step is run with the least overhead. Several live in one process.

Which one a network uses: the ``backend=`` argument, else the environment variable
``CHAINRULE_BACKEND``, else the arrays that it is first given. By the name "auto" the measured map of
:mod:`chainrule.backends.speed_map` chooses.
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
from chainrule.mathematics.naming import nearest, one_line, refusing

__all__ = [
    "Availability",
    "Backend",
    "BackendUnavailableError",
    "available",
    "get",
    "is_auto",
    "named",
    "of",
]

# The name of a backend, and what a person types to install it.
INSTALL = {
    "numpy": "pip install numpy",
    "cupy": f"{how_to_install('cuda12')} (or cuda13)",
    "torch": how_to_install("torch"),
    "jax": how_to_install("jax"),
}


def _room(name: str) -> ModuleType:
    return import_module(f"chainrule.backends.{name}")


def named(given: str) -> Backend:
    """Return the backend of this name, such as "numpy", "cupy:1", "torch:cuda" or "jax:cpu".

    Raises
    ------
    ValueError
        If no backend has the name; the message gives the nearest one.
    BackendUnavailableError
        If its library is not installed, or its device cannot be used.

    Examples
    --------
    >>> named("numpy").name
    'numpy'
    """
    name, _, device = given.partition(":")
    if name not in INSTALL:
        names = sorted(INSTALL)
        msg = f"unknown backend {given!r}{nearest(name, names)} (known: {', '.join(names)})"
        raise ValueError(msg)
    if find_spec(name) is None:
        msg = f"backend {name!r} is not installed; {INSTALL[name]}, or use 'numpy'"
        raise BackendUnavailableError(msg)
    problem = f"backend {name!r} is installed but does not import: {{}}"
    with refusing(
        Exception, problem, BackendUnavailableError
    ):  # a broken installation may raise anything
        room = _room(name)
    backend: Backend = room.make(device or None)
    return backend


def of(array: Array) -> Backend:
    """Return the backend that ``array`` belongs to.

    Raises
    ------
    TypeError
        If it is no array that follows the standard.

    Examples
    --------
    >>> import numpy as np
    >>> of(np.ones(3)).name
    'numpy'
    """
    known = (name for name in INSTALL if getattr(array_api_compat, f"is_{name}_array")(array))
    backend: Backend = _room(next(known, "namespace")).of(array)
    return backend


def get(given: Any = None) -> Backend | None:
    """Return the backend for a ``backend=`` argument; ``None`` if the arrays decide.

    Parameters
    ----------
    given
        A name, a :class:`Backend`, an Array API namespace, or ``None``: then
        ``CHAINRULE_BACKEND`` decides where it is set. By "auto" it stays open: see :func:`is_auto`.

    Raises
    ------
    ValueError
        If no backend has the name.
    BackendUnavailableError
        If it cannot be used here.
    TypeError
        If it is neither of these.

    Examples
    --------
    >>> import array_api_strict
    >>> get("numpy").name, get(array_api_strict).name
    ('numpy', 'array_api_strict')
    """
    given = _asked(given)
    if is_auto(given):
        return None
    if given is None or isinstance(given, Backend):
        return given
    if isinstance(given, str):
        return named(given)
    for name in INSTALL:
        is_one = getattr(array_api_compat, f"is_{name}_namespace")
        if isinstance(given, ModuleType) and is_one(given):
            return named(name)
    backend: Backend = _room("namespace").make(given)
    return backend


def is_auto(given: Any = None) -> bool:
    """Return whether a ``backend=`` argument, or ``CHAINRULE_BACKEND`` in its place, is "auto".

    Examples
    --------
    >>> is_auto("auto"), is_auto("numpy")
    (True, False)
    """
    asked = _asked(given)
    return isinstance(asked, str) and asked == "auto"


def _asked(given: Any) -> Any:
    return os.environ.get("CHAINRULE_BACKEND") or None if given is None else given


def available() -> list[Availability]:
    """Return, for every known backend, whether it can be used here, or why not.

    Each device is used, not merely looked for: a library can be installed where its device is not.

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
        found: Availability = _room(name).probe()
    except Exception as error:  # noqa: BLE001  whatever a driver raises is the reason to show
        return Availability(name, usable=False, version=version, reason=one_line(error))
    return found
