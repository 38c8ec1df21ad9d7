"""Arrays: type aliases, and access to the functions of an array's own library.

The mathematics of this package is written for the Python Array API standard
(https://data-apis.org/array-api/). A function asks its arrays for their namespace on its first line; no module
imports an array library by name.
"""

import math
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import array_api_compat

# The standard has no importable type for an array of any library.
Array = Any
Namespace = Any


def namespace(*arrays: Array) -> Namespace:
    """Return the Array API namespace of ``arrays``; ``None`` is ignored.

    Parameters
    ----------
    *arrays : Array or None
        Arrays of any shape, all from one library.

    Returns
    -------
    Namespace
        The module with the functions of the standard.

    Raises
    ------
    TypeError
        If the arrays come from more than one library, or one is not an array.

    Examples
    --------
    >>> import array_api_strict
    >>> namespace(array_api_strict.ones(2)).__name__
    'array_api_strict'
    """
    kinds = {*map(type, arrays)} - {type(None)}
    if {kind.__module__ for kind in kinds} == {"numpy"}:
        # NumPy conforms by itself; importing its wrapper in array_api_compat takes 0.1 s.
        return sys.modules["numpy"]
    return array_api_compat.array_namespace(*arrays)


def device(array: Array) -> Any:
    """Return the device of ``array``, in its library's own type.

    Parameters
    ----------
    array : Array
        An array of any shape.

    Returns
    -------
    device
        The device, or ``None`` under ``jit`` and in libraries whose arrays have no device.

    Examples
    --------
    >>> import numpy as np
    >>> device(np.ones(2))
    'cpu'
    """
    return array_api_compat.device(array) if hasattr(array, "device") else None


def arange(count: int, like: Array) -> Array:
    """Return an array of ``0, ..., count - 1`` on the device of ``like``.

    Parameters
    ----------
    count : int
        The number of integers.
    like : Array
        An array of any shape; only its library and its device are used.

    Returns
    -------
    Array
        ``(count,)``, int32.

    Examples
    --------
    >>> import numpy as np
    >>> arange(3, like=np.ones(2)).tolist()
    [0, 1, 2]
    """
    xp, place = namespace(like), device(like)
    on = {} if place is None else {"device": place}  # not every library has devices
    return xp.arange(count, dtype=xp.int32, **on)  # (count,)


def size(shape: Sequence[int]) -> int:
    """Return the number of elements in an array of this shape.

    Parameters
    ----------
    shape : sequence of int
        The length of each dimension.

    Returns
    -------
    int
        The product of the lengths; 1 for ``()``.

    Examples
    --------
    >>> size((3, 4))
    12
    """
    return math.prod(shape)


def record_like(record: tuple[Any, ...], parts: Iterable[Any]) -> Any:
    """Return ``parts`` as a tuple of the type of ``record``.

    Parameters
    ----------
    record : tuple
        A plain tuple or a ``NamedTuple``.
    parts : iterable
        The new values, in the order of the fields of ``record``.

    Returns
    -------
    tuple
        The values in ``parts``, with the field names of ``record`` if it has any.

    Examples
    --------
    >>> from chainrule.mathematics.optimizers import VelocityState
    >>> record_like(VelocityState(v=1), [2]), record_like((1,), [2])
    (VelocityState(v=2), (2,))
    """
    return type(record)(*parts) if hasattr(record, "_fields") else tuple(parts)
