"""The report of a run as text, tables, figures, a page and JSON; nothing is measured here.

Every form reads the same :class:`~.findings.Findings`.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from chainrule.bench.judge.results import Results
from chainrule.bench.report import as_json, as_markdown, charts, page
from chainrule.bench.report.charts.drawing import dark_rules
from chainrule.bench.report.charts.drawing import picture as drawn
from chainrule.bench.report.findings import Findings
from chainrule.bench.report.update import updated

if TYPE_CHECKING:
    from rich.console import RenderableType

# The forms of one report are made one after the other, and findings take a while.
_findings = lru_cache(maxsize=1)(Findings)


def terminal(results: Results) -> "RenderableType":
    """Return the report for a terminal of 80 columns or more, to be printed by rich."""
    from chainrule.bench.report import as_terminal

    return as_terminal.terminal(_findings(results))


def markdown(results: Results) -> str:
    """Return the report as Markdown."""
    return as_markdown.markdown(_findings(results))


def html(results: Results) -> str:
    """Return the report as one HTML file that contains its figures and loads nothing from elsewhere."""
    return page.html(_findings(results))


def derived(results: Results) -> str:
    """Return all derived figures as JSON."""
    return json.dumps(as_json.derived(_findings(results)), indent=1, ensure_ascii=False) + "\n"


def figures(results: Results, folder: Path, formats: Sequence[str] = ("svg",)) -> list[Path]:
    """Write the figures into a folder, and return their files.

    Parameters
    ----------
    results
        The results of a run.
    folder
        The folder of the files; it is made if it does not exist.
    formats
        "svg", "png" or both.

    Raises
    ------
    ImportError
        If matplotlib, the extra ``plots``, is not installed.
    """
    from chainrule.plots.canvas import save

    folder.mkdir(parents=True, exist_ok=True)
    every = [chart for section in charts.sections(_findings(results)).values() for chart in section]
    return [
        save(drawn(chart), folder / f"{chart.name}.{form}", style=dark_rules())
        for chart in every
        for form in formats
    ]


def readme(results: Results, picture: str = "", command: str = as_markdown.COMMAND) -> str:
    """Return the README's part: a picture, the verdict, at most eight rows, the machine, the command."""
    return as_markdown.readme(_findings(results), picture, command)


def update(
    document: str, results: Results, picture: str = "", command: str = as_markdown.COMMAND
) -> str:
    """Return a document with the text between its marks replaced: ``speed`` or ``results``.

    ``speed`` marks the README's part, ``results`` the whole report.

    Raises
    ------
    ValueError
        If the document has neither of the marks.
    """
    parts = {"speed": readme(results, picture, command), "results": markdown(results)}
    return updated(document, parts)
