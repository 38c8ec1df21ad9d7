"""The loss surface: the loss around a network's parameters, along two directions in parameter space."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import MaxNLocator

from chainrule.data.inputs import AnyArray
from chainrule.mathematics.layers import Dense
from chainrule.mathematics.naming import require
from chainrule.mathematics.parameters import Layout
from chainrule.plots import subject
from chainrule.plots.canvas import OKABE_ITO, Ax, Picture, panels, spans_decades
from chainrule.plots.subject import Subject

_POINTS = 41  # along each axis
_LEVELS = 15


def plot_loss_surface(
    net: Subject,
    X: AnyArray,
    y: AnyArray,
    *,
    path: Sequence[Any] | None = None,
    seed: int = 0,
    ax: Ax = None,
) -> Picture | Any:
    """Draw the loss over a plane through the network's parameters.

    Without a ``path``, two random directions span the plane. They are normalised unit by unit, and the plane
    reaches as far to either side as each unit's own parameters are long (Li et al. 2018, arXiv:1712.09913).
    With a ``path``, the two directions in which it went farthest span the plane, and the path is drawn.

    Parameters
    ----------
    net
        A network.
    X, y
        Data as for ``net.train``. The loss is computed 1681 times on all of it: for a large table, give some of
        its rows.
    path
        ``net.layers`` at 3 or more moments of training, the last being the end; collected between calls of
        ``net.train`` or ``net.backward``.
    seed
        The seed of the random directions.
    ax
        An ``Axes``; ``None`` makes a new picture.

    Returns
    -------
    Picture or Axes
        The new picture, or ``ax``.

    Raises
    ------
    ValueError, TypeError
        If ``net.train`` would refuse the data, or the path spans no plane.

    Examples
    --------
    >>> from chainrule import NeuralNetwork
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [0]]
    >>> picture = plot_loss_surface(NeuralNetwork(2, 4, 1, seed=0), X, y)
    >>> picture.axes[1].get_ylabel()
    'mean squared error'
    """
    shape, batch = net.architecture, subject.samples(net, X, y)
    thetas = [subject.flat(layers, shape) for layers in ([net.layers] if path is None else path)]
    if path is None:
        directions = random_directions(thetas[-1], shape.layout, seed)  # (2, P)
        names, route = ["random direction 1", "random direction 2"], np.empty((0, 2))
        low, high = np.full(2, -1.0), np.full(2, 1.0)  # (2,)
    else:
        directions, shares = main_directions(thetas)  # (2, P), (2,)
        names = [f"main direction {i + 1} ({100 * shares[i]:.0f} % of the path)" for i in range(2)]
        route = (np.stack(thetas) - thetas[-1]) @ directions.T  # (t, 2)   in steps along the directions
        low, high = route.min(axis=0), route.max(axis=0)  # (2,)
        low, high = low - 0.25 * (high - low), high + 0.25 * (high - low)  # (2,)
    grid = np.linspace(low, high, _POINTS, axis=1)  # (2, p)
    steps = np.stack(np.meshgrid(*grid), axis=-1)  # (p, p, 2)
    around = thetas[-1] + steps.reshape(-1, 2) @ directions  # (p p, P)
    L = subject.losses(around, batch, shape).reshape(_POINTS, _POINTS)  # (p, p)
    (axes,), drawn = panels(ax, (6.4, 4.8))
    penalty = " + penalty" if shape.weight_decay else ""
    _draw_surface(axes, grid, L, shape.loss.reported_name + penalty)
    colour = OKABE_ITO[3]
    if len(route):
        axes.plot(*route.T, "-", color=colour, marker=".", markersize=4, linewidth=1, label="path")
        axes.plot(*route[0], "o", color="white", markeredgecolor=colour, label="start")
    axes.plot(0, 0, "*", color=colour, markeredgecolor="white", markersize=14, label="this network")
    axes.legend(fontsize="small")
    axes.set(xlabel=names[0], ylabel=names[1])
    return drawn


def _draw_surface(ax: Any, grid: np.ndarray, L: np.ndarray, name: str) -> None:
    """Draw ``L (p, p)`` over ``grid (2, p)`` as contours, by powers of ten if it spans them."""
    shown = np.ma.masked_invalid(L)  # (p, p)   without the points where the loss overflowed
    problem = "the loss is nowhere finite on this plane; scale X, or start with smaller weights"
    require(shown.count() > 0, problem)
    low, high = float(shown.min()), float(shown.max())
    by_powers = spans_decades(shown.compressed())
    if high <= low:  # the loss is constant, and contours need two levels
        low, high = low - (0.1 * abs(low) or 0.5), high + (0.1 * abs(high) or 0.5)
    nice = MaxNLocator(_LEVELS).tick_values(low, high)
    levels = np.geomspace(low, high, _LEVELS) if by_powers else nice
    norm = LogNorm(low, high) if by_powers else Normalize(nice[0], nice[-1])
    filled = ax.contourf(*grid, shown, levels, cmap="viridis", norm=norm)
    ax.figure.colorbar(filled, ax=ax, label=name, format="%.2g" if by_powers else None)


def random_directions(theta: np.ndarray, layout: Layout, seed: int) -> np.ndarray:
    """Return two random directions ``(2, P)``, each unit's part as long as the unit's own parameters.

    ``d_unit <- d_unit / ‖d_unit‖ * ‖theta_unit‖`` is the filter normalisation of Li et al. 2018,
    "Visualizing the Loss Landscape of Neural Nets" (arXiv:1712.09913, section 4): a step of 1 changes large
    weights as much, in proportion, as small ones. A unit is its column of ``W`` with its bias. The paper leaves
    biases unchanged; in a small network they are many of the parameters.

    Returns
    -------
    ndarray
        ``(2, P)``.

    Examples
    --------
    >>> directions = random_directions(np.asarray([3.0, 4.0]), Layout((1, 1)), seed=0)
    >>> np.linalg.norm(directions, axis=1).round(6)
    array([5., 5.])
    """
    drawn = np.random.default_rng(seed).standard_normal((2, layout.total))  # (2, P)
    layers = []
    for d, own in zip(layout.split(drawn), layout.split(theta), strict=True):
        lengths = _unit_norms(own)  # (1, n_out)
        # A unit whose parameters are all 0 would not move, so its direction has length 1.
        scale = np.where(lengths > 0, lengths, 1.0) / _unit_norms(d)  # (2, 1, n_out)
        layers.append(Dense(d.W * scale, d.b * scale))
    directions: np.ndarray = layout.join(layers)  # (2, P)
    return directions


def _unit_norms(layer: Dense) -> Any:
    squares = np.sum(layer.W**2, axis=-2, keepdims=True) + layer.b**2  # (..., 1, n_out)
    return np.sqrt(squares)  # (..., 1, n_out)


def main_directions(thetas: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the first two principal components of ``theta_t - theta_end`` (Li et al. 2018, section 7).

    Returns
    -------
    directions : ndarray
        ``(2, P)``, of length 1.
    shares : ndarray
        ``(2,)``: the share of the path's variance along each.

    Raises
    ------
    ValueError
        If there are fewer than 3 points, or they lie on one line.

    Examples
    --------
    >>> corner = [np.asarray([2.0, 0.0]), np.asarray([2.0, 1.0]), np.asarray([0.0, 1.0])]
    >>> main_directions(corner)[1].round(2)
    array([0.95, 0.05])
    """
    away = np.stack(thetas) - thetas[-1]  # (t, P)
    _, sizes, directions = np.linalg.svd(away, full_matrices=False)  # (k,), (k, P)
    count = len(thetas)
    problem = f"the path of {count} points spans no plane; give 3 or more that differ, not on one line"
    require(count >= 3 and sizes[1] > 1e-12 * sizes[0], problem)
    return directions[:2], sizes[:2] ** 2 / np.sum(sizes**2)  # (2, P), (2,)
