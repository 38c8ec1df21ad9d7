"""Evidence: what the diagnosis looks at, on the host."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from chainrule.activations import Activation
from chainrule.architecture import Architecture
from chainrule.backends import Backend
from chainrule.explain.records import Update
from chainrule.step import Batch

_FAR = 20.0  # an input at which every usual activation is as flat as it will get
_FLAT = 0.04  # of the steepest slope: a sigmoid beyond ±4.6


class Slope(NamedTuple):
    """How steep an activation is at its steepest, and far to the left and to the right of 0."""

    steepest: float
    left: float
    right: float

    @property
    def flat(self) -> float:
        """The slope below which little comes through."""
        return _FLAT * self.steepest

    @property
    def saturates(self) -> bool:
        """Whether it is flat on both sides, as a sigmoid is."""
        return self.left < self.flat and self.right < self.flat

    @property
    def dies(self) -> bool:
        """Whether it is flat on one side alone, as a relu is."""
        return (self.left < self.flat) != (self.right < self.flat)


@dataclass(frozen=True)
class Evidence:
    """The arrays of a step by name, and what they are to be judged by."""

    arrays: Mapping[str, np.ndarray]
    slopes: tuple[Slope, ...]  # of each layer's activation
    updates: tuple[Update, ...]
    learning_rate: float
    loss_before: float
    loss_after: float
    loss_of_mean: float  # of always answering the mean target

    @property
    def depth(self) -> int:
        """How many layers there are."""
        return len(self.slopes)

    @property
    def has_learnt(self) -> bool:
        """Whether the network does clearly better than the mean of the targets."""
        return self.loss_before <= 0.5 * self.loss_of_mean


def slope(activation: Activation, backend: Backend) -> Slope:
    """Return how steep an activation is, found by asking it."""
    Z = backend.asarray(np.linspace(-_FAR, _FAR, 161)[None, :], backend.default_dtype)  # (1, 161)
    with backend.quiet():
        dA_dZ = abs(backend.to_numpy(activation.derivative(Z, activation.value(Z))))[0]  # (161,)
    return Slope(float(dA_dZ.max()), float(dA_dZ[0]), float(dA_dZ[-1]))


def loss_of_mean(batch: Batch, net: Architecture, backend: Backend) -> float:
    """Return the loss of a network that answers the mean target whatever it is given."""
    Y = backend.to_numpy(batch.Y)  # (n, n_L)
    mean = np.broadcast_to(Y.mean(axis=0, keepdims=True), Y.shape)  # (n, n_L)
    if net.loss.logits:
        inside = np.clip(mean, 1e-12, 1 - 1e-12)  # (n, n_L)
        others = 1.0 if net.loss.targets == "classes" else 1 - inside
        mean = np.log(inside / others)  # (n, n_L)
    A = backend.asarray(np.array(mean, dtype=Y.dtype))  # (n, n_L)
    with backend.quiet():
        return float(backend.to_numpy(net.loss.value(A, batch.Y, batch.weights)))
