"""Slices: the cells of one kind of network, as a grid of hidden size against batch size."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from chainrule.bench.cells import PRESETS, Cell, template_of
from chainrule.bench.roster import OPERATIONS

T = TypeVar("T")
Group = dict[str, tuple[Cell, str]]  # cells that a figure lists together, by label, and their operations


class Slice(NamedTuple):
    """Cells that differ in hidden size and batch size alone.

    Examples
    --------
    >>> from chainrule.bench.cells import parse
    >>> (one,) = slices((cell, "step") for cell in map(parse, ["64-16-10,1", "64-16-10,8", "64-32-10,8"]))
    >>> one.title, one.hidden, one.batches, one.is_grid
    ('digits, 64-H-10', [16, 32], [1, 8], True)
    """

    template: str
    dtype: str
    operation: str
    by_size: dict[tuple[int, int], Cell]  # by hidden size and batch

    @property
    def title(self) -> str:
        """Its name in tables and figures."""
        pattern = PRESETS.get(self.template, "").partition(",")[0]
        name = ", ".join(filter(None, (self.template, pattern)))
        more = [] if self.dtype == "float32" else [self.dtype]
        more += [] if self.operation == "step" else [OPERATIONS[self.operation]]
        return "; ".join([name.replace(",adam", ", Adam"), *more])

    @property
    def cells(self) -> list[Cell]:
        """Its cells, narrow and small first."""
        return [self.by_size[key] for key in sorted(self.by_size)]

    @property
    def hidden(self) -> list[int]:
        """The hidden sizes."""
        return sorted({H for H, _ in self.by_size})

    @property
    def batches(self) -> list[int]:
        """The batch sizes."""
        return sorted({B for _, B in self.by_size})

    @property
    def is_grid(self) -> bool:
        """Whether it has more than one hidden size and more than one batch size."""
        return len(self.hidden) > 1 and len(self.batches) > 1

    @property
    def slug(self) -> str:
        """Its name in names of files."""
        words = [self.template, self.dtype, self.operation]
        kept = [word for word in words if word not in {"float32", "step"}]
        return "-".join(kept).replace(",", "-").lower()


def slices(places: Iterable[tuple[Cell, str]]) -> list[Slice]:
    """Return the slices of cells and operations, training steps and the largest first."""
    groups: dict[tuple[str, str, str], dict[tuple[int, int], Cell]] = defaultdict(dict)
    for cell, operation in places:
        groups[template_of(cell), cell.dtype, operation][cell.hidden, cell.batch] = cell
    every = [Slice(*key, cells) for key, cells in groups.items()]
    order = list(OPERATIONS)
    return sorted(every, key=lambda s: (order.index(s.operation), -len(s.by_size), s.template))


def spread(cells: Sequence[Cell], most: int) -> list[Cell]:
    """Return at most ``most`` cells, evenly spaced by their work, with the smallest and the largest.

    Examples
    --------
    >>> from chainrule.bench.cells import parse
    >>> [cell.hidden for cell in spread([parse(f"64-{H}-10,8") for H in range(1, 40)], 3)]
    [1, 20, 39]
    """
    return evenly(sorted(cells, key=lambda cell: (cell.flops, cell)), most)


def evenly(values: Sequence[T], most: int) -> list[T]:
    """Return at most ``most`` values, evenly spaced, with the first and the last."""
    if len(values) <= most:
        return list(values)
    return [values[round(place * (len(values) - 1) / (most - 1))] for place in range(most)]


def groups(every: Sequence[Slice], most: int) -> dict[str, Group]:
    """Return by title the cells of each slice, at most ``most``, and the cells that are alone in theirs."""
    grids: dict[str, Group] = {
        s.title: {f"H {c.hidden}, B {c.batch}": (c, s.operation) for c in spread(s.cells, most)}
        for s in every
        if len(s.cells) > 1
    }
    alone: Group = {s.cells[0].name: (s.cells[0], s.operation) for s in every if len(s.cells) == 1}
    return grids | ({"other networks": alone} if alone else {})
