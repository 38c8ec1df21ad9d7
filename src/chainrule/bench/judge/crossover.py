"""Crossover: which contestant is fastest over hidden size and batch, and where two change places."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from chainrule.backends.speed_map.interval import Interval
from chainrule.bench.cells import Cell, template_of
from chainrule.bench.judge.results import Place, Results
from chainrule.bench.report.contours import Grid, Line, contours

Spot = tuple[int, int]  # a hidden size and a batch size


class Winner(NamedTuple):
    """The fastest contestant at a spot; against the second, where there is one."""

    contestant: str
    seconds: float
    second: str | None = None
    ratio: Interval | None = None  # how many times as long the second takes

    @property
    def is_tie(self) -> bool:
        """Whether the interval leaves open which of the two is faster."""
        return self.ratio is not None and self.ratio.low <= 1.0


@dataclass(frozen=True)
class Crossover:
    """The map of two contestants: how many times as long ``over`` takes as ``under``.

    Attributes
    ----------
    hidden, batches
        The axes.
    ratios
        By hidden size and batch; a spot that was not measured is missing.
    """

    over: str
    under: str
    hidden: Sequence[int]
    batches: Sequence[int]
    ratios: dict[Spot, Interval]

    @cached_property
    def ties(self) -> frozenset[Spot]:
        """The spots where the interval spans 1."""
        return frozenset(spot for spot, ratio in self.ratios.items() if ratio.low <= 1.0 <= ratio.high)

    @cached_property
    def contour(self) -> list[Line]:
        """The lines ``[(H, B), ...]`` along which both take as long."""
        logs = [
            [
                math.log(self.ratios[H, B].estimate) if (H, B) in self.ratios else math.nan
                for B in self.batches
            ]
            for H in self.hidden
        ]
        grid = Grid([math.log(H) for H in self.hidden], [math.log(B) for B in self.batches], logs)
        return [[(math.exp(x), math.exp(y)) for x, y in line] for line in contours(grid)]


def crossover(
    results: Results, cells: Sequence[Cell], over: str, under: str, operation: str = "step"
) -> Crossover:
    """Return the map of two contestants over the cells of one shape of network.

    Each at the number of threads that is best for it in the cell.

    Raises
    ------
    ValueError
        If the cells are not of one shape and one dtype.
    """
    hidden, batches = axes(cells)
    ratios = {}
    for cell in cells:
        a, b = (_place(results, cell, name, operation) for name in (over, under))
        ratio = results.ratio(a, b) if a and b else None
        if ratio is not None:
            ratios[cell.hidden, cell.batch] = ratio
    return Crossover(over, under, hidden, batches, ratios)


def winners(
    results: Results, cells: Sequence[Cell], names: Sequence[str], operation: str = "step"
) -> dict[Spot, Winner]:
    """Return, for each cell of one shape of network, who is fastest there and how surely.

    Raises
    ------
    ValueError
        If the cells are not of one shape and one dtype.
    """
    axes(cells)
    found = {}
    for cell in cells:
        best = [f for name in names if (f := results.best(cell, [name], operation)) and f.step]
        best.sort(key=lambda figures: figures.step or 0.0)
        if not best:
            continue
        first, seconds = best[0].place.contestant, best[0].step or 0.0
        found[cell.hidden, cell.batch] = Winner(first, seconds)
        if len(best) > 1:
            ratio = results.ratio(best[1].place, best[0].place)
            found[cell.hidden, cell.batch] = Winner(first, seconds, best[1].place.contestant, ratio)
    return found


def axes(cells: Sequence[Cell]) -> tuple[list[int], list[int]]:
    """Return the hidden sizes and the batches of cells of one shape, ascending.

    Raises
    ------
    ValueError
        If they are not of one shape and one dtype.

    Examples
    --------
    >>> from chainrule.bench.cells import preset
    >>> axes(preset("mnist", "H=16,64 B=1,8"))
    ([16, 64], [1, 8])
    """
    shapes = sorted({f"{template_of(cell)} in {cell.dtype}" for cell in cells})
    if len(shapes) != 1:
        msg = f"a map is of one shape of network, got {', '.join(shapes) or 'none'}; make one of each"
        raise ValueError(msg)
    return sorted({cell.hidden for cell in cells}), sorted({cell.batch for cell in cells})


def _place(results: Results, cell: Cell, name: str, operation: str) -> Place | None:
    best = results.best(cell, [name], operation)
    return best.place if best else None
