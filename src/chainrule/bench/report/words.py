"""The verdict in words: which backend is fastest where, against which libraries, and how near the limit."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

from chainrule.bench.cells import Cell
from chainrule.bench.judge.figures import Figures, Match
from chainrule.bench.judge.results import Results
from chainrule.bench.judge.slices import Slice
from chainrule.bench.judge.statistics import geometric_mean
from chainrule.bench.report.formats import number, percent
from chainrule.bench.report.word_table import SIGNS

ABOVE = "above limit"  # the flag of a step that seems to beat its limit
NOTHING = "Nothing was measured; the table of all rows says why."
BOUND = 2  # a step that takes this many times as long as its bare products is bound by something else


class Paragraph(NamedTuple):
    """Sentences about one subject, the most important first."""

    subject: str
    sentences: tuple[str, ...]

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.subject, " ".join(self.sentences))))


def verdict(run: Results) -> list[Paragraph]:
    """Return the verdict on all training steps together, then on each kind of network."""
    paragraphs = []
    for one in run.slices:
        lines = [_fastest(run, one), _peers(run, [one]), _limit(run, one), _bound(run, one)]
        if any(lines):
            paragraphs.append(Paragraph(one.title, tuple(filter(None, lines))))
    if len(paragraphs) > 1 and (overall := _overall(run)):
        paragraphs.insert(0, Paragraph("All training steps", overall))
    return paragraphs or [Paragraph("", (NOTHING,))]


def _overall(run: Results) -> tuple[str, ...]:
    """Return in how many cells each backend leads, and how the best compares with the other libraries."""
    steps = [one for one in run.slices if one.operation == "step"]
    leads = [first for one in steps for first, *_ in run.leads(one).values()]
    if not leads:
        return ()
    counts = ", ".join(f"{name} in {count}" for name, count in Counter(leads).most_common())
    fastest = f"Fastest backend of {len(leads)} cells: {counts}."
    return tuple(filter(None, (fastest, _peers(run, steps))))


def _fastest(run: Results, one: Slice) -> str:
    """Return which backend is fastest in how many cells of a grid, and where the others are."""
    leads = run.leads(one)
    backends = [name for name in run.backends if run.bests(leads, [name], one.operation)]
    if not leads:
        return ""
    if len(backends) == 1:
        return f"{backends[0]} is the only backend that was measured."
    (first, count), *others = Counter(name for name, *_ in leads.values()).most_common()
    where = f"{count} of {len(leads)} cells" if others else f"all {count} cells"
    text = f"{first} is the fastest backend in {where}"
    for name, _ in others:
        text += f", {name} in {_where([cell for cell in leads if leads[cell][0] == name])}"
    unsure = sum(len(names) > 1 for names in leads.values())
    return f"{text}; in {unsure} another backend may be as fast." if unsure else f"{text}."


def _where(cells: Sequence[Cell]) -> str:
    """Return how many cells there are, and over which hidden sizes and batches they range."""
    hidden, batch = _span(c.hidden for c in cells), _span(c.batch for c in cells)
    return f"{len(cells)} ({hidden} hidden units, batch {batch})"


def _span(values: Iterable[int]) -> str:
    ordered = sorted(set(values))
    return " to ".join(map(str, dict.fromkeys((ordered[0], ordered[-1]))))


def _peers(run: Results, every: Sequence[Slice]) -> str:
    """Return how the fastest backend of each cell compares with the fastest of the other libraries."""
    matches = [
        run.match(cell, run.backends, run.peers, one.operation) for one in every for cell in one.cells
    ]
    known = [match for match in matches if match.ratio is not None]
    text = "Compared with the fastest of the other libraries, the fastest backend is"
    return f"{text} {tally(known)}." if known else ""


def tally(matches: Sequence[Match]) -> str:
    """Return in how many cells the left side is ahead, and by how much overall."""
    counts: Counter[str] = Counter(match.standing for match in matches)
    ratios = [match.ratio for match in matches if match.ratio]
    speeds = sorted(ratio.estimate for ratio in ratios)
    if len(speeds) == 1:
        return f"{matches[0].standing} ({number(speeds[0])} times as fast)"
    parts = ", ".join(f"{word} in {counts[word]}" for word in SIGNS if counts[word])
    mean = number(geometric_mean(ratios).estimate)
    return (
        f"{parts} of {len(matches)} cells; {mean} times as fast in the geometric mean "
        f"(range over cells: {number(speeds[0])} to {number(speeds[-1])})"
    )


def _limit(run: Results, one: Slice) -> str:
    """Return how near the best backend of each cell comes to the limit of the machine."""
    best = run.bests(one.cells, run.backends, one.operation)
    shares = sorted(f.share for f in best if f.share is not None)
    if not shares:
        return ""
    text = f"It reaches {percent(median(shares))} of the machine's limit"
    if len(shares) > 1:
        text += f" in the median cell (range over cells: {percent(shares[0])} to {percent(shares[-1])})"
    return f"{text}."


def share_text(figures: Figures) -> str:
    """Return the machine's limit over the time of a step; marked where the step seems to beat its limit."""
    return percent(figures.share) + (" !" if ABOVE in figures.flags else "")


def _bound(run: Results, one: Slice) -> str:
    """Return in how many cells the products are the smaller part of a step."""
    best = run.bests(one.cells, run.backends, one.operation)
    bound = sum(bool(f.bare and f.step and f.step > BOUND * f.bare) for f in best)
    if not bound:
        return ""
    return f"In {bound} of {len(best)} cells less than half of the time is that of the matrix products."
