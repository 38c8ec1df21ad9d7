"""SVG: a drawing as text; its colours are classes, which the reader's scheme and the page may set."""

import math
import re
from html import escape

from chainrule.bench.report.drawings.inks import resolved
from chainrule.bench.report.drawings.shapes import Box, Drawing, Mark, Path, Point, Shape, Words

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"

# What the classes of a page make superfluous.
_OWN_COLOURS = re.compile(r' (?:fill|stroke)="#[0-9a-f]{6}"')


def inline(drawing: Drawing, identity: str) -> str:
    """Return the drawing for a page that has the classes of its inks."""
    head = f'<svg viewBox="0 0 {_n(drawing.width)} {_n(drawing.height)}" width="{_n(drawing.width)}"'
    titles = (
        f'<title id="{identity}-t">{escape(drawing.title)}</title>'
        f'<desc id="{identity}-d">{escape(drawing.tells)}</desc>'
    )
    labels = f'role="img" aria-labelledby="{identity}-t {identity}-d"'
    body = "\n".join(_shape(shape, identity) for shape in drawing.shapes)
    body = _OWN_COLOURS.sub("", f"{_hatch(identity)}\n{body}")
    return f"{head} {labels}>{titles}\n{body}\n</svg>"


def document(drawing: Drawing) -> str:
    """Return the drawing as a file of its own: light, or dark where the reader's scheme is."""
    identity = "figure"
    size = f'width="{_n(drawing.width)}" height="{_n(drawing.height)}"'
    box = f'viewBox="0 0 {_n(drawing.width)} {_n(drawing.height)}"'
    body = "\n".join(_shape(shape, identity) for shape in drawing.shapes)
    used = inks_of(drawing)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} role="img" font-family="{FONT}">\n'
        f"<title>{escape(drawing.title)}</title><desc>{escape(drawing.tells)}</desc>\n"
        f"<style>{stylesheet(used)}</style>\n{_hatch(identity)}\n"
        f'<rect width="100%" height="100%" {_look("page")}/>\n{body}\n</svg>\n'
    )


def inks_of(drawing: Drawing) -> set[str]:
    """Return the names of the inks that a drawing is made with."""
    names = {"page", "hatch"}
    for shape in drawing.shapes:
        names |= {getattr(shape, part, "") for part in ("fill", "stroke", "ink", "halo")}
    return names - {""}


def stylesheet(names: set[str]) -> str:
    """Return the rules of the inks for a file of its own: fills ``f-``, strokes ``s-``."""
    dark = "".join(_rules(name, resolved(name).dark) for name in sorted(names))
    return f"@media (prefers-color-scheme: dark) {{{dark}}}"


def _rules(name: str, colour: str) -> str:
    return f".f-{name}{{fill:{colour}}}.s-{name}{{stroke:{colour}}}"


def _hatch(identity: str) -> str:
    return (
        f'<defs><pattern id="{identity}-h" width="6" height="6" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><path d="M0 0V6" {_look("", "hatch")} stroke-width="1" opacity=".45"/>'
        "</pattern></defs>"
    )


def _shape(shape: Shape, identity: str) -> str:
    if isinstance(shape, Box):
        return _box(shape, identity)
    if isinstance(shape, Path):
        return _path(shape)
    return _mark(shape) if isinstance(shape, Mark) else _words(shape)


def _box(box: Box, identity: str) -> str:
    where = f'x="{_n(box.x)}" y="{_n(box.y)}" width="{_n(box.width)}" height="{_n(box.height)}"'
    where += f' rx="{_n(box.rounded)}"' if box.rounded else ""
    drawn = f"<rect {where} {_look(box.fill)}/>"
    drawn += f'<rect {where} fill="url(#{identity}-h)"/>' if box.hatched else ""
    return _said(drawn, box.says)


def _path(path: Path) -> str:
    points = "L".join(f"{_n(x)} {_n(y)}" for x, y in path.points)
    look = _look(path.fill, path.stroke)
    look += f' stroke-width="{_n(path.width)}" stroke-linejoin="round"' if path.stroke else ""
    look += ' stroke-dasharray="5 3"' if path.dashed else ""
    look += f' opacity="{path.opacity:.2g}"' if path.opacity != 1 else ""
    return f'<path d="M{points}{"Z" if path.fill else ""}" {look}/>'


def _mark(mark: Mark) -> str:
    look = _look("page", mark.fill) if mark.hollow else _look(mark.fill, "page")
    look += ' stroke-width="1.5"' if mark.hollow else ""
    if mark.shape == "circle":
        drawn = f'<circle cx="{_n(mark.x)}" cy="{_n(mark.y)}" r="{_n(mark.radius)}" {look}/>'
    else:
        points = "L".join(f"{_n(x)} {_n(y)}" for x, y in outline(mark))
        drawn = f'<path d="M{points}Z" {look}/>'
    return _said(drawn, mark.says)


def outline(mark: Mark) -> list[Point]:
    """Return the corners of a mark that is no circle."""
    x, y, r = mark.x, mark.y, mark.radius
    if mark.shape == "square":
        r *= 0.88
        return [(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)]
    if mark.shape == "cross":
        a, b = r * 0.38, r * 1.1
        corners = [
            (-a, -b),
            (a, -b),
            (a, -a),
            (b, -a),
            (b, a),
            (a, a),
            (a, b),
            (-a, b),
            (-a, a),
            (-b, a),
        ]
        return [(x + dx, y + dy) for dx, dy in [*corners, (-b, -a), (-a, -a)]]
    sides, r = (4, r * 1.2) if mark.shape == "diamond" else (3, r * 1.25)
    turns = [2 * math.pi * side / sides for side in range(sides)]
    return [(x + r * math.sin(turn), y - r * math.cos(turn)) for turn in turns]


def _words(words: Words) -> str:
    where = f'x="{_n(words.x)}" y="{_n(words.y)}"'
    look = _look(words.ink, words.halo) + f' font-size="{_n(words.size)}"'
    look += ' paint-order="stroke" stroke-width="3" stroke-linejoin="round"' if words.halo else ""
    look += f' text-anchor="{words.anchor}"' if words.anchor != "start" else ""
    look += ' font-weight="600"' if words.bold else ""
    look += f' transform="rotate(-90 {_n(words.x)} {_n(words.y)})"' if words.turned else ""
    return f"<text {where} {look}>{escape(words.text)}</text>"


def _said(drawn: str, says: str) -> str:
    return f"<g>{drawn}<title>{escape(says)}</title></g>" if says else drawn


def _look(fill: str, stroke: str = "") -> str:
    """Return the attributes of the inks: the light colours, and classes that rule over them."""
    classes = [f"{kind}-{name}" for kind, name in (("f", fill), ("s", stroke)) if name]
    look = f'class="{" ".join(classes)}" fill="{resolved(fill).light if fill else "none"}"'
    return look + (f' stroke="{resolved(stroke).light}"' if stroke else "")


def _n(value: float) -> str:
    """Return a number of pixels with one decimal at the most."""
    return f"{value:.1f}".removesuffix(".0")
