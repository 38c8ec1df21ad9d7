"""The derived gradient against three oracles: differences, torch's autograd, and ``jax.grad``.

All three are fed the same forward source, ``chainrule.mathematics.step.objective``.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from chainrule import backends
from chainrule.explain.oracles import smooth_differences
from chainrule.mathematics.activations import ACTIVATIONS
from chainrule.mathematics.architecture import architecture
from chainrule.mathematics.losses import LOSSES
from chainrule.mathematics.step import Batch, gradient, objective
from support.compare import relative_error
from support.data import samples, targets
from support.pairs import all_pairs

# The hidden widths of each depth. Few different shapes: JAX compiles every operation for each.
WIDTHS = {1: (), 2: (4,), 3: (4, 3)}
FEATURES, OUTPUTS, ROWS, STACK = 3, 3, 5, 3
KEY = 12345


@dataclass(frozen=True)
class Variant:
    """What a step adds to the bare loss."""

    weights: bool = False
    decay: float = 0.0
    dropout: float = 0.0
    stack: tuple[int, ...] = ()  # the leading dimensions of the parameters


VARIANTS = {
    "plain": Variant(),
    "weights": Variant(weights=True),
    "decay": Variant(decay=0.05),
    "dropout": Variant(dropout=0.3),
    "everything": Variant(weights=True, decay=0.05, dropout=0.3),
    "stacked": Variant(weights=True, decay=0.05, dropout=0.3, stack=(STACK,)),
}


@dataclass(frozen=True)
class Case:
    """A network, where it stands, and a batch."""

    net: object
    theta: np.ndarray
    batch: Batch
    key: np.ndarray | None

    def on(self, backend):
        """Return the arrays of the case on a backend: theta, batch, key."""
        batch = Batch(*(None if part is None else backend.asarray(part) for part in self.batch))
        key = None if self.key is None else backend.asarray(self.key)
        return backend.asarray(self.theta), batch, key


def made(activation, loss, depth, variant):
    """Return a case whose activations and targets suit the loss, from a seed of its own."""
    rng = np.random.default_rng([depth, len(activation), len(loss), 7])
    output = "identity" if LOSSES[loss].logits else activation
    additions = {"dropout": variant.dropout, "weight_decay": variant.decay}
    net = architecture((FEATURES, WIDTHS[depth], OUTPUTS), activation, output, loss, **additions)
    theta = 0.8 * rng.standard_normal((*variant.stack, net.layout.total))
    weights = rng.uniform(0.5, 2.0, (ROWS, 1)) if variant.weights else None
    X = samples(rng, ROWS, FEATURES)
    Y = targets(rng, loss, (*variant.stack, ROWS, OUTPUTS))
    key = np.asarray(KEY, np.int32) if variant.dropout else None
    return Case(net, theta, Batch(X, Y, weights), key)


CASES = {
    f"{f}-{loss}-{depth}-{name}": made(f, loss, depth, VARIANTS[name])
    for f, loss, depth, name in all_pairs(*map(list, (ACTIVATIONS, LOSSES, WIDTHS, VARIANTS)))
}


def derived(case):
    """Return the hand-derived gradient, by NumPy."""
    theta, batch, key = case.on(backends.named("numpy"))
    return gradient(theta, batch, case.net, key)[1]


def differences(case):
    """Return the gradient by differences of the loss of all networks of the stack."""

    def total(flat):
        return float(objective(flat.reshape(shape), case.batch, case.net, case.key).sum())

    shape, flat = case.theta.shape, case.theta.ravel()
    return smooth_differences(total, flat, np.arange(flat.size)).reshape(shape)


def by_torch(case):
    """Return the gradient by PyTorch's autograd."""
    theta, batch, key = case.on(backends.named("torch:cpu"))
    theta.requires_grad_()
    objective(theta, batch, case.net, key).sum().backward()
    return theta.grad.numpy()


def by_jax(case):
    """Return the gradient by ``jax.grad``."""
    import jax

    theta, batch, key = case.on(backends.named("jax:cpu"))
    return jax.grad(lambda t: objective(t, batch, case.net, key).sum())(theta)


@pytest.mark.parametrize(
    ("oracle", "limit"),
    [
        pytest.param(differences, 1e-6, id="differences"),
        pytest.param(by_torch, 1e-10, id="torch", marks=pytest.mark.needs("torch")),
        pytest.param(by_jax, 1e-10, id="jax", marks=pytest.mark.needs("jax")),
    ],
)
def test_the_derived_gradient_is_that_of_an_oracle_fed_the_same_source(oracle, limit):
    errors = {name: relative_error(derived(case), oracle(case)) for name, case in CASES.items()}
    assert {name: error for name, error in errors.items() if error > limit} == {}


def test_every_backend_derives_the_gradient_that_numpy_derives(backend):
    for loss in LOSSES:
        case = made("tanh", loss, 3, VARIANTS["stacked"])
        theta, batch, key = case.on(backend)
        _, g = gradient(theta, batch, case.net, key)
        assert relative_error(backend.to_numpy(g), derived(case)) < 1e-12, loss


@pytest.mark.parametrize("own", [False, True], ids=["targets", "everything"])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_stack_with_batches_of_its_own_has_the_gradients_of_each_alone(rng, loss, own):
    case = made("gelu", loss, 3, VARIANTS["stacked"])
    X, Y, weights = case.batch
    if own:
        X = rng.standard_normal((STACK, ROWS, FEATURES))
        weights = rng.uniform(0.5, 2.0, (STACK, ROWS, 1))
    _, together = gradient(case.theta, Batch(X, Y, weights), case.net, case.key)
    for number in range(STACK):
        batch = Batch(X[number], Y[number], weights[number]) if own else Batch(X, Y[number], weights)
        _, alone = gradient(case.theta[number], batch, case.net, case.key)
        assert relative_error(together[number], alone) < 1e-13
