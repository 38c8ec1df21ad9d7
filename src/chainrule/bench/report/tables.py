"""The tables of the report: hidden size against batch, the distance from the limit, all rows."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.judge.figures import FLAGS, Figures, Match
from chainrule.bench.judge.results import Results
from chainrule.bench.judge.slices import Slice, spread
from chainrule.bench.report.formats import NONE, microseconds, number
from chainrule.bench.report.word_table import LETTERS, SIGNS, Table
from chainrule.bench.report.words import ABOVE, share_text

LEGEND = "▲ faster, ▼ slower, = the same, ? undecided"
MOST = 9  # cells of a slice in the table of limits

# The heads of all rows, each with its unit, and how its text is made.
COLUMNS: dict[str, Callable[[Figures], str]] = {
    "cell": lambda f: f.place.cell.name,
    "contestant": lambda f: f.place.contestant,
    "operation": lambda f: f.place.operation,
    "threads": lambda f: str(f.place.threads or "default"),
    "status": lambda f: ": ".join(filter(None, (f.status, f.reason))),
    "time, µs": lambda f: microseconds(f.step),
    "samples/s, thousands": lambda f: number(f.samples_per_second and f.samples_per_second / 1e3),
    "GFLOP/s": lambda f: number(f.rate and f.rate / 1e9),
    "of the limit": share_text,
    "bare products, µs": lambda f: microseconds(f.bare),
    "elementwise, µs": lambda f: microseconds(f.elementwise),
    "dispatch, µs": lambda f: microseconds(f.dispatch),
    "first call, ms": lambda f: number(f.first_call and 1e3 * f.first_call),
    "flags": lambda f: ", ".join(f.flags),
}
_TEXTS = 5  # the first columns, which are words
_OFTEN_CONSTANT = ("operation", "threads")


def summary(run: Results) -> list[Table]:
    """Return all tables but the one of all rows."""
    tables = []
    for one in (s for s in run.slices if s.is_grid):
        tables.append(fastest(run, one))
        if run.peers and one.operation != "epoch":
            tables.append(against_peers(run, one))
    return [table for table in [*tables, _outside(run), limits(run), missing(run)] if table.rows]


def fastest(run: Results, one: Slice) -> Table:
    """Return the fastest backend of each cell of a grid, and its time."""

    def text(cell: Cell) -> str:
        best = run.best(cell, run.backends, one.operation)
        if best is None:
            return letter(run.match(cell, run.backends, run.backends, one.operation))
        return f"{best.place.contestant}\n{microseconds(best.step)}"

    return _pivot(f"{one.title}: the fastest backend, and its time in µs", one, text)


def against_peers(run: Results, one: Slice) -> Table:
    """Return how many times as fast as the fastest of the other libraries the fastest backend is."""
    table = _pivot(
        f"{one.title}: how many times as fast as the fastest of the other libraries",
        one,
        lambda cell: standing(run.match(cell, run.backends, run.peers, one.operation)),
    )
    return replace(table, notes=[LEGEND, *table.notes])


def standing(match: Match) -> str:
    """Return a ratio with the sign of its verdict.

    Examples
    --------
    >>> from chainrule.backends.speed_map.interval import Interval
    >>> standing(Match(None, None, Interval(1.8, 1.7, 1.9), "faster"))
    '1.80 ▲'
    """
    if not match.standing or match.ratio is None:
        return letter(match)
    return f"{number(match.ratio.estimate)} {SIGNS[match.standing]}"


def letter(match: Match) -> str:
    """Return the letter of a cell without a figure."""
    return LETTERS.get(match.lacking, LETTERS[""])


def _pivot(title: str, one: Slice, text: Callable[[Cell], str]) -> Table:
    """Return a table with a row for each hidden size and a column for each batch."""
    rows: list[Sequence[str]] = [
        [str(H), *(text(one.by_size[H, B]) if (H, B) in one.by_size else "" for B in one.batches)]
        for H in one.hidden
    ]
    notes = letters_used(cell for row in rows for cell in row[1:])
    return Table(title, ["H \\ B", *map(str, one.batches)], rows, [notes] if notes else [])


def letters_used(texts: Iterable[str]) -> str:
    """Return what the letters among some texts mean."""
    used = set(texts)
    names = {letter: name or "not measured" for name, letter in LETTERS.items() if letter in used}
    return ", ".join(f"{letter} {name}" for letter, name in names.items())


def _outside(run: Results) -> Table:
    """Return the cells that belong to no grid, a row each."""
    head = ["network, batch", "fastest", "time, µs", "times as fast as others"]
    table = Table("Networks outside the grids", head, texts=2, notes=[LEGEND])
    for one in (s for s in run.slices if not s.is_grid):
        for cell in one.cells:
            best = run.best(cell, run.backends, one.operation)
            match = run.match(cell, run.backends, run.peers, one.operation)
            name, time = (best.place.contestant, best.step) if best else (NONE, None)
            row = [_label(cell, one.operation), name, microseconds(time), standing(match)]
            table.rows.append(row)
    return table


def _label(cell: Cell, operation: str) -> str:
    return cell.name if operation == "step" else f"{cell.name} ({operation})"


def limits(run: Results) -> Table:
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
    for one in run.slices:
        for best in run.bests(spread(one.cells, MOST), run.backends, one.operation):
            if best.limit is not None:
                times = map(microseconds, [best.step, best.limit.seconds, best.bare])
                label, name = _label(best.place.cell, one.operation), best.place.contestant
                table.rows.append([label, name, *times, share_text(best), COLUMNS["GFLOP/s"](best)])
    if any("!" in row[-2] for row in table.rows):
        table.notes = [f"!: {FLAGS[ABOVE]}"]
    return table


def every_row(rows: Sequence[Figures]) -> Table:
    """Return all figures, with the reason where there is none; without columns that never differ."""
    columns = {
        name: texts
        for name, text in COLUMNS.items()
        if len(set(texts := [text(f) for f in rows])) > 1 or name not in _OFTEN_CONSTANT
    }
    body = list(zip(*columns.values(), strict=True))
    return Table("All rows", [*columns], [*body], texts=_TEXTS - len(COLUMNS) + len(columns))


def missing(run: Results) -> Table:
    """Return the contestants without a figure and the reasons, each once."""
    counts = Counter((f.place.contestant, f.status, f.reason) for f in run.rows if f.step is None)
    rows: list[Sequence[str]] = [[*key, str(count)] for key, count in counts.items()]
    return Table("Without a figure", ["contestant", "status", "reason", "cells"], rows, texts=3)


def contestants(run: Results) -> list[tuple[str, str]]:
    """Return the contestants that took part, each with its description."""
    known = [roster.entry(name) for name in run.contestants]
    return [(one.name, one.description + (" (tuned)" if one.is_tuned else "")) for one in known]


def readme_times(run: Results, most_rows: int, most_columns: int) -> Table:
    """Return the time of a step of the leading contestants in a few cells of all sizes."""
    cells = [cell for one in run.slices if one.operation == "step" for cell in one.cells]
    chosen = spread([cell for cell in cells if run.best(cell, run.backends)], most_rows)
    names = [name for name in [*run.backends, *run.peers] if run.bests(chosen, [name])]
    leading = run.ranked(chosen, names)[:most_columns]
    names = [name for name in names if name in leading]
    rows: list[Sequence[str]] = []
    for cell in chosen:
        best = [run.best(cell, [name]) for name in names]
        rows.append([cell.name, *(microseconds(f.step if f else None) for f in best)])
    return Table("", ["network, batch: µs a step", *names], rows)
