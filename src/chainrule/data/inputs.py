"""Inputs: arrays that a person hands over, checked at the door and brought to where the network lives.

Host data (lists, NumPy arrays, data frames) may be moved to the network's device: that was asked for
by naming the backend. An array of a device is never moved by itself: that would be a silent copy.
Each error is one line: what was got, what was wanted, the remedy.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import array_api_compat
import numpy as np

from chainrule import backends
from chainrule.backends import Backend
from chainrule.mathematics.arrays import Array, namespace
from chainrule.mathematics.precision import HALVES


class Door(NamedTuple):
    """Where what comes in is brought to, and whether NaN and infinity are turned away."""

    backend: Backend
    dtype: str
    finite: bool = True

    def wide(self, X: Any, sizes: Sequence[int]) -> "Door":
        """Return the door for data used in batches: large host data may stay on the host, to be streamed.

        ``sizes`` are the widths of the network's layers.
        """
        if is_device_array(X):
            return self
        nbytes = count(X) * (sizes[0] + sizes[-1] + 1) * np.dtype(self.dtype).itemsize
        return self._replace(backend=self.backend.holder(nbytes))


def is_device_array(x: Any) -> bool:
    """Return whether ``x`` is an array that lives in a library other than NumPy."""
    return array_api_compat.is_array_api_obj(x) and not isinstance(x, np.ndarray | np.generic)


def count(X: Any) -> int:
    """Return how many rows X seems to have, before it is checked; 1 where it does not say.

    Examples
    --------
    >>> count([[1.0], [2.0]]), count(None)
    (2, 1)
    """
    try:
        return max(1, len(X))
    except TypeError:
        return 1


def features(X: Any, n_in: int, door: Door) -> Array:
    """Return ``X (n, n_in)`` on the backend, in ``dtype``, every entry finite.

    Raises
    ------
    TypeError
        If X is of a dtype without order (object, text, complex), or on another device.
    ValueError
        If it is empty, has another shape, or holds NaN or infinity; the first place is named.
    """
    X = numbers(X, "X", door.backend)
    if len(X.shape) != 2:
        shown = f"X[None, :] is one sample of {n_in}" if tuple(X.shape) == (n_in,) else "a row a sample"
        msg = f"X has shape {tuple(X.shape)} but the network takes (n, {n_in}); {shown}"
        raise ValueError(msg)
    rows, columns = X.shape
    if columns != n_in:
        transposed = "; was it transposed?" if rows == n_in else "; was a column added or lost?"
        msg = f"X has {columns} features but the network takes {n_in}{transposed}"
        raise ValueError(msg)
    if rows == 0:
        msg = f"X has no rows; give at least one sample of {n_in} features"
        raise ValueError(msg)
    with door.backend.quiet():
        X = door.backend.asarray(X, door.dtype)
        check_finite(X, "X", door)
    return X


def parameter(given: Any, shape: tuple[int, ...], name: str, door: Door) -> Array:
    """Return a parameter of this shape on the backend, in ``dtype``, every entry finite.

    Raises
    ------
    TypeError
        If it is of a dtype without order, or on another device.
    ValueError
        If it is of another shape, or not finite.
    """
    array = numbers(given, name, door.backend)
    if tuple(array.shape) != shape:
        msg = f"{name} has shape {tuple(array.shape)}, wanted {shape}"
        raise ValueError(msg)
    array = door.backend.asarray(array, door.dtype)
    check_finite(array, name, door)
    return array


def numbers(x: Any, name: str, backend: Backend) -> Any:
    """Return ``x`` as an array of numbers, where it was: on the host, or on the backend's device.

    Raises
    ------
    TypeError
        If it is of a dtype without order, or on another device.
    ValueError
        If its rows differ in length.
    """
    if is_device_array(x):
        home = backends.of(x)
        if home != backend:
            msg = (
                f"{name} is on {home.describe()} but the network is on {backend.describe()}; nothing "
                "is copied between devices silently: move one of them"
            )
            raise TypeError(msg)
        if namespace(x).isdtype(x.dtype, "complex floating"):
            _refuse_dtype(name, x.dtype)
        return x
    if isinstance(x, np.ma.MaskedArray) and x.mask.any():
        msg = f"{name} has {x.mask.sum()} masked entries; fill them with .filled(value), or drop their rows"
        raise ValueError(msg)
    try:
        array = np.asarray(x)
    except ValueError:
        msg = f"{name} is ragged: its rows differ in length; give rows of one length"
        raise ValueError(msg) from None
    if array.dtype.kind not in "biuf":
        _refuse_dtype(name, array.dtype)
    # Not every library takes another byte order, negative strides or long doubles.
    plain = array.dtype.newbyteorder("=") if array.dtype.itemsize <= 8 else np.float64
    return np.asarray(array, dtype=plain, order="C")


def _refuse_dtype(name: str, dtype: Any) -> None:
    msg = f"{name} has dtype {dtype}, wanted real numbers; convert it, as with np.asarray(..., float)"
    raise TypeError(msg)


def check_finite(array: Array, name: str, door: Door) -> None:
    """Raise ``ValueError`` at the first NaN or infinity, unless the door lets them in.

    Raises
    ------
    ValueError
        It names the place, counted from 0, and the dtype in which it was looked at.
    """
    xp = namespace(array)
    if not door.finite or bool(xp.all(xp.isfinite(array))):
        return
    host = door.backend.to_numpy(array)
    row, column = (int(i) for i in np.argwhere(~np.isfinite(host.reshape(len(host), -1)))[0])
    value = host.reshape(len(host), -1)[row, column]
    what = "NaN" if np.isnan(value) else "infinity"
    msg = (
        f"{name} holds {what} at row {row}, column {column} (counted from 0; in {host.dtype}); "
        "fill or drop it first"
    )
    raise ValueError(msg)


def precision(dtype: str | None) -> tuple[str | None, str | None]:
    """Return the dtype that parameters are to have, and what training multiplies in where that is another.

    Examples
    --------
    >>> precision(np.float32), precision("bfloat16")
    (('float32', None), ('float32', 'bfloat16'))

    Raises
    ------
    ValueError
        If it is another dtype.
    """
    if dtype is None:
        return None, None
    try:
        name = np.dtype(dtype).name
    except TypeError:  # a dtype of another library, or none
        name = str(dtype).rpartition(".")[2]
    if name in HALVES:
        return "float32", name
    if name not in {"float32", "float64"}:
        msg = f"dtype is {name}; give 'float32' or 'float64' (or 'float16', 'bfloat16' to train in 16 bits)"
        raise ValueError(msg)
    return name, None
