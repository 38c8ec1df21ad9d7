"""A comparison as rows of text, for a table."""

from chainrule.backends.speed_map.choice import microseconds
from chainrule.backends.speed_map.interval import Interval
from chainrule.bench.judge.comparison import Comparison

HEAD = ("cell", "contestant", "before", "after", "times", "95 % interval", "verdict")
MEANS_HEAD = ("contestant", "cells", "geometric mean", "95 % interval", "verdict")
WORDS = 2  # the first columns of HEAD that are words


def rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return a row for each contestant in each cell, under :data:`HEAD`.

    "before" and "after": microseconds a step. "times": how many times as long it takes after as before.
    """
    return [
        (
            row.place.cell.name,
            row.place.contestant,
            microseconds(row.before),
            microseconds(row.after),
            f"{row.ratio.estimate:.3f}",
            interval(row.ratio),
            row.verdict,
        )
        for row in comparison.rows
    ]


def mean_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return a row for each contestant, under :data:`MEANS_HEAD`."""
    return [
        (
            mean.contestant,
            str(mean.cells),
            f"{mean.ratio.estimate:.3f}",
            interval(mean.ratio),
            mean.verdict,
        )
        for mean in comparison.means
    ]


def interval(ratio: Interval) -> str:
    """Return an interval in words.

    Examples
    --------
    >>> interval(Interval(1.0, 0.98, 1.021)), interval(Interval(1.0, 0.0, float("inf")))
    ('0.980 to 1.021', 'too few rounds')
    """
    if ratio.low == 0.0 or ratio.high == float("inf"):
        return "too few rounds"
    return f"{ratio.low:.3f} to {ratio.high:.3f}"
