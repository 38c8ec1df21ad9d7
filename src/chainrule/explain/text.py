"""Text: an explanation for the terminal, printed by rich, in colour if the terminal has colours."""

from collections.abc import Iterator
from io import StringIO
from typing import Any

from rich.console import Console, Group
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from chainrule.explain.records import CAPTION, COLUMNS, Document, Line, figures

_INDENT = 6
_WIDTH = 80


def renderable(document: Document) -> Group:
    """Return the explanation for rich to print."""
    return Group(*_parts(document))


def plain(document: Document) -> str:
    """Return the explanation without colour, 80 columns wide."""
    console = Console(file=StringIO(), width=_WIDTH, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(renderable(document))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _parts(document: Document) -> Iterator[Any]:
    yield Text(document.title, style="bold")
    yield Text(document.subtitle)
    for heading, lines in document.sections:
        yield _rule(heading)
        for line in lines:
            yield from _line(line)
    table = Table(title=CAPTION, title_justify="left", title_style="")
    table.add_column(COLUMNS[0], style="bold cyan", no_wrap=True)
    for name in COLUMNS[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    for row in document.rows:
        table.add_row(*row)
    yield from (table, Text(document.losses))
    yield _rule("what is wrong" if document.flags else "nothing wrong was found")
    for flag in document.flags:
        yield Text.assemble((f"! {flag.kind}, {flag.where}: ", "bold red"), flag.what)
        yield _indented(Text.assemble(("what to do: ", "bold"), flag.remedy), 2)
    for question in document.undecided:
        yield Text(f"undecided: {question}")


def _rule(heading: str) -> Rule:
    return Rule(heading, style="dim", align="left")


def _line(line: Line) -> Iterator[Any]:
    right = f" {'<-' if line.renews else '='} {line.formula.text}" if line.formula.text else ""
    yield Text.assemble("  ", (line.symbol.text, "bold cyan"), right)
    for product in line.products:
        yield _indented(Text(product, style="magenta"))
    if line.source:
        yield _indented(Text.assemble((f"{line.source}  ", "dim"), (line.code, "green")))
    yield _indented(Text(figures(line, _WIDTH - _INDENT)))


def _indented(text: Text, columns: int = _INDENT) -> Padding:
    return Padding(text, (0, 0, 0, columns), expand=False)
