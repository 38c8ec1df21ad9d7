"""Where the time goes: products, elementwise work and calls, as shares of a step."""

from chainrule.bench.judge.results import Figures
from chainrule.bench.report.charts.panels import WIDTH, Group, groups, heading
from chainrule.bench.report.drawings.inks import over
from chainrule.bench.report.drawings.shapes import Box, Drawing, Figure, Path, Shape, Words, text_width
from chainrule.bench.report.findings import Findings
from chainrule.bench.report.word_table import scaled
from chainrule.bench.report.words import percent

LEFT, TOP, ROW, RIGHT, MOST = 124.0, 62.0, 24.0, 318.0, 10
INKS = {
    "products": "products",
    "elementwise": "elementwise",
    "dispatch": "dispatch",
    "not told apart": "rest",
}
CAPTION = (
    "Shares of a step of the fastest backend. Products: what the bare matrix products alone take. Dispatch: "
    "its calls times an empty call, an estimate. Right: the floor's share, above 100 % where blocks of rows "
    "stay in the cache and beat the products of the whole batch."
)


def figure(found: Findings) -> Figure | None:
    """Return a panel for each kind of network that has floors."""
    panels = [made for one in groups(found.slices, MOST) if (made := panel(found, one)) is not None]
    return Figure("time", "Where the time goes", CAPTION, tuple(panels)) if panels else None


def panel(found: Findings, one: Group) -> Drawing | None:
    """Return a bar for each cell."""
    best = [(row.label, found.best(row.cell, found.backends, row.operation)) for row in one.rows]
    bars = [(label, f) for label, f in best if f is not None and f.products is not None]
    if not bars:
        return None
    shapes = [
        *heading(one.title, "share of a step; right: of the limit"),
        *_legend([f for _, f in bars]),
    ]
    for row, (label, f) in enumerate(bars):
        shapes += _bar(f, TOP + ROW * row, label)
    told = "; ".join(_told(f) for _, f in bars)
    return Drawing(f"Where the time goes: {one.title}", told, WIDTH, TOP + ROW * len(bars) + 8, shapes)


def parts(f: Figures) -> dict[str, float]:
    """Return the shares of a step by their names; they add up to 1."""
    step = f.step or 1.0
    products = (f.products or 0.0) / step
    if f.elementwise is None or f.dispatch is None:
        return {"products": products, "not told apart": 1 - products}
    return {"products": products, "elementwise": f.elementwise / step, "dispatch": f.dispatch / step}


def _bar(f: Figures, top: float, name: str) -> list[Shape]:
    drawn: list[Shape] = [
        Words(0, top + 9, name, size=10.5),
        Words(0, top + 19, f"{f.place.contestant}, {scaled(f.step, 's')}", ink="muted", size=9),
    ]
    x = LEFT
    for part, share in parts(f).items():
        wide = share * (RIGHT - LEFT)
        if wide < 0.5:
            continue
        fill = INKS[part]
        says = f"{f.place.cell.name}: {part} {percent(share)} ({scaled(share * (f.step or 0.0), 's')})"
        drawn.append(Box(x, top, max(wide - 1, 0.5), ROW - 5, fill, says=says))
        if wide > 30:
            drawn.append(
                Words(x + wide / 2, top + 14, percent(share), "middle", over(fill), 10, halo=fill)
            )
        x += wide
    drawn.append(Words(RIGHT + 6, top + 14, percent(f.share), bold=True, size=11))
    return drawn


def _legend(bars: list[Figures]) -> list[Shape]:
    names = dict.fromkeys(part for f in bars for part in parts(f))
    drawn: list[Shape] = []
    x = LEFT
    for name in names:
        drawn += [
            Box(x, 40, 10, 10, INKS[name], rounded=2),
            Words(x + 14, 49, name, ink="muted", size=10),
        ]
        x += 26 + text_width(name, 10)
    return [*drawn, Path(((LEFT, TOP - 6), (RIGHT, TOP - 6)), "grid", 1)]


def _told(f: Figures) -> str:
    shares = ", ".join(f"{name} {percent(share)}" for name, share in parts(f).items())
    limit = percent(f.share)
    return f"{f.place.cell.name}, {f.place.contestant}: {shares}; of the limit {limit}"
