"""The measured roofline: the rate of a step's products against their arithmetic intensity.

S. Williams, A. Waterman, D. Patterson, "Roofline", Communications of the ACM 52 (4), 2009,
doi:10.1145/1498765.1498785; the roof is measured, in the same run.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from chainrule.bench import roster
from chainrule.bench.judge.results import Figures, Place
from chainrule.bench.report.charts.panels import INK, Chart, Panel, ends, legend, log_axis, mark
from chainrule.bench.report.findings import Findings
from chainrule.bench.report.slices import Slice

SHAPES = "osD^vPX*<>"
CAPTION = (
    "The rate of the matrix products over the whole step of the fastest backend, against FLOP for each byte that any "
    "implementation must move. The lines are the roof of the machine, measured in the same run: the best rate of "
    "products, and the best rate of a copy in a cache and in memory. The marker is the batch, the colour the hidden "
    "size, dark for narrow, light for wide."
)


class Roof(NamedTuple):
    """The best rates of the machine: products, copies in a cache and copies in memory."""

    products: float
    cached: float
    copies: float


def chart(found: Findings) -> Chart | None:
    """Return a panel for each grid, all with the same axes; ``None`` where no best rate was measured."""
    points = {}
    for one in (s for s in found.slices if s.is_grid):
        best = found.bests(one.cells, found.backends, one.operation)
        if best and (roof := _roof(found, best[0].place)):
            points[one.title] = one, best, roof
    if not points:
        return None
    across = ends(
        x
        for _, best, roof in points.values()
        for x in (*map(intensity, best), roof.products / roof.copies)
    )
    up = ends(
        y / 1e9
        for _, best, roof in points.values()
        for y in (*(f.rate or 0 for f in best), roof.products)
    )
    panels = [
        Panel(
            title,
            f"{title}: the rate of a step against its arithmetic intensity, below the machine's roof.",
            partial(_draw, one=one, points=best, roof=roof, limits=(across, up)),
            3.3,
        )
        for title, (one, best, roof) in points.items()
    ]
    title = "The measured roofline"
    return Chart("roofline", title, title, CAPTION, panels)


def intensity(f: Figures) -> float:
    """Return the FLOP of a step's products for each byte that any implementation must move."""
    return f.flops / f.place.cell.least_bytes("forward" if f.place.operation == "forward" else "step")


def _roof(found: Findings, place: Place) -> Roof | None:
    """Return the roof of the machine for the device and the dtype of a contestant."""
    known = [
        rates
        for rates in found.results.records.rates
        if rates.dtype == place.cell.dtype
        and roster.device_of(rates.library) == roster.entry(place.contestant).device
    ]
    if not known:
        return None
    cached = max(rate for rates in known for _, rate in rates.copies)
    return Roof(max(r.products for r in known), cached, max(r.copies[-1][1] for r in known))


Limits = tuple[tuple[float, float], tuple[float, float]]


def _draw(ax: Any, one: Slice, points: Sequence[Figures], roof: Roof, limits: Limits) -> None:
    import matplotlib
    from matplotlib.lines import Line2D

    (left, right), up = limits
    log_axis(ax, "x", left, right * 1.3, "FLOP for each byte")
    log_axis(ax, "y", *up, "GFLOP/s")
    slopes = (("in a cache", roof.cached, "-"), ("in memory", roof.copies, "--"))
    for _, copies, style in slopes:
        xs = [left / 2, roof.products / copies, right * 4]
        heights = [min(roof.products, x * copies) / 1e9 for x in xs]
        ax.plot(xs, heights, style, color=INK, linewidth=1.4)
    colours = matplotlib.colormaps["viridis"]
    shades = {
        H: colours(0.9 * place / max(1, len(one.hidden) - 1)) for place, H in enumerate(one.hidden)
    }
    shapes = {B: SHAPES[place % len(SHAPES)] for place, B in enumerate(one.batches)}
    for f in points:
        shape, shade = shapes[f.place.cell.batch], shades[f.place.cell.hidden]
        ax.plot([intensity(f)], [(f.rate or 0) / 1e9], shape, color=shade, markersize=6)
    handles = [mark(INK, shape, f"B {B}", fillstyle="none") for B, shape in shapes.items()]
    handles += [mark(shade, "s", f"H {H}") for H, shade in shades.items()]
    handles += [Line2D([], [], color=INK, linestyle=style, label=name) for name, _, style in slopes]
    legend(ax, handles, 5)
