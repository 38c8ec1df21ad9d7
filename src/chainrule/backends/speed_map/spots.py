"""Spots: what was measured of one workload, on each backend; a map is many of them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chainrule.backends.speed_map.interval import Interval
from chainrule.backends.speed_map.workload import Workload


class Parts(NamedTuple):
    """Where the time of a step goes, in seconds: products, passes over arrays, calls before any of it."""

    products: float
    elementwise: float
    dispatch: float


class Time(NamedTuple):
    """What one backend takes for a step.

    ``contestant`` says how it was run ("numpy-jit" is the backend "numpy"); ``calls`` a step, where Python
    makes them one by one; ``copy`` is what bringing a batch to it takes, where that was measured.
    """

    contestant: str
    seconds: Interval
    parts: Parts | None = None
    calls: int | None = None
    copy: Interval | None = None


class Spot(NamedTuple):
    """A workload, what each backend takes for it, and the ratios of those measured side by side."""

    workload: Workload
    times: Mapping[str, Time]  # by backend
    ratios: Mapping[tuple[str, str], Interval]  # (a, b): how many times as long a takes as b

    def ratio(self, over: str, under: str) -> Interval | None:
        """Return how many times as long one takes as the other; ``None`` where no pair was measured."""
        if (over, under) in self.ratios:
            return self.ratios[over, under]
        turned = self.ratios.get((under, over))
        return turned.inverse() if turned else None

    def with_copies(self) -> "Spot":
        """Return the spot of steps whose batch is copied first: backends whose copy was measured.

        Copy and step were not measured in one round, so nothing is left of the ratios.
        """
        times = {
            name: time._replace(seconds=time.seconds.plus(time.copy))
            for name, time in self.times.items()
            if time.copy is not None
        }
        return Spot(self.workload, times, {})


class SpeedMap(NamedTuple):
    """Everything measured on one machine with one set of versions."""

    spots: Sequence[Spot] = ()

    def with_spots(self, spots: Sequence[Spot]) -> "SpeedMap":
        """Return the map with these in it, in place of older ones of the same workload.

        A backend or a copy that was not measured again keeps its figure.
        """
        held = {spot.workload: spot for spot in self.spots}
        for spot in spots:
            old = held.get(spot.workload, Spot(spot.workload, {}, {}))
            times = {**old.times, **{n: _kept_copy(t, old.times.get(n)) for n, t in spot.times.items()}}
            ratios = {pair: ratio for pair, ratio in old.ratios.items() if not {*pair} & {*spot.times}}
            held[spot.workload] = Spot(spot.workload, times, {**ratios, **spot.ratios})
        return SpeedMap(list(held.values()))

    def with_copies(self) -> "SpeedMap":
        """Return the map of steps whose batch is copied first."""
        return SpeedMap([spot.with_copies() for spot in self.spots])


def _kept_copy(new: Time, old: Time | None) -> Time:
    return new._replace(copy=old.copy) if new.copy is None and old is not None else new
