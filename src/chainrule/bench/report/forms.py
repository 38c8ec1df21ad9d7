"""The forms of the report: for a terminal, as Markdown, as JSON, as a page and as pictures.

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
from chainrule.bench.report import tables
from chainrule.bench.report.word_table import Table

# -- On a terminal -----


def terminal(run: Results) -> RenderableType:
    """Return the report for a terminal of 80 columns or more, to be printed by rich."""
    parts = [part for table in tables.summary(run) for part in (table.rich(), Text())]
    return Group(*parts, Text(f"measured on {tables.line(run)}", style="dim"))


# -- As Markdown and as JSON -----


def _appendix(run: Results) -> list[Table]:
    return [tables.contestants(run), tables.method(run), tables.environment(run)]


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
        machine=escape(tables.short(run)),
        where=escape(", ".join(filter(None, (tables.short(run), tables.date(run))))),
        links="".join(f'<a href="#{name}">{escape(title)}</a>' for title, name in names.items()),
        sections="\n".join(
            f'<section id="{names[title]}"><h2>{escape(title)}</h2>\n{text}</section>'
            for title, text in parts.items()
        ),
    )


def _figures(run: Results) -> str:
    """Return the figures, each with a caption, the first ones unfolded; without matplotlib, how to install it."""
    if find_spec("matplotlib") is None:
        return f"<p>The figures need matplotlib: {how_to_install('plots')}, and make the report again."
    from chainrule.bench.report import charts, drawing
    from chainrule.plots import canvas

    parts = [f"<style>{drawing.dark_rules()}</style>"]
    for place, chart in enumerate(charts.charts(run)):
        panels = [
            canvas.inline_svg(drawing.picture([panel])).replace(
                "<svg", f'<svg role="img" aria-label="{escape(f"{panel.title}: {chart.alt}")}"', 1
            )
            for panel in chart.panels
        ]
        parts.append(
            f"<details{' open' * (place < OPEN)}><summary><h3>{escape(chart.title)}</h3></summary>"
            f"<figure><figcaption>{escape(chart.caption)}</figcaption>"
            f'<div class="panels">{"".join(panels)}</div></figure></details>'
        )
    return "\n".join(parts)


# -- As pictures -----


def figures(run: Results, folder: Path, form: str = "svg") -> list[Path]:
    """Write the figures into a folder, and return their files.

    Parameters
    ----------
    run
        The results of a run.
    folder
        The folder of the files; it is made if it does not exist.
    form
        "svg" or "png".

    Raises
    ------
    ImportError
        If matplotlib, the extra ``plots``, is not installed.
    """
    import chainrule.plots  # first: its error names the extra
    from chainrule.bench.report import charts, drawing

    folder.mkdir(parents=True, exist_ok=True)
    rules = drawing.dark_rules()
    return [
        chainrule.plots.canvas.save(
            drawing.picture(chart.panels, chart.title), folder / f"{chart.name}.{form}", style=rules
        )
        for chart in charts.charts(run)
    ]
