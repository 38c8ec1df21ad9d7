"""Shapes: what a drawing is made of, in pixels from its upper left corner.

Colours are the names of inks (see :mod:`.inks`): a drawing knows no light and no dark.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

Point = tuple[float, float]


class Box(NamedTuple):
    """A rectangle; ``hatched`` lays lines over it, ``says`` is what pointing at it tells."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    hatched: bool = False
    says: str = ""
    rounded: float = 0.0


class Path(NamedTuple):
    """Lines through points; with ``fill``, the area within them."""

    points: tuple[Point, ...]
    stroke: str = ""
    width: float = 1.5
    dashed: bool = False
    fill: str = ""
    opacity: float = 1.0


class Mark(NamedTuple):
    """A point of data: a "circle", "square", "diamond", "triangle" or "cross" about its place."""

    x: float
    y: float
    shape: str
    fill: str
    radius: float = 4.0
    says: str = ""
    hollow: bool = False


class Words(NamedTuple):
    """A line of text; ``y`` is its baseline, ``anchor`` "start", "middle" or "end"."""

    x: float
    y: float
    text: str
    anchor: str = "start"
    ink: str = "ink"
    size: float = 11.0
    bold: bool = False
    turned: bool = False  # reads upward
    halo: str = ""  # an ink about its letters, where it stands over lines


Shape = Box | Path | Mark | Words


@dataclass
class Drawing:
    """Shapes on a sheet; ``title`` is printed at its head, ``tells`` is for who cannot see it."""

    title: str
    tells: str
    width: float
    height: float
    shapes: list[Shape] = field(default_factory=list)


@dataclass(frozen=True)
class Figure:
    """Drawings that belong together, of one size more or less, and what is to be read from them."""

    name: str  # its file's
    title: str
    caption: str
    panels: tuple[Drawing, ...]
    of: str = ""  # its network, where a section has a figure for each


def text_width(text: str, size: float = 11.0) -> float:
    """Return about how many pixels a text takes: of a sans-serif letter, 0.56 of its size."""
    return 0.56 * size * len(text)


def lines_of(text: str, width: float, size: float = 11.0) -> list[str]:
    """Return a text cut into lines that fit.

    Examples
    --------
    >>> lines_of("one two three", 50)
    ['one two', 'three']
    """
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def sheet(figure: Figure, columns: int = 3, gap: float = 28.0) -> Drawing:
    """Return the panels of a figure side by side on one sheet, its title above them."""
    columns = min(columns, max(1, len(figure.panels)))
    width = gap + sum(_column_widths(figure.panels, columns)) + gap * columns
    drawn = Drawing(figure.title, f"{figure.title}. {figure.caption}", width, 0.0)
    top = 30.0
    drawn.shapes.append(Words(gap, top, figure.title, size=15, bold=True))
    for line in lines_of(figure.caption, width - 2 * gap):
        top += 17.0
        drawn.shapes.append(Words(gap, top, line, ink="muted"))
    top += 14.0
    for start in range(0, len(figure.panels), columns):
        row = figure.panels[start : start + columns]
        left = gap
        for panel, room in zip(row, _column_widths(figure.panels, columns), strict=False):
            drawn.shapes += [moved(shape, left, top) for shape in panel.shapes]
            left += room + gap
        top += max(panel.height for panel in row) + gap / 2
    drawn.height = top
    return drawn


def _column_widths(panels: tuple[Drawing, ...], columns: int) -> list[float]:
    return [
        max((panel.width for panel in panels[place::columns]), default=0.0) for place in range(columns)
    ]


def moved(shape: Shape, dx: float, dy: float) -> Shape:
    """Return a shape that stands elsewhere."""
    if isinstance(shape, Path):
        return shape._replace(points=tuple((x + dx, y + dy) for x, y in shape.points))
    return shape._replace(x=shape.x + dx, y=shape.y + dy)
