"""Choice: the backend that the map speaks for, how surely, and why; or that it is undecided."""

from collections.abc import Callable
from typing import NamedTuple

from chainrule.backends.speed_map.estimate import OutsideMapError, Prediction, predict
from chainrule.backends.speed_map.interval import Interval
from chainrule.backends.speed_map.neighbours import neighbourhood
from chainrule.backends.speed_map.spots import SpeedMap
from chainrule.backends.speed_map.wording import bound, label, reason, span, spent
from chainrule.backends.speed_map.workload import Workload


class Choice(NamedTuple):
    """The fastest backend, and the one that comes next.

    ``ratio``: how many times as long the second takes. Where its interval reaches down to 1, which of the
    two is faster is undecided.
    """

    work: Workload
    first: Prediction
    second: Prediction | None = None
    ratio: Interval | None = None

    @property
    def is_decided(self) -> bool:
        """Whether the first is surely faster than the second, or there is no second."""
        return self.ratio is None or self.ratio.low > 1.0

    @property
    def backend(self) -> str:
        """The backend to use: the first; where it is undecided NumPy, if that is one of the two."""
        names = [one.backend for one in (self.first, self.second) if one is not None]
        return "numpy" if "numpy" in names and not self.is_decided else names[0]

    @property
    def bound(self) -> str:
        """What the time goes into: "launch-bound", "bandwidth-bound", "GEMM-bound"; "" if not known."""
        return bound(self.first)

    @property
    def sentence(self) -> str:
        """The choice in one sentence."""
        said = f"{self.work.name}: {spent(self.first)}"
        if self.second is None or self.ratio is None:
            return "; ".join(filter(None, [f"{said}, the only backend measured", reason(self.first)]))
        if self.is_decided:
            said += (
                f", {self.ratio.estimate:.2f} times as fast as {label(self.second)} "
                f"(95 % interval {span(self.ratio)})"
            )
            return "; ".join(filter(None, [said, reason(self.first)]))
        said += f", {spent(self.second)}: undecided"
        if not self.ratio.is_bounded:
            return f"{said}, for too few rounds were taken to tell"
        return (
            f"{said}, for the second takes {span(self.ratio)} times as long as the first (95 % interval)"
        )


def choose(known: SpeedMap, work: Workload, usable: Callable[[str], bool] = lambda _: True) -> Choice:
    """Return which backend the map speaks for.

    Parameters
    ----------
    known
        The map; :meth:`~chainrule.backends.speed_map.SpeedMap.with_copies` counts the copy of each batch, too.
    work
        What is to be run.
    usable
        Whether a backend may be chosen.

    Raises
    ------
    OutsideMapError
        If the map says nothing of any backend there.
    """
    found = [one for one in predict(known, work).values() if usable(one.backend)]
    if not found:
        msg = f"no backend that was measured can be used for {work.name} here"
        raise OutsideMapError(msg)
    if len(found) == 1:
        return Choice(work, found[0])
    first, second = found[:2]
    ratio = _ratio(known, work, first, second)
    if ratio.estimate < 1.0:  # the pairs know better than the medians of each alone
        return Choice(work, second, first, ratio.inverse())
    return Choice(work, first, second, ratio)


def _ratio(known: SpeedMap, work: Workload, first: Prediction, second: Prediction) -> Interval:
    """Return how many times as long the second takes: by pairs, where it was measured side by side."""
    near = neighbourhood(known, work)
    pairs = [corner.spot.ratio(second.backend, first.backend) for corner in near.corners]
    side_by_side = [pair for pair in pairs if pair is not None]
    if side_by_side and len(side_by_side) == len(pairs):
        return near.mean(side_by_side)
    return second.seconds.over(first.seconds)
