"""The report as Markdown, and its few lines for the README."""

from collections.abc import Iterable

from chainrule.bench.report import conditions, tables, words
from chainrule.bench.report.findings import Findings
from chainrule.bench.report.word_table import Table, escaped

COMMAND = "chainrule bench run -o results && chainrule bench report results"
ROWS = 8
COLUMNS = 6  # contestants, at most: a telephone cuts off a wider table


def markdown(found: Findings) -> str:
    """Return the doubts, the verdict, all tables but that of all rows, the method and the machine."""
    doubts = conditions.doubts(found)
    environment = Table("Measured on", ["fact", "value"], list(conditions.rows(found)), texts=2)
    parts = [
        *([_list("Read this first", doubts)] if doubts else []),
        _list("Verdict", map(str, words.verdict(found))),
        *(table.markdown() for table in tables.summary(found)),
        _list("Contestants", (f"{name}: {text}" for name, text in tables.contestants(found))),
        _list("Method", conditions.method(found)),
        environment.markdown() if environment.rows else f"Measured on {conditions.UNKNOWN}.",
    ]
    return "\n\n".join(parts) + "\n"


def _list(title: str, lines: Iterable[str]) -> str:
    return "\n".join([f"### {title}", "", *(f"- {escaped(line)}" for line in lines)])


def readme(found: Findings, picture: str = "", command: str = COMMAND) -> str:
    """Return the doubts, the verdict's first sentences, a table of at most eight rows and the machine.

    Parameters
    ----------
    found
        The findings.
    picture
        The path of a figure to show above the table; empty for none.
    command
        The command that measures and reports again.
    """
    grid = next((one for one in found.slices if one.is_grid), None)
    alt = f"The fastest backend by hidden size and batch size{f': {grid.title}' if grid else ''}"
    table = tables.readme_times(found, ROWS, COLUMNS)
    day = conditions.date(found)
    parts = [
        f"![{alt}]({picture})" if picture else "",
        " ".join(conditions.doubts(found)),
        " ".join(words.verdict(found)[0].sentences[:2]),
        table.markdown(level=0) if table.rows else "",
        f"Measured on {conditions.line(found)}{f'; {day}' if day else ''}; `{command}` measures yours.",
    ]
    return "\n\n".join(filter(None, parts))
