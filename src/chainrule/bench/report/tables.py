"""The tables of the report: the doubts, the verdict, the fastest backend of each cell, all rows, the machine."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from string import Template
from typing import Any

from chainrule.bench import roster
from chainrule.bench.judge.machines import facts, library
from chainrule.bench.judge.results import FLAGS, Figures, Match, Results
from chainrule.bench.judge.statistics import BAND, geometric_mean
from chainrule.bench.report.word_table import LETTERS, NONE, SIGNS, Table, microseconds, number, percent
from chainrule.bench.store import Measurement

ABOVE = "above limit"  # the flag of a step that seems faster than its limit
FEW_PROCESSES = 3
NOISY = 0.25  # range of a contestant's blocks / their median
LEGEND = "▲ faster, ▼ slower, = the same, ? undecided"
VERDICT = ("network", "fastest backend,\ncells", "other\nlibraries", "times\nas fast", "of the\nlimit")
MEANINGS = (
    "Cells in which each backend is the fastest (?: another may be as fast), and in which it is ▲ faster, ▼ slower, "
    "= the same or ? undecided compared with the fastest other library. Times as fast as that: the geometric mean and "
    "the range over cells. Of the limit of the machine: the median and the range."
)
NOTHING = "Nothing was measured; the table of contestants without a figure says why."


def share_text(figures: Figures) -> str:
    """Return the machine's limit over the time of the step, with "!" if the step seems faster than the limit."""
    return percent(figures.share) + (" !" if ABOVE in figures.flags else "")


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
    every = [doubts(run), verdict(run), fastest(run), missing(run)]
    return [table for table in every if table.rows or table.notes]


def _measured(run: Results) -> list[Measurement]:
    return [one for one in run.records.measurements if one.is_timed]


def doubts(run: Results) -> Table:
    """Return the reasons to doubt the results: a busy machine, errors, noise, few processes."""
    measured = _measured(run)
    cells = {(m.run, m.process, m.cell, m.operation): m.flags for m in run.records.measurements}
    of_cells = Counter(flag for flags in cells.values() for flag in flags)
    of_rows = Counter(flag for f in run.rows for flag in f.flags if flag not in of_cells)
    counts = {f"{len(cells)} measured cells": of_cells, f"{len(run.rows)} rows": of_rows}
    lines = [
        f"In {some[flag]} of {total}, {text}."
        for total, some in counts.items()
        for flag, text in FLAGS.items()
        if some[flag]
    ]
    spread = [(max(m.seconds) - min(m.seconds)) / median(m.seconds) for m in measured]
    if measured and median(spread) > NOISY:
        lines.append(
            f"The times are noisy: those of one contestant range over {percent(median(spread))} of their "
            "median (median over contestants). Compare ratios, and ignore small differences."
        )
    if measured and len({m.process for m in measured}) < FEW_PROCESSES:
        lines.append(
            "The run is preliminary: it has fewer than three sets of processes, and the same code can "
            "differ by some percent between processes."
        )
    return Table("Read this first", notes=lines)


def verdict(run: Results) -> Table:
    """Return the verdict on all training steps together, then on each kind of network."""
    steps = [one for one in run.slices if one.operation == "step"]
    groups = {one.title: [one] for one in run.slices}
    groups = ({"all steps": steps} if len(steps) > 1 else {}) | groups
    table = Table("Verdict", VERDICT, texts=3)
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
            others = sign(one.match(cell))
            if best := one.best(cell):
                times = map(microseconds, (best.step, best.limit, best.bare))
                row += [best.place.contestant, *times, share_text(best)]
            else:
                row += [others, *[NONE] * 4]
            table.rows.append([*row, others] if run.peers else row)
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


def method(run: Results) -> Table:
    """Return how the run was measured, from ``method.txt``."""
    measured = _measured(run)
    text = Path(__file__).with_name("method.txt").read_text(encoding="utf-8")
    values = {
        "rounds": number(median(len(m.seconds) for m in measured) if measured else 0),
        "processes": len({m.process for m in measured}),
        "band": percent(BAND),
    }
    return Table("Method", notes=Template(text).substitute(values).splitlines())


def _facts(run: Results) -> Mapping[str, str]:
    """Return every fact of the environments by name, with all values if they differ."""
    values: dict[str, dict[str, None]] = {}
    for name, value in (fact for one in run.environments for fact in facts(one)):
        values.setdefault(name, {})[value] = None
    return {name: " / ".join(texts) for name, texts in values.items()}


def environment(run: Results) -> Table:
    """Return the facts of the environments."""
    return Table("Measured on", ["fact", "value"], [*_facts(run).items()], texts=2)


def line(run: Results) -> str:
    """Return the machine and the versions in one line."""
    record = _facts(run)
    pools = [library(pool) for one in run.environments for pool in one.get("blas") or []]
    blas = [name for name in dict.fromkeys(pools) if "blas" in name or "mkl" in name]
    versions = [f"{name[9:]} {value}" for name, value in record.items() if name[:9] == "versions "]
    return ", ".join([short(run), *blas, f"Python {record.get('python', '?')}", *versions])


def short(run: Results) -> str:
    """Return the processor and the GPU."""
    record = _facts(run)
    name = " ".join(record.get("cpu", "unknown processor").replace("(R)", "").split())
    cores = record.get("cores")
    counted = f"{cores} core{'' if cores == '1' else 's'}" if cores else ""
    return ", ".join(filter(None, (name, counted, record.get("gpu name"))))


def date(run: Results) -> str:
    """Return the day of the newest measurement, or nothing."""
    days = [one.run[:10] for one in run.records.measurements]
    return max((day for day in days if day[:4].isdecimal()), default="")
