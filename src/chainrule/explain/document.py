"""Document: the contents of an explanation as text, in the order in which every form shows them."""

import math
from dataclasses import dataclass
from itertools import groupby

from chainrule.explain.records import Flag, Line, Setting, Update

COLUMNS = ("", "before", "gradient", "change", "change / before")
CAPTION = "what the step changes, in norms"


@dataclass(frozen=True)
class Document:
    """The contents of an explanation under headings, as the terminal and HTML show them."""

    setting: Setting
    lines: tuple[Line, ...]
    updates: tuple[Update, ...]
    loss_before: float  # with the penalty of the weight decay
    loss_after: float
    flags: tuple[Flag, ...] = ()  # what is wrong; empty if nothing was found
    undecided: tuple[str, ...] = ()  # what the rows cannot answer, and why

    @property
    def title(self) -> str:
        """The network."""
        return f"one training step of {self.setting.network}"

    @property
    def subtitle(self) -> str:
        """The rows, the loss, the optimizer and the backend."""
        given = self.setting
        rule = f"{given.optimizer} at learning rate {figure(given.learning_rate)}"
        return f"{given.rows} rows, {given.loss}, {rule}, {given.where}"

    @property
    def sections(self) -> list[tuple[str, list[Line]]]:
        """The lines under their headings: the part of the step, and the layer if it has one."""
        return [(heading, list(inside)) for heading, inside in groupby(self.lines, key=_heading)]

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The table of updates: a row for each parameter, below ``COLUMNS``."""
        return [
            (u.name, *map(figure, (u.norm, u.gradient, u.change)), figure(u.ratio) if u.norm else "")
            for u in self.updates
        ]

    @property
    def losses(self) -> str:
        """The closing words."""
        before, after = figure(self.loss_before), figure(self.loss_after)
        return f"the loss goes from {before} to {after} on these rows"


def figure(number: float) -> str:
    """Return a number in four digits.

    Examples
    --------
    >>> figure(0.00012345), figure(2.0), figure(float("nan"))
    ('0.0001234', '2', 'NaN')
    """
    return "NaN" if math.isnan(number) else f"{number:.4g}"


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
