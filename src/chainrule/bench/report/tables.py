"""The tables of the report: the verdict, the fastest backend of each cell, all rows."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from chainrule.bench import roster
from chainrule.bench.judge.results import FLAGS, Figures, Match, Results
from chainrule.bench.judge.statistics import geometric_mean
from chainrule.bench.report import words
from chainrule.bench.report.word_table import LETTERS, NONE, SIGNS, Table, microseconds, number, percent
from chainrule.bench.report.words import ABOVE, share_text

LEGEND = "▲ faster, ▼ slower, = the same, ? undecided"
VERDICT = ("network", "fastest backend,\ncells", "other\nlibraries", "times\nas fast", "of the\nlimit")
MEANINGS = (
    "Cells in which each backend is the fastest (?: another may be as fast), and in which it is ▲ faster, ▼ slower, "
    "= the same or ? undecided compared with the fastest other library. Times as fast as that: the geometric mean and "
    "the range over cells. Of the limit of the machine: the median and the range."
)
NOTHING = "Nothing was measured; the table of all rows says why."

# The column heads of all rows with their units, and the function that formats each value.
COLUMNS: dict[str, Callable[[Figures], str]] = {
    "cell": lambda f: f.place.cell.name,
    "contestant": lambda f: f.place.contestant,
    "operation": lambda f: f.place.operation,
    "threads": lambda f: str(f.place.threads or "default"),
    "status": lambda f: ": ".join(filter(None, (f.status, f.reason))),
    "time, µs": lambda f: microseconds(f.step),
    "samples/s, thousands": lambda f: number(f.step and 1e-3 * f.place.cell.batch / f.step),
    "GFLOP/s": lambda f: number(f.step and 1e-9 * f.place.flops / f.step),
    "of the limit": share_text,
    "bare products, µs": lambda f: microseconds(f.bare),
    "first call, ms": lambda f: number(f.first_call and 1e3 * f.first_call),
    "flags": lambda f: ", ".join(f.flags),
}


def summary(run: Results) -> list[Table]:
    """Return the tables that every form of the report has, with the doubts and the verdict first."""
    every = [words.doubts(run), verdict(run), fastest(run), missing(run)]
    return [table for table in every if table.rows or table.notes]


def verdict(run: Results) -> Table:
    """Return the verdict on all training steps together, then on each kind of network."""
    steps = [one for one in run.slices if one.operation == "step"]
    groups = {one.title: [one] for one in run.slices}
    groups = ({"all steps": steps} if len(steps) > 1 else {}) | groups
    table = Table("Verdict", VERDICT, notes=[MEANINGS], texts=3)
    for name, slices in groups.items():
        leads = [names for one in slices for names in one.leads.values()]
        if not leads:
            continue
        unsure = sum(len(names) > 1 for names in leads)
        matches = [match for one in slices for cell in one.cells if (match := one.match(cell)).ratio]
        standings = Counter(match.standing for match in matches)
        ratios = [match.ratio for match in matches if match.ratio]
        shares = [f.share for one in slices for f in one.bests() if f.share is not None]
        speeds = [ratio.estimate for ratio in ratios]
        table.rows.append(
            [
                name,
                _counted(Counter(first for first, *_ in leads)) + (f" (? {unsure})" if unsure else ""),
                _counted({sign: standings[word] for word, sign in SIGNS.items() if standings[word]}),
                _ranged(speeds and geometric_mean(ratios).estimate, speeds, number),
                _ranged(shares and median(shares), shares, percent),
            ]
        )
    table.notes = [MEANINGS if table.rows else NOTHING]
    return table


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or NONE


def _ranged(middle: Any, values: Sequence[float], text: Callable[[float], str]) -> str:
    """Return a typical value and, on the next line, the range of the values."""
    if len(values) < 2:
        return text(middle) if values else NONE
    return f"{text(middle)}\n({text(min(values))} to {text(max(values))})"


def sign(match: Match) -> str:
    """Return a ratio with the sign of its verdict, or the letter of a cell without a ratio.

    Examples
    --------
    >>> from chainrule.backends.speed_map.spots import Interval
    >>> sign(Match("faster", Interval(1.8, 1.7, 1.9))), sign(Match("failed"))
    ('1.80 ▲', 'f')
    """
    if match.ratio is None:
        return LETTERS[match.standing]
    return f"{number(match.ratio.estimate)} {SIGNS[match.standing]}"


def letters_used(texts: Iterable[str]) -> str:
    """Return the meaning of the letters among texts."""
    used = set(texts)
    return ", ".join(f"{letter} {name}" for name, letter in LETTERS.items() if letter in used)


def fastest(run: Results) -> Table:
    """Return the fastest backend of each cell, its time, its limit, and how it compares with the other libraries."""
    head = ["cell", "backend", "time,\nµs", "limit,\nµs", "products,\nµs", "of the\nlimit"]
    head += ["times\nothers"] if run.peers else []
    table = Table("The fastest backend, the machine's limit and the other libraries", head, texts=2)
    for one in run.slices:
        for cell in one.cells:
            row = [cell.name if one.operation == "step" else f"{cell.name} ({one.operation})"]
            if best := one.best(cell):
                times = map(microseconds, (best.step, best.limit, best.bare))
                row += [best.place.contestant, *times, share_text(best)]
            else:
                row += [sign(one.match(cell)), *[NONE] * 4]
            table.rows.append([*row, sign(one.match(cell))] if run.peers else row)
    notes = [LEGEND if run.peers else "", letters_used(text for row in table.rows for text in row)]
    notes += [f"!: {FLAGS[ABOVE]}"] if any("% !" in row[5] for row in table.rows) else []
    table.notes = [*filter(None, notes)]
    return table


def every_row(run: Results) -> Table:
    """Return all results, or the reason why there is none."""
    rows = [[text(f) for text in COLUMNS.values()] for f in run.rows]
    return Table("All rows", [*COLUMNS], [*rows], texts=5)


def missing(run: Results) -> Table:
    """Return the contestants without a result and the reasons, each once."""
    counts = Counter((f.place.contestant, f.status, f.reason) for f in run.rows if f.step is None)
    rows: list[Sequence[str]] = [[*key, str(count)] for key, count in counts.items()]
    return Table("Without a figure", ["contestant", "status", "reason", "cells"], rows, texts=3)


def contestants(run: Results) -> Table:
    """Return the contestants that took part, each with its description."""
    rows = [(name, roster.entry(name).description) for name in run.contestants]
    return Table("Contestants", ["name", "what it is"], [*rows], texts=2)
