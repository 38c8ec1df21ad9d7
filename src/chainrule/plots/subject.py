"""The subject: the parameters, gradients and losses of a network, as float64 arrays on the host.

This module reads only ``net.architecture`` and ``net.layers`` of a network. It computes gradients, updates and
losses with :mod:`chainrule.mathematics.step`, the functions that train the network.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from chainrule import backends
from chainrule.data.inputs import AnyArray, Door, host
from chainrule.data.targets import batch
from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.layers import Dense
from chainrule.mathematics.optimizers import Optimizer, optimizer
from chainrule.mathematics.step import Batch, Progress, gradient, objective, step


class Subject(Protocol):
    """A network as the pictures need it, such as :class:`~chainrule.NeuralNetwork`."""

    architecture: Architecture

    @property
    def layers(self) -> Sequence[Dense]:
        """The parameters of each layer."""


def flat(layers: Any, net: Architecture) -> np.ndarray:
    """Return layers ``(W, b)`` as flat parameters ``(P,)``."""
    parts = [Dense(*(np.asarray(host(part), dtype=np.float64) for part in layer)) for layer in layers]
    joined: np.ndarray = net.layout.join(parts)  # (P,)
    return joined


def samples(net: Subject, X: AnyArray, y: AnyArray) -> Batch:
    """Return the checked data ``X (n, n_0)`` and ``Y (n, n_L)`` of a network.

    Raises
    ------
    ValueError, TypeError
        As ``net.train`` does.
    """
    door = Door(backends.named("numpy"), "float64")
    return batch((host(X), host(y), None), net.architecture, door)


def gradients(net: Subject, X: AnyArray, y: AnyArray) -> tuple[Dense, ...]:
    """Return ``dL_dW (n_in, n_out)`` and ``dL_db (1, n_out)`` of each layer, without dropout."""
    shape = net.architecture
    return shape.layout.split(gradient(flat(net.layers, shape), samples(net, X, y), shape)[1])


def updates(
    net: Subject, X: AnyArray, y: AnyArray, learning_rate: float, rule: str | Optimizer = "sgd"
) -> tuple[Dense, ...]:
    """Return the change of each layer's ``W`` and ``b`` in the first step of an optimizer."""
    shape, chosen = net.architecture, optimizer(rule)
    theta = flat(net.layers, shape)  # (P,)
    start = Progress(theta, chosen.init(theta))
    end, _ = step(start, samples(net, X, y), np.asarray(learning_rate), None, shape, chosen)
    return shape.layout.split(end.theta - theta)


def losses(thetas: np.ndarray, data: Batch, net: Architecture) -> np.ndarray:
    """Return the objective at each of ``thetas (k, P)``, on the scale that training reports: ``(k,)``."""
    with np.errstate(over="ignore", invalid="ignore"):  # a distant loss may overflow, and is left blank
        L = np.array([objective(theta, data, net) for theta in thetas])  # (k,)
    losses: np.ndarray = net.loss.reported(L, data.X.shape[0], net.sizes[-1])  # (k,)
    return losses
