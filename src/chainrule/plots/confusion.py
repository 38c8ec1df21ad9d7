"""Predictions: the confusion matrix of classes, and predicted against true values of a quantity."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.data.inputs import AnyArray, host
from chainrule.mathematics.naming import require
from chainrule.plots.canvas import OKABE_ITO, QUIET, Ax, Picture, panels
from chainrule.training.evaluation import confusion_counts

_MOST_FIGURES = 25  # most classes with counts; more would not be legible
_LONGEST = 24  # letters per name
_MANY = 2000  # points; more are drawn as one image inside an SVG


def plot_confusion(
    truth: AnyArray, predicted: AnyArray, *, labels: Sequence[Any] | None = None, ax: Ax = None
) -> Picture | Any:
    """Draw the confusion matrix, with a row for each true class and a column for each predicted one.

    A cell holds the count; its colour is the share of its row.

    Parameters
    ----------
    truth, predicted
        Classes from 0, ``(n,)``, as ``net.predict_classes`` returns them.
    labels
        The names of the classes; by default their numbers.
    ax
        An ``Axes``; ``None`` makes a new picture.

    Returns
    -------
    Picture or Axes
        The new picture, or ``ax``.

    Raises
    ------
    ValueError
        If the two differ in length, are empty, or hold values that are not classes.

    Examples
    --------
    >>> picture = plot_confusion([0, 1, 1], [0, 1, 0], labels=["no", "yes"])
    >>> picture.axes[0].get_title(loc="left")
    '2 of 3 right (66.7 %)'
    """
    truth, predicted = (np.asarray(host(array)).ravel() for array in (truth, predicted))  # (n,)
    problem = "truth and predicted are classes from 0; give np.unique(y, return_inverse=True)[1], and the words as labels"
    require(truth.dtype.kind in "biuf" and predicted.dtype.kind in "biuf", problem)
    least = int(max(truth.max(initial=0), predicted.max(initial=0))) + 1
    names = [str(name) for name in (range(least) if labels is None else labels)]
    names = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in names]
    k = len(names)
    counts = confusion_counts(truth, predicted, k)  # (k, k)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)  # (k, k)
    cell = min(max(0.42, 2.4 / k), 7.5 / k)  # inches
    longest = 0.08 * max(map(len, names))  # inches, about
    is_turned = longest > cell
    size = (cell * k + longest + 2.2, cell * k + (0.7 * longest if is_turned else 0.2) + 0.9)
    (axes,), drawn = panels(ax, size)
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.figure.colorbar(image, ax=axes, label="share of the true class")
    every = 1 + k // 40  # with a hundred classes, every third is labelled
    angle = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if is_turned else {}
    axes.set_xticks(range(0, k, every), names[::every], **angle)
    axes.set_yticks(range(0, k, every), names[::every])
    right, n = int(np.trace(counts)), int(counts.sum())
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.set_title(f"{right} of {n} right ({100 * right / n:.1f} %)", loc="left", fontsize="medium")
    for (i, j), count in np.ndenumerate(counts if k <= _MOST_FIGURES else np.empty((0, 0))):
        if count:  # an empty cell is easier to see than a 0
            text = {"color": "white" if shares[i, j] > 0.5 else "black"}
            text |= {"ha": "center", "va": "center", "fontsize": "medium" if k <= 12 else "x-small"}
            axes.text(j, i, str(count), **text)
    return drawn


def plot_predictions(
    truth: AnyArray, predicted: AnyArray, *, name: str = "", ax: Ax = None
) -> Picture | Any:
    """Draw predictions of a quantity against its true values, with the line on which they are equal.

    Parameters
    ----------
    truth, predicted
        ``(n,)`` or ``(n, 1)``, in the units of the quantity.
    name
        The name of the quantity, with its unit.
    ax
        An ``Axes``; ``None`` makes a new picture.

    Returns
    -------
    Picture or Axes
        The new picture, or ``ax``.

    Raises
    ------
    ValueError
        If the two differ in length, or are empty.

    Examples
    --------
    >>> picture = plot_predictions([1.0, 2.0], [1.1, 1.9], name="price in €")
    >>> picture.axes[0].get_xlabel()
    'true price in €'
    """
    truth, predicted = (np.ravel(host(a)).astype(np.float64) for a in (truth, predicted))  # (n,)
    sizes = f"{truth.size} true values and {predicted.size} predictions"
    require(truth.size == predicted.size > 0, f"got {sizes}; give one for each sample")
    (axes,), drawn = panels(ax, (5.4, 5.0))
    axes.axline((truth[0], truth[0]), slope=1, color=QUIET, linewidth=1, label="equal")
    options = {"s": float(np.clip(4000 / truth.size, 5, 30)), "alpha": 0.6, "linewidths": 0}
    axes.scatter(truth, predicted, color=OKABE_ITO[0], rasterized=truth.size > _MANY, **options)
    axes.set(xlabel=f"true {name}".strip(), ylabel=f"predicted {name}".strip())
    error = np.sqrt(np.mean((predicted - truth) ** 2))
    axes.set_title(f"root mean squared error {error:.4g}", loc="left", fontsize="medium")
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    return drawn
