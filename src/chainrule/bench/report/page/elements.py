"""Elements of HTML; all text is escaped here."""

from collections.abc import Iterable
from html import escape

from chainrule.bench.report.word_table import Table


def element(name: str, text: str, kind: str = "") -> str:
    """Return an element that holds text.

    Examples
    --------
    >>> element("p", "1 < 2", "note")
    '<p class="note">1 &lt; 2</p>'
    """
    opened = f'{name} class="{kind}"' if kind else name
    return f"<{opened}>{escape(text)}</{name}>"


def listed(lines: Iterable[str]) -> str:
    """Return a list."""
    items = "".join(element("li", line) for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Return names and what they are."""
    return "<dl>" + "".join(element("dt", name) + element("dd", value) for name, value in rows) + "</dl>"


def table(given: Table) -> str:
    """Return a table that a heading sorts, in a box of its own that scrolls."""
    head = "".join(
        f'<th scope="col"{_side(place, given)}><button type="button">{escape(text)}</button></th>'
        for place, text in enumerate(given.head)
    )
    rows = "\n".join(
        f"<tr>{''.join(_cell(place, text, given) for place, text in enumerate(row))}"
        for row in given.rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(given.title)}"><table class="sortable">'
        f"<caption>{escape(given.title)}</caption><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>"
    )


def _cell(place: int, text: str, given: Table) -> str:
    # Without the end tags, which HTML does not need: of thousands of cells they are a tenth of the page.
    return f"<{'th scope=row' if place == 0 else 'td'}{_side(place, given)}>{escape(text)}"


def _side(place: int, given: Table) -> str:
    if place >= given.texts:
        return " class=n"
    return " class=w" if place and place == given.texts - 1 else ""  # the last text is the longest
