"""Speed-up by ranks: the steps of one rank, the sums between ranks and the steps of all, and what a model makes of the first two."""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from chainrule.backends.speed_map.spots import Interval, network
from chainrule.bench.cell_data import cell_data
from chainrule.bench.cells import Cell
from chainrule.bench.judge.statistics import typical
from chainrule.bench.link import Link, Simulation, line
from chainrule.network import NeuralNetwork
from chainrule.ranks.group import Group

ROUNDS = 3
SECONDS, SUM_SECONDS = 0.4, 0.1  # of a series of steps, and of sums
FLOPS_A_SECOND = 3e10  # of a rank, roughly: for the length of a series, no more
SIZES = [4**power for power in range(2, 11)]  # numbers in a sum
HEAD = ("rows", "a rank", "alone, µs", "ranks, µs", "model, µs", "efficiency", "95 % interval", "model")
SIMULATED_HEAD = ("ranks", "rows a rank", "step, µs", "speed-up", "efficiency")


class OneRank(Group):
    """A rank by itself, on the engine of several: gradient and update apart, and no sum."""

    is_divided = True


class ScalePoint(NamedTuple):
    """A batch on all ranks."""

    rows: int
    alone: Interval  # seconds of a step on one rank, the others waiting
    share: Interval  # of a step of a rank's share of the rows, on each rank for itself
    together: Interval  # of a step on all ranks


class Scaling(NamedTuple):
    """What was measured of a cell on some ranks."""

    cell: Cell
    ranks: int
    points: list[ScalePoint]
    sums: dict[int, float]  # median seconds, of so many bytes

    @property
    def nbytes(self) -> int:
        """Of what is added up in a step: the gradient, the loss and a flag."""
        return (self.cell.parameters + 2) * self.cell.itemsize

    @property
    def link(self) -> Link:
        """The link that the sums describe."""
        return Link.fitted(self.ranks, self.sums)

    @property
    def share_line(self) -> tuple[float, float]:
        """The seconds of one rank's step: fixed, and for each row."""
        return line({point.rows // self.ranks: point.share.estimate for point in self.points})

    def model(self, point: ScalePoint) -> float:
        """Return the seconds of a step on all ranks by a rank's own step, and the sum of so many bytes."""
        if not self.sums:
            return point.share.estimate
        sizes, seconds = np.log(list(self.sums)), np.log(list(self.sums.values()))  # (sizes,)
        return point.share.estimate + float(np.exp(np.interp(np.log(self.nbytes), sizes, seconds)))

    def table(self) -> Iterator[Sequence[str]]:
        """Yield a row for each batch under :data:`HEAD`."""
        for point in self.points:
            gain = point.alone.over(point.together)
            efficiency = [100 * x / self.ranks for x in gain]
            model = self.model(point)
            times = (point.alone.estimate, point.together.estimate, model)
            yield (
                *(f"{point.rows}", f"{point.rows // self.ranks}"),
                *(f"{1e6 * seconds:.3g}" for seconds in times),
                f"{efficiency[0]:.0f} %",
                f"{efficiency[1]:.0f} to {efficiency[2]:.0f} %" if gain.is_bounded else "too few rounds",
                f"{100 * point.alone.estimate / model / self.ranks:.0f} %",
            )


def simulated(measured: Scaling, asked: Simulation) -> Iterator[Sequence[str]]:
    """Yield a row for 1, 2, 4, ... ranks over a link that is not here, under :data:`SIMULATED_HEAD`."""
    fixed, each = measured.share_line
    batch, ranks = measured.cell.batch, 1
    while ranks <= min(asked.ranks, batch):
        seconds = asked._replace(ranks=ranks).step(fixed + each * batch / ranks, measured.nbytes)
        gain = (fixed + each * batch) / seconds
        yield (
            f"{ranks}",
            f"{batch // ranks}",
            f"{1e6 * seconds:.3g}",
            f"{gain:.2f}x",
            f"{100 * gain / ranks:.0f} %",
        )
        ranks *= 2


def measure(cell: Cell, group: Group, threads: int | None) -> Scaling:
    """Measure a cell, and batches of a quarter and a sixteenth of its rows, on the ranks of a group.

    All ranks call it; each uses so many threads. The result is that of rank 0.
    """
    points = []
    for rows in (max(group.size, cell.batch // part) for part in (16, 4, 1)):
        wide, own = cell._replace(batch=rows), cell._replace(batch=max(1, rows // group.size))
        alone, share, together = list[list[float]](), list[list[float]](), list[list[float]]()
        for _ in range(ROUNDS):  # in turn, since a machine is faster at one time than at another
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
    """Return the seconds of a step, of some epochs of a few batches each."""
    data = cell_data(cell)
    model, optimizer = network(cell.sizes, cell.rule)
    net = NeuralNetwork(
        cell.sizes[0],
        cell.sizes[1:-1],
        cell.sizes[-1],
        activation=model.activations[0],
        output_activation=model.activations[-1],
        loss=model.loss,
        backend="numpy",
        dtype=cell.dtype,
        seed=0,
    )
    guess = data.steps * (cell.flops / FLOPS_A_SECOND + 2e-5)
    epochs = int(np.clip(SECONDS / guess, 3, 2000))
    y = data.labels if cell.rule == "adam" else data.Y
    history = net.train(
        data.X,
        y,
        epochs,
        data.rate,
        batch_size=cell.batch,
        optimizer=optimizer,
        threads=threads,
        ranks=group,
        progress=False,
    )
    seconds: list[float] = (np.diff(history["seconds"])[1:] / data.steps).tolist()
    return seconds


def _sums(cell: Cell, group: Group) -> dict[int, float]:
    taken = {}
    for size in SIZES if group.size > 1 else ():
        buffer = np.ones(size, dtype=cell.dtype)  # (size,)
        group.sum(buffer)
        seconds, end = list[float](), time.perf_counter() + SUM_SECONDS
        while group.broadcast(time.perf_counter() < end or len(seconds) < 9):
            for _ in range(10):
                began = time.perf_counter()
                group.sum(buffer)
                seconds.append(time.perf_counter() - began)
                buffer[...] = 1
        taken[buffer.nbytes] = float(np.median(seconds))
    return taken
