"""The report for a terminal."""

from collections.abc import Iterator
from dataclasses import replace

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from chainrule.bench.judge.results import Results
from chainrule.bench.report import conditions, tables, words
from chainrule.bench.report.word_table import Table

COLUMNS = 6  # side by side in 80 columns, after the first


def terminal(run: Results) -> RenderableType:
    """Return the report for a terminal of 80 columns or more, to be printed by rich."""
    parts: list[RenderableType] = [Text(line, style="magenta") for line in conditions.doubts(run)]
    parts += [Text()] if parts else []
    for paragraph in words.verdict(run):
        parts.append(Text(paragraph.subject or "Verdict", style="bold"))
        parts += [Padding(Text(sentence), (0, 0, 0, 2)) for sentence in paragraph.sentences]
        parts.append(Text())
    for table in tables.summary(run):
        for part in _narrow(table):
            parts += [part.rich(), Text()]
    return Group(*parts, Text(f"measured on {conditions.line(run)}", style="dim"))


def _narrow(table: Table) -> Iterator[Table]:
    """Return a table in parts of this many columns, each after the first column."""
    for start in range(1, len(table.head), COLUMNS):
        stop = start + COLUMNS
        head, *rows = ([line[0], *line[start:stop]] for line in (table.head, *table.rows))
        yield replace(table, head=head, rows=list(rows))
