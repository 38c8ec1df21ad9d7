"""HTML: an explanation for a notebook, on light and dark pages, wide and narrow."""

from html import escape
from pathlib import Path

from chainrule.explain.records import CAPTION, COLUMNS, Document, Line, figures

# It uses the page's colours with less opacity, which suits light and dark pages.
_STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")


def page(document: Document) -> str:
    """Return an explanation as a ``<div>`` that contains its style."""
    parts = [f"<p><b>{escape(document.title)}</b><br>{escape(document.subtitle)}</p>"]
    for flag in document.flags:
        what = f"<b>{escape(flag.kind)}, {escape(flag.where)}:</b> {escape(flag.what)}"
        remedy = f"<b>What to do:</b> {escape(flag.remedy)}"
        parts.append(f'<div class="flag">{what}<br>{remedy}</div>')
    parts += [] if document.flags else ["<p>Nothing wrong was found.</p>"]
    parts += [f'<p class="quiet">Undecided: {escape(text)}.</p>' for text in document.undecided]
    for heading, lines in document.sections:
        parts += [f"<h4>{heading}</h4>", *map(_line, lines)]
    parts += [_updates(document.rows), f"<p>{document.losses}</p>"]
    return f'<div class="chainrule-step"><style>{_STYLE}</style>{"".join(parts)}</div>'


def _line(line: Line) -> str:
    right = f" {'←' if line.renews else '='} {line.formula.html}" if line.formula.html else ""
    formula = f'<div class="formula"><b>{line.symbol.html}</b>{right}</div>'
    products = "".join(f'<div class="figures">{_shapes(product)}</div>' for product in line.products)
    place = f'<span class="quiet figures">{escape(line.source)}</span>'
    source = f"<div>{place} <code>{escape(line.code)}</code></div>" if line.source else ""
    array = f'<div class="figures">{_shapes(figures(line))}</div>'
    return f'<div class="factor"><div>{formula}{products}</div><div>{array}{source}</div></div>'


def _shapes(text: str) -> str:
    return text.replace("->", "&rarr;").replace(",", " &times;").replace("*", "&odot;")


def _updates(rows: list[tuple[str, ...]]) -> str:
    table = "".join(f"<th>{name}</th>" for name in COLUMNS)
    for name, *cells in rows:
        numbers = "".join(f"<td>{cell}</td>" for cell in cells)
        table += f"</tr><tr><td><i>{name[0]}</i><sub>{name[1:]}</sub></td>{numbers}"
    return f'<h4>{CAPTION}</h4><div class="scroll"><table><tr>{table}</tr></table></div>'
