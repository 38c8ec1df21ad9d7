"""What stands on and under a crossover map: the line where both are level, the scale of its colours."""

import math
from collections.abc import Mapping
from itertools import pairwise

from chainrule.backends.speed_map.interval import Interval
from chainrule.bench.cells import Cell
from chainrule.bench.judge.crossover import Crossover, Spot
from chainrule.bench.report.contours import Line
from chainrule.bench.report.drawings.shapes import Box, Path, Point, Shape, Words
from chainrule.bench.report.findings import Match
from chainrule.bench.report.slices import Slice

SWATCH = 27.0


class Grid:
    """Where hidden and batch sizes lie on a map: its cells are equally wide whatever their sizes.

    Parameters
    ----------
    one
        The slice.
    corner
        Where the map begins.
    size
        The width and the height of a cell.
    """

    def __init__(self, one: Slice, corner: Point, size: Point) -> None:
        self._hidden, self._batches = one.hidden, one.batches
        self._corner, self._size = corner, size

    def contour(self, ratios: dict[Spot, Interval]) -> list[Line]:
        """Return the lines on which ratios are 1."""
        return Crossover("right", "left", self._hidden, self._batches, ratios).contour

    def at(self, H: float, B: float) -> Point:
        """Return the pixels of a hidden size and a batch size, between the cells along their logarithms."""
        left, top = self._corner
        across = _place(B, self._batches) + 0.5
        down = len(self._hidden) - 0.5 - _place(H, self._hidden)
        return left + self._size[0] * across, top + self._size[1] * down


def _place(value: float, values: list[int]) -> float:
    """Return the place of a value among sorted ones, as a fraction between two."""
    for place, (low, high) in enumerate(pairwise(values)):
        if value <= high:
            return place + math.log(value / low) / math.log(high / low)
    return float(len(values) - 1)


def contour(grid: Grid, matches: Mapping[Cell, Match]) -> list[Shape]:
    """Return the line on which the ratio is 1."""
    ratios = {(c.hidden, c.batch): m.ratio for c, m in matches.items() if m.ratio}
    lines = [tuple(grid.at(H, B) for H, B in line) for line in grid.contour(ratios)]
    # All halos first: a line is not cut by the halo of its neighbour.
    return [*(Path(line, "page", 5) for line in lines), *(Path(line, "ink", 2.5) for line in lines)]


def colours(left: float, top: float) -> list[Shape]:
    """Return the scale of the colours."""
    names = [f"slower-{n}" for n in (4, 3, 2, 1)] + ["level"] + [f"faster-{n}" for n in (1, 2, 3, 4)]
    drawn: list[Shape] = [
        Box(left + SWATCH * place, top, SWATCH - 1, 9, name, rounded=2)
        for place, name in enumerate(names)
    ]
    for bound, place in zip(("¼x", "½x", "1x", "2x", "4x"), (1, 2, 4.5, 7, 8), strict=True):
        drawn.append(Words(left + SWATCH * place, top + 22, bound, "middle", "muted", 10))
    return [
        *drawn,
        Words(left - 6, top + 9, "slower", "end", "muted", 10),
        Words(left + SWATCH * 9 + 5, top + 9, "faster", ink="muted", size=10),
    ]
