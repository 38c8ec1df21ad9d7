"""Pivots: hidden size against batch, who is the fastest and how that stands against the others."""

from collections.abc import Callable
from dataclasses import replace

from chainrule.bench.cells import Cell
from chainrule.bench.report.findings import LETTERS, Findings, Match
from chainrule.bench.report.slices import Slice
from chainrule.bench.report.word_table import Table, Toned, number, scaled

SIGNS = {
    "faster": ("▲", "good"),
    "slower": ("▼", "bad"),
    "same": ("=", "same"),
    "undecided": ("?", "unsure"),
}
LEGEND = "▲ faster, ▼ slower, = the same, ? undecided"


def pivots(found: Findings, columns: int = 0) -> list[Table]:
    """Return, for each grid, who is the fastest and how that stands against the others.

    Parameters
    ----------
    found
        The findings.
    columns
        The most batch sizes side by side; more of them make a table more. 0: all in one.
    """
    made: list[Table] = []
    for one in (s for s in found.slices if s.is_grid):
        made.append(fastest(found, one))
        if found.peers and one.operation != "epoch":
            made.append(against_peers(found, one))
    cut = [part for table in made for part in _cut(table, columns or len(table.head))]
    return [table for table in [*cut, *_others(found)] if table.rows]


def _cut(table: Table, columns: int) -> list[Table]:
    """Return a table in parts of so many columns beside the first."""
    parts = []
    for start in range(1, len(table.head), columns):
        stop = start + columns
        head, *rows = ([line[0], *line[start:stop]] for line in (table.head, *table.rows))
        parts.append(replace(table, head=head, rows=list(rows)))
    return parts


def fastest(found: Findings, one: Slice) -> Table:
    """Return which backend is the fastest, and the time it takes."""

    def cell_of(cell: Cell) -> Toned:
        best = found.best(cell, found.backends, one.operation)
        if best is None:
            return _absent(found.match(cell, found.backends, found.backends, one.operation))
        return Toned(f"{best.place.contestant}\n{scaled(best.step, 's')}")

    return _pivot(f"{one.title}: the fastest backend, and its time a step", one, cell_of)


def against_peers(found: Findings, one: Slice) -> Table:
    """Return how many times as fast as the fastest of the others ours is."""
    table = _pivot(
        f"{one.title}: how many times as fast as the fastest of the others",
        one,
        lambda cell: standing(found.match(cell, found.backends, found.peers, one.operation)),
    )
    table.notes = [LEGEND, *table.notes]
    return table


def standing(match: Match) -> Toned:
    """Return a ratio with the sign of its verdict.

    Examples
    --------
    >>> from chainrule.bench.cells import parse
    >>> from chainrule.backends.speed_map.interval import Interval
    >>> standing(Match(parse("64-16-10,1"), None, None, Interval(1.8, 1.7, 1.9), "faster"))
    '1.80x ▲'
    """
    if match.ratio is None:
        return _absent(match)
    sign, tone = SIGNS[match.standing]
    return Toned(f"{number(match.ratio.estimate, 'x')} {sign}", tone)


def _absent(match: Match) -> Toned:
    return Toned(LETTERS.get(match.lacking, "·"), "absent")


def _pivot(title: str, one: Slice, cell_of: Callable[[Cell], Toned]) -> Table:
    """Return a table with a row for each hidden size, a column for each batch."""
    table = Table(title, ["H \\ B", *map(str, one.batches)])
    for H in one.hidden:
        row = [
            cell_of(one.held[H, B]) if (H, B) in one.held else Toned("", "absent") for B in one.batches
        ]
        table.rows.append([str(H), *row])
    letters = {str(text) for row in table.rows for text in row[1:]} & set(LETTERS.values())
    table.notes = [
        f"{letter} {name or 'not measured'}" for name, letter in LETTERS.items() if letter in letters
    ]
    table.notes = [", ".join(table.notes)] if table.notes else []
    return table


def _others(found: Findings) -> list[Table]:
    """Return the cells that are of no grid, a row each."""
    table = Table("networks outside the grids", ["network, batch", "fastest", "time", "others"], texts=2)
    for one in (s for s in found.slices if not s.is_grid):
        for cell in one.cells:
            best = found.best(cell, found.backends, one.operation)
            name = cell.name if one.operation == "step" else f"{cell.name} ({one.operation})"
            match = found.match(cell, found.backends, found.peers, one.operation)
            time = scaled(best.step, "s") if best else "-"
            table.rows.append([name, best.place.contestant if best else "-", time, standing(match)])
    if any(found.slices) and table.rows:
        table.notes = [f"others: how many times as fast as the fastest of them. {LEGEND}"]
    return [table]
