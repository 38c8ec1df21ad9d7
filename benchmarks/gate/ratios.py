"""How many times as long a step takes as its bare matrix products, at one thread, measured now."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chainrule.backends.speed_map.spots import Interval
from chainrule.bench import roster
from chainrule.bench.cells import parse
from chainrule.bench.judge.results import Place, Results
from chainrule.bench.measure.campaign import Care, Seat, crew
from chainrule.bench.measure.limits import PROCESSOR
from chainrule.bench.store import Records

SETS = 3  # of processes, since one process can be slower than the next
# In processor time: in wall time, on two cores with four other programs, the contestant with the longer turn
# was interrupted more often, and the ratio of NumPy's step read twice its value.
CARE = Care(rounds=12, warm=0.03, block=0.005, budget=2.0, clock=PROCESSOR)
THREADS = 1


class Pair(NamedTuple):
    """A contestant in a cell, and the one it is divided by: unless named, the products of its library."""

    cell: str
    contestant: str
    products: str = ""

    @property
    def places(self) -> tuple[Place, Place]:
        """Where the results of the two stand."""
        names = (self.contestant, self.products or roster.products_of(self.contestant))
        first, second = (Place(parse(self.cell), name, "step", THREADS) for name in names)
        return first, second


def measured(
    pairs: Sequence[Pair], sets: int = SETS, care: Care = CARE
) -> Mapping[Pair, Interval | str]:
    """Return the ratio of each pair; where there is none, the reason."""
    records = Records()
    for number in range(sets):
        with crew("now", number, "float32", care) as one:
            for cell in dict.fromkeys(pair.cell for pair in pairs):
                places = [place for pair in pairs if pair.cell == cell for place in pair.places]
                seats = [Seat(name, THREADS) for name in dict.fromkeys(p.contestant for p in places)]
                for line in one.measure(parse(cell), "step", seats):
                    records.add(line)
    results = Results(records)
    return {pair: _ratio(results, pair) for pair in pairs}


def _ratio(results: Results, pair: Pair) -> Interval | str:
    reasons = (results.figures(place).reason for place in pair.places)
    return results.ratio(*pair.places) or next(filter(None, reasons), "it was not timed")
