"""The choice: the fastest backend for a workload, and whether the map decides it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from chainrule.backends.speed_map.estimate import Estimate, OutsideMapError, between, corners, estimates
from chainrule.backends.speed_map.interval import Interval, three_digits
from chainrule.backends.speed_map.spots import SpeedMap
from chainrule.backends.speed_map.workload import Workload


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
        """Whether the first is faster than the second, or there is no second."""
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
