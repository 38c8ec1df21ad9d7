"""Statistics: ratios of what was measured side by side, and what they allow to say.

A round gives the seconds of A and of B one after the other; whatever slows the machine for longer than
that slows both, and leaves their ratio. The estimate is the median of all rounds' log-ratios.

Where the interval comes from stands in ``chainrule.bench.judge.intervals``.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from chainrule.bench.judge.intervals import Logs, median, student

# For each process, the seconds of A and of B in each round; and those of A alone.
Pairs = Sequence[Sequence[tuple[float, float]]]
Samples = Sequence[Sequence[float]]
Verdict = Literal["faster", "slower", "same", "undecided"]

BAND = 0.03  # ratios within this of 1 make no difference to anybody


class Ratio(NamedTuple):
    """How many times as long A takes as B: the estimate, and its 95 % interval."""

    estimate: float
    low: float
    high: float
    rounds: int

    def inverse(self) -> "Ratio":
        """Return how many times as long B takes as A."""
        return Ratio(1.0 / self.estimate, 1.0 / self.high, _over(self.low), self.rounds)


def paired(pairs: Pairs) -> Ratio:
    """Return the median of the rounds' ratios ``A / B``.

    Raises
    ------
    ValueError
        If there is no round.

    Examples
    --------
    >>> fast, slow = (1.0, 2.0), (1.1, 2.2)
    >>> paired([[fast, slow, fast, slow], [slow, fast, slow, fast]])
    Ratio(estimate=0.5, low=0.5, high=0.5, rounds=8)
    >>> paired([[fast]]).high  # one round says nothing of how far it may be wrong
    inf
    """
    return _ratio(median([np.log([a / b for a, b in rounds]) for rounds in pairs if rounds]))


def typical(samples: Samples) -> Ratio:
    """Return the median seconds (their ratio to one second) of what ran by itself.

    Raises
    ------
    ValueError
        If there is no sample.

    Examples
    --------
    >>> typical([[1.0, 2.0, 4.0], [2.0, 2.0, 2.0]]).estimate
    2.0
    """
    return _ratio(median([np.log(rounds) for rounds in samples if rounds]))


def unpaired(a: Samples, b: Samples) -> Ratio:
    """Return the ratio of the medians of A and B, which were not measured side by side.

    The interval joins the two medians' own (Zou & Donner 2008, doi:10.1002/sim.3095). It knows nothing of
    what changed in the machine from the one to the other.

    Raises
    ------
    ValueError
        If either has no sample.

    Examples
    --------
    >>> unpaired([[2.0, 2.0, 2.0]], [[1.0, 1.0, 1.0]]).estimate
    2.0
    """
    over = median([np.log(rounds) for rounds in a if rounds])
    under = median([np.log(rounds) for rounds in b if rounds])
    down = math.hypot(over.estimate - over.low, under.high - under.estimate)
    up = math.hypot(over.high - over.estimate, under.estimate - under.low)
    middle = over.estimate - under.estimate
    return _ratio(Logs(middle, middle - down, middle + up, min(over.rounds, under.rounds)))


def verdict(ratio: Ratio, band: float = BAND) -> Verdict:
    """Return what may be said of A beside B: by where the whole interval lies.

    Inside the band ``1/(1 + band) .. 1 + band``: "same". Wholly below or above it: "faster", "slower". Else
    "undecided": it reaches across an edge, and more rounds would tell.

    With 3 processes of 15 rounds, A against A reads "same" in at least 95 % of simulated runs while a
    single block varies by up to 1.5 % by itself (what the machine does to both does not count); beyond
    that "undecided" becomes more frequent. "faster" or "slower" comes out in less than 5 % of them, also at
    5 %, and where processes differ by 3 %.

    Examples
    --------
    >>> verdict(Ratio(1.2, 1.15, 1.25, 45)), verdict(Ratio(1.0, 0.99, 1.02, 45))
    ('slower', 'same')
    >>> verdict(Ratio(1.05, 0.98, 1.12, 9))
    'undecided'
    """
    least, most = 1.0 / (1.0 + band), 1.0 + band
    if least <= ratio.low and ratio.high <= most:
        return "same"
    if ratio.high < least:
        return "faster"
    return "slower" if ratio.low > most else "undecided"


def geometric_mean(ratios: Sequence[Ratio]) -> Ratio:
    """Return the geometric mean of cells' ratios; the interval says how much it depends on the cells.

    Student's t over the logarithms: cells that disagree make it wide. One cell keeps its own interval.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> mean = geometric_mean([Ratio(1.0, 0.9, 1.1, 9), Ratio(4.0, 3.9, 4.1, 9)])
    >>> mean.estimate, mean.low < 1.0 < mean.high
    (2.0, True)
    """
    if not ratios:
        msg = "got no ratio to take a mean of; give one for each cell"
        raise ValueError(msg)
    if len(ratios) == 1:
        return ratios[0]
    logs = np.log([ratio.estimate for ratio in ratios])  # (cells,)
    return _ratio(student(logs, sum(ratio.rounds for ratio in ratios)))


def _ratio(logs: Logs) -> Ratio:
    high = math.exp(logs.high) if logs.high < 700 else math.inf
    return Ratio(math.exp(logs.estimate), math.exp(logs.low), high, logs.rounds)


def _over(x: float) -> float:
    return 1.0 / x if x > 0.0 else math.inf
