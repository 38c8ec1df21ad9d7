"""Results: what follows from the measurements of a run; nothing is measured here."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from statistics import median
from typing import Any

from chainrule.backends.speed_map.interval import Interval
from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.judge.figures import FLAGS, IMPOSSIBLE, Figures, Match, Place
from chainrule.bench.judge.slices import Slice, slices
from chainrule.bench.judge.statistics import Pairs, Samples, paired, typical, verdict
from chainrule.bench.store import Measurement, Rates, Records

CLOSE = {"same", "undecided"}  # verdicts that leave open which of two is faster
_WORDS = {
    "busy": "other programs computed during",
    "stolen": "other guests of the machine took its time during",
    "throttled": "its clock was lowered during",
}


class Results:
    """What follows from some records, each thing computed once.

    Parameters
    ----------
    records
        As they were read. Of what was measured twice, the newest counts; contestants that the roster does
        not know, from a later version, are left out.

    Attributes
    ----------
    figures, ratio
        The functions ``_figures`` and ``_ratio`` with a memory.
    """

    def __init__(self, records: Records) -> None:
        self.records = records
        self.figures = cache(self._figures)
        self.ratio = cache(self._ratio)
        self._held: dict[Place, dict[tuple[str, int], Measurement]] = defaultdict(dict)
        self._in_cell: dict[tuple[Cell, str], list[Place]] = defaultdict(list)
        for one in filter(lambda one: roster.is_known(one.contestant), records.measurements):
            place = Place(one.cell, one.contestant, one.operation, one.threads)
            self._held[place][one.run, one.process] = one
        for place in self._held:
            self._in_cell[place.cell, place.operation].append(place)

    # -- What was measured ------------------------------------------------------------------------------

    @property
    def places(self) -> list[Place]:
        """Everything that was measured, or says why it was not, in the order of the records."""
        return list(self._held)

    @cached_property
    def cells(self) -> list[Cell]:
        """The cells, by network, then hidden size, then batch."""
        cells = {place.cell for place in self._held}
        return sorted(cells, key=lambda c: (c.sizes[0], c.sizes, c.batch, c))

    @cached_property
    def slices(self) -> list[Slice]:
        """The grids of cells."""
        return slices(self._in_cell)

    @cached_property
    def contestants(self) -> list[str]:
        """The contestants, in the roster's order."""
        known = {place.contestant for place in self._held}
        return [*(name for name in roster.ROSTER if name in known), *sorted(known - set(roster.ROSTER))]

    @cached_property
    def backends(self) -> list[str]:
        """The backends of chainrule."""
        return self._of_group(roster.BACKEND)

    @cached_property
    def peers(self) -> list[str]:
        """The other libraries."""
        return self._of_group(roster.PEER)

    @cached_property
    def products(self) -> list[str]:
        """The contestants that compute the bare matrix products alone."""
        return self._of_group(roster.PRODUCTS)

    def _of_group(self, group: str) -> list[str]:
        return [name for name in self.contestants if roster.entry(name).group == group]

    @property
    def environments(self) -> list[dict[str, Any]]:
        """The machines and versions of the processes."""
        return list(self.records.environments.values())

    def measurements(self, place: Place) -> list[Measurement]:
        """Return the measurements of a place, one for each process."""
        return list(self._held.get(place, {}).values())

    def samples(self, place: Place) -> Samples:
        """Return the seconds a step of each round, for each process that was timed."""
        return [one.per_step for one in self.measurements(place) if one.is_timed]

    def busy(self) -> str | None:
        """Return a sentence that says how the machine was disturbed; ``None`` if it was not.

        Examples
        --------
        >>> from chainrule.bench.cells import parse
        >>> one = Measurement("run", 0, parse("2-4-1,4"), "step", "numpy", flags=("busy",))
        >>> Results(Records(measurements=[one])).busy()
        'The machine was busy: other programs computed during 1 of 1 measured cells; ratios are still valid, ...
        """
        cells = {
            (one.run, one.process, one.cell, one.operation): one.flags
            for one in self.records.measurements
        }
        counts = Counter(flag for flags in cells.values() for flag in flags)
        parts = [f"{words} {counts[flag]}" for flag, words in _WORDS.items() if counts[flag]]
        if not parts:
            return None
        return (
            f"The machine was busy: {', '.join(parts)} of {len(cells)} measured cells; ratios are still "
            "valid, times and shares of the limit may be off."
        )

    # -- The machine's limit ----------------------------------------------------------------------------

    def product_rate(self, place: Place) -> float | None:
        """Return the machine's best rate of matrix products, in FLOP/s."""
        return max((one.products for one in self._rates(place)), default=None)

    def copy_rate(self, place: Place) -> float | None:
        """Return the machine's best rate of copies at the size of the cell's working set, in bytes a second."""
        rates = (one.copy_rate(place.cell.working_set) for one in self._rates(place))
        return max((rate for rate in rates if rate is not None), default=None)

    def limit(self, place: Place) -> float | None:
        """Return the least seconds that the machine needs for a step.

        ``None`` where the machine's rates were not measured, and for the copy of a batch.
        """
        products, copies = self.product_rate(place), self.copy_rate(place)
        if products is None or place.operation == "transfer":
            return None
        return max(place.flops / products, place.least_bytes / copies if copies else 0.0)

    def _rates(self, place: Place) -> list[Rates]:
        """Return the rates of all libraries on the device of a contestant, with its dtype and threads."""
        device = roster.entry(place.contestant).device
        return [
            one
            for one in self.records.rates
            if (one.dtype, one.threads) == (place.cell.dtype, place.threads)
            and roster.device_of(one.library) == device
        ]

    # -- One contestant ---------------------------------------------------------------------------------

    @cached_property
    def rows(self) -> list[Figures]:
        """All figures, by cell."""
        order = {cell: number for number, cell in enumerate(self.cells)}
        places = [place for group in self._in_cell.values() for place in group]
        return [self.figures(p) for p in sorted(places, key=lambda p: (order[p.cell], p.operation))]

    def interval(self, place: Place) -> tuple[float, float]:
        """Return the 95 % interval of the median seconds a step, within the measured range."""
        samples = self.samples(place)
        times = [time for rounds in samples for time in rounds]
        middle = typical(samples)
        return max(middle.low, min(times)), min(middle.high, max(times))

    def _figures(self, place: Place) -> Figures:
        """Return the figures of a contestant in a cell."""
        held = self.measurements(place)
        timed = [one for one in held if one.is_timed]
        if not timed:
            last = held[-1] if held else None
            reason = last.reason if last else "not measured"
            return Figures(place, last.status if last else "skipped", reason)
        times = [time for one in timed for time in one.per_step]
        step, limit, bare = median(times), self.limit(place), self._bare(place)
        flags = {flag for one in timed for flag in one.flags}
        if limit is not None and step < limit:
            flags.add("invalid" if step < IMPOSSIBLE * limit else "above limit")
        return Figures(
            place,
            "ok",
            step=step,
            least=min(times),
            limit=limit,
            bare=bare,
            first_call=median([one.first_call for one in timed if one.first_call is not None] or [0.0]),
            flags=tuple(sorted(flags)),
        )

    def _bare(self, place: Place) -> float | None:
        """Return the seconds of the bare products, taken in the same rounds."""
        operation = "forward" if place.operation == "forward" else "step"
        products = place._replace(contestant=roster.products_of(place.contestant), operation=operation)
        times = [time for rounds in self.samples(products) for time in rounds]
        return median(times) if times else None

    # -- Contestants compared ---------------------------------------------------------------------------

    def _ratio(self, over: Place, under: Place) -> Interval | None:
        """Return how many times as long ``over`` takes as ``under``; ``None`` without common rounds."""
        pairs = side_by_side(self.measurements(over), self.measurements(under))
        return paired(pairs) if pairs else None

    def of(self, cell: Cell, names: Sequence[str], operation: str = "step") -> list[Figures]:
        """Return the figures of these contestants in a cell, for all their numbers of threads."""
        places = self._in_cell.get((cell, operation), [])
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
            known = self.of(cell, left if ours is None else right, operation)
            if any("invalid" in f.flags for f in known):
                return Match(ours, theirs, "invalid", reason=FLAGS["invalid"])
            reasons = ((f.status, f.reason) for f in known if f.reason)
            status, reason = next(reasons, ("not measured", "not measured"))
            return Match(ours, theirs, status, reason=reason)
        ratio = self.ratio(theirs.place, ours.place)
        if ratio is None:
            return Match(ours, theirs, "not measured", reason="not measured in the same rounds")
        return Match(ours, theirs, verdict(ratio.inverse()), ratio)

    def leads(self, one: Slice) -> dict[Cell, list[str]]:
        """Return by cell the fastest backend and, after it, those that may be as fast."""
        leads = {}
        for best in self.bests(one.cells, self.backends, one.operation):
            others = [
                f
                for f in self.of(best.place.cell, self.backends, one.operation)
                if f.is_valid and f.place.contestant != best.place.contestant
            ]
            ratios = {f.place.contestant: self.ratio(f.place, best.place) for f in others}
            close = [name for name, ratio in ratios.items() if ratio and verdict(ratio) in CLOSE]
            leads[best.place.cell] = [best.place.contestant, *close]
        return leads


def side_by_side(over: Iterable[Measurement], under: Iterable[Measurement]) -> Pairs:
    """Return, for each process, the seconds a step of both in the rounds that both took part in."""
    others = {(one.run, one.process): one for one in under if one.status == "ok"}
    pairs = []
    for one in over:
        other = others.get((one.run, one.process))
        if one.status != "ok" or other is None:
            continue
        theirs = dict(zip(other.rounds, other.per_step, strict=True))
        both = [(t, theirs[n]) for n, t in zip(one.rounds, one.per_step, strict=True) if n in theirs]
        pairs += [both] if both else []
    return pairs
