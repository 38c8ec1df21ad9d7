"""The canvas: figures without pyplot, colours for the colour-blind, and files.

pyplot keeps every figure until it is closed, and needs a display. These are plain ``matplotlib.figure.Figure``
objects, which Python frees like any other object.
"""

import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from chainrule.mathematics.naming import require
from chainrule.saving.files import PathLike, write_whole

# M. Okabe and K. Ito, "Color Universal Design" (2008), the darker ones first.
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")
PETROFF = "petroff10"  # M. A. Petroff, "Accessible Color Sequences for Data Visualization" (2021), arXiv:2107.02270
POSITIVE, NEGATIVE, QUIET = OKABE_ITO[0], OKABE_ITO[3], "0.45"

Ax: TypeAlias = Axes | Sequence[Axes] | None  # the axes to draw in; ``None`` for a new picture

# The metadata field of the date in each format.
_DATES = {".png": "Creation Time", ".svg": "Date", ".pdf": "CreationDate"}
# Equal pictures have equal bytes: no date, no random names. Text is stored as text.
_STEADY = {"svg.hashsalt": "chainrule", "svg.fonttype": "none"}


class Picture(Figure):  # type: ignore[misc]  # matplotlib is optional, so its classes are Any here
    """A figure that a notebook shows at the end of a cell, with or without pyplot."""

    def _repr_png_(self) -> bytes:
        return _written(self, ".png")


def panels(
    ax: Any, size: tuple[float, float], rows: int = 1, columns: int = 1, **options: Any
) -> tuple[list[Axes], Picture | Any]:
    """Return the axes to draw in, and the return value of the caller: a new picture, or ``ax``.

    Parameters
    ----------
    ax
        ``None``, an ``Axes``, or a sequence of ``rows * columns`` of them.
    size
        Width and height of a new picture, in inches.
    rows, columns, options
        Its grid, as ``Figure.subplots`` takes them.

    Returns
    -------
    axes : list of Axes
        One for each panel, row by row.
    picture : Picture or Axes
        The return value of the caller.

    Raises
    ------
    TypeError
        If ``ax`` holds something else than ``Axes``.
    ValueError
        If the number of ``Axes`` is not the number of panels.
    """
    if ax is None:
        picture = Picture(figsize=size, dpi=120, layout="constrained")
        return list(np.ravel(picture.subplots(rows, columns, **options))), picture
    axes = np.ravel(np.array(ax, dtype=object)).tolist()
    for one in axes:
        problem = f"ax is {type(one).__name__!r}, wanted a matplotlib Axes; leave it out for a picture"
        require(isinstance(one, Axes), problem, TypeError)
    count = rows * columns
    problem = f"ax has {len(axes)} Axes but there are {count} panels; give one for each, or none"
    require(len(axes) == count, problem)
    return axes, ax


def class_colours(count: int) -> list[str]:
    """Return ``count`` colours: Okabe and Ito's up to 8, Petroff's up to 10, then steps of viridis.

    Returns
    -------
    list of str
        Colours such as "#0072B2".

    Examples
    --------
    >>> class_colours(2)
    ['#0072B2', '#E69F00']
    """
    if count <= len(OKABE_ITO):
        return list(OKABE_ITO[:count])
    ten = matplotlib.color_sequences[PETROFF]
    steps = matplotlib.colormaps["viridis"](np.linspace(0.0, 1.0, count))  # (count, 4)
    return [to_hex(colour) for colour in (ten[:count] if count <= len(ten) else steps)]


def spans_decades(values: Any) -> bool:
    """Return whether a log scale suits: all finite values are above 0, the largest at least 10 times the smallest.

    Returns
    -------
    bool
        ``False`` if no value is finite.

    Examples
    --------
    >>> spans_decades([0.5, 0.04]), spans_decades([0.5, 0.4]), spans_decades([0.5, 0.0])
    (True, False, False)
    """
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    return bool(finite.size and finite.min() > 0 and finite.max() >= 10 * finite.min())


# Parts that an SVG inside a page does not need: metadata, comments, unused names, fonts (text takes
# the page's font), rotations by 0, digits beyond a hundredth of a point.
_NEEDLESS = re.compile(
    r"<metadata>.*?</metadata>|<!--.*?-->| id=\"[a-zA-Z]+[a-zA-Z.0-9]*_\d+\"| font-family: [^;]*;"
    r"| transform=\"rotate\(-0 [^)]*\)\"|(?<=\.\d\d)\d+(?=[^<>]*>)",
    re.DOTALL,
)


def inline_svg(picture: Figure) -> str:
    """Return a figure as a small SVG element for a page; its text takes the font of the page.

    Returns
    -------
    str
        The ``<svg>`` element.
    """
    text = _NEEDLESS.sub("", _written(picture, ".svg").decode())
    return re.sub(r"\s+", " ", text[text.index("<svg") :].strip()).replace("> <", "><")


def save(picture: Figure | Axes, path: PathLike, *, style: str = "") -> Path:
    """Write a picture to ``path`` as PNG, SVG or PDF, by its suffix.

    The same picture gives the same bytes: files hold no dates and no random names. The text of an SVG can be
    searched. If writing fails, an older file of that name stays as it was.

    Parameters
    ----------
    picture
        A picture of this package, or any matplotlib ``Figure`` or ``Axes``.
    path
        The file; an older one is replaced.
    style
        CSS rules for an SVG, for example to replace its colours on a dark screen. The SVG is then a small one.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If the suffix is not ``.png``, ``.svg`` or ``.pdf``.
    OSError
        If the folder does not exist or is not writable.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save(Picture(), Path(folder) / "empty.svg")
    ...     path.read_text()[:5]
    '<?xml'
    """
    path = Path(path)
    suffix = path.suffix.lower()
    problem = f"{path.name} ends in {suffix or 'no suffix'}; give a name that ends in .png, .svg or .pdf"
    require(suffix in _DATES, problem)
    content = _written(picture, suffix)
    if style and suffix == ".svg":
        rules = f"<style>text{{font-family:'DejaVu Sans',Verdana,sans-serif}}{style}</style>"
        content = inline_svg(picture).replace("<defs>", f"{rules}<defs>", 1).encode()
    write_whole(path, content)
    return path


def _written(picture: Figure | Axes, suffix: str) -> bytes:
    """Return a picture in the format of this suffix."""
    figure = picture.figure if isinstance(picture, Axes) else picture
    buffer = BytesIO()
    with matplotlib.rc_context(_STEADY):
        figure.savefig(buffer, format=suffix[1:], metadata={_DATES[suffix]: None})
    return buffer.getvalue()
