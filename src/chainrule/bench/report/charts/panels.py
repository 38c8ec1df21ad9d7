"""What all panels share: how they are headed, how numbers stand in them, which cells stand for all."""

from collections.abc import Sequence
from typing import NamedTuple

from chainrule.bench.cells import Cell
from chainrule.bench.report.drawings.shapes import Shape, Words
from chainrule.bench.report.slices import Slice

WIDTH = 372.0  # of a panel: one fits a telephone


def heading(title: str, more: str = "") -> list[Shape]:
    """Return the head of a panel: 36 pixels."""
    told: list[Shape] = [Words(0, 13, title, size=13, bold=True)]
    return [*told, Words(0, 29, more, ink="muted")] if more else told


def short(ratio: float) -> str:
    """Return a ratio in two digits.

    Examples
    --------
    >>> short(1.84), short(12.4), short(0.0831), short(0.996)
    ('1.8', '12', '0.08', '1.0')
    """
    return f"{ratio:.0f}" if ratio >= 9.95 else f"{ratio:.1f}" if ratio >= 0.995 else f"{ratio:.2f}"


def spread(cells: Sequence[Cell], most: int) -> list[Cell]:
    """Return at most so many of the cells, evenly over their work, the least and the most among them."""
    chosen = sorted(cells, key=lambda cell: (cell.flops, cell))
    if len(chosen) <= most:
        return chosen
    return [chosen[round(place * (len(chosen) - 1) / (most - 1))] for place in range(most)]


class Row(NamedTuple):
    """A cell of a list, and what it is called in it."""

    label: str
    cell: Cell
    operation: str


class Group(NamedTuple):
    """Cells that are listed together."""

    title: str
    slug: str
    rows: list[Row]


def groups(slices: Sequence[Slice], most: int) -> list[Group]:
    """Return the cells of each slice, at most so many; those that are alone in theirs, together."""
    made = []
    for one in (s for s in slices if len(s.cells) > 1):
        rows = [Row(f"H {c.hidden}, B {c.batch}", c, one.operation) for c in spread(one.cells, most)]
        made.append(Group(one.title, one.slug, rows))
    alone = [Row(_short_name(s.cells[0]), s.cells[0], s.operation) for s in slices if len(s.cells) == 1]
    return [*made, Group("other networks", "others", alone)] if alone else made


def _short_name(cell: Cell) -> str:
    return f"{'-'.join(map(str, cell.sizes))}, {cell.batch}"
