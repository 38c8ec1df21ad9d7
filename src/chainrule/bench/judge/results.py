"""Results: statistics computed from the measurements of a run."""

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from statistics import median
from typing import NamedTuple

from chainrule.backends.speed_map.spots import Interval
from chainrule.bench import roster
from chainrule.bench.cells import PRESETS, Cell, template_of
from chainrule.bench.judge.statistics import Pairs, paired, verdict
from chainrule.bench.store import Measurement, Records

CLOSE = {"same", "undecided"}  # verdicts that leave open which of two is faster

FLAGS: dict[str, str] = tomllib.loads(Path(__file__).with_name("flags.toml").read_text(encoding="utf-8"))
IMPOSSIBLE = 0.5  # share of the limit; a step that takes less was not measured correctly


class Place(NamedTuple):
    """The subject of one measurement: a contestant, an operation and a cell."""

    cell: Cell
    contestant: str
    operation: str = "step"
    threads: int = 0

    @property
    def flops(self) -> int:
        """The floating-point operations of the matrix products."""
        return self.cell.forward_flops if self.operation == "forward" else self.cell.flops

    @property
    def least_bytes(self) -> int:
        """The bytes that any implementation must move."""
        return self.cell.least_bytes(self.operation)


@dataclass(frozen=True)
class Figures:
    """The results of one contestant in one cell; times in seconds per step, ``None`` if unknown.

    Attributes
    ----------
    step
        The median step.
    limit
        The least time that the machine needs: the larger of ``FLOPs / rate of products`` and ``least bytes / rate
        of copies at the size of the working set``. The rates are the best that any library reached on this
        machine, with the same dtype and threads; the bytes are those of
        :meth:`~chainrule.bench.cells.Cell.least_bytes`.
    bare
        The bare matrix products, with the same library, in the same rounds.
    flags
        Keys of :data:`FLAGS`. A step that beats its limit has the flag "above limit", or "invalid" if it
        takes less than half of it.
    """

    place: Place
    status: str
    reason: str = ""
    step: float | None = None
    limit: float | None = None
    bare: float | None = None
    first_call: float | None = None
    flags: tuple[str, ...] = ()

    @property
    def share(self) -> float | None:
        """The limit divided by the time of the step, at most 1."""
        return min(1.0, self.limit / self.step) if self.limit and self.step else None

    @property
    def is_valid(self) -> bool:
        """Whether there is a result, and the machine can reach it."""
        return self.step is not None and "invalid" not in self.flags


class Match(NamedTuple):
    """How the fastest of one side compares with the fastest of another in one cell.

    Attributes
    ----------
    standing
        Whether the first side is "faster", "slower", the "same" or "undecided"; without a ratio, the status
        of a side that was not measured: "skipped", "failed", "invalid", ...
    ratio
        The second side's time divided by the first's.
    """

    standing: str
    ratio: Interval | None = None


@dataclass(frozen=True, eq=False)
class Slice:
    """Cells of a run that differ only in hidden size and batch size.

    In methods that take names of contestants, ``None`` means chainrule's backends.

    Examples
    --------
    >>> from chainrule.bench.cells import parse
    >>> cells = map(parse, ["64-16-10,1", "64-16-10,8", "64-32-10,8"])
    >>> records = Records(measurements=[Measurement("run", 0, cell, "step", "numpy") for cell in cells])
    >>> (one,) = Results(records).slices
    >>> one.title, one.hidden, one.batches, one.is_grid
    ('digits, 64-H-10', [16, 32], [1, 8], True)
    """

    run: "Results"
    template: str
    dtype: str
    operation: str
    by_size: dict[tuple[int, int], Cell]  # the cell of each hidden size and batch

    def figures(self, cell: Cell, names: Sequence[str] | None = None) -> list[Figures]:
        """Return the results of contestants in a cell, for all their numbers of threads."""
        names = self.run.backends if names is None else names
        places = self.run.in_cell[cell, self.operation]
        return [self.run.figures(place) for place in places if place.contestant in names]

    def best(self, cell: Cell, names: Sequence[str] | None = None) -> Figures | None:
        """Return the fastest valid results of contestants in a cell."""
        valid = [f for f in self.figures(cell, names) if f.is_valid]
        return min(valid, key=lambda f: f.step or 0.0, default=None)

    def bests(self, names: Sequence[str] | None = None) -> list[Figures]:
        """Return the fastest results of contestants in each cell that has any."""
        return [best for cell in self.cells if (best := self.best(cell, names))]

    def match(
        self, cell: Cell, left: Sequence[str] | None = None, right: Sequence[str] | None = None
    ) -> Match:
        """Return how the fastest on the left compares with the fastest on the right, by default the other libraries."""
        right = self.run.peers if right is None else right
        ours, theirs = self.best(cell, left), self.best(cell, right)
        if ours is None or theirs is None:
            missing = self.figures(cell, left if ours is None else right)
            if any("invalid" in f.flags for f in missing):
                return Match("invalid")
            return Match(next((f.status for f in missing if f.reason), "not measured"))
        ratio = self.run.ratio(theirs.place, ours.place)
        return Match(verdict(ratio.inverse()), ratio) if ratio else Match("not measured")

    @cached_property
    def leads(self) -> dict[Cell, list[str]]:
        """By cell, the fastest backend and then the backends that may be as fast."""
        leads = {}
        for best in self.bests():
            others = [f.place for f in self.figures(best.place.cell) if f.is_valid]
            ratios = {p.contestant: self.run.ratio(p, best.place) for p in others}
            first = best.place.contestant
            close = [name for name, ratio in ratios.items() if ratio and verdict(ratio) in CLOSE]
            leads[best.place.cell] = list(dict.fromkeys([first, *close]))
        return leads

    @property
    def title(self) -> str:
        """The slice's name in tables and charts."""
        pattern = PRESETS.get(self.template, "").partition(",")[0]
        name = ", ".join(filter(None, (self.template, pattern)))
        more = [] if self.dtype == "float32" else [self.dtype]
        more += [] if self.operation == "step" else [roster.OPERATIONS[self.operation]]
        return "; ".join([name.replace(",adam", ", Adam"), *more])

    @property
    def cells(self) -> list[Cell]:
        """The cells, narrow and small first."""
        return [self.by_size[key] for key in sorted(self.by_size)]

    @property
    def hidden(self) -> list[int]:
        """The hidden sizes."""
        return sorted({H for H, _ in self.by_size})

    @property
    def batches(self) -> list[int]:
        """The batch sizes."""
        return sorted({B for _, B in self.by_size})

    @property
    def is_grid(self) -> bool:
        """Whether the slice has more than one hidden size and more than one batch size."""
        return len(self.hidden) > 1 and len(self.batches) > 1

    @property
    def slug(self) -> str:
        """The slice's name for use in file names."""
        words = [self.template, self.dtype, self.operation]
        kept = [word for word in words if word not in {"float32", "step"}]
        return "-".join(kept).replace(",", "-").lower()


def spread(cells: Sequence[Cell], most: int) -> list[Cell]:
    """Return at most ``most`` cells, evenly spaced by their work, with the smallest and the largest.

    Examples
    --------
    >>> from chainrule.bench.cells import parse
    >>> [cell.hidden for cell in spread([parse(f"64-{H}-10,8") for H in range(1, 40)], 3)]
    [1, 20, 39]
    """
    ordered = sorted(cells, key=lambda cell: (cell.flops, cell))
    if len(ordered) <= most:
        return ordered
    return [ordered[round(place * (len(ordered) - 1) / (most - 1))] for place in range(most)]


class Results:
    """The results of some records, computed on first use.

    Parameters
    ----------
    records
        The records of a run. Where something was measured twice, the newest counts; contestants that are not in the
        roster, from a later version, are left out.

    Attributes
    ----------
    figures, ratio
        ``_figures`` and ``_ratio`` with a cache.
    places
        The subjects of all measurements, in the order of the records.
    cells
        The cells, sorted by the sizes of their layers, then by batch.
    contestants, backends, peers
        The contestants of the run, in the order of the roster: all; chainrule's; other libraries.
    environments
        The machines and versions of the processes.
    """

    def __init__(self, records: Records) -> None:
        self.records = records
        self.figures = cache(self._figures)
        self.ratio = cache(self._ratio)
        self._held: dict[Place, dict[tuple[str, int], Measurement]] = defaultdict(dict)
        self.in_cell: dict[tuple[Cell, str], list[Place]] = defaultdict(list)
        for one in filter(lambda one: roster.is_known(one.contestant), records.measurements):
            place = Place(one.cell, one.contestant, one.operation, one.threads)
            self._held[place][one.run, one.process] = one
        self.places = list(self._held)
        for place in self.places:
            self.in_cell[place.cell, place.operation].append(place)
        self.cells = sorted({place.cell for place in self.places})
        self.contestants = roster.ordered(place.contestant for place in self.places)
        self.backends, self.peers = (
            [name for name in self.contestants if roster.entry(name).group == group]
            for group in (roster.BACKEND, roster.PEER)
        )
        self.environments = list(records.environments.values())

    @cached_property
    def slices(self) -> list[Slice]:
        """The grids of cells, training steps and the largest first."""
        grids: dict[tuple[str, str, str], dict[tuple[int, int], Cell]] = defaultdict(dict)
        for cell, operation in self.in_cell:
            grids[template_of(cell), cell.dtype, operation][cell.hidden, cell.batch] = cell
        every = [Slice(self, *key, cells) for key, cells in grids.items()]
        order = list(roster.OPERATIONS)
        return sorted(every, key=lambda s: (order.index(s.operation), -len(s.by_size), s.template))

    def timed(self, place: Place) -> list[Measurement]:
        """Return the measurements of a subject that have times, one for each process."""
        return [one for one in self._held.get(place, {}).values() if one.is_timed]

    def times(self, place: Place) -> list[float]:
        """Return the seconds per step, for all rounds."""
        return [time for one in self.timed(place) for time in one.per_step]

    def limit(self, place: Place) -> float | None:
        """Return the least seconds that the machine needs for a step.

        ``None`` where the machine's rates were not measured, and for the copy of a batch.
        """
        how = place.cell.dtype, place.threads, roster.entry(place.contestant).device
        rates = [
            r for r in self.records.rates if (r.dtype, r.threads, roster.device_of(r.library)) == how
        ]
        if not rates or place.operation == "transfer":
            return None
        # The best rates of any library; the rate of copies is for the cell's working set.
        products = max(one.products for one in rates)
        copies = max(one.copy_rate(place.cell.working_set) for one in rates)
        return max(place.flops / products, place.least_bytes / copies)

    @cached_property
    def rows(self) -> list[Figures]:
        """All results, by cell."""
        return [self.figures(p) for p in sorted(self.places, key=lambda p: (p.cell, p.operation))]

    def _figures(self, place: Place) -> Figures:
        """Return the results of a contestant in a cell."""
        timed, times = self.timed(place), self.times(place)
        if not times:
            if place not in self._held:
                return Figures(place, "skipped", "not measured")
            *_, last = self._held[place].values()
            return Figures(place, last.status, last.reason)
        step, limit = median(times), self.limit(place)
        products = "forward" if place.operation == "forward" else "step"
        bare = self.times(
            place._replace(contestant=roster.products_of(place.contestant), operation=products)
        )
        flags = {flag for one in timed for flag in one.flags}
        if limit is not None and step < limit:
            flags.add("invalid" if step < IMPOSSIBLE * limit else "above limit")
        return Figures(
            place,
            "ok",
            step=step,
            limit=limit,
            bare=median(bare) if bare else None,
            first_call=median(one.first_call for one in timed),
            flags=tuple(sorted(flags)),
        )

    def _ratio(self, over: Place, under: Place) -> Interval | None:
        """Return how many times as long ``over`` takes as ``under``; ``None`` without common rounds."""
        pairs = side_by_side(self.timed(over), self.timed(under))
        return paired(pairs) if pairs else None


def side_by_side(over: Iterable[Measurement], under: Iterable[Measurement]) -> Pairs:
    """Return, for each process, the seconds per step of both, in the rounds that have both."""
    others = {(m.run, m.process): dict(zip(m.rounds, m.per_step, strict=True)) for m in under}
    pairs = []
    for one in over:
        theirs = others.get((one.run, one.process), {})
        seconds = zip(one.rounds, one.per_step, strict=True)
        pairs.append([(time, theirs[number]) for number, time in seconds if number in theirs])
    return [rounds for rounds in pairs if rounds]
