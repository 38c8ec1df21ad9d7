"""HTML: an explanation for a notebook, on a light page or a dark one, wide or narrow."""

import math
from collections.abc import Iterator
from html import escape
from itertools import groupby

from chainrule.explain.records import Explanation, Flag, Line, Update
from chainrule.explain.text import figure, heading, losses, title

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
.chainrule-step .formula sub, .chainrule-step .formula sup { font-size: .7em; line-height: 0; }
.chainrule-step .figures, .chainrule-step code { font-size: .88em; overflow-wrap: anywhere; }
.chainrule-step .figures { font-variant-numeric: tabular-nums; }
.chainrule-step .figures span { white-space: nowrap; }
.chainrule-step code { background: none; color: inherit; padding: 0; white-space: normal; }
.chainrule-step .quiet { opacity: .72; }
.chainrule-step .flag { margin: .5em 0; padding: .4em .8em; border-left: 4px solid #d1495b; }
.chainrule-step .scroll { overflow-x: auto; }
.chainrule-step table { border-collapse: collapse; margin: .4em 0; }
.chainrule-step th, .chainrule-step td { padding: .15em .7em; text-align: right; }
@media (max-width: 640px) { .chainrule-step .factor { grid-template-columns: minmax(0, 1fr); } }
"""


def page(explanation: Explanation) -> str:
    """Return a ``<div>`` with its own style."""
    first, second = map(escape, heading(explanation))
    parts = [f"<p><b>{first}</b><br>{second}</p>", *_flags(explanation)]
    for above, lines in groupby(explanation.lines, key=title):
        parts += [f"<h4>{above}</h4>", *map(_line, lines)]
    parts += [_updates(explanation.updates), f"<p>{losses(explanation)}</p>"]
    return f'<div class="chainrule-step"><style>{_STYLE}</style>{"".join(parts)}</div>'


def _flags(explanation: Explanation) -> Iterator[str]:
    if not explanation.flags:
        yield "<p>Nothing wrong was found.</p>"
    yield from map(_flag, explanation.flags)
    for what in explanation.findings.undecided:
        yield f'<p class="quiet">Undecided: {escape(what)}.</p>'


def _flag(flag: Flag) -> str:
    what = f"<b>{escape(flag.kind)}, {escape(flag.where)}:</b> {escape(flag.what)}"
    return f'<div class="flag">{what}<br><b>What to do:</b> {escape(flag.remedy)}</div>'


def _line(line: Line) -> str:
    sign = "←" if line.renews else "="
    formula = f" {sign} {line.formula.html}" if line.formula.html else ""
    left = [f'<div class="formula"><b>{line.symbol.html}</b>{formula}</div>']
    left += [f'<div class="figures">{_shapes(product)}</div>' for product in line.products]
    right = [f'<div class="figures">{_figures(line)}</div>']
    if line.source:
        right.append(
            f'<div><span class="quiet figures">{escape(line.source)}</span> <code>{escape(line.code)}</code></div>'
        )
    return f'<div class="factor"><div>{"".join(left)}</div><div>{"".join(right)}</div></div>'


def _shapes(product: str) -> str:
    return product.replace("->", "&rarr;").replace(",", " &times;").replace("*", "&odot;")


def _figures(line: Line) -> str:
    if line.array.size == 1:
        return figure(line.first[0])
    shape = " &times; ".join(map(str, line.shape))
    entries = " ".join(f"<span>{entry:.3g}</span>" for entry in line.first)
    more = "" if line.array.size == len(line.first) else " …"
    ends = f"{figure(line.smallest)} to {figure(line.largest)}"
    return f"{shape}, norm {figure(line.norm)}, {ends}: {entries}{more}"


def _updates(updates: tuple[Update, ...]) -> str:
    head = "".join(
        f"<th>{name}</th>" for name in ("", "before", "gradient", "change", "change / before")
    )
    rows = []
    for update in updates:
        ratio = "" if math.isnan(update.ratio) else figure(update.ratio)
        cells = [f"<i>{update.name[0]}</i><sub>{update.name[1:]}</sub>"]
        cells += [*map(figure, (update.norm, update.gradient, update.change)), ratio]
        rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    table = f"<table><tr>{head}</tr>{''.join(rows)}</table>"
    return f'<h4>what the step changes, in norms</h4><div class="scroll">{table}</div>'
