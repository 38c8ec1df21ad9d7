"""Regions: where which contestant leads, as few thresholds along one axis as say it.

An axis (the batch size, the hidden size, the work of a step) is cut into at most three pieces, each given
to one contestant, so that in as few cells as can be somebody else is ahead.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from chainrule.bench.cells import Cell

MOST_PIECES = 3
AXES: dict[str, Callable[[Cell], int]] = {
    "batch": lambda cell: cell.batch,
    "hidden size": lambda cell: cell.hidden,
    "work": lambda cell: cell.flops,
}


class Piece(NamedTuple):
    """A stretch of an axis from ``start`` to before the next piece's, and who leads there."""

    start: int
    name: str


class Regions(NamedTuple):
    """The pieces of an axis, the cells in which they are wrong, and in how many they may be."""

    axis: str
    pieces: tuple[Piece, ...]
    exceptions: tuple[Cell, ...]
    doubts: int = 0


def regions(leads: Mapping[Cell, Sequence[str]]) -> Regions:
    """Return the pieces that describe who leads.

    Parameters
    ----------
    leads
        For each cell, those that lead there: several where it is undecided, the likeliest first.

    Examples
    --------
    >>> from chainrule.bench.cells import parse
    >>> regions({parse("64-16-10,1"): ["numpy"], parse("64-16-10,8"): ["numpy", "cupy"],
    ...          parse("64-16-10,64"): ["cupy"]}).pieces
    (Piece(start=1, name='numpy'), Piece(start=64, name='cupy'))
    """
    found = [_best_cut(axis, leads) for axis in AXES]
    return min(found, key=lambda one: _cost(one, len(leads)))


def _cost(one: Regions, cells: int) -> float:
    """Return what a description costs: a cut is worth a cell, among many cells more than one."""
    return len(one.exceptions) + len(one.pieces) * max(0.75, cells / 16) + one.doubts / 100


def _best_cut(axis: str, leads: Mapping[Cell, Sequence[str]]) -> Regions:
    values = sorted({AXES[axis](cell) for cell in leads})
    return min(
        (_named(axis, starts, leads) for starts in _starts(values)),
        key=lambda one: _cost(one, len(leads)),
    )


def _starts(values: Sequence[int]) -> Iterator[tuple[int, ...]]:
    for cuts in range(min(MOST_PIECES, len(values))):
        for inner in combinations(values[1:], cuts):
            yield (values[0], *inner)


def _named(axis: str, starts: tuple[int, ...], leads: Mapping[Cell, Sequence[str]]) -> Regions:
    """Give each piece to whoever leads in most of its cells."""
    pieces: list[Piece] = []
    exceptions: list[Cell] = []
    doubts = 0
    for place, start in enumerate(starts):
        stop = starts[place + 1] if place + 1 < len(starts) else float("inf")
        inside = {cell: names for cell, names in leads.items() if start <= AXES[axis](cell) < stop}
        # Of those that are ahead somewhere, the one that may lead most often.
        counts = Counter(name for names in inside.values() for name in names)
        ahead = Counter(names[0] for names in inside.values())
        name = max(ahead, key=lambda one: (counts[one], ahead[one]))
        doubts += sum(name in names[1:] for names in inside.values())
        exceptions += [cell for cell, names in inside.items() if name not in names]
        if not pieces or pieces[-1].name != name:
            pieces.append(Piece(start, name))
    return Regions(axis, tuple(pieces), tuple(exceptions), doubts)
