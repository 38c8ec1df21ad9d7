"""Bounds: how much of a large run stands in the page, so that a telephone opens it; it says what is left out.

Together they keep a page below a megabyte and a half.
"""

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from chainrule.bench import roster
from chainrule.bench.judge.results import Figures

DRAWN = 840_000  # characters of figures
LISTED = 1000  # rows of the table
HELD = 400_000  # characters of JSON

_FIRST = (roster.BACKEND, roster.PRODUCTS, roster.PEER)  # whose rows stay


def kept(figures: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the figures of each section that there is room for: the first of each, then the second, and so on.

    Examples
    --------
    >>> kept({"map": ["a", DRAWN * "b", "c"], "peers": ["d", "e"]})
    {'map': ['a'], 'peers': ['d', 'e']}
    """
    left, full = DRAWN, set[str]()
    found: dict[str, list[str]] = {name: [] for name in figures}
    for row in zip_longest(*figures.values()):
        for name, figure in zip(figures, row, strict=True):
            if figure is None or name in full:
                continue
            if len(figure) > left:
                full.add(name)
                continue
            found[name].append(figure)
            left -= len(figure)
    return found


def listed(rows: Sequence[Figures]) -> list[Figures]:
    """Return the rows that stand in the table, in their order; of too many, those of backends stay longest."""
    if len(rows) <= LISTED:
        return list(rows)
    groups = [roster.entry(one.place.contestant).group for one in rows]
    chosen = sorted(range(len(rows)), key=lambda place: _FIRST.index(groups[place]))[:LISTED]
    return [rows[place] for place in sorted(chosen)]
