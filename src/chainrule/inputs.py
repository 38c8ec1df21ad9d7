"""Inputs: what a person hands over, checked at the door and brought to where the network lives.

Host data (lists, NumPy arrays, data frames) may be moved to the network's device: that was asked for
by naming the backend. An array of a device is never moved by itself: that would be a silent copy.
Each error is one line: what was got, what was wanted, the remedy.
"""

from typing import Any

import array_api_compat
import numpy as np

from chainrule import backends
from chainrule.arrays import Array, namespace
from chainrule.backends import Backend
from chainrule.losses import Loss


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


def features(X: Any, n_in: int, backend: Backend, dtype: str) -> Array:
    """Return ``X (n, n_in)`` on the backend, in ``dtype``, every entry finite.

    Raises
    ------
    TypeError
        If X is of a dtype without order (object, text, complex), or on another device.
    ValueError
        If it is empty, has another shape, or holds NaN or infinity; the first place is named.
    """
    X = _numbers(X, "X", backend)
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
    X = backend.asarray(X, dtype)
    _check_finite(X, "X", backend)
    return X


def targets(y: Any, rows: int, n_out: int, loss: Loss, backend: Backend, dtype: str) -> Array:
    """Return ``Y (rows, n_out)`` on the backend, in ``dtype``; class labels become one-hot rows.

    Raises
    ------
    TypeError
        If y is of a dtype without order, or on another device.
    ValueError
        If its length or shape does not fit, it holds NaN or infinity, or it is not what the loss
        takes: labels from 0 to n_out - 1, or probabilities.
    """
    y = _numbers(y, "y", backend)
    if len(y.shape) == 0 or y.shape[0] != rows:
        got = "no rows" if len(y.shape) == 0 else f"{y.shape[0]} rows"
        msg = f"y has {got} but X has {rows}; give one target for each sample"
        raise ValueError(msg)
    labels = len(y.shape) == 1 or tuple(y.shape) == (rows, 1)
    if loss.targets == "classes" and labels:
        return _one_hot(y, rows, n_out, backend, dtype)
    if len(y.shape) == 1 and n_out == 1:
        y = namespace(y).reshape(y, (rows, 1))
    if tuple(y.shape) != (rows, n_out):
        msg = f"y has shape {tuple(y.shape)} but the network gives ({rows}, {n_out}); reshape y"
        raise ValueError(msg)
    Y = backend.asarray(y, dtype)
    _check_finite(Y, "y", backend)
    _check_probabilities(Y, loss)
    return Y


def sample_weights(weights: Any, rows: int, backend: Backend, dtype: str) -> Array:
    """Return ``(rows, 1)`` on the backend, in ``dtype``: finite and not negative.

    Raises
    ------
    TypeError
        If they are of a dtype without order, or on another device.
    ValueError
        If their number is not that of the rows, or one is negative or not finite.
    """
    weights = _numbers(weights, "sample_weight", backend)
    if tuple(weights.shape) not in {(rows,), (rows, 1)}:
        msg = f"sample_weight has shape {tuple(weights.shape)}, wanted ({rows},): one a sample"
        raise ValueError(msg)
    weights = backend.asarray(weights, dtype)
    _check_finite(weights, "sample_weight", backend)
    xp = namespace(weights)
    if bool(xp.any(weights < 0)):
        msg = "sample_weight holds a negative weight; give 0 to leave a sample out"
        raise ValueError(msg)
    return xp.reshape(weights, (rows, 1))


def parameter(given: Any, shape: tuple[int, ...], name: str, backend: Backend, dtype: str) -> Array:
    """Return a parameter of this shape on the backend, in ``dtype``, every entry finite.

    Raises
    ------
    TypeError
        If it is of a dtype without order, or on another device.
    ValueError
        If it is of another shape, or not finite.
    """
    array = _numbers(given, name, backend)
    if tuple(array.shape) != shape:
        msg = f"{name} has shape {tuple(array.shape)}, wanted {shape}"
        raise ValueError(msg)
    array = backend.asarray(array, dtype)
    _check_finite(array, name, backend)
    return array


def _numbers(x: Any, name: str, backend: Backend) -> Any:
    """Return ``x`` as an array of numbers, where it was: on the host, or on the backend's device."""
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


def _check_finite(array: Array, name: str, backend: Backend) -> None:
    xp = namespace(array)
    if bool(xp.all(xp.isfinite(array))):
        return
    host = backend.to_numpy(array)
    row, column = (int(i) for i in np.argwhere(~np.isfinite(host.reshape(len(host), -1)))[0])
    value = host.reshape(len(host), -1)[row, column]
    what = "NaN" if np.isnan(value) else "infinity"
    msg = (
        f"{name} holds {what} at row {row}, column {column} (counted from 0; in {host.dtype}); "
        "fill or drop it first"
    )
    raise ValueError(msg)


def _check_probabilities(Y: Array, loss: Loss) -> None:
    if loss.targets == "values":
        return
    xp = namespace(Y)
    if bool(xp.any((Y < 0) | (Y > 1))):
        msg = f"y holds values outside 0 to 1; {loss.name} takes probabilities, or 0 and 1"
        raise ValueError(msg)
    if loss.targets == "classes":
        off = xp.abs(xp.sum(Y, axis=-1) - 1.0) > 1e-3
        if bool(xp.any(off)):
            msg = f"the rows of y do not sum to 1; {loss.name} takes labels, or one-hot rows"
            raise ValueError(msg)


def _one_hot(y: Any, rows: int, n_out: int, backend: Backend, dtype: str) -> Array:
    # Compared as floating-point numbers: a small integer dtype need not hold every class.
    y = backend.asarray(namespace(y).reshape(y, (rows, 1)), dtype)  # (rows, 1)
    xp = namespace(y)
    classes = xp.arange(n_out, dtype=y.dtype, device=backend.device)  # (n_out,)
    hits = y == classes  # (rows, n_out)
    known = xp.any(hits, axis=-1)  # (rows,)
    if not bool(xp.all(known)):
        row = int(np.argmin(backend.to_numpy(known)))
        label = float(backend.to_numpy(y)[row, 0])
        msg = (
            f"y holds label {label:g} at row {row}, but the network has {n_out} classes: "
            f"give whole numbers from 0 to {n_out - 1}"
        )
        raise ValueError(msg)
    return xp.astype(hits, y.dtype)  # (rows, n_out)
