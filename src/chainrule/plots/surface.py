"""The loss surface: the loss around a network's parameters, along two directions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import MaxNLocator

from chainrule.mathematics.naming import require
from chainrule.plots import subject
from chainrule.plots.canvas import OKABE_ITO, panels, spans_decades
from chainrule.plots.directions import Directions, main_directions, random_directions

_POINTS = 41  # along each axis
_LEVELS = 15


def plot_loss_surface(
    net: Any, X: Any, y: Any, *, path: Sequence[Any] | None = None, seed: int = 0, ax: Any = None
) -> Any:
    """Draw the loss over a plane through the network's parameters, with levels by powers where it varies.

    Without a ``path`` the plane is spanned by two random directions, normalised unit by unit, and
    reaches one length of each unit's own parameters to either side (Li et al. 2018, arXiv:1712.09913).
    With one, by the two directions in which the path went farthest, and the path is drawn.

    Parameters
    ----------
    net
        A network.
    X, y
        Data as for ``net.train``. The loss is computed 1681 times on all of it: give some of the rows
        of a large table.
    path
        ``net.layers`` as it was at 3 or more moments of training, the last being the end; recorded
        between calls of ``net.train`` or ``net.backward``.
    seed
        Of the random directions.
    ax
        An ``Axes``; ``None`` makes a new picture.

    Returns
    -------
    The new picture, or ``ax``.

    Raises
    ------
    ValueError, TypeError
        If the data are not what ``net.train`` takes, or the path spans no plane.

    Examples
    --------
    >>> from chainrule import NeuralNetwork
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [0]]
    >>> picture = plot_loss_surface(NeuralNetwork(2, 4, 1, seed=0), X, y)
    >>> picture.axes[1].get_ylabel()
    'mean squared error'
    """
    shape, batch = net.architecture, subject.samples(net, X, y)
    if path is None:
        plane = random_directions(subject.parameters(net), shape.layout, seed)
    else:
        plane = main_directions([subject.flat(layers, shape) for layers in path])
    first, second = _grid(plane)
    across, upwards = np.meshgrid(first, second)  # (p, p)
    steps = np.stack([across.ravel(), upwards.ravel()], axis=1)  # (p p, 2)
    L = subject.losses(plane.centre + steps @ plane.axes, batch, shape).reshape(across.shape)  # (p, p)
    (axes,), drawn = panels(ax, (6.4, 4.8))
    draw_surface(
        axes, (first, second), L, shape.loss.reported_name + (" + penalty" if shape.weight_decay else "")
    )
    _mark(axes, plane)
    axes.set(xlabel=plane.names[0], ylabel=plane.names[1])
    return drawn


def _grid(plane: Directions) -> tuple[np.ndarray, np.ndarray]:
    """Return where to look along either axis: one length to either side, or the path and a margin."""
    low, high = np.full(2, -1.0), np.full(2, 1.0)  # (2,)
    if plane.path is not None:
        low, high = plane.path.min(axis=0), plane.path.max(axis=0)  # (2,)
        margin = 0.25 * (high - low)  # (2,)
        low, high = low - margin, high + margin  # (2,)
    first, second = np.linspace(low, high, _POINTS, axis=1)  # (p,) each
    return first, second


def draw_surface(ax: Any, axes: tuple[np.ndarray, np.ndarray], L: np.ndarray, name: str) -> None:
    """Draw ``L (p, p)`` over two axes ``(p,)`` as contours, by powers of ten where it spans them."""
    shown = np.ma.masked_invalid(L)  # (p, p)   where the loss overflowed there is nothing to draw
    problem = "the loss is nowhere finite on this plane; scale X, or start with smaller weights"
    require(shown.count() > 0, problem)
    low, high = float(shown.min()), float(shown.max())
    by_powers = spans_decades(shown.compressed())
    if high <= low:  # as flat as it can be: contours need two levels
        low, high = low - (0.1 * abs(low) or 0.5), high + (0.1 * abs(high) or 0.5)
    nice = MaxNLocator(_LEVELS).tick_values(low, high)
    levels = np.geomspace(low, high, _LEVELS) if by_powers else nice
    norm = LogNorm(low, high) if by_powers else Normalize(nice[0], nice[-1])
    filled = ax.contourf(*axes, shown, levels, cmap="viridis", norm=norm)
    ax.figure.colorbar(filled, ax=ax, label=name, format="%.2g" if by_powers else None)


def _mark(ax: Any, plane: Directions) -> None:
    colour = OKABE_ITO[3]
    if plane.path is not None:
        ax.plot(*plane.path.T, "-", color=colour, marker=".", markersize=4, linewidth=1, label="path")
        ax.plot(*plane.path[0], "o", color="white", markeredgecolor=colour, label="start")
    ax.plot(0, 0, "*", color=colour, markeredgecolor="white", markersize=14, label="this network")
    ax.legend(fontsize="small")
