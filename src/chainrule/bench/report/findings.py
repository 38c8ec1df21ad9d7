"""Findings: who is ahead in each cell, and by how much; every form of the report reads them."""

from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from typing import NamedTuple

from chainrule.backends.speed_map.interval import Interval
from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.judge.results import FLAGS, Figures, Place, Results
from chainrule.bench.judge.statistics import BAND, typical, verdict
from chainrule.bench.report.slices import Slice, slices

# Why a cell has no figure, as one letter of a map.
LETTERS = {"skipped": "s", "interrupted": "i", "wrong": "w", "failed": "f", "invalid": "!", "": "·"}
_OPPOSITE = {"slower": "faster", "faster": "slower"}


class Match(NamedTuple):
    """The fastest of two sides in one cell; ``ratio`` is the right side's time over the left's.

    ``standing`` says whether the left side is "faster", "slower", the "same" or "undecided". It is empty
    where a side has no figure; then ``lacking`` and ``reason`` say why.
    """

    cell: Cell
    left: Figures | None
    right: Figures | None
    ratio: Interval | None = None
    standing: str = ""
    lacking: str = ""
    reason: str = ""


class Lead(NamedTuple):
    """The fastest backend of a cell, and the others that are not shown to be slower."""

    first: Figures
    rivals: tuple[str, ...]

    @property
    def name(self) -> str:
        """The fastest backend."""
        return self.first.place.contestant


class Findings:
    """What follows from the results of a run, each thing computed once.

    Parameters
    ----------
    results
        The results of a run.

    Attributes
    ----------
    figures, ratio
        The functions of the results of these names, with a memory.
    """

    def __init__(self, results: Results) -> None:
        self.results = results
        self.figures = cache(results.figures)
        self.ratio = cache(results.ratio)
        self._places: dict[tuple[Cell, str], list[Place]] = {}
        for place in results.places:
            if is_known(place.contestant):
                self._places.setdefault((place.cell, place.operation), []).append(place)

    @cached_property
    def slices(self) -> list[Slice]:
        """The grids of cells that were measured."""
        return slices(self._places)

    @cached_property
    def band(self) -> float:
        """How far a ratio may be from 1 to count as the same."""
        return float(self.results.records.plan.get("band", BAND))

    @cached_property
    def contestants(self) -> list[str]:
        """The contestants that took part, in the roster's order."""
        return [name for name in self.results.contestants if is_known(name)]

    @cached_property
    def backends(self) -> list[str]:
        """The backends of chainrule that took part."""
        return self._of_group(roster.BACKEND)

    @cached_property
    def peers(self) -> list[str]:
        """The other libraries that took part."""
        return self._of_group(roster.PEER)

    @cached_property
    def products(self) -> list[str]:
        """The contestants that compute the bare matrix products alone."""
        return self._of_group(roster.PRODUCTS)

    def _of_group(self, group: str) -> list[str]:
        return [name for name in self.contestants if roster.entry(name).group == group]

    @cached_property
    def rows(self) -> list[Figures]:
        """Every figure, by cell."""
        order = {cell: number for number, cell in enumerate(self.results.cells)}
        places = [place for group in self._places.values() for place in group]
        return [self.figures(p) for p in sorted(places, key=lambda p: (order[p.cell], p.operation))]

    def interval(self, place: Place) -> tuple[float, float]:
        """Return the 95 % interval of the median seconds a step, within the measured range."""
        samples = [m.per_step for m in self.results.measurements(place) if m.status == "ok"]
        times = [time for rounds in samples for time in rounds]
        median = typical(samples)
        return max(median.low, min(times)), min(median.high, max(times))

    def standing(self, ratio: Interval | None) -> str:
        """Return the verdict on the contestant below the fraction bar: "faster" for a ratio above 1."""
        if ratio is None:
            return ""
        word = verdict(ratio, self.band)
        return _OPPOSITE.get(word, word)

    def of(self, cell: Cell, names: Sequence[str], operation: str = "step") -> list[Figures]:
        """Return the figures of these contestants in a cell, for all their numbers of threads."""
        places = self._places.get((cell, operation), [])
        return [self.figures(place) for place in places if place.contestant in names]

    def best(self, cell: Cell, names: Sequence[str], operation: str = "step") -> Figures | None:
        """Return the fastest valid figures of these contestants in a cell."""
        valid = [f for f in self.of(cell, names, operation) if f.is_valid]
        return min(valid, key=lambda f: f.step or 0.0, default=None)

    def bests(
        self, cells: Iterable[Cell], names: Sequence[str], operation: str = "step"
    ) -> list[Figures]:
        """Return the fastest figures of these contestants in each cell that has any."""
        return [best for cell in cells if (best := self.best(cell, names, operation))]

    def ranked(self, cells: Sequence[Cell], names: Sequence[str], operation: str = "step") -> list[str]:
        """Return contestants by their time over the fastest, in the mean of cells; a missing one counts as 10."""
        fastest = {f.place.cell: f.step or 1.0 for f in self.bests(cells, names, operation)}

        def slowness(name: str) -> float:
            times = {f.place.cell: f.step or 0.0 for f in self.bests(cells, [name], operation)}
            return sum(times[cell] / fastest[cell] if cell in times else 10.0 for cell in fastest)

        return sorted(names, key=slowness)

    def match(
        self, cell: Cell, left: Sequence[str], right: Sequence[str], operation: str = "step"
    ) -> Match:
        """Return how the fastest on the left compares with the fastest on the right."""
        ours, theirs = self.best(cell, left, operation), self.best(cell, right, operation)
        if ours is None or theirs is None:
            missing = left if ours is None else right
            return Match(cell, ours, theirs, None, "", *self._lacking(cell, missing, operation))
        ratio = self.ratio(theirs.place, ours.place)
        if ratio is None:
            return Match(cell, ours, theirs, reason="not measured in the same rounds")
        return Match(cell, ours, theirs, ratio, self.standing(ratio))

    def _lacking(self, cell: Cell, names: Sequence[str], operation: str) -> tuple[str, str]:
        """Return why a cell has no figure of any of these: a status and a sentence."""
        known = self.of(cell, names, operation)
        if any("invalid" in f.flags for f in known):
            return "invalid", FLAGS["invalid"]
        return next(((f.status, f.reason) for f in known if f.reason), ("", "not measured"))

    def lead(self, cell: Cell, operation: str = "step") -> Lead | None:
        """Return the fastest backend of a cell and the backends that may be as fast."""
        first = self.best(cell, self.backends, operation)
        if first is None:
            return None
        others = [f for f in self.of(cell, self.backends, operation) if f.is_valid]
        rivals = {
            f.place.contestant
            for f in others
            if self.standing(self.ratio(f.place, first.place)) in {"same", "undecided"}
        } - {first.place.contestant}
        return Lead(first, tuple(name for name in self.backends if name in rivals))

    def leads(self, one: Slice) -> dict[Cell, Lead]:
        """Return the lead of each cell of a grid that has one."""
        return {cell: lead for cell in one.cells if (lead := self.lead(cell, one.operation))}


def is_known(contestant: str) -> bool:
    """Return whether the roster knows a contestant: a later version may have written others."""
    return contestant in roster.ROSTER or ":" in contestant
