"""Results: what follows from the measurements of a run; nothing is measured here."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any, Literal, NamedTuple

from chainrule.backends.speed_map.interval import Interval
from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.judge.statistics import Pairs, paired
from chainrule.bench.store import Measurement, Rates, Records

LAUNCH_BOUND = 0.9  # the share of a step that passes in asking for it
IMPOSSIBLE = 0.5  # a step that takes less than this share of its limit was not measured correctly

# Why a figure is doubtful: each flag in words, for every form of the report.
FLAGS = {
    "busy": "other programs used more than a tenth of the processors' time",
    "stolen": "other guests of the machine used more than a twentieth of the processors' time",
    "throttled": "the clock of a processor or of the GPU was lowered because it was hot",
    "above limit": "faster than the machine's limit: the machine did less than its best when its rates were "
    "measured, probably because it was busy",
    "invalid": "less than half of the machine's limit: an error of the measurement, such as a device that "
    "nobody waited for",
}
_WORDS = {
    "busy": "other programs computed during",
    "stolen": "other guests of the machine took its time during",
    "throttled": "its clock was lowered during",
}


class Limit(NamedTuple):
    """The least time that the machine needs for a step, and what it needs it for.

    The larger of ``FLOPs / rate of products`` and ``least bytes / rate of copies at the size of the working
    set``. The rates are the best that any library reached on this machine, with the same dtype and threads;
    the bytes are those of :meth:`~chainrule.bench.cells.Cell.least_bytes`.
    """

    seconds: float
    reason: Literal["products", "copy"]


class Place(NamedTuple):
    """Who, doing what, in which cell."""

    cell: Cell
    contestant: str
    operation: str = "step"
    threads: int = 0


@dataclass(frozen=True)
class Figures:
    """What is known of one contestant in one cell; times in seconds a step, ``None`` where not known.

    Attributes
    ----------
    step, least
        The median and the shortest step.
    limit, share
        What the machine needs at least, and the limit's share of the step, at most 1. A step that beats its
        limit carries the flag "above limit", or "invalid" if it takes less than half of it.
    bare
        The bare matrix products, with the same library, in the same rounds.
    products, elementwise, dispatch
        Where the time goes: the bare products, as far as they fit into the step; the calls of a step times
        an empty call, an estimate; the rest.
    flags
        Keys of :data:`FLAGS`.
    """

    place: Place
    status: str
    reason: str = ""
    step: float | None = None
    least: float | None = None
    flops: int = 0
    limit: Limit | None = None
    share: float | None = None
    bare: float | None = None
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
        """Whether there is a figure, and one that the machine is able to reach."""
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

    def rates(self, library: str, dtype: str = "float32", threads: int = 0) -> Rates | None:
        """Return the best that the machine did with a library; ``None`` where it was not measured."""
        wanted = library, dtype, threads
        rates = [r for r in self.records.rates if (r.library, r.dtype, r.threads) == wanted]
        return max(rates, key=lambda r: r.products, default=None)

    def product_rate(self, place: Place) -> float | None:
        """Return the machine's best rate of matrix products, in FLOP/s."""
        return max((one.products for one in self._rates(place)), default=None)

    def copy_rate(self, place: Place) -> float | None:
        """Return the machine's best rate of copies at the size of the cell's working set, in bytes a second."""
        rates = (one.copy_rate(place.cell.working_set) for one in self._rates(place))
        return max((rate for rate in rates if rate is not None), default=None)

    def limit(self, place: Place) -> Limit | None:
        """Return the least time that the machine needs for a step.

        ``None`` where the machine's rates were not measured, and for the copy of a batch.
        """
        products, copies = self.product_rate(place), self.copy_rate(place)
        if products is None or place.operation == "transfer":
            return None
        limits = [Limit(_flops(place) / products, "products")]
        if copies is not None:
            operation = "forward" if place.operation == "forward" else "step"
            limits.append(Limit(place.cell.least_bytes(operation) / copies, "copy"))
        return max(limits)

    def _rates(self, place: Place) -> list[Rates]:
        """Return what any library did on the device of a contestant, with its dtype and threads."""
        device = roster.entry(place.contestant).device
        return [
            one
            for one in self.records.rates
            if (one.dtype, one.threads) == (place.cell.dtype, place.threads)
            and roster.device_of(one.library) == device
        ]

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
        step, limit = median(samples), self.limit(place)
        bare = self._bare(place)
        products = min(bare, step) if bare else None
        dispatch = self._dispatch(place, step, products)
        flags = {flag for one in ok for flag in one.flags}
        if limit is not None and step < limit.seconds:
            flags.add("invalid" if step < IMPOSSIBLE * limit.seconds else "above limit")
        return Figures(
            place,
            "ok",
            step=step,
            least=min(samples),
            flops=_flops(place),
            limit=limit,
            share=min(1.0, limit.seconds / step) if limit else None,
            bare=bare,
            products=products,
            elementwise=None if dispatch is None or products is None else step - products - dispatch,
            dispatch=dispatch,
            enqueued_share=median(
                e / s for one in ok for e, s in zip(one.enqueued, one.seconds, strict=True)
            ),
            first_call=median([one.first_call for one in ok if one.first_call is not None] or [0.0]),
            processes=len(ok),
            flags=tuple(sorted(flags)),
        )

    def calls(self, place: Place) -> int | None:
        """Return the calls of a step into its library, where they are known."""
        return next((one.calls for one in self.measurements(place) if one.calls is not None), None)

    def _bare(self, place: Place) -> float | None:
        """Return the seconds of the bare products, taken in the same rounds."""
        operation = "forward" if place.operation == "forward" else "step"
        name = roster.products_of(place.contestant)
        return self.time(Place(place.cell, name, operation, place.threads))

    def _dispatch(self, place: Place, step: float, products: float | None) -> float | None:
        """Return the seconds of a step that its calls take before anything is computed: an estimate."""
        library = roster.entry(place.contestant).library
        calls, rates = self.calls(place), self.rates(library, place.cell.dtype, place.threads)
        if products is None or calls is None or rates is None:
            return None
        return min(calls * rates.empty_call, step - products)


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


def _flops(place: Place) -> int:
    return place.cell.forward_flops if place.operation == "forward" else place.cell.flops
