"""The report as Markdown, its few lines for the README, and documents that hold either of them."""

import re
from collections.abc import Iterable

from chainrule.bench.judge.results import Results
from chainrule.bench.report import conditions, tables, words
from chainrule.bench.report.word_table import escaped

COMMAND = "chainrule bench run -o results && chainrule bench report results"
ROWS = 8
COLUMNS = 6  # contestants, at most: a telephone cuts off a wider table


def markdown(run: Results) -> str:
    """Return the report as Markdown: the doubts, the verdict, the tables, the method and the machine."""
    doubts = conditions.doubts(run)
    parts = [
        _list("Read this first", doubts) if doubts else "",
        _list("Verdict", map(str, words.verdict(run))),
        *(table.markdown() for table in [*tables.summary(run), tables.contestants(run)]),
        _list("Method", conditions.method(run)),
        conditions.environment(run).markdown(),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _list(title: str, lines: Iterable[str]) -> str:
    return "\n".join([f"### {title}", "", *(f"- {escaped(line)}" for line in lines)])


def readme(run: Results, picture: str = "") -> str:
    """Return the README's part: the doubts, the verdict's first sentences, at most eight rows, the machine.

    Parameters
    ----------
    run
        The results of a run.
    picture
        The path of a figure to show above the table; empty for none.
    """
    grid = next((one for one in run.slices if one.is_grid), None)
    alt = f"The fastest backend by hidden size and batch size{f': {grid.title}' if grid else ''}"
    table = tables.readme_times(run, ROWS, COLUMNS)
    day = conditions.date(run)
    parts = [
        f"![{alt}]({picture})" if picture else "",
        " ".join(conditions.doubts(run)),
        " ".join(words.verdict(run)[0].sentences[:2]),
        table.markdown(level=0) if table.rows else "",
        f"Measured on {conditions.line(run)}{f'; {day}' if day else ''}; `{COMMAND}` measures yours.",
    ]
    return "\n\n".join(filter(None, parts))


def update(document: str, run: Results, picture: str = "") -> str:
    """Return a document with the text between its marks replaced.

    ``<!-- speed -->`` and ``<!-- /speed -->`` mark the README's part, ``results`` the whole report.

    Raises
    ------
    ValueError
        If the document has neither of the marks.
    """
    parts = {"speed": readme(run, picture), "results": markdown(run)}
    marked = re.compile(r"(<!-- (speed|results) -->)\n.*?(<!-- /\2 -->)", re.DOTALL)
    text, count = marked.subn(
        lambda match: f"{match[1]}\n{parts[match[2]].strip()}\n{match[3]}", document
    )
    if count == 0:
        marks = " or ".join(f"<!-- {name} --> ... <!-- /{name} -->" for name in parts)
        msg = (
            f"nothing to update: the document has no marks {marks}; add them around the part to replace"
        )
        raise ValueError(msg)
    return text
