"""A table: a title, a head and rows of text, printed for a terminal or as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Table:
    """Rows of text under a head; ``notes`` follow it."""

    title: str
    head: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    texts: int = 1  # the first columns that are words; the others are aligned to the right

    def __str__(self) -> str:
        """Return it for a terminal."""
        lines = [self.head, *self.rows]
        widths = [max(len(line[place]) for line in lines) for place in range(len(self.head))]
        printed = ["  ".join(self._cells(line, widths)).rstrip() for line in lines]
        return "\n".join([self.title, "", *printed, *_apart(self.notes)])

    def markdown(self) -> str:
        """Return it as Markdown."""
        rule = ["---" if place < self.texts else "---:" for place in range(len(self.head))]
        printed = [f"| {' | '.join(line)} |" for line in (self.head, rule, *self.rows)]
        notes = [f"* {note}" for note in self.notes]
        return "\n".join([f"### {self.title}", "", *printed, *_apart(notes)])

    def _cells(self, line: Sequence[str], widths: Sequence[int]) -> list[str]:
        pairs = enumerate(zip(line, widths, strict=True))
        return [
            text.ljust(width) if place < self.texts else text.rjust(width)
            for place, (text, width) in pairs
        ]


def _apart(notes: Sequence[str]) -> list[str]:
    return ["", *notes] if notes else []


def number(value: float | None, suffix: str = "") -> str:
    """Return three digits of a number, or a dash for none.

    Examples
    --------
    >>> number(1234.5), number(0.9876, "x"), number(None)
    ('1235', '0.988x', '-')
    """
    if value is None:
        return "-"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f}{suffix}"
