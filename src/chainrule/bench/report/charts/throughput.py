"""Throughput: samples a second against the hidden size, a panel for each batch size."""

from collections.abc import Iterable, Sequence

from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.judge.results import Figures
from chainrule.bench.report.charts.panels import WIDTH, heading
from chainrule.bench.report.drawings import inks
from chainrule.bench.report.drawings.axes import Frame, apart, scale_of, tick
from chainrule.bench.report.drawings.shapes import Drawing, Figure, Mark, Path, Shape, Words
from chainrule.bench.report.findings import Findings
from chainrule.bench.report.slices import Slice
from chainrule.bench.report.word_table import scaled

HEIGHT, LEFT, TOP, RIGHT, FLOOR = 280.0, 44.0, 52.0, 264.0, 236.0
PANELS = 6
CAPTION = (
    "Samples a second, both axes logarithmic. Bands: the interval of 95 %. Dashed: the step's bare "
    "matrix products with the same library, the most that it could reach. Hollow: above the measured peak, invalid."
)


def figure(found: Findings, one: Slice) -> Figure | None:
    """Return a panel for each of at most six batch sizes; ``None`` with fewer than two hidden sizes."""
    names = [name for name in found.backends if _points(found, one, name)]
    if not names or len(one.hidden) < 2:
        return None
    wanted = [B for B in one.batches if sum((H, B) in one.held for H in one.hidden) > 1]
    panels = [panel(found, one, B, names) for B in _evenly(wanted)]
    title = f"Throughput against hidden size: {one.title}"
    return Figure(f"throughput-{one.slug}", title, CAPTION, tuple(panels), one.title) if panels else None


def _evenly(values: Sequence[int]) -> list[int]:
    if len(values) <= PANELS:
        return list(values)
    return [values[round(place * (len(values) - 1) / (PANELS - 1))] for place in range(PANELS)]


def panel(found: Findings, one: Slice, B: int, names: Sequence[str]) -> Drawing:
    """Return the lines of one batch size."""
    cells = [one.held[H, B] for H in one.hidden if (H, B) in one.held]
    lines = {name: held for name in names if (held := _line(found, one, cells, name))}
    bare = _bare(found, one, cells, lines)
    every = [
        rate for held in [*lines.values(), *bare.values()] for f in held for rate in _band(found, f)
    ]
    shapes = heading(f"batch {B}", "samples/s")
    if every:
        frame = Frame(
            scale_of([cell.hidden for cell in cells], LEFT, RIGHT, 1.2), scale_of(every, FLOOR, TOP, 1.3)
        )
        shapes += frame.axes(_thinned(cells), _rates(frame), "hidden size H")
        for name, held in bare.items():
            points = tuple(frame.at(f.place.cell.hidden, _speed(f)) for f in held)
            shapes.append(Path(points, inks.contestant(name)[0], 1.2, dashed=True, opacity=0.8))
        for name, held in lines.items():
            shapes += _drawn(found, frame, name, held)
        shapes += _labels(frame, lines)
    return Drawing(f"batch {B}: {one.title}", _told(lines), WIDTH, HEIGHT, shapes)


def _line(found: Findings, one: Slice, cells: Iterable[Cell], name: str) -> list[Figures]:
    """Return a contestant's figures over hidden sizes, invalid ones too."""
    held = []
    for cell in cells:
        known = [f for f in found.of(cell, [name], one.operation) if f.step is not None]
        if known:
            held.append(found.best(cell, [name], one.operation) or known[0])
    return held


def _points(found: Findings, one: Slice, name: str) -> list[Figures]:
    return _line(found, one, one.cells, name)


def _bare(
    found: Findings, one: Slice, cells: Sequence[Cell], lines: dict[str, list[Figures]]
) -> dict[str, list[Figures]]:
    """Return the products of each library once, under the first backend of that library."""
    bare: dict[str, list[Figures]] = {}
    seen = set()
    for name in lines:
        products = roster.products_of(name)
        operation = "forward" if one.operation == "forward" else "step"
        if products and products not in seen:
            known = [best for cell in cells if (best := found.best(cell, [products], operation))]
            bare |= {name: known} if known else {}
            seen.add(products)
    return bare


def _drawn(found: Findings, frame: Frame, name: str, held: list[Figures]) -> list[Shape]:
    """Return the band, the line and the marks of a contestant."""
    ink, shape = inks.contestant(name)
    valid = [f for f in held if f.is_valid]
    upper = [frame.at(f.place.cell.hidden, _band(found, f)[1]) for f in valid]
    lower = [frame.at(f.place.cell.hidden, _band(found, f)[0]) for f in valid]
    drawn: list[Shape] = []
    if len(valid) > 1:
        drawn.append(Path((*upper, *reversed(lower)), fill=ink, opacity=0.18))
        drawn.append(Path(tuple(frame.at(f.place.cell.hidden, _speed(f)) for f in valid), ink, 2))
    for f in held:
        x, y = frame.at(f.place.cell.hidden, _speed(f))
        says = (
            f"{f.place.cell.name}: {name}, {scaled(_speed(f))} samples/s, {scaled(f.step, 's')} a step"
        )
        says += "" if f.is_valid else "; above the measured peak, invalid"
        drawn.append(Mark(x, y, shape, ink, says=says, hollow=not f.is_valid))
    return drawn


def _band(found: Findings, f: Figures) -> tuple[float, float]:
    """Return the interval of the median as samples a second."""
    shortest, longest = found.interval(f.place)
    return f.place.cell.batch / longest, f.place.cell.batch / shortest


def _speed(f: Figures) -> float:
    return f.samples_per_second or 1.0


def _labels(frame: Frame, lines: dict[str, list[Figures]]) -> list[Shape]:
    """Return the names beside the ends of the lines, kept apart."""
    ends = {name: frame.at(held[-1].place.cell.hidden, _speed(held[-1])) for name, held in lines.items()}
    heights = apart([y + 4 for _, y in ends.values()], 13, TOP, FLOOR + 8)
    drawn: list[Shape] = []
    for (name, (x, y)), height in zip(ends.items(), heights, strict=True):
        ink = inks.contestant(name)[0]
        drawn.append(Path(((x + 6, y), (RIGHT + 10, height - 4)), "line", 0.8))
        drawn.append(Words(RIGHT + 13, height, name, ink=ink, bold=True))
    return drawn


def _thinned(cells: Sequence[Cell]) -> dict[float, str]:
    """Return the hidden sizes to mark, at most six."""
    return {cell.hidden: str(cell.hidden) for cell in cells[:: max(1, -(-len(cells) // 6))]}


def _rates(frame: Frame) -> dict[float, str]:
    return {value: tick(value) for value in frame.up.ticks()}


def _told(lines: dict[str, list[Figures]]) -> str:
    said = [
        f"{name}: " + ", ".join(f"{scaled(_speed(f))} at {f.place.cell.hidden}" for f in held)
        for name, held in lines.items()
    ]
    return "Samples a second by hidden size. " + "; ".join(said)
