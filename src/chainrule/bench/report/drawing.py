"""Drawing: charts and their panels, their common style, and how they become pictures.

The style is in ``report.mplstyle``. Only drawing needs matplotlib.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from chainrule.bench import roster

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
    height: float = 2.9  # inches


class Chart(NamedTuple):
    """Panels that belong together, their caption, and a description for readers who cannot see them."""

    name: str
    title: str
    caption: str
    alt: str
    panels: Sequence[Panel]
    network: str = ""  # the kind of network, if each kind has its own chart

    @property
    def subject(self) -> str:
        """The heading within the section."""
        return self.network or self.title


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
    from matplotlib import style

    from chainrule.plots.canvas import panels

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


def log_axis(ax: Any, axis: str, low: float, high: float, label: str) -> None:
    """Make an axis logarithmic over a range with some room, with plain numbers and a grid."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    room = (high / low) ** 0.06 if high > low else 1.2
    ax.set(**{f"{axis}scale": "log", f"{axis}lim": (low / room, high * room), f"{axis}label": label})
    one = getattr(ax, f"{axis}axis")
    decades = math.log10(high / low)
    subs = (1.0,) if decades > 3 else (1.0, 3.0) if decades > 0.9 else (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
    one.set_major_locator(LogLocator(subs=subs, numticks=5 if decades > 5 else None))
    one.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:,g}" if value < 1e5 else f"{value:.0e}")
    )
    one.set_minor_locator(NullLocator())  # they would be dozens of unlabelled ticks and half of the file
    ax.grid(axis=axis)


def rows_axis(ax: Any, labels: Sequence[str], label: str, limits: tuple[float, float]) -> None:
    """Name rows from the top down, with a logarithmic axis across them."""
    log_axis(ax, "x", *limits, label)
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)


def legend(ax: Any, handles: Sequence[Any], columns: int = 3) -> None:
    """Put a legend below the axes."""
    if handles:
        ax.legend(handles=handles, bbox_to_anchor=(0.45, 0), ncols=columns)


def mark(colour: str, shape: str, label: str, **options: Any) -> Any:
    """Return the entry of a legend for points without a line."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, marker=shape, linestyle="none", label=label, **options)


def marks(names: Iterable[str]) -> list[Any]:
    """Return the entries of a legend for contestants."""
    return [mark(*look_of(name), name) for name in names]


def look_of(contestant: str) -> tuple[str, str]:
    """Return the colour and the marker of a contestant."""
    entry = roster.entry(contestant)
    return entry.colour, entry.mark


def ends(values: Iterable[float]) -> tuple[float, float]:
    """Return the least and the greatest of the finite values above 0; (1, 1) if there is none."""
    known = [value for value in values if 0 < value < math.inf]
    return (min(known), max(known)) if known else (1.0, 1.0)


def readable_on(colour: Any) -> str:
    """Return black or white, with the higher contrast to a colour (WCAG 2.2, 1.4.3)."""
    from matplotlib.colors import to_rgb

    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return BLACK if (luminance + 0.05) ** 2 > 1.05 * 0.05 else WHITE
