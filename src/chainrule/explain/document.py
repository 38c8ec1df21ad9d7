"""Document: the contents of an explanation as text, in the order in which every form shows them."""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from chainrule.explain.records import Flag, Line, Setting, Update


class Document(NamedTuple):
    """Headings, lines, the table of updates and the closing words; the terminal and HTML print these."""

    title: str
    subtitle: str
    sections: tuple[tuple[str, tuple[Line, ...]], ...]  # heading, lines
    rows: tuple[tuple[str, ...], ...]  # of the table of updates, below COLUMNS
    losses: str
    flags: tuple[Flag, ...]
    undecided: tuple[str, ...]


COLUMNS = ("", "before", "gradient", "change", "change / before")
CAPTION = "what the step changes, in norms"


def figure(number: float) -> str:
    """Return a number in four digits.

    Examples
    --------
    >>> figure(0.00012345), figure(2.0), figure(float("nan"))
    ('0.0001234', '2', 'NaN')
    """
    return "NaN" if math.isnan(number) else f"{number:.4g}"


def subtitle(setting: Setting) -> str:
    """Return the rows, the loss, the optimizer and the backend, on one line."""
    rate = figure(setting.learning_rate)
    return (
        f"{setting.rows} rows, {setting.loss}, {setting.optimizer} at learning rate {rate}, "
        f"{setting.where}"
    )


def sections(lines: Sequence[Line]) -> tuple[tuple[str, tuple[Line, ...]], ...]:
    """Return the lines under their headings: the part of the step, and the layer where it has one."""
    return tuple((heading, tuple(inside)) for heading, inside in groupby(lines, key=_heading))


def row(update: Update) -> tuple[str, ...]:
    """Return a parameter's row of the table of updates."""
    ratio = "" if math.isnan(update.ratio) else figure(update.ratio)
    return update.name, *map(figure, (update.norm, update.gradient, update.change)), ratio


def figures(line: Line, width: float = math.inf) -> str:
    """Return the shape, norm, range and first entries of an array; as many entries as fit."""
    if line.array.size == 1:
        return f"{line.shape}  {figure(line.first[0])}"
    head = f"{line.shape}  norm {figure(line.norm)}  {figure(line.smallest)} to {figure(line.largest)}"
    for count in range(len(line.first), 0, -1):
        more = "" if count == line.array.size else " ..."
        entries = " ".join(f"{entry:.3g}" for entry in line.first[:count])
        if len(head) + len(entries) + len(more) + 4 <= width:
            return f"{head}  [{entries}{more}]"
    return head


def _heading(line: Line) -> str:
    has_layer = line.section in {"forward", "backward"} and line.layer is not None
    return f"{line.section}, layer {line.layer}" if has_layer else line.section
