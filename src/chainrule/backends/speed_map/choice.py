"""The choice: the fastest backend for a workload, and whether the map decides it.

The time on each backend is known where the workload was measured, or lies between measured ones.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from chainrule.backends.speed_map.spots import Interval, SpeedMap, Spot, Workload, three_digits


class OutsideMapError(LookupError):
    """A workload that was not measured and does not lie between measured ones."""


class Corner(NamedTuple):
    """A measured spot next to a workload, and its weight; the weights of all corners add up to 1."""

    spot: Spot
    weight: float


class Estimate(NamedTuple):
    """The time of a step on a backend: "measured", or "interpolated" between measured spots."""

    backend: str
    contestant: str
    seconds: Interval
    how: str

    @property
    def label(self) -> str:
        """The backend, with how it was measured: "numpy (numpy-jit)"."""
        return f"{self.backend} ({self.contestant})" if self.contestant != self.backend else self.backend


def estimates(corners: Sequence[Corner]) -> list[Estimate]:
    """Return the time on each backend that was measured at every corner, the fastest first."""
    rows = []
    for name, time in corners[0].spot.times.items():
        if all(name in corner.spot.times for corner in corners):
            seconds = between(corners, [corner.spot.times[name].seconds for corner in corners])
            how = "measured" if len(corners) == 1 else "interpolated"
            rows.append(Estimate(name, time.contestant, seconds, how))
    return sorted(rows, key=lambda row: row.seconds.estimate)


def between(corners: Sequence[Corner], intervals: Sequence[Interval]) -> Interval:
    """Return the value between the corners' intervals.

    The estimate is log-linear in hidden size and batch. The interval reaches over those of all corners, so
    that it holds wherever the value rises or falls from corner to corner, however it bends on the way.
    """
    logs = [
        corner.weight * interval.logs[0] for corner, interval in zip(corners, intervals, strict=True)
    ]
    low, high = min(i.low for i in intervals), max(i.high for i in intervals)
    return Interval(math.exp(sum(logs)), low, high) if len(corners) > 1 else intervals[0]


def corners(known: SpeedMap, work: Workload) -> list[Corner]:
    """Return the measured spots between which a workload lies: of its shape, by hidden size and batch.

    One spot where it was measured itself; else two with the same hidden size or the same batch, or four.

    Raises
    ------
    OutsideMapError
        If there are none.
    """
    alike = {
        _place(spot.workload): spot for spot in known.spots if _shape(spot.workload) == _shape(work)
    }
    H, B = _place(work)
    column, row = [b for h, b in alike if h == H], [h for h, b in alike if b == B]
    ways = (
        ({H: 1.0}, _ends(column, B)),
        (_ends(row, H), {B: 1.0}),
        (_ends({h for h, _ in alike}, H), _ends({b for _, b in alike}, B)),
    )
    for across, along in ways:
        weights = {(h, b): u * v for h, u in across.items() for b, v in along.items()}
        if weights and all(place in alike for place in weights):
            return [Corner(alike[place], weight) for place, weight in weights.items()]
    msg = f"{work.name} in {work.dtype} lies outside of what was measured"
    raise OutsideMapError(msg)


def _ends(values: Collection[int], value: int) -> Mapping[int, float]:
    """Return the values on both sides of one with their weights on a log scale; nothing outside of them."""
    if value in values:
        return {value: 1.0}
    below, above = [v for v in values if v < value], [v for v in values if v > value]
    if not below or not above:
        return {}
    low, high = max(below), min(above)
    share = math.log(value / low) / math.log(high / low)
    return {low: 1.0 - share, high: share}


def _shape(work: Workload) -> tuple[object, ...]:
    """Return the network without its hidden size and batch size."""
    first, *hidden, last = work.sizes
    return first, tuple(size / hidden[0] for size in hidden), last, work.rule, work.dtype


def _place(work: Workload) -> tuple[int, int]:
    """Return the hidden size and the batch."""
    return work.sizes[1], work.batch


class Choice(NamedTuple):
    """The backends that were measured for a workload.

    Attributes
    ----------
    work
        The workload.
    estimates
        The fastest first.
    ratio
        The time of the second divided by the time of the first, where there is a second. Where its
        interval reaches down to 1, it is undecided which of the two is faster.
    """

    work: Workload
    estimates: Sequence[Estimate]
    ratio: Interval | None = None

    @property
    def is_decided(self) -> bool:
        """Whether the first is reliably faster than the second, or is the only one."""
        return self.ratio is None or self.ratio.low > 1.0

    @property
    def backend(self) -> str:
        """The backend to use: the first; where it is undecided NumPy, if that is one of the two."""
        names = [row.backend for row in self.estimates[:2]]
        return "numpy" if "numpy" in names and not self.is_decided else names[0]

    @property
    def sentence(self) -> str:
        """The choice in one sentence."""
        first, *others = self.estimates
        text = f"{self.work.name}: {_takes(first)}"
        if self.ratio is None:
            return f"{text}, the only backend measured"
        second = others[0]
        if self.is_decided:
            return (
                f"{text}, {self.ratio.estimate:.2f} times as fast as {second.label} "
                f"(95 % interval {span(self.ratio)})"
            )
        why = "too few rounds were taken to tell"
        if self.ratio.is_bounded:
            why = f"the second takes {span(self.ratio)} times as long as the first (95 % interval)"
        return f"{text}, {_takes(second)}: undecided, for {why}; use {self.backend}"


def choose(known: SpeedMap, work: Workload, usable: Callable[[str], bool] = lambda _: True) -> Choice:
    """Return the fastest backend by a map.

    Parameters
    ----------
    known
        The map.
    work
        The workload.
    usable
        Whether a backend may be chosen.

    Raises
    ------
    OutsideMapError
        If the map has no such backend there.
    """
    near = corners(known, work)
    rows = [row for row in estimates(near) if usable(row.backend)]
    if not rows:
        msg = f"no backend that was measured can be used for {work.name} here"
        raise OutsideMapError(msg)
    if len(rows) == 1:
        return Choice(work, rows)
    first, second, *others = rows
    pairs = [corner.spot.ratio(second.backend, first.backend) for corner in near]
    measured = [pair for pair in pairs if pair is not None]
    if len(measured) < len(near):
        return Choice(work, rows, second.seconds.over(first.seconds))
    ratio = between(near, measured)
    if ratio.estimate < 1.0:  # rounds taken side by side know better than the medians of each alone
        return Choice(work, [second, first, *others], ratio.inverse())
    return Choice(work, rows, ratio)


def _takes(row: Estimate) -> str:
    known = "measured" if row.how == "measured" else "between measured spots"
    return f"{row.label} takes {three_digits(1e6 * row.seconds.estimate)} us a step ({known})"


def span(interval: Interval) -> str:
    """Return an interval as text.

    Examples
    --------
    >>> span(Interval(1.0, 0.5, 2.0))
    '0.50 to 2.00'
    >>> span(Interval(1.0, 0.0, float("inf")))
    'too few rounds'
    """
    return f"{interval.low:.2f} to {interval.high:.2f}" if interval.is_bounded else "too few rounds"
