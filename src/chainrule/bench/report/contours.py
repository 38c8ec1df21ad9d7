"""Contours: the lines along which a surface, given on a grid, is zero.

Between the grid's lines the surface is taken to be bilinear; a line of the contour goes straight from
edge to edge of a square (Lorensen & Cline 1987, "Marching cubes", in two dimensions). A square with all
four edges crossed is a saddle: its height at the saddle point says which two corners hang together (Nielson &
Hamann 1991, "The asymptotic decider").
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

Point = tuple[float, float]
Line = list[Point]


class Grid(NamedTuple):
    """A surface: ``z[i][j]`` at ``(x[i], y[j])``, ``nan`` where it is not known."""

    x: Sequence[float]
    y: Sequence[float]
    z: Sequence[Sequence[float]]


def contours(grid: Grid) -> list[Line]:
    """Return the lines along which the surface is zero.

    Examples
    --------
    >>> contours(Grid([0.0, 1.0], [0.0, 1.0], [[-1.0, -1.0], [3.0, 3.0]]))
    [[(0.25, 0.0), (0.25, 1.0)]]
    """
    pieces = [
        piece
        for i in range(len(grid.x) - 1)
        for j in range(len(grid.y) - 1)
        for piece in _in_square(grid, i, j)
        if piece[0] != piece[1]  # a corner that is zero itself
    ]
    return _joined(pieces)


def _in_square(grid: Grid, i: int, j: int) -> Iterator[tuple[Point, Point]]:
    """Return the pieces of the contour in a square, each from edge to edge."""
    corners = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)]
    values = [grid.z[p][q] for p, q in corners]
    if any(math.isnan(value) for value in values):
        return
    signs = [value >= 0.0 for value in values]
    crossed = [n for n in range(4) if signs[n] != signs[(n + 1) % 4]]  # edge n: corner n to the next
    points = {n: _crossing(grid, corners[n], corners[(n + 1) % 4]) for n in crossed}
    if len(crossed) == 2:
        yield points[crossed[0]], points[crossed[1]]
    elif len(crossed) == 4:
        # Corners 0 and 2 hang together where the saddle point has their sign: the pieces cut off 1 and 3.
        a, b, c, d = values
        height = (a * c - b * d) / (a + c - b - d)
        cut = (0, 1, 2, 3) if (height >= 0.0) == signs[0] else (3, 0, 1, 2)
        yield points[cut[0]], points[cut[1]]
        yield points[cut[2]], points[cut[3]]


def _crossing(grid: Grid, one: tuple[int, int], other: tuple[int, int]) -> Point:
    """Return where an edge crosses zero; from either side it is the same to the last bit."""
    (i, j), (p, q) = sorted((one, other))
    here, there = grid.z[i][j], grid.z[p][q]
    share = here / (here - there)
    x = grid.x[i] + share * (grid.x[p] - grid.x[i])
    return x, grid.y[j] + share * (grid.y[q] - grid.y[j])


def _joined(pieces: list[tuple[Point, Point]]) -> list[Line]:
    """Return the pieces put together, end to end."""
    lines: list[Line] = []
    left = list(pieces)
    while left:
        line = list(left.pop(0))
        while (more := _next(left, line[-1])) is not None:
            line.append(more)
        line.reverse()
        while (more := _next(left, line[-1])) is not None:
            line.append(more)
        line.reverse()
        lines.append(line)
    return lines


def _next(left: list[tuple[Point, Point]], end: Point) -> Point | None:
    """Take the piece that begins or ends here out of the others, and return its other end."""
    for n, (start, stop) in enumerate(left):
        if end in {start, stop}:
            del left[n]
            return stop if start == end else start
    return None
