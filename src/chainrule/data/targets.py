"""Targets: the targets and weights of a batch, checked and converted for the loss."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.data.inputs import Door, features, in_plain_order, numbers, placed
from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.arrays import Array, namespace
from chainrule.mathematics.losses import Loss
from chainrule.mathematics.naming import require
from chainrule.mathematics.step import Batch

_LARGE = 1e8  # bytes; smaller targets are not compared with the free memory


def batch(given: Sequence[Any], net: Architecture, door: Door) -> Batch:
    """Return ``(X, y, sample_weight)`` as a network takes them.

    Parameters
    ----------
    given : sequence
        X ``(n, n_in)``, y, and the weights or ``None``.
    net : Architecture
        The network.
    door : Door
        The backend and dtype.

    Returns
    -------
    Batch
        ``X (n, n_in)``, ``Y (n, n_out)``, and weights ``(n, 1)`` or ``None``.

    Raises
    ------
    TypeError, ValueError
        As :func:`chainrule.data.inputs.features`, :func:`targets` and :func:`sample_weights`.
    """
    X, y, weights = given
    return with_targets(features(X, net.sizes[0], door), y, weights, net, door)


def with_targets(X: Any, y: Any, weights: Any, net: Architecture, door: Door) -> Batch:
    """Return a batch of samples that were checked before, with y and the weights converted.

    Parameters
    ----------
    X : array
        ``(n, n_in)``, returned unchanged.
    y, weights : array
        As in :func:`targets` and :func:`sample_weights`; the weights may be ``None``.
    net, door
        As in :func:`batch`.

    Returns
    -------
    Batch
        ``X (n, n_in)``, ``Y (n, n_out)``, and weights ``(n, 1)`` or ``None``.
    """
    rows = X.shape[0]
    with door.backend.quiet():
        Y = targets(y, rows, net.sizes[-1], net.loss, door)
        return Batch(X, Y, None if weights is None else sample_weights(weights, rows, door))


def validation(given: Any) -> Sequence[Any]:
    """Return ``validation_data`` as ``(X, y, sample_weight)``.

    Parameters
    ----------
    given : tuple or list
        ``(X, y)`` or ``(X, y, sample_weight)``.

    Returns
    -------
    sequence
        Three entries; the last is ``None`` without weights.

    Raises
    ------
    TypeError
        If it is not a tuple of two or three.
    """
    problem = f"got a {type(given).__name__}; give (X, y) or (X, y, sample_weight)"
    require(isinstance(given, tuple | list) and len(given) in {2, 3}, problem, TypeError)
    return given if len(given) == 3 else (*given, None)


def targets(y: Any, rows: int, n_out: int, loss: Loss, door: Door) -> Array:
    """Return the targets on the backend; class labels become one-hot rows.

    Parameters
    ----------
    y : array
        ``(rows,)`` or ``(rows, n_out)``.
    rows, n_out : int
        The number of samples and of outputs.
    loss : Loss
        It takes values, probabilities or classes.
    door : Door
        The backend and dtype.

    Returns
    -------
    array
        ``Y (rows, n_out)``.

    Raises
    ------
    TypeError
        If y has a dtype without order, or is on another device.
    ValueError
        If the length or the shape does not match, y contains NaN or infinity, or values that the loss does not
        take: it takes labels from 0 to n_out - 1, or probabilities.
    """
    y = numbers(y, "y", door.backend)
    if len(y.shape) == 0 or y.shape[0] != rows:
        got = "no rows" if len(y.shape) == 0 else f"{y.shape[0]} rows"
        transposed = len(y.shape) == 2 and y.shape[1] == rows
        remedy = "was it transposed? give y.T" if transposed else "give one target for each sample"
        msg = f"y has {got} but X has {rows}; {remedy}"
        raise ValueError(msg)
    labels = len(y.shape) == 1 or tuple(y.shape) == (rows, 1)
    if loss.targets == "classes" and labels:
        return _one_hot(y, rows, n_out, door)
    if len(y.shape) == 1 and n_out == 1:
        y = namespace(y).reshape(y, (rows, 1))
    if tuple(y.shape) != (rows, n_out):
        remedy = f"give {n_out} targets a row, or make the network with another output_size"
        if labels and _are_labels(door.backend.to_numpy(y), n_out).all():
            remedy = "y looks like class labels; use loss='cross_entropy'"
        elif math.prod(y.shape) == rows * n_out:
            remedy = f"give y.reshape({rows}, {n_out})"
        elif len(y.shape) == 2:
            remedy = f"make the network with output_size={y.shape[1]}"
        msg = f"y has shape {tuple(y.shape)} but the network gives ({rows}, {n_out}); {remedy}"
        raise ValueError(msg)
    return _probabilities(placed(y, "y", door), loss)


def sample_weights(weights: Any, rows: int, door: Door) -> Array:
    """Return the sample weights on the backend: finite and not negative.

    Parameters
    ----------
    weights : array
        ``(rows,)`` or ``(rows, 1)``.
    rows : int
        The number of samples.
    door : Door
        The backend and dtype.

    Returns
    -------
    array
        ``(rows, 1)``.

    Raises
    ------
    TypeError
        If they have a dtype without order, or are on another device.
    ValueError
        If their number is not that of the rows, or one is negative or not finite.
    """
    weights = numbers(weights, "sample_weight", door.backend)
    shape = tuple(weights.shape)
    problem = f"sample_weight has shape {shape}, wanted ({rows},): one a sample"
    require(shape in {(rows,), (rows, 1)}, problem)
    weights = placed(weights, "sample_weight", door)
    xp = namespace(weights)
    problem = "sample_weight holds a negative weight; give 0 to leave a sample out"
    require(not bool(xp.any(weights < 0)), problem)
    return xp.reshape(weights, (rows, 1))


def _probabilities(Y: Array, loss: Loss) -> Array:
    """Check targets that are probabilities, and divide the probabilities of classes by their sum.

    The gradient of the loss is the derivative of its value only if that sum is 1.
    """
    if loss.targets == "values":
        return Y
    xp = namespace(Y)
    problem = f"y holds values outside 0 to 1; {loss.name} takes probabilities, or 0 and 1"
    require(not bool(xp.any((Y < 0) | (Y > 1))), problem)
    if loss.targets != "classes":
        return Y
    sums = xp.sum(Y, axis=-1, keepdims=True)  # (rows, 1)
    if bool(xp.any(xp.abs(sums - 1.0) > 1e-3)):
        rows, classes = Y.shape
        remedy = f"{loss.name} takes labels, or one-hot rows"
        if bool(xp.all(xp.sum(xp.reshape(Y, (classes, rows)), axis=0) == 1.0)):
            remedy = "was it transposed by reshape? make it with .T"
        msg = f"the rows of y do not sum to 1; {remedy}"
        raise ValueError(msg)
    return Y if bool(xp.all(sums == 1.0)) else Y / sums  # (rows, n_out)


def _are_labels(y: np.ndarray, classes: int) -> np.ndarray:
    """Return which entries are whole numbers from 0 to ``classes - 1``, compared in the dtype of ``y``."""
    are: np.ndarray = (y >= 0) & (y < classes) & (np.floor(y) == y)
    return are


def _one_hot(y: Any, rows: int, n_out: int, door: Door) -> Array:
    nbytes = rows * n_out * np.dtype(door.dtype).itemsize
    available = door.backend.available_bytes() if nbytes > _LARGE else None
    if available is not None and nbytes > available:
        msg = (
            f"y holds labels of {n_out:,} classes in {rows:,} rows, which take {nbytes / 1e9:.1f} GB as one-hot "
            f"rows; {available / 1e9:.1f} GB are free: train on fewer rows at a time (resume=True)"
        )
        raise MemoryError(msg)
    y = in_plain_order(namespace(y).reshape(y, (rows, 1)))
    moved = door.backend.asarray(y, door.dtype)  # (rows, 1)
    labels = y if isinstance(y, np.ndarray) else door.backend.to_numpy(moved)  # (rows, 1)
    wrong = np.flatnonzero(~_are_labels(labels, n_out))
    if wrong.size:
        msg = (
            f"y holds label {labels[wrong[0], 0].item()!r} at row {wrong[0]}, but the network has {n_out} classes: "
            f"give whole numbers from 0 to {n_out - 1}"
        )
        raise ValueError(msg)
    # Compared as floating-point numbers: a small integer dtype need not hold every class.
    classes = door.backend.asarray(np.arange(n_out), moved.dtype)  # (n_out,)
    return namespace(moved).astype(moved == classes, moved.dtype)  # (rows, n_out)
