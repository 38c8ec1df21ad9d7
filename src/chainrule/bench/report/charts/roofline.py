"""The measured roofline: the rate of a step's products against their arithmetic intensity.

S. Williams, A. Waterman, D. Patterson, "Roofline", Communications of the ACM 52 (4), 2009,
doi:10.1145/1498765.1498785; its roofs are measured here, in the same run.
"""

from itertools import pairwise

from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.judge.results import Figures
from chainrule.bench.report.charts.panels import WIDTH, heading
from chainrule.bench.report.drawings import inks
from chainrule.bench.report.drawings.axes import Frame, scale_of, tick
from chainrule.bench.report.drawings.shapes import Drawing, Figure, Mark, Path, Shape, Words
from chainrule.bench.report.findings import Findings
from chainrule.bench.report.slices import Slice
from chainrule.bench.report.word_table import scaled
from chainrule.bench.store import Rates

HEIGHT, LEFT, TOP, RIGHT, FLOOR = 310.0, 50.0, 56.0, 356.0, 246.0
CAPTION = (
    "FLOP/s of the products over the whole step, against FLOP a byte that they read or write at the least. "
    "Roofs, measured in the same run: the best rate of square products, the bandwidth of a copy. A dash above a "
    "point: what its calls alone would allow, where that is the lowest roof. Points above the slope work in the "
    "cache. Colour: hidden size, narrow pale, wide dark."
)


def figure(found: Findings, one: Slice) -> Figure | None:
    """Return a panel for each library whose rates were measured; ``None`` where there is none."""
    panels = _panels(found, one) if one.is_grid else []
    title = f"The measured roofline: {one.title}"
    return Figure(f"roofline-{one.slug}", title, CAPTION, tuple(panels), one.title) if panels else None


def _panels(found: Findings, one: Slice) -> list[Drawing]:
    made = []
    libraries = dict.fromkeys(roster.entry(name).library for name in found.backends)
    for library in libraries:
        rates = found.results.rates(library, one.dtype)
        names = [name for name in found.backends if roster.entry(name).library == library]
        points = [best for cell in one.cells if (best := found.best(cell, names, one.operation))]
        if rates is not None and points and one.operation != "forward":
            made.append(panel(found, one, points, rates))
    return made


def bytes_of(cell: Cell) -> int:
    """Return the bytes that the products of a step read and write, each operand once.

    Examples
    --------
    >>> bytes_of(Cell((1, 1, 1), 1))  # five products of 1 x 1, three numbers of four bytes each
    60
    """
    B, width, total = cell.batch, 8 if cell.dtype == "float64" else 4, 0
    for place, (n_in, n_out) in enumerate(pairwise(cell.sizes)):
        each = B * n_in + n_in * n_out + B * n_out
        total += each * (2 if place == 0 else 3)  # Z, dL/dW and, but for the first layer, dL/dX
    return width * total


def intensity(cell: Cell) -> float:
    """Return the FLOP of a step's products for each byte that they must move."""
    return cell.flops / bytes_of(cell)


def panel(found: Findings, one: Slice, points: list[Figures], rates: Rates) -> Drawing:
    """Return the roofs of one library, and a point for each cell."""
    xs = [intensity(f.place.cell) for f in points]
    ridge = rates.products / rates.copies[-1][1]
    seen = [f.rate or 1.0 for f in points]
    across = scale_of([*xs, ridge], LEFT, RIGHT, 1.4)
    frame = Frame(across, scale_of([*seen, rates.products], FLOOR, TOP, 1.5))
    shapes = heading(f"on {rates.library}", _roofs_told(rates))
    shapes += frame.axes(_named(across.ticks(5)), _named(frame.up.ticks(6)), "FLOP a byte")
    shapes += _roofs(frame, rates, ridge)
    for f in points:
        ink = inks.depth(one.hidden.index(f.place.cell.hidden), len(one.hidden))
        shapes += _point(frame, f, ink, _allowed(f, found.calls(f.place), rates))
    shapes += _legend(one)
    told = f"Peak {scaled(rates.products, 'FLOP/s')}, copy {scaled(rates.copies[-1][1], 'B/s')}. "
    told += "; ".join(f"{f.place.cell.name} {scaled(f.rate, 'FLOP/s')}" for f in points)
    return Drawing(f"Roofline, {rates.library}: {one.title}", told, WIDTH, HEIGHT, shapes)


def _named(values: list[float]) -> dict[float, str]:
    return {value: tick(value) for value in values}


def _roofs(frame: Frame, rates: Rates, ridge: float) -> list[Shape]:
    low = max(frame.across.low, frame.up.low / rates.copies[-1][1])
    slope = [frame.at(low, low * rates.copies[-1][1]), frame.at(ridge, rates.products)]
    flat = frame.at(frame.across.high, rates.products)
    return [Path((*slope, flat), "ink", 1.8)]


def _roofs_told(rates: Rates) -> str:
    return f"FLOP/s; peak {scaled(rates.products, 'FLOP/s')}, copy {scaled(rates.copies[-1][1], 'B/s')}"


def _point(frame: Frame, f: Figures, ink: str, allowed: float | None) -> list[Shape]:
    cell = f.place.cell
    x, y = frame.at(intensity(cell), f.rate or 1.0)
    drawn: list[Shape] = []
    says = (
        f"{cell.name}: {f.place.contestant} {scaled(f.rate, 'FLOP/s')}, {intensity(cell):.3g} FLOP/byte"
    )
    if allowed is not None:
        top = frame.up(min(allowed, frame.up.high))
        drawn += [Path(((x, y), (x, top)), "line", 0.8), Path(((x - 5, top), (x + 5, top)), "line", 2)]
        says += f"; its calls alone would allow {scaled(allowed, 'FLOP/s')}"
    return [*drawn, Mark(x, y, "circle", ink, 4.5, says)]


def _allowed(f: Figures, calls: int | None, rates: Rates) -> float | None:
    """Return the rate at which a step would be nothing but its calls, where no other roof is lower."""
    if not calls:
        return None
    allowed = f.flops / (calls * rates.empty_call)
    roof = min(rates.products, rates.copies[-1][1] * intensity(f.place.cell))
    return allowed if allowed < roof and allowed > (f.rate or 0.0) else None


def _legend(one: Slice) -> list[Shape]:
    drawn: list[Shape] = [Words(0, HEIGHT - 8, "H", ink="muted", size=10)]
    x = 16.0
    for place, H in enumerate(one.hidden):
        drawn.append(Mark(x, HEIGHT - 11.5, "circle", inks.depth(place, len(one.hidden)), 4))
        drawn.append(Words(x + 8, HEIGHT - 8, str(H), ink="muted", size=10))
        x += 26 + 6 * len(str(H))
    return drawn
