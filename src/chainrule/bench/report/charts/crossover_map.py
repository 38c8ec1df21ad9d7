"""The crossover map: hidden size against batch size, who is faster by how much, and where they are level."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.report.charts.map_marks import Grid, colours, contour
from chainrule.bench.report.charts.panels import heading, short
from chainrule.bench.report.drawings import inks
from chainrule.bench.report.drawings.shapes import Box, Drawing, Figure, Shape, Words
from chainrule.bench.report.findings import LETTERS, Findings, Match
from chainrule.bench.report.slices import Slice
from chainrule.bench.report.word_table import scaled

LEFT, TOP, ROW = 46.0, 44.0, 36.0
CAPTION = (
    "Hidden size up, batch size across; the numbers say how many times as fast the one named first is. Hatched: "
    "undecided, the interval spans 1. Grey, with a letter: no figure. The black line is where both are level."
)


class Sides(NamedTuple):
    """Who is held against whom; the value of a cell is how many times as fast the left is."""

    title: str
    left: Sequence[str]
    right: Sequence[str]


class Look(NamedTuple):
    """How a cell looks."""

    fill: str
    lines: tuple[str, ...]
    hatched: bool
    says: str


def figure(found: Findings, one: Slice) -> Figure | None:
    """Return the maps of a slice; ``None`` where it is no grid or has no backend of ours."""
    if not one.is_grid or not any(found.lead(cell, one.operation) for cell in one.cells):
        return None
    panels = [fastest(found, one), *(ratios(found, one, sides) for sides in contests(found, one))]
    return Figure(
        f"crossover-{one.slug}", f"Who is faster where: {one.title}", CAPTION, tuple(panels), one.title
    )


def contests(found: Findings, one: Slice) -> list[Sides]:
    """Return who is worth holding against whom: device against processor, the two that lead, the others."""
    held = [
        name for name in found.backends if any(found.best(c, [name], one.operation) for c in one.cells)
    ]
    devices = [name for name in held if roster.entry(name).device != "cpu"]
    processors = [name for name in held if name not in devices]
    sides = []
    if devices and processors:
        sides.append(Sides("the device against the processor", devices, processors))
    elif len(held) > 1:
        first, second = _leading(found, one, held)
        sides.append(Sides(f"{first} against {second}", [first], [second]))
    peers = [
        name for name in found.peers if any(found.best(c, [name], one.operation) for c in one.cells)
    ]
    return (
        [*sides, Sides("our fastest against the fastest of the others", held, peers)] if peers else sides
    )


def _leading(found: Findings, one: Slice, held: Sequence[str]) -> tuple[str, str]:
    """Return the backend that leads most often, and the one that does where it does not."""
    leads = [lead.first.place.contestant for c in one.cells if (lead := found.lead(c, one.operation))]
    first = max(held, key=leads.count)
    others = [name for name in held if name != first]
    return first, max(others, key=lambda name: (leads.count(name), _near(found, one, name)))


def _near(found: Findings, one: Slice, name: str) -> float:
    """Return the speed of a backend, added over cells, against the fastest of each."""
    times = [
        (found.best(c, [name], one.operation), found.best(c, found.backends, one.operation))
        for c in one.cells
    ]
    return sum((best.step or 0.0) / (its.step or 1.0) for its, best in times if its and best)


def fastest(found: Findings, one: Slice) -> Drawing:
    """Return the map of the fastest backends and their times."""

    def look(cell: Cell) -> Look:
        lead = found.lead(cell, one.operation)
        if lead is None:
            return _missing(found.match(cell, found.backends, found.backends, one.operation))
        name, time = lead.first.place.contestant, scaled(lead.first.step, "s")
        beside = [other for other in lead.beside if other != name]
        unsure = f"; {' and '.join(beside)} may be as fast" if beside else ""
        says = f"{cell.name}: {name}, {time} a step{unsure}"
        return Look(inks.contestant(name)[0], (name, time), bool(beside), says)

    return _map("the fastest backend, its time a step", one, look)


def ratios(found: Findings, one: Slice, sides: Sides) -> Drawing:
    """Return the map of how many times as fast the left side is, with its contour."""
    matches = {cell: found.match(cell, sides.left, sides.right, one.operation) for cell in one.cells}

    def look(cell: Cell) -> Look:
        match = matches[cell]
        if match.ratio is None or match.left is None or match.right is None:
            return _missing(match)
        ratio = match.ratio
        says = (
            f"{cell.name}: {match.left.place.contestant} {short(ratio.estimate)} times as fast as "
            f"{match.right.place.contestant} ({short(ratio.low)} to {short(ratio.high)}): {match.standing}"
        )
        spans = ratio.low < 1 < ratio.high
        return Look(inks.diverging(ratio.estimate), (short(ratio.estimate),), spans, says)

    drawn = _map(sides.title, one, look)
    grid = Grid(one, (LEFT, TOP), (_column(one), ROW))
    # The line runs over the boxes and under the numbers.
    boxes = [shape for shape in drawn.shapes if isinstance(shape, Box)]
    rest = [shape for shape in drawn.shapes if not isinstance(shape, Box)]
    drawn.shapes = [*boxes, *contour(grid, matches), *rest, *colours(LEFT, drawn.height + 2)]
    drawn.height += 30
    drawn.width = max(drawn.width, LEFT + 290)
    return drawn


def _missing(match: Match) -> Look:
    says = f"{match.cell.name}: {match.lacking or 'no figure'}: {match.reason}"
    return Look("absent", (LETTERS.get(match.lacking, "·"),), False, says)


def _column(one: Slice) -> float:
    return max(44.0, min(62.0, 320.0 / len(one.batches)))


def _map(title: str, one: Slice, look: Callable[[Cell], Look]) -> Drawing:
    """Return the boxes of a map and what stands at its edges."""
    wide, floor = _column(one), TOP + ROW * len(one.hidden)
    looks = {key: look(cell) for key, cell in one.held.items()}
    shapes: list[Shape] = heading(title)
    for row, H in enumerate(reversed(one.hidden)):
        shapes.append(Words(LEFT - 7, TOP + ROW * row + ROW / 2 + 4, str(H), "end", "muted"))
        for column, B in enumerate(one.batches):
            if (H, B) in looks:
                shapes += _cell(looks[H, B], LEFT + wide * column, TOP + ROW * row, wide)
    for column, B in enumerate(one.batches):
        shapes.append(Words(LEFT + wide * (column + 0.5), floor + 15, str(B), "middle", "muted"))
    right = LEFT + wide * len(one.batches)
    shapes += [
        Words((LEFT + right) / 2, floor + 31, "batch size B", "middle", "muted"),
        Words(0, TOP - 8, "hidden size H", ink="muted"),
    ]
    known, letters = _letters(looks.values())
    if letters:
        shapes.append(Words(0, floor + 50, letters, ink="muted", size=10.5))
    told = "; ".join(held.says for held in known)
    return Drawing(f"{title}: {one.title}", told, right + 4, floor + (56 if letters else 38), shapes)


def _cell(look: Look, x: float, y: float, wide: float) -> list[Shape]:
    shapes: list[Shape] = [Box(x + 1, y + 1, wide - 2, ROW - 2, look.fill, look.hatched, look.says, 3)]
    size = 12.5 if len(look.lines) == 1 else 10.0 if wide > 52 else 8.5
    for number, text in enumerate(look.lines):
        down = y + ROW / 2 + 4.5 + (number - (len(look.lines) - 1) / 2) * 12.5
        ink = inks.over(look.fill) if look.fill != "absent" else "muted"
        shapes.append(
            Words(x + wide / 2, down, text, "middle", ink, size, bold=number == 0, halo=look.fill)
        )
    return shapes


def _letters(looks: Iterable[Look]) -> tuple[list[Look], str]:
    """Return the cells that have figures, and what the letters of the others mean."""
    every = list(looks)
    used = {held.lines[0] for held in every if held.fill == "absent"}
    told = [f"{letter} {name or 'not measured'}" for name, letter in LETTERS.items() if letter in used]
    return [held for held in every if held.fill != "absent"], ", ".join(told)
