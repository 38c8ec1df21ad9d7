"""Findings: who is ahead in each cell, and by how much; what every form of the report says."""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from chainrule.backends.speed_map.interval import Interval
from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.judge.results import Figures, Place, Results
from chainrule.bench.judge.statistics import BAND, typical, verdict
from chainrule.bench.report.slices import Slice, slices

# Why there is no figure, as one letter of a map.
LETTERS = {"skipped": "s", "interrupted": "i", "wrong": "w", "failed": "f", "invalid": "!", "": "·"}


class Match(NamedTuple):
    """Two sides in one cell, the fastest of each; ``ratio`` is the right's time over the left's.

    ``standing``: whether the left one is "faster", "slower", the "same", or that is "undecided"; empty
    where one of them is missing, and then ``lacking`` and ``reason`` say why.
    """

    cell: Cell
    left: Figures | None
    right: Figures | None
    ratio: Interval | None = None
    standing: str = ""
    lacking: str = ""
    reason: str = ""


class Lead(NamedTuple):
    """The fastest contestant of a cell; its name, and those of whoever is not shown to be slower."""

    first: Figures
    beside: tuple[str, ...]


def is_known(contestant: str) -> bool:
    """Return whether there is anything to say of a contestant: a later roster may have others."""
    return contestant in roster.ROSTER or ":" in contestant


class Findings:
    """What follows from results, each thing computed once.

    Parameters
    ----------
    results
        The figures of a run.
    """

    def __init__(self, results: Results) -> None:
        self.results = results
        self._figures: dict[Place, Figures] = {}
        self._ratios: dict[tuple[Place, Place], Interval | None] = {}
        self._intervals: dict[Place, tuple[float, float]] = {}
        self._places: dict[tuple[Cell, str], list[Place]] = {}
        for place in results.places:
            if is_known(place.contestant):
                self._places.setdefault((place.cell, place.operation), []).append(place)

    @cached_property
    def slices(self) -> list[Slice]:
        """The grids that were measured."""
        return slices(self._places)

    @cached_property
    def band(self) -> float:
        """How far a ratio may be from 1 to count as the same."""
        return float(self.results.records.plan.get("band", BAND))

    @cached_property
    def backends(self) -> list[str]:
        """Our backends that took part, in the roster's order."""
        return self._known(roster.BACKEND)

    @cached_property
    def peers(self) -> list[str]:
        """The others that took part."""
        return self._known(roster.PEER)

    def _known(self, group: str) -> list[str]:
        known = filter(is_known, self.results.contestants)
        return [name for name in known if roster.entry(name).group == group]

    @property
    def rows(self) -> list[Figures]:
        """Every figure there is, by cell."""
        order = {cell: number for number, cell in enumerate(self.results.cells)}
        places = [place for held in self._places.values() for place in held]
        return [
            self.figures(place) for place in sorted(places, key=lambda p: (order[p.cell], p.operation))
        ]

    def figures(self, place: Place) -> Figures:
        """Return what there is to say of a contestant in a cell."""
        if place not in self._figures:
            self._figures[place] = self.results.figures(place)
        return self._figures[place]

    def ratio(self, over: Place, under: Place) -> Interval | None:
        """Return how many times as long ``over`` takes as ``under``, with its interval."""
        if (over, under) not in self._ratios:
            self._ratios[over, under] = self.results.ratio(over, under)
        return self._ratios[over, under]

    def interval(self, place: Place) -> tuple[float, float]:
        """Return the interval of the median seconds a step, within what was seen."""
        if place not in self._intervals:
            held = [one.per_step for one in self.results.measurements(place) if one.status == "ok"]
            times = [time for rounds in held for time in rounds]
            median = typical(held)
            self._intervals[place] = max(median.low, min(times)), min(median.high, max(times))
        return self._intervals[place]

    def calls(self, place: Place) -> int | None:
        """Return the calls of a step into its library, where they are known."""
        held = self.results.measurements(place)
        return next((one.calls for one in held if one.calls is not None), None)

    def standing(self, ratio: Interval | None) -> str:
        """Return how the one that a ratio divides by stands: "faster" where the ratio is above 1."""
        if ratio is None:
            return ""
        said = verdict(ratio, self.band)
        return {"slower": "faster", "faster": "slower"}.get(said, said)

    def of(self, cell: Cell, names: Sequence[str], operation: str) -> list[Figures]:
        """Return the figures of these contestants in a cell, at all their numbers of threads."""
        places = self._places.get((cell, operation), [])
        return [self.figures(place) for place in places if place.contestant in names]

    def best(self, cell: Cell, names: Sequence[str], operation: str = "step") -> Figures | None:
        """Return the fastest valid one of these contestants in a cell."""
        valid = [one for one in self.of(cell, names, operation) if one.is_valid]
        return min(valid, key=lambda one: one.step or 0.0, default=None)

    def match(self, cell: Cell, left: Sequence[str], right: Sequence[str], operation: str) -> Match:
        """Return how the fastest on the left stands against the fastest on the right."""
        ours, theirs = self.best(cell, left, operation), self.best(cell, right, operation)
        if ours is None or theirs is None:
            missing = left if ours is None else right
            return Match(cell, ours, theirs, None, "", *self._lacking(cell, missing, operation))
        ratio = self.ratio(theirs.place, ours.place)
        if ratio is None:
            return Match(cell, ours, theirs, None, "", "", "not measured in the same rounds")
        return Match(cell, ours, theirs, ratio, self.standing(ratio))

    def _lacking(self, cell: Cell, names: Sequence[str], operation: str) -> tuple[str, str]:
        """Return why a cell has no figure of any of these: a word, and a sentence."""
        known = self.of(cell, names, operation)
        if any("invalid" in one.flags for one in known):
            return "invalid", "its rate was above the measured peak"
        told = next((one for one in known if one.reason), None)
        return (told.status, told.reason) if told else ("", "not measured")

    def lead(self, cell: Cell, operation: str = "step") -> Lead | None:
        """Return which of our backends is the fastest in a cell, and who may be as fast."""
        first = self.best(cell, self.backends, operation)
        if first is None:
            return None
        beside = {first.place.contestant}
        for other in self.of(cell, self.backends, operation):
            if other.is_valid and self.standing(self.ratio(other.place, first.place)) in {
                "same",
                "undecided",
            }:
                beside.add(other.place.contestant)
        beside.discard(first.place.contestant)
        return Lead(first, (first.place.contestant, *(name for name in self.backends if name in beside)))
