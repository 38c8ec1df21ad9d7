"""The page: the whole report in one HTML file, from the template ``page.html``.

A large run is bounded, so that a telephone opens its page: figures, rows and JSON beyond their shares of a
megabyte and a half are left out, and the page says how to get them.
"""

import json
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from importlib.util import find_spec
from itertools import accumulate
from string import Template

from chainrule._version import how_to_install
from chainrule.bench.judge.results import Results
from chainrule.bench.report import as_json, conditions, tables, words
from chainrule.bench.report.charts import sections
from chainrule.bench.report.charts.drawing import Chart, dark_rules, picture

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
    machine, doubts = conditions.short(run), conditions.doubts(run)
    data, charts = _data(run), _charts(run)
    # Of too many rows, those of our backends stay.
    kept = set(sorted(run.rows, key=lambda f: f.place.contestant not in run.backends)[:LISTED])
    rows = [figures for figures in run.rows if figures in kept]
    offer = _DOWNLOAD if data else f"{_COMMAND} json writes all rows."
    left_out = f"These are {len(rows)} of {len(run.rows)} rows. " if len(rows) < len(run.rows) else ""
    return Template(files(__package__).joinpath("page.html").read_text(encoding="utf-8")).substitute(
        machine=escape(machine),
        where=escape(", ".join(filter(None, (machine, conditions.date(run))))),
        dark=dark_rules(),
        links="".join(f'<a href="#{name}">{escape(SECTIONS[name])}</a>' for name in charts),
        doubts=f"<aside class=doubts><h2>Read this first</h2>{_list(doubts)}</aside>" if doubts else "",
        verdict="".join(map(_card, words.verdict(run))),
        figures="\n".join(charts.values()) or f"<p>{_NO_FIGURES}</p>",
        tables="\n".join(
            f"<div{' class=wide' * (len(table.head) > WIDE)}>{table.html()}</div>"
            for table in tables.summary(run)
        ),
        method=_list(conditions.method(run)),
        contestants=tables.contestants(run).html(),
        environment=conditions.environment(run).html(),
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


def _figure(chart: Chart, *, is_open: bool) -> str:
    """Return a figure with its caption, which can be folded."""
    from chainrule.plots.canvas import inline_svg

    panels = "\n".join(
        inline_svg(picture([panel])).replace(
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
    text = json.dumps(as_json.record(run), separators=(",", ":"), ensure_ascii=False)
    # Without "<", no measured text can end the script.
    text = text.replace("<", "\\u003c")
    return f'<script type="application/json" id="data">{text}</script>\n' if len(text) <= DATA else ""
