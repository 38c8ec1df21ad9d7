"""The words of the report: the verdict, what makes figures doubtful, the method and the machine."""

from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.resources import files
from statistics import median
from string import Template
from typing import NamedTuple

from chainrule.bench.cells import Cell
from chainrule.bench.judge.machines import facts, library
from chainrule.bench.judge.results import FLAGS, Figures, Match, Results, Slice
from chainrule.bench.judge.statistics import BAND, geometric_mean
from chainrule.bench.report.word_table import SIGNS, Table, number, percent
from chainrule.bench.store import Measurement

ABOVE = "above limit"  # the flag of a step that seems to beat its limit
NOTHING = "Nothing was measured; the table of all rows says why."
BOUND = 2  # a step that takes this many times as long as its bare products is bound by something else
UNKNOWN = "an unknown machine"
FEW_PROCESSES = 3
NOISY = 0.25  # the range of a contestant's blocks over their median
BUSY = 0.5  # load average for each core


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
        lines = [_fastest(one), _peers([one]), _limit(one), _bound(one)]
        if any(lines):
            paragraphs.append(Paragraph(one.title, tuple(filter(None, lines))))
    if len(paragraphs) > 1 and (overall := _overall(run)):
        paragraphs.insert(0, Paragraph("All training steps", overall))
    return paragraphs or [Paragraph("", (NOTHING,))]


def _overall(run: Results) -> tuple[str, ...]:
    """Return in how many cells each backend leads, and how the best compares with the other libraries."""
    steps = [one for one in run.slices if one.operation == "step"]
    leads = [first for one in steps for first, *_ in one.leads.values()]
    if not leads:
        return ()
    counts = ", ".join(f"{name} in {count}" for name, count in Counter(leads).most_common())
    fastest = f"Fastest backend of {len(leads)} cells: {counts}."
    return tuple(filter(None, (fastest, _peers(steps))))


def _fastest(one: Slice) -> str:
    """Return which backend is fastest in how many cells of a grid, and where the others are."""
    leads, backends = one.leads, one.measured(one.run.backends)
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


def _peers(every: Sequence[Slice]) -> str:
    """Return how the fastest backend of each cell compares with the fastest of the other libraries."""
    matches = [one.match(cell) for one in every for cell in one.cells]
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


def _limit(one: Slice) -> str:
    """Return how near the best backend of each cell comes to the limit of the machine."""
    shares = sorted(f.share for f in one.bests() if f.share is not None)
    if not shares:
        return ""
    text = f"It reaches {percent(median(shares))} of the machine's limit"
    if len(shares) > 1:
        text += f" in the median cell (range over cells: {percent(shares[0])} to {percent(shares[-1])})"
    return f"{text}."


def share_text(figures: Figures) -> str:
    """Return the machine's limit over the time of a step; marked where the step seems to beat its limit."""
    return percent(figures.share) + (" !" if ABOVE in figures.flags else "")


def _bound(one: Slice) -> str:
    """Return in how many cells the products are the smaller part of a step."""
    best = one.bests()
    bound = sum(bool(f.bare and f.step and f.step > BOUND * f.bare) for f in best)
    text = f"In {bound} of {len(best)} cells less than half of the time is that of the matrix products."
    return text if bound else ""


def _facts(run: Results) -> dict[str, str]:
    """Return every fact of the environments by name, with all values where they differ."""
    values: dict[str, dict[str, None]] = {}
    for name, value in (fact for one in run.environments for fact in facts(one)):
        values.setdefault(name, {})[value] = None
    return {name: " / ".join(texts) for name, texts in values.items()}


def environment(run: Results) -> Table:
    """Return the facts of the environments."""
    rows = [*_facts(run).items()] or [("machine", UNKNOWN)]
    return Table("Measured on", ["fact", "value"], [*rows], texts=2)


def line(run: Results) -> str:
    """Return the machine and the versions in one line."""
    known = _facts(run)
    if not known:
        return UNKNOWN
    pools = [pool for one in run.environments for pool in one.get("blas") or []]
    blas = [library(pool) for pool in pools if pool.get("user_api", "blas") == "blas"]
    names = [name for name in known if name.startswith("versions ")]
    versions = [f"{name.removeprefix('versions ')} {known[name]}" for name in names]
    return ", ".join([short(run), *dict.fromkeys(blas), f"Python {known.get('python', '?')}", *versions])


def short(run: Results) -> str:
    """Return the processor and the device."""
    known = _facts(run)
    if not known:
        return UNKNOWN
    name = " ".join(known.get("cpu", "unknown processor").replace("(R)", "").split())
    cores = known.get("cores")
    counted = f"{cores} core{'' if cores == '1' else 's'}" if cores else ""
    return ", ".join(filter(None, (name, counted, known.get("gpu name"))))


def date(run: Results) -> str:
    """Return the day of the newest run, or nothing."""
    days = [one.run[:10] for one in run.records.measurements]
    return max((day for day in days if day[:4].isdecimal()), default="")


def _measured(run: Results) -> list[Measurement]:
    return [one for one in run.records.measurements if one.is_timed]


def doubts(run: Results) -> list[str]:
    """Return the reasons to doubt the figures, which come first: a busy machine, noise, few processes."""
    measured = _measured(run)
    if not measured:
        return []
    lines = [run.busy()]
    load = max((one.get("load") or 0 for one in run.environments), default=0)
    cores = max((one.get("cores") or 1 for one in run.environments), default=1)
    if load > BUSY * cores:
        lines.append(
            f"The machine was loaded when processes started: load average up to {load:g} on {cores} cores, the "
            "benchmark's own work included."
        )
    for flag in ("above limit", "invalid"):
        if count := sum(flag in f.flags for f in run.rows):
            lines.append(f"{count} of {len(run.rows)} rows have the flag {flag!r}: {FLAGS[flag]}.")
    spread = median((max(m.seconds) - min(m.seconds)) / median(m.seconds) for m in measured)
    if spread > NOISY:
        lines.append(
            f"Noisy: the times of a contestant range over {percent(spread)} of their median (median over "
            "contestants). Compare by ratios, and ignore small differences."
        )
    if len({m.process for m in measured}) < FEW_PROCESSES:
        lines.append(
            "Preliminary: fewer than three sets of processes. The same code can differ by some percent "
            "between processes."
        )
    return [text for text in lines if text]


def method(run: Results) -> list[str]:
    """Return how the run was measured, a sentence or two each, from ``method.txt``."""
    measured = _measured(run)
    text = files(__package__).joinpath("method.txt").read_text(encoding="utf-8")
    values = {
        "rounds": number(median(len(m.seconds) for m in measured) if measured else 0),
        "processes": len({m.process for m in measured}),
        "band": percent(BAND),
    }
    return Template(text).substitute(values).splitlines()
