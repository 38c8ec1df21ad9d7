"""The charts of the report, drawn by matplotlib.

On the page each panel is its own picture, so that panels wrap in a narrow window; in a file the panels of a
chart are one picture.
"""

import itertools
import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule.backends.speed_map.spots import Interval
from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.judge.results import Figures, Results, Slice
from chainrule.bench.judge.statistics import BAND, verdict
from chainrule.bench.report import drawing
from chainrule.bench.report.drawing import Chart, Panel
from chainrule.bench.report.tables import letters_used, sign
from chainrule.bench.report.word_table import microseconds, number
from chainrule.bench.report.words import share_text

Ends = tuple[float, float]  # limits of an axis


@cache
def _texts() -> dict[str, dict[str, str]]:
    return tomllib.loads(files(__package__).joinpath("charts.toml").read_text(encoding="utf-8"))


def _chart(
    kind: str,
    parts: Mapping[str, Any],
    draw: Callable[[Any, Any], None],
    height: tuple[float, float] = (2.9, 0.0),
    one: Slice | None = None,
) -> Chart:
    """Return a chart with the texts of its kind, for all networks or for one kind of them.

    ``parts`` has by title what ``draw`` draws on the axes of a panel; empty ones are left out. The height in inches is
    given as that of an empty panel and of each item.
    """
    panels = [
        Panel(title, partial(draw, part), height[0] + height[1] * len(part))
        for title, part in parts.items()
        if part
    ]
    title, alt, caption = (_texts()[kind][name] for name in ("title", "alt", "caption"))
    if one is None:
        return Chart(kind, title, caption, alt, panels)
    name, title, alt = f"{kind}-{one.slug}", f"{title}: {one.title}", f"{one.title}. {alt}"
    return Chart(name, title, caption, alt, panels, one.title)


# -- The crossover map: which side is faster, by hidden size and batch size, and by how much -------------

FULL_COLOUR = 2.0  # log2 of the ratio from which on the colour is full


class Look(NamedTuple):
    """The look of a cell; a grey cell has no result."""

    text: str
    colour: Any = drawing.ABSENT
    is_hatched: bool = False


Looks = dict[tuple[int, int], Look]  # the look of each hidden size and batch size


def crossover(one: Slice) -> Chart:
    """Return the maps of a grid; none for a slice that is not a grid or has no chainrule backend."""
    maps: dict[str, Looks] = {}
    if one.is_grid and one.leads:
        maps["fastest backend, µs a step"] = {
            size: _fastest(one, cell) for size, cell in one.by_size.items()
        }
        for title, left, right in sides(one):
            maps[title] = {size: _faster(one, left, right, cell) for size, cell in one.by_size.items()}
    height = 1.15 + 0.4 * len(one.hidden), 0.0
    return _chart("crossover", maps, partial(_draw_map, one), height, one)


def sides(one: Slice) -> list[tuple[str, list[str], list[str]]]:
    """Return the pairs to compare: device and processor, or the two best backends; then ours and others."""
    ours, peers = one.measured(one.run.backends), one.measured(one.run.peers)
    devices = [name for name in ours if roster.entry(name).device != "cpu"]
    processors = [name for name in ours if name not in devices]
    pairs = []
    if devices and processors:
        pairs.append(("the device against the processor", devices, processors))
    elif len(ours) > 1:
        valid = [[f for f in one.figures(cell) if f.is_valid] for cell in one.leads]
        ranking = [
            [f.place.contestant for f in sorted(some, key=lambda f: f.step or 0.0)] for some in valid
        ]
        places = {name: [row.index(name) for row in ranking if name in row] for name in ours}
        # Sort by how often a backend is the fastest, then by how often it is second.
        first, second = sorted(ours, key=lambda name: [-places[name].count(n) for n in (0, 1)])[:2]
        pairs.append((f"{first} against {second}", [first], [second]))
    return [*pairs, *([("chainrule against the fastest other", ours, peers)] if peers else [])]


def _fastest(one: Slice, cell: Cell) -> Look:
    best = one.best(cell)
    if best is None:
        return Look(sign(one.match(cell)))
    name = best.place.contestant
    is_undecided = len(one.leads[cell]) > 1
    return Look(f"{name}\n{microseconds(best.step)}", drawing.look_of(name)[0], is_undecided)


def _faster(one: Slice, left: Sequence[str], right: Sequence[str], cell: Cell) -> Look:
    from matplotlib.colors import LinearSegmentedColormap

    from chainrule.plots.canvas import NEGATIVE, POSITIVE

    match = one.match(cell, left, right)
    if match.ratio is None:
        return Look(sign(match))
    colours = LinearSegmentedColormap.from_list("ratio", [NEGATIVE, "#f2f2f0", POSITIVE])
    colour = colours((math.log2(match.ratio.estimate) / FULL_COLOUR + 1) / 2)
    return Look(number(match.ratio.estimate), colour, match.standing == "undecided")


def _draw_map(one: Slice, looks: Looks, ax: Any) -> None:
    """Draw the cells of a map, each with its value."""
    from matplotlib.patches import Patch, Rectangle

    for (H, B), look in looks.items():
        column, row = one.batches.index(B), one.hidden.index(H)
        ink = drawing.readable_on(look.colour)
        box = partial(Rectangle, (column - 0.48, row - 0.46), 0.96, 0.92, linewidth=0)
        ax.add_patch(box(facecolor=look.colour))
        if look.is_hatched:
            ax.add_patch(box(fill=False, hatch="///", edgecolor=ink, alpha=0.4))
        size = 9.0 if "\n" not in look.text else drawing.SMALL if len(one.batches) < 6 else 5.5
        ax.text(column, row, look.text, color=ink, ha="center", va="center", fontsize=size)
    for axis, values, label in (("x", one.batches, "batch size B"), ("y", one.hidden, "hidden size H")):
        ax.set(**{f"{axis}lim": (-0.5, len(values) - 0.5), f"{axis}label": label})
        ax.set(**{f"{axis}ticks": range(len(values)), f"{axis}ticklabels": map(str, values)})
    letters = letters_used(look.text for look in looks.values() if look.colour == drawing.ABSENT)
    hatched = {"facecolor": "none", "edgecolor": drawing.MUTED, "hatch": "////", "linewidth": 0}
    handles = {
        Patch(label="undecided", **hatched): any(look.is_hatched for look in looks.values()),
        Patch(facecolor=drawing.ABSENT, label=letters): letters,
    }
    drawing.legend(ax, [handle for handle, is_used in handles.items() if is_used], 2)


# -- The time of a step, the machine's limit and the bare matrix products --------------------------------

Rows = dict[str, Figures]  # the fastest backend of each cell, by the label of the cell


def step_times(run: Results, most: int = 10) -> Chart:
    """Return a panel for each kind of network with a known limit; none without a limit."""
    rows: dict[str, Rows] = {
        title: {label: f for label, (one, cell) in group.items() if (f := one.best(cell)) and f.limit}
        for title, group in run.groups(most).items()
    }
    limits = drawing.ends(time for some in rows.values() for f in some.values() for time in _times(f))
    return _chart("time", rows, partial(_draw_times, limits), (1.1, 0.2))


def _times(f: Figures) -> tuple[float, ...]:
    """Return microseconds of the step, of its limit and of the bare products; NaN if unknown."""
    return tuple(math.nan if time is None else 1e6 * time for time in (f.step, f.limit, f.bare))


def _draw_times(limits: Ends, rows: Rows, ax: Any) -> None:
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
    drawing.rows_axis(ax, list(rows), "µs a step", limits)
    handles = drawing.marks(dict.fromkeys(f.place.contestant for f in rows.values()))
    handles.append(drawing.mark(drawing.MUTED, "D", "bare products", fillstyle="none", markersize=4))
    drawing.legend(ax, [*handles, drawing.mark(drawing.INK, "|", "limit", markersize=9)], 4)


# -- The measured roofline: the rate of a step's products against their arithmetic intensity --------------
# S. Williams, A. Waterman, D. Patterson, "Roofline", Communications of the ACM 52 (4), 2009,
# doi:10.1145/1498765.1498785; the roof is measured in the same run. Its slope is the rate of a copy of the cell's
# working set, which may or may not fit into a cache, so each point has its own roof.

SHAPES = "osD^vPX*<>"
EDGE = {"markersize": 6, "markeredgecolor": drawing.MUTED, "markeredgewidth": 0.6}  # for dark pages


# The cell; FLOP of the products per byte that any implementation must move; GFLOP/s of the step and of its roof.
Point = tuple[Cell, float, float, float]


def _point(f: Figures) -> Point:
    flops = f.place.flops
    rate, roof = (1e-9 * flops / (seconds or math.inf) for seconds in (f.step, f.limit))
    return f.place.cell, flops / f.place.least_bytes, rate, roof


def roofline(run: Results) -> Chart:
    """Return a panel for each grid, all with the same axes; none if no best rate was measured."""
    grids = [one for one in run.slices if one.is_grid]
    points = {one.title: [_point(f) for f in one.bests() if f.limit] for one in grids}
    every = [point for group in points.values() for point in group]
    across = drawing.ends(point[1] for point in every)
    up = drawing.ends(rate for point in every for rate in point[2:])
    return _chart("roofline", points, partial(_draw_roofline, across, up), (3.3, 0.0))


def _draw_roofline(across: Ends, up: Ends, points: Sequence[Point], ax: Any) -> None:
    import matplotlib

    drawing.log_axis(ax, "x", *across, "FLOP for each byte")
    drawing.log_axis(ax, "y", *up, "GFLOP/s")
    cells, x, rates, roofs = zip(*points, strict=True)
    hidden, batches = (sorted({getattr(cell, name) for cell in cells}) for name in ("hidden", "batch"))
    colours = matplotlib.colormaps["viridis"](np.linspace(0.1, 0.95, len(hidden)))
    shades = dict(zip(hidden, colours, strict=True))
    shapes = dict(zip(batches, itertools.cycle(SHAPES), strict=False))
    ax.vlines(x, rates, roofs, color=drawing.GRID, linewidth=1)
    ax.plot(x, roofs, "_", color=drawing.INK, markersize=8, markeredgewidth=1.6)
    for cell, intensity, rate, _ in points:
        ax.plot([intensity], [rate], shapes[cell.batch], color=shades[cell.hidden], **EDGE)
    handles = [drawing.mark(drawing.INK, "_", "roof", markersize=8)]
    handles += [drawing.mark(drawing.INK, shapes[B], f"B {B}", fillstyle="none") for B in batches]
    handles += [drawing.mark(shades[H], "s", f"H {H}", **EDGE) for H in hidden]
    drawing.legend(ax, handles, 3)


# -- The forest plot of the other libraries: how many times as long they take as the fastest backend -------

Ratios = dict[str, dict[str, Interval]]  # the ratio of each cell and library


def forest(run: Results, most: int = 8) -> Chart:
    """Return a panel for each kind of network; none if no other library was measured."""
    rows = {title: _ratios(run, group) for title, group in run.groups(most).items()}
    every = [ratio for ratios in rows.values() for row in ratios.values() for ratio in row.values()]
    limits = drawing.ends([0.8, 1.25, *(end for ratio in every for end in ratio)])
    return _chart("peers", rows, partial(_draw_forest, run.peers, limits), (1.3, 0.42))


def _ratios(run: Results, group: dict[str, tuple[Slice, Cell]]) -> Ratios:
    ratios: Ratios = {}
    for label, (one, cell) in group.items():
        for name in run.peers:
            if ratio := one.match(cell, right=[name]).ratio:
                ratios.setdefault(label, {})[name] = ratio
    return ratios


def _draw_forest(names: list[str], limits: Ends, ratios: Ratios, ax: Any) -> None:
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
    drawing.rows_axis(ax, list(ratios), "its time over ours", limits)
    drawing.legend(ax, drawing.marks(names))


# -- All charts -------------------------------------------------------------------------------------------


def sections(run: Results) -> dict[str, list[Chart]]:
    """Return the charts for which there are data, by section of the report."""
    every = {
        "map": map(crossover, run.slices),
        "limit": [step_times(run), roofline(run)],
        "peers": [forest(run)],
    }
    return {name: [chart for chart in charts if chart.panels] for name, charts in every.items()}


def figures(run: Results, folder: Path, formats: Sequence[str] = ("svg",)) -> list[Path]:
    """Write the figures into a folder, and return their files.

    Parameters
    ----------
    run
        The results of a run.
    folder
        The folder of the files; it is made if it does not exist.
    formats
        "svg", "png" or both.

    Raises
    ------
    ImportError
        If matplotlib, the extra ``plots``, is not installed.
    """
    from chainrule.plots.canvas import save

    folder.mkdir(parents=True, exist_ok=True)
    rules = drawing.dark_rules()
    return [
        save(drawing.picture(chart.panels, chart.title), folder / f"{chart.name}.{form}", style=rules)
        for charts in sections(run).values()
        for chart in charts
        for form in formats
    ]
