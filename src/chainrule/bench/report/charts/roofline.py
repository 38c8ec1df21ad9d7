"""The measured roofline: the rate of a step's products against their arithmetic intensity.

S. Williams, A. Waterman, D. Patterson, "Roofline", Communications of the ACM 52 (4), 2009,
doi:10.1145/1498765.1498785; the roof is measured, in the same run.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from chainrule.bench.judge.figures import Figures
from chainrule.bench.judge.results import Results
from chainrule.bench.report.charts import drawing
from chainrule.bench.report.charts.drawing import Chart, Panel

SHAPES = "osD^vPX*<>"
EDGE = {"markersize": 6, "markeredgecolor": drawing.MUTED, "markeredgewidth": 0.6}  # for dark pages
CAPTION = (
    "The rate of the matrix products over the whole step of the fastest backend, against FLOP for each byte that any "
    "implementation must move. The line is the roof of the machine, measured in the same run: the best rate of "
    "products, and that of a copy; there are two lines where the smallest and the largest working set are copied at "
    "different rates. The marker is the batch, the colour the hidden size, dark for narrow, light for wide."
)


def chart(run: Results) -> Chart:
    """Return a panel for each grid, all with the same axes; none where no best rate was measured."""
    grids = [one for one in run.slices if one.is_grid]
    points = {one.title: run.bests(one.cells, run.backends, one.operation) for one in grids}
    points = {title: best for title, best in points.items() if best and best[0].limit}
    every = [f for best in points.values() for f in best]
    rates = [rate or 0.0 for f in every for rate in (f.rate, run.product_rate(f.place))]
    limits = drawing.ends(map(intensity, every)), drawing.ends(1e-9 * rate for rate in rates)
    panels = [
        Panel(
            title,
            f"{title}: the rate of a step against its arithmetic intensity, below the machine's roof.",
            partial(_draw, roofs=_roofs(run, best), points=best, limits=limits),
            3.3,
        )
        for title, best in points.items()
    ]
    return Chart("roofline", "The measured roofline", CAPTION, panels)


def intensity(f: Figures) -> float:
    """Return the FLOP of a step's products for each byte that any implementation must move."""
    return f.place.flops / f.place.least_bytes


# The rates of copies and of products: a roof, and the working sets in bytes that it is for.
Roofs = dict[tuple[float, float], list[int]]


def _roofs(run: Results, points: Sequence[Figures]) -> Roofs:
    """Return the roofs of the smallest and of the largest working set, which may be one."""
    places = sorted((f.place for f in points), key=lambda place: place.cell.working_set)
    known = [place for place in places if run.copy_rate(place)]
    roofs: Roofs = {}
    for place in (known or places)[:: max(1, len(known or places) - 1)]:
        roof = run.copy_rate(place) or math.inf, run.product_rate(place) or 0.0
        roofs.setdefault(roof, []).append(place.cell.working_set)
    return roofs


Limits = tuple[tuple[float, float], tuple[float, float]]


def _draw(ax: Any, roofs: Roofs, points: Sequence[Figures], limits: Limits) -> None:
    import matplotlib
    from matplotlib.ticker import EngFormatter

    (left, right), up = limits
    drawing.log_axis(ax, "x", left, right, "FLOP for each byte")
    drawing.log_axis(ax, "y", *up, "GFLOP/s")
    handles = []
    for ((copies, peak), sizes), style in zip(roofs.items(), ("-", "--"), strict=False):
        x = np.array([left / 2, np.clip(peak / copies, left / 2, 2 * right), 2 * right])  # (3,)
        text = " to ".join(dict.fromkeys(EngFormatter("B")(float(f"{size:.3g}")) for size in sizes))
        name = f"copy of {text}" if copies < math.inf else "best rate"
        y = 1e-9 * np.minimum(peak, x * copies)  # (3,)
        handles += ax.plot(x, y, style, color=drawing.INK, linewidth=1.4, label=name)
    hidden, batches = (
        sorted({getattr(f.place.cell, name) for f in points}) for name in ("hidden", "batch")
    )
    colours = matplotlib.colormaps["viridis"](np.linspace(0.1, 0.95, len(hidden)))
    shades = dict(zip(hidden, colours, strict=True))
    shapes = {B: SHAPES[place % len(SHAPES)] for place, B in enumerate(batches)}
    for f in points:
        shape, shade = shapes[f.place.cell.batch], shades[f.place.cell.hidden]
        ax.plot([intensity(f)], [1e-9 * (f.rate or 0.0)], shape, color=shade, **EDGE)
    handles += [drawing.mark(drawing.INK, shapes[B], f"B {B}", fillstyle="none") for B in batches]
    handles += [drawing.mark(shades[H], "s", f"H {H}", **EDGE) for H in hidden]
    drawing.legend(ax, handles, 3)
