"""A table: a title, a head and rows of text, printed for a terminal or as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table as RichTable

# What a cell's tone is on a terminal; where there is no colour, its sign says the same.
STYLES = {
    "good": "bold green",
    "bad": "bold red",
    "same": "cyan",
    "unsure": "yellow",
    "doubtful": "bold magenta",
    "absent": "dim",
}


class Toned(str):
    """Text with a tone, one of :data:`STYLES`."""

    tone: str
    __slots__ = ("tone",)

    def __new__(cls, text: str, tone: str = "") -> Self:
        """Return the text."""
        new = super().__new__(cls, text)
        new.tone = tone
        return new


@dataclass
class Table:
    """Rows of text under a head; ``notes`` follow it. A line break in a cell is one on a terminal alone."""

    title: str
    head: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    texts: int = 1  # the first columns that are words; the others are aligned to the right

    def __str__(self) -> str:
        """Return it for a terminal."""
        lines = [[text.replace("\n", " ") for text in line] for line in (self.head, *self.rows)]
        widths = [max(len(line[place]) for line in lines) for place in range(len(self.head))]
        printed = ["  ".join(self._cells(line, widths)).rstrip() for line in lines]
        return "\n".join([self.title, "", *printed, *_apart(self.notes)])

    def markdown(self, level: int = 3) -> str:
        """Return it as Markdown, its title a heading of this level; 0 for none."""
        rule = ["---" if place < self.texts else "---:" for place in range(len(self.head))]
        head, *rows = ([escaped(text) for text in line] for line in (self.head, *self.rows))
        printed = [f"| {' | '.join(line)} |" for line in (head, rule, *rows)]
        heading = [f"{'#' * level} {self.title}", ""] if level else []
        return "\n".join([*heading, *printed, *_apart([f"* {note}" for note in self.notes])])

    def rich(self) -> "RenderableType":
        """Return it for rich, in colour; its title and its notes may be wider than it is."""
        from rich.console import Group
        from rich.text import Text

        title = Text(self.title, style="bold")
        return Group(title, self._grid(), *(Text(note, style="dim") for note in self.notes))

    def _grid(self) -> "RichTable":
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        drawn = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        for place, heading in enumerate(self.head):
            is_text = place < self.texts
            # Words may be broken over lines, but for the first column: what a row is about. Nothing is cut off.
            drawn.add_column(
                Text(heading),
                justify="left" if is_text else "right",
                no_wrap=not is_text or place == 0,
                overflow="fold",
            )
        for row in self.rows:
            drawn.add_row(*(Text(text, style=STYLES.get(getattr(text, "tone", ""), "")) for text in row))
        return drawn

    def _cells(self, line: Sequence[str], widths: Sequence[int]) -> list[str]:
        pairs = enumerate(zip(line, widths, strict=True))
        return [
            text.ljust(width) if place < self.texts else text.rjust(width)
            for place, (text, width) in pairs
        ]


def escaped(text: str) -> str:
    r"""Return text that stays within its cell of a Markdown table, and is text there.

    Examples
    --------
    >>> escaped("a|b <script>")
    'a\\|b &lt;script>'
    """
    return text.replace("\n", " ").replace("|", "\\|").replace("<", "&lt;")


def _apart(notes: Sequence[str]) -> list[str]:
    return ["", *notes] if notes else []


def number(value: float | None, suffix: str = "") -> str:
    """Return three digits of a number, or a dash for none.

    Examples
    --------
    >>> number(1234.6), number(0.9876, "x"), number(None)
    ('1235', '0.988x', '-')
    """
    if value is None:
        return "-"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f}{suffix}"


PREFIXES = (
    (1e12, "T"),
    (1e9, "G"),
    (1e6, "M"),
    (1e3, "k"),
    (1.0, ""),
    (1e-3, "m"),
    (1e-6, "µ"),
    (1e-9, "n"),
)


def scaled(value: float | None, unit: str = "") -> str:
    """Return three digits of a number with the prefix of its size, or a dash for none.

    Examples
    --------
    >>> scaled(0.00023149, "s"), scaled(43.2e9, "FLOP/s"), scaled(512, "")
    ('231 µs', '43.2 GFLOP/s', '512')
    >>> scaled(0.0, "s"), scaled(None)
    ('0 s', '-')
    """
    if value is None:
        return "-"
    if value == 0:
        return f"0 {unit}".strip()
    size, prefix = next(((s, p) for s, p in PREFIXES if abs(value) >= 0.9995 * s), PREFIXES[-1])
    return f"{_three(value / size)} {prefix}{unit}".strip()


def _three(value: float) -> str:
    return f"{value:#.3g}".rstrip(".") if abs(value) < 999.5 else f"{value:.0f}"
