"""The decision boundary: the predictions over a plane of two features, with the samples."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import Normalize, to_rgba_array
from matplotlib.ticker import MaxNLocator

from chainrule.data.inputs import AnyArray, host
from chainrule.mathematics.naming import require
from chainrule.plots.canvas import Ax, Picture, class_colours, panels
from chainrule.plots.subject import Subject

_POINTS = 201  # along each axis of the plane
_MANY = 2000  # samples; more are drawn as one image inside an SVG
_MARKERS = "osD^vP*Xdph<>"
_Axes = tuple[np.ndarray, np.ndarray]  # (p,) each: the values of the two features


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

    With more than two features, the plane lies at the median of all others.

    Parameters
    ----------
    predict
        A network, an estimator, or a function of ``(n, d)`` that returns ``(n, k)`` probabilities,
        ``(n, 1)`` a probability or a quantity, or ``(n,)`` labels.
    X
        The samples ``(n, d)``, d of 2 or more.
    y
        ``(n,)`` or ``(n, 1)`` labels or a quantity, or ``(n, k)`` one-hot.
    features
        The two columns of ``X`` to draw, from 0.
    names
        The names of all d features; by default x1, x2, ...
    ax
        An ``Axes``; ``None`` makes a new picture.

    Returns
    -------
    Picture or Axes
        The new picture, or ``ax``.

    Raises
    ------
    ValueError
        If ``X`` has fewer than two features or lacks one of ``features``, or ``y`` is not as long as ``X``.
    TypeError
        If ``predict`` is neither a function nor has ``predict``.

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
    y = _one_column(np.asarray(host(y)), len(X))  # (n,)
    plane = _plane_of(X, features)
    P = _predicted(predict, X, features, plane)  # (p, p, k)
    (axes,), drawn = panels(ax, (6.4, 4.8))
    points = X[:, list(features)]  # (n, 2)
    if (labelled := _classes(P, y)) is None:
        _draw_quantity(axes, plane, P[..., 0], points, y)
    else:
        _draw_classes(axes, plane, *labelled, points, y)
    across, upwards = (f"x{i + 1}" if names is None else str(names[i]) for i in features)
    axes.set(xlabel=across, ylabel=upwards)
    if (others := X.shape[1] - 2) > 0:
        rest = "the other feature" if others == 1 else f"the other {others} features"
        axes.set_title(f"plane at the median of {rest}", fontsize="small", loc="left")
    return drawn


def _draw_classes(
    ax: Any, plane: _Axes, labels: list[Any], shares: np.ndarray, points: np.ndarray, y: np.ndarray
) -> None:
    """Colour each region by its probability, and draw a line where the predicted class changes."""
    colours, k = class_colours(len(labels)), len(labels)
    winner = shares.argmax(axis=-1)  # (p, p)
    sure = (shares.max(axis=-1) - 1 / k) / max(1 - 1 / k, 0.5)  # (p, p)   0 if all shares are equal
    tint = 0.12 + 0.38 * np.clip(sure, 0.0, 1.0)[..., None]  # (p, p, 1)
    picture = 1 - tint * (1 - to_rgba_array(colours)[winner, :3])  # (p, p, 3)
    edges = [end for axis in plane for end in axis[[0, -1]]]
    ax.imshow(picture, extent=edges, origin="lower", aspect="auto", interpolation="none")
    for place in np.unique(winner):
        others = np.delete(shares, place, axis=-1).max(axis=-1, initial=0.0)  # (p, p)
        lead = shares[..., place] - others  # (p, p)   the boundary is where it is 0
        if lead.min() < 0 < lead.max():
            ax.contour(*plane, lead, [0.0], colors="0.25", linewidths=0.8)
    size = _size(points)
    for place, label in enumerate(labels):
        here = points[y == label]  # (n_label, 2)
        if len(here):
            thin = {"edgecolors": "white", "linewidths": 0.6 if size > 20 else 0.25}
            marker = {"c": colours[place], "marker": _MARKERS[place % 13], "label": str(label)}
            ax.scatter(*here.T, s=size, rasterized=len(points) > _MANY, **marker, **thin)
    columns = 1 + len(labels) // 16
    outside = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5), "markerscale": 6 / size**0.5}
    ax.legend(title="class", frameon=False, ncols=columns, **outside)


def _draw_quantity(ax: Any, plane: _Axes, value: np.ndarray, points: np.ndarray, y: np.ndarray) -> None:
    both = np.concatenate([value[np.isfinite(value)], y.astype(np.float64)])
    levels = MaxNLocator(14).tick_values(both.min(), both.max())
    colours = {"cmap": "viridis", "norm": Normalize(levels[0], levels[-1])}
    filled = ax.contourf(*plane, value, levels, **colours)
    many = {"s": _size(points), "rasterized": len(points) > _MANY}
    ax.scatter(*points.T, c=y, edgecolors="black", linewidths=0.6, **colours, **many)
    ax.figure.colorbar(filled, ax=ax, label="predicted (plane), given (points)")


def _size(points: np.ndarray) -> float:
    """Return the area of a marker in square points: smaller for more samples."""
    return float(np.clip(8000 / len(points), 10, 40))


def _predicted(model: Any, X: np.ndarray, features: tuple[int, int], plane: _Axes) -> np.ndarray:
    """Return the predictions at each point of the plane ``(p, p, k)``."""
    function = getattr(model, "predict_proba", None) or getattr(model, "predict", model)
    problem = f"predict is {type(model).__name__!r}; give a network, an estimator, or a function of X"
    require(callable(function), problem, TypeError)
    parts = []
    for some in np.array_split(plane[1], 10):  # a tenth of the plane at a time, to save memory
        across, upwards = np.meshgrid(plane[0], some)  # (p / 10, p)
        points = np.tile(np.median(X, axis=0), (across.size, 1))  # (p p / 10, d)
        points[:, features[0]], points[:, features[1]] = across.ravel(), upwards.ravel()
        parts.append(np.asarray(host(function(points))).reshape(*across.shape, -1))
    return np.concatenate(parts)  # (p, p, k)


def _one_column(y: np.ndarray, rows: int) -> np.ndarray:
    """Return targets as one column ``(n,)``; one-hot rows become labels."""
    count = len(y) if y.ndim else "no"
    require(count == rows, f"y has {count} rows but X has {rows}; give one target for each sample")
    return y.argmax(axis=1) if y.size > rows else y.reshape(rows)  # (n,)


def _plane_of(X: np.ndarray, features: tuple[int, int]) -> _Axes:
    """Return the two axes ``(p,)`` of a plane over the range of two features of ``X (n, d)``."""
    problem = f"X has shape {X.shape}, wanted (n, d) with d of 2 or more: a plane needs two features"
    require(X.ndim == 2 and X.shape[1] > 1 and len(X) > 0, problem)
    (i, j), last = features, X.shape[1] - 1
    problem = f"features is ({i}, {j}); give two different columns of X, from 0 to {last}"
    require(i != j and min(i, j) >= 0 and max(i, j) <= last, problem)
    finite = np.isfinite(X).all(axis=1)  # (n,)
    problem = f"X holds NaN or infinity in row {finite.argmin()}; fill or drop it first"
    require(bool(finite.all()), problem)
    return _range(X[:, i]), _range(X[:, j])


def _range(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    margin = 0.15 * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, _POINTS)  # (p,)


def _classes(P: np.ndarray, y: np.ndarray) -> tuple[list[Any], np.ndarray] | None:
    """Return the labels and the share of each at each point ``(p, p, k)``; ``None`` for a quantity.

    One output is a label, or the probability of the second of two classes, or else a quantity.
    """
    own, k = np.unique(y), P.shape[-1]
    if k == 1 and P.dtype.kind != "f":
        labels = np.union1d(P, own)  # (k,)
        return labels.tolist(), (labels == P).astype(np.float64)  # (p, p, k)
    if k == 1:
        if own.dtype.kind in "biuf" and not np.isin(own, (0, 1)).all():
            return None
        second, k = np.clip(P, 0.0, 1.0), 2  # (p, p, 1)
        P = np.concatenate([1.0 - second, second], axis=-1)  # (p, p, 2)
    if own.size == k:
        return own.tolist(), P
    # Some classes may have no sample here.
    are_places = own.dtype.kind in "biuf" and np.isin(own, np.arange(k)).all()
    problem = f"y has {own.size} classes but predict gives {k}; give labels from 0 to {k - 1}, or all"
    require(are_places, problem)
    return list(range(k)), P
