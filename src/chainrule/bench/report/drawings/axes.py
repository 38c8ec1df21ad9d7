"""Axes: logarithmic scales, and the frame with its grid, ticks and names."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chainrule.bench.report.drawings.shapes import Path, Shape, Words
from chainrule.bench.report.word_table import PREFIXES


@dataclass(frozen=True)
class Scale:
    """Values between ``low`` and ``high``, logarithmically, onto the pixels ``start`` to ``stop``.

    Examples
    --------
    >>> scale = Scale(1, 100, 0, 200)
    >>> scale(10.0), scale.ticks()
    (100.0, [1.0, 3.0, 10.0, 30.0, 100.0])
    """

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.stop - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """Return round values to mark: powers of ten, or one, two and five times them."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        tens = [10.0**power for power in range(first, last + 1)]
        for values in (
            [m * ten for ten in tens for m in (1, 2, 5)],
            [m * t for t in tens for m in (1, 3)],
            tens,
        ):
            inside = [value for value in values if 0.999 * self.low <= value <= 1.001 * self.high]
            if len(inside) <= most:
                return inside
        return inside[:: math.ceil(len(inside) / most)]


def scale_of(values: Sequence[float], start: float, stop: float, room: float = 1.15) -> Scale:
    """Return a scale that holds the values, with some room at its ends."""
    low, high = min(values) / room, max(values) * room
    return Scale(low, high, start, stop)


def tick(value: float) -> str:
    """Return a round value with the prefix of its size.

    Examples
    --------
    >>> tick(300e3), tick(2e9), tick(0.5)
    ('300k', '2G', '0.5')
    """
    size, prefix = next(((s, p) for s, p in PREFIXES if value >= 0.9995 * s >= 0.9995), (1.0, ""))
    return f"{value / size:g}{prefix}"


@dataclass(frozen=True)
class Frame:
    """The field of a plot, its scales already laid over it."""

    across: Scale
    up: Scale

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixels of a point of data."""
        return self.across(x), self.up(y)

    def axes(self, across: Mapping[float, str], up: Mapping[float, str], name: str) -> list[Shape]:
        """Return the grid, the ticks with what they say, and the name of the axis below."""
        left, right, floor, top = self.across.start, self.across.stop, self.up.start, self.up.stop
        drawn: list[Shape] = []
        for value, said in across.items():
            x = self.across(value)
            drawn += [
                Path(((x, floor), (x, top)), "grid", 1),
                Words(x, floor + 15, said, "middle", "muted"),
            ]
        for value, said in up.items():
            y = self.up(value)
            drawn += [
                Path(((left, y), (right, y)), "grid", 1),
                Words(left - 6, y + 4, said, "end", "muted"),
            ]
        drawn.append(Path(((left, top), (left, floor), (right, floor)), "line", 1))
        drawn.append(Words((left + right) / 2, floor + 32, name, "middle", "muted"))
        return drawn


def apart(wanted: Sequence[float], least: float, top: float, bottom: float) -> list[float]:
    """Return heights near those wanted, in their order, that keep a distance.

    Examples
    --------
    >>> apart([10.0, 11.0, 50.0], 12, 0, 100)
    [10.0, 22.0, 50.0]
    """
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    placed = [0.0] * len(wanted)
    last = top - least
    for place in order:
        last = placed[place] = max(wanted[place], last + least)
    limit = bottom + least
    for place in reversed(order):
        limit = placed[place] = min(placed[place], limit - least)
    return placed
