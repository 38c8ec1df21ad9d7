"""A table of text, printed on a terminal, as Markdown or as HTML; numbers as text: three significant digits."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from chainrule.backends.speed_map.spots import three_digits

NONE = "-"

# The sign after a ratio, by verdict; the letter in a cell without a result, by reason.
SIGNS = {"faster": "▲", "slower": "▼", "same": "=", "undecided": "?"}
LETTERS = {"skipped": "s", "interrupted": "i", "wrong": "w", "failed": "f", "invalid": "!"}
LETTERS |= {"not measured": "·"}
# Their styles on a terminal; the signs alone carry the same information.
STYLES = {"▲": "bold green", "▼": "bold red", "=": "cyan", "?": "yellow", "!": "yellow"}
STYLES |= dict.fromkeys("siwf·", "dim")
_BUTTON = "<button type=button>{}</button>"


@dataclass
class Table:
    """Rows of text under a head, followed by notes; without a head, the notes alone.

    Only a terminal and a page break a line within a cell.
    """

    title: str
    head: Sequence[str] = ()
    rows: list[Sequence[str]] = field(default_factory=list)
    notes: Sequence[str] = ()
    texts: int = 1  # number of leading columns with words; the others are aligned to the right

    @property
    def records(self) -> list[dict[str, str]]:
        """The rows by the names of the columns, each text on one line."""
        head, *rows = ([text.replace("\n", " ") for text in line] for line in (self.head, *self.rows))
        return [dict(zip(head, row, strict=True)) for row in rows]

    def markdown(self, level: int = 3) -> str:
        """Return the table as Markdown, with its title as a heading of this level; 0 for no title."""
        rule = ["---" if place < self.texts else "---:" for place in range(len(self.head))]
        head, *rows = ([escaped(text) for text in line] for line in (self.head, *self.rows))
        parts = [
            f"{'#' * level} {self.title}" if level else "",
            "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *rows) if self.head),
            "\n".join(f"- {escaped(note)}" for note in self.notes),
        ]
        return "\n\n".join(filter(None, parts))

    def rich(self) -> RenderableType:
        """Return the table for rich, in colour; title and notes may be wider than the table."""
        table = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        for place, heading in enumerate(self.head):
            is_text = place < self.texts
            # Only words are broken over lines, except in the first column, which names the row.
            table.add_column(
                Text(heading),
                justify="left" if is_text else "right",
                no_wrap=not is_text or place == 0,
                overflow="fold",
            )
        for row in self.rows:
            table.add_row(*(Text(text, STYLES.get(text[-1:], "")) for text in row))
        body = [table] if self.head else []
        notes = [Text(note, style="dim" if self.head else "") for note in self.notes]
        return Group(Text(self.title, style="bold"), *body, *notes)

    def html(self, *, is_sortable: bool = False) -> str:
        """Return the table as HTML in a box that scrolls; a sortable table has a button in each heading."""
        if not self.head:
            return f"<ul>{''.join(f'<li>{escape(note)}' for note in self.notes)}</ul>"
        # Without end tags, which HTML does not need: for thousands of cells, they would be a tenth of the page.
        head = "".join(
            f"<th scope=col{self._side(place)}>{_BUTTON.format(text) if is_sortable else text}"
            for place, text in enumerate(map(escape, self.head))
        )
        rows = "\n".join(
            "<tr>"
            + "".join(
                f"<{'td' if place else 'th scope=row'}{self._side(place)}>{escape(text)}"
                for place, text in enumerate(row)
            )
            for row in self.rows
        )
        notes = "".join(f'<p class="note">{escape(note)}</p>' for note in self.notes)
        kind, title = " class=sortable" if is_sortable else "", escape(self.title)
        return (
            f'<div class="scroll" tabindex="0" role="region" aria-label="{title}"><table{kind}>'
            f"<thead><tr>{head}</thead>\n<tbody>\n{rows}\n</tbody></table></div>{notes}"
        )

    def _side(self, place: int) -> str:
        """Return the class of a column: numbers are aligned to the right, the last words may wrap."""
        if place >= self.texts:
            return " class=n"
        return " class=w" if place and place == self.texts - 1 else ""


def escaped(text: str) -> str:
    r"""Return text that stays within its cell of a Markdown table, without HTML tags.

    Examples
    --------
    >>> escaped("a|b <script>")
    'a\\|b &lt;script>'
    """
    return text.replace("\n", " ").replace("|", "\\|").replace("<", "&lt;")


def number(value: float | None) -> str:
    """Return three significant digits of a number, or a dash for ``None``.

    Examples
    --------
    >>> number(2.0), number(None)
    ('2.00', '-')
    """
    return NONE if value is None else three_digits(value)


def microseconds(seconds: float | None) -> str:
    """Return a time as a number of microseconds, the unit of all tables."""
    return number(None if seconds is None else 1e6 * seconds)


def percent(share: float | None) -> str:
    """Return a share as a whole percentage.

    Examples
    --------
    >>> percent(0.886), percent(0.002), percent(None)
    ('89 %', '0.2 %', '-')
    """
    if share is None:
        return NONE
    return f"{100 * share:.{1 if 0 < share < 0.00995 else 0}f} %"
