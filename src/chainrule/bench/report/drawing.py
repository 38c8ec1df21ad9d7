"""Drawing: charts and their panels, their common style, and how they become pictures.

The style is in ``report.mplstyle``.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib import style
from matplotlib.colors import to_rgb
from matplotlib.ticker import LogLocator, NullLocator

from chainrule.plots.canvas import panels

WIDTH = 3.9  # inches per panel: 374 CSS pixels, the width of a telephone
# Colours of lines and text, and their replacements on a dark page.
INK, MUTED, GRID, ABSENT = "#1b1f24", "#575f68", "#e1e4e8", "#d5d8dc"
DARK = {"#ffffff": "#14171b", INK: "#e6e9ed", MUTED: "#a3abb5", GRID: "#2d333b"}
BLACK, WHITE = "#050505", "#fdfdfd"  # text on a coloured cell, also on a dark page
SMALL = 8.0  # points


class Panel(NamedTuple):
    """One set of axes: its title, and the function that draws it."""

    title: str
    draw: Callable[[Any], None]
    height: float  # inches


class Chart(NamedTuple):
    """Panels that belong together, a description for readers who cannot see them, and their caption."""

    name: str
    title: str
    alt: str
    caption: str
    panels: Sequence[Panel]


def dark_rules() -> str:
    """Return style rules that replace the colours of an SVG on a dark screen, but not on paper.

    Examples
    --------
    >>> "[style*='fill: #ffffff']{fill:#14171b!important}" in dark_rules()
    True
    """
    rules = "".join(
        f"[style*='{kind}: {light}']{{{kind}:{dark}!important}}"
        for light, dark in DARK.items()
        for kind in ("fill", "stroke")
    )
    return f"@media screen and (prefers-color-scheme:dark){{{rules}}}"


def picture(drawn: Sequence[Panel], title: str = "") -> Any:
    """Return panels as one picture, two or three side by side."""
    columns = 2 if len(drawn) == 4 else min(3, len(drawn))
    rows = math.ceil(len(drawn) / columns)
    heading = 0.35 if title else 0.0  # inches
    size = (WIDTH * columns, heading + rows * max(panel.height for panel in drawn))
    with style.context(Path(__file__).with_name("report.mplstyle")):
        axes, result = panels(None, size, rows, columns)
        if title:
            result.suptitle(title, x=0.01, ha="left", color=INK)
        for ax, panel in zip(axes, drawn, strict=False):
            ax.set_title(panel.title)
            panel.draw(ax)
    for ax in axes[len(drawn) :]:
        ax.remove()
    return result


def log_axis(ax: Any, low: float, high: float, label: str) -> None:
    """Make the horizontal axis logarithmic over a range with some room, with plain numbers and a grid."""
    room = (high / low) ** 0.06 if high > low else 1.2
    ax.set(xscale="log", xlim=(low / room, high * room), xlabel=label)
    decades = math.log10(high / low)
    subs = (1.0,) if decades > 3 else (1.0, 3.0) if decades > 0.9 else (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
    ax.xaxis.set_major_locator(LogLocator(subs=subs, numticks=5 if decades > 5 else None))
    ax.xaxis.set_major_formatter("{x:,g}")
    ax.xaxis.set_minor_locator(NullLocator())  # dozens of unlabelled ticks, half of the file
    ax.grid(axis="x")


def legend(ax: Any, handles: Sequence[Any], columns: int) -> None:
    """Put a legend below the axes."""
    if handles:
        ax.legend(handles=handles, bbox_to_anchor=(0.45, 0), ncols=columns)


def readable_on(colour: Any) -> str:
    """Return black or white, with the higher contrast to a colour (WCAG 2.2, 1.4.3)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return BLACK if (luminance + 0.05) ** 2 > 1.05 * 0.05 else WHITE
