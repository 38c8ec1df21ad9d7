"""Throughput: samples a second against the hidden size, a panel for each batch size."""

from functools import partial
from typing import Any

from chainrule.bench.judge.figures import Figures
from chainrule.bench.judge.results import Results
from chainrule.bench.judge.slices import Slice, evenly
from chainrule.bench.report.charts import drawing
from chainrule.bench.report.charts.drawing import Chart, Panel

PANELS = 6
CAPTION = (
    "Thousand samples a second, both axes logarithmic, the same in all panels. Band: the 95 % interval. Dashed: the "
    "bare matrix products of the step with the same library."
)
Lines = dict[str, list[Figures]]


def chart(run: Results, one: Slice) -> Chart:
    """Return a panel for each of at most six batch sizes; none with fewer than two hidden sizes."""
    batches = [B for B in one.batches if sum((H, B) in one.by_size for H in one.hidden) > 1]
    lines = {B: held for B in evenly(batches, PANELS) if (held := _lines(run, one, B))}
    speeds = [_speed(f) for held in lines.values() for line in held.values() for f in line]
    panels = [
        Panel(f"batch {B}", partial(_draw, run=run, one=one, lines=held, limits=drawing.ends(speeds)))
        for B, held in lines.items()
        if run.leads(one)
    ]
    name, title = f"throughput-{one.slug}", f"Throughput against hidden size: {one.title}"
    alt = f"{one.title}. Samples a second against the hidden size, a line for each backend."
    return Chart(name, title, CAPTION, alt, panels, one.title)


def _lines(run: Results, one: Slice, B: int) -> Lines:
    """Return the figures of each backend and of the bare products over the hidden sizes."""
    cells = [one.by_size[H, B] for H in one.hidden if (H, B) in one.by_size]
    names = [*run.products, *run.backends]
    lines = {name: run.bests(cells, [name], one.operation) for name in names}
    return {name: line for name, line in lines.items() if line}


def _speed(f: Figures) -> float:
    return (f.samples_per_second or 0) / 1e3


def _draw(ax: Any, run: Results, one: Slice, lines: Lines, limits: tuple[float, float]) -> None:
    """Draw the lines of one batch size: the backends, and dashed the bare products."""
    drawing.log_axis(ax, "x", one.hidden[0], one.hidden[-1], "hidden size H")
    drawing.log_axis(ax, "y", *limits, "thousand samples/s")
    ax.set_xticks(one.hidden, map(str, one.hidden))
    for name, line in lines.items():
        colour, shape = drawing.look_of(name)
        widths, speeds = [f.place.cell.hidden for f in line], [_speed(f) for f in line]
        if name in run.products:
            ax.plot(widths, speeds, color=colour, linestyle="--", linewidth=1, alpha=0.8)
            continue
        # Samples a second of both ends of the interval: batch / seconds.
        bands = [[f.place.cell.batch / end / 1e3 for end in run.interval(f.place)] for f in line]
        ax.fill_between(widths, *zip(*bands, strict=True), color=colour, alpha=0.2, linewidth=0)
        ax.plot(widths, speeds, shape, linestyle="-", color=colour, linewidth=1.6, markersize=5)
    drawing.legend(
        ax, [drawing.mark(*drawing.look_of(name), name) for name in lines if name in run.backends]
    )
