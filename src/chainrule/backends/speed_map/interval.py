"""An estimate of a positive quantity with its 95 % interval: a time, or a ratio of two times."""

import math
from typing import NamedTuple


class Interval(NamedTuple):
    """An estimate and the ends of its 95 % interval.

    Too few measurements leave an interval open: its ends are then 0 and infinity.

    Attributes
    ----------
    estimate, low, high
        Positive numbers, ``low <= estimate <= high``.
    """

    estimate: float
    low: float
    high: float

    @property
    def logs(self) -> tuple[float, float, float]:
        """The logarithms of estimate, low and high."""
        estimate, low, high = (math.log(x) if x > 0.0 else -math.inf for x in self)
        return estimate, low, high

    @classmethod
    def of_logs(cls, estimate: float, low: float, high: float) -> "Interval":
        """Return the interval with these logarithms."""
        return cls(math.exp(estimate), math.exp(low), math.exp(high) if high < 700 else math.inf)

    @property
    def is_bounded(self) -> bool:
        """Whether both ends are known."""
        return self.low > 0.0 and math.isfinite(self.high)

    def over(self, other: "Interval") -> "Interval":
        """Return the ratio to another interval that varies independently.

        The interval joins those of both (Zou & Donner 2008, doi:10.1002/sim.3095).

        Examples
        --------
        >>> ratio = Interval(2.0, 2.0, 2.0).over(Interval(1.0, 0.5, 2.0))
        >>> [round(x, 6) for x in ratio]
        [2.0, 1.0, 4.0]
        """
        (a, a_low, a_high), (b, b_low, b_high) = self.logs, other.logs
        down, up = math.hypot(a - a_low, b_high - b), math.hypot(a_high - a, b - b_low)
        return Interval.of_logs(a - b, a - b - down, a - b + up)

    def inverse(self) -> "Interval":
        """Return the interval of ``1 / x``."""
        high = 1.0 / self.low if self.low else math.inf
        return Interval(1.0 / self.estimate, 1.0 / self.high, high)


def three_digits(value: float) -> str:
    """Return three significant digits of a number of 0 or more.

    Examples
    --------
    >>> three_digits(31114.0), three_digits(0.9876), three_digits(2.0), three_digits(0.0)
    ('31100', '0.988', '2.00', '0')
    """
    if value == 0:
        return "0"
    return f"{float(f'{value:.3g}'):.0f}" if value >= 999.5 else f"{value:#.3g}".rstrip(".")
