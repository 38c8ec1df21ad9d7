"""The gradient flow: how large the gradient is in each layer, and how far a step moves the weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.data.inputs import AnyArray, host
from chainrule.mathematics.optimizers import Optimizer
from chainrule.plots import subject
from chainrule.plots.canvas import OKABE_ITO, QUIET, Ax, Picture, panels
from chainrule.plots.subject import Subject

_SPREAD, _NORM = OKABE_ITO[0], OKABE_ITO[3]
_USUAL = (1e-4, 1e-2)  # usual range of ‖ΔW‖ / ‖W‖


def plot_gradient_flow(
    net: Subject,
    X: AnyArray,
    y: AnyArray,
    *,
    learning_rate: float = 0.1,
    optimizer: str | Optimizer = "sgd",
    ax: Ax = None,
) -> Picture | Any:
    """Draw the sizes of each layer's gradients, and the ratio of the first update to the weights.

    The upper panel has the distribution of the entries of each ``dL/dW`` and their root mean square. The gradient
    vanishes or explodes if layers differ by powers of ten. The lower panel has ``‖ΔW‖ / ‖W‖`` of one step;
    about 1e-3 is usual (A. Karpathy, CS231n notes, "Ratio of weights:updates"), and the shaded band is a power of
    ten to either side.

    Parameters
    ----------
    net
        A network.
    X, y
        Data as for ``net.train``: one batch.
    learning_rate, optimizer
        The rate and the rule of the step, with the optimizer's initial state.
    ax
        Two ``Axes``; ``None`` makes a new picture.

    Returns
    -------
    Picture or Axes
        The new picture, or ``ax``.

    Raises
    ------
    ValueError, TypeError
        If ``net.train`` would refuse the data, or the optimizer is unknown.

    Examples
    --------
    >>> from chainrule import NeuralNetwork
    >>> net = NeuralNetwork(2, (4, 4), 1, seed=0)
    >>> picture = plot_gradient_flow(net, [[0, 1], [1, 1]], [[1], [0]])
    >>> [label.get_text() for label in picture.axes[1].get_xticklabels()]
    ['W1', 'W2', 'W3']
    """
    gradients = [layer.W for layer in subject.gradients(net, X, y)]
    moves = [layer.W for layer in subject.updates(net, X, y, learning_rate, optimizer)]
    weights = [np.asarray(host(layer.W), dtype=np.float64) for layer in net.layers]
    count = len(weights)
    axes, drawn = panels(ax, (max(6.4, 1.6 + 0.55 * count), 6.0), rows=2, sharex=True)
    _draw_sizes(axes[0], gradients)
    _draw_ratios(axes[1], moves, weights)
    for panel in axes:
        panel.set_xticks(range(count), [f"W{number}" for number in range(1, count + 1)])
        panel.set_xlim(-0.5, count - 0.5)
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="y", alpha=0.25)
    return drawn


def _draw_sizes(ax: Any, gradients: Sequence[np.ndarray]) -> None:
    """Draw the distribution of the sizes of each layer's gradients on a log scale; zeros are counted."""
    zeros = [np.mean(g == 0) for g in gradients]
    notes = {place: f"{share:.0%}\nare 0" for place, share in enumerate(zeros) if share}
    if shown := [place for place, share in enumerate(zeros) if share < 1]:
        sizes = [np.abs(gradients[place][gradients[place] != 0]) for place in shown]
        marks = [np.quantile(part, [0.05, 0.25, 0.75, 0.95]) for part in sizes]
        lowest, lower, upper, highest = np.transpose(marks)  # (shown,)
        ax.vlines(shown, lowest, highest, colors=_SPREAD, linewidth=2, label="5 to 95 % of |dL/dW|")
        ax.vlines(shown, lower, upper, colors=_SPREAD, linewidth=7, label="25 to 75 %")
        rms = [np.sqrt(np.mean(gradients[place] ** 2)) for place in shown]
        ax.plot(shown, rms, "D", color=_NORM, markeredgecolor="white", label="root mean square")
    ax.set_ylabel("size of the gradient |dL/dW|")
    _finish(ax, notes)


def _draw_ratios(ax: Any, moves: Sequence[np.ndarray], weights: Sequence[np.ndarray]) -> None:
    """Draw ``‖ΔW‖ / ‖W‖`` of each layer on a log scale."""
    usual = f"usual: {_USUAL[0]:g} to {_USUAL[1]:g}"
    ax.axhspan(*_USUAL, color=QUIET, alpha=0.15, linewidth=0, label=usual)
    changes, norms = (np.array([np.linalg.norm(W) for W in layers]) for layers in (moves, weights))
    moved = (changes > 0) & (norms > 0)  # (layers,)
    ax.plot(np.flatnonzero(moved), changes[moved] / norms[moved], "o", color=_SPREAD)
    ax.set_ylabel("update / weight  ‖ΔW‖ / ‖W‖")
    still = np.flatnonzero(~moved).tolist()
    _finish(ax, {place: "W\nis 0" if changes[place] else "no\nupdate" for place in still})


def _finish(ax: Any, notes: dict[int, str]) -> None:
    """Set the log scale and the legend, and write below the data what a log scale cannot show."""
    ax.set_yscale("log")
    if notes and ax.lines:
        low, high = ax.get_ylim()
        ax.set_ylim(low * (low / high) ** 0.2, high)
    for place, text in notes.items():
        at = {"transform": ax.get_xaxis_transform(), "ha": "center", "fontsize": "small"}
        ax.text(place, 0.03, text, **at)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    else:
        # Nothing is drawn, so a scale would have no meaning.
        ax.tick_params("y", which="both", left=False, labelleft=False)
