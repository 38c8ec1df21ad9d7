"""The curves of training: loss, accuracy and learning rate against the epoch."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from chainrule.mathematics.naming import require
from chainrule.plots.canvas import OKABE_ITO, QUIET, Ax, Picture, panels, spans_decades

_TRAINING, _HELD_OUT = OKABE_ITO[0], OKABE_ITO[3]
_FIELDS = {
    "epoch": "epoch",
    "loss": "loss",
    "validation": "validation_loss",
    "accuracy": "validation_accuracy",
    "learning rate": "learning_rate",
}


def plot_history(
    records: Iterable[Any], *, reported: str = "loss", best_epoch: int | None = None, ax: Ax = None
) -> Picture | Any:
    """Draw the loss, the accuracy and the learning rate against the epoch, in a panel each.

    The accuracy is drawn where there is one, the learning rate where it changes; a constant rate stands
    in the label of the axis. A loss that falls to a tenth or less is on a log scale.

    Parameters
    ----------
    records
        A history, or anything whose items have the fields of :class:`chainrule.training.history.Record`.
    reported
        What the loss is.
    best_epoch
        The epoch of the best weights; marked by a line.
    ax
        An ``Axes`` to draw the losses alone in; ``None`` makes a new picture.

    Returns
    -------
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
    columns = _columns(records)
    names = ["loss"]
    if ax is None:
        names += [name for name in ("accuracy", "learning rate") if _is_shown(name, columns)]
    heights = [2.2, *(1.0 for _ in names[1:])]
    size = (6.4, 2.4 + 1.4 * len(names))
    axes, drawn = panels(ax, size, rows=len(names), sharex=True, height_ratios=heights)
    _draw_losses(axes[0], columns, reported)
    for name, panel in zip(names[1:], axes[1:], strict=True):
        _draw_below(panel, columns["epoch"], columns[name], name)
    _mark_best(axes, best_epoch)
    _finish(axes, columns)
    return drawn


def _columns(records: Iterable[Any]) -> dict[str, np.ndarray]:
    """Return the columns ``(epochs,)`` of the records, NaN where a record has none."""
    rows = list(records)
    require(bool(rows), "the history has no epochs, so there is nothing to draw; train first")
    return {
        name: np.array([getattr(row, field) for row in rows], dtype=float)  # (epochs,)
        for name, field in _FIELDS.items()
    }


def _is_shown(name: str, columns: dict[str, np.ndarray]) -> bool:
    values = columns[name][np.isfinite(columns[name])]
    return bool(values.size) if name == "accuracy" else np.unique(values).size > 1


def _style(values: np.ndarray) -> dict[str, Any]:
    # A line through one point is invisible, and through a few it hides where they are.
    return {"marker": "o", "markersize": 4} if len(values) <= 12 else {}


def _draw_losses(ax: Any, columns: dict[str, np.ndarray], reported: str) -> None:
    epoch, loss, held_out = columns["epoch"], columns["loss"], columns["validation"]
    ax.plot(epoch, loss, color=_TRAINING, label="training", **_style(epoch))
    if np.isfinite(held_out).any():
        ax.plot(epoch, held_out, "--", color=_HELD_OUT, label="validation", **_style(epoch))
        ax.legend(frameon=False)
    if spans_decades([*loss, *held_out]):
        ax.set_yscale("log")
    ax.set_ylabel(reported)


def _draw_below(ax: Any, epoch: np.ndarray, values: np.ndarray, name: str) -> None:
    accuracy = name == "accuracy"
    ax.plot(epoch, values, color=_HELD_OUT if accuracy else _TRAINING, **_style(epoch))
    ax.set_ylabel("validation\naccuracy" if accuracy else name)
    if accuracy:
        ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    else:
        ax.set_ylim(bottom=0.0)


def _mark_best(axes: list[Any], best_epoch: int | None) -> None:
    if best_epoch is None:
        return
    for ax in axes:
        ax.axvline(best_epoch, color=QUIET, linewidth=1, linestyle=":", zorder=0)
    low, high = axes[0].get_xlim()
    side = "left" if best_epoch < (low + high) / 2 else "right"
    at = {"xycoords": ("data", "axes fraction"), "ha": side, "va": "bottom"}
    text = f"best weights: epoch {best_epoch}"
    axes[0].annotate(text, (best_epoch, 1.01), fontsize="small", color=QUIET, **at)


def _finish(axes: list[Any], columns: dict[str, np.ndarray]) -> None:
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25)
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    rates = np.unique(columns["learning rate"])
    constant = f"; learning rate {rates[0]:.4g}" if rates.size == 1 else ""
    axes[-1].set_xlabel(f"epoch, counted from 0{constant}")
    if len(columns["epoch"]) == 1:
        axes[-1].set_xlim(columns["epoch"][0] - 1, columns["epoch"][0] + 1)
