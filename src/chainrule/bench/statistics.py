"""Statistics: ratios of what was measured side by side, and what they allow to say."""

from collections.abc import Sequence
from typing import NamedTuple

# For each process, the seconds of A and of B in each round.
Pairs = Sequence[Sequence[tuple[float, float]]]


class Ratio(NamedTuple):
    """How many times as long A takes as B: the estimate, and its 95 % interval."""

    estimate: float
    low: float
    high: float
    rounds: int


def paired(pairs: Pairs) -> Ratio:
    """Return the median of the rounds' ratios."""
    raise NotImplementedError
