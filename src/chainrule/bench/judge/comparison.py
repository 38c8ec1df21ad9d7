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
    """One contestant in one cell, before and after: median seconds per step, and their ratio."""

    place: Place
    before: float
    after: float
    ratio: Interval  # the time after divided by the time before
    verdict: Verdict
    is_paired: bool


class Mean(NamedTuple):
    """The geometric mean of a contestant's ratios over the cells."""

    contestant: str
    ratio: Interval
    verdict: Verdict
    cells: int


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
    means: Sequence[Mean]
    notes: Sequence[str]

    @property
    def slower(self) -> list[Compared]:
        """The rows with the verdict "slower", bare products left out."""
        slower = [row for row in self.rows if row.verdict == "slower"]
        return [row for row in slower if roster.entry(row.place.contestant).group != roster.PRODUCTS]


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
    left = {*old.places, *new.places} - {row.place for row in rows}
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


def _rows(pairs: Iterable[Pair]) -> list[Compared]:
    """Return a row for each subject that has times before and after."""
    rows = []
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
        rows.append(Compared(place, was, now, ratio, verdict(ratio), bool(rounds)))
    return rows


def _comparison(rows: list[Compared], notes: list[str]) -> Comparison:
    names = roster.ordered(row.place.contestant for row in rows)
    rows = sorted(rows, key=lambda row: (row.place.cell, names.index(row.place.contestant)))
    means = []
    for name in dict.fromkeys(row.place.contestant for row in rows):
        ratios = [row.ratio for row in rows if row.place.contestant == name]
        mean = geometric_mean(ratios)
        means.append(Mean(name, mean, verdict(mean), len(ratios)))
    first = [] if all(row.is_paired for row in rows) else [NOT_PAIRED]
    return Comparison(rows, means, [*first, *notes])
