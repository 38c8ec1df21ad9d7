"""The tables of the report: hidden size against batch, the distance from the limit, all rows."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.judge.results import FLAGS, Figures
from chainrule.bench.report.findings import LETTERS, Findings, Match
from chainrule.bench.report.formats import NONE, number
from chainrule.bench.report.slices import Slice, spread
from chainrule.bench.report.word_table import Table, Toned
from chainrule.bench.report.words import ABOVE, share_text

SIGNS = {
    "faster": ("▲", "good"),
    "slower": ("▼", "bad"),
    "same": ("=", "same"),
    "undecided": ("?", "unsure"),
}
LEGEND = "▲ faster, ▼ slower, = the same, ? undecided"
MOST = 9  # cells of a slice in the table of limits


def microseconds(seconds: float | None) -> str:
    """Return a time as a number of microseconds, the unit of all tables."""
    return number(None if seconds is None else 1e6 * seconds)


def gflops(f: Figures) -> str:
    """Return the rate of the products over the whole step."""
    return number(None if f.rate is None else f.rate / 1e9)


# The heads of all rows, each with its unit, and how its text is made.
COLUMNS: dict[str, Callable[[Figures], str]] = {
    "cell": lambda f: f.place.cell.name,
    "contestant": lambda f: f.place.contestant,
    "operation": lambda f: f.place.operation,
    "threads": lambda f: str(f.place.threads or "default"),
    "status": lambda f: ": ".join(filter(None, (f.status, f.reason))),
    "time, µs": lambda f: microseconds(f.step),
    "samples/s, thousands": lambda f: number(f.samples_per_second and f.samples_per_second / 1e3),
    "GFLOP/s": gflops,
    "of the limit": share_text,
    "bare products, µs": lambda f: microseconds(f.bare),
    "elementwise, µs": lambda f: microseconds(f.elementwise),
    "dispatch, µs": lambda f: microseconds(f.dispatch),
    "first call, ms": lambda f: number(f.first_call and 1e3 * f.first_call),
    "flags": lambda f: ", ".join(f.flags),
}
_TEXTS = 5  # the first columns, which are words
_OFTEN_CONSTANT = ("operation", "threads")


def grids(found: Findings) -> list[Table]:
    """Return for each grid who is fastest, and how that compares with the other libraries."""
    tables = []
    for one in (s for s in found.slices if s.is_grid):
        tables.append(fastest(found, one))
        if found.peers and one.operation != "epoch":
            tables.append(against_peers(found, one))
    return [table for table in [*tables, _outside(found)] if table.rows]


def summary(found: Findings) -> list[Table]:
    """Return all tables but the one of all rows."""
    return [*grids(found), *(t for t in (limits(found), missing(found)) if t.rows)]


def fastest(found: Findings, one: Slice) -> Table:
    """Return the fastest backend of each cell of a grid, and its time."""

    def text(cell: Cell) -> Toned:
        best = found.best(cell, found.backends, one.operation)
        if best is None:
            return _absent(found.match(cell, found.backends, found.backends, one.operation))
        return Toned(f"{best.place.contestant}\n{microseconds(best.step)}")

    return _pivot(f"{one.title}: the fastest backend, and its time in µs", one, text)


def against_peers(found: Findings, one: Slice) -> Table:
    """Return how many times as fast as the fastest of the other libraries the fastest backend is."""
    title = f"{one.title}: how many times as fast as the fastest of the other libraries"
    table = _pivot(
        title,
        one,
        lambda cell: standing(found.match(cell, found.backends, found.peers, one.operation)),
    )
    return replace(table, notes=[LEGEND, *table.notes])


def standing(match: Match) -> Toned:
    """Return a ratio with the sign of its verdict.

    Examples
    --------
    (Match(parse("64-16-10,1"), None, None, Interval(1.8, 1.7, 1.9), "faster"))
    '1.80 ▲'
    """
    if match.ratio is None:
        return _absent(match)
    sign, tone = SIGNS[match.standing]
    return Toned(f"{number(match.ratio.estimate)} {sign}", tone)


def _absent(match: Match) -> Toned:
    return Toned(LETTERS.get(match.lacking, LETTERS[""]), "absent")


def _pivot(title: str, one: Slice, text: Callable[[Cell], Toned]) -> Table:
    """Return a table with a row for each hidden size and a column for each batch."""
    rows: list[Sequence[str]] = [
        [str(H), *(text(one.by_size[H, B]) if (H, B) in one.by_size else "" for B in one.batches)]
        for H in one.hidden
    ]
    notes = letters_used(str(cell) for row in rows for cell in row[1:])
    return Table(title, ["H \\ B", *map(str, one.batches)], rows, [notes] if notes else [])


def letters_used(texts: Iterable[str]) -> str:
    """Return what the letters among some texts mean."""
    used = set(texts)
    return ", ".join(
        f"{letter} {name or 'not measured'}" for name, letter in LETTERS.items() if letter in used
    )


def _outside(found: Findings) -> Table:
    """Return the cells that belong to no grid, a row each."""
    head = ["network, batch", "fastest", "time, µs", "times as fast as others"]
    table = Table("Networks outside the grids", head, texts=2, notes=[LEGEND])
    for one in (s for s in found.slices if not s.is_grid):
        for cell in one.cells:
            best = found.best(cell, found.backends, one.operation)
            match = found.match(cell, found.backends, found.peers, one.operation)
            name = best.place.contestant if best else NONE
            time = microseconds(best.step if best else None)
            table.rows.append([_label(cell, one.operation), name, time, standing(match)])
    return table


def _label(cell: Cell, operation: str) -> str:
    return cell.name if operation == "step" else f"{cell.name} ({operation})"


def limits(found: Findings) -> Table:
    """Return for the fastest backend of some cells how near it comes to the limit of the machine."""
    head = [
        "cell",
        "backend",
        "time,\nµs",
        "limit,\nµs",
        "bare\nproducts, µs",
        "of the\nlimit",
        "GFLOP/s",
    ]
    table = Table("Distance from the machine's limit: the fastest backend", head, texts=2)
    for one in found.slices:
        for best in found.bests(spread(one.cells, MOST), found.backends, one.operation):
            if best.limit is None:
                continue
            times = [best.step, best.limit.seconds, best.bare]
            label, name = _label(best.place.cell, one.operation), best.place.contestant
            table.rows.append([label, name, *map(microseconds, times), share_text(best), gflops(best)])
    if any("!" in row[-2] for row in table.rows):
        table.notes = [f"!: {FLAGS[ABOVE]}"]
    return table


def every_row(rows: Sequence[Figures]) -> Table:
    """Return all figures, with the reason where there is none; without columns that never differ."""
    lines = [[text(f) for text in COLUMNS.values()] for f in rows]
    kept = [
        place
        for place, name in enumerate(COLUMNS)
        if name not in _OFTEN_CONSTANT or len({line[place] for line in lines}) > 1
    ]
    head, *body = ([line[place] for place in kept] for line in ([*COLUMNS], *lines))
    return Table("All rows", head, list(body), texts=_TEXTS - len(COLUMNS) + len(kept))


def missing(found: Findings) -> Table:
    """Return the contestants without a figure and the reasons, each once."""
    counts = Counter((f.place.contestant, f.status, f.reason) for f in found.rows if f.step is None)
    rows: list[Sequence[str]] = [[*key, str(count)] for key, count in counts.items()]
    return Table("Without a figure", ["contestant", "status", "reason", "cells"], rows, texts=3)


def contestants(found: Findings) -> list[tuple[str, str]]:
    """Return the contestants that took part, each with its description."""
    known = [roster.entry(name) for name in found.contestants]
    return [(one.name, one.description + (" (tuned)" if one.is_tuned else "")) for one in known]


def readme_times(found: Findings, most_rows: int, most_columns: int) -> Table:
    """Return the time of a step of the leading contestants in a few cells of all sizes."""
    cells = [cell for one in found.slices if one.operation == "step" for cell in one.cells]
    chosen = spread([cell for cell in cells if found.best(cell, found.backends)], most_rows)
    names = [name for name in [*found.backends, *found.peers] if found.bests(chosen, [name])]
    leading = found.ranked(chosen, names)[:most_columns]
    head = ["network, batch: µs a step", *(name for name in names if name in leading)]
    rows: list[Sequence[str]] = []
    for cell in chosen:
        best = [found.best(cell, [name]) for name in head[1:]]
        rows.append([cell.name, *(microseconds(f.step if f else None) for f in best)])
    return Table("", head, rows)
