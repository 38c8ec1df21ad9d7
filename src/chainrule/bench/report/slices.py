"""Slices: the cells of one kind of network, as a grid of hidden size against batch size."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from chainrule.bench.cells import Cell, template_of

OPERATIONS = {
    "step": "a training step",
    "forward": "a forward pass",
    "epoch": "a step within an epoch of training",
    "transfer": "a training step with its batch copied from the host",
}


class Slice(NamedTuple):
    """What differs in hidden size and batch alone.

    Examples
    --------
    >>> from chainrule.bench.cells import named
    >>> (one,) = slices((cell, "step") for cell in named(["64-16-10,1", "64-16-10,8", "64-32-10,8"]))
    >>> one.title, one.hidden, one.batches, one.is_grid
    ('digits, 64-H-10', [16, 32], [1, 8], True)
    """

    template: str
    dtype: str
    operation: str
    held: dict[tuple[int, int], Cell]  # by hidden size and batch

    @property
    def title(self) -> str:
        """What tables and figures call it."""
        first, *hidden, last = next(iter(self.held.values())).sizes
        pattern = "-".join([str(first), *("H" * len(hidden)), str(last)])
        name = self.template if "-" in self.template else f"{self.template}, {pattern}"
        name = name.replace(",adam", ", Adam")
        more = [] if self.dtype == "float32" else [self.dtype]
        more += [] if self.operation == "step" else [OPERATIONS[self.operation]]
        return "; ".join([name, *more])

    @property
    def cells(self) -> list[Cell]:
        """Its cells, narrow and small first."""
        return [self.held[key] for key in sorted(self.held)]

    @property
    def hidden(self) -> list[int]:
        """The hidden sizes."""
        return sorted({H for H, _ in self.held})

    @property
    def batches(self) -> list[int]:
        """The batch sizes."""
        return sorted({B for _, B in self.held})

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
    """Return the slices of cells and operations, the largest first; training steps before all else."""
    found: dict[tuple[str, str, str], dict[tuple[int, int], Cell]] = defaultdict(dict)
    for cell, operation in places:
        found[_kind(cell), cell.dtype, operation][cell.hidden, cell.batch] = cell
    every = [Slice(*key, held) for key, held in found.items()]
    order = list(OPERATIONS)
    return sorted(every, key=lambda one: (order.index(one.operation), -len(one.held), one.template))


def _kind(cell: Cell) -> str:
    """Return what a cell is of: hidden layers of different sizes are no grid's."""
    if len(set(cell.sizes[1:-1])) > 1:
        return "-".join(map(str, cell.sizes)) + ("" if cell.rule == "sgd" else f",{cell.rule}")
    return template_of(cell)
