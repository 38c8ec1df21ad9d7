"""The link between ranks: what a sum over it takes, by the usual model of its latency and its bandwidth."""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple, Self

import numpy as np

from chainrule.backends.speed_map.spots import three_digits
from chainrule.mathematics.naming import quoted, require

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "GB/s": 1e9, "MB/s": 1e6, "kB/s": 1e3, "": 1.0}
_SETTING = re.compile(r"(alpha|beta|ranks|every)=([0-9.]+)([A-Za-z/]*)")


class Link(NamedTuple):
    """A link between ranks.

    A sum of n bytes over r ranks takes the least of recursive doubling, Rabenseifner's algorithm and a ring:

        min(log2 r (a + n/b), 2 log2 r a + 2 (r-1)/r n/b, 2 (r-1) a + 2 (r-1)/r n/b)

    R. Thakur, R. Rabenseifner and W. Gropp, "Optimization of collective communication operations in MPICH", 2005.

    Examples
    --------
    >>> link = Link(30e-6, 2.5e9)
    >>> round(1e6 * link.seconds(2, 4), 3), round(1e3 * link.seconds(16, 3_256_360), 2)
    (30.002, 2.68)
    """

    latency: float  # seconds of a message, a
    bandwidth: float  # bytes a second, b

    def seconds(self, ranks: float, nbytes: float) -> float:
        """Return what a sum of this many bytes takes."""
        if ranks == 1:
            return 0.0
        rounds, sent = math.log2(ranks), nbytes / self.bandwidth
        halved = 2 * (ranks - 1) / ranks * sent
        return min(
            rounds * (self.latency + sent),
            2 * rounds * self.latency + halved,
            2 * (ranks - 1) * self.latency + halved,
        )

    @classmethod
    def fitted(cls, ranks: int, seconds: Mapping[int, float]) -> Self:
        """Return the link over which sums of so many bytes took so many seconds.

        Examples
        --------
        >>> link = Link.fitted(2, {n: 30e-6 + n / 2.5e9 for n in (100, 10_000, 1_000_000)})
        >>> round(1e6 * link.latency, 3), round(link.bandwidth / 1e9, 3)
        (30.0, 2.5)
        """
        fixed, each = line(seconds)
        rounds = math.log2(ranks)
        return cls(fixed / rounds, rounds / each if each else math.inf)


def second_machine(alone: float, nbytes: int) -> str:
    """Return what a second machine would bring for a step that takes so long alone and adds up so many bytes.

    Examples
    --------
    >>> second_machine(29e-6, 19_240)
    'a second machine, over 25 Gbit/s Ethernet, does not pay: a step would take 52.2 us (a model)'
    """
    seconds = alone / 2 + Link(30e-6, 2.5e9).seconds(2, nbytes)
    verdict = "does not pay" if seconds > 0.8 * alone else "may pay"
    where = "a second machine, over 25 Gbit/s Ethernet,"
    return f"{where} {verdict}: a step would take {three_digits(1e6 * seconds)} us (a model)"


class Simulation(NamedTuple):
    """A link that is not here, how many ranks it joins, and after how many steps they average their parameters."""

    link: Link
    ranks: int
    every: int = 1

    @classmethod
    def parsed(cls, text: str) -> Self:
        """Return what a text such as ``alpha=30us,beta=2.5GB/s,ranks=4096,every=100`` describes.

        Raises
        ------
        ValueError
            If it is not of this form.

        Examples
        --------
        >>> Simulation.parsed("alpha=40ms,beta=12.5MB/s,ranks=8,every=100")
        Simulation(link=Link(latency=0.04, bandwidth=12500000.0), ranks=8, every=100)
        """
        found = [_SETTING.fullmatch(word.strip()) for word in text.split(",")]
        given = {m[1]: float(m[2]) * UNITS[m[3]] for m in found if m and m[3] in UNITS}
        is_whole = len(given) == len(found) and {"alpha", "beta", "ranks"} <= given.keys()
        wanted = "alpha=30us,beta=2.5GB/s,ranks=4096, and every=100 to average every 100 steps"
        require(is_whole and min(given.values()) > 0, f"got {quoted(text)}, wanted {wanted}")
        link = Link(given["alpha"], given["beta"])
        return cls(link, int(given["ranks"]), int(given.get("every", 1)))

    def step(self, alone: float, nbytes: int) -> float:
        """Return the seconds of a step on all ranks, of which a rank's own rows take ``alone``."""
        return alone + self.link.seconds(self.ranks, nbytes) / self.every


def line(seconds: Mapping[int, float]) -> tuple[float, float]:
    """Return ``a`` and ``b`` of ``seconds = a + b x``, with the least relative errors, both 0 or more.

    Examples
    --------
    >>> [round(x, 6) for x in line({1: 3.0, 2: 5.0, 4: 9.0})]
    [1.0, 2.0]
    """
    x, y = (np.array(list(part), dtype=float) for part in (seconds.keys(), seconds.values()))  # (n,)
    (a, b), *_ = np.linalg.lstsq(np.stack([1 / y, x / y], axis=1), np.ones(len(x)), rcond=None)
    if a < 0:
        a, b = 0.0, float(np.exp(np.mean(np.log(y / x))))
    return float(a), max(0.0, float(b))
