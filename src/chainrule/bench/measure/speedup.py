"""Speed-up by ranks: measured steps of one rank and of all, measured sums between ranks, and a model of both."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.backends import named
from chainrule.backends.speed_map.spots import Interval
from chainrule.bench.cell_data import cell_data
from chainrule.bench.cells import Cell
from chainrule.bench.contestants.ours import trained
from chainrule.bench.judge.statistics import typical
from chainrule.bench.link import Simulation, line
from chainrule.ranks.group import Group

ROUNDS = 3
SECONDS, SUM_SECONDS = 0.4, 0.1  # length of a series of steps, and of a series of sums
FLOPS_A_SECOND = 3e10  # per rank, roughly; it only sets the length of a series
SIZES = [4**power for power in range(2, 11)]  # numbers in a sum
HEAD = (
    *("rows", "rows\na rank", "one rank,\nµs", "all ranks,\nµs", "model,\nµs"),
    *("efficiency", "95 %\ninterval", "by the\nmodel"),
)
SIMULATED_HEAD = ("ranks", "rows a rank", "step, µs", "speed-up", "efficiency")


class OneRank(Group):
    """One rank with the engine of several: gradient and update apart, and no sum."""

    is_divided = True


class ScalePoint(NamedTuple):
    """The seconds of a step on a batch."""

    rows: int
    alone: Interval  # the whole batch on one rank, while the others wait
    share: Interval  # each rank's share of the rows, without the sum
    together: Interval  # the whole batch on all ranks


class Scaling(NamedTuple):
    """The measurements of a cell on some ranks."""

    cell: Cell
    ranks: int
    points: list[ScalePoint]
    sums: dict[int, float]  # median seconds by bytes

    @property
    def nbytes(self) -> int:
        """The bytes that a step adds up: the gradient, the loss and a flag."""
        return (self.cell.parameters + 2) * self.cell.itemsize

    def model(self, point: ScalePoint) -> float:
        """Return the seconds of a step on all ranks: a rank's own step, and a sum of this many bytes."""
        if not self.sums:
            return point.share.estimate
        sizes, seconds = np.log(list(self.sums)), np.log(list(self.sums.values()))  # (sizes,)
        return point.share.estimate + float(np.exp(np.interp(np.log(self.nbytes), sizes, seconds)))

    def table(self) -> Iterator[Sequence[str]]:
        """Yield a row for each batch under :data:`HEAD`."""
        for point in self.points:
            model = self.model(point)
            times = (point.alone.estimate, point.together.estimate, model)
            gain = point.alone.over(point.together)
            efficiency = Interval(*(x / self.ranks for x in gain))
            yield (
                *(f"{point.rows}", f"{point.rows // self.ranks}"),
                *(f"{1e6 * seconds:.3g}" for seconds in times),
                f"{efficiency.estimate:.0%}",
                efficiency.ends("{:.0%}".format),
                f"{point.alone.estimate / model / self.ranks:.0%}",
            )

    def simulated(self, asked: Simulation) -> Iterator[Sequence[str]]:
        """Yield a row for 1, 2, 4, ... ranks over a link by the model, under :data:`SIMULATED_HEAD`."""
        fixed, each = line({p.rows // self.ranks: p.share.estimate for p in self.points})
        batch, ranks = self.cell.batch, 1
        while ranks <= min(asked.ranks, batch):
            sums = asked.link.seconds(ranks, self.nbytes) / asked.every
            seconds = fixed + each * batch / ranks + sums
            gain = (fixed + each * batch) / seconds
            times = f"{1e6 * seconds:.3g}", f"{gain:.2f}x", f"{100 * gain / ranks:.0f} %"
            yield (f"{ranks}", f"{batch // ranks}", *times)
            ranks *= 2


def measure(cell: Cell, group: Group, threads: int | None) -> Scaling:
    """Measure a cell, and batches of a quarter and a sixteenth of its rows, on the ranks of a group.

    All ranks call it; each uses this many threads. The result is that of rank 0.
    """
    points = []
    for rows in (max(group.size, cell.batch // part) for part in (16, 4, 1)):
        wide, own = cell._replace(batch=rows), cell._replace(batch=max(1, rows // group.size))
        alone, share, together = list[list[float]](), list[list[float]](), list[list[float]]()
        for _ in range(ROUNDS):  # alternately, since the speed of a machine changes
            share.append(_steps(own, OneRank(tree=group.tree), threads))
            if group.size == 1:
                continue
            if group.rank == 0:
                alone.append(_steps(wide, Group(), threads))
            group.gather(None)  # the others wait
            together.append(_steps(wide, group, threads))
        points.append(ScalePoint(rows, *map(typical, (alone or share, share, together or share))))
    measured: Scaling = group.broadcast(Scaling(cell, group.size, points, _sums(cell, group)))
    return measured


def _steps(cell: Cell, group: Group, threads: int | None) -> list[float]:
    """Return the seconds of a step in each of some epochs of a few batches."""
    data = cell_data(cell)
    guess = data.steps * (cell.flops / FLOPS_A_SECOND + 2e-5)
    epochs = int(np.clip(SECONDS / guess, 3, 2000))
    how: dict[str, Any] = {
        "batch_size": cell.batch,
        "optimizer": cell.rule,
        "threads": threads,
        "ranks": group,
    }
    net = trained(data, named("numpy"))
    history = net.train(data.X, data.Y, epochs, data.rate, progress=False, **how)
    seconds: list[float] = (np.diff(history["seconds"])[1:] / data.steps).tolist()
    return seconds


def _sums(cell: Cell, group: Group) -> dict[int, float]:
    """Return the median seconds of a sum over the ranks, by its bytes."""
    medians = {}
    for size in SIZES if group.size > 1 else ():
        buffer = np.ones(size, dtype=cell.dtype)  # (size,)
        group.sum(buffer)
        seconds, end = list[float](), time.perf_counter() + SUM_SECONDS
        while group.broadcast(time.perf_counter() < end or len(seconds) < 9):
            for _ in range(10):
                start = time.perf_counter()
                group.sum(buffer)
                seconds.append(time.perf_counter() - start)
                buffer[...] = 1
        medians[buffer.nbytes] = float(np.median(seconds))
    return medians
