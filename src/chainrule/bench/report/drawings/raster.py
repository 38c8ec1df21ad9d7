"""PNG: a drawing painted by matplotlib, the extra ``plots``."""

from pathlib import Path as File
from typing import Any

from chainrule.bench.report.drawings.inks import resolved
from chainrule.bench.report.drawings.shapes import Box, Drawing, Mark, Path, Shape, Words
from chainrule.bench.report.drawings.svg import outline

PIXELS_PER_INCH = 96.0  # a CSS pixel is 1/96 of an inch
SHARPNESS = 2.0


def png(drawing: Drawing, file: File) -> None:
    """Write a drawing, on a light page, two pixels for each of its own.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        msg = "PNG figures need matplotlib; install it with: pip install 'chainrule[plots]' (SVG needs nothing)"
        raise ImportError(msg) from None
    figure = Figure((drawing.width / PIXELS_PER_INCH, drawing.height / PIXELS_PER_INCH))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, drawing.width), ylim=(drawing.height, 0))
    axes.set_axis_off()
    for number, shape in enumerate(drawing.shapes):
        _paint(axes, shape, number)
    # No versions and no date in the file: the same drawing gives the same bytes.
    figure.savefig(
        file,
        dpi=SHARPNESS * PIXELS_PER_INCH,
        facecolor=resolved("page").light,
        metadata={"Software": None},
    )


def _paint(axes: Any, shape: Shape, number: int) -> None:
    if isinstance(shape, Box):
        _box(axes, shape, number)
    elif isinstance(shape, Path):
        _path(axes, shape, number)
    elif isinstance(shape, Mark):
        _mark(axes, shape, number)
    else:
        _words(axes, shape, number)


def _box(axes: Any, box: Box, number: int) -> None:
    from matplotlib.patches import Rectangle

    where = (box.x, box.y), box.width, box.height
    axes.add_patch(Rectangle(*where, facecolor=_light(box.fill), linewidth=0, zorder=number))
    if box.hatched:
        ink: dict[str, Any] = {"edgecolor": _light("hatch"), "alpha": 0.35}
        axes.add_patch(Rectangle(*where, fill=False, hatch="///", linewidth=0, zorder=number, **ink))


def _path(axes: Any, path: Path, number: int) -> None:
    from matplotlib.patches import Polygon

    look: dict[str, Any] = {
        "edgecolor": _light(path.stroke),
        "linewidth": _points(path.width) if path.stroke else 0,
    }
    look |= {"linestyle": (0, (5, 3)) if path.dashed else "solid", "alpha": path.opacity}
    area: dict[str, Any] = {
        "facecolor": _light(path.fill),
        "closed": bool(path.fill),
        "fill": bool(path.fill),
    }
    axes.add_patch(Polygon(path.points, zorder=number, **look, **area))


def _mark(axes: Any, mark: Mark, number: int) -> None:
    from matplotlib.patches import Circle, Polygon

    inside, edge = ("page", mark.fill) if mark.hollow else (mark.fill, "page")
    look = {"facecolor": _light(inside), "edgecolor": _light(edge), "linewidth": _points(1.2)}
    if mark.shape == "circle":
        axes.add_patch(Circle((mark.x, mark.y), mark.radius, zorder=number, **look))
    else:
        axes.add_patch(Polygon(outline(mark), closed=True, zorder=number, **look))


def _words(axes: Any, words: Words, number: int) -> None:
    from matplotlib.patheffects import withStroke

    sides = {"start": "left", "middle": "center", "end": "right"}
    axes.text(
        words.x,
        words.y,
        words.text.replace("$", r"\$"),  # no mathematics in it
        color=_light(words.ink),
        fontsize=0.9 * _points(words.size),  # its letters are wider than a browser's
        fontweight="bold" if words.bold else "normal",
        ha=sides[words.anchor],
        va="baseline",
        rotation=90 if words.turned else 0,
        rotation_mode="anchor",
        zorder=number,
        path_effects=[withStroke(linewidth=_points(3), foreground=_light(words.halo))]
        if words.halo
        else None,
    )


def _light(name: str) -> str:
    return resolved(name).light if name else "none"


def _points(pixels: float) -> float:
    return pixels * 72 / PIXELS_PER_INCH
