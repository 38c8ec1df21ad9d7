"""Evaluation: predictions in blocks of rows, and their loss and accuracy."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from chainrule.backends import Backend
from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.arrays import Array, namespace
from chainrule.mathematics.naming import require
from chainrule.mathematics.step import Batch, forward


class Score(NamedTuple):
    """The loss and the accuracy of a network on some data."""

    loss: float  # on the scale that is reported
    accuracy: float | None  # share of correct classes, 0 to 1; None if the targets are values


@dataclass(frozen=True)
class Outputs:
    """The outputs of a network as a function. Functions of equal networks are equal, so they are compiled once."""

    net: Architecture

    def __call__(self, theta: Array, X: Array) -> Array:
        """Return ``A (n, n_L)`` of the last layer for ``X (n, n_0)``."""
        return forward(theta, X, self.net).A


def outputs(theta: Array, X: Array, net: Architecture, backend: Backend) -> Array:
    """Return the outputs ``(n, n_L)`` of the last layer for ``X (n, n_0)``.

    They are computed in blocks of rows, so the memory does not depend on the number of rows.

    Parameters
    ----------
    theta : array
        ``(P,)``, the parameters.
    X : array
        ``(n, n_0)``, the samples.
    net : Architecture
        The network.
    backend : Backend
        The backend of the arrays.

    Returns
    -------
    array
        ``(n, n_L)``, a row for each sample.
    """
    return backend.predict(Outputs(net), theta, X)


def right(A: Array, Y: Array, net: Architecture) -> Array:
    """Return 1 where an output agrees with its target, else 0.

    For one class of many, the largest output must be at the right class. For independent yes or no, the sign of
    each logit counts.

    Parameters
    ----------
    A : array
        ``(n, n_L)``, the outputs of the last layer.
    Y : array
        ``(n, n_L)``, the targets.
    net : Architecture
        The network; its loss determines which of the two cases it is.

    Returns
    -------
    array
        Of the dtype of A: ``(n, 1)`` for one class of many, ``(n, n_L)`` for independent yes or no.
    """
    xp = namespace(A, Y)
    if net.loss.targets == "classes":
        predicted = xp.argmax(A, axis=-1, keepdims=True)  # (n, 1)
        return xp.astype(predicted == xp.argmax(Y, axis=-1, keepdims=True), A.dtype)  # (n, 1)
    return xp.astype((A > 0) == (Y > 0.5), A.dtype)  # (n, n_L)


def confusion_counts(truth: Any, predicted: Any, classes: int) -> np.ndarray:
    """Return the confusion matrix, with a row for each true class.

    Parameters
    ----------
    truth, predicted : array
        ``(n,)`` on the host: whole numbers from 0 up to, but not including, ``classes``.
    classes : int
        The number of classes.

    Returns
    -------
    array
        ``(classes, classes)``, int64.

    Raises
    ------
    ValueError
        If the two differ in length, are empty, or contain other numbers.

    Examples
    --------
    >>> confusion_counts([0, 1, 1], [0, 1, 0], classes=2)
    array([[1, 0],
           [1, 1]])
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)  # (n,)
    sizes = f"{truth.size} true classes and {predicted.size} predicted"
    require(truth.shape == predicted.shape and truth.size > 0, f"got {sizes}; give both for each sample")
    for name, given in (("true", truth), ("predicted", predicted)):
        wrong = given[~np.isin(given, np.arange(classes))].tolist()
        problem = f"a {name} class is {wrong and wrong[0]}; give whole numbers from 0 to {classes - 1}"
        require(not wrong, problem)
    places = (truth * classes + predicted).astype(np.int64)  # (n,)
    return np.bincount(places, minlength=classes**2).reshape(classes, classes)


def score(A: Array, data: Batch, net: Architecture, backend: Backend) -> Score:
    """Return the loss and the accuracy of the outputs ``A (n, n_L)`` over ``data``, whose X is not used.

    Parameters
    ----------
    A : array
        ``(n, n_L)``, the outputs of the last layer.
    data : Batch
        The targets ``Y (n, n_L)``, and the weights ``(n, 1)`` or ``None``.
    net : Architecture
        The network.
    backend : Backend
        The backend of A.

    Returns
    -------
    Score
        The loss as it is reported, and the accuracy from 0 to 1; it is ``None`` if the targets are values.
    """

    def to_float(array: Array) -> float:
        return float(backend.to_numpy(array))

    Y, weights = backend.near(data.Y), None if data.weights is None else backend.near(data.weights)
    rows = A.shape[-2]
    loss = net.loss.reported(to_float(net.loss.value(A, Y, weights)), rows, A.shape[-1])
    if net.loss.targets == "values":
        return Score(loss, None)
    return Score(loss, to_float(namespace(A).mean(right(A, Y, net))))
