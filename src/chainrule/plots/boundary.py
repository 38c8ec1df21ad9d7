"""The decision boundary: predictions over a plane of two features, with the samples."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import Normalize, to_rgb
from matplotlib.ticker import MaxNLocator

from chainrule.data.inputs import AnyArray, host
from chainrule.plots.canvas import Ax, Picture, class_colours, panels
from chainrule.plots.plane import Plane, are_classes, classes, one_column, plane_of
from chainrule.plots.subject import Subject

_MANY = 2000  # samples; from there on they are one image within an SVG, not a shape each
_MARKERS = "osD^vP*Xdph<>"


def plot_decision_boundary(
    predict: Subject | Callable[[np.ndarray], Any],
    X: AnyArray,
    y: AnyArray,
    *,
    features: tuple[int, int] = (0, 1),
    names: Sequence[str] | None = None,
    ax: Ax = None,
) -> Picture | Any:
    """Draw the regions of a classifier, or the predicted quantity, over two features, with the samples.

    Where there are more than two features, the plane goes through the median of all others.

    Parameters
    ----------
    predict
        A network, an estimator, or a function of ``(n, d)`` that returns ``(n, k)`` probabilities,
        ``(n, 1)`` a probability or a quantity, or ``(n,)`` labels.
    X
        ``(n, d)``, the samples, d of 2 or more.
    y
        ``(n,)`` or ``(n, 1)`` labels or a quantity, or ``(n, k)`` one-hot.
    features
        The two columns of ``X`` to draw, from 0.
    names
        Of all d features; unless given, x1, x2, ...
    ax
        An ``Axes``; ``None`` makes a new picture.

    Returns
    -------
    The new picture, or ``ax``.

    Raises
    ------
    ValueError
        If ``X`` has fewer than two features or no such one, or ``y`` is not as long as ``X``.

    Examples
    --------
    >>> def left(X):
    ...     return (X[:, :1] < 0.5).astype(float)
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [1, 1, 0, 0]
    >>> picture = plot_decision_boundary(left, X, y)
    >>> [text.get_text() for text in picture.axes[0].get_legend().get_texts()]
    ['0', '1']
    """
    X = np.asarray(host(X), dtype=np.float64)
    y = one_column(np.asarray(host(y)), len(X))  # (n,)
    plane = plane_of(X, features)
    P = plane.predicted(_function(predict))  # (p, p, k)
    (axes,), drawn = panels(ax, (6.4, 4.8))
    points = X[:, list(features)]  # (n, 2)
    if P.shape[-1] == 1 and not are_classes(y, P):
        _draw_quantity(axes, plane, P[..., 0], points, y)
    else:
        labels, shares = classes(P, y)
        _draw_classes(axes, plane, shares, points, y, labels)
    _label(axes, features, names, X.shape[1])
    return drawn


def _function(given: Any) -> Callable[[np.ndarray], Any]:
    for verb in ("predict_proba", "predict"):
        if hasattr(given, verb):
            function: Callable[[np.ndarray], Any] = getattr(given, verb)
            return function
    if callable(given):
        return given  # type: ignore[no-any-return]
    msg = f"predict is {type(given).__name__!r}; give a network, an estimator, or a function of X"
    raise TypeError(msg)


def _draw_classes(
    ax: Any, plane: Plane, shares: np.ndarray, points: np.ndarray, y: np.ndarray, labels: list[Any]
) -> None:
    """Colour each region by its probability, and draw a line where the predicted class changes."""
    colours, k = class_colours(len(labels)), len(labels)
    winner = shares.argmax(axis=-1)  # (p, p)
    sure = (shares.max(axis=-1) - 1 / k) / (1 - 1 / k)  # (p, p)   0 where all are equal
    tint = 0.12 + 0.38 * np.clip(sure, 0.0, 1.0)[..., None]  # (p, p, 1)
    picture = 1 - tint * (1 - np.array([to_rgb(c) for c in colours])[winner])  # (p, p, 3)
    edges = (plane.first[0], plane.first[-1], plane.second[0], plane.second[-1])
    ax.imshow(picture, extent=edges, origin="lower", aspect="auto", interpolation="none")
    for place in np.unique(winner):
        others = np.delete(shares, place, axis=-1).max(axis=-1)  # (p, p)
        lead = shares[..., place] - others  # (p, p)   the boundary is where it is 0
        if lead.min() < 0 < lead.max():
            ax.contour(plane.first, plane.second, lead, [0.0], colors="0.25", linewidths=0.8)
    for place, label in enumerate(labels):
        here = points[y == label]  # (n_label, 2)
        if len(here):
            _scatter(
                ax, here, len(points), c=colours[place], marker=_MARKERS[place % 13], label=str(label)
            )
    _legend(ax)


def _draw_quantity(ax: Any, plane: Plane, value: np.ndarray, points: np.ndarray, y: np.ndarray) -> None:
    both = np.concatenate([value[np.isfinite(value)], y.astype(np.float64)])
    levels = MaxNLocator(14).tick_values(both.min(), both.max())
    norm = Normalize(levels[0], levels[-1])
    filled = ax.contourf(plane.first, plane.second, value, levels, cmap="viridis", norm=norm)
    _scatter(ax, points, len(points), c=y, cmap="viridis", norm=norm, edgecolors="black")
    ax.figure.colorbar(filled, ax=ax, label="predicted (plane), given (points)")


def _scatter(ax: Any, points: np.ndarray, total: int, **options: Any) -> None:
    size = float(np.clip(8000 / total, 10, 40))
    usual = {
        "edgecolors": "white",
        "linewidths": 0.6 if size > 20 else 0.25,
        "rasterized": total > _MANY,
    }
    ax.scatter(points[:, 0], points[:, 1], s=size, **usual | options)


def _legend(ax: Any) -> None:
    handles, _ = ax.get_legend_handles_labels()
    if handles:
        beside = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5)}
        ax.legend(title="class", frameon=False, ncols=1 + len(handles) // 16, **beside)
        for handle in ax.get_legend().legend_handles:
            handle.set_sizes([36.0])


def _label(ax: Any, features: tuple[int, int], names: Sequence[str] | None, count: int) -> None:
    across, upwards = (f"x{i + 1}" if names is None else str(names[i]) for i in features)
    ax.set(xlabel=across, ylabel=upwards)
    if count > 2:
        rest = "the other feature" if count == 3 else f"the other {count - 2} features"
        ax.set_title(f"plane at the median of {rest}", fontsize="small", loc="left")
