"""The forms of the report: for a terminal, as Markdown, as JSON and as a page.

The page is one HTML file from the template ``page.html``. A large run is bounded, so that a telephone opens its page:
figures, rows and JSON beyond their shares of a megabyte and a half are left out, and the page says how to get them.
"""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from html import escape
from importlib.resources import files
from importlib.util import find_spec
from itertools import accumulate
from string import Template
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from chainrule._version import how_to_install
from chainrule.bench.cells import Cell
from chainrule.bench.judge.results import Figures, Results, Slice
from chainrule.bench.judge.statistics import BAND
from chainrule.bench.report import drawing, tables, words
from chainrule.bench.report.charts import sections
from chainrule.bench.report.word_table import Table, escaped

# -- On a terminal -----

SIDE_BY_SIDE = 6  # side by side in 80 columns, after the first


def terminal(run: Results) -> RenderableType:
    """Return the report for a terminal of 80 columns or more, to be printed by rich."""
    parts: list[RenderableType] = [Text(line, style="magenta") for line in words.doubts(run)]
    parts += [Text()] if parts else []
    for paragraph in words.verdict(run):
        parts.append(Text(paragraph.subject or "Verdict", style="bold"))
        parts += [Padding(Text(sentence), (0, 0, 0, 2)) for sentence in paragraph.sentences]
        parts.append(Text())
    for table in tables.summary(run):
        for part in _narrow(table):
            parts += [part.rich(), Text()]
    return Group(*parts, Text(f"measured on {words.line(run)}", style="dim"))


def _narrow(table: Table) -> Iterator[Table]:
    """Return a table in parts of this many columns, each after the first column."""
    for start in range(1, len(table.head), SIDE_BY_SIDE):
        stop = start + SIDE_BY_SIDE
        head, *rows = ([line[0], *line[start:stop]] for line in (table.head, *table.rows))
        yield replace(table, head=head, rows=list(rows))


# -- As Markdown -----


def markdown(run: Results) -> str:
    """Return the report as Markdown: the doubts, the verdict, the tables, the method and the machine."""
    doubts = words.doubts(run)
    parts = [
        _bullets("Read this first", doubts) if doubts else "",
        _bullets("Verdict", map(str, words.verdict(run))),
        *(table.markdown() for table in [*tables.summary(run), tables.contestants(run)]),
        _bullets("Method", words.method(run)),
        words.environment(run).markdown(),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _bullets(title: str, lines: Iterable[str]) -> str:
    return "\n".join([f"### {title}", "", *(f"- {escaped(line)}" for line in lines)])


# -- As JSON -----

SCHEMA = 3
DIGITS = 5  # significant ones: no time is known better

# Times in seconds a step, rates a second.
FIGURES = ("limit", "share", "step", "least", "samples_per_second", "rate", "bare", "first_call")
COLUMNS = ("cell", "contestant", "operation", "threads", "status", "reason", "flags", *FIGURES)


def derived(run: Results) -> str:
    """Return all derived figures as JSON."""
    return json.dumps(record(run), indent=1, ensure_ascii=False) + "\n"


def record(run: Results) -> dict[str, Any]:
    """Return the doubts, the verdict, each cell and all rows; a row is an array under "columns"."""
    cells = []
    for one in run.slices:
        for cell, leads in ((cell, one.leads.get(cell)) for cell in one.cells):
            facts = {"network": one.title, "cell": cell.name, "operation": one.operation}
            fastest = {"fastest": leads[0], "not_slower": leads} if leads else {}
            cells.append(facts | {"flops": cell.flops} | fastest | _against_others(one, cell))
    return {
        "schema": SCHEMA,
        "date": words.date(run),
        "machine": words.line(run),
        "doubts": words.doubts(run),
        "verdict": [str(paragraph) for paragraph in words.verdict(run)],
        "band": BAND,
        "cells": cells,
        "rates": [line.line() for line in run.records.rates],
        "columns": list(COLUMNS),
        "rows": [_row(figures) for figures in run.rows],
        "environments": run.environments,
    }


def _against_others(one: Slice, cell: Cell) -> dict[str, Any]:
    """Return how the fastest backend compares with the fastest of the other libraries, if there are any."""
    if not one.run.peers:
        return {}
    ours, other, standing, ratio, reason = one.match(cell)
    if ratio is None or ours is None or other is None:
        return {"against_others": {"status": standing, "reason": reason}}
    names = {"ours": ours.place.contestant, "other": other.place.contestant, "standing": standing}
    times = zip(("times_as_fast", "low", "high"), map(_rounded, ratio), strict=True)
    return {"against_others": names | dict(times)}


def _row(figures: Figures) -> list[Any]:
    """Return the figures of a contestant in a cell, in the order of :data:`COLUMNS`."""
    cell, *place = figures.place
    return [
        *(cell.name, *place, figures.status, figures.reason, " ".join(figures.flags)),
        *(_rounded(getattr(figures, name)) for name in FIGURES),
    ]


def _rounded(value: float | None) -> float | None:
    """Return a value with few digits; ``None`` for infinity, which JSON does not have."""
    return float(f"{value:.{DIGITS}g}") if value is not None and math.isfinite(value) else None


# -- As a page -----

SECTIONS = {
    "map": "Who is faster where",
    "limit": "Distance from the machine's limit",
    "throughput": "Throughput",
    "peers": "Compared with other libraries",
}
DRAWN = 200_000  # characters of the figures of a section
WIDE = 6  # columns from which a table takes the full width
LISTED = 1000  # rows of the table
DATA = 300_000  # characters of JSON
OPEN = 2  # figures of a section that are open at first
_COMMAND = "chainrule bench report FOLDER --format"
_LEFT_OUT = f"Left out to keep the page small: {{}}. {_COMMAND} svg draws all figures."
_NO_FIGURES = f"The figures need matplotlib: {how_to_install('plots')}, and make the report again."
_DOWNLOAD = "<button type=button id=download hidden>Download the JSON</button>"


def html(run: Results) -> str:
    """Return the report as one HTML file that contains its figures and loads nothing from elsewhere."""
    machine, doubts = words.short(run), words.doubts(run)
    data, charts = _data(run), _charts(run)
    # Of too many rows, those of our backends stay.
    kept = set(sorted(run.rows, key=lambda f: f.place.contestant not in run.backends)[:LISTED])
    rows = [figures for figures in run.rows if figures in kept]
    offer = _DOWNLOAD if data else f"{_COMMAND} json writes all rows."
    left_out = f"These are {len(rows)} of {len(run.rows)} rows. " if len(rows) < len(run.rows) else ""
    return Template(files(__package__).joinpath("page.html").read_text(encoding="utf-8")).substitute(
        machine=escape(machine),
        where=escape(", ".join(filter(None, (machine, words.date(run))))),
        dark=drawing.dark_rules(),
        links="".join(f'<a href="#{name}">{escape(SECTIONS[name])}</a>' for name in charts),
        doubts=f"<aside class=doubts><h2>Read this first</h2>{_list(doubts)}</aside>" if doubts else "",
        verdict="".join(map(_card, words.verdict(run))),
        figures="\n".join(charts.values()) or f"<p>{_NO_FIGURES}</p>",
        tables="\n".join(
            f"<div{' class=wide' * (len(table.head) > WIDE)}>{table.html()}</div>"
            for table in tables.summary(run)
        ),
        method=_list(words.method(run)),
        contestants=tables.contestants(run).html(),
        environment=words.environment(run).html(),
        offer=left_out + offer,
        rows=tables.every_row(rows).html(is_sortable=True),
        data=data,
    )


def _list(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}' for line in lines)}</ul>"


def _card(paragraph: words.Paragraph) -> str:
    first, *others = (escape(sentence) for sentence in paragraph.sentences)
    heading = f"<h3>{escape(paragraph.subject)}</h3>" if paragraph.subject else ""
    return f"<div>{heading}<p class=lead>{first}{''.join(f'<p>{line}' for line in others)}</div>"


def _charts(run: Results) -> dict[str, str]:
    """Return the sections with figures; nothing without matplotlib."""
    if find_spec("matplotlib") is None:
        return {}
    texts = {}
    for name, every in sections(run).items():
        figures = [_figure(chart, is_open=place < OPEN) for place, chart in enumerate(every)]
        sizes = accumulate(map(len, figures))
        shown = [figure for figure, size in zip(figures, sizes, strict=True) if size <= DRAWN]
        if left_out := "; ".join(chart.subject for chart in every[len(shown) :]):
            shown.append(f"<p class=where>{escape(_LEFT_OUT.format(left_out))}")
        if shown:
            heading = f'<section id="{name}"><h2>{SECTIONS[name]}</h2>'
            texts[name] = "\n".join([heading, *shown, "</section>"])
    return texts


def _figure(chart: drawing.Chart, *, is_open: bool) -> str:
    """Return a figure with its caption, which can be folded."""
    from chainrule.plots.canvas import inline_svg

    panels = "\n".join(
        inline_svg(drawing.picture([panel])).replace(
            "<svg", f'<svg role="img" aria-label="{escape(f"{panel.title}: {chart.alt}")}"', 1
        )
        for panel in chart.panels
    )
    return (
        f"<details{' open' if is_open else ''}><summary><h3>{escape(chart.subject)}</h3></summary>\n"
        f"<figure><figcaption>{escape(chart.caption)}</figcaption>"
        f'<div class="panels">{panels}</div></figure></details>'
    )


def _data(run: Results) -> str:
    """Return the JSON to download; nothing if it is too long for a page."""
    text = json.dumps(record(run), separators=(",", ":"), ensure_ascii=False)
    # Without "<", no measured text can end the script.
    text = text.replace("<", "\\u003c")
    return f'<script type="application/json" id="data">{text}</script>\n' if len(text) <= DATA else ""
