"""`chainrule demo`: XOR as in a first course, then handwritten digits."""

from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from chainrule import NeuralNetwork
from chainrule.cli import show
from chainrule.cli.options import Plots
from chainrule.cli.pictures import check_plots, summary, write
from chainrule.cli.rows import in_memory
from chainrule.data.bundled import digits
from chainrule.data.samples import Samples
from chainrule.mathematics.schedules import cosine


def demo(plots: Plots = None) -> None:
    """Train on XOR and on handwritten digits, and show the results."""
    check_plots(plots)
    screen = show.console()
    for example in (_xor, _digits):
        pictures = example(screen, draws=plots is not None)
        if plots is not None:
            screen.out(summary(write(plots, pictures)))


def _xor(screen: Console, *, draws: bool) -> dict[str, Any]:
    """Train on XOR; return the pictures by name."""
    screen.rule("XOR: 2 inputs, 4 hidden units, 1 output")
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    y = np.array([[0], [1], [1], [0]])
    network = NeuralNetwork(input_size=2, hidden_size=4, output_size=1, backend="numpy", seed=1)
    pictures = {}
    if draws:
        from chainrule import plots

        start = plots.plot_gradient_flow(network, X, y, learning_rate=0.5)
        pictures["xor-gradient-flow-at-start"] = start
    history = network.train(X, y, epochs=20_000, learning_rate=0.5)
    table = Table("x1", "x2", "wanted", "predicted")
    for (x1, x2), wanted, predicted in zip(X, y[:, 0], network.feedforward(X)[:, 0], strict=True):
        table.add_row(str(x1), str(x2), str(wanted), f"{predicted:.3f}")
    screen.print(table)
    if draws:
        pictures |= {"xor-history": history.plot()} if len(history) else {}
        pictures["xor-decision-boundary"] = plots.plot_decision_boundary(network, X, y)
        pictures["xor-network"] = plots.plot_network(network, X, y)
        pictures["xor-loss-surface"] = plots.plot_loss_surface(network, X, y)
    return pictures


def _digits(screen: Console, *, draws: bool) -> dict[str, Any]:
    """Train on the digits; return the pictures by name."""
    screen.rule("handwritten digits: 64 pixels, 10 classes")
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
    if not draws:
        return {}
    from chainrule import plots

    pictures = {"digits-history": history.plot()} if len(history) else {}
    return pictures | {"digits-confusion": plots.plot_confusion(truth, predicted)}
