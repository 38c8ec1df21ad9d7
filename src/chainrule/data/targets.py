"""Samples: the features, targets and weights of a batch, as the loss of a network takes them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.data.inputs import Door, check_finite, features, numbers
from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.arrays import Array, namespace
from chainrule.mathematics.losses import Loss
from chainrule.mathematics.step import Batch


def batch(given: Sequence[Any], net: Architecture, door: Door) -> Batch:
    """Return ``(X, y, sample_weight)`` as a network takes them; the weights may be ``None``.

    Raises
    ------
    TypeError, ValueError
        As :func:`chainrule.data.inputs.features`, :func:`targets` and :func:`sample_weights`.
    """
    X, y, weights = given
    X = features(X, net.sizes[0], door)
    rows = X.shape[0]
    with door.backend.quiet():
        Y = targets(y, rows, net.sizes[-1], net.loss, door)
        return Batch(X, Y, None if weights is None else sample_weights(weights, rows, door))


def validation(given: Any) -> Sequence[Any]:
    """Return ``validation_data`` as ``(X, y, sample_weight)``; the weights may be ``None``.

    Raises
    ------
    TypeError
        If it is not a tuple of two or three.
    """
    if not isinstance(given, tuple | list) or len(given) not in {2, 3}:
        msg = f"validation_data is a {type(given).__name__}; give (X, y) or (X, y, sample_weight)"
        raise TypeError(msg)
    return given if len(given) == 3 else (*given, None)


def targets(y: Any, rows: int, n_out: int, loss: Loss, door: Door) -> Array:
    """Return ``Y (rows, n_out)`` on the backend, in ``dtype``; class labels become one-hot rows.

    Raises
    ------
    TypeError
        If y is of a dtype without order, or on another device.
    ValueError
        If its length or shape does not fit, it holds NaN or infinity, or it is not what the loss
        takes: labels from 0 to n_out - 1, or probabilities.
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
        msg = f"y has shape {tuple(y.shape)} but the network gives ({rows}, {n_out}); reshape y"
        raise ValueError(msg)
    Y = door.backend.asarray(y, door.dtype)
    check_finite(Y, "y", door)
    _check_probabilities(Y, loss)
    return Y


def sample_weights(weights: Any, rows: int, door: Door) -> Array:
    """Return ``(rows, 1)`` on the backend, in ``dtype``: finite and not negative.

    Raises
    ------
    TypeError
        If they are of a dtype without order, or on another device.
    ValueError
        If their number is not that of the rows, or one is negative or not finite.
    """
    weights = numbers(weights, "sample_weight", door.backend)
    if tuple(weights.shape) not in {(rows,), (rows, 1)}:
        msg = f"sample_weight has shape {tuple(weights.shape)}, wanted ({rows},): one a sample"
        raise ValueError(msg)
    weights = door.backend.asarray(weights, door.dtype)
    check_finite(weights, "sample_weight", door)
    xp = namespace(weights)
    if bool(xp.any(weights < 0)):
        msg = "sample_weight holds a negative weight; give 0 to leave a sample out"
        raise ValueError(msg)
    return xp.reshape(weights, (rows, 1))


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
            rows, classes = Y.shape
            remedy = f"{loss.name} takes labels, or one-hot rows"
            if bool(xp.all(xp.sum(xp.reshape(Y, (classes, rows)), axis=0) == 1.0)):
                remedy = "was it transposed by reshape? make it with .T"
            msg = f"the rows of y do not sum to 1; {remedy}"
            raise ValueError(msg)


def _one_hot(y: Any, rows: int, n_out: int, door: Door) -> Array:
    # Compared as floating-point numbers: a small integer dtype need not hold every class.
    y = door.backend.asarray(namespace(y).reshape(y, (rows, 1)), door.dtype)  # (rows, 1)
    xp = namespace(y)
    classes = xp.arange(n_out, dtype=y.dtype, device=door.backend.device)  # (n_out,)
    hits = y == classes  # (rows, n_out)
    known = xp.any(hits, axis=-1)  # (rows,)
    if not bool(xp.all(known)):
        row = int(np.argmin(door.backend.to_numpy(known)))
        label = float(door.backend.to_numpy(y)[row, 0])
        msg = (
            f"y holds label {label:g} at row {row}, but the network has {n_out} classes: "
            f"give whole numbers from 0 to {n_out - 1}"
        )
        raise ValueError(msg)
    return xp.astype(hits, y.dtype)  # (rows, n_out)
