"""The choice: the fastest backend for a workload, and whether the map decides it.

The time on each backend is known where the workload was measured, or lies between two that were.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from chainrule.backends.speed_map.spots import Interval, SpeedMap, Spot, Workload, three_digits
from chainrule.mathematics.naming import require


class OutsideMapError(LookupError):
    """A workload that was not measured and does not lie between two measured ones."""


class Estimate(NamedTuple):
    """The time of a step on a backend: "measured", or "interpolated" between two measured spots."""

    backend: str
    contestant: str
    seconds: Interval
    how: str

    @property
    def label(self) -> str:
        """The backend, with how it was measured: "numpy (numpy-jit)"."""
        return f"{self.backend} ({self.contestant})" if self.contestant != self.backend else self.backend


class Choice(NamedTuple):
    """The backends that were measured for a workload.

    Attributes
    ----------
    work
        The workload.
    estimates
        The fastest first.
    ratio
        The time of the second divided by the time of the first, if there is a second. If its interval
        contains 1, it is undecided which of the two is faster.
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
        """The backend to use: the first. If it is undecided and NumPy is one of the two, NumPy."""
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
            lead = f"{self.ratio.estimate:.2f} times as fast as {second.label}"
            return f"{text}, {lead} (95 % interval {self.ratio.ends()})"
        why = "too few rounds were taken to tell"
        if self.ratio.is_bounded:
            why = f"the second takes {self.ratio.ends()} times as long as the first (95 % interval)"
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
        Whether the backend of this name may be chosen.

    Returns
    -------
    Choice
        All usable backends that were measured there, the fastest first.

    Raises
    ------
    OutsideMapError
        If the map has no usable backend for the workload.
    """
    near = _neighbours(known, work)
    names = [name for name in near[0][0].times if usable(name) and all(name in s.times for s, _ in near)]
    require(names, f"no measured backend can be used for {work.name} here", OutsideMapError)
    how = "measured" if len(near) == 1 else "interpolated"
    rows = []
    for name in names:
        seconds = _between(near, [spot.times[name].seconds for spot, _ in near])
        rows.append(Estimate(name, near[0][0].times[name].contestant, seconds, how))
    rows.sort(key=lambda row: row.seconds.estimate)
    if len(rows) == 1:
        return Choice(work, rows)
    first, second, *others = rows
    ratio = _between(near, [spot.ratio(second.backend, first.backend) for spot, _ in near])
    if ratio.estimate < 1.0:  # paired rounds are more exact than separate medians
        return Choice(work, [second, first, *others], ratio.inverse())
    return Choice(work, rows, ratio)


def _neighbours(known: SpeedMap, work: Workload) -> list[tuple[Spot, float]]:
    """Return the spot of a workload, or the two between which it lies, each with its weight on a log scale.

    The two have its hidden size, or its batch size, and its shape otherwise.
    """
    H, B = _place(work)
    places = {_place(s.workload): s for s in known.spots if _shape(s.workload) == _shape(work)}
    line = {b: spot for (h, b), spot in places.items() if h == H}
    column = {h: spot for (h, b), spot in places.items() if b == B}
    for spots, value in ((line, B), (column, H)):
        if value in spots:
            return [(spots[value], 1.0)]
        below, above = [v for v in spots if v < value], [v for v in spots if v > value]
        if below and above:
            low, high = max(below), min(above)
            share = math.log(value / low) / math.log(high / low)
            return [(spots[low], 1.0 - share), (spots[high], share)]
    msg = f"{work.name} in {work.dtype} lies outside the measured range"
    raise OutsideMapError(msg)


def _between(near: Sequence[tuple[Spot, float]], intervals: Sequence[Interval]) -> Interval:
    """Return an interval interpolated between two spots: log-linear in the hidden or batch size.

    It covers both, so it holds wherever the value rises or falls from one to the other, however it bends.
    """
    logs = [weight * interval.logs[0] for (_, weight), interval in zip(near, intervals, strict=True)]
    low, high = min(i.low for i in intervals), max(i.high for i in intervals)
    return Interval(math.exp(sum(logs)), low, high) if len(near) > 1 else intervals[0]


def _shape(work: Workload) -> tuple[object, ...]:
    """Return the network without its hidden size and batch size."""
    first, *hidden, last = work.sizes
    return first, tuple(size / hidden[0] for size in hidden), last, work.rule, work.dtype


def _place(work: Workload) -> tuple[int, int]:
    """Return the hidden size and the batch size."""
    return work.sizes[1], work.batch


def _takes(row: Estimate) -> str:
    known = "measured" if row.how == "measured" else "between measured spots"
    return f"{row.label} takes {three_digits(1e6 * row.seconds.estimate)} us a step ({known})"
