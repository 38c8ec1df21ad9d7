"""The time of a step beside the machine's limit and the bare matrix products."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from chainrule.bench.judge.results import Figures
from chainrule.bench.report.charts.panels import (
    GRID,
    INK,
    MUTED,
    SMALL,
    Chart,
    Panel,
    ends,
    legend,
    log_axis,
    look_of,
    mark,
)
from chainrule.bench.report.findings import Findings
from chainrule.bench.report.slices import Group, groups
from chainrule.bench.report.words import share_text

MOST = 10  # cells of a panel
CAPTION = (
    "Microseconds a step. Dot: the fastest backend. Diamond: the bare matrix products of the step alone. Tick: "
    "the machine's limit, the larger of FLOP at its best rate and bytes at the rate of a copy. Right: the limit over "
    "the time of the step; a mark says that it is above 100 %, because the working set stayed in a cache or the "
    "machine was slower while its limit was measured."
)


class Row(NamedTuple):
    """A cell: its label, the fastest backend, and the times of its step, the limit, the bare products."""

    label: str
    best: Figures
    times: tuple[float, float, float]  # microseconds; nan where unknown


def chart(found: Findings) -> Chart | None:
    """Return a panel for each kind of network with a known limit; ``None`` where there is none."""
    rows = {group.title: _rows(found, group) for group in groups(found.slices, MOST)}
    times = [time for known in rows.values() for row in known for time in row.times]
    if not times:
        return None
    panels = [
        Panel(
            title,
            f"{title}: the time of a step beside the machine's limit. The table of distances has the values.",
            partial(_draw, rows=known, limits=ends(times)),
            1.1 + 0.2 * len(known),
        )
        for title, known in rows.items()
        if known
    ]
    title = "The time of a step and the machine's limit"
    return Chart("time", title, title, CAPTION, panels)


def _rows(found: Findings, group: Group) -> list[Row]:
    rows = []
    for label, (cell, operation) in group.cells.items():
        best, bare = (
            found.best(cell, found.backends, operation),
            found.best(cell, found.products, operation),
        )
        if best is not None and best.step is not None and best.limit is not None:
            products = bare.step if bare and bare.step else math.nan
            rows.append(Row(label, best, (1e6 * best.step, 1e6 * best.limit.seconds, 1e6 * products)))
    return rows


def _draw(ax: Any, rows: Sequence[Row], limits: tuple[float, float]) -> None:
    steps, least, products = zip(*(row.times for row in rows), strict=True)
    places = range(len(rows))
    ax.hlines(places, least, steps, color=GRID, linewidth=3)
    ax.plot(least, places, "|", color=INK, markersize=11, markeredgewidth=1.6)
    ax.plot(products, places, "D", color=MUTED, markersize=4, fillstyle="none")
    for place, (step, row) in enumerate(zip(steps, rows, strict=True)):
        colour, shape = look_of(row.best.place.contestant)
        ax.plot([step], [place], shape, color=colour, markersize=6)
        share = share_text(row.best)
        ax.text(
            1.01,
            place,
            share,
            transform=ax.get_yaxis_transform(),
            va="center",
            fontsize=SMALL,
            color=INK,
        )
    ax.set_yticks(places, [row.label for row in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    log_axis(ax, "x", *limits, "µs a step")
    names = dict.fromkeys(row.best.place.contestant for row in rows)
    handles = [mark(*look_of(name), name) for name in names]
    handles += [mark(MUTED, "D", "bare products", fillstyle="none", markersize=4)]
    legend(ax, [*handles, mark(INK, "|", "limit", markersize=9)], 4)
