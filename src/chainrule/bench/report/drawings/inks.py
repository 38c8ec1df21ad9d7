"""Inks: the colours of the report by name, on a light and on a dark page.

The two ends of the diverging scale are blue and orange, told apart with every common colour blindness; the
colours of the contestants differ in lightness too, and each has a mark of its own. As text, each has a
contrast of at least 4.5 with its page (WCAG 2.2, 1.4.3).
"""

import math
from typing import NamedTuple


class Ink(NamedTuple):
    """A colour on a light page and on a dark one."""

    light: str
    dark: str


INKS = {
    "page": Ink("#ffffff", "#14171b"),
    "panel": Ink("#f6f7f8", "#1c2026"),
    "ink": Ink("#1b1f24", "#e6e9ed"),
    "muted": Ink("#575f68", "#a3abb5"),
    "grid": Ink("#e1e4e8", "#2d333b"),
    "line": Ink("#8c959f", "#6e7681"),
    "absent": Ink("#e4e6e9", "#2b3037"),
    "hatch": Ink("#1b1f24", "#e6e9ed"),
    # The contestants.
    "blue": Ink("#0b5fa5", "#6cb2f0"),
    "vermilion": Ink("#b8470b", "#ff9d66"),
    "green": Ink("#0a7350", "#4ccfa0"),
    "purple": Ink("#8b3a86", "#e39be0"),
    "ochre": Ink("#7d6000", "#dcb64a"),
    "sky": Ink("#0f6f86", "#62cbe2"),
    "red": Ink("#b3263a", "#ff8f9c"),
    "grey": Ink("#5b626b", "#a9b1bb"),
    # The parts of a step.
    "products": Ink("#4f93c8", "#4a8fc6"),
    "elementwise": Ink("#e3a23c", "#b9802a"),
    "dispatch": Ink("#b06aa9", "#b878b1"),
    "rest": Ink("#c3c8ce", "#4b525b"),
    # The diverging scale, from far slower to far faster.
    "slower-4": Ink("#a84c00", "#f0924a"),
    "slower-3": Ink("#d97a2b", "#c4692a"),
    "slower-2": Ink("#f0a868", "#8f4d1f"),
    "slower-1": Ink("#fad6b4", "#5a3722"),
    "level": Ink("#f0f0ee", "#33373d"),
    "faster-1": Ink("#c9dff0", "#1f3c55"),
    "faster-2": Ink("#8fbfe0", "#245a86"),
    "faster-3": Ink("#4a93c9", "#3d8cc8"),
    "faster-4": Ink("#1564a3", "#68b0e8"),
    # Hidden sizes, narrow to wide.
    "depth-0": Ink("#9fb8d8", "#33507a"),
    "depth-1": Ink("#6f95c8", "#4a73ab"),
    "depth-2": Ink("#4572b0", "#6d9bd6"),
    "depth-3": Ink("#285290", "#99c0ef"),
    "depth-4": Ink("#123466", "#c9e0fb"),
}

CONTESTANTS = {
    "numpy": ("ochre", "square"),
    "numpy-jit": ("blue", "circle"),
    "torch": ("vermilion", "diamond"),
    "jax": ("green", "triangle"),
    "cupy": ("purple", "cross"),
    "notebook": ("grey", "square"),
    "sklearn": ("sky", "triangle"),
    "torch-eager": ("red", "diamond"),
    "torch-manual": ("vermilion", "circle"),
    "torch-compile": ("purple", "square"),
    "torch-graph": ("purple", "cross"),
    "jax-jit": ("green", "circle"),
    "jax-scan": ("ochre", "triangle"),
}
# log2 of a ratio from which each step of the scale begins: 1.07, 1.41, 2 and 4 times.
STEPS = (0.1, 0.5, 1.0, 2.0)


def contestant(name: str) -> tuple[str, str]:
    """Return the ink and the mark of a contestant."""
    return CONTESTANTS.get(name, ("grey", "circle"))


def diverging(ratio: float) -> str:
    """Return the ink of a ratio.

    Examples
    --------
    >>> diverging(1.0), diverging(3.0), diverging(0.1)
    ('level', 'faster-3', 'slower-4')
    """
    size = sum(abs(math.log2(ratio)) >= step for step in STEPS)
    return "level" if size == 0 else f"{'faster' if ratio > 1 else 'slower'}-{size}"


def depth(place: int, places: int) -> str:
    """Return the ink of one of several hidden sizes, from narrow to wide."""
    return f"depth-{round(4 * place / max(1, places - 1))}"


def over(fill: str) -> str:
    """Return the ink of text over a fill."""
    return f"on-{fill}"


def resolved(name: str) -> Ink:
    """Return the colours of an ink; of text on a fill, whichever of black and white stands out."""
    if not name.startswith("on-"):
        return INKS[name]
    fill = INKS[name.removeprefix("on-")]
    return Ink(*(_readable(colour) for colour in fill))


def _readable(colour: str) -> str:
    dark, white = "#111418", "#ffffff"
    return max((dark, white), key=lambda text: contrast(text, colour))


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2.2).

    Examples
    --------
    >>> round(contrast("#000000", "#ffffff"))
    21
    """
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
