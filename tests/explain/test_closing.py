"""Training ends with one line where the network did not learn, and with none where it did."""

import numpy as np
import pytest

from chainrule import Activation, NeuralNetwork
from chainrule.data import digits
from support.data import XOR_X, XOR_Y

PIXELS, DIGITS = (array[:600] for array in digits())
PIXELS = PIXELS / 16
ROWS = np.random.default_rng(0).standard_normal((200, 3))
SHARE, NOISE = np.abs(np.sin(ROWS[:, :1])), np.random.default_rng(1).standard_normal((200, 1))


def curve(hidden=8, **given):
    given = {"activation": "tanh", "loss": "mean_squared_error", "seed": 0} | given
    return NeuralNetwork(3, hidden, 1, **given)


def for_digits(hidden=32, **given):
    return NeuralNetwork(
        64, hidden, 10, **{"activation": "relu", "loss": "cross_entropy", "seed": 0} | given
    )


def line(net, X, y, epochs, rate=0.1, **given):
    """Return the notes that training leaves."""
    return "\n".join(net.train(X, y, epochs, rate, progress=False, **given).notes)


FAULTS = {
    "sigmoid 20": (curve(output_activation="sigmoid"), ROWS, 20 + SHARE, 5, 0.1, "y is 20 to 21, "),
    "sigmoid -1": (NeuralNetwork(3, 8, 1, seed=0), ROWS, np.sign(NOISE), 1, 0.1, "binary_cross_entropy"),
    "to 1e80": (curve(activation="relu"), ROWS, SHARE, 3, 30.0, "learning rate too large"),
    "rate": (curve(), ROWS, SHARE, 30, 1e-9, "learning rate too small"),
    "deep": (for_digits((16,) * 8, activation="sigmoid", initializer="glorot_uniform"), PIXELS, DIGITS, 10,
             0.1, "vanishing gradient"),
    "unscaled": (curve(activation="sigmoid"), 1e4 * ROWS, NOISE, 50, 0.01, "unscaled features"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_network_that_did_not_learn_ends_with_the_fault_and_the_remedy(fault, capsys):
    net, X, y, epochs, rate, wanted = FAULTS[fault]
    history = net.train(X, y, epochs, rate, progress=True)
    (text,) = history.notes
    assert wanted in text
    assert "\n" not in text
    assert capsys.readouterr().err.splitlines()[-1] == text == str(history).splitlines()[-1]


def test_the_line_comes_on_every_backend(backend):
    net = curve(backend=backend, dtype="float32")
    assert "the loss rose from " in line(net, ROWS, SHARE, 9, 5.0)


@pytest.mark.parametrize("epochs", [1, 20])
def test_a_network_that_learns_gets_no_line(epochs):
    scaled = (PIXELS - PIXELS.mean(axis=0)) / (PIXELS.std(axis=0) + 1e-3)
    adam = {"optimizer": "adam", "batch_size": 64}
    for activation in ("relu", "tanh", "sigmoid"):
        assert line(for_digits(activation=activation), scaled, DIGITS, epochs, 1e-3, **adam) == ""
    assert line(for_digits(dropout=0.5, dtype="float32"), PIXELS, DIGITS, epochs, 1e-2, **adam) == ""
    assert line(NeuralNetwork(2, 4, 1, seed=1), XOR_X, XOR_Y, 10 * epochs, 0.5) == ""
    weights = np.linspace(0.0, 5.0, len(ROWS))
    assert line(curve(weight_decay=0.1), ROWS, SHARE, epochs, sample_weight=weights) == ""


def test_a_network_at_its_floor_trains_on_without_a_line():
    for y in (SHARE, NOISE, 0.0 * SHARE, 3 + 0.0 * SHARE):  # noise and one value teach nothing
        for net, batch_size in ((curve(), 8), (curve(()), None), (curve(activation="relu"), 4)):
            for _ in range(2):
                assert line(net, ROWS, y, 25, 0.02, batch_size=batch_size) == ""


def test_an_early_end_or_a_fault_of_the_diagnosis_itself_leaves_no_line():
    def stop(_):
        return True

    y = 20 + SHARE
    assert line(curve(output_activation="sigmoid"), ROWS, y, 5, callbacks=[stop]) == ""
    calls = []

    def value(Z):  # raises when it is called once more after training
        calls.append(1)
        if len(Z) == 1:
            raise RuntimeError
        return Z

    own = Activation("own", value, lambda Z, _: 1.0 + 0.0 * Z)
    assert line(curve(output_activation=own), ROWS, y, 5, 1e-9, compile=False) == ""
