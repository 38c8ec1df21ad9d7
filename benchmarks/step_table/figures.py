"""The statistics of the table: medians over rounds, ratios within a round, geometric means.

A ratio is taken between two processes of the same round, minutes apart at most, and the median over the
rounds is reported: what slows the whole machine for a while cancels.
"""

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, NamedTuple

Record = dict[str, Any]


class Best(NamedTuple):
    """The peer that comes nearest, and how many times as long as ours it takes."""

    peer: str
    ratio: float


class Figures:
    """The times of some records, by cell and contestant.

    Parameters
    ----------
    records
        As they were written; in each cell those of its newest run count.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self.records = newest(records)
        self._times: dict[tuple[str, str], dict[int, float]] = {}
        for record in self.records:
            if record["status"] == "ok":
                place = record["cell"], record["contestant"]
                self._times.setdefault(place, {})[record["round"]] = record["median_us"]

    @property
    def cells(self) -> list[str]:
        """The cells that something is known of, in the order in which they came."""
        return list(dict.fromkeys(record["cell"] for record in self.records))

    @property
    def rounds(self) -> int:
        """The fewest rounds that anything was measured in."""
        return min(map(len, self._times.values()), default=0)

    def time(self, cell: str, contestant: str) -> float | None:
        """Return the median over the rounds, in µs a step."""
        found = self._times.get((cell, contestant))
        return None if found is None else median(found.values())

    def ratio(self, cell: str, over: str, under: str) -> float | None:
        """Return how many times as long ``over`` takes as ``under``: the median of the rounds' ratios."""
        a, b = self._times.get((cell, over), {}), self._times.get((cell, under), {})
        shared = [a[number] / b[number] for number in a if number in b]
        return median(shared) if shared else None

    def best(self, cell: str, peers: Sequence[str], ours: str) -> Best | None:
        """Return the fastest of the peers against ours."""
        known = [(self.ratio(cell, peer, ours), peer) for peer in peers]
        found = [Best(peer, ratio) for ratio, peer in known if ratio is not None]
        return min(found, key=lambda best: best.ratio, default=None)

    def spreads(self) -> list[float]:
        """Return, of each cell and contestant, the range over its rounds as a share of the median."""
        rounds = [list(times.values()) for times in self._times.values() if len(times) > 1]
        return [(max(times) - min(times)) / median(times) for times in rounds]

    def said(self, status: str) -> list[str]:
        """Return why contestants have no figure, each reason once."""
        lines = [
            f"{record['contestant']}"
            + ("" if status == "skipped" else f" in {record['cell']}")
            + f": {record['reason']}"
            for record in self.records
            if record["status"] == status
        ]
        return list(dict.fromkeys(lines))


def newest(records: Iterable[Record]) -> list[Record]:
    """Return the records that are of the newest run of their cell."""
    given = list(records)
    last = {record["cell"]: record["run"] for record in sorted(given, key=lambda r: r["run"])}
    return [record for record in given if record["run"] == last[record["cell"]]]


def geometric_mean(ratios: Iterable[float]) -> float:
    """Return the mean of ratios, in which twice as fast and half as fast cancel.

    Examples
    --------
    >>> geometric_mean([0.5, 2.0])
    1.0
    """
    logs = [math.log(ratio) for ratio in ratios]
    return math.exp(math.fsum(logs) / len(logs))
