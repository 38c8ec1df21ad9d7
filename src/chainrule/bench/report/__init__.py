"""The report: what a run says, as words, tables, figures, a page and JSON; nothing is measured here.

Every form of it says the same: all take what they say from one :class:`~.findings.Findings`.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from chainrule.bench.judge.results import Results
from chainrule.bench.report import as_json, as_markdown, charts, page
from chainrule.bench.report.drawings.shapes import sheet
from chainrule.bench.report.drawings.svg import document
from chainrule.bench.report.findings import Findings
from chainrule.bench.report.update import updated

if TYPE_CHECKING:
    from rich.console import RenderableType

# The forms of one report are made one after the other, from findings that take a while.
_found = lru_cache(maxsize=1)(Findings)


def terminal(results: Results) -> "RenderableType":
    """Return the report for a terminal of 80 columns or more, to be printed by rich."""
    from chainrule.bench.report import as_terminal

    return as_terminal.terminal(_found(results))


def markdown(results: Results) -> str:
    """Return the report as Markdown."""
    return as_markdown.markdown(_found(results))


def html(results: Results) -> str:
    """Return the report as one HTML file, its figures within it; it asks no other address for anything."""
    return page.html(_found(results))


def derived(results: Results) -> str:
    """Return all derived figures as JSON."""
    return json.dumps(as_json.derived(_found(results)), indent=1, ensure_ascii=False) + "\n"


def figures(results: Results, folder: Path, formats: Sequence[str] = ("svg",)) -> list[Path]:
    """Write the figures into a folder, and return their files.

    Parameters
    ----------
    results
        The figures of a run.
    folder
        Where they go; made where it is not there.
    formats
        "svg", "png" or both.

    Raises
    ------
    ImportError
        For "png", if matplotlib, the extra ``plots``, is not installed.
    """
    from chainrule.bench.report.drawings.raster import png

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    every = [one for drawn in charts.sections(_found(results)).values() for one in drawn]
    for one in every:
        drawing = sheet(one)
        for form in formats:
            file = folder / f"{one.name}.{form}"
            if form == "png":
                png(drawing, file)
            else:
                file.write_text(document(drawing), encoding="utf-8")
            written.append(file)
    return written


def readme(results: Results, picture: str = "", command: str = as_markdown.COMMAND) -> str:
    """Return the README's lines on speed: a picture, at most eight rows, the machine, the day, the command."""
    return as_markdown.readme(_found(results), picture, command)


def update(
    document: str, results: Results, picture: str = "", command: str = as_markdown.COMMAND
) -> str:
    """Return a document with its figures replaced: README's between ``speed``, a page's between ``results``.

    Raises
    ------
    ValueError
        If it has neither of the marks.
    """
    found = _found(results)
    parts = {
        "speed": as_markdown.readme(found, picture, command),
        "results": as_markdown.markdown(found),
    }
    return updated(document, parts)
