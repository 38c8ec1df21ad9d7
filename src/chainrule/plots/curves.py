"""The curves of training: loss, accuracy and learning rate against the epoch."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from chainrule.mathematics.naming import require
from chainrule.plots.canvas import OKABE_ITO, QUIET, Ax, Picture, panels, spans_decades

_TRAINING, _HELD_OUT = OKABE_ITO[0], OKABE_ITO[3]
_FIELDS = ("epoch", "loss", "validation_loss", "validation_accuracy", "learning_rate")


def plot_history(
    records: Iterable[Any], *, reported: str = "loss", best_epoch: int | None = None, ax: Ax = None
) -> Picture | Any:
    """Draw the loss, the accuracy and the learning rate against the epoch, each in its own panel.

    The accuracy is drawn if it was recorded, and the learning rate if it changes; a constant rate is part of
    the axis label. A loss that falls to a tenth or less is drawn on a log scale.

    Parameters
    ----------
    records
        A history, or any sequence of :class:`chainrule.training.history.Record`.
    reported
        The name of the loss.
    best_epoch
        The epoch of the best weights, marked by a line.
    ax
        An ``Axes`` for the losses alone; ``None`` makes a new picture.

    Returns
    -------
    Picture or Axes
        The new picture, or ``ax``.

    Raises
    ------
    ValueError
        If there are no records.

    Examples
    --------
    >>> from chainrule.training.history import Record
    >>> records = [Record(0, 0.7, None, None, 0.1, 0.0), Record(1, 0.2, None, None, 0.1, 0.1)]
    >>> plot_history(records, reported="cross entropy").axes[0].get_ylabel()
    'cross entropy'
    """
    rows = list(records)
    require(bool(rows), "the history has no epochs, so there is nothing to draw; train first")
    columns = [np.array([getattr(row, field) for row in rows], dtype=float) for field in _FIELDS]
    epoch, loss, held_out, accuracy, rates = columns  # each (epochs,); NaN for missing values
    below = []
    if ax is None:
        below += ["accuracy"] if np.isfinite(accuracy).any() else []
        below += ["rate"] if np.unique(rates).size > 1 else []
    count = 1 + len(below)
    ratios = [2.2, *(1.0 for _ in below)]
    axes, drawn = panels(ax, (6.4, 2.4 + 1.4 * count), rows=count, sharex=True, height_ratios=ratios)
    # A line through one point is invisible, and a line through a few hides the points.
    style: dict[str, Any] = {"marker": "o", "markersize": 4} if len(rows) <= 12 else {}
    axes[0].plot(epoch, loss, color=_TRAINING, label="training", **style)
    if np.isfinite(held_out).any():
        axes[0].plot(epoch, held_out, "--", color=_HELD_OUT, label="validation", **style)
        axes[0].legend(frameon=False)
    axes[0].set(ylabel=reported, yscale="log" if spans_decades([*loss, *held_out]) else "linear")
    for name, panel in zip(below, axes[1:], strict=True):
        if name == "accuracy":
            panel.plot(epoch, accuracy, color=_HELD_OUT, **style)
            panel.set_ylabel("validation\naccuracy")
            panel.yaxis.set_major_formatter(PercentFormatter(1.0))
        else:
            panel.plot(epoch, rates, color=_TRAINING, **style)
            panel.set(ylabel="learning rate", ylim=(0.0, None))
    if best_epoch is not None:
        _mark_best(axes, best_epoch)
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    constant = f"; learning rate {rates[0]:.4g}" if np.unique(rates).size == 1 else ""
    axes[-1].set_xlabel(f"epoch, counted from 0{constant}")
    if len(rows) == 1:
        axes[-1].set_xlim(epoch[0] - 1, epoch[0] + 1)
    return drawn


def _mark_best(axes: list[Any], best_epoch: int) -> None:
    for ax in axes:
        ax.axvline(best_epoch, color=QUIET, linewidth=1, linestyle=":", zorder=0)
    side = "left" if best_epoch < np.mean(axes[0].get_xlim()) else "right"
    at = {"xycoords": ("data", "axes fraction"), "ha": side, "va": "bottom"}
    text = f"best weights: epoch {best_epoch}"
    axes[0].annotate(text, (best_epoch, 1.01), fontsize="small", color=QUIET, **at)
