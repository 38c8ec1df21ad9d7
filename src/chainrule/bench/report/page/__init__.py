"""The page: the whole report in one HTML file that asks nobody for anything."""

import json
from html import escape
from importlib.resources import files

from chainrule.bench.report import caveats, charts, machine_facts, tables, words
from chainrule.bench.report.as_json import derived
from chainrule.bench.report.drawings import inks, svg
from chainrule.bench.report.drawings.shapes import Figure
from chainrule.bench.report.findings import Findings
from chainrule.bench.report.page import bounds
from chainrule.bench.report.page.elements import element, facts, listed, table

SECTIONS = {
    "map": "Who is faster where",
    "limit": "Where the time goes, and how near the limit",
    "throughput": "Throughput",
    "peers": "Against the others",
}
ALIKE = {"map", "throughput", "peers"}  # their figures differ in the network alone
_ELSEWHERE = "chainrule bench report FOLDER --format"
OPENED = 2  # figures of a section that are open from the start


def html(found: Findings) -> str:
    """Return the page."""
    title = f"chainrule on {machine_facts.short(found)}"
    sections, data = charts.sections(found), _data(found)
    body = [
        _head(found, [name for name, drawn in sections.items() if drawn]),
        *_sections(sections),
        _method(found),
        _environment(found),
        _rows(found, data),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_colours()}{_asset('page.css')}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + f"\n{data}<script>\n{_asset('page.js')}</script>\n"
        "</body>\n</html>\n"
    )


def _head(found: Findings, drawn: list[str]) -> str:
    day = machine_facts.date(found)
    where = machine_facts.short(found) + (f", {day}" if day else "")
    return (
        f"<header><p class=over>chainrule bench</p><h1>Where should a network run, and how near is it to the "
        f"limit?</h1>{element('p', where, 'where')}</header>\n"
        f'<nav aria-label="Sections">{_links(drawn)}</nav>\n'
        f'<main>\n<section id="verdict" class="verdict"><h2>Verdict</h2>{_verdict(found)}</section>'
    )


def _verdict(found: Findings) -> str:
    told = []
    for said in words.verdict(found):
        first, *others = said.sentences
        heading = element("h3", said.subject) if said.subject else ""
        told.append(
            f"{heading}{element('p', first, 'lead')}{''.join(element('p', line) for line in others)}"
        )
    return f'<div class="cards"><div>{"</div><div>".join(told)}</div></div>'


def _links(drawn: list[str]) -> str:
    names = {"verdict": "Verdict"} | {name: SECTIONS[name] for name in drawn}
    names |= {"method": "Method", "environment": "Environment", "rows": "All rows"}
    return "".join(f'<a href="#{name}">{escape(title)}</a>' for name, title in names.items())


def _sections(sections: dict[str, list[Figure]]) -> list[str]:
    written = {name: _figures(name, drawn) for name, drawn in sections.items()}
    kept = bounds.kept(written)
    return [_section(name, kept[name], drawn) for name, drawn in sections.items() if drawn]


def _section(name: str, written: list[str], figures: list[Figure]) -> str:
    left = [_title(name, one) for one in figures[len(written) :]]
    more = (
        f"Left out, so that a telephone opens the page: {'; '.join(left)}. {_ELSEWHERE} svg draws all."
    )
    parts = [*written, element("p", more, "where")] if left else written
    return f'<section id="{name}"><h2>{SECTIONS[name]}</h2>\n' + "\n".join(parts) + "\n</section>"


def _figures(name: str, figures: list[Figure]) -> list[str]:
    shown, told = [], ""
    for place, one in enumerate(figures):
        # What a figure shows is told once for all of its kind.
        caption = "" if one.caption == told else one.caption
        shown.append(_figure(one, _title(name, one), caption, is_open=place < OPENED))
        told = one.caption
    return shown


def _title(name: str, figure: Figure) -> str:
    return figure.of if name in ALIKE else figure.title


def _figure(figure: Figure, title: str, caption: str, *, is_open: bool) -> str:
    """Return a figure that can be folded away."""
    panels = [
        f'<div class="panel">{svg.inline(panel, f"{figure.name}-{place}")}</div>'
        for place, panel in enumerate(figure.panels)
    ]
    return (
        f"<details{' open' if is_open else ''}><summary><h3>{escape(title)}</h3></summary>\n<figure>"
        f'{element("figcaption", caption) if caption else ""}<div class="panels">'
        + "\n".join(panels)
        + "</div></figure></details>"
    )


def _method(found: Findings) -> str:
    return (
        f'<section id="method"><h2>Method and caveats</h2>{listed(caveats.method(found))}'
        f"<h3>What to keep in mind</h3>{listed([*caveats.caveats(found), *machine_facts.flags(found)])}"
        f"<h3>Who took part</h3>{facts(tables.contestants(found))}</section>"
    )


def _environment(found: Findings) -> str:
    known = machine_facts.rows(found)
    told = facts(known) if known else element("p", f"Measured on {machine_facts.UNKNOWN}.")
    return f'<section id="environment"><h2>Environment</h2>{told}</section>'


def _rows(found: Findings, data: str) -> str:
    rows = bounds.listed(found.rows)
    more = f" Here are {len(rows)} of {len(found.rows)} rows." if len(rows) < len(found.rows) else ""
    button = '<button type="button" id="download" hidden>Download the JSON</button>'
    offer = button if data else escape(f"{_ELSEWHERE} json writes all.")
    told = f'<p class="tools">A heading sorts.{more} {offer}</p>'
    return (
        f'<section id="rows"><h2>All rows</h2>{told}\n{table(tables.every_row(rows))}</section>\n</main>'
    )


def _data(found: Findings) -> str:
    """Return the JSON that can be taken away; nothing where it is too much for a page."""
    held = json.dumps(derived(found), separators=(",", ":"), ensure_ascii=False)
    # No "<" in it: nothing that was measured can end the script.
    held = held.replace("<", "\\u003c")
    return (
        f'<script type="application/json" id="data">{held}</script>\n'
        if len(held) <= bounds.HELD
        else ""
    )


def _colours() -> str:
    """Return the inks as variables, light and dark, and the classes of the drawings."""
    names = [*inks.INKS, *(inks.over(name) for name in inks.INKS)]
    light = "".join(f"--{name}:{inks.resolved(name).light};" for name in names)
    dark = "".join(f"--{name}:{inks.resolved(name).dark};" for name in names)
    rules = "".join(f".f-{n}{{fill:var(--{n})}}.s-{n}{{stroke:var(--{n})}}" for n in names)
    # Paper is light whatever the screen is.
    return (
        f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{rules}\n"
    )


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
