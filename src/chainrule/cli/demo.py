"""`chainrule demo`: XOR as in a first course, then handwritten digits."""

import numpy as np
from rich.console import Console
from rich.table import Table

from chainrule import NeuralNetwork
from chainrule.cli import show
from chainrule.cli.rows import in_memory
from chainrule.data.bundled import digits
from chainrule.data.samples import Samples
from chainrule.mathematics.schedules import cosine


def demo() -> None:
    """Train on XOR and on handwritten digits, and show the results."""
    screen = show.console()
    screen.rule("XOR: 2 inputs, 4 hidden units, 1 output")
    _xor(screen)
    screen.rule("handwritten digits: 64 pixels, 10 classes")
    _digits(screen)


def _xor(screen: Console) -> None:
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    y = np.array([[0], [1], [1], [0]])
    network = NeuralNetwork(input_size=2, hidden_size=4, output_size=1, backend="numpy", seed=1)
    network.train(X, y, epochs=20_000, learning_rate=0.5)
    table = Table("x1", "x2", "wanted", "predicted")
    for (x1, x2), wanted, predicted in zip(X, y[:, 0], network.feedforward(X)[:, 0], strict=True):
        table.add_row(str(x1), str(x2), str(wanted), f"{predicted:.3f}")
    screen.print(table)


def _digits(screen: Console) -> None:
    X, y = digits()
    classes = list(range(10))
    samples = Samples(X, y, [f"pixel {i}" for i in range(64)], classes, "classification")
    rows = in_memory(samples, "digit", 0.2, seed=0)
    network = NeuralNetwork(
        *(64, (128, 64), 10),
        activation="relu",
        loss="cross_entropy",
        initializer="glorot_uniform",
        dropout=0.2,
        weight_decay=0.001,
        backend="numpy",
        dtype="float32",
        seed=0,
    )
    history = network.train(
        *rows.training,
        epochs=20,
        batch_size=128,
        learning_rate=cosine(0.01),
        optimizer="adam",
        validation_data=rows.watched,
        progress=True,  # on standard error
    )
    screen.out(str(history))
    inputs, truth = rows.watched
    predicted = network.backend.to_numpy(network.predict_classes(inputs))
    screen.print(show.confusion(truth, predicted, classes))
    right = float(np.mean(predicted == truth))
    screen.print(f"[bold green]{show.percent(right)}[/] of {truth.size} digits that it had never seen")
