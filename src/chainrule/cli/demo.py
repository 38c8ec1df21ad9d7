"""`chainrule demo`: XOR as in a first course, then handwritten digits."""

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from chainrule import NeuralNetwork
from chainrule.cli import show
from chainrule.cli.options import Plots
from chainrule.cli.pictures import check_plots, summary, write
from chainrule.data.bundled import digits
from chainrule.data.samples import Samples, split
from chainrule.data.scaling import Scaler
from chainrule.mathematics.schedules import cosine


def demo(plots: Plots = None) -> None:
    """Train on XOR and on handwritten digits, and show what was learnt."""
    check_plots(plots)
    screen = show.console()
    _xor(screen, plots)
    _digits(screen, plots)


def _xor(screen: Console, plots: Path | None) -> None:
    screen.rule("XOR: 2 inputs, 4 hidden units, 1 output")
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    y = np.array([[0], [1], [1], [0]])
    network = NeuralNetwork(input_size=2, hidden_size=4, output_size=1, backend="numpy", seed=1)
    drawn = {}
    if plots is not None:
        from chainrule.plots import (
            plot_decision_boundary,
            plot_gradient_flow,
            plot_loss_surface,
            plot_network,
        )

        drawn["xor-gradient-flow-at-start"] = plot_gradient_flow(network, X, y, learning_rate=0.5)
    history = network.train(X, y, epochs=20_000, learning_rate=0.5)
    table = Table("x1", "x2", "wanted", "predicted")
    for (x1, x2), wanted, predicted in zip(X, y[:, 0], network.feedforward(X)[:, 0], strict=True):
        table.add_row(str(x1), str(x2), str(wanted), f"{predicted:.3f}")
    screen.print(table)
    if plots is not None:
        drawn |= {"xor-history": history.plot()} if len(history) else {}
        drawn["xor-decision-boundary"] = plot_decision_boundary(network, X, y)
        drawn["xor-network"] = plot_network(network, X, y)
        drawn["xor-loss-surface"] = plot_loss_surface(network, X, y)
        screen.out(summary(write(plots, drawn)))


def _digits(screen: Console, plots: Path | None) -> None:
    screen.rule("handwritten digits: 64 pixels, 10 classes")
    X, y = digits()
    classes = list(range(10))
    samples = Samples(X, y, [f"pixel {i}" for i in range(64)], classes, "classification")
    learnt, kept = split(samples, 0.2, np.random.default_rng(0))
    X = Scaler.fit(X[learnt]).apply(X)
    network = NeuralNetwork(
        64,
        (128, 64),
        10,
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
        X[learnt],
        y[learnt],
        epochs=20,
        batch_size=128,
        learning_rate=cosine(0.01),
        optimizer="adam",
        validation_data=(X[kept], y[kept]),
        progress=True,  # on standard error
    )
    screen.out(str(history))
    predicted = network.backend.to_numpy(network.predict_classes(X[kept]))
    screen.print(show.confusion(y[kept], predicted, classes))
    right = float(np.mean(predicted == y[kept]))
    screen.print(f"[bold green]{show.percent(right)}[/] of {kept.size} digits that it had never seen")
    if plots is not None:
        from chainrule.plots import plot_confusion

        drawn = {"digits-history": history.plot()} if len(history) else {}
        drawn["digits-confusion"] = plot_confusion(y[kept], predicted)
        screen.out(summary(write(plots, drawn)))
