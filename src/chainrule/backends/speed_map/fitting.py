"""Fitting: the time of a step from its counts, ``T = a calls + FLOPs / R + bytes / BW``, none below zero."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from chainrule.backends.speed_map.workload import Workload

FEWEST = 5  # spots: three unknowns, and something left to test them with
FOLDS = 10


class Fit(NamedTuple):
    """What a call, a FLOP and a byte take, in seconds; ``error``: the logarithm's, on spots held out."""

    call: float
    flop: float
    byte: float
    error: float

    def parts(self, work: Workload) -> tuple[float, float, float]:
        """Return the seconds of the products, of the passes over arrays and of the calls.

        Examples
        --------
        >>> from chainrule.backends.speed_map.workload import workload
        >>> products, _, calls = Fit(1e-6, 1e-11, 1e-10, 0.1).parts(workload((784, 100, 10), 200))
        >>> round(products * 1e6), round(calls * 1e6)
        (639, 29)
        """
        return self.flop * work.flops, self.byte * work.bytes, self.call * work.calls

    def seconds(self, work: Workload) -> float:
        """Return the time of a step."""
        return sum(self.parts(work))


def fit(works: Sequence[Workload], seconds: Sequence[float]) -> Fit | None:
    """Return the fit to what was measured; ``None`` where that is too little to fit and to test.

    Relative errors are made small: a step of a microsecond counts as much as one of a second.
    """
    if len(works) < FEWEST:
        return None
    counts = np.array([(one.calls, one.flops, one.bytes) for one in works], dtype=np.float64)  # (n, 3)
    taken = np.array(seconds)  # (n,)
    A, ones = counts / taken[:, None], np.ones(len(taken))  # (n, 3), (n,)
    groups = np.arange(len(taken)) % min(FOLDS, len(taken))  # (n,)
    errors = np.empty(len(taken))  # (n,)
    for group in range(groups.max() + 1):
        out = groups == group
        said = A[out] @ nonnegative_least_squares(A[~out], ones[~out])
        errors[out] = np.log(np.maximum(said, 1e-6))
    call, flop, byte = map(float, nonnegative_least_squares(A, ones))
    return Fit(call, flop, byte, math.sqrt(float(np.mean(errors**2))))


def nonnegative_least_squares(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the x ``(k,)`` of ``min ||A x - b||`` with no element below zero, for a few unknowns.

    The solution is the unconstrained one of the columns where it is not zero (Lawson & Hanson 1974,
    "Solving least squares problems", chapter 23); with three unknowns all seven sets of columns are tried.

    Examples
    --------
    >>> nonnegative_least_squares(np.eye(2), np.array([1.0, -1.0]))
    array([1., 0.])
    """
    scale = np.linalg.norm(A, axis=0)  # (k,)
    scale[scale == 0.0] = 1.0
    best, least = np.zeros(A.shape[1]), float(b @ b)  # (k,)
    for count in range(1, A.shape[1] + 1):
        for columns in combinations(range(A.shape[1]), count):
            chosen = list(columns)
            part = np.linalg.lstsq(A[:, chosen] / scale[chosen], b, rcond=None)[0]  # (count,)
            x = np.zeros(A.shape[1])  # (k,)
            x[chosen] = part / scale[chosen]
            residual = A @ x - b  # (n,)
            if (x >= 0.0).all() and residual @ residual < least:
                best, least = x, float(residual @ residual)
    return best
