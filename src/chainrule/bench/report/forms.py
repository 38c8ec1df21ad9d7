"""The forms of the report: for a terminal, as Markdown, as JSON and as a page.

The page is one HTML file made from the template ``page.html``; it contains its figures and loads nothing.
"""

import json
import re
from html import escape
from importlib.util import find_spec
from pathlib import Path
from string import Template

from rich.console import Group, RenderableType
from rich.text import Text

from chainrule._version import how_to_install
from chainrule.bench.judge.results import Results
from chainrule.bench.report import drawing, tables, words
from chainrule.bench.report.charts import charts
from chainrule.bench.report.word_table import Table

# -- On a terminal -----


def terminal(run: Results) -> RenderableType:
    """Return the report for a terminal of 80 columns or more, to be printed by rich."""
    parts = [part for table in tables.summary(run) for part in (table.rich(), Text())]
    return Group(*parts, Text(f"measured on {words.line(run)}", style="dim"))


# -- As Markdown and as JSON -----


def _appendix(run: Results) -> list[Table]:
    return [tables.contestants(run), words.method(run), words.environment(run)]


def markdown(run: Results) -> str:
    """Return the report as Markdown."""
    parts = [*tables.summary(run), *_appendix(run)]
    return "\n\n".join(part.markdown() for part in parts) + "\n"


def derived(run: Results) -> str:
    """Return every table as JSON: its rows as records of text, and its notes."""
    every = [*tables.summary(run), *_appendix(run), tables.every_row(run)]
    record = {one.title: {"rows": one.records, "notes": one.notes} for one in every}
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


# -- As a page -----

OPEN = 2  # figures that are unfolded at first
_NO_FIGURES = f"<p>The figures need matplotlib: {how_to_install('plots')}, and make the report again."


def html(run: Results) -> str:
    """Return the report as one HTML file that contains its figures and loads nothing from elsewhere."""
    rows = tables.every_row(run)
    parts = {
        **{one.title: one.html() for one in tables.summary(run)},
        "Figures": _figures(run),
        **{one.title: one.html() for one in _appendix(run)},
        rows.title: "<p class=tools>Click a heading to sort." + rows.html(is_sortable=True),
    }
    names = {title: re.sub(r"\W+", "-", title.lower()) for title in parts}
    return Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8")).substitute(
        machine=escape(words.short(run)),
        where=escape(", ".join(filter(None, (words.short(run), words.date(run))))),
        dark=drawing.dark_rules(),
        links="".join(f'<a href="#{name}">{escape(title)}</a>' for title, name in names.items()),
        sections="\n".join(
            f'<section id="{names[title]}"><h2>{escape(title)}</h2>\n{text}</section>'
            for title, text in parts.items()
        ),
    )


def _figures(run: Results) -> str:
    """Return the figures; without matplotlib, how to install it."""
    if find_spec("matplotlib") is None:
        return _NO_FIGURES
    every = enumerate(charts(run))
    return "\n".join(_figure(chart, is_open=place < OPEN) for place, chart in every)


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
        f"<details{' open' if is_open else ''}><summary><h3>{escape(chart.title)}</h3></summary>\n"
        f"<figure><figcaption>{escape(chart.caption)}</figcaption>"
        f'<div class="panels">{panels}</div></figure></details>'
    )
