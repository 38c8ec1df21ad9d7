"""The words of the report: the reasons to doubt its results, the method, and the machine."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from string import Template

from chainrule.bench.judge.machines import facts, library
from chainrule.bench.judge.results import FLAGS, Figures, Results
from chainrule.bench.judge.statistics import BAND
from chainrule.bench.report.word_table import Table, number, percent
from chainrule.bench.store import Measurement

ABOVE = "above limit"  # the flag of a step that seems faster than its limit
UNKNOWN = "an unknown machine"
FEW_PROCESSES = 3
NOISY = 0.25  # range of a contestant's blocks / their median
BUSY = 0.5  # load average per core


def share_text(figures: Figures) -> str:
    """Return the machine's limit over the time of the step, with "!" if the step seems faster than the limit."""
    return percent(figures.share) + (" !" if ABOVE in figures.flags else "")


def _measured(run: Results) -> list[Measurement]:
    return [one for one in run.records.measurements if one.is_timed]


def doubts(run: Results) -> Table:
    """Return the reasons to doubt the results: a busy machine, errors, noise, few processes."""
    measured = _measured(run)
    cells = {(m.run, m.process, m.cell, m.operation): m.flags for m in run.records.measurements}
    counts = Counter(flag for flags in cells.values() for flag in flags)
    of_rows = Counter(flag for f in run.rows for flag in f.flags if flag not in counts)
    of_cells = [f"in {counts[flag]}, {text}" for flag, text in FLAGS.items() if counts[flag]]
    lines = []
    if of_cells:
        lines.append(
            f"Of {len(cells)} measured cells: {'; '.join(of_cells)}. Ratios are still valid; times and shares "
            "of the limit may be off."
        )
    lines += [
        f"In {of_rows[flag]} of {len(run.rows)} rows {text}."
        for flag, text in FLAGS.items()
        if of_rows[flag]
    ]
    load = max((one.get("load") or 0 for one in run.environments), default=0)
    cores = max((one.get("cores") or 1 for one in run.environments), default=1)
    if load > BUSY * cores:
        lines.append(
            f"The load average was up to {load:g} on {cores} cores when processes started; this includes "
            "the benchmark's own work."
        )
    spread = [(max(m.seconds) - min(m.seconds)) / median(m.seconds) for m in measured]
    if measured and median(spread) > NOISY:
        lines.append(
            f"The times are noisy: those of one contestant range over {percent(median(spread))} of their "
            "median (median over contestants). Compare ratios, and ignore small differences."
        )
    if measured and len({m.process for m in measured}) < FEW_PROCESSES:
        lines.append(
            "The run is preliminary: it has fewer than three sets of processes, and the same code can "
            "differ by some percent between processes."
        )
    return Table("Read this first", notes=lines)


def method(run: Results) -> Table:
    """Return how the run was measured, from ``method.txt``."""
    measured = _measured(run)
    text = Path(__file__).with_name("method.txt").read_text(encoding="utf-8")
    values = {
        "rounds": number(median(len(m.seconds) for m in measured) if measured else 0),
        "processes": len({m.process for m in measured}),
        "band": percent(BAND),
    }
    return Table("Method", notes=Template(text).substitute(values).splitlines())


def _facts(run: Results) -> Mapping[str, str]:
    """Return every fact of the environments by name, with all values if they differ."""
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
    record = _facts(run)
    if not record:
        return UNKNOWN
    pools = [library(pool) for one in run.environments for pool in one.get("blas") or []]
    blas = [name for name in dict.fromkeys(pools) if "blas" in name or "mkl" in name]
    versions = [f"{name[9:]} {value}" for name, value in record.items() if name[:9] == "versions "]
    return ", ".join([short(run), *blas, f"Python {record.get('python', '?')}", *versions])


def short(run: Results) -> str:
    """Return the processor and the GPU."""
    record = _facts(run)
    if not record:
        return UNKNOWN
    name = " ".join(record.get("cpu", "unknown processor").replace("(R)", "").split())
    cores = record.get("cores")
    counted = f"{cores} core{'' if cores == '1' else 's'}" if cores else ""
    return ", ".join(filter(None, (name, counted, record.get("gpu name"))))


def date(run: Results) -> str:
    """Return the day of the newest measurement, or nothing."""
    days = [one.run[:10] for one in run.records.measurements]
    return max((day for day in days if day[:4].isdecimal()), default="")
