"""Figures: the numbers of one contestant in one cell, and how two or more of them compare."""

from dataclasses import dataclass
from typing import NamedTuple

from chainrule.backends.speed_map.interval import Interval
from chainrule.bench.cells import Cell

# Why a figure is doubtful: each flag in words, for every form of the report.
FLAGS = {
    "busy": "other programs used more than a tenth of the processors' time",
    "stolen": "other guests of the machine used more than a twentieth of the processors' time",
    "throttled": "the clock of a processor or of the GPU was lowered because it was hot",
    "above limit": "faster than the machine's limit: the machine did less than its best when its rates were "
    "measured, probably because it was busy",
    "invalid": "less than half of the machine's limit: an error of the measurement, such as a device that "
    "nobody waited for",
}
IMPOSSIBLE = 0.5  # a step that takes less than this share of its limit was not measured correctly


class Place(NamedTuple):
    """A contestant, an operation and a cell: what one measurement is of."""

    cell: Cell
    contestant: str
    operation: str = "step"
    threads: int = 0

    @property
    def flops(self) -> int:
        """The floating-point operations of the matrix products."""
        return self.cell.forward_flops if self.operation == "forward" else self.cell.flops

    @property
    def least_bytes(self) -> int:
        """The bytes that any implementation must move."""
        return self.cell.least_bytes(self.operation)


@dataclass(frozen=True)
class Figures:
    """The figures of one contestant in one cell; times in seconds a step, ``None`` where not known.

    Attributes
    ----------
    step, least
        The median and the shortest step.
    limit
        The least time that the machine needs: the larger of ``FLOPs / rate of products`` and ``least bytes / rate
        of copies at the size of the working set``. The rates are the best that any library reached on this
        machine, with the same dtype and threads; the bytes are those of
        :meth:`~chainrule.bench.cells.Cell.least_bytes`.
    bare
        The bare matrix products, with the same library, in the same rounds.
    flags
        Keys of :data:`FLAGS`. A step that beats its limit has the flag "above limit", or "invalid" if it
        takes less than half of it.
    """

    place: Place
    status: str
    reason: str = ""
    step: float | None = None
    least: float | None = None
    limit: float | None = None
    bare: float | None = None
    first_call: float | None = None
    flags: tuple[str, ...] = ()

    @property
    def share(self) -> float | None:
        """The limit divided by the time of the step, at most 1."""
        return min(1.0, self.limit / self.step) if self.limit and self.step else None

    @property
    def samples_per_second(self) -> float | None:
        """Rows of X a second."""
        return self.place.cell.batch / self.step if self.step else None

    @property
    def rate(self) -> float | None:
        """The products' FLOP/s over the whole step."""
        return self.place.flops / self.step if self.step else None

    @property
    def is_valid(self) -> bool:
        """Whether there is a figure, and one that the machine is able to reach."""
        return self.step is not None and "invalid" not in self.flags


class Match(NamedTuple):
    """The fastest of two sides in one cell.

    Attributes
    ----------
    left, right
        The figures of both, ``None`` where a side has none.
    standing
        Whether the left side is "faster", "slower", the "same" or "undecided"; where there is no ratio, what
        a side is instead of measured: "skipped", "failed", "invalid", ...
    ratio
        The right side's time over the left's.
    reason
        Why there is no ratio.
    """

    left: Figures | None
    right: Figures | None
    standing: str
    ratio: Interval | None = None
    reason: str = ""
