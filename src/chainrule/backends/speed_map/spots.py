"""Spots: the measured times of one workload on each backend; a map is many spots."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chainrule.backends.speed_map.interval import Interval
from chainrule.backends.speed_map.workload import Workload


class Time(NamedTuple):
    """The time of a step on one backend.

    Attributes
    ----------
    contestant
        How it was run: "numpy-jit" is the backend "numpy" with the extra ``jit``.
    seconds
        Of a step.
    """

    contestant: str
    seconds: Interval


class Spot(NamedTuple):
    """A workload, its time on each backend, and the ratios of backends measured side by side."""

    workload: Workload
    times: Mapping[str, Time]  # by backend
    ratios: Mapping[tuple[str, str], Interval]  # (a, b): the time of a divided by the time of b

    def ratio(self, over: str, under: str) -> Interval | None:
        """Return the time of one divided by the time of the other; ``None`` where no pair was measured."""
        if (over, under) in self.ratios:
            return self.ratios[over, under]
        turned = self.ratios.get((under, over))
        return turned.inverse() if turned else None


class SpeedMap(NamedTuple):
    """Everything measured on one machine with one set of versions."""

    spots: Sequence[Spot] = ()

    def with_spots(self, spots: Sequence[Spot]) -> "SpeedMap":
        """Return the map with these spots added, in place of older ones of the same workload.

        A backend that was not measured again keeps its time.
        """
        merged = {spot.workload: spot for spot in self.spots}
        for spot in spots:
            old = merged.get(spot.workload, Spot(spot.workload, {}, {}))
            times = {**old.times, **spot.times}
            ratios = {pair: ratio for pair, ratio in old.ratios.items() if not {*pair} & {*spot.times}}
            merged[spot.workload] = Spot(spot.workload, times, {**ratios, **spot.ratios})
        return SpeedMap(list(merged.values()))
