"""Statistics: medians and ratios with their intervals, and verdicts on ratios.

A round gives the seconds of A and of B one after the other. What slows the machine for longer than
a round slows both, and does not change their ratio. The estimate is the median of all rounds' log-ratios.

The 95 % interval of a median is the wider of two:

* the interval by ranks of all rounds. It also holds for few rounds and is infinite for fewer than six (Hoefler &
  Belli 2015, "Scientific benchmarking of parallel computing systems", rules 5 to 8, doi:10.1145/2807591.2807644). It
  is taken at 99 % from eight rounds on: rounds resemble their neighbours, and 95 % would cover less;
* where the medians of processes lie 2.4 times as far apart as their rounds explain, Student's t over these medians:
  each process is then one observation, however many rounds it has (Kalibera & Jones 2013, "Rigorous benchmarking in
  reasonable time", doi:10.1145/2464157.2464160).
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import Literal

import numpy as np

from chainrule.backends.speed_map.spots import Interval
from chainrule.mathematics.naming import require

# For each process, the seconds of A and of B in each round; and the seconds of A alone.
Pairs = Sequence[Sequence[tuple[float, float]]]
Samples = Sequence[Sequence[float]]
Verdict = Literal["faster", "slower", "same", "undecided"]

BAND = 0.03  # ratios within 3 % of 1 count as the same
APART = 2.4  # processes differ if they are this many times as far apart as their rounds explain
# Student's 97.5 % quantiles by degrees of freedom; above 4, a series.
_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}


def paired(pairs: Pairs) -> Interval:
    """Return the median of the rounds' ratios ``A / B``.

    Parameters
    ----------
    pairs : sequence of sequences of (float, float)
        For each process, the seconds of A and of B in each round; above 0. Processes without rounds are skipped.

    Returns
    -------
    Interval
        The median ratio and its 95 % interval, without unit.

    Raises
    ------
    ValueError
        If there is no round.

    Examples
    --------
    >>> fast, slow = (1.0, 2.0), (1.1, 2.2)
    >>> paired([[fast, slow, fast, slow], [slow, fast, slow, fast]])
    Interval(estimate=0.5, low=0.5, high=0.5)
    >>> paired([[fast]]).high  # one round has no interval
    inf
    """
    return _median([np.log([a / b for a, b in rounds]) for rounds in pairs if rounds])


def typical(samples: Samples) -> Interval:
    """Return the median of the seconds of one contestant.

    Parameters
    ----------
    samples : sequence of sequences of float
        For each process, the seconds of each round; above 0. Processes without rounds are skipped.

    Returns
    -------
    Interval
        The median and its 95 % interval, in seconds.

    Raises
    ------
    ValueError
        If there is no sample.

    Examples
    --------
    >>> typical([[1.0, 2.0, 4.0], [2.0, 2.0, 2.0]]).estimate
    2.0
    """
    return _median([np.log(rounds) for rounds in samples if rounds])


def verdict(ratio: Interval, band: float = BAND) -> Verdict:
    """Return the verdict on A from the interval of the ratio ``A / B``.

    Inside the band ``1/(1 + band) .. 1 + band``: "same". Wholly below or above it: "faster", "slower". Else
    "undecided": the interval reaches across an edge, and more rounds are needed.

    With 3 processes of 15 rounds, A against A reads "same" in at least 95 % of simulated runs while a
    single block varies by up to 1.5 % by itself (what slows both alike does not count); beyond that
    "undecided" becomes more frequent. "faster" or "slower" comes out in less than 5 % of the runs, also at
    5 %, and where processes differ by 3 %.

    Parameters
    ----------
    ratio : Interval
        The seconds of A divided by those of B.
    band : float
        The relative difference that still counts as the same: 0.03 is 3 %.

    Returns
    -------
    str
        "faster", "slower", "same" or "undecided".

    Examples
    --------
    >>> verdict(Interval(1.2, 1.15, 1.25)), verdict(Interval(1.0, 0.99, 1.02))
    ('slower', 'same')
    >>> verdict(Interval(1.05, 0.98, 1.12))
    'undecided'
    """
    least, most = 1.0 / (1.0 + band), 1.0 + band
    if least <= ratio.low and ratio.high <= most:
        return "same"
    if ratio.high < least:
        return "faster"
    return "slower" if ratio.low > most else "undecided"


def geometric_mean(ratios: Sequence[Interval]) -> Interval:
    """Return the geometric mean of the ratios of several cells; its interval shows how much they differ.

    Student's t over the logarithms: cells that disagree make it wide. One cell keeps its own interval.

    Parameters
    ----------
    ratios : sequence of Interval
        The ratio of each cell, without unit. Of several cells, only the estimates are used.

    Returns
    -------
    Interval
        The mean and its 95 % interval, without unit.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> mean = geometric_mean([Interval(1.0, 0.9, 1.1), Interval(4.0, 3.9, 4.1)])
    >>> mean.estimate, mean.low < 1.0 < mean.high
    (2.0, True)
    """
    require(bool(ratios), "got no ratio to take a mean of; give one for each cell")
    if len(ratios) == 1:
        return ratios[0]
    logs = np.log([ratio.estimate for ratio in ratios])  # (cells,)
    low, high = _student(logs)
    return Interval.of_logs(float(logs.mean()), low, high)


def _median(logs: list[np.ndarray]) -> Interval:
    """Return the median of all rounds; ``logs`` has an array ``(rounds,)`` for each process."""
    require(bool(logs), "got no round to compare; measure at least one")
    rounds = np.sort(np.concatenate(logs))  # (n,)
    # The order statistics that enclose the median at 99 %, or at 95 % if there are too few rounds.
    rank = _rank(rounds.size, 0.99) or _rank(rounds.size, 0.95)
    low, high = (rounds[rank - 1], rounds[-rank]) if rank else (-math.inf, math.inf)
    if len(logs) > 1 and _are_apart(logs):
        ends = _student(np.array([np.median(one) for one in logs]))  # from medians (processes,)
        low, high = min(low, ends[0]), max(high, ends[1])
    return Interval.of_logs(float(np.median(rounds)), float(low), float(high))


@cache
def _rank(n: int, level: float) -> int:
    """Return the largest k such that the k-th values from both ends enclose the median; 0 if there is none."""
    outside = np.cumsum([math.comb(n, k) / 2**n for k in range(n + 1)])  # (n + 1,)
    return int(np.count_nonzero(2 * outside <= 1.0 - level))


def _are_apart(logs: list[np.ndarray]) -> bool:
    """Return whether the medians of processes differ more than their rounds explain.

    The median of n normal rounds has the variance ``pi / 2 sigma² / n``; sigma is 1.4826 times their median
    distance from it.
    """
    medians = np.array([np.median(one) for one in logs])  # (processes,)
    sigmas = [1.4826 * np.median(abs(one - np.median(one))) for one in logs]
    explained = np.mean([0.5 * math.pi * s**2 / len(one) for s, one in zip(sigmas, logs, strict=True)])
    return bool(medians.var(ddof=1) > APART**2 * explained)


def _student(logs: np.ndarray) -> tuple[float, float]:
    """Return the interval of the mean of two or more observations ``(n,)``."""
    half = _quantile(logs.size - 1) * float(logs.std(ddof=1)) / math.sqrt(logs.size)
    return float(logs.mean()) - half, float(logs.mean()) + half


def _quantile(freedom: int) -> float:
    """Return Student's 97.5 % quantile (above 4 degrees: Abramowitz & Stegun 26.7.5)."""
    if freedom in _T:
        return _T[freedom]
    z, n = 1.959964, float(freedom)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / n + second / n**2 + third / n**3
