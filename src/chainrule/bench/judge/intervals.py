"""Intervals: of the median of what several processes measured, on the scale of logarithms.

The interval is the widest of up to three, since each sees what the others do not:

* a hierarchical bootstrap: processes are drawn, then rounds of each (Kalibera & Jones 2013, "Rigorous
  benchmarking in reasonable time", doi:10.1145/2464157.2464160; Efron 1979, "Bootstrap methods");
* the median's interval by ranks, which holds for few rounds too and is infinite where there are too few
  to have one (Hoefler & Belli 2015, "Scientific benchmarking of parallel computing systems", rules 5 to 8,
  doi:10.1145/2807591.2807644): fewer than six. Of one process it is taken at 99 % where there are the eight
  rounds for it, since rounds resemble their neighbours and 95 % would cover less;
* where the processes lie three times as far apart as their rounds explain, Student's t over the
  processes: then each process is one observation, however many rounds it has.
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np

DRAWS = 1000
APART = 3.0  # processes so many times as far apart as their rounds explain differ by themselves
_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}  # Student's 97.5 % quantiles; above, a series


class Logs(NamedTuple):
    """An estimate and its 95 % interval, all of them logarithms."""

    estimate: float
    low: float
    high: float
    rounds: int


def median(logs: list[np.ndarray]) -> Logs:
    """Return the median of all rounds, with its interval.

    Parameters
    ----------
    logs
        For each process, an array ``(rounds,)``.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> median([np.array([0.0, 0.1, 0.2])])  # too few for an interval
    Logs(estimate=0.1, low=-inf, high=inf, rounds=3)
    """
    if not logs:
        msg = "got no round to compare; measure at least one"
        raise ValueError(msg)
    held = np.sort(np.concatenate(logs))  # (n,)
    intervals = [_by_ranks(held, (0.95,) if len(logs) > 1 else (0.99, 0.95))]
    if len(logs) > 1:
        intervals += _over_processes(logs)
    low, high = (end(ends) for end, ends in zip((min, max), zip(*intervals, strict=True), strict=True))
    return Logs(float(np.median(held)), float(low), float(high), held.size)


def _by_ranks(held: np.ndarray, levels: tuple[float, ...]) -> tuple[float, float]:
    """Return the sorted values that enclose the median at the first level that so many values reach."""
    rank = next(filter(None, (_rank(held.size, level) for level in levels)), 0)
    return (held[rank - 1], held[-rank]) if rank else (-math.inf, math.inf)


@cache
def _rank(n: int, level: float) -> int:
    """Return the largest k such that the k-th from either end enclose the median; 0 where none does."""
    k, outside = 0, 0.0
    while 2 * (outside + math.comb(n, k) / 2**n) <= 1.0 - level:
        outside += math.comb(n, k) / 2**n
        k += 1
    return k


def _over_processes(logs: list[np.ndarray]) -> list[tuple[float, float]]:
    """Return the bootstrap's interval and, where the processes differ by themselves, Student's."""
    count, rounds = len(logs), round(sum(map(len, logs)) / len(logs))
    processes, shares = _draws(count, rounds)
    lengths = np.array([len(one) for one in logs])  # (count,)
    starts = np.cumsum(lengths) - lengths  # (count,)
    held = np.concatenate(logs)  # (n,)
    drawn = held[starts[processes] + (shares * lengths[processes]).astype(np.intp)]
    low, high = np.quantile(np.median(drawn.reshape(DRAWS, -1), axis=1), (0.025, 0.975))
    medians = np.array([np.median(one) for one in logs])  # (count,)
    few = shares[: DRAWS // 5]  # a variance needs no more
    each = held[starts[:, None] + (few * lengths[:, None]).astype(np.intp)]  # (draws, count, rounds)
    explained = np.median(each, axis=2).var(axis=0).mean()
    if medians.var(ddof=1) <= APART**2 * explained:
        return [(low, high)]
    by_processes = student(medians, 0)
    return [(low, high), (by_processes.low, by_processes.high)]


@cache
def _draws(processes: int, rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which processes are drawn, and where in each the rounds stand, from 0 to 1."""
    generator = np.random.default_rng(1979)
    which = generator.integers(0, processes, (DRAWS, processes, 1))  # (DRAWS, processes, 1)
    return which, generator.random((DRAWS, processes, rounds))  # (DRAWS, processes, rounds)


def student(logs: np.ndarray, rounds: int) -> Logs:
    """Return the mean of two or more observations ``(n,)``, with its interval.

    Examples
    --------
    >>> student(np.array([1.0, 2.0, 3.0]), rounds=45).high > 4.0
    True
    """
    middle = float(logs.mean())
    half = _quantile(logs.size - 1) * float(logs.std(ddof=1)) / math.sqrt(logs.size)
    return Logs(middle, middle - half, middle + half, rounds)


def _quantile(freedom: int) -> float:
    """Return Student's 97.5 % quantile (above 4 degrees: Abramowitz & Stegun 26.7.5)."""
    if freedom in _T:
        return _T[freedom]
    z, n = 1.959964, float(freedom)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / n + second / n**2 + third / n**3
