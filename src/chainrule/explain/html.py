"""HTML: an explanation for a notebook, on a light page or a dark one, wide or narrow."""

from collections.abc import Iterator
from html import escape

from chainrule.explain.document import CAPTION, COLUMNS, Document, figures
from chainrule.explain.records import Flag, Line

# Colours are those of the page, thinned, so that light and dark pages both do.
_STYLE = """
.chainrule-step { font-size: 14px; line-height: 1.45; max-width: 72rem; text-align: left; }
.chainrule-step h4 { margin: 1.1em 0 .3em; padding-bottom: .15em;
  border-bottom: 1px solid color-mix(in srgb, currentColor 30%, transparent); }
.chainrule-step .factor { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
  gap: .1em 1.5em; padding: .35em 0;
  border-bottom: 1px solid color-mix(in srgb, currentColor 10%, transparent); }
.chainrule-step .formula { font-family: "STIX Two Text", Cambria, Georgia, serif; font-size: 1.15em;
  overflow-wrap: anywhere; }
.chainrule-step .formula sub, .chainrule-step .formula sup { font-size: .7em; line-height: 0; font-style: normal; }
.chainrule-step .figures, .chainrule-step code { font-size: .88em; overflow-wrap: anywhere; }
.chainrule-step .figures { font-variant-numeric: tabular-nums; white-space: pre-wrap; }
.chainrule-step code { background: none; color: inherit; padding: 0; white-space: normal; }
.chainrule-step .quiet { opacity: .72; }
.chainrule-step .flag { margin: .5em 0; padding: .4em .8em; border-left: 4px solid #d1495b; }
.chainrule-step .scroll { overflow-x: auto; }
.chainrule-step table { border-collapse: collapse; margin: .4em 0; }
.chainrule-step th, .chainrule-step td { padding: .15em .7em; text-align: right; }
@media (max-width: 640px) { .chainrule-step .factor { grid-template-columns: minmax(0, 1fr); } }
"""


def page(document: Document) -> str:
    """Return a ``<div>`` with its own style."""
    parts = [f"<p><b>{escape(document.title)}</b><br>{escape(document.subtitle)}</p>"]
    parts += map(_flag, document.flags) if document.flags else ["<p>Nothing wrong was found.</p>"]
    parts += [f'<p class="quiet">Undecided: {escape(text)}.</p>' for text in document.undecided]
    for heading, lines in document.sections:
        parts += [f"<h4>{heading}</h4>", *map(_line, lines)]
    parts += [*_updates(document.rows), f"<p>{document.losses}</p>"]
    return f'<div class="chainrule-step"><style>{_STYLE}</style>{"".join(parts)}</div>'


def _flag(flag: Flag) -> str:
    what = f"<b>{escape(flag.kind)}, {escape(flag.where)}:</b> {escape(flag.what)}"
    return f'<div class="flag">{what}<br><b>What to do:</b> {escape(flag.remedy)}</div>'


def _line(line: Line) -> str:
    right = f" {'←' if line.renews else '='} {line.formula.html}" if line.formula.html else ""
    formula = f'<div class="formula"><b>{line.symbol.html}</b>{right}</div>'
    products = "".join(f'<div class="figures">{_shapes(product)}</div>' for product in line.products)
    source = (
        f'<div><span class="quiet figures">{escape(line.source)}</span> '
        f"<code>{escape(line.code)}</code></div>"
        if line.source
        else ""
    )
    array = f'<div class="figures">{_shapes(figures(line))}</div>'
    return f'<div class="factor"><div>{formula}{products}</div><div>{array}{source}</div></div>'


def _shapes(text: str) -> str:
    return text.replace("->", "&rarr;").replace(",", " &times;").replace("*", "&odot;")


def _updates(rows: tuple[tuple[str, ...], ...]) -> Iterator[str]:
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    yield f'<h4>{CAPTION}</h4><div class="scroll"><table><tr>{head}</tr>'
    for name, *cells in rows:
        figures = "".join(f"<td>{cell}</td>" for cell in cells)
        yield f"<tr><td><i>{name[0]}</i><sub>{name[1:]}</sub></td>{figures}</tr>"
    yield "</table></div>"
