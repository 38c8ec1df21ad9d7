"""The diagram: a network's units and the weights between them; colour shows the sign, width the size."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D

from chainrule.data.inputs import AnyArray
from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.layers import Dense
from chainrule.mathematics.naming import require
from chainrule.plots import subject
from chainrule.plots.canvas import NEGATIVE, POSITIVE, Ax, Picture, panels
from chainrule.plots.subject import Subject

_WIDEST = 4.0  # width of the widest line, in points
_FEW = 16  # weights; up to this many are also written as numbers


def plot_network(
    net: Subject, X: AnyArray | None = None, y: AnyArray | None = None, *, most: int = 10, ax: Ax = None
) -> Picture | Any:
    """Draw the weights of a network as a diagram; with data, also their gradients.

    A line is a weight; a disc is a unit, coloured by its bias. Blue is above 0, vermilion below. The width of a
    line is proportional to the size of the weight; the legend gives the widest.

    Parameters
    ----------
    net
        A network.
    X, y
        Data as for ``net.train``; if given, the gradients on all of it are drawn as well.
    most
        The most units of a layer to draw: of a wider layer, the first and the last ones.
    ax
        An ``Axes``, or two of them with data; ``None`` makes a new picture.

    Returns
    -------
    Picture or Axes
        The new picture, or ``ax``.

    Raises
    ------
    ValueError, TypeError
        If only one of ``X`` and ``y`` is given, or ``net.train`` would refuse them.

    Examples
    --------
    >>> from chainrule import NeuralNetwork
    >>> picture = plot_network(NeuralNetwork(2, 4, 1, seed=0))
    >>> len(picture.axes)
    1
    """
    problem = "got only one of X and y; give both for the gradients, or none for the weights alone"
    require((X is None) == (y is None), problem)
    shape = net.architecture
    shown = {"weights (lines) and biases (discs)": shape.layout.split(subject.flat(net.layers, shape))}
    if X is not None and y is not None:
        shown["gradients dL/dW (lines) and dL/db (discs)"] = subject.gradients(net, X, y)
    count = len(shape.sizes)
    wide = max(5.0, 1.7 * count if count <= 8 else max(13.6, 0.95 * count))
    axes, drawn = panels(ax, (wide * len(shown), 4.6), columns=len(shown))
    for panel, (title, layers) in zip(axes, shown.items(), strict=True):
        _draw_layers(panel, layers, _headings(shape), most)
        panel.set_title(title, fontsize="medium")
    return drawn


def _headings(shape: Architecture) -> list[str]:
    """Return the text under each column of units."""
    hidden = [f"hidden {i}" for i in range(1, shape.depth)] if shape.depth > 2 else ["hidden"]
    names = ["input", *hidden[: shape.depth - 1], "output"]
    kinds = ["", *(f.name for f in shape.activations)]
    return [f"{n}\n{w} {k}".rstrip() for n, w, k in zip(names, shape.sizes, kinds, strict=True)]


def _draw_layers(ax: Any, layers: Sequence[Dense], headings: Sequence[str], most: int) -> None:
    # The input has no biases: its discs are white, as for biases of 0.
    biases = [np.zeros(len(layers[0].W)), *(layer.b[0] for layer in layers)]  # each (n_l,)
    columns = [_column(place, len(b), most) for place, b in enumerate(biases)]
    widest = max(float(np.abs(layer.W).max()) for layer in layers)
    largest = max(float(np.abs(b).max()) for b in biases)
    is_small = sum(layer.W.size for layer in layers) <= _FEW
    for layer, left, right in zip(layers, columns, columns[1:], strict=False):
        shown = layer.W[np.ix_(left.units, right.units)]  # (from, to)
        _draw_weights(ax, shown, left, right, widest)
        if is_small:
            _write_weights(ax, shown, left, right)
    size = "small" if len(columns) <= 8 else "x-small"
    for column, b, heading in zip(columns, biases, headings, strict=True):
        fills = [_tint(value, largest) for value in b[column.units]]
        places = np.full(len(fills), column.place)
        ax.scatter(places, column.heights, s=column.size, c=fills, edgecolors="0.3", zorder=3)
        if column.dots is not None:
            ax.text(column.place, column.dots, "⋮", ha="center", va="center", fontsize=14, zorder=3)
        ax.text(column.place, -0.06, heading, ha="center", va="top", fontsize=size)
    signs = {"above 0": POSITIVE, "below 0": NEGATIVE}
    handles = [Line2D([], [], color=c, linewidth=_WIDEST, label=name) for name, c in signs.items()]
    lines = f"widest line {widest:.3g}" if widest > 0 else "all lines 0"
    scale = f"{lines}, darkest disc {largest:.3g}" if largest > 0 else f"{lines}, all discs 0"
    where = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.02), "ncols": 2, "frameon": False}
    ax.legend(handles=handles, title=scale, fontsize="small", title_fontsize="small", **where)
    ax.set(xlim=(-0.35, len(columns) - 0.65), ylim=(-0.2, 1.04))
    ax.set_axis_off()


class _Column(NamedTuple):
    # The units of a layer that are drawn, and their positions.
    place: int
    units: np.ndarray  # (shown,)
    heights: np.ndarray  # (shown,)
    dots: float | None  # the height of the dots that stand for the other units
    size: float  # area of a disc, in square points


def _column(place: int, width: int, most: int) -> _Column:
    half = max(1, most // 2)
    is_whole = width <= 2 * half
    slots = width if is_whole else 2 * half + 1  # one more for the dots
    gap = min(0.32, 0.96 / max(1, slots - 1))
    heights = 0.5 + gap * ((slots - 1) / 2 - np.arange(slots))  # (slots,)
    size = float(np.clip((gap * 200) ** 2 / 4, 30, 320))
    if is_whole:
        return _Column(place, np.arange(width), heights, None, size)
    ends = np.r_[:half, width - half : width]  # (shown,)
    return _Column(place, ends, np.delete(heights, half), heights[half], size)


def _tint(value: float, largest: float) -> tuple[float, ...]:
    # White for 0, the colour of the sign for the largest, and a mixture in between.
    strength = abs(value) / (largest or 1.0)
    return tuple(1 - strength * (1 - part) for part in to_rgb(POSITIVE if value > 0 else NEGATIVE))


def _draw_weights(ax: Any, W: np.ndarray, left: _Column, right: _Column, widest: float) -> None:
    # The widest last, on top.
    i, j = np.unravel_index(np.argsort(np.abs(W), axis=None), W.shape)  # (lines,) each
    ends = [
        ((left.place, left.heights[a]), (right.place, right.heights[b]))
        for a, b in zip(i, j, strict=True)
    ]
    widths = _WIDEST * np.abs(W[i, j]) / (widest or 1.0)  # (lines,)
    colours = np.where(W[i, j] > 0, POSITIVE, NEGATIVE).tolist()
    ax.add_collection(LineCollection(ends, linewidths=widths, colors=colours, alpha=0.8, zorder=1))


def _write_weights(ax: Any, W: np.ndarray, left: _Column, right: _Column) -> None:
    # Write each weight on its line; the weights of one unit share a column, so that none overlap.
    box = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
    narrow = int(np.argmin(W.shape))  # the side with fewer units has fewer columns
    for place, weight in np.ndenumerate(W):
        share = 0.25 + 0.5 * (place[narrow] + 0.5) / W.shape[narrow]  # position along the line
        height = (1 - share) * left.heights[place[0]] + share * right.heights[place[1]]
        at = {"fontsize": 7, "ha": "center", "va": "center", "bbox": box}
        ax.text(left.place + share, height, f"{weight:.2g}", **at)
