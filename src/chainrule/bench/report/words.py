"""The verdict in words: which backend wins where, against whom, and how near the limit that is."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.judge.results import LAUNCH_BOUND, Figures
from chainrule.bench.judge.statistics import geometric_mean
from chainrule.bench.report.findings import Findings, Match
from chainrule.bench.report.regions import Regions, regions
from chainrule.bench.report.slices import Slice
from chainrule.bench.report.word_table import number, scaled

NOTHING = "Nothing was measured; the rows say why."


class Said(NamedTuple):
    """What there is to say of a subject, a sentence each, the most important first."""

    subject: str
    sentences: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.subject}: {' '.join(self.sentences)}" if self.subject else " ".join(self.sentences)
        )


def verdict(found: Findings) -> list[Said]:
    """Return the verdict: all training steps together, then each kind of network."""
    said = []
    for one in found.slices:
        told = [
            _who_leads(found, one),
            _against_peers(found, one),
            _limit(found, one),
            _bound(found, one),
        ]
        if any(told):
            said.append(Said(one.title, tuple(line for line in told if line)))
    overall = _overall(found) if len(said) > 1 else ""
    return [*([Said("All training steps", (overall,))] if overall else []), *said] or [
        Said("", (NOTHING,))
    ]


def _overall(found: Findings) -> str:
    """Return in how many cells each backend leads, and by how much the best of ours does."""
    steps = [one for one in found.slices if one.operation == "step"]
    cells = [cell for one in steps for cell in one.cells]
    leads = Counter(lead.first.place.contestant for cell in cells if (lead := found.lead(cell)))
    if not leads:
        return ""
    said = ", ".join(f"{name} in {count}" for name, count in leads.most_common())
    known = [m for c in cells if (m := found.match(c, found.backends, found.peers, "step")).ratio]
    more = f" The fastest of ours against the fastest of the others: {tally(known)}." if known else ""
    return f"Of {leads.total()} cells the fastest backend is {said}.{more}"


def _who_leads(found: Findings, one: Slice) -> str:
    leads = {cell: lead.beside for cell in one.cells if (lead := found.lead(cell, one.operation))}
    if not leads:
        return ""
    measured = {
        f.place.contestant for cell in leads for f in found.of(cell, found.backends, one.operation)
    }
    if len(measured) == 1:
        return f"{next(iter(measured))} is the only backend measured."
    cut, unsure = regions(leads), sum(len(beside) > 1 for beside in leads.values())
    said = f"{where(cut, _middle(one))}{_exceptions(cut, leads)}"
    if unsure == len(leads):
        return f"Undecided which is the fastest; by the medians, {said}."
    return f"{said}; in {unsure} of {len(leads)} cells another may be as fast." if unsure else f"{said}."


def _middle(one: Slice) -> Cell:
    """Return a cell of the hidden size in the middle."""
    return min(one.held[H, B] for H, B in one.held if one.hidden[len(one.hidden) // 2] == H)


def where(found: Regions, example: Cell | None = None) -> str:
    """Return where who leads, without the full stop; of work, what batch that is for the example's network.

    Examples
    --------
    >>> from chainrule.bench.report.regions import Piece
    >>> where(Regions("batch", (Piece(1, "numpy-jit"), Piece(512, "torch")), ()))
    'numpy-jit is the fastest below a batch of 512, torch from there on'
    """
    first, *others = found.pieces
    if not others:
        return f"{first.name} is the fastest throughout"
    said = f"{first.name} is the fastest below {_value(found.axis, others[0].start, example)}"
    if len(others) == 2:
        said += f", {others[0].name} up to {_value(found.axis, others[1].start, example)}"
    return f"{said}, {others[-1].name} from there on"


def _value(axis: str, start: int, example: Cell | None) -> str:
    if axis == "work":
        said = f"{scaled(start, 'FLOP')} a step"
        if example is None:
            return said
        batch = max(1, round(start * example.batch / example.flops))
        return f"{said} ({example.hidden} hidden units: a batch of about {batch})"
    return f"a batch of {start}" if axis == "batch" else f"{start} hidden units"


def _exceptions(found: Regions, leads: Mapping[Cell, Sequence[str]]) -> str:
    """Return in how many cells it is otherwise."""
    if not found.exceptions:
        return ""
    who = Counter(leads[cell][0] for cell in found.exceptions)
    told = ", ".join(f"{name} in {count}" for name, count in who.most_common())
    return f", but for {len(found.exceptions)} of {len(leads)} cells ({told})"


def _against_peers(found: Findings, one: Slice) -> str:
    matches = [found.match(cell, found.backends, found.peers, one.operation) for cell in one.cells]
    known = [match for match in matches if match.ratio is not None]
    return f"Against the fastest of the others it is {tally(known)}." if known else ""


def tally(matches: Sequence[Match]) -> str:
    """Return in how many cells the left side is ahead, and by how much on the whole."""
    counts = Counter(match.standing for match in matches)
    order = (("faster", "faster"), ("slower", "slower"), ("same", "level"), ("undecided", "undecided"))
    told = [f"{word} in {counts[name]}" for name, word in order if counts[name]]
    known = [match.ratio for match in matches if match.ratio]
    ratios = [ratio.estimate for ratio in known]
    if len(ratios) == 1:
        return f"{told[0].partition(' in ')[0]} ({number(ratios[0])} times as fast)"
    spread = f"{number(geometric_mean(known).estimate)} times as fast in the geometric mean"
    return f"{', '.join(told)} of {len(matches)} cells: {spread}, {number(min(ratios))} to {number(max(ratios))}"


def _best(found: Findings, one: Slice) -> list[Figures]:
    return [best for cell in one.cells if (best := found.best(cell, found.backends, one.operation))]


def _limit(found: Findings, one: Slice) -> str:
    """Return how near the best backend of each cell comes to what the machine can do."""
    shares = [f.share for f in _best(found, one) if f.share]
    if not shares:
        return ""
    said = f"It reaches {percent(median(shares))} of the machine's limit"
    said += f" ({percent(min(shares))} to {percent(max(shares))})" if len(shares) > 1 else ""
    return f"{said}."


def _bound(found: Findings, one: Slice) -> str:
    """Return where calls are what a step waits for."""
    best = _best(found, one)
    bound = sum(map(is_launch_bound, best))
    return (
        f"In {bound} of {len(best)} cells its calls, not the arithmetic, are the limit." if bound else ""
    )


def is_launch_bound(one: Figures) -> bool:
    """Return whether a step waits for its calls: on a device, for what is asked of it; else by estimate."""
    if roster.entry(one.place.contestant).device == "cuda" and one.enqueued_share is not None:
        return one.enqueued_share >= LAUNCH_BOUND
    return bool(one.dispatch and one.step and one.dispatch > one.step / 2)


def percent(share: float | None) -> str:
    """Return a share as whole per cent.

    Examples
    --------
    >>> percent(0.886), percent(0.002), percent(None)
    ('89 %', '0.2 %', '-')
    """
    if share is None:
        return "-"
    if 0 < share < 0.0005:
        return "<0.1 %"
    return f"{100 * share:.1f} %" if 0 < share < 0.00995 else f"{100 * share:.0f} %"
