"""The diagram: a network's units and the weights between them; colour is the sign, width the size."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D

from chainrule.data.inputs import AnyArray
from chainrule.mathematics.naming import require
from chainrule.plots import subject
from chainrule.plots.canvas import NEGATIVE, POSITIVE, Ax, Picture, panels
from chainrule.plots.subject import Subject

_WIDEST = 4.0  # points
_FEW = 16  # weights; so few are also written as numbers


def plot_network(
    net: Subject, X: AnyArray | None = None, y: AnyArray | None = None, *, most: int = 10, ax: Ax = None
) -> Picture | Any:
    """Draw the weights of a network as a diagram; with data, also their gradients.

    A line is a weight, a disc a unit, filled by its bias. Blue is above 0, vermilion below; the
    width of a line is in proportion to the size, and the widest of each diagram stands under it.

    Parameters
    ----------
    net
        A network.
    X, y
        Data as for ``net.train``; given, the gradients on all of it are drawn as well.
    most
        Units of a layer to draw; of a wider one, the first and the last of them.
    ax
        An ``Axes``, with data two of them; ``None`` makes a new picture.

    Returns
    -------
    The new picture, or ``ax``.

    Raises
    ------
    ValueError, TypeError
        If only one of ``X`` and ``y`` is given, or they are not what ``net.train`` takes.

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
    shown = {"weights (lines) and biases (discs)": shape.layout.split(subject.parameters(net))}
    if X is not None and y is not None:
        shown["gradients dL/dW (lines) and dL/db (discs)"] = subject.gradients(net, X, y)
    count = len(shape.sizes)
    wide = max(5.0, 1.7 * count if count <= 8 else max(13.6, 0.95 * count))
    axes, drawn = panels(ax, (wide * len(shown), 4.6), columns=len(shown))
    for panel, (title, layers) in zip(axes, shown.items(), strict=True):
        draw_layers(panel, layers, headings(shape), most)
        panel.set_title(title, fontsize="medium")
    return drawn


def headings(shape: Any) -> list[str]:
    """Return the text under each column of units."""
    hidden = [f"hidden {i}" for i in range(1, shape.depth)] if shape.depth > 2 else ["hidden"]
    names = ["input", *hidden[: shape.depth - 1], "output"]
    kinds = ["", *(f.name for f in shape.activations)]
    return [f"{n}\n{w} {k}".rstrip() for n, w, k in zip(names, shape.sizes, kinds, strict=True)]


def draw_layers(ax: Any, layers: Sequence[Any], under: Sequence[str], most: int = 10) -> None:
    """Draw layers ``W (n_in, n_out)``, ``b (1, n_out)`` in an ``Axes``, ``under`` each column a text."""
    columns = [_Column(len(layers[0].W), 0, most)]
    columns += [_Column(layer.W.shape[1], place, most) for place, layer in enumerate(layers, start=1)]
    widest = max(float(np.abs(layer.W).max()) for layer in layers)
    largest = max(float(np.abs(layer.b).max()) for layer in layers)
    figures = sum(layer.W.size for layer in layers) <= _FEW
    for layer, left, right in zip(layers, columns, columns[1:], strict=False):
        _draw_weights(ax, layer.W, (left, right), widest, figures=figures)
    size = "small" if len(columns) <= 8 else "x-small"
    for column, text in zip(columns, under, strict=True):
        b = None if column.place == 0 else layers[column.place - 1].b[0]  # (n_out,)
        column.draw(ax, b, largest)
        ax.text(column.place, -0.06, text, ha="center", va="top", fontsize=size)
    _legend(ax, widest, largest)
    ax.set(xlim=(-0.35, len(columns) - 0.65), ylim=(-0.2, 1.04))
    ax.set_axis_off()


class _Column:
    """The units of a layer that are drawn, and where."""

    def __init__(self, width: int, place: int, most: int) -> None:
        self.place = place
        half = max(1, most // 2)
        self.whole = width <= 2 * half
        ends = [*range(half), *range(width - half, width)]
        self.units = np.arange(width) if self.whole else np.array(ends)  # (shown,)
        slots = len(self.units) if self.whole else len(self.units) + 1  # one for the dots
        gap = min(0.32, 0.96 / max(1, slots - 1))
        self.heights = 0.5 + gap * ((slots - 1) / 2 - np.arange(slots))  # (slots,)
        self.dots = None if self.whole else self.heights[half]
        if not self.whole:
            self.heights = np.delete(self.heights, half)  # (shown,)
        self.size = float(np.clip((gap * 200) ** 2 / 4, 30, 320))

    def draw(self, ax: Any, b: np.ndarray | None, largest: float) -> None:
        places = np.full(len(self.heights), self.place)
        fills = ["white"] * len(places) if b is None else [_tint(v, largest) for v in b[self.units]]
        ax.scatter(places, self.heights, s=self.size, c=fills, edgecolors="0.3", zorder=3)
        if self.dots is not None:
            ax.text(self.place, self.dots, "⋮", ha="center", va="center", fontsize=14, zorder=3)


def _tint(value: float, largest: float) -> tuple[float, ...]:
    """Return white for 0, the colour of the sign for the largest, and a mixture between."""
    strength = abs(value) / largest if largest > 0 else 0.0
    return tuple(1 - strength * (1 - part) for part in to_rgb(POSITIVE if value > 0 else NEGATIVE))


def _draw_weights(
    ax: Any, W: np.ndarray, columns: tuple[_Column, _Column], widest: float, *, figures: bool
) -> None:
    left, right = columns
    shown = W[np.ix_(left.units, right.units)]  # (from, to)
    order = np.argsort(np.abs(shown), axis=None)  # the widest last, on top
    i, j = np.unravel_index(order, shown.shape)
    ends = [
        ((left.place, left.heights[a]), (right.place, right.heights[b]))
        for a, b in zip(i, j, strict=True)
    ]
    sizes = np.abs(shown[i, j]) / widest if widest > 0 else np.zeros(len(i))  # (lines,)
    colours = np.where(shown[i, j] > 0, POSITIVE, NEGATIVE)
    lines = LineCollection(ends, linewidths=_WIDEST * sizes, colors=list(colours), alpha=0.8, zorder=1)
    ax.add_collection(lines)
    if figures:
        _write_weights(ax, shown, columns)


def _write_weights(ax: Any, shown: np.ndarray, columns: tuple[_Column, _Column]) -> None:
    """Write each weight on its line; all weights of one unit are in one column, so that none overlap."""
    left, right = columns
    box = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
    narrow = int(np.argmin(shown.shape))  # the side with fewer units has fewer columns
    for place, weight in np.ndenumerate(shown):
        share = 0.25 + 0.5 * (place[narrow] + 0.5) / shown.shape[narrow]  # of the way along the line
        height = (1 - share) * left.heights[place[0]] + share * right.heights[place[1]]
        at = {"fontsize": 7, "ha": "center", "va": "center", "bbox": box}
        ax.text(left.place + share, height, f"{weight:.2g}", **at)


def _legend(ax: Any, widest: float, largest: float) -> None:
    handles = [
        Line2D([], [], color=POSITIVE, linewidth=_WIDEST, label="above 0"),
        Line2D([], [], color=NEGATIVE, linewidth=_WIDEST, label="below 0"),
    ]
    discs = f"darkest disc {largest:.3g}" if largest > 0 else "all discs 0"
    scale = f"widest line {widest:.3g}, {discs}" if widest > 0 else f"all lines 0, {discs}"
    where = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.02), "ncols": 2, "frameon": False}
    ax.legend(handles=handles, title=scale, fontsize="small", title_fontsize="small", **where)
