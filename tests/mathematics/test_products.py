"""A step with L layers does 3L - 1 matrix products, and L one-row products for the biases."""

import array_api_strict as xp
import pytest

from chainrule import NeuralNetwork, backends
from chainrule.mathematics.architecture import architecture
from chainrule.mathematics.initializers import draw
from chainrule.mathematics.optimizers import OPTIMIZERS, optimizer
from chainrule.mathematics.step import Batch, Progress, forward, step
from support.counting import products_counted

HIDDEN = {1: (), 2: (4,), 3: (4, 6), 4: (4, 6, 5)}
ROWS, FEATURES, OUTPUTS = 7, 3, 2


def made(depth, **additions):
    net = architecture((FEATURES, HIDDEN[depth], OUTPUTS), "tanh", **additions)
    room = backends.get(xp)
    theta = room.asarray(draw(net, seed=0))
    return net, theta, Batch(xp.ones((ROWS, FEATURES)), xp.ones((ROWS, OUTPUTS)))


@pytest.mark.parametrize(
    ("depth", "name"), [*zip(HIDDEN, list(OPTIMIZERS)[1:], strict=True), (3, "sgd")]
)
def test_a_step_does_exactly_3l_minus_1_products_and_l_one_row_ones(monkeypatch, depth, name):
    net, theta, batch = made(depth, weight_decay=0.1, dropout=0.1, clip_norm=1.0)
    rule = optimizer(name)
    start, key = Progress(theta, rule.init(theta)), xp.asarray(1, dtype=xp.int32)
    with products_counted(monkeypatch) as seen:
        forward(theta, batch.X, net)
        passes = len(seen)
        step(start, batch, xp.asarray(0.1), key, net, rule)
    assert passes == depth
    one_row = [shape for shape in seen if shape[0] == 1]
    full = [shape for shape in seen[passes:] if shape[0] != 1]
    assert len(full) == 3 * depth - 1
    assert one_row == [(1, ROWS, n_out) for n_out in net.sizes[:0:-1]]
    assert sum(2 * rows * inner * columns for rows, inner, columns in full) == net.flops(ROWS)


def test_an_epoch_of_training_does_the_products_of_its_steps_and_no_others(monkeypatch):
    counts = []
    for epochs in (1, 3):  # a trial on two rows comes before the first
        net = NeuralNetwork(FEATURES, (4, 6), OUTPUTS, backend=xp, seed=0)
        with products_counted(monkeypatch) as seen:
            X, y = xp.ones((ROWS, FEATURES)), xp.zeros((ROWS, OUTPUTS))
            net.train(X, y, epochs, batch_size=3, progress=False)
        counts.append(len(seen))
    steps = 2 * 3  # 7 rows by 3
    assert counts[1] - counts[0] == steps * (3 * 3 - 1 + 3)
