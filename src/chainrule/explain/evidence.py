"""Evidence: what the diagnosis looks at, on the host."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from chainrule.backends import Backend
from chainrule.explain.records import Update
from chainrule.mathematics.activations import Activation
from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.step import Batch

_FAR = 20.0  # an input at which every usual activation is as flat as it will get
_FLAT = 0.04  # of the steepest slope: a sigmoid beyond ±4.6
FEWEST = 20  # rows; what fewer have in common may be chance


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
    loss_of_guess: float  # of giving one answer to every row

    @property
    def depth(self) -> int:
        """How many layers there are."""
        return len(self.slopes)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.arrays["X"])

    @property
    def has_learnt(self) -> bool:
        """Whether the network does clearly better than one answer for all rows."""
        return 0.0 < self.loss_of_guess >= 2.0 * self.loss_before


def slope(activation: Activation, backend: Backend) -> Slope:
    """Return how steep an activation is, found by asking it."""
    Z = backend.asarray(np.linspace(-_FAR, _FAR, 161)[None, :], backend.default_dtype)  # (1, 161)
    with backend.quiet():
        dA_dZ = abs(backend.to_numpy(activation.derivative(Z, activation.value(Z))))[0]  # (161,)
    return Slope(float(dA_dZ.max()), float(dA_dZ[0]), float(dA_dZ[-1]))


def loss_of_guess(batch: Batch, net: Architecture, backend: Backend) -> float:
    """Return the loss of a network that gives one answer whatever it is given: the mean target.

    Of a few rows the mean says little, of one row nothing. Where their targets are classes, the answer
    is that each class is as likely.
    """
    Y = backend.to_numpy(batch.Y)  # (n, n_L)
    guess = np.broadcast_to(Y.mean(axis=0, keepdims=True), Y.shape)  # (n, n_L)
    if len(Y) < FEWEST and np.isin(Y, (0, 1)).all():
        alike = 1 / Y.shape[1] if (Y.sum(axis=1) == 1).all() and Y.shape[1] > 1 else 0.5
        guess = np.full_like(Y, alike)  # (n, n_L)
    if net.loss.logits:
        inside = np.clip(guess, 1e-12, 1 - 1e-12)  # (n, n_L)
        others = 1.0 if net.loss.targets == "classes" else 1 - inside
        guess = np.log(inside / others)  # (n, n_L)
    A = backend.asarray(np.array(guess, dtype=Y.dtype))  # (n, n_L)
    with backend.quiet():
        return float(backend.to_numpy(net.loss.value(A, batch.Y, batch.weights)))
