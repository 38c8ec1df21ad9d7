"""The measured roofline: the rate of a step's products against their arithmetic intensity.

S. Williams, A. Waterman, D. Patterson, "Roofline", Communications of the ACM 52 (4), 2009,
doi:10.1145/1498765.1498785; the roof is measured, in the same run.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from chainrule.bench.judge.results import Figures
from chainrule.bench.report.charts import drawing
from chainrule.bench.report.charts.drawing import Chart, Panel
from chainrule.bench.report.findings import Findings
from chainrule.bench.report.formats import scaled

SHAPES = "osD^vPX*<>"
EDGE = {"markersize": 6, "markeredgecolor": drawing.MUTED, "markeredgewidth": 0.6}  # for dark pages
CAPTION = (
    "The rate of the matrix products over the whole step of the fastest backend, against FLOP for each byte that any "
    "implementation must move. The lines are the roof of the machine, measured in the same run: the best rate of "
    "products, and that of a copy at the smallest and at the largest working set. The marker is the batch, the colour the hidden "
    "size, dark for narrow, light for wide."
)


def chart(found: Findings) -> Chart | None:
    """Return a panel for each grid, all with the same axes; ``None`` where no best rate was measured."""
    points = {
        one.title: found.bests(one.cells, found.backends, one.operation)
        for one in found.slices
        if one.is_grid
    }
    points = {title: best for title, best in points.items() if best and best[0].limit}
    every = [f for best in points.values() for f in best]
    peaks = [found.results.product_rate(f.place) or 0.0 for f in every]
    limits = (
        drawing.ends(map(intensity, every)),
        drawing.ends(
            1e-9 * rate for f, peak in zip(every, peaks, strict=True) for rate in (f.rate or 0.0, peak)
        ),
    )
    panels = [
        Panel(
            title,
            f"{title}: the rate of a step against its arithmetic intensity, below the machine's roof.",
            partial(_draw, found=found, points=best, limits=limits),
            3.3,
        )
        for title, best in points.items()
    ]
    title = "The measured roofline"
    return Chart("roofline", title, title, CAPTION, panels) if panels else None


def intensity(f: Figures) -> float:
    """Return the FLOP of a step's products for each byte that any implementation must move."""
    return f.flops / f.place.cell.least_bytes("forward" if f.place.operation == "forward" else "step")


Limits = tuple[tuple[float, float], tuple[float, float]]


def _draw(ax: Any, found: Findings, points: Sequence[Figures], limits: Limits) -> None:
    import matplotlib

    (left, right), up = limits
    drawing.log_axis(ax, "x", left, right, "FLOP for each byte")
    drawing.log_axis(ax, "y", *up, "GFLOP/s")
    handles = [
        ax.plot(*_roof(peak, copies, left, right), style, color=drawing.INK, linewidth=1.4, label=name)[
            0
        ]
        for (name, peak, copies), style in zip(_rates(found, points), ("-", "--"), strict=False)
    ]
    hidden, batches = (
        sorted({getattr(f.place.cell, name) for f in points}) for name in ("hidden", "batch")
    )
    shades = matplotlib.colormaps["viridis"](np.linspace(0.1, 0.95, len(hidden)))
    for f in points:
        shape, shade = (
            SHAPES[batches.index(f.place.cell.batch) % len(SHAPES)],
            shades[hidden.index(f.place.cell.hidden)],
        )
        ax.plot([intensity(f)], [1e-9 * (f.rate or 0.0)], shape, color=shade, **EDGE)
    handles += [
        drawing.mark(drawing.INK, shape, f"B {B}", fillstyle="none")
        for B, shape in zip(batches, SHAPES, strict=False)
    ]
    handles += [
        drawing.mark(shade, "s", f"H {H}", **EDGE) for H, shade in zip(hidden, shades, strict=True)
    ]
    drawing.legend(ax, handles, 4)


def _rates(found: Findings, points: Sequence[Figures]) -> list[tuple[str, float, float]]:
    """Return the roofs of the smallest and the largest working set: a name, the rates of products and copies."""
    places = sorted((f.place for f in points), key=lambda place: place.cell.working_set)
    peak = found.results.product_rate(places[0]) or 0.0
    copies = [(p.cell.working_set, rate) for p in places if (rate := found.results.copy_rate(p))]
    ends = dict([copies[0], copies[-1]]) if copies else {}
    return [(f"copy of {scaled(size, 'B')}", peak, rate) for size, rate in ends.items()] or [
        ("best rate", peak, math.inf)
    ]


def _roof(peak: float, copies: float, left: float, right: float) -> tuple[list[float], list[float]]:
    """Return the corners of a roof, in FLOP for each byte and GFLOP/s."""
    xs = [left / 2, min(max(peak / copies, left / 2), 2 * right), 2 * right]
    return xs, [1e-9 * min(peak, x * copies) for x in xs]
