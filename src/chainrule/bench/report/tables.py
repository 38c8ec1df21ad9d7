"""The other tables: how near the limit, all rows, and why rows are missing."""

from collections.abc import Sequence
from dataclasses import replace

from chainrule.bench import roster
from chainrule.bench.judge.results import Figures
from chainrule.bench.report.charts.panels import spread
from chainrule.bench.report.findings import Findings, is_known
from chainrule.bench.report.word_table import Table, scaled
from chainrule.bench.report.words import percent

MOST = 9  # cells of a slice in the table of limits
ROWS = (
    *("cell", "contestant", "operation", "threads", "status", "time", "samples/s", "rate"),
    *("of limit", "products", "elementwise", "dispatch", "first call", "flags"),
)


def efficiency(found: Findings) -> Table:
    """Return, for the fastest backend of each cell, where its time goes."""
    head = ["cell", "backend", "time", "of limit", "parts, %", "rate"]
    table = Table("How near the limit: the fastest backend", head, texts=2)
    table.notes = [
        (
            "of limit: the least time that the machine needs for a step over that of the step; parts: products / elementwise / "
            "dispatch (an estimate)"
        )
    ]
    for one in found.slices:
        for cell in spread(one.cells, MOST):
            best = found.best(cell, found.backends, one.operation)
            if best is not None and best.share is not None:
                table.rows.append([_label(best), best.place.contestant, *_spent(best)])
    return table


def _label(one: Figures) -> str:
    place = one.place
    return place.cell.name if place.operation == "step" else f"{place.cell.name} ({place.operation})"


def _spent(one: Figures) -> list[str]:
    step = one.step or 1.0
    shares = ["-" if part is None else f"{100 * part / step:.0f}" for part in _parts(one)]
    rate = scaled(one.rate, "FLOP/s")
    return [scaled(one.step, "s"), percent(one.share), " / ".join(shares), rate]


def _parts(one: Figures) -> Sequence[float | None]:
    return one.products, one.elementwise, one.dispatch


def every_row(rows: Sequence[Figures]) -> Table:
    """Return all figures, those that are missing with the reason."""
    table = Table("All rows", ROWS, texts=5)
    for one in rows:
        place = one.place
        status = one.status if not one.reason else f"{one.status}: {one.reason}"
        told = [place.cell.name, place.contestant, place.operation, str(place.threads or "own"), status]
        figures = [scaled(one.step, "s"), scaled(one.samples_per_second), scaled(one.rate, "FLOP/s")]
        shares = [percent(one.share)]
        parts = [scaled(part, "s") for part in _parts(one)]
        more = [scaled(one.first_call, "s"), ", ".join(one.flags)]
        table.rows.append([*told, *figures, *shares, *parts, *more])
    return _without_constant(table)


def _without_constant(table: Table) -> Table:
    """Return a table without the operations and threads that are the same in all its rows."""
    dull = {
        place
        for place in (ROWS.index("operation"), ROWS.index("threads"))
        if len({row[place] for row in table.rows}) < 2
    }
    head, *rows = (
        [text for place, text in enumerate(line) if place not in dull]
        for line in (table.head, *table.rows)
    )
    return replace(table, head=head, rows=list(rows), texts=table.texts - len(dull))


def missing(found: Findings) -> Table:
    """Return who has no figure and why, the same reason once."""
    table = Table("Without a figure", ["contestant", "status", "reason", "cells"], texts=3)
    counted: dict[tuple[str, str, str], int] = {}
    for one in (row for row in found.rows if row.step is None):
        key = one.place.contestant, one.status, one.reason
        counted[key] = counted.get(key, 0) + 1
    table.rows = [[*key, str(count)] for key, count in counted.items()]
    return table


def contestants(found: Findings) -> list[tuple[str, str]]:
    """Return who took part, and what each is."""
    known = [roster.entry(name) for name in filter(is_known, found.results.contestants)]
    return [(one.name, one.description + (" (tuned)" if one.is_tuned else "")) for one in known]
