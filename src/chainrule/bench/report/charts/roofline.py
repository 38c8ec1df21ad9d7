"""The measured roofline: the rate of a step's products against their arithmetic intensity.

S. Williams, A. Waterman, D. Patterson, "Roofline", Communications of the ACM 52 (4), 2009,
doi:10.1145/1498765.1498785; the roof is measured, in the same run. Its slope is that of a copy of the cell's
own working set, which fits into a cache or does not, so each point has a roof of its own.
"""

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
    "implementation must move. The tick above a point is the roof: the rate at which the machine's limit is reached, by "
    "its best rate of products or of copies, measured in the same run. The marker is the batch, the colour the hidden "
    "size, dark for narrow, light for wide."
)


def chart(run: Results) -> Chart:
    """Return a panel for each grid, all with the same axes; none where no best rate was measured."""
    points = {
        one.title: [f for f in run.bests(one.cells, run.backends, one.operation) if f.limit]
        for one in run.slices
        if one.is_grid
    }
    every = [f for group in points.values() for f in group]
    rates = [rate for f in every for rate in (_rate(f), _roof(f))]
    limits = drawing.ends(map(_intensity, every)), drawing.ends(rates)
    panels = [
        Panel(title, partial(_draw, points=group, limits=limits), 3.3)
        for title, group in points.items()
        if group
    ]
    alt = "the rate of a step against its arithmetic intensity, below the machine's roof."
    return Chart("roofline", "The measured roofline", CAPTION, alt, panels)


def _intensity(f: Figures) -> float:
    """Return the FLOP of a step's products for each byte that any implementation must move."""
    return f.place.flops / f.place.least_bytes


def _rate(f: Figures) -> float:
    return 1e-9 * (f.rate or 0.0)


def _roof(f: Figures) -> float:
    return 1e-9 * f.place.flops / f.limit if f.limit else 0.0


Limits = tuple[tuple[float, float], tuple[float, float]]


def _draw(ax: Any, points: Sequence[Figures], limits: Limits) -> None:
    import matplotlib

    across, up = limits
    drawing.log_axis(ax, "x", *across, "FLOP for each byte")
    drawing.log_axis(ax, "y", *up, "GFLOP/s")
    hidden, batches = (
        sorted({getattr(f.place.cell, name) for f in points}) for name in ("hidden", "batch")
    )
    colours = matplotlib.colormaps["viridis"](np.linspace(0.1, 0.95, len(hidden)))
    shades = dict(zip(hidden, colours, strict=True))
    shapes = {B: SHAPES[place % len(SHAPES)] for place, B in enumerate(batches)}
    x, roofs = [_intensity(f) for f in points], [_roof(f) for f in points]
    ax.vlines(x, [_rate(f) for f in points], roofs, color=drawing.GRID, linewidth=1)
    ax.plot(x, roofs, "_", color=drawing.INK, markersize=8, markeredgewidth=1.6)
    for f in points:
        shape, shade = shapes[f.place.cell.batch], shades[f.place.cell.hidden]
        ax.plot([_intensity(f)], [_rate(f)], shape, color=shade, **EDGE)
    handles = [drawing.mark(drawing.INK, "_", "roof", markersize=8)]
    handles += [drawing.mark(drawing.INK, shapes[B], f"B {B}", fillstyle="none") for B in batches]
    handles += [drawing.mark(shades[H], "s", f"H {H}", **EDGE) for H in hidden]
    drawing.legend(ax, handles, 3)
