"""Epochs that nobody watches run many at a time, and come out as one by one."""

import numpy as np
import pytest

from chainrule import NeuralNetwork
from support import engines


def watched(_record):
    """Be called after each epoch, which therefore runs alone."""


def trained(monkeypatch, engine, callbacks, **given):
    """Return what 500 epochs come to: the history, the weights, the error."""
    engines.use(monkeypatch, engine)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    net = NeuralNetwork(
        3, 5, 2, activation="relu", output_activation="identity", dropout=given.pop("dropout", 0), seed=0
    )
    error = ""
    try:
        history = net.train(X, y, 500, progress=False, callbacks=callbacks, **given)
    except FloatingPointError as stopped:
        history, error = [], str(stopped)
    return [record[:-1] for record in history], np.concatenate([W.ravel() for W, _ in net.layers]), error


@pytest.mark.parametrize("engine", ["replay", engines.NATIVE])
@pytest.mark.parametrize(
    "given",
    [
        {"learning_rate": 0.01, "optimizer": "adam", "dropout": 0.5},
        {"learning_rate": lambda epoch, epochs: 0.01 * (1 - epoch / epochs)},
        {"learning_rate": 0.05},  # diverges
        {
            "learning_rate": lambda epoch, _: 0.001 if epoch < 400 else 9.0,
            "batch_size": 10,
        },  # then diverges
        {"learning_rate": 3e150},  # the first update overflows
    ],
)
def test_epochs_run_together_are_those_run_one_by_one(given, engine, monkeypatch):
    together, alone = (trained(monkeypatch, engine, callbacks, **given) for callbacks in ([], [watched]))
    assert together[0] == alone[0]
    assert (together[1] == alone[1]).all()
    assert together[2] == alone[2]
    assert together[2] or len(together[0]) == 500


@pytest.mark.parametrize("engine", ["replay", engines.NATIVE])
def test_seconds_grow_from_epoch_to_epoch(engine, monkeypatch):
    engines.use(monkeypatch, engine)
    net = NeuralNetwork(2, 4, 1, seed=0)
    seconds = net.train([[0, 0], [1, 0]], [[0], [1]], 3000, progress=False)["seconds"]
    assert (np.diff(seconds) > 0).all()
