"""The report for a terminal."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from chainrule.bench.report import machine_facts, pivots, tables, words
from chainrule.bench.report.findings import Findings


def terminal(found: Findings) -> RenderableType:
    """Return the verdict, the pivots, how near the limit, and what was measured on, for 80 columns."""
    parts: list[RenderableType] = []
    for said in words.verdict(found):
        parts.append(Text(said.subject or "Verdict", style="bold"))
        parts += [Padding(Text(sentence), (0, 0, 0, 2)) for sentence in said.sentences]
        parts.append(Text())
    for table in [*pivots.pivots(found, columns=6), tables.efficiency(found), tables.missing(found)]:
        if table.rows:
            parts += [table.rich(), Text()]
    parts += [Text(f"measured on {machine_facts.line(found)}", style="dim")]
    parts += [Text(f"flag {line}", style="magenta") for line in machine_facts.flags(found)]
    return Group(*parts)
