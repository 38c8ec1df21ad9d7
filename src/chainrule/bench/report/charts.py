"""The charts of the report, drawn by matplotlib.

On the page each panel is its own picture, so that panels wrap in a narrow window; in a file the panels of a
chart are one picture.
"""

import math
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.colors import LinearSegmentedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.judge.results import Figures, Results, Slice, spread
from chainrule.bench.report import drawing
from chainrule.bench.report.drawing import Chart, Panel
from chainrule.bench.report.tables import letters_used, share_text, sign
from chainrule.bench.report.word_table import microseconds, number
from chainrule.plots.canvas import NEGATIVE, POSITIVE

_TEXTS: dict[str, dict[str, str]] = tomllib.loads(
    Path(__file__).with_name("charts.toml").read_text(encoding="utf-8")
)

# -- The crossover map: which side is faster, by hidden size and batch size, and by how much -------------

FULL_COLOUR = 2.0  # log2 of the ratio from which on the colour is full
RATIOS = LinearSegmentedColormap.from_list("ratios", [NEGATIVE, "#f2f2f0", POSITIVE])


class Look(NamedTuple):
    """The look of a cell; a grey cell has no result."""

    text: str
    colour: Any = drawing.ABSENT
    is_hatched: bool = False


def crossover(one: Slice) -> Chart:
    """Return the maps of a grid; none for a slice that is not a grid or has no chainrule backend."""
    maps: dict[str, Callable[[Cell], Look]] = {}
    if one.is_grid and one.leads:
        maps["fastest backend, µs a step"] = partial(_fastest, one)
        for title, (left, right) in sides(one).items():
            maps[title] = partial(_faster, one, left, right)
    height = 1.15 + 0.4 * len(one.hidden)
    panels = [Panel(title, partial(_draw_map, one, look), height) for title, look in maps.items()]
    texts = _TEXTS["crossover"]
    title, alt = f"{texts['title']}: {one.title}", f"{one.title}. {texts['alt']}"
    return Chart(f"crossover-{one.slug}", title, alt, texts["caption"], panels)


def sides(one: Slice) -> dict[str, tuple[list[str], list[str]]]:
    """Return what to compare, by title: device and processor, or the two best backends; ours and others."""
    ours, peers = (
        [name for name in names if one.bests([name])] for names in (one.run.backends, one.run.peers)
    )
    devices = [name for name in ours if roster.entry(name).device != "cpu"]
    processors = [name for name in ours if name not in devices]
    pairs = {}
    if devices and processors:
        pairs["the device against the processor"] = devices, processors
    elif len(ours) > 1:
        first, *rest = _winners(one, ours)
        second, *_ = rest or _winners(one, [name for name in ours if name != first])
        pairs[f"{first} against {second}"] = [first], [second]
    if peers:
        pairs["chainrule against the fastest other"] = ours, peers
    return pairs


def _winners(one: Slice, names: Sequence[str]) -> list[str]:
    """Return those of the contestants that are the fastest in a cell, the most frequent first."""
    counts = Counter(best.place.contestant for best in one.bests(names))
    return [name for name, _ in counts.most_common()]


def _fastest(one: Slice, cell: Cell) -> Look:
    best = one.best(cell)
    if best is None:
        return Look(sign(one.match(cell)))
    name = best.place.contestant
    is_undecided = len(one.leads[cell]) > 1
    return Look(f"{name}\n{microseconds(best.step)}", roster.entry(name).colour, is_undecided)


def _faster(one: Slice, left: Sequence[str], right: Sequence[str], cell: Cell) -> Look:
    match = one.match(cell, left, right)
    if match.ratio is None:
        return Look(sign(match))
    colour = RATIOS((math.log2(match.ratio.estimate) / FULL_COLOUR + 1) / 2)
    return Look(number(match.ratio.estimate), colour, match.standing == "undecided")


def _draw_map(one: Slice, look_of: Callable[[Cell], Look], ax: Any) -> None:
    """Draw the cells of a map, each with its value."""
    looks = {size: look_of(cell) for size, cell in one.by_size.items()}
    for (H, B), look in looks.items():
        column, row = one.batches.index(B), one.hidden.index(H)
        ink = drawing.readable_on(look.colour)
        box = partial(Rectangle, (column - 0.48, row - 0.46), 0.96, 0.92, linewidth=0)
        ax.add_patch(box(facecolor=look.colour))
        if look.is_hatched:
            ax.add_patch(box(fill=False, hatch="///", edgecolor=ink, alpha=0.4))
        size = 9.0 if "\n" not in look.text else drawing.SMALL if len(one.batches) < 6 else 5.5
        ax.text(column, row, look.text, color=ink, ha="center", va="center", fontsize=size)
    ax.set_xticks(range(len(one.batches)), one.batches)
    ax.set_yticks(range(len(one.hidden)), one.hidden)
    ax.set(xlim=(-0.5, len(one.batches) - 0.5), ylim=(-0.5, len(one.hidden) - 0.5))
    ax.set(xlabel="batch size B", ylabel="hidden size H")
    handles = []
    if any(look.is_hatched for look in looks.values()):
        hatched = {"facecolor": "none", "edgecolor": drawing.MUTED, "hatch": "////", "linewidth": 0}
        handles.append(Patch(label="undecided", **hatched))
    if letters := letters_used(look.text for look in looks.values() if look.colour == drawing.ABSENT):
        handles.append(Patch(facecolor=drawing.ABSENT, label=letters))
    drawing.legend(ax, handles, 2)


# -- The time of a step, the machine's limit and the bare matrix products --------------------------------

Rows = dict[str, Figures]  # the fastest backend of each cell, by the label of the cell


def step_times(run: Results, most: int = 10) -> Chart:
    """Return a panel for each kind of network with a known limit; none without a limit."""
    rows: dict[str, Rows] = defaultdict(dict)
    for one in run.slices:
        for cell in spread(one.cells, most):
            title, label = one.title, f"H {cell.hidden}, B {cell.batch}"
            if len(one.cells) == 1:
                title, label = "other networks", cell.name
            if (best := one.best(cell)) and best.limit:
                rows[title][label] = best
    times = [time for some in rows.values() for f in some.values() for time in _times(f) if time > 0]
    limits = min(times, default=1.0), max(times, default=1.0)
    panels = [
        Panel(title, partial(_draw_times, limits, some), 1.1 + 0.2 * len(some))
        for title, some in rows.items()
    ]
    return Chart("time", **_TEXTS["time"], panels=panels)


def _times(f: Figures) -> tuple[float, ...]:
    """Return microseconds of the step, of its limit and of the bare products; NaN if unknown."""
    return tuple(math.nan if time is None else 1e6 * time for time in (f.step, f.limit, f.bare))


def _draw_times(limits: tuple[float, float], rows: Rows, ax: Any) -> None:
    steps, least, products = zip(*map(_times, rows.values()), strict=True)
    places = range(len(rows))
    mark = partial(Line2D, [], [], linestyle="none")
    handles = {}
    ax.hlines(places, least, steps, color=drawing.GRID, linewidth=3)
    ax.plot(least, places, "|", color=drawing.INK, markersize=11, markeredgewidth=1.6)
    ax.plot(products, places, "D", color=drawing.MUTED, markersize=4, fillstyle="none")
    across = ax.get_yaxis_transform()  # x from 0 to 1, y in data
    for place, f in enumerate(rows.values()):
        name = f.place.contestant
        look = {"color": roster.entry(name).colour, "marker": roster.entry(name).mark}
        ax.plot([steps[place]], [place], markersize=6, linestyle="none", **look)
        handles[name] = mark(label=name, **look)
        text = {"fontsize": drawing.SMALL, "color": drawing.INK, "transform": across}
        ax.text(1.01, place, share_text(f), va="center", **text)
    drawing.log_axis(ax, *limits, "µs a step")
    ax.set_yticks(places, rows)
    ax.set_ylim(len(rows) - 0.5, -0.5)  # from the top down
    bare = mark(color=drawing.MUTED, marker="D", label="bare products", fillstyle="none", markersize=4)
    limit = mark(color=drawing.INK, marker="|", label="limit", markersize=9)
    drawing.legend(ax, [*handles.values(), bare, limit], 4)


# -- All charts -------------------------------------------------------------------------------------------


def charts(run: Results) -> list[Chart]:
    """Return the charts for which there are data."""
    return [chart for chart in [*map(crossover, run.slices), step_times(run)] if chart.panels]
