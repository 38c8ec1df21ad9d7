"""The forest plot of the other libraries: how many times as long they take as the fastest backend."""

from functools import partial
from typing import Any

from chainrule.backends.speed_map.interval import Interval
from chainrule.bench.judge.results import Results
from chainrule.bench.judge.slices import Group, groups
from chainrule.bench.judge.statistics import BAND, verdict
from chainrule.bench.report.charts import drawing
from chainrule.bench.report.charts.drawing import Chart, Panel

MOST = 8  # cells of a panel
CAPTION = (
    "The time of each library over the time of chainrule's fastest backend in the cell, with its 95 % interval, on a "
    "logarithmic axis: right of the line at 1, chainrule is faster. The grey band counts as the same; hollow: undecided."
)
Ratios = dict[str, dict[str, Interval]]  # by cell and library


def chart(run: Results) -> Chart:
    """Return a panel for each kind of network; none where no other library was measured."""
    rows = {title: _ratios(run, group) for title, group in groups(run.slices, MOST).items()}
    every = [ratio for ratios in rows.values() for row in ratios.values() for ratio in row.values()]
    limits = drawing.ends([0.8, 1.25, *(end for ratio in every for end in ratio)])
    panels = [
        Panel(title, partial(_draw, names=run.peers, ratios=some, limits=limits), 1.3 + 0.42 * len(some))
        for title, some in rows.items()
        if some
    ]
    alt = "the time of each other library over that of the fastest backend, with intervals."
    return Chart("peers", "Compared with other libraries", CAPTION, alt, panels)


def _ratios(run: Results, group: Group) -> Ratios:
    ratios: Ratios = {}
    for label, (cell, operation) in group.items():
        for name in run.peers:
            match = run.match(cell, run.backends, [name], operation)
            if match.ratio is not None:
                ratios.setdefault(label, {})[name] = match.ratio
    return ratios


def _draw(ax: Any, names: list[str], ratios: Ratios, limits: tuple[float, float]) -> None:
    drawing.log_axis(ax, "x", *limits, "its time over ours")
    ax.axvspan(1 / (1 + BAND), 1 + BAND, color=drawing.GRID, linewidth=0)
    ax.axvline(1, color=drawing.INK, linewidth=1.2)
    names = [name for name in names if any(name in row for row in ratios.values())]
    for place, row in enumerate(ratios.values()):
        if place:
            ax.axhline(place - 0.5, color=drawing.GRID, linewidth=0.8)
        for name, ratio in row.items():
            height = place + 0.8 * ((names.index(name) + 0.5) / len(names) - 0.5)
            colour, shape = drawing.look_of(name)
            fill = "none" if verdict(ratio) == "undecided" else "full"
            low, high = max(ratio.low, limits[0] / 2), min(ratio.high, limits[1] * 2)
            ax.hlines([height], low, high, color=colour, linewidth=1.2)
            ax.plot([ratio.estimate], [height], shape, color=colour, markersize=4.5, fillstyle=fill)
    ax.set_yticks(range(len(ratios)), list(ratios))
    ax.set_ylim(len(ratios) - 0.5, -0.5)
    drawing.legend(ax, [drawing.mark(*drawing.look_of(name), name) for name in names])
