"""The time of a step, the machine's limit and the bare matrix products."""

import math
from functools import partial
from typing import Any

from chainrule.bench.judge.figures import Figures
from chainrule.bench.judge.results import Results
from chainrule.bench.judge.slices import Group, groups
from chainrule.bench.report.charts import drawing
from chainrule.bench.report.charts.drawing import Chart, Panel
from chainrule.bench.report.words import share_text

MOST = 10  # cells of a panel
CAPTION = (
    "Microseconds a step. Dot: the fastest backend. Diamond: the bare matrix products of the step alone. Tick: "
    "the machine's limit, the larger of FLOP at its best rate and bytes at the rate of a copy. Right: the limit over "
    "the time of the step; an exclamation mark where the step seems to beat its limit."
)
Rows = dict[str, Figures]  # the fastest backend of each cell, by the label of the cell


def chart(run: Results) -> Chart:
    """Return a panel for each kind of network with a known limit; none where there is no limit."""
    rows = {title: _rows(run, group) for title, group in groups(run.slices, MOST).items()}
    limits = drawing.ends(time for known in rows.values() for f in known.values() for time in _times(f))
    panels = [
        Panel(title, partial(_draw, rows=known, limits=limits), 1.1 + 0.2 * len(known))
        for title, known in rows.items()
        if known
    ]
    alt = "the time of a step and the machine's limit. The table of single cells has the values."
    return Chart("time", "The time of a step and the machine's limit", CAPTION, alt, panels)


def _rows(run: Results, group: Group) -> Rows:
    best = {label: run.best(cell, run.backends, op) for label, (cell, op) in group.items()}
    return {label: f for label, f in best.items() if f is not None and f.limit is not None}


def _times(f: Figures) -> tuple[float, float, float]:
    """Return microseconds of the step, of its limit and of the bare products; nan where unknown."""
    step, least, bare = (math.nan if time is None else 1e6 * time for time in (f.step, f.limit, f.bare))
    return step, least, bare


def _draw(ax: Any, rows: Rows, limits: tuple[float, float]) -> None:
    steps, least, products = zip(*map(_times, rows.values()), strict=True)
    places = range(len(rows))
    ax.hlines(places, least, steps, color=drawing.GRID, linewidth=3)
    ax.plot(least, places, "|", color=drawing.INK, markersize=11, markeredgewidth=1.6)
    ax.plot(products, places, "D", color=drawing.MUTED, markersize=4, fillstyle="none")
    across = ax.get_yaxis_transform()  # x from 0 to 1, y in data
    for place, f in enumerate(rows.values()):
        colour, shape = drawing.look_of(f.place.contestant)
        ax.plot([steps[place]], [place], shape, color=colour, markersize=6)
        text = {"fontsize": drawing.SMALL, "color": drawing.INK, "transform": across}
        ax.text(1.01, place, share_text(f), va="center", **text)
    ax.set_yticks(places, list(rows))
    ax.set_ylim(len(rows) - 0.4, -0.6)
    drawing.log_axis(ax, "x", *limits, "µs a step")
    names = dict.fromkeys(f.place.contestant for f in rows.values())
    handles = [drawing.mark(*drawing.look_of(name), name) for name in names]
    handles.append(drawing.mark(drawing.MUTED, "D", "bare products", fillstyle="none", markersize=4))
    drawing.legend(ax, [*handles, drawing.mark(drawing.INK, "|", "limit", markersize=9)], 4)
