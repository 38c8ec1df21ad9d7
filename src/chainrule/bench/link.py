"""The link between ranks: the time of a sum over it, from its latency and its bandwidth."""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple, Self

import numpy as np

from chainrule.backends.speed_map.spots import three_digits
from chainrule.mathematics.naming import quoted

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "GB/s": 1e9, "MB/s": 1e6, "kB/s": 1e3}
_SIMULATION = re.compile(
    r"alpha=(\d+\.?\d*)(s|ms|us),beta=(\d+\.?\d*)([GMk]B/s),ranks=([1-9]\d*)(?:,every=([1-9]\d*))?"
)


class Link(NamedTuple):
    """A link between ranks.

    A sum of n bytes over r ranks takes the shortest of recursive doubling, Rabenseifner's algorithm and a ring:

        min(log2 r (a + n/b), 2 log2 r a + 2 (r-1)/r n/b, 2 (r-1) a + 2 (r-1)/r n/b)

    R. Thakur, R. Rabenseifner and W. Gropp, "Optimization of collective communication operations in MPICH", 2005.

    Examples
    --------
    >>> link = Link(30e-6, 2.5e9)
    >>> round(1e6 * link.seconds(2, 4), 3), round(1e3 * link.seconds(16, 3_256_360), 2)
    (30.002, 2.68)
    """

    latency: float  # seconds per message, a
    bandwidth: float  # bytes per second, b

    def seconds(self, ranks: float, nbytes: float) -> float:
        """Return the seconds of a sum of this many bytes."""
        if ranks == 1:
            return 0.0
        rounds, sent = math.log2(ranks), nbytes / self.bandwidth
        halved = 2 * (ranks - 1) / ranks * sent
        return min(
            rounds * (self.latency + sent),
            2 * rounds * self.latency + halved,
            2 * (ranks - 1) * self.latency + halved,
        )


def second_machine(alone: float, nbytes: int) -> str:
    """Return in words whether a second machine is worthwhile.

    Parameters
    ----------
    alone
        The seconds of a step on one machine.
    nbytes
        The bytes of the gradient, which both machines add up in each step.

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
    """A link to simulate, the number of ranks that it joins, and after how many steps they average their parameters."""

    link: Link
    ranks: int
    every: int = 1

    @classmethod
    def parsed(cls, text: str) -> Self:
        """Return the simulation that a text such as ``alpha=30us,beta=2.5GB/s,ranks=4096,every=100`` describes.

        Raises
        ------
        ValueError
            If the text does not have this form.

        Examples
        --------
        >>> Simulation.parsed("alpha=40ms,beta=12.5MB/s,ranks=8,every=100")
        Simulation(link=Link(latency=0.04, bandwidth=12500000.0), ranks=8, every=100)
        """
        parts = _SIMULATION.fullmatch(text)
        wanted = "alpha=30us,beta=2.5GB/s,ranks=4096, and ,every=100 to average every 100 steps"
        if parts is None or not float(parts[3]):
            msg = f"got {quoted(text)}, wanted {wanted}"
            raise ValueError(msg)
        latency, time, bandwidth, rate, ranks, every = parts.groups()
        link = Link(float(latency) * UNITS[time], float(bandwidth) * UNITS[rate])
        return cls(link, int(ranks), int(every or 1))


def line(seconds: Mapping[int, float]) -> tuple[float, float]:
    """Return ``a`` and ``b`` of ``seconds = a + b x`` with the least relative errors, both 0 or more.

    Examples
    --------
    >>> [round(x, 6) for x in line({1: 3.0, 2: 5.0, 4: 9.0})]
    [1.0, 2.0]
    """
    x, y = (np.array(list(part), dtype=float) for part in (seconds.keys(), seconds.values()))  # (n,)
    (a, b), *_ = np.linalg.lstsq(np.stack([1 / y, x / y], axis=1), np.ones(len(x)), rcond=None)
    if a < 0:
        a, b = 0.0, np.exp(np.mean(np.log(y / x)))
    return float(a), max(0.0, float(b))
