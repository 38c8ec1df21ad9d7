"""The forms of the report: for a terminal, as Markdown, as JSON and as a page.

The page is one HTML file made from the template ``page.html``; it contains its figures and loads nothing.
"""

import json
import math
from html import escape
from importlib.resources import files
from importlib.util import find_spec
from string import Template
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from chainrule._version import how_to_install
from chainrule.bench.judge.results import Results
from chainrule.bench.judge.statistics import BAND
from chainrule.bench.report import drawing, tables, words
from chainrule.bench.report.charts import sections

# -- On a terminal -----


def terminal(run: Results) -> RenderableType:
    """Return the report for a terminal of 80 columns or more, to be printed by rich."""
    parts = [part for table in tables.summary(run) for part in (table.rich(), Text())]
    return Group(*parts, Text(f"measured on {words.line(run)}", style="dim"))


# -- As Markdown -----


def markdown(run: Results) -> str:
    """Return the report as Markdown."""
    parts = [*tables.summary(run), tables.contestants(run), words.method(run), words.environment(run)]
    return "\n\n".join(part.markdown() for part in parts) + "\n"


# -- As JSON -----

SCHEMA = 4
DIGITS = 5  # significant digits: no time is known to more

# Times are in seconds per step, rates per second.
FIGURES = ("limit", "share", "step", "least", "samples_per_second", "rate", "bare", "first_call")
COLUMNS = ("cell", "contestant", "operation", "threads", "status", "reason", "flags", *FIGURES)


def derived(run: Results) -> str:
    """Return all results as JSON."""
    return json.dumps(record(run), indent=1, ensure_ascii=False) + "\n"


def record(run: Results) -> dict[str, Any]:
    """Return the doubts, the verdict, each cell and all rows; a row is an array whose names are in "columns"."""
    cells = []
    for one in run.slices:
        for cell in one.cells:
            _, other, standing, ratio, reason = one.match(cell)
            cells.append(
                {
                    "network": one.title,
                    "cell": cell.name,
                    "operation": one.operation,
                    "flops": cell.flops,
                    "fastest": one.leads.get(cell, []),  # then the backends that may be as fast
                    "other": other and other.place.contestant,
                    "standing": standing,
                    "reason": reason,
                    "times_as_fast": ratio
                    and [*map(_rounded, ratio)],  # the ratio, then the ends of its interval
                }
            )
    return {
        "schema": SCHEMA,
        "date": words.date(run),
        "machine": words.line(run),
        "doubts": words.doubts(run).notes,
        "verdict": tables.verdict(run).records,
        "band": BAND,
        "cells": cells,
        "rates": [line.line() for line in run.records.rates],
        "columns": list(COLUMNS),
        "rows": [
            [
                *(f.place.cell.name, *f.place[1:], f.status, f.reason, " ".join(f.flags)),
                *(_rounded(getattr(f, name)) for name in FIGURES),
            ]
            for f in run.rows
        ],
        "environments": run.environments,
    }


def _rounded(value: float | None) -> float | None:
    """Return a value with few digits; ``None`` for infinity, which JSON does not have."""
    return float(f"{value:.{DIGITS}g}") if value is not None and math.isfinite(value) else None


# -- As a page -----

CHARTS = {
    "map": "Fastest backend by size",
    "limit": "Distance from the machine's limit",
    "peers": "Compared with other libraries",
}
OPEN = 2  # figures per section that are unfolded at first
_NO_FIGURES = f"<p>The figures need matplotlib: {how_to_install('plots')}, and make the report again."
_OFFER = '<p class="tools">Click a heading to sort. <button type=button id=download hidden>Download the JSON</button>'


def html(run: Results) -> str:
    """Return the report as one HTML file that contains its figures and loads nothing from elsewhere."""
    machine, doubts = words.short(run), words.doubts(run)
    skip = 1 + bool(doubts.notes)  # the doubts and the verdict have their own sections
    parts = {
        "verdict": ("Verdict", tables.verdict(run).html()),
        **_charts(run),
        "tables": ("Tables", "".join(table.html() for table in tables.summary(run)[skip:])),
        "method": ("Method", words.method(run).html() + tables.contestants(run).html()),
        "environment": ("Environment", words.environment(run).html()),
        "rows": ("All rows", _OFFER + tables.every_row(run).html(is_sortable=True)),
    }
    # Without "<", no measured text can end the script.
    data = json.dumps(record(run), separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    return Template(files(__package__).joinpath("page.html").read_text(encoding="utf-8")).substitute(
        machine=escape(machine),
        where=escape(", ".join(filter(None, (machine, words.date(run))))),
        dark=drawing.dark_rules(),
        links="".join(f'<a href="#{name}">{escape(title)}</a>' for name, (title, _) in parts.items()),
        doubts=f"<aside class=doubts><h2>{doubts.title}</h2>{doubts.html()}</aside>"
        * bool(doubts.notes),
        sections="\n".join(
            f'<section id="{name}"><h2>{escape(title)}</h2>\n{text}</section>'
            for name, (title, text) in parts.items()
        ),
        data=f'<script type="application/json" id="data">{data}</script>\n',
    )


def _charts(run: Results) -> dict[str, tuple[str, str]]:
    """Return the title and the figures of each section; without matplotlib, how to install it."""
    if find_spec("matplotlib") is None:
        return {"map": (CHARTS["map"], _NO_FIGURES)}
    return {
        name: (
            CHARTS[name],
            "\n".join(_figure(chart, is_open=place < OPEN) for place, chart in enumerate(charts)),
        )
        for name, charts in sections(run).items()
        if charts
    }


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
