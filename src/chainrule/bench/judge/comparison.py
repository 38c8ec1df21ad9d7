"""Comparison of two runs, or of two contestants of one run, cell by cell, with a verdict for each."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

from chainrule.backends.speed_map.spots import Interval
from chainrule.bench import roster
from chainrule.bench.judge.machines import SOFTWARE, differences
from chainrule.bench.judge.results import Place, Results, side_by_side
from chainrule.bench.judge.statistics import Verdict, geometric_mean, paired, typical, verdict
from chainrule.bench.store import Measurement, Records
from chainrule.mathematics.naming import require

NOT_PAIRED = "not measured side by side: the machine's drift is not cancelled"
MOST_NAMED = 4  # a note names at most this many measurements that only one run has


class Compared(NamedTuple):
    """One contestant before and after, in one cell or in the mean over its cells.

    Attributes
    ----------
    cell
        The name of the cell, or "mean of 3".
    contestant
        The contestant.
    ratio
        The time after divided by the time before; of several cells, the geometric mean.
    before, after
        Median seconds per step; ``None`` for a mean.
    is_paired
        Whether the two were measured in the same rounds.
    """

    cell: str
    contestant: str
    ratio: Interval
    before: float | None = None
    after: float | None = None
    is_paired: bool = True

    @property
    def verdict(self) -> Verdict:
        """The verdict on the time after."""
        return verdict(self.ratio)


class Comparison(NamedTuple):
    """Two runs compared.

    Attributes
    ----------
    rows
        One for each contestant in each cell, in the order of the cells.
    means
        One for each contestant.
    notes
        Sentences about the rows: which are not paired, what differs, what only one run has.
    """

    rows: Sequence[Compared]
    means: Sequence[Compared]
    notes: Sequence[str]

    @property
    def slower(self) -> list[Compared]:
        """The rows with the verdict "slower", bare products left out."""
        slower = [row for row in self.rows if row.verdict == "slower"]
        return [row for row in slower if roster.entry(row.contestant).group != roster.PRODUCTS]


# The subject of a measurement, and its measurements before and after.
Pair = tuple[Place, Sequence[Measurement], Sequence[Measurement]]


def compare(before: Records, after: Records, *, force: bool = False) -> Comparison:
    """Return the time of each contestant in ``after`` divided by its time in ``before``.

    Times of the same rounds of the same run are compared in pairs; otherwise the medians are compared, and a note says so.

    Parameters
    ----------
    force
        Compare runs of different machines, too; a note lists the differences.

    Raises
    ------
    ValueError
        If the runs are of different machines, hold the same measurements, or none of the same contestant in
        the same cell.
    """
    others = differences(before, after)
    problem = (
        f"the runs are of different machines ({'; '.join(others)}); "
        "measure both on one machine, or compare them all the same with --force"
    )
    require(force or not others, problem)
    old, new = Results(before), Results(after)
    rows = _rows((place, old.timed(place), new.timed(place)) for place in new.places)
    problem = (
        "the runs have no contestant in a common cell with the same threads; measure the same in both"
    )
    require(rows, problem)
    notes = [f"different machines: {one}" for one in others]
    notes += [f"changed: {one}" for one in differences(before, after, SOFTWARE)]
    left = {*old.places, *new.places} - rows.keys()
    names = sorted({f"{place.contestant} in {place.cell.name}" for place in left})
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    notes += [f"in one run only: {', '.join(names[:MOST_NAMED])}{more}"] if names else []
    return _comparison(rows, notes)


def compare_contestants(records: Records, before: str, after: str) -> Comparison:
    """Return the time of one contestant divided by the time of another of the same run, in pairs.

    Raises
    ------
    ValueError
        If a contestant is not known, or they have no cell in common.
    """
    roster.entry(before), roster.entry(after)
    run = Results(records)
    places = [place for place in run.places if place.contestant == after]
    others = [place._replace(contestant=before) for place in places]
    rows = _rows(zip(places, map(run.timed, others), map(run.timed, places), strict=True))
    require(rows, f"{before!r} and {after!r} have no cell in common; measure both in one run")
    return _comparison(rows, [])


def _rows(pairs: Iterable[Pair]) -> dict[Place, Compared]:
    """Return a row for each subject that has times before and after."""
    rows = {}
    for place, old, new in pairs:
        if not old or not new:
            continue
        problem = (
            "both runs hold the same measurements; give another run, or two contestants of this one"
        )
        require(not any(one in old for one in new), problem)
        before, after = ([one.per_step for one in some] for some in (old, new))
        rounds = side_by_side(new, old)
        ratio = paired(rounds) if rounds else typical(after).over(typical(before))
        was, now = (median(time for times in samples for time in times) for samples in (before, after))
        rows[place] = Compared(place.cell.name, place.contestant, ratio, was, now, bool(rounds))
    return rows


def _comparison(rows: dict[Place, Compared], notes: list[str]) -> Comparison:
    names = roster.ordered(place.contestant for place in rows)
    places = sorted(rows, key=lambda place: (place.cell, names.index(place.contestant)))
    means = []
    for name in names:
        ratios = [row.ratio for row in rows.values() if row.contestant == name]
        means.append(Compared(f"mean of {len(ratios)}", name, geometric_mean(ratios)))
    first = [] if all(row.is_paired for row in rows.values()) else [NOT_PAIRED]
    return Comparison([rows[place] for place in places], means, [*first, *notes])
