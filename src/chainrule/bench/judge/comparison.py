"""Comparison: two runs, or two contestants of one, cell by cell, with a verdict each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from chainrule.backends.speed_map.interval import Interval
from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.judge.machines import SOFTWARE, check_same_machine, differences
from chainrule.bench.judge.results import Place, Results, side_by_side
from chainrule.bench.judge.statistics import (
    BAND,
    Verdict,
    geometric_mean,
    paired,
    unpaired,
    verdict,
)
from chainrule.bench.store import Measurement, Records

NOT_PAIRED = "not measured side by side: the machine's drift is not cancelled"


class Compared(NamedTuple):
    """One contestant in one cell, before and after: median seconds a step, and their ratio."""

    place: Place
    before: float
    after: float
    ratio: Interval  # how many times as long it takes after as before
    verdict: Verdict
    is_paired: bool


class Mean(NamedTuple):
    """The geometric mean of a contestant's ratios, over so many cells."""

    contestant: str
    ratio: Interval
    verdict: Verdict
    cells: int


@dataclass(frozen=True)
class Comparison:
    """What two runs say of each other.

    Attributes
    ----------
    rows
        Cell by cell, in the order of the cells.
    means
        A geometric mean for each contestant.
    notes
        Sentences that belong beside the rows: what is not paired, what differs, what has no counterpart.
    """

    rows: Sequence[Compared]
    means: Sequence[Mean]
    notes: Sequence[str] = field(default=())

    @property
    def slower(self) -> list[Compared]:
        """The rows with the verdict "slower", bare products left out."""
        return [row for row in self.rows if row.verdict == "slower" and not _is_bare(row.place)]


def compare(before: Records, after: Records, *, force: bool = False, band: float = BAND) -> Comparison:
    """Return how many times as long each contestant takes in ``after`` as in ``before``.

    What both measured in the same rounds of the same run is compared in pairs; else the medians are, and a
    note says so.

    Parameters
    ----------
    force
        Compare runs of different machines, too; a note says what differs.
    band
        Ratios within this of 1 are the same.

    Raises
    ------
    DifferentMachinesError
        If the runs are of different machines.
    ValueError
        If they hold the same measurements, or none of the same contestant in the same cell.
    """
    if not force:
        check_same_machine(before, after)
    ours, theirs = Results(before), Results(after)
    common = [place for place in theirs.places if place in set(ours.places)]
    rows = [
        row
        for place in common
        if (row := _row(place, ours.measurements(place), theirs.measurements(place), band))
    ]
    if not rows:
        msg = "the runs have no contestant in a common cell with the same threads; measure the same in both"
        raise ValueError(msg)
    apart = [f"different machines: {one}" for one in differences(before, after)]
    changed = [f"changed: {one}" for one in differences(before, after, SOFTWARE)]
    return _comparison(rows, [*apart, *changed, *_alone(ours, theirs, rows)], band)


def compare_contestants(records: Records, before: str, after: str, *, band: float = BAND) -> Comparison:
    """Return how many times as long one contestant takes as another of the same run, in pairs.

    Raises
    ------
    ValueError
        If a contestant is not known, or they have no cell in common.
    """
    roster.entry(before), roster.entry(after)
    held = Results(records)
    rows = []
    for place in held.places:
        other = place._replace(contestant=before)
        if place.contestant == after and other in held.places:
            row = _row(place, held.measurements(other), held.measurements(place), band)
            rows += [row] if row else []
    if not rows:
        msg = f"{before!r} and {after!r} have no cell in common; measure both in one run"
        raise ValueError(msg)
    return _comparison(rows, [], band)


def _row(
    place: Place, before: Sequence[Measurement], after: Sequence[Measurement], band: float
) -> Compared | None:
    """Return a row; ``None`` where either has no figure."""
    old, new = ([one for one in held if one.status == "ok" and one.seconds] for held in (before, after))
    if not old or not new:
        return None
    if any(one in old for one in new):
        msg = "both runs hold the same measurements; give another run, or two contestants of this one"
        raise ValueError(msg)
    pairs = side_by_side(new, old)
    samples = [[one.per_step for one in held] for held in (new, old)]
    ratio = paired(pairs) if pairs else unpaired(*samples)
    seconds = [float(median([s for one in held for s in one])) for held in samples]
    return Compared(place, seconds[1], seconds[0], ratio, verdict(ratio, band), bool(pairs))


def _comparison(rows: list[Compared], notes: list[str], band: float) -> Comparison:
    rows = sorted(rows, key=_order)
    means = []
    for name in dict.fromkeys(row.place.contestant for row in rows):
        ratios = [row.ratio for row in rows if row.place.contestant == name]
        mean = geometric_mean(ratios)
        means.append(Mean(name, mean, verdict(mean, band), len(ratios)))
    first = [] if all(row.is_paired for row in rows) else [NOT_PAIRED]
    return Comparison(rows, means, [*first, *notes])


def _alone(ours: Results, theirs: Results, rows: list[Compared]) -> list[str]:
    """Return a note of what only one of the runs has a figure for."""
    known = {row.place for row in rows}
    left = {place for held in (ours, theirs) for place in held.places} - known
    names = sorted({f"{place.contestant} in {place.cell.name}" for place in left})
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return [f"in one run only: {', '.join(names[:4])}{more}"] if names else []


def _order(row: Compared) -> tuple[Cell, int, str]:
    """Return where a row stands: by cell, then as in the roster; anybody else's own after those."""
    names, name = list(roster.ROSTER), row.place.contestant
    return row.place.cell, names.index(name) if name in names else len(names), name


def _is_bare(place: Place) -> bool:
    return roster.entry(place.contestant).group == roster.PRODUCTS
