"""The loss surface: the loss around a network's parameters, along two directions in the space of all of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

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


class Directions(NamedTuple):
    """A plane through the parameters, and a path near it."""

    centre: np.ndarray  # (P,)
    axes: np.ndarray  # (2, P)
    names: tuple[str, str]
    path: np.ndarray | None = None  # (t, 2)   in steps along the axes


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
    """Return the coordinates along both axes: from -1 to 1, or over the path with a margin."""
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


def random_directions(theta: np.ndarray, layout: Layout, seed: int) -> Directions:
    """Return two random directions, each unit's part as long as the unit's own parameters.

    ``d_unit <- d_unit / ‖d_unit‖ * ‖theta_unit‖``, the filter normalisation of Li et al. 2018,
    "Visualizing the Loss Landscape of Neural Nets" (arXiv:1712.09913, section 4), so that a step of 1
    is as far for a network of large weights as for one of small. A unit is its column of ``W`` with its
    bias: theirs leaves biases where they are, and in a small network they are much of it.

    Examples
    --------
    >>> made = random_directions(np.asarray([3.0, 4.0]), Layout((1, 1)), seed=0)
    >>> np.linalg.norm(made.axes, axis=1).round(6)
    array([5., 5.])
    """
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal((2, layout.total))  # (2, P)
    axes = np.stack([_filter_normalised(d, theta, layout) for d in drawn])  # (2, P)
    return Directions(theta, axes, ("random direction 1", "random direction 2"))


def _filter_normalised(d: np.ndarray, theta: np.ndarray, layout: Layout) -> np.ndarray:
    layers = []
    for given, own in zip(layout.split(d), layout.split(theta), strict=True):
        lengths = _unit_norms(own)  # (1, n_out)
        # A unit whose parameters are all 0 would stand still: its part has length 1.
        scale = np.where(lengths > 0, lengths, 1.0) / _unit_norms(given)  # (1, n_out)
        layers.append(Dense(given.W * scale, given.b * scale))
    joined: np.ndarray = layout.join(layers)  # (P,)
    return joined


def _unit_norms(layer: Dense) -> np.ndarray:
    norms: np.ndarray = np.linalg.norm(np.concatenate([layer.W, layer.b]), axis=0, keepdims=True)
    return norms  # (1, n_out)


def main_directions(thetas: Sequence[np.ndarray]) -> Directions:
    """Return the two principal directions of a path of training, relative to its end.

    The principal components of ``theta_t - theta_end`` (Li et al. 2018, section 7).

    Raises
    ------
    ValueError
        If there are fewer than 3 points, or they lie on one line: that is no plane.

    Examples
    --------
    >>> corner = [np.asarray([2.0, 0.0]), np.asarray([2.0, 1.0]), np.asarray([0.0, 1.0])]
    >>> main_directions(corner).names[0]
    'main direction 1 (95 % of the path)'
    """
    end = thetas[-1]  # (P,)
    away = np.stack(thetas) - end  # (t, P)
    _, sizes, axes = np.linalg.svd(away, full_matrices=False)  # (k,), (k, P)
    problem = (
        f"the path of {len(thetas)} points spans no plane; give 3 or more that differ, not on one line"
    )
    require(len(thetas) >= 3 and sizes[1] > 1e-12 * sizes[0], problem)
    shares = sizes**2 / np.sum(sizes**2)  # (k,)
    first, second = (f"main direction {i + 1} ({100 * shares[i]:.0f} % of the path)" for i in range(2))
    return Directions(end, axes[:2], (first, second), away @ axes[:2].T)
