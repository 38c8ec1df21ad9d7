"""`--plots FOLDER`: pictures of the trained network, as PNG files."""

from pathlib import Path

import numpy as np

from chainrule import History, NeuralNetwork
from chainrule.cli.rows import Rows
from chainrule.data.samples import Samples
from chainrule.saving.files import check_folder

_SMALL = 16  # most units of the widest layer; for more, a diagram shows lines, not weights


def check_plots(folder: Path | None) -> None:
    """Raise before training if pictures cannot be drawn or written.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    OSError
        If the folder can neither be written to nor be made.
    """
    if folder is not None:
        from chainrule import plots  # noqa: F401  its error names the extra to install

        check_folder(folder)


def write(
    folder: Path,
    network: NeuralNetwork,
    history: History,
    rows: Rows,
    samples: Samples,
    batch_size: int,
    optimizer: str,
    seed: int,
) -> list[str]:
    """Write the pictures that fit a network trained on a table, and return their paths.

    The history; how good the predictions are, on the held-out rows where there are any; the gradient over a batch, with a
    step at the learning rate of the last epoch; where they can be looked at, the network (16 units a layer) and its
    plane (2 features).
    """
    from chainrule import plots

    facts, (learnt, kept) = rows.facts, rows.places

    def predict(X: np.ndarray) -> np.ndarray:
        """Return probabilities ``(n, k)``, or the quantity in its own units ``(n, 1)``, for unscaled ``X``."""
        P: np.ndarray = network.backend.to_numpy(network.predict(facts.scaler.apply(X)))
        return P if facts.labels else facts.values(P)[:, None]

    some = np.random.default_rng(seed).permutation(learnt)[:batch_size]  # rows of one batch
    X, y = facts.scaler.apply(samples.X[some]), facts.targets(samples.y[some])
    shown, where = (kept, "held-out") if kept.size else (learnt, "training")
    predicted, truth = predict(samples.X[shown]), samples.y[shown]
    pictures = {"history": history.plot()} if len(history) else {}
    if samples.labels:
        matrix = plots.plot_confusion(truth, np.argmax(predicted, axis=1), labels=samples.labels)
        pictures[f"confusion-{where}"] = matrix
    else:
        pictures[f"predictions-{where}"] = plots.plot_predictions(truth, predicted, name=facts.target)
    rate = history.record(-1).learning_rate if len(history) else 0.0
    pictures["gradient-flow"] = plots.plot_gradient_flow(
        network, X, y, learning_rate=rate, optimizer=optimizer
    )
    if max(network.architecture.sizes) <= _SMALL:
        pictures["network"] = plots.plot_network(network, X, y, most=_SMALL)
    if samples.X.shape[1] == 2:
        given = np.asarray(samples.labels)[samples.y] if samples.labels else samples.y  # (n,)
        plane = plots.plot_decision_boundary(predict, samples.X, given, names=samples.features)
        pictures["decision-boundary"] = plane
    folder.mkdir(exist_ok=True)
    return [str(plots.save(picture, folder / f"{name}.png")) for name, picture in pictures.items()]
