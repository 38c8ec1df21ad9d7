"""Ratios: how many times as long one contestant computes as another, at one thread, measured now."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chainrule.bench.cells import parse
from chainrule.bench.judge.results import Place, Results
from chainrule.bench.judge.statistics import Ratio
from chainrule.bench.measure.clock import PROCESSOR
from chainrule.bench.measure.crew import Care, Seat, crew
from chainrule.bench.store import Records

SETS = 3  # of processes: what one process costs more than the next does not pass for a difference
# By the processor's clock: by the wall's, on two cores with four programs beside it, whoever had the longer turn
# was interrupted more often, and NumPy's step read twice as many floors as it takes.
CARE = Care(rounds=12, warm=0.03, block=0.005, budget=2.0, clock=PROCESSOR)
THREADS = 1


class Pair(NamedTuple):
    """Two contestants in a cell, by name."""

    cell: str
    over: str
    under: str


def measured(pairs: Sequence[Pair], sets: int = SETS, care: Care = CARE) -> Mapping[Pair, Ratio | str]:
    """Return how many times as long ``over`` takes as ``under``; or why that is not known."""
    records = Records()
    for number in range(sets):
        with crew("now", number, "float32", care) as one:
            for cell in dict.fromkeys(pair.cell for pair in pairs):
                names = [name for pair in pairs if pair.cell == cell for name in pair[1:]]
                seats = [Seat(name, THREADS) for name in dict.fromkeys(names)]
                for line in one.measure(parse(cell), "step", seats):
                    records.add(line)
    results = Results(records)
    return {pair: _ratio(results, pair) for pair in pairs}


def _ratio(results: Results, pair: Pair) -> Ratio | str:
    cell, *names = pair
    over, under = (Place(parse(cell), name, "step", THREADS) for name in names)
    found = results.ratio(over, under)
    if found is not None:
        return found
    reasons = (results.figures(place).reason for place in (over, under))
    return next(filter(None, reasons), "it was not timed")
