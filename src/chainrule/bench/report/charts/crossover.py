"""The crossover map: which side is faster, by hidden size and batch size, and by how much."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.judge.results import Results
from chainrule.bench.judge.slices import Slice
from chainrule.bench.report.charts import drawing
from chainrule.bench.report.charts.drawing import Chart, Panel
from chainrule.bench.report.formats import microseconds, number
from chainrule.bench.report.tables import letters_used, sign

CAPTION = (
    "Left: the fastest backend and its time a step in µs. The others: how many times as fast the side named "
    "first is; blue where it is faster, orange where it is slower, four times and more at the full colour. "
    "Hatched: undecided. Grey with a letter: no figure."
)
MOST = 2.0  # log2 of the ratio that has the full colour


class Look(NamedTuple):
    """The look of a cell; a grey one has no figure."""

    text: str
    colour: Any = drawing.ABSENT
    is_hatched: bool = False


def chart(run: Results, one: Slice) -> Chart:
    """Return the maps of a grid; none for a slice that is no grid or has no backend of ours."""
    maps: dict[str, Callable[[Cell], Look]] = {}
    if one.is_grid and (leads := run.leads(one)):
        maps["the fastest backend, µs a step"] = partial(_fastest, run, one, leads)
        for title, left, right in sides(run, one, leads):
            maps[title] = partial(_ratio, run, one, left, right)
    height = 1.15 + 0.4 * len(one.hidden)
    panels = [Panel(title, partial(_draw, one=one, look=look), height) for title, look in maps.items()]
    name, title = f"crossover-{one.slug}", f"Who is faster where: {one.title}"
    alt = f"{one.title}. A map with the batch size across and the hidden size up; the table has its values."
    return Chart(name, title, CAPTION, alt, panels, one.title)


def sides(
    run: Results, one: Slice, leads: dict[Cell, list[str]]
) -> list[tuple[str, list[str], list[str]]]:
    """Return the sides to compare: device and processor or the two best backends; ours and the others."""
    ours, peers = (
        [name for name in names if run.bests(one.cells, [name], one.operation)]
        for names in (run.backends, run.peers)
    )
    devices = [name for name in ours if roster.entry(name).device != "cpu"]
    processors = [name for name in ours if name not in devices]
    pairs = []
    if devices and processors:
        pairs.append(("the device against the processor", devices, processors))
    elif len(ours) > 1:
        firsts = [first for first, *_ in leads.values()]
        ranked = run.ranked(one.cells, ours, one.operation)
        first, second = sorted(ranked, key=firsts.count, reverse=True)[:2]
        pairs.append((f"{first} against {second}", [first], [second]))
    if peers:
        pairs.append(("chainrule against the fastest other", ours, peers))
    return pairs


def _fastest(run: Results, one: Slice, leads: dict[Cell, list[str]], cell: Cell) -> Look:
    best = run.best(cell, run.backends, one.operation)
    if best is None:
        return Look(sign(run.match(cell, run.backends, run.backends, one.operation)))
    name = best.place.contestant
    is_undecided = len(leads[cell]) > 1
    return Look(f"{name}\n{microseconds(best.step)}", drawing.look_of(name)[0], is_undecided)


def _ratio(run: Results, one: Slice, left: Sequence[str], right: Sequence[str], cell: Cell) -> Look:
    from matplotlib.colors import LinearSegmentedColormap

    from chainrule.plots.canvas import NEGATIVE, POSITIVE

    match = run.match(cell, left, right, one.operation)
    if match.ratio is None:
        return Look(sign(match))
    colours = LinearSegmentedColormap.from_list("ratio", [NEGATIVE, "#f2f2f0", POSITIVE])
    colour = colours((math.log2(match.ratio.estimate) / MOST + 1) / 2)
    return Look(number(match.ratio.estimate), colour, match.standing == "undecided")


def _draw(ax: Any, one: Slice, look: Callable[[Cell], Look]) -> None:
    """Draw the cells of a map, each with its value."""
    from matplotlib.patches import Patch, Rectangle

    looks = []
    for (H, B), cell in one.by_size.items():
        column, row, shown = one.batches.index(B), one.hidden.index(H), look(cell)
        looks.append(shown)
        ink = drawing.readable_on(shown.colour)
        corner = (column - 0.48, row - 0.46)
        ax.add_patch(Rectangle(corner, 0.96, 0.92, linewidth=0, facecolor=shown.colour))
        if shown.is_hatched:
            hatch = {"fill": False, "hatch": "///", "edgecolor": ink, "alpha": 0.4}
            ax.add_patch(Rectangle(corner, 0.96, 0.92, linewidth=0, **hatch))
        size = 9.0 if "\n" not in shown.text else drawing.SMALL if len(one.batches) < 6 else 5.5
        ax.text(column, row, shown.text, color=ink, ha="center", va="center", fontsize=size)
    ax.set(xlim=(-0.5, len(one.batches) - 0.5), ylim=(-0.5, len(one.hidden) - 0.5))
    ax.set_xticks(range(len(one.batches)), map(str, one.batches))
    ax.set_yticks(range(len(one.hidden)), map(str, one.hidden))
    ax.set(xlabel="batch size B", ylabel="hidden size H")
    handles = []
    if any(shown.is_hatched for shown in looks):
        hatched = {"facecolor": "none", "edgecolor": drawing.MUTED, "hatch": "////", "linewidth": 0}
        handles.append(Patch(label="undecided", **hatched))
    if letters := letters_used(shown.text for shown in looks if shown.colour == drawing.ABSENT):
        handles.append(Patch(facecolor=drawing.ABSENT, label=letters))
    drawing.legend(ax, handles, 2)
