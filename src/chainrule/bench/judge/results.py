"""Results: what follows from the measurements of a run; nothing is measured here.

``library efficiency = floor / step``: how much of a step is its bare matrix products.
``shape efficiency = floor's rate / peak rate``: how good these shapes are for products at all.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any, NamedTuple

from chainrule.backends.speed_map.interval import Interval
from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.judge.statistics import Pairs, paired
from chainrule.bench.store import Ceilings, Measurement, Records

ABOVE_PEAK = 1.05  # a rate this many times the measured peak is an error of the measurement
LAUNCH_BOUND = 0.9  # the share of a step that passes in asking for it


class Place(NamedTuple):
    """Who, doing what, in which cell."""

    cell: Cell
    contestant: str
    operation: str = "step"
    threads: int = 0


@dataclass(frozen=True)
class Figures:
    """What there is to say of one contestant in one cell; times in seconds a step.

    A figure that is not known is ``None``. Where a step is shorter than its floor (blocks of rows that
    stay in the cache) all of it counts as products.
    """

    place: Place
    status: str
    reason: str = ""
    step: float | None = None  # the median
    least: float | None = None
    flops: int = 0
    floor: float | None = None
    library_efficiency: float | None = None
    shape_efficiency: float | None = None
    products: float | None = None
    elementwise: float | None = None
    dispatch: float | None = None
    enqueued_share: float | None = None
    first_call: float | None = None
    processes: int = 0
    flags: tuple[str, ...] = ()

    @property
    def samples_per_second(self) -> float | None:
        """Rows of X a second."""
        return self.place.cell.batch / self.step if self.step else None

    @property
    def rate(self) -> float | None:
        """The products' FLOP/s over the whole step."""
        return self.flops / self.step if self.step else None

    @property
    def is_valid(self) -> bool:
        """Whether there is a figure, and not one above what the machine can do."""
        return self.step is not None and "invalid" not in self.flags


class Results:
    """The figures of some records.

    Parameters
    ----------
    records
        As they were read; of what was measured again, the newest counts.
    """

    def __init__(self, records: Records) -> None:
        self.records = records
        self._held: dict[Place, dict[tuple[str, int], Measurement]] = defaultdict(dict)
        for one in records.measurements:
            place = Place(one.cell, one.contestant, one.operation, one.threads)
            self._held[place][one.run, one.process] = one

    @property
    def places(self) -> list[Place]:
        """Everything that something is known of, in the order in which it came."""
        return list(self._held)

    @cached_property
    def cells(self) -> list[Cell]:
        """The cells, by network, then hidden size, then batch."""
        return sorted(
            {place.cell for place in self._held}, key=lambda c: (c.sizes[0], c.sizes, c.batch, c)
        )

    @cached_property
    def contestants(self) -> list[str]:
        """Who took part, in the roster's order."""
        known = {place.contestant for place in self._held}
        return [*(name for name in roster.ROSTER if name in known), *sorted(known - set(roster.ROSTER))]

    @property
    def environments(self) -> list[dict[str, Any]]:
        """What was measured on."""
        return list(self.records.environments.values())

    def measurements(self, place: Place) -> list[Measurement]:
        """Return what was measured of it, a process each."""
        return list(self._held.get(place, {}).values())

    def ceilings(self, library: str, dtype: str = "float32", threads: int = 0) -> Ceilings | None:
        """Return the best that the machine did with a library; ``None`` where it was not measured."""
        wanted = (library, dtype, threads)
        found = [c for c in self.records.ceilings if (c.library, c.dtype, c.threads) == wanted]
        if not found:
            return None
        return Ceilings(
            *(found[0].run, 0, library, dtype, threads),
            peak=max(c.peak for c in found),
            bandwidth=max(c.bandwidth for c in found),
            empty_call=median(c.empty_call for c in found),
        )

    def time(self, place: Place) -> float | None:
        """Return the median seconds of a step."""
        samples = [s for one in self.measurements(place) if one.status == "ok" for s in one.per_step]
        return median(samples) if samples else None

    def pairs(self, over: Place, under: Place) -> Pairs:
        """Return, for each process, the seconds a step of both in the rounds that both took part in."""
        return side_by_side(self.measurements(over), self.measurements(under))

    def ratio(self, over: Place, under: Place) -> Interval | None:
        """Return how many times as long ``over`` takes as ``under``, with its interval."""
        pairs = self.pairs(over, under)
        return paired(pairs) if pairs else None

    def best(self, cell: Cell, names: list[str], operation: str = "step") -> Figures | None:
        """Return the fastest of these contestants in a cell, at its best number of threads."""
        places = [
            p
            for p in self._held
            if p.cell == cell and p.contestant in names and p.operation == operation
        ]
        valid = [f for f in map(self.figures, places) if f.is_valid]
        return min(valid, key=lambda f: f.step or 0.0, default=None)

    def figures(self, place: Place) -> Figures:
        """Return what there is to say of a contestant in a cell."""
        held = self.measurements(place)
        ok = [one for one in held if one.status == "ok" and one.seconds]
        if not ok:
            last = held[-1] if held else None
            reason = last.reason if last else "not measured"
            return Figures(place, last.status if last else "skipped", reason)
        samples = [s for one in ok for s in one.per_step]
        step = median(samples)
        flops = place.cell.forward_flops if place.operation == "forward" else place.cell.flops
        floor = self._floor(place)
        library = roster.entry(place.contestant).library
        ceilings = self.ceilings(library, place.cell.dtype, place.threads)
        calls = next((one.calls for one in ok if one.calls is not None), None)
        products = min(floor, step) if floor else None
        dispatch = _dispatch(step, products, calls, ceilings)
        return Figures(
            place,
            "ok",
            step=step,
            least=min(samples),
            flops=flops,
            floor=floor,
            library_efficiency=floor / step if floor else None,
            shape_efficiency=flops / floor / ceilings.peak if floor and ceilings else None,
            products=products,
            elementwise=None if dispatch is None or products is None else step - products - dispatch,
            dispatch=dispatch,
            enqueued_share=median(
                e / s for one in ok for e, s in zip(one.enqueued, one.seconds, strict=True)
            ),
            first_call=median([one.first_call for one in ok if one.first_call is not None] or [0.0]),
            processes=len(ok),
            flags=_flags(ok, flops / step, ceilings),
        )

    def _floor(self, place: Place) -> float | None:
        """Return the seconds of the bare products, taken in the same rounds."""
        name = roster.floor_of(place.contestant)
        if name is None:
            return None
        operation = "forward" if place.operation == "forward" else "step"
        return self.time(Place(place.cell, name, operation, place.threads))


def side_by_side(over: Iterable[Measurement], under: Iterable[Measurement]) -> Pairs:
    """Return, for each process, the seconds a step of both in the rounds that both took part in."""
    others = {(one.run, one.process): one for one in under if one.status == "ok"}
    found = []
    for one in over:
        other = others.get((one.run, one.process))
        if one.status != "ok" or other is None:
            continue
        theirs = dict(zip(other.rounds, other.per_step, strict=True))
        both = [(t, theirs[n]) for n, t in zip(one.rounds, one.per_step, strict=True) if n in theirs]
        found += [both] if both else []
    return found


def _dispatch(
    step: float, products: float | None, calls: int | None, ceilings: Ceilings | None
) -> float | None:
    """Return the seconds of a step that its calls take before anything is computed: an estimate."""
    if products is None or calls is None or ceilings is None:
        return None
    return min(calls * ceilings.empty_call, step - products)


def _flags(held: list[Measurement], rate: float, ceilings: Ceilings | None) -> tuple[str, ...]:
    flags = {flag for one in held for flag in one.flags}
    if ceilings is not None and rate > ABOVE_PEAK * ceilings.peak:
        flags.add("invalid")
    return tuple(sorted(flags))
