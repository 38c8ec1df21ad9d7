"""Spots: the times of one workload on each backend, with 95 % intervals; a speed map consists of spots."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from chainrule.mathematics.activations import identity, sigmoid
from chainrule.mathematics.architecture import Architecture, architecture
from chainrule.mathematics.optimizers import Optimizer, adam, sgd


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
    def logs(self) -> list[float]:
        """The logarithms of estimate, low and high."""
        return [math.log(x) if x > 0.0 else -math.inf for x in self]

    @classmethod
    def of_logs(cls, estimate: float, low: float, high: float) -> "Interval":
        """Return the interval with these logarithms.

        Parameters
        ----------
        estimate, low, high : float
            Natural logarithms; infinite for an end that is open.

        Returns
        -------
        Interval
            The interval of their exponentials.
        """
        return cls(math.exp(estimate), math.exp(low), math.exp(high) if high < 700 else math.inf)

    @property
    def is_bounded(self) -> bool:
        """Whether both ends are known."""
        return self.low > 0.0 and math.isfinite(self.high)

    def ends(self, text: Callable[[float], str] = "{:.2f}".format) -> str:
        """Return low and high as text, or that too few rounds were measured.

        Parameters
        ----------
        text : callable
            Returns a number as text.

        Returns
        -------
        str
            Such as "0.50 to 2.00".

        Examples
        --------
        >>> Interval(1.0, 0.5, 2.0).ends(), Interval(1.0, 0.0, math.inf).ends()
        ('0.50 to 2.00', 'too few rounds')
        """
        return f"{text(self.low)} to {text(self.high)}" if self.is_bounded else "too few rounds"

    def over(self, other: "Interval") -> "Interval":
        """Return the ratio to another interval that varies independently.

        The interval joins those of both (Zou & Donner 2008, doi:10.1002/sim.3095).

        Parameters
        ----------
        other : Interval
            The divisor.

        Returns
        -------
        Interval
            This estimate divided by the other one, with its 95 % interval.

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
        """Return the interval of ``1 / x``.

        Returns
        -------
        Interval
            The reciprocals; ``low`` and ``high`` change places.
        """
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


class Workload(NamedTuple):
    """A training step.

    Attributes
    ----------
    sizes
        Units of each layer, from the inputs to the outputs.
    batch
        Rows.
    rule
        "sgd" or "adam": see :func:`network`.
    dtype
        "float32" or "float64".
    """

    sizes: tuple[int, ...]
    batch: int
    rule: str = "sgd"
    dtype: str = "float32"

    @property
    def name(self) -> str:
        """The name in messages.

        Examples
        --------
        >>> Workload((64, 16, 10), 32).name
        '64-16-10, batch 32'
        """
        return f"{'-'.join(map(str, self.sizes))}, batch {self.batch}"


def network(sizes: Sequence[int], rule: str) -> tuple[Architecture, Optimizer]:
    """Return the network and the optimizer that are measured for a rule.

    With "sgd": sigmoid units, half the sum of squared errors. With "adam": relu, softmax cross-entropy.

    Parameters
    ----------
    sizes
        The number of units of each layer, from the inputs to the outputs.
    rule
        "sgd" or "adam".

    Returns
    -------
    tuple of Architecture and Optimizer
        The network and its optimizer.
    """
    first, *hidden, last = sizes
    if rule == "adam":
        return architecture((first, hidden, last), "relu", identity, "cross_entropy"), adam()
    return architecture((first, hidden, last), "sigmoid", sigmoid, "squared_error"), sgd()


def workload_of(net: Architecture, optimizer: Optimizer, batch: int, dtype: str) -> Workload:
    """Return the workload of any network; its optimizer counts as the nearer of the two rules."""
    rule = "adam" if optimizer.name.startswith("adam") else "sgd"
    return Workload(net.sizes, batch, rule, dtype)


class Time(NamedTuple):
    """The time of a step on one backend.

    Attributes
    ----------
    contestant
        How it was run: "numpy-jit" is the backend "numpy" with the extra ``jit``.
    seconds
        The seconds per step.
    """

    contestant: str
    seconds: Interval


class Spot(NamedTuple):
    """A workload, its time on each backend, and the ratios of backends measured side by side."""

    workload: Workload
    times: Mapping[str, Time]  # the time on each backend
    ratios: Mapping[tuple[str, str], Interval]  # (a, b): the time of a divided by the time of b

    def ratio(self, over: str, under: str) -> Interval:
        """Return the time of one backend divided by that of another; from their times if they were measured apart.

        Parameters
        ----------
        over, under : str
            The names of the two backends, such as "numpy".

        Returns
        -------
        Interval
            The time of ``over`` divided by the time of ``under``.
        """
        if (over, under) in self.ratios:
            return self.ratios[over, under]
        turned = self.ratios.get((under, over))
        return turned.inverse() if turned else self.times[over].seconds.over(self.times[under].seconds)


class SpeedMap(NamedTuple):
    """All measurements on one machine with one set of versions."""

    spots: Sequence[Spot] = ()

    def with_spots(self, spots: Sequence[Spot]) -> "SpeedMap":
        """Return the map with new spots, which replace the older ones of the same workload.

        A backend that was not measured again keeps its time.

        Parameters
        ----------
        spots : sequence of Spot
            The new measurements.

        Returns
        -------
        SpeedMap
            A map with one spot for each workload.
        """
        merged = {spot.workload: spot for spot in self.spots}
        for spot in spots:
            old = merged.get(spot.workload, Spot(spot.workload, {}, {}))
            times = {**old.times, **spot.times}
            ratios = {pair: ratio for pair, ratio in old.ratios.items() if not {*pair} & {*spot.times}}
            merged[spot.workload] = Spot(spot.workload, times, {**ratios, **spot.ratios})
        return SpeedMap(list(merged.values()))
