"""Neighbours: the measured spots between which a workload lies, and how much each counts."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from chainrule.backends.speed_map.interval import Interval
from chainrule.backends.speed_map.spots import SpeedMap, Spot
from chainrule.backends.speed_map.workload import Workload

# The largest curvature of log(a + b x) over log x: how far the time of a call and a rate bends between spots.
CURVATURE = 0.25

At = tuple[int, int]  # a hidden size and a batch


class Corner(NamedTuple):
    """A measured spot beside a workload, and its weight."""

    spot: Spot
    weight: float


class Side(NamedTuple):
    """The values about one, and how far between them it lies, from 0 to 1 on the scale of logarithms."""

    low: int
    high: int
    share: float

    @property
    def doubt(self) -> float:
        """The largest error of a straight line there, ``f'' s (1 - s) h^2 / 2``."""
        return 0.5 * CURVATURE * self.share * (1.0 - self.share) * math.log(self.high / self.low) ** 2

    @property
    def ends(self) -> list[tuple[int, float]]:
        """The values with their weights."""
        both = ((self.low, 1.0 - self.share), (self.high, self.share))
        return [(value, weight) for value, weight in both if weight > 0.0]


class Neighbourhood(NamedTuple):
    """One corner where the workload itself was measured; else two or four of the same shape, or none.

    ``doubt``: how far a straight line between them may be off, on the scale of logarithms.
    """

    corners: Sequence[Corner]
    doubt: float

    def mean(self, intervals: Iterable[Interval]) -> Interval:
        """Return the mean of the corners' intervals by weight, log-linear, doubted."""
        weighted = list(zip(self.corners, (interval.logs for interval in intervals), strict=True))
        logs = [sum(corner.weight * ends[n] for corner, ends in weighted) for n in range(3)]
        return Interval.of_logs(*logs).widened(self.doubt)


def neighbourhood(known: SpeedMap, work: Workload) -> Neighbourhood:
    """Return the measured spots about a workload: of its shape, by hidden size and batch."""
    alike = {_at(s.workload): s for s in known.spots if _shape(s.workload) == _shape(work)}
    hidden, batch = _sides(alike, _at(work))
    if hidden is None or batch is None:
        return Neighbourhood((), 0.0)
    weights = {(H, B): u * v for H, u in hidden.ends for B, v in batch.ends}
    if any(place not in alike for place in weights):
        return Neighbourhood((), 0.0)
    corners = [Corner(alike[place], weight) for place, weight in weights.items()]
    return Neighbourhood(corners, hidden.doubt + batch.doubt)


def _sides(alike: Mapping[At, Spot], here: At) -> tuple[Side | None, Side | None]:
    """Return what lies about a place on both axes; on a line of the grid, along that line."""
    H, B = here
    batches = [b for h, b in alike if h == H]
    if not batches:
        hidden = [h for h, b in alike if b == B]
        batches = [B] if hidden else [b for _, b in alike]
        return _side(hidden or [h for h, _ in alike], H), _side(batches, B)
    return Side(H, H, 0.0), _side(batches, B)


def _side(values: Iterable[int], value: int) -> Side | None:
    ordered = sorted(set(values))
    if value in ordered:
        return Side(value, value, 0.0)
    below, above = ([v for v in ordered if v < value], [v for v in ordered if v > value])
    if not below or not above:
        return None
    low, high = below[-1], above[0]
    return Side(low, high, math.log(value / low) / math.log(high / low))


def _shape(work: Workload) -> tuple[object, ...]:
    """Return what workloads of one grid have in common: all but hidden size and batch."""
    first, *hidden, last = work.sizes
    return first, tuple(size / hidden[0] for size in hidden), last, work.rule, work.dtype


def _at(work: Workload) -> At:
    return work.sizes[1], work.batch
