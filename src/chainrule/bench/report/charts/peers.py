"""The others with their intervals: how many times as long they take as the fastest of ours."""

import math

from chainrule.bench import roster
from chainrule.bench.report.charts.panels import WIDTH, Group, groups, heading, short
from chainrule.bench.report.drawings.axes import Scale, scale_of
from chainrule.bench.report.drawings.shapes import Box, Drawing, Figure, Mark, Path, Shape, Words
from chainrule.bench.report.findings import Findings, Match

LEFT, TOP, ROW, RIGHT, MOST = 124.0, 48.0, 19.0, 300.0, 12
CAPTION = (
    "The time of each over the time of chainrule's fastest backend in the cell, with its interval of 95 %, on "
    "a logarithmic axis: right of the line at 1, chainrule is faster. The pale band counts as level."
)


def figures(found: Findings) -> list[Figure]:
    """Return a figure for each kind of network that somebody else was measured in."""
    return [made for one in groups(found.slices, MOST) if (made := figure(found, one)) is not None]


def figure(found: Findings, one: Group) -> Figure | None:
    """Return a panel for each of the others; ``None`` where nothing can be held against them."""
    held = {name: _matches(found, one, name) for name in found.peers}
    held = {name: matches for name, matches in held.items() if matches}
    if not held:
        return None
    ends = [end for matches in held.values() for m in matches.values() for end in _ends(m)]
    scale = scale_of([*ends, 0.8, 1.25], LEFT, RIGHT, 1.1)
    panels = [panel(found.band, name, matches, scale) for name, matches in held.items()]
    return Figure(
        f"peers-{one.slug}", f"Against the others: {one.title}", CAPTION, tuple(panels), one.title
    )


def _matches(found: Findings, one: Group, name: str) -> dict[str, Match]:
    """Return how one of the others stands, by the labels of the cells."""
    every = {row.label: found.match(row.cell, found.backends, [name], row.operation) for row in one.rows}
    return {label: match for label, match in every.items() if match.ratio is not None}


def _ends(match: Match) -> list[float]:
    """Return what the axis must hold: the ends of an interval, but for those at infinity."""
    if match.ratio is None:
        return []
    ends = (match.ratio.low, match.ratio.estimate, match.ratio.high)
    return [end for end in ends if 0 < end < math.inf]


def panel(band: float, name: str, matches: dict[str, Match], scale: Scale) -> Drawing:
    """Return a row for each cell of one of the others."""
    floor = TOP + ROW * len(matches)
    is_tuned = roster.entry(name).is_tuned
    shapes = heading(name + (" (tuned)" if is_tuned else ""), "its time / ours")
    low, high = scale(1 / (1 + band)), scale(1 + band)
    shapes.append(Box(low, TOP - 4, high - low, floor - TOP + 4, "grid"))
    for value in scale.ticks(5):
        shapes.append(Path(((scale(value), TOP - 4), (scale(value), floor)), "grid", 1))
        shapes.append(Words(scale(value), floor + 14, f"{value:g}", "middle", "muted", 10))
    shapes.append(Path(((scale(1), TOP - 6), (scale(1), floor + 2)), "ink", 1.5))
    for row, (label, match) in enumerate(matches.items()):
        shapes += _row(match, scale, TOP + ROW * row + ROW / 2, label)
    told = "; ".join(_told(match) for match in matches.values())
    return Drawing(f"Against {name}", told, WIDTH, floor + 22, shapes)


def _row(match: Match, scale: Scale, y: float, name: str) -> list[Shape]:
    ratio = match.ratio
    if ratio is None:
        return []
    ink = {"faster": "blue", "slower": "vermilion"}.get(match.standing, "grey")
    return [
        Words(LEFT - 8, y + 4, name, "end", size=10),
        Path(((scale(max(ratio.low, scale.low)), y), (scale(min(ratio.high, scale.high)), y)), ink, 2.5),
        Mark(
            scale(ratio.estimate),
            y,
            "circle",
            ink,
            4,
            _told(match),
            hollow=match.standing == "undecided",
        ),
        Words(RIGHT + 10, y + 4, f"{short(ratio.estimate)}x", ink=ink, bold=True, size=10.5),
    ]


def _told(match: Match) -> str:
    if match.ratio is None or match.left is None:
        return ""
    interval = f"{short(match.ratio.low)} to {short(match.ratio.high)}"
    ours = match.left.place.contestant
    return f"{match.cell.name}: {short(match.ratio.estimate)} times ({interval}) as long as {ours}"
