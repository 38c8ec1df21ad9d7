"""Evidence: the arrays and figures that the diagnosis judges, on the host."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from chainrule.backends import Backend
from chainrule.explain.records import Update
from chainrule.mathematics.activations import Activation
from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.step import Batch

_FAR = 20.0  # an input at which every common activation has reached its limit slope
_VERY_FAR = (1e3, 1e6)  # inputs between which a bounded activation does not change
_FLAT = 0.04  # of the steepest slope: a sigmoid beyond ±4.6
FEWEST = 20  # rows; what fewer have in common may be a coincidence


class Curve(NamedTuple):
    """The shape of an activation: its slopes at its steepest and far from 0, and the range of its values."""

    name: str
    steepest: float
    left: float
    right: float
    low: float  # -inf where it has no lower bound
    high: float

    @property
    def flat(self) -> float:
        """The slope below which an activation counts as flat."""
        return _FLAT * self.steepest

    @property
    def saturates(self) -> bool:
        """Whether it is flat on both sides, as a sigmoid is."""
        return self.left < self.flat and self.right < self.flat

    @property
    def dies(self) -> bool:
        """Whether it is flat on one side only, as a relu is."""
        return (self.left < self.flat) != (self.right < self.flat)


@dataclass(frozen=True)
class Evidence:
    """The arrays of a step by name, and the figures to judge them by."""

    arrays: Mapping[str, np.ndarray]
    curves: tuple[Curve, ...]  # of each layer's activation
    updates: tuple[Update, ...]
    learning_rate: float
    loss_before: float
    loss_after: float
    loss_of_guess: float  # of the same answer for every row

    @property
    def depth(self) -> int:
        """The number of layers."""
        return len(self.curves)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.arrays["X"])

    @property
    def has_learnt(self) -> bool:
        """Whether the loss is at most half of that of a guess."""
        return 0.0 < self.loss_of_guess >= 2.0 * self.loss_before


@lru_cache(maxsize=64)
def curve(activation: Activation, backend: Backend) -> Curve:
    """Return the shape of an activation, from its values and derivatives at many inputs."""
    near = np.linspace(-_FAR, _FAR, 161)  # (161,)
    Z = backend.asarray(np.concatenate([near, _VERY_FAR, np.negative(_VERY_FAR)])[None, :])  # (1, 165)
    with backend.quiet():
        A = activation.value(Z)  # (1, 165)
        values = backend.to_numpy(A)[0].astype(np.float64)  # (165,)
        dA_dZ = np.abs(backend.to_numpy(activation.derivative(Z, A)))[0, :161]  # (161,)
        low, high = values.min(), values.max()
        for far, farther in (values[161:163], values[163:]):
            if not abs(farther - far) <= 1e-2 * np.ptp(values[:161]):  # not bounded on this side
                low, high = (-np.inf, high) if farther < far else (low, np.inf)
    ends = float(dA_dZ.max()), float(dA_dZ[0]), float(dA_dZ[-1])
    return Curve(activation.name, *ends, float(low), float(high))


def loss_of_guess(batch: Batch, net: Architecture, backend: Backend) -> float:
    """Return the loss of giving the same answer to every row: the mean target.

    The mean of a few rows says little, of one row nothing. If the targets of a few rows are classes, the
    answer is equal probabilities.
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
